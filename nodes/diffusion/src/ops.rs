//! The arithmetic that layers are made of, each with an exact backward pass.
//!
//! Candle's own fused operations cut gradients silently (`softmax_last_dim`, `LayerNorm`), its `gelu` is the
//! tanh form, and its convolution computes gradients of frozen kernels; so every model here goes through
//! these functions and through nothing else.

use sdk::Result;
use sdk::candle_core::{D, Tensor};

/// Two-dimensional convolution. `x` (n, c_in, h, w), `w` (c_out, c_in, k, k), `b` (c_out) → (n, c_out, h', w').
///
/// # Errors
/// Shapes that do not fit.
pub fn conv2d(x: &Tensor, w: &Tensor, b: Option<&Tensor>, stride: usize, padding: usize) -> Result<Tensor> {
    let y = x.conv2d(w, padding, stride, 1, 1)?;
    match b {
        Some(b) => Ok(y.broadcast_add(&b.reshape((1, (), 1, 1))?)?),
        None => Ok(y),
    }
}

/// `x Wᵀ + b`. `x` (…, d_in), `w` (d_out, d_in), `b` (d_out) → (…, d_out).
///
/// # Errors
/// Shapes that do not fit.
pub fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let (rows, d_in) = (x.elem_count() / x.dim(D::Minus1)?, x.dim(D::Minus1)?);
    let y = x.reshape((rows, d_in))?.matmul(&w.t()?)?;
    let y = match b {
        Some(b) => y.broadcast_add(b)?,
        None => y,
    };
    if let Some(last) = shape.last_mut() {
        *last = w.dim(0)?;
    }
    Ok(y.reshape(shape)?)
}

/// Group normalisation over (channels of a group, h, w), followed by SiLU if `silu`. `x` (n, c, h, w).
///
/// # Errors
/// Channels that `groups` does not divide.
pub fn group_norm(x: &Tensor, groups: usize, w: &Tensor, b: &Tensor, eps: f64, silu: bool) -> Result<Tensor> {
    let (n, c, h, width) = x.dims4()?;
    let grouped = x.reshape((n, groups, c / groups * h * width))?;
    let mean = grouped.mean_keepdim(D::Minus1)?;
    let centred = grouped.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + eps)?.sqrt()?)?.reshape((n, c, h, width))?;
    let y = normed.broadcast_mul(&w.reshape((1, c, 1, 1))?)?.broadcast_add(&b.reshape((1, c, 1, 1))?)?;
    Ok(if silu { y.silu()? } else { y })
}

/// Layer normalisation over the last dimension.
///
/// # Errors
/// Shapes that do not fit.
pub fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
    Ok(normed.broadcast_mul(w)?.broadcast_add(b)?)
}

/// Scaled dot-product attention, `softmax(q kᵀ · scale + mask) v`.
/// `q` (n, heads, l, d), `k`, `v` (n, heads, s, d), `mask` (l, s) or none → (n, heads, l, d).
///
/// # Errors
/// Shapes that do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64, mask: Option<&Tensor>) -> Result<Tensor> {
    let scores = (q.contiguous()?.matmul(&k.transpose(D::Minus2, D::Minus1)?.contiguous()?)? * scale)?;
    let scores = match mask {
        Some(mask) => scores.broadcast_add(mask)?,
        None => scores,
    };
    let top = scores.max_keepdim(D::Minus1)?.detach();
    let exp = scores.broadcast_sub(&top)?.exp()?;
    let weights = exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)?;
    Ok(weights.matmul(&v.contiguous()?)?)
}

/// GEGLU: the first half of the last dimension times the exact GELU of the second.
///
/// # Errors
/// An odd last dimension.
pub fn geglu(x: &Tensor) -> Result<Tensor> {
    let half = x.dim(D::Minus1)? / 2;
    let gate = x.narrow(D::Minus1, half, half)?.contiguous()?;
    Ok((x.narrow(D::Minus1, 0, half)?.contiguous()? * gate.gelu_erf()?)?)
}

/// `x · sigmoid(1.702 x)`, the GELU of OpenAI's CLIP.
///
/// # Errors
/// Only those of the device.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    let sigmoid = ((x * -1.702)?.exp()? + 1.0)?.recip()?;
    Ok((x * sigmoid)?)
}

/// Doubles height and width by repeating pixels. (n, c, h, w) → (n, c, 2h, 2w), or to the stated size.
///
/// # Errors
/// Only those of the device.
pub fn upsample_nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    if height == 2 * h && width == 2 * w {
        let wide = x.reshape((n, c, h, 1, w, 1))?.broadcast_as((n, c, h, 2, w, 2))?;
        return Ok(wide.contiguous()?.reshape((n, c, height, width))?);
    }
    Ok(x.upsample_nearest2d(height, width)?)
}
