//! Sums of feature maps. Candle's own wait for a pool of threads that spins; these share rayon's with the other kernels.

use super::simd::{sum, vectorised};
use super::{SMALL_LOOP, filled, gradient, values, with_values};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// As [`crate::ops::add`] defines it.
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, Add)
}

/// As [`crate::ops::add_channels`] defines it.
pub(crate) fn add_channels(x: &Tensor, shift: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&shift.contiguous()?, AddChannels)
}

vectorised! {
    fn added(a: &[f32], b: &[f32], out: &mut [MaybeUninit<f32>]) {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            out.write(a + b);
        }
    }
}

vectorised! {
    fn shifted(x: &[f32], shift: f32, out: &mut [MaybeUninit<f32>]) {
        for (out, &x) in out.iter_mut().zip(x) {
            out.write(x + shift);
        }
    }
}

vectorised! {
    fn total(values: &[f32]) -> f64 {
        sum(values, |v| v)
    }
}

struct Add;

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(&self, a: &CpuStorage, la: &Layout, b: &CpuStorage, lb: &Layout) -> Result<(CpuStorage, Shape)> {
        let (a, b) = (values(a, la)?, values(b, lb)?);
        let fill = |out: &mut [MaybeUninit<f32>]| {
            if out.len() > 2 * SMALL_LOOP {
                out.par_chunks_mut(SMALL_LOOP)
                    .zip(a.par_chunks(SMALL_LOOP).zip(b.par_chunks(SMALL_LOOP)))
                    .for_each(|(out, (a, b))| added(a, b, out));
            } else {
                added(a, b, out);
            }
        };
        // SAFETY: the chunks cover the output, and `added` writes every element of a chunk.
        Ok((CpuStorage::F32(unsafe { filled(a.len(), fill) }), la.shape().clone()))
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, _: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let to = |t: &Tensor| t.track_op().then(|| dy.clone());
        Ok((to(a), to(b)))
    }
}

struct AddChannels;

impl CustomOp2 for AddChannels {
    fn name(&self) -> &'static str {
        "add_channels"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, s: &CpuStorage, ls: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, shift) = (values(x, lx)?, values(s, ls)?);
        let plane = x.len() / shift.len();
        let fill = |out: &mut [MaybeUninit<f32>]| {
            let one = |((out, x), &shift): ((&mut [MaybeUninit<f32>], &[f32]), &f32)| shifted(x, shift, out);
            if out.len() > 2 * SMALL_LOOP {
                let planes = out.par_chunks_mut(plane).zip(x.par_chunks(plane)).zip(shift);
                planes.with_min_len(SMALL_LOOP.div_ceil(plane)).for_each(one);
            } else {
                out.chunks_mut(plane).zip(x.chunks(plane)).zip(shift).for_each(one);
            }
        };
        // SAFETY: the planes cover the output, and `shifted` writes every element of a plane.
        Ok((CpuStorage::F32(unsafe { filled(x.len(), fill) }), lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, s: &Tensor, _: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let ds = match s.track_op() {
            true => Some(with_values(dy, |dy| {
                let planes = dy.chunks_exact(dy.len() / s.elem_count());
                gradient(s, planes.map(|plane| total(plane) as f32).collect())
            })?),
            false => None,
        };
        Ok((x.track_op().then(|| dy.clone()), ds))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, noise};
    use super::*;

    #[test]
    fn sums_equal_candles() {
        for shape in [&[1][..], &[3, 7], &[2, 5, 4, 3], &[4, 300, 60]] {
            let inputs = [noise(shape, 1), noise(shape, 2)];
            let want = |t: &[Tensor]| &t[0] + &t[1];
            check(&format!("{shape:?}"), &inputs, &|t| add(&t[0], &t[1]), &want, 1e-6);
        }
        for (n, c, h, w) in [(1, 1, 1, 1), (2, 3, 5, 4), (3, 40, 32, 24)] {
            let inputs = [noise(&[n, c, h, w], 3), noise(&[n, c], 4)];
            check(
                &format!("{n} {c} {h} {w}"),
                &inputs,
                &|t| add_channels(&t[0], &t[1]),
                &|t| t[0].broadcast_add(&t[1].reshape((n, c, 1, 1))?),
                2e-6,
            );
        }
    }

    #[test]
    fn strided_operands_are_taken_as_they_are_meant() {
        let inputs = [noise(&[4, 6], 1), noise(&[6, 4], 2)];
        check(
            "transposed",
            &inputs,
            &|t| add(&t[0].t()?, &t[1]),
            &|t| t[0].t()? + &t[1],
            1e-6,
        );
    }
}
