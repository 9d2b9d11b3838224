//! The autoencoder between pictures and latents: diffusers' `AutoencoderKL`, always in f32.

mod attention;

use crate::kernels::in_pool;
use crate::kernels::packed::PanelSet;
use crate::layer::{GroupNorm, Hooks, Layer};
use crate::noise::Generator;
use crate::ops;
use crate::parts::Parts;
use crate::unet::resnet::{Resnet, ResnetShape};
use attention::PixelAttention;
use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Added to the variance in all normalisations.
const EPS: f64 = 1e-6;

/// The autoencoder's `config.json`. Field names and defaults are those of diffusers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    /// Channels of a picture in.
    pub in_channels: usize,
    /// Channels of a picture out.
    pub out_channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Channels of each block.
    pub block_out_channels: Vec<usize>,
    /// Resnet blocks in an encoder block; a decoder block has one more.
    pub layers_per_block: usize,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// What latents are multiplied with before the UNet sees them.
    pub scaling_factor: f64,
    /// Whether the middle blocks attend.
    pub mid_block_add_attention: bool,
    /// Whether a 1×1 convolution follows the encoder.
    pub use_quant_conv: bool,
    /// Whether a 1×1 convolution precedes the decoder.
    pub use_post_quant_conv: bool,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            latent_channels: 4,
            block_out_channels: vec![64],
            layers_per_block: 1,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
            mid_block_add_attention: true,
            use_quant_conv: true,
            use_post_quant_conv: true,
        }
    }
}

impl VaeConfig {
    /// Reads the text of a `config.json`.
    ///
    /// # Errors
    /// No JSON, a wrong type, or an architecture that is not built here.
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        for (key, built) in [
            ("_class_name", "AutoencoderKL"),
            ("act_fn", "silu"),
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
        ] {
            let found = &value[key];
            let fits = |v: &Value| v.is_null() || *v == built;
            if !(fits(found) || found.as_array().is_some_and(|list| list.iter().all(fits))) {
                bail!("`{key}`: {found} is not supported"; help: "supported: {built}");
            }
        }
        for key in ["latents_mean", "latents_std", "shift_factor"] {
            if !value[key].is_null() && value[key] != 0.0 {
                bail!("`{key}`: {} is not supported", value[key]; help: "latents of Stable Diffusion 1.x and XL are scaled only, without {key}");
            }
        }
        let config: Self = serde_json::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let groups = self.norm_num_groups;
        if self.block_out_channels.is_empty() {
            bail!("`block_out_channels` is empty, expected the channels of at least one block");
        }
        if let Some(odd) = self.block_out_channels.iter().find(|c| groups == 0 || *c % groups != 0) {
            bail!("`norm_num_groups` {groups} does not divide {odd} channels");
        }
        Ok(())
    }

    /// How many times smaller latents are than pictures, in each direction.
    pub fn factor(&self) -> usize {
        1 << self.block_out_channels.len().saturating_sub(1)
    }
}

/// The latents of a picture as a normal distribution, unscaled.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// (n, c, h, w).
    pub mean: Tensor,
    /// Logarithm of the variance, within −30 and 20: (n, c, h, w).
    pub logvar: Tensor,
}

impl Posterior {
    /// One draw, with noise as diffusers draws it.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn sample(&self, generator: &mut Generator) -> Result<Tensor> {
        let noise = generator
            .randn(self.mean.shape().clone())?
            .to_device(self.mean.device())?;
        Ok((&self.mean + (noise * (&self.logvar * 0.5)?.exp()?)?)?)
    }

    /// The most likely latents: the mean.
    pub fn mode(&self) -> Tensor {
        self.mean.clone()
    }
}

/// An autoencoder with its weights.
#[derive(Clone, Debug)]
pub struct Vae {
    config: VaeConfig,
    encoder: Encoder,
    quant: Option<Layer>,
    post_quant: Option<Layer>,
    decoder: Decoder,
    tensors: Vec<Tensor>,
    panels: PanelSet,
}

impl Vae {
    /// An autoencoder from tensors named as in diffusers' file, today's names or those of its first releases. They become f32.
    ///
    /// # Errors
    /// Missing, unexpected or misshapen tensors, all in one message.
    pub fn new(config: VaeConfig, tensors: BTreeMap<String, Tensor>) -> Result<Self> {
        config.check()?;
        let tensors = tensors
            .into_iter()
            .map(|(name, tensor)| current(name, &tensor))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let mut parts = Parts::new(&tensors)?;
        let latent = config.latent_channels;
        let mut made = Self {
            encoder: Encoder::new(&mut parts, &config)?,
            quant: config
                .use_quant_conv
                .then(|| parts.conv("quant_conv", 2 * latent, 2 * latent, 1))
                .transpose()?,
            post_quant: config
                .use_post_quant_conv
                .then(|| parts.conv("post_quant_conv", latent, latent, 1))
                .transpose()?,
            decoder: Decoder::new(&mut parts, &config)?,
            config,
            tensors: tensors.values().cloned().collect(),
            panels: PanelSet::default(),
        };
        made.panels = parts.finish("the autoencoder")?.1;
        Ok(made)
    }

    /// Pictures (n, 3, h, w) in [−1, 1] → latents (n, c, h / factor, w / factor), unscaled.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn encode(&self, image: &Tensor) -> Result<Posterior> {
        check("the picture", image, self.config.in_channels)?;
        let moments = in_pool(|| self.encoder.forward(&image.to_dtype(DType::F32)?))?;
        let moments = match &self.quant {
            Some(conv) => conv.forward(&moments, &Hooks::none())?,
            None => moments,
        };
        let latent = self.config.latent_channels;
        let mean = moments.narrow(1, 0, latent)?.contiguous()?;
        let logvar = moments.narrow(1, latent, latent)?.contiguous()?.clamp(-30f64, 20f64)?;
        Ok(Posterior { mean, logvar })
    }

    /// Unscaled latents (n, c, h, w) → pictures (n, 3, h · factor, w · factor), about [−1, 1], not clamped.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn decode(&self, latent: &Tensor) -> Result<Tensor> {
        check("the latent", latent, self.config.latent_channels)?;
        let latent = latent.to_dtype(DType::F32)?;
        in_pool(|| match &self.post_quant {
            Some(conv) => self.decoder.forward(&conv.forward(&latent, &Hooks::none())?),
            None => self.decoder.forward(&latent),
        })
    }

    /// What is kept of its weights in panels.
    pub(crate) fn panels(&self) -> &PanelSet {
        &self.panels
    }

    /// Its weights.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// What computes.
    pub fn device(&self) -> Device {
        self.tensors.first().map_or(Device::Cpu, |t| t.device().clone())
    }

    /// About how many bytes one picture of `height` × `width` pixels takes while it is encoded or decoded: four feature
    /// maps of the widest block at full size, in f32, and the weights in panels that are not there yet.
    pub fn working_bytes(&self, height: usize, width: usize) -> usize {
        let channels = self
            .config
            .block_out_channels
            .iter()
            .take(2)
            .max()
            .copied()
            .unwrap_or(0);
        4 * 4 * channels * height * width + self.panels.missing(false)
    }

    /// The configuration.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// What latents are multiplied with before the UNet sees them.
    pub fn scaling_factor(&self) -> f64 {
        self.config.scaling_factor
    }

    /// Latents as the UNet sees them, of latents as this model makes them.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn scale(&self, latents: &Tensor) -> Result<Tensor> {
        Ok((latents * self.scaling_factor())?)
    }

    /// Latents as this model makes them, of latents as the UNet sees them.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn unscale(&self, latents: &Tensor) -> Result<Tensor> {
        Ok((latents / self.scaling_factor())?)
    }
}

fn check(what: &str, x: &Tensor, channels: usize) -> Result<()> {
    match x.dims() {
        &[_, c, _, _] if c == channels => Ok(()),
        found => bail!("{what} has shape {found:?}, the autoencoder expects (n, {channels}, height, width)"),
    }
}

/// A tensor under today's name and shape, in f32.
fn current(name: String, tensor: &Tensor) -> Result<(String, Tensor)> {
    let mut tensor = tensor.to_dtype(DType::F32)?;
    let mut name = name;
    if name.contains(".attentions.") {
        for (old, new) in [
            ("query", "to_q"),
            ("key", "to_k"),
            ("value", "to_v"),
            ("proj_attn", "to_out.0"),
        ] {
            name = name.replace(&format!(".{old}."), &format!(".{new}."));
        }
        // The original code had 1×1 convolutions here.
        if let [_, _, 1, 1] = tensor.dims() {
            tensor = tensor.flatten_from(1)?;
        }
    }
    Ok((name, tensor))
}

#[derive(Clone, Debug)]
struct Encoder {
    conv_in: Layer,
    blocks: Vec<(Vec<Resnet>, Option<Layer>)>,
    mid: Mid,
    norm_out: GroupNorm,
    conv_out: Layer,
}

impl Encoder {
    fn new(parts: &mut Parts<'_>, config: &VaeConfig) -> Result<Self> {
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let mut blocks = Vec::new();
        let conv_in = parts.conv("encoder.conv_in", config.in_channels, first, 3)?;
        for (i, c_out) in channels.iter().enumerate() {
            let path = format!("encoder.down_blocks.{i}");
            let c_in = channels[i.saturating_sub(1)];
            let resnets = resnets(parts, config, &path, (c_in, *c_out), config.layers_per_block)?;
            let resize = (i + 1 < channels.len())
                .then(|| parts.halving_conv(&format!("{path}.downsamplers.0.conv"), *c_out, 0))
                .transpose()?;
            blocks.push((resnets, resize));
        }
        Ok(Self {
            conv_in,
            blocks,
            mid: Mid::new(parts, config, "encoder.mid_block", last)?,
            norm_out: parts.group_norm("encoder.conv_norm_out", config.norm_num_groups, last, EPS)?,
            conv_out: parts.conv("encoder.conv_out", last, 2 * config.latent_channels, 3)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let none = Hooks::none();
        let mut x = self.conv_in.forward(x, &none)?;
        for (resnets, resize) in &self.blocks {
            for resnet in resnets {
                x = resnet.forward(&x, None, &none)?;
            }
            if let Some(conv) = resize {
                // Zeros at the right and at the bottom only.
                let padded = x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?;
                x = conv.forward(&padded, &none)?;
            }
        }
        let x = self.norm_out.forward(&self.mid.forward(&x)?, true)?;
        self.conv_out.forward(&x, &none)
    }
}

#[derive(Clone, Debug)]
struct Decoder {
    conv_in: Layer,
    mid: Mid,
    blocks: Vec<(Vec<Resnet>, Option<Layer>)>,
    norm_out: GroupNorm,
    conv_out: Layer,
}

impl Decoder {
    fn new(parts: &mut Parts<'_>, config: &VaeConfig) -> Result<Self> {
        let channels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let conv_in = parts.conv("decoder.conv_in", config.latent_channels, first, 3)?;
        let mid = Mid::new(parts, config, "decoder.mid_block", first)?;
        let mut blocks = Vec::new();
        for (i, c_out) in channels.iter().enumerate() {
            let path = format!("decoder.up_blocks.{i}");
            let c_in = channels[i.saturating_sub(1)];
            let resnets = resnets(parts, config, &path, (c_in, *c_out), config.layers_per_block + 1)?;
            let resize = (i + 1 < channels.len())
                .then(|| parts.conv(&format!("{path}.upsamplers.0.conv"), *c_out, *c_out, 3))
                .transpose()?;
            blocks.push((resnets, resize));
        }
        Ok(Self {
            conv_in,
            mid,
            blocks,
            norm_out: parts.group_norm("decoder.conv_norm_out", config.norm_num_groups, last, EPS)?,
            conv_out: parts.conv("decoder.conv_out", last, config.out_channels, 3)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let none = Hooks::none();
        let mut x = self.mid.forward(&self.conv_in.forward(x, &none)?)?;
        for (resnets, resize) in &self.blocks {
            for resnet in resnets {
                x = resnet.forward(&x, None, &none)?;
            }
            if let Some(conv) = resize {
                let (_, _, h, w) = x.dims4()?;
                x = conv.forward(&ops::upsample_nearest(&x, 2 * h, 2 * w)?, &none)?;
            }
        }
        let x = self.norm_out.forward(&x, true)?;
        self.conv_out.forward(&x, &none)
    }
}

fn resnets(
    parts: &mut Parts<'_>,
    config: &VaeConfig,
    path: &str,
    (c_in, c_out): (usize, usize),
    count: usize,
) -> Result<Vec<Resnet>> {
    (0..count)
        .map(|j| {
            let c_in = if j == 0 { c_in } else { c_out };
            Resnet::new(parts, &format!("{path}.resnets.{j}"), resnet_shape(config, c_in, c_out))
        })
        .collect()
}

fn resnet_shape(config: &VaeConfig, c_in: usize, c_out: usize) -> ResnetShape {
    ResnetShape {
        c_in,
        c_out,
        time: None,
        groups: config.norm_num_groups,
        eps: EPS,
    }
}

/// Resnet, attention over all pixels with one head, resnet.
#[derive(Clone, Debug)]
struct Mid {
    first: Resnet,
    attention: Option<PixelAttention>,
    second: Resnet,
}

impl Mid {
    fn new(parts: &mut Parts<'_>, config: &VaeConfig, path: &str, channels: usize) -> Result<Self> {
        let shape = resnet_shape(config, channels, channels);
        Ok(Self {
            first: Resnet::new(parts, &format!("{path}.resnets.0"), shape)?,
            attention: config
                .mid_block_add_attention
                .then(|| PixelAttention::new(parts, &format!("{path}.attentions.0"), config.norm_num_groups, channels))
                .transpose()?,
            second: Resnet::new(parts, &format!("{path}.resnets.1"), shape)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let none = Hooks::none();
        let mut x = self.first.forward(x, None, &none)?;
        if let Some(attention) = &self.attention {
            x = attention.forward(&x)?;
        }
        self.second.forward(&x, None, &none)
    }
}
