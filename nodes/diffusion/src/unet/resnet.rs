//! The resnet block of UNet and autoencoder.

use crate::layer::{GroupNorm, Hooks, Layer};
use crate::ops;
use crate::parts::Parts;
use sdk::Result;
use sdk::candle_core::Tensor;

/// Two normalised convolutions around a shortcut; the timestep, if there is one, is added between them.
#[derive(Clone, Debug)]
pub(crate) struct Resnet {
    pub(super) norm1: GroupNorm,
    pub(super) conv1: Layer,
    pub(super) time: Option<Layer>,
    pub(super) norm2: GroupNorm,
    pub(super) conv2: Layer,
    pub(super) shortcut: Option<Layer>,
}

/// Sizes of a [`Resnet`].
#[derive(Clone, Copy)]
pub(crate) struct ResnetShape {
    pub(crate) c_in: usize,
    pub(crate) c_out: usize,
    /// Width of the timestep's embedding.
    pub(crate) time: Option<usize>,
    pub(crate) groups: usize,
    pub(crate) eps: f64,
}

impl Resnet {
    pub(crate) fn new(parts: &mut Parts<'_>, path: &str, shape: ResnetShape) -> Result<Self> {
        let ResnetShape {
            c_in,
            c_out,
            time,
            groups,
            eps,
        } = shape;
        Ok(Self {
            norm1: parts.group_norm(&format!("{path}.norm1"), groups, c_in, eps)?,
            conv1: parts.conv(&format!("{path}.conv1"), c_in, c_out, 3)?,
            time: time
                .map(|width| parts.linear(&format!("{path}.time_emb_proj"), width, c_out, true))
                .transpose()?,
            norm2: parts.group_norm(&format!("{path}.norm2"), groups, c_out, eps)?,
            conv2: parts.conv(&format!("{path}.conv2"), c_out, c_out, 3)?,
            shortcut: (c_in != c_out)
                .then(|| parts.conv(&format!("{path}.conv_shortcut"), c_in, c_out, 1))
                .transpose()?,
        })
    }

    /// `x` (n, c_in, h, w), `time` (n, width) already through SiLU → (n, c_out, h, w).
    pub(crate) fn forward(&self, x: &Tensor, time: Option<&Tensor>, hooks: &Hooks) -> Result<Tensor> {
        let mut h = self.conv1.forward(&self.norm1.forward(x, true)?, hooks)?;
        if let (Some(layer), Some(time)) = (&self.time, time) {
            h = ops::add_channels(&h, &layer.forward(time, hooks)?)?;
        }
        let h = self.conv2.forward(&self.norm2.forward(&h, true)?, hooks)?;
        match &self.shortcut {
            Some(layer) => ops::add(&layer.forward(x, hooks)?, &h),
            None => ops::add(x, &h),
        }
    }
}
