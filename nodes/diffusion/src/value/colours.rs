//! What latents look like without decoding them: a linear map to colours, taken from the model's own autoencoder.

use crate::kernels::packed::once;
use crate::vae::Vae;
use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Error, Fit, Image, Result};
use std::sync::{Arc, OnceLock};

/// Side of the patches that the map is measured on, in latents: wide enough that the edges do not count in the middle.
const SIDE: usize = 8;

/// Shows latents as small pictures, cheaply enough to do it while sampling.
///
/// The autoencoder decodes a flat patch for each channel once, when the first picture is wanted; from then on a
/// picture costs a few multiplications for each latent.
pub struct Colours {
    vae: Arc<Vae>,
    map: OnceLock<Option<Map>>,
}

/// Colour of a latent z: `base + Σ z[c] · rows[c]`, in [−1, 1].
struct Map {
    base: [f32; 3],
    rows: Vec<[f32; 3]>,
}

impl Colours {
    /// The colours of an autoencoder.
    pub fn new(vae: Arc<Vae>) -> Self {
        Self {
            vae,
            map: OnceLock::new(),
        }
    }

    /// One latent (c, h, w), scaled as the UNet sees it, at the size of the picture that it stands for.
    ///
    /// # Errors
    /// Latents of another autoencoder.
    pub fn picture(&self, latent: &Tensor) -> Result<Image> {
        let map = once(&self.map, || self.measure().ok()).as_ref();
        let map = map.ok_or_else(|| Error::msg("the autoencoder has no colours to show"))?;
        let (channels, height, width) = latent.dims3()?;
        if channels != map.rows.len() {
            sdk::bail!("the latent has {channels} channels, the autoencoder {}", map.rows.len());
        }
        let values: Vec<f32> = latent
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1()?;
        let area = height * width;
        let mut rgb = Vec::with_capacity(3 * area);
        for at in 0..area {
            for colour in 0..3 {
                let mixed = map.rows.iter().enumerate();
                let mixed = mixed.fold(map.base[colour], |sum, (c, row)| {
                    sum + values[c * area + at] * row[colour]
                });
                rgb.push(((mixed + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8);
            }
        }
        let factor = self.vae.config().factor();
        Image::new(width, height, rgb)?.resized(width * factor, height * factor, Fit::Stretch)
    }

    fn measure(&self) -> Result<Map> {
        let channels = self.vae.config().latent_channels;
        // Zero, then each channel up and down: the map is the slope between the two.
        let mut flat = vec![0f32; (1 + 2 * channels) * channels * SIDE * SIDE];
        for (row, patch) in flat.chunks_mut(channels * SIDE * SIDE).enumerate().skip(1) {
            let (channel, sign) = ((row - 1) / 2, if row % 2 == 1 { 1.0 } else { -1.0 });
            patch[channel * SIDE * SIDE..(channel + 1) * SIDE * SIDE].fill(sign);
        }
        let latents = Tensor::from_vec(flat, (1 + 2 * channels, channels, SIDE, SIDE), &Device::Cpu)?;
        let device = self.vae.device();
        let pixels = self.vae.decode(&self.vae.unscale(&latents.to_device(&device)?)?)?;
        // The middle half of each patch.
        let side = pixels.dim(2)?;
        let middle = pixels.narrow(2, side / 4, side / 2)?.narrow(3, side / 4, side / 2)?;
        let means: Vec<Vec<f32>> = middle.mean((2, 3))?.to_device(&Device::Cpu)?.to_vec2()?;
        let colour = |row: usize| -> Result<[f32; 3]> {
            let mean = means.get(row).map(Vec::as_slice);
            let mean: Option<[f32; 3]> = mean.and_then(|m| m.try_into().ok());
            mean.ok_or_else(|| Error::msg("the autoencoder does not give three colours"))
        };
        let rows = (0..channels).map(|channel| {
            let (up, down) = (colour(1 + 2 * channel)?, colour(2 + 2 * channel)?);
            Ok([0, 1, 2].map(|i| (up[i] - down[i]) / 2.0))
        });
        Ok(Map {
            base: colour(0)?,
            rows: rows.collect::<Result<_>>()?,
        })
    }
}
