//! `vae/encode`.

use diffusion::pictures;
use diffusion::value::{Latent, VaeModel};
use sdk::prelude::*;

/// Encodes pictures of one size into latents: the most likely ones, scaled for the UNet.
#[node("vae/encode", outputs(latent = "Latents, one for each picture"))]
fn encode(
    context: &Context,
    /// The autoencoder
    vae: &VaeModel,
    /// Pictures of one size, which the autoencoder's factor divides
    images: &Images,
) -> Result<Latent> {
    let vae = &vae.0;
    let pixels = pictures::to_tensor(images, vae.config().factor())?;
    let (_, _, height, width) = pixels.dims4()?;
    let _room = context.reserve_with(|| vae.working_bytes(height, width))?;
    let mut latents = Vec::new();
    for index in 0..images.items.len() {
        context.check()?;
        latents.push(vae.scale(&vae.encode(&pixels.narrow(0, index, 1)?)?.mode())?);
        context.progress(index + 1, images.items.len(), "");
    }
    Ok(Latent(Tensor::cat(&latents, 0)?))
}
