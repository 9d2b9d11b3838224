//! Rows: each entry as near as its column's order allows to where its wires would be straight.

use crate::layers::{Cell, Layers};
use crate::visible::Visible;

/// A wish: a row, and how much it counts.
type Wish = (i32, u32);

/// Lanes are kept straight first, then what a lane ends at.
fn weight(layers: &Layers, left: usize, right: usize) -> u32 {
    let lane = |entry: usize| u32::from(matches!(layers.entries[entry].cell, Cell::Lane(_)));
    [2, 4, 12][(lane(left) + lane(right)) as usize]
}

/// Which neighbours count in a pass.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Left,
    Right,
    Both,
}

/// The row of each entry, anew: pieces of the graph one below the other.
pub(crate) fn place(seen: &Visible, layers: &Layers) -> Vec<i32> {
    let mut rows = vec![0; layers.entries.len()];
    let mut top = 0;
    for piece in 0..layers.pieces {
        let columns: Vec<Vec<usize>> = layers
            .columns
            .iter()
            .map(|column| of_piece(layers, column, piece))
            .collect();
        let forward: Vec<usize> = (0..columns.len()).filter(|at| !columns[*at].is_empty()).collect();
        for column in &columns {
            settle(seen, layers, column, &mut rows, |_, _| Vec::new());
        }
        for (from, forwards) in [
            (From::Left, true),
            (From::Right, false),
            (From::Both, true),
            (From::Both, false),
            (From::Both, true),
        ] {
            let mut visit = |at: &usize| {
                settle(seen, layers, &columns[*at], &mut rows, |entry, rows| {
                    wishes(layers, rows, entry, from)
                });
            };
            if forwards {
                forward.iter().for_each(&mut visit);
            } else {
                forward.iter().rev().for_each(&mut visit);
            }
        }
        let entries = || columns.iter().flatten();
        let highest = entries().map(|e| rows[*e]).min().unwrap_or(0);
        for entry in columns.iter().flatten() {
            rows[*entry] += top - highest;
        }
        let lowest = columns.iter().flatten().map(|e| rows[*e] + layers.entries[*e].height);
        top = lowest.max().unwrap_or(top) + 1;
    }
    rows
}

/// Pieces are in one stretch of each column, unless pins say otherwise.
fn of_piece(layers: &Layers, column: &[usize], piece: usize) -> Vec<usize> {
    let of = |entry: &&usize| layers.entries[**entry].piece == piece;
    column.iter().filter(of).copied().collect()
}

/// The row of each entry when there was a picture before: what was there stays where it can.
pub(crate) fn keep(seen: &Visible, layers: &Layers, before: &[Option<i32>]) -> Vec<i32> {
    const STAY: u32 = 1_000_000;
    let mut rows: Vec<i32> = before.iter().map(|row| row.unwrap_or(0)).collect();
    let mut known: Vec<bool> = before.iter().map(Option::is_some).collect();
    for _ in 0..2 {
        for column in &layers.columns {
            settle(seen, layers, column, &mut rows, |entry, rows| match before[entry] {
                Some(row) => vec![(row, STAY)],
                None => {
                    let left = layers.left[entry].iter().filter(|l| known[layers.links[**l].left]);
                    let right = layers.right[entry].iter().filter(|l| known[layers.links[**l].right]);
                    left.map(|link| wish(layers, rows, *link, true))
                        .chain(right.map(|link| wish(layers, rows, *link, false)))
                        .collect()
                }
            });
            for entry in column {
                known[*entry] = true;
            }
        }
    }
    rows
}

/// Where a link would be straight for its right end (`for_right`) or its left.
fn wish(layers: &Layers, rows: &[i32], link: usize, for_right: bool) -> Wish {
    let link = layers.links[link];
    let row = if for_right {
        rows[link.left] + link.left_row - link.right_row
    } else {
        rows[link.right] + link.right_row - link.left_row
    };
    (row, weight(layers, link.left, link.right))
}

fn wishes(layers: &Layers, rows: &[i32], entry: usize, from: From) -> Vec<Wish> {
    let left = layers.left[entry].iter().filter(|_| from != From::Right);
    let right = layers.right[entry].iter().filter(|_| from != From::Left);
    left.map(|link| wish(layers, rows, *link, true))
        .chain(right.map(|link| wish(layers, rows, *link, false)))
        .collect()
}

/// Entries that have to stand close together, as one: wishes for the row of the first, sorted.
struct Block {
    row: i32,
    wishes: Vec<Wish>,
    entries: usize,
}

impl Block {
    /// The weighted median: the place with the least sum of distances.
    fn settle(&mut self) {
        let total: u64 = self.wishes.iter().map(|wish| u64::from(wish.1)).sum();
        let mut sum = 0;
        for (row, weight) in &self.wishes {
            sum += u64::from(*weight);
            if 2 * sum >= total {
                self.row = *row;
                break;
            }
        }
    }

    fn take(&mut self, other: Self) {
        self.entries += other.entries;
        let (mut long, mut short) = (std::mem::take(&mut self.wishes), other.wishes);
        if long.len() < short.len() {
            std::mem::swap(&mut long, &mut short);
        }
        if short.len() < 4 {
            for wish in short {
                let at = long.partition_point(|known| *known < wish);
                long.insert(at, wish);
            }
        } else {
            long.extend(short);
            long.sort_unstable();
        }
        self.wishes = long;
        self.settle();
    }
}

/// Moves the entries of a column to where the wishes are met best without changing their order: isotonic regression
/// under the sum of distances, by pooling neighbours that would overlap.
fn settle(
    seen: &Visible,
    layers: &Layers,
    column: &[usize],
    rows: &mut [i32],
    wishes: impl Fn(usize, &[i32]) -> Vec<Wish>,
) {
    let mut offsets = Vec::with_capacity(column.len());
    let mut blocks: Vec<Block> = Vec::new();
    let mut offset = 0;
    for (at, entry) in column.iter().enumerate() {
        if at > 0 {
            offset += layers.entries[column[at - 1]].height + layers.between(seen, column[at - 1], *entry);
        }
        offsets.push(offset);
        let mut wishes = wishes(*entry, rows);
        if wishes.is_empty() {
            wishes.push((rows[*entry], 1));
        }
        for wish in &mut wishes {
            wish.0 -= offset;
        }
        wishes.sort_unstable();
        let mut block = Block {
            row: 0,
            wishes,
            entries: 1,
        };
        block.settle();
        while let Some(above) = blocks.last() {
            if above.row <= block.row {
                break;
            }
            if let Some(mut above) = blocks.pop() {
                above.take(block);
                block = above;
            }
        }
        blocks.push(block);
    }
    let mut at = 0;
    for block in blocks {
        for _ in 0..block.entries {
            rows[column[at]] = block.row + offsets[at];
            at += 1;
        }
    }
}
