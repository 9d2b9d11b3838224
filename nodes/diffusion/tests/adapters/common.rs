//! Fixtures, random matrices, and how far a tensor is from its reference.

use diffusion::adapter::file::Content;
use diffusion::adapter::para::Para;
use diffusion::linalg::{self, Matrix};
use diffusion::noise::Generator;
use diffusion::unet::{Added, Unet, UnetConfig};
use diffusion::weights::Weights;
use sdk::candle_core::{DType, Tensor};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A path below the adapters' fixtures.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures-adapters")).join(name)
}

/// The tensors of a fixture.
pub(crate) fn tensors(name: &str) -> BTreeMap<String, Tensor> {
    Content::open(&fixture(name)).unwrap().tensors
}

/// The tiny SDXL of the models' fixtures, with its reference values.
pub(crate) fn tiny() -> (Arc<Unet>, BTreeMap<String, Tensor>) {
    tiny_family("tiny-sdxl")
}

/// One of the tiny models, with its reference values.
pub(crate) fn tiny_family(family: &str) -> (Arc<Unet>, BTreeMap<String, Tensor>) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(family);
    let config = std::fs::read_to_string(folder.join("unet/config.json")).unwrap();
    let weights = Weights::open(folder.join("unet")).unwrap().into_tensors();
    let unet = Unet::new(UnetConfig::from_json(&config).unwrap(), weights).unwrap();
    let expected = Content::open(&folder.join("expected.safetensors")).unwrap();
    (Arc::new(unet), expected.tensors)
}

/// The UNet's output for the reference latent at t = 401.
pub(crate) fn output_at_401(unet: &Unet, reference: &BTreeMap<String, Tensor>) -> Tensor {
    let added = Added {
        pooled: reference["pooled"].clone(),
        time_ids: reference["time_ids"].clone(),
    };
    let t = Tensor::new(&[401f32, 401.0], &sdk::candle_core::Device::Cpu).unwrap();
    let hooks = diffusion::layer::Hooks::none();
    let (x, context) = (&reference["latent"], &reference["prompt_embeds"]);
    unet.forward(x, &t, context, Some(&added), &hooks).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
    tensor.to_vec1().unwrap()
}

/// The Frobenius norm of the difference over that of the reference.
pub(crate) fn distance(got: &Tensor, want: &Tensor) -> f64 {
    assert_eq!(got.dims(), want.dims(), "shapes differ");
    let (got, want) = (flat(got), flat(want));
    let difference: f64 = got.iter().zip(&want).map(|(a, b)| (a - b).powi(2)).sum();
    let size: f64 = want.iter().map(|b| b * b).sum();
    assert!(difference.is_finite(), "not every number is finite");
    if difference == 0.0 {
        0.0
    } else {
        (difference / size).sqrt()
    }
}

/// Fails, with the figure, if the distance is above `limit`.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &Tensor, want: &Tensor, limit: f64) {
    let error = distance(got, want);
    println!("{what}: {error:.2e}");
    assert!(
        error <= limit,
        "{what}: relative error {error:.3e}, allowed {limit:.1e}"
    );
}

/// The message of a failure, with its help line.
#[track_caller]
pub(crate) fn failure<T>(result: sdk::Result<T>) -> String {
    match result {
        Ok(_) => panic!("expected a failure"),
        Err(error) => format!("{error:#}"),
    }
}

/// A matrix of standard normal numbers.
pub(crate) fn random(rows: usize, columns: usize, seed: u64) -> Matrix {
    let mut generator = Generator::manual_seed(seed);
    linalg::matrix(&generator.randn((rows, columns)).unwrap()).unwrap()
}

/// Q Qᵀ.
pub(crate) fn projector(q: &Matrix) -> Matrix {
    q * q.transpose()
}

/// A PaRa of one module `m`, with the columns of a matrix.
pub(crate) fn para_of(columns: &Matrix, dtype: DType) -> Para {
    let tensor = linalg::tensor(columns, dtype).unwrap();
    Para::new(BTreeMap::from([("m".to_string(), tensor)]), dtype).unwrap()
}

/// Q of the module `m`; without columns where it is absent.
pub(crate) fn q_of(para: &Para, rows: usize) -> Matrix {
    match para.modules.get("m") {
        Some(q) => linalg::matrix(q).unwrap(),
        None => Matrix::zeros(rows, 0),
    }
}
