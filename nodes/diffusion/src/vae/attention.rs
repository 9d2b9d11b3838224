//! Attention between all pixels of the middle block, with one head.

use super::EPS;
use crate::layer::{GroupNorm, Hooks, Layer};
use crate::ops;
use crate::parts::Parts;
use sdk::Result;
use sdk::candle_core::Tensor;

#[derive(Clone, Debug)]
pub(super) struct PixelAttention {
    norm: GroupNorm,
    to_q: Layer,
    to_k: Layer,
    to_v: Layer,
    to_out: Layer,
}

impl PixelAttention {
    pub(super) fn new(parts: &mut Parts<'_>, path: &str, groups: usize, c: usize) -> Result<Self> {
        let norm = parts.group_norm(&format!("{path}.group_norm"), groups, c, EPS)?;
        let mut linear = |name: &str| parts.linear(&format!("{path}.{name}"), c, c, true);
        Ok(Self {
            norm,
            to_q: linear("to_q")?,
            to_k: linear("to_k")?,
            to_v: linear("to_v")?,
            to_out: linear("to_out.0")?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let none = Hooks::none();
        let (n, c, h, w) = x.dims4()?;
        let rows = self
            .norm
            .forward(x, false)?
            .flatten_from(2)?
            .transpose(1, 2)?
            .contiguous()?;
        let head = |layer: &Layer| -> Result<Tensor> { Ok(layer.forward(&rows, &none)?.unsqueeze(1)?) };
        let (q, k, v) = (head(&self.to_q)?, head(&self.to_k)?, head(&self.to_v)?);
        let mixed = ops::attention(&q, &k, &v, 1.0 / (c as f64).sqrt(), None)?.squeeze(1)?;
        let out = self
            .to_out
            .forward(&mixed, &none)?
            .transpose(1, 2)?
            .reshape((n, c, h, w))?;
        ops::add(&out, x)
    }
}
