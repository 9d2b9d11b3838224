//! The models against reference values from diffusers, transformers and PyTorch.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures for `--nocapture`"
)]

mod clip;
mod common;
mod ddim;
mod folder;
mod noise;
mod sampler;
mod text;
mod tokenizer;
mod unet;
mod vae;
mod weights;
