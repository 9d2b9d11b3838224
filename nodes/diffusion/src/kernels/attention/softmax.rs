//! The passes over one tile of scores.

use super::super::Matrix;
use super::super::simd::{exp, largest, sum, vectorised};

/// The (rows, d) matrix as (d, rows).
pub(super) fn transpose(from: Matrix<'_>, rows: usize, d: usize, to: &mut [f32]) {
    for row in 0..rows {
        let values = &from.data[row * from.rows..][..d];
        for (j, &value) in values.iter().enumerate() {
            to[j * rows + row] = value;
        }
    }
}

vectorised! {
    /// One step of the online softmax: scores become weights relative to the new maximum of their row; `tops`, `sums`
    /// and what is `begun` of the result (nothing in the first step) are brought to it.
    pub(super) fn soften(scores: &mut [f32], tops: &mut [f32], sums: &mut [f32], begun: &mut [f32]) {
        let (width, d) = (scores.len() / tops.len(), begun.len() / tops.len());
        for (i, row) in scores.chunks_exact_mut(width).enumerate() {
            let here = largest(row);
            let top = if here > tops[i] { here } else { tops[i] };
            // A row that is masked so far has no maximum: its weights are 0 by any finite one.
            let base = if top == f32::NEG_INFINITY { 0.0 } else { top };
            for score in row.iter_mut() {
                *score = exp(*score - base);
            }
            let shrunk = exp(tops[i] - base);
            sums[i] = sums[i] * shrunk + sum(row, |v| v) as f32;
            for value in &mut begun[i * d..(i + 1) * d] {
                *value *= shrunk;
            }
            tops[i] = top;
        }
    }
}

vectorised! {
    /// Scores become the weights of the forward pass.
    pub(super) fn resoften(scores: &mut [f32], totals: &[f32]) {
        let width = scores.len() / totals.len();
        for (row, &total) in scores.chunks_exact_mut(width).zip(totals) {
            for score in row {
                *score = exp(*score - total);
            }
        }
    }
}

vectorised! {
    /// Gradients of the weights become those of the scores.
    pub(super) fn slope(slopes: &mut [f32], weights: &[f32], dots: &[f32]) {
        let width = weights.len() / dots.len();
        for ((row, weights), &dot) in slopes.chunks_exact_mut(width).zip(weights.chunks_exact(width)).zip(dots) {
            for (slope, &weight) in row.iter_mut().zip(weights) {
                *slope = weight * (*slope - dot);
            }
        }
    }
}
