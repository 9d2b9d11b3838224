//! Diffusion models, schedulers, adapters and their kernels on candle. No node in sight: nodes are thin and live in `nodes/*`.

pub mod layer;
pub mod noise;
pub mod ops;
mod parts;
pub mod unet;
pub mod weights;
