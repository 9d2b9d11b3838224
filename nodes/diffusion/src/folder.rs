//! A model in a folder, as diffusers saves it.

use crate::clip::{ClipConfig, ClipText};
use crate::ddim::DdimConfig;
use crate::text::{TextEncoder, TextEncoders};
use crate::tokenizer::Tokenizer;
use crate::unet::{Unet, UnetConfig};
use crate::vae::{Vae, VaeConfig};
use crate::weights::Weights;
use sdk::candle_core::{DType, Device};
use sdk::{Result, ResultExt, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The kinds of model that are supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Stable Diffusion 1.x: one text encoder.
    Sd15,
    /// Stable Diffusion XL: two text encoders, pooled text and sizes.
    Sdxl,
}

impl Family {
    fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Sd15 => &["unet", "vae", "scheduler", "text_encoder", "tokenizer"],
            Self::Sdxl => &[
                "unet",
                "vae",
                "scheduler",
                "text_encoder",
                "tokenizer",
                "text_encoder_2",
                "tokenizer_2",
            ],
        }
    }
}

/// A diffusers folder whose configurations have been read and whose weights have not.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    path: PathBuf,
    family: Family,
    zeros_for_no_negative: bool,
    unet: UnetConfig,
    vae: VaeConfig,
    scheduler: DdimConfig,
}

impl ModelFolder {
    /// Reads `model_index.json` and the configurations of UNet, autoencoder and scheduler.
    ///
    /// # Errors
    /// No diffusers folder, a pipeline or an architecture that is not supported, a missing or broken part.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let index = read_index(path)?;
        let class = index["_class_name"].as_str().unwrap_or("unnamed");
        let family = match class {
            "StableDiffusionPipeline" | "StableDiffusionImg2ImgPipeline" => Family::Sd15,
            "StableDiffusionXLPipeline" => Family::Sdxl,
            _ => {
                bail!("{}: pipeline class {class} is not supported", path.join("model_index.json").display();
                       help: "supported are StableDiffusionPipeline and StableDiffusionXLPipeline")
            }
        };
        if let Some(missing) = family.folders().iter().find(|f| !path.join(f).is_dir()) {
            bail!("{}: the folder `{missing}` is missing, which a {class} needs", path.display();
                  help: "download the model again, with all its folders");
        }
        let unet = config(&path.join("unet/config.json"), UnetConfig::from_json)?;
        let vae = config(&path.join("vae/config.json"), VaeConfig::from_json)?;
        let scheduler = config(&path.join("scheduler/scheduler_config.json"), DdimConfig::from_json)?;
        if unet.in_channels != vae.latent_channels {
            bail!("{}: the UNet takes {} channels and the autoencoder makes {}", path.display(), unet.in_channels, vae.latent_channels;
                  help: "inpainting and other models with extra inputs are not supported");
        }
        if unet.addition_embed_type.is_some() != (family == Family::Sdxl) {
            let found = unet.addition_embed_type.as_deref().unwrap_or("null");
            bail!("{}: model_index.json says {class}, and unet/config.json has `addition_embed_type` {found}", path.display();
                  help: "SDXL has text_time there, Stable Diffusion 1.x null: the folder mixes two models");
        }
        Ok(Self {
            path: path.to_path_buf(),
            family,
            zeros_for_no_negative: index["force_zeros_for_empty_prompt"]
                .as_bool()
                .unwrap_or(family == Family::Sdxl),
            unet,
            vae,
            scheduler,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kind of model.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The UNet's configuration.
    pub fn unet_config(&self) -> &UnetConfig {
        &self.unet
    }

    /// The autoencoder's configuration.
    pub fn vae_config(&self) -> &VaeConfig {
        &self.vae
    }

    /// How many times smaller latents are than pictures, in each direction.
    pub fn vae_factor(&self) -> usize {
        self.vae.factor()
    }

    /// The (height, width) in pixels that the model was trained for.
    pub fn default_size(&self) -> (usize, usize) {
        let (h, w) = self.unet.latent_size();
        (h * self.vae_factor(), w * self.vae_factor())
    }

    /// The noise schedule.
    pub fn scheduler(&self) -> DdimConfig {
        self.scheduler.clone()
    }

    /// How many numbers its weights are.
    ///
    /// # Errors
    /// Weights that are missing or cut.
    pub fn count(&self) -> Result<usize> {
        let encoders = match self.family {
            Family::Sd15 => &["text_encoder"][..],
            Family::Sdxl => &["text_encoder", "text_encoder_2"],
        };
        let parts = ["unet", "vae"].iter().chain(encoders);
        parts.map(|part| Weights::count(self.path.join(part))).sum()
    }

    /// Reads the UNet, with weights of type `dtype`: f32 on the CPU, or bf16, where normalisations and biases stay f32.
    ///
    /// # Errors
    /// Weights that are missing, broken or do not fit the configuration.
    pub fn unet(&self, dtype: DType, device: &Device) -> Result<Unet> {
        let mixed = dtype == DType::BF16 && device.is_cpu();
        let weights = Weights::open_as(self.path.join("unet"), (!mixed).then_some(dtype), device)?;
        let file = weights.path().to_path_buf();
        let mut tensors = weights.into_tensors();
        if mixed {
            for tensor in tensors.values_mut() {
                let dtype = if tensor.rank() < 2 { DType::F32 } else { dtype };
                *tensor = tensor.to_dtype(dtype)?;
            }
        }
        Unet::new(self.unet.clone(), tensors).context(|| file.display())
    }

    /// Reads the autoencoder, in f32.
    ///
    /// # Errors
    /// Weights that are missing, broken or do not fit the configuration.
    pub fn vae(&self, device: &Device) -> Result<Vae> {
        let weights = Weights::open_as(self.path.join("vae"), Some(DType::F32), device)?;
        let file = weights.path().to_path_buf();
        Vae::new(self.vae.clone(), weights.into_tensors()).context(|| file.display())
    }

    /// Reads text encoders and tokenizers.
    ///
    /// # Errors
    /// Files that are missing, broken or do not fit each other.
    pub fn text(&self, dtype: DType, device: &Device) -> Result<TextEncoders> {
        let first = self.text_encoder("text_encoder", "tokenizer", dtype, device)?;
        match self.family {
            Family::Sd15 => Ok(TextEncoders::sd15(first)),
            Family::Sdxl => {
                let second = self.text_encoder("text_encoder_2", "tokenizer_2", dtype, device)?;
                TextEncoders::sdxl(first, second, self.zeros_for_no_negative).context(|| self.path.display())
            }
        }
    }

    fn text_encoder(&self, encoder: &str, tokenizer: &str, dtype: DType, device: &Device) -> Result<TextEncoder> {
        let config = config(&self.path.join(encoder).join("config.json"), ClipConfig::from_json)?;
        let tokenizer = Tokenizer::open(self.path.join(tokenizer), config.max_position_embeddings)
            .help(|| "copy or download the model's tokenizer folders again")?;
        let weights = Weights::open_as(self.path.join(encoder), Some(dtype), device)?;
        let file = weights.path().to_path_buf();
        let model = ClipText::new(config, weights.into_tensors()).context(|| file.display())?;
        Ok(TextEncoder { tokenizer, model })
    }
}

/// Reads a configuration file; errors name it.
fn config<T>(path: &Path, parse: fn(&str) -> Result<T>) -> Result<T> {
    let text = std::fs::read_to_string(path).context(|| path.display())?;
    parse(&text)
        .context(|| path.display())
        .help(|| "the file is cut, edited or of another kind of model: copy or download it again")
}

fn read_index(path: &Path) -> Result<Value> {
    let name = path.display();
    if path.is_file() {
        if path.extension().is_some_and(|e| e == "safetensors") {
            bail!("{name}: single-file checkpoints are not read yet";
                  help: "convert it to a diffusers folder: `StableDiffusionXLPipeline.from_single_file(FILE).save_pretrained(DIR)` in Python");
        }
        bail!("{name}: a file, expected the folder that diffusers saves a pipeline in"; help: "give the folder that holds model_index.json");
    }
    if !path.is_dir() {
        bail!("{name}: no such folder"; help: "paths in a graph are relative to the graph's file");
    }
    let index = path.join("model_index.json");
    if !index.is_file() {
        bail!("{name}: no diffusers folder: it has no model_index.json";
              help: "expected the folder that holds model_index.json, unet, vae, text_encoder, …");
    }
    config(&index, |text| Ok(serde_json::from_str(text)?))
}
