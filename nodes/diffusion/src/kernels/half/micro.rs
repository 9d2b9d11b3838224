//! Products of bf16 with sums in f32, on registers: AVX-512-BF16, or AMX where there is one.
//!
//! Two neighbouring values of the inner dimension make one 32-bit word, the first in the lower half, as both
//! instruction sets take them. The right-hand side lies in panels of 64 columns of such pairs.

use super::amx;

/// Columns of a panel.
pub(super) const PANEL: usize = super::super::micro::PANEL;

/// `c = a b`, or `c += a b` if `add`: `a` (m, k) and `b` (k, 64) in pairs, `c` (m, 64), rows `…_step` words apart.
#[derive(Clone, Copy)]
pub(super) struct PairProduct {
    pub(super) m: usize,
    /// Pairs.
    pub(super) k: usize,
    pub(super) a: *const u32,
    pub(super) a_step: usize,
    pub(super) b: *const u32,
    pub(super) c: *mut f32,
    pub(super) c_step: usize,
    pub(super) add: bool,
}

/// Whether this CPU multiplies bf16.
pub(in super::super) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512bf16") && std::arch::is_x86_feature_detected!("avx512f")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

impl PairProduct {
    /// The same from a later row on.
    pub(super) fn from(self, row: usize) -> Self {
        Self {
            a: self.a.wrapping_add(row * self.a_step),
            c: self.c.wrapping_add(row * self.c_step),
            ..self
        }
    }

    /// Computes it.
    ///
    /// # Safety
    /// All operands lie in memory that is theirs, `c` is touched by no other thread, and [`available`] is true.
    pub(super) unsafe fn run(self) {
        if self.m >= amx::ROWS && amx::usable() {
            let whole = self.m / amx::ROWS * amx::ROWS;
            // SAFETY: AMX was tried out; the operands are the caller's promise.
            unsafe {
                amx::product(Self { m: whole, ..self });
                registers(self.from(whole), self.m - whole);
            }
            return;
        }
        // SAFETY: the caller's promise.
        unsafe { registers(self, self.m) };
    }
}

/// The first `m` rows, with AVX-512-BF16.
///
/// # Safety
/// As for [`PairProduct::run`].
pub(super) unsafe fn registers(product: PairProduct, m: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise.
    unsafe {
        avx512::product(PairProduct { m, ..product });
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (product, m);
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::super::super::micro::{ROWS, by_rows};
    use super::{PANEL, PairProduct};
    use std::arch::x86_64::*;
    use std::mem::transmute;

    /// Values of a vector, and vectors of a panel.
    const WIDTH: usize = 16;
    const TOGETHER: usize = PANEL / WIDTH;

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn product(product: PairProduct) {
        // SAFETY: the rows lie inside the operands, as the caller promises.
        unsafe { by_rows!(product) }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    unsafe fn block<const R: usize>(product: PairProduct) {
        let PairProduct {
            k,
            a,
            a_step,
            b,
            c,
            c_step,
            add,
            ..
        } = product;
        // SAFETY: `R` rows of `a` and `c` and `k` rows of `b` lie inside the operands; the two vector types are the same bits.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); TOGETHER]; R];
            if add {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (j, sum) in sums.iter_mut().enumerate() {
                        *sum = _mm512_loadu_ps(c.add(r * c_step + j * WIDTH));
                    }
                }
            }
            for i in 0..k {
                let b = b.add(i * PANEL);
                let mut columns = [_mm512_setzero_si512(); TOGETHER];
                for (j, column) in columns.iter_mut().enumerate() {
                    *column = _mm512_loadu_si512(b.add(j * WIDTH).cast());
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let a = _mm512_set1_epi32((*a.add(r * a_step + i)).cast_signed());
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = _mm512_dpbf16_ps(
                            *sum,
                            transmute::<__m512i, __m512bh>(a),
                            transmute::<__m512i, __m512bh>(column),
                        );
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (j, sum) in sums.iter().enumerate() {
                    _mm512_storeu_ps(c.add(r * c_step + j * WIDTH), *sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(low: f32, high: f32) -> u32 {
        low.to_bits() >> 16 | high.to_bits() & 0xffff_0000
    }

    /// Small whole numbers: exact in bf16, and their sums in f32, so that every instruction set must agree.
    #[test]
    fn every_instruction_set_computes_the_product_and_nothing_beside_it() {
        if !available() {
            return;
        }
        let value = |i: usize| ((i * 37 + 11) % 29) as f32 - 14.0;
        for (m, k) in [(1, 1), (2, 5), (5, 16), (6, 3), (7, 17), (32, 16), (40, 33), (70, 64)] {
            let (a_step, c_step) = (k + 3, PANEL + 5);
            let a: Vec<u32> = (0..m * a_step).map(|i| pair(value(2 * i), value(2 * i + 1))).collect();
            let b: Vec<u32> = (0..k * PANEL).map(|i| pair(value(i + 5), value(i + 8))).collect();
            for add in [false, true] {
                let mut want = vec![7.5f32; m * c_step];
                for (i, j) in (0..m).flat_map(|i| (0..PANEL).map(move |j| (i, j))) {
                    let dot = |p: usize| {
                        let at = i * a_step + p;
                        value(2 * at) * value(p * PANEL + j + 5) + value(2 * at + 1) * value(p * PANEL + j + 8)
                    };
                    let start = if add { 7.5 } else { 0.0 };
                    want[i * c_step + j] = start + (0..k).map(dot).sum::<f32>();
                }
                let mut c = vec![7.5; m * c_step];
                let product = PairProduct {
                    m,
                    k,
                    a: a.as_ptr(),
                    a_step,
                    b: b.as_ptr(),
                    c: c.as_mut_ptr(),
                    c_step,
                    add,
                };
                // SAFETY: the operands have the sizes stated, and this CPU has the instructions.
                unsafe { product.run() };
                assert_eq!(c, want, "{m}x{k}, add {add}");
                let mut c = vec![7.5; m * c_step];
                // SAFETY: as above.
                unsafe {
                    registers(
                        PairProduct {
                            c: c.as_mut_ptr(),
                            ..product
                        },
                        m,
                    );
                }
                assert_eq!(c, want, "registers, {m}x{k}, add {add}");
            }
        }
    }
}
