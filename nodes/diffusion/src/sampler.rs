//! From noise to latents: DDIM steps with classifier-free guidance (Ho and Salimans, 2022).

use crate::ddim::Ddim;
use crate::layer::Hooks;
use crate::noise::Generator;
use crate::unet::{Added, Unet};
use sdk::candle_core::{DType, Tensor};
use sdk::{Result, bail};

/// A prompt for a batch: one row for all samples, or one for each.
#[derive(Clone, Debug)]
pub struct Conditioning {
    /// Text, (1 or n, tokens, width).
    pub states: Tensor,
    /// SDXL: pooled text and sizes, (1 or n, …).
    pub added: Option<Added>,
}

impl Conditioning {
    /// One row for each of `n` samples.
    fn rows(&self, n: usize) -> Result<Self> {
        let repeat = |x: &Tensor| -> Result<Tensor> {
            match x.dim(0)? {
                found if found == n => Ok(x.clone()),
                1 => {
                    let mut shape = x.dims().to_vec();
                    shape[0] = n;
                    Ok(x.broadcast_as(shape)?.contiguous()?)
                }
                found => {
                    bail!("the conditioning has {found} rows for {n} latents, expected 1 or {n}")
                }
            }
        };
        let added = match &self.added {
            Some(added) => Some(Added {
                pooled: repeat(&added.pooled)?,
                time_ids: repeat(&added.time_ids)?,
            }),
            None => None,
        };
        Ok(Self {
            states: repeat(&self.states)?,
            added,
        })
    }

    /// The rows of both, `self` first.
    fn before(&self, other: &Self) -> Result<Self> {
        let added = match (&self.added, &other.added) {
            (Some(a), Some(b)) => Some(Added {
                pooled: Tensor::cat(&[&a.pooled, &b.pooled], 0)?,
                time_ids: Tensor::cat(&[&a.time_ids, &b.time_ids], 0)?,
            }),
            (None, None) => None,
            _ => {
                bail!("only one of prompt and negative prompt has pooled text"; help: "encode both with the same model")
            }
        };
        Ok(Self {
            states: Tensor::cat(&[&self.states, &other.states], 0)?,
            added,
        })
    }
}

/// All that stays the same from step to step.
#[derive(Clone)]
pub struct Sampling<'a> {
    /// The denoiser.
    pub unet: &'a Unet,
    /// Changes of the denoiser's modules.
    pub hooks: &'a Hooks,
    /// The schedule.
    pub ddim: &'a Ddim,
    /// The timesteps to visit: all of the schedule's, or [`Ddim::timesteps_from`] a strength.
    pub timesteps: &'a [usize],
    /// What to draw.
    pub prompt: &'a Conditioning,
    /// What to stay away from. Needed for guidance above 1.
    pub negative: Option<&'a Conditioning>,
    /// How far to go from `negative` to `prompt` and beyond; up to 1, `prompt` alone counts.
    pub guidance: f64,
    /// 0 is deterministic; above it, each step adds fresh noise.
    pub eta: f64,
}

/// One finished step.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Steps done, from 1.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
    /// The latents after this step, (n, c, h, w).
    pub latents: &'a Tensor,
    /// The clean latents that the model has in mind, for previews.
    pub clean: &'a Tensor,
}

/// Denoises `latents` (n, c, h, w), in f32, and returns the clean ones, still scaled.
///
/// `generator` draws one noise for each step if `eta` is above 0; pass the one that drew the starting noise, as
/// diffusers does. `after_step` may fail to stop the run.
///
/// # Errors
/// Guidance without a negative prompt, shapes that do not fit the model, what `after_step` returns.
pub fn sample(
    sampling: &Sampling<'_>,
    latents: &Tensor,
    generator: &mut Generator,
    after_step: &mut dyn FnMut(Step<'_>) -> Result<()>,
) -> Result<Tensor> {
    let Sampling {
        unet,
        ddim,
        guidance,
        eta,
        ..
    } = *sampling;
    let n = latents.dim(0)?;
    let prompt = sampling.prompt.rows(n)?;
    let guided = guidance > 1.0;
    let conditioning = match sampling.negative {
        _ if !guided => prompt,
        Some(negative) => negative.rows(n)?.before(&prompt)?,
        None => bail!("guidance {guidance} needs a negative prompt (an empty one will do), and there is none"),
    };
    let mut latents = latents.to_device(unet.device())?.to_dtype(DType::F32)?;
    let total = sampling.timesteps.len();
    for (i, t) in sampling.timesteps.iter().enumerate() {
        let input = if guided {
            Tensor::cat(&[&latents, &latents], 0)?
        } else {
            latents.clone()
        };
        let times = Tensor::full(*t as f32, input.dim(0)?, input.device())?;
        let output = unet.forward(
            &input,
            &times,
            &conditioning.states,
            conditioning.added.as_ref(),
            sampling.hooks,
        )?;
        let output = if guided {
            let (away, towards) = (output.narrow(0, 0, n)?, output.narrow(0, n, n)?);
            (&away + ((&towards - &away)? * guidance)?)?
        } else {
            output
        };
        let noise = (eta > 0.0)
            .then(|| generator.randn(latents.shape().clone()))
            .transpose()?;
        let clean = ddim.predict_clean(&output, *t, &latents)?;
        // Detached: nobody trains through a whole trajectory, and without a gradient memory stays flat.
        latents = ddim.step(&output, *t, &latents, eta, noise.as_ref())?.detach();
        if !latents.sum_all()?.to_scalar::<f32>()?.is_finite() {
            bail!("step {} of {total} gave numbers that are not finite", i + 1;
                  help: "guidance {guidance} or the scale of an adapter is too large, or the model's weights are damaged");
        }
        after_step(Step {
            done: i + 1,
            total,
            latents: &latents,
            clean: &clean,
        })?;
    }
    Ok(latents)
}
