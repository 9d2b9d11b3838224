//! Applying adapters to weights: in a stated order, from the base, with a report of what was matched.

use crate::adapter::Adapter;
use crate::adapter::names::{ModuleName, Part, UnetLayout, block_of};
use crate::adapter::para::{self, working_dtype};
use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Error, Result, ResultExt, bail};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Metadata key of [`fingerprint`].
pub const FINGERPRINT: &str = "para.base_fingerprint";

/// How an adapter is applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The strength of a PaRa, 0 to 1, or the scale of a LoRA.
    pub strength: f64,
    /// Puts a LoRA in front of the PaRas, which then project it too. By default LoRAs come after them.
    pub before_para: bool,
    /// Takes what matches instead of failing when something does not.
    pub allow_partial: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            strength: 1.0,
            before_para: false,
            allow_partial: false,
        }
    }
}

/// An adapter in the list of a model.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The adapter.
    pub adapter: Arc<Adapter>,
    /// How it is applied.
    pub options: Options,
}

/// The weights of one model, as adapters find them.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Which model it is.
    pub part: Part,
    /// The layout of a UNet, by which sgm names are understood.
    pub layout: Option<&'a UnetLayout>,
    /// Its tensors, modules' weights named `MODULE.weight`.
    pub base: &'a BTreeMap<String, Tensor>,
}

impl Target<'_> {
    /// The name of the weight that an adapter's module changes.
    fn weight(&self, module: &ModuleName) -> Option<String> {
        if module.part != self.part {
            return None;
        }
        let own = match self.layout {
            Some(layout) => layout.diffusers(&module.path),
            None => module.path.clone(),
        };
        let short = own.strip_prefix("text_model.").map(str::to_string);
        [Some(own), short]
            .into_iter()
            .flatten()
            .map(|path| format!("{path}.weight"))
            .find(|name| self.base.contains_key(name))
    }
}

/// A module whose shape differs from the model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The module.
    pub module: String,
    /// What the adapter is for.
    pub adapter: String,
    /// The shape of the model's weight.
    pub model: Vec<usize>,
}

/// What an adapter matched in one model.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// The model.
    pub part: Part,
    /// Modules that are changed.
    pub matched: Vec<String>,
    /// Modules that the model does not have.
    pub unmatched: Vec<String>,
    /// Modules that have another shape in the model.
    pub mismatched: Vec<Mismatch>,
    /// Modules of other models (text encoders beside a UNet), by part: not this model's concern.
    pub elsewhere: BTreeMap<Part, usize>,
    /// What is odd without being wrong.
    pub warnings: Vec<String>,
}

impl Coverage {
    /// Whether every module of this part was matched.
    pub fn is_full(&self) -> bool {
        self.unmatched.is_empty() && self.mismatched.is_empty()
    }

    /// Matched and all modules by block.
    pub fn by_block(&self) -> BTreeMap<String, (usize, usize)> {
        let mut blocks: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let mut count = |path: &str, hit: usize| {
            let entry = blocks.entry(block_of(path).to_string()).or_default();
            *entry = (entry.0 + hit, entry.1 + 1);
        };
        self.matched.iter().for_each(|p| count(p, 1));
        self.unmatched.iter().for_each(|p| count(p, 0));
        self.mismatched.iter().for_each(|m| count(&m.module, 0));
        blocks
    }

    /// An error unless everything matched, or `allow_partial` is set and something did.
    ///
    /// # Errors
    /// Names examples, shapes and the likely cause.
    pub fn check(&self, kind: &str, allow_partial: bool) -> Result<()> {
        if self.is_full() || (allow_partial && !self.matched.is_empty()) {
            return Ok(());
        }
        let total = self.matched.len() + self.unmatched.len() + self.mismatched.len();
        let mut message = format!(
            "the {kind} fits {} of its {total} modules to this {}",
            self.matched.len(),
            self.part
        );
        for m in self.mismatched.iter().take(3) {
            message += &format!("\n  {}: adapter for {}, model {:?}", m.module, m.adapter, m.model);
        }
        for module in self.unmatched.iter().take(3) {
            message += &format!("\n  {module}: not in the model");
        }
        let rest = (self.mismatched.len().saturating_sub(3)) + self.unmatched.len().saturating_sub(3);
        if rest > 0 {
            message += &format!("\n  and {rest} more");
        }
        message += &format!("\n{self}");
        let family = self.mismatched.len() + self.unmatched.len() > total / 10;
        let help = if family {
            "it was probably made for another kind of model (SDXL and SD 1.5 adapters do not fit each other): load its own base model"
        } else {
            "set allow_partial to apply what matches"
        };
        Err(Error::msg(message).help(help))
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.matched.len() + self.unmatched.len() + self.mismatched.len();
        write!(f, "{}: {} of {total} modules", self.part, self.matched.len())?;
        let partial: Vec<_> = self
            .by_block()
            .into_iter()
            .map(|(block, (hit, all))| format!("{block} {hit}/{all}"))
            .collect();
        if !partial.is_empty() {
            write!(f, " ({})", partial.join(", "))?;
        }
        for (part, count) in &self.elsewhere {
            write!(f, "; {count} more belong to the {part}")?;
        }
        Ok(())
    }
}

/// Bytes of the weights that a list of adapters changes in `target`.
pub(crate) fn changed_bytes<'a>(target: &Target, adapters: impl Iterator<Item = &'a Adapter>) -> usize {
    let modules = adapters.flat_map(Adapter::modules);
    let names: BTreeSet<String> = modules.filter_map(|module| target.weight(&module)).collect();
    let weights = names.iter().filter_map(|name| target.base.get(name));
    weights.map(|w| w.elem_count() * w.dtype().size_in_bytes()).sum()
}

/// What `adapter` would match in `target`, without changing anything.
pub fn coverage(adapter: &Adapter, target: &Target) -> Coverage {
    let mut result = Coverage {
        part: target.part,
        matched: Vec::new(),
        unmatched: Vec::new(),
        mismatched: Vec::new(),
        elsewhere: BTreeMap::new(),
        warnings: Vec::new(),
    };
    for module in adapter.modules() {
        if module.part != target.part {
            *result.elsewhere.entry(module.part).or_default() += 1;
            continue;
        }
        let weight = target.weight(&module).and_then(|name| target.base.get(&name));
        let Some(weight) = weight else {
            result.unmatched.push(module.path);
            continue;
        };
        let wrong = match adapter {
            Adapter::Lora(lora) => lora
                .modules
                .get(&module)
                .filter(|m| !m.fits(weight.dims()))
                .map(|m| format!("{:?}", m.shape())),
            _ => adapter
                .paras()
                .iter()
                .filter_map(|p| p.modules.get(&module.path))
                .find(|q| weight.rank() < 2 || q.dims().first() != weight.dims().first())
                .map(|q| format!("{} outputs", q.dims()[0])),
        };
        match wrong {
            None => result.matched.push(module.path),
            Some(shape) => result.mismatched.push(Mismatch {
                module: module.path,
                adapter: shape,
                model: weight.dims().to_vec(),
            }),
        }
    }
    for para in adapter.paras() {
        let Some(stored) = para.info.get(FINGERPRINT) else {
            continue;
        };
        let own = fingerprint(target, para.modules.keys());
        if result.is_full() && own.is_ok_and(|own| own != *stored) {
            let text = "the PaRa was trained on other weights than this model's: it projects them exactly, but what it removes may differ".to_string();
            result.warnings.push(text);
        }
    }
    result
}

enum Change<'a> {
    Para(&'a Tensor, f64),
    Lora(&'a crate::adapter::lora::LoraModule, f64),
}

/// The weights that a list of adapters changes, computed from the base: LoRAs marked `before_para`, then
/// the PaRas, then the other LoRAs, each group in the order of the list. Modules that do not fit are left.
///
/// # Errors
/// A strength that a PaRa cannot have, or failures of the device.
pub fn fold(target: &Target, applied: &[Applied]) -> Result<BTreeMap<String, Tensor>> {
    let mut changes: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    for stage in 0..3 {
        for Applied { adapter, options } in applied {
            match adapter.as_ref() {
                Adapter::Lora(lora) if stage == usize::from(!options.before_para) * 2 => {
                    if !options.strength.is_finite() {
                        bail!("the scale of a LoRA is {}, expected a number", options.strength);
                    }
                    for (module, change) in &lora.modules {
                        let Some(name) = target.weight(module) else {
                            continue;
                        };
                        if target.base.get(&name).is_some_and(|w| change.fits(w.dims())) {
                            let change = Change::Lora(change, options.strength);
                            changes.entry(name).or_default().push(change);
                        }
                    }
                }
                Adapter::Para(_) | Adapter::ParaSequence(_) if stage == 1 => {
                    para::check_strength(options.strength)?;
                    for (path, q) in adapter.paras().iter().flat_map(|p| &p.modules) {
                        let module = ModuleName::unet(path.clone());
                        let Some(name) = target.weight(&module) else {
                            continue;
                        };
                        let weight = target.base.get(&name);
                        if weight.is_some_and(|w| w.rank() > 1 && w.dims().first() == q.dims().first()) {
                            let change = Change::Para(q, options.strength);
                            changes.entry(name).or_default().push(change);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    let mut changed = BTreeMap::new();
    for (name, list) in changes {
        let Some(base) = target.base.get(&name) else {
            continue;
        };
        let fold = || -> Result<Tensor> {
            let mut weight = base.to_dtype(working_dtype(base.dtype()))?;
            for change in list {
                weight = match change {
                    Change::Para(q, strength) => para::reduce(&weight, q, strength)?,
                    Change::Lora(module, 1.0) => (&weight + module.delta(&weight)?)?,
                    Change::Lora(module, scale) => (&weight + (module.delta(&weight)? * scale)?)?,
                };
            }
            Ok(weight.to_dtype(base.dtype())?)
        };
        changed.insert(name.clone(), fold().context(|| name)?);
    }
    Ok(changed)
}

/// A short name for the weights that a PaRa projects: SHA-256 over their names, shapes and 64 values of each,
/// rounded to f16 so that the same model in f32 and f16 has the same one.
///
/// # Errors
/// Modules that the model does not have.
pub fn fingerprint<'a>(target: &Target, modules: impl IntoIterator<Item = &'a String>) -> Result<String> {
    let mut names = BTreeSet::new();
    for path in modules {
        match target.weight(&ModuleName::unet(path.clone())) {
            Some(name) => names.insert(name),
            None => bail!("the model has no module {path}"),
        };
    }
    let mut hash = Sha256::new();
    for name in names {
        let Some(weight) = target.base.get(&name) else {
            continue;
        };
        hash.update(name.as_bytes());
        hash.update(format!("{:?}", weight.dims()));
        let flat = weight.flatten_all()?;
        let count = flat.elem_count();
        let step = (count / 64).max(1);
        let picks: Vec<u32> = (0..count).step_by(step).take(64).map(|i| i as u32).collect();
        let picks = Tensor::new(picks, flat.device())?;
        let values = flat
            .index_select(&picks, 0)?
            .to_dtype(DType::F32)?
            .to_device(&Device::Cpu)?;
        for value in values.to_vec1::<f32>()? {
            hash.update(half::f16::from_f32(value).to_le_bytes());
        }
    }
    Ok(hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect())
}
