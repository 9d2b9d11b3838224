//! CPU kernels for f32, each a candle custom operation with an exact backward pass.
//!
//! Candle differentiates every operand of its own operations, frozen or not, and its convolution and
//! normalisation are several times slower than those of PyTorch. Every operation here asks `track_op` of each
//! operand when gradients flow back, and computes nothing for one that is frozen: `track_op` never changes
//! during the life of a tensor, so the answer is the one of the forward pass.
//!
//! All kernels run in rayon's global pool over tiles whose order of summation is fixed, without atomics: for a
//! given number of threads two runs give the same bits. Matrix products go through the `gemm` crate, one thread
//! a tile. This module and its children hold the only `unsafe` code of the crate.
#![allow(
    unsafe_code,
    reason = "disjoint tiles of one output are written through raw pointers"
)]

pub(crate) mod attention;
pub(crate) mod composite;
pub(crate) mod conv;
pub(crate) mod geglu;
pub(crate) mod half;
pub(crate) mod linear;
pub(crate) mod low_rank;
mod micro;
pub(crate) mod norm;
pub(crate) mod packed;
#[cfg(test)]
mod shapes;
mod simd;
pub(crate) mod sum;
#[cfg(test)]
mod testing;
pub(crate) mod upsample;

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor};
use rayon::prelude::*;
use std::cell::RefCell;
use std::mem::MaybeUninit;

/// Whether the kernels can take these operands: f32, on the CPU, not empty. Everything else goes to [`composite`].
pub(crate) fn fit(operands: &[&Tensor]) -> bool {
    operands
        .iter()
        .all(|t| t.dtype() == DType::F32 && t.device().is_cpu() && t.elem_count() > 0)
}

/// Elements below which an elementwise loop stays on one thread.
const SMALL_LOOP: usize = 1 << 15;
/// Multiplications below which a matrix product stays on one thread.
const SMALL_PRODUCT: usize = 1 << 19;
/// Most floats of scratch memory that a thread keeps between two calls (32 MB).
const SCRATCH_KEPT: usize = 1 << 23;

/// The values of a contiguous operand of a custom operation.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!(
            "a kernel got a strided operand {:?}: make it contiguous first",
            layout.shape()
        ),
    }
}

/// The whole buffer behind an operand, whatever its strides.
fn buffer(storage: &Storage) -> Result<&[f32]> {
    match storage {
        Storage::Cpu(storage) => storage.as_slice::<f32>(),
        _ => candle_core::bail!("a CPU kernel got a tensor of another device"),
    }
}

/// Calls `f` with the values of a tensor, copied first if they are strided.
fn with_values<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(values(storage, layout)?),
        _ => candle_core::bail!("a CPU kernel got a tensor of another device"),
    }
}

/// A gradient in the shape of the operand that it belongs to.
fn gradient(of: &Tensor, values: Vec<f32>) -> Result<Tensor> {
    Tensor::from_vec(values, of.shape(), of.device())
}

/// An output that is written once: `fill` must write every element of the slice it gets.
///
/// # Safety
/// `fill` writes every element.
unsafe fn filled(len: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut data = Vec::with_capacity(len);
    fill(&mut data.spare_capacity_mut()[..len]);
    // SAFETY: the capacity is at least `len`, and the caller promises that `fill` wrote all of it.
    unsafe { data.set_len(len) };
    data
}

/// An output whose tiles are written by several threads.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: a `Shared` is only written through, and its users give each thread elements that no other one touches.
unsafe impl Send for Shared {}
// SAFETY: as for `Send`.
unsafe impl Sync for Shared {}

impl Shared {
    fn new(data: &mut [MaybeUninit<f32>]) -> Self {
        Self(data.as_mut_ptr().cast())
    }

    fn of(data: &mut [f32]) -> Self {
        Self(data.as_mut_ptr())
    }

    /// The address of element `index`.
    fn at(self, index: usize) -> *mut f32 {
        self.0.wrapping_add(index)
    }
}

/// A matrix inside a slice: element (i, j) is `data[i * rows + j * columns]`.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
}

impl<'a> Matrix<'a> {
    fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { data, rows, columns }
    }

    /// The same values with rows for columns.
    fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
        }
    }

    /// The part that starts at (row, column).
    fn from(self, row: usize, column: usize) -> Self {
        Self {
            data: &self.data[row * self.rows + column * self.columns..],
            ..self
        }
    }

    /// Address of the first element, once it is sure that an (m, n) matrix lies inside the slice.
    fn checked(self, m: usize, n: usize) -> *const f32 {
        assert!(
            m == 0 || n == 0 || (m - 1) * self.rows + (n - 1) * self.columns < self.data.len(),
            "a {m}x{n} matrix does not fit its {} values",
            self.data.len()
        );
        self.data.as_ptr()
    }
}

/// `dst = scale · a b`, or `dst += scale · a b` if `add`, on this thread. `a` (m, k), `b` (k, n), row `i` of `dst` at
/// `dst + i * stride`.
///
/// # Safety
/// The (m, n) matrix at `dst` is valid for writes, initialised if `add`, and touched by no other thread.
unsafe fn product(
    (m, n, k): (usize, usize, usize),
    dst: *mut f32,
    stride: usize,
    add: bool,
    a: Matrix<'_>,
    b: Matrix<'_>,
    scale: f32,
) {
    let (lhs, rhs) = (a.checked(m, k), b.checked(k, n));
    // SAFETY: the operands were checked against their slices, the destination is the caller's promise.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst,
            1,
            stride as isize,
            add,
            lhs,
            a.columns as isize,
            a.rows as isize,
            rhs,
            b.columns as isize,
            b.rows as isize,
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `product` into a slice that this thread owns, with rows of `n` values.
fn product_into(sizes: (usize, usize, usize), dst: &mut [f32], add: bool, a: Matrix<'_>, b: Matrix<'_>, scale: f32) {
    let (m, n, _) = sizes;
    assert!(
        m * n <= dst.len(),
        "a {m}x{n} product does not fit {} values",
        dst.len()
    );
    // SAFETY: `dst` is exclusive, initialised, and has room for m rows of n.
    unsafe { product(sizes, dst.as_mut_ptr(), n, add, a, b, scale) };
}

/// [`product`] over all threads, if there is enough to do: the destination is cut into as many tiles as there are threads.
///
/// # Safety
/// As for [`product`].
unsafe fn wide_product(
    (m, n, k): (usize, usize, usize),
    dst: Shared,
    stride: usize,
    add: bool,
    a: Matrix<'_>,
    b: Matrix<'_>,
    scale: f32,
) {
    let threads = if m * n * k < SMALL_PRODUCT {
        1
    } else {
        rayon::current_num_threads()
    };
    let across = threads.min(n.div_ceil(48));
    let down = threads.div_ceil(across).min(m.div_ceil(6));
    let (width, height) = (n.div_ceil(across).next_multiple_of(16), m.div_ceil(down));
    let (across, down) = (n.div_ceil(width), m.div_ceil(height));
    spread(across * down, threads > 1, |task| {
        let (i, j) = (task / across * height, task % across * width);
        let (rows, columns) = (height.min(m - i), width.min(n - j));
        // SAFETY: the tiles are disjoint parts of the destination that the caller vouches for.
        unsafe {
            product(
                (rows, columns, k),
                dst.at(i * stride + j),
                stride,
                add,
                a.from(i, 0),
                b.from(0, j),
                scale,
            );
        }
    });
}

/// Runs `f(0)`, `f(1)` … `f(tasks - 1)`, on all threads if `parallel`.
fn spread(tasks: usize, parallel: bool, f: impl Fn(usize) + Send + Sync) {
    if parallel && tasks > 1 && rayon::current_num_threads() > 1 {
        (0..tasks).into_par_iter().with_max_len(1).for_each(f);
    } else {
        (0..tasks).for_each(f);
    }
}

/// Runs `f` on a thread of the kernels' pool, so that the many small tasks it gives to the pool need no other thread to be
/// woken up and waited for.
pub(crate) fn in_pool<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}

/// Calls `f` with `len` floats of scratch memory that this thread reuses; their values are arbitrary.
fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    let mut memory = SCRATCH.take();
    if memory.len() < len {
        memory = vec![0.0; len];
    }
    let result = f(&mut memory[..len]);
    if memory.len() <= SCRATCH_KEPT {
        SCRATCH.set(memory);
    }
    result
}
