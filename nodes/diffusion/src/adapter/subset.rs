//! Which modules of a UNet the paper's eight subsets touch, and with which rank.

use sdk::{Error, Result, bail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The paper's subsets of modules (Table 3), as predicates on diffusers' module paths.
///
/// All of them lie in one universe: the projections of both attentions, the convolutions and time
/// projections of the resnets, and the samplers' convolutions; feed-forward layers, `proj_in`/`proj_out`
/// and the embeddings are never touched. The paper's own sizes show that ExSA equals ExCA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Subset {
    /// Everything but cross-attention.
    ExCA,
    /// Named "everything but self-attention"; by its sizes the same modules as [`Subset::ExCA`].
    ExSA,
    /// Self-attention only.
    SAO,
    /// Cross-attention only.
    CAO,
    /// The whole universe.
    FMT,
    /// Queries, keys and values of cross-attention.
    SCA,
    /// [`Subset::ExCA`] within the middle block.
    #[serde(rename = "ExCA-HL")]
    ExCAHL,
    /// The last convolution of the middle block.
    #[serde(rename = "ExCA-HL-Last")]
    ExCAHLLast,
}

impl Subset {
    /// All eight, in the order of the paper's table.
    pub const ALL: [Self; 8] = [
        Self::ExCA,
        Self::ExSA,
        Self::SAO,
        Self::CAO,
        Self::FMT,
        Self::SCA,
        Self::ExCAHL,
        Self::ExCAHLLast,
    ];

    /// The paper's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExCA => "ExCA",
            Self::ExSA => "ExSA",
            Self::SAO => "SAO",
            Self::CAO => "CAO",
            Self::FMT => "FMT",
            Self::SCA => "SCA",
            Self::ExCAHL => "ExCA-HL",
            Self::ExCAHLLast => "ExCA-HL-Last",
        }
    }

    /// Whether the module at a diffusers path belongs to the subset.
    pub fn contains(self, path: &str) -> bool {
        if !in_universe(path) {
            return false;
        }
        let cross = path.contains(".attn2.");
        match self {
            Self::ExCA | Self::ExSA => !cross,
            Self::SAO => path.contains(".attn1."),
            Self::CAO => cross,
            Self::FMT => true,
            Self::SCA => cross && !path.contains("to_out"),
            Self::ExCAHL => !cross && path.starts_with("mid_block."),
            Self::ExCAHLLast => path == "mid_block.resnets.1.conv2",
        }
    }
}

fn in_universe(path: &str) -> bool {
    if !["down_blocks.", "mid_block.", "up_blocks."]
        .iter()
        .any(|p| path.starts_with(p))
    {
        return false;
    }
    let attention = [".to_q", ".to_k", ".to_v", ".to_out.0"].iter().any(|name| {
        path.strip_suffix(name)
            .is_some_and(|head| head.ends_with(".attn1") || head.ends_with(".attn2"))
    });
    let resnet = ["conv1", "conv2", "conv_shortcut", "time_emb_proj"]
        .iter()
        .any(|name| path.ends_with(&format!(".{name}")))
        && path.contains(".resnets.");
    attention || resnet || path.ends_with(".downsamplers.0.conv") || path.ends_with(".upsamplers.0.conv")
}

impl fmt::Display for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Subset {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|s| s.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|s| s.name()).collect();
            Error::msg(format!("there is no subset {text:?}")).help(format!("choose one of {}", names.join(", ")))
        })
    }
}

/// Which modules the bound on the rank, γ · rank(W₀), applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GammaScope {
    /// Convolutions only, as in the paper's published sizes.
    #[default]
    Conv,
    /// Every module, as in the paper's equation 8.
    All,
}

impl GammaScope {
    /// `conv` or `all`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conv => "conv",
            Self::All => "all",
        }
    }
}

impl FromStr for GammaScope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "conv" => Ok(Self::Conv),
            "all" => Ok(Self::All),
            _ => bail!("there is no gamma_scope {text:?}"; help: "choose conv or all"),
        }
    }
}

/// The rank of a weight as its shape bounds it: min(d_out, d_in), for a convolution min(c_out, c_in·k·k).
pub fn shape_rank(shape: &[usize]) -> usize {
    match shape.split_first() {
        Some((rows, rest)) => (*rows).min(rest.iter().product()),
        None => 0,
    }
}

/// The paper's bound on what may be removed from a weight: floor(γ · rank(W₀)).
///
/// γ is a share of the rank, 0 ≤ γ ≤ 1; 1 is no bound, 0 excludes every module in the scope of γ.
///
/// # Errors
/// A γ outside 0..=1.
pub fn rank_boundary(gamma: f64, shape: &[usize]) -> Result<usize> {
    if !(0.0..=1.0).contains(&gamma) {
        bail!("gamma is {gamma}, expected a share of the rank"; help: "choose gamma from 0 to 1; the paper uses 0.025");
    }
    // A tolerance, since 0.025 is not exact in binary and 0.025 · 320 must give 8.
    Ok((gamma * shape_rank(shape) as f64 + 1e-9).floor() as usize)
}

/// How a subset is cut: the wanted rank and its bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankRule {
    /// The wanted rank.
    pub rank: usize,
    /// The bound as a share of rank(W₀); see [`rank_boundary`].
    pub gamma: f64,
    /// Where the bound applies.
    pub scope: GammaScope,
}

impl RankRule {
    /// The rank that a module of this shape gets; 0: the module is left out.
    ///
    /// # Errors
    /// A γ outside 0..=1, or rank 0.
    pub fn rank(&self, shape: &[usize]) -> Result<usize> {
        if self.rank == 0 {
            bail!("the rank is 0: nothing would be learnt"; help: "choose a rank of at least 1");
        }
        let bounded = shape.len() == 4 || self.scope == GammaScope::All;
        let bound = rank_boundary(self.gamma, shape)?;
        let bound = if bounded { bound } else { shape_rank(shape) };
        Ok(self.rank.min(bound))
    }
}

/// Module and parameter counts of one subset (the paper's Table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Modules with a rank above 0.
    pub modules: usize,
    /// Parameters of PaRa: Σ d_out · r.
    pub para: usize,
    /// Parameters of a LoRA with the same ranks: Σ r · (d_out + d_in·k·k).
    pub lora: usize,
}

/// Counts the modules and parameters of a subset over (path, weight shape) pairs.
///
/// # Errors
/// As [`RankRule::rank`].
pub fn sizes<'a>(
    modules: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    subset: Subset,
    rule: RankRule,
) -> Result<Sizes> {
    let mut total = Sizes {
        modules: 0,
        para: 0,
        lora: 0,
    };
    for (path, shape) in modules {
        if !subset.contains(path) {
            continue;
        }
        let rank = rule.rank(shape)?;
        let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
        total.modules += usize::from(rank > 0);
        total.para += rank * rows;
        total.lora += rank * (rows + columns);
    }
    Ok(total)
}
