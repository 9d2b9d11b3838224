//! The DDIM scheduler (Song et al., 2021, equation 12), with diffusers' timesteps and options.

use sdk::candle_core::Tensor;
use sdk::{Error, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the noise grows over the training steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Betas in equal steps.
    Linear,
    /// Square roots of betas in equal steps.
    ScaledLinear,
    /// Betas that make the signal fall like a squared cosine.
    SquaredcosCapV2,
}

/// What the model's output means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise.
    Epsilon,
    /// The velocity, √ᾱ·noise − √(1−ᾱ)·signal.
    VPrediction,
    /// The clean latents.
    Sample,
}

/// Which training steps the sampling steps stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// Multiples of a whole ratio, counted from the start.
    Leading,
    /// Counted back from the end.
    Trailing,
    /// Evenly from first to last.
    Linspace,
}

/// A `scheduler_config.json`. Field names and defaults are those of diffusers' `DDIMScheduler`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DdimConfig {
    /// Training steps.
    pub num_train_timesteps: usize,
    /// The first beta.
    pub beta_start: f64,
    /// The last beta.
    pub beta_end: f64,
    /// How betas grow between them.
    pub beta_schedule: BetaSchedule,
    /// Betas given one by one instead.
    pub trained_betas: Option<Vec<f64>>,
    /// Whether the predicted clean latents are clipped; never so in latent diffusion.
    pub clip_sample: bool,
    /// Where they are clipped.
    pub clip_sample_range: f64,
    /// Whether the step after the last one is noiseless.
    pub set_alpha_to_one: bool,
    /// Added to leading timesteps.
    pub steps_offset: usize,
    /// What the model's output means.
    pub prediction_type: Prediction,
    /// Which training steps are visited.
    pub timestep_spacing: Spacing,
    /// Whether betas are stretched so that the last step is pure noise.
    pub rescale_betas_zero_snr: bool,
}

impl Default for DdimConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            trained_betas: None,
            clip_sample: true,
            clip_sample_range: 1.0,
            set_alpha_to_one: true,
            steps_offset: 0,
            prediction_type: Prediction::Epsilon,
            timestep_spacing: Spacing::Leading,
            rescale_betas_zero_snr: false,
        }
    }
}

impl DdimConfig {
    /// Reads the text of a `scheduler_config.json` of any scheduler over discrete betas: published models name
    /// PNDM or Euler there, whose betas DDIM shares. Only a DDIM configuration clips when it does not say.
    ///
    /// # Errors
    /// No JSON, a wrong type, dynamic thresholding, or a scheduler without betas (flow matching, EDM).
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        let class = value["_class_name"].as_str().unwrap_or("DDIMScheduler");
        if class.starts_with("FlowMatch") || class.starts_with("EDM") {
            bail!("`_class_name`: {class} has no betas, and DDIM needs them"; help: "supported are Stable Diffusion 1.x and XL");
        }
        if value["thresholding"] == true {
            bail!("`thresholding`: true is not supported"; help: "diffusers refuses it for latent models too; set it to false");
        }
        let mut config: Self = serde_json::from_str(text)?;
        if class != "DDIMScheduler" && value.get("clip_sample").is_none() {
            config.clip_sample = false;
        }
        let steps = config.num_train_timesteps;
        if let Some(betas) = config.trained_betas.as_ref().filter(|b| b.len() != steps) {
            bail!(
                "`trained_betas` has {} numbers, expected `num_train_timesteps` {steps}",
                betas.len()
            );
        }
        if steps < 2 {
            bail!("`num_train_timesteps` is {steps}, expected at least 2");
        }
        Ok(config)
    }

    /// The betas, rounded to f32 where PyTorch rounds.
    fn betas(&self) -> Vec<f32> {
        let n = self.num_train_timesteps;
        let betas = match (&self.trained_betas, self.beta_schedule) {
            (Some(betas), _) => betas.iter().map(|b| *b as f32).collect(),
            (None, BetaSchedule::Linear) => linspace(self.beta_start, self.beta_end, n),
            (None, BetaSchedule::ScaledLinear) => linspace(self.beta_start.sqrt(), self.beta_end.sqrt(), n)
                .into_iter()
                .map(|b| b * b)
                .collect(),
            (None, BetaSchedule::SquaredcosCapV2) => {
                let bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
                let at = |i: usize| i as f64 / n as f64;
                (0..n)
                    .map(|i| (1.0 - bar(at(i + 1)) / bar(at(i))).min(0.999) as f32)
                    .collect()
            }
        };
        if self.rescale_betas_zero_snr {
            without_last_signal(&betas)
        } else {
            betas
        }
    }
}

/// The scheduler for a number of sampling steps.
#[derive(Clone, Debug)]
pub struct Ddim {
    config: DdimConfig,
    alphas_cumprod: Vec<f64>,
    final_alpha: f64,
    steps: usize,
    timesteps: Vec<usize>,
}

impl Ddim {
    /// Plans `steps` sampling steps.
    ///
    /// # Errors
    /// No steps, or more than there are training steps.
    pub fn new(config: DdimConfig, steps: usize) -> Result<Self> {
        let timesteps = timesteps(&config, steps)?;
        Ok(Self {
            steps,
            timesteps,
            ..Self::for_training(config)
        })
    }

    /// For training, which draws its timesteps itself: no sampling steps.
    pub fn for_training(config: DdimConfig) -> Self {
        let alphas_cumprod = cumulated(&config.betas());
        let final_alpha = if config.set_alpha_to_one {
            1.0
        } else {
            alphas_cumprod.first().copied().unwrap_or(1.0)
        };
        Self {
            config,
            alphas_cumprod,
            final_alpha,
            steps: 0,
            timesteps: Vec::new(),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &DdimConfig {
        &self.config
    }

    /// The training steps to visit, from noisy to clean.
    pub fn timesteps(&self) -> &[usize] {
        &self.timesteps
    }

    /// The last of these timesteps, for image to image: `strength` 1 visits all, 0 none.
    /// The first one returned is the one to add noise for.
    ///
    /// # Errors
    /// A strength outside [0, 1].
    pub fn timesteps_from(&self, strength: f64) -> Result<&[usize]> {
        if !(0.0..=1.0).contains(&strength) {
            bail!("strength {strength} is outside 0…1");
        }
        let kept = ((self.steps as f64 * strength) as usize).min(self.steps);
        Ok(&self.timesteps[(self.steps - kept).min(self.timesteps.len())..])
    }

    /// ᾱ of each training step: the share of the signal in the variance.
    pub fn alphas_cumprod(&self) -> &[f64] {
        &self.alphas_cumprod
    }

    /// The clean latents that a model output at timestep `t` implies, clipped if the configuration says so.
    ///
    /// # Errors
    /// A timestep outside the schedule, or shapes that differ.
    pub fn predict_clean(&self, output: &Tensor, t: usize, sample: &Tensor) -> Result<Tensor> {
        Ok(self.split(output, t, sample)?.0)
    }

    /// From `sample` at timestep `t` to the next one. `eta` 0 is deterministic; above it, `noise` is needed,
    /// of the shape of `sample`.
    ///
    /// # Errors
    /// No noise for `eta` > 0, a timestep outside the schedule, or shapes that differ.
    pub fn step(&self, output: &Tensor, t: usize, sample: &Tensor, eta: f64, noise: Option<&Tensor>) -> Result<Tensor> {
        let alpha = self.alpha(t)?;
        let ratio = self.config.num_train_timesteps / self.steps.max(1);
        let alpha_next = match t.checked_sub(ratio) {
            Some(next) => self.alpha(next)?,
            None => self.final_alpha,
        };
        let variance = (1.0 - alpha_next) / (1.0 - alpha) * (1.0 - alpha / alpha_next);
        let deviation = eta * variance.max(0.0).sqrt();
        let (clean, epsilon) = self.split(output, t, sample)?;
        let direction = (epsilon * (1.0 - alpha_next - deviation * deviation).max(0.0).sqrt())?;
        let next = ((clean * alpha_next.sqrt())? + direction)?;
        match noise {
            _ if eta == 0.0 => Ok(next),
            Some(noise) => Ok((next + (noise.to_device(sample.device())?.to_dtype(sample.dtype())? * deviation)?)?),
            None => bail!("eta {eta} needs noise for every step, and none was given"),
        }
    }

    /// Clean latents (n, …) with noise for timesteps `t`, one for each sample.
    ///
    /// # Errors
    /// Timesteps outside the schedule or not one for each sample, shapes that differ.
    pub fn add_noise(&self, clean: &Tensor, noise: &Tensor, t: &[usize]) -> Result<Tensor> {
        let (signal, share) = self.weights(clean, t)?;
        Ok((clean.broadcast_mul(&signal)? + noise.broadcast_mul(&share)?)?)
    }

    /// The velocity that v-prediction models learn: √ᾱ·noise − √(1−ᾱ)·clean.
    ///
    /// # Errors
    /// As [`Ddim::add_noise`].
    pub fn velocity(&self, clean: &Tensor, noise: &Tensor, t: &[usize]) -> Result<Tensor> {
        let (signal, share) = self.weights(clean, t)?;
        Ok((noise.broadcast_mul(&signal)? - clean.broadcast_mul(&share)?)?)
    }

    /// What the model should say about clean latents with this noise, by the configuration's `prediction_type`.
    ///
    /// # Errors
    /// As [`Ddim::add_noise`].
    pub fn target(&self, clean: &Tensor, noise: &Tensor, t: &[usize]) -> Result<Tensor> {
        match self.config.prediction_type {
            Prediction::Epsilon => Ok(noise.clone()),
            Prediction::VPrediction => self.velocity(clean, noise, t),
            Prediction::Sample => Ok(clean.clone()),
        }
    }

    /// Clean latents and noise that a model output implies.
    fn split(&self, output: &Tensor, t: usize, sample: &Tensor) -> Result<(Tensor, Tensor)> {
        let alpha = self.alpha(t)?;
        let (signal, share) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        let (clean, epsilon) = match self.config.prediction_type {
            Prediction::Epsilon => (((sample - (output * share)?)? / signal)?, output.clone()),
            Prediction::Sample => (output.clone(), ((sample - (output * signal)?)? / share)?),
            Prediction::VPrediction => (
                ((sample * signal)? - (output * share)?)?,
                ((output * signal)? + (sample * share)?)?,
            ),
        };
        if self.config.clip_sample {
            let range = self.config.clip_sample_range;
            return Ok((clean.clamp(-range, range)?, epsilon));
        }
        Ok((clean, epsilon))
    }

    fn alpha(&self, t: usize) -> Result<f64> {
        let steps = self.alphas_cumprod.len();
        self.alphas_cumprod
            .get(t)
            .copied()
            .ok_or_else(|| Error::msg(format!("timestep {t} is outside the schedule's {steps} training steps")))
    }

    /// √ᾱ and √(1−ᾱ) of each sample, shaped to multiply `like`.
    fn weights(&self, like: &Tensor, t: &[usize]) -> Result<(Tensor, Tensor)> {
        let n = like.dim(0)?;
        if t.len() != n {
            bail!("{} timesteps for {n} samples, expected one for each", t.len());
        }
        let alphas = t.iter().map(|t| self.alpha(*t)).collect::<Result<Vec<f64>>>()?;
        let mut shape = vec![1; like.rank()];
        shape[0] = n;
        let column = |f: fn(&f64) -> f64| -> Result<Tensor> {
            let values: Vec<f64> = alphas.iter().map(f).collect();
            Ok(Tensor::from_vec(values, shape.clone(), like.device())?.to_dtype(like.dtype())?)
        };
        Ok((column(|a| a.sqrt())?, column(|a| (1.0 - a).sqrt())?))
    }
}

fn timesteps(config: &DdimConfig, steps: usize) -> Result<Vec<usize>> {
    let trained = config.num_train_timesteps;
    if steps == 0 || steps > trained {
        bail!("{steps} sampling steps; expected 1 to {trained}, the number of training steps");
    }
    let rounded = |x: f64| x.round_ties_even() as usize;
    let list: Vec<usize> = match config.timestep_spacing {
        Spacing::Leading => (0..steps)
            .rev()
            .map(|i| i * (trained / steps) + config.steps_offset)
            .collect(),
        Spacing::Trailing => {
            let ratio = trained as f64 / steps as f64;
            (0..steps)
                .map(|i| rounded(trained as f64 - i as f64 * ratio).saturating_sub(1))
                .collect()
        }
        Spacing::Linspace => {
            let gap = (trained - 1) as f64 / steps.saturating_sub(1).max(1) as f64;
            (0..steps).rev().map(|i| rounded(i as f64 * gap)).collect()
        }
    };
    if let Some(beyond) = list.iter().find(|t| **t >= trained) {
        bail!("{steps} sampling steps with `steps_offset` {} reach timestep {beyond} of {trained}", config.steps_offset;
              help: "use fewer steps");
    }
    Ok(list)
}

/// `torch.linspace` in f32, which counts from both ends.
fn linspace(start: f64, end: f64, n: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    let gap = (end - start) / n.saturating_sub(1).max(1) as f32;
    (0..n)
        .map(|i| {
            if i < n / 2 {
                start + gap * i as f32
            } else {
                end - gap * (n - 1 - i) as f32
            }
        })
        .collect()
}

/// Running product of 1 − β: summed up in f64, each result rounded to f32, as PyTorch does.
fn cumulated(betas: &[f32]) -> Vec<f64> {
    let mut product = 1.0f64;
    betas
        .iter()
        .map(|beta| {
            product *= f64::from(1.0 - beta);
            f64::from(product as f32)
        })
        .collect()
}

/// Betas whose last step has no signal left (Lin et al., 2023, algorithm 1).
fn without_last_signal(betas: &[f32]) -> Vec<f32> {
    let roots: Vec<f64> = cumulated(betas).iter().map(|a| a.sqrt()).collect();
    let (Some(first), Some(last)) = (roots.first(), roots.last()) else {
        return betas.to_vec();
    };
    let bars: Vec<f64> = roots
        .iter()
        .map(|root| ((root - last) * first / (first - last)).powi(2))
        .collect();
    (0..bars.len())
        .map(|i| (1.0 - if i == 0 { bars[0] } else { bars[i] / bars[i - 1] }) as f32)
        .collect()
}
