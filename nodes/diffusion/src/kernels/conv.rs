//! Two-dimensional convolution as matrix products over patches.
//!
//! Patches are laid out in (c_in, k_y, k_x) order, so that the weight is used as PyTorch stores it, and products
//! are written straight into the (n, c, h, w) output. A 1x1 convolution needs no patches at all.

mod narrow;
mod patches;
mod winograd;

use super::packed::Packed;
use super::simd::{sum, vectorised};
use super::{
    Matrix, SMALL_PRODUCT, Shared, filled, gradient, product, product_into, spread, values, with_scratch, with_values,
};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use narrow::Narrow;
use rayon::current_num_threads;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;
use winograd::{Filters, Winograd};

/// Floats of patches that a thread works on at once (about 0.75 MB).
const PATCHES: usize = 3 << 16;
/// Pixels below which a tile is cut along the output channels instead.
const NARROW: usize = 64;

/// `x * w + b` as [`crate::ops::conv2d`] defines it, for operands whose shapes fit.
///
/// `packed` belongs to `w`, which must be frozen: where its panels serve, they are made and used.
pub(crate) fn conv2d(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    (stride, padding): (usize, usize),
    packed: Option<&Arc<Packed>>,
) -> Result<Tensor> {
    let op = Conv {
        packed: packed.cloned(),
        ..sizes(x, w, stride, padding)?
    };
    let (x, w) = (x.contiguous()?, w.contiguous()?);
    match b {
        Some(b) => x.apply_op3(&w, &b.contiguous()?, op),
        None => x.apply_op2(&w, op),
    }
}

/// The sizes of a convolution whose operands fit.
pub(super) fn sizes(x: &Tensor, w: &Tensor, stride: usize, padding: usize) -> Result<Conv> {
    let (n, ci, h, width) = x.dims4()?;
    let (co, _, kh, kw) = w.dims4()?;
    let out = |size: usize, k: usize| (size + 2 * padding - k) / stride + 1;
    Ok(Conv {
        n,
        ci,
        h,
        w: width,
        co,
        kh,
        kw,
        stride,
        padding,
        oh: out(h, kh),
        ow: out(width, kw),
        packed: None,
    })
}

/// All the sizes of one convolution.
#[derive(Clone, Debug)]
pub(super) struct Conv {
    pub(super) n: usize,
    pub(super) ci: usize,
    h: usize,
    w: usize,
    pub(super) co: usize,
    kh: usize,
    kw: usize,
    stride: usize,
    padding: usize,
    oh: usize,
    ow: usize,
    packed: Option<Arc<Packed>>,
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = self.forward(values(x, lx)?, values(w, lw)?, None);
        Ok((CpuStorage::F32(y), self.output()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(x, w, dy)
    }
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
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
        let y = self.forward(values(x, lx)?, values(w, lw)?, Some(values(b, lb)?));
        Ok((CpuStorage::F32(y), self.output()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = self.backward(x, w, dy)?;
        let db = match b.track_op() {
            true => Some(gradient(b, with_values(dy, |dy| Ok(self.bias_gradient(dy)))?)?),
            false => None,
        };
        Ok((dx, dw, db))
    }
}

impl Conv {
    pub(super) fn output(&self) -> Shape {
        Shape::from((self.n, self.co, self.oh, self.ow))
    }

    /// Pixels of an output plane.
    pub(super) fn pixels(&self) -> usize {
        self.oh * self.ow
    }

    /// Pixels of an input plane.
    pub(super) fn plane(&self) -> usize {
        self.h * self.w
    }

    /// Values of one filter tap by tap, of one channel.
    pub(super) fn taps(&self) -> usize {
        self.kh * self.kw
    }

    /// Values of a patch.
    pub(super) fn depth(&self) -> usize {
        self.ci * self.taps()
    }

    /// Whether patches are pixels: a 1x1 convolution.
    fn pointwise(&self) -> bool {
        self.taps() == 1 && self.stride == 1 && self.padding == 0
    }

    fn backward(&self, x: &Tensor, w: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with_values(dy, |dy| {
            let dx = match x.track_op() {
                true => Some(gradient(x, with_values(w, |w| Ok(self.input_gradient(w, dy)))?)?),
                false => None,
            };
            let dw = match w.track_op() {
                true => Some(gradient(w, with_values(x, |x| Ok(self.weight_gradient(x, dy)))?)?),
                false => None,
            };
            Ok((dx, dw))
        })
    }

    /// Width of a tile of pixels, such that all threads have one and its patches stay in the cache; none if the
    /// image is so small that tiles would be slivers.
    fn tile(&self) -> Option<usize> {
        let (pixels, share) = (self.pixels(), current_num_threads().div_ceil(self.n));
        if share > 1 && pixels / share < NARROW {
            return None;
        }
        let fitting = (PATCHES / self.depth()).clamp(NARROW, 512);
        let tiles = pixels.div_ceil(fitting).max(share);
        Some(pixels.div_ceil(tiles).next_multiple_of(16))
    }

    fn forward(&self, x: &[f32], w: &[f32], b: Option<&[f32]>) -> Vec<f32> {
        let packed = self.packed.as_ref();
        if let Some(fast) = Winograd::forward(self) {
            let lent = packed.map(|packed| packed.forward(w));
            let filters = lent
                .as_ref()
                .map_or(Filters::Stored(w), |lent| Filters::Packed(lent.panels()));
            return fast.convolve(x, filters, b);
        }
        if let (Some(narrow), Some(packed)) = (Narrow::forward(self), packed) {
            return narrow.convolve(x, packed.forward(w).panels(), b);
        }
        let (pixels, depth, image) = (self.pixels(), self.depth(), self.ci * self.plane());
        let parallel = self.n * self.co * pixels * depth > SMALL_PRODUCT;
        let weight = Matrix::new(w, depth, 1);
        let fill = |out: &mut [MaybeUninit<f32>]| {
            let out = Shared::new(out);
            // One tile: channels `rows` at pixels `columns` of image `i`, from the patches of those pixels.
            let tile = |i: usize, rows: Range<usize>, columns: Range<usize>, patches: Matrix<'_>| {
                let start = (i * self.co + rows.start) * pixels + columns.start;
                let (height, width) = (rows.len(), columns.len());
                // SAFETY: tiles are disjoint parts of the output (n, c_out, pixels), and each is written whole.
                unsafe {
                    if let Some(b) = b {
                        for (row, &b) in b[rows.clone()].iter().enumerate() {
                            let row = out.at(start + row * pixels);
                            (0..width).for_each(|j| row.add(j).write(b));
                        }
                    }
                    let size = (height, width, depth);
                    product(
                        size,
                        out.at(start),
                        pixels,
                        b.is_some(),
                        weight.from(rows.start, 0),
                        patches,
                        1.0,
                    );
                }
            };
            match self.tile() {
                Some(width) if parallel => {
                    let tiles = pixels.div_ceil(width);
                    spread(self.n * tiles, true, |task| {
                        let (i, start) = (task / tiles, task % tiles * width);
                        let columns = start..(start + width).min(pixels);
                        let x = &x[i * image..][..image];
                        if self.pointwise() {
                            tile(i, 0..self.co, columns, Matrix::new(&x[start..], pixels, 1));
                        } else {
                            with_scratch(depth * columns.len(), |patches| {
                                self.gather(x, 0..self.ci, columns.clone(), patches);
                                tile(i, 0..self.co, columns.clone(), Matrix::new(patches, columns.len(), 1));
                            });
                        }
                    });
                }
                _ => {
                    let blocks = if parallel {
                        (2 * current_num_threads()).min(self.co.div_ceil(16))
                    } else {
                        1
                    };
                    let height = self.co.div_ceil(blocks).next_multiple_of(6).min(self.co);
                    let blocks = self.co.div_ceil(height);
                    let all = |patches: &[f32]| {
                        spread(self.n * blocks, parallel, |task| {
                            let (i, start) = (task % self.n, task / self.n * height);
                            let rows = start..(start + height).min(self.co);
                            tile(
                                i,
                                rows,
                                0..pixels,
                                Matrix::new(&patches[i * depth * pixels..], pixels, 1),
                            );
                        });
                    };
                    if self.pointwise() {
                        return all(x);
                    }
                    with_scratch(self.n * depth * pixels, |patches| {
                        let channel = self.taps() * pixels;
                        let shared = Shared::of(patches);
                        spread(self.n * self.ci, parallel, |task| {
                            let (i, c) = (task / self.ci, task % self.ci);
                            // SAFETY: the patches of image i and channel c belong to this task alone.
                            let part = unsafe { std::slice::from_raw_parts_mut(shared.at(task * channel), channel) };
                            self.gather(&x[i * image..][..image], c..c + 1, 0..pixels, part);
                        });
                        all(patches);
                    });
                }
            }
        };
        // SAFETY: the tiles cover the output.
        unsafe { filled(self.n * self.co * pixels, fill) }
    }

    /// `dx`: products with the transposed weight, scattered back from patches to pixels.
    pub(super) fn input_gradient(&self, w: &[f32], dy: &[f32]) -> Vec<f32> {
        let packed = self.packed.as_ref();
        if let Some(fast) = Winograd::input_gradient(self) {
            let lent = packed.map(|packed| packed.backward(w));
            let filters = lent
                .as_ref()
                .map_or(Filters::Turned(w), |lent| Filters::Packed(lent.panels()));
            return fast.convolve(dy, filters, None);
        }
        if let (Some(narrow), Some(packed)) = (Narrow::input_gradient(self), packed) {
            return narrow.convolve(dy, packed.backward(w).panels(), None);
        }
        let (pixels, plane, taps, depth) = (self.pixels(), self.plane(), self.taps(), self.depth());
        let parallel = self.n * self.co * pixels * depth > SMALL_PRODUCT;
        let threads = if parallel { current_num_threads() } else { 1 };
        let blocks = self.ci.div_ceil(32).max(threads.div_ceil(self.n)).min(self.ci);
        let channels = self.ci.div_ceil(blocks);
        let blocks = self.ci.div_ceil(channels);
        let weight = Matrix::new(w, 1, depth);
        let mut dx = vec![0.0; self.n * self.ci * plane];
        let shared = Shared::of(&mut dx);
        spread(self.n * blocks, parallel, |task| {
            let (i, first) = (task % self.n, task / self.n * channels);
            let block = first..(first + channels).min(self.ci);
            let dy = Matrix::new(&dy[i * self.co * pixels..][..self.co * pixels], pixels, 1);
            let (start, rows) = ((i * self.ci + first) * plane, block.len() * taps);
            let weight = weight.from(first * taps, 0);
            if self.pointwise() {
                // SAFETY: the planes of these channels of image i belong to this task alone.
                unsafe {
                    product(
                        (rows, pixels, self.co),
                        shared.at(start),
                        pixels,
                        false,
                        weight,
                        dy,
                        1.0,
                    );
                };
                return;
            }
            // SAFETY: as above.
            let dx = unsafe { std::slice::from_raw_parts_mut(shared.at(start), block.len() * plane) };
            let width = (PATCHES / 2 / rows).clamp(NARROW, 512).min(pixels);
            with_scratch(rows * width, |patches| {
                for start in (0..pixels).step_by(width) {
                    let columns = start..(start + width).min(pixels);
                    let size = (rows, columns.len(), self.co);
                    product_into(size, patches, false, weight, dy.from(0, start), 1.0);
                    self.scatter(&mut patches[..rows * columns.len()], columns, dx);
                }
            });
        });
        dx
    }

    /// `dw`: every task owns some input channels and sums over images and pixels in a fixed order.
    fn weight_gradient(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let (pixels, taps, depth, image) = (self.pixels(), self.taps(), self.depth(), self.ci * self.plane());
        let parallel = self.n * self.co * pixels * depth > SMALL_PRODUCT;
        let threads = if parallel { current_num_threads() } else { 1 };
        let blocks = self.ci.div_ceil(256.max(taps) / taps).max(2 * threads).min(self.ci);
        let channels = self.ci.div_ceil(blocks);
        let fill = |out: &mut [MaybeUninit<f32>]| {
            let out = Shared::new(out);
            spread(self.ci.div_ceil(channels), parallel, |task| {
                let block = task * channels..(task * channels + channels).min(self.ci);
                let rows = block.len() * taps;
                let width = (PATCHES / rows).clamp(NARROW, 1024).min(pixels);
                with_scratch(if self.pointwise() { 0 } else { rows * width }, |patches| {
                    for i in 0..self.n {
                        let x = &x[i * image..][..image];
                        let dy = Matrix::new(&dy[i * self.co * pixels..][..self.co * pixels], pixels, 1);
                        for start in (0..pixels).step_by(width) {
                            let columns = start..(start + width).min(pixels);
                            let size = (self.co, rows, columns.len());
                            let transposed = if self.pointwise() {
                                Matrix::new(x, 1, pixels).from(start, block.start)
                            } else {
                                self.gather(x, block.clone(), columns.clone(), patches);
                                Matrix::new(patches, 1, columns.len())
                            };
                            let (dst, add) = (out.at(block.start * taps), i > 0 || start > 0);
                            // SAFETY: the columns of these channels belong to this task alone, and the first
                            // product, which does not add, writes all of them.
                            unsafe {
                                product(size, dst, depth, add, dy.from(0, start), transposed, 1.0);
                            };
                        }
                    }
                });
            });
        };
        // SAFETY: the blocks of channels cover the weight.
        unsafe { filled(self.co * depth, fill) }
    }

    fn bias_gradient(&self, dy: &[f32]) -> Vec<f32> {
        let pixels = self.pixels();
        let plane = |i: usize, c: usize| total(&dy[(i * self.co + c) * pixels..][..pixels]);
        (0..self.co)
            .map(|c| (0..self.n).map(|i| plane(i, c)).sum::<f64>() as f32)
            .collect()
    }
}

vectorised! {
    fn total(values: &[f32]) -> f64 {
        sum(values, |v| v)
    }
}

#[cfg(test)]
mod tests {
    use super::super::composite;
    use super::super::testing::{check, distance, noise};
    use super::*;
    use candle_core::DType;

    /// n, c_in, h, w, c_out, kh, kw, stride, padding.
    const SHAPES: [[usize; 9]; 16] = [
        [1, 1, 1, 1, 1, 1, 1, 1, 0],
        [2, 3, 5, 7, 4, 3, 3, 1, 1],
        [1, 4, 8, 8, 6, 3, 3, 2, 1],
        [2, 3, 7, 10, 5, 3, 3, 2, 1],
        [1, 3, 10, 7, 5, 3, 3, 2, 1],
        [2, 5, 6, 9, 3, 1, 1, 1, 0],
        [1, 5, 6, 9, 3, 1, 1, 2, 0],
        [1, 2, 9, 6, 3, 5, 5, 1, 2],
        [1, 2, 9, 6, 3, 5, 5, 1, 0],
        [2, 2, 9, 8, 3, 2, 3, 1, 1],
        [1, 2, 11, 8, 3, 4, 4, 3, 2],
        [1, 2, 5, 4, 3, 3, 3, 1, 3],
        [1, 20, 16, 18, 70, 3, 3, 1, 1],
        [3, 40, 4, 4, 33, 3, 3, 1, 1],
        [2, 64, 8, 8, 64, 1, 1, 1, 0],
        [1, 4, 40, 36, 12, 3, 3, 1, 1],
    ];

    #[test]
    fn equals_the_composite_for_every_shape() {
        for (seed, [n, ci, h, w, co, kh, kw, stride, padding]) in SHAPES.into_iter().enumerate() {
            let seed = 10 * seed as u64;
            let name = format!("{:?}", SHAPES[seed as usize / 10]);
            let inputs = [
                noise(&[n, ci, h, w], seed),
                noise(&[co, ci, kh, kw], seed + 1),
                noise(&[co], seed + 2),
            ];
            let reference = |t: &[Tensor]| composite::gathered_conv2d(&t[0], &t[1], stride, padding);
            check(
                &name,
                &inputs[..2],
                &|t| conv2d(&t[0], &t[1], None, (stride, padding), None),
                &reference,
                2e-6,
            );
            check(
                &name,
                &inputs,
                &|t| conv2d(&t[0], &t[1], Some(&t[2]), (stride, padding), None),
                &|t| reference(t)?.broadcast_add(&t[2].reshape((1, (), 1, 1))?),
                2e-6,
            );
        }
    }

    #[test]
    fn equals_candle_in_the_forward_pass() {
        for [n, ci, h, w, co, kh, kw, stride, padding] in SHAPES.into_iter().filter(|s| s[5] == s[6]) {
            let (x, k) = (noise(&[n, ci, h, w], 1), noise(&[co, ci, kh, kw], 2));
            let want = x.conv2d(&k, padding, stride, 1, 1).unwrap();
            let (x, k) = (x.to_dtype(DType::F32).unwrap(), k.to_dtype(DType::F32).unwrap());
            assert!(distance(&conv2d(&x, &k, None, (stride, padding), None).unwrap(), &want) < 2e-6);
        }
    }

    #[test]
    fn strided_operands_are_taken_as_they_are_meant() {
        let inputs = [noise(&[2, 6, 7, 3], 1), noise(&[3, 3, 4, 3], 2), noise(&[4], 3)];
        let view = |t: &[Tensor]| -> Result<(Tensor, Tensor)> {
            Ok((t[0].permute((0, 3, 2, 1))?, t[1].permute((2, 1, 0, 3))?))
        };
        check(
            "permuted",
            &inputs,
            &|t| {
                let (x, w) = view(t)?;
                conv2d(&x, &w, Some(&t[2]), (1, 1), None)
            },
            &|t| {
                let (x, w) = view(t)?;
                composite::gathered_conv2d(&x.contiguous()?, &w.contiguous()?, 1, 1)?.broadcast_add(&t[2].reshape((
                    1,
                    (),
                    1,
                    1,
                ))?)
            },
            2e-6,
        );
    }

    #[test]
    fn an_operand_inside_a_larger_buffer_is_read_at_its_offset() {
        let x = noise(&[3, 2, 5, 5], 1).to_dtype(DType::F32).unwrap();
        let w = noise(&[4, 2, 3, 3], 2).to_dtype(DType::F32).unwrap();
        let all = conv2d(&x, &w, None, (1, 1), None).unwrap();
        let last = conv2d(&x.narrow(0, 2, 1).unwrap(), &w, None, (1, 1), None).unwrap();
        assert_eq!(distance(&last, &all.narrow(0, 2, 1).unwrap()), 0.0);
    }
}
