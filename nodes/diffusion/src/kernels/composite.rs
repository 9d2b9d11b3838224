//! The same operations out of candle's own: for every type and device that the kernels do not take, and the
//! reference that the kernels are tested against in f64.

use candle_core::{D, Device, Result, Tensor};

/// See [`crate::ops::conv2d`].
pub(crate) fn conv2d(x: &Tensor, w: &Tensor, b: Option<&Tensor>, stride: usize, padding: usize) -> Result<Tensor> {
    let (_, _, h, width) = x.dims4()?;
    let (_, _, kh, kw) = w.dims4()?;
    // Candle takes the padding of the gradient from the height alone: wrong where the width leaves another rest.
    let uneven = stride > 1 && (h != width || kh != kw);
    let y = if uneven && (x.track_op() || w.track_op()) {
        gathered_conv2d(x, w, stride, padding)?
    } else {
        x.contiguous()?.conv2d(&w.contiguous()?, padding, stride, 1, 1)?
    };
    match b {
        Some(b) => y.broadcast_add(&b.reshape((1, (), 1, 1))?),
        None => Ok(y),
    }
}

/// Convolution as a gather of patches and one product, whose gradients are right for every shape.
pub(crate) fn gathered_conv2d(x: &Tensor, w: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    let padded = x
        .pad_with_zeros(2, padding, padding)?
        .pad_with_zeros(3, padding, padding)?;
    let (n, ci, h, width) = padded.dims4()?;
    let (co, _, kh, kw) = w.dims4()?;
    let (oh, ow) = ((h - kh) / stride + 1, (width - kw) / stride + 1);
    let mut indices = Vec::with_capacity(kh * kw * oh * ow);
    for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
        for (oy, ox) in (0..oh).flat_map(|oy| (0..ow).map(move |ox| (oy, ox))) {
            indices.push(((oy * stride + ky) * width + ox * stride + kx) as u32);
        }
    }
    let indices = Tensor::new(indices, x.device())?;
    let patches = padded.reshape((n, ci, h * width))?.index_select(&indices, 2)?;
    let patches = patches.reshape((n, ci * kh * kw, oh * ow))?;
    w.reshape((co, ci * kh * kw))?
        .broadcast_matmul(&patches)?
        .reshape((n, co, oh, ow))
}

/// See [`crate::ops::linear`].
pub(crate) fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let y = x.reshape(((), x.dim(D::Minus1)?))?.matmul(&w.t()?)?;
    let y = match b {
        Some(b) => y.broadcast_add(b)?,
        None => y,
    };
    if let Some(last) = shape.last_mut() {
        *last = w.dim(0)?;
    }
    y.reshape(shape)
}

/// See [`crate::ops::group_norm`].
pub(crate) fn group_norm(
    x: &Tensor,
    groups: usize,
    w: &Tensor,
    b: &Tensor,
    eps: f64,
    with_silu: bool,
) -> Result<Tensor> {
    let (n, c, h, width) = x.dims4()?;
    let grouped = x.reshape((n, groups, c / groups * h * width))?;
    let centred = grouped.broadcast_sub(&grouped.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred
        .broadcast_div(&(variance + eps)?.sqrt()?)?
        .reshape((n, c, h, width))?;
    let y = normed
        .broadcast_mul(&w.reshape((1, c, 1, 1))?)?
        .broadcast_add(&b.reshape((1, c, 1, 1))?)?;
    if with_silu { y.silu() } else { Ok(y) }
}

/// See [`crate::ops::layer_norm`].
pub(crate) fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
    normed.broadcast_mul(w)?.broadcast_add(b)
}

/// See [`crate::ops::attention`].
pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64, mask: Option<&Tensor>) -> Result<Tensor> {
    let scores = (q
        .contiguous()?
        .matmul(&k.transpose(D::Minus2, D::Minus1)?.contiguous()?)?
        * scale)?;
    let scores = match mask {
        Some(mask) => scores.broadcast_add(mask)?,
        None => scores,
    };
    let top = scores.max_keepdim(D::Minus1)?.detach();
    let exp = scores.broadcast_sub(&top)?.exp()?;
    let weights = exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)?;
    weights.matmul(&v.contiguous()?)
}

/// See [`crate::ops::geglu`].
pub(crate) fn geglu(x: &Tensor) -> Result<Tensor> {
    let half = x.dim(D::Minus1)? / 2;
    let gate = x.narrow(D::Minus1, half, half)?.contiguous()?;
    x.narrow(D::Minus1, 0, half)?.contiguous()? * gelu(&gate)?
}

/// See [`crate::ops::gelu`].
pub(crate) fn gelu(x: &Tensor) -> Result<Tensor> {
    let erf = (x * std::f64::consts::FRAC_1_SQRT_2)?.erf()?;
    (x * 0.5)? * (erf + 1.0)?
}

/// See [`crate::ops::quick_gelu`].
pub(crate) fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    let sigmoid = ((x * -1.702)?.exp()? + 1.0)?.recip()?;
    x * sigmoid
}

/// See [`crate::ops::upsample_nearest`].
pub(crate) fn upsample_nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    if height == 2 * h && width == 2 * w {
        let wide = x.reshape((n, c, h, 1, w, 1))?.broadcast_as((n, c, h, 2, w, 2))?;
        return wide.contiguous()?.reshape((n, c, height, width));
    }
    // Not `upsample_nearest2d`: its backward pass overwrites the gradients of other users of `x`.
    let pick = |to, from, device: &Device| Tensor::new(super::upsample::sources(to, from), device);
    let tall = x.contiguous()?.index_select(&pick(height, h, x.device())?, 2)?;
    tall.index_select(&pick(width, w, x.device())?, 3)
}

/// See [`crate::ops::project`].
pub(crate) fn project(y: &Tensor, q: &Tensor, strength: f64, bias: Option<&Tensor>) -> Result<Tensor> {
    let qt = q.t()?.contiguous()?;
    if let Ok((n, c, h, w)) = y.dims4() {
        let flat = y.reshape((n, c, h * w))?;
        let inside = q.broadcast_matmul(&qt.broadcast_matmul(&flat)?)?;
        let z = (y - (inside.reshape((n, c, h, w))? * strength)?)?;
        return match bias {
            Some(bias) => z.broadcast_add(&bias.reshape((1, c, 1, 1))?),
            None => Ok(z),
        };
    }
    let inside = y.reshape(((), q.dim(0)?))?.matmul(q)?.matmul(&qt)?;
    let z = (y - (inside.reshape(y.shape())? * strength)?)?;
    match bias {
        Some(bias) => z.broadcast_add(bias),
        None => Ok(z),
    }
}

/// See [`crate::ops::add_low_rank`].
pub(crate) fn add_low_rank(y: &Tensor, inner: &Tensor, up: &Tensor, scale: f64) -> Result<Tensor> {
    if let Ok((n, r, h, w)) = inner.dims4() {
        let added = up.broadcast_matmul(&inner.reshape((n, r, h * w))?)?;
        return y + (added.reshape(y.shape())? * scale)?;
    }
    y + (linear(inner, up, None)? * scale)?
}
