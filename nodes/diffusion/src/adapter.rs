//! Adapters: what they are, how files of every kind become them, and how they change a model.
//!
//! One contract for all kinds: an adapter names the modules it touches and says how each weight changes,
//! in a stated order, and applying it reports what it matched.

pub mod apply;
pub mod combine;
pub mod file;
pub mod kohya;
pub mod lora;
pub mod model;
pub mod names;
pub mod para;
pub mod peft;
pub mod subset;

use crate::adapter::file::Content;
use crate::adapter::lora::Lora;
use crate::adapter::names::{ModuleName, Part, UnetLayout};
use crate::adapter::para::Para;
use sdk::candle_core::{DType, Tensor};
use sdk::{Result, ResultExt, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// An adapter of any kind that can be applied.
#[derive(Clone, Debug)]
pub enum Adapter {
    /// One PaRa.
    Para(Para),
    /// Several PaRas, applied in this order. A product of projections is no projection, so it stays a list.
    ParaSequence(Vec<Para>),
    /// A LoRA.
    Lora(Lora),
}

impl Adapter {
    /// Reads an adapter file or PEFT folder; kind and format are recognised by the names of the tensors.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, or holds a kind that is not built in, named.
    pub fn open(path: &Path) -> Result<Self> {
        let what = || format!("adapter {}", path.display());
        if path.is_dir() {
            let config = folder_config(path)?.ok_or_else(|| {
                sdk::Error::msg("the folder has no adapter_config.json")
                    .help("give a .safetensors file or a folder saved by PEFT")
            });
            let config = config.context(what)?;
            let file = path.join("adapter_model.safetensors");
            if !file.is_file() {
                bail!("adapter {}: the folder has no adapter_model.safetensors", path.display(); help: "save the adapter with safe_serialization");
            }
            return Self::read(&Content::open(&file)?, Some(&config)).context(what);
        }
        let content = Content::open(path)?;
        let config = match path.parent() {
            Some(folder) if path.file_name().is_some_and(|n| n == "adapter_model.safetensors") => {
                folder_config(folder)?
            }
            _ => None,
        };
        Self::read(&content, config.as_ref()).context(what)
    }

    fn read(content: &Content, config: Option<&serde_json::Value>) -> Result<Self> {
        if file::is_para(content) {
            let mut paras = file::para_from(content)?;
            return Ok(match (paras.len(), paras.pop()) {
                (1, Some(only)) => Self::Para(only),
                (_, Some(last)) => {
                    paras.push(last);
                    Self::ParaSequence(paras)
                }
                (_, None) => bail!("the file declares a sequence of no PaRa at all"),
            });
        }
        if content.tensors.is_empty() {
            bail!("the file holds no tensor");
        }
        if let Some((kind, tensor)) = kohya::other_kind(content) {
            bail!("this is a {kind} adapter (it has {tensor}), which is not built in; PaRa and LoRA are"; help: "merge it into the model with the tool it came from");
        }
        if kohya::is_kohya(content) {
            return kohya::lora_from(content).map(Self::Lora);
        }
        if peft::is_peft(content) {
            return peft::read(content, config);
        }
        let first = content.tensors.keys().next().map_or("", String::as_str);
        bail!("no known kind of adapter: it has {} tensors, the first is {first}", content.tensors.len(); help: "expected a native PaRa, or a LoRA of kohya, diffusers or PEFT; a whole model belongs in load/model");
    }

    /// Its native file, which [`Adapter::from_bytes`] reads back without loss.
    ///
    /// # Errors
    /// Only those of the conversion.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let exact = |paras: &[Para]| {
            let double = paras
                .iter()
                .flat_map(|p| p.modules.values())
                .any(|q| q.dtype() == DType::F64);
            if double { DType::F64 } else { DType::F32 }
        };
        match self {
            Self::Para(para) => {
                let one = std::slice::from_ref(para);
                file::para_to_bytes(one, exact(one))
            }
            Self::ParaSequence(paras) => file::para_to_bytes(paras, exact(paras)),
            Self::Lora(lora) => kohya::lora_to_bytes(lora, None, None),
        }
    }

    /// Reads the bytes of an adapter file.
    ///
    /// # Errors
    /// As [`Adapter::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(&Content::parse(bytes)?, None)
    }

    /// The bytes of its native file: a PaRa with `dtype` (f32 if none; f16 halves the file), a LoRA under kohya's
    /// names. `layout` is that of the model, if one is at hand.
    ///
    /// # Errors
    /// Only those of the conversion.
    pub fn file_bytes(&self, layout: Option<&UnetLayout>, dtype: Option<DType>) -> Result<Vec<u8>> {
        let named = |para: &Para| Para {
            layout: para.layout.clone().or(layout.cloned()),
            ..para.clone()
        };
        match self {
            Self::Para(para) => file::para_to_bytes(&[named(para)], dtype.unwrap_or(DType::F32)),
            Self::ParaSequence(paras) => {
                let paras: Vec<Para> = paras.iter().map(named).collect();
                file::para_to_bytes(&paras, dtype.unwrap_or(DType::F32))
            }
            Self::Lora(lora) => kohya::lora_to_bytes(lora, layout, dtype),
        }
    }

    /// The bytes of the exact LoRA of a PaRa on one base model (a LoRA as it is) under the names that ComfyUI and
    /// diffusers load. `base` names weights `MODULE.weight`; `dtype` is f16 or f32.
    ///
    /// # Errors
    /// A sequence, which must be merged first; modules that the base does not have.
    pub fn lora_bytes(&self, base: &BTreeMap<String, Tensor>, layout: &UnetLayout, dtype: DType) -> Result<Vec<u8>> {
        let lora = match self {
            Self::Para(para) => {
                let para = Para {
                    modules: named(&para.modules, layout),
                    ..para.clone()
                };
                Lora::from_para(&para, base, dtype)?
            }
            Self::ParaSequence(_) => {
                bail!("a sequence of PaRas is no single LoRA"; help: "combine the adapters with mode merge, then export")
            }
            Self::Lora(lora) => lora.clone(),
        };
        kohya::lora_to_bytes(&lora, Some(layout), Some(dtype))
    }

    /// `PaRa`, `PaRa sequence` or `LoRA`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Para(_) => "PaRa",
            Self::ParaSequence(_) => "PaRa sequence",
            Self::Lora(_) => "LoRA",
        }
    }

    /// The PaRas in it, in order; none in a LoRA.
    pub fn paras(&self) -> &[Para] {
        match self {
            Self::Para(para) => std::slice::from_ref(para),
            Self::ParaSequence(paras) => paras,
            Self::Lora(_) => &[],
        }
    }

    /// Every module it touches, each once.
    pub fn modules(&self) -> Vec<ModuleName> {
        match self {
            Self::Lora(lora) => lora.modules.keys().cloned().collect(),
            _ => {
                let all = self.paras().iter().flat_map(|p| p.modules.keys());
                let all: std::collections::BTreeSet<&String> = all.collect();
                all.into_iter().map(|path| ModuleName::unet(path.clone())).collect()
            }
        }
    }

    /// Whether it touches modules of a part.
    pub fn touches(&self, part: Part) -> bool {
        self.modules().iter().any(|m| m.part == part)
    }

    /// The largest rank of a module; of a sequence, of its members.
    pub fn rank(&self) -> usize {
        match self {
            Self::Lora(lora) => lora.rank(),
            _ => self.paras().iter().map(Para::rank).max().unwrap_or(0),
        }
    }

    /// Trained numbers in it.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Lora(lora) => lora.parameters(),
            _ => self.paras().iter().map(Para::parameters).sum(),
        }
    }

    /// What its file says about it, the first member's for a sequence.
    pub fn info(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::Lora(lora) => Some(&lora.info),
            _ => self.paras().first().map(|p| &p.info),
        }
    }
}

/// The modules under diffusers' names.
fn named(modules: &BTreeMap<String, Tensor>, layout: &UnetLayout) -> BTreeMap<String, Tensor> {
    modules
        .iter()
        .map(|(path, q)| (layout.diffusers(path), q.clone()))
        .collect()
}

impl Para {
    /// The same PaRa under diffusers' names, for a UNet of this layout. A file that does not say which
    /// UNet it is for keeps sgm names until a model is known.
    #[must_use]
    pub fn for_layout(&self, layout: &UnetLayout) -> Self {
        let modules = named(&self.modules, layout);
        Self {
            modules,
            layout: Some(layout.clone()),
            ..self.clone()
        }
    }
}

fn folder_config(folder: &Path) -> Result<Option<serde_json::Value>> {
    let path = folder.join("adapter_config.json");
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).context(|| path.display().to_string())?;
    serde_json::from_str(&text)
        .context(|| path.display().to_string())
        .map(Some)
}
