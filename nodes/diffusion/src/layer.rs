//! Linear and convolutional layers that adapters can hook into, and the normalisations between them.

use crate::kernels::packed::Packed;
use crate::ops;
use sdk::Result;
use sdk::candle_core::{DType, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// Changes the output of one module while it is trained.
pub trait Hook: Send + Sync {
    /// What the module makes of its input `x` under this change, bias included: (…, d_out) for a linear layer,
    /// (n, c_out, h, w) for a convolution. PaRa's change comes before the bias.
    ///
    /// # Errors
    /// Shapes that do not fit the hook.
    fn forward(&self, layer: &Layer, x: &Tensor) -> Result<Tensor>;
}

/// The hooks of one forward pass, by module path (`down_blocks.1.attentions.0.….to_q`).
#[derive(Clone, Default)]
pub struct Hooks {
    by_path: HashMap<String, Arc<dyn Hook>>,
}

impl Hooks {
    /// No hook: the model as it is.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a hook for the module at `path`.
    pub fn insert(&mut self, path: impl Into<String>, hook: Arc<dyn Hook>) {
        self.by_path.insert(path.into(), hook);
    }

    /// The hook of the module at `path`.
    pub fn get(&self, path: &str) -> Option<&Arc<dyn Hook>> {
        self.by_path.get(path)
    }
}

/// How a weight acts on its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// `x Wᵀ`, weight (d_out, d_in).
    Linear,
    /// Convolution, weight (c_out, c_in, k, k).
    Conv2d {
        /// Step between output pixels.
        stride: usize,
        /// Zeros around the input.
        padding: usize,
    },
}

/// One linear or convolutional module of a model, as adapters address it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Module path as diffusers names it.
    pub path: String,
    /// Linear or convolution.
    pub kind: LayerKind,
    /// The weight's shape: (d_out, d_in) or (c_out, c_in, k, k).
    pub shape: Vec<usize>,
    /// Whether it has a bias.
    pub bias: bool,
}

/// A linear or convolutional layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Module path as diffusers names it.
    pub path: String,
    /// Linear or convolution.
    pub kind: LayerKind,
    /// (d_out, d_in) or (c_out, c_in, k, k).
    pub weight: Tensor,
    /// (d_out).
    pub bias: Option<Tensor>,
    /// The weight as the CPU kernels like it, if it is small, and computed with in f32.
    packed: Option<Arc<Packed>>,
}

impl Layer {
    /// A layer of frozen tensors.
    pub(crate) fn new(path: &str, kind: LayerKind, weight: Tensor, bias: Option<Tensor>) -> Self {
        let fitting = weight.dtype() == DType::F32 && weight.device().is_cpu();
        Self {
            path: path.to_owned(),
            kind,
            packed: Packed::of(weight.dims()).filter(|_| fitting).map(Arc::new),
            weight,
            bias,
        }
    }

    /// Its panels, if it is kept in panels too.
    pub(crate) fn packed(&self) -> Option<&Arc<Packed>> {
        self.packed.as_ref()
    }

    /// The layer's output, through its hook if there is one.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, x: &Tensor, hooks: &Hooks) -> Result<Tensor> {
        match hooks.get(&self.path) {
            Some(hook) => hook.forward(self, x),
            None => self.plain(x, self.bias.as_ref()),
        }
    }

    /// The layer without hook, with this bias.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn plain(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let packed = self.packed.as_ref().filter(|_| !self.weight.track_op());
        match self.kind {
            LayerKind::Linear => ops::linear_packed(x, &self.weight, bias, packed),
            LayerKind::Conv2d { stride, padding } => {
                ops::conv2d_packed(x, &self.weight, bias, (stride, padding), packed)
            }
        }
    }

    /// This layer's operation (same stride and padding) with another weight: LoRA's `down` half goes through it.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn apply(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        match self.kind {
            LayerKind::Linear => ops::linear(x, weight, bias),
            LayerKind::Conv2d { stride, padding } => ops::conv2d(x, weight, bias, stride, padding),
        }
    }
}

/// Group normalisation, with the SiLU that follows it in every resnet block.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    /// Groups of channels.
    pub groups: usize,
    /// (c).
    pub weight: Tensor,
    /// (c).
    pub bias: Tensor,
    /// Added to the variance.
    pub eps: f64,
}

impl GroupNorm {
    /// (n, c, h, w) → the same, through SiLU if asked.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, x: &Tensor, silu: bool) -> Result<Tensor> {
        ops::group_norm(x, self.groups, &self.weight, &self.bias, self.eps, silu)
    }
}

/// Layer normalisation over the last dimension.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// (d).
    pub weight: Tensor,
    /// (d).
    pub bias: Tensor,
    /// Added to the variance.
    pub eps: f64,
}

impl LayerNorm {
    /// (…, d) → the same.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}
