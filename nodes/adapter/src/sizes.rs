//! `adapter/sizes`.

use diffusion::adapter::subset::{self, RankRule};
use diffusion::choice::GammaScope;
use diffusion::unet::{UnetConfig, module_shapes};
use sdk::Cell;
use sdk::prelude::*;
use std::fs;

sdk::choice! {
    /// Models whose shapes are known without a file.
    pub enum Known {
        /// SDXL 1.0.
        Sdxl = "sdxl",
        /// Stable Diffusion 1.5.
        Sd15 = "sd15",
    }
}

/// Counts modules and parameters of the eight subsets at several ranks, for PaRa and LoRA (Table 3 of the paper).
///
/// Only the shapes of the UNet's layers are needed, so no weights are read.
#[node("adapter/sizes", outputs(table = "subset, modules, rank, para, lora"))]
fn sizes(
    /// A model whose shapes are known
    #[default("sdxl")]
    model: Known,
    /// A diffusers folder instead
    path: Option<InputPath>,
    /// Ranks
    ranks: Vec<String>,
    /// Cap of a layer's rank, as a share of its weight's rank
    #[default(0.025)]
    #[range(0..=1)]
    gamma: f64,
    /// Layers that the cap holds for
    #[default("conv")]
    gamma_scope: GammaScope,
) -> Result<Table> {
    let config = match (path, model) {
        (Some(path), _) => {
            let file = path.join("unet/config.json");
            let text = fs::read_to_string(&file).context(|| format!("cannot read {}", file.display()));
            let text = text.help(|| "give sdxl, sd15, or a diffusers folder (the one that holds model_index.json)")?;
            UnetConfig::from_json(&text).context(|| file.display().to_string())?
        }
        (None, Known::Sdxl) => UnetConfig::sdxl(),
        (None, Known::Sd15) => UnetConfig::sd15(),
    };
    let modules = module_shapes(&config)?;
    let mut table = Table::new(["subset", "modules", "rank", "para", "lora"]);
    for subset in subset::Subset::ALL {
        for rank in &ranks {
            let rank: usize = rank
                .parse()
                .context(|| format!("parameter `ranks`: {rank:?} is no rank"))?;
            let rule = RankRule {
                rank,
                gamma,
                scope: gamma_scope.into(),
            };
            let shapes = modules.iter().map(|m| (m.path.as_str(), m.shape.as_slice()));
            let found = subset::sizes(shapes, subset, rule)?;
            let name = Cell::from(subset.name());
            table.push([
                name,
                found.modules.into(),
                rank.into(),
                found.para.into(),
                found.lora.into(),
            ]);
        }
    }
    Ok(table)
}
