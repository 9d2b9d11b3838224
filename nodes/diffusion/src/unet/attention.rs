//! Attention over pixels and text, in transformer blocks.

use crate::layer::{GroupNorm, Hooks, Layer, LayerNorm};
use crate::ops;
use crate::parts::Parts;
use sdk::Result;
use sdk::candle_core::{DType, Tensor};

/// Sizes of a [`Transformer`].
#[derive(Clone, Copy)]
pub(super) struct TransformerShape {
    pub(super) channels: usize,
    pub(super) heads: usize,
    pub(super) depth: usize,
    /// Width of the text states.
    pub(super) context: usize,
    pub(super) groups: usize,
    pub(super) linear_projection: bool,
    pub(super) upcast: bool,
}

/// A stack of transformer blocks over the pixels of a feature map.
#[derive(Clone, Debug)]
pub(super) struct Transformer {
    pub(super) norm: GroupNorm,
    pub(super) proj_in: Layer,
    pub(super) blocks: Vec<Block>,
    pub(super) proj_out: Layer,
    linear_projection: bool,
}

impl Transformer {
    pub(super) fn new(parts: &mut Parts<'_>, path: &str, shape: TransformerShape) -> Result<Self> {
        let c = shape.channels;
        let projection = |parts: &mut Parts<'_>, name: &str| {
            let path = format!("{path}.{name}");
            if shape.linear_projection {
                parts.linear(&path, c, c, true)
            } else {
                parts.conv(&path, c, c, 1)
            }
        };
        Ok(Self {
            norm: parts.group_norm(&format!("{path}.norm"), shape.groups, c, 1e-6)?,
            proj_in: projection(parts, "proj_in")?,
            blocks: (0..shape.depth)
                .map(|i| Block::new(parts, &format!("{path}.transformer_blocks.{i}"), shape))
                .collect::<Result<_>>()?,
            proj_out: projection(parts, "proj_out")?,
            linear_projection: shape.linear_projection,
        })
    }

    /// Parts that the forward pass consists of: one for each block.
    pub(super) fn parts(&self) -> usize {
        self.blocks.len().max(1)
    }

    /// One part of the forward pass, which ends with its block. `x` is the transformer's input (n, c, h, w) with
    /// (h, w) = `size`, `context` (n, tokens, width). The first part reads `x` as its `states`, the others those of the part
    /// before (n, h · w, c); the last gives (n, c, h, w).
    pub(super) fn forward_part(
        &self,
        part: usize,
        states: &Tensor,
        x: &Tensor,
        (h, w): (usize, usize),
        context: &Tensor,
        hooks: &Hooks,
    ) -> Result<Tensor> {
        let mut states = match part {
            0 => self.enter(states, hooks)?,
            _ => states.clone(),
        };
        if let Some(block) = self.blocks.get(part) {
            states = block.forward(&states, context, hooks)?;
        }
        if part + 1 < self.parts() {
            return Ok(states);
        }
        let (n, _, c) = states.dims3()?;
        let pixels = |x: Tensor| x.transpose(1, 2)?.reshape((n, c, h, w));
        let out = if self.linear_projection {
            pixels(self.proj_out.forward(&states, hooks)?)?
        } else {
            self.proj_out.forward(&pixels(states)?, hooks)?
        };
        ops::add(&out, x)
    }

    /// (n, c, h, w) → (n, h · w, c).
    fn enter(&self, x: &Tensor, hooks: &Hooks) -> Result<Tensor> {
        let rows = |x: Tensor| x.flatten_from(2)?.transpose(1, 2)?.contiguous();
        let normed = self.norm.forward(x, false)?;
        if self.linear_projection {
            self.proj_in.forward(&rows(normed)?, hooks)
        } else {
            Ok(rows(self.proj_in.forward(&normed, hooks)?)?)
        }
    }
}

/// Self-attention, attention to the text, and a gated two-layer network, each behind a normalisation.
#[derive(Clone, Debug)]
pub(super) struct Block {
    norm1: LayerNorm,
    pub(super) attn1: Attention,
    norm2: LayerNorm,
    pub(super) attn2: Attention,
    norm3: LayerNorm,
    pub(super) ff_in: Layer,
    pub(super) ff_out: Layer,
}

impl Block {
    fn new(parts: &mut Parts<'_>, path: &str, shape: TransformerShape) -> Result<Self> {
        let c = shape.channels;
        Ok(Self {
            norm1: parts.layer_norm(&format!("{path}.norm1"), c, 1e-5)?,
            attn1: Attention::new(parts, &format!("{path}.attn1"), c, shape)?,
            norm2: parts.layer_norm(&format!("{path}.norm2"), c, 1e-5)?,
            attn2: Attention::new(parts, &format!("{path}.attn2"), shape.context, shape)?,
            norm3: parts.layer_norm(&format!("{path}.norm3"), c, 1e-5)?,
            ff_in: parts.linear(&format!("{path}.ff.net.0.proj"), c, 8 * c, true)?,
            ff_out: parts.linear(&format!("{path}.ff.net.2"), 4 * c, c, true)?,
        })
    }

    fn forward(&self, x: &Tensor, context: &Tensor, hooks: &Hooks) -> Result<Tensor> {
        let normed = self.norm1.forward(x)?;
        let x = &ops::add(&self.attn1.forward(&normed, &normed, hooks)?, x)?;
        let x = &ops::add(&self.attn2.forward(&self.norm2.forward(x)?, context, hooks)?, x)?;
        let gated = ops::geglu(&self.ff_in.forward(&self.norm3.forward(x)?, hooks)?)?;
        ops::add(&self.ff_out.forward(&gated, hooks)?, x)
    }
}

/// Multi-head attention.
#[derive(Clone, Debug)]
pub(super) struct Attention {
    pub(super) heads: usize,
    upcast: bool,
    pub(super) to_q: Layer,
    pub(super) to_k: Layer,
    pub(super) to_v: Layer,
    pub(super) to_out: Layer,
}

impl Attention {
    fn new(parts: &mut Parts<'_>, path: &str, context: usize, shape: TransformerShape) -> Result<Self> {
        let c = shape.channels;
        Ok(Self {
            heads: shape.heads,
            upcast: shape.upcast,
            to_q: parts.linear(&format!("{path}.to_q"), c, c, false)?,
            to_k: parts.linear(&format!("{path}.to_k"), context, c, false)?,
            to_v: parts.linear(&format!("{path}.to_v"), context, c, false)?,
            to_out: parts.linear(&format!("{path}.to_out.0"), c, c, true)?,
        })
    }

    fn forward(&self, x: &Tensor, context: &Tensor, hooks: &Hooks) -> Result<Tensor> {
        let (n, length, c) = x.dims3()?;
        let width = c / self.heads;
        let heads = |x: Tensor| -> Result<Tensor> {
            let x = x.reshape((n, (), self.heads, width))?.transpose(1, 2)?;
            Ok(if self.upcast { x.to_dtype(DType::F32)? } else { x })
        };
        let q = heads(self.to_q.forward(x, hooks)?)?;
        let k = heads(self.to_k.forward(context, hooks)?)?;
        let v = heads(self.to_v.forward(context, hooks)?)?;
        let mixed = ops::attention(&q, &k, &v, 1.0 / (width as f64).sqrt(), None)?;
        let mixed = mixed.to_dtype(x.dtype())?.transpose(1, 2)?.reshape((n, length, c))?;
        self.to_out.forward(&mixed, hooks)
    }
}
