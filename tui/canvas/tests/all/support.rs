//! Graphs to lay out, and what must be true of the result.

use canvas::{Arms, Group, Item, Level, LooseKind, Model, Node, Note, Pin, Point, PortRef, Scene, Size, Wire};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

pub(crate) fn port(node: usize, port: usize) -> PortRef {
    PortRef { node, port }
}

pub(crate) fn wire(from: (usize, usize), to: (usize, usize)) -> Wire {
    Wire {
        from: port(from.0, from.1),
        to: port(to.0, to.1),
    }
}

pub(crate) fn node(id: &str, inputs: usize, outputs: usize) -> Node {
    let names = |n: usize, letter: &str| (0..n).map(|at| format!("{letter}{at}").into()).collect();
    Node {
        id: id.into(),
        kind: "some/kind".into(),
        inputs: names(inputs, "in"),
        outputs: names(outputs, "out"),
        body: Size::new(10, 2),
        ..Node::default()
    }
}

/// A graph of layers as people draw them, without circles.
pub(crate) fn layered(nodes: usize, wires: usize) -> Model {
    let mut model = Model::default();
    for at in 0..nodes {
        model.nodes.push(node(&format!("node_{at}"), 4, 2));
    }
    // A generator of its own: the graph must never change.
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut used = HashSet::new();
    while model.wires.len() < wires {
        let to = 1 + random(nodes - 1);
        let from = to - 1 - random(to.min(40));
        let input = random(4);
        if used.insert((to, input)) {
            model.wires.push(wire((from, random(2)), (to, input)));
        }
        if used.len() == 4 * (nodes - 1) {
            break;
        }
    }
    model
}

/// Takes the first nodes of a graph away, with the wires at them.
pub(crate) fn take_first(model: &mut Model, count: usize) {
    let count = count.min(model.nodes.len());
    model.nodes.drain(..count);
    let gone = |wire: &Wire| wire.from.node < count || wire.to.node < count;
    model.wires.retain(|wire| !gone(wire));
    number_anew(model, |node| node.checked_sub(count));
}

/// The same graph with its nodes in the opposite order.
pub(crate) fn turn(model: &mut Model) {
    let count = model.nodes.len();
    model.nodes.reverse();
    // Ends that point nowhere go on doing so.
    number_anew(model, |node| Some(if node < count { count - 1 - node } else { node }));
}

fn number_anew(model: &mut Model, number: impl Fn(usize) -> Option<usize>) {
    let ends = model.wires.iter_mut().flat_map(|wire| [&mut wire.from, &mut wire.to]);
    for end in ends {
        end.node = number(end.node).unwrap_or(usize::MAX);
    }
    for note in &mut model.notes {
        note.beside = note.beside.and_then(&number);
    }
}

fn level() -> impl Strategy<Value = Level> {
    prop::sample::select(vec![Level::Map, Level::Compact, Level::Normal, Level::Detail])
}

fn pin() -> impl Strategy<Value = Pin> {
    let maybe = || prop_oneof![6 => Just(None), 1 => (0..6_u32).prop_map(Some)];
    (maybe(), maybe()).prop_map(|(column, slot)| Pin { column, slot })
}

/// Any graph: circles, loops, wires from nowhere, groups in circles, pins that contradict each other.
pub(crate) fn any_model(most: usize) -> impl Strategy<Value = Model> {
    let nodes = prop::collection::vec(
        (
            0..4_usize,
            0..4_usize,
            prop::option::weighted(0.2, level()),
            pin(),
            prop::option::weighted(0.3, 0..3_usize),
        ),
        0..most,
    );
    let groups = prop::collection::vec((prop::option::weighted(0.3, 0..3_usize), any::<bool>()), 3);
    let notes = prop::collection::vec((prop::option::of(0..most), pin()), 0..3);
    (level(), nodes, groups, notes).prop_flat_map(move |(level, nodes, groups, notes)| {
        let n = nodes.len().max(1) + 1;
        let ends = ((0..n, 0..4_usize), (0..n, 0..4_usize));
        prop::collection::vec(ends, 0..3 * most).prop_map(move |ends| {
            let mut model = Model {
                level,
                ..Model::default()
            };
            for (at, (inputs, outputs, level, pin, group)) in nodes.iter().enumerate() {
                let mut node = node(&format!("n{at}"), *inputs, *outputs);
                (node.level, node.pin, node.group) = (*level, *pin, *group);
                model.nodes.push(node);
            }
            model.wires = ends.into_iter().map(|(from, to)| wire(from, to)).collect();
            for (at, (parent, folded)) in groups.iter().enumerate() {
                model.groups.push(Group {
                    id: format!("g{at}"),
                    title: format!("group {at}"),
                    parent: *parent,
                    folded: *folded,
                    pin: Pin::default(),
                });
            }
            for (at, (beside, pin)) in notes.iter().enumerate() {
                model.notes.push(Note {
                    id: format!("t{at}"),
                    text: Size::new(12, 2),
                    beside: *beside,
                    pin: *pin,
                });
            }
            model
        })
    })
}

/// The cells of each net with their arms, from its segments alone.
fn cells(scene: &Scene) -> Vec<HashMap<Point, Arms>> {
    scene
        .nets
        .iter()
        .map(|net| {
            let mut cells: HashMap<Point, Arms> = HashMap::new();
            let mut add = |p: Point, arms: Arms| {
                let known = cells.entry(p).or_insert(Arms::NONE);
                *known = known.with(arms);
            };
            for line in &net.segments {
                let (back, on) = if line.is_horizontal() {
                    (Arms::LEFT, Arms::RIGHT)
                } else {
                    (Arms::UP, Arms::DOWN)
                };
                let mut p = line.from;
                loop {
                    if p != line.from {
                        add(p, back);
                    }
                    if p != line.to {
                        add(p, on);
                    } else {
                        add(p, Arms::NONE);
                        break;
                    }
                    if line.is_horizontal() { p.x += 1 } else { p.y += 1 }
                }
            }
            // Both ends of every wire go on into a tile.
            for wire in &net.wires {
                let path = scene.path(*wire).unwrap();
                add(path[0], Arms::LEFT);
                add(path[path.len() - 1], Arms::RIGHT);
            }
            cells
        })
        .collect()
}

/// All that is promised of every scene.
pub(crate) fn check(model: &Model, scene: &Scene) {
    for (at, a) in scene.tiles.iter().enumerate() {
        assert!(!a.rect.is_empty());
        for b in &scene.tiles[at + 1..] {
            assert!(!a.rect.touches(&b.rect), "{a:?} lies on {b:?}");
        }
        for port in &a.ports {
            assert!(a.rect.contains(port.at), "{port:?} is not on {a:?}");
        }
    }
    let nets = cells(scene);
    let mut owners: HashMap<Point, Vec<(usize, Arms)>> = HashMap::new();
    for (net, cells) in nets.iter().enumerate() {
        for (p, arms) in cells {
            owners.entry(*p).or_default().push((net, *arms));
        }
    }
    let drawn = scene.wires(scene.bounds);
    for (p, owners) in &owners {
        if let Some(tile) = scene.tiles.iter().find(|tile| tile.rect.contains(*p)) {
            panic!("a wire of {owners:?} at {p:?} is inside {tile:?}");
        }
        let shown = drawn.at(*p).unwrap();
        match owners.as_slice() {
            [(net, arms)] => assert_eq!((shown.net, shown.arms, shown.under), (*net, *arms, None)),
            [a, b] => {
                let (over, under) = if a.1 == Arms::ALONG { (a, b) } else { (b, a) };
                assert!(
                    over.1 == Arms::ALONG && under.1 == Arms::ACROSS,
                    "{a:?} and {b:?} share {p:?} and do not cross"
                );
                assert_eq!(
                    (shown.net, shown.arms, shown.under),
                    (over.0, Arms::ALONG, Some(under.0))
                );
            }
            _ => panic!("three nets at {p:?}: {owners:?}"),
        }
    }
    assert_eq!(drawn.iter().count(), owners.len());
    for (at, wire) in model.wires.iter().enumerate() {
        let loose = scene.loose.iter().any(|loose| loose.wire == at);
        let hidden = wire.from.node < model.nodes.len()
            && wire.to.node < model.nodes.len()
            && scene.tile_of_node(wire.from.node).unwrap().item == scene.tile_of_node(wire.to.node).unwrap().item;
        let Some(path) = scene.path(at) else {
            assert!(loose || hidden, "{wire:?} is neither drawn nor told about");
            continue;
        };
        assert!(!loose);
        let net = scene.net_of(at).unwrap();
        let start = Point::new(path[0].x - 1, path[0].y);
        let end = Point::new(path[path.len() - 1].x + 1, path[path.len() - 1].y);
        let (source, target) = (
            scene.tile_of_node(wire.from.node).unwrap(),
            scene.tile_of_node(wire.to.node).unwrap(),
        );
        assert!(
            source.outputs().any(|p| p.at == start && p.wired),
            "{wire:?} begins at {start:?}: {source:?}"
        );
        let there =
            |p: &canvas::PortAt| p.at == end && p.wired && (matches!(target.item, Item::Group(_)) || p.port == wire.to);
        assert!(target.inputs().any(there), "{wire:?} ends at {end:?}: {target:?}");
        for (a, b) in path.iter().zip(&path[1..]) {
            assert!(a.x == b.x || a.y == b.y);
            let (dx, dy) = ((b.x - a.x).signum(), (b.y - a.y).signum());
            assert!(dx >= 0, "{wire:?} runs back");
            let mut p = *a;
            loop {
                assert!(nets[net].contains_key(&p), "{wire:?} leaves its net at {p:?}");
                if p == *b {
                    break;
                }
                (p.x, p.y) = (p.x + dx, p.y + dy);
            }
        }
    }
    assert!(scene.loose.iter().all(|loose| loose.kind != LooseKind::Far));
}
