//! The models against reference values from diffusers, transformers and PyTorch.

mod common;
mod noise;
mod unet;
mod weights;
