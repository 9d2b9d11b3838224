//! Models in memory: known to the engine by the step that makes them, never written to the store.

use crate::adapter::apply::Applied;
use crate::adapter::model::{AdaptedUnet, adapt_text};
use crate::adapter::names::Part;
use crate::ddim::DdimConfig;
use crate::folder::{Family, ModelFolder};
use crate::text::TextEncoders;
use crate::vae::Vae;
use sdk::candle_core::{DType, Device};
use sdk::{Error, Port, Result, bail};
use std::sync::Arc;

fn not_stored<T>() -> Result<T> {
    bail!("models are not kept in the store")
}

/// A UNet with its adapters, and what sampling needs to know about its family. Port type `model`.
#[derive(Clone)]
pub struct Model {
    /// The UNet without and with adapters.
    pub unet: AdaptedUnet,
    /// The schedule it was trained with.
    pub scheduler: DdimConfig,
    /// Which pipeline it belongs to.
    pub family: Family,
    /// Height and width that it was trained for, in pixels.
    pub size: (usize, usize),
    /// Pixels for each latent along one side.
    pub vae_factor: usize,
    /// The folder's name, for reports and metadata.
    pub name: String,
}

impl Model {
    /// Loads the UNet of a folder.
    ///
    /// # Errors
    /// Missing or damaged files, tensors that do not fit the config.
    pub fn load(folder: &ModelFolder, dtype: DType, device: &Device) -> Result<Self> {
        let name = folder
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            unet: AdaptedUnet::new(Arc::new(folder.unet(dtype, device)?)),
            scheduler: folder.scheduler(),
            family: folder.family(),
            size: folder.default_size(),
            vae_factor: folder.vae_factor(),
            name,
        })
    }
}

impl Port for Model {
    const NAME: &'static str = "model";
    fn encode(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn decode(_: &[u8]) -> Result<Self> {
        not_stored()
    }
    fn size(&self) -> usize {
        let tensors = self.unet.unet.tensors().values();
        tensors
            .map(|t| t.elem_count() * t.dtype().size_in_bytes())
            .sum()
    }
}

/// Text encoders with their adapters. Port type `text`.
#[derive(Clone)]
pub struct Text {
    base: Option<Arc<TextEncoders>>,
    applied: Vec<Applied>,
    adapted: Option<Arc<TextEncoders>>,
}

impl Text {
    /// Text encoders without adapters.
    pub fn new(encoders: TextEncoders) -> Self {
        let base = Some(Arc::new(encoders));
        Self {
            adapted: base.clone(),
            applied: Vec::new(),
            base,
        }
    }

    /// What a node passes on when no text encoders were linked to it; using it is an error that says so.
    pub fn absent() -> Self {
        Self {
            base: None,
            applied: Vec::new(),
            adapted: None,
        }
    }

    /// The encoders with their adapters.
    ///
    /// # Errors
    /// When none were linked to the node this comes from.
    pub fn encoders(&self) -> Result<&Arc<TextEncoders>> {
        self.adapted.as_ref().ok_or_else(|| {
            Error::msg("the `text` output comes from a node whose `text` input is not linked").help(
                "link `text` of load/model to that node too, or use `text` of load/model directly",
            )
        })
    }

    /// The same encoders with one adapter more; says how many modules it changed.
    ///
    /// # Errors
    /// Modules that the encoders do not have, unless the options allow it.
    pub fn apply(&self, applied: Applied) -> Result<(Self, usize)> {
        let base = self
            .base
            .as_ref()
            .ok_or_else(|| Error::msg("no text encoders are linked"))?;
        let mut all = self.applied.clone();
        all.push(applied.clone());
        let mut encoders = (**base).clone();
        let mut changed = 0;
        let parts = [Part::Text, Part::Text2];
        for (index, part) in parts.into_iter().enumerate() {
            if !applied.adapter.touches(part)
                && !self.applied.iter().any(|a| a.adapter.touches(part))
            {
                continue;
            }
            let Some(encoder) = base.encoders().get(index) else {
                bail!("the adapter changes text encoder {}, and the model has {}", index + 1, base.encoders().len();
                      help: "an SDXL adapter does not fit a Stable Diffusion 1.x model");
            };
            let touching: Vec<Applied> = all
                .iter()
                .filter(|a| a.adapter.touches(part))
                .cloned()
                .collect();
            let (weights, coverage) = adapt_text(part, encoder.model.tensors(), &touching)?;
            if applied.adapter.touches(part) {
                changed += coverage.map_or(0, |c| c.matched.len());
            }
            encoders = encoders.with_weights(index, &weights)?;
        }
        Ok((
            Self {
                base: self.base.clone(),
                applied: all,
                adapted: Some(Arc::new(encoders)),
            },
            changed,
        ))
    }
}

impl Port for Text {
    const NAME: &'static str = "text";
    fn encode(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn decode(_: &[u8]) -> Result<Self> {
        not_stored()
    }
}

/// An autoencoder. Port type `vae`.
#[derive(Clone)]
pub struct VaeModel(pub Arc<Vae>);

impl Port for VaeModel {
    const NAME: &'static str = "vae";
    fn encode(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn decode(_: &[u8]) -> Result<Self> {
        not_stored()
    }
}
