//! Layout of 500 nodes and 1000 wires, which has to be done in 8 ms; again after an edit; what a frame asks of a scene.
#![allow(missing_docs, reason = "criterion writes its functions without")]
#![allow(clippy::print_stdout, reason = "it tells what it measured")]

use canvas::{Level, Model, Node, PortRef, Rect, Size, Wire, layout};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A graph in layers, as people draw them: inputs come from some of the nodes just before.
fn layered(nodes: usize, wires: usize) -> Model {
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let names = |n: usize| (0..n).map(|at| format!("port{at}").into()).collect();
    let mut model = Model::default();
    for at in 0..nodes {
        model.nodes.push(Node {
            id: format!("node_{at}").into(),
            kind: "some/kind".into(),
            inputs: names(4),
            outputs: names(2),
            ..Node::default()
        });
    }
    for at in 0..wires {
        let to = 1 + random(nodes - 1);
        let from = to - 1 - random(to.min(40));
        model.wires.push(Wire {
            from: PortRef {
                node: from,
                port: at % 2,
            },
            to: PortRef { node: to, port: at % 4 },
        });
    }
    model
}

/// Any wires from earlier nodes to later ones, which nobody would draw.
fn random(nodes: usize, wires: usize) -> Model {
    let mut model = layered(nodes, 0);
    let mut state = 11_u64;
    let mut below = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    for at in 0..wires {
        let to = 1 + below(nodes - 1);
        let from = below(to);
        model.wires.push(Wire {
            from: PortRef {
                node: from,
                port: at % 2,
            },
            to: PortRef { node: to, port: at % 4 },
        });
    }
    model
}

/// Rows of ten nodes, each fed by two of the row before.
fn pipelines(nodes: usize) -> Model {
    let mut model = layered(nodes, 0);
    for to in 10..nodes {
        for shift in 0..2 {
            let from = to / 10 * 10 - 10 + (to + shift) % 10;
            model.wires.push(Wire {
                from: PortRef { node: from, port: 0 },
                to: PortRef { node: to, port: shift },
            });
        }
    }
    model
}

/// Quantiles of single times, since the slowest are what a hand feels.
fn quantiles(_: &mut Criterion) {
    for (what, model) in [
        ("layers", layered(500, 1000)),
        ("pipelines", pipelines(500)),
        ("any graph", random(500, 1000)),
    ] {
        let scene = layout(&model, None);
        let mut edited = model.clone();
        edited.wires.remove(edited.wires.len() / 2);
        for (how, model, before) in [("", &model, None), (", after an edit", &edited, Some(&scene))] {
            let mut times: Vec<Duration> = (0..500)
                .map(|_| {
                    let begun = Instant::now();
                    black_box(layout(black_box(model), before));
                    begun.elapsed()
                })
                .collect();
            times.sort();
            let at = |share: usize| times[(times.len() - 1) * share / 100];
            println!(
                "500 nodes, {} wires, {what}{how}: p50 {:.2?}   p95 {:.2?}   p99 {:.2?}",
                model.wires.len(),
                at(50),
                at(95),
                at(99)
            );
        }
    }
}

fn bench(c: &mut Criterion) {
    let mut model = layered(500, 1000);
    c.bench_function("layout of 500 nodes, 1000 wires", |b| {
        b.iter(|| layout(black_box(&model), None));
    });
    let scene = layout(&model, None);
    model.wires.push(Wire {
        from: PortRef { node: 100, port: 0 },
        to: PortRef { node: 120, port: 3 },
    });
    c.bench_function("layout of 500 nodes after an edit", |b| {
        b.iter(|| layout(black_box(&model), Some(&scene)));
    });
    let view = Rect::new(200, 50, 200, 60);
    c.bench_function("wires in a view of 200x60, 500 nodes", |b| {
        b.iter(|| scene.wires(black_box(view)));
    });
    c.bench_function("minimap of 500 nodes", |b| {
        b.iter(|| scene.minimap(Size::new(26, 6), black_box(view)));
    });
    let mut large = layered(5000, 10_000);
    large.level = Level::Compact;
    let scene = layout(&large, None);
    c.bench_function("wires in a view of 200x60, 5000 nodes", |b| {
        b.iter(|| scene.wires(black_box(view)));
    });
    let mut group = c.benchmark_group("large");
    group.sample_size(10);
    group.bench_function("layout of 5000 nodes, 10000 wires", |b| {
        b.iter(|| layout(black_box(&large), None));
    });
    group.finish();
}

criterion_group!(benches, quantiles, bench);
criterion_main!(benches);
