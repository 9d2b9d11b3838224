//! `lora/apply`.

use diffusion::adapter::Adapter;
use diffusion::adapter::apply::Options;
use diffusion::adapter::names::Part;
use diffusion::value::{Model, Text};
use sdk::prelude::*;
use std::sync::Arc;

sdk::choice! {
    /// Where a LoRA stands among the PaRas of a model.
    pub enum Order {
        /// PaRa first: W − QQᵀW + scale·ΔW.
        AfterPara = "after_para",
        /// LoRA first, so that PaRa projects it too: (I − QQᵀ)(W + scale·ΔW).
        BeforePara = "before_para",
    }
}

/// Applies LoRAs to a model, and to its text encoders where they change those.
///
/// Every tensor of the file has to find its layer; less than full coverage is an error that lists what is missing.
#[node(
    "lora/apply",
    lazy,
    outputs(model = "The model with the LoRAs", text = "The text encoders with the LoRAs")
)]
fn apply(
    context: &Context,
    /// The model
    model: &Model,
    /// Its text encoders, for LoRAs that change them
    text: Option<&Text>,
    /// LoRAs, in order
    adapters: Vec<&Adapter>,
    /// How much of the change is added
    #[default(1.0)]
    scale: f64,
    /// After the model's PaRas, or before them
    #[default("after_para")]
    order: Order,
    /// Accept layers that the model does not have
    #[default(false)]
    allow_partial: bool,
) -> Result<(Model, Text)> {
    let options = Options {
        strength: scale,
        before_para: order == Order::BeforePara,
        allow_partial,
    };
    let (mut model, mut text) = (model.clone(), text.cloned());
    let mut rooms = Vec::new();
    for (index, adapter) in adapters.into_iter().enumerate() {
        if !adapter.paras().is_empty() {
            sdk::bail!("input `adapters`: number {} is a {}, expected a LoRA", index + 1, adapter.kind();
                       help: "apply it with para/apply");
        }
        let adapter = Arc::new(adapter.clone());
        if adapter.touches(Part::Unet) {
            rooms.push(context.reserve(model.unet.changed_bytes(&adapter))?);
            let (unet, coverage) = model.unet.apply(adapter.clone(), options)?;
            context.info(coverage.to_string());
            for warning in &coverage.warnings {
                context.warn(warning.clone());
            }
            model = Model { unet, ..model };
        }
        if adapter.touches(Part::Text) || adapter.touches(Part::Text2) {
            match &text {
                Some(linked) => {
                    rooms.push(context.reserve(linked.adapted()?.changed_bytes(&adapter))?);
                    let (adapted, coverages) = linked.apply(adapter, options)?;
                    for coverage in coverages.iter().filter(|coverage| !coverage.matched.is_empty()) {
                        context.info(coverage.to_string());
                    }
                    text = Some(adapted);
                }
                None if allow_partial => {
                    context.warn("the LoRA also changes text encoders; none are linked, so that part is left out");
                }
                None => sdk::bail!("the LoRA also changes text encoders, and none are linked";
                                   help: "link `text` of load/model to this node's `text`, or set allow_partial"),
            }
        }
    }
    Ok((model, text.unwrap_or_else(Text::absent)))
}
