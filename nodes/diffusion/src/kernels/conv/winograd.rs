//! 3x3 convolutions with a quarter of the multiplications: Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray
//! 2016, *Fast Algorithms for Convolutional Neural Networks*).
//!
//! A tile of 4x4 outputs needs 6x6 inputs d. With both tile and filter g transformed, Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A, and summed
//! over channels the 36 elementwise products become 36 matrix products. The polynomials behind it are evaluated at 0,
//! ±1/√2, ±√2 and ∞, which rounds less than the usual 0, ±1, ±2 and ∞.
//!
//! Transforms work on 16 channels at a time; the transformed filters are the packed panels of [`super::super::micro`].

use super::super::micro::{PANEL, PanelProduct};
use super::super::packed::Panels;
use super::super::simd::vectorised;
use super::super::{Shared, filled, spread, with_scratch};
use super::Conv;
use rayon::current_num_threads;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Outputs of a tile along one side.
const OUT: usize = 4;
/// Inputs of a tile along one side.
const IN: usize = OUT + 2;
/// Products for each pair of channels.
const POINTS: usize = IN * IN;
/// Channels that are transformed together.
const LANES: usize = 16;
/// Transformed filters that are in memory at once, in floats (16 MB).
const FILTERS: usize = 1 << 22;
/// Floats between the matrices of two points beyond their size: matrices at a distance of whole pages would share one set
/// of the cache.
const APART: usize = LANES;
/// Transformed tiles that a thread works on at once, in floats (1.5 MB).
const TILES: usize = 3 << 17;

type Lanes = [f32; LANES];

/// The points ±a and ±b.
const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;
const A2: f32 = 0.5;
const B2: f32 = 2.0;

/// One convolution of stride 1, forth or back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Winograd {
    n: usize,
    /// Channels in and out.
    inputs: usize,
    outputs: usize,
    /// The input plane.
    h: usize,
    w: usize,
    /// The output plane.
    oh: usize,
    ow: usize,
    padding: usize,
}

/// Where filters are read.
#[derive(Clone, Copy)]
pub(super) enum Filters<'a> {
    /// As the layer stores them, (c_out, c_in, 3, 3).
    Stored(&'a [f32]),
    /// The same, with outputs and inputs in each other's place and turned by half a circle.
    Turned(&'a [f32]),
    /// Kept in panels.
    Packed(Panels<'a>),
}

impl Winograd {
    /// The forward pass, if it is faster this way.
    pub(super) fn forward(conv: &Conv) -> Option<Self> {
        let plan = Self {
            n: conv.n,
            inputs: conv.ci,
            outputs: conv.co,
            h: conv.h,
            w: conv.w,
            oh: conv.oh,
            ow: conv.ow,
            padding: conv.padding,
        };
        plan.if_faster(conv)
    }

    /// The gradient of the input: a convolution of the output's gradient with the filters turned and transposed.
    pub(super) fn input_gradient(conv: &Conv) -> Option<Self> {
        let plan = Self {
            n: conv.n,
            inputs: conv.co,
            outputs: conv.ci,
            h: conv.oh,
            w: conv.ow,
            oh: conv.h,
            ow: conv.w,
            padding: 2usize.checked_sub(conv.padding)?,
        };
        plan.if_faster(conv)
    }

    /// A model of the cost for each pair of channels, in cycles of a core with AVX-512.
    fn if_faster(self, conv: &Conv) -> Option<Self> {
        if (conv.kh, conv.kw, conv.stride) != (3, 3, 1) || self.inputs < LANES || self.outputs < LANES {
            return None;
        }
        let tiles = (self.n * self.strips() * self.across()) as f32;
        let direct = (self.n * self.oh * self.ow) as f32 * 9.0 / 16.0 * 1.3;
        let transforms = tiles * (40.0 / self.outputs as f32 + 30.0 / self.inputs as f32);
        let filters = if conv.packed.is_some() { 8.0 } else { 25.0 };
        let ours = tiles * POINTS as f32 / 16.0 + transforms + filters;
        (ours < direct).then_some(self)
    }

    /// Rows of tiles of one image.
    fn strips(&self) -> usize {
        self.oh.div_ceil(OUT)
    }

    /// Tiles of a row.
    fn across(&self) -> usize {
        self.ow.div_ceil(OUT)
    }

    /// Input channels, rounded up to whole lanes.
    fn depth(&self) -> usize {
        self.inputs.next_multiple_of(LANES)
    }

    /// Columns of inputs that a row of tiles reads.
    fn width(&self) -> usize {
        self.across() * OUT + 2
    }

    /// `x` (n, inputs, h, w) → (n, outputs, oh, ow), with a bias for each output channel.
    pub(super) fn convolve(&self, x: &[f32], filters: Filters<'_>, bias: Option<&[f32]>) -> Vec<f32> {
        let (depth, strips, panels) = (self.depth(), self.n * self.strips(), self.outputs.div_ceil(PANEL));
        let point = depth * PANEL + APART;
        let panel = POINTS * point;
        let together = (FILTERS / panel).clamp(1, panels);
        // Strips of a task: as many as fit, but enough for all threads, and enough tiles for the products' registers.
        let fitting = TILES / (POINTS * (depth + PANEL) * self.across());
        let share = strips.div_ceil(current_num_threads());
        let group = fitting.max(LANES.div_ceil(self.across())).min(share);
        let mut transformed: Vec<f32> = Vec::with_capacity(together * panel);
        let points = Shared::new(transformed.spare_capacity_mut());
        let fill = |out: &mut [MaybeUninit<f32>]| {
            let out = Shared::new(out);
            for first in (0..panels).step_by(together) {
                let (count, blocks) = (together.min(panels - first), depth / LANES);
                spread(count * blocks, true, |task| {
                    let (p, input) = (task / blocks, task % blocks * LANES);
                    self.transform_filters(filters, first + p, input, points.at(p * panel), point);
                });
                spread(strips.div_ceil(group), true, |task| {
                    let strips = task * group..(task * group + group).min(strips);
                    let tiles = strips.len() * self.across();
                    let (rows, columns) = (IN * self.width() * LANES, OUT * OUT * self.across() * LANES);
                    let (inside, outside) = (tiles * depth + APART, tiles * PANEL + APART);
                    with_scratch(POINTS * (inside + outside) + (2 * rows).max(columns), |memory| {
                        let (transformed, memory) = memory.split_at_mut(POINTS * inside);
                        let (products, memory) = memory.split_at_mut(POINTS * outside);
                        self.transform_strips(x, strips.clone(), transformed, inside, memory);
                        for p in 0..count {
                            for i in 0..POINTS {
                                let product = PanelProduct {
                                    m: tiles,
                                    k: depth,
                                    a: transformed[i * inside..].as_ptr(),
                                    a_step: depth,
                                    b: points.at(p * panel + i * point).cast_const(),
                                    b_step: PANEL,
                                    c: products[i * outside..].as_mut_ptr(),
                                    c_step: PANEL,
                                    start: std::ptr::null(),
                                };
                                // SAFETY: both matrices lie in this task's memory, the panel was written above.
                                unsafe { product.run() };
                            }
                            let channels = (first + p) * PANEL..((first + p + 1) * PANEL).min(self.outputs);
                            // SAFETY: these channels of these strips belong to this task alone.
                            unsafe {
                                self.write_strips((products, outside), bias, strips.clone(), channels, memory, out);
                            }
                        }
                    });
                });
            }
        };
        // SAFETY: the strips of all panels cover the output.
        unsafe { filled(self.n * self.outputs * self.oh * self.ow, fill) }
    }

    /// G g Gᵀ of the filters from 16 input channels, from `input` on, to panel `index`: `to` (36, depth, 64), each point
    /// `step` values behind the one before. The task owns these channels of it.
    fn transform_filters(&self, filters: Filters<'_>, index: usize, input: usize, to: *mut f32, step: usize) {
        let to = Shared(to.wrapping_add(input * PANEL));
        let inputs = input..(input + LANES).min(self.inputs);
        let (stored, output_step, input_step, turned) = match filters {
            Filters::Packed(panels) => {
                self.clear_rest(inputs.len(), to, step);
                let panel = &panels.panel(index)[input * PANEL..];
                transform_panel(panel, self.inputs * PANEL, inputs.len(), to, step);
                return;
            }
            Filters::Stored(w) => (w, self.inputs * 9, 9, false),
            Filters::Turned(w) => (w, 9, self.outputs * 9, true),
        };
        self.clear_rest(inputs.len(), to, step);
        let mut panel = [0f32; 9 * PANEL];
        for (row, input) in inputs.enumerate() {
            for (lane, output) in (index * PANEL..((index + 1) * PANEL).min(self.outputs)).enumerate() {
                let filter = &stored[output * output_step + input * input_step..][..9];
                for (tap, value) in filter.iter().enumerate() {
                    let tap = if turned { 8 - tap } else { tap };
                    panel[tap * PANEL + lane] = *value;
                }
            }
            transform_panel(&panel, PANEL, 1, Shared(to.at(row * PANEL)), step);
        }
    }

    /// Zeros for the input channels behind the last, up to whole lanes.
    fn clear_rest(&self, inputs: usize, to: Shared, step: usize) {
        for (point, row) in (0..POINTS).flat_map(|point| (inputs..LANES).map(move |row| (point, row))) {
            // SAFETY: the caller owns 16 input channels of the panel.
            unsafe { to.at(point * step + row * PANEL).write_bytes(0, PANEL) };
        }
    }

    /// Bᵀ d B of all tiles of `strips`, into `to`: (36, tiles, depth), each point `point` values behind the one before.
    fn transform_strips(&self, x: &[f32], strips: Range<usize>, to: &mut [f32], point: usize, memory: &mut [f32]) {
        let (depth, plane, across) = (self.depth(), self.h * self.w, self.across());
        let step = self.width() * LANES;
        let (read, memory) = memory.split_at_mut(IN * step);
        let down = &mut memory[..IN * step];
        read.fill(0.0);
        for (index, strip) in strips.enumerate() {
            let (image, top) = (strip / self.strips(), strip % self.strips() * OUT);
            for row in (0..IN).filter(|row| !(self.padding..self.h + self.padding).contains(&(top + row))) {
                read[row * step..][..step].fill(0.0);
            }
            for block in (0..depth).step_by(LANES) {
                if block + LANES > self.inputs {
                    read.fill(0.0);
                }
                for (lane, channel) in (block..(block + LANES).min(self.inputs)).enumerate() {
                    let x = &x[(image * self.inputs + channel) * plane..][..plane];
                    for row in 0..IN {
                        let Some(y) = (top + row).checked_sub(self.padding).filter(|&y| y < self.h) else {
                            continue;
                        };
                        // What lies beside the plane stays zero.
                        let (pixels, row) = (&x[y * self.w..][..self.w], &mut read[row * step..][..step]);
                        let row = row[self.padding * LANES..].chunks_exact_mut(LANES);
                        for (pixel, value) in row.zip(pixels) {
                            pixel[lane] = *value;
                        }
                    }
                }
                transform_columns(read, down);
                let at = index * across * depth + block;
                transform_rows(down, step, across, &mut to[at..], depth, point);
            }
        }
    }

    /// Aᵀ m A of the products `m` (36, tiles, 64) of `channels`, with the bias, into the output.
    ///
    /// # Safety
    /// `out` is the whole output, and nobody else touches these channels of these strips.
    unsafe fn write_strips(
        &self,
        (products, point): (&[f32], usize),
        bias: Option<&[f32]>,
        strips: Range<usize>,
        channels: Range<usize>,
        memory: &mut [f32],
        out: Shared,
    ) {
        let (plane, across) = (self.oh * self.ow, self.across());
        let step = across * OUT * LANES;
        let rows = &mut memory[..OUT * step];
        for (index, strip) in strips.enumerate() {
            let (image, top) = (strip / self.strips(), strip % self.strips() * OUT);
            for block in (0..channels.len()).step_by(LANES) {
                restore(&products[index * across * PANEL + block..], point, across, rows, step);
                for (lane, channel) in (channels.start + block..channels.end).take(LANES).enumerate() {
                    let bias = bias.map_or(0.0, |bias| bias[channel]);
                    for (y, row) in (top..self.oh).zip(rows.chunks_exact(step)) {
                        let to = out.at((image * self.outputs + channel) * plane + y * self.ow);
                        for (x, pixel) in row.chunks_exact(LANES).take(self.ow).enumerate() {
                            // SAFETY: this row of this channel belongs to the caller.
                            unsafe { to.add(x).write(pixel[lane] + bias) };
                        }
                    }
                }
            }
        }
    }
}

/// One application of G, with a²b² = 1.
#[inline(always)]
fn filter(g: [f32; 3]) -> [f32; IN] {
    const OF_A: f32 = 1.0 / (2.0 * A2 * (A2 - B2));
    const OF_B: f32 = 1.0 / (2.0 * B2 * (B2 - A2));
    let (even_a, odd_a) = (OF_A * (g[0] + A2 * g[2]), OF_A * A * g[1]);
    let (even_b, odd_b) = (OF_B * (g[0] + B2 * g[2]), OF_B * B * g[1]);
    [
        g[0],
        even_a + odd_a,
        even_a - odd_a,
        even_b + odd_b,
        even_b - odd_b,
        g[2],
    ]
}

/// One application of Bᵀ, with a²b² = 1.
#[inline(always)]
fn data(d: [f32; IN]) -> [f32; IN] {
    const SUM: f32 = A2 + B2;
    let (even_a, odd_a) = (d[4] - B2 * d[2], A * (d[3] - B2 * d[1]));
    let (even_b, odd_b) = (d[4] - A2 * d[2], B * (d[3] - A2 * d[1]));
    [
        d[0] - SUM * d[2] + d[4],
        even_a + odd_a,
        even_a - odd_a,
        even_b + odd_b,
        even_b - odd_b,
        d[1] - SUM * d[3] + d[5],
    ]
}

/// One application of Aᵀ.
#[inline(always)]
fn outputs(m: [f32; IN]) -> [f32; OUT] {
    let (sum_a, difference_a) = (m[1] + m[2], m[1] - m[2]);
    let (sum_b, difference_b) = (m[3] + m[4], m[3] - m[4]);
    [
        m[0] + sum_a + sum_b,
        A * difference_a + B * difference_b,
        A2 * sum_a + B2 * sum_b,
        A * A2 * difference_a + B * B2 * difference_b + m[5],
    ]
}

/// Applies a transform lane by lane.
#[inline(always)]
fn each_lane<const M: usize, const N: usize>(m: &[Lanes; M], f: impl Fn([f32; M]) -> [f32; N]) -> [Lanes; N] {
    let mut out = [[0f32; LANES]; N];
    for i in 0..LANES {
        let values = f(std::array::from_fn(|j| m[j][i]));
        for (out, value) in out.iter_mut().zip(values) {
            out[i] = value;
        }
    }
    out
}

/// The lanes that start at `at`.
#[inline(always)]
fn lanes(values: &[f32], at: usize) -> Lanes {
    let mut lanes = [0f32; LANES];
    lanes.copy_from_slice(&values[at..at + LANES]);
    lanes
}

vectorised! {
    /// G g Gᵀ of a panel's filters: tap t of input i and output o lies at `from[t · tap_step + 64 i + o]`, point p goes to
    /// `to[p · step + 64 i + o]`, which the caller owns.
    fn transform_panel(from: &[f32], tap_step: usize, inputs: usize, to: Shared, step: usize) {
        for at in (0..inputs * PANEL).step_by(LANES) {
            let taps: [Lanes; 9] = std::array::from_fn(|tap| lanes(from, tap * tap_step + at));
            let mut half = [[[0f32; LANES]; 3]; IN];
            for x in 0..3 {
                let column = each_lane(&[taps[x], taps[3 + x], taps[6 + x]], filter);
                for (half, value) in half.iter_mut().zip(column) {
                    half[x] = value;
                }
            }
            for (y, row) in half.iter().enumerate() {
                for (x, value) in each_lane(row, filter).into_iter().enumerate() {
                    // SAFETY: the caller owns these channels of the panel.
                    unsafe { to.at((y * IN + x) * step + at).cast::<Lanes>().write_unaligned(value) };
                }
            }
        }
    }
}

vectorised! {
    /// Bᵀ applied down the columns of six rows.
    fn transform_columns(from: &[f32], to: &mut [f32]) {
        let step = from.len() / IN;
        let (r0, rest) = from.split_at(step);
        let (r1, rest) = rest.split_at(step);
        let (r2, rest) = rest.split_at(step);
        let (r3, rest) = rest.split_at(step);
        let (r4, r5) = rest.split_at(step);
        let (t0, rest) = to.split_at_mut(step);
        let (t1, rest) = rest.split_at_mut(step);
        let (t2, rest) = rest.split_at_mut(step);
        let (t3, rest) = rest.split_at_mut(step);
        let (t4, t5) = rest.split_at_mut(step);
        for i in 0..step {
            [t0[i], t1[i], t2[i], t3[i], t4[i], t5[i]] = data([r0[i], r1[i], r2[i], r3[i], r4[i], r5[i]]);
        }
    }
}

vectorised! {
    /// Bᵀ applied along six rows, tile by tile; point i of tile t goes to `to[t · tile_step + i · point_step]`.
    fn transform_rows(from: &[f32], step: usize, tiles: usize, to: &mut [f32], tile_step: usize, point_step: usize) {
        for tile in 0..tiles {
            for y in 0..IN {
                let start = y * step + tile * OUT * LANES;
                let row: [Lanes; IN] = std::array::from_fn(|x| lanes(from, start + x * LANES));
                for (x, value) in each_lane(&row, data).into_iter().enumerate() {
                    let at = tile * tile_step + (y * IN + x) * point_step;
                    to[at..at + LANES].copy_from_slice(&value);
                }
            }
        }
    }
}

vectorised! {
    /// Aᵀ m A of a row of tiles, into four rows of pixels; point i of tile t lies at `from[t · 64 + i · point_step]`.
    fn restore(from: &[f32], point_step: usize, tiles: usize, to: &mut [f32], step: usize) {
        for tile in 0..tiles {
            let mut half = [[[0f32; LANES]; IN]; OUT];
            for y in 0..IN {
                let start = tile * PANEL + y * IN * point_step;
                let row: [Lanes; IN] = std::array::from_fn(|x| lanes(from, start + x * point_step));
                for (half, value) in half.iter_mut().zip(each_lane(&row, outputs)) {
                    half[y] = value;
                }
            }
            for (x, column) in half.iter().enumerate() {
                for (y, value) in each_lane(column, outputs).into_iter().enumerate() {
                    let at = y * step + (tile * OUT + x) * LANES;
                    to[at..at + LANES].copy_from_slice(&value);
                }
            }
        }
    }
}
