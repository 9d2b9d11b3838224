//! Samples of a training: what a model draws with what is learnt so far.

use crate::ddim::Ddim;
use crate::layer::Hooks;
use crate::noise::Generator;
use crate::pictures;
use crate::sampler::{self, Sampling};
use crate::text::TextEncoders;
use crate::vae::Vae;
use crate::value::{Model, TextConditioning};
use sdk::{Context, Error, Image, Result};
use std::time::{Duration, Instant};

/// Steps of a sample: enough to see what is learnt.
const STEPS: usize = 20;
/// Guidance of a sample.
const GUIDANCE: f64 = 7.5;
/// Unasked samples may take one part in so many of the training's time.
const SHARE: u32 = 10;

/// Draws samples of a training. They use a generator of their own: a training with samples and one without give the
/// same bytes.
pub struct Show<'a> {
    /// The model that learns.
    pub model: &'a Model,
    /// Its text encoders.
    pub text: &'a TextEncoders,
    /// Its autoencoder.
    pub vae: &'a Vae,
    /// What to draw.
    pub prompt: &'a str,
    /// Seed of the samples' noise.
    pub seed: u64,
}

impl Show<'_> {
    /// One picture by the model with what is learnt so far. The training waits meanwhile, so what it reserved has room for it.
    ///
    /// # Errors
    /// Those of the model, and cancellation.
    pub(super) fn draw(&self, context: &Context, learnt: &Hooks) -> Result<Image> {
        let unet = &*self.model.unet.unet;
        let (height, width) = self.model.size;
        let conditioning = TextConditioning {
            positive: self.text.encode(self.prompt)?,
            negative: self.text.encode_negative(None)?,
        };
        let (prompt, negative) = conditioning.for_size(height, width, unet.device())?;
        let ddim = Ddim::new(self.model.scheduler.clone(), STEPS)?;
        let mut generator = Generator::manual_seed(self.seed);
        let (factor, channels) = (self.model.vae_factor, unet.config().in_channels);
        let noise = generator.randn((1, channels, height / factor, width / factor))?;
        let sampling = Sampling {
            unet,
            hooks: learnt,
            ddim: &ddim,
            timesteps: ddim.timesteps(),
            prompt: &prompt,
            negative: Some(&negative),
            guidance: GUIDANCE,
            eta: 0.0,
        };
        let latents = sampler::sample(&sampling, &noise, &mut generator, &mut |_| context.check())?;
        let pixels = self.vae.decode(&self.vae.unscale(&latents)?)?;
        let mut pictures = pictures::from_tensor(&pixels)?.items;
        pictures.pop().ok_or_else(|| Error::msg("the sample has no picture"))
    }
}

/// When an unasked sample is due: so seldom that samples take a small share of the time.
pub(super) struct Pace {
    last: Instant,
    took: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            last: Instant::now(),
            took: Duration::ZERO,
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.last.elapsed() >= self.took * SHARE
    }

    pub(super) fn drawn(&mut self, since: Instant) {
        self.took = since.elapsed();
        self.last = Instant::now();
    }
}
