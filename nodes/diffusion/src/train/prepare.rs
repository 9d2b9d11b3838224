//! From pictures and prompts to what a training learns from.

use super::{Prediction, Schedule, TrainData};
use crate::ddim::{self, Ddim};
use crate::pictures;
use crate::text::TextEncoders;
use crate::unet::Added;
use crate::vae::Vae;
use crate::value::Model;
use sdk::candle_core::Tensor;
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
        text: &TextEncoders,
        vae: &Vae,
        images: &Images,
        prompt: &str,
        resolution: usize,
    ) -> Result<Self> {
        let factor = vae.config().factor();
        if resolution == 0 || resolution % factor != 0 {
            bail!("resolution {resolution} does not suit the model: expected a multiple of {factor}");
        }
        let sized: Result<Vec<_>> =
            images.items.iter().map(|i| i.resized(resolution, resolution, Fit::Crop)).collect();
        let pixels = pictures::to_tensor(&Images { items: sized? }, factor)?;
        let device = model.unet.unet.device();
        let (mut means, mut stds, mut states, mut pooled) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut encoded = HashMap::new();
        for (index, image) in images.items.iter().enumerate() {
            context.check()?;
            let posterior = vae.encode(&pixels.narrow(0, index, 1)?.to_device(vae.device())?)?;
            means.push(posterior.mean.clone());
            stds.push((&posterior.logvar * 0.5)?.exp()?);
            let caption = image.caption.as_deref().unwrap_or(prompt);
            if !encoded.contains_key(caption) {
                let one = text.encode(caption)?;
                if let Some(cut) = &one.truncated {
                    context.warn(format!("a caption is too long for the text encoder; left out: {cut}"));
                }
                encoded.insert(caption.to_owned(), one);
            }
            let encoded = &encoded[caption];
            states.push(encoded.states.to_device(device)?);
            if let Some(p) = &encoded.pooled {
                pooled.push(p.to_device(device)?);
            }
        }
        let pooled = if pooled.is_empty() { None } else { Some(Tensor::cat(&pooled, 0)?) };
        let added = pooled.map(|pooled| Added::for_size(pooled, resolution, resolution)).transpose()?;
        Ok(Self {
            mean: Tensor::cat(&means, 0)?.to_device(device)?,
            std: Tensor::cat(&stds, 0)?.to_device(device)?,
            scaling: vae.scaling_factor(),
            shift: vae.config().shift_factor.unwrap_or(0.0),
            states: Tensor::cat(&states, 0)?,
            time_ids: added.as_ref().map(|added| added.time_ids.clone()),
            pooled: added.map(|added| added.pooled),
        })
    }
}
