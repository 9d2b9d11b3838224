//! What a training learns from, and how its batches are drawn.

use crate::noise::Generator;
use crate::text::Encoded;
use crate::unet::Added;
use crate::vae::Vae;
use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Result, ResultExt, bail};

/// Pictures as distributions of latents, with their conditioning, all computed once.
#[derive(Clone, Debug)]
pub struct TrainData {
    /// Means of the VAE's posterior, unscaled (n, c, h, w).
    pub mean: Tensor,
    /// Standard deviations of the posterior, the same shape. A latent is sampled anew in each step.
    pub std: Tensor,
    /// The VAE's `scaling_factor`: the UNet sees `latent · scaling`.
    pub scaling: f64,
    /// The encoded prompt of each picture (n, tokens, d), or one for all (1, tokens, d).
    pub states: Tensor,
    /// SDXL's pooled prompt, (n, p) or (1, p).
    pub pooled: Option<Tensor>,
    /// SDXL's (height, width, 0, 0, height, width) of each picture, (n, 6) or (1, 6).
    pub time_ids: Option<Tensor>,
}

impl TrainData {
    /// Encodes pictures (n, 3, h, w) in [−1, 1], all of one size, once. `prompts`: one for all, or one each.
    /// Models with pooled prompts (SDXL) get (h, w, 0, 0, h, w) as time ids.
    ///
    /// # Errors
    /// No picture or prompt, sizes that the VAE cannot halve often enough.
    pub fn encode(vae: &Vae, pictures: &Tensor, prompts: &[Encoded]) -> Result<Self> {
        let (n, _, height, width) = pictures.dims4()?;
        if n == 0 || prompts.is_empty() {
            bail!("there are {n} pictures and {} prompts to learn from", prompts.len(); help: "connect at least one picture");
        }
        let (mut means, mut deviations) = (Vec::new(), Vec::new());
        for i in 0..n {
            let posterior = vae
                .encode(&pictures.narrow(0, i, 1)?)
                .context(|| format!("picture {}", i + 1))?;
            deviations.push((posterior.logvar * 0.5)?.exp()?);
            means.push(posterior.mean);
        }
        let states: Vec<_> = prompts.iter().map(|p| &p.states).collect();
        let pooled: Vec<_> = prompts.iter().filter_map(|p| p.pooled.as_ref()).collect();
        let pooled = if pooled.is_empty() {
            None
        } else {
            Some(Tensor::cat(&pooled, 0)?)
        };
        let (h, w) = (height as f32, width as f32);
        let time_ids = Tensor::new(&[[h, w, 0.0, 0.0, h, w]], pictures.device())?;
        let data = Self {
            mean: Tensor::cat(&means, 0)?,
            std: Tensor::cat(&deviations, 0)?,
            scaling: vae.scaling_factor(),
            states: Tensor::cat(&states, 0)?,
            time_ids: pooled.is_some().then_some(time_ids),
            pooled,
        };
        data.check()?;
        Ok(data)
    }

    /// The number of pictures.
    pub fn pictures(&self) -> usize {
        self.mean.dims().first().copied().unwrap_or(0)
    }

    /// # Errors
    /// No picture, or shapes that do not fit.
    pub(super) fn check(&self) -> Result<()> {
        let n = self.pictures();
        if n == 0 {
            bail!("there is no picture to learn from"; help: "connect at least one picture");
        }
        if self.mean.rank() != 4 || self.mean.dims() != self.std.dims() {
            bail!(
                "latent means {:?} and deviations {:?} must both be (n, c, h, w)",
                self.mean.dims(),
                self.std.dims()
            );
        }
        let optional = [("pooled prompts", &self.pooled), ("time ids", &self.time_ids)];
        let all = optional.into_iter().filter_map(|(what, t)| Some((what, t.as_ref()?)));
        for (what, tensor) in all.chain([("prompts", &self.states)]) {
            let rows = tensor.dims().first().copied().unwrap_or(0);
            if rows != n && rows != 1 {
                bail!("there are {rows} {what} for {n} pictures, expected one for all or one each");
            }
        }
        if self.pooled.is_some() != self.time_ids.is_some() {
            bail!("SDXL needs both pooled prompts and time ids, other models neither");
        }
        Ok(())
    }
}

/// One training step's input.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Scaled latents (n, c, h, w), f32 or f64.
    pub latents: Tensor,
    /// The noise that is added, the same shape.
    pub noise: Tensor,
    /// A timestep for each latent.
    pub timesteps: Vec<usize>,
    /// Encoded prompts (n, tokens, d).
    pub states: Tensor,
    /// SDXL's added conditioning.
    pub added: Option<Added>,
}

/// The order in which pictures are shown: each once before any again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Queue(pub(super) Vec<usize>);

impl Queue {
    fn next(&mut self, pictures: usize, generator: &mut Generator) -> Result<usize> {
        if self.0.is_empty() {
            self.0 = (0..pictures).collect();
            for i in (1..pictures).rev() {
                let j = generator.randint(i as u64 + 1)? as usize;
                self.0.swap(i, j);
            }
        }
        match self.0.pop() {
            Some(index) => Ok(index),
            None => bail!("there is no picture to learn from"),
        }
    }
}

/// Draws pictures, latents, noise and timesteps, in this order, from one generator.
pub(super) fn draw(
    data: &TrainData,
    queue: &mut Queue,
    size: usize,
    timesteps: usize,
    generator: &mut Generator,
    device: &Device,
) -> Result<Batch> {
    let mut picked = Vec::with_capacity(size);
    for _ in 0..size {
        picked.push(queue.next(data.pictures(), generator)? as u32);
    }
    let shape = [&[size], &data.mean.dims()[1..]].concat();
    let pick = |tensor: &Tensor| -> Result<Tensor> {
        let rows = if tensor.dim(0)? == 1 {
            vec![0; size]
        } else {
            picked.clone()
        };
        let rows = Tensor::new(rows, tensor.device())?;
        Ok(tensor.index_select(&rows, 0)?.to_device(device)?)
    };
    let spread = generator.randn(shape.clone())?.to_device(device)?;
    let mean = pick(&data.mean)?.to_dtype(DType::F32)?;
    let latents = (mean + (pick(&data.std)?.to_dtype(DType::F32)? * spread)?)?;
    let latents = (latents * data.scaling)?;
    let noise = generator.randn(shape)?.to_device(device)?;
    let mut steps = Vec::with_capacity(size);
    for _ in 0..size {
        steps.push(generator.randint(timesteps as u64)? as usize);
    }
    let added = match (&data.pooled, &data.time_ids) {
        (Some(pooled), Some(time_ids)) => Some(Added {
            pooled: pick(pooled)?,
            time_ids: pick(time_ids)?,
        }),
        _ => None,
    };
    Ok(Batch {
        latents,
        noise,
        timesteps: steps,
        states: pick(&data.states)?,
        added,
    })
}
