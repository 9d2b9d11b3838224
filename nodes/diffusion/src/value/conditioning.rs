//! Encoded prompts.

use crate::sampler::Conditioning;
use crate::text::Encoded;
use crate::unet::Added;
use sdk::candle_core::{DType, Device, Tensor, safetensors};
use sdk::{Error, Port, Result};
use std::collections::HashMap;

/// A prompt and what to stay away from, both encoded. Port type `conditioning`.
#[derive(Clone, Debug)]
pub struct TextConditioning {
    /// What to draw.
    pub positive: Encoded,
    /// What to stay away from.
    pub negative: Encoded,
}

impl TextConditioning {
    /// Both for pictures of `height` × `width` pixels, as the sampler takes them: the prompt, then the negative.
    ///
    /// # Errors
    /// Only those of the device.
    pub fn for_size(&self, height: usize, width: usize, device: &Device) -> Result<(Conditioning, Conditioning)> {
        let one = |encoded: &Encoded| -> Result<Conditioning> {
            let added = match &encoded.pooled {
                Some(pooled) => Some(Added::for_size(pooled.to_device(device)?, height, width)?),
                None => None,
            };
            Ok(Conditioning {
                states: encoded.states.to_device(device)?,
                added,
            })
        };
        Ok((one(&self.positive)?, one(&self.negative)?))
    }
}

impl Port for TextConditioning {
    const NAME: &'static str = "conditioning";

    fn encode(&self) -> Result<Option<Vec<u8>>> {
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        for (side, encoded) in [("positive", &self.positive), ("negative", &self.negative)] {
            let plain = |t: &Tensor| -> Result<Tensor> { Ok(t.to_device(&Device::Cpu)?.to_dtype(DType::F32)?) };
            tensors.push((format!("{side}.states"), plain(&encoded.states)?));
            if let Some(pooled) = &encoded.pooled {
                tensors.push((format!("{side}.pooled"), plain(pooled)?));
            }
        }
        Ok(Some(::safetensors::serialize(
            tensors.iter().map(|(name, t)| (name, t)),
            None,
        )?))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut tensors: HashMap<String, Tensor> = safetensors::load_buffer(bytes, &Device::Cpu)?;
        let mut side = |side: &str| -> Result<Encoded> {
            let states = tensors.remove(&format!("{side}.states"));
            let states = states.ok_or_else(|| Error::msg(format!("no {side} states in a stored conditioning")))?;
            Ok(Encoded {
                states,
                pooled: tensors.remove(&format!("{side}.pooled")),
                truncated: None,
            })
        };
        Ok(Self {
            positive: side("positive")?,
            negative: side("negative")?,
        })
    }
}
