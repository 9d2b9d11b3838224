//! Adapters as diffusers and PEFT write them: dotted names, scales in a configuration beside the tensors.

use crate::adapter::Adapter;
use crate::adapter::file::Content;
use crate::adapter::kohya;
use crate::adapter::lora::{Lora, LoraModule};
use crate::adapter::names::{ModuleName, Part};
use crate::adapter::para::Para;
use sdk::candle_core::{DType, Tensor};
use sdk::{Error, Result, ResultExt, bail};
use serde_json::Value;
use std::collections::BTreeMap;

/// Metadata key under which diffusers keeps PEFT's configuration of each part.
const METADATA: &str = "lora_adapter_metadata";

/// Tensor suffixes of the halves of a LoRA. diffusers mixes them within one file.
const HALVES: [(&str, bool); 8] = [
    (".lora_A.weight", true),
    (".lora_B.weight", false),
    (".lora_A.default.weight", true),
    (".lora_B.default.weight", false),
    (".lora.down.weight", true),
    (".lora.up.weight", false),
    (".lora_linear_layer.down.weight", true),
    (".lora_linear_layer.up.weight", false),
];

/// Whether the tensors have the names of PEFT or diffusers.
pub fn is_peft(content: &Content) -> bool {
    content
        .tensors
        .keys()
        .any(|name| split(name).is_some() || name.ends_with(".deft_P"))
}

/// Path, and whether it is the `down` half.
fn split(name: &str) -> Option<(String, bool)> {
    if let Some((suffix, down)) = HALVES.iter().find(|(s, _)| name.ends_with(s)) {
        return Some((name[..name.len() - suffix.len()].to_string(), *down));
    }
    // Before PEFT: `attn1.processor.to_q_lora.down.weight`.
    let (head, down) = match name.strip_suffix("_lora.down.weight") {
        Some(head) => (head, true),
        None => (name.strip_suffix("_lora.up.weight")?, false),
    };
    let (owner, projection) = head.split_once(".processor.")?;
    let projection = if projection == "to_out" { "to_out.0" } else { projection };
    Some((format!("{owner}.{projection}"), down))
}

/// The module of a dotted name with its prefixes. Without one, the class of the base model decides.
fn module(path: &str, text_encoder: bool) -> ModuleName {
    let path = path.strip_prefix("base_model.model.").unwrap_or(path);
    let (part, path) = if let Some(rest) = path.strip_prefix("unet.") {
        (Part::Unet, rest)
    } else if let Some(rest) = path.strip_prefix("text_encoder_2.") {
        (Part::Text2, rest)
    } else if let Some(rest) = path.strip_prefix("text_encoder.") {
        (Part::Text, rest)
    } else if text_encoder || path.starts_with("text_model.") {
        (Part::Text, path)
    } else {
        (Part::Unet, path)
    };
    ModuleName {
        part,
        path: path.to_string(),
    }
}

/// Reads a file of diffusers or a PEFT folder's tensors. `config` is the folder's `adapter_config.json`.
///
/// # Errors
/// Kinds that are not built in, halves that are missing or do not fit, a configuration that is needed and absent.
pub fn read(content: &Content, config: Option<&Value>) -> Result<Adapter> {
    if content.tensors.keys().any(|name| name.ends_with(".deft_P")) {
        return para(content, config).map(Adapter::Para);
    }
    if let Some(kind) = config.and_then(|c| c["peft_type"].as_str())
        && kind != "LORA"
    {
        bail!("PEFT adapters of type {kind} are not built in, expected LORA or DEFT with para");
    }
    lora(content, config).map(Adapter::Lora)
}

/// PEFT's own PaRa: `DEFT` with `para: true`, raw matrices P per module.
fn para(content: &Content, config: Option<&Value>) -> Result<Para> {
    let Some(config) = config else {
        bail!("this is a PEFT DEFT adapter, whose meaning depends on adapter_config.json"; help: "open the folder that holds both files");
    };
    if config["para"] != Value::Bool(true) {
        bail!("this is a PEFT DEFT adapter without `para`: it adds a learnt residual and is no PaRa"; help: "train it with DeftConfig(para=True, decomposition_method=\"qr\")");
    }
    let method = config["decomposition_method"].as_str().unwrap_or("relu");
    if method != "qr" {
        bail!("this PEFT adapter uses decomposition_method {method:?}, which is no orthogonal projection and therefore no PaRa, expected \"qr\""; help: "train it again with decomposition_method=\"qr\"");
    }
    let mut matrices = BTreeMap::new();
    for (name, tensor) in &content.tensors {
        let Some(path) = name.strip_suffix(".deft_P") else {
            bail!("tensor {name} does not belong in a PaRa of PEFT, expected NAME.deft_P");
        };
        let name = module(path, false);
        if name.part != Part::Unet {
            bail!("module {name}: a PaRa of a text encoder cannot be applied"; help: "train the UNet only");
        }
        matrices.insert(name.path, tensor.clone());
    }
    let precision = matrices.values().next().map_or(DType::F32, Tensor::dtype);
    Para::new(matrices, precision)
}

fn lora(content: &Content, config: Option<&Value>) -> Result<Lora> {
    let class = config.and_then(|c| c["auto_mapping"]["base_model_class"].as_str());
    let text = class.is_some_and(|c| c.starts_with("CLIPText"));
    let scales = Scales::read(content, config)?;
    let mut halves: BTreeMap<ModuleName, [Option<Tensor>; 2]> = BTreeMap::new();
    let mut alphas = BTreeMap::new();
    for (name, tensor) in &content.tensors {
        if let Some(path) = name.strip_suffix(".alpha") {
            alphas.insert(module(path, text), kohya::scalar(tensor).context(|| name.clone())?);
            continue;
        }
        let Some((path, down)) = split(name) else {
            bail!("tensor {name} is none of a LoRA's, expected NAME.lora_A.weight or NAME.lora.down.weight"; help: "the file mixes adapters or is for another kind of model");
        };
        let place = &mut halves.entry(module(&path, text)).or_default()[usize::from(!down)];
        if place.replace(tensor.clone()).is_some() {
            bail!("tensor {name} is there twice, under two names"; help: "the file is damaged");
        }
    }
    let mut modules = BTreeMap::new();
    for (name, pair) in halves {
        let [Some(down), Some(up)] = pair else {
            bail!("module {name}: one half of the LoRA is missing"; help: "the file is damaged");
        };
        let rank = down.dims().first().copied().unwrap_or(0);
        let alpha = match alphas.remove(&name) {
            Some(alpha) => Some(alpha),
            None => scales.alpha(&name, rank).context(|| format!("module {name}"))?,
        };
        let built = LoraModule::new(down, up, None, alpha).context(|| format!("module {name}"))?;
        modules.insert(name, built);
    }
    if let Some(name) = alphas.keys().next() {
        bail!("module {name} has an alpha and no weights"; help: "the file is damaged");
    }
    let info = content
        .metadata
        .iter()
        .filter(|(key, _)| *key != METADATA && *key != "format");
    Ok(Lora {
        modules,
        layout: None,
        info: info.map(|(k, v)| (k.clone(), v.clone())).collect(),
    })
}

/// Where the alphas of a PEFT file are to be found.
struct Scales {
    configs: BTreeMap<Part, Value>,
}

impl Scales {
    fn read(content: &Content, config: Option<&Value>) -> Result<Self> {
        let mut configs = BTreeMap::new();
        for part in [Part::Unet, Part::Text, Part::Text2] {
            if let Some(config) = config {
                configs.insert(part, config.clone());
            }
        }
        if let Some(text) = content.metadata.get(METADATA) {
            let all: serde_json::Map<String, Value> =
                serde_json::from_str(text).context(|| format!("metadata {METADATA}"))?;
            for (part, prefix) in [
                (Part::Unet, "unet."),
                (Part::Text, "text_encoder."),
                (Part::Text2, "text_encoder_2."),
            ] {
                let own: serde_json::Map<String, Value> = all
                    .iter()
                    .filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.to_string(), v.clone())))
                    .collect();
                if !own.is_empty() {
                    configs.insert(part, Value::Object(own));
                }
            }
        }
        for (part, config) in &configs {
            if config["use_dora"] == Value::Bool(true) {
                bail!("the {part}'s part is a DoRA, which is not built in, expected a plain LoRA");
            }
            if config["fan_in_fan_out"] == Value::Bool(true) {
                bail!(
                    "fan_in_fan_out is set for the {part}: its weights are transposed, which no diffusion model's are"
                );
            }
        }
        Ok(Self { configs })
    }

    /// The alpha that gives PEFT's scale; None: scale 1.
    fn alpha(&self, name: &ModuleName, rank: usize) -> Result<Option<f64>> {
        let Some(config) = self.configs.get(&name.part) else {
            return Ok(None);
        };
        let mut alpha = config["lora_alpha"].as_f64();
        if let Some(patterns) = config["alpha_pattern"].as_object() {
            for (pattern, value) in patterns {
                if matches(pattern, &name.path)? {
                    alpha = value.as_f64();
                    break;
                }
            }
        }
        let rslora = config["use_rslora"] == Value::Bool(true);
        Ok(alpha.map(|a| if rslora { a * (rank as f64).sqrt() } else { a }))
    }
}

/// Whether a key of `alpha_pattern` names a module: the whole path, or whole segments at its end.
fn matches(pattern: &str, path: &str) -> Result<bool> {
    let anchored = pattern.starts_with('^');
    let plain = pattern
        .trim_start_matches('^')
        .trim_end_matches('$')
        .replace("\\.", ".");
    if plain.contains(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')) {
        return Err(Error::msg(format!(
            "alpha_pattern holds the regular expression {pattern:?}, expected module names"
        ))
        .help("save the adapter with plain names, or as a kohya file"));
    }
    let tail = path.strip_suffix(plain.as_str());
    Ok(tail.is_some_and(|head| head.is_empty() || (!anchored && head.ends_with('.'))))
}
