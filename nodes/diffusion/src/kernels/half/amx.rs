//! The same products on Intel's matrix tiles (AMX): 16 rows by 32 values of bf16 in one instruction.
//!
//! Rust has no stable intrinsics for them, so the loop is one block of assembly. Before it is used for the first time, a
//! product is computed both ways and compared, and where that differs AMX stays unused.

use super::micro::{PANEL, PairProduct, registers};
use std::sync::OnceLock;

/// Rows of a product are a multiple of this.
pub(super) const ROWS: usize = 32;

/// Whether this CPU has tiles, the system lets this process use them, and they compute what they should.
pub(super) fn usable() -> bool {
    static USABLE: OnceLock<bool> = OnceLock::new();
    *USABLE.get_or_init(|| permitted() && right())
}

/// Linux gives tile registers to a process that asks for them.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn permitted() -> bool {
    use std::arch::x86_64::{__cpuid_count, __get_cpuid_max};
    const REQUEST_PERMISSION: usize = 0x1023;
    const TILE_DATA: usize = 18;
    const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
    if __get_cpuid_max(0).0 < 7 || __cpuid_count(7, 0).edx & BF16_AND_TILES != BF16_AND_TILES {
        return false;
    }
    let status: isize;
    // SAFETY: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) only changes what this process may use; old kernels
    // answer with an error.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") 158isize => status,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    status == 0
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn permitted() -> bool {
    false
}

/// Whether tiles and registers compute the same product of whole numbers.
fn right() -> bool {
    const K: usize = 37;
    let word = |i: usize| {
        let half = |i: usize| (((i * 37 + 11) % 29) as f32 - 14.0).to_bits() >> 16;
        half(2 * i) | half(2 * i + 1) << 16
    };
    let a: Vec<u32> = (0..ROWS * K).map(word).collect();
    let b: Vec<u32> = (0..K * PANEL).map(|i| word(i + 7)).collect();
    let (mut tiles, mut vectors) = (vec![1f32; ROWS * PANEL], vec![1f32; ROWS * PANEL]);
    let with = |c: &mut Vec<f32>| PairProduct {
        m: ROWS,
        k: K,
        a: a.as_ptr(),
        a_step: K,
        b: b.as_ptr(),
        c: c.as_mut_ptr(),
        c_step: PANEL,
        add: true,
    };
    // SAFETY: the operands have the sizes stated; the process may use tiles, and a CPU with tiles has AVX-512-BF16.
    unsafe {
        product(with(&mut tiles));
        registers(with(&mut vectors), ROWS);
    }
    tiles == vectors
}

/// What `ldtilecfg` reads: palette 1, and for each of eight tiles its row length in bytes and its rows.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Tiles 0 to 3 hold sums (2 x 2 blocks of 16 x 16), 4 and 5 rows of `a`, 6 and 7 columns of `b`; `pairs` of the inner
/// dimension at a time, 16 at most.
fn configuration(pairs: usize) -> Configuration {
    let (mut row_bytes, mut rows) = ([0u16; 16], [0u8; 16]);
    for tile in 0..8 {
        (row_bytes[tile], rows[tile]) = match tile {
            0..4 => (64, 16),
            4 | 5 => (4 * pairs as u16, 16),
            _ => (64, pairs as u8),
        };
    }
    Configuration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes,
        rows,
    }
}

/// A product whose rows are a multiple of [`ROWS`].
///
/// # Safety
/// As for [`PairProduct::run`]; and [`permitted`] was true.
pub(super) unsafe fn product(product: PairProduct) {
    const PAIRS: usize = 16;
    let (whole, rest) = (product.k / PAIRS, product.k % PAIRS);
    for row in (0..product.m).step_by(ROWS) {
        let rows = product.from(row);
        // SAFETY: the caller's promise; the second part reads what the first left over and adds to its sums.
        unsafe {
            if whole > 0 {
                blocks(rows, whole, PAIRS);
            }
            if rest > 0 {
                let rest_of = PairProduct {
                    a: rows.a.wrapping_add(whole * PAIRS),
                    b: rows.b.wrapping_add(whole * PAIRS * PANEL),
                    add: rows.add || whole > 0,
                    ..rows
                };
                blocks(rest_of, 1, rest);
            }
        }
    }
}

/// 32 rows and a panel, `count` times `pairs` of the inner dimension.
///
/// # Safety
/// As for [`product`].
#[cfg(target_arch = "x86_64")]
unsafe fn blocks(product: PairProduct, count: usize, pairs: usize) {
    let configuration = configuration(pairs);
    let (a_step, c_step) = (4 * product.a_step, 4 * product.c_step);
    for column in (0..PANEL).step_by(32) {
        let (c, b) = (product.c.wrapping_add(column), product.b.wrapping_add(column));
        // SAFETY: 32 rows of `a` and `c` and `count · pairs` rows of `b` lie inside the operands, as the caller promises; the
        // block keeps to its registers and releases the tiles.
        unsafe {
            std::arch::asm!(
                "ldtilecfg [{configuration}]",
                "test {add}, {add}",
                "jz 2f",
                "tileloadd tmm0, [{c} + {c_step}]",
                "tileloadd tmm1, [{c} + {c_step} + 64]",
                "tileloadd tmm2, [{lower_c} + {c_step}]",
                "tileloadd tmm3, [{lower_c} + {c_step} + 64]",
                "jmp 3f",
                "2:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "3:",
                "tileloadd tmm4, [{a} + {a_step}]",
                "tileloadd tmm5, [{lower_a} + {a_step}]",
                "tileloadd tmm6, [{b} + {b_step}]",
                "tileloadd tmm7, [{b} + {b_step} + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, {a_jump}",
                "add {lower_a}, {a_jump}",
                "add {b}, {b_jump}",
                "dec {count}",
                "jnz 3b",
                "tilestored [{c} + {c_step}], tmm0",
                "tilestored [{c} + {c_step} + 64], tmm1",
                "tilestored [{lower_c} + {c_step}], tmm2",
                "tilestored [{lower_c} + {c_step} + 64], tmm3",
                "tilerelease",
                configuration = in(reg) &raw const configuration,
                add = in(reg) usize::from(product.add),
                c = in(reg) c,
                lower_c = in(reg) c.wrapping_add(16 * product.c_step),
                c_step = in(reg) c_step,
                a = inout(reg) product.a => _,
                lower_a = inout(reg) product.a.wrapping_add(16 * product.a_step) => _,
                a_step = in(reg) a_step,
                b = inout(reg) b => _,
                b_step = in(reg) 4 * PANEL,
                a_jump = const 64,
                b_jump = const 16 * 4 * PANEL,
                count = inout(reg) count => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
unsafe fn blocks(_: PairProduct, _: usize, _: usize) {}
