//! Size: no recursion, no quadratic work. Every test runs on a stack of 256 kB.

use crate::support::catalog;
use graph::{Checked, Diagnostic, check, parse};
use std::fmt::Write;
use std::time::{Duration, Instant};

const NODES: usize = 100_000;

/// Far above what linear work takes (under a second), far below what quadratic work takes (hours).
const LIMIT: Duration = Duration::from_secs(60);

fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap()
}

/// Nodes `n0`, `n1`, …, each with the sources that `inputs` gives, on as many lines as there are nodes or on one.
fn graph(inputs: impl Fn(usize) -> Vec<usize>, separator: &str) -> String {
    let mut text = String::from("{\"paragraph\":1,\"nodes\":{");
    for at in 0..NODES {
        let links: Vec<String> = inputs(at).iter().map(|from| format!("\"n{from}.out\"")).collect();
        let comma = if at > 0 { "," } else { "" };
        write!(
            text,
            "{comma}{separator}\"n{at}\":{{\"type\":\"test/pass\",\"inputs\":{{\"in\":[{}]}}}}",
            links.join(",")
        )
        .unwrap();
    }
    text + "}}"
}

fn run(text: String) -> Result<Checked, Vec<Diagnostic>> {
    on_a_small_stack(move || {
        let start = Instant::now();
        let (document, _) = parse(&text);
        let result = check(&document, &catalog());
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
        result
    })
}

#[test]
fn a_chain_written_backwards() {
    let checked = run(graph(|at| if at + 1 < NODES { vec![at + 1] } else { vec![] }, "\n")).unwrap();
    assert!(checked.order.iter().copied().eq((0..NODES).rev()));
    on_a_small_stack(move || {
        assert!(checked.needed(&[0]).iter().all(|&up| up));
        assert_eq!(checked.consumers()[NODES - 1], [NODES - 2]);
    });
}

#[test]
fn fan_out_and_fan_in() {
    let last = NODES - 1;
    let checked = run(graph(
        |at| {
            if at == 0 {
                vec![]
            } else if at == last {
                (0..last).collect()
            } else {
                vec![0]
            }
        },
        "\n",
    ))
    .unwrap();
    assert_eq!(checked.nodes[last].inputs[0].links.len(), last);
    assert_eq!(checked.consumers()[0].len(), last);
    assert_eq!(checked.order.last(), Some(&last));
}

#[test]
fn one_circle_of_all_nodes_on_one_line() {
    let wrong = run(graph(|at| vec![(at + 1) % NODES], "")).unwrap_err();
    assert_eq!(wrong.len(), 1);
    assert_eq!((wrong[0].code, wrong[0].line), ("G029", 1));
    assert!(
        wrong[0].message.ends_with("→ (99987 more) → n0"),
        "{}",
        wrong[0].message
    );
}

#[test]
fn a_fault_in_every_node() {
    let wrong = run(graph(|at| vec![at + NODES], "")).unwrap_err();
    assert_eq!(wrong.len(), NODES);
    assert!(wrong.iter().all(|d| d.code == "G023"));
    let wrong = run(graph(|at| vec![at], "\n").replace("test/pass", "tset/pass")).unwrap_err();
    assert_eq!(wrong.len(), 2 * NODES);
    assert_eq!(wrong[2 * NODES - 1].line, NODES + 1);
    let mut list = String::from("{\"paragraph\":1,\"nodes\":{\"a\":{\"type\":\"test/pass\",\"inputs\":{\"in\":[0");
    list.push_str(&",0".repeat(NODES));
    list.push_str("]},\"params\":{\"p\":0");
    (0..NODES).for_each(|at| write!(list, ",\"p{at}\":0").unwrap());
    let wrong = run(list + "}}}}").unwrap_err();
    assert_eq!(wrong.len(), 2 * (NODES + 1));
}

#[test]
fn deep_texts() {
    for text in [
        "[".repeat(1_000_000),
        "{\"a\":".repeat(1_000_000),
        format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000)),
    ] {
        assert!(run(text).is_err());
    }
    let deep = format!(
        "{{\"paragraph\":1,\"nodes\":{{\"a\":{{\"type\":\"test/pass\"}}}},\"layout\":{}{}}}",
        "[".repeat(1_000_000),
        "]".repeat(1_000_000)
    );
    let kept = on_a_small_stack(move || {
        let (mut document, _) = parse(&deep);
        document
            .set_top("title", "x")
            .map(|()| document.canonical().contains(&"[".repeat(1000)))
    });
    assert_eq!(kept, Ok(true), "a deep value that means nothing is kept");
}
