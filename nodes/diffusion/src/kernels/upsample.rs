//! Nearest-neighbour enlargement.

use super::{SMALL_LOOP, gradient, values, with_values};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// As [`crate::ops::upsample_nearest`] defines it.
pub(crate) fn upsample_nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    x.contiguous()?.apply_op1(Upsample {
        h,
        w,
        rows: sources(height, h),
        columns: sources(width, w),
    })
}

/// The source of each of `to` pixels among `from`, as PyTorch rounds it (in f32).
pub(super) fn sources(to: usize, from: usize) -> Vec<u32> {
    let source = |i: usize| {
        if to == 2 * from {
            return i / 2;
        }
        let ratio = from as f32 / to as f32;
        ((i as f32 * ratio) as usize).min(from - 1)
    };
    (0..to).map(|i| source(i) as u32).collect()
}

struct Upsample {
    h: usize,
    w: usize,
    /// Source row of each output row, and source column of each output column.
    rows: Vec<u32>,
    columns: Vec<u32>,
}

impl Upsample {
    fn doubled(&self) -> bool {
        self.columns.len() == 2 * self.w
    }
}

impl CustomOp1 for Upsample {
    fn name(&self) -> &'static str {
        "upsample_nearest"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, (n, c, _, _)) = (values(x, layout)?, layout.shape().dims4()?);
        let (height, width, plane) = (self.rows.len(), self.columns.len(), self.h * self.w);
        let mut y = vec![0f32; n * c * height * width];
        let enlarge = |(y, x): (&mut [f32], &[f32])| {
            let mut previous = None;
            for (i, &source) in self.rows.iter().enumerate() {
                if previous == Some(source) {
                    y.copy_within((i - 1) * width..i * width, i * width);
                    continue;
                }
                previous = Some(source);
                let (row, x) = (&mut y[i * width..][..width], &x[source as usize * self.w..][..self.w]);
                if self.doubled() {
                    row.as_chunks_mut::<2>()
                        .0
                        .iter_mut()
                        .zip(x)
                        .for_each(|(pair, &x)| *pair = [x, x]);
                } else {
                    row.iter_mut()
                        .zip(&self.columns)
                        .for_each(|(y, &source)| *y = x[source as usize]);
                }
            }
        };
        if y.len() > SMALL_LOOP {
            y.par_chunks_exact_mut(height * width)
                .zip(x.par_chunks_exact(plane))
                .for_each(enlarge);
        } else {
            y.chunks_exact_mut(height * width)
                .zip(x.chunks_exact(plane))
                .for_each(enlarge);
        }
        Ok((CpuStorage::F32(y), Shape::from((n, c, height, width))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (height, width, plane) = (self.rows.len(), self.columns.len(), self.h * self.w);
        let mut dx = vec![0f32; x.elem_count()];
        let gather = |(dx, dy): (&mut [f32], &[f32])| {
            for (row, &target) in dy.chunks_exact(width).zip(&self.rows) {
                let dx = &mut dx[target as usize * self.w..][..self.w];
                if self.doubled() {
                    dx.iter_mut()
                        .zip(row.as_chunks::<2>().0)
                        .for_each(|(dx, [a, b])| *dx += a + b);
                } else {
                    row.iter()
                        .zip(&self.columns)
                        .for_each(|(dy, &target)| dx[target as usize] += dy);
                }
            }
        };
        with_values(dy, |dy| {
            if dy.len() > SMALL_LOOP {
                dx.par_chunks_exact_mut(plane)
                    .zip(dy.par_chunks_exact(height * width))
                    .for_each(gather);
            } else {
                dx.chunks_exact_mut(plane)
                    .zip(dy.chunks_exact(height * width))
                    .for_each(gather);
            }
            Ok(())
        })?;
        gradient(x, dx).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::composite;
    use super::super::testing::{check, noise};
    use super::*;

    #[test]
    fn equals_the_composite_for_every_size() {
        let sizes = [
            ([1, 1, 1, 1], 2, 2),
            ([2, 3, 5, 7], 10, 14),
            ([1, 2, 4, 6], 7, 12),
            ([2, 2, 5, 3], 13, 4),
            ([3, 8, 20, 24], 40, 48),
        ];
        for (shape, height, width) in sizes {
            check(
                &format!("{shape:?} to {height}x{width}"),
                &[noise(&shape, 7)],
                &|t| upsample_nearest(&t[0], height, width),
                &|t| composite::upsample_nearest(&t[0], height, width),
                2e-6,
            );
        }
    }

    #[test]
    fn other_uses_of_the_input_keep_their_gradients() {
        let both = |f: fn(&Tensor, usize, usize) -> Result<Tensor>| {
            move |t: &[Tensor]| f(&t[0], 6, 9)?.mean_all()? + (t[0].sum_all()? * 3.0)?
        };
        let x = [noise(&[1, 2, 3, 4], 8)];
        check(
            "used twice",
            &x,
            &both(upsample_nearest),
            &both(composite::upsample_nearest),
            2e-6,
        );
    }

    #[test]
    fn sources_are_those_of_torch() {
        assert_eq!(sources(6, 3), [0, 0, 1, 1, 2, 2]);
        assert_eq!(sources(5, 3), [0, 0, 1, 1, 2]);
        assert_eq!(sources(3, 5), [0, 1, 3]);
    }
}
