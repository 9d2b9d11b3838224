//! What travels along the links of a diffusion graph. These types are shared by all node crates.

mod colours;
mod conditioning;
mod latent;
mod model;

pub use colours::Colours;
pub use conditioning::TextConditioning;
pub use latent::Latent;
pub use model::{Model, Text, VaeModel};

use crate::adapter::Adapter;
use sdk::{Port, Result};

impl Port for Adapter {
    const NAME: &'static str = "adapter";

    fn encode(&self) -> Result<Option<Vec<u8>>> {
        self.to_bytes().map(Some)
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes(bytes)
    }

    fn size(&self) -> usize {
        4 * self.parameters()
    }
}
