//! From a model to a scene.

use crate::channel::{Passage, route};
use crate::layers::{Cell, Layers, drop_far, layers};
use crate::model::Model;
use crate::scene::{Column, End, Frame, Hop, Item, Net, PortAt, Scene, Side, Tile};
use crate::segments::{gap, tidy};
use crate::shape::{Point, Rect};
use crate::visible::{Row, Visible, row_name, visible};
use crate::{order, place, rank};
use std::collections::{BTreeMap, HashMap};

/// Cells between columns besides the tracks.
const MARGIN: i32 = 2;
/// The narrowest gap between columns.
const NARROWEST: i32 = 3;

/// Lays a graph out.
///
/// With an earlier picture, what was in it keeps its column, its place in the column and its rows wherever the wires
/// allow, so that an edit moves as little as possible; without, everything is arranged anew, always in the same way.
pub fn layout(model: &Model, before: Option<&Scene>) -> Scene {
    let mut seen = visible(model);
    rank::break_circles(&mut seen);
    let memory = before.map(|scene| Memory::of(scene, &seen));
    let ranks = rank::rank(&seen, memory.as_ref().map(|memory| memory.ranks.as_slice()));
    let (columns, ranks) = rank::without_gaps(ranks);
    drop_far(&mut seen, &columns);
    drop_unused_nets(&mut seen);
    let mut layers = layers(&seen, &columns);
    let rows = match (&memory, before) {
        (Some(memory), Some(before)) => {
            let rows = memory.rows(&seen, &layers, before);
            order::keep(&seen, &mut layers, &rows);
            place::keep(&seen, &layers, &rows)
        }
        _ => {
            order::order(&seen, &mut layers);
            place::place(&seen, &layers)
        }
    };
    build(model, &seen, &layers, &rows, &ranks)
}

/// What an earlier picture says about the tiles of this one.
struct Memory {
    /// Its tile for each of ours.
    tiles: Vec<Option<usize>>,
    ranks: Vec<Option<usize>>,
}

impl Memory {
    fn of(scene: &Scene, seen: &Visible) -> Self {
        let by_id: HashMap<&str, usize> = (scene.tiles.iter().enumerate())
            .map(|(at, tile)| (&*tile.id, at))
            .collect();
        let tiles: Vec<Option<usize>> = seen.faces.iter().map(|face| by_id.get(&*face.id).copied()).collect();
        // What stood alone may go where its first wire takes it, if that leads to what was there already.
        let mut wired = vec![false; seen.faces.len()];
        for edge in &seen.edges {
            let from = seen.nets[edge.net].face;
            wired[edge.to] |= tiles[from].is_some();
            wired[from] |= tiles[edge.to].is_some();
        }
        let rank = |(at, tile): (usize, &Option<usize>)| {
            let tile = &scene.tiles[(*tile)?];
            (tile.wired || !wired[at]).then_some(scene.columns[tile.column].rank)
        };
        let ranks = tiles.iter().enumerate().map(rank).collect();
        Self { tiles, ranks }
    }

    /// The earlier row of each entry that is still in its column.
    fn rows(&self, seen: &Visible, layers: &Layers, before: &Scene) -> Vec<Option<i32>> {
        let same_level = |face: usize, tile: usize| before.tiles[tile].level == seen.faces[face].level;
        // Columns are compared by who stands in them: a new first column shifts all others.
        let mut moved: BTreeMap<usize, usize> = BTreeMap::new();
        for entry in &layers.entries {
            if let Cell::Face(face) = entry.cell
                && let Some(tile) = self.tiles[face]
            {
                moved.entry(before.tiles[tile].column).or_insert(entry.column);
            }
        }
        let back: BTreeMap<usize, usize> = moved.iter().map(|(old, new)| (*new, *old)).collect();
        layers
            .entries
            .iter()
            .map(|entry| match entry.cell {
                Cell::Face(face) => {
                    let tile = self.tiles[face].filter(|tile| same_level(face, *tile))?;
                    let old = &before.tiles[tile];
                    (moved.get(&old.column) == Some(&entry.column)).then_some(old.rect.y)
                }
                Cell::Lane(net) => {
                    let source = seen.nets[net];
                    let tile = self.tiles[source.face].filter(|tile| same_level(source.face, *tile))?;
                    let column = back.get(&entry.column)?;
                    before.lanes.get(&(tile, source.y, *column)).copied()
                }
            })
            .collect()
    }
}

fn drop_unused_nets(seen: &mut Visible) {
    let mut number = vec![None; seen.nets.len()];
    let mut nets = Vec::new();
    for edge in &mut seen.edges {
        let old = edge.net;
        edge.net = *number[old].get_or_insert_with(|| {
            nets.push(seen.nets[old]);
            nets.len() - 1
        });
    }
    seen.nets = nets;
}

fn build(model: &Model, seen: &Visible, layers: &Layers, rows: &[i32], ranks: &[usize]) -> Scene {
    let columns = layers.columns.len();
    let mut widths = vec![1; columns];
    for (at, face) in seen.faces.iter().enumerate() {
        let column = layers.entries[at].column;
        widths[column] = widths[column].max(face.width);
    }
    // A net in a gap: where it comes from, and the rows it goes to.
    let mut gaps: Vec<Vec<(usize, Passage)>> = vec![Vec::new(); columns];
    // By net and gap, counted from its first.
    let mut places: Vec<Vec<usize>> = vec![Vec::new(); seen.nets.len()];
    let first: Vec<usize> = seen.nets.iter().map(|net| layers.entries[net.face].column).collect();
    for link in &layers.links {
        let column = layers.entries[link.left].column;
        let places = &mut places[link.net];
        let nth = column - first[link.net];
        if places.len() <= nth {
            places.resize(nth + 1, usize::MAX);
        }
        if places[nth] == usize::MAX {
            places[nth] = gaps[column].len();
            let left = rows[link.left] + link.left_row;
            gaps[column].push((link.net, Passage { left, rights: vec![] }));
        }
        gaps[column][places[nth]]
            .1
            .rights
            .push(rows[link.right] + link.right_row);
    }
    let mut hops: Vec<Vec<Hop>> = vec![Vec::new(); seen.nets.len()];
    let mut xs = Vec::with_capacity(columns);
    let mut x = 0;
    for (column, gap) in gaps.into_iter().enumerate() {
        xs.push(x);
        let (nets, mut passages): (Vec<usize>, Vec<Passage>) = gap.into_iter().unzip();
        for passage in &mut passages {
            passage.rights.sort_unstable();
            passage.rights.dedup();
        }
        let (bends, tracks) = route(&passages);
        let start = x + widths[column];
        for ((net, passage), bend) in nets.iter().zip(&passages).zip(bends) {
            let (row, bend) = (passage.left, bend.shifted(start + 1));
            hops[*net].push(Hop { row, bend });
        }
        x = start + (tracks + MARGIN).max(NARROWEST);
    }

    let mut scene = Scene {
        loose: seen.loose.clone(),
        of_node: seen.of_node.iter().copied().map(Some).collect(),
        of_group: seen.of_group.clone(),
        ends: vec![None; model.wires.len()],
        ..Scene::default()
    };
    scene.columns = (0..columns)
        .map(|at| Column {
            x: xs[at],
            w: widths[at],
            rank: ranks[at],
            tiles: layers.columns[at]
                .iter()
                .filter_map(|entry| match layers.entries[*entry].cell {
                    Cell::Face(face) => Some(face),
                    Cell::Lane(_) => None,
                })
                .collect(),
        })
        .collect();
    tiles(model, seen, layers, rows, &mut scene);
    nets(seen, layers, rows, hops, &mut scene);
    frames(model, seen, layers, &mut scene);
    let tiles = scene.tiles.iter().map(|tile| tile.rect);
    let nets = scene.nets.iter().map(|net| net.bounds);
    scene.bounds = tiles.chain(nets).fold(Rect::default(), |all, rect| all.union(&rect));
    scene.loose.sort_by_key(|loose| loose.wire);
    scene.loose.dedup_by_key(|loose| loose.wire);
    scene
}

fn tiles(model: &Model, seen: &Visible, layers: &Layers, rows: &[i32], scene: &mut Scene) {
    for (at, face) in seen.faces.iter().enumerate() {
        let column = layers.entries[at].column;
        // Tiles are as wide as their column, so that wires begin and end at one line; notes as their text.
        let w = match face.item {
            Item::Note(_) => face.width,
            _ => scene.columns[column].w,
        };
        let rect = Rect::new(scene.columns[column].x, rows[at], w, face.height);
        let ports = |side, list: &[Row], x: i32| -> Vec<PortAt> {
            let mut ports: Vec<PortAt> = Vec::with_capacity(list.len());
            for row in list {
                let nth = ports.iter().rev().take_while(|port| port.port == row.port).count();
                ports.push(PortAt {
                    port: row.port,
                    side,
                    at: Point::new(x, rect.y + row.y),
                    name: row_name(model, face.item, side, row.port),
                    wired: false,
                    nth,
                });
            }
            ports
        };
        let mut all = ports(Side::Input, &face.inputs, rect.x);
        all.extend(ports(Side::Output, &face.outputs, rect.right() - 1));
        scene.tiles.push(Tile {
            item: face.item,
            rect,
            column,
            slot: 0,
            level: face.level,
            ports: all,
            id: face.id.clone(),
            wired: false,
        });
    }
    for column in &scene.columns {
        for (slot, tile) in column.tiles.iter().enumerate() {
            scene.tiles[*tile].slot = slot;
        }
    }
}

fn nets(seen: &Visible, layers: &Layers, rows: &[i32], hops: Vec<Vec<Hop>>, scene: &mut Scene) {
    for (source, hops) in seen.nets.iter().zip(hops) {
        let tile = &scene.tiles[source.face];
        scene.nets.push(Net {
            tile: source.face,
            at: Point::new(tile.rect.right() - 1, tile.rect.y + source.y),
            wires: Vec::new(),
            segments: Vec::new(),
            bounds: Rect::default(),
            from: tile.column,
            hops,
        });
    }
    // By net and gap: the rows at the right, with their last cells.
    let mut rights: Vec<Vec<Vec<(i32, i32)>>> = scene.nets.iter().map(|net| vec![Vec::new(); net.hops.len()]).collect();
    for link in &layers.links {
        let column = layers.entries[link.left].column;
        let right = &layers.entries[link.right];
        // A lane goes on to the end of its column, where its next gap begins.
        let end = match right.cell {
            Cell::Face(face) => scene.tiles[face].rect.x - 1,
            Cell::Lane(_) => scene.columns[right.column].x + scene.columns[right.column].w,
        };
        let nth = column - scene.nets[link.net].from;
        rights[link.net][nth].push((rows[link.right] + link.right_row, end));
    }
    for (net, rights) in scene.nets.iter_mut().zip(&rights) {
        for (nth, (hop, rights)) in net.hops.iter().zip(rights).enumerate() {
            let column = &scene.columns[net.from + nth];
            let start = if nth == 0 { net.at.x + 1 } else { column.x + column.w };
            gap(hop, start, rights, &mut net.segments);
        }
        tidy(net);
    }
    for ((net, column), entry) in &layers.lanes {
        let source = seen.nets[*net];
        scene.lanes.insert((source.face, source.y, *column), rows[*entry]);
    }
    for edge in &seen.edges {
        scene.nets[edge.net].wires.push(edge.wire);
        let tile = &mut scene.tiles[edge.to];
        tile.wired = true;
        let at = Point::new(tile.rect.x, tile.rect.y + edge.y);
        scene.ends[edge.wire] = Some(End {
            net: edge.net,
            tile: edge.to,
            at,
        });
        for port in tile.ports.iter_mut().filter(|port| port.at == at) {
            port.wired = true;
        }
        let source = seen.nets[edge.net];
        let tile = &mut scene.tiles[source.face];
        tile.wired = true;
        let at = Point::new(tile.rect.right() - 1, tile.rect.y + source.y);
        for port in tile.ports.iter_mut().filter(|port| port.at == at) {
            port.wired = true;
        }
    }
}

fn frames(model: &Model, seen: &Visible, layers: &Layers, scene: &mut Scene) {
    for group in 0..model.groups.len() {
        let mut blocks: Vec<Rect> = Vec::new();
        for column in &layers.columns {
            let mut open = false;
            for entry in column {
                let Cell::Face(face) = layers.entries[*entry].cell else {
                    continue;
                };
                let rect = scene.tiles[face].rect;
                if seen.faces[face].group != Some(group) {
                    open = false;
                } else if let Some(block) = blocks.last_mut().filter(|_| open) {
                    *block = block.union(&rect);
                } else {
                    blocks.push(rect);
                    open = true;
                }
            }
        }
        if !blocks.is_empty() {
            scene.frames.push(Frame { group, blocks });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Node, PortRef, Wire};
    use crate::segments::Bend;

    #[test]
    fn a_straight_wire_has_no_track() {
        let node = |id: &str, inputs: &[&str], outputs: &[&str]| Node {
            id: id.into(),
            inputs: inputs.iter().map(|&s| s.into()).collect(),
            outputs: outputs.iter().map(|&s| s.into()).collect(),
            ..Node::default()
        };
        let model = Model {
            nodes: vec![node("a", &[], &["out"]), node("b", &["in"], &[])],
            wires: vec![Wire {
                from: PortRef { node: 0, port: 0 },
                to: PortRef { node: 1, port: 0 },
            }],
            ..Model::default()
        };
        let scene = layout(&model, None);
        assert_eq!(scene.tiles[0].rect, Rect::new(0, 0, 14, 3));
        assert_eq!(scene.tiles[1].rect, Rect::new(17, 0, 14, 3));
        assert_eq!(scene.path(0), Some(vec![Point::new(14, 1), Point::new(16, 1)]));
        assert!(matches!(scene.nets[0].hops[0].bend, Bend::None));
    }
}
