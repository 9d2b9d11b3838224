//! `adapter/save`.

use diffusion::adapter::Adapter;
use diffusion::adapter::names::UnetLayout;
use diffusion::value::Model;
use sdk::OutputPath;
use sdk::prelude::*;

sdk::choice! {
    /// What kind of file is written.
    pub enum Format {
        /// The adapter's own: Q for a PaRa, which re-projects exactly on any base.
        Native = "native",
        /// An exact LoRA for one base under kohya's names, which ComfyUI and diffusers load.
        Lora = "lora",
    }
}

sdk::choice! {
    /// The numbers in the file.
    pub enum Precision {
        /// 16 bits.
        F16 = "f16",
        /// 32 bits.
        F32 = "f32",
    }
}

/// Saves an adapter as a .safetensors file.
///
/// `lora` writes a PaRa as the LoRA −Q·(QᵀW) of the linked model: exact for that base, and only for it. Export
/// merged PaRas rather than stacking exported files, which would add where PaRas project.
#[node("adapter/save", effect, outputs(file = "The written file"))]
fn save(
    context: &Context,
    /// The adapter
    adapter: &Adapter,
    /// The base that a LoRA export is exact for
    model: Option<&Model>,
    /// The file, ending in .safetensors
    path: OutputPath,
    /// The adapter's own format, or an exact LoRA
    #[default("native")]
    format: Format,
    /// Numbers in the file
    #[default("f16")]
    precision: Precision,
) -> Result<Files> {
    if path.extension().is_none_or(|e| e != "safetensors") {
        sdk::bail!("parameter `path`: {} does not end in .safetensors", path.display());
    }
    let dtype = match precision {
        Precision::F16 => DType::F16,
        Precision::F32 => DType::F32,
    };
    let layout = model.map(|model| UnetLayout::from(model.unet.base.config()));
    let bytes = match (format, model, &layout) {
        (Format::Native, _, _) => adapter.file_bytes(layout.as_ref(), Some(dtype))?,
        (Format::Lora, Some(model), Some(layout)) => adapter.lora_bytes(model.unet.base.tensors(), layout, dtype)?,
        (Format::Lora, ..) => sdk::bail!("a LoRA is exact for one model, and none is linked";
                                         help: "link `model` of load/model to this node's `model`"),
    };
    context.claim(&path, &bytes)?;
    let mut files = Files::default();
    files.write(&path, &bytes)?;
    Ok(files)
}
