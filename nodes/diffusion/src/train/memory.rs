//! How much memory a training needs: told from shapes before it starts, and read from the process afterwards.

use super::{Checkpointing, Method, Trainer};
use crate::adapter::para;
use crate::unet::{Ledger, SOURCES, Unet};
use sdk::candle_core::DType;
use sdk::{Result, bail};
use std::collections::HashMap;
use std::fmt;

/// Activations above which [`Checkpointing::Auto`] recomputes: 1 GiB.
const KEPT_AT_MOST: usize = 1 << 30;
/// Tensors of the size of a segment's largest that its backward pass holds beside the graph: a gradient, the one
/// computed from it, and the zeros and the sum that candle accumulates it with.
const GRADIENTS: usize = 4;

/// Bytes that a training step needs at its peak.
///
/// `weights`: all tensors of the UNet. `panels`: small layers' weights as the CPU kernels like them, in both directions, as far as
/// they are not there yet; made in the first step, they stay with the model. `activations`: what the forward pass keeps and the backward pass computes (see
/// [`Trainer::memory_estimate`]). `optimizer`: for each trained number itself, its two moments and its gradient in f32, what the model
/// computes with in its working type, and for PaRa Q in f64. Text encoders and autoencoder are not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Bytes of the UNet's tensors.
    pub weights: usize,
    /// Bytes of weights that are kept in panels.
    pub panels: usize,
    /// Bytes of activations and their gradients.
    pub activations: usize,
    /// Bytes of trained values, moments and gradients.
    pub optimizer: usize,
}

impl Estimate {
    /// Everything.
    pub fn total(&self) -> usize {
        self.weights + self.working()
    }

    /// What the training adds to a loaded model.
    pub fn working(&self) -> usize {
        self.panels + self.activations + self.optimizer
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [total, weights, activations, optimizer] = [
            self.total(),
            self.weights + self.panels,
            self.activations,
            self.optimizer,
        ]
        .map(bytes);
        write!(
            f,
            "about {total}: weights {weights}, activations {activations}, optimizer {optimizer}"
        )
    }
}

/// A number of bytes for people, in units of 1000.
pub(super) fn bytes(count: usize) -> String {
    match count as f64 {
        n if n >= 1e9 => format!("{:.1} GB", n / 1e9),
        n => format!("{:.0} MB", n / 1e6),
    }
}

/// One segment of the model in values.
struct Sized<'a> {
    inputs: &'a [usize],
    output: usize,
    kept: usize,
    largest: usize,
    tracked: bool,
}

/// Bytes that one denoising step takes beside the model, for so many rows (twice the pictures under guidance): the
/// outputs between segments, which the way up reads again, and [`GRADIENTS`] tensors of the largest size within one.
/// [`Unet::missing_panels`] come on top in the first.
///
/// # Errors
/// A model whose ways down and up do not fit.
pub fn sampling_bytes(unet: &Unet, rows: usize, (height, width): (usize, usize), tokens: usize) -> Result<usize> {
    let dtype = unet.dtype();
    let mut ledger = Ledger {
        rank: &|_| 0,
        batch: rows,
        tokens,
        fused: dtype == DType::F32 && unet.device().is_cpu(),
        tracked: false,
        kept: 0,
        largest: 0,
    };
    let segments = unet.segments(height, width)?;
    let between: usize = segments.iter().map(|segment| segment.account(&mut ledger)).sum();
    Ok((between + GRADIENTS * ledger.largest) * dtype.size_in_bytes())
}

impl Trainer {
    /// The memory of a step with the batch size of the options, from shapes alone.
    ///
    /// The model's segments are walked as the backward pass does (Σ over the graphs that are alive, in values of the model's type):
    /// a segment's graph keeps the output of every operation from the first trained layer on; a trained layer's is
    /// kept twice. Without recomputation all graphs are alive when the backward pass starts, with
    /// it only one and the outputs between segments. On top come gradients waiting for their segment, and four
    /// tensors of the segment's largest size for the gradients within it.
    ///
    /// # Errors
    /// A model whose ways down and up do not fit.
    pub fn memory_estimate(&self) -> Result<Estimate> {
        let dtype = self.unet.working_dtype();
        let fused = dtype == DType::F32 && self.unet.device().is_cpu();
        let sized = |t: &sdk::candle_core::Tensor| t.elem_count() * t.dtype().size_in_bytes();
        let trained: usize = self.params.iter().map(|p| p.value.len()).sum();
        let basis = match self.options.method {
            Method::Para { .. } => 8,
            Method::Lora { .. } => 0,
        };
        Ok(Estimate {
            panels: self.missing_panels(),
            weights: self.unet.tensors().values().map(sized).sum(),
            activations: self.values_at_peak(self.recomputes, fused)? * dtype.size_in_bytes(),
            optimizer: trained * (16 + basis + para::working_dtype(dtype).size_in_bytes()),
        })
    }

    /// Bytes of the weights in panels that the first step will make.
    pub(super) fn missing_panels(&self) -> usize {
        self.unet.panels().missing(true)
    }

    /// Whether a training recomputes. Decided by shapes in f32 alone, never by the machine, so that a graph runs the same way everywhere.
    pub(super) fn decide_recompute(&self) -> Result<bool> {
        Ok(match self.options.checkpointing {
            Checkpointing::None => false,
            Checkpointing::Block => true,
            Checkpointing::Auto => self.values_at_peak(false, true)? * DType::F32.size_in_bytes() > KEPT_AT_MOST,
        })
    }

    /// Values of activations and gradients at the worst moment of a step.
    fn values_at_peak(&self, recompute: bool, fused: bool) -> Result<usize> {
        let ranks: HashMap<&str, usize> = self.modules().collect();
        let (&[_, _, height, width], &[_, tokens, _]) = (self.data.mean.dims(), self.data.states.dims()) else {
            bail!(
                "the latents have shape {:?} and the prompts {:?}, expected (n, c, h, w) and (n, tokens, width)",
                self.data.mean.dims(),
                self.data.states.dims()
            );
        };
        let segments = self.unet.segments(height, width)?;
        let mut sized: Vec<Sized<'_>> = Vec::with_capacity(segments.len());
        for segment in &segments {
            let reads_tracked = |value: &usize| value.checked_sub(SOURCES).is_some_and(|i| sized[i].tracked);
            let mut ledger = Ledger {
                rank: &|path| ranks.get(path).copied().unwrap_or(0),
                batch: self.options.batch,
                tokens,
                fused,
                tracked: segment.inputs.iter().any(reads_tracked),
                kept: 0,
                largest: 0,
            };
            let output = segment.account(&mut ledger);
            sized.push(Sized {
                inputs: &segment.inputs,
                output,
                kept: ledger.kept,
                largest: ledger.largest,
                tracked: ledger.tracked,
            });
        }
        Ok(peak(&sized, recompute))
    }
}

/// Goes through the backward pass from its end to its start, and finds where most is alive.
fn peak(segments: &[Sized<'_>], recompute: bool) -> usize {
    let reads = |segment: &Sized<'_>| -> Vec<usize> {
        let outputs = segment.inputs.iter().filter_map(|value| value.checked_sub(SOURCES));
        outputs.collect()
    };
    // How many segments to come read each output, and how many values the graphs of all of them keep.
    let mut readers = vec![0usize; segments.len()];
    let mut graphs = 0;
    for segment in segments.iter().filter(|s| s.tracked) {
        reads(segment).into_iter().for_each(|i| readers[i] += 1);
        graphs += segment.kept;
    }
    // Outputs whose gradient waits for their segment.
    let mut pending = vec![false; segments.len()];
    let mut peak = 0;
    for (index, segment) in segments.iter().enumerate().rev().filter(|(_, s)| s.tracked) {
        let reads = reads(segment);
        let tracked = || reads.iter().copied().filter(|&i| segments[i].tracked);
        // What is read is copied into the leaves of a new graph.
        let graph = match recompute {
            true => segment.kept + tracked().map(|i| segments[i].output).sum::<usize>(),
            false => graphs,
        };
        let alive = segments.iter().zip(readers.iter().zip(&pending));
        let between: usize = alive
            .map(|(s, (readers, pending))| s.output * (usize::from(*readers > 0) + usize::from(*pending)))
            .sum();
        peak = peak.max(between + graph + GRADIENTS * segment.largest);
        graphs -= segment.kept;
        pending[index] = false;
        tracked().for_each(|i| pending[i] = true);
        reads.into_iter().for_each(|i| readers[i] -= 1);
    }
    peak
}

/// What the process holds in memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resident {
    /// Now.
    pub(super) now: usize,
    /// At most, since it started.
    pub(super) peak: usize,
}

impl Resident {
    /// None where the system does not tell it in `/proc`.
    pub(super) fn read() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| -> Option<usize> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib * 1024)
        };
        Some(Self {
            now: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }

    /// What the process needed beyond this reading, beside an estimate of it, as a sentence.
    pub(super) fn compare(self, after: Self, estimate: &Estimate) -> String {
        let estimated = bytes(estimate.working());
        let grown = bytes(after.peak.saturating_sub(self.now));
        if after.peak > self.peak {
            format!("memory beyond the loaded models: estimated {estimated}, measured {grown}")
        } else {
            // The peak lies before the training, so all that is known is a bound.
            format!("memory beyond the loaded models: estimated {estimated}, measured at most {grown}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_those_of_hand_counted_chains() {
        let link = |inputs, tracked| Sized {
            inputs,
            output: 10,
            kept: if tracked { 100 } else { 0 },
            largest: 20,
            tracked,
        };
        // A frozen segment, two trained ones, and one that joins the outputs of the first and the third.
        let chain = [
            link(&[0], false),
            link(&[2], true),
            link(&[3], true),
            link(&[4, 3], true),
        ];
        // All graphs, the outputs of the first three, four gradients.
        assert_eq!(peak(&chain, false), 300 + 30 + 80);
        // One graph, the same outputs and gradients, two leaves.
        assert_eq!(peak(&chain, true), 100 + 30 + 80 + 20);
        assert_eq!(peak(&chain[..1], true), 0);
    }

    #[test]
    fn sentences_have_units() {
        let estimate = Estimate {
            panels: 0,
            weights: 1_200_000_000,
            activations: 30_000_000,
            optimizer: 1_600_000,
        };
        assert_eq!(
            estimate.to_string(),
            "about 1.2 GB: weights 1.2 GB, activations 30 MB, optimizer 2 MB"
        );
        let before = Resident {
            now: 50_000_000,
            peak: 60_000_000,
        };
        let after = Resident {
            now: 55_000_000,
            peak: 90_000_000,
        };
        assert!(
            before
                .compare(after, &estimate)
                .ends_with("estimated 32 MB, measured 40 MB")
        );
        assert!(before.compare(before, &estimate).ends_with("measured at most 10 MB"));
    }
}
