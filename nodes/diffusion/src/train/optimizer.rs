//! AdamW and gradient clipping on plain f32 values, so that a resumed training repeats every bit.

use rayon::prelude::*;
use sdk::{Result, bail};
use serde::{Deserialize, Serialize};

/// A trained tensor with its moments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Param {
    /// Module path and, for LoRA, the half.
    pub(super) name: String,
    /// Its shape.
    pub(super) shape: Vec<usize>,
    /// The values, row by row.
    pub(super) value: Vec<f32>,
    /// First moment.
    pub(super) m: Vec<f32>,
    /// Second moment.
    pub(super) v: Vec<f32>,
}

impl Param {
    pub(super) fn new(name: String, shape: Vec<usize>, value: Vec<f32>) -> Self {
        let zeros = vec![0.0; value.len()];
        Self {
            name,
            shape,
            value,
            m: zeros.clone(),
            v: zeros,
        }
    }
}

/// AdamW's constants (Loshchilov and Hutter 2019), with torch's conventions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The global norm that gradients are clipped to. Tiny initial values need it: their first gradient
    /// is huge and would fill the second moment for thousands of steps.
    pub clip: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            clip: 1.0,
        }
    }
}

impl AdamW {
    /// One update, the `step`-th counted from 1. Returns the norm of the gradients before clipping.
    pub(super) fn update(&self, params: &mut [Param], gradients: &[Vec<f32>], lr: f64, step: usize) -> Result<f64> {
        // A sum a tensor, then their sum in order: the same bits with any number of threads.
        let squares: Vec<f64> = gradients.par_iter().map(|g| squares(g)).collect();
        let squares: f64 = squares.iter().sum();
        let norm = squares.sqrt();
        if !norm.is_finite() {
            bail!("the gradient is not a finite number in step {step}"; help: "lower lr, or train in f32");
        }
        let shrink = (self.clip / (norm + 1e-6)).min(1.0);
        let exponent = step as f64;
        let correction1 = 1.0 - self.beta1.powf(exponent);
        let correction2 = (1.0 - self.beta2.powf(exponent)).sqrt();
        params.par_iter_mut().zip(gradients).for_each(|(param, gradient)| {
            let moments = param.m.iter_mut().zip(&mut param.v);
            for ((value, (m, v)), g) in param.value.iter_mut().zip(moments).zip(gradient) {
                let g = f64::from(*g) * shrink;
                let first = self.beta1 * f64::from(*m) + (1.0 - self.beta1) * g;
                let second = self.beta2 * f64::from(*v) + (1.0 - self.beta2) * g * g;
                let decayed = f64::from(*value) * (1.0 - lr * self.weight_decay);
                let denominator = second.sqrt() / correction2 + self.eps;
                *value = (decayed - lr / correction1 * first / denominator) as f32;
                (*m, *v) = (first as f32, second as f32);
            }
        });
        Ok(norm)
    }
}

/// The sum of squares, in eight lanes that do not wait for each other.
fn squares(values: &[f32]) -> f64 {
    let mut lanes = [0.0; 8];
    for eight in values.chunks(8) {
        for (lane, value) in lanes.iter_mut().zip(eight) {
            *lane += f64::from(*value).powi(2);
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_step_moves_by_the_learning_rate() {
        let mut params = [Param::new("b".into(), vec![2], vec![0.5, -0.5])];
        let adam = AdamW {
            weight_decay: 0.0,
            ..AdamW::default()
        };
        let norm = adam.update(&mut params, &[vec![0.3, -0.4]], 0.01, 1).unwrap();
        assert!((norm - 0.5).abs() < 1e-7);
        assert!((params[0].value[0] - 0.49).abs() < 1e-6);
        assert!((params[0].value[1] + 0.49).abs() < 1e-6);
    }

    #[test]
    fn decay_is_decoupled_and_clipping_keeps_the_direction() {
        let mut params = [Param::new("b".into(), vec![1], vec![1.0])];
        AdamW::default().update(&mut params, &[vec![0.0]], 0.1, 1).unwrap();
        assert!((params[0].value[0] - 0.999).abs() < 1e-7);
        let mut params = [Param::new("b".into(), vec![2], vec![0.0; 2])];
        AdamW::default()
            .update(&mut params, &[vec![30.0, 40.0]], 0.1, 1)
            .unwrap();
        assert!((params[0].m[0] - 0.06).abs() < 1e-6 && (params[0].m[1] - 0.08).abs() < 1e-6);
        let mut params = [Param::new("b".into(), vec![1], vec![0.0])];
        assert!(AdamW::default().update(&mut params, &[vec![f32::NAN]], 0.1, 1).is_err());
    }
}
