//! Which column each tile stands in: behind all that feeds it.

use crate::scene::{Loose, LooseKind};
use crate::visible::Visible;

/// Takes out the wires that would close a circle: those that lead back to a tile on the way there, going from tile to
/// tile in the model's order. So the same wires are found every time.
pub(crate) fn break_circles(seen: &mut Visible) {
    let n = seen.faces.len();
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (at, edge) in seen.edges.iter().enumerate() {
        out[seen.nets[edge.net].face].push(at);
    }
    let mut back = vec![false; seen.edges.len()];
    // 0: not seen, 1: on the way, 2: done
    let mut state = vec![0_u8; n];
    for root in 0..n {
        if state[root] != 0 {
            continue;
        }
        state[root] = 1;
        let mut way = vec![(root, 0)];
        while let Some((at, next)) = way.last_mut() {
            let Some(edge) = out[*at].get(*next) else {
                state[*at] = 2;
                way.pop();
                continue;
            };
            *next += 1;
            let to = seen.edges[*edge].to;
            match state[to] {
                0 => {
                    state[to] = 1;
                    way.push((to, 0));
                }
                1 => back[*edge] = true,
                _ => {}
            }
        }
    }
    let mut at = 0;
    let loose = &mut seen.loose;
    seen.edges.retain(|edge| {
        at += 1;
        if back[at - 1] {
            loose.push(Loose {
                wire: edge.wire,
                kind: LooseKind::Circle,
            });
        }
        !back[at - 1]
    });
}

/// The rank of each tile, higher than those of all that feed it. `before` holds the ranks of an earlier picture: tiles
/// stay there unless something pushes them right.
pub(crate) fn rank(seen: &Visible, before: Option<&[Option<usize>]>) -> Vec<usize> {
    let n = seen.faces.len();
    let mut into: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); n];
    for edge in &seen.edges {
        let from = seen.nets[edge.net].face;
        into[edge.to].push(from);
        out[from].push(edge.to);
    }
    for list in into.iter_mut().chain(&mut out) {
        list.sort_unstable();
        list.dedup();
    }
    let order = topological(&into, &out);
    // Far beyond all tiles is as good as any.
    let pin = |face: usize| seen.faces[face].pin.column.unwrap_or(0).min(1 << 20) as usize;
    let mut rank = vec![0; n];
    for &face in &order {
        let kept = before.and_then(|before| before[face]).unwrap_or(0);
        let pushed = into[face].iter().map(|from| rank[*from] + 1).max().unwrap_or(0);
        rank[face] = pushed.max(pin(face)).max(kept);
    }
    // What has more users than sources moves right towards them: fewer and shorter wires.
    for &face in order.iter().rev() {
        let kept = before.is_some_and(|before| before[face].is_some());
        if kept || seen.faces[face].pin.column.is_some() || out[face].len() <= into[face].len() {
            continue;
        }
        if let Some(limit) = out[face].iter().map(|to| rank[*to]).min() {
            rank[face] = rank[face].max(limit.saturating_sub(1));
        }
    }
    for face in 0..n {
        if let Some(anchor) = seen.faces[face].beside {
            rank[face] = rank[anchor];
        }
    }
    rank
}

/// Every tile after all that feed it; in the model's order where that leaves a choice.
fn topological(into: &[Vec<usize>], out: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = into.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..into.len()).filter(|face| waiting[*face] == 0).collect();
    let mut at = 0;
    while at < order.len() {
        for &to in &out[order[at]] {
            waiting[to] -= 1;
            if waiting[to] == 0 {
                order.push(to);
            }
        }
        at += 1;
    }
    order
}

/// Columns without empty ones between, and the rank of each column.
pub(crate) fn without_gaps(mut rank: Vec<usize>) -> (Vec<usize>, Vec<usize>) {
    let mut used = rank.clone();
    used.sort_unstable();
    used.dedup();
    for rank in &mut rank {
        *rank = used.partition_point(|used| used < rank);
    }
    (rank, used)
}
