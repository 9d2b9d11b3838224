//! The denoiser of Stable Diffusion 1.x and XL: diffusers' `UNet2DConditionModel`.

mod account;
mod attention;
mod blocks;
mod config;
mod embedding;
pub(crate) mod resnet;
mod segments;

pub use crate::layer::Module;
pub(crate) use account::Ledger;
pub use config::{PerBlock, UnetConfig};
pub(crate) use segments::{Pass, SOURCES};

use crate::kernels::in_pool;
use crate::kernels::packed::PanelSet;
use crate::layer::{GroupNorm, Hooks, Layer};
use crate::parts::{Parts, replaced};
use blocks::{Mid, Stage};
use embedding::{EmbeddingMlp, sinusoids};
use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Result, bail};
use std::collections::BTreeMap;

/// What SDXL is told beside the text states.
#[derive(Clone, Debug)]
pub struct Added {
    /// Pooled text, (n, p).
    pub pooled: Tensor,
    /// Original height and width, top and left of the crop, target height and width, in pixels: (n, 6).
    pub time_ids: Tensor,
}

impl Added {
    /// Pooled text (n, p) for whole, uncropped pictures of `height` × `width` pixels.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn for_size(pooled: Tensor, height: usize, width: usize) -> Result<Self> {
        let (h, w) = (height as f32, width as f32);
        let row = Tensor::new(&[[h, w, 0.0, 0.0, h, w]], pooled.device())?;
        let time_ids = row.broadcast_as((pooled.dim(0)?, 6))?.contiguous()?;
        Ok(Self { pooled, time_ids })
    }
}

/// A UNet with its weights.
#[derive(Clone, Debug)]
pub struct Unet {
    config: UnetConfig,
    tensors: BTreeMap<String, Tensor>,
    modules: Vec<Module>,
    panels: PanelSet,
    net: Net,
}

/// The layers alone.
#[derive(Clone, Debug)]
struct Net {
    conv_in: Layer,
    time_embedding: EmbeddingMlp,
    add_embedding: Option<EmbeddingMlp>,
    down: Vec<Stage>,
    mid: Option<Mid>,
    up: Vec<Stage>,
    norm_out: GroupNorm,
    conv_out: Layer,
}

impl Net {
    /// In the order in which diffusers lists the modules, which is not that of the forward pass.
    fn new(parts: &mut Parts<'_>, config: &UnetConfig) -> Result<Self> {
        config.check()?;
        let (first, time_width) = (config.block_out_channels[0], config.time_width());
        let levels = config.block_out_channels.len();
        Ok(Self {
            conv_in: parts.conv("conv_in", config.in_channels, first, config.conv_in_kernel)?,
            time_embedding: EmbeddingMlp::new(parts, "time_embedding", first, time_width)?,
            add_embedding: config
                .added_widths()
                .map(|(pooled, size)| EmbeddingMlp::new(parts, "add_embedding", pooled + 6 * size, time_width))
                .transpose()?,
            down: (0..levels)
                .map(|level| Stage::down(parts, config, level))
                .collect::<Result<_>>()?,
            up: (0..levels)
                .map(|index| Stage::up(parts, config, index))
                .collect::<Result<_>>()?,
            mid: config
                .mid_block_type
                .is_some()
                .then(|| Mid::new(parts, config))
                .transpose()?,
            norm_out: parts.group_norm("conv_norm_out", config.norm_num_groups, first, config.norm_eps)?,
            conv_out: parts.conv("conv_out", first, config.out_channels, config.conv_out_kernel)?,
        })
    }
}

/// Every Linear and Conv2d of a UNet, from its configuration alone, in the order of diffusers' `named_modules()`.
///
/// # Errors
/// A configuration that contradicts itself.
pub fn module_shapes(config: &UnetConfig) -> Result<Vec<Module>> {
    let mut parts = Parts::drawing()?;
    Net::new(&mut parts, config)?;
    Ok(parts.finish("the UNet")?.0)
}

impl Unet {
    /// A UNet from tensors named as in diffusers' file.
    ///
    /// # Errors
    /// Missing, unexpected or misshapen tensors, all in one message.
    pub fn new(config: UnetConfig, tensors: BTreeMap<String, Tensor>) -> Result<Self> {
        let mut parts = Parts::new(&tensors)?;
        let net = Net::new(&mut parts, &config)?;
        let (modules, panels) = parts.finish("the UNet")?;
        Ok(Self {
            config,
            tensors,
            modules,
            panels,
            net,
        })
    }

    /// What the model predicts for noisy latents `x` (n, c, h, w) at timesteps `t` (n), one for each sample, with text
    /// `context` (n, tokens, width) and, for SDXL, `added`. The result has the shape and type of `x`.
    ///
    /// Any height and width will do, odd ones too.
    ///
    /// # Errors
    /// Shapes that do not fit this model; `added` missing or superfluous.
    pub fn forward(
        &self,
        x: &Tensor,
        t: &Tensor,
        context: &Tensor,
        added: Option<&Added>,
        hooks: &Hooks,
    ) -> Result<Tensor> {
        in_pool(|| {
            let output = self.pass(x, t, context, added)?.forward(hooks)?;
            Ok(output.to_dtype(x.dtype())?)
        })
    }

    /// The configuration.
    pub fn config(&self) -> &UnetConfig {
        &self.config
    }

    /// All tensors by the names of diffusers' file.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// The type of the weights, in which the model computes.
    pub fn dtype(&self) -> DType {
        self.net.conv_in.weight.dtype()
    }

    /// The type of activations: that of the weights, but f32 for bf16 weights on the CPU.
    pub(crate) fn working_dtype(&self) -> DType {
        match self.dtype() {
            DType::BF16 if self.device().is_cpu() => DType::F32,
            dtype => dtype,
        }
    }

    /// The weights that are kept a second time, as the CPU kernels like them: made as they are used, they stay with the
    /// model until the room is needed.
    pub(crate) fn panels(&self) -> &PanelSet {
        &self.panels
    }

    /// Bytes of the weights that are kept a second time, as the CPU kernels like them, which a forward pass will make.
    pub fn missing_panels(&self) -> usize {
        self.panels.missing(false)
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        self.net.conv_in.weight.device()
    }

    /// This model with some tensors replaced (same names, same shapes); all others are shared, not copied.
    ///
    /// # Errors
    /// A name that the model does not have, or another shape.
    pub fn with_weights(&self, changed: &BTreeMap<String, Tensor>) -> Result<Self> {
        Self::new(self.config.clone(), replaced(&self.tensors, changed)?)
    }

    /// Every Linear and Conv2d, in the order of diffusers' `named_modules()`.
    pub fn modules(&self) -> Vec<Module> {
        self.modules.clone()
    }

    /// The embedding of timestep, pooled text and sizes: (n, width).
    fn time(&self, t: &Tensor, added: Option<&Added>, hooks: &Hooks) -> Result<Tensor> {
        let (config, dtype) = (&self.config, self.working_dtype());
        let waves = |t: &Tensor, width| sinusoids(t, width, config.flip_sin_to_cos, config.freq_shift);
        let of_time = waves(t, config.block_out_channels[0])?.to_dtype(dtype)?;
        let time = self.net.time_embedding.forward(&of_time, hooks)?;
        let (mlp, (pooled_width, size_width), added) = match (&self.net.add_embedding, config.added_widths(), added) {
            (Some(mlp), Some(widths), Some(added)) => (mlp, widths, added),
            (None, _, None) => return Ok(time),
            (None, _, Some(_)) => {
                bail!("this UNet takes no pooled text and sizes, but they were given";
                                        help: "the conditioning was made by the text encoders of another kind of model")
            }
            _ => {
                bail!("this UNet (SDXL) needs pooled text and sizes beside the text states, and none were given";
                       help: "encode the prompt with the text encoders of the same model")
            }
        };
        let n = t.dim(0)?;
        if added.pooled.dims() != [n, pooled_width] || added.time_ids.dims() != [n, 6] {
            bail!(
                "the UNet's added conditioning has shapes {:?} and {:?}, expected [{n}, {pooled_width}] and [{n}, 6]",
                added.pooled.dims(),
                added.time_ids.dims()
            );
        }
        let sizes = waves(&added.time_ids.flatten_all()?, size_width)?.reshape((n, 6 * size_width))?;
        let joined = Tensor::cat(&[&added.pooled.to_dtype(dtype)?, &sizes.to_dtype(dtype)?], 1)?;
        Ok((time + mlp.forward(&joined, hooks)?)?)
    }

    fn check_inputs(&self, x: &Tensor, t: &Tensor, context: &Tensor) -> Result<()> {
        let (channels, width) = (self.config.in_channels, self.config.cross_attention_dim.at(0));
        let &[n, c, _, _] = x.dims() else {
            bail!(
                "the UNet's latents have shape {:?}, expected (n, {channels}, height, width)",
                x.dims()
            );
        };
        if c != channels {
            bail!("the UNet's latents have {c} channels, expected {channels}"; help: "inpainting and other models with extra inputs are not supported");
        }
        if t.dims() != [n] {
            bail!(
                "the UNet's timesteps have shape {:?}, expected [{n}]: one for each latent",
                t.dims()
            );
        }
        match context.dims() {
            &[m, _, d] if m == n && d == width => Ok(()),
            found => {
                bail!("the UNet's text states have shape {found:?}, expected [{n}, tokens, {width}]";
                           help: "encode the prompt with the text encoders of the same model")
            }
        }
    }
}
