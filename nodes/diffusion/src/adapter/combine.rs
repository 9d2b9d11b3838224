//! Several PaRas as one: a joint basis (`merge`) or one after the other (`sequential`).
//!
//! The two differ unless every principal angle between the spans is 0° or 90°. A merge is a projection:
//! it depends neither on the order nor on repetition. A sequence is a product of projections: its order
//! counts and it is no PaRa again, so it stays a list.

use crate::adapter::apply::FINGERPRINT;
use crate::adapter::para::{Para, column_tolerance};
use crate::adapter::subset::{GammaScope, rank_boundary};
use crate::linalg::{self, Matrix};
use sdk::candle_core::{DType, Tensor};
use sdk::{Error, Result, ResultExt, bail};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Cosine above which two directions count as nearly parallel: they are kept, and warned of.
pub const NEARLY_PARALLEL: f64 = 0.9988;

/// What happens when a merged rank exceeds the rank boundary γ · rank(W₀).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cap {
    /// Nothing is cut; the report says so.
    #[default]
    Warn,
    /// The directions that carry most of what all adapters remove are kept.
    Balanced,
    /// All of the first adapter, then what carries most of the weight among the rest.
    Primary,
}

impl FromStr for Cap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "warn" => Ok(Self::Warn),
            "balanced" => Ok(Self::Balanced),
            "primary" => Ok(Self::Primary),
            _ => bail!("there is no cap {text:?}"; help: "choose warn, balanced or primary"),
        }
    }
}

/// The rank boundary of a combination.
#[derive(Clone, Copy, Debug)]
pub struct Boundary<'a> {
    /// The weights of the base model, named `MODULE.weight`.
    pub base: &'a BTreeMap<String, Tensor>,
    /// γ of the paper's equation 8.
    pub gamma: f64,
    /// Which modules it bounds.
    pub scope: GammaScope,
}

impl<'a> Boundary<'a> {
    fn weight(&self, path: &str) -> Result<&'a Tensor> {
        self.base.get(&format!("{path}.weight")).ok_or_else(|| {
            Error::msg(format!("the model has no module {path}"))
                .help("combine adapters with the model they were trained on")
        })
    }

    fn of(&self, path: &str) -> Result<Option<usize>> {
        let weight = self.weight(path)?;
        if self.scope == GammaScope::Conv && weight.rank() != 4 {
            return Ok(None);
        }
        rank_boundary(self.gamma, weight.dims()).map(Some)
    }
}

/// What a combination does to one module.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The module's path.
    pub module: String,
    /// The rank of each adapter here, 0 where it does not touch the module.
    pub ranks: Vec<usize>,
    /// The rank of the joint span before any cut.
    pub joint: usize,
    /// Directions removed from the output by the result.
    pub rank: usize,
    /// Cosines of the principal angles of the pair of adapters that overlaps most, largest first.
    pub cosines: Vec<f64>,
    /// The largest cosine: 0 orthogonal, 1 a shared direction.
    pub max_cosine: f64,
    /// The overlap of that pair, ‖Q₁ᵀQ₂‖² / min(r₁, r₂): 0 orthogonal, 1 nested.
    pub overlap: f64,
    /// floor(γ · rank(W₀)), where it applies.
    pub boundary: Option<usize>,
    /// Whether the joint rank exceeds the boundary.
    pub exceeded: bool,
    /// Whether directions are nearly but not quite shared, where a merge removes an ill-defined direction.
    pub nearly_parallel: bool,
}

/// What a combination does, module by module.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// In the order of the module paths.
    pub rows: Vec<Row>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.rows.iter().filter(|r| !r.cosines.is_empty()).count();
        let worst = self.rows.iter().max_by(|a, b| a.max_cosine.total_cmp(&b.max_cosine));
        write!(
            f,
            "{} modules, {shared} of them touched by several adapters",
            self.rows.len()
        )?;
        if let Some(row) = worst.filter(|r| !r.cosines.is_empty()) {
            write!(f, "; largest cosine {:.3} in {}", row.max_cosine, row.module)?;
        }
        let exceeded = self.rows.iter().filter(|r| r.exceeded).count();
        if exceeded > 0 {
            write!(f, "; {exceeded} modules exceed the rank boundary")?;
        }
        let near = self.rows.iter().filter(|r| r.nearly_parallel).count();
        if near > 0 {
            write!(f, "; {near} modules hold nearly parallel directions")?;
        }
        Ok(())
    }
}

/// The cosines of the principal angles between the spans of two orthonormal bases, largest first.
///
/// # Errors
/// Bases of different heights.
pub fn principal_cosines(a: &Matrix, b: &Matrix) -> Result<Vec<f64>> {
    if a.nrows() != b.nrows() {
        bail!("the adapters disagree: one matrix has {} rows, another {}", a.nrows(), b.nrows(); help: "they were made for different models");
    }
    let s = linalg::svd(&(a.transpose() * b))?.s;
    Ok(s.into_iter().map(|c| c.clamp(0.0, 1.0)).collect())
}

/// Merges adapters into one PaRa whose span is the joint span of all of them.
///
/// The joint basis comes from the singular values of `[Q₁ Q₂ …]`; those below 1e-6 (adapters stored in f32)
/// or 1e-3 (f16) are the same directions again and are dropped. The result does not depend on the order
/// (bit for bit, unless `cap` is [`Cap::Primary`]), and merging an adapter with itself gives it back.
///
/// # Errors
/// No adapter, adapters made for different shapes or layouts, a cap without a boundary.
///
/// Modules are matched by name: bring adapters of different origin to one model's names first
/// ([`Para::for_layout`]).
pub fn merge(paras: &[&Para], boundary: Option<Boundary>, cap: Cap) -> Result<(Para, Report)> {
    check(paras)?;
    if cap != Cap::Warn && boundary.is_none() {
        bail!("a cap needs the base model's weights to weigh directions by"; help: "connect the model");
    }
    let precision = coarsest(paras);
    let tolerance = column_tolerance(precision);
    let mut modules = BTreeMap::new();
    let mut rows = Vec::new();
    for path in paths(paras) {
        let attempt = || -> Result<(Tensor, Row)> {
            let at = Stack::at(paras, path)?;
            let joint = at.joint(tolerance)?;
            let limit = boundary.map(|b| b.of(path)).transpose()?.flatten();
            let kept = match (limit, boundary) {
                (Some(limit), Some(b)) if cap != Cap::Warn && joint.ncols() > limit => {
                    let weight = linalg::matrix(b.weight(path)?)?;
                    Some(at.cut(&joint, &weight, limit, cap)?)
                }
                _ => None,
            };
            let mut row = at.row(path, joint.ncols(), limit)?;
            let result = match (kept, at.only()) {
                (Some(kept), _) => linalg::tensor(&kept, at.dtype)?,
                (None, Some(only)) => only.clone(),
                (None, None) => linalg::tensor(&joint, at.dtype)?,
            };
            row.rank = result.dim(1)?;
            Ok((result, row))
        };
        let (result, row) = attempt().context(|| format!("module {path}"))?;
        rows.push(row);
        if result.dim(1)? > 0 {
            modules.insert(path.clone(), result);
        }
    }
    let mut info = combined_info(paras);
    if cap != Cap::Warn {
        // A cut may leave modules out, which the fingerprint names.
        info.remove(FINGERPRINT);
    }
    let merged = Para {
        modules,
        layout: paras.iter().find_map(|p| p.layout.clone()),
        info,
        precision,
    };
    Ok((merged, Report { rows }))
}

/// Puts adapters one after the other: the first in the list is applied first. The result is the list.
///
/// # Errors
/// No adapter, or adapters made for different shapes or layouts.
pub fn sequential(paras: &[&Para], boundary: Option<Boundary>) -> Result<(Vec<Para>, Report)> {
    check(paras)?;
    let tolerance = column_tolerance(coarsest(paras));
    let mut rows = Vec::new();
    for path in paths(paras) {
        let attempt = || -> Result<Row> {
            let at = Stack::at(paras, path)?;
            let joint = at.joint(tolerance)?;
            let limit = boundary.map(|b| b.of(path)).transpose()?.flatten();
            let mut row = at.row(path, joint.ncols(), limit)?;
            row.rank = at.removed_in_sequence(&joint)?;
            row.exceeded = limit.is_some_and(|limit| row.rank > limit);
            Ok(row)
        };
        rows.push(attempt().context(|| format!("module {path}"))?);
    }
    Ok((paras.iter().map(|p| (*p).clone()).collect(), Report { rows }))
}

fn check(paras: &[&Para]) -> Result<()> {
    if paras.is_empty() {
        bail!("there is nothing to combine"; help: "connect at least one adapter");
    }
    let known = paras.iter().enumerate();
    let mut known = known.filter_map(|(index, para)| Some((index + 1, para.layout.as_ref()?)));
    let Some((first, layout)) = known.next() else {
        return Ok(());
    };
    if let Some((other, _)) = known.find(|(_, other)| *other != layout) {
        bail!("adapter {other} was made for another kind of model than adapter {first}"; help: "combine adapters of the same base model");
    }
    Ok(())
}

fn paths<'a>(paras: &[&'a Para]) -> BTreeSet<&'a String> {
    paras.iter().flat_map(|p| p.modules.keys()).collect()
}

fn coarsest(paras: &[&Para]) -> DType {
    let by_tolerance = |a: &DType, b: &DType| column_tolerance(*a).total_cmp(&column_tolerance(*b));
    paras
        .iter()
        .map(|p| p.precision)
        .max_by(by_tolerance)
        .unwrap_or(DType::F32)
}

/// What all parts agree on stays; what differs is kept in `para.combined_from`.
fn combined_info(paras: &[&Para]) -> BTreeMap<String, String> {
    let distinct: BTreeSet<_> = paras.iter().map(|p| &p.info).collect();
    let mut all = distinct.iter();
    let mut info = all.next().map(|i| (*i).clone()).unwrap_or_default();
    for other in all {
        info.retain(|key, value| other.get(key) == Some(value));
    }
    if distinct.len() > 1 {
        info.remove("para.combined_from");
        let parts: Vec<_> = distinct.iter().collect();
        let text = serde_json::to_string(&parts).unwrap_or_default();
        info.insert("para.combined_from".into(), text);
    }
    info
}

/// All adapters' bases at one module.
struct Stack<'a> {
    ranks: Vec<usize>,
    /// Without repetitions, in an order that depends on the values alone.
    distinct: Vec<(Matrix, &'a Tensor)>,
    /// In the order given.
    ordered: Vec<Matrix>,
    dtype: DType,
}

impl<'a> Stack<'a> {
    fn at(paras: &[&'a Para], path: &str) -> Result<Self> {
        let mut stack = Self {
            ranks: Vec::new(),
            distinct: Vec::new(),
            ordered: Vec::new(),
            dtype: DType::F32,
        };
        for para in paras {
            let Some(tensor) = para.modules.get(path) else {
                stack.ranks.push(0);
                continue;
            };
            let q = linalg::matrix(tensor)?;
            if let Some(other) = stack.ordered.first()
                && other.nrows() != q.nrows()
            {
                bail!("one adapter has {} outputs here, another {}", other.nrows(), q.nrows(); help: "the adapters were made for different models");
            }
            if tensor.dtype() == DType::F64 {
                stack.dtype = DType::F64;
            }
            stack.ranks.push(q.ncols());
            stack.ordered.push(q.clone());
            stack.distinct.push((q, tensor));
        }
        stack.distinct.sort_by(|a, b| by_content(&a.0, &b.0));
        stack
            .distinct
            .dedup_by(|a, b| by_content(&a.0, &b.0) == Ordering::Equal);
        Ok(stack)
    }

    /// The single adapter here, if all others repeat it.
    fn only(&self) -> Option<&'a Tensor> {
        match self.distinct.as_slice() {
            [(_, tensor)] => Some(tensor),
            _ => None,
        }
    }

    /// An orthonormal basis of the joint span.
    fn joint(&self, tolerance: f64) -> Result<Matrix> {
        if let [(only, _)] = self.distinct.as_slice() {
            return Ok(only.clone());
        }
        let parts: Vec<&Matrix> = self.distinct.iter().map(|(q, _)| q).collect();
        let svd = linalg::svd(&linalg::concat(&parts)?)?;
        let rank = svd.s.iter().filter(|s| **s >= tolerance).count();
        Ok(linalg::leading(&svd.u, rank))
    }

    /// `limit` directions out of the joint basis.
    fn cut(&self, joint: &Matrix, weight: &Matrix, limit: usize, cap: Cap) -> Result<Matrix> {
        if weight.nrows() != joint.nrows() {
            bail!("the adapters have {} outputs here, the model {}", joint.nrows(), weight.nrows(); help: "combine adapters with the model they were trained on");
        }
        let energy = |q: &Matrix| {
            let rows = q.transpose() * weight;
            &rows * rows.transpose()
        };
        let strongest = |q: &Matrix, gram: &Matrix, n: usize| -> Result<Matrix> {
            Ok(q * linalg::leading(&linalg::svd(gram)?.u, n))
        };
        match self.ordered.first() {
            Some(first) if cap == Cap::Primary => {
                if first.ncols() >= limit {
                    return strongest(first, &energy(first), limit);
                }
                let outside = joint - first * (first.transpose() * joint);
                let size = joint.ncols() - first.ncols();
                let rest = linalg::leading(&linalg::svd(&outside)?.u, size);
                let kept = strongest(&rest, &energy(&rest), limit - first.ncols())?;
                linalg::concat(&[first, &kept])
            }
            _ => {
                let mut gram = Matrix::zeros(joint.ncols(), joint.ncols());
                for (q, _) in &self.distinct {
                    let inside = joint.transpose() * q;
                    gram += &inside * energy(q) * inside.transpose();
                }
                strongest(joint, &gram, limit)
            }
        }
    }

    /// Directions that (I − Pₙ)…(I − P₁) sends to zero.
    fn removed_in_sequence(&self, joint: &Matrix) -> Result<usize> {
        let m = joint.ncols();
        let mut product = Matrix::identity(m, m);
        for q in &self.ordered {
            let inside = joint.transpose() * q;
            product = &product - &inside * (inside.transpose() * &product);
        }
        let s = linalg::svd(&product)?.s;
        Ok(s.iter().filter(|v| **v < 1e-6).count())
    }

    fn row(&self, path: &str, joint: usize, boundary: Option<usize>) -> Result<Row> {
        let mut cosines: Vec<f64> = Vec::new();
        let mut overlap = 0.0;
        for (i, a) in self.ordered.iter().enumerate() {
            for b in &self.ordered[i + 1..] {
                let found = principal_cosines(a, b)?;
                let score = found.iter().map(|c| c * c).sum::<f64>() / a.ncols().min(b.ncols()) as f64;
                if cosines.is_empty() || score > overlap {
                    (cosines, overlap) = (found, score);
                }
            }
        }
        let shared: usize = self.distinct.iter().map(|(q, _)| q.ncols()).sum::<usize>() - joint;
        let near = cosines.iter().filter(|c| **c > NEARLY_PARALLEL).count();
        Ok(Row {
            module: path.to_string(),
            ranks: self.ranks.clone(),
            joint,
            rank: joint,
            max_cosine: cosines.first().copied().unwrap_or(0.0),
            nearly_parallel: self.distinct.len() > 1 && near > shared,
            cosines,
            overlap,
            boundary,
            exceeded: boundary.is_some_and(|limit| joint > limit),
        })
    }
}

fn by_content(a: &Matrix, b: &Matrix) -> Ordering {
    let shape = (a.nrows(), a.ncols()).cmp(&(b.nrows(), b.ncols()));
    shape.then_with(|| {
        let (a, b) = (linalg::to_rows(a), linalg::to_rows(b));
        let differing = a.iter().zip(&b).map(|(x, y)| x.total_cmp(y));
        differing
            .into_iter()
            .find(|o| *o != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    })
}
