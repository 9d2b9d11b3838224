//! Tracks: in a gap between two columns each net that changes its row gets a column of cells of its own there.
//!
//! A net comes in on one row at the left and leaves on one or more at the right. Where net A comes in on a row on which
//! net B leaves, A's track has to be left of B's, or they would lie on each other. Where these demands form a circle, one net
//! takes two tracks with a free row between. Beyond that, an order is chosen that makes few crossings.

use crate::segments::Bend;
use std::collections::{BTreeMap, BTreeSet};

/// A net in a gap. Rows at the right are sorted and not empty.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    pub(crate) left: i32,
    pub(crate) rights: Vec<i32>,
}

impl Passage {
    fn straight(&self) -> bool {
        self.rights == [self.left]
    }

    fn top(&self) -> i32 {
        self.left.min(self.rights[0])
    }

    fn bottom(&self) -> i32 {
        self.left.max(self.rights[self.rights.len() - 1])
    }

    /// How often the two cross when this one's track is left of the other's.
    fn crossings_before(&self, other: &Self) -> usize {
        let within = |row: i32, of: &Self| of.top() < row && row < of.bottom();
        usize::from(within(other.left, self)) + self.rights.iter().filter(|row| within(**row, other)).count()
    }
}

/// A vertical line to be given a track.
struct Line {
    net: usize,
    passage: Passage,
    /// The second line of a net that has two.
    second: bool,
}

/// Above this many nets in a gap their pairs are not compared.
const PAIRS: usize = 160;

/// How each passage turns, with tracks counted from 0, and how many tracks there are.
pub(crate) fn route(passages: &[Passage]) -> (Vec<Bend>, i32) {
    let mut bends = vec![Bend::None; passages.len()];
    let mut taken: BTreeSet<i32> = passages
        .iter()
        .flat_map(|p| p.rights.iter().copied().chain([p.left]))
        .collect();
    let mut lines: Vec<Line> = passages
        .iter()
        .enumerate()
        .filter(|(_, passage)| !passage.straight())
        .map(|(net, passage)| Line {
            net,
            passage: passage.clone(),
            second: false,
        })
        .collect();
    let order = sequence(&mut lines, &mut taken);
    let of = |line: &Line| {
        line.passage
            .rights
            .iter()
            .copied()
            .chain([line.passage.left])
            .collect::<Vec<i32>>()
    };
    let mut rows: Vec<i32> = lines.iter().flat_map(of).collect();
    rows.sort_unstable();
    rows.dedup();
    // The first track right of all that are used so far, by row.
    let mut free: Vec<i32> = vec![0; rows.len()];
    let mut tracks = 0;
    let mut first: Vec<i32> = vec![0; passages.len()];
    for at in order {
        let line = &lines[at];
        let top = rows.partition_point(|row| *row < line.passage.top());
        let below = rows.partition_point(|row| *row <= line.passage.bottom());
        let track = free[top..below].iter().copied().max().unwrap_or(0);
        free[top..below].fill(track + 1);
        tracks = tracks.max(track + 1);
        if line.second {
            bends[line.net] = Bend::Twice(first[line.net], line.passage.left, track);
        } else {
            first[line.net] = track;
            bends[line.net] = Bend::At(track);
        }
    }
    (bends, tracks)
}

/// The order of the lines from left to right. Splits those that no order allows.
fn sequence(lines: &mut Vec<Line>, taken: &mut BTreeSet<i32>) -> Vec<usize> {
    let mut into: BTreeMap<i32, usize> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        into.insert(line.passage.left, at);
    }
    // By line: those that have to be right of it, and how many have to be left of it.
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); lines.len()];
    let mut waits: Vec<usize> = vec![0; lines.len()];
    for (at, line) in lines.iter().enumerate() {
        for row in &line.passage.rights {
            if let Some(&other) = into.get(row).filter(|other| **other != at) {
                after[other].push(at);
                waits[at] += 1;
            }
        }
    }
    let mut rank: Vec<i64> = preferences(lines);
    let mut waiting: BTreeSet<usize> = (0..lines.len()).collect();
    let mut ready: BTreeSet<(i64, usize)> = BTreeSet::new();
    let mut order = Vec::with_capacity(lines.len());
    for at in 0..lines.len() {
        if waits[at] == 0 {
            waiting.remove(&at);
            ready.insert((rank[at], at));
        }
    }
    loop {
        if let Some((_, at)) = ready.pop_first() {
            order.push(at);
            for next in std::mem::take(&mut after[at]) {
                waits[next] -= 1;
                if waits[next] == 0 && waiting.remove(&next) {
                    ready.insert((rank[next], next));
                }
            }
            continue;
        }
        let Some(at) = waiting.pop_first() else {
            return order;
        };
        // A circle: the line goes to a free row first, and from there on its way once those it waits for have gone.
        let passage = lines[at].passage.clone();
        let via = free_row(taken, (passage.top() + passage.bottom()) / 2);
        let second = lines.len();
        lines[at].passage.rights = vec![via];
        lines.push(Line {
            net: lines[at].net,
            passage: Passage {
                left: via,
                rights: passage.rights,
            },
            second: true,
        });
        // Those that wait for the row on which it comes in wait for the first part only.
        after.push(Vec::new());
        waits.push(waits[at] + 1);
        rank.push(i64::MAX);
        waits[at] = 0;
        for list in &mut after {
            for next in list.iter_mut() {
                if *next == at {
                    *next = second;
                }
            }
        }
        after[at].push(second);
        waiting.insert(second);
        ready.insert((rank[at], at));
    }
}

/// The free row nearest to `wanted`, which is then taken.
fn free_row(taken: &mut BTreeSet<i32>, wanted: i32) -> i32 {
    let mut by = 0;
    loop {
        for row in [wanted + by, wanted - by] {
            if taken.insert(row) {
                return row;
            }
        }
        by += 1;
    }
}

/// A place for each line in an order that makes few crossings, as far as the demands allow.
fn preferences(lines: &[Line]) -> Vec<i64> {
    // Lines that go down: the lower ones first; lines that go up: the upper ones first.
    let key = |line: &Line| {
        let down = line.passage.bottom() - line.passage.left >= line.passage.left - line.passage.top();
        if down {
            -i64::from(line.passage.left)
        } else {
            i64::from(line.passage.left)
        }
    };
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|at| (key(&lines[*at]), *at));
    if lines.len() <= PAIRS {
        let mut gain: Vec<Vec<i64>> = vec![vec![0; lines.len()]; lines.len()];
        for (at, Line { passage: a, .. }) in lines.iter().enumerate() {
            for (other, Line { passage: b, .. }) in lines[..at].iter().enumerate() {
                // Lines that share no row cross nothing of each other.
                if a.top() < b.bottom() && b.top() < a.bottom() {
                    let cost = a.crossings_before(b) as i64 - b.crossings_before(a) as i64;
                    (gain[at][other], gain[other][at]) = (cost, -cost);
                }
            }
        }
        improve(&mut order, &gain);
    }
    let mut place = vec![0; lines.len()];
    for (to, at) in order.into_iter().enumerate() {
        place[at] = i64::try_from(to).unwrap_or(i64::MAX);
    }
    place
}

/// Inserts each line where it costs least among the others: `cost[a][b]` is what a before b costs more than b before a.
fn improve(order: &mut Vec<usize>, cost: &[Vec<i64>]) {
    for _ in 0..2 {
        let mut better = false;
        for from in 0..order.len() {
            let line = order[from];
            let (mut best, mut to) = (0, from);
            let mut sum = 0;
            for at in (0..from).rev() {
                sum += cost[line][order[at]];
                if sum < best {
                    (best, to) = (sum, at);
                }
            }
            sum = 0;
            for at in from + 1..order.len() {
                sum += cost[order[at]][line];
                if sum < best {
                    (best, to) = (sum, at);
                }
            }
            if to != from {
                let line = order.remove(from);
                order.insert(to, line);
                better = true;
            }
        }
        if !better {
            break;
        }
    }
}
