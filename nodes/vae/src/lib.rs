//! Nodes between pictures and latents.

mod decode;
mod encode;

use decode::Decode;
use encode::Encode;

diffusion::plugin![Encode, Decode];
