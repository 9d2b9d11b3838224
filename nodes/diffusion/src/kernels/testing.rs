//! How a kernel is tested: against the composite in f64, against finite differences, for frozen operands, and for equal bits.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};

/// Deterministic values of about unit variance (a sum of four uniform numbers).
pub(super) fn noise(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let values: Vec<f64> = (0..shape.iter().product())
        .map(|_| ((0..4).map(|_| uniform()).sum::<f64>() - 2.0) * 1.7)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// Largest difference, relative to the largest value of the reference (at least 0.1: operands are of unit size, and a
/// gradient that is zero comes out as rounding).
pub(super) fn distance(got: &Tensor, want: &Tensor) -> f64 {
    assert_eq!(got.dims(), want.dims(), "shape");
    let (got, want) = (flat(got), flat(want));
    let top = want.iter().fold(0.1f64, |top, v| top.max(v.abs()));
    got.iter().zip(&want).fold(0.0, |worst, (a, b)| {
        let d = (a - b).abs() / top;
        if d.is_nan() || d > worst { d } else { worst }
    })
}

fn cast(inputs: &[Tensor], dtype: DType) -> Vec<Var> {
    inputs
        .iter()
        .map(|t| Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap())
        .collect()
}

/// `Σ r · y` with fixed random r, so that every output element counts differently.
fn loss(y: &Tensor) -> Tensor {
    (y * noise(y.dims(), 77).to_dtype(y.dtype()).unwrap())
        .unwrap()
        .sum_all()
        .unwrap()
}

fn run(f: &dyn Fn(&[Tensor]) -> Result<Tensor>, vars: &[Var]) -> (Tensor, GradStore) {
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let y = f(&tensors).unwrap();
    let grads = loss(&y).backward().unwrap();
    (y, grads)
}

/// All the checks on one operation and one set of operands (given in f64, all of which can be differentiated).
/// `tolerance` is relative to the largest value of each result.
pub(super) fn check(
    name: &str,
    inputs: &[Tensor],
    kernel: &dyn Fn(&[Tensor]) -> Result<Tensor>,
    composite: &dyn Fn(&[Tensor]) -> Result<Tensor>,
    tolerance: f64,
) {
    let (single, double) = (cast(inputs, DType::F32), cast(inputs, DType::F64));
    let (y, grads) = run(kernel, &single);
    let (want, want_grads) = run(composite, &double);
    let d = distance(&y, &want);
    assert!(d < tolerance, "{name}: value off by {d:e}");
    for (i, (a, b)) in single.iter().zip(&double).enumerate() {
        let d = distance(grads.get(a).unwrap(), want_grads.get(b).unwrap());
        assert!(d < tolerance, "{name}: gradient of operand {i} off by {d:e}");
    }

    let (again, again_grads) = run(kernel, &single);
    assert_eq!(flat(&y), flat(&again), "{name}: two runs differ");
    for a in &single {
        assert_eq!(
            flat(grads.get(a).unwrap()),
            flat(again_grads.get(a).unwrap()),
            "{name}: two backward runs differ"
        );
    }

    for trained in 0..single.len() {
        let tensors: Vec<Tensor> = (single.iter().enumerate())
            .map(|(i, v)| {
                if i == trained {
                    v.as_tensor().clone()
                } else {
                    v.as_tensor().copy().unwrap().detach()
                }
            })
            .collect();
        let some = loss(&kernel(&tensors).unwrap()).backward().unwrap();
        for (i, t) in tensors.iter().enumerate() {
            assert_eq!(
                some.get(t).is_some(),
                i == trained,
                "{name}: operand {i} while {trained} is trained"
            );
        }
        let alone = flat(some.get(&tensors[trained]).unwrap());
        assert_eq!(
            alone,
            flat(grads.get(&single[trained]).unwrap()),
            "{name}: gradient of {trained} alone"
        );
    }

    for (i, v) in single.iter().enumerate() {
        slope(name, i, &single, kernel, grads.get(v).unwrap());
    }
}

/// The gradient of operand `i` against central differences of the kernel itself along a random direction.
fn slope(name: &str, i: usize, vars: &[Var], kernel: &dyn Fn(&[Tensor]) -> Result<Tensor>, gradient: &Tensor) {
    let gradient = gradient.to_dtype(DType::F64).unwrap();
    // Noise and the gradient's own direction, so that the expected slope is never near zero.
    let top = gradient.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
    let direction = ((&gradient / top.max(1e-12)).unwrap() + (noise(gradient.dims(), 99) * 0.3).unwrap()).unwrap();
    let expected = (&gradient * &direction)
        .unwrap()
        .sum_all()
        .unwrap()
        .to_scalar::<f64>()
        .unwrap();
    let at = |step: f64| {
        let tensors: Vec<Tensor> = (vars.iter().enumerate())
            .map(|(j, v)| {
                let t = v.as_tensor().detach();
                if j != i {
                    return t;
                }
                let moved = (t.to_dtype(DType::F64).unwrap() + (&direction * step).unwrap()).unwrap();
                moved.to_dtype(DType::F32).unwrap()
            })
            .collect();
        let y = kernel(&tensors).unwrap().to_dtype(DType::F64).unwrap();
        loss(&y).to_scalar::<f64>().unwrap()
    };
    // Fourth order, so that the step can be large against the rounding of f32.
    let h = 0.02;
    let measured = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
    let off = (measured - expected).abs() / expected.abs().max(1e-3);
    assert!(
        off < 2e-3,
        "{name}: operand {i} has slope {measured}, gradient says {expected}"
    );
}
