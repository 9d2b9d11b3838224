//! Conversations with a worker, in this process.

use crate::bench::{Bench, TRIP, registry};
use proptest::prelude::*;
use protocol::{Ask, Event, Forecast, Graph, Kind, Live, Message, Reply, Request, Run};
use runner::host::Places;
use runner::memory::Memory;
use runner::reload::Reloader;
use runner::resolve::Session;
use runner::worker::serve;
use std::io::{BufRead, pipe};
use std::io::{BufReader, PipeReader, PipeWriter, Write};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A worker on a bench's store, spoken to through pipes.
struct Worker {
    input: Option<PipeWriter>,
    output: BufReader<PipeReader>,
    thread: Option<JoinHandle<()>>,
    next: u64,
}

impl Worker {
    fn new(bench: &Bench) -> Self {
        let store = bench.session().store;
        let session = Session::with_memory(registry(), store, Memory::new(1 << 30, true));
        let (their_input, input) = pipe().unwrap();
        let (output, their_output) = pipe().unwrap();
        let reloader = Arc::new(Reloader::new(
            Places::default(),
            session.registry.clone(),
            session.store.clone(),
        ));
        let thread = std::thread::spawn(move || {
            serve(
                session,
                reloader,
                false,
                BufReader::new(their_input),
                Box::new(their_output),
            )
            .unwrap();
        });
        Self {
            input: Some(input),
            output: BufReader::new(output),
            thread: Some(thread),
            next: 0,
        }
    }

    fn line(&mut self, line: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line).and_then(|()| input.write_all(b"\n")).unwrap();
    }

    fn ask(&mut self, ask: Ask) -> u64 {
        self.next += 1;
        let request = Request { id: self.next, ask };
        self.line(serde_json::to_string(&request).unwrap().as_bytes());
        self.next
    }

    fn message(&mut self) -> Option<Message> {
        let mut line = String::new();
        match self.output.read_line(&mut line).unwrap() {
            0 => None,
            _ => Some(serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e} in {line}"))),
        }
    }

    /// All answers to a request up to the last; answers to others are dropped.
    fn answers(&mut self, id: u64) -> Vec<Reply> {
        let mut answers = Vec::new();
        loop {
            let message = self.message().unwrap();
            if message.id == Some(id) {
                answers.push(message.reply);
                if answers.last().unwrap().is_final() {
                    return answers;
                }
            }
        }
    }

    fn answer(&mut self, ask: Ask) -> Reply {
        let id = self.ask(ask);
        self.answers(id).pop().unwrap()
    }

    /// Waits for an event of a run.
    fn until(&mut self, id: u64, wanted: impl Fn(&Event) -> bool) {
        loop {
            let message = self.message().unwrap();
            assert!(message.id != Some(id) || !message.reply.is_final(), "{message:?}");
            if matches!(&message.reply, Reply::Event(event) if message.id == Some(id) && wanted(event)) {
                return;
            }
        }
    }

    /// Ends the input; gives what is still said.
    fn end(mut self) -> Vec<Message> {
        self.input = None;
        let rest: Vec<Message> = std::iter::from_fn(|| self.message()).collect();
        self.thread.take().unwrap().join().unwrap();
        rest
    }
}

fn graph(nodes: &str) -> Graph {
    Graph {
        text: format!(r#"{{"paragraph": 1, "nodes": {{{nodes}}}}}"#),
        ..Graph::default()
    }
}

/// A run of a graph whose files lie in the bench's folder.
fn run(bench: &Bench, nodes: &str) -> Ask {
    let path = Some(bench.path("g.json").to_string_lossy().into_owned());
    Ask::Run(Run {
        graph: Graph { path, ..graph(nodes) },
        targets: Vec::new(),
        fresh: false,
        previews: true,
    })
}

fn summary(replies: &[Reply]) -> &protocol::Summary {
    match replies.last() {
        Some(Reply::Ran { summary }) => summary,
        other => panic!("{other:?}"),
    }
}

const WAITS: &str = r#""w": { "type": "t/trouble", "params": { "kind": "wait" } }"#;

#[test]
fn a_worker_says_who_it_is_and_what_nodes_there_are() {
    let bench = Bench::new();
    let mut worker = Worker::new(&bench);
    let hello = worker.answer(Ask::Hello {
        version: protocol::VERSION,
    });
    assert!(
        matches!(hello, Reply::Hello { version: 1, memory, .. } if memory == 1 << 30),
        "{hello:?}"
    );
    let stranger = worker.answer(Ask::Hello { version: 99 });
    assert!(
        matches!(&stranger, Reply::Error(e) if e.message.contains("version 99")),
        "{stranger:?}"
    );
    let Reply::Catalogue { nodes, .. } = worker.answer(Ask::Catalogue) else {
        panic!("no catalogue")
    };
    let join = nodes.iter().find(|node| node.ty.name == "t/join").unwrap();
    assert!(join.ty.inputs[0].variadic && join.ty.params[0].default == Some(" ".into()) && join.plugin == "builtin");
    assert!(worker.end().is_empty());
}

#[test]
fn graphs_are_checked_planned_and_run() {
    let bench = Bench::new();
    let mut worker = Worker::new(&bench);
    let broken = graph(&TRIP.replace("t/drive", "t/drvie"));
    let Reply::Checked { ok, diagnostics } = worker.answer(Ask::Check { graph: broken.clone() }) else {
        panic!("no check")
    };
    let fix = diagnostics[0].fix.clone().unwrap();
    assert!(!ok && diagnostics[0].pointer == "/nodes/trip/type", "{diagnostics:?}");
    let mut mended = broken.clone();
    mended.text.replace_range(fix.span, &fix.text);
    assert_eq!(mended, graph(TRIP));
    let refused = worker.answer(Ask::Run(Run {
        graph: broken,
        targets: Vec::new(),
        fresh: false,
        previews: false,
    }));
    assert!(
        matches!(&refused, Reply::Error(e) if e.kind == Kind::Graph && e.diagnostics == diagnostics),
        "{refused:?}"
    );

    let first = worker.ask(run(&bench, TRIP));
    let replies = worker.answers(first);
    assert!(matches!(replies[0], Reply::Accepted { ahead: 0, .. }), "{replies:?}");
    assert!(matches!(replies[1], Reply::Event(Event::RunStarted { nodes: 5 })));
    assert_eq!((summary(&replies).executed, summary(&replies).loaded), (3, 2));
    assert_eq!(
        std::fs::read_to_string(bench.path("out/trip.txt")).unwrap(),
        "car+turbo to sea"
    );

    let plan = Ask::Plan {
        graph: Graph {
            path: Some(bench.path("g.json").to_string_lossy().into_owned()),
            set: vec!["goal.value=\"hills\"".into()],
            ..graph(TRIP)
        },
        targets: vec!["trip".into()],
    };
    let Reply::Planned { rows, .. } = worker.answer(plan) else {
        panic!("no plan")
    };
    let states: Vec<_> = rows.iter().map(|row| (row.node.as_str(), row.state)).collect();
    assert_eq!(
        states,
        [
            ("car", Forecast::Load),
            ("fast", Forecast::Load),
            ("goal", Forecast::Miss),
            ("trip", Forecast::DependsOn)
        ]
    );
    let second = worker.ask(run(&bench, TRIP));
    assert_eq!(summary(&worker.answers(second)).cached, 5);
    assert!(worker.end().is_empty());
}

#[test]
fn files_must_be_those_of_the_lock() {
    let bench = Bench::new();
    let mut worker = Worker::new(&bench);
    std::fs::write(bench.path("in.txt"), "theirs").unwrap();
    let nodes = r#""r": { "type": "t/read", "params": { "path": "in.txt" } }"#;
    let lock = |bytes: &str| {
        let hash = blake3::hash(bytes.as_bytes()).to_hex().to_string();
        let file = format!(r#"{{ "node": "r", "param": "path", "path": "in.txt", "blake3": "{hash}", "size": 4 }}"#);
        format!(r#"{{ "paragraph_lock": 1, "para": "0", "files": [{file}], "packs": [] }}"#)
    };
    let refused = |reply: &Reply| matches!(reply, Reply::Error(e) if e.kind == Kind::User && e.message.contains("r.path: in.txt is there with other bytes"));
    std::fs::write(bench.path("g.lock.json"), lock("ours")).unwrap();
    let reply = worker.answer(run(&bench, nodes));
    assert!(refused(&reply), "{reply:?}");
    // Said on purpose.
    let Ask::Run(mut meant) = run(&bench, nodes) else {
        panic!()
    };
    meant.graph.set = vec!["r.path=in.txt".into()];
    assert!(matches!(worker.answer(Ask::Run(meant)), Reply::Ran { .. }));
    std::fs::write(bench.path("g.lock.json"), lock("theirs")).unwrap();
    assert!(matches!(worker.answer(run(&bench, nodes)), Reply::Ran { .. }));
    std::fs::write(bench.path("g.lock.json"), "{").unwrap();
    let reply = worker.answer(run(&bench, nodes));
    assert!(
        matches!(&reply, Reply::Error(e) if e.message.contains("g.lock.json is damaged")),
        "{reply:?}"
    );
    // A graph that came from a picture has its lock inside.
    for (bytes, right) in [("ours", false), ("theirs", true)] {
        let mut inside = graph(nodes);
        let full = bench.path("in.txt").to_string_lossy().into_owned();
        let text = inside.text.replace("in.txt", &full);
        let made = format!(r#", "made": {{ "lock": {} }}}}"#, lock(bytes).replace("in.txt", &full));
        inside.text = text.strip_suffix('}').unwrap().to_owned() + &made;
        let reply = worker.answer(Ask::Run(Run {
            graph: inside,
            targets: Vec::new(),
            fresh: false,
            previews: false,
        }));
        assert_eq!(matches!(reply, Reply::Ran { .. }), right, "{reply:?}");
    }
    worker.end();
}

#[test]
fn models_stay_in_memory_from_run_to_run() {
    let bench = Bench::new();
    let mut worker = Worker::new(&bench);
    for (goal, makes) in [("sea", 1), ("hills", 1), ("town", 1)] {
        let id = worker.ask(run(
            &bench,
            &TRIP
                .replace("\"sea\"", &format!("\"{goal}\""))
                .replace("\"car\" }", "\"counted\" }"),
        ));
        assert_eq!(summary(&worker.answers(id)).failed, 0);
        assert_eq!(
            crate::bench::made("counted"),
            makes,
            "made in the first run, there in the others"
        );
    }
    worker.end();
}

#[test]
fn questions_are_answered_while_a_run_goes_on() {
    let bench = Bench::new();
    let mut worker = Worker::new(&bench);
    let id = worker.ask(run(&bench, WAITS));
    worker.until(id, |event| matches!(event, Event::Started { .. }));
    let graph = graph(TRIP);
    assert!(matches!(
        worker.answer(Ask::Check { graph: graph.clone() }),
        Reply::Checked { ok: true, .. }
    ));
    assert!(matches!(
        worker.answer(Ask::Plan { graph, targets: vec![] }),
        Reply::Planned { .. }
    ));
    assert!(matches!(worker.answer(Ask::Catalogue), Reply::Catalogue { .. }));
    let second = worker.ask(run(&bench, TRIP));
    loop {
        let message = worker.message().unwrap();
        if message.id == Some(second) {
            assert!(matches!(message.reply, Reply::Accepted { ahead: 1, .. }), "{message:?}");
            break;
        }
    }
    worker.line(format!(r#"{{"id":{id},"ask":"run","graph":{{"text":"{{}}"}}}}"#).as_bytes());
    let twice = worker.message().unwrap();
    assert!(
        matches!(&twice.reply, Reply::Error(e) if e.message.contains("not over yet")),
        "{twice:?}"
    );
    // The one that waits behind is stopped before it begins, then the first.
    let gone = worker.ask(Ask::Cancel {
        run: Some(77),
        now: false,
    });
    assert!(matches!(worker.answers(gone)[0], Reply::Error(_)));
    for run in [second, id] {
        worker.ask(Ask::Cancel {
            run: Some(run),
            now: false,
        });
    }
    let replies = worker.answers(id);
    assert!(
        summary(&replies).cancelled && summary(&replies).skipped == 1,
        "{replies:?}"
    );
    let replies = worker.answers(second);
    assert!(
        summary(&replies).cancelled && summary(&replies).executed == 0,
        "{replies:?}"
    );
    let third = worker.ask(run(&bench, TRIP));
    assert_eq!(summary(&worker.answers(third)).executed, 3, "the worker goes on");
    worker.end();
}

#[test]
fn the_end_of_the_input_stops_what_runs() {
    let bench = Bench::new();
    let mut worker = Worker::new(&bench);
    let id = worker.ask(run(&bench, WAITS));
    worker.until(id, |event| matches!(event, Event::Started { .. }));
    let rest = worker.end();
    let last = &rest.last().unwrap().reply;
    assert!(matches!(last, Reply::Ran { summary } if summary.cancelled), "{rest:?}");

    let mut worker = Worker::new(&bench);
    assert!(matches!(worker.answer(Ask::Quit), Reply::Noted { .. }));
    assert!(
        worker.message().is_none(),
        "nothing more is said, though the input is open"
    );
    worker.end();
}

#[test]
fn live_commands_reach_those_who_listen() {
    let bench = Bench::new();
    let mut worker = Worker::new(&bench);
    let ask = |command| Ask::Live {
        run: None,
        node: None,
        command,
    };
    let nobody = worker.answer(ask(Live::SampleNow));
    assert!(
        matches!(&nobody, Reply::Error(e) if e.message.contains("no node is training")),
        "{nobody:?}"
    );
    let study = |steps: u64| {
        format!(
            r#""s": {{ "type": "t/study", "params": {{ "steps": {steps}, "often": 1 }} }},
               "n": {{ "type": "t/length", "inputs": {{ "of": "s.out" }} }}"#
        )
    };
    let id = worker.ask(run(&bench, &study(1_000_000)));
    worker.until(id, |event| matches!(event, Event::Progress { .. }));
    let heard = worker.answer(ask(Live::SampleNow));
    assert_eq!(
        heard,
        Reply::Noted {
            nodes: vec!["s".into()]
        }
    );
    worker.until(
        id,
        |event| matches!(event, Event::Preview { picture, .. } if picture.png.0.starts_with(b"\x89PNG")),
    );
    worker.ask(ask(Live::StopAndKeep));
    let replies = worker.answers(id);
    assert_eq!(
        (summary(&replies).executed, summary(&replies).cancelled),
        (2, false),
        "what is below runs on"
    );
    let steps = replies.iter().find_map(|reply| match reply {
        Reply::Event(Event::Log { text, .. }) => text.strip_prefix("kept ")?.parse().ok(),
        _ => None,
    });
    let steps: u64 = steps.unwrap();
    // It is the result of so many steps, and of no more.
    let id = worker.ask(run(&bench, &study(steps).replace("\"often\": 1", "\"often\": 7")));
    assert_eq!(summary(&worker.answers(id)).cached, 2);
    let id = worker.ask(run(&bench, &study(steps + 1)));
    assert!(matches!(&worker.answers(id)[2], Reply::Event(Event::Started { node, .. }) if node == "s"));
    worker.end();
}

#[test]
fn files_and_pictures_are_shown() {
    let bench = Bench::new();
    let mut worker = Worker::new(&bench);
    let folder = bench.folder.path().to_string_lossy().into_owned();
    std::fs::create_dir(bench.path("sub")).unwrap();
    std::fs::write(bench.path("a.txt"), "hello").unwrap();
    let pixels = sdk::image::RgbImage::from_pixel(300, 100, sdk::image::Rgb([9, 8, 7]));
    pixels.save(bench.path("p.png")).unwrap();
    let Reply::Folder { entries, .. } = worker.answer(Ask::ListFolder { path: folder.clone() }) else {
        panic!("no folder")
    };
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["store", "sub", "a.txt", "p.png"], "folders first");
    let read = worker.answer(Ask::ReadFile {
        path: format!("{folder}/sub/../a.txt"),
        limit: Some(4),
    });
    assert!(
        matches!(&read, Reply::File { size: 5, bytes, .. } if bytes.0 == b"hell"),
        "{read:?}"
    );
    let picture = worker.answer(Ask::ReadPicture {
        path: format!("{folder}/p.png"),
        width: 60,
        height: 60,
    });
    assert!(
        matches!(&picture, Reply::Picture { full_width: 300, picture, .. } if (picture.width, picture.height) == (60, 20)),
        "{picture:?}"
    );
    for ask in [
        Ask::ReadFile {
            path: format!("{folder}/none"),
            limit: None,
        },
        Ask::ReadFile {
            path: folder.clone(),
            limit: None,
        },
        Ask::ReadPicture {
            path: format!("{folder}/a.txt"),
            width: 1,
            height: 1,
        },
        Ask::ListFolder {
            path: format!("{folder}/a.txt"),
        },
    ] {
        let reply = worker.answer(ask.clone());
        assert!(
            matches!(&reply, Reply::Error(e) if e.kind == Kind::User && e.message.contains(&folder)),
            "{ask:?}: {reply:?}"
        );
    }
    worker.end();
}

/// Lines that are nearly requests.
fn lines(bench: &Bench) -> impl Strategy<Value = Vec<u8>> + use<> {
    let asks = [
        Ask::Hello { version: 1 },
        Ask::Catalogue,
        Ask::Check { graph: graph(TRIP) },
        Ask::Plan {
            graph: graph(TRIP),
            targets: vec!["trip".into()],
        },
        run(bench, r#""a": { "type": "t/text", "params": { "value": "x" } }"#),
        Ask::Cancel {
            run: Some(3),
            now: false,
        },
        Ask::Live {
            run: None,
            node: None,
            command: Live::BackUpNow,
        },
        Ask::ListFolder {
            path: "/nowhere".into(),
        },
        Ask::Reload,
    ];
    let texts: Vec<Vec<u8>> = (0..)
        .zip(asks)
        .map(|(id, ask)| serde_json::to_vec(&Request { id, ask }).unwrap())
        .collect();
    let change = (
        any::<prop::sample::Index>(),
        prop_oneof![
            any::<u8>().prop_map(|byte| vec![byte]),
            Just(Vec::new()),
            prop::sample::select(vec![
                "{",
                "}",
                "[",
                "]",
                "\"",
                ",",
                ":",
                "null",
                "-1",
                "1e999",
                "\\u0000",
                "\"id\"",
                "99999999999999999999"
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
        ],
    );
    (prop::sample::select(texts), prop::collection::vec(change, 1..4)).prop_map(|(mut text, changes)| {
        for (at, bytes) in changes {
            let at = at.index(text.len());
            text.splice(at..at + 1, bytes);
        }
        text.retain(|byte| *byte != b'\n');
        text
    })
}

/// 10,000 broken lines to one worker: each is answered or is a request after all, and the worker is as good as new.
#[test]
fn broken_lines_are_answered_and_end_nothing() {
    let bench = Bench::new();
    let mut worker = Worker::new(&bench);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = lines(&bench);
    let mut input = worker.input.take().unwrap();
    let sent: Vec<Vec<u8>> = (0..10_000)
        .map(|_| proptest::strategy::ValueTree::current(&strategy.new_tree(&mut runner).unwrap()))
        .filter(|line| !line.windows(4).any(|word| word == b"quit"))
        .collect();
    let bad = sent
        .iter()
        .filter(|line| {
            std::str::from_utf8(line).map_or(true, |text| Request::read(text).is_err() && !text.trim().is_empty())
        })
        .count();
    let writer = std::thread::spawn(move || {
        for line in &sent {
            input.write_all(line).and_then(|()| input.write_all(b"\n")).unwrap();
        }
        // One last question, to know that all was read.
        input.write_all(b"{\"id\":424242,\"ask\":\"catalogue\"}\n").unwrap();
        input
    });
    let mut refused = 0;
    loop {
        let message = worker.message().unwrap();
        match message.reply {
            Reply::Error(error) if error.kind == Kind::Protocol => refused += 1,
            Reply::Catalogue { .. } if message.id == Some(424_242) => break,
            Reply::Error(error) => assert!(error.kind != Kind::Bug, "{error:?}"),
            _ => {}
        }
    }
    assert_eq!(refused, bad);
    assert!(bad > 5_000, "{bad}");
    worker.input = Some(writer.join().unwrap());
    worker.next = 500_000;
    let id = worker.ask(run(&bench, TRIP));
    assert_eq!(summary(&worker.answers(id)).failed, 0);
    worker.end();
}
