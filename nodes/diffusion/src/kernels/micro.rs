//! Products whose right-hand side is packed in panels of 64 columns: six rows of a panel at a time stay in registers.
//!
//! The `gemm` crate packs its operands in each call; where a kernel makes the right-hand side itself, it makes it in
//! this layout and needs no packing.

/// Columns of a panel.
pub(super) const PANEL: usize = 64;
/// Rows that are computed together.
const ROWS: usize = 6;

/// Left operand and destination of a product with one panel.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    /// The first of `m` rows of `k` values.
    pub(super) a: *const f32,
    /// Distance of two rows of `a`.
    pub(super) a_step: usize,
    /// The first of `m` rows of 64 values.
    pub(super) c: *mut f32,
    /// Distance of two rows of `c`.
    pub(super) c_step: usize,
}

impl Rows {
    fn skip(self, rows: usize) -> Self {
        Self {
            a: self.a.wrapping_add(rows * self.a_step),
            c: self.c.wrapping_add(rows * self.c_step),
            ..self
        }
    }
}

/// `c = a b`: `a` (m, k), `b` one panel (k, 64), `c` (m, 64).
///
/// # Safety
/// All three lie in memory that is theirs, `c` is touched by no other thread.
pub(super) unsafe fn panel_product(m: usize, k: usize, rows: Rows, b: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: this CPU has AVX-512; the operands are the caller's promise.
            return unsafe { avx512::product(m, k, rows, b) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: this CPU has AVX2 and FMA; the operands are the caller's promise.
            return unsafe { avx2::product(m, k, rows, b) };
        }
    }
    // SAFETY: the operands are the caller's promise.
    unsafe { portable::product(m, k, rows, b) };
}

/// One instruction set: vectors of `$width` values, `$together` of them side by side in registers.
macro_rules! instructions {
    ($name:ident, $(#[$feature:meta])*, $vector:ty, $width:literal, $together:literal,
     $zero:expr, $load:expr, $broadcast:expr, $fma:expr, $store:expr) => {
        mod $name {
            use super::{PANEL, ROWS, Rows};
            #[allow(unused_imports, reason = "the portable one needs nothing from here")]
            #[cfg(target_arch = "x86_64")]
            use std::arch::x86_64::*;

            /// See [`super::panel_product`].
            $(#[$feature])*
            pub(super) unsafe fn product(m: usize, k: usize, rows: Rows, b: *const f32) {
                let whole = m / ROWS * ROWS;
                // SAFETY: the rows lie inside the operands, as the caller promises.
                unsafe {
                    for row in (0..whole).step_by(ROWS) {
                        block::<ROWS>(k, rows.skip(row), b);
                    }
                    match m - whole {
                        1 => block::<1>(k, rows.skip(whole), b),
                        2 => block::<2>(k, rows.skip(whole), b),
                        3 => block::<3>(k, rows.skip(whole), b),
                        4 => block::<4>(k, rows.skip(whole), b),
                        5 => block::<5>(k, rows.skip(whole), b),
                        _ => {}
                    }
                }
            }

            $(#[$feature])*
            #[inline]
            unsafe fn block<const R: usize>(k: usize, rows: Rows, b: *const f32) {
                for column in (0..PANEL).step_by($width * $together) {
                    // SAFETY: `R` rows of `a` and `c` and `k` rows of `b` lie inside the operands.
                    unsafe {
                        let mut sums: [[$vector; $together]; R] = [[$zero; $together]; R];
                        for i in 0..k {
                            let b = b.add(i * PANEL + column);
                            let mut columns: [$vector; $together] = [$zero; $together];
                            for (j, value) in columns.iter_mut().enumerate() {
                                *value = $load(b.add(j * $width));
                            }
                            for (r, sums) in sums.iter_mut().enumerate() {
                                let a: $vector = $broadcast(*rows.a.add(r * rows.a_step + i));
                                for (sum, column) in sums.iter_mut().zip(columns) {
                                    *sum = $fma(a, column, *sum);
                                }
                            }
                        }
                        for (r, sums) in sums.iter().enumerate() {
                            for (j, sum) in sums.iter().enumerate() {
                                $store(rows.c.add(r * rows.c_step + column + j * $width), *sum);
                            }
                        }
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
instructions!(
    avx512, #[target_feature(enable = "avx512f")], __m512, 16, 4,
    _mm512_setzero_ps(), |p| _mm512_loadu_ps(p), |v| _mm512_set1_ps(v),
    |a, b, c| _mm512_fmadd_ps(a, b, c), |p, v| _mm512_storeu_ps(p, v)
);
#[cfg(target_arch = "x86_64")]
instructions!(
    avx2, #[target_feature(enable = "avx2,fma")], __m256, 8, 2,
    _mm256_setzero_ps(), |p| _mm256_loadu_ps(p), |v| _mm256_set1_ps(v),
    |a, b, c| _mm256_fmadd_ps(a, b, c), |p, v| _mm256_storeu_ps(p, v)
);
instructions!(
    portable, , [f32; 4], 4, 2,
    [0f32; 4], |p: *const f32| p.cast::<[f32; 4]>().read_unaligned(), |v: f32| [v; 4],
    |a: [f32; 4], b: [f32; 4], c: [f32; 4]| std::array::from_fn(|i| a[i] * b[i] + c[i]),
    |p: *mut f32, v: [f32; 4]| p.cast::<[f32; 4]>().write_unaligned(v)
);

#[cfg(test)]
mod tests {
    use super::*;

    type Product = unsafe fn(usize, usize, Rows, *const f32);

    fn all() -> Vec<(&'static str, Product)> {
        let mut all: Vec<(&'static str, Product)> = vec![("chosen", panel_product), ("portable", portable::product)];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                all.push(("avx2", avx2::product));
            }
            if std::arch::is_x86_feature_detected!("avx512f") {
                all.push(("avx512", avx512::product));
            }
        }
        all
    }

    #[test]
    fn every_instruction_set_computes_the_product_and_nothing_beside_it() {
        let value = |i: usize| ((i * 37 + 11) % 29) as f32 - 14.0;
        for (m, k) in [(1, 1), (2, 5), (5, 7), (6, 3), (7, 16), (13, 33), (24, 64)] {
            let (a_step, c_step) = (k + 3, PANEL + 5);
            let a: Vec<f32> = (0..m * a_step).map(value).collect();
            let b: Vec<f32> = (0..k * PANEL).map(|i| value(i + 5)).collect();
            let mut want = vec![7.5; m * c_step];
            for (i, j) in (0..m).flat_map(|i| (0..PANEL).map(move |j| (i, j))) {
                // Whole numbers: exact in every order.
                want[i * c_step + j] = (0..k).map(|p| a[i * a_step + p] * b[p * PANEL + j]).sum();
            }
            for (name, product) in all() {
                let mut c = vec![7.5; m * c_step];
                let rows = Rows {
                    a: a.as_ptr(),
                    a_step,
                    c: c.as_mut_ptr(),
                    c_step,
                };
                // SAFETY: the operands have the sizes stated, and this CPU has the instructions.
                unsafe { product(m, k, rows, b.as_ptr()) };
                assert_eq!(c, want, "{name}: {m}x{k}");
            }
        }
    }
}
