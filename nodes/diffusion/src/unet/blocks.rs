//! The blocks of the UNet: down, middle and up, with or without attention.

use super::attention::{Transformer, TransformerShape};
use super::config::UnetConfig;
use super::resnet::{Resnet, ResnetShape};
use super::segments::Builder;
use crate::layer::Layer;
use crate::ops;
use crate::parts::Parts;
use sdk::Result;
use sdk::candle_core::Tensor;

/// Resnet blocks, each followed by its transformer if the block attends, and a change of size at the end.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    attentions: Vec<Transformer>,
    resnets: Vec<Resnet>,
    resize: Option<Layer>,
}

impl Stage {
    /// The block `level` on the way down.
    pub(super) fn down(parts: &mut Parts<'_>, config: &UnetConfig, level: usize) -> Result<Self> {
        let path = format!("down_blocks.{level}");
        let channels = &config.block_out_channels;
        let (c_in, c_out) = (channels[level.saturating_sub(1)], channels[level]);
        let layers = config.layers_per_block.at(level);
        let inputs: Vec<usize> = (0..layers).map(|j| if j == 0 { c_in } else { c_out }).collect();
        let attends = config.down_block_types[level].starts_with("CrossAttn");
        let (attentions, resnets) = layers_of(parts, config, &path, level, &inputs, attends)?;
        let resize = (level + 1 < channels.len())
            .then(|| parts.halving_conv(&format!("{path}.downsamplers.0.conv"), c_out, 1))
            .transpose()?;
        Ok(Self {
            attentions,
            resnets,
            resize,
        })
    }

    /// The block `index` on the way up, whose inputs are joined with what the way down left.
    pub(super) fn up(parts: &mut Parts<'_>, config: &UnetConfig, index: usize) -> Result<Self> {
        let path = format!("up_blocks.{index}");
        let channels = &config.block_out_channels;
        let level = channels.len() - 1 - index;
        let before = channels[(level + 1).min(channels.len() - 1)];
        let (c_out, c_below) = (channels[level], channels[level.saturating_sub(1)]);
        let layers = config.layers_per_block.at(level) + 1;
        let inputs: Vec<usize> = (0..layers)
            .map(|j| {
                let skip = if j + 1 == layers { c_below } else { c_out };
                skip + if j == 0 { before } else { c_out }
            })
            .collect();
        let attends = config.up_block_types[index].starts_with("CrossAttn");
        let (attentions, resnets) = layers_of(parts, config, &path, level, &inputs, attends)?;
        let resize = (level > 0)
            .then(|| parts.conv(&format!("{path}.upsamplers.0.conv"), c_out, c_out, 3))
            .transpose()?;
        Ok(Self {
            attentions,
            resnets,
            resize,
        })
    }

    /// Keeps what the way up will join.
    pub(super) fn down_segments<'a>(&'a self, builder: &mut Builder<'a>) {
        for (i, resnet) in self.resnets.iter().enumerate() {
            builder.resnet(resnet);
            if let Some(attention) = self.attentions.get(i) {
                builder.transformer(attention);
            }
            builder.keep();
        }
        if let Some(conv) = &self.resize {
            builder.shrink(conv);
            builder.keep();
        }
    }

    /// Joins what the way down kept, and grows to the size of the next one.
    ///
    /// # Errors
    /// When nothing is left to join.
    pub(super) fn up_segments<'a>(&'a self, builder: &mut Builder<'a>) -> Result<()> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            builder.joining_resnet(resnet)?;
            if let Some(attention) = self.attentions.get(i) {
                builder.transformer(attention);
            }
        }
        if let Some(conv) = &self.resize {
            builder.grow(conv);
        }
        Ok(())
    }
}

/// The block in the middle: resnet, transformer, resnet.
#[derive(Clone, Debug)]
pub(super) struct Mid {
    attention: Transformer,
    first: Resnet,
    second: Resnet,
}

impl Mid {
    pub(super) fn new(parts: &mut Parts<'_>, config: &UnetConfig) -> Result<Self> {
        let level = config.block_out_channels.len() - 1;
        let channels = config.block_out_channels[level];
        let resnet = resnet_shape(config, channels, channels);
        Ok(Self {
            attention: Transformer::new(parts, "mid_block.attentions.0", transformer_shape(config, level))?,
            first: Resnet::new(parts, "mid_block.resnets.0", resnet)?,
            second: Resnet::new(parts, "mid_block.resnets.1", resnet)?,
        })
    }

    pub(super) fn segments<'a>(&'a self, builder: &mut Builder<'a>) {
        builder.resnet(&self.first);
        builder.transformer(&self.attention);
        builder.resnet(&self.second);
    }
}

/// Transformers first: that is the order in which diffusers lists a block's modules.
fn layers_of(
    parts: &mut Parts<'_>,
    config: &UnetConfig,
    path: &str,
    level: usize,
    inputs: &[usize],
    attends: bool,
) -> Result<(Vec<Transformer>, Vec<Resnet>)> {
    let c_out = config.block_out_channels[level];
    let count = if attends { inputs.len() } else { 0 };
    let attentions = (0..count)
        .map(|j| {
            Transformer::new(
                parts,
                &format!("{path}.attentions.{j}"),
                transformer_shape(config, level),
            )
        })
        .collect::<Result<_>>()?;
    let resnets = inputs
        .iter()
        .enumerate()
        .map(|(j, c_in)| {
            Resnet::new(
                parts,
                &format!("{path}.resnets.{j}"),
                resnet_shape(config, *c_in, c_out),
            )
        })
        .collect::<Result<_>>()?;
    Ok((attentions, resnets))
}

fn resnet_shape(config: &UnetConfig, c_in: usize, c_out: usize) -> ResnetShape {
    ResnetShape {
        c_in,
        c_out,
        time: Some(config.time_width()),
        groups: config.norm_num_groups,
        eps: config.norm_eps,
    }
}

fn transformer_shape(config: &UnetConfig, level: usize) -> TransformerShape {
    TransformerShape {
        channels: config.block_out_channels[level],
        heads: config.heads(level),
        depth: config.transformer_layers_per_block.at(level),
        context: config.cross_attention_dim.at(level),
        groups: config.norm_num_groups,
        linear_projection: config.use_linear_projection,
        upcast: config.upcast_attention,
    }
}

/// Nearest-neighbour enlargement. Twice the size goes the fast way; other sizes, which odd latents need,
/// gather rows and columns, whose gradient is exact (candle's own for `upsample_nearest2d` is not).
pub(super) fn grow(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    if (height, width) == (2 * h, 2 * w) {
        return ops::upsample_nearest(x, height, width);
    }
    let sources = |from: usize, to: usize| -> Result<Tensor> {
        // In f32, as PyTorch computes them.
        let scale = from as f32 / to as f32;
        let index: Vec<u32> = (0..to)
            .map(|i| match to {
                _ if to == 2 * from => i as u32 / 2,
                _ => ((i as f32 * scale) as u32).min(from as u32 - 1),
            })
            .collect();
        Ok(Tensor::from_vec(index, to, x.device())?)
    };
    let tall = x.index_select(&sources(h, height)?, 2)?;
    Ok(tall.index_select(&sources(w, width)?, 3)?)
}
