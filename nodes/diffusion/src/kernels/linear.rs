//! `x Wᵀ + b`, with a backward pass that leaves frozen weights alone.

use super::packed::{Packed, rows_product};
use super::{Matrix, Shared, filled, gradient, values, wide_product, with_values};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, D, Layout, Result, Shape, Tensor};
use std::sync::Arc;

/// As [`crate::ops::linear`] defines it, for operands whose shapes fit. `packed` belongs to `w`, which must then be frozen.
pub(crate) fn linear(x: &Tensor, w: &Tensor, b: Option<&Tensor>, packed: Option<&Arc<Packed>>) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let (d_out, d_in) = w.dims2()?;
    let rows = x.elem_count() / x.dim(D::Minus1)?;
    if let Some(last) = shape.last_mut() {
        *last = d_out;
    }
    let op = Linear {
        rows,
        d_in,
        d_out,
        output: Shape::from(shape),
        packed: packed.cloned(),
    };
    let (x, w) = (x.contiguous()?, w.contiguous()?);
    match b {
        Some(b) => x.apply_op3(&w, &b.contiguous()?, op),
        None => x.apply_op2(&w, op),
    }
}

#[derive(Debug)]
struct Linear {
    rows: usize,
    d_in: usize,
    d_out: usize,
    output: Shape,
    packed: Option<Arc<Packed>>,
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = self.forward(values(x, lx)?, values(w, lw)?, None);
        Ok((CpuStorage::F32(y), self.output.clone()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(x, w, dy)
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
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
        Ok((CpuStorage::F32(y), self.output.clone()))
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
            true => Some(gradient(b, with_values(dy, |dy| Ok(column_sums(dy, self.d_out)))?)?),
            false => None,
        };
        Ok((dx, dw, db))
    }
}

impl Linear {
    fn forward(&self, x: &[f32], w: &[f32], b: Option<&[f32]>) -> Vec<f32> {
        if let Some(packed) = &self.packed {
            let panels = packed.forward(w);
            let panels = panels.panels();
            // SAFETY: the product writes all of the output.
            return unsafe {
                filled(self.rows * self.d_out, |out| {
                    rows_product(x, self.rows, panels, b, Shared::new(out));
                })
            };
        }
        let (x, w) = (Matrix::new(x, self.d_in, 1), Matrix::new(w, 1, self.d_in));
        let size = (self.rows, self.d_out, self.d_in);
        // SAFETY: the product writes all of the output; with a bias, the bias did before it.
        unsafe {
            filled(self.rows * self.d_out, |out| {
                if let Some(b) = b {
                    for row in out.chunks_exact_mut(self.d_out) {
                        row.write_copy_of_slice(b);
                    }
                }
                wide_product(size, Shared::new(out), self.d_out, b.is_some(), x, w, 1.0);
            })
        }
    }

    fn backward(&self, x: &Tensor, w: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, d_in, d_out) = (self.rows, self.d_in, self.d_out);
        with_values(dy, |dy| {
            let dx = match x.track_op() {
                true => Some(gradient(
                    x,
                    with_values(w, |w| {
                        if let Some(packed) = &self.packed {
                            let panels = packed.backward(w);
                            let panels = panels.panels();
                            // SAFETY: the product writes all of the gradient.
                            return Ok(unsafe {
                                filled(rows * d_in, |out| {
                                    rows_product(dy, rows, panels, None, Shared::new(out));
                                })
                            });
                        }
                        Ok(input_gradient((rows, d_in, d_out), w, dy))
                    })?,
                )?),
                false => None,
            };
            let dw = match w.track_op() {
                true => Some(gradient(
                    w,
                    with_values(x, |x| {
                        let (dy, x) = (Matrix::new(dy, 1, d_out), Matrix::new(x, d_in, 1));
                        Ok(whole_product((d_out, d_in, rows), dy, x))
                    })?,
                )?),
                false => None,
            };
            Ok((dx, dw))
        })
    }
}

/// `dy W` for `dy` (rows, d_out) and `w` (d_out, d_in).
pub(super) fn input_gradient((rows, d_in, d_out): (usize, usize, usize), w: &[f32], dy: &[f32]) -> Vec<f32> {
    let (dy, w) = (Matrix::new(dy, d_out, 1), Matrix::new(w, d_in, 1));
    whole_product((rows, d_in, d_out), dy, w)
}

/// `a b` in a buffer of its own.
fn whole_product(size: (usize, usize, usize), a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    // SAFETY: a product that does not add writes all of its destination.
    unsafe {
        filled(size.0 * size.1, |out| {
            wide_product(size, Shared::new(out), size.1, false, a, b, 1.0);
        })
    }
}

/// Sum of the rows of a (…, columns) matrix, in f64.
fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0f64; columns];
    for row in values.chunks_exact(columns) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::super::composite;
    use super::super::testing::{check, noise};
    use super::*;

    #[test]
    fn equals_the_composite_for_every_shape() {
        let shapes: [(&[usize], usize); 7] = [
            (&[1, 1], 1),
            (&[3, 5], 7),
            (&[2, 3, 4, 6], 5),
            (&[1, 130], 257),
            (&[2, 77, 96], 64),
            (&[300, 33], 4),
            (&[64], 10),
        ];
        for (seed, (shape, d_out)) in shapes.into_iter().enumerate() {
            let d_in = shape[shape.len() - 1];
            let seed = seed as u64 * 10;
            let inputs = [
                noise(shape, seed),
                noise(&[d_out, d_in], seed + 1),
                noise(&[d_out], seed + 2),
            ];
            let name = format!("{shape:?} to {d_out}");
            let plain = |t: &[Tensor]| composite::linear(&t[0], &t[1], None);
            check(&name, &inputs[..2], &|t| linear(&t[0], &t[1], None, None), &plain, 2e-6);
            let biased = |t: &[Tensor]| composite::linear(&t[0], &t[1], Some(&t[2]));
            check(
                &name,
                &inputs,
                &|t| linear(&t[0], &t[1], Some(&t[2]), None),
                &biased,
                2e-6,
            );
        }
    }

    #[test]
    fn strided_operands_are_taken_as_they_are_meant() {
        let inputs = [noise(&[2, 12, 3, 5], 1), noise(&[12, 20], 2), noise(&[20], 3)];
        let x = |t: &[Tensor]| t[0].flatten_from(2)?.transpose(1, 2);
        check(
            "transposed",
            &inputs,
            &|t| linear(&x(t)?, &t[1].t()?, Some(&t[2]), None),
            &|t| composite::linear(&x(t)?.contiguous()?, &t[1].t()?.contiguous()?, Some(&t[2])),
            2e-6,
        );
    }
}
