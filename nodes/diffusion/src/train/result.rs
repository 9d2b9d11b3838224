//! The adapter that a training has made.

use super::{Method, Trainer};
use crate::adapter::Adapter;
use crate::adapter::apply::{FINGERPRINT, Target, fingerprint};
use crate::adapter::lora::{Lora, LoraModule};
use crate::adapter::names::{ModuleName, Part};
use crate::adapter::para::Para;
use crate::linalg;
use sdk::candle_core::DType;
use sdk::{Error, Result, ResultExt};
use std::collections::BTreeMap;

impl Trainer {
    /// What is learnt so far.
    ///
    /// # Errors
    /// Only those of the conversion.
    pub fn adapter(&self) -> Result<Adapter> {
        let mut info = self.options.info.clone();
        let rule = self.options.rule;
        for (key, value) in [
            ("rank", rule.rank.to_string()),
            ("gamma", rule.gamma.to_string()),
            ("gamma_scope", rule.scope.name().to_string()),
            ("subset", self.options.subset.to_string()),
            ("steps", self.losses.len().to_string()),
            ("lr", self.options.lr.to_string()),
            ("batch", self.options.batch.to_string()),
            ("seed", self.options.seed.to_string()),
        ] {
            info.insert(format!("para.{key}"), value);
        }
        match self.options.method {
            Method::Para { sigma, .. } => {
                info.insert("para.init".into(), format!("gauss {sigma}"));
                let mut modules = BTreeMap::new();
                for (name, b) in self.weights()? {
                    let (q, _) = linalg::qr(&linalg::matrix(&b)?).context(|| format!("module {name}"))?;
                    modules.insert(name, linalg::tensor(&q, DType::F32)?);
                }
                let target = Target {
                    part: Part::Unet,
                    layout: Some(&self.layout),
                    base: self.unet.tensors(),
                };
                info.insert(FINGERPRINT.into(), fingerprint(&target, modules.keys())?);
                let mut para = Para::new(modules, DType::F32)?;
                para.layout = Some(self.layout.clone());
                para.info = info;
                Ok(Adapter::Para(para))
            }
            Method::Lora { alpha } => {
                info.insert("ss_network_dim".into(), rule.rank.to_string());
                info.insert("ss_network_alpha".into(), alpha.to_string());
                let weights = self.weights()?;
                let mut modules = BTreeMap::new();
                for site in &self.sites {
                    let half = |name: &str| {
                        weights
                            .get(&format!("{}.{name}", site.path))
                            .cloned()
                            .ok_or_else(|| Error::msg("a trained tensor is missing"))
                    };
                    let (down, mut up) = (half("down")?, half("up")?);
                    if site.convolution {
                        up = up.reshape(((), site.rank, 1, 1))?;
                    }
                    let share = site.rank as f64 / rule.rank as f64;
                    let module = LoraModule::new(down, up, None, Some(alpha * share))?;
                    modules.insert(ModuleName::unet(site.path.clone()), module);
                }
                Ok(Adapter::Lora(Lora {
                    modules,
                    layout: Some(self.layout.clone()),
                    info,
                }))
            }
        }
    }
}
