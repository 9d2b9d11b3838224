//! Training PaRa and LoRA on a handful of pictures.
//!
//! The recipe follows diffusers' DreamBooth trainer: AdamW, gradients clipped to norm 1, uniform timesteps,
//! mean squared error in f32, latents sampled anew from the VAE's posterior in each step, prompts encoded once.

mod backward;
mod basis;
mod data;
mod drive;
mod hooks;
mod memory;
mod optimizer;
mod options;
mod prepare;
mod result;
mod show;
mod state;

pub use basis::Basis;
pub use data::{Batch, TrainData};
pub use drive::drive;
pub use memory::{Estimate, sampling_bytes};
pub use optimizer::AdamW;
pub use options::{Checkpointing, Method, Options};
pub use show::Show;

use crate::adapter::names::UnetLayout;
use crate::adapter::para;
use crate::ddim::{Ddim, Prediction};
use crate::kernels::in_pool;
use crate::layer::{Hook, Hooks};
use crate::noise::Generator;
use crate::unet::Unet;
use data::Queue;
use hooks::{LoraHook, ParaHook};
use optimizer::Param;
use rayon::prelude::*;
use sdk::candle_core::{DType, Device, Tensor, Var};
use sdk::{Result, ResultExt, bail};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A finished step.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Steps finished, from 1.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The step's loss.
    pub loss: f64,
    /// The norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// The step's learning rate.
    pub lr: f64,
}

/// What a callback answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop after this step; what is learnt so far stays.
    Stop,
}

/// A module in training.
#[derive(Clone, Debug)]
struct Site {
    path: String,
    rank: usize,
    convolution: bool,
}

/// A training in progress.
pub struct Trainer {
    unet: Arc<Unet>,
    layout: UnetLayout,
    options: Options,
    schedule: Ddim,
    data: TrainData,
    sites: Vec<Site>,
    /// One per site (B), or two (down, up).
    params: Vec<Param>,
    generator: Generator,
    queue: Queue,
    losses: Vec<f64>,
    recomputes: bool,
}

impl Trainer {
    /// Prepares a training: chooses modules and draws the starting values, in the order of the model.
    ///
    /// # Errors
    /// Options out of range, data that does not fit, a subset without a module.
    pub fn new(unet: Arc<Unet>, schedule: Ddim, data: TrainData, options: Options) -> Result<Self> {
        options.check()?;
        data.check()?;
        if schedule.alphas_cumprod().is_empty() {
            bail!("the noise schedule has no timestep");
        }
        let layout = UnetLayout::from(unet.config());
        let mut trainer = Self {
            layout,
            generator: Generator::manual_seed(options.seed),
            schedule,
            data,
            sites: Vec::new(),
            params: Vec::new(),
            queue: Queue::default(),
            losses: Vec::new(),
            unet,
            options,
            recomputes: false,
        };
        trainer.initialise()?;
        trainer.recomputes = trainer.decide_recompute()?;
        Ok(trainer)
    }

    fn initialise(&mut self) -> Result<()> {
        let rule = self.options.rule;
        for module in self.unet.modules() {
            if !self.options.subset.contains(&module.path) {
                continue;
            }
            let rank = rule.rank(&module.shape)?;
            if rank == 0 {
                continue;
            }
            let rows = module.shape[0];
            let mut draw = |shape: Vec<usize>, sigma: f64| -> Result<Vec<f32>> {
                let noise = self.generator.randn(shape)?.flatten_all()?.to_vec1::<f32>()?;
                Ok(noise.into_iter().map(|v| (f64::from(v) * sigma) as f32).collect())
            };
            match self.options.method {
                Method::Para { sigma, .. } => {
                    let shape = vec![rows, rank];
                    let value = draw(shape.clone(), sigma)?;
                    self.params.push(Param::new(module.path.clone(), shape, value));
                }
                Method::Lora { .. } => {
                    let shape = [&[rank], &module.shape[1..]].concat();
                    let value = draw(shape.clone(), 1.0 / rank as f64)?;
                    self.params
                        .push(Param::new(format!("{}.down", module.path), shape, value));
                    let zeros = vec![0.0; rows * rank];
                    self.params
                        .push(Param::new(format!("{}.up", module.path), vec![rows, rank], zeros));
                }
            }
            let convolution = module.shape.len() == 4;
            self.sites.push(Site {
                path: module.path,
                rank,
                convolution,
            });
        }
        if self.sites.is_empty() {
            bail!("subset {} has no module to train in this model with rank {} and gamma {}", self.options.subset, rule.rank, rule.gamma; help: "gamma times the rank of a weight, rounded down, bounds the rank: for small models raise gamma");
        }
        Ok(())
    }

    /// The trained modules and their ranks.
    pub fn modules(&self) -> impl Iterator<Item = (&str, usize)> {
        self.sites.iter().map(|s| (s.path.as_str(), s.rank))
    }

    /// How it goes.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether the backward pass computes activations a second time, as [`Options::checkpointing`] asks or
    /// [`Checkpointing::Auto`] decided.
    pub fn recomputes(&self) -> bool {
        self.recomputes
    }

    /// Finished steps.
    pub fn step_count(&self) -> usize {
        self.losses.len()
    }

    /// The loss of every finished step.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// The trained values by name: B (d_out, r) by module path, or `PATH.down` and `PATH.up`.
    ///
    /// # Errors
    /// Only those of the conversion.
    pub fn weights(&self) -> Result<BTreeMap<String, Tensor>> {
        let tensor = |p: &Param| Tensor::from_slice(&p.value, p.shape.as_slice(), &Device::Cpu);
        self.params.iter().map(|p| Ok((p.name.clone(), tensor(p)?))).collect()
    }

    /// Sets trained values by name, to start from a given point. Moments stay.
    ///
    /// # Errors
    /// Names that are not trained here, or other shapes.
    pub fn set_weights(&mut self, weights: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, tensor) in weights {
            let Some(param) = self.params.iter_mut().find(|p| p.name == *name) else {
                bail!("{name} is not trained here");
            };
            if tensor.dims() != param.shape {
                bail!("{name} has shape {:?}, expected {:?}", tensor.dims(), param.shape);
            }
            param.value = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        }
        Ok(())
    }

    /// Draws the next batch and takes one step.
    ///
    /// # Errors
    /// A loss or gradient that is not finite, failures of the device.
    pub fn step(&mut self) -> Result<Progress> {
        let steps = self.schedule.alphas_cumprod().len();
        let (queue, generator) = (&mut self.queue, &mut self.generator);
        let device = self.unet.device().clone();
        let batch = data::draw(&self.data, queue, self.options.batch, steps, generator, &device)?;
        self.step_with(&batch)
    }

    /// Takes one step on a given batch.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn step_with(&mut self, batch: &Batch) -> Result<Progress> {
        let (loss, gradients) = in_pool(|| self.backward(batch))?;
        let step = self.losses.len() + 1;
        let rise = if self.options.warmup > 0 {
            (step as f64 / self.options.warmup as f64).min(1.0)
        } else {
            1.0
        };
        let lr = self.options.lr * rise;
        let gradient_norm = self.options.adam.update(&mut self.params, &gradients, lr, step)?;
        self.losses.push(loss);
        Ok(Progress {
            step,
            steps: self.options.steps,
            loss,
            gradient_norm,
            lr,
        })
    }

    /// Takes the steps that are left. The callback hears of each one and may stop the training.
    ///
    /// # Errors
    /// As [`Trainer::step`], or those of the callback.
    pub fn run(&mut self, mut callback: impl FnMut(&Self, Progress) -> Result<Control>) -> Result<()> {
        while self.losses.len() < self.options.steps {
            let progress = self.step()?;
            if callback(self, progress)? == Control::Stop {
                break;
            }
        }
        Ok(())
    }

    /// The loss on a batch and its gradient with respect to every trained tensor, by name, unclipped.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn gradients(&self, batch: &Batch) -> Result<(f64, BTreeMap<String, Tensor>)> {
        let (loss, gradients) = in_pool(|| self.backward(batch))?;
        let named = self.params.iter().zip(gradients).map(|(param, gradient)| {
            let tensor = Tensor::from_vec(gradient, param.shape.as_slice(), &Device::Cpu)?;
            Ok((param.name.clone(), tensor))
        });
        Ok((loss, named.collect::<Result<_>>()?))
    }

    /// How far the projection has faded in, 0 to 1.
    fn gate(&self) -> f64 {
        match self.options.method {
            Method::Para { gate_steps, .. } if gate_steps > 0 => {
                (self.losses.len() as f64 / gate_steps as f64).min(1.0)
            }
            _ => 1.0,
        }
    }

    fn backward(&self, batch: &Batch) -> Result<(f64, Vec<Vec<f32>>)> {
        let bases = self.bases()?;
        let mut leaves: Vec<Var> = Vec::new();
        let hooks = self.hooks(&bases, self.gate(), |tensor| {
            let leaf = Var::from_tensor(&tensor)?;
            leaves.push(leaf.clone());
            Ok(leaf.into_inner())
        })?;
        let (value, reached) = self.flow(batch, &hooks, &leaves)?;
        let of_param = |(param, (index, gradient)): (&Param, (usize, Option<Tensor>))| {
            let Some(gradient) = gradient else {
                if self.gate() == 0.0 {
                    // A closed gate lets nothing through.
                    return Ok(vec![0.0; param.value.len()]);
                }
                bail!(
                    "no gradient reaches {}: its output is not used in the model",
                    param.name
                );
            };
            let gradient = match bases.get(index) {
                Some((basis, _)) => basis.gradient(&gradient).context(|| format!("module {}", param.name))?,
                None => gradient,
            };
            let gradient = gradient.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
            Ok(gradient.flatten_all()?.to_vec1()?)
        };
        let reached: Vec<_> = reached.into_iter().enumerate().collect();
        let gradients = self
            .params
            .par_iter()
            .zip(reached)
            .map(of_param)
            .collect::<Result<_>>()?;
        Ok((value, gradients))
    }

    /// What is learnt so far, to draw with.
    fn learnt(&self) -> Result<Hooks> {
        self.hooks(&in_pool(|| self.bases())?, 1.0, Ok)
    }

    /// The hooks of all trained modules, whose tensors, in the type that is computed with, go through `leaf`.
    fn hooks(
        &self,
        bases: &[(Basis, Tensor)],
        strength: f64,
        mut leaf: impl FnMut(Tensor) -> Result<Tensor>,
    ) -> Result<Hooks> {
        let (device, precise) = (self.unet.device(), para::working_dtype(self.unet.dtype()));
        let mut hooks = Hooks::none();
        for (index, site) in self.sites.iter().enumerate() {
            let hook: Arc<dyn Hook> = match self.options.method {
                Method::Para { .. } => {
                    let q = leaf(bases[index].1.clone())?;
                    Arc::new(ParaHook { q, strength })
                }
                Method::Lora { alpha } => {
                    let mut half = |param: &Param| {
                        let tensor = Tensor::from_slice(&param.value, param.shape.as_slice(), &Device::Cpu)?;
                        leaf(tensor.to_dtype(precise)?.to_device(device)?)
                    };
                    let (down, up) = (half(&self.params[2 * index])?, half(&self.params[2 * index + 1])?);
                    let scale = alpha / self.options.rule.rank as f64;
                    Arc::new(LoraHook { down, up, scale })
                }
            };
            hooks.insert(site.path.clone(), hook);
        }
        Ok(hooks)
    }

    /// B = Q·R of every PaRa in training, with Q in the type that is computed with, on all threads; nothing for LoRA.
    fn bases(&self) -> Result<Vec<(Basis, Tensor)>> {
        let Method::Para { .. } = self.options.method else {
            return Ok(Vec::new());
        };
        let precise = para::working_dtype(self.unet.dtype());
        let basis = |param: &Param| {
            let values: Vec<f64> = param.value.iter().map(|v| f64::from(*v)).collect();
            let basis =
                Basis::new(&values, param.shape[0], param.shape[1]).context(|| format!("module {}", param.name))?;
            let q = basis.q(precise)?.to_device(self.unet.device())?;
            Ok((basis, q))
        };
        self.params.par_iter().map(basis).collect()
    }

    /// The loss on a batch through hooks, and its gradient with respect to each leaf that it reaches.
    fn flow(&self, batch: &Batch, hooks: &Hooks, leaves: &[Var]) -> Result<(f64, Vec<Option<Tensor>>)> {
        let (device, model) = (self.unet.device(), self.unet.dtype());
        let precise = para::working_dtype(model);
        let latents = batch.latents.to_device(device)?.to_dtype(precise)?;
        let noise = batch.noise.to_device(device)?.to_dtype(precise)?;
        let noisy = self.schedule.add_noise(&latents, &noise, &batch.timesteps)?;
        let target = self.schedule.target(&latents, &noise, &batch.timesteps)?;
        let timesteps: Vec<f32> = batch.timesteps.iter().map(|t| *t as f32).collect();
        let timesteps = Tensor::new(timesteps, device)?;
        let states = batch.states.to_device(device)?;
        let pass = self.unet.pass(&noisy, &timesteps, &states, batch.added.as_ref())?;
        let mut value = 0.0;
        let loss = |output: &Tensor| {
            let loss = self.loss(batch, output, &target)?;
            value = loss.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            if !value.is_finite() {
                bail!("the loss is {value} in step {}", self.losses.len() + 1; help: "lower lr, or train in f32");
            }
            Ok(loss)
        };
        let gradients = backward::gradients(&pass, hooks, leaves, self.recomputes, loss)?;
        Ok((value, gradients))
    }

    /// The mean squared error of the model's output, a scalar in f32 (f64 for an f64 model).
    fn loss(&self, batch: &Batch, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        let precise = para::working_dtype(self.unet.dtype());
        let error = (output.to_dtype(precise)? - target)?.sqr()?;
        let Some(gamma) = self.options.snr_gamma else {
            return Ok(error.mean_all()?);
        };
        let kind = self.schedule.config().prediction_type;
        let alphas = self.schedule.alphas_cumprod();
        let weight = |t: &usize| {
            // Timesteps were checked by the schedule above.
            let alpha = alphas.get(*t).copied().unwrap_or(0.0);
            let snr = alpha / (1.0 - alpha).max(1e-12);
            match kind {
                Prediction::Epsilon => snr.min(gamma) / snr.max(1e-12),
                Prediction::VPrediction => snr.min(gamma) / (snr + 1.0),
                Prediction::Sample => snr.min(gamma),
            }
        };
        let weights: Vec<f64> = batch.timesteps.iter().map(weight).collect();
        let weights = Tensor::new(weights, self.unet.device())?
            .to_dtype(precise)?
            .reshape(((), 1, 1, 1))?;
        Ok(error.broadcast_mul(&weights)?.mean_all()?)
    }
}
