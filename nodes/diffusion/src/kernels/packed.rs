//! Frozen weights in the layout that the kernels multiply with, made when first used and kept with their layer until
//! somebody needs the room.
//!
//! A panel holds 64 output channels side by side: for each tap and input channel one row of 64 values. The backward
//! pass has panels of its own, where inputs and outputs change places and filters are turned by half a circle.

use super::micro::{PANEL, PanelProduct, ROWS};
use super::{SMALL_PRODUCT, Shared, spread, with_scratch};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Values above which a weight is not kept a second time: large layers have work enough for packing not to count, and
/// their memory does.
const LARGEST: usize = 5 << 18;

/// The panels of one weight (outputs, inputs, taps), each direction made when first used.
#[derive(Debug)]
pub(crate) struct Packed {
    outputs: usize,
    inputs: usize,
    taps: usize,
    forward: Slot,
    backward: Slot,
}

/// Panels of one direction, while they are there.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<Arc<Vec<f32>>>>);

/// Panels in the hands of a kernel: they stay until it is done, also when they are let go of meanwhile.
pub(super) struct Lent<'a> {
    values: Arc<Vec<f32>>,
    packed: &'a Packed,
    turned: bool,
}

/// The panels of a whole model.
#[derive(Clone, Debug, Default)]
pub(crate) struct PanelSet(Vec<Arc<Packed>>);

/// Panels: row `tap · inputs + input` of panel `p` holds the weights of outputs 64 p and on, zeros behind the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panels<'a> {
    pub(super) values: &'a [f32],
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) taps: usize,
}

impl Packed {
    /// For a weight of this shape, (d_out, d_in) or (c_out, c_in, k, k), unless it is too large to be kept twice.
    pub(crate) fn of(shape: &[usize]) -> Option<Self> {
        let &[outputs, inputs, ref taps @ ..] = shape else {
            return None;
        };
        let taps = taps.iter().product();
        (outputs * inputs * taps <= LARGEST).then(|| Self {
            outputs,
            inputs,
            taps,
            forward: Slot::default(),
            backward: Slot::default(),
        })
    }

    /// The panels of the forward pass, from the weight as it is stored.
    pub(super) fn forward(&self, w: &[f32]) -> Lent<'_> {
        let (outputs, inputs, taps) = (self.outputs, self.inputs, self.taps);
        let value = |output: usize, input: usize, tap: usize| w[(output * inputs + input) * taps + tap];
        self.lend(self.forward.get(|| pack(outputs, inputs, taps, value)), false)
    }

    /// The panels of the gradient of the input.
    pub(super) fn backward(&self, w: &[f32]) -> Lent<'_> {
        let (outputs, inputs, taps) = (self.inputs, self.outputs, self.taps);
        let value = |output: usize, input: usize, tap: usize| w[(input * outputs + output) * taps + taps - 1 - tap];
        self.lend(self.backward.get(|| pack(outputs, inputs, taps, value)), true)
    }

    fn lend(&self, values: Arc<Vec<f32>>, turned: bool) -> Lent<'_> {
        Lent {
            values,
            packed: self,
            turned,
        }
    }

    /// Bytes of the panels that are not there, of the forward pass or of both.
    fn missing(&self, both: bool) -> usize {
        let bytes = |slot: &Slot, outputs: usize, inputs: usize| match slot.bytes() {
            0 => self.taps * outputs.next_multiple_of(PANEL) * inputs * size_of::<f32>(),
            _ => 0,
        };
        let backward = if both {
            bytes(&self.backward, self.inputs, self.outputs)
        } else {
            0
        };
        bytes(&self.forward, self.outputs, self.inputs) + backward
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Vec<f32>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there, or is made now. It is made outside of the lock: the making is shared out in the pool, where this
    /// thread may take over another branch's work that asks for the same, and would wait for itself.
    fn get(&self, make: impl FnOnce() -> Vec<f32>) -> Arc<Vec<f32>> {
        let there = self.lock().clone();
        there.unwrap_or_else(|| {
            let made = Arc::new(make());
            self.lock().get_or_insert(made).clone()
        })
    }

    fn bytes(&self) -> usize {
        self.lock().as_ref().map_or(0, |values| values.len() * size_of::<f32>())
    }
}

impl Lent<'_> {
    pub(super) fn panels(&self) -> Panels<'_> {
        let (outputs, inputs) = match self.turned {
            false => (self.packed.outputs, self.packed.inputs),
            true => (self.packed.inputs, self.packed.outputs),
        };
        Panels {
            values: &self.values,
            outputs,
            inputs,
            taps: self.packed.taps,
        }
    }
}

impl PanelSet {
    /// With those of one weight more.
    pub(crate) fn add(&mut self, packed: &Arc<Packed>) {
        self.0.push(packed.clone());
    }

    /// Bytes of those that are there.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |packed: &Arc<Packed>| packed.forward.bytes() + packed.backward.bytes();
        self.0.iter().map(bytes).sum()
    }

    /// Bytes of those that are not there, and will be made by a forward pass, or a training, which needs both directions.
    pub(crate) fn missing(&self, training: bool) -> usize {
        self.0.iter().map(|packed| packed.missing(training)).sum()
    }

    /// Lets go of all of them; they are made again when they are needed.
    pub(crate) fn shed(&self) {
        for packed in &self.0 {
            drop((packed.forward.lock().take(), packed.backward.lock().take()));
        }
    }
}

/// What is kept, made when it is first asked for. It is made before the place for it is locked: the making is shared out in the
/// pool, where this thread may take over another branch's work that asks for the same, and would wait for itself.
pub(crate) fn once<T>(place: &OnceLock<T>, make: impl FnOnce() -> T) -> &T {
    match place.get() {
        Some(made) => made,
        None => {
            let made = make();
            place.get_or_init(|| made)
        }
    }
}

impl<'a> Panels<'a> {
    /// Rows of a panel.
    pub(super) fn depth(&self) -> usize {
        self.inputs * self.taps
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    /// One of them.
    pub(super) fn panel(&self, index: usize) -> &'a [f32] {
        let size = self.depth() * PANEL;
        &self.values[index * size..][..size]
    }
}

/// Rows of a task at the most, so that they stay in the cache from panel to panel.
const BLOCK: usize = 96;

/// `out = a · panels + bias`: `a` (rows, depth), `out` (rows, outputs), all of which is written.
///
/// # Safety
/// `out` has room for all rows, and nobody else touches it.
pub(super) unsafe fn rows_product(a: &[f32], rows: usize, panels: Panels<'_>, bias: Option<&[f32]>, out: Shared) {
    let (depth, outputs) = (panels.depth(), panels.outputs);
    assert!(
        a.len() >= rows * depth,
        "{} values are not {rows} rows of {depth}",
        a.len()
    );
    let parallel = rows * depth * outputs > SMALL_PRODUCT;
    let wanted = if parallel { 2 * rayon::current_num_threads() } else { 1 };
    let blocks = wanted.div_ceil(panels.count()).max(rows.div_ceil(BLOCK));
    let height = rows.div_ceil(blocks).next_multiple_of(ROWS).min(rows);
    spread(rows.div_ceil(height) * panels.count(), parallel, |task| {
        let (first, index) = (task / panels.count() * height, task % panels.count());
        let (m, columns) = (height.min(rows - first), PANEL.min(outputs - index * PANEL));
        let mut start = [0f32; PANEL];
        if let Some(bias) = bias {
            start[..columns].copy_from_slice(&bias[index * PANEL..][..columns]);
        }
        let to = out.at(first * outputs + index * PANEL);
        let product = PanelProduct {
            m,
            k: depth,
            a: a[first * depth..].as_ptr(),
            a_step: depth,
            b: panels.panel(index).as_ptr(),
            b_step: PANEL,
            c: to,
            c_step: outputs,
            start: bias.map_or(std::ptr::null(), |_| start.as_ptr()),
        };
        if columns == PANEL {
            // SAFETY: these rows and columns of the output belong to this task alone.
            return unsafe { product.run() };
        }
        with_scratch(m * PANEL, |whole| {
            let product = PanelProduct {
                c: whole.as_mut_ptr(),
                c_step: PANEL,
                ..product
            };
            // SAFETY: the scratch has room for the rows; the columns that exist belong to this task alone.
            unsafe {
                product.run();
                for (row, values) in whole.chunks_exact(PANEL).enumerate() {
                    std::ptr::copy_nonoverlapping(values.as_ptr(), to.wrapping_add(row * outputs), columns);
                }
            }
        });
    });
}

fn pack(outputs: usize, inputs: usize, taps: usize, value: impl Fn(usize, usize, usize) -> f32 + Sync) -> Vec<f32> {
    let (depth, count) = (inputs * taps, outputs.div_ceil(PANEL));
    let mut values = vec![0f32; count * depth * PANEL];
    let shared = Shared::of(&mut values);
    spread(count, true, |index| {
        // SAFETY: this panel belongs to this task alone.
        let panel = unsafe { std::slice::from_raw_parts_mut(shared.at(index * depth * PANEL), depth * PANEL) };
        for (row, to) in panel.chunks_exact_mut(PANEL).enumerate() {
            for (output, to) in (index * PANEL..outputs).zip(to) {
                *to = value(output, row % inputs, row / inputs);
            }
        }
    });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the pool takes over in the middle of the making.
    #[test]
    fn what_is_being_made_may_be_asked_for() {
        let (told, heard) = std::sync::mpsc::channel();
        // Whoever waits for himself would never come back.
        std::thread::spawn(move || {
            let place = OnceLock::new();
            told.send(*once(&place, || 10 * once(&place, || 1))).unwrap();
            let slot = Slot::default();
            let made = slot.get(|| vec![0.0; 10 * slot.get(|| vec![0.0]).len()]);
            told.send(made.len()).unwrap();
        });
        let patience = std::time::Duration::from_secs(30);
        assert_eq!(heard.recv_timeout(patience), Ok(1));
        assert_eq!(heard.recv_timeout(patience), Ok(1));
    }

    #[test]
    fn panels_are_counted_and_let_go_of_while_somebody_uses_them() {
        let packed = Arc::new(Packed::of(&[70, 3, 3, 3]).unwrap());
        let mut all = PanelSet::default();
        all.add(&packed);
        let w = vec![1.0; 70 * 27];
        let (forward, backward) = (4 * 9 * 128 * 3, 4 * 9 * 64 * 70);
        assert_eq!(
            (all.bytes(), all.missing(false), all.missing(true)),
            (0, forward, forward + backward)
        );
        let lent = packed.forward(&w);
        assert_eq!(
            (all.bytes(), all.missing(false), all.missing(true)),
            (forward, 0, backward)
        );
        packed.backward(&w);
        assert_eq!((all.bytes(), all.missing(true)), (forward + backward, 0));
        all.shed();
        assert_eq!((all.bytes(), all.missing(false)), (0, forward));
        assert_eq!(lent.panels().panel(0)[0], 1.0);
    }

    #[test]
    fn every_weight_has_its_place_in_both_directions() {
        let (outputs, inputs, taps) = (70, 3, 4);
        let w: Vec<f32> = (0..outputs * inputs * taps).map(|i| i as f32 + 1.0).collect();
        let packed = Packed::of(&[outputs, inputs, 2, 2]).unwrap();
        let (forward, backward) = (packed.forward(&w), packed.backward(&w));
        let (forward, backward) = (forward.panels(), backward.panels());
        assert_eq!((forward.count(), backward.count()), (2, 1));
        for (o, i, t) in (0..outputs).flat_map(|o| (0..inputs * taps).map(move |r| (o, r % inputs, r / inputs))) {
            let want = w[(o * inputs + i) * taps + t];
            assert_eq!(forward.panel(o / PANEL)[(t * inputs + i) * PANEL + o % PANEL], want);
            assert_eq!(backward.panel(0)[((taps - 1 - t) * outputs + o) * PANEL + i], want);
        }
        let filled = forward.values.iter().filter(|&&v| v != 0.0).count();
        assert_eq!(filled, w.len(), "the rest is zero");
        assert!(Packed::of(&[2000, 2000]).is_none() && Packed::of(&[3]).is_none());
    }
}
