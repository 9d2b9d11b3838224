//! What the engine itself costs: graphs of nodes that do nothing, first with an empty store, then with a full one.
//!
//! `cargo bench --workspace --bench overhead`; results are kept in `docs/performance-engine.md`. No peer reports confidence intervals for this, and one
//! run of the largest graph takes a second, so the median of five stands in place of criterion's statistics.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a program of its own"
)]

use protocol::Event;
use runner::execute::{Control, Sink, execute};
use runner::host::Registry;
use runner::provenance::Provenance;
use runner::resolve::{Session, Steps};
use runner::store::Store;
use sdk::prelude::*;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Passes a number on.
#[node("bench/pass")]
fn pass(from: Vec<&f64>, value: Option<f64>) -> Result<f64> {
    Ok(value.unwrap_or_else(|| from.iter().copied().copied().fold(0.0, f64::max) + 1.0))
}

struct Nobody;

impl Sink for Nobody {
    fn event(&self, _: Event) {}
}

/// `n0` gives a number; every other node takes it from the one that `from` says.
fn graph(nodes: usize, from: impl Fn(usize) -> usize) -> String {
    let mut text =
        String::from(r#"{"paragraph":1,"nodes":{"n0":{"type":"bench/pass","inputs":{"from":[]},"params":{"value":1}}"#);
    for at in 1..nodes {
        write!(
            text,
            ",\"n{at}\":{{\"type\":\"bench/pass\",\"inputs\":{{\"from\":[\"n{}.out\"]}}}}",
            from(at)
        )
        .unwrap();
    }
    text + "}}"
}

/// Time from text to results, and of parsing and checking alone.
fn run(text: &str, folder: &std::path::Path) -> (Duration, Duration) {
    let begun = Instant::now();
    let registry = Registry::of_nodes(vec![Registry::node::<Pass>()]).unwrap();
    let session = Session::new(registry, Store::open(folder).unwrap());
    let (document, _) = graph::parse(text);
    let checked = graph::check(&document, session.registry.catalog()).unwrap();
    let read = begun.elapsed();
    let steps = Steps::new(&session, &checked, folder, &[], false).unwrap();
    let summary = execute(&steps, &Provenance::new(text, folder), &Control::new(Arc::new(Nobody))).unwrap();
    assert_eq!(summary.executed + summary.cached, checked.nodes.len());
    (begun.elapsed(), read)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    println!("| graph | nodes | first run | again | of it reading and checking |");
    println!("|---|---|---|---|---|");
    type From = fn(usize) -> usize;
    let shapes: [(&str, From); 2] = [("chain", |at| at - 1), ("fan-out", |_| 0)];
    for (name, from) in shapes {
        for nodes in [1_000, 10_000, 100_000] {
            let text = graph(nodes, from);
            let (mut first, mut again, mut read) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..5 {
                let folder = tempfile::tempdir().unwrap();
                let each = |time: Duration| time.as_secs_f64() * 1e6 / nodes as f64;
                first.push(each(run(&text, folder.path()).0));
                let (all, reading) = run(&text, folder.path());
                again.push(each(all));
                read.push(each(reading));
            }
            println!(
                "| {name} | {nodes} | {:.1} µs a node | {:.1} µs a node | {:.1} µs a node |",
                median(first),
                median(again),
                median(read)
            );
        }
    }
}
