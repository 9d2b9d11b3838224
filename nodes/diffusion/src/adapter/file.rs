//! Adapter files: reading safetensors with clear errors, writing them reproducibly, and PaRa's own format.
//!
//! A native file holds one tensor `lora_unet_NAME.para_q` (d_out, r) per module, with orthonormal columns.
//! The suffix is unknown to other tools, which therefore report it and do nothing; there is no half-applied
//! PaRa. A sequence of PaRas has the tensors `0.lora_unet_NAME.para_q`, `1.…` in its order.

use crate::adapter::names::{ModuleName, Part, UnetLayout};
use crate::adapter::para::{Para, column_tolerance};
use safetensors::{Dtype, SafeTensors};
use sdk::candle_core::{DType, Device, Tensor, safetensors::Load as _};
use sdk::{Error, Result, ResultExt, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// The content of an adapter file.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Tensors by name, in the precision of the file.
    pub tensors: BTreeMap<String, Tensor>,
    /// The strings of the header.
    pub metadata: BTreeMap<String, String>,
}

impl Content {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, is truncated or is no safetensors file.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).context(|| format!("adapter {}", path.display()))?;
        Self::parse(&bytes).context(|| format!("adapter {}", path.display()))
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// Bytes that are truncated or no safetensors file, or values that are not finite.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| describe(bytes, &e))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| describe(bytes, &e))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let known = matches!(
                view.dtype(),
                Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::U8 | Dtype::I64 | Dtype::U32
            );
            if !known {
                bail!("tensor {name} is stored as {:?}, expected f32, f16 or bf16", view.dtype(); help: "convert the file to f16 or f32");
            }
            tensors.insert(name.to_string(), view.load(&Device::Cpu)?);
        }
        Ok(Self {
            tensors,
            metadata: metadata.into_iter().collect(),
        })
    }
}

fn describe(bytes: &[u8], error: &safetensors::SafeTensorError) -> Error {
    let found = bytes.len();
    if bytes.starts_with(b"PK") || bytes.starts_with(b"\x80\x02") {
        return Error::msg("this is a pickle (.pt, .ckpt, .bin), which may run code when it is read")
            .help("convert it to .safetensors with the tool it came from");
    }
    let declared = bytes
        .first_chunk::<8>()
        .map(|n| u64::from_le_bytes(*n))
        .filter(|n| n.saturating_add(8) > found as u64);
    match (declared, error) {
        (Some(n), _) if n > 100_000_000 => Error::msg(format!(
            "not a safetensors file: its first 8 bytes claim a header of {n} bytes, the file has {found}"
        ))
        .help("expected an adapter saved as .safetensors; open the file to see what it is"),
        (Some(n), _) => Error::msg(format!(
            "the file is truncated: its header alone takes {n} bytes, the file has {found}"
        ))
        .help("copy or download it again"),
        (None, safetensors::SafeTensorError::MetadataIncompleteBuffer) => Error::msg(format!(
            "the file is truncated or damaged: its {found} bytes are not what its header describes"
        ))
        .help("copy or download it again"),
        _ if found < 8 => Error::msg(format!(
            "not a safetensors file: it has {found} bytes, a header needs at least 8"
        ))
        .help("copy or download it again"),
        _ => Error::msg(format!("not a readable safetensors file ({found} bytes): {error}")),
    }
}

/// The bytes of a safetensors file whose content alone decides them: tensors ordered by width and name,
/// metadata by key.
///
/// # Errors
/// A tensor type that the format does not have.
pub fn to_bytes<'a>(
    tensors: impl IntoIterator<Item = (String, &'a Tensor)>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    let mut header = serde_json::Map::new();
    let strings = metadata.iter().map(|(k, v)| (k.clone(), v.clone().into()));
    header.insert("__metadata__".into(), serde_json::Value::Object(strings.collect()));
    let mut sorted: Vec<_> = tensors.into_iter().collect();
    sorted.sort_by(|(a, s), (b, t)| {
        let width = |t: &Tensor| std::cmp::Reverse(t.dtype().size_in_bytes());
        (width(s), a).cmp(&(width(t), b))
    });
    for (name, tensor) in sorted {
        let start = data.len();
        let dtype = append(&mut data, tensor).context(|| format!("tensor {name}"))?;
        let entry = serde_json::json!({ "dtype": dtype, "shape": tensor.dims(), "data_offsets": [start, data.len()] });
        header.insert(name, entry);
    }
    let mut text = serde_json::to_vec(&header)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut text);
    bytes.append(&mut data);
    Ok(bytes)
}

fn append(data: &mut Vec<u8>, tensor: &Tensor) -> Result<&'static str> {
    let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
    Ok(match tensor.dtype() {
        DType::F64 => {
            flat.to_vec1::<f64>()?.iter().for_each(|v| data.extend(v.to_le_bytes()));
            "F64"
        }
        DType::I64 => {
            flat.to_vec1::<i64>()?.iter().for_each(|v| data.extend(v.to_le_bytes()));
            "I64"
        }
        DType::F32 => {
            flat.to_vec1::<f32>()?.iter().for_each(|v| data.extend(v.to_le_bytes()));
            "F32"
        }
        DType::F16 => {
            flat.to_vec1::<half::f16>()?
                .iter()
                .for_each(|v| data.extend(v.to_le_bytes()));
            "F16"
        }
        DType::BF16 => {
            flat.to_vec1::<half::bf16>()?
                .iter()
                .for_each(|v| data.extend(v.to_le_bytes()));
            "BF16"
        }
        DType::U8 => {
            data.extend(flat.to_vec1::<u8>()?);
            "U8"
        }
        other => bail!("{other:?} values cannot be written"),
    })
}

/// Metadata key of the UNet layout.
const LAYOUT: &str = "para.layout";
/// Metadata key of the coarsest precision that the columns went through.
const PRECISION: &str = "para.precision";
/// Metadata key of a sequence: a JSON list of each member's metadata.
const SEQUENCE: &str = "para.sequence";

/// The native file of one PaRa, or of several in sequence. `dtype`: f32 keeps every bit; f16 halves the
/// file, and the columns are made orthonormal again when it is read.
///
/// # Errors
/// No PaRa at all, or a `dtype` other than f16, f32, f64.
pub fn para_to_bytes(paras: &[Para], dtype: DType) -> Result<Vec<u8>> {
    if !matches!(dtype, DType::F16 | DType::F32 | DType::F64) {
        bail!("a PaRa is stored as f16, f32 or f64, not as {dtype:?}");
    }
    let Some(first) = paras.first() else {
        bail!("there is no PaRa to write");
    };
    let mut tensors = Vec::new();
    for (index, para) in paras.iter().enumerate() {
        for (path, q) in &para.modules {
            let name = ModuleName::unet(path.clone());
            let stem = match &para.layout {
                Some(layout) => layout.kohya(&name),
                None => name.to_kohya(true),
            };
            let prefix = if paras.len() > 1 {
                format!("{index}.")
            } else {
                String::new()
            };
            tensors.push((format!("{prefix}{stem}.para_q"), q.to_dtype(dtype)?));
        }
    }
    let mut metadata = if paras.len() > 1 {
        let members: Vec<_> = paras.iter().map(described).collect::<Result<_>>()?;
        BTreeMap::from([(SEQUENCE.to_string(), serde_json::to_string(&members)?)])
    } else {
        described(first)?
    };
    metadata.insert("format".into(), "pt".into());
    metadata.insert("para.version".into(), "1".into());
    if let Some(layout) = &first.layout {
        let base = if layout.sdxl {
            "stable-diffusion-xl-v1-base"
        } else {
            "stable-diffusion-v1"
        };
        metadata.insert("modelspec.architecture".into(), format!("{base}/para"));
        metadata.insert("modelspec.sai_model_spec".into(), "1.0.1".into());
        metadata.insert("modelspec.implementation".into(), "paragraph".into());
    }
    to_bytes(tensors.iter().map(|(n, t)| (n.clone(), t)), &metadata)
}

/// The metadata of one PaRa, with what is kept outside of it in memory.
fn described(para: &Para) -> Result<BTreeMap<String, String>> {
    let mut info = para.info.clone();
    if let Some(layout) = &para.layout {
        info.insert(LAYOUT.into(), serde_json::to_string(layout)?);
    }
    info.insert(PRECISION.into(), para.precision.as_str().into());
    Ok(info)
}

/// Whether the tensors are those of a native PaRa file.
pub fn is_para(content: &Content) -> bool {
    let suffixed = |n: &String| n.ends_with(".para_q") || n.ends_with(".para_b");
    content.metadata.contains_key("para.version") || content.tensors.keys().any(suffixed)
}

/// Reads a native PaRa file: orthonormal `para_q`, or raw `para_b`, whose dependent columns are dropped.
///
/// # Errors
/// Names or shapes that are none of a PaRa file.
pub fn para_from(content: &Content) -> Result<Vec<Para>> {
    let members: Vec<BTreeMap<String, String>> = match content.metadata.get(SEQUENCE) {
        Some(text) => serde_json::from_str(text).context(|| format!("metadata {SEQUENCE}"))?,
        None => vec![content.metadata.clone()],
    };
    let sequence = content.metadata.contains_key(SEQUENCE);
    let mut parts: Vec<BTreeMap<String, Tensor>> = vec![BTreeMap::new(); members.len()];
    let mut layouts = Vec::new();
    for info in &members {
        let layout = info.get(LAYOUT).map(|text| serde_json::from_str::<UnetLayout>(text));
        layouts.push(layout.transpose().context(|| format!("metadata {LAYOUT}"))?);
    }
    for (name, tensor) in &content.tensors {
        let (index, rest) = match name.split_once('.') {
            Some((index, rest)) if sequence => (index.parse::<usize>().ok(), rest),
            _ => (Some(0), name.as_str()),
        };
        let stem = rest.strip_suffix(".para_q").or_else(|| rest.strip_suffix(".para_b"));
        let module = stem.and_then(ModuleName::from_kohya).filter(|m| m.part == Part::Unet);
        let place = index.and_then(|i| Some((parts.get_mut(i)?, layouts.get(i)?)));
        let (Some(module), Some((part, layout))) = (module, place) else {
            bail!("tensor {name} does not belong in a PaRa file, expected lora_unet_NAME.para_q"; help: "the file mixes adapters or is damaged");
        };
        let path = layout
            .as_ref()
            .map_or(module.path.clone(), |l| l.diffusers(&module.path));
        if part.insert(path.clone(), tensor.clone()).is_some() {
            bail!("module {path} is there twice, under two names"; help: "the file is damaged");
        }
    }
    let mut paras = Vec::new();
    for ((matrices, mut info), layout) in parts.into_iter().zip(members).zip(layouts) {
        let stored = matrices.values().next().map_or(DType::F32, Tensor::dtype);
        let declared = info.remove(PRECISION).and_then(|p| p.parse::<DType>().ok());
        let precision = match declared {
            Some(declared) if column_tolerance(declared) > column_tolerance(stored) => declared,
            _ => stored,
        };
        info.retain(|key, _| key.starts_with("para.") && key != LAYOUT && key != "para.version");
        let mut para = Para::new(matrices, precision)?;
        para.layout = layout;
        para.info = info;
        paras.push(para);
    }
    Ok(paras)
}
