//! Latents.

use sdk::candle_core::{DType, Device, Tensor, safetensors};
use sdk::{Error, Port, Result};

/// Latents as the UNet sees them: (n, c, h, w), scaled by the VAE's `scaling_factor`. Port type `latent`.
#[derive(Clone, Debug)]
pub struct Latent(pub Tensor);

impl Port for Latent {
    const NAME: &'static str = "latent";

    fn encode(&self) -> Result<Option<Vec<u8>>> {
        Tensor::encode(&self.0.to_device(&Device::Cpu)?.to_dtype(DType::F32)?)
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut tensors = safetensors::load_buffer(bytes, &Device::Cpu)?;
        tensors
            .remove("tensor")
            .map(Self)
            .ok_or_else(|| Error::msg("no tensor in a stored latent"))
    }

    fn size(&self) -> usize {
        self.0.elem_count() * self.0.dtype().size_in_bytes()
    }
}
