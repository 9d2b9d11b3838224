//! `load/adapter`.

use sdk::prelude::*;

/// Loads an adapter: a PaRa file, a LoRA as kohya or diffusers write it, or a PEFT folder.
///
/// Kind and format are recognised by content. What cannot be applied faithfully is refused by name.
#[node("load/adapter", outputs(adapter = "The adapter"))]
fn adapter(
    context: &Context,
    /// A .safetensors file, or a PEFT folder with adapter_config.json
    path: InputPath,
) -> Result<diffusion::adapter::Adapter> {
    let adapter = diffusion::adapter::Adapter::open(&path)?;
    context.info(format!(
        "{}: {} modules, rank {}, {} parameters",
        adapter.kind(),
        adapter.modules().len(),
        adapter.rank(),
        adapter.parameters()
    ));
    Ok(adapter)
}
