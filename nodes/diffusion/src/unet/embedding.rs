//! The timestep, and SDXL's sizes and pooled text, as one vector for each sample.

use crate::layer::{Hooks, Layer};
use crate::parts::Parts;
use sdk::Result;
use sdk::candle_core::{DType, Tensor};

/// Sinusoids of `t` (n) with `width` entries, in f32: (n, width).
///
/// # Errors
/// Only those of the device.
pub(super) fn sinusoids(t: &Tensor, width: usize, flip_sin_to_cos: bool, freq_shift: f64) -> Result<Tensor> {
    let half = width / 2;
    let span = half as f32 - freq_shift as f32;
    let frequencies: Vec<f32> = (0..half)
        .map(|i| (-(10_000f64.ln() as f32) * i as f32 / span).exp())
        .collect();
    let frequencies = Tensor::from_vec(frequencies, (1, half), t.device())?;
    let angles = t.to_dtype(DType::F32)?.unsqueeze(1)?.broadcast_mul(&frequencies)?;
    let (sin, cos) = (angles.sin()?, angles.cos()?);
    let both = if flip_sin_to_cos {
        Tensor::cat(&[&cos, &sin], 1)?
    } else {
        Tensor::cat(&[&sin, &cos], 1)?
    };
    Ok(both.pad_with_zeros(1, 0, width - 2 * half)?)
}

/// Two linear layers with a SiLU between them.
#[derive(Clone, Debug)]
pub(super) struct EmbeddingMlp {
    linear_1: Layer,
    linear_2: Layer,
}

impl EmbeddingMlp {
    pub(super) fn new(parts: &mut Parts<'_>, path: &str, d_in: usize, d_out: usize) -> Result<Self> {
        Ok(Self {
            linear_1: parts.linear(&format!("{path}.linear_1"), d_in, d_out, true)?,
            linear_2: parts.linear(&format!("{path}.linear_2"), d_out, d_out, true)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor, hooks: &Hooks) -> Result<Tensor> {
        let hidden = self.linear_1.forward(x, hooks)?.silu()?;
        self.linear_2.forward(&hidden, hooks)
    }
}
