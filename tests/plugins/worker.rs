//! Packs that are added, edited and broken while a worker runs.

use crate::support::workspace::Workspace;
use protocol::{Ask, Event, Graph, Message, Reply, Request, Run};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A `para worker` that can compile.
struct Worker {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Message>,
    next: u64,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Worker {
    fn new(workspace: &Workspace) -> Self {
        let mut command = workspace.compiling(&["worker"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, messages) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self {
            input: child.stdin.take().unwrap(),
            child,
            messages,
            next: 0,
        }
    }

    fn ask(&mut self, ask: Ask) -> u64 {
        self.next += 1;
        let line = serde_json::to_string(&Request { id: self.next, ask }).unwrap();
        writeln!(self.input, "{line}").unwrap();
        self.next
    }

    fn run(&mut self, workspace: &Workspace) -> u64 {
        let file = workspace.path("graphs/g.json");
        self.ask(Ask::Run(Run {
            graph: Graph {
                text: fs::read_to_string(&file).unwrap(),
                path: Some(file.to_string_lossy().into_owned()),
                set: Vec::new(),
            },
            targets: Vec::new(),
            fresh: false,
            previews: false,
        }))
    }

    /// Messages up to one that is waited for.
    fn until(&self, wanted: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut heard = Vec::new();
        loop {
            let message = self.messages.recv_timeout(Duration::from_secs(120));
            heard.push(message.unwrap_or_else(|e| panic!("{e} after {heard:#?}")));
            if wanted(&heard[heard.len() - 1]) {
                return heard;
            }
        }
    }

    /// Node crates were looked at, and these node types are another build or new.
    fn changes(&self, node: &str) {
        self.until(|message| {
            matches!(&message.reply, Reply::Reloaded { changed, .. } if message.id.is_none() && changed.iter().any(|ty| ty == node))
        });
    }

    /// What nodes say up to the end of a run.
    fn said(&self, run: u64) -> Vec<String> {
        let heard = self.until(|message| message.id == Some(run) && message.reply.is_final());
        let end = &heard[heard.len() - 1].reply;
        assert!(
            matches!(end, Reply::Ran { summary } if summary.failed == 0),
            "{heard:#?}"
        );
        let logs = heard.into_iter().filter_map(|message| match message.reply {
            Reply::Event(Event::Log { text, .. }) if message.id == Some(run) => Some(text),
            _ => None,
        });
        logs.collect()
    }
}

/// Two nodes: one that waits until a file is there, one that says which generation it is.
const SOURCE: &str = r#"
//! A pack for a worker.

use sdk::prelude::*;
use std::time::Duration;

const GENERATION: &str = "generation 1";

/// Waits for a file.
#[node("live/wait")]
fn wait(context: &Context, file: String) -> Result<String> {
    context.info("waits");
    while !std::path::Path::new(&file).exists() {
        context.check()?;
        std::thread::sleep(Duration::from_millis(5));
    }
    context.info(GENERATION);
    Ok(file)
}

/// Says its generation.
#[node("live/say")]
fn say(context: &Context, text: &String) -> Result<String> {
    context.info(format!("says {GENERATION}"));
    Ok(format!("{text} {GENERATION}"))
}

sdk::plugin![Wait, Say];
"#;

#[test]
fn a_worker_takes_up_packs_that_are_added_and_edited_and_a_run_ends_on_what_it_began_with() {
    let workspace = Workspace::new();
    let compiled = |args: &[&str]| workspace.ran(workspace.compiling(args).output().unwrap()).exits(0);
    compiled(&["plugin", "new", "live"]);
    let source = workspace.write("live/src/lib.rs", SOURCE);
    fs::remove_file(workspace.path("graphs/live/src/gradient.rs")).unwrap();
    let go = workspace.path("go");
    workspace.graph(
        "g.json",
        &format!(
            r#""wait": {{ "type": "live/wait", "params": {{ "file": "{}" }} }},
            "say": {{ "type": "live/say", "inputs": {{ "text": "wait.out" }} }}"#,
            go.display()
        ),
    );
    let mut worker = Worker::new(&workspace);
    let id = worker.ask(Ask::Hello {
        version: protocol::VERSION,
    });
    worker.until(|message| message.id == Some(id));

    // The worker knew nothing of this pack when it began.
    compiled(&["plugin", "add", "live"]);
    worker.changes("live/say");
    let run = worker.run(&workspace);
    worker.until(|message| matches!(&message.reply, Reply::Event(Event::Log { text, .. }) if text == "waits"));

    // Its source is saved in the middle of the run.
    let write = |text: &str| {
        fs::write(source.with_extension("draft"), text).unwrap();
        fs::rename(source.with_extension("draft"), &source).unwrap();
    };
    write(&SOURCE.replace("generation 1", "generation 2"));
    worker.changes("live/say");
    fs::write(&go, "").unwrap();
    assert_eq!(
        worker.said(run),
        ["generation 1", "says generation 1"],
        "the node that ran, and the one that had not begun"
    );
    let run = worker.run(&workspace);
    assert_eq!(worker.said(run), ["waits", "generation 2", "says generation 2"]);

    // What does not compile is told with its place, and changes nothing.
    write(&SOURCE.replace("Ok(file)", "Ok(fil)"));
    let heard = worker.until(
        |message| matches!(&message.reply, Reply::Reloaded { build: Some(build), .. } if message.id.is_none() && !build.ok),
    );
    let Some(Reply::Reloaded {
        changed,
        build: Some(build),
        ..
    }) = heard.into_iter().next_back().map(|message| message.reply)
    else {
        panic!("the last one was waited for");
    };
    assert!(changed.is_empty(), "{changed:?}");
    let place = build.messages.iter().find(|message| message.level == "error").unwrap();
    let line = 1 + SOURCE.split("Ok(file)").next().unwrap().matches('\n').count();
    assert_eq!(
        (place.file.as_deref(), place.line),
        (source.to_str(), u32::try_from(line).ok()),
        "{build:#?}"
    );
    let run = worker.run(&workspace);
    assert_eq!(worker.said(run), [""; 0], "everything is in the store");

    // A pack that is removed takes its nodes with it.
    compiled(&["plugin", "remove", "live"]);
    worker.changes("live/say");
    let run = worker.run(&workspace);
    let heard = worker.until(|message| message.id == Some(run) && message.reply.is_final());
    assert!(
        matches!(&heard[heard.len() - 1].reply, Reply::Error(error) if error.kind == protocol::Kind::Graph),
        "{heard:#?}"
    );
}
