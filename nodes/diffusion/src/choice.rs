//! The words that nodes of several crates take as parameters.

use crate::adapter::{combine, subset};
use crate::train::Checkpointing;

sdk::choice! {
    /// Which layers of the UNet an adapter touches: the eight subsets of the paper's Table 3.
    pub enum Subset {
        /// All attention and convolution layers but cross-attention.
        ExCA = "ExCA",
        /// The same set as ExCA: the paper's "except self-attention" skips cross-attention too.
        ExSA = "ExSA",
        /// Self-attention only.
        Sao = "SAO",
        /// Cross-attention only.
        Cao = "CAO",
        /// All attention and convolution layers.
        Fmt = "FMT",
        /// Query, key and value of cross-attention.
        Sca = "SCA",
        /// ExCA in the middle block.
        ExCAHl = "ExCA-HL",
        /// The last convolution of the middle block.
        ExCAHlLast = "ExCA-HL-Last",
    }
}

impl From<Subset> for subset::Subset {
    fn from(choice: Subset) -> Self {
        match choice {
            Subset::ExCA => Self::ExCA,
            Subset::ExSA => Self::ExSA,
            Subset::Sao => Self::SAO,
            Subset::Cao => Self::CAO,
            Subset::Fmt => Self::FMT,
            Subset::Sca => Self::SCA,
            Subset::ExCAHl => Self::ExCAHL,
            Subset::ExCAHlLast => Self::ExCAHLLast,
        }
    }
}

sdk::choice! {
    /// Which layers the cap on the rank holds for.
    pub enum GammaScope {
        /// Convolutions, as in the paper's files.
        Conv = "conv",
        /// All layers, as in the paper's equation 8.
        All = "all",
    }
}

impl From<GammaScope> for subset::GammaScope {
    fn from(choice: GammaScope) -> Self {
        match choice {
            GammaScope::Conv => Self::Conv,
            GammaScope::All => Self::All,
        }
    }
}

sdk::choice! {
    /// How several PaRas become one change.
    pub enum Mode {
        /// Removes their joint span: order does not count, the result is one PaRa.
        Merge = "merge",
        /// One after another: order counts, the result is a list.
        Sequential = "sequential",
    }
}

sdk::choice! {
    /// What to do where a merged rank exceeds the cap.
    pub enum Cap {
        /// Keep everything and say so.
        Warn = "warn",
        /// Keep what carries most of all adapters.
        Balanced = "balanced",
        /// Keep all of the first adapter, then what carries most of the rest.
        Primary = "primary",
    }
}

impl From<Cap> for combine::Cap {
    fn from(choice: Cap) -> Self {
        match choice {
            Cap::Warn => Self::Warn,
            Cap::Balanced => Self::Balanced,
            Cap::Primary => Self::Primary,
        }
    }
}

sdk::choice! {
    /// Whether a training keeps activations or computes them a second time.
    pub enum Checkpoint {
        /// By the size of model and batch.
        Auto = "auto",
        /// Keep them all.
        None = "none",
        /// Keep only what lies between blocks.
        Block = "block",
    }
}

impl From<Checkpoint> for Checkpointing {
    fn from(choice: Checkpoint) -> Self {
        match choice {
            Checkpoint::Auto => Self::Auto,
            Checkpoint::None => Self::None,
            Checkpoint::Block => Self::Block,
        }
    }
}
