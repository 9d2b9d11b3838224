//! Group and layer normalisation. Statistics are two-pass, f32 in lanes and f64 across, so that a large mean costs no digits.

use super::simd::{silu, silu_slope, sum, sum_pair, vectorised};
use super::{SMALL_LOOP, Shared, filled, gradient, spread, values, with_values};
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};
use std::mem::MaybeUninit;
use std::sync::OnceLock;

/// As [`crate::ops::group_norm`] defines it, for operands whose shapes fit.
pub(crate) fn group_norm(x: &Tensor, groups: usize, w: &Tensor, b: &Tensor, eps: f64, silu: bool) -> Result<Tensor> {
    let (n, c, h, width) = x.dims4()?;
    let op = GroupNorm {
        n,
        channels: c,
        pixels: h * width,
        groups,
        eps,
        silu,
        moments: OnceLock::new(),
    };
    x.contiguous()?.apply_op3(&w.contiguous()?, &b.contiguous()?, op)
}

/// As [`crate::ops::layer_norm`] defines it, for operands whose shapes fit.
pub(crate) fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    let op = LayerNorm { width, eps };
    x.contiguous()?.apply_op3(&w.contiguous()?, &b.contiguous()?, op)
}

/// Mean and reciprocal standard deviation.
#[derive(Clone, Copy, Default)]
struct Moments {
    mean: f32,
    scale: f32,
    /// What rounding took from the mean, in deviations.
    rest: f32,
}

impl Moments {
    #[inline(always)]
    fn of(x: &[f32], eps: f64) -> Self {
        let (len, base) = (x.len() as f64, x.first().copied().unwrap_or_default());
        let exact = f64::from(base) + sum(x, |v| v - base) / len;
        let mean = exact as f32;
        let lost = exact - f64::from(mean);
        let variance = sum(x, |v| (v - mean) * (v - mean)) / len - lost * lost;
        let scale = 1.0 / (variance.max(0.0) + eps).sqrt();
        Self {
            mean,
            scale: scale as f32,
            rest: (lost * scale) as f32,
        }
    }

    #[inline(always)]
    fn normed(self, x: f32) -> f32 {
        (x - self.mean) * self.scale - self.rest
    }
}

struct GroupNorm {
    n: usize,
    channels: usize,
    pixels: usize,
    groups: usize,
    eps: f64,
    silu: bool,
    /// Of every (image, group), kept for the backward pass.
    moments: OnceLock<Vec<Moments>>,
}

impl CustomOp3 for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w, b) = (values(x, lx)?, values(w, lw)?, values(b, lb)?);
        let (block, parallel) = (self.block(), x.len() > SMALL_LOOP);
        let moments = self.measure(x);
        let fill = |out: &mut [MaybeUninit<f32>]| {
            let out = Shared::new(out);
            spread(self.n * self.groups, parallel, |task| {
                for (i, x) in x[task * block..][..block].chunks_exact(self.pixels).enumerate() {
                    let c = self.channel(task, i);
                    // SAFETY: this plane belongs to this task alone.
                    let out = unsafe { plane(out, task * block + i * self.pixels, self.pixels) };
                    normalise(x, out, moments[task], w[c], b[c], self.silu);
                }
            });
        };
        // SAFETY: the groups cover the output, and `normalise` writes each plane whole.
        let y = unsafe { filled(x.len(), fill) };
        self.moments.get_or_init(|| moments);
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let wanted = x.track_op();
        let (dx, sums) = with_values(x, |x| {
            with_values(dy, |dy| {
                with_values(w, |w| with_values(b, |b| Ok(self.backward(x, dy, w, b, wanted))))
            })
        })?;
        let total = |pick: fn(&(f64, f64)) -> f64| -> Vec<f32> {
            let of = |c: usize| (0..self.n).map(|i| pick(&sums[i * self.channels + c])).sum::<f64>() as f32;
            (0..self.channels).map(of).collect()
        };
        let dx = dx.map(|dx| gradient(x, dx)).transpose()?;
        let dw = w.track_op().then(|| gradient(w, total(|s| s.1))).transpose()?;
        let db = b.track_op().then(|| gradient(b, total(|s| s.0))).transpose()?;
        Ok((dx, dw, db))
    }
}

impl GroupNorm {
    /// Values of one group of one image.
    fn block(&self) -> usize {
        self.channels / self.groups * self.pixels
    }

    /// The channel of plane `i` of task `task`, a (image, group).
    fn channel(&self, task: usize, i: usize) -> usize {
        task % self.groups * (self.channels / self.groups) + i
    }

    fn measure(&self, x: &[f32]) -> Vec<Moments> {
        let mut moments = vec![Moments::default(); self.n * self.groups];
        let cells: Vec<OnceLock<Moments>> = moments.iter().map(|_| OnceLock::new()).collect();
        spread(cells.len(), x.len() > SMALL_LOOP, |task| {
            cells[task].get_or_init(|| measure(&x[task * self.block()..][..self.block()], self.eps));
        });
        for (to, cell) in moments.iter_mut().zip(cells) {
            *to = cell.into_inner().unwrap_or_default();
        }
        moments
    }

    /// The gradient of x if wanted, and for every (image, channel) Σ dz and Σ dz · normed x, dz before the SiLU.
    fn backward(
        &self,
        x: &[f32],
        dy: &[f32],
        w: &[f32],
        b: &[f32],
        wanted: bool,
    ) -> (Option<Vec<f32>>, Vec<(f64, f64)>) {
        let (block, parallel) = (self.block(), x.len() > SMALL_LOOP);
        let own;
        let moments = match self.moments.get() {
            Some(moments) => moments,
            None => {
                own = self.measure(x);
                &own
            }
        };
        let per_group = self.channels / self.groups;
        let cells: Vec<OnceLock<Vec<(f64, f64)>>> = (0..self.n * self.groups).map(|_| OnceLock::new()).collect();
        let work = |task: usize, out: Option<Shared>| {
            let (x, dy) = (&x[task * block..][..block], &dy[task * block..][..block]);
            let planes = || {
                x.chunks_exact(self.pixels)
                    .zip(dy.chunks_exact(self.pixels))
                    .enumerate()
            };
            let moments = moments[task];
            let sums: Vec<(f64, f64)> = planes()
                .map(|(i, (x, dy))| {
                    let c = self.channel(task, i);
                    plane_sums(x, dy, moments, w[c], b[c], self.silu)
                })
                .collect();
            let weighted = |pick: fn(&(f64, f64)) -> f64| -> f32 {
                let all: f64 = (0..per_group)
                    .map(|i| f64::from(w[self.channel(task, i)]) * pick(&sums[i]))
                    .sum();
                (all * f64::from(moments.scale) / block as f64) as f32
            };
            let (shift, tilt) = (weighted(|s| s.0), weighted(|s| s.1));
            if let Some(out) = out {
                for (i, (x, dy)) in planes() {
                    let c = self.channel(task, i);
                    // SAFETY: this plane belongs to this task alone.
                    let out = unsafe { plane(out, task * block + i * self.pixels, self.pixels) };
                    plane_gradient(x, dy, out, moments, (w[c], b[c]), (shift, tilt), self.silu);
                }
            }
            cells[task].get_or_init(|| sums);
        };
        let dx = if wanted {
            // SAFETY: the groups cover the output, and `plane_gradient` writes each plane whole.
            Some(unsafe {
                filled(x.len(), |out| {
                    let out = Shared::new(out);
                    spread(self.n * self.groups, parallel, |task| work(task, Some(out)));
                })
            })
        } else {
            spread(self.n * self.groups, parallel, |task| work(task, None));
            None
        };
        (
            dx,
            cells
                .into_iter()
                .flat_map(|cell| cell.into_inner().unwrap_or_default())
                .collect(),
        )
    }
}

/// Part of an output that is still to be written.
///
/// # Safety
/// The part lies inside the output and is touched by no other thread.
unsafe fn plane<'a>(out: Shared, start: usize, len: usize) -> &'a mut [MaybeUninit<f32>] {
    // SAFETY: the caller's promise; uninitialised memory is what the type says.
    unsafe { std::slice::from_raw_parts_mut(out.at(start).cast(), len) }
}

vectorised! {
    fn measure(x: &[f32], eps: f64) -> Moments {
        Moments::of(x, eps)
    }
}

vectorised! {
    fn normalise(x: &[f32], out: &mut [MaybeUninit<f32>], moments: Moments, w: f32, b: f32, activate: bool) {
        if activate {
            for (out, &x) in out.iter_mut().zip(x) {
                out.write(silu(moments.normed(x) * w + b));
            }
        } else {
            for (out, &x) in out.iter_mut().zip(x) {
                out.write(moments.normed(x) * w + b);
            }
        }
    }
}

vectorised! {
    fn plane_sums(x: &[f32], dy: &[f32], moments: Moments, w: f32, b: f32, activate: bool) -> (f64, f64) {
        if activate {
            sum_pair(x, dy, |x, dy| {
                let normed = moments.normed(x);
                let dz = dy * silu_slope(normed * w + b);
                (dz, dz * normed)
            })
        } else {
            sum_pair(x, dy, |x, dy| (dy, dy * moments.normed(x)))
        }
    }
}

vectorised! {
    fn plane_gradient(
        x: &[f32],
        dy: &[f32],
        out: &mut [MaybeUninit<f32>],
        moments: Moments,
        affine: (f32, f32),
        pull: (f32, f32),
        activate: bool,
    ) {
        let ((w, b), (shift, tilt)) = (affine, pull);
        let gain = w * moments.scale;
        for ((out, &x), &dy) in out.iter_mut().zip(x).zip(dy) {
            let normed = moments.normed(x);
            let dz = if activate { dy * silu_slope(normed * w + b) } else { dy };
            out.write(dz * gain - shift - normed * tilt);
        }
    }
}

struct LayerNorm {
    width: usize,
    eps: f64,
}

/// Rows of one task, the same for every number of threads.
const ROWS: usize = 64;

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w, b) = (values(x, lx)?, values(w, lw)?, values(b, lb)?);
        let block = ROWS * self.width;
        let fill = |out: &mut [MaybeUninit<f32>]| {
            let out = Shared::new(out);
            spread(x.len().div_ceil(block), x.len() > SMALL_LOOP, |task| {
                let x = &x[task * block..x.len().min((task + 1) * block)];
                // SAFETY: these rows belong to this task alone.
                normalise_rows(x, unsafe { plane(out, task * block, x.len()) }, w, b, self.eps);
            });
        };
        // SAFETY: the blocks cover the output, and `normalise_rows` writes each row whole.
        Ok((CpuStorage::F32(unsafe { filled(x.len(), fill) }), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (wanted, affine) = (x.track_op(), w.track_op() || b.track_op());
        let (dx, dw, db) = with_values(x, |x| {
            with_values(dy, |dy| with_values(w, |w| Ok(self.backward(x, dy, w, wanted, affine))))
        })?;
        let dx = dx.map(|dx| gradient(x, dx)).transpose()?;
        let dw = w.track_op().then(|| gradient(w, dw)).transpose()?;
        let db = b.track_op().then(|| gradient(b, db)).transpose()?;
        Ok((dx, dw, db))
    }
}

impl LayerNorm {
    /// Gradients of x (if wanted), w and b (both empty unless `affine`).
    fn backward(
        &self,
        x: &[f32],
        dy: &[f32],
        w: &[f32],
        wanted: bool,
        affine: bool,
    ) -> (Option<Vec<f32>>, Vec<f32>, Vec<f32>) {
        let (width, block, parallel) = (self.width, ROWS * self.width, x.len() > SMALL_LOOP);
        let tasks = x.len().div_ceil(block);
        // Sums over the rows of each block: first those for w, then those for b.
        let mut partial = vec![0f32; if affine { tasks * 2 * width } else { 0 }];
        let sums = Shared::of(&mut partial);
        let work = |task: usize, out: Option<Shared>| {
            let rows = task * block..x.len().min((task + 1) * block);
            let (x, dy) = (&x[rows.clone()], &dy[rows.clone()]);
            if affine {
                // SAFETY: this part of the sums belongs to this task alone.
                let sums = unsafe { std::slice::from_raw_parts_mut(sums.at(task * 2 * width), 2 * width) };
                row_sums(x, dy, sums, self.eps);
            }
            if let Some(out) = out {
                // SAFETY: these rows belong to this task alone.
                row_gradients(x, dy, unsafe { plane(out, rows.start, x.len()) }, w, self.eps);
            }
        };
        let dx = if wanted {
            // SAFETY: the blocks cover the output, and `row_gradients` writes each row whole.
            Some(unsafe {
                filled(x.len(), |out| {
                    let out = Shared::new(out);
                    spread(tasks, parallel, |task| work(task, Some(out)));
                })
            })
        } else {
            spread(tasks, parallel, |task| work(task, None));
            None
        };
        let mut total = vec![0f64; if affine { 2 * width } else { 0 }];
        for block in partial.chunks_exact(2 * width) {
            total.iter_mut().zip(block).for_each(|(sum, &v)| *sum += f64::from(v));
        }
        let mut dw: Vec<f32> = total.into_iter().map(|v| v as f32).collect();
        let db = dw.split_off(dw.len() / 2);
        (dx, dw, db)
    }
}

vectorised! {
    fn normalise_rows(x: &[f32], out: &mut [MaybeUninit<f32>], w: &[f32], b: &[f32], eps: f64) {
        for (x, out) in x.chunks_exact(w.len()).zip(out.chunks_exact_mut(w.len())) {
            let moments = Moments::of(x, eps);
            for (((out, &x), &w), &b) in out.iter_mut().zip(x).zip(w).zip(b) {
                out.write(moments.normed(x) * w + b);
            }
        }
    }
}

vectorised! {
    fn row_sums(x: &[f32], dy: &[f32], sums: &mut [f32], eps: f64) {
        let width = sums.len() / 2;
        let (for_w, for_b) = sums.split_at_mut(width);
        for (x, dy) in x.chunks_exact(width).zip(dy.chunks_exact(width)) {
            let moments = Moments::of(x, eps);
            for (((w, b), &x), &dy) in for_w.iter_mut().zip(for_b.iter_mut()).zip(x).zip(dy) {
                *w += dy * moments.normed(x);
                *b += dy;
            }
        }
    }
}

vectorised! {
    fn row_gradients(x: &[f32], dy: &[f32], out: &mut [MaybeUninit<f32>], w: &[f32], eps: f64) {
        let mut weighted = vec![0f32; w.len()];
        let rows = x.chunks_exact(w.len()).zip(dy.chunks_exact(w.len())).zip(out.chunks_exact_mut(w.len()));
        for ((x, dy), out) in rows {
            let moments = Moments::of(x, eps);
            for ((g, &dy), &w) in weighted.iter_mut().zip(dy).zip(w) {
                *g = dy * w;
            }
            let (shift, tilt) = sum_pair(x, &weighted, |x, g| (g, g * moments.normed(x)));
            let (shift, tilt) = ((shift / w.len() as f64) as f32, (tilt / w.len() as f64) as f32);
            for ((out, &x), &g) in out.iter_mut().zip(x).zip(&weighted) {
                out.write((g - shift - moments.normed(x) * tilt) * moments.scale);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::composite;
    use super::super::testing::{check, distance, noise};
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn group_norm_equals_the_composite() {
        let shapes = [
            ([1, 1, 1, 3], 1),
            ([2, 6, 3, 5], 3),
            ([1, 64, 16, 16], 32),
            ([2, 32, 7, 9], 4),
            ([3, 8, 40, 37], 8),
        ];
        for (seed, (shape, groups)) in shapes.into_iter().enumerate() {
            let seed = seed as u64 * 10;
            let inputs = [
                noise(&shape, seed),
                noise(&[shape[1]], seed + 1),
                noise(&[shape[1]], seed + 2),
            ];
            for silu in [false, true] {
                check(
                    &format!("{shape:?} in {groups}, silu {silu}"),
                    &inputs,
                    &|t| group_norm(&t[0], groups, &t[1], &t[2], 1e-5, silu),
                    &|t| composite::group_norm(&t[0], groups, &t[1], &t[2], 1e-5, silu),
                    4e-6,
                );
            }
        }
    }

    #[test]
    fn layer_norm_equals_the_composite() {
        let shapes: [&[usize]; 5] = [&[1, 3], &[5, 33], &[2, 77, 64], &[3, 130, 96], &[2, 3, 4, 320]];
        for (seed, shape) in shapes.into_iter().enumerate() {
            let (seed, d) = (seed as u64 * 10, shape[shape.len() - 1]);
            let inputs = [noise(shape, seed), noise(&[d], seed + 1), noise(&[d], seed + 2)];
            check(
                &format!("{shape:?}"),
                &inputs,
                &|t| layer_norm(&t[0], &t[1], &t[2], 1e-5),
                &|t| composite::layer_norm(&t[0], &t[1], &t[2], 1e-5),
                4e-6,
            );
        }
    }

    #[test]
    fn strided_operands_are_taken_as_they_are_meant() {
        let inputs = [noise(&[2, 5, 7, 6], 1), noise(&[6], 2), noise(&[6], 3)];
        let x = |t: &[Tensor]| t[0].permute((0, 3, 2, 1));
        check(
            "group_norm of a permuted image",
            &inputs,
            &|t| group_norm(&x(t)?, 2, &t[1], &t[2], 1e-6, true),
            &|t| composite::group_norm(&x(t)?.contiguous()?, 2, &t[1], &t[2], 1e-6, true),
            4e-6,
        );
        let inputs = [noise(&[4, 16, 9], 1), noise(&[16], 2), noise(&[16], 3)];
        let x = |t: &[Tensor]| t[0].transpose(1, 2);
        check(
            "layer_norm of a transposed sequence",
            &inputs,
            &|t| layer_norm(&x(t)?, &t[1], &t[2], 1e-6),
            &|t| composite::layer_norm(&x(t)?.contiguous()?, &t[1], &t[2], 1e-6),
            4e-6,
        );
    }

    #[test]
    fn a_mean_of_a_thousand_deviations_costs_no_digits() {
        let x = ((noise(&[1, 4, 32, 32], 5) * 0.25).unwrap() + 256.0)
            .unwrap()
            .to_dtype(DType::F32)
            .unwrap();
        let (w, b) = (
            Tensor::ones(4, DType::F32, &Device::Cpu).unwrap(),
            Tensor::zeros(4, DType::F32, &Device::Cpu).unwrap(),
        );
        let double = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
        let y = group_norm(&x, 2, &w, &b, 1e-5, false).unwrap();
        assert!(
            distance(
                &y,
                &composite::group_norm(&double(&x), 2, &double(&w), &double(&b), 1e-5, false).unwrap()
            ) < 2e-6
        );
    }
}
