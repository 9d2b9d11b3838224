//! Tensors of a safetensors file, a sharded index or a folder that holds either, read once and checked first.

use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Result, ResultExt, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Longest header that is believed, in bytes: the limit of the format's own library.
const LONGEST_HEADER: u64 = 100_000_000;

/// File names that diffusers and transformers give a component's weights, best first.
const WEIGHT_FILES: [&str; 8] = [
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors",
    "model.fp16.safetensors",
    "diffusion_pytorch_model.fp16.safetensors.index.json",
    "model.fp16.safetensors.index.json",
];

/// Named tensors with the file that they came from.
#[derive(Clone, Debug)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}

impl Weights {
    /// Reads `path` to the CPU, floating point tensors of any width as f32.
    ///
    /// # Errors
    /// As [`Weights::open_as`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_as(path, Some(DType::F32), &Device::Cpu)
    }

    /// Reads `path`: a `.safetensors` file, a `.safetensors.index.json` with its shards, or a folder with one of them
    /// under the names that diffusers uses. Floating point tensors become `dtype` (or stay as stored, for `None`),
    /// integers stay integers.
    ///
    /// # Errors
    /// Nothing there, or a file that is cut, is no safetensors file or contradicts itself.
    pub fn open_as(path: impl AsRef<Path>, dtype: Option<DType>, device: &Device) -> Result<Self> {
        let path = weight_file(path.as_ref())?;
        let mut read = Self {
            path: path.clone(),
            tensors: BTreeMap::new(),
            metadata: BTreeMap::new(),
        };
        if path.extension().is_some_and(|e| e == "json") {
            for (shard, names) in shards(&path)? {
                let before: BTreeSet<String> = read.tensors.keys().cloned().collect();
                read.read_file(&shard, dtype, device)?;
                for name in names {
                    if before.contains(&name) || !read.tensors.contains_key(&name) {
                        bail!("{}: the index puts tensor `{name}` into {}, which does not hold it", path.display(), shard.display();
                              help: "download the model again: its index and its shards do not belong together");
                    }
                }
            }
        } else {
            read.read_file(&path, dtype, device)?;
        }
        Ok(read)
    }

    /// How many numbers are in the weights at `path`, from the headers of the files alone.
    ///
    /// # Errors
    /// As [`Weights::open_as`], as far as headers tell.
    pub fn count(path: impl AsRef<Path>) -> Result<usize> {
        let path = weight_file(path.as_ref())?;
        let files = match path.extension().is_some_and(|e| e == "json") {
            true => shards(&path)?.into_keys().collect(),
            false => vec![path],
        };
        let mut count = 0;
        for file in files {
            let mut open = File::open(&file).context(|| file.display())?;
            let (_, header) = read_header(&file, &mut open)?;
            let tensors = header.tensors();
            count += tensors
                .values()
                .map(|t| t.shape.iter().product::<usize>())
                .sum::<usize>();
        }
        Ok(count)
    }

    /// The tensor `name`, which must have this shape.
    ///
    /// # Errors
    /// No such tensor (the message lists similar names), or another shape.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let file = self.path.display();
        let Some(tensor) = self.tensors.get(name) else {
            bail!("{file}: no tensor `{name}`, expected with shape {shape:?}"; help: "{}", similar(name, self.tensors.keys()));
        };
        if tensor.dims() != shape {
            bail!("{file}: tensor `{name}` has shape {:?}, expected {shape:?}", tensor.dims();
                  help: "the file belongs to another model than the configuration beside it");
        }
        Ok(tensor.clone())
    }

    /// All tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// All tensors by name, without a copy.
    pub fn into_tensors(self) -> BTreeMap<String, Tensor> {
        self.tensors
    }

    /// The text entries of the header (`__metadata__`).
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The file, or the index, that was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read_file(&mut self, path: &Path, dtype: Option<DType>, device: &Device) -> Result<()> {
        let mut file = File::open(path).context(|| path.display())?;
        let (start, header) = read_header(path, &mut file)?;
        if let Some(metadata) = header.metadata() {
            self.metadata
                .extend(metadata.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        file.seek(SeekFrom::Start(start)).context(|| path.display())?;
        let mut bytes = Vec::new();
        // In the order of their offsets, which the header's check has found gapless: one sequential read.
        for name in header.offset_keys() {
            let Some(info) = header.info(&name) else {
                continue;
            };
            bytes.resize(info.data_offsets.1 - info.data_offsets.0, 0);
            file.read_exact(&mut bytes).context(|| path.display())?;
            let tensor =
                to_tensor(info, &bytes, dtype, device).context(|| format!("{}: tensor `{name}`", path.display()))?;
            self.tensors.insert(name, tensor);
        }
        Ok(())
    }
}

/// The names in `names` that look most like `name`, as a sentence.
pub(crate) fn similar<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> String {
    let mut near: Vec<(f64, &String)> = names
        .map(|n| (strsim::normalized_damerau_levenshtein(name, n), n))
        .filter(|(score, _)| *score > 0.6)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    match near.as_slice() {
        [] => "no tensor has a similar name: this may be another kind of model".into(),
        near => {
            let list: Vec<String> = near.iter().take(3).map(|(_, n)| format!("`{n}`")).collect();
            format!("similar names there: {}", list.join(", "))
        }
    }
}

fn weight_file(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        if !path.exists() {
            bail!("{}: no such file", path.display());
        }
        return Ok(path.to_path_buf());
    }
    if let Some(file) = WEIGHT_FILES.iter().map(|f| path.join(f)).find(|f| f.is_file()) {
        return Ok(file);
    }
    let mut names: Vec<PathBuf> = std::fs::read_dir(path)
        .context(|| path.display())?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .collect();
    names.sort();
    let with = |end: &str| -> Vec<&PathBuf> {
        let ends = |p: &&PathBuf| p.to_string_lossy().ends_with(end);
        names.iter().filter(ends).collect()
    };
    if let [only] = with(".safetensors").as_slice() {
        return Ok((*only).clone());
    }
    if !with(".bin").is_empty() || !with(".ckpt").is_empty() {
        bail!("{}: only pickled weights (.bin, .ckpt) are here, and those can run code when they are read", path.display();
              help: "convert them with diffusers: `pipe.save_pretrained(DIR, safe_serialization=True)`");
    }
    bail!("{}: no weights here; expected one of {}", path.display(), WEIGHT_FILES.join(", ");
          help: "download the model again, with the weights of all its parts");
}

/// The shards of an index, each with the tensors that the index promises in it.
fn shards(index: &Path) -> Result<BTreeMap<PathBuf, Vec<String>>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = std::fs::read_to_string(index).context(|| index.display())?;
    let parsed: Index = serde_json::from_str(&text)
        .context(|| index.display())
        .help(|| "expected an object with a `weight_map` from tensor names to file names".to_string())?;
    let folder = index.parent().unwrap_or(Path::new("."));
    let mut shards: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for (tensor, file) in parsed.weight_map {
        if Path::new(&file).components().count() != 1 || file == ".." {
            bail!("{}: shard `{file}` is not a plain file name", index.display());
        }
        shards.entry(folder.join(file)).or_default().push(tensor);
    }
    Ok(shards)
}

/// Where the data starts, and the header, after checking both against the file's length.
fn read_header(path: &Path, file: &mut File) -> Result<(u64, Metadata)> {
    let name = path.display();
    let found = file.metadata().context(|| path.display())?.len();
    let mut length = [0u8; 8];
    if found < 8 {
        bail!("{name}: not a safetensors file: {found} bytes, shorter than the 8 bytes that announce the header";
              help: "download or copy it again");
    }
    file.read_exact(&mut length).context(|| path.display())?;
    let header_length = u64::from_le_bytes(length);
    if header_length > LONGEST_HEADER {
        bail!("{name}: not a safetensors file: it announces a header of {header_length} bytes, more than the format's limit of {LONGEST_HEADER}";
              help: "pickled checkpoints (.ckpt, .pt, .bin) must be converted first");
    }
    if header_length + 8 > found {
        bail!("{name}: the file is cut or is not a safetensors file: its header alone needs {} bytes, found {found}", header_length + 8;
              help: "download or copy it again");
    }
    let mut text = vec![0; usize::try_from(header_length).context(|| path.display())?];
    file.read_exact(&mut text).context(|| path.display())?;
    let header: Metadata = serde_json::from_slice(&text)
        .context(|| format!("{name}: the safetensors header is broken"))
        .help(|| "download or copy the file again".to_string())?;
    let start = header_length + 8;
    let expected = start + header.data_len() as u64;
    if found != expected {
        let what = if found < expected {
            "the file is cut"
        } else {
            "the file has bytes that no tensor owns"
        };
        bail!("{name}: {what}: {found} bytes found, {expected} expected from its header"; help: "download or copy it again");
    }
    Ok((start, header))
}

fn to_tensor(info: &TensorInfo, bytes: &[u8], dtype: Option<DType>, device: &Device) -> Result<Tensor> {
    let stored = match info.dtype {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F64 => DType::F64,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::U32 => DType::U32,
        Dtype::U8 | Dtype::BOOL => DType::U8,
        other => {
            bail!("stored as {other:?}, which is not read here"; help: "convert it to f32, f16 or bf16")
        }
    };
    let tensor = Tensor::from_raw_buffer(bytes, stored, &info.shape, &Device::Cpu)?;
    let tensor = match dtype {
        Some(dtype) if stored.is_float() => tensor.to_dtype(dtype)?,
        _ => tensor,
    };
    Ok(tensor.to_device(device)?)
}
