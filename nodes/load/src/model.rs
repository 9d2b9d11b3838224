//! `load/model`.

use diffusion::folder::ModelFolder;
use diffusion::value::{Text, VaeModel};
use sdk::prelude::*;
use std::sync::Arc;

sdk::choice! {
    /// The numbers that weights are kept in.
    pub enum Precision {
        /// f32 on the CPU, f16 on a GPU.
        Auto = "auto",
        /// 32 bits.
        F32 = "f32",
        /// 16 bits, GPU only.
        F16 = "f16",
        /// 16 bits with the range of 32. On the CPU for the UNet's weights: half the memory, and fast with AVX-512-BF16 or AMX.
        Bf16 = "bf16",
    }
}

sdk::choice! {
    /// What computes.
    pub enum Where {
        /// A GPU if this build has one, else the CPU.
        Auto = "auto",
        /// The CPU.
        Cpu = "cpu",
        /// The first CUDA GPU.
        Cuda = "cuda",
    }
}

/// Loads a text-to-image model: a diffusers folder of SDXL or Stable Diffusion 1.x.
///
/// Configuration, tokenizers and weights (f32, f16 or bf16) are read from the folder that holds
/// `model_index.json`. Single-file checkpoints are not read yet.
#[node(
    "load/model",
    lazy,
    outputs(
        model = "The UNet with its schedule",
        text = "The text encoders",
        vae = "The autoencoder"
    )
)]
fn model(
    context: &Context,
    /// The folder that holds model_index.json
    path: InputPath,
    /// Numbers that weights are kept in
    #[default("auto")]
    precision: Precision,
    /// What computes
    #[default("auto")]
    device: Where,
) -> Result<(diffusion::value::Model, Text, VaeModel)> {
    let device = open(device)?;
    let dtype = match precision {
        Precision::Auto if device.is_cpu() => DType::F32,
        Precision::Auto | Precision::F16 => DType::F16,
        Precision::Bf16 => DType::BF16,
        Precision::F32 => DType::F32,
    };
    if device.is_cpu() && dtype == DType::F16 {
        sdk::bail!("precision f16 needs a GPU: the CPU computes in f32 or bf16";
            help: "leave `precision` at auto (16-bit files are widened when they are read), or use bf16");
    }
    let folder = ModelFolder::open(&*path)?;
    let _room = context.reserve(folder.count()? * dtype.size_in_bytes())?;
    let model = diffusion::value::Model::load(&folder, dtype, &device)?;
    context.check()?;
    // On the CPU only the UNet, which is nearly all of a model, takes bf16.
    let of_text = if device.is_cpu() { DType::F32 } else { dtype };
    let text = folder.text(of_text, &device)?;
    let vae = Arc::new(folder.vae(&device)?);
    Ok((model.with_colours(vae.clone()), Text::new(text), VaeModel(vae)))
}

fn open(device: Where) -> Result<Device> {
    match device {
        Where::Cpu => Ok(Device::Cpu),
        Where::Auto => Ok(Device::cuda_if_available(0)?),
        Where::Cuda => Device::new_cuda(0)
            .help(|| "build with `--features diffusion/cuda` on a machine with CUDA, or use device cpu"),
    }
}
