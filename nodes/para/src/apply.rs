//! `para/apply`.

use diffusion::adapter::apply::Options;
use diffusion::adapter::{Adapter, combine};
use diffusion::choice::Mode;
use diffusion::value::Model;
use sdk::prelude::*;
use std::sync::Arc;

/// Applies PaRas to a model: W becomes W − s·QQᵀW in each layer they name.
///
/// Several PaRas are merged first, or applied one after another in the order of the list. LoRAs that the model
/// already has stay after the PaRas, unless lora/apply put them before.
#[node("para/apply", lazy, outputs(model = "The model without those directions"))]
fn apply(
    context: &Context,
    /// The model
    model: &Model,
    /// PaRas, in order
    adapters: Vec<&Adapter>,
    /// Share of the directions that is removed: 0 nothing, 1 all
    #[default(1.0)]
    #[range(0..=1)]
    strength: f64,
    /// Merge them, or apply one after another
    #[default("merge")]
    mode: Mode,
    /// Accept layers that the model does not have
    #[default(false)]
    allow_partial: bool,
) -> Result<Model> {
    let paras = crate::paras(&adapters)?;
    let adapter = match (mode, paras.as_slice()) {
        (Mode::Merge, [_, _, ..]) => {
            // A list that was kept apart on purpose (para/combine, sequential) stays apart.
            if adapters.iter().any(|a| a.paras().len() > 1) {
                sdk::bail!("a sequential combination cannot be merged"; help: "set `mode` of this node to sequential");
            }
            let (merged, report) = combine::merge(&paras, None, combine::Cap::Warn)?;
            context.info(report.to_string());
            Adapter::Para(merged)
        }
        (_, [one]) => Adapter::Para((*one).clone()),
        _ => Adapter::ParaSequence(combine::sequential(&paras, None)?.0),
    };
    let options = Options {
        strength,
        allow_partial,
        ..Options::default()
    };
    let _room = context.reserve(model.unet.changed_bytes(&adapter))?;
    let (unet, coverage) = model.unet.apply(Arc::new(adapter), options)?;
    context.info(coverage.to_string());
    for warning in &coverage.warnings {
        context.warn(warning.clone());
    }
    Ok(Model { unet, ..model.clone() })
}
