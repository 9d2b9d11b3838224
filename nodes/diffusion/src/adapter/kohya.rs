//! LoRA files as kohya's trainer, LyCORIS and ComfyUI name them: `lora_unet_NAME.lora_down.weight`.

use crate::adapter::file::{self, Content};
use crate::adapter::lora::{Lora, LoraModule};
use crate::adapter::names::{ModuleName, Part, UnetLayout};
use sdk::candle_core::{DType, Tensor};
use sdk::{Result, ResultExt, bail};
use std::collections::BTreeMap;

/// Tensor suffixes that name another kind of adapter, with the kind's name.
const OTHER_KINDS: [(&str, &str); 21] = [
    ("dora_scale", "DoRA"),
    ("lora_magnitude_vector", "DoRA"),
    ("lora_magnitude_vector.weight", "DoRA"),
    ("hada_w1_a", "LoHa"),
    ("hada_w1_b", "LoHa"),
    ("lokr_w1", "LoKr"),
    ("lokr_w1_a", "LoKr"),
    ("lokr_w2", "LoKr"),
    ("lokr_w2_a", "LoKr"),
    ("oft_blocks", "OFT"),
    ("oft_diag", "OFT"),
    ("oft_R", "OFT"),
    ("boft_R", "BOFT"),
    ("on_input", "IA3"),
    ("ia3_l", "IA3"),
    ("diff", "full difference"),
    ("diff_b", "full difference"),
    ("w_norm", "normalisation"),
    ("a1.weight", "GLoRA"),
    ("q_layer.weight", "T-LoRA"),
    ("delta", "SVDiff"),
];

/// The kind of an adapter that is known by name only, with a tensor that shows it.
pub fn other_kind(content: &Content) -> Option<(&'static str, &str)> {
    content.tensors.keys().find_map(|name| {
        if matches!(name.as_str(), "emb_params" | "clip_l" | "clip_g") {
            return Some(("textual inversion", name.as_str()));
        }
        let kind = OTHER_KINDS.iter().find(|(suffix, _)| {
            name.strip_suffix(suffix)
                .is_some_and(|head| head.ends_with('.') || head.is_empty())
        });
        kind.map(|(_, kind)| (*kind, name.as_str()))
    })
}

/// Whether the tensors have kohya's names.
pub fn is_kohya(content: &Content) -> bool {
    let stem = |n: &String| n.split_once('.').map(|(s, _)| s.to_string());
    content
        .tensors
        .keys()
        .filter_map(stem)
        .any(|s| ModuleName::from_kohya(&s).is_some())
}

#[derive(Default)]
struct Parts {
    down: Option<Tensor>,
    up: Option<Tensor>,
    mid: Option<Tensor>,
    alpha: Option<f64>,
}

/// Reads a LoRA with kohya's names, of Linear and Conv2d modules, with sgm or diffusers paths.
///
/// # Errors
/// Tensors that are no LoRA's, halves that are missing or do not fit.
pub fn lora_from(content: &Content) -> Result<Lora> {
    let mut found: BTreeMap<ModuleName, Parts> = BTreeMap::new();
    for (name, tensor) in &content.tensors {
        let (stem, suffix) = name.split_once('.').unwrap_or((name, ""));
        let Some(module) = ModuleName::from_kohya(stem) else {
            bail!("tensor {name} is none of a LoRA's, expected lora_unet_NAME.lora_down.weight and the like"; help: "the file mixes adapters or is for another kind of model");
        };
        let parts = found.entry(module).or_default();
        let place = match suffix {
            "lora_down.weight" => &mut parts.down,
            "lora_up.weight" => &mut parts.up,
            "lora_mid.weight" => &mut parts.mid,
            "alpha" => {
                parts.alpha = Some(scalar(tensor).context(|| name.clone())?);
                continue;
            }
            _ => bail!(
                "tensor {name}: a LoRA has no part {suffix:?}, expected lora_down.weight, lora_up.weight, lora_mid.weight or alpha"
            ),
        };
        if place.replace(tensor.clone()).is_some() {
            bail!("tensor {name} is there twice, under two names"; help: "the file is damaged");
        }
    }
    let mut modules = BTreeMap::new();
    for (name, parts) in found {
        let module = match parts {
            Parts {
                down: Some(down),
                up: Some(up),
                mid,
                alpha,
            } => LoraModule::new(down, up, mid, alpha),
            Parts { down: Some(_), .. } => Err(sdk::Error::msg("lora_up.weight is missing")),
            _ => Err(sdk::Error::msg("lora_down.weight is missing")),
        };
        modules.insert(name.clone(), module.context(|| format!("module {name}"))?);
    }
    let info = content
        .metadata
        .iter()
        .filter(|(key, _)| *key != LAYOUT && *key != "format");
    let layout = content
        .metadata
        .get(LAYOUT)
        .map(|text| serde_json::from_str::<UnetLayout>(text));
    let layout = layout.transpose().context(|| format!("metadata {LAYOUT}"))?;
    if let Some(layout) = &layout {
        modules = modules
            .into_iter()
            .map(|(mut name, module)| {
                if name.part == Part::Unet {
                    name.path = layout.diffusers(&name.path);
                }
                (name, module)
            })
            .collect();
    }
    Ok(Lora {
        modules,
        layout,
        info: info.map(|(k, v)| (k.clone(), v.clone())).collect(),
    })
}

/// A stored alpha.
///
/// # Errors
/// A tensor of more than one value.
pub fn scalar(tensor: &Tensor) -> Result<f64> {
    if tensor.elem_count() != 1 {
        bail!("alpha has shape {:?}, expected one number", tensor.dims());
    }
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?[0])
}

const LAYOUT: &str = "para.layout";

/// The file of a LoRA under kohya's names: with sgm paths for SDXL, diffusers paths for SD 1.5, as the
/// files that kohya's trainer writes. ComfyUI and diffusers load all of it. `layout` is that of the model,
/// needed where the LoRA does not know its own. `dtype`: None keeps the precision of each tensor.
///
/// # Errors
/// Only those of the conversion.
pub fn lora_to_bytes(lora: &Lora, layout: Option<&UnetLayout>, dtype: Option<DType>) -> Result<Vec<u8>> {
    let layout = layout.or(lora.layout.as_ref());
    let mut tensors = Vec::new();
    for (name, module) in &lora.modules {
        let stem = layout.map_or_else(|| name.to_kohya(true), |l| l.kohya(name));
        let mut push = |suffix: &str, tensor: &Tensor| -> Result<()> {
            let tensor = tensor.to_dtype(dtype.unwrap_or(tensor.dtype()))?;
            tensors.push((format!("{stem}.{suffix}"), tensor));
            Ok(())
        };
        push("lora_down.weight", &module.down)?;
        push("lora_up.weight", &module.up)?;
        if let Some(mid) = &module.mid {
            push("lora_mid.weight", mid)?;
        }
        if let Some(alpha) = module.alpha {
            // Alphas keep f64 unless a precision is asked for, so that the store gives back what it was given.
            push("alpha", &Tensor::new(alpha, &sdk::candle_core::Device::Cpu)?)?;
        }
    }
    let mut metadata = lora.info.clone();
    metadata.insert("format".into(), "pt".into());
    metadata.insert("ss_network_module".into(), "networks.lora".into());
    if let Some(layout) = layout {
        let (version, base) = if layout.sdxl {
            ("sdxl_base_v1-0", "stable-diffusion-xl-v1-base")
        } else {
            ("sd_v1", "stable-diffusion-v1")
        };
        metadata.insert("ss_base_model_version".into(), version.into());
        metadata.insert("modelspec.architecture".into(), format!("{base}/lora"));
        metadata.insert("modelspec.sai_model_spec".into(), "1.0.1".into());
        metadata.insert(LAYOUT.into(), serde_json::to_string(layout)?);
    }
    file::to_bytes(tensors.iter().map(|(n, t)| (n.clone(), t)), &metadata)
}
