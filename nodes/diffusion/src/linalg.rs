//! Dense linear algebra that candle lacks: QR, rank-revealing bases, singular values.
//!
//! Everything is computed in f64 on the CPU, whatever the tensors hold, since the projectors of PaRa must
//! stay projectors after they are rounded to the precision of a file.

use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Error, Result, bail};

/// A dense matrix of f64.
pub type Matrix = faer::Mat<f64>;

/// A tensor as a matrix: the first dimension gives the rows, the others together the columns, so that a
/// convolution kernel (c_out, c_in, k, k) becomes (c_out, c_in·k·k).
///
/// # Errors
/// A tensor without dimensions.
pub fn matrix(tensor: &Tensor) -> Result<Matrix> {
    if tensor.rank() == 0 {
        bail!("a matrix was expected, found a scalar tensor");
    }
    let rows = tensor.dim(0)?;
    let columns = tensor.elem_count().checked_div(rows).unwrap_or(0);
    let values = tensor
        .to_dtype(DType::F64)?
        .to_device(&Device::Cpu)?
        .flatten_all()?
        .to_vec1::<f64>()?;
    from_rows(&values, rows, columns)
}

/// A matrix from its values, row by row.
///
/// # Errors
/// A length other than `rows · columns`.
pub fn from_rows(values: &[f64], rows: usize, columns: usize) -> Result<Matrix> {
    if values.len() != rows * columns {
        bail!("{} values do not fill a {rows}x{columns} matrix", values.len());
    }
    Ok(Matrix::from_fn(rows, columns, |i, j| values[i * columns + j]))
}

/// The values of a matrix, row by row.
pub fn to_rows(matrix: &Matrix) -> Vec<f64> {
    let mut values = Vec::with_capacity(matrix.nrows() * matrix.ncols());
    for i in 0..matrix.nrows() {
        for j in 0..matrix.ncols() {
            values.push(matrix[(i, j)]);
        }
    }
    values
}

/// A matrix as a tensor (rows, columns) on the CPU.
///
/// # Errors
/// Only those of the conversion.
pub fn tensor(matrix: &Matrix, dtype: DType) -> Result<Tensor> {
    let values = to_rows(matrix);
    let tensor = Tensor::from_vec(values, (matrix.nrows(), matrix.ncols()), &Device::Cpu)?;
    Ok(tensor.to_dtype(dtype)?)
}

/// Whether every entry is a finite number.
pub fn is_finite(matrix: &Matrix) -> bool {
    columns(matrix).all(|column| column.iter().all(|v| v.is_finite()))
}

fn columns(matrix: &Matrix) -> impl Iterator<Item = Vec<f64>> + '_ {
    (0..matrix.ncols()).map(|j| (0..matrix.nrows()).map(|i| matrix[(i, j)]).collect())
}

/// The thin QR decomposition by Householder reflections: `b` (d, r) = Q (d, r) · R (r, r), r ≤ d.
///
/// # Errors
/// More columns than rows, or entries that are not finite.
pub fn qr(b: &Matrix) -> Result<(Matrix, Matrix)> {
    if b.ncols() > b.nrows() {
        bail!(
            "{} columns cannot be independent in {} dimensions",
            b.ncols(),
            b.nrows(); help: "lower the rank"
        );
    }
    if !is_finite(b) {
        bail!("the matrix holds values that are not finite numbers");
    }
    let qr = b.qr();
    Ok((qr.compute_thin_Q(), qr.thin_R().to_owned()))
}

/// An orthonormal basis of the columns of `b` (d, n), without those that depend on the others.
///
/// Columns are taken by pivoted Gram-Schmidt, each orthogonalised twice; the process stops when the
/// largest residual is at most `tolerance` times the longest column. A plain QR would invent arbitrary
/// directions for dependent columns. The order of nearly orthonormal columns is kept. An all-zero
/// matrix gives a basis without columns.
///
/// # Errors
/// Entries that are not finite.
pub fn orthonormal_basis(b: &Matrix, tolerance: f64) -> Result<Matrix> {
    if !is_finite(b) {
        bail!("the matrix holds values that are not finite numbers");
    }
    let mut rest: Vec<Vec<f64>> = columns(b).collect();
    let longest = rest.iter().map(|c| norm(c)).fold(0.0, f64::max);
    let mut basis: Vec<Vec<f64>> = Vec::new();
    while basis.len() < b.nrows() {
        let mut best: Option<(usize, f64)> = None;
        for (index, column) in rest.iter().enumerate() {
            let length = norm(column);
            if best.is_none_or(|(_, top)| length > top * 1.001) {
                best = Some((index, length));
            }
        }
        let Some((index, length)) = best else { break };
        if length <= tolerance * longest || length == 0.0 {
            break;
        }
        let mut column = rest.remove(index);
        scale(&mut column, 1.0 / length);
        for _ in 0..2 {
            for q in &basis {
                let along = dot(q, &column);
                subtract(&mut column, q, along);
            }
        }
        let length = norm(&column);
        scale(&mut column, 1.0 / length);
        for other in &mut rest {
            let along = dot(&column, other);
            subtract(other, &column, along);
        }
        basis.push(column);
    }
    Ok(Matrix::from_fn(b.nrows(), basis.len(), |i, j| basis[j][i]))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn scale(a: &mut [f64], factor: f64) {
    a.iter_mut().for_each(|x| *x *= factor);
}

fn subtract(a: &mut [f64], b: &[f64], factor: f64) {
    a.iter_mut().zip(b).for_each(|(x, y)| *x -= factor * y);
}

/// The largest entry of |QᵀQ − I|: how far columns are from being orthonormal.
pub fn orthonormality_error(q: &Matrix) -> f64 {
    let gram = q.transpose() * q;
    let mut worst: f64 = 0.0;
    for i in 0..gram.nrows() {
        for j in 0..gram.ncols() {
            let wanted = if i == j { 1.0 } else { 0.0 };
            let error = (gram[(i, j)] - wanted).abs();
            worst = if error.is_nan() {
                f64::INFINITY
            } else {
                worst.max(error)
            };
        }
    }
    worst
}

/// A thin singular value decomposition, `a` = U · diag(s) · Vᵀ, with `s` falling.
#[derive(Clone, Debug)]
pub struct Svd {
    /// Left singular vectors (rows, min(rows, columns)).
    pub u: Matrix,
    /// Singular values, largest first.
    pub s: Vec<f64>,
    /// Right singular vectors (columns, min(rows, columns)).
    pub v: Matrix,
}

/// The thin singular value decomposition.
///
/// # Errors
/// Entries that are not finite, or an iteration that does not converge.
pub fn svd(a: &Matrix) -> Result<Svd> {
    if !is_finite(a) {
        bail!("the matrix holds values that are not finite numbers");
    }
    let svd = a
        .thin_svd()
        .map_err(|e| Error::msg(format!("singular value decomposition failed: {e:?}")))?;
    let s = svd.S().column_vector();
    Ok(Svd {
        u: svd.U().to_owned(),
        s: (0..s.nrows()).map(|i| s[i]).collect(),
        v: svd.V().to_owned(),
    })
}

/// The number of singular values above `tolerance` times the largest.
///
/// # Errors
/// As [`svd`].
pub fn rank(a: &Matrix, tolerance: f64) -> Result<usize> {
    if a.nrows() == 0 || a.ncols() == 0 {
        return Ok(0);
    }
    let s = svd(a)?.s;
    let top = s.first().copied().unwrap_or(0.0);
    Ok(s.iter().filter(|v| **v > tolerance * top).count())
}

/// The first `n` columns.
pub fn leading(a: &Matrix, n: usize) -> Matrix {
    Matrix::from_fn(a.nrows(), n.min(a.ncols()), |i, j| a[(i, j)])
}

/// Matrices of equal height, side by side.
///
/// # Errors
/// Heights that differ.
pub fn concat(parts: &[&Matrix]) -> Result<Matrix> {
    let rows = parts.first().map_or(0, |m| m.nrows());
    if let Some(odd) = parts.iter().find(|m| m.nrows() != rows) {
        bail!("matrices of {rows} and {} rows cannot stand side by side", odd.nrows());
    }
    let all: Vec<Vec<f64>> = parts.iter().flat_map(|m| columns(m)).collect();
    Ok(Matrix::from_fn(rows, all.len(), |i, j| all[j][i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudo_random(rows: usize, columns: usize, seed: u64) -> Matrix {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Matrix::from_fn(rows, columns, |_, _| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        })
    }

    fn distance(a: &Matrix, b: &Matrix) -> f64 {
        (a - b).norm_l2()
    }

    #[test]
    fn qr_reproduces_its_input() {
        for (d, r) in [(1, 1), (5, 2), (40, 40), (320, 8)] {
            let b = pseudo_random(d, r, 7);
            let (q, upper) = qr(&b).unwrap();
            assert!(orthonormality_error(&q) < 1e-14, "{d}x{r}");
            assert!(distance(&(&q * &upper), &b) < 1e-13, "{d}x{r}");
        }
        assert!(qr(&pseudo_random(2, 3, 1)).is_err());
    }

    #[test]
    fn ill_conditioned_columns_stay_orthonormal() {
        let mut b = pseudo_random(64, 6, 3);
        for i in 0..64 {
            b[(i, 5)] = b[(i, 0)] + 1e-9 * b[(i, 5)];
        }
        let (q, _) = qr(&b).unwrap();
        assert!(orthonormality_error(&q) < 1e-14);
        let basis = orthonormal_basis(&b, 1e-12).unwrap();
        assert_eq!(basis.ncols(), 6);
        assert!(orthonormality_error(&basis) < 1e-14);
        assert_eq!(orthonormal_basis(&b, 1e-6).unwrap().ncols(), 5);
    }

    #[test]
    fn dependent_and_zero_columns_are_dropped() {
        let a = pseudo_random(12, 2, 5);
        let b = Matrix::from_fn(12, 5, |i, j| match j {
            0 | 1 => a[(i, j)],
            2 => a[(i, 0)] + a[(i, 1)],
            3 => 0.0,
            _ => -3.0 * a[(i, 1)],
        });
        let basis = orthonormal_basis(&b, 1e-10).unwrap();
        assert_eq!(basis.ncols(), 2);
        let residual = &a - &basis * (basis.transpose() * &a);
        assert!(residual.norm_l2() < 1e-14);
        assert_eq!(orthonormal_basis(&Matrix::zeros(4, 2), 1e-6).unwrap().ncols(), 0);
    }

    #[test]
    fn svd_and_rank_see_the_true_rank() {
        let a = pseudo_random(20, 3, 1) * pseudo_random(3, 9, 2);
        let d = svd(&a).unwrap();
        let s = Matrix::from_fn(9, 9, |i, j| if i == j { d.s[i] } else { 0.0 });
        assert!(distance(&(&d.u * s * d.v.transpose()), &a) < 1e-13);
        assert_eq!(rank(&a, 1e-10).unwrap(), 3);
        assert_eq!(rank(&Matrix::zeros(3, 3), 1e-10).unwrap(), 0);
    }
}
