//! PaRa: personalisation by taking directions away from a weight's output space.

use crate::adapter::names::UnetLayout;
use crate::linalg;
use sdk::candle_core::{DType, Tensor};
use sdk::{Result, ResultExt, bail};
use std::collections::BTreeMap;

/// A PaRa of a set of UNet modules: for each an orthonormal Q (d_out, r), which removes `Q QᵀW` from the
/// weight W (d_out, d_in) or, reshaped, from a kernel (c_out, c_in·k·k).
#[derive(Clone, Debug)]
pub struct Para {
    /// Q by module path, f32 or f64 on the CPU. Modules of rank 0 are absent.
    pub modules: BTreeMap<String, Tensor>,
    /// The layout of the UNet it was made for, if known: needed to write the names of published files.
    pub layout: Option<UnetLayout>,
    /// What the file says about it: `para.rank`, `para.subset`, … (no times, no absolute paths).
    pub info: BTreeMap<String, String>,
    /// The precision the columns went through, which bounds how exactly spans can be compared.
    pub precision: DType,
}

impl Para {
    /// Makes every matrix orthonormal, dropping dependent columns; modules left without columns are dropped.
    /// Matrices that already are orthonormal to the precision of f32 stay bit for bit.
    ///
    /// # Errors
    /// A matrix that is not two-dimensional, has more columns than rows, or holds values that are not finite.
    pub fn new(matrices: BTreeMap<String, Tensor>, precision: DType) -> Result<Self> {
        let mut modules = BTreeMap::new();
        for (path, tensor) in matrices {
            let q = orthonormal(&tensor, precision).context(|| format!("module {path}"))?;
            if q.dim(1)? > 0 {
                modules.insert(path, q);
            }
        }
        Ok(Self {
            modules,
            layout: None,
            info: BTreeMap::new(),
            precision,
        })
    }

    /// The largest rank of a module.
    pub fn rank(&self) -> usize {
        self.modules
            .values()
            .map(|q| q.dims().get(1).copied().unwrap_or(0))
            .max()
            .unwrap_or(0)
    }

    /// Σ d_out · r.
    pub fn parameters(&self) -> usize {
        self.modules.values().map(Tensor::elem_count).sum()
    }
}

/// Below which share of the longest column a column counts as dependent, by the precision it was stored in.
pub fn column_tolerance(precision: DType) -> f64 {
    match precision {
        DType::F64 => 1e-10,
        DType::F16 => 1e-3,
        DType::BF16 => 1e-2,
        _ => 1e-6,
    }
}

/// The orthonormal columns of one stored matrix.
fn orthonormal(tensor: &Tensor, precision: DType) -> Result<Tensor> {
    let &[rows, columns] = tensor.dims() else {
        bail!("the matrix has shape {:?}, expected (d_out, rank)", tensor.dims());
    };
    if columns > rows {
        bail!("the matrix has shape ({rows}, {columns}): rank {columns} is more than its {rows} rows"; help: "the file may be transposed or damaged");
    }
    let dtype = if tensor.dtype() == DType::F64 {
        DType::F64
    } else {
        DType::F32
    };
    let stored = linalg::matrix(tensor)?;
    if !linalg::is_finite(&stored) {
        bail!("the matrix holds values that are not finite numbers"; help: "the training diverged or the file is damaged");
    }
    let limit = if dtype == DType::F64 { 1e-13 } else { 1e-6 };
    if linalg::orthonormality_error(&stored) < limit {
        return Ok(tensor.to_dtype(dtype)?.to_device(&sdk::candle_core::Device::Cpu)?);
    }
    let q = linalg::orthonormal_basis(&stored, column_tolerance(precision))?;
    linalg::tensor(&q, dtype)
}

/// A strength within 0..=1. Above 1 the removed directions come back with the opposite sign; 2 is a reflection.
///
/// # Errors
/// Anything else.
pub fn check_strength(strength: f64) -> Result<()> {
    if !(0.0..=1.0).contains(&strength) {
        bail!("the strength of a PaRa is {strength}, expected 0 to 1"; help: "1 removes the learnt directions wholly; more would bring them back mirrored");
    }
    Ok(())
}

/// The reduced weight `W − s·Q(QᵀW)` (the paper's equation 6), in the shape and precision of `w`.
/// `w` (d_out, d_in) or (c_out, c_in, k, k), `q` (d_out, r).
///
/// # Errors
/// Shapes that do not fit, a strength outside 0..=1.
pub fn reduce(w: &Tensor, q: &Tensor, strength: f64) -> Result<Tensor> {
    check_strength(strength)?;
    if q.rank() != 2 || w.rank() < 2 || q.dim(0)? != w.dim(0)? {
        bail!(
            "Q has shape {:?} and does not fit a weight of shape {:?}: the first dimensions must agree",
            q.dims(),
            w.dims()
        );
    }
    let work = working_dtype(w.dtype());
    let flat = w.to_dtype(work)?.flatten_from(1)?;
    let q = q.to_dtype(work)?.to_device(w.device())?;
    let inside = q.matmul(&q.t()?.contiguous()?.matmul(&flat)?)?;
    // Without the product at full strength: `W − Q(QᵀW)` is then what an exported LoRA computes, bit for bit.
    let removed = if strength == 1.0 { inside } else { (inside * strength)? };
    Ok((flat - removed)?.reshape(w.shape())?.to_dtype(w.dtype())?)
}

/// f64 stays f64; everything else is computed in f32.
pub(crate) fn working_dtype(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F64 } else { DType::F32 }
}
