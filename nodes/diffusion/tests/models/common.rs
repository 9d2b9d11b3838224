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
    assert!(
        got.iter().all(|v| v.is_finite()),
        "not every number is finite"
    );
    let scale = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let worst = got
        .iter()
        .zip(&want)
        .fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
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
