//! Layers whose weights are bf16: activations come and go in f32 and are rounded to bf16 for the products, whose sums are f32.
//!
//! Half the memory of f32 weights, and two to sixteen times the multiplications in the same time where the CPU has
//! AVX-512-BF16 or AMX. Weights are frozen; the gradient of the input is computed with them widened to f32.

mod amx;
mod micro;

pub(super) use micro::available;

use super::conv::{self, Conv};
use super::linear;
use super::simd::vectorised;
use super::{Shared, filled, gradient, spread, values, with_scratch, with_values};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor};
use half::bf16;
use micro::{PANEL, PairProduct};
use rayon::current_num_threads;
use std::mem::MaybeUninit;

/// Pairs of the inner dimension that a tile of patches holds (256 KB).
const DEPTH: usize = 1024;

/// Whether these kernels take such a layer: an even inner dimension, frozen weights, and a CPU that multiplies bf16.
pub(crate) fn fit(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> bool {
    let trained = w.track_op() || b.is_some_and(|b| b.track_op() || b.dtype() != DType::F32);
    let depth: usize = w.dims()[1..].iter().product();
    let types = (w.dtype(), x.dtype()) == (DType::BF16, DType::F32);
    types && x.device().is_cpu() && !trained && x.elem_count() > 0 && depth.is_multiple_of(2) && available()
}

/// As [`crate::ops::linear`] defines it, with a frozen bias.
pub(crate) fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Result<Tensor> {
    let (d_out, d_in) = w.dims2()?;
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = d_out;
    }
    let rows = x.elem_count() / d_in;
    let output = Shape::from(shape);
    let op = Linear {
        rows,
        d_in,
        d_out,
        output,
        bias: b.map(Tensor::to_vec1).transpose()?,
    };
    x.contiguous()?.apply_op2(&w.contiguous()?, op)
}

/// As [`crate::ops::conv2d`] defines it, with a frozen bias.
pub(crate) fn conv2d(x: &Tensor, w: &Tensor, b: Option<&Tensor>, (stride, padding): (usize, usize)) -> Result<Tensor> {
    let op = Convolution {
        sizes: conv::sizes(x, w, stride, padding)?,
        bias: b.map(Tensor::to_vec1).transpose()?,
    };
    x.contiguous()?.apply_op2(&w.contiguous()?, op)
}

/// A bf16 operand as pairs of 32 bits; its length is even and it starts at an even element.
fn pairs<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [bf16]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<bf16>()?[start..end]),
        None => candle_core::bail!(
            "a kernel got a strided operand {:?}: make it contiguous first",
            layout.shape()
        ),
    }
}

/// The word of pair `i`.
fn word(pairs: &[bf16], i: usize) -> u32 {
    u32::from(pairs[2 * i].to_bits()) | u32::from(pairs[2 * i + 1].to_bits()) << 16
}

/// The nearest bf16, in the upper half of the word.
#[inline(always)]
fn rounded(value: f32) -> u32 {
    let bits = value.to_bits();
    let near = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    if value.is_nan() { 0x7fc0_0000 } else { near }
}

vectorised! {
    /// Neighbours in pairs.
    fn paired(values: &[f32], out: &mut [u32]) {
        for (out, pair) in out.iter_mut().zip(values.chunks_exact(2)) {
            *out = rounded(pair[0]) >> 16 | rounded(pair[1]);
        }
    }
}

vectorised! {
    /// Values of two rows in pairs.
    fn interleaved(first: &[f32], second: &[f32], out: &mut [u32]) {
        for ((out, &first), &second) in out.iter_mut().zip(first).zip(second) {
            *out = rounded(first) >> 16 | rounded(second);
        }
    }
}

struct Linear {
    rows: usize,
    d_in: usize,
    d_out: usize,
    output: Shape,
    bias: Option<Vec<f32>>,
}

impl Linear {
    fn forward(&self, x: &[f32], w: &[bf16]) -> Vec<f32> {
        let (rows, k, d_out) = (self.rows, self.d_in / 2, self.d_out);
        let mut left = vec![0u32; rows * k];
        paired(x, &mut left);
        let panels = d_out.div_ceil(PANEL);
        // Few panels and many rows: the rows are cut too.
        let cuts = (2 * current_num_threads()).div_ceil(panels).min(rows.div_ceil(64));
        let height = rows.div_ceil(cuts);
        let fill = |out: &mut [MaybeUninit<f32>]| {
            let out = Shared::new(out);
            spread(panels * cuts, rows * k * d_out > super::SMALL_PRODUCT, |task| {
                let (first, cut) = (task / cuts * PANEL, task % cuts * height);
                let (columns, height) = (PANEL.min(d_out - first), height.min(rows.saturating_sub(cut)));
                with_scratch(k * PANEL + height * PANEL, |memory| {
                    let (panel, whole) = memory.split_at_mut(k * PANEL);
                    // The same bits as words.
                    for lane in 0..PANEL {
                        let filter = &w[(first + lane.min(columns - 1)) * self.d_in..][..self.d_in];
                        for i in 0..k {
                            panel[i * PANEL + lane] = f32::from_bits(word(filter, i));
                        }
                    }
                    let direct = columns == PANEL;
                    let to = out.at(cut * d_out + first);
                    let product = PairProduct {
                        m: height,
                        k,
                        a: left[(cut * k).min(left.len())..].as_ptr(),
                        a_step: k,
                        b: panel.as_ptr().cast(),
                        c: if direct { to } else { whole.as_mut_ptr() },
                        c_step: if direct { d_out } else { PANEL },
                        add: false,
                    };
                    // SAFETY: these rows and columns of the output belong to this task alone; `fit` asked the CPU.
                    unsafe {
                        product.run();
                        if !direct {
                            for (row, values) in whole.chunks_exact(PANEL).enumerate().take(height) {
                                std::ptr::copy_nonoverlapping(values.as_ptr(), to.wrapping_add(row * d_out), columns);
                            }
                        }
                        if let Some(bias) = &self.bias {
                            for row in 0..height {
                                let row = std::slice::from_raw_parts_mut(to.wrapping_add(row * d_out), columns);
                                let bias = &bias[first..first + columns];
                                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
                            }
                        }
                    }
                });
            });
        };
        // SAFETY: the panels and cuts cover the output.
        unsafe { filled(rows * d_out, fill) }
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear_bf16"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = self.forward(values(x, lx)?, pairs(w, lw)?);
        Ok((CpuStorage::F32(y), self.output.clone()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if !x.track_op() {
            return Ok((None, None));
        }
        let wide = w.to_dtype(DType::F32)?;
        let dx = with_values(&wide, |w| {
            with_values(dy, |dy| {
                Ok(linear::input_gradient((self.rows, self.d_in, self.d_out), w, dy))
            })
        })?;
        Ok((Some(gradient(x, dx)?), None))
    }
}

struct Convolution {
    sizes: Conv,
    bias: Option<Vec<f32>>,
}

impl Convolution {
    fn forward(&self, x: &[f32], w: &[bf16]) -> Vec<f32> {
        let conv = &self.sizes;
        let (pixels, k, co, image) = (conv.pixels(), conv.depth() / 2, conv.co, conv.ci * conv.plane());
        let tiles = pixels.div_ceil(PANEL);
        // The rows of the weight are cut where there are fewer tiles than threads.
        let cuts = (2 * current_num_threads())
            .div_ceil(conv.n * tiles)
            .min(co.div_ceil(32));
        let height = co.div_ceil(cuts);
        // The same bits as words, where the weight is aligned as words; a candle buffer is.
        let aligned = w.as_ptr().cast::<u32>().is_aligned();
        let copied: Vec<u32> = if aligned {
            Vec::new()
        } else {
            (0..co * k).map(|i| word(w, i)).collect()
        };
        let weight = if aligned {
            w.as_ptr().cast::<u32>()
        } else {
            copied.as_ptr()
        };
        let weight = Shared(weight.cast_mut().cast());
        let fill = |out: &mut [MaybeUninit<f32>]| {
            let out = Shared::new(out);
            spread(conv.n * tiles * cuts, co * k * pixels > super::SMALL_PRODUCT, |task| {
                let (tile, cut) = (task / cuts, task % cuts * height);
                let (i, start) = (tile / tiles, tile % tiles * PANEL);
                let (columns, m) = (start..(start + PANEL).min(pixels), height.min(co.saturating_sub(cut)));
                let width = columns.len();
                let direct = width == PANEL;
                let to = out.at((i * co + cut) * pixels + start);
                let deep = DEPTH.next_multiple_of(conv.taps());
                with_scratch(2 * deep * width + deep * PANEL + m * PANEL, |memory| {
                    let (patches, memory) = memory.split_at_mut(2 * deep * width);
                    let (panel, whole) = memory.split_at_mut(deep * PANEL);
                    // SAFETY: a word has the size and alignment of an f32, and every word is an f32.
                    let panel =
                        unsafe { std::slice::from_raw_parts_mut(panel.as_mut_ptr().cast::<u32>(), panel.len()) };
                    panel.fill(0);
                    // Even, so that no pair is torn.
                    let channels = (2 * deep / conv.taps()) & !1;
                    for first in (0..conv.ci).step_by(channels) {
                        let block = first..(first + channels).min(conv.ci);
                        let rows = block.len() * conv.taps();
                        conv.gather(
                            &x[i * image..][..image],
                            block,
                            columns.clone(),
                            &mut patches[..rows * width],
                        );
                        for (pair, to) in patches[..rows * width]
                            .chunks_exact(2 * width)
                            .zip(panel.chunks_exact_mut(PANEL))
                        {
                            let (first, second) = pair.split_at(width);
                            interleaved(first, second, &mut to[..width]);
                        }
                        let product = PairProduct {
                            m,
                            k: rows / 2,
                            a: weight.at(cut * k + first * conv.taps() / 2).cast_const().cast(),
                            a_step: k,
                            b: panel.as_ptr(),
                            c: if direct { to } else { whole.as_mut_ptr() },
                            c_step: if direct { pixels } else { PANEL },
                            add: first > 0,
                        };
                        // SAFETY: these pixels and channels belong to this task alone; `fit` asked the CPU.
                        unsafe { product.run() };
                    }
                    for row in 0..m {
                        let (from, to) = (&whole[row * PANEL..][..width], to.wrapping_add(row * pixels));
                        // SAFETY: as above.
                        let to = unsafe { std::slice::from_raw_parts_mut(to, width) };
                        if !direct {
                            to.copy_from_slice(from);
                        }
                        if let Some(bias) = &self.bias {
                            let bias = bias[cut + row];
                            to.iter_mut().for_each(|value| *value += bias);
                        }
                    }
                });
            });
        };
        // SAFETY: the tiles and cuts cover the output.
        unsafe { filled(conv.n * co * pixels, fill) }
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "conv2d_bf16"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = self.forward(values(x, lx)?, pairs(w, lw)?);
        Ok((CpuStorage::F32(y), self.sizes.output()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if !x.track_op() {
            return Ok((None, None));
        }
        let wide = w.to_dtype(DType::F32)?;
        let dx = with_values(&wide, |w| with_values(dy, |dy| Ok(self.sizes.input_gradient(w, dy))))?;
        Ok((Some(gradient(x, dx)?), None))
    }
}

#[cfg(test)]
mod tests {
    use super::super::composite;
    use super::super::testing::{distance, noise};
    use super::*;
    use candle_core::Var;

    fn to_bf16(t: &Tensor) -> Tensor {
        t.to_dtype(DType::BF16).unwrap()
    }

    fn exact(t: &Tensor) -> Tensor {
        to_bf16(t).to_dtype(DType::F64).unwrap()
    }

    fn single(t: &Tensor) -> Tensor {
        t.to_dtype(DType::F32).unwrap()
    }

    /// Against f64 on operands that are rounded to bf16 already: what is left is the rounding of f32 sums.
    #[test]
    fn products_of_rounded_operands_are_exact_to_f32() {
        if !available() {
            return;
        }
        for (rows, d_in, d_out) in [(1, 2, 1), (3, 34, 65), (77, 64, 128), (200, 320, 70), (33, 40, 640)] {
            let (x, w) = (noise(&[rows, d_in], 1), noise(&[d_out, d_in], 2));
            let want = composite::linear(&exact(&x), &exact(&w), None).unwrap();
            let b = single(&noise(&[d_out], 9));
            let want = want.broadcast_add(&b.to_dtype(DType::F64).unwrap()).unwrap();
            let got = linear(&single(&exact(&x)), &to_bf16(&w), Some(&b)).unwrap();
            assert!(distance(&got, &want) < 2e-6, "{rows} {d_in} {d_out}");
        }
        for [n, ci, co, h, w, k, stride, padding] in [
            [1, 2, 3, 5, 4, 3, 1, 1],
            [2, 32, 40, 9, 7, 3, 1, 1],
            [1, 320, 33, 8, 8, 3, 2, 1],
            [3, 64, 64, 16, 16, 1, 1, 0],
            [1, 4, 64, 16, 16, 3, 1, 1],
            [1, 700, 16, 4, 4, 3, 1, 1],
        ] {
            let (x, f) = (noise(&[n, ci, h, w], 3), noise(&[co, ci, k, k], 4));
            let want = composite::gathered_conv2d(&exact(&x), &exact(&f), stride, padding).unwrap();
            let b = single(&noise(&[co], 9));
            let wide = b.to_dtype(DType::F64).unwrap().reshape((1, co, 1, 1)).unwrap();
            let want = want.broadcast_add(&wide).unwrap();
            let got = conv2d(&single(&exact(&x)), &to_bf16(&f), Some(&b), (stride, padding)).unwrap();
            assert!(distance(&got, &want) < 2e-6, "{n} {ci} {co} {h} {w} {k} {stride}");
        }
    }

    #[test]
    fn gradients_are_those_of_the_widened_weight() {
        if !available() {
            return;
        }
        let loss = |y: &Tensor| (y * single(&noise(y.dims(), 7))).unwrap().sum_all().unwrap();
        let x = Var::from_tensor(&single(&noise(&[2, 6, 5, 4], 5))).unwrap();
        let f = noise(&[8, 6, 3, 3], 6);
        let y = conv2d(x.as_tensor(), &to_bf16(&f), None, (1, 1)).unwrap();
        let want = composite::gathered_conv2d(x.as_tensor(), &single(&exact(&f)), 1, 1).unwrap();
        let [got, want] = [y, want].map(|y| loss(&y).backward().unwrap().get(&x).unwrap().clone());
        assert!(distance(&got, &want) < 2e-6);
        let x = Var::from_tensor(&single(&noise(&[5, 6], 5))).unwrap();
        let f = noise(&[8, 6], 6);
        let y = linear(x.as_tensor(), &to_bf16(&f), None).unwrap();
        let want = composite::linear(x.as_tensor(), &single(&exact(&f)), None).unwrap();
        let [got, want] = [y, want].map(|y| loss(&y).backward().unwrap().get(&x).unwrap().clone());
        assert!(distance(&got, &want) < 2e-6);
    }

    #[test]
    fn rounding_is_to_the_nearest_even() {
        for value in [
            0.0,
            -0.0,
            1.0,
            1.003_906_3,
            1.011_718_8,
            3.4e38,
            1e-40,
            f32::INFINITY,
            f32::MIN,
        ] {
            let want = bf16::from_f32(value);
            assert_eq!((rounded(value) >> 16) as u16, want.to_bits(), "{value}");
        }
        assert!(f32::from_bits(rounded(f32::NAN)).is_nan());
    }
}
