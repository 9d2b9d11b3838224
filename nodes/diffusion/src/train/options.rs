//! How a training goes.

use super::AdamW;
use crate::adapter::subset::{GammaScope, RankRule, Subset};
use sdk::{Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// PaRa: a matrix B (d_out, r) per module, whose columns span what is removed.
    Para {
        /// Standard deviation of B at the start. The projector does not depend on it, only on lr / σ.
        sigma: f64,
        /// Steps over which the projection fades in from nothing; 0: it is there at once.
        gate_steps: usize,
    },
    /// LoRA: `down` drawn from N(0, 1/r²), `up` zero, as diffusers' trainer starts.
    Lora {
        /// The change of every module is scaled by alpha / rank, with the wanted rank of the rule: modules
        /// whose rank is bounded lower are scaled alike.
        alpha: f64,
    },
}

/// Whether the forward pass keeps what the backward pass needs, or computes it a second time.
///
/// The arithmetic and its order are the same: our CPU kernels give the same bits either way. Elsewhere rounding may
/// differ as it does from run to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checkpointing {
    /// Recompute where keeping would take more than 1 GiB by the estimate for f32, which knows shapes alone.
    #[default]
    Auto,
    /// Keep everything: one forward pass a step.
    None,
    /// Keep only what lies between blocks (a resnet, a transformer block), and recompute one at a time.
    Block,
}

/// How a training goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// PaRa or LoRA.
    pub method: Method,
    /// Which modules are trained.
    pub subset: Subset,
    /// With which rank.
    pub rule: RankRule,
    /// Steps in all.
    pub steps: usize,
    /// Learning rate.
    pub lr: f64,
    /// Pictures in a step.
    pub batch: usize,
    /// Seed of all randomness.
    pub seed: u64,
    /// Steps over which the learning rate rises from nothing.
    pub warmup: usize,
    /// Weighs steps by min(snr, γ) (min-SNR, Hang et al. 2023).
    pub snr_gamma: Option<f64>,
    /// The optimiser's constants.
    pub adam: AdamW,
    /// Memory against time; not part of what a saved training must agree in.
    #[serde(skip)]
    pub checkpointing: Checkpointing,
    /// What the adapter's file shall say beside these options, such as `para.instance_prompt`.
    pub info: BTreeMap<String, String>,
}

impl Options {
    /// The defaults of a PaRa: rank 4, ExCA, γ 0.025 on convolutions, 200 steps at 1e-3.
    pub fn para() -> Self {
        Self {
            method: Method::Para {
                sigma: 1e-4,
                gate_steps: 0,
            },
            subset: Subset::ExCA,
            rule: RankRule {
                rank: 4,
                gamma: 0.025,
                scope: GammaScope::Conv,
            },
            steps: 200,
            lr: 1e-3,
            batch: 1,
            seed: 0,
            warmup: 0,
            snr_gamma: None,
            adam: AdamW::default(),
            checkpointing: Checkpointing::Auto,
            info: BTreeMap::new(),
        }
    }

    /// The same for a LoRA, with alpha = rank.
    pub fn lora() -> Self {
        Self {
            method: Method::Lora { alpha: 4.0 },
            ..Self::para()
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.batch == 0 {
            bail!("batch is 0, expected at least 1");
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            bail!("lr is {}, expected a positive number", self.lr);
        }
        if let Some(gamma) = self.snr_gamma
            && (gamma.is_nan() || gamma <= 0.0)
        {
            bail!("snr_gamma is {gamma}, expected a positive number"; help: "5 is usual");
        }
        match self.method {
            Method::Para { sigma, .. } if !(sigma > 0.0 && sigma.is_finite()) => {
                bail!("B starts with standard deviation {sigma}, expected a positive number"; help: "with B exactly zero there is no projector and no gradient; use 1e-4")
            }
            Method::Lora { alpha } if !alpha.is_finite() || alpha == 0.0 => {
                bail!("alpha is {alpha}, expected a number other than 0"; help: "use alpha = rank")
            }
            _ => Ok(()),
        }
    }
}
