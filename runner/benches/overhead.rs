//! What the engine itself costs: chains and fans of nodes that do nothing, first with an empty store, then with a full
//! one, from the text of the graph to the summary of the run.
//!
//! `cargo bench --workspace --bench overhead`; criterion prints nodes a second, of which 100,000 are 10 µs a node.
#![allow(missing_docs, reason = "criterion writes its functions without")]
#![allow(clippy::unwrap_used, reason = "a program of its own")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use protocol::Event;
use runner::execute::{Control, Sink, execute};
use runner::host::Registry;
use runner::plan::plan;
use runner::provenance::Provenance;
use runner::reading::Unwatched;
use runner::resolve::{Session, Steps};
use runner::store::Store;
use sdk::prelude::*;
use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

/// Passes a number on.
#[node("bench/pass")]
fn pass(from: Option<&f64>, add: f64) -> Result<f64> {
    Ok(from.copied().unwrap_or(0.0) + add)
}

struct Nobody;

impl Sink for Nobody {
    fn event(&self, _: Event) {}
}

/// Which node the node at a place takes from.
type From = fn(usize) -> usize;

/// Nodes `n0`, `n1`, …, no two of which do the same work; each takes from the node that `from` says.
fn graph(nodes: usize, from: From) -> String {
    let mut text = String::from("{\"paragraph\":1,\"nodes\":{\"n0\":{\"type\":\"bench/pass\",\"params\":{\"add\":0}}");
    for at in 1..nodes {
        let from = from(at);
        write!(
            text,
            ",\n\"n{at}\":{{\"type\":\"bench/pass\",\"inputs\":{{\"from\":\"n{from}.out\"}},\"params\":{{\"add\":{at}}}}}"
        )
        .unwrap();
    }
    text + "}}"
}

/// Opens a store, reads and checks the graph, and does something with its steps.
fn steps<R>(text: &str, folder: &Path, work: impl FnOnce(&Steps<'_>) -> R) -> R {
    let registry = Registry::of_nodes(vec![Registry::node::<Pass>()]).unwrap();
    let session = Session::new(registry, Store::open(folder).unwrap());
    let (document, _) = graph::parse(text);
    let checked = graph::check(&document, session.registry.catalog()).unwrap();
    work(&Steps::new(&session, &checked, folder, &[], false, &Unwatched).unwrap())
}

/// Runs a graph; gives back how many nodes executed.
fn run(text: &str, folder: &Path) -> usize {
    steps(text, folder, |steps| {
        let control = Control::new(Arc::new(Nobody));
        let summary = execute(steps, &Provenance::new(text, folder), &control).unwrap();
        assert_eq!(summary.executed + summary.cached, steps.checked.nodes.len());
        summary.executed
    })
}

fn bench(c: &mut Criterion) {
    // As `para` does.
    sdk::process::prepare();
    let shapes: [(&str, From); 2] = [("chain", |at| at - 1), ("fan-out", |_| 0)];
    for (shape, from) in shapes {
        let mut group = c.benchmark_group(shape);
        group.sample_size(10);
        for nodes in [10_000, 100_000] {
            let text = graph(nodes, from);
            group.throughput(Throughput::Elements(nodes as u64));
            let full = tempfile::tempdir().unwrap();
            assert_eq!(run(&text, full.path()), nodes);
            group.bench_function(BenchmarkId::new("read and check", nodes), |b| {
                b.iter(|| steps(&text, full.path(), |steps| black_box(steps.wanted.len())));
            });
            group.bench_function(BenchmarkId::new("plan, all stored", nodes), |b| {
                b.iter(|| steps(&text, full.path(), |steps| black_box(plan(steps).len())));
            });
            group.bench_function(BenchmarkId::new("run, nothing stored", nodes), |b| {
                b.iter_batched(
                    || tempfile::tempdir().unwrap(),
                    |folder| {
                        run(&text, folder.path());
                        folder
                    },
                    BatchSize::PerIteration,
                );
            });
            group.bench_function(BenchmarkId::new("run, all stored", nodes), |b| {
                b.iter(|| assert_eq!(run(&text, full.path()), 0));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
