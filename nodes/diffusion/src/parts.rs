//! Builds a model's layers from named tensors and says in one error all that does not fit.

use crate::kernels::packed::PanelSet;
use crate::layer::{GroupNorm, Layer, LayerKind, LayerNorm, Module};
use crate::weights::similar;
use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// How many names of each kind an error lists before it only counts.
const LISTED: usize = 6;

/// Hands out tensors by name and shape, and remembers what was asked for.
///
/// Without tensors it is a drawing of the model: every layer is there with its path and shape, on zeros
/// that occupy no memory.
pub(crate) struct Parts<'a> {
    tensors: Option<&'a BTreeMap<String, Tensor>>,
    placeholder: Tensor,
    used: BTreeSet<String>,
    missing: Vec<String>,
    misshapen: Vec<String>,
    modules: Vec<Module>,
    panels: PanelSet,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(tensors: &'a BTreeMap<String, Tensor>) -> Result<Self> {
        Ok(Self {
            tensors: Some(tensors),
            ..Self::drawing()?
        })
    }

    pub(crate) fn drawing() -> Result<Self> {
        Ok(Self {
            tensors: None,
            placeholder: Tensor::zeros((), DType::F32, &Device::Cpu)?,
            used: BTreeSet::new(),
            missing: Vec::new(),
            misshapen: Vec::new(),
            modules: Vec::new(),
            panels: PanelSet::default(),
        })
    }

    /// The tensor `name` if it has this shape. Otherwise a placeholder, and [`Parts::finish`] will fail.
    pub(crate) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.used.insert(name.to_owned());
        match self.tensors.map(|t| t.get(name)) {
            Some(Some(tensor)) if tensor.dims() == shape => return Ok(tensor.clone()),
            Some(Some(tensor)) => {
                let found = tensor.dims();
                self.misshapen
                    .push(format!("`{name}` has shape {found:?}, expected {shape:?}"));
            }
            Some(None) => self.missing.push(name.to_owned()),
            None => {}
        }
        Ok(self.placeholder.broadcast_as(shape)?)
    }

    pub(crate) fn linear(&mut self, path: &str, d_in: usize, d_out: usize, bias: bool) -> Result<Layer> {
        self.layer(path, LayerKind::Linear, &[d_out, d_in], bias)
    }

    /// A convolution with a bias and a square kernel, padded to keep the size at stride 1.
    pub(crate) fn conv(&mut self, path: &str, c_in: usize, c_out: usize, kernel: usize) -> Result<Layer> {
        let kind = LayerKind::Conv2d {
            stride: 1,
            padding: kernel / 2,
        };
        self.layer(path, kind, &[c_out, c_in, kernel, kernel], true)
    }

    /// A 3×3 convolution with a bias that halves the size.
    pub(crate) fn halving_conv(&mut self, path: &str, channels: usize, padding: usize) -> Result<Layer> {
        let kind = LayerKind::Conv2d { stride: 2, padding };
        self.layer(path, kind, &[channels, channels, 3, 3], true)
    }

    pub(crate) fn group_norm(&mut self, path: &str, groups: usize, channels: usize, eps: f64) -> Result<GroupNorm> {
        Ok(GroupNorm {
            groups,
            weight: self.tensor(&format!("{path}.weight"), &[channels])?,
            bias: self.tensor(&format!("{path}.bias"), &[channels])?,
            eps,
        })
    }

    pub(crate) fn layer_norm(&mut self, path: &str, d: usize, eps: f64) -> Result<LayerNorm> {
        Ok(LayerNorm {
            weight: self.tensor(&format!("{path}.weight"), &[d])?,
            bias: self.tensor(&format!("{path}.bias"), &[d])?,
            eps,
        })
    }

    /// The modules in the order in which they were asked for, and what is kept of them in panels; `what` names the model in the error.
    ///
    /// # Errors
    /// Tensors that are missing, have another shape, or were never asked for.
    pub(crate) fn finish(self, what: &str) -> Result<(Vec<Module>, PanelSet)> {
        let Some(tensors) = self.tensors else {
            return Ok((self.modules, self.panels));
        };
        let unexpected: Vec<String> = tensors
            .keys()
            .filter(|name| !self.used.contains(*name))
            .map(|name| format!("`{name}`"))
            .collect();
        let missing: Vec<String> = self.missing.iter().map(|name| format!("`{name}`")).collect();
        let problems: Vec<String> = [
            ("missing", &missing),
            ("of another shape", &self.misshapen),
            ("unexpected", &unexpected),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(kind, names)| listed(kind, names))
        .collect();
        if problems.is_empty() {
            return Ok((self.modules, self.panels));
        }
        let mut help = String::from("the weights and the config.json beside them do not belong together");
        if let Some(first) = self.missing.first() {
            help = format!("{help}; for `{first}`, {}", similar(first, tensors.keys()));
        }
        Err(Error::msg(format!("the tensors do not fit {what}: {}", problems.join("; "))).help(help))
    }

    fn layer(&mut self, path: &str, kind: LayerKind, shape: &[usize], bias: bool) -> Result<Layer> {
        self.modules.push(Module {
            path: path.to_owned(),
            kind,
            shape: shape.to_vec(),
            bias,
        });
        let weight = self.tensor(&format!("{path}.weight"), shape)?;
        let bias = bias
            .then(|| self.tensor(&format!("{path}.bias"), &shape[..1]))
            .transpose()?;
        let layer = Layer::new(path, kind, weight, bias);
        layer.packed().into_iter().for_each(|packed| self.panels.add(packed));
        Ok(layer)
    }
}

/// `tensors` with some replaced by others of the same shape, which take over type and device; the rest is shared.
///
/// # Errors
/// A name that is not there, or another shape.
pub(crate) fn replaced(
    tensors: &BTreeMap<String, Tensor>,
    changed: &BTreeMap<String, Tensor>,
) -> Result<BTreeMap<String, Tensor>> {
    let mut all = tensors.clone();
    for (name, new) in changed {
        let Some(old) = all.get_mut(name) else {
            return Err(
                Error::msg(format!("the model has no tensor `{name}` to replace")).help(similar(name, tensors.keys()))
            );
        };
        if old.dims() != new.dims() {
            let (found, expected) = (new.dims(), old.dims());
            return Err(Error::msg(format!(
                "the new tensor for `{name}` has shape {found:?}, expected {expected:?}"
            )));
        }
        *old = new.to_dtype(old.dtype())?.to_device(old.device())?;
    }
    Ok(all)
}

fn listed(kind: &str, names: &[String]) -> String {
    let shown = names[..names.len().min(LISTED)].join(", ");
    match names.len() {
        n if n > LISTED => format!("{n} {kind} ({shown}, … and {} more)", n - LISTED),
        n => format!("{n} {kind} ({shown})"),
    }
}
