//! B = QR of a PaRa in training, and B's gradient from Q's.

use crate::linalg::{self, Matrix};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::traits::ComplexField;
use faer::{Accum, Mat, MatRef, Par, Side};
use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Result, bail};

/// How far apart the pivots of R may be for Cholesky's way to Q: it leaves Q orthonormal to about ε times the square of B's
/// condition number, which with this is below what f32 holds.
const SPREAD: f64 = 1e3;

/// B (d, r) = Q (d, r) · R (r, r) in f64. Row by row, a tall matrix is its transpose column by column, so all is kept transposed
/// and nothing is copied into another order.
#[derive(Clone, Debug)]
pub struct Basis {
    /// Qᵀ (r, d).
    q: Matrix,
    /// R (r, r), upper triangular.
    r: Matrix,
}

impl Basis {
    /// Decomposes B, given row by row: by the Cholesky decomposition of BᵀB while B's columns are well apart, else by
    /// Householder reflections.
    ///
    /// # Errors
    /// More columns than rows, a length other than `d · r`, or values that are not finite.
    pub fn new(b: &[f64], d: usize, r: usize) -> Result<Self> {
        if b.len() != d * r {
            bail!("{} values do not fill a {d}x{r} matrix", b.len());
        }
        let transposed = MatRef::from_column_major_slice(b, r, d);
        if let Some(basis) = Self::cholesky(transposed) {
            return Ok(basis);
        }
        let (q, r) = linalg::qr(&transposed.transpose().to_owned())?;
        let q = q.transpose().to_owned();
        Ok(Self { q, r })
    }

    /// RᵀR = BᵀB, Qᵀ = R⁻ᵀBᵀ; nothing if the columns of B are not well apart.
    fn cholesky(b: MatRef<'_, f64>) -> Option<Self> {
        let r = b.nrows();
        let mut gram = Matrix::zeros(r, r);
        matmul(
            &mut gram,
            BlockStructure::TriangularLower,
            Accum::Replace,
            b,
            BlockStructure::Rectangular,
            b.transpose(),
            BlockStructure::Rectangular,
            1.0,
            Par::Seq,
        );
        let factor = gram.llt(Side::Lower).ok()?;
        let lower = factor.L();
        let pivots = (0..r).map(|i| lower[(i, i)]);
        let (least, most) = pivots.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), p| {
            (low.min(p), high.max(p))
        });
        // Also where one is not a number.
        if !(most.is_finite() && least * SPREAD >= most) {
            return None;
        }
        let mut q = b.to_owned();
        solve_lower_triangular_in_place(lower, q.as_mut(), Par::Seq);
        Some(Self {
            q,
            r: lower.transpose().to_owned(),
        })
    }

    /// Q (d, r) on the CPU.
    ///
    /// # Errors
    /// Only those of the conversion.
    pub fn q(&self, dtype: DType) -> Result<Tensor> {
        let (r, d) = (self.q.nrows(), self.q.ncols());
        let columns = (0..d).map(|j| self.q.col_as_slice(j));
        let tensor = match dtype {
            DType::F32 => {
                let values: Vec<f32> = columns.flatten().map(|&v| v as f32).collect();
                Tensor::from_vec(values, (d, r), &Device::Cpu)?
            }
            _ => Tensor::from_vec(columns.flatten().copied().collect(), (d, r), &Device::Cpu)?.to_dtype(dtype)?,
        };
        Ok(tensor)
    }

    /// The gradient with respect to B from that with respect to Q as a leaf, both (d, r): `(I − QQᵀ)·gQ·R⁻ᵀ`. In the leaf's
    /// precision: more would not bring back what its rounding took.
    ///
    /// # Errors
    /// Another shape, or columns of B that depend on each other.
    pub fn gradient(&self, leaf: &Tensor) -> Result<Tensor> {
        let (r, d) = (self.q.nrows(), self.q.ncols());
        if leaf.dims() != [d, r] {
            bail!("the gradient of Q has shape {:?}, expected ({d}, {r})", leaf.dims());
        }
        for j in 0..r {
            let pivot = self.r[(j, j)];
            if pivot == 0.0 || !pivot.is_finite() {
                bail!("column {j} of B depends on the columns before it: R has {pivot} on its diagonal");
            }
        }
        let leaf = leaf.to_device(&Device::Cpu)?.flatten_all()?;
        let gradient = if leaf.dtype() == DType::F64 {
            let values = turned(&leaf.to_vec1()?, &self.q, &self.r);
            Tensor::from_vec(values, (d, r), &Device::Cpu)?
        } else {
            let single = |m: &Matrix| Mat::from_fn(m.nrows(), m.ncols(), |i, j| m[(i, j)] as f32);
            let values = turned(
                &leaf.to_dtype(DType::F32)?.to_vec1()?,
                &single(&self.q),
                &single(&self.r),
            );
            Tensor::from_vec(values, (d, r), &Device::Cpu)?
        };
        Ok(gradient)
    }
}

/// `(I − QQᵀ)·g·R⁻ᵀ` of g (d, r), row by row, and Qᵀ (r, d).
fn turned<T: ComplexField + Copy>(g: &[T], q: &Mat<T>, r: &Mat<T>) -> Vec<T> {
    let g = MatRef::from_column_major_slice(g, q.nrows(), q.ncols());
    let mut tangent = g - (g * q.transpose()) * q;
    solve_upper_triangular_in_place(r.as_ref(), tangent.as_mut(), Par::Seq);
    let columns = (0..q.ncols()).map(|j| tangent.col_as_slice(j));
    columns.flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Generator;

    fn random(d: usize, r: usize) -> Vec<f64> {
        let b = Generator::manual_seed(5).randn(&[d, r]).unwrap();
        b.flatten_all()
            .unwrap()
            .to_dtype(DType::F64)
            .unwrap()
            .to_vec1()
            .unwrap()
    }

    fn check(b: &[f64], d: usize, r: usize, limit: f64) {
        let basis = Basis::new(b, d, r).unwrap();
        let q = linalg::matrix(&basis.q(DType::F64).unwrap()).unwrap();
        assert!(linalg::orthonormality_error(&q) < limit, "{d}x{r}");
        let b = linalg::from_rows(b, d, r).unwrap();
        assert!((&q * &basis.r - &b).norm_l2() < 1e-12 * b.norm_l2(), "{d}x{r}");
        let (plain, _) = linalg::qr(&b).unwrap();
        let distance = (&q - &plain * (plain.transpose() * &q)).norm_l2();
        assert!(distance < limit, "{d}x{r}: another span, {distance:e}");
    }

    #[test]
    fn q_and_r_are_those_of_householder_but_for_signs() {
        for (d, r) in [(1, 1), (5, 2), (320, 4), (64, 33), (200, 128)] {
            check(&random(d, r), d, r, 1e-12);
        }
    }

    #[test]
    fn columns_close_to_each_other_stay_orthonormal() {
        for closeness in [1e-2, 1e-4, 1e-9] {
            let mut b = random(64, 6);
            for row in b.chunks_exact_mut(6) {
                row[5] = row[0] + closeness * row[5];
            }
            let limit = if closeness < 1e-3 { 1e-6 } else { 1e-9 };
            check(&b, 64, 6, limit);
        }
    }

    #[test]
    fn what_has_no_basis_is_said() {
        let wide = Basis::new(&random(2, 3), 2, 3).unwrap_err().to_string();
        assert!(
            wide.contains("3 columns cannot be independent in 2 dimensions"),
            "{wide}"
        );
        assert!(Basis::new(&[1.0, f64::NAN, 2.0, 3.0], 2, 2).is_err());
        assert!(Basis::new(&[1.0; 3], 2, 2).is_err());
        let zero = Basis::new(&[0.0; 8], 4, 2).unwrap();
        let leaf = Tensor::ones((4, 2), DType::F32, &Device::Cpu).unwrap();
        let message = zero.gradient(&leaf).unwrap_err().to_string();
        assert!(message.contains("column 0 of B depends"), "{message}");
        assert!(zero.gradient(&leaf.t().unwrap()).is_err());
    }
}
