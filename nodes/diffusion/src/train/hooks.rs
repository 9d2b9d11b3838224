//! How PaRa and LoRA change a module's output while they are trained.

use crate::layer::{Hook, Layer};
use crate::ops;
use sdk::Result;
use sdk::candle_core::Tensor;

/// PaRa on the output: `y − s·Q(Qᵀy)`, before the bias.
#[derive(Debug)]
pub(super) struct ParaHook {
    /// Orthonormal columns (d_out, r), the leaf of the gradient.
    pub(super) q: Tensor,
    /// 1, or less while the gate opens.
    pub(super) strength: f64,
}

impl Hook for ParaHook {
    fn forward(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let y = layer.plain(x, None)?;
        let q = self.q.to_dtype(y.dtype())?;
        ops::project(&y, &q, self.strength, layer.bias.as_ref())
    }
}

/// LoRA beside the module: `y + scale · up(down(x))`.
#[derive(Debug)]
pub(super) struct LoraHook {
    /// (r, d_in) or (r, c_in, k, k).
    pub(super) down: Tensor,
    /// (d_out, r), also for convolutions.
    pub(super) up: Tensor,
    /// alpha / r.
    pub(super) scale: f64,
}

impl Hook for LoraHook {
    fn forward(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let y = layer.plain(x, layer.bias.as_ref())?;
        let inner = layer.apply(x, &self.down.to_dtype(x.dtype())?, None)?;
        ops::add_low_rank(&y, &inner, &self.up.to_dtype(y.dtype())?, self.scale)
    }
}
