//! Nodes about PaRa: personalising by removing directions from a model's weights (Chen et al., ICLR 2025).

mod apply;
mod combine;
mod train;

use apply::Apply;
use combine::Combine;
use sdk::Result;
use train::Train;

diffusion::plugin![Train, Apply, Combine];

/// The PaRas of all adapters in order; anything else is refused.
fn paras<'a>(adapters: &[&'a diffusion::adapter::Adapter]) -> Result<Vec<&'a diffusion::adapter::para::Para>> {
    let mut all = Vec::new();
    for (index, adapter) in adapters.iter().enumerate() {
        if adapter.paras().is_empty() {
            sdk::bail!("input `adapters`: number {} is a {}, expected a PaRa", index + 1, adapter.kind();
                       help: "apply it with lora/apply");
        }
        all.extend(adapter.paras());
    }
    Ok(all)
}
