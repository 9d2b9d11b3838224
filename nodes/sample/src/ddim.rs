//! `sample/ddim`.

use diffusion::ddim;
use diffusion::layer::Hooks;
use diffusion::noise::Generator;
use diffusion::sampler::{self, Sampling};
use diffusion::train;
use diffusion::value::{Latent, Model, TextConditioning};
use sdk::prelude::*;
use std::time::{Duration, Instant};

/// Previews come at most so often.
const OFTEN: Duration = Duration::from_millis(250);

/// Draws latents with DDIM (Song et al., 2021) and classifier-free guidance.
///
/// The starting noise is torch.randn of the whole batch from the seed on the CPU, so a seed means here what it
/// means in diffusers and ComfyUI. With `latent` it is image to image: the latent is noised as far as `strength`
/// says and drawn anew from there.
#[node("sample/ddim", outputs(latent = "Latents, one for each picture"))]
fn ddim(
    context: &Context,
    /// The model
    model: &Model,
    /// What to draw
    conditioning: &TextConditioning,
    /// Latents to start from (image to image)
    latent: Option<&Latent>,
    /// Denoising steps
    #[default(50)]
    #[range(1..=1000)]
    steps: usize,
    /// How far to go from the negative prompt to the prompt and beyond; up to 1 the prompt alone counts
    #[default(7.5)]
    #[range(0..=1000)]
    guidance: f64,
    /// Fresh noise in each step: 0 none (DDIM), 1 as much as DDPM
    #[default(0.0)]
    #[range(0..=1)]
    eta: f64,
    /// Seed of the noise
    #[default(0)]
    seed: u64,
    /// Width in pixels; null: the model's own
    #[range(1..=16384)]
    width: Option<usize>,
    /// Height in pixels; null: the model's own
    #[range(1..=16384)]
    height: Option<usize>,
    /// Pictures drawn together
    #[default(1)]
    #[range(1..=1024)]
    batch: usize,
    /// With `latent`: how much of the way is drawn anew
    #[default(1.0)]
    #[range(0..=1)]
    strength: f64,
) -> Result<Latent> {
    let unet = &model.unet.unet;
    let factor = model.vae_factor;
    if latent.is_some() && (width.is_some() || height.is_some()) {
        sdk::bail!("`width` and `height` cannot be set together with `latent`, which has a size of its own";
                   help: "set them to null, or resize the picture before vae/encode");
    }
    let start = latent.map(|latent| repeated(&latent.0, batch)).transpose()?;
    let (rows, channels, height, width) = match &start {
        Some(start) => start.dims4()?,
        None => {
            let (height, width) = (height.unwrap_or(model.size.0), width.unwrap_or(model.size.1));
            if height == 0 || width == 0 || height % factor != 0 || width % factor != 0 {
                sdk::bail!("pictures of {width} x {height} cannot be drawn: expected multiples of {factor}");
            }
            (batch, unet.config().in_channels, height / factor, width / factor)
        }
    };
    let scheduler = ddim::Ddim::new(model.scheduler.clone(), steps)?;
    let mut generator = Generator::manual_seed(seed);
    let noise = generator
        .randn((rows, channels, height, width))?
        .to_device(unet.device())?;
    let timesteps = match &start {
        Some(_) => scheduler.timesteps_from(strength)?,
        None => scheduler.timesteps(),
    };
    let (Some(&first), size) = (timesteps.first(), (height * factor, width * factor)) else {
        // Strength 0: nothing is drawn anew.
        return start.map(Latent).ok_or_else(|| Error::msg("there is no step to draw"));
    };
    let latents = match &start {
        Some(start) => scheduler.add_noise(&start.to_device(unet.device())?, &noise, &vec![first; rows])?,
        None => noise,
    };
    let (prompt, negative) = conditioning.for_size(size.0, size.1, unet.device())?;
    let sampling = Sampling {
        unet,
        hooks: &Hooks::none(),
        ddim: &scheduler,
        timesteps,
        prompt: &prompt,
        negative: Some(&negative),
        guidance,
        eta,
    };
    let copies = if guidance > 1.0 { 2 * rows } else { rows };
    let tokens = prompt.states.dim(1)?;
    let needed = train::sampling_bytes(unet, copies, (height, width), tokens)?;
    let mut room = context.reserve_with(|| needed + unet.missing_panels())?;
    context.progress(0, timesteps.len(), "");
    let mut shown: Option<Instant> = None;
    let drawn = sampler::sample(&sampling, &latents, &mut generator, &mut |step| {
        context.progress(step.done, step.total, "");
        // What the first step made counts with the model.
        room.shrink(needed);
        if context.previews() && shown.is_none_or(|at| at.elapsed() >= OFTEN) {
            shown = Some(Instant::now());
            let picture = model
                .colours
                .as_ref()
                .map(|colours| colours.picture(&step.clean.get(0)?));
            if let Some(Ok(picture)) = picture {
                context.preview(step.done, "", picture);
            }
        }
        context.check()
    })?;
    Ok(Latent(drawn))
}

/// The rows of a latent, `batch` times.
fn repeated(latent: &Tensor, batch: usize) -> Result<Tensor> {
    Ok(Tensor::cat(&vec![latent; batch], 0)?)
}
