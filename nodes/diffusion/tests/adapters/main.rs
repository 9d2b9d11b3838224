//! Adapters and training against reference values from torch, diffusers, PEFT and kohya's files.

mod combine;
mod common;
mod files;
mod golden;
mod names;
mod through_unet;
mod training;
