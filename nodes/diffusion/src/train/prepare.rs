//! From pictures and prompts to what a training learns from.

use super::{Prediction, Schedule, TrainData};
use crate::ddim::{self, Ddim};
use crate::pictures;
use crate::text::TextEncoders;
use crate::vae::Vae;
use crate::value::Model;
use sdk::{Context, Fit, Images, Result, bail};
use std::collections::HashMap;

impl Schedule {
    /// The schedule that a model was trained with.
    ///
    /// # Errors
    /// A model that predicts the picture itself, which the losses here do not cover.
    pub fn of(model: &Model) -> Result<Self> {
        let ddim = Ddim::for_training(model.scheduler.clone());
        let prediction = match ddim.config().prediction_type {
            ddim::Prediction::Epsilon => Prediction::Epsilon,
            ddim::Prediction::VPrediction => Prediction::Velocity,
            ddim::Prediction::Sample => bail!("models that predict the picture itself cannot be trained here"),
        };
        Ok(Self { alphas_cumprod: ddim.alphas_cumprod().to_vec(), prediction })
    }
}

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
        if resolution == 0 || resolution % factor != 0 {
            bail!("resolution {resolution} does not suit the model: expected a multiple of {factor}");
        }
        let sized: Result<Vec<_>> =
            images.items.iter().map(|i| i.resized(resolution, resolution, Fit::Crop)).collect();
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
        let prompts: Vec<_> =
            images.items.iter().map(|image| encoded[image.caption.as_deref().unwrap_or(prompt)].clone()).collect();
        let mut data = Self::encode(vae, &pixels.to_device(vae.device())?, &prompts)?;
        let device = model.unet.unet.device();
        for tensor in [&mut data.mean, &mut data.std, &mut data.states] {
            *tensor = tensor.to_device(device)?;
        }
        for tensor in [&mut data.pooled, &mut data.time_ids].into_iter().flatten() {
            *tensor = tensor.to_device(device)?;
        }
        Ok(data)
    }
}
