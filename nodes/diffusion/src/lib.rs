//! Diffusion models, schedulers, adapters and their kernels on candle. No node in sight: nodes are thin and live in `nodes/*`.

mod kernels;
pub mod layer;
pub mod ops;
