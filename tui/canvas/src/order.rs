//! The order in each column: few crossings, members of a group together, pins honoured, notes above their nodes.

use crate::layers::{Cell, Layers};
use crate::visible::Visible;

/// Rounds of sweeps; more hardly ever help.
const SWEEPS: usize = 4;
/// Neighbours are swapped where that saves crossings, in graphs up to this many links.
const SWAPPING: usize = 1500;

/// Orders the columns anew.
pub(crate) fn order(seen: &Visible, layers: &mut Layers) {
    let mut columns = std::mem::take(&mut layers.columns);
    for column in &mut columns {
        column.sort_by_key(|entry| (layers.entries[*entry].piece, author(seen, layers, *entry)));
    }
    let mut rows = Rows::of(seen, layers, &columns);
    let mut best = (crossings(layers, &rows, &columns), columns.clone());
    let mut in_vain = 0;
    for sweep in 0..2 * SWEEPS {
        if best.0 == 0 || in_vain == 3 {
            break;
        }
        let forward = sweep % 2 == 0;
        let last = columns.len().saturating_sub(1);
        for step in 1..columns.len() {
            let at = if forward { step } else { last - step };
            let keys: Vec<f64> = columns[at].iter().map(|e| rows.wish(layers, *e, forward)).collect();
            arrange(seen, layers, &mut columns[at], &keys);
            rows.settle(seen, layers, &columns[at]);
        }
        if layers.links.len() <= SWAPPING {
            for column in &mut columns {
                swap(seen, layers, &mut rows, column);
            }
        }
        let count = crossings(layers, &rows, &columns);
        in_vain += 1;
        if count < best.0 {
            best = (count, columns.clone());
            in_vain = 0;
        }
    }
    layers.columns = best.1;
    finish(seen, layers);
}

/// Keeps an order: `rows` of those who had one before, the others between them by what they are wired to.
pub(crate) fn keep(seen: &Visible, layers: &mut Layers, before: &[Option<i32>]) {
    let mut columns = std::mem::take(&mut layers.columns);
    let mut known: Vec<Option<f64>> = before.iter().map(|row| row.map(f64::from)).collect();
    let last = known.iter().flatten().fold(0.0_f64, |a, b| a.max(*b)) + 1000.0;
    for column in &mut columns {
        let mut keys = Vec::with_capacity(column.len());
        for entry in column.iter() {
            let key = known[*entry].unwrap_or_else(|| {
                let left = layers.left[*entry].iter().map(|link| {
                    let link = layers.links[*link];
                    known[link.left].map(|y| y + f64::from(link.left_row - link.right_row))
                });
                let right = layers.right[*entry].iter().map(|link| {
                    let link = layers.links[*link];
                    known[link.right].map(|y| y + f64::from(link.right_row - link.left_row))
                });
                mean(left.chain(right).flatten()).unwrap_or(last)
            });
            keys.push(key);
        }
        for (entry, key) in column.iter().zip(&keys) {
            known[*entry] = Some(*key);
        }
        let mut sorted: Vec<usize> = (0..column.len()).collect();
        sorted.sort_by(|a, b| {
            let new = |at: usize| before[column[at]].is_none();
            keys[*a]
                .total_cmp(&keys[*b])
                .then(new(*a).cmp(&new(*b)))
                .then(column[*a].cmp(&column[*b]))
        });
        *column = sorted.into_iter().map(|at| column[at]).collect();
    }
    layers.columns = columns;
    finish(seen, layers);
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    (n > 0.0).then(|| sum / n)
}

/// The author's order, which a lane takes over from where it comes from.
fn author(seen: &Visible, layers: &Layers, entry: usize) -> (usize, i32, bool) {
    match layers.entries[entry].cell {
        Cell::Face(face) => (face, 0, false),
        Cell::Lane(net) => (seen.nets[net].face, seen.nets[net].y, true),
    }
}

/// Sorts a column by keys within the pieces, with the members of an open group side by side.
fn arrange(seen: &Visible, layers: &Layers, column: &mut [usize], keys: &[f64]) {
    let group = |entry: usize| match layers.entries[entry].cell {
        Cell::Face(face) => seen.faces[face].group,
        Cell::Lane(_) => None,
    };
    let mut of_groups: Vec<(usize, f64, f64)> = Vec::new();
    for (entry, key) in column.iter().zip(keys) {
        if let Some(group) = group(*entry) {
            match of_groups.iter_mut().find(|(known, ..)| *known == group) {
                Some((_, sum, n)) => {
                    *sum += key;
                    *n += 1.0;
                }
                None => of_groups.push((group, *key, 1.0)),
            }
        }
    }
    let outer = |at: usize| {
        let own = group(column[at]).and_then(|group| of_groups.iter().find(|(known, ..)| *known == group));
        own.map_or((keys[at], None), |(group, sum, n)| (sum / n, Some(*group)))
    };
    let mut sorted: Vec<_> = (0..column.len())
        .map(|at| {
            let (mean, group) = outer(at);
            (layers.entries[column[at]].piece, mean, group, keys[at], column[at])
        })
        .collect();
    sorted.sort_by(|x, y| {
        let by_place = x.0.cmp(&y.0).then(x.1.total_cmp(&y.1));
        by_place.then(x.2.cmp(&y.2)).then(x.3.total_cmp(&y.3))
    });
    for (place, (.., entry)) in column.iter_mut().zip(sorted) {
        *place = entry;
    }
}

/// Where each entry would be if each column were stacked from its top: what crossings are counted by.
struct Rows(Vec<i32>);

impl Rows {
    fn of(seen: &Visible, layers: &Layers, columns: &[Vec<usize>]) -> Self {
        let mut rows = Self(vec![0; layers.entries.len()]);
        for column in columns {
            rows.settle(seen, layers, column);
        }
        rows
    }

    fn settle(&mut self, seen: &Visible, layers: &Layers, column: &[usize]) {
        let mut y = 0;
        for (at, entry) in column.iter().enumerate() {
            if at > 0 {
                y += layers.between(seen, column[at - 1], *entry);
            }
            self.0[*entry] = y;
            y += layers.entries[*entry].height;
        }
    }

    /// Mean of the rows an entry is wired to; its own where it is not wired that way.
    fn wish(&self, layers: &Layers, entry: usize, left: bool) -> f64 {
        let links = if left {
            &layers.left[entry]
        } else {
            &layers.right[entry]
        };
        let rows = links.iter().map(|link| {
            let link = layers.links[*link];
            f64::from(if left {
                self.0[link.left] + link.left_row - link.right_row
            } else {
                self.0[link.right] + link.right_row - link.left_row
            })
        });
        mean(rows).unwrap_or_else(|| f64::from(self.0[entry]))
    }

    fn left_end(&self, layers: &Layers, link: usize) -> i32 {
        self.0[layers.links[link].left] + layers.links[link].left_row
    }

    fn right_end(&self, layers: &Layers, link: usize) -> i32 {
        self.0[layers.links[link].right] + layers.links[link].right_row
    }
}

/// Pairs of links between neighbouring columns that cross.
fn crossings(layers: &Layers, rows: &Rows, columns: &[Vec<usize>]) -> u64 {
    let mut count = 0;
    for column in columns {
        let mut ends: Vec<(i32, i32)> = column
            .iter()
            .flat_map(|entry| &layers.right[*entry])
            .map(|link| (rows.left_end(layers, *link), rows.right_end(layers, *link)))
            .collect();
        ends.sort_unstable();
        let mut rights: Vec<i32> = ends.iter().map(|end| end.1).collect();
        rights.sort_unstable();
        rights.dedup();
        // A Fenwick tree over the right rows counts those already seen that lie below.
        let mut tree = vec![0_u64; rights.len() + 1];
        for (seen, (_, right)) in (0_u64..).zip(ends) {
            let at = rights.partition_point(|row| *row < right) + 1;
            let (mut i, mut below) = (at, 0);
            while i > 0 {
                below += tree[i];
                i &= i - 1;
            }
            count += seen - below;
            let mut i = at;
            while i < tree.len() {
                tree[i] += 1;
                i += i & i.wrapping_neg();
            }
        }
    }
    count
}

/// Swaps neighbours while that saves crossings.
fn swap(seen: &Visible, layers: &Layers, rows: &mut Rows, column: &mut [usize]) {
    let group = |entry: usize| match layers.entries[entry].cell {
        Cell::Face(face) => seen.faces[face].group,
        Cell::Lane(_) => None,
    };
    for _ in 0..3 {
        let mut better = false;
        for at in 1..column.len() {
            let (upper, lower) = (column[at - 1], column[at]);
            let same = layers.entries[upper].piece == layers.entries[lower].piece && group(upper) == group(lower);
            if same && crossed(layers, rows, upper, lower) > crossed(layers, rows, lower, upper) {
                column.swap(at - 1, at);
                better = true;
            }
        }
        if !better {
            break;
        }
        rows.settle(seen, layers, column);
    }
}

/// Crossings among the links of two neighbours with `upper` above.
fn crossed(layers: &Layers, rows: &Rows, upper: usize, lower: usize) -> usize {
    let mut count = 0;
    for a in &layers.left[upper] {
        for b in &layers.left[lower] {
            count += usize::from(rows.left_end(layers, *a) > rows.left_end(layers, *b));
        }
    }
    for a in &layers.right[upper] {
        for b in &layers.right[lower] {
            count += usize::from(rows.right_end(layers, *a) > rows.right_end(layers, *b));
        }
    }
    count
}

/// Moves pinned tiles to their slots and notes above their nodes.
fn finish(seen: &Visible, layers: &mut Layers) {
    let mut columns = std::mem::take(&mut layers.columns);
    for column in &mut columns {
        let face = |entry: &usize| match layers.entries[*entry].cell {
            Cell::Face(face) => Some(face),
            Cell::Lane(_) => None,
        };
        let settled = is_settled(seen, column.iter().filter_map(face));
        let mut pinned: Vec<(u32, usize)> = Vec::new();
        let mut notes: Vec<usize> = Vec::new();
        column.retain(|entry| {
            let Some(face) = face(entry) else { return true };
            if seen.faces[face].beside.is_some() {
                notes.push(*entry);
                return false;
            }
            if let Some(slot) = seen.faces[face].pin.slot.filter(|_| !settled) {
                pinned.push((slot, *entry));
                return false;
            }
            true
        });
        pinned.sort_by_key(|(slot, _)| *slot);
        let mut next = 0;
        for (slot, entry) in pinned {
            // Of two tiles with the same wish, the lower comes after the upper.
            let slot = usize::try_from(slot).unwrap_or(usize::MAX).max(next);
            next = slot.saturating_add(1);
            let tiles = column.iter().enumerate().filter(|(_, entry)| face(entry).is_some());
            let at = tiles.map(|(at, _)| at).nth(slot).unwrap_or(column.len());
            column.insert(at, entry);
        }
        for note in notes {
            let anchor = face(&note).and_then(|face| seen.faces[face].beside);
            let at = column
                .iter()
                .position(|entry| face(entry) == anchor && anchor.is_some());
            column.insert(at.unwrap_or(column.len()), note);
        }
    }
    layers.columns = columns;
}

/// Whether the pinned tiles of a column are where they should be, so that lanes between them can stay too.
fn is_settled(seen: &Visible, faces: impl Iterator<Item = usize>) -> bool {
    let faces: Vec<usize> = faces.filter(|face| seen.faces[*face].beside.is_none()).collect();
    let pin = |(at, face): (usize, &usize)| Some((seen.faces[*face].pin.slot?, at));
    let mut pinned: Vec<(u32, usize)> = faces.iter().enumerate().filter_map(pin).collect();
    pinned.sort_by_key(|(slot, _)| *slot);
    let mut next = 0;
    let last = faces.len() - pinned.len();
    pinned.iter().enumerate().all(|(nth, (slot, at))| {
        let wanted = usize::try_from(*slot).unwrap_or(usize::MAX).max(next).min(last + nth);
        next = wanted + 1;
        wanted == *at
    })
}
