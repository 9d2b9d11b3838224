//! The arithmetic that layers are made of, each with an exact backward pass.
//!
//! Candle's own fused operations cut gradients silently (`softmax_last_dim`, `LayerNorm`), its `gelu` is the
//! tanh form, and its convolution computes gradients of frozen kernels; so every model here goes through
//! these functions and through nothing else. f32 on the CPU runs on kernels of our own, which compute no gradient
//! of a frozen operand; every other type and device on candle's operations.

use crate::kernels::packed::Packed;
use crate::kernels::{self, composite, geglu::Activation};
use sdk::candle_core::{D, DType, Tensor};
use sdk::{Result, bail};
use std::sync::Arc;

/// Two-dimensional convolution. `x` (n, c_in, h, w), `w` (c_out, c_in, k, k), `b` (c_out) → (n, c_out, h', w').
///
/// # Errors
/// Shapes that do not fit.
pub fn conv2d(x: &Tensor, w: &Tensor, b: Option<&Tensor>, stride: usize, padding: usize) -> Result<Tensor> {
    conv2d_packed(x, w, b, (stride, padding), None)
}

/// [`conv2d`] with a frozen weight that is kept in panels too.
pub(crate) fn conv2d_packed(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    (stride, padding): (usize, usize),
    packed: Option<&Arc<Packed>>,
) -> Result<Tensor> {
    let ((_, channels, height, width), (c_out, c_in, kh, kw)) = match (x.dims4(), w.dims4()) {
        (Ok(x), Ok(w)) => (x, w),
        _ => bail!(
            "conv2d of {:?} with weight {:?}: both need four dimensions",
            x.dims(),
            w.dims()
        ),
    };
    if channels != c_in {
        bail!(
            "conv2d of {:?} with weight {:?}: the weight takes {c_in} channels, the input has {channels}",
            x.dims(),
            w.dims()
        );
    }
    if stride == 0 || height + 2 * padding < kh || width + 2 * padding < kw {
        bail!(
            "conv2d of {:?} with weight {:?}, stride {stride}, padding {padding}: the kernel is larger than the padded input",
            x.dims(),
            w.dims()
        );
    }
    check_vector("conv2d", "bias", b, c_out)?;
    if halved(x, w) {
        if !kernels::half::fit(x, w, b) {
            return conv2d(x, &w.to_dtype(DType::F32)?, b, stride, padding);
        }
        return Ok(kernels::half::conv2d(x, w, b, (stride, padding))?);
    }
    if fit(x, &[Some(w), b]) {
        return Ok(kernels::conv::conv2d(x, w, b, (stride, padding), packed)?);
    }
    Ok(composite::conv2d(x, w, b, stride, padding)?)
}

/// `x Wᵀ + b`. `x` (…, d_in), `w` (d_out, d_in), `b` (d_out) → (…, d_out).
///
/// # Errors
/// Shapes that do not fit.
pub fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    linear_packed(x, w, b, None)
}

/// [`linear`] with a frozen weight that is kept in panels too.
pub(crate) fn linear_packed(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    packed: Option<&Arc<Packed>>,
) -> Result<Tensor> {
    let (Some(&width), Ok((d_out, d_in))) = (x.dims().last(), w.dims2()) else {
        bail!(
            "linear of {:?} with weight {:?}: expected (…, d_in) and (d_out, d_in)",
            x.dims(),
            w.dims()
        );
    };
    if width != d_in {
        bail!(
            "linear of {:?} with weight {:?}: the weight takes {d_in} values, the input has {width}",
            x.dims(),
            w.dims()
        );
    }
    check_vector("linear", "bias", b, d_out)?;
    if halved(x, w) {
        if !kernels::half::fit(x, w, b) {
            return linear(x, &w.to_dtype(DType::F32)?, b);
        }
        return Ok(kernels::half::linear(x, w, b)?);
    }
    if fit(x, &[Some(w), b]) {
        return Ok(kernels::linear::linear(x, w, b, packed)?);
    }
    Ok(composite::linear(x, w, b)?)
}

/// Group normalisation over (channels of a group, h, w), followed by SiLU if `silu`. `x` (n, c, h, w).
///
/// # Errors
/// Channels that `groups` does not divide.
pub fn group_norm(x: &Tensor, groups: usize, w: &Tensor, b: &Tensor, eps: f64, silu: bool) -> Result<Tensor> {
    let Ok((_, c, _, _)) = x.dims4() else {
        bail!("group_norm of {:?}: expected (n, c, h, w)", x.dims());
    };
    if groups == 0 || !c.is_multiple_of(groups) {
        bail!(
            "group_norm of {:?}: {c} channels do not divide into {groups} groups",
            x.dims()
        );
    }
    check_vector("group_norm", "weight", Some(w), c)?;
    check_vector("group_norm", "bias", Some(b), c)?;
    if fit(x, &[Some(w), Some(b)]) {
        return Ok(kernels::norm::group_norm(x, groups, w, b, eps, silu)?);
    }
    Ok(composite::group_norm(x, groups, w, b, eps, silu)?)
}

/// Layer normalisation over the last dimension.
///
/// # Errors
/// Shapes that do not fit.
pub fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    check_vector("layer_norm", "weight", Some(w), width)?;
    check_vector("layer_norm", "bias", Some(b), width)?;
    if fit(x, &[Some(w), Some(b)]) {
        return Ok(kernels::norm::layer_norm(x, w, b, eps)?);
    }
    Ok(composite::layer_norm(x, w, b, eps)?)
}

/// Scaled dot-product attention, `softmax(q kᵀ · scale + mask) v`.
/// `q` (n, heads, l, d), `k`, `v` (n, heads, s, d), `mask` (l, s) or none → (n, heads, l, d).
///
/// The mask is a constant for the kernels; one that is trained goes through candle's operations.
///
/// # Errors
/// Shapes that do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64, mask: Option<&Tensor>) -> Result<Tensor> {
    let (Ok((n, heads, l, d)), Ok(keys)) = (q.dims4(), k.dims4()) else {
        bail!(
            "attention of q {:?} and k {:?}: expected (n, heads, l, d)",
            q.dims(),
            k.dims()
        );
    };
    let s = keys.2;
    if keys != (n, heads, s, d) || v.dims() != k.dims() {
        bail!(
            "attention of q {:?}, k {:?}, v {:?}: they differ in more than their length",
            q.dims(),
            k.dims(),
            v.dims()
        );
    }
    let constant = constant_mask(mask, l, s)?;
    if fit(q, &[Some(k), Some(v)]) && constant.is_some() == mask.is_some() {
        return Ok(kernels::attention::attention(q, k, v, scale, constant.as_ref())?);
    }
    Ok(composite::attention(q, k, v, scale, mask)?)
}

/// [`attention`] with the heads side by side in the last dimension, as projections leave and take them: no
/// transposition is needed. `q` (n, l, heads · d), `k`, `v` (n, s, heads · d), `mask` (l, s) or none → (n, l, heads · d).
///
/// # Errors
/// Shapes that do not fit.
pub fn attention_heads(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    scale: f64,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let (Ok((n, l, width)), Ok(keys)) = (q.dims3(), k.dims3()) else {
        bail!(
            "attention of q {:?} and k {:?}: expected (n, l, heads · d)",
            q.dims(),
            k.dims()
        );
    };
    let s = keys.1;
    if keys != (n, s, width) || v.dims() != k.dims() {
        bail!(
            "attention of q {:?}, k {:?}, v {:?}: they differ in more than their length",
            q.dims(),
            k.dims(),
            v.dims()
        );
    }
    if heads == 0 || !width.is_multiple_of(heads) {
        bail!(
            "attention of q {:?}: {width} values do not divide into {heads} heads",
            q.dims()
        );
    }
    let constant = constant_mask(mask, l, s)?;
    if fit(q, &[Some(k), Some(v)]) && constant.is_some() == mask.is_some() {
        return Ok(kernels::attention::attention_heads(
            q,
            k,
            v,
            heads,
            scale,
            constant.as_ref(),
        )?);
    }
    let split = |t: &Tensor, rows| {
        t.reshape((n, rows, heads, width / heads))?
            .transpose(1, 2)?
            .contiguous()
    };
    let y = composite::attention(&split(q, l)?, &split(k, s)?, &split(v, s)?, scale, mask)?;
    Ok(y.transpose(1, 2)?.flatten_from(2)?)
}

/// GEGLU: the first half of the last dimension times the exact GELU of the second.
///
/// # Errors
/// An odd last dimension.
pub fn geglu(x: &Tensor) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    if !width.is_multiple_of(2) {
        bail!("geglu of {:?}: the last dimension is odd", x.dims());
    }
    Ok(if fit(x, &[]) {
        kernels::geglu::geglu(x)?
    } else {
        composite::geglu(x)?
    })
}

/// `x · sigmoid(1.702 x)`, the GELU of OpenAI's CLIP.
///
/// # Errors
/// Only those of the device.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::QuickGelu, composite::quick_gelu)
}

/// The exact GELU, `x · Φ(x)` with the error function.
///
/// # Errors
/// Only those of the device.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::Gelu, composite::gelu)
}

/// `x · sigmoid(x)`.
///
/// # Errors
/// Only those of the device.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::Silu, Tensor::silu)
}

/// Doubles height and width by repeating pixels. (n, c, h, w) → (n, c, 2h, 2w), or to the stated size.
///
/// # Errors
/// Only those of the device.
pub fn upsample_nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    if height == 0 || width == 0 || x.dims().len() != 4 || x.elem_count() == 0 {
        bail!(
            "upsample_nearest of {:?} to {height}x{width}: expected a picture (n, c, h, w) and a size",
            x.dims()
        );
    }
    if fit(x, &[]) {
        return Ok(kernels::upsample::upsample_nearest(x, height, width)?);
    }
    Ok(composite::upsample_nearest(x, height, width)?)
}

/// `a + b`, of equal shapes.
///
/// # Errors
/// Shapes that differ.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() {
        bail!("add of {:?} and {:?}: the shapes differ", a.dims(), b.dims());
    }
    Ok(if fit(a, &[Some(b)]) {
        kernels::sum::add(a, b)?
    } else {
        (a + b)?
    })
}

/// Adds a number to each channel of each image. `x` (n, c, h, w), `shift` (n, c).
///
/// # Errors
/// Shapes that do not fit.
pub fn add_channels(x: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let (Ok((n, c, _, _)), Ok(found)) = (x.dims4(), shift.dims2()) else {
        bail!(
            "add_channels of {:?} and {:?}: expected (n, c, h, w) and (n, c)",
            x.dims(),
            shift.dims()
        );
    };
    if found != (n, c) {
        bail!("add_channels: the shift is {found:?}, expected ({n}, {c})");
    }
    Ok(if fit(x, &[Some(shift)]) {
        kernels::sum::add_channels(x, shift)?
    } else {
        x.broadcast_add(&shift.reshape((n, c, 1, 1))?)?
    })
}

/// PaRa on the output of a layer: `y − s·Q(Qᵀy) + b`, where `y` is W·x *without the bias* (equation 6 of the paper,
/// applied to the output). `y` (…, d) or (n, d, h, w), `q` (d, r), `b` (d). Differentiable in all three.
///
/// # Errors
/// Shapes that do not fit.
pub fn project(y: &Tensor, q: &Tensor, strength: f64, b: Option<&Tensor>) -> Result<Tensor> {
    let (d, rank) = check_columns("project", y, q)?;
    check_vector("project", "bias", b, d)?;
    Ok(if rank > 0 && fit(y, &[Some(q), b]) {
        kernels::low_rank::project(y, q, strength, b)?
    } else {
        composite::project(y, q, strength, b)?
    })
}

/// LoRA beside a layer: `y + scale · up · inner`. `y` (…, d) or (n, d, h, w), `inner` (…, r) or (n, r, h, w), `up` (d, r).
/// Differentiable in all three.
///
/// # Errors
/// Shapes that do not fit.
pub fn add_low_rank(y: &Tensor, inner: &Tensor, up: &Tensor, scale: f64) -> Result<Tensor> {
    let (_, rank) = check_columns("add_low_rank", y, up)?;
    let channel = channel(y);
    let mut expected = y.dims().to_vec();
    expected[channel] = rank;
    if inner.dims() != expected {
        bail!(
            "add_low_rank: the inner part is {:?}, expected {expected:?}",
            inner.dims()
        );
    }
    Ok(if rank > 0 && fit(y, &[Some(inner), Some(up)]) {
        kernels::low_rank::add_low_rank(y, inner, up, scale)?
    } else {
        composite::add_low_rank(y, inner, up, scale)?
    })
}

/// The dimension of a layer's output that counts its channels.
fn channel(y: &Tensor) -> usize {
    if y.rank() == 4 { 1 } else { y.rank() - 1 }
}

/// The sizes of a (d, r) matrix whose columns are outputs like `y`.
fn check_columns(op: &str, y: &Tensor, columns: &Tensor) -> Result<(usize, usize)> {
    match columns.dims2() {
        Ok((d, r)) if y.rank() > 0 && y.dims()[channel(y)] == d => Ok((d, r)),
        _ => bail!(
            "{op} of {:?} with columns {:?}: expected (…, d) or (n, d, h, w), and (d, r)",
            y.dims(),
            columns.dims()
        ),
    }
}

/// Whether a layer has bf16 weights for activations in f32, as models in bf16 do on the CPU.
fn halved(x: &Tensor, w: &Tensor) -> bool {
    (x.dtype(), w.dtype()) == (DType::F32, DType::BF16)
}

/// Whether the kernels take these operands.
fn fit(x: &Tensor, others: &[Option<&Tensor>]) -> bool {
    kernels::fit(&[x]) && others.iter().flatten().all(|t| kernels::fit(&[t]))
}

fn activation(x: &Tensor, kind: Activation, other: fn(&Tensor) -> sdk::candle_core::Result<Tensor>) -> Result<Tensor> {
    Ok(if fit(x, &[]) {
        kernels::geglu::activate(x, kind)?
    } else {
        other(x)?
    })
}

fn check_vector(op: &str, name: &str, vector: Option<&Tensor>, len: usize) -> Result<()> {
    match vector {
        Some(v) if v.dims() != [len] => {
            bail!("{op}: the {name} is {:?}, expected [{len}]", v.dims())
        }
        _ => Ok(()),
    }
}

/// The mask as the kernels take it: f32 of (l, s); none for one that is trained or differs between heads.
fn constant_mask(mask: Option<&Tensor>, l: usize, s: usize) -> Result<Option<Tensor>> {
    match mask {
        Some(mask) if !mask.track_op() && mask.dims().len() <= 2 => match mask.broadcast_as((l, s)) {
            Ok(mask) => Ok(Some(mask.to_dtype(DType::F32)?)),
            Err(_) => bail!("attention: the mask is {:?}, expected [{l}, {s}]", mask.dims()),
        },
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdk::candle_core::{Device, Var};

    fn ramp(shape: &[usize], dtype: DType) -> Tensor {
        let len = shape.iter().product::<usize>();
        let values: Vec<f64> = (0..len).map(|i| ((i * 37 + 11) % 101) as f64 / 50.0 - 1.0).collect();
        Tensor::from_vec(values, shape, &Device::Cpu)
            .unwrap()
            .to_dtype(dtype)
            .unwrap()
    }

    fn far(a: &Tensor, b: &Tensor) -> f64 {
        let double = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
        let off = (double(a) - double(b)).unwrap().abs().unwrap();
        off.flatten_all().unwrap().max(0).unwrap().to_scalar::<f64>().unwrap()
    }

    /// Every operation on one type, on the same numbers.
    fn all(dtype: DType) -> Vec<(&'static str, Tensor)> {
        let t = |shape: &[usize]| ramp(shape, dtype);
        let image = t(&[2, 4, 6, 5]);
        let (q, k) = (t(&[2, 3, 7, 4]), t(&[2, 3, 5, 4]));
        let flat = |t: &Tensor| {
            t.transpose(1, 2)
                .unwrap()
                .contiguous()
                .unwrap()
                .flatten_from(2)
                .unwrap()
        };
        let (flat_q, flat_k) = (flat(&q), flat(&k));
        let heads = attention_heads(&flat_q, &flat_k, &flat_k, 3, 0.5, None).unwrap();
        vec![
            (
                "conv2d",
                conv2d(&image, &t(&[3, 4, 3, 3]), Some(&t(&[3])), 2, 1).unwrap(),
            ),
            ("linear", linear(&t(&[2, 3, 8]), &t(&[5, 8]), Some(&t(&[5]))).unwrap()),
            (
                "group_norm",
                group_norm(&image, 2, &t(&[4]), &t(&[4]), 1e-5, true).unwrap(),
            ),
            ("layer_norm", layer_norm(&t(&[3, 8]), &t(&[8]), &t(&[8]), 1e-5).unwrap()),
            ("attention", attention(&q, &k, &k, 0.5, Some(&t(&[7, 5]))).unwrap()),
            ("attention_heads", heads.reshape((2, 7, 3, 4)).unwrap()),
            ("geglu", geglu(&t(&[3, 8])).unwrap()),
            ("quick_gelu", quick_gelu(&t(&[3, 8])).unwrap()),
            ("gelu", gelu(&t(&[3, 8])).unwrap()),
            ("silu", silu(&t(&[3, 8])).unwrap()),
            ("upsample_nearest", upsample_nearest(&image, 9, 10).unwrap()),
            ("add", add(&image, &t(&[2, 4, 6, 5])).unwrap()),
            ("add_channels", add_channels(&image, &t(&[2, 4])).unwrap()),
            ("project", project(&image, &t(&[4, 2]), 0.1, Some(&t(&[4]))).unwrap()),
            ("project rows", project(&t(&[2, 3, 8]), &t(&[8, 3]), 0.1, None).unwrap()),
            (
                "add_low_rank",
                add_low_rank(&image, &t(&[2, 3, 6, 5]), &t(&[4, 3]), 0.5).unwrap(),
            ),
        ]
    }

    #[test]
    fn f64_and_f32_agree() {
        for ((name, single), (_, double)) in all(DType::F32).iter().zip(&all(DType::F64)) {
            assert_eq!((single.dtype(), double.dtype()), (DType::F32, DType::F64), "{name}");
            assert!(far(single, double) < 1e-5, "{name} off by {:e}", far(single, double));
        }
    }

    #[test]
    fn heads_side_by_side_are_heads_apart() {
        for dtype in [DType::F32, DType::F64] {
            let (q, k) = (ramp(&[2, 7, 12], dtype), ramp(&[2, 5, 12], dtype));
            let split = |t: &Tensor| t.reshape((2, (), 3, 4)).unwrap().transpose(1, 2).unwrap();
            let apart = attention(&split(&q), &split(&k), &split(&k), 0.5, None).unwrap();
            assert_eq!(apart.dims(), [2, 3, 7, 4]);
            let together = attention_heads(&q, &k, &k, 3, 0.5, None).unwrap();
            assert!(far(&apart.transpose(1, 2).unwrap().flatten_from(2).unwrap(), &together) < 1e-6);
        }
    }

    #[test]
    fn gradients_of_uneven_strided_convolutions_are_right_in_f64_too() {
        let (x, w) = (ramp(&[1, 2, 7, 10], DType::F64), ramp(&[3, 2, 3, 3], DType::F64));
        let gradient = |dtype| {
            let x = Var::from_tensor(&x.to_dtype(dtype).unwrap()).unwrap();
            let y = conv2d(&x, &w.to_dtype(dtype).unwrap(), None, 2, 1).unwrap();
            let loss = (&y * ramp(y.dims(), dtype)).unwrap().sum_all().unwrap();
            loss.backward().unwrap().get(&x).unwrap().clone()
        };
        assert!(far(&gradient(DType::F32), &gradient(DType::F64)) < 1e-5);
    }

    #[test]
    fn a_trained_mask_gets_its_gradient() {
        let (q, k) = (ramp(&[1, 2, 4, 4], DType::F32), ramp(&[1, 2, 3, 4], DType::F32));
        let mask = Var::from_tensor(&ramp(&[4, 3], DType::F32)).unwrap();
        let y = attention(&q, &k, &k, 0.5, Some(&mask)).unwrap();
        let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let size = grads
            .get(&mask)
            .unwrap()
            .abs()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        assert!(size > 1e-3);
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let t = |shape: &[usize]| ramp(shape, DType::F32);
        let image = t(&[1, 4, 3, 3]);
        let found = |error: Result<Tensor>, part: &str| {
            let message = error.unwrap_err().to_string();
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        };
        found(
            conv2d(&image, &t(&[2, 3, 3, 3]), None, 1, 1),
            "takes 3 channels, the input has 4",
        );
        found(
            conv2d(&image, &t(&[2, 4, 5, 5]), None, 1, 0),
            "larger than the padded input",
        );
        found(
            conv2d(&image, &t(&[2, 4, 3, 3]), Some(&t(&[3])), 1, 1),
            "the bias is [3], expected [2]",
        );
        found(
            linear(&t(&[2, 3]), &t(&[5, 4]), None),
            "takes 4 values, the input has 3",
        );
        found(
            group_norm(&image, 3, &t(&[4]), &t(&[4]), 1e-5, false),
            "4 channels do not divide into 3 groups",
        );
        found(
            layer_norm(&t(&[2, 3]), &t(&[2]), &t(&[3]), 1e-5),
            "the weight is [2], expected [3]",
        );
        found(
            attention(&image, &t(&[1, 4, 2, 2]), &t(&[1, 4, 2, 2]), 1.0, None),
            "differ in more than their length",
        );
        let mask = t(&[2, 2]);
        found(
            attention(&image, &image, &image, 1.0, Some(&mask)),
            "the mask is [2, 2], expected [3, 3]",
        );
        found(geglu(&t(&[2, 3])), "odd");
    }
}
