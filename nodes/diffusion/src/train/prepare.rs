//! From pictures and prompts to what a training learns from.

use super::TrainData;
use crate::pictures;
use crate::text::TextEncoders;
use crate::vae::Vae;
use crate::value::Model;
use sdk::{Context, Fit, Images, Result, bail};
use std::collections::HashMap;

impl TrainData {
    /// Resizes and crops the pictures to `resolution` pixels, and encodes them and their captions once.
    /// A picture without a caption gets `prompt`.
    ///
    /// # Errors
    /// No picture, a resolution that the autoencoder or the UNet cannot take.
    pub fn prepare(
        context: &Context,
        model: &Model,
        (text, vae): (&TextEncoders, &Vae),
        images: &Images,
        prompt: &str,
        resolution: Option<usize>,
    ) -> Result<Self> {
        let factor = vae.config().factor();
        let resolution = resolution.unwrap_or(model.size.0.min(model.size.1));
        if resolution == 0 || !resolution.is_multiple_of(factor) {
            bail!("resolution {resolution} does not suit the model: expected a multiple of {factor}");
        }
        let _room = context.reserve_with(|| text.working_bytes() + vae.working_bytes(resolution, resolution))?;
        let sized: Result<Vec<_>> = images
            .items
            .iter()
            .map(|i| i.resized(resolution, resolution, Fit::Crop))
            .collect();
        let pixels = pictures::to_tensor(&Images { items: sized? }, factor)?;
        let mut encoded = HashMap::new();
        for image in &images.items {
            context.check()?;
            let caption = image.caption.as_deref().unwrap_or(prompt);
            if !encoded.contains_key(caption) {
                let one = text.encode(caption)?;
                if let Some(cut) = &one.truncated {
                    context.warn(format!("a caption is too long for the text encoder; left out: {cut}"));
                }
                encoded.insert(caption, one);
            }
        }
        let prompts: Vec<_> = images
            .items
            .iter()
            .map(|image| encoded[image.caption.as_deref().unwrap_or(prompt)].clone())
            .collect();
        Self::encode(vae, &pixels.to_device(model.unet.unet.device())?, &prompts)
    }
}
