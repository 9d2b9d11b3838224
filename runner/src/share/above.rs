//! What lies above each node of a graph, told once for all nodes, so that a graph with many savers does not walk upwards
//! from each of them.

use std::sync::Arc;

/// For each node a set of marks: its own and those of all nodes above it. Nodes that have the same marks share one set,
/// so that what is kept grows with the nodes and with what differs, not with the ways through the graph.
pub(super) struct Above {
    sets: Vec<Arc<[usize]>>,
}

impl Above {
    /// For nodes in an order in which sources come first; `sources` and `own` give each node's sources and marks.
    pub(super) fn new<S: Iterator<Item = usize>>(
        order: &[usize],
        sources: impl Fn(usize) -> S,
        own: impl Fn(usize) -> Vec<usize>,
    ) -> Self {
        let mut sets: Vec<Arc<[usize]>> = vec![Arc::default(); order.len()];
        for &node in order {
            let mut set = Arc::default();
            for source in sources(node) {
                set = union(&set, &sets[source]);
            }
            let mut own = own(node);
            own.sort_unstable();
            sets[node] = union(&set, &own.into());
        }
        Self { sets }
    }

    /// The marks of a node and of all nodes above it, in order.
    pub(super) fn of(&self, node: usize) -> &[usize] {
        self.sets.get(node).map_or(&[], |set| set)
    }
}

/// Both sets together; one of them itself if the other adds nothing.
fn union(a: &Arc<[usize]>, b: &Arc<[usize]>) -> Arc<[usize]> {
    if Arc::ptr_eq(a, b) || b.is_empty() {
        return a.clone();
    }
    if a.is_empty() {
        return b.clone();
    }
    let mut both = Vec::with_capacity(a.len() + b.len());
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    while let Some(next) = match (left.peek(), right.peek()) {
        (Some(l), Some(r)) => Some(**l.min(r)),
        (l, r) => l.or(r).map(|mark| **mark),
    } {
        both.push(next);
        left.next_if(|mark| **mark == next);
        right.next_if(|mark| **mark == next);
    }
    if both.len() == a.len() {
        return a.clone();
    }
    if both.len() == b.len() {
        return b.clone();
    }
    both.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Marks in all different sets together.
    fn kept(above: &Above) -> usize {
        let sets = above.sets.iter().map(|set| (set.as_ptr(), set.len()));
        sets.collect::<HashMap<_, _>>().values().sum()
    }

    #[test]
    fn marks_come_from_everything_above() {
        // 0 and 1 feed 2, which feeds 3 twice; 4 stands alone.
        let sources = [vec![], vec![], vec![0, 1], vec![2, 2], vec![]];
        let above = Above::new(
            &[4, 1, 0, 2, 3],
            |node| sources[node].iter().copied(),
            |node| vec![10 + node, 7],
        );
        assert_eq!(above.of(3), [7, 10, 11, 12, 13]);
        assert_eq!(above.of(4), [7, 14]);
        assert_eq!(above.of(9), [0; 0]);
    }

    #[test]
    fn what_is_kept_does_not_grow_with_the_way_to_a_saver() {
        // A chain of two types with a saver (a third type) at each place, and two files at its beginning.
        const LINKS: usize = 10_000;
        let order: Vec<usize> = (0..2 * LINKS).collect();
        let sources = |node: usize| match node {
            link if link < LINKS => link.checked_sub(1).into_iter(),
            saver => Some(saver - LINKS).into_iter(),
        };
        let own = |node: usize| match node {
            0 | 1 => vec![node, 100 + node],
            link if link < LINKS => vec![link % 2],
            _ => vec![2],
        };
        let above = Above::new(&order, sources, own);
        assert_eq!(above.of(LINKS - 1), [0, 1, 100, 101]);
        assert_eq!(above.of(2 * LINKS - 1), [0, 1, 2, 100, 101]);
        // Five for each saver; the links share theirs.
        assert!(kept(&above) < 5 * LINKS + 50, "{} marks", kept(&above));
    }
}
