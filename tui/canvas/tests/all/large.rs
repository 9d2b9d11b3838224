//! Graphs that nobody draws by hand.

use crate::support::{check, layered, node, wire};
use canvas::{Level, LooseKind, Model, Rect, Size, layout};

#[test]
fn five_thousand_nodes() {
    let mut model = layered(5000, 8000);
    for level in [Level::Map, Level::Normal] {
        model.level = level;
        let scene = layout(&model, None);
        assert_eq!(scene.tiles.len(), 5000);
        // Stands the second time as the first: an edit of a large graph moves nothing.
        let again = layout(&model, Some(&scene));
        assert!(scene.tiles.iter().zip(&again.tiles).all(|(a, b)| a.rect == b.rect));
        scene.minimap(Size::new(24, 6), Rect::new(0, 0, 80, 24));
    }
}

#[test]
fn five_hundred_nodes_keep_the_promises() {
    let model = layered(500, 1000);
    check(&model, &layout(&model, None));
}

#[test]
fn a_chain_of_five_thousand_with_wires_across() {
    let mut model = Model::default();
    for at in 0..5000 {
        model.nodes.push(node(&format!("n{at}"), 2, 1));
        if at > 0 {
            model.wires.push(wire((at - 1, 0), (at, 0)));
            model.wires.push(wire((at / 2, 0), (at, 1)));
        }
    }
    model.wires.push(wire((4999, 0), (0, 0)));
    let scene = layout(&model, None);
    assert_eq!(scene.columns(), 5000);
    let far = scene.loose.iter().filter(|loose| loose.kind == LooseKind::Far).count();
    let circle = scene
        .loose
        .iter()
        .filter(|loose| loose.kind == LooseKind::Circle)
        .count();
    assert_eq!(circle, 1);
    assert!(far > 0 && far < 5000, "{far} wires that pass too many columns");
}

#[test]
fn five_thousand_nodes_without_a_wire_and_one_with_all() {
    let mut model = Model::default();
    for at in 0..5000 {
        model.nodes.push(node(&format!("n{at}"), 1, 1));
    }
    assert_eq!(layout(&model, None).columns(), 1);
    for at in 1..5000 {
        model.wires.push(wire((0, 0), (at, 0)));
    }
    let scene = layout(&model, None);
    assert_eq!((scene.columns(), scene.nets.len()), (2, 1));
}
