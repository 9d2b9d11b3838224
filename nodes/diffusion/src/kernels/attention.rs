//! Scaled dot-product attention in tiles of queries and keys.
//!
//! The forward pass keeps a running maximum and sum per query (online softmax), so that scores exist for one tile
//! at a time; it saves log Σ exp(score) per query, from which the backward pass computes the tiles again.

mod softmax;

use self::softmax::{resoften, slope, soften, transpose};
use super::{Matrix, SMALL_PRODUCT, Shared, buffer, filled, gradient, product, product_into, spread, with_scratch};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::current_num_threads;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::OnceLock;

/// Queries and keys of one tile of scores (256 KB).
const TILE: (usize, usize) = (128, 512);

/// As [`crate::ops::attention`] defines it: (n, heads, l, d), in f32, with a mask of (l, s).
pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64, mask: Option<&Tensor>) -> Result<Tensor> {
    let (n, heads, l, d) = q.dims4()?;
    let op = Attention::new([n, heads, l, k.dim(2)?, d], scale, mask, false)?;
    let packed = |t: &Tensor| {
        if t.stride()[3] == 1 || d == 1 {
            Ok(t.clone())
        } else {
            t.contiguous()
        }
    };
    // The output lies in memory as (n, l, heads, d), which is how every caller wants to flatten it.
    packed(q)?.apply_op3(&packed(k)?, &packed(v)?, op)?.transpose(1, 2)
}

/// As [`crate::ops::attention_heads`] defines it: (n, l, heads · d), in f32, with a mask of (l, s).
pub(crate) fn attention_heads(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    scale: f64,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let (n, l, width) = q.dims3()?;
    let op = Attention::new([n, heads, l, k.dim(1)?, width / heads], scale, mask, true)?;
    let packed = |t: &Tensor| {
        if t.stride()[2] == 1 || width == 1 {
            Ok(t.clone())
        } else {
            t.contiguous()
        }
    };
    packed(q)?.apply_op3(&packed(k)?, &packed(v)?, op)
}

struct Attention {
    n: usize,
    heads: usize,
    l: usize,
    s: usize,
    d: usize,
    scale: f32,
    mask: Option<Vec<f32>>,
    /// Operands are (n, l, heads · d) instead of (n, heads, l, d).
    flat: bool,
    /// log Σ exp(score) of every (image, head, query), kept for the backward pass.
    totals: OnceLock<Vec<f32>>,
}

/// One operand: (image, head, row) starts at `data[image · steps[0] + head · steps[1] + row · steps[2]]`.
#[derive(Clone, Copy)]
struct Heads<'a> {
    data: &'a [f32],
    steps: [usize; 3],
}

impl<'a> Heads<'a> {
    fn new(data: &'a [f32], layout: &Layout, flat: bool, d: usize) -> Self {
        let data = &data[layout.start_offset()..];
        let steps = match *layout.stride() {
            [image, row, _] if flat => [image, d, row],
            [image, head, row, _] => [image, head, row],
            _ => [0; 3],
        };
        Self { data, steps }
    }

    /// The (rows, d) matrix of one head, from a row on.
    fn rows(self, image: usize, head: usize, row: usize) -> Matrix<'a> {
        let [images, heads, rows] = self.steps;
        Matrix::new(&self.data[image * images + head * heads + row * rows..], rows, 1)
    }
}

/// One gradient that is still to be written, laid out as [`Heads`].
#[derive(Clone, Copy)]
struct Target {
    data: Shared,
    steps: [usize; 3],
}

impl Target {
    fn at(self, image: usize, head: usize, row: usize) -> *mut f32 {
        self.data
            .at(image * self.steps[0] + head * self.steps[1] + row * self.steps[2])
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        lq: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let view =
            |t, layout| Ok::<_, candle_core::Error>(Heads::new(CpuStorage::as_slice(t)?, layout, self.flat, self.d));
        let (out, totals) = self.forward(view(q, lq)?, view(k, lk)?, view(v, lv)?);
        self.totals.get_or_init(|| totals);
        let (n, heads, l, d) = (self.n, self.heads, self.l, self.d);
        let shape = if self.flat {
            Shape::from((n, l, heads * d))
        } else {
            Shape::from((n, l, heads, d))
        };
        Ok((CpuStorage::F32(out), shape))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        out: &Tensor,
        dout: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(totals) = self.totals.get() else {
            candle_core::bail!("attention: backward without forward");
        };
        let dout = dout.contiguous()?;
        let tensors = [q, k, v, out, &dout];
        let guards = tensors.map(|t| t.storage_and_layout());
        let mut views = [Heads {
            data: &[],
            steps: [0; 3],
        }; 5];
        for (i, (view, (storage, layout))) in views.iter_mut().zip(&guards).enumerate() {
            *view = Heads::new(buffer(storage)?, layout, self.flat, self.d);
            if i > 2 && !self.flat {
                view.steps.swap(1, 2);
            }
        }
        let wanted = [q.track_op(), k.track_op(), v.track_op()];
        let [dq, dk, dv] = self.backward(views, totals, wanted);
        let tensor = |of: &Tensor, values: Option<Vec<f32>>| values.map(|values| gradient(of, values)).transpose();
        Ok((tensor(q, dq)?, tensor(k, dk)?, tensor(v, dv)?))
    }
}

impl Attention {
    fn new(sizes: [usize; 5], scale: f64, mask: Option<&Tensor>, flat: bool) -> Result<Self> {
        let [n, heads, l, s, d] = sizes;
        let mask = mask
            .map(|mask| mask.broadcast_as((l, s))?.flatten_all()?.to_vec1::<f32>())
            .transpose()?;
        Ok(Self {
            n,
            heads,
            l,
            s,
            d,
            scale: scale as f32,
            mask,
            flat,
            totals: OnceLock::new(),
        })
    }

    /// Steps of the memory layout (n, rows, heads, d), or (n, heads, rows, d).
    fn steps(&self, rows: usize, interleaved: bool) -> [usize; 3] {
        let (heads, d) = (self.heads, self.d);
        if interleaved {
            [rows * heads * d, d, heads * d]
        } else {
            [heads * rows * d, rows * d, d]
        }
    }

    fn parallel(&self) -> bool {
        self.n * self.heads * self.l * self.s * self.d > SMALL_PRODUCT
    }

    /// Queries of one task, such that there are enough tasks for all threads.
    fn share(&self) -> usize {
        let heads = self.n * self.heads;
        let parts = if self.parallel() {
            (4 * current_num_threads()).div_ceil(heads)
        } else {
            1
        };
        self.l.div_ceil(parts.min(self.l.div_ceil(TILE.0)))
    }

    /// Calls `f` for every tile of keys.
    fn key_tiles(&self, mut f: impl FnMut(Range<usize>)) {
        (0..self.s)
            .step_by(TILE.1)
            .for_each(|start| f(start..(start + TILE.1).min(self.s)));
    }

    /// Scores of a tile, scaled and masked, into `scores` (queries, keys). `columns` holds the keys as (d, s).
    fn scores(&self, q: Matrix<'_>, columns: &[f32], queries: Range<usize>, keys: Range<usize>, scores: &mut [f32]) {
        let (size, columns) = ((queries.len(), keys.len(), self.d), Matrix::new(columns, self.s, 1));
        product_into(size, scores, false, q, columns.from(0, keys.start), self.scale);
        if let Some(mask) = &self.mask {
            for (row, query) in scores.chunks_exact_mut(keys.len()).zip(queries) {
                for (score, mask) in row.iter_mut().zip(&mask[query * self.s + keys.start..]) {
                    *score += mask;
                }
            }
        }
    }

    /// The output in the memory layout (n, l, heads, d), and log Σ exp(score).
    fn forward(&self, q: Heads<'_>, k: Heads<'_>, v: Heads<'_>) -> (Vec<f32>, Vec<f32>) {
        let (d, s, share) = (self.d, self.s, self.share());
        let (shares, stride) = (self.l.div_ceil(share), self.heads * d);
        let mut totals = vec![0f32; self.n * self.heads * self.l];
        let all_totals = Shared::of(&mut totals);
        let fill = |out: &mut [MaybeUninit<f32>]| {
            let out = Target {
                data: Shared::new(out),
                steps: self.steps(self.l, true),
            };
            spread(self.n * self.heads * shares, self.parallel(), |task| {
                let (pair, first) = (task / shares, task % shares * share);
                let (image, head) = (pair / self.heads, pair % self.heads);
                with_scratch(d * s + TILE.0 * (TILE.1 + d + 2), |memory| {
                    let (columns, memory) = memory.split_at_mut(d * s);
                    let (scores, memory) = memory.split_at_mut(TILE.0 * TILE.1);
                    let (result, memory) = memory.split_at_mut(TILE.0 * d);
                    let (tops, sums) = memory.split_at_mut(TILE.0);
                    transpose(k.rows(image, head, 0), s, d, columns);
                    let last = (first + share).min(self.l);
                    for start in (first..last).step_by(TILE.0) {
                        let queries = start..(start + TILE.0).min(last);
                        let rows = queries.len();
                        let q = q.rows(image, head, start);
                        tops[..rows].fill(f32::NEG_INFINITY);
                        sums[..rows].fill(0.0);
                        self.key_tiles(|keys| {
                            let scores = &mut scores[..rows * keys.len()];
                            self.scores(q, columns, queries.clone(), keys.clone(), scores);
                            let (tops, sums) = (&mut tops[..rows], &mut sums[..rows]);
                            let begun = if keys.start > 0 {
                                &mut result[..rows * d]
                            } else {
                                &mut []
                            };
                            soften(scores, tops, sums, begun);
                            let (size, v) = ((rows, d, keys.len()), v.rows(image, head, keys.start));
                            let weights = Matrix::new(scores, keys.len(), 1);
                            product_into(size, result, keys.start > 0, weights, v, 1.0);
                        });
                        for (i, query) in queries.enumerate() {
                            let total = tops[i] + sums[i].ln();
                            let (to, inverse) = (out.at(image, head, query), 1.0 / sums[i]);
                            // SAFETY: the rows of these queries and this head belong to this task alone.
                            unsafe {
                                all_totals.at(pair * self.l + query).write(total);
                                for (j, value) in result[i * d..][..d].iter().enumerate() {
                                    to.add(j).write(value * inverse);
                                }
                            }
                        }
                    }
                });
            });
        };
        // SAFETY: the tasks cover all heads and queries.
        let out = unsafe { filled(self.n * self.l * stride, fill) };
        (out, totals)
    }

    /// Gradients of q, k and v as far as they are wanted, each in the shape of its operand.
    fn backward(&self, views: [Heads<'_>; 5], totals: &[f32], wanted: [bool; 3]) -> [Option<Vec<f32>>; 3] {
        let [q, k, v, out, dout] = views;
        let (d, s, share) = (self.d, self.s, self.share());
        let shares = self.l.div_ceil(share);
        let size = |rows: usize| self.n * self.heads * rows * d;
        let mut dq = vec![0f32; if wanted[0] { size(self.l) } else { 0 }];
        // Each share of the queries has its own sum over them; the sums are added in order at the end.
        let mut dk = vec![0f32; if wanted[1] { shares * size(s) } else { 0 }];
        let mut dv = vec![0f32; if wanted[2] { shares * size(s) } else { 0 }];
        let target = |data: &mut [f32], rows| Target {
            data: Shared::of(data),
            steps: self.steps(rows, self.flat),
        };
        let (to_q, to_k, to_v) = (target(&mut dq, self.l), target(&mut dk, s), target(&mut dv, s));
        let (key_stride, query_stride) = (to_k.steps[2], to_q.steps[2]);
        spread(self.n * self.heads * shares, self.parallel(), |task| {
            let (pair, part) = (task / shares, task % shares);
            let (image, head) = (pair / self.heads, pair % self.heads);
            let (first, last) = (part * share, (part * share + share).min(self.l));
            let tile = TILE.0 * TILE.1;
            with_scratch(2 * (d * s + tile) + TILE.0, |memory| {
                let (key_columns, memory) = memory.split_at_mut(d * s);
                let (value_columns, memory) = memory.split_at_mut(d * s);
                let (weights, memory) = memory.split_at_mut(tile);
                let (slopes, dots) = memory.split_at_mut(tile);
                transpose(k.rows(image, head, 0), s, d, key_columns);
                transpose(v.rows(image, head, 0), s, d, value_columns);
                for start in (first..last).step_by(TILE.0) {
                    let queries = start..(start + TILE.0).min(last);
                    let rows = queries.len();
                    let (q, out, dout) = (
                        q.rows(image, head, start),
                        out.rows(image, head, start),
                        dout.rows(image, head, start),
                    );
                    for (i, dot) in dots[..rows].iter_mut().enumerate() {
                        let (a, b) = (&out.data[i * out.rows..][..d], &dout.data[i * dout.rows..][..d]);
                        *dot = a.iter().zip(b).map(|(a, b)| a * b).sum();
                    }
                    let totals = &totals[pair * self.l + start..][..rows];
                    self.key_tiles(|keys| {
                        let width = keys.len();
                        let weights = &mut weights[..rows * width];
                        let slopes = &mut slopes[..rows * width];
                        self.scores(q, key_columns, queries.clone(), keys.clone(), weights);
                        resoften(weights, totals);
                        let (add, later) = (start > first, keys.start > 0);
                        let transposed = (width, d, rows);
                        if wanted[2] {
                            let (dst, weights) = (
                                to_v.at(part * self.n + image, head, keys.start),
                                Matrix::new(weights, 1, width),
                            );
                            // SAFETY: the keys of this head in this share's sum belong to this task alone.
                            unsafe {
                                product(transposed, dst, key_stride, add, weights, dout, 1.0);
                            };
                        }
                        if !wanted[0] && !wanted[1] {
                            return;
                        }
                        let columns = Matrix::new(value_columns, s, 1).from(0, keys.start);
                        product_into((rows, width, d), slopes, false, dout, columns, 1.0);
                        slope(slopes, weights, &dots[..rows]);
                        if wanted[0] {
                            let (dst, slopes) = (to_q.at(image, head, start), Matrix::new(slopes, width, 1));
                            let keys = k.rows(image, head, keys.start);
                            // SAFETY: the rows of these queries and this head belong to this task alone.
                            unsafe {
                                product((rows, d, width), dst, query_stride, later, slopes, keys, self.scale);
                            };
                        }
                        if wanted[1] {
                            let (dst, slopes) = (
                                to_k.at(part * self.n + image, head, keys.start),
                                Matrix::new(slopes, 1, width),
                            );
                            // SAFETY: the keys of this head in this share's sum belong to this task alone.
                            unsafe {
                                product(transposed, dst, key_stride, add, slopes, q, self.scale);
                            };
                        }
                    });
                }
            });
        });
        let summed = |mut parts: Vec<f32>| {
            let (total, rest) = parts.split_at_mut(size(s));
            for part in rest.chunks_exact(size(s)) {
                total.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
            }
            parts.truncate(size(s));
            parts
        };
        [
            wanted[0].then_some(dq),
            wanted[1].then(|| summed(dk)),
            wanted[2].then(|| summed(dv)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::composite;
    use super::super::testing::{check, distance, noise};
    use super::*;
    use candle_core::{DType, Device};

    /// n, heads, l, s, d.
    const SHAPES: [[usize; 5]; 7] = [
        [1, 1, 1, 1, 1],
        [2, 3, 5, 7, 4],
        [1, 2, 16, 16, 32],
        [2, 1, 130, 33, 40],
        [1, 2, 300, 77, 8],
        [1, 1, 9, 1100, 16],
        [1, 3, 1, 600, 5],
    ];

    fn operands([n, heads, l, s, d]: [usize; 5], flat: bool) -> [Tensor; 3] {
        let shape = |rows| {
            if flat {
                vec![n, rows, heads * d]
            } else {
                vec![n, heads, rows, d]
            }
        };
        [noise(&shape(l), 1), noise(&shape(s), 2), noise(&shape(s), 3)]
    }

    fn mask(l: usize, s: usize, below: f32) -> Tensor {
        let values: Vec<f32> = (0..l * s).map(|i| if i % s > i / s { below } else { 0.0 }).collect();
        Tensor::from_vec(values, (l, s), &Device::Cpu).unwrap()
    }

    /// The composite on (n, l, heads · d).
    fn heads(t: &[Tensor], heads: usize, scale: f64, mask: Option<&Tensor>) -> Result<Tensor> {
        let split = |t: &Tensor| {
            t.reshape((t.dim(0)?, t.dim(1)?, heads, ()))?
                .transpose(1, 2)?
                .contiguous()
        };
        let out = composite::attention(&split(&t[0])?, &split(&t[1])?, &split(&t[2])?, scale, mask)?;
        out.transpose(1, 2)?.flatten_from(2)
    }

    #[test]
    fn equals_the_composite_for_every_shape() {
        for shape in SHAPES {
            let scale = 1.0 / (shape[4] as f64).sqrt();
            for mask in [
                None,
                Some(mask(shape[2], shape[3], f32::NEG_INFINITY)),
                Some(mask(shape[2], shape[3], -1e9)),
            ] {
                let name = format!("{shape:?}, mask {}", mask.is_some());
                let double = mask.as_ref().map(|m| m.to_dtype(DType::F64).unwrap());
                let (mask, double) = (mask.as_ref(), double.as_ref());
                check(
                    &name,
                    &operands(shape, false),
                    &|t| attention(&t[0], &t[1], &t[2], scale, mask),
                    &|t| composite::attention(&t[0], &t[1], &t[2], scale, double),
                    4e-6,
                );
                check(
                    &name,
                    &operands(shape, true),
                    &|t| attention_heads(&t[0], &t[1], &t[2], shape[1], scale, mask),
                    &|t| heads(t, shape[1], scale, double),
                    4e-6,
                );
            }
        }
    }

    #[test]
    fn a_tile_of_keys_that_is_wholly_masked_counts_nothing() {
        let shape = [1, 1, 2, 1300, 8];
        let values: Vec<f32> = (0..2 * 1300)
            .map(|i| {
                if i % 1300 < 600 + 600 * (i / 1300) {
                    f32::NEG_INFINITY
                } else {
                    0.0
                }
            })
            .collect();
        let mask = Tensor::from_vec(values, (2, 1300), &Device::Cpu).unwrap();
        let double = mask.to_dtype(DType::F64).unwrap();
        check(
            "late start",
            &operands(shape, false),
            &|t| attention(&t[0], &t[1], &t[2], 0.3, Some(&mask)),
            &|t| composite::attention(&t[0], &t[1], &t[2], 0.3, Some(&double)),
            4e-6,
        );
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let t = operands([1, 2, 20, 30, 16], false).map(|t| (t * 40.0).unwrap());
        let single = t.each_ref().map(|t| t.to_dtype(DType::F32).unwrap());
        let want = composite::attention(&t[0], &t[1], &t[2], 1.0, None).unwrap();
        assert!(
            distance(
                &attention(&single[0], &single[1], &single[2], 1.0, None).unwrap(),
                &want
            ) < 1e-2
        );
    }

    #[test]
    fn strided_operands_are_taken_as_they_are_meant() {
        let inputs = [
            noise(&[2, 9, 3, 8], 1),
            noise(&[2, 11, 3, 8], 2),
            noise(&[2, 3, 8, 11], 3),
        ];
        let view = |t: &[Tensor]| {
            Ok::<_, candle_core::Error>((t[0].transpose(1, 2)?, t[1].transpose(1, 2)?, t[2].transpose(2, 3)?))
        };
        check(
            "transposed",
            &inputs,
            &|t| {
                let (q, k, v) = view(t)?;
                attention(&q, &k, &v, 0.35, None)
            },
            &|t| {
                let (q, k, v) = view(t)?;
                composite::attention(&q.contiguous()?, &k, &v.contiguous()?, 0.35, None)
            },
            4e-6,
        );
    }
}
