//! What adapters add to a layer's output or take away from it, in one operation.
//!
//! An output is a matrix Y (d, p) for each image: d channels, p pixels or tokens, stored either way round.

use super::{Matrix, SMALL_LOOP, Shared, filled, gradient, values, wide_product, with_values};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// As [`crate::ops::project`] defines it.
pub(crate) fn project(y: &Tensor, q: &Tensor, strength: f64, bias: Option<&Tensor>) -> Result<Tensor> {
    let (d, rank) = q.dims2()?;
    let op = Project {
        output: Output::of(y.shape(), d)?,
        rank,
        strength: strength as f32,
    };
    let (y, q) = (y.contiguous()?, q.contiguous()?);
    match bias {
        Some(bias) => y.apply_op3(&q, &bias.contiguous()?, op),
        None => y.apply_op2(&q, op),
    }
}

/// As [`crate::ops::add_low_rank`] defines it.
pub(crate) fn add_low_rank(y: &Tensor, inner: &Tensor, up: &Tensor, scale: f64) -> Result<Tensor> {
    let (d, rank) = up.dims2()?;
    let op = AddLowRank {
        output: Output::of(y.shape(), d)?,
        rank,
        scale: scale as f32,
    };
    y.contiguous()?.apply_op3(&inner.contiguous()?, &up.contiguous()?, op)
}

/// The shape of a layer's output.
#[derive(Clone, Debug)]
struct Output {
    shape: Shape,
    images: usize,
    d: usize,
    p: usize,
    /// (d, p) for each image, the layout of feature maps; otherwise (p, d), that of sequences.
    channels_first: bool,
}

impl Output {
    fn of(shape: &Shape, d: usize) -> Result<Self> {
        let channels_first = shape.rank() == 4;
        let (images, p) = match *shape.dims() {
            [n, _, h, w] => (n, h * w),
            _ => (1, shape.elem_count() / d),
        };
        Ok(Self {
            shape: shape.clone(),
            images,
            d,
            p,
            channels_first,
        })
    }

    /// Floats of one image, with `rows` in place of d.
    fn size(&self, rows: usize) -> usize {
        rows * self.p
    }

    /// The matrix (rows, p) of one image.
    fn image<'a>(&self, values: &'a [f32], rows: usize, image: usize) -> Matrix<'a> {
        let values = &values[image * self.size(rows)..][..self.size(rows)];
        if self.channels_first {
            Matrix::new(values, self.p, 1)
        } else {
            Matrix::new(values, 1, rows)
        }
    }

    /// `to = scale · left right`, or `to += …` if `add`, for one image: `to` (rows, p) in this layout, `left` (rows, k),
    /// `right` (k, p).
    ///
    /// # Safety
    /// `to` is that image's matrix, initialised if `add`, and touched by nobody else.
    unsafe fn product(
        &self,
        (rows, k): (usize, usize),
        to: Shared,
        add: bool,
        left: Matrix<'_>,
        right: Matrix<'_>,
        scale: f32,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.channels_first {
                wide_product((rows, self.p, k), to, self.p, add, left, right, scale);
            } else {
                let (left, right) = (left.transposed(), right.transposed());
                wide_product((self.p, rows, k), to, rows, add, right, left, scale);
            }
        }
    }

    /// `values + scale · left right`, with a bias for each channel: `values` (d, p), `left` (d, r), `right` (r, p) of an image.
    fn update<'a>(
        &self,
        values: &[f32],
        bias: Option<&[f32]>,
        (left, rank): (Matrix<'_>, usize),
        right: impl Fn(usize) -> Matrix<'a>,
        scale: f32,
    ) -> Vec<f32> {
        let mut out = self.with_bias(values, bias);
        for (image, out) in out.chunks_exact_mut(self.size(self.d)).enumerate() {
            // SAFETY: the matrix of this image is exclusive and initialised.
            unsafe { self.product((self.d, rank), Shared::of(out), true, left, right(image), scale) };
        }
        out
    }

    /// `mᵀ · values` of each image, as (r, p) with p contiguous: `m` (d, r).
    fn contract(&self, m: Matrix<'_>, rank: usize, values: &[f32]) -> Vec<f32> {
        // SAFETY: a product that does not add writes all of its destination, one for each image.
        unsafe {
            filled(self.images * self.size(rank), |out| {
                for (image, out) in out.chunks_exact_mut(self.size(rank)).enumerate() {
                    let (sizes, values) = ((rank, self.p, self.d), self.image(values, self.d, image));
                    wide_product(sizes, Shared::new(out), self.p, false, m.transposed(), values, 1.0);
                }
            })
        }
    }

    /// The part of [`Self::contract`]'s result that belongs to an image.
    fn contracted<'a>(&self, values: &'a [f32], rank: usize, image: usize) -> Matrix<'a> {
        Matrix::new(&values[image * self.size(rank)..], self.p, 1)
    }

    /// Adds `scale · Σ right leftᵀ` over the images to `to` (r, d): `left` (d, p), `right` (r, p) of an image.
    fn correlate<'a>(
        &self,
        to: &mut [f32],
        rank: usize,
        left: &[f32],
        right: impl Fn(usize) -> Matrix<'a>,
        scale: f32,
    ) {
        for image in 0..self.images {
            let (sizes, left) = ((rank, self.d, self.p), self.image(left, self.d, image));
            // SAFETY: `to` is exclusive, initialised, and a (r, d) matrix.
            unsafe {
                wide_product(
                    sizes,
                    Shared::of(to),
                    self.d,
                    true,
                    right(image),
                    left.transposed(),
                    scale,
                );
            }
        }
    }

    /// (r, d) → (d, r).
    fn turned(&self, values: &[f32], rank: usize) -> Vec<f32> {
        let column = |i: usize| values[i..].iter().step_by(self.d).take(rank).copied();
        (0..self.d).flat_map(column).collect()
    }

    /// The sum of each channel, over pixels in f64.
    fn channel_sums(&self, values: &[f32]) -> Vec<f32> {
        let mut sums = vec![0f64; self.d];
        for (at, value) in values.iter().enumerate() {
            let channel = if self.channels_first {
                at / self.p % self.d
            } else {
                at % self.d
            };
            sums[channel] += f64::from(*value);
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }

    /// A copy of `values` with a bias for each of d channels.
    fn with_bias(&self, values: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let (d, p) = (self.d, self.p);
        let run = if self.channels_first { p } else { d };
        let copy = |(row, (to, from)): (usize, (&mut [MaybeUninit<f32>], &[f32]))| match bias {
            None => {
                to.write_copy_of_slice(from);
            }
            Some(bias) if self.channels_first => {
                let bias = bias[row % d];
                to.iter_mut().zip(from).for_each(|(to, v)| {
                    to.write(v + bias);
                });
            }
            Some(bias) => to.iter_mut().zip(from).zip(bias).for_each(|((to, v), bias)| {
                to.write(v + bias);
            }),
        };
        let fill = |out: &mut [MaybeUninit<f32>]| {
            if out.len() > SMALL_LOOP {
                let rows = out.par_chunks_mut(run).zip(values.par_chunks(run));
                rows.enumerate()
                    .with_min_len(SMALL_LOOP.div_ceil(2 * run))
                    .for_each(copy);
            } else {
                out.chunks_mut(run).zip(values.chunks(run)).enumerate().for_each(copy);
            }
        };
        // SAFETY: the rows cover the output, and each is written whole.
        unsafe { filled(values.len(), fill) }
    }
}

struct Project {
    output: Output,
    rank: usize,
    strength: f32,
}

impl Project {
    fn forward(&self, y: &[f32], q: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let (output, rank, q) = (&self.output, self.rank, Matrix::new(q, self.rank, 1));
        let t = output.contract(q, rank, y);
        let t = |image| output.contracted(&t, rank, image);
        output.update(y, bias, (q, rank), t, -self.strength)
    }

    /// Gradients of y and q as far as they are wanted.
    fn backward(&self, y: &Tensor, q: &Tensor, dz: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (output, rank, scale) = (&self.output, self.rank, -self.strength);
        with_values(q, |values| {
            with_values(dz, |dz| {
                let m = Matrix::new(values, rank, 1);
                let u = output.contract(m, rank, dz);
                let u = |image| output.contracted(&u, rank, image);
                let dy = match y.track_op() {
                    true => Some(gradient(y, output.update(dz, None, (m, rank), u, scale))?),
                    false => None,
                };
                let dq = match q.track_op() {
                    true => Some(with_values(y, |y| {
                        let t = output.contract(m, rank, y);
                        let mut sum = vec![0.0; rank * output.d];
                        output.correlate(&mut sum, rank, y, u, scale);
                        let t = |image| output.contracted(&t, rank, image);
                        output.correlate(&mut sum, rank, dz, t, scale);
                        gradient(q, output.turned(&sum, rank))
                    })?),
                    false => None,
                };
                Ok((dy, dq))
            })
        })
    }
}

impl CustomOp2 for Project {
    fn name(&self) -> &'static str {
        "project"
    }

    fn cpu_fwd(&self, y: &CpuStorage, ly: &Layout, q: &CpuStorage, lq: &Layout) -> Result<(CpuStorage, Shape)> {
        let z = self.forward(values(y, ly)?, values(q, lq)?, None);
        Ok((CpuStorage::F32(z), self.output.shape.clone()))
    }

    fn bwd(&self, y: &Tensor, q: &Tensor, _: &Tensor, dz: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(y, q, dz)
    }
}

impl CustomOp3 for Project {
    fn name(&self) -> &'static str {
        "project"
    }

    fn cpu_fwd(
        &self,
        y: &CpuStorage,
        ly: &Layout,
        q: &CpuStorage,
        lq: &Layout,
        bias: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let z = self.forward(values(y, ly)?, values(q, lq)?, Some(values(bias, lb)?));
        Ok((CpuStorage::F32(z), self.output.shape.clone()))
    }

    fn bwd(
        &self,
        y: &Tensor,
        q: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        dz: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dy, dq) = self.backward(y, q, dz)?;
        let db = match bias.track_op() {
            true => Some(gradient(bias, with_values(dz, |dz| Ok(self.output.channel_sums(dz)))?)?),
            false => None,
        };
        Ok((dy, dq, db))
    }
}

struct AddLowRank {
    output: Output,
    rank: usize,
    scale: f32,
}

impl CustomOp3 for AddLowRank {
    fn name(&self) -> &'static str {
        "add_low_rank"
    }

    fn cpu_fwd(
        &self,
        y: &CpuStorage,
        ly: &Layout,
        inner: &CpuStorage,
        li: &Layout,
        up: &CpuStorage,
        lu: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (output, rank) = (&self.output, self.rank);
        let (inner, up) = (values(inner, li)?, Matrix::new(values(up, lu)?, rank, 1));
        let inner = |image| output.image(inner, rank, image);
        let z = output.update(values(y, ly)?, None, (up, rank), inner, self.scale);
        Ok((CpuStorage::F32(z), output.shape.clone()))
    }

    fn bwd(
        &self,
        y: &Tensor,
        inner: &Tensor,
        up: &Tensor,
        _: &Tensor,
        dz: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (output, rank, scale) = (&self.output, self.rank, self.scale);
        let d_inner = || {
            with_values(up, |up| {
                with_values(dz, |dz| {
                    let up = Matrix::new(up, rank, 1).transposed();
                    // SAFETY: a product that does not add writes all of its destination, one for each image.
                    Ok(unsafe {
                        filled(output.images * output.size(rank), |out| {
                            for (image, out) in out.chunks_exact_mut(output.size(rank)).enumerate() {
                                let dz = output.image(dz, output.d, image);
                                output.product((rank, output.d), Shared::new(out), false, up, dz, scale);
                            }
                        })
                    })
                })
            })
        };
        let d_up = || {
            with_values(inner, |inner| {
                with_values(dz, |dz| {
                    let mut sum = vec![0.0; rank * output.d];
                    let inner = |image| output.image(inner, rank, image);
                    output.correlate(&mut sum, rank, dz, inner, scale);
                    Ok(output.turned(&sum, rank))
                })
            })
        };
        let to_y = y.track_op().then(|| dz.clone());
        let to_inner = inner.track_op().then(|| gradient(inner, d_inner()?)).transpose()?;
        let to_up = up.track_op().then(|| gradient(up, d_up()?)).transpose()?;
        Ok((to_y, to_inner, to_up))
    }
}

#[cfg(test)]
mod tests {
    use super::super::composite;
    use super::super::testing::{check, noise};
    use super::*;

    const SHAPES: [(&[usize], usize); 7] = [
        (&[1, 3], 1),
        (&[2, 5, 12], 3),
        (&[1, 77, 64], 4),
        (&[3, 40, 33], 33),
        (&[2, 6, 4, 5], 2),
        (&[1, 64, 16, 16], 2),
        (&[3, 40, 3, 1], 17),
    ];

    fn width(shape: &[usize]) -> usize {
        if shape.len() == 4 {
            shape[1]
        } else {
            shape[shape.len() - 1]
        }
    }

    #[test]
    fn projections_equal_the_composite() {
        for (seed, (shape, rank)) in SHAPES.into_iter().enumerate() {
            let (d, seed) = (width(shape), 10 * seed as u64);
            let q = (noise(&[d, rank], seed + 1) / (d as f64).sqrt()).unwrap();
            let inputs = [noise(shape, seed), q, noise(&[d], seed + 2)];
            for strength in [1.0, 0.3] {
                let name = format!("{shape:?}, rank {rank}, strength {strength}");
                check(
                    &name,
                    &inputs[..2],
                    &|t| project(&t[0], &t[1], strength, None),
                    &|t| composite::project(&t[0], &t[1], strength, None),
                    4e-6,
                );
                check(
                    &name,
                    &inputs,
                    &|t| project(&t[0], &t[1], strength, Some(&t[2])),
                    &|t| composite::project(&t[0], &t[1], strength, Some(&t[2])),
                    4e-6,
                );
            }
        }
    }

    #[test]
    fn updates_equal_the_composite() {
        for (seed, (shape, rank)) in SHAPES.into_iter().enumerate() {
            let (d, seed) = (width(shape), 10 * seed as u64);
            let mut inner = shape.to_vec();
            inner[if shape.len() == 4 { 1 } else { shape.len() - 1 }] = rank;
            let inputs = [noise(shape, seed), noise(&inner, seed + 1), noise(&[d, rank], seed + 2)];
            check(
                &format!("{shape:?}, rank {rank}"),
                &inputs,
                &|t| add_low_rank(&t[0], &t[1], &t[2], 0.7),
                &|t| composite::add_low_rank(&t[0], &t[1], &t[2], 0.7),
                4e-6,
            );
        }
    }
}
