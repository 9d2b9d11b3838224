//! `para/combine`.

use diffusion::adapter::{Adapter, combine as joint};
use diffusion::choice::{Cap, GammaScope, Mode};
use diffusion::value::Model;
use sdk::Cell;
use sdk::prelude::*;

/// Combines PaRas of several subjects into one adapter.
///
/// `merge` removes the joint span of their directions: order does not count, combining an adapter with itself
/// changes nothing, and the result is one PaRa. `sequential` projects one after another as in the paper's
/// equation 7: order counts, fewer directions go, and the result is a list that only sequential application keeps.
///
/// The report says for each layer how much the adapters overlap (cosines of principal angles) and where the joint
/// rank exceeds the cap.
#[node(
    "para/combine",
    outputs(adapter = "The combination", report = "Ranks and overlap by layer")
)]
fn combine(
    context: &Context,
    /// The model they were trained on
    model: &Model,
    /// PaRas, in order
    adapters: Vec<&Adapter>,
    /// One joint projection, or one after another
    #[default("merge")]
    mode: Mode,
    /// What to do where the joint rank exceeds the cap
    #[default("warn")]
    cap: Cap,
    /// The cap, as a share of a weight's rank
    #[default(0.025)]
    #[range(0..=1)]
    gamma: f64,
    /// Layers that the cap holds for
    #[default("conv")]
    gamma_scope: GammaScope,
) -> Result<(Adapter, Table)> {
    let paras = crate::paras(&adapters)?;
    let boundary = joint::Boundary {
        base: model.unet.base.tensors(),
        gamma,
        scope: gamma_scope.into(),
    };
    let (adapter, report) = match mode {
        Mode::Merge => {
            let (merged, report) = joint::merge(&paras, Some(boundary), cap.into())?;
            (Adapter::Para(merged), report)
        }
        Mode::Sequential => {
            let (list, report) = joint::sequential(&paras, Some(boundary))?;
            (Adapter::ParaSequence(list), report)
        }
    };
    context.info(report.to_string());
    let mut table = Table::new([
        "module",
        "ranks",
        "joint",
        "rank",
        "max_cosine",
        "overlap",
        "boundary",
        "exceeded",
    ]);
    for row in &report.rows {
        let ranks: Vec<String> = row.ranks.iter().map(usize::to_string).collect();
        table.push([
            Cell::from(row.module.as_str()),
            ranks.join(" + ").into(),
            row.joint.into(),
            row.rank.into(),
            row.max_cosine.into(),
            row.overlap.into(),
            row.boundary.map_or(Cell::from("none"), Cell::from),
            if row.exceeded { "yes" } else { "no" }.into(),
        ]);
    }
    Ok((adapter, table))
}
