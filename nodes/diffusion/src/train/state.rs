//! Checkpoints: everything that decides the rest of a training, as one safetensors file.

use super::data::Queue;
use super::{Options, Trainer};
use crate::adapter::file::{self, Content};
use crate::noise::Generator;
use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Error, Result, bail};
use std::collections::BTreeMap;

/// The options that decide a step's arithmetic; a training may be resumed for more or fewer steps.
fn identity(options: &Options) -> Result<String> {
    let same = Options {
        steps: 0,
        info: BTreeMap::new(),
        ..options.clone()
    };
    Ok(serde_json::to_string(&same)?)
}

impl Trainer {
    /// The state after the last finished step: weights, moments, generator, order of pictures, losses.
    ///
    /// # Errors
    /// Only those of the conversion.
    pub fn state_bytes(&self) -> Result<Vec<u8>> {
        let cpu = &Device::Cpu;
        let mut tensors = vec![("rng".to_string(), Tensor::new(self.generator.state(), cpu)?)];
        for param in &self.params {
            for (part, values) in [("value", &param.value), ("m", &param.m), ("v", &param.v)] {
                let tensor = Tensor::from_slice(values, param.shape.as_slice(), cpu)?;
                tensors.push((format!("{part}.{}", param.name), tensor));
            }
        }
        if !self.losses.is_empty() {
            tensors.push(("losses".into(), Tensor::new(self.losses.as_slice(), cpu)?));
        }
        if !self.queue.0.is_empty() {
            let queue: Vec<i64> = self.queue.0.iter().map(|i| *i as i64).collect();
            tensors.push(("queue".into(), Tensor::new(queue, cpu)?));
        }
        let metadata = BTreeMap::from([
            ("format".to_string(), "pt".to_string()),
            ("train.options".into(), identity(&self.options)?),
            ("train.step".into(), self.losses.len().to_string()),
        ]);
        file::to_bytes(tensors.iter().map(|(n, t)| (n.clone(), t)), &metadata)
    }

    /// Goes on from a saved state. The rest of the training is bit for bit what it would have been.
    ///
    /// # Errors
    /// A state of other options, another model or other pictures; nothing is changed then.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let content = Content::parse(bytes)?;
        if content.metadata.get("train.options") != Some(&identity(&self.options)?) {
            bail!("the checkpoint belongs to a training with other options"; help: "remove the checkpoint, or train with the options it was made with");
        }
        let tensor = |name: &str| {
            content.tensors.get(name).ok_or_else(|| {
                Error::msg(format!("the checkpoint has no tensor {name}"))
                    .help("remove the checkpoint: it is for another model or damaged")
            })
        };
        let mut params = self.params.clone();
        for param in &mut params {
            for (part, values) in [("value", &mut param.value), ("m", &mut param.m), ("v", &mut param.v)] {
                let name = format!("{part}.{}", param.name);
                let stored = tensor(&name)?;
                if stored.dims() != param.shape || stored.dtype() != DType::F32 {
                    bail!("checkpoint tensor {name} is {:?} {:?}, expected F32 {:?}", stored.dtype(), stored.dims(), param.shape; help: "remove the checkpoint: it is for another model");
                }
                *values = stored.flatten_all()?.to_vec1()?;
            }
        }
        let generator = Generator::from_state(&tensor("rng")?.to_vec1::<u8>()?)?;
        let losses: Vec<f64> = match content.tensors.get("losses") {
            Some(losses) => losses.to_vec1()?,
            None => Vec::new(),
        };
        if content.metadata.get("train.step") != Some(&losses.len().to_string()) {
            bail!(
                "the checkpoint holds {} losses and another number of steps: it is damaged",
                losses.len()
            );
        }
        let queue: Vec<i64> = match content.tensors.get("queue") {
            Some(queue) => queue.to_vec1()?,
            None => Vec::new(),
        };
        let pictures = self.data.pictures();
        if queue.iter().any(|i| *i < 0 || *i as usize >= pictures) {
            bail!("the checkpoint belongs to a training with other pictures"; help: "remove the checkpoint");
        }
        self.params = params;
        self.generator = generator;
        self.losses = losses;
        self.queue = Queue(queue.into_iter().map(|i| i as usize).collect());
        Ok(())
    }
}
