//! The backward pass, one segment of the model at a time.
//!
//! Candle keeps a graph, with the input of every operation, until its last tensor is dropped, and borrows all of it
//! while gradients flow. So each segment gets a graph of its own: what it reads is made a leaf, and its backward pass starts
//! from the gradient that the segments behind it have left for its output. A segment's graph ends with its
//! backward pass, and with it the gradients that candle computes of frozen tensors.
//!
//! Graphs are either kept from the forward pass, or dropped at once and made anew when their turn comes (activation
//! checkpointing, [`super::Checkpointing`]). Both do the same arithmetic in the same order.

use crate::layer::Hooks;
use crate::unet::{Pass, SOURCES};
use sdk::candle_core::{self, CpuStorage, CustomOp1, Layout, Shape, Tensor, Var, backprop::GradStore};
use sdk::{Result, bail};
use std::collections::HashMap;

/// A segment that gradients flow through.
struct Record {
    index: usize,
    /// What it read: where tracked, leaves of its graph or, without graph, mere values.
    inputs: Vec<Tensor>,
    /// Its output with the graph behind it, if that is kept.
    output: Option<Tensor>,
}

/// Runs `pass` and the scalar loss that `loss` makes of its output, and returns for each leaf the loss's gradient, or
/// none where nothing flows. `recompute`: only one segment's graph at a time is in memory, at the price of a second
/// forward pass.
///
/// # Errors
/// Shapes that do not fit, failures of the device, and those of `loss`.
pub(super) fn gradients(
    pass: &Pass<'_>,
    hooks: &Hooks,
    leaves: &[Var],
    recompute: bool,
    loss: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Vec<Option<Tensor>>> {
    let mut values: Vec<Option<Tensor>> = pass.sources.iter().cloned().map(Some).collect();
    let mut tracked = vec![false; SOURCES];
    let mut records = Vec::with_capacity(pass.segments.len());
    for (index, (segment, last)) in pass.segments.iter().zip(pass.last_uses()).enumerate() {
        let inputs = segment.read(&values)?;
        for value in last {
            values[value] = None;
        }
        if index + 1 == pass.segments.len() {
            records.push(Record {
                index,
                inputs,
                output: None,
            });
            break;
        }
        let output = pass.run(index, &inputs, hooks)?;
        let flows = output.track_op() || segment.inputs.iter().any(|&value| tracked[value]);
        tracked.push(flows);
        values.push(Some(match (flows, recompute) {
            (true, false) => leaf(&output)?,
            _ => output.detach(),
        }));
        if flows {
            let output = (!recompute).then_some(output);
            records.push(Record { index, inputs, output });
        }
    }
    drop(values);

    let mut collected = Collected {
        leaves: leaves.iter().enumerate().map(|(i, leaf)| (leaf.id(), i)).collect(),
        gradients: vec![None; leaves.len()],
        pending: HashMap::new(),
    };
    let mut loss = Some(loss);
    while let Some(Record { index, inputs, output }) = records.pop() {
        let segment = &pass.segments[index];
        let again = output.is_none();
        let inputs = (inputs.into_iter().zip(&segment.inputs))
            .map(
                |(tensor, &value)| match again && tracked[value] && !tensor.is_variable() {
                    true => leaf(&tensor),
                    false => Ok(tensor),
                },
            )
            .collect::<Result<Vec<_>>>()?;
        let output = match output {
            Some(output) => output,
            None => pass.run(index, &inputs, hooks)?,
        };
        let start = match loss.take() {
            Some(loss) => loss(&output)?,
            None => match collected.pending.remove(&(SOURCES + index)) {
                Some(gradient) => seeded(&output, gradient)?,
                None => continue,
            },
        };
        drop(output);
        let store = start.backward()?;
        drop(start);
        let reads = inputs.iter().zip(&segment.inputs).filter(|(_, value)| tracked[**value]);
        collected.take(store, reads)?;
    }
    Ok(collected.gradients)
}

/// Gradients on their way.
struct Collected {
    /// The trained tensors' places, by id.
    leaves: HashMap<candle_core::TensorId, usize>,
    gradients: Vec<Option<Tensor>>,
    /// Of values whose segment has not had its turn.
    pending: HashMap<usize, Tensor>,
}

impl Collected {
    /// Takes the gradients of trained tensors and of what a segment read; the others go with the store. Detached, since
    /// candle computes gradients with tracked operands: they would keep the segment's graph alive.
    fn take<'a>(&mut self, mut store: GradStore, reads: impl Iterator<Item = (&'a Tensor, &'a usize)>) -> Result<()> {
        for (tensor, &value) in reads {
            if let Some(gradient) = store.remove(tensor) {
                let gradient = gradient.detach();
                let sum = match self.pending.remove(&value) {
                    Some(other) => (other + gradient)?,
                    None => gradient,
                };
                self.pending.insert(value, sum);
            }
        }
        let reached: Vec<_> = (store.get_ids())
            .filter_map(|id| Some((*id, *self.leaves.get(id)?)))
            .collect();
        for (id, place) in reached {
            let Some(gradient) = store.get_id(id).map(Tensor::detach) else {
                continue;
            };
            let Some(slot) = self.gradients.get_mut(place) else {
                continue;
            };
            *slot = Some(match slot.take() {
                Some(other) => (other + gradient)?,
                None => gradient,
            });
        }
        Ok(())
    }
}

/// A leaf with the values of a tensor; candle has none that shares them.
fn leaf(tensor: &Tensor) -> Result<Tensor> {
    Ok(Var::from_tensor(&tensor.detach())?.into_inner())
}

/// A scalar whose backward pass gives `output` this gradient.
fn seeded(output: &Tensor, gradient: Tensor) -> Result<Tensor> {
    if output.dims() != gradient.dims() {
        bail!(
            "a gradient of shape {:?} flows into a segment's output of shape {:?}",
            gradient.dims(),
            output.dims()
        );
    }
    if output.device().is_cpu() {
        return Ok(output.apply_op1(Seed(gradient))?);
    }
    Ok((output * gradient)?.sum_all()?)
}

/// Stands for everything behind a tensor: computes nothing, and hands a known gradient back.
struct Seed(Tensor);

impl CustomOp1 for Seed {
    fn name(&self) -> &'static str {
        "seed"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Hook, Layer, LayerKind, Module};
    use crate::noise::Generator;
    use crate::unet::{Added, Unet, UnetConfig};
    use crate::weights::Weights;
    use sdk::candle_core::{DType, Device};
    use std::path::Path;
    use std::sync::Arc;

    /// Multiplies each channel of a module's output by one plus a trained number.
    struct Gain(Tensor);

    impl Hook for Gain {
        fn forward(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
            let shaped = |t: &Tensor| match layer.kind {
                LayerKind::Linear => Ok(t.clone()),
                LayerKind::Conv2d { .. } => t.reshape((1, (), 1, 1)),
            };
            let y = layer.plain(x, None)?;
            let y = y.broadcast_mul(&shaped(&(&self.0 + 1.0)?)?)?;
            Ok(match &layer.bias {
                Some(bias) => y.broadcast_add(&shaped(bias)?)?,
                None => y,
            })
        }
    }

    fn norm(t: &Tensor) -> f64 {
        let squares = t.to_dtype(DType::F64).unwrap().sqr().unwrap().sum_all().unwrap();
        squares.to_scalar::<f64>().unwrap().sqrt()
    }

    /// What the segments give must be what candle gives for the graph as a whole, for trained modules anywhere:
    /// the timestep's embedding is read by every resnet, the first convolution's output by the last one too.
    #[test]
    fn segments_add_up_to_the_gradient_of_the_whole_graph() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-sdxl/unet"));
        let config = UnetConfig::from_json(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
        let mut generator = Generator::manual_seed(4);
        let mut draw = |shape: &[usize]| generator.randn(shape).unwrap();
        // An odd size, so that the way up has to grow to what the way down left.
        let x = draw(&[2, config.in_channels, 10, 14]);
        let context = draw(&[2, 7, config.cross_attention_dim.at(0)]);
        let (pooled, _) = config.added_widths().unwrap();
        let added = Added::for_size(draw(&[2, pooled]), 20, 28).unwrap();
        let t = Tensor::new(&[401f32, 100.0], &Device::Cpu).unwrap();
        let loss = |output: &Tensor| Ok(output.sqr()?.mean_all()?);
        for (dtype, limit) in [(DType::F64, 1e-10), (DType::F32, 2e-6)] {
            let weights = Weights::open_as(folder, Some(dtype), &Device::Cpu).unwrap();
            let unet = Unet::new(config.clone(), weights.into_tensors()).unwrap();
            let x = x.to_dtype(dtype).unwrap();
            let all = unet.modules();
            let middle: Vec<_> = all.iter().filter(|m| m.path.starts_with("mid")).cloned().collect();
            for modules in [&all, &middle] {
                let leaf = |m: &Module| Var::zeros(m.shape[0], dtype, &Device::Cpu).unwrap();
                let leaves: Vec<Var> = modules.iter().map(leaf).collect();
                let mut hooks = Hooks::none();
                for (module, leaf) in modules.iter().zip(&leaves) {
                    hooks.insert(&module.path, Arc::new(Gain(leaf.as_tensor().clone())));
                }
                let whole = unet.forward(&x, &t, &context, Some(&added), &hooks).unwrap();
                let whole = loss(&whole).unwrap().backward().unwrap();
                let largest = leaves.iter().map(|l| norm(whole.get(l).unwrap())).fold(0.0, f64::max);
                let pass = unet.pass(&x, &t, &context, Some(&added)).unwrap();
                for recompute in [false, true] {
                    let parts = gradients(&pass, &hooks, &leaves, recompute, loss).unwrap();
                    let mut worst = 0f64;
                    for ((module, leaf), part) in modules.iter().zip(&leaves).zip(parts) {
                        let (got, want) = (part.unwrap(), whole.get(leaf).unwrap());
                        // Gradients that are next to nothing are known as well as the others, no better.
                        let size = norm(want).max(1e-2 * largest);
                        let error = norm(&(&got - want).unwrap()) / size;
                        worst = worst.max(error);
                        assert!(
                            error < limit,
                            "{}, {dtype:?}, recompute {recompute}: {error:e}",
                            module.path
                        );
                    }
                    println!(
                        "{} modules, {dtype:?}, recompute {recompute}: {worst:.1e}",
                        modules.len()
                    );
                }
            }
        }
    }

    #[test]
    fn a_seed_hands_its_gradient_back() {
        let one = Var::ones(1, DType::F32, &Device::Cpu).unwrap();
        let y = (one.as_tensor() * 3.0).unwrap();
        let gradient = Tensor::new(&[5f32], &Device::Cpu).unwrap();
        let store = seeded(&y, gradient.clone()).unwrap().backward().unwrap();
        assert_eq!(store.get(&one).unwrap().to_vec1::<f32>().unwrap(), [15.0]);
        let wrong = gradient.reshape((1, 1)).unwrap();
        assert!(seeded(&y, wrong).unwrap_err().to_string().contains("shape [1, 1]"));
    }
}
