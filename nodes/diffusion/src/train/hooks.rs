//! How PaRa and LoRA change a module's output while they are trained.

use crate::adapter::para::project_output;
use crate::layer::{Hook, Layer, LayerKind};
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
    fn output(&self, layer: &Layer, _x: &Tensor, y: Tensor) -> Result<Tensor> {
        let convolution = matches!(layer.kind, LayerKind::Conv2d { .. });
        project_output(&y, &self.q, self.strength, convolution)
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
    fn output(&self, layer: &Layer, x: &Tensor, y: Tensor) -> Result<Tensor> {
        let down = self.down.to_dtype(x.dtype())?;
        let up = self.up.to_dtype(x.dtype())?;
        let inner = layer.apply(x, &down, None)?;
        let added = match layer.kind {
            LayerKind::Linear => ops::linear(&inner, &up, None)?,
            LayerKind::Conv2d { .. } => {
                let (n, r, h, w) = inner.dims4()?;
                let flat = up.broadcast_matmul(&inner.reshape((n, r, h * w))?)?;
                flat.reshape((n, (), h, w))?
            }
        };
        Ok((y + (added * self.scale)?)?)
    }
}
