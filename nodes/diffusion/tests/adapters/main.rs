//! Adapters and training against reference values from torch, diffusers, PEFT and kohya's files.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests panic and print as tests do"
)]

mod combine;
mod common;
mod files;
mod golden;
mod memory;
mod names;
mod through_unet;
mod training;
