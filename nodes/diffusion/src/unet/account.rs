//! What a forward pass keeps for the backward pass, counted from shapes.

use super::attention::{Block, Transformer};
use super::resnet::Resnet;
use crate::layer::{GroupNorm, Layer};

/// Counts the values that one segment keeps alive: the output of every operation that allocates, from the
/// first trained layer on, or all of them if what the segment reads depends on trained layers already.
pub(crate) struct Ledger<'a> {
    /// The rank of the trained module at a path; 0: it is frozen.
    pub(crate) rank: &'a dyn Fn(&str) -> usize,
    /// Pictures at once.
    pub(crate) batch: usize,
    /// Tokens of the text.
    pub(crate) tokens: usize,
    /// Whether our kernels run, which do in one operation what candle does in several.
    pub(crate) fused: bool,
    /// Whether what comes now depends on a trained layer.
    pub(crate) tracked: bool,
    /// Values kept.
    pub(crate) kept: usize,
    /// Values of the largest tensor.
    pub(crate) largest: usize,
}

impl Ledger<'_> {
    /// One tensor of so many values.
    pub(crate) fn tensor(&mut self, values: usize) {
        self.largest = self.largest.max(values);
        if self.tracked {
            self.kept += values;
        }
    }

    /// A layer at so many positions (pixels or tokens of all samples); returns the values of its output.
    ///
    /// A trained layer keeps W·x and the sum with what is added or removed, and the inner one, of width `rank`; out of candle's
    /// operations also what is added or removed, the same times its strength, and the sum with the bias.
    pub(crate) fn layer(&mut self, layer: &Layer, positions: usize) -> usize {
        let values = positions * width(layer);
        let rank = (self.rank)(&layer.path);
        self.tracked |= rank > 0;
        let biased = usize::from(layer.bias.is_some());
        if rank > 0 {
            self.tensor(positions * rank);
            let count = if self.fused { 2 } else { 4 + biased };
            (0..count).for_each(|_| self.tensor(values));
        } else {
            let extra = if self.fused { 0 } else { biased };
            (0..=extra).for_each(|_| self.tensor(values));
        }
        values
    }

    /// A group normalisation at so many pixels.
    pub(crate) fn group_norm(&mut self, norm: &GroupNorm, pixels: usize) {
        self.norm(norm.weight.elem_count() * pixels, 6);
    }

    fn norm(&mut self, values: usize, composite: usize) {
        let count = if self.fused { 1 } else { composite };
        (0..count).for_each(|_| self.tensor(values));
    }
}

/// Outputs of a layer at one position.
fn width(layer: &Layer) -> usize {
    layer.weight.dims().first().copied().unwrap_or(0)
}

/// Inputs of a layer at one position.
fn width_in(layer: &Layer) -> usize {
    layer.weight.dims().get(1).copied().unwrap_or(0)
}

impl Resnet {
    /// At so many pixels; `joined`: two feature maps are put together first.
    pub(super) fn account(&self, ledger: &mut Ledger<'_>, pixels: usize, joined: bool) -> usize {
        if joined {
            ledger.tensor(pixels * width_in(&self.conv1));
        }
        ledger.group_norm(&self.norm1, pixels);
        let values = ledger.layer(&self.conv1, pixels);
        if let Some(time) = &self.time {
            ledger.layer(time, ledger.batch);
            ledger.tensor(values);
        }
        ledger.group_norm(&self.norm2, pixels);
        ledger.layer(&self.conv2, pixels);
        if let Some(shortcut) = &self.shortcut {
            ledger.layer(shortcut, pixels);
        }
        ledger.tensor(values);
        values
    }
}

impl Transformer {
    /// One part, over feature maps of a size.
    pub(super) fn account(&self, ledger: &mut Ledger<'_>, part: usize, size: (usize, usize)) -> usize {
        let rows = ledger.batch * size.0 * size.1;
        let values = rows * width(&self.proj_in);
        if part == 0 {
            ledger.group_norm(&self.norm, rows);
            ledger.tensor(values);
            ledger.layer(&self.proj_in, rows);
        }
        if let Some(block) = self.blocks.get(part) {
            block.account(ledger, rows, size.0 * size.1);
        }
        if part + 1 >= self.parts() {
            ledger.tensor(values);
            ledger.layer(&self.proj_out, rows);
            ledger.tensor(values);
        }
        values
    }
}

impl Block {
    /// Over `rows` tokens in all, `length` in each picture.
    fn account(&self, ledger: &mut Ledger<'_>, rows: usize, length: usize) {
        let values = rows * width(&self.attn1.to_q);
        for (attention, keys) in [(&self.attn1, length), (&self.attn2, ledger.tokens)] {
            ledger.norm(values, 5);
            ledger.layer(&attention.to_q, rows);
            ledger.layer(&attention.to_k, ledger.batch * keys);
            ledger.layer(&attention.to_v, ledger.batch * keys);
            if !ledger.fused {
                // Scores, scaled, shifted, through exp, and as shares.
                (0..5).for_each(|_| ledger.tensor(attention.heads * rows * keys));
            }
            ledger.tensor(values);
            ledger.layer(&attention.to_out, rows);
            ledger.tensor(values);
        }
        ledger.norm(values, 5);
        let gated = ledger.layer(&self.ff_in, rows) / 2;
        (0..if ledger.fused { 1 } else { 8 }).for_each(|_| ledger.tensor(gated));
        ledger.layer(&self.ff_out, rows);
        ledger.tensor(values);
    }
}
