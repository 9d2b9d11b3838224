//! Products with panels of 64 columns, of which six rows at a time stay in registers.
//!
//! The `gemm` crate packs its operands in each call. Where a weight is kept in panels ([`super::packed`]), or a kernel makes
//! the right-hand side itself, nothing needs to be packed.

/// Columns of a panel.
pub(super) const PANEL: usize = 64;
/// Rows that are computed together.
pub(super) const ROWS: usize = 6;

/// `c = start + a b`: `a` (m, k), `b` (k, 64), `c` (m, 64), each row `…_step` values behind the one before.
#[derive(Clone, Copy)]
pub(super) struct PanelProduct {
    pub(super) m: usize,
    pub(super) k: usize,
    pub(super) a: *const f32,
    pub(super) a_step: usize,
    pub(super) b: *const f32,
    /// 64 in a packed panel.
    pub(super) b_step: usize,
    pub(super) c: *mut f32,
    pub(super) c_step: usize,
    /// 64 values that every row starts from, or null for zeros.
    pub(super) start: *const f32,
}

impl PanelProduct {
    /// The same from a later row on.
    fn from(self, row: usize) -> Self {
        Self {
            a: self.a.wrapping_add(row * self.a_step),
            c: self.c.wrapping_add(row * self.c_step),
            ..self
        }
    }

    /// Computes it.
    ///
    /// # Safety
    /// All operands lie in memory that is theirs, and `c` is touched by no other thread.
    pub(super) unsafe fn run(self) {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                // SAFETY: this CPU has AVX-512; the operands are the caller's promise.
                return unsafe { avx512::product(self) };
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                // SAFETY: this CPU has AVX2 and FMA; the operands are the caller's promise.
                return unsafe { avx2::product(self) };
            }
        }
        // SAFETY: the operands are the caller's promise.
        unsafe { portable::product(self) };
    }
}

/// Computes a product block by block: `block::<R>` of whoever calls it takes `R` rows, [`ROWS`] as long as there are so many.
/// A macro, since a function would not have the caller's instruction set.
macro_rules! by_rows {
    ($product:ident) => {{
        let whole = $product.m / ROWS * ROWS;
        for row in (0..whole).step_by(ROWS) {
            block::<ROWS>($product.from(row));
        }
        let rest = $product.from(whole);
        match $product.m - whole {
            1 => block::<1>(rest),
            2 => block::<2>(rest),
            3 => block::<3>(rest),
            4 => block::<4>(rest),
            5 => block::<5>(rest),
            _ => {}
        }
    }};
}
pub(super) use by_rows;

/// One instruction set: vectors of `$width` values, `$together` of them side by side in registers.
macro_rules! instructions {
    ($name:ident, $(#[$feature:meta])*, $vector:ty, $width:literal, $together:literal,
     $zero:expr, $load:expr, $broadcast:expr, $fma:expr, $store:expr) => {
        mod $name {
            use super::{PANEL, PanelProduct, ROWS};
            #[allow(unused_imports, reason = "the portable one needs nothing from here")]
            #[cfg(target_arch = "x86_64")]
            use std::arch::x86_64::*;

            /// See [`super::PanelProduct::run`].
            $(#[$feature])*
            pub(super) unsafe fn product(product: PanelProduct) {
                // SAFETY: the rows lie inside the operands, as the caller promises.
                unsafe { by_rows!(product) }
            }

            $(#[$feature])*
            #[inline]
            unsafe fn block<const R: usize>(product: PanelProduct) {
                let PanelProduct { k, a, a_step, b, b_step, c, c_step, start, .. } = product;
                for column in (0..PANEL).step_by($width * $together) {
                    // SAFETY: `R` rows of `a` and `c` and `k` rows of `b` lie inside the operands.
                    unsafe {
                        let mut sums: [[$vector; $together]; R] = [[$zero; $together]; R];
                        if !start.is_null() {
                            let mut first: [$vector; $together] = [$zero; $together];
                            for (j, value) in first.iter_mut().enumerate() {
                                *value = $load(start.add(column + j * $width));
                            }
                            sums = [first; R];
                        }
                        for i in 0..k {
                            let b = b.add(i * b_step + column);
                            let mut columns: [$vector; $together] = [$zero; $together];
                            for (j, value) in columns.iter_mut().enumerate() {
                                *value = $load(b.add(j * $width));
                            }
                            for (r, sums) in sums.iter_mut().enumerate() {
                                let a: $vector = $broadcast(*a.add(r * a_step + i));
                                for (sum, column) in sums.iter_mut().zip(columns) {
                                    *sum = $fma(a, column, *sum);
                                }
                            }
                        }
                        for (r, sums) in sums.iter().enumerate() {
                            for (j, sum) in sums.iter().enumerate() {
                                $store(c.add(r * c_step + column + j * $width), *sum);
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

    type Run = unsafe fn(PanelProduct);

    fn all() -> Vec<(&'static str, Run)> {
        let mut all: Vec<(&'static str, Run)> = vec![("chosen", PanelProduct::run), ("portable", portable::product)];
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
            let (a_step, b_step, c_step) = (k + 3, PANEL + 2, PANEL + 5);
            let a: Vec<f32> = (0..m * a_step).map(value).collect();
            let b: Vec<f32> = (0..k * b_step).map(|i| value(i + 5)).collect();
            let start: Vec<f32> = (0..PANEL).map(|i| value(i + 9)).collect();
            for start in [None, Some(&start)] {
                let mut want = vec![7.5; m * c_step];
                for (i, j) in (0..m).flat_map(|i| (0..PANEL).map(move |j| (i, j))) {
                    // Whole numbers: exact in every order.
                    want[i * c_step + j] = (0..k).map(|p| a[i * a_step + p] * b[p * b_step + j]).sum::<f32>()
                        + start.map_or(0.0, |start| start[j]);
                }
                for (name, run) in all() {
                    let mut c = vec![7.5; m * c_step];
                    let product = PanelProduct {
                        m,
                        k,
                        a: a.as_ptr(),
                        a_step,
                        b: b.as_ptr(),
                        b_step,
                        c: c.as_mut_ptr(),
                        c_step,
                        start: start.map_or(std::ptr::null(), |start| start.as_ptr()),
                    };
                    // SAFETY: the operands have the sizes stated, and this CPU has the instructions.
                    unsafe { run(product) };
                    assert_eq!(c, want, "{name}: {m}x{k}");
                }
            }
        }
    }
}
