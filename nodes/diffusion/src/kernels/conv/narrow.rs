//! Convolutions of small feature maps: a row for each pixel instead of a column, so that the registers are full of output
//! channels where there are few pixels. Needs the weight in panels.

use super::super::packed::{Panels, rows_product};
use super::super::{SMALL_LOOP, Shared, filled, spread, with_scratch};
use super::{Conv, NARROW};
use std::mem::MaybeUninit;

/// One convolution, forth or back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Narrow {
    n: usize,
    inputs: usize,
    /// The input plane.
    h: usize,
    w: usize,
    /// The output plane.
    oh: usize,
    ow: usize,
    kw: usize,
    stride: usize,
    /// Zeros above and to the left.
    padding: (usize, usize),
}

impl Narrow {
    /// The forward pass, if the feature map is small and the weight is in panels.
    pub(super) fn forward(conv: &Conv) -> Option<Self> {
        let plan = Self {
            n: conv.n,
            inputs: conv.ci,
            h: conv.h,
            w: conv.w,
            oh: conv.oh,
            ow: conv.ow,
            kw: conv.kw,
            stride: conv.stride,
            padding: (conv.padding, conv.padding),
        };
        plan.if_small(conv)
    }

    /// The gradient of the input: a convolution of the output's gradient.
    pub(super) fn input_gradient(conv: &Conv) -> Option<Self> {
        let padding = |k: usize| (k - 1).checked_sub(conv.padding);
        let plan = Self {
            n: conv.n,
            inputs: conv.co,
            h: conv.oh,
            w: conv.ow,
            oh: conv.h,
            ow: conv.w,
            kw: conv.kw,
            stride: 1,
            padding: (padding(conv.kh)?, padding(conv.kw)?),
        };
        plan.if_small(conv).filter(|_| conv.stride == 1)
    }

    fn if_small(self, conv: &Conv) -> Option<Self> {
        (conv.packed.is_some() && self.oh * self.ow < NARROW).then_some(self)
    }

    /// `x` (n, inputs, h, w) → (n, outputs, oh, ow), with a bias for each output channel.
    pub(super) fn convolve(&self, x: &[f32], panels: Panels<'_>, bias: Option<&[f32]>) -> Vec<f32> {
        let (c, outputs, depth) = (self.inputs, panels.outputs, panels.depth());
        let (plane, pixels) = (self.h * self.w, self.oh * self.ow);
        let rows = self.n * pixels;
        with_scratch(self.n * plane * c + rows * (depth + outputs), |memory| {
            let (turned, memory) = memory.split_at_mut(self.n * plane * c);
            let (patches, products) = memory.split_at_mut(rows * depth);
            for (x, to) in x.chunks_exact(plane * c).zip(turned.chunks_exact_mut(plane * c)) {
                for (channel, x) in x.chunks_exact(plane).enumerate() {
                    for (pixel, value) in x.iter().enumerate() {
                        to[pixel * c + channel] = *value;
                    }
                }
            }
            let all = Shared::of(patches);
            spread(rows, rows * depth > 2 * SMALL_LOOP, |row| {
                // SAFETY: this row belongs to this task alone.
                let patch = unsafe { std::slice::from_raw_parts_mut(all.at(row * depth), depth) };
                let (image, y, x) = (row / pixels, row % pixels / self.ow, row % self.ow);
                for (tap, to) in patch.chunks_exact_mut(c).enumerate() {
                    let inside = |at: usize, tap: usize, padding: usize, size: usize| {
                        (at * self.stride + tap).checked_sub(padding).filter(|&at| at < size)
                    };
                    let y = inside(y, tap / self.kw, self.padding.0, self.h);
                    let x = inside(x, tap % self.kw, self.padding.1, self.w);
                    match (y, x) {
                        (Some(y), Some(x)) => to.copy_from_slice(&turned[(image * plane + y * self.w + x) * c..][..c]),
                        _ => to.fill(0.0),
                    }
                }
            });
            // SAFETY: the scratch has room for all rows, and is this call's alone.
            unsafe { rows_product(patches, rows, panels, bias, Shared::of(products)) };
            let fill = |out: &mut [MaybeUninit<f32>]| {
                for (index, to) in out.chunks_exact_mut(pixels).enumerate() {
                    let (image, channel) = (index / outputs, index % outputs);
                    let values = products[image * pixels * outputs + channel..].iter().step_by(outputs);
                    for (to, value) in to.iter_mut().zip(values) {
                        to.write(*value);
                    }
                }
            };
            // SAFETY: the planes cover the output.
            unsafe { filled(rows * outputs, fill) }
        })
    }
}
