//! Diffusion models, schedulers, adapters and their kernels on candle. No node in sight: nodes are thin and live in `nodes/*`.

pub mod adapter;
pub mod clip;
pub mod ddim;
pub mod folder;
pub mod layer;
pub mod linalg;
pub mod noise;
pub mod ops;
mod parts;
pub mod sampler;
pub mod text;
pub mod tokenizer;
pub mod train;
pub mod unet;
pub mod vae;
pub mod weights;
