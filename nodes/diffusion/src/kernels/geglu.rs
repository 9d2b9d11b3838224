//! Activations: GEGLU, GELU, OpenAI's quick GELU and SiLU, each in one pass forth and one back.

use super::simd::{gelu, gelu_slope, sigmoid, silu, silu_slope, vectorised};
use super::{SMALL_LOOP, filled, gradient, values, with_values};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Elements of one task.
const RUN: usize = 1 << 14;

/// As [`crate::ops::geglu`] defines it.
pub(crate) fn geglu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Geglu)
}

/// A function of each element.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Activation {
    /// `x · Φ(x)`.
    Gelu,
    /// `x · sigmoid(1.702 x)`.
    QuickGelu,
    /// `x · sigmoid(x)`.
    Silu,
}

/// `activation` of each element.
pub(crate) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    x.contiguous()?.apply_op1(activation)
}

const QUICK: f32 = 1.702;

vectorised! {
    fn activated(kind: Activation, x: &[f32], out: &mut [MaybeUninit<f32>]) {
        let each = out.iter_mut().zip(x);
        match kind {
            Activation::Gelu => each.for_each(|(out, &x)| { out.write(gelu(x)); }),
            Activation::QuickGelu => each.for_each(|(out, &x)| { out.write(x * sigmoid(QUICK * x)); }),
            Activation::Silu => each.for_each(|(out, &x)| { out.write(silu(x)); }),
        }
    }
}

vectorised! {
    fn activated_gradient(kind: Activation, x: &[f32], dy: &[f32], out: &mut [MaybeUninit<f32>]) {
        let each = out.iter_mut().zip(x).zip(dy);
        match kind {
            Activation::Gelu => each.for_each(|((out, &x), &dy)| { out.write(dy * gelu_slope(x)); }),
            Activation::QuickGelu => each.for_each(|((out, &x), &dy)| { out.write(dy * silu_slope(QUICK * x)); }),
            Activation::Silu => each.for_each(|((out, &x), &dy)| { out.write(dy * silu_slope(x)); }),
        }
    }
}

vectorised! {
    fn gated(values: &[f32], gates: &[f32], out: &mut [MaybeUninit<f32>]) {
        for ((out, &value), &gate) in out.iter_mut().zip(values).zip(gates) {
            out.write(value * gelu(gate));
        }
    }
}

vectorised! {
    fn gated_gradient(
        values: &[f32],
        gates: &[f32],
        dy: &[f32],
        to_values: &mut [MaybeUninit<f32>],
        to_gates: &mut [MaybeUninit<f32>],
    ) {
        let to = to_values.iter_mut().zip(to_gates);
        for (((&value, &gate), &dy), (to_value, to_gate)) in values.iter().zip(gates).zip(dy).zip(to) {
            to_value.write(dy * gelu(gate));
            to_gate.write(dy * value * gelu_slope(gate));
        }
    }
}

/// Runs `f` over runs of `step` elements (rows are not cut), on all threads if there are many.
fn each_run(out: &mut [MaybeUninit<f32>], step: usize, f: impl Fn(usize, &mut [MaybeUninit<f32>]) + Send + Sync) {
    if out.len() > SMALL_LOOP {
        out.par_chunks_mut(step)
            .enumerate()
            .for_each(|(i, out)| f(i * step, out));
    } else {
        f(0, out);
    }
}

impl CustomOp1 for Activation {
    fn name(&self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::QuickGelu => "quick_gelu",
            Self::Silu => "silu",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let fill = |out: &mut [MaybeUninit<f32>]| {
            each_run(out, RUN, |at, out| {
                activated(*self, &x[at..at + out.len()], out);
            });
        };
        // SAFETY: the runs cover the output, and `activated` writes every element of a run.
        Ok((
            CpuStorage::F32(unsafe { filled(x.len(), fill) }),
            layout.shape().clone(),
        ))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_values(x, |x| {
            with_values(dy, |dy| {
                let fill = |out: &mut [MaybeUninit<f32>]| {
                    each_run(out, RUN, |at, out| {
                        let run = at..at + out.len();
                        activated_gradient(*self, &x[run.clone()], &dy[run], out);
                    });
                };
                // SAFETY: as in the forward pass.
                Ok(unsafe { filled(x.len(), fill) })
            })
        })?;
        gradient(x, dx).map(Some)
    }
}

struct Geglu;

impl CustomOp1 for Geglu {
    fn name(&self) -> &'static str {
        "geglu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let mut shape = layout.dims().to_vec();
        let Some(last) = shape.last_mut() else {
            candle_core::bail!("geglu needs at least one dimension");
        };
        *last /= 2;
        let half = *last;
        let fill = |out: &mut [MaybeUninit<f32>]| {
            each_run(out, RUN.next_multiple_of(half), |at, out| {
                for (out, x) in out.chunks_exact_mut(half).zip(x[2 * at..].chunks_exact(2 * half)) {
                    let (values, gates) = x.split_at(half);
                    gated(values, gates, out);
                }
            });
        };
        // SAFETY: the runs cover the output in whole rows, and `gated` writes every element of a row.
        Ok((
            CpuStorage::F32(unsafe { filled(x.len() / 2, fill) }),
            Shape::from(shape),
        ))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let half = y.dim(candle_core::D::Minus1)?;
        let dx = with_values(x, |x| {
            with_values(dy, |dy| {
                let fill = |out: &mut [MaybeUninit<f32>]| {
                    each_run(out, RUN.next_multiple_of(2 * half), |at, out| {
                        let rows = out.chunks_exact_mut(2 * half).zip(x[at..].chunks_exact(2 * half));
                        for ((out, x), dy) in rows.zip(dy[at / 2..].chunks_exact(half)) {
                            let (values, gates) = x.split_at(half);
                            let (to_values, to_gates) = out.split_at_mut(half);
                            gated_gradient(values, gates, dy, to_values, to_gates);
                        }
                    });
                };
                // SAFETY: as in the forward pass.
                Ok(unsafe { filled(x.len(), fill) })
            })
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
    fn geglu_equals_the_composite() {
        for shape in [&[2][..], &[3, 10], &[2, 5, 66], &[300, 260]] {
            check(
                &format!("{shape:?}"),
                &[noise(shape, 4)],
                &|t| geglu(&t[0]),
                &|t| composite::geglu(&t[0]),
                2e-6,
            );
        }
    }

    #[test]
    fn activations_equal_their_composites() {
        for shape in [&[1][..], &[3, 7], &[2, 5, 33], &[70, 801]] {
            let (name, x) = (format!("{shape:?}"), [(noise(shape, 5) * 2.0).unwrap()]);
            check(
                &name,
                &x,
                &|t| activate(&t[0], Activation::Gelu),
                &|t| composite::gelu(&t[0]),
                2e-6,
            );
            check(
                &name,
                &x,
                &|t| activate(&t[0], Activation::QuickGelu),
                &|t| composite::quick_gelu(&t[0]),
                2e-6,
            );
            check(
                &name,
                &x,
                &|t| activate(&t[0], Activation::Silu),
                &|t| t[0].silu(),
                2e-6,
            );
        }
    }

    #[test]
    fn strided_operands_are_taken_as_they_are_meant() {
        let x = [noise(&[6, 4, 5], 6)];
        check(
            "transposed",
            &x,
            &|t| geglu(&t[0].t()?),
            &|t| composite::geglu(&t[0].t()?.contiguous()?),
            2e-6,
        );
        let gelu = |t: &[Tensor]| activate(&t[0].narrow(0, 2, 3)?.t()?, Activation::Gelu);
        check(
            "narrowed",
            &x,
            &gelu,
            &|t| composite::gelu(&t[0].narrow(0, 2, 3)?.t()?),
            2e-6,
        );
    }
}
