//! Any graph: what a layout promises.

use crate::support::{any_model, check, take_first, turn};
use canvas::{Direction, Level, Model, Point, Rect, Scene, Size, Thing, View, layout};
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

/// The wires that are drawn: their ends by name, and their lines.
fn ends(model: &Model, scene: &Scene) -> Vec<([Arc<str>; 4], Vec<Point>)> {
    let drawn = model.wires.iter().enumerate();
    drawn
        .filter_map(|(at, wire)| {
            let path = scene.path(at)?;
            let (from, to) = (&model.nodes[wire.from.node], &model.nodes[wire.to.node]);
            let names = [
                &from.id,
                &from.outputs[wire.from.port],
                &to.id,
                &to.inputs[wire.to.port],
            ];
            Some((names.map(Arc::clone), path))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn wires_keep_to_themselves_and_join_their_ports(model in any_model(24)) {
        let scene = layout(&model, None);
        check(&model, &scene);
        prop_assert_eq!(scene, layout(&model, None));
    }

    #[test]
    fn a_picture_that_changes_keeps_the_promises(before in any_model(16), after in any_model(16), level in any::<bool>()) {
        let first = layout(&before, None);
        let mut after = after;
        if level {
            after.level = before.level;
        }
        let second = layout(&after, Some(&first));
        check(&after, &second);
        // And back again.
        check(&before, &layout(&before, Some(&second)));
        prop_assert_eq!(second, layout(&after, Some(&first)));
    }

    #[test]
    fn the_same_graph_again_stays_as_it_is(model in any_model(20)) {
        let scene = layout(&model, None);
        let again = layout(&model, Some(&scene));
        let places = |scene: &canvas::Scene| -> Vec<(canvas::Item, Rect)> {
            scene.tiles.iter().map(|tile| (tile.item, tile.rect)).collect()
        };
        prop_assert_eq!(places(&scene), places(&again));
        prop_assert_eq!(&scene.nets, &again.nets);
    }

    #[test]
    fn every_cell_answers(model in any_model(12), x in -20..200_i32, y in -20..80_i32) {
        let scene = layout(&model, None);
        for tile in &scene.tiles {
            let at = scene.pick(Point::new(tile.rect.x, tile.rect.y));
            prop_assert_eq!(at, Thing::Title(tile.item));
            for way in [Direction::Left, Direction::Right, Direction::Up, Direction::Down] {
                if let Some(next) = scene.walk(tile.item, way) {
                    prop_assert!(next != tile.item);
                }
                scene.moved(tile.item, way);
            }
            for port in tile.ports.iter().filter(|_| tile.level >= Level::Normal) {
                prop_assert_eq!(scene.pick(port.at), Thing::Port(port.side, port.port));
            }
            scene.dropped(tile.item, Point::new(x, y));
        }
        scene.pick(Point::new(x, y));
        scene.nearest(Point::new(x, y));
    }

    #[test]
    fn a_map_of_any_size_has_every_tile(model in any_model(12), w in 0..40_i32, h in 0..12_i32, x in -9..90_i32) {
        let scene = layout(&model, None);
        let map = scene.minimap(Size::new(w, h), Rect::new(x, 0, 80, 24));
        prop_assert!(map.size.w <= w.max(1) && map.size.h <= h.max(1));
        for tile in &scene.tiles {
            let p = map.from_scene(tile.rect.centre());
            let cell = map.cells[usize::try_from(p.y * map.size.w + p.x).unwrap()];
            prop_assert!(cell.bits != 0);
        }
    }

    #[test]
    fn a_view_shows_what_is_asked(x in -50..300_i32, y in -50..100_i32, w in 1..90_i32, h in 1..40_i32) {
        let mut view = View { origin: Point::new(0, 0), size: Size::new(80, 24) };
        let block = Rect::new(x, y, w, h);
        view.reveal(block, 2);
        let seen = view.rect().intersect(&block);
        prop_assert_eq!((seen.w, seen.h), (w.min(80), h.min(24)));
        let once = view;
        view.reveal(block, 2);
        prop_assert_eq!(once, view);
    }
}

// What goes wrong here shows in one graph of hundreds.
proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_picture_adapted_to_another_graph_is_whole_and_leads_to_the_same(before in any_model(16), other in any_model(16), kin in any::<bool>(), gone in 0..3_usize, turned in any::<bool>()) {
        // Another graph with some of the names, or the same one; the first nodes are gone, the others stand as they did or turned.
        let mut after = if kin { before.clone() } else { other };
        take_first(&mut after, gone);
        if turned {
            turn(&mut after);
        }
        let first = layout(&before, None);
        let adapted = first.clone().adapted(&before, &after);
        for (at, tile) in adapted.tiles.iter().enumerate() {
            prop_assert_eq!(adapted.tile(tile.item), Some(tile));
            for port in &tile.ports {
                let node = &after.nodes[port.port.node];
                let names = if port.side == canvas::Side::Input { &node.inputs } else { &node.outputs };
                prop_assert!(port.name.ends_with(&*names[port.port.port]));
            }
            let same = |old: &&canvas::Tile| old.rect == tile.rect;
            prop_assert!(first.tiles.iter().any(|old| same(&old)), "tile {at} moved");
        }
        for node in 0..after.nodes.len() {
            let known = before.nodes.iter().position(|old| old.id == after.nodes[node].id);
            let known = known.and_then(|old| first.tile_of_node(old));
            // The group around it may be another one.
            if let (Some(old), Some(new)) = (known, adapted.tile_of_node(node)) {
                prop_assert_eq!(old.rect, new.rect);
            }
        }
        for net in &adapted.nets {
            let tile = &adapted.tiles[net.tile];
            prop_assert!(tile.rect.contains(net.at) && net.at.x == tile.rect.right() - 1, "a net leaves {:?} at {:?}", tile.rect, net.at);
        }
        let old: HashSet<_> = ends(&before, &first).into_iter().collect();
        for new in ends(&after, &adapted) {
            prop_assert!(old.contains(&new), "a new line: {new:?}");
        }
        adapted.wires(adapted.bounds);
        prop_assert_eq!(layout(&after, Some(&adapted)), layout(&after, Some(&first)));
        prop_assert_eq!(first.clone().adapted(&before, &before).tiles, first.tiles);
    }
}
