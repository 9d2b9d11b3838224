//! Models with adapters: always computed from the base and the whole list.

use crate::adapter::Adapter;
use crate::adapter::apply::{Applied, Coverage, Options, Target, changed_bytes, coverage, fold};
use crate::adapter::names::{Part, UnetLayout};
use crate::text::{TextEncoder, TextEncoders};
use crate::unet::Unet;
use sdk::candle_core::Tensor;
use sdk::{Result, bail};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A UNet with adapters. Its weights are always computed from the base and the whole list, so that adding
/// an adapter never builds on rounded weights, and the order is that of [`fold`] whatever the order of calls.
#[derive(Clone)]
pub struct AdaptedUnet {
    /// The UNet without adapters.
    pub base: Arc<Unet>,
    /// The adapters, in the order they were applied.
    pub applied: Vec<Applied>,
    /// The UNet with them.
    pub unet: Arc<Unet>,
}

impl AdaptedUnet {
    /// A UNet without adapters.
    pub fn new(base: Arc<Unet>) -> Self {
        Self {
            unet: base.clone(),
            applied: Vec::new(),
            base,
        }
    }

    /// The same UNet with one adapter more, and what the adapter matched. Parts of a LoRA that belong to text
    /// encoders are counted in [`Coverage::elsewhere`] and left to [`adapt_text`].
    ///
    /// # Errors
    /// Less than full coverage without `allow_partial`, no match at all, or a strength that a PaRa cannot have.
    pub fn apply(&self, adapter: Arc<Adapter>, options: Options) -> Result<(Self, Coverage)> {
        let layout = UnetLayout::from(self.base.config());
        let target = Target {
            part: Part::Unet,
            layout: Some(&layout),
            base: self.base.tensors(),
        };
        let coverage = coverage(&adapter, &target);
        coverage.check(adapter.kind(), options.allow_partial)?;
        let mut applied = self.applied.clone();
        applied.push(Applied { adapter, options });
        let changed = fold(&target, &applied)?;
        let unet = Arc::new(self.base.with_weights(&changed)?);
        // The weights of the base are kept, not what a model without adapters keeps of them in panels.
        let base = match self.applied.is_empty() {
            true => Arc::new(self.base.with_weights(&BTreeMap::new())?),
            false => self.base.clone(),
        };
        Ok((Self { base, applied, unet }, coverage))
    }

    /// Bytes of the weights that the model has anew with one adapter more.
    pub fn changed_bytes(&self, adapter: &Adapter) -> usize {
        let layout = UnetLayout::from(self.base.config());
        let target = Target {
            part: Part::Unet,
            layout: Some(&layout),
            base: self.base.tensors(),
        };
        changed_bytes(&target, all(&self.applied, adapter))
    }
}

fn all<'a>(applied: &'a [Applied], adapter: &'a Adapter) -> impl Iterator<Item = &'a Adapter> {
    applied.iter().map(|applied| &*applied.adapter).chain([adapter])
}

/// The changed weights of one text encoder under a list of adapters, and what the last of them matched.
/// `base` holds the encoder's own tensors, named `MODULE.weight`.
///
/// # Errors
/// As [`AdaptedUnet::apply`].
pub fn adapt_text(
    part: Part,
    base: &BTreeMap<String, Tensor>,
    applied: &[Applied],
) -> Result<(BTreeMap<String, Tensor>, Option<Coverage>)> {
    let target = Target {
        part,
        layout: None,
        base,
    };
    let mut last = None;
    for Applied { adapter, options } in applied {
        let found = coverage(adapter, &target);
        found.check(adapter.kind(), options.allow_partial)?;
        last = Some(found);
    }
    Ok((fold(&target, applied)?, last))
}

/// The text encoders of a model with adapters, computed from the base like [`AdaptedUnet`].
#[derive(Clone)]
pub struct AdaptedText {
    /// The encoders without adapters.
    pub base: Arc<TextEncoders>,
    /// The adapters, in the order they were applied.
    pub applied: Vec<Applied>,
    /// The encoders with them.
    pub text: Arc<TextEncoders>,
}

impl AdaptedText {
    /// Encoders without adapters.
    pub fn new(base: Arc<TextEncoders>) -> Self {
        Self {
            text: base.clone(),
            applied: Vec::new(),
            base,
        }
    }

    /// The same encoders with one adapter more, and what it matched in each of them.
    ///
    /// # Errors
    /// As [`AdaptedUnet::apply`]; modules of a second encoder that the model does not have are not matched.
    pub fn apply(&self, adapter: Arc<Adapter>, options: Options) -> Result<(Self, Vec<Coverage>)> {
        let encoders = self.base.encoders().len();
        if encoders < 2 && adapter.touches(Part::Text2) && !options.allow_partial {
            bail!("the {} changes a second text encoder, and this model has one", adapter.kind(); help: "it was made for SDXL: load its base model, or set allow_partial");
        }
        let mut applied = self.applied.clone();
        applied.push(Applied { adapter, options });
        let mut text = self.base.as_ref().clone();
        let mut coverages = Vec::new();
        for (index, part) in [Part::Text, Part::Text2].into_iter().take(encoders).enumerate() {
            let base = self.base.encoders()[index].model.tensors();
            let (changed, coverage) = adapt_text(part, base, &applied)?;
            if !changed.is_empty() {
                text = text.with_weights(index, &changed)?;
            }
            coverages.extend(coverage);
        }
        let base = match self.applied.is_empty() {
            true => Arc::new(self.base.bare()?),
            false => self.base.clone(),
        };
        let adapted = Self {
            base,
            applied,
            text: Arc::new(text),
        };
        Ok((adapted, coverages))
    }

    /// Bytes of the weights that the encoders have anew with one adapter more.
    pub fn changed_bytes(&self, adapter: &Adapter) -> usize {
        let parts = [Part::Text, Part::Text2].into_iter().zip(self.base.encoders());
        let bytes = |(part, encoder): (Part, &TextEncoder)| {
            let base = encoder.model.tensors();
            let target = Target {
                part,
                layout: None,
                base,
            };
            changed_bytes(&target, all(&self.applied, adapter))
        };
        parts.map(bytes).sum()
    }
}
