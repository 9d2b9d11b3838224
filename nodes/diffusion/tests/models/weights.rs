use crate::common::{failure, fixture};
use diffusion::weights::Weights;
use sdk::candle_core::{DType, Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

fn file(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.safetensors");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; data]);
    bytes
}

#[track_caller]
fn refused(bytes: &[u8], expected: &[&str]) {
    let (_folder, path) = file(bytes);
    let message = failure(Weights::open(&path));
    assert!(message.contains("broken.safetensors"), "{message}");
    for part in expected {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn broken_files_are_told_apart() {
    let whole = std::fs::read(fixture("tiny-sdxl/unet/diffusion_pytorch_model.safetensors")).unwrap();
    let (cut, size) = (whole.len() - 100, whole.len());
    refused(
        &whole[..cut],
        &["cut", &format!("{cut} bytes found"), &format!("{size} expected")],
    );
    refused(&whole[..50], &["cut", "found 50"]);
    refused(
        &[&whole[..], &[0; 5]].concat(),
        &["bytes that no tensor owns", &format!("{size} expected")],
    );
    refused(b"abc", &["not a safetensors file", "3 bytes"]);
    refused(
        b"PK\x03\x04 a pickled checkpoint, really",
        &["not a safetensors file", "header of", "converted"],
    );
    refused(&with_header("not json at all", 4), &["header is broken"]);
    let one = r#""dtype":"F32","shape":[1],"data_offsets""#;
    refused(
        &with_header(&format!(r#"{{"a":{{{one}:[0,4]}},"b":{{{one}:[2,6]}}}}"#), 6),
        &["header is broken", "offset"],
    );
    refused(
        &with_header(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}"#, 4),
        &["header is broken"],
    );
    refused(
        &with_header(r#"{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"#, 4),
        &["`a`", "F8_E4M3"],
    );
}

#[test]
fn a_wrong_name_and_a_wrong_shape_are_explained() {
    let weights = Weights::open(fixture("tiny-sdxl/unet")).unwrap();
    assert!(weights.get("conv_in.weight", &[16, 4, 3, 3]).is_ok());
    let message = failure(weights.get("conv_in.wieght", &[16, 4, 3, 3]));
    assert!(
        message.contains("`conv_in.weight`") && message.contains("diffusion_pytorch_model.safetensors"),
        "{message}"
    );
    let message = failure(weights.get("conv_in.weight", &[16, 9, 3, 3]));
    assert!(
        message.contains("[16, 4, 3, 3]") && message.contains("[16, 9, 3, 3]"),
        "{message}"
    );
}

#[test]
fn every_float_type_becomes_f32_and_integers_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("types.safetensors");
    let x = Tensor::new(&[0.5f32, -1.25, 3.0], &Device::Cpu).unwrap();
    let mut tensors: HashMap<String, Tensor> = [DType::F16, DType::BF16, DType::F32, DType::F64, DType::I64]
        .into_iter()
        .map(|d| (d.as_str().to_owned(), x.to_dtype(d).unwrap()))
        .collect();
    tensors.insert("none".into(), Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap());
    sdk::candle_core::safetensors::save(&tensors, &path).unwrap();
    let read = Weights::open(&path).unwrap();
    for name in ["f16", "bf16", "f32", "f64"] {
        let got = read.get(name, &[3]).unwrap();
        assert_eq!(
            (got.dtype(), got.to_vec1::<f32>().unwrap()),
            (DType::F32, vec![0.5, -1.25, 3.0])
        );
    }
    assert_eq!(read.get("i64", &[3]).unwrap().to_vec1::<i64>().unwrap(), [0, -1, 3]);
    assert_eq!(read.get("none", &[0, 3]).unwrap().elem_count(), 0);
    let kept = Weights::open_as(&path, None, &Device::Cpu).unwrap();
    assert_eq!(kept.get("bf16", &[3]).unwrap().dtype(), DType::BF16);
}

fn save(path: &Path, names: &[&str]) {
    let x = Tensor::ones(2, DType::F32, &Device::Cpu).unwrap();
    let tensors: HashMap<&str, Tensor> = names.iter().map(|n| (*n, x.clone())).collect();
    sdk::candle_core::safetensors::save(&tensors, path).unwrap();
}

#[test]
fn shards_and_folders_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let message = failure(Weights::open(folder.path()));
    assert!(message.contains("no weights here"), "{message}");
    std::fs::write(at("pytorch_model.bin"), b"").unwrap();
    let message = failure(Weights::open(folder.path()));
    assert!(
        message.contains("pickled") && message.contains("safe_serialization"),
        "{message}"
    );
    save(&at("model.fp16.safetensors"), &["half"]);
    assert!(Weights::open(folder.path()).unwrap().get("half", &[2]).is_ok());
    save(&at("a.safetensors"), &["a"]);
    save(&at("b.safetensors"), &["b"]);
    let index = |map: &BTreeMap<&str, &str>| {
        let text = serde_json::json!({ "weight_map": map }).to_string();
        std::fs::write(at("model.safetensors.index.json"), text).unwrap();
    };
    index(&BTreeMap::from([("a", "a.safetensors"), ("b", "b.safetensors")]));
    let names: Vec<String> = Weights::open(folder.path())
        .unwrap()
        .into_tensors()
        .into_keys()
        .collect();
    assert_eq!(names, ["a", "b"], "the index goes before the fp16 variant");
    index(&BTreeMap::from([("a", "a.safetensors"), ("c", "b.safetensors")]));
    let message = failure(Weights::open(folder.path()));
    assert!(
        message.contains("`c`") && message.contains("b.safetensors"),
        "{message}"
    );
    index(&BTreeMap::from([("a", "../a.safetensors")]));
    assert!(failure(Weights::open(folder.path())).contains("plain file name"));
}
