//! LoRA: a low-rank change added to weights.

use crate::adapter::names::{ModuleName, UnetLayout};
use crate::adapter::para::{Para, working_dtype};
use sdk::candle_core::{DType, Tensor};
use sdk::{Result, ResultExt, bail};
use std::collections::BTreeMap;

/// The change of one module, ΔW = up · down · alpha / rank.
#[derive(Clone, Debug)]
pub struct LoraModule {
    /// (r, d_in), for a convolution (r, c_in, k, k), or (r, c_in, 1, 1) beside a `mid`.
    pub down: Tensor,
    /// (d_out, r), for a convolution (c_out, r, 1, 1).
    pub up: Tensor,
    /// The core of a Tucker decomposition, (r, r, k, k).
    pub mid: Option<Tensor>,
    /// None: alpha = rank, so that the scale is 1.
    pub alpha: Option<f64>,
}

impl LoraModule {
    /// Checks that the halves fit each other.
    ///
    /// # Errors
    /// Shapes that do not fit, values that are not finite.
    pub fn new(down: Tensor, up: Tensor, mid: Option<Tensor>, alpha: Option<f64>) -> Result<Self> {
        let shapes = || format!("down {:?}, up {:?}", down.dims(), up.dims());
        let matrices = matches!((down.rank(), up.rank()), (2 | 4, 2 | 4));
        if !matrices || down.dim(0)? != up.dim(1)? || down.dim(0)? == 0 {
            bail!("the two halves do not fit: {}, expected (r, in…) and (out, r…)", shapes(); help: "the file is damaged, or is no LoRA");
        }
        if up.rank() == 4 && up.dims()[2..] != [1, 1] {
            bail!("up has shape {:?}, expected (out, r, 1, 1)", up.dims());
        }
        if let Some(mid) = &mid {
            let r = down.dim(0)?;
            let fits = mid.rank() == 4 && mid.dims()[..2] == [r, r] && down.dims().get(2..) == Some(&[1, 1]);
            if !fits {
                bail!(
                    "lora_mid has shape {:?} beside {}, expected (r, r, k, k) and down (r, c_in, 1, 1)",
                    mid.dims(),
                    shapes()
                );
            }
        }
        if alpha.is_some_and(|a| !a.is_finite()) {
            bail!("alpha is not a finite number");
        }
        for (name, half) in [("down", Some(&down)), ("up", Some(&up)), ("mid", mid.as_ref())] {
            let Some(half) = half else { continue };
            let sum = half.to_dtype(DType::F64)?.abs()?.sum_all()?.to_scalar::<f64>()?;
            if !sum.is_finite() {
                bail!("{name} holds values that are not finite numbers"; help: "the training diverged or the file is damaged");
            }
        }
        Ok(Self { down, up, mid, alpha })
    }

    /// r.
    pub fn rank(&self) -> usize {
        self.down.dims()[0]
    }

    /// alpha / rank.
    pub fn scale(&self) -> f64 {
        self.alpha.map_or(1.0, |alpha| alpha / self.rank() as f64)
    }

    /// The shape of the weight that it changes; a linear one also fits a 1×1 convolution.
    pub fn shape(&self) -> Vec<usize> {
        let mut shape = vec![self.up.dims()[0]];
        shape.extend(&self.down.dims()[1..]);
        if let Some(mid) = &self.mid {
            shape.truncate(2);
            shape.extend(&mid.dims()[2..]);
        }
        shape
    }

    /// Whether it changes weights of this shape.
    pub fn fits(&self, weight: &[usize]) -> bool {
        let trimmed = |s: &[usize]| match s {
            [o, i, 1, 1] => vec![*o, *i],
            other => other.to_vec(),
        };
        trimmed(&self.shape()) == trimmed(weight)
    }

    /// ΔW at scale 1, alpha included, in the shape, precision (f32 at least) and place of `weight`.
    ///
    /// # Errors
    /// A weight of another shape.
    pub fn delta(&self, weight: &Tensor) -> Result<Tensor> {
        if !self.fits(weight.dims()) {
            bail!(
                "it changes weights of shape {:?}, found {:?}",
                self.shape(),
                weight.dims()
            );
        }
        let dtype = working_dtype(weight.dtype());
        let flat =
            |t: &Tensor| -> Result<Tensor> { Ok(t.to_device(weight.device())?.to_dtype(dtype)?.flatten_from(1)?) };
        let (down, up) = (flat(&self.down)?, flat(&self.up)?);
        let product = match &self.mid {
            None => up.matmul(&down)?,
            Some(mid) => {
                // Σ_pq up[o,p] · mid[p,q,k,l] · down[q,i]
                let (r, c_in) = (self.rank(), down.dim(1)?);
                let taps: usize = mid.dims()[2..].iter().product();
                let core = mid.to_device(weight.device())?.to_dtype(dtype)?;
                let core = core.reshape((r, r, taps))?.transpose(1, 2)?.contiguous()?;
                let right = core.reshape((r * taps, r))?.matmul(&down)?;
                let all = up.matmul(&right.reshape((r, taps * c_in))?)?;
                all.reshape((up.dim(0)?, taps, c_in))?.transpose(1, 2)?.contiguous()?
            }
        };
        let product = product.reshape(weight.shape())?;
        // Scale 1 is left out so that an exported PaRa computes what the PaRa computes, bit for bit.
        Ok(if self.scale() == 1.0 {
            product
        } else {
            (product * self.scale())?
        })
    }
}

/// A LoRA of modules of the UNet and, it may be, of the text encoders.
#[derive(Clone, Debug, Default)]
pub struct Lora {
    /// By module, under the name of its file.
    pub modules: BTreeMap<ModuleName, LoraModule>,
    /// The layout of the UNet it was made for, if known.
    pub layout: Option<UnetLayout>,
    /// What the file says about it.
    pub info: BTreeMap<String, String>,
}

impl Lora {
    /// The exact LoRA of a PaRa on one base model: `up = −Q`, `down = QᵀW₀`, alpha = rank.
    ///
    /// It holds for the weights it was made with: on another base it is an approximation, and several of
    /// them add up instead of projecting. `base` names weights `MODULE.weight`.
    ///
    /// # Errors
    /// Modules that the base does not have, or with another shape.
    pub fn from_para(para: &Para, base: &BTreeMap<String, Tensor>, dtype: DType) -> Result<Self> {
        let mut modules = BTreeMap::new();
        for (path, q) in &para.modules {
            let attempt = || {
                let Some(weight) = base.get(&format!("{path}.weight")) else {
                    bail!("the model has no such module"; help: "export with the model the PaRa was trained on");
                };
                if weight.dim(0)? != q.dim(0)? {
                    bail!("the PaRa has {} outputs here, the model {}", q.dim(0)?, weight.dim(0)?; help: "export with the model the PaRa was trained on");
                }
                let work = working_dtype(weight.dtype());
                let rank = q.dim(1)?;
                let q = q.to_dtype(work)?.to_device(weight.device())?;
                let flat = weight.to_dtype(work)?.flatten_from(1)?;
                let mut down = q.t()?.contiguous()?.matmul(&flat)?;
                let mut up = q.neg()?;
                if let [_, i, kh, kw] = *weight.dims() {
                    down = down.reshape((rank, i, kh, kw))?;
                    up = up.reshape(((), rank, 1, 1))?;
                }
                let cpu = sdk::candle_core::Device::Cpu;
                let to_file = |t: Tensor| -> Result<Tensor> { Ok(t.to_dtype(dtype)?.to_device(&cpu)?) };
                LoraModule::new(to_file(down)?, to_file(up)?, None, Some(rank as f64))
            };
            let module = attempt().context(|| format!("module {path}"))?;
            modules.insert(ModuleName::unet(path.clone()), module);
        }
        let mut info = para.info.clone();
        info.insert("ss_network_dim".into(), para.rank().to_string());
        info.insert("ss_network_alpha".into(), para.rank().to_string());
        Ok(Self {
            modules,
            layout: para.layout.clone(),
            info,
        })
    }

    /// The largest rank of a module.
    pub fn rank(&self) -> usize {
        self.modules.values().map(LoraModule::rank).max().unwrap_or(0)
    }

    /// Σ r · (d_out + d_in·k·k).
    pub fn parameters(&self) -> usize {
        let count =
            |m: &LoraModule| m.down.elem_count() + m.up.elem_count() + m.mid.as_ref().map_or(0, Tensor::elem_count);
        self.modules.values().map(count).sum()
    }
}
