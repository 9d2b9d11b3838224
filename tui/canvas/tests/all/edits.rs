//! What stays where it is while a graph is edited.

use crate::support::{any_model, check, node, wire};
use canvas::{Direction, Group, Item, Level, LooseKind, Model, Pin, Side, layout};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_new_leaf_moves_nothing_before_it(model in any_model(20), from in any::<prop::sample::Index>()) {
        let mut model = model;
        let n = model.nodes.len();
        // What points at no node would point at the leaf.
        model.wires.retain(|wire| wire.from.node < n && wire.to.node < n);
        model.notes.retain(|note| note.beside.is_none_or(|node| node < n));
        let scene = layout(&model, None);
        // A folded group grows by a row when one more of its outputs is used.
        let own = |at: &usize| scene.tile_of_node(*at).unwrap().item == Item::Node(*at);
        let outputs: Vec<(usize, usize)> = (0..n)
            .filter(own)
            .flat_map(|at| (0..model.nodes[at].outputs.len()).map(move |output| (at, output)))
            .collect();
        if outputs.is_empty() {
            return Ok(());
        }
        let from = outputs[from.index(outputs.len())];
        let mut more = model.clone();
        more.nodes.push(node("leaf", 1, 1));
        more.wires.push(wire(from, (n, 0)));
        let after = layout(&more, Some(&scene));
        check(&more, &after);
        let leaf = after.tile(Item::Node(model.nodes.len())).unwrap();
        for old in &scene.tiles {
            let new = after.tile(old.item).unwrap();
            if new.column < leaf.column {
                prop_assert_eq!((old.rect.x, old.rect.y), (new.rect.x, new.rect.y), "{:?}", old.item);
            }
        }
    }
}

fn chain() -> Model {
    Model {
        nodes: vec![node("a", 0, 1), node("b", 1, 1), node("c", 1, 0)],
        wires: vec![wire((0, 0), (1, 0)), wire((1, 0), (2, 0))],
        ..Model::default()
    }
}

#[test]
fn a_chain_stands_in_a_row() {
    let scene = layout(&chain(), None);
    let columns: Vec<usize> = scene.tiles.iter().map(|tile| tile.column).collect();
    assert_eq!(columns, [0, 1, 2]);
    assert!(scene.tiles.iter().all(|tile| tile.rect.y == 0));
    assert_eq!(scene.walk(Item::Node(0), Direction::Right), Some(Item::Node(1)));
    assert_eq!(scene.walk(Item::Node(0), Direction::Left), None);
    assert_eq!(scene.neighbours(Item::Node(1), Side::Input), [Item::Node(0)]);
    assert_eq!(scene.neighbours(Item::Node(1), Side::Output), [Item::Node(2)]);
}

#[test]
fn a_circle_is_opened_at_the_same_wire_every_time() {
    let mut model = chain();
    model.nodes[0].inputs = ["in".into()].into();
    model.nodes[2].outputs = ["out".into()].into();
    model.wires.push(wire((2, 0), (0, 0)));
    model.wires.push(wire((1, 0), (1, 0)));
    let scene = layout(&model, None);
    check(&model, &scene);
    let loose: Vec<(usize, LooseKind)> = scene.loose.iter().map(|l| (l.wire, l.kind)).collect();
    assert_eq!(loose, [(2, LooseKind::Circle), (3, LooseKind::Circle)]);
}

#[test]
fn pins_move_tiles_and_wires_follow() {
    let mut model = chain();
    model.nodes.push(node("d", 0, 1));
    model.nodes[1].pin = Pin {
        column: Some(2),
        slot: None,
    };
    // c stands behind b, wherever b is.
    let scene = layout(&model, None);
    let column = |at: usize| scene.tiles[at].column;
    assert!(column(1) < column(2), "{:?}", scene.tiles);
    // A slot counts the tiles of the column.
    model.nodes[1].pin = Pin::default();
    let scene = layout(&model, None);
    assert_eq!((scene.tiles[0].slot, scene.tiles[3].slot), (0, 1));
    model.nodes[3].pin = scene.moved(Item::Node(3), Direction::Up).unwrap();
    let scene = layout(&model, None);
    assert_eq!((scene.tiles[0].slot, scene.tiles[3].slot), (1, 0));
    assert!(scene.moved(Item::Node(3), Direction::Up).is_none());
    assert!(scene.moved(Item::Node(3), Direction::Left).is_none());
}

#[test]
fn a_folded_group_is_a_tile_whose_ports_are_the_wires_across_its_border() {
    let mut model = chain();
    model.nodes.push(node("e", 2, 1));
    model.wires.push(wire((1, 0), (3, 0)));
    model.wires.push(wire((0, 0), (3, 1)));
    model.groups.push(Group {
        id: "g".to_owned(),
        title: "both".to_owned(),
        folded: true,
        ..Group::default()
    });
    model.nodes[1].group = Some(0);
    model.nodes[3].group = Some(0);
    let scene = layout(&model, None);
    check(&model, &scene);
    let tile = scene.tile(Item::Group(0)).unwrap();
    let names: Vec<&str> = tile.ports.iter().map(|port| &*port.name).collect();
    // One wire comes in (to two nodes), one goes out.
    assert_eq!(names, ["b.in0", "b.out0"]);
    assert!(scene.tile(Item::Node(1)).is_none());
    assert_eq!(scene.tile_of_node(1).unwrap().item, Item::Group(0));
    model.groups[0].folded = false;
    let open = layout(&model, Some(&scene));
    check(&model, &open);
    assert_eq!(open.frames.len(), 1);
}

#[test]
fn a_port_that_takes_a_list_has_a_row_for_each_wire() {
    let mut model = Model {
        nodes: vec![node("a", 0, 1), node("b", 0, 1), node("c", 2, 0)],
        wires: vec![wire((1, 0), (2, 0)), wire((0, 0), (2, 0)), wire((0, 0), (2, 1))],
        ..Model::default()
    };
    let scene = layout(&model, None);
    check(&model, &scene);
    let rows: Vec<(usize, usize)> = scene.tiles[2].inputs().map(|p| (p.port.port, p.nth)).collect();
    assert_eq!(rows, [(0, 0), (0, 1), (1, 0)]);
    // Below the normal level a tile has a row for each tile that feeds it.
    model.level = Level::Compact;
    let scene = layout(&model, None);
    check(&model, &scene);
    assert_eq!(scene.tiles[2].rect.h, 2);
    assert_eq!(scene.nets.len(), 2);
}
