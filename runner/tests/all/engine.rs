//! What executes, what does not, and what happens when things go wrong.

use crate::bench::{Bench, TRIP};
use protocol::Event;
use runner::plan::Forecast;
use runner::reading::Unwatched;
use runner::resolve::Steps;
use std::fs;
use std::path::Path;
use std::sync::Arc;

#[test]
fn a_second_run_executes_nothing_and_loads_nothing() {
    let bench = Bench::new();
    let first = bench.run(TRIP);
    assert_eq!(first.started(), ["goal", "note", "trip"]);
    assert_eq!(first.loaded(), ["car", "fast"]);
    assert_eq!(
        fs::read_to_string(bench.path("out/trip.txt")).unwrap(),
        "car+turbo to sea"
    );
    let second = bench.run(TRIP);
    assert_eq!((second.started().len(), second.loaded().len()), (0, 0));
    assert_eq!(second.summary.cached, 5);
}

#[test]
fn a_changed_parameter_runs_only_what_stands_below_it() {
    let bench = Bench::new();
    bench.run(TRIP);
    let changed = bench.run(&TRIP.replace("\"sea\"", "\"hills\""));
    assert_eq!(changed.started(), ["goal", "note", "trip"]);
    assert_eq!(
        changed.loaded(),
        ["car", "fast"],
        "the model is needed, so it is loaded, not executed"
    );
    let tuned = bench.run(&TRIP.replace("turbo", "wings"));
    assert_eq!(tuned.started(), ["note", "trip"]);
    assert_eq!(
        bench.run(TRIP).started(),
        ["note"],
        "the first results are still there; only the file is another"
    );
}

#[test]
fn a_missing_or_changed_file_is_written_again_from_the_store() {
    let bench = Bench::new();
    bench.run(TRIP);
    let file = bench.path("out/trip.txt");
    for damage in [
        |f: &Path| fs::remove_file(f).unwrap(),
        |f: &Path| fs::write(f, "scribble").unwrap(),
    ] {
        damage(&file);
        let again = bench.run(TRIP);
        assert_eq!((again.started(), again.loaded().len()), (vec!["note"], 0));
        assert_eq!(fs::read_to_string(&file).unwrap(), "car+turbo to sea");
    }
    let kept = fs::read_to_string(bench.path("out/trip.kept-1.txt")).unwrap();
    assert_eq!(kept, "scribble", "what somebody wrote there is not lost");
    // The store's own list of the files may be damaged too.
    fs::remove_file(&file).unwrap();
    let lists = walk(&bench.path("store/values"))
        .into_iter()
        .filter(|f| fs::read(f).unwrap().starts_with(b"{\"items\""));
    lists.for_each(|list| fs::write(list, "{}").unwrap());
    assert_eq!(bench.run(TRIP).started(), ["note"]);
    assert!(file.exists());
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
        .collect()
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error_and_nothing_is_kept() {
    let bench = Bench::new();
    fs::write(bench.path("in.txt"), "one").unwrap();
    let nodes = r#""w": { "type": "t/write_back", "params": { "path": "in.txt" } }"#;
    let ran = bench.run(nodes);
    assert!(
        ran.failure().contains("in.txt was changed while the graph ran"),
        "{}",
        ran.failure()
    );
    assert_eq!(bench.run(nodes).summary.cached, 0);
}

#[test]
fn equal_work_is_done_once() {
    let bench = Bench::new();
    let node = |id: &str| format!(r#""{id}": {{ "type": "t/slow", "params": {{ "value": "x" }} }}"#);
    let ran = bench.run(&[node("a"), node("b"), node("c")].join(","));
    assert_eq!((ran.summary.executed, ran.summary.cached), (1, 2));
    // Two processes are like two runs at once.
    let both = std::thread::scope(|scope| {
        let run = || bench.run(&node("a").replace("\"x\"", "\"y\""));
        let (one, two) = (scope.spawn(run), scope.spawn(run));
        [one.join().unwrap(), two.join().unwrap()]
    });
    assert_eq!(both.iter().map(|ran| ran.summary.executed).sum::<usize>(), 1);
}

#[test]
fn files_of_others_are_not_written_over() {
    let bench = Bench::new();
    fs::create_dir(bench.path("out")).unwrap();
    fs::write(bench.path("out/trip.txt"), "my diary").unwrap();
    let ran = bench.run(TRIP);
    assert!(
        ran.failure().contains("trip.txt exists and was not written by para"),
        "{}",
        ran.failure()
    );
    assert_eq!(fs::read_to_string(bench.path("out/trip.txt")).unwrap(), "my diary");
    let twice = format!(
        r#"{}, "again": {{ "type": "t/save", "inputs": {{ "text": "goal.out" }}, "params": {{ "path": "out/two.txt" }} }},
        "third": {{ "type": "t/save", "inputs": {{ "text": "trip.out" }}, "params": {{ "path": "out/two.txt" }} }}"#,
        TRIP.replace("out/trip", "out/x")
    );
    let ran = bench.run(&twice);
    assert!(ran.failure().contains("also written by node"), "{}", ran.failure());
    let again = bench.run(&twice);
    assert_eq!(again.summary.failed, 1, "it fails every time: {:?}", again.events);
}

#[test]
fn failures_stop_descendants_and_not_siblings() {
    let bench = Bench::new();
    for (kind, expected) in [("fail", "no can do"), ("panic", "oh dear")] {
        let ran = bench.run(&format!(
            r#""bad": {{ "type": "t/trouble", "params": {{ "kind": "{kind}" }} }},
               "good": {{ "type": "t/text", "params": {{ "value": "{kind}" }} }},
               "both": {{ "type": "t/join", "inputs": {{ "parts": ["good.out", "bad.out"] }} }},
               "size": {{ "type": "t/length", "inputs": {{ "of": "both.out" }} }},
               "fine": {{ "type": "t/length", "inputs": {{ "of": "good.out" }} }}"#
        ));
        assert!(ran.failure().contains(expected), "{}", ran.failure());
        assert_eq!(ran.skipped(), ["both", "size"]);
        assert_eq!(ran.started(), ["bad", "fine", "good"]);
        assert_eq!((ran.summary.failed, ran.summary.executed), (1, 2));
    }
}

#[test]
fn a_model_that_cannot_be_loaded_is_an_error_even_when_nobody_uses_it() {
    let bench = Bench::new();
    let ran = bench.run(r#""m": { "type": "t/load", "params": { "name": "broken" } }"#);
    assert_eq!((ran.failure(), ran.summary.failed), ("no such model", 1));
}

#[test]
fn the_same_bytes_upstream_run_nothing_below() {
    let bench = Bench::new();
    let nodes = |a: &str, b: &str| {
        format!(
            r#""a": {{ "type": "t/text", "params": {{ "value": "{a}" }} }}, "b": {{ "type": "t/text", "params": {{ "value": "{b}" }} }},
               "ab": {{ "type": "t/join", "inputs": {{ "parts": ["a.out", "b.out"] }}, "params": {{ "with": "" }} }},
               "n": {{ "type": "t/length", "inputs": {{ "of": "ab.out" }} }}"#
        )
    };
    bench.run(&nodes("x", "yz"));
    assert_eq!(
        bench.run(&nodes("xy", "z")).started(),
        ["a", "ab", "b"],
        "`n` sees the same text"
    );
}

#[test]
fn files_count_by_content() {
    let bench = Bench::new();
    let nodes = r#""r": { "type": "t/read", "params": { "path": "in.txt" } }, "n": { "type": "t/length", "inputs": { "of": "r.out" } }"#;
    fs::write(bench.path("in.txt"), "one").unwrap();
    assert_eq!(bench.run(nodes).started(), ["n", "r"]);
    fs::write(bench.path("in.txt"), "one").unwrap();
    assert_eq!(bench.run(nodes).started().len(), 0, "touched");
    fs::write(bench.path("in.txt"), "three").unwrap();
    assert_eq!(bench.run(nodes).started(), ["n", "r"]);
    fs::rename(bench.path("in.txt"), bench.path("other.txt")).unwrap();
    assert_eq!(
        bench.run(&nodes.replace("in.txt", "other.txt")).started().len(),
        0,
        "another name, the same bytes"
    );
}

#[test]
fn damaged_results_are_made_again() {
    let bench = Bench::new();
    // Larger than what is kept together with others.
    let hello = "hello".repeat(1000);
    let nodes = |with: &str| {
        format!(
            r#""a": {{ "type": "t/text", "params": {{ "value": "{hello}" }} }},
               "j": {{ "type": "t/join", "inputs": {{ "parts": ["a.out"] }}, "params": {{ "with": "{with}" }} }},
               "n": {{ "type": "t/length", "inputs": {{ "of": "j.out" }} }}"#
        )
    };
    bench.run(&nodes("-"));
    let content = blake3::hash(hello.as_bytes()).to_hex().to_string();
    let file = bench.path("store/values").join(&content[..2]).join(&content);
    fs::write(&file, hello.replacen('o', "x", 1)).unwrap();
    let again = bench.run(&nodes("+"));
    assert_eq!(again.summary.failed, 0);
    assert!(again.started().contains(&"a"), "{:?}", again.started());
    assert_eq!(fs::read_to_string(&file).unwrap(), hello);
}

#[test]
fn cancelling_keeps_what_was_finished() {
    let bench = Bench::new();
    let nodes = |kind: &str| {
        format!(
            r#""a": {{ "type": "t/text", "params": {{ "value": "hello" }} }},
               "w": {{ "type": "t/trouble", "inputs": {{ "after": "a.out" }}, "params": {{ "kind": "{kind}" }} }},
               "n": {{ "type": "t/length", "inputs": {{ "of": "w.out" }} }}"#
        )
    };
    bench.run_with(&nodes("wait"), &["a"], false, None);
    // The flag is set as soon as a node starts: the first to start is `w`, which waits for it.
    let ran = bench.run_with(&nodes("wait"), &[], false, Some(Arc::default()));
    assert!(ran.summary.cancelled && ran.summary.failed == 0, "{:?}", ran.summary);
    assert_eq!((ran.started(), ran.skipped()), (vec!["w"], vec!["n", "w"]));
}

#[test]
fn plans_say_what_will_happen() {
    let bench = Bench::new();
    let by_node = |nodes: &str| bench.plan(nodes);
    let first = by_node(TRIP);
    let of = |plan: &[(String, Forecast)], id: &str| plan.iter().find(|(node, _)| node == id).unwrap().1.clone();
    assert_eq!(of(&first, "car"), Forecast::Load);
    assert!(matches!(of(&first, "goal"), Forecast::Miss(_)));
    assert_eq!(of(&first, "note"), Forecast::DependsOn("goal".into()));
    bench.run(TRIP);
    let second = by_node(TRIP);
    assert_eq!(of(&second, "car"), Forecast::NotNeeded);
    assert!(
        second
            .iter()
            .all(|(_, f)| matches!(f, Forecast::Hit | Forecast::NotNeeded)),
        "{second:?}"
    );
    let tuned = by_node(&TRIP.replace("turbo", "wings"));
    assert_eq!((of(&tuned, "car"), of(&tuned, "goal")), (Forecast::Load, Forecast::Hit));
    assert!(matches!(of(&tuned, "trip"), Forecast::Miss(_)));
    fs::remove_file(bench.path("out/trip.txt")).unwrap();
    assert!(matches!(of(&by_node(TRIP), "note"), Forecast::Miss(why) if why.ends_with("is missing")));
}

#[test]
fn fresh_and_targets() {
    let bench = Bench::new();
    bench.run(TRIP);
    assert_eq!(bench.run_with(TRIP, &["trip"], true, None).started(), ["goal", "trip"]);
    assert_eq!(bench.run_with(TRIP, &["goal"], false, None).summary.cached, 1);
}

#[test]
fn events_come_in_the_order_of_what_they_tell() {
    let bench = Bench::new();
    for again in [false, true] {
        let events = bench.run(TRIP).events;
        let at = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted).unwrap();
        let begun = |id: &str| at(&|event| matches!(event, Event::Started { node, .. } if node == id));
        let ended = |id: &str| {
            at(&|event| match event {
                Event::Done { node, .. } | Event::Cached { node, .. } | Event::Loaded { node, .. } => node == id,
                _ => false,
            })
        };
        assert!(matches!(events[0], Event::RunStarted { nodes: 5 }));
        assert!(matches!(events[events.len() - 1], Event::RunFinished { .. }));
        for (above, below) in [("car", "fast"), ("fast", "trip"), ("goal", "trip"), ("trip", "note")] {
            assert!(ended(above) < ended(below), "{events:?}");
            if !again && below != "fast" {
                assert!(ended(above) < begun(below) && begun(below) < ended(below), "{events:?}");
            }
        }
    }
    // What a node tells lies between its beginning and its end.
    let events = bench
        .run(r#""a": { "type": "t/study", "params": { "steps": 20 } }"#)
        .events;
    let words = events.iter().map(|event| match event {
        Event::RunStarted { .. } | Event::RunFinished { .. } => "run",
        Event::Started { .. } => "started",
        Event::Progress { .. } => "progress",
        Event::Done { .. } => "done",
        other => panic!("{other:?}"),
    });
    let mut words: Vec<&str> = words.collect();
    words.dedup();
    assert_eq!(words, ["run", "started", "progress", "done", "run"]);
}

#[test]
fn missing_files_are_named_together() {
    let bench = Bench::new();
    fs::write(bench.path("in.txt"), "x").unwrap();
    let session = bench.session();
    let text = r#"{"paragraph": 1, "nodes": {"a": {"type": "t/read", "params": {"path": "im.txt"}}, "b": {"type": "t/read", "params": {"path": "no/where"}}}}"#;
    let (document, _) = graph::parse(text);
    let checked = graph::check(&document, session.registry.catalog()).unwrap();
    let failure = Steps::new(&session, &checked, bench.folder.path(), &[], false, &Unwatched)
        .err()
        .unwrap();
    let lines: Vec<&str> = failure.message.lines().collect();
    assert_eq!(lines.len(), 2, "{failure}");
    assert!(
        lines[0].contains("`a`") && lines[0].contains("did you mean in.txt?"),
        "{failure}"
    );
    assert_eq!(failure.kind.exit_code(), 1);
}

#[test]
fn chains_and_fans_of_100_000_steps_do_not_recurse() {
    type From = fn(usize) -> usize;
    const NODES: usize = 100_000;
    // No two of them do the same work, and all give the same text.
    let graph = |from: From| {
        let mut nodes = r#""n0": { "type": "t/text", "params": { "value": "x" } }"#.to_owned();
        for i in 1..NODES {
            nodes.push_str(&format!(
                ",\n\"n{i}\":{{\"type\":\"t/join\",\"inputs\":{{\"parts\":\"n{}.out\"}},\"params\":{{\"with\":\"{i}\"}}}}",
                from(i)
            ));
        }
        nodes
    };
    for from in [|i| i - 1, |_| 0] as [From; 2] {
        let (bench, nodes) = (Bench::new(), graph(from));
        let work = || [bench.run(&nodes), bench.run(&nodes)].map(|ran| (ran.summary.executed, ran.summary.cached));
        let ran = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(256 << 10);
            thread.spawn_scoped(scope, work).unwrap().join().unwrap()
        });
        assert_eq!(ran, [(NODES, 0), (0, NODES)]);
    }
}

#[test]
fn deep_graphs_do_not_recurse() {
    let bench = Bench::new();
    let mut nodes = r#""n0": { "type": "t/load", "params": { "name": "m" } }"#.to_owned();
    for i in 1..3000 {
        nodes.push_str(&format!(
            r#", "n{i}": {{ "type": "t/tune", "inputs": {{ "engine": "n{}.out" }}, "params": {{ "by": "x" }} }}"#,
            i - 1
        ));
    }
    let ran = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 << 10);
        thread
            .spawn_scoped(scope, || bench.run(&nodes))
            .unwrap()
            .join()
            .unwrap()
    });
    assert_eq!(ran.summary.loaded, 3000);
}

#[test]
fn independent_branches_run_at_once() {
    let bench = Bench::new();
    // Each waits until the other has begun: one after the other would never end.
    let node = |id: &str| format!(r#""{id}": {{ "type": "t/meet", "params": {{ "name": "{id}" }} }}"#);
    let ran = bench.run(&[node("a"), node("b")].join(","));
    assert_eq!((ran.summary.executed, ran.summary.failed), (2, 0), "{:?}", ran.events);
}

#[test]
fn targets_run_what_they_need_and_nothing_else() {
    let bench = Bench::new();
    // A saver in the middle, needed by nobody; a second one below another branch.
    let nodes = format!(
        r#"{TRIP}, "other": {{ "type": "t/length", "inputs": {{ "of": "trip.out" }} }},
           "copy": {{ "type": "t/save", "inputs": {{ "text": "trip.out" }}, "params": {{ "path": "out/copy.txt" }} }}"#
    );
    let ran = bench.run_with(&nodes, &["copy"], false, None);
    assert_eq!(ran.started(), ["copy", "goal", "trip"]);
    assert!(!bench.path("out/trip.txt").exists());
    let ran = bench.run_with(&nodes, &["copy", "note"], false, None);
    assert_eq!(ran.started(), ["note"], "one value feeds both savers");
    let read = |name: &str| fs::read(bench.path(name)).unwrap();
    assert_eq!(read("out/trip.txt"), read("out/copy.txt"));
}

#[test]
fn many_quick_steps_survive_a_restart_together() {
    let bench = Bench::new();
    let mut nodes = r#""n0": { "type": "t/text", "params": { "value": "x" } }"#.to_owned();
    for i in 1..500 {
        nodes.push_str(&format!(
            r#", "n{i}": {{ "type": "t/join", "inputs": {{ "parts": ["n{}.out", "n0.out"] }}, "params": {{ "with": "" }} }}"#,
            i - 1
        ));
    }
    assert_eq!(bench.run(&nodes).summary.executed, 500);
    assert_eq!(bench.run(&nodes).summary.cached, 500);
    let changed = bench.run(&nodes.replace(r#""value": "x""#, r#""value": "y""#));
    assert_eq!(changed.summary.executed, 500);
    let files = walk(&bench.path("store/quick"));
    assert!(
        (1..=2).contains(&files.len()),
        "one file for each run that made some: {files:?}"
    );
}
