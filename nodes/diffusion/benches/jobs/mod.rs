//! The work that is measured, on the shipped model and on random weights of other sizes: no download is needed, and
//! numbers do not matter to the time they take. Shared by the benchmarks and by the example `measure`.

use diffusion::adapter::combine::{Cap, merge};
use diffusion::adapter::model::AdaptedUnet;
use diffusion::adapter::{Adapter, apply};
use diffusion::ddim::{Ddim, DdimConfig};
use diffusion::folder::ModelFolder;
use diffusion::layer::Hooks;
use diffusion::noise::Generator;
use diffusion::sampler::{Conditioning, Sampling, sample};
use diffusion::train::{Checkpointing, Method, Options, TrainData, Trainer};
use diffusion::unet::{Added, PerBlock, Unet, UnetConfig, module_shapes};
use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Result, bail};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A UNet with the inputs it takes.
pub(crate) struct Model {
    /// With its weights.
    pub(crate) unet: Arc<Unet>,
    schedule: DdimConfig,
    /// Tokens of a prompt.
    tokens: usize,
    /// Pixels for each latent along one side.
    factor: usize,
}

/// The folder of the model that ships with the project.
pub(crate) fn shipped() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../graphs/assets/emoji-xl"))
}

impl Model {
    /// `shipped`, or random weights: `small` (12.5 million parameters), `sd15`, `sdxl`.
    pub(crate) fn named(name: &str, dtype: DType) -> Result<Self> {
        let folder = ModelFolder::open(shipped())?;
        let schedule = folder.scheduler();
        if name == "shipped" {
            return Ok(Self {
                unet: Arc::new(folder.unet(dtype, &Device::Cpu)?),
                schedule,
                tokens: 32,
                factor: folder.vae_factor(),
            });
        }
        let config = match name {
            "small" => small(),
            "sd15" => UnetConfig::sd15(),
            "sdxl" => UnetConfig::sdxl(),
            _ => bail!("there is no model {name:?}"; help: "choose shipped, small, sd15 or sdxl"),
        };
        Ok(Self {
            unet: Arc::new(random_unet(config, dtype)?),
            schedule,
            tokens: 77,
            factor: 8,
        })
    }

    /// Numbers in the UNet's weights.
    pub(crate) fn parameters(&self) -> usize {
        self.unet.tensors().values().map(Tensor::elem_count).sum()
    }

    /// The side of the latents that the model is made for.
    pub(crate) fn latent(&self) -> usize {
        self.unet.config().latent_size().0
    }

    fn draw(&self, seed: u64, shape: &[usize]) -> Result<Tensor> {
        let noise = Generator::manual_seed(seed).randn(shape)?;
        Ok(noise.to_dtype(self.unet.dtype())?)
    }

    /// A prompt for `n` pictures.
    fn prompt(&self, n: usize, latent: usize, seed: u64) -> Result<Conditioning> {
        let config = self.unet.config();
        let side = latent * self.factor;
        let added = match config.added_widths() {
            Some((pooled, _)) => Some(Added::for_size(self.draw(seed + 1, &[n, pooled])?, side, side)?),
            None => None,
        };
        let width = config.cross_attention_dim.at(0);
        Ok(Conditioning {
            states: self.draw(seed, &[n, self.tokens, width])?,
            added,
        })
    }

    /// One prediction for `batch` square latents.
    pub(crate) fn forward(&self, batch: usize, latent: usize) -> Result<impl FnMut() -> Result<()>> {
        let x = self.draw(1, &[batch, self.unet.config().in_channels, latent, latent])?;
        let t = Tensor::full(500f32, batch, &Device::Cpu)?;
        let prompt = self.prompt(batch, latent, 2)?;
        Ok(move || {
            let added = prompt.added.as_ref();
            self.unet.forward(&x, &t, &prompt.states, added, &Hooks::none())?;
            Ok(())
        })
    }

    /// A whole DDIM trajectory with guidance, latents to latents.
    pub(crate) fn ddim(&self, batch: usize, latent: usize, steps: usize) -> Result<impl FnMut() -> Result<()>> {
        let noise = Generator::manual_seed(1).randn((batch, self.unet.config().in_channels, latent, latent))?;
        let schedule = Ddim::new(self.schedule.clone(), steps)?;
        let (prompt, negative) = (self.prompt(1, latent, 2)?, self.prompt(1, latent, 4)?);
        Ok(move || {
            let sampling = Sampling {
                unet: &self.unet,
                hooks: &Hooks::none(),
                ddim: &schedule,
                timesteps: schedule.timesteps(),
                prompt: &prompt,
                negative: Some(&negative),
                guidance: 5.0,
                eta: 0.0,
            };
            sample(&sampling, &noise, &mut Generator::manual_seed(1), &mut |_| Ok(()))?;
            Ok(())
        })
    }

    /// A training of ExCA on one picture of latents, to be taken step by step.
    pub(crate) fn trainer(&self, training: &Training, batch: usize, latent: usize) -> Result<Trainer> {
        let mean = Generator::manual_seed(1).randn((1, self.unet.config().in_channels, latent, latent))?;
        let prompt = self.prompt(1, latent, 2)?;
        let (pooled, time_ids) = match prompt.added {
            Some(added) => (Some(added.pooled), Some(added.time_ids)),
            None => (None, None),
        };
        let data = TrainData {
            std: (mean.ones_like()? * 0.1)?,
            scaling: 0.5,
            states: prompt.states,
            pooled,
            time_ids,
            mean,
        };
        let mut options = if training.lora {
            let alpha = training.rank as f64;
            let method = Method::Lora { alpha };
            Options {
                method,
                ..Options::lora()
            }
        } else {
            Options::para()
        };
        options.rule.rank = training.rank;
        options.seed = training.seed;
        options.batch = batch;
        options.steps = usize::MAX;
        options.checkpointing = training.checkpointing;
        let schedule = Ddim::for_training(self.schedule.clone());
        Trainer::new(self.unet.clone(), schedule, data, options)
    }

    /// Merges `count` PaRas of ExCA, as they are before the first step, and takes them out of the model's weights.
    #[allow(dead_code, reason = "one of the two targets that share this file uses it")]
    pub(crate) fn adapters(&self, count: usize, rank: usize) -> Result<impl FnMut() -> Result<()>> {
        let one = |seed| -> Result<Adapter> {
            let training = Training {
                lora: false,
                rank,
                checkpointing: Checkpointing::None,
                seed,
            };
            self.trainer(&training, 1, self.latent())?.adapter()
        };
        let adapters = (0..count as u64).map(one).collect::<Result<Vec<_>>>()?;
        let model = AdaptedUnet::new(self.unet.clone());
        Ok(move || {
            let paras: Vec<_> = adapters.iter().flat_map(Adapter::paras).collect();
            let (merged, _) = merge(&paras, None, Cap::Warn)?;
            model.apply(Arc::new(Adapter::Para(merged)), apply::Options::default())?;
            Ok(())
        })
    }
}

/// What is trained, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Training {
    /// LoRA instead of PaRa.
    pub(crate) lora: bool,
    /// Rank.
    pub(crate) rank: usize,
    /// Memory against time.
    pub(crate) checkpointing: Checkpointing,
    /// Seed.
    pub(crate) seed: u64,
}

/// 12.5 million parameters.
fn small() -> UnetConfig {
    let names = |list: [&str; 3]| list.map(str::to_owned).to_vec();
    UnetConfig {
        sample_size: Some(PerBlock::Same(32)),
        down_block_types: names(["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"]),
        up_block_types: names(["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]),
        block_out_channels: vec![64, 128, 256],
        layers_per_block: PerBlock::Same(1),
        cross_attention_dim: PerBlock::Same(64),
        ..UnetConfig::default()
    }
}

/// Normalisations that are the identity, weights that keep the size of what goes through them, biases of zero. In bf16, vectors
/// stay in f32, as in a model that is loaded so.
fn random_unet(config: UnetConfig, dtype: DType) -> Result<Unet> {
    let cpu = &Device::Cpu;
    let vectors = if dtype == DType::BF16 { DType::F32 } else { dtype };
    let mut tensors = BTreeMap::new();
    let mut state = 1u32;
    for module in module_shapes(&config)? {
        let path = &module.path;
        let (rows, inputs) = (module.shape[0], module.shape[1]);
        let fan: usize = module.shape[1..].iter().product();
        let bound = (3.0 / fan as f32).sqrt();
        let values: Vec<f32> = (0..rows * fan)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 * (2.0 * bound / (1 << 24) as f32) - bound
            })
            .collect();
        let weight = Tensor::from_vec(values, module.shape.as_slice(), cpu)?.to_dtype(dtype)?;
        tensors.insert(format!("{path}.weight"), weight);
        if module.bias {
            tensors.insert(format!("{path}.bias"), Tensor::zeros(rows, vectors, cpu)?);
        }
        // Each normalisation is as wide as the input of the layer that follows it.
        for (layer, norm) in [
            ("conv1", "norm1"),
            ("conv2", "norm2"),
            ("proj_in", "norm"),
            ("attn1.to_q", "norm1"),
            ("attn2.to_q", "norm2"),
            ("ff.net.0.proj", "norm3"),
            ("conv_out", "conv_norm_out"),
        ] {
            if let Some(block) = path.strip_suffix(layer) {
                tensors.insert(format!("{block}{norm}.weight"), Tensor::ones(inputs, vectors, cpu)?);
                tensors.insert(format!("{block}{norm}.bias"), Tensor::zeros(inputs, vectors, cpu)?);
            }
        }
    }
    Unet::new(config, tensors)
}
