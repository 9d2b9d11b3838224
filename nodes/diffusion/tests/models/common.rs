//! Fixtures and how far from them a tensor is.

use diffusion::weights::Weights;
use sdk::candle_core::{DType, Tensor};
use std::path::PathBuf;

/// A path below the fixtures.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(name)
}

/// The reference values of one tiny model.
pub(crate) fn expected(family: &str) -> Weights {
    Weights::open(fixture(family).join("expected.safetensors")).unwrap()
}

/// One reference tensor.
pub(crate) fn want(expected: &Weights, name: &str) -> Tensor {
    expected
        .tensors()
        .get(name)
        .unwrap_or_else(|| panic!("no reference {name}"))
        .clone()
}

/// The largest difference, in units of the largest reference value.
pub(crate) fn relative_error(got: &Tensor, want: &Tensor) -> f64 {
    assert_eq!(got.dims(), want.dims(), "shapes differ");
    let flat = |t: &Tensor| -> Vec<f64> {
        t.to_dtype(DType::F64)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    };
    let (got, want) = (flat(got), flat(want));
    assert!(got.iter().all(|v| v.is_finite()), "not every number is finite");
    let scale = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let worst = got.iter().zip(&want).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    if worst == 0.0 { 0.0 } else { worst / scale }
}

/// Fails, with the figure, if the relative error is above `limit`.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &Tensor, want: &Tensor, limit: f64) {
    let error = relative_error(got, want);
    println!("{what}: worst relative error {error:.2e}");
    assert!(
        error <= limit,
        "{what}: worst relative error {error:.3e}, allowed {limit:.1e}"
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

/// A tiny model's folder.
pub(crate) fn folder(family: &str) -> diffusion::folder::ModelFolder {
    diffusion::folder::ModelFolder::open(fixture(family)).unwrap()
}

/// A list of strings from the reference's metadata.
pub(crate) fn strings(expected: &Weights, key: &str) -> Vec<String> {
    serde_json::from_str(&expected.metadata()[key]).unwrap()
}

/// A number from the reference's metadata.
pub(crate) fn number(expected: &Weights, key: &str) -> f64 {
    expected.metadata()[key].parse().unwrap()
}

/// A copy of a folder that a test may break.
pub(crate) fn copy(from: &std::path::Path) -> tempfile::TempDir {
    fn fill(from: &std::path::Path, to: &std::path::Path) {
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                std::fs::create_dir(&target).unwrap();
                fill(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let to = tempfile::tempdir().unwrap();
    fill(from, to.path());
    to
}
