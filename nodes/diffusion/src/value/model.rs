//! Models in memory: known to the engine by the step that makes them, never written to the store.

use crate::adapter::Adapter;
use crate::adapter::apply::{Coverage, Options};
use crate::adapter::model::{AdaptedText, AdaptedUnet};
use crate::ddim::DdimConfig;
use crate::folder::{Family, ModelFolder};
use crate::kernels::packed::PanelSet;
use crate::text::TextEncoders;
use crate::vae::Vae;
use crate::value::Colours;
use sdk::candle_core::{DType, Device, Tensor};
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
    /// How latents look, when the autoencoder is known.
    pub colours: Option<Arc<Colours>>,
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
            colours: None,
        })
    }

    /// The same model, which knows how latents look to this autoencoder.
    #[must_use]
    pub fn with_colours(self, vae: Arc<Vae>) -> Self {
        let colours = Some(Arc::new(Colours::new(vae)));
        Self { colours, ..self }
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
        let adapters = self.unet.applied.iter().map(|applied| applied.adapter.size());
        self.unet.unet.panels().bytes() + adapters.sum::<usize>()
    }
    fn shed(&self) {
        self.unet.unet.panels().shed();
    }
    fn tensors(&self) -> Vec<&Tensor> {
        let unets = [&self.unet.base, &self.unet.unet];
        unets.into_iter().flat_map(|unet| unet.tensors().values()).collect()
    }
}

/// Text encoders with their adapters. Port type `text`.
#[derive(Clone)]
pub struct Text(Option<AdaptedText>);

impl Text {
    /// Text encoders without adapters.
    pub fn new(encoders: TextEncoders) -> Self {
        Self(Some(AdaptedText::new(Arc::new(encoders))))
    }

    /// What a node passes on when no text encoders were linked to it; using it is an error that says so.
    pub fn absent() -> Self {
        Self(None)
    }

    /// The encoders without and with their adapters.
    ///
    /// # Errors
    /// When none were linked to the node this comes from.
    pub fn adapted(&self) -> Result<&AdaptedText> {
        self.0.as_ref().ok_or_else(|| {
            Error::msg("the `text` output comes from a node whose `text` input is not linked")
                .help("link `text` of load/model to that node too, or use `text` of load/model directly")
        })
    }

    /// The encoders with their adapters.
    ///
    /// # Errors
    /// As [`Text::adapted`].
    pub fn encoders(&self) -> Result<&TextEncoders> {
        Ok(&self.adapted()?.text)
    }

    fn panels(&self) -> impl Iterator<Item = &PanelSet> {
        let encoders = self.0.iter().flat_map(|adapted| adapted.text.encoders());
        encoders.map(|encoder| encoder.model.panels())
    }

    /// The same encoders with one adapter more, and what it matched in each of them.
    ///
    /// # Errors
    /// Modules that the encoders do not have, unless the options allow it.
    pub fn apply(&self, adapter: Arc<Adapter>, options: Options) -> Result<(Self, Vec<Coverage>)> {
        let (adapted, coverages) = self.adapted()?.apply(adapter, options)?;
        Ok((Self(Some(adapted)), coverages))
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
    fn size(&self) -> usize {
        self.panels().map(PanelSet::bytes).sum()
    }
    fn shed(&self) {
        self.panels().for_each(PanelSet::shed);
    }
    fn tensors(&self) -> Vec<&Tensor> {
        let sides = self.0.iter().flat_map(|adapted| [&adapted.base, &adapted.text]);
        let encoders = sides.flat_map(|side| side.encoders());
        encoders.flat_map(|encoder| encoder.model.tensors().values()).collect()
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
    fn size(&self) -> usize {
        self.0.panels().bytes()
    }
    fn shed(&self) {
        self.0.panels().shed();
    }
    fn tensors(&self) -> Vec<&Tensor> {
        self.0.tensors().iter().collect()
    }
}
