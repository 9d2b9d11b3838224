//! `vae/decode`.

use diffusion::pictures;
use diffusion::value::{Latent, VaeModel};
use sdk::prelude::*;

/// Decodes latents into pictures.
#[node("vae/decode", outputs(images = "Pictures, one for each latent"))]
fn decode(
    context: &Context,
    /// The autoencoder
    vae: &VaeModel,
    /// Latents, scaled as the UNet sees them
    latent: &Latent,
) -> Result<Images> {
    let vae = &vae.0;
    let total = latent.0.dim(0)?;
    let (_, _, height, width) = latent.0.dims4()?;
    let factor = vae.config().factor();
    let _room = context.reserve_with(|| vae.working_bytes(height * factor, width * factor))?;
    let mut images = Images::default();
    for index in 0..total {
        context.check()?;
        let pixels = vae.decode(&vae.unscale(&latent.0.narrow(0, index, 1)?)?)?;
        images.items.extend(pictures::from_tensor(&pixels)?.items);
        context.progress(index + 1, total, "");
    }
    Ok(images)
}
