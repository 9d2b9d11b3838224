//! `para worker` as an editor drives it, on the shipped model.

use crate::support::workspace::Workspace;
use protocol::{Ask, Event, Graph, Live, Message, Reply, Request, Run, Summary};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Worker {
    fn new(workspace: &Workspace) -> Self {
        let mut child = workspace
            .command(&["worker"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            next: 0,
        }
    }

    fn ask(&mut self, ask: Ask) -> u64 {
        self.next += 1;
        let line = serde_json::to_string(&Request { id: self.next, ask }).unwrap();
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        self.next
    }

    fn run(&mut self, workspace: &Workspace, graph: &str, set: &[String]) -> u64 {
        let file = workspace.path("graphs").join(graph);
        self.ask(Ask::Run(Run {
            graph: Graph {
                text: std::fs::read_to_string(&file).unwrap(),
                path: Some(file.to_string_lossy().into_owned()),
                set: set.to_vec(),
            },
            targets: Vec::new(),
            fresh: false,
            previews: true,
        }))
    }

    /// The next answers to a request, up to one that is `wanted`.
    fn until(&mut self, id: u64, wanted: impl Fn(&Reply) -> bool) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.output.read_line(&mut line).unwrap(),
                0,
                "the worker ended: {replies:#?}"
            );
            let message: Message = serde_json::from_str(&line).unwrap();
            if message.id == Some(id) {
                replies.push(message.reply);
                let last = &replies[replies.len() - 1];
                if wanted(last) {
                    return replies;
                }
                assert!(!last.is_final(), "{last:?}");
            }
        }
    }

    fn ran(&mut self, id: u64) -> (Summary, Vec<Reply>) {
        let replies = self.until(id, Reply::is_final);
        match replies.last() {
            Some(Reply::Ran { summary }) => (summary.clone(), replies),
            other => panic!("{other:?}"),
        }
    }

    /// Resident memory in kB.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    fn end(mut self) {
        self.input = None;
        assert!(self.child.wait().unwrap().success());
    }
}

fn training(workspace: &Workspace, steps: u64) {
    workspace.graph("g.json", &format!(r#"
        "base": {{ "type": "load/model", "params": {{ "path": "assets/emoji-xl" }} }},
        "dogs": {{ "type": "load/images", "params": {{ "path": "assets/subjects/dog" }} }},
        "dog": {{ "type": "para/train", "inputs": {{ "model": "base.model", "text": "base.text", "vae": "base.vae", "images": "dogs.images" }},
                 "params": {{ "prompt": "a sks dog", "rank": 2, "steps": {steps}, "seed": 3 }} }},
        "save": {{ "type": "adapter/save", "inputs": {{ "adapter": "dog.adapter" }}, "params": {{ "path": "out/dog.safetensors" }} }}"#));
}

#[test]
fn a_training_is_sampled_backed_up_stopped_and_kept() {
    let workspace = Workspace::new();
    training(&workspace, 5000);
    let mut worker = Worker::new(&workspace);
    let id = worker.run(&workspace, "g.json", &[]);
    let is_step = |step: u64| move |reply: &Reply| matches!(reply, Reply::Event(Event::Progress { node, done, .. }) if node == "dog" && *done >= step);
    worker.until(id, is_step(2));
    let live = |command| Ask::Live {
        run: Some(id),
        node: Some("dog".into()),
        command,
    };
    worker.ask(live(Live::BackUpNow));
    worker.until(
        id,
        |reply| matches!(reply, Reply::Event(Event::Log { text, .. }) if text.starts_with("backed up at step ")),
    );
    worker.ask(live(Live::SampleNow));
    let shown = worker.until(
        id,
        |reply| matches!(reply, Reply::Event(Event::Preview { node, .. }) if node == "dog"),
    );
    let Some(Reply::Event(Event::Preview { picture, note, .. })) = shown.last() else {
        panic!("no preview")
    };
    let image = image::load_from_memory(&picture.png.0).unwrap();
    assert_eq!((image.width(), image.height(), note.as_str()), (64, 64, "a sks dog"));
    worker.ask(live(Live::StopAndKeep));
    let (summary, replies) = worker.ran(id);
    assert_eq!((summary.failed, summary.cancelled), (0, false), "{replies:#?}");
    let steps = replies.iter().find_map(|reply| match reply {
        Reply::Event(Event::Log { text, .. }) => text
            .strip_prefix("ended at step ")?
            .split(' ')
            .next()?
            .parse::<u64>()
            .ok(),
        _ => None,
    });
    let steps = steps.unwrap();
    let kept = std::fs::read(workspace.out("dog.safetensors")).unwrap();
    // It is the adapter of a training of so many steps: here from the store, elsewhere by training.
    let id = worker.run(&workspace, "g.json", &[format!("dog.steps={steps}")]);
    assert_eq!(worker.ran(id).0.executed, 0);
    worker.end();
    let elsewhere = Workspace::new();
    training(&elsewhere, steps);
    elsewhere.run("g.json", &[]).exits(0);
    assert!(
        std::fs::read(elsewhere.out("dog.safetensors")).unwrap() == kept,
        "{steps} steps"
    );
}

#[test]
fn a_killed_worker_leaves_a_training_that_the_next_one_ends_with_the_same_bytes() {
    const STEPS: u64 = 24;
    let reference = Workspace::new();
    training(&reference, STEPS);
    reference.run("g.json", &[]).exits(0);
    let expected = std::fs::read(reference.out("dog.safetensors")).unwrap();

    let workspace = Workspace::new();
    training(&workspace, STEPS);
    let often = ["dog.checkpoint_every=4".to_owned()];
    for step in [6, 15] {
        let mut worker = Worker::new(&workspace);
        let id = worker.run(&workspace, "g.json", &often);
        worker.until(
            id,
            |reply| matches!(reply, Reply::Event(Event::Progress { node, done, .. }) if node == "dog" && *done >= step),
        );
        // SIGKILL: nothing of the worker runs any more.
        worker.child.kill().unwrap();
        worker.child.wait().unwrap();
        assert!(!workspace.out("dog.safetensors").exists());
    }
    let mut worker = Worker::new(&workspace);
    let id = worker.run(&workspace, "g.json", &often);
    let (summary, replies) = worker.ran(id);
    assert_eq!((summary.failed, summary.cancelled), (0, false), "{replies:#?}");
    let first = replies.iter().find_map(|reply| match reply {
        Reply::Event(Event::Progress { node, done, .. }) if node == "dog" => Some(*done),
        _ => None,
    });
    assert!((12..STEPS).contains(&first.unwrap()), "it goes on at step {first:?}");
    assert!(
        std::fs::read(workspace.out("dog.safetensors")).unwrap() == expected,
        "the adapter differs from that of an uninterrupted training"
    );
    worker.end();
}

#[test]
fn a_run_whose_files_are_still_read_is_cancelled() {
    let workspace = Workspace::new();
    super::stopping::endless(&workspace);
    let mut worker = Worker::new(&workspace);
    let id = worker.run(&workspace, "g.json", &[]);
    worker.until(
        id,
        |reply| matches!(reply, Reply::Event(Event::Reading { node, .. }) if node == "pictures"),
    );
    worker.ask(Ask::Cancel {
        run: Some(id),
        now: false,
    });
    let (summary, _) = worker.ran(id);
    assert_eq!((summary.cancelled, summary.executed, summary.skipped), (true, 0, 1));
    worker.end();
}

/// Runs with other seeds one after another in one worker; memory may grow by less than 5 % after the first tenth.
fn memory_stays_flat(runs: u64) {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    let mut worker = Worker::new(&workspace);
    let mut early = 0;
    for run in 0..runs {
        let set = ["draw.steps=1", "draw.batch=1"].map(String::from);
        let set = [&set[..], &[format!("draw.seed={run}")]].concat();
        let id = worker.run(&workspace, "hello.json", &set);
        let (summary, replies) = worker.ran(id);
        assert_eq!((summary.executed >= 3, summary.failed), (true, 0), "{replies:#?}");
        if run == runs / 10 {
            early = worker.resident();
        }
    }
    let late = worker.resident();
    assert!(
        late * 100 < early * 105,
        "{early} kB after a tenth of {runs} runs, {late} kB at the end"
    );
    worker.end();
}

#[test]
#[ignore = "200 runs take a minute"]
fn memory_stays_flat_over_200_runs() {
    memory_stays_flat(200);
}

#[test]
fn memory_stays_flat_over_runs() {
    memory_stays_flat(30);
}
