//! From a key to the bytes it changes, through a real pseudoterminal: 500 nodes on 200x60 cells, at rest and while a run
//! sends 1000 events a second; a drag of 1000 places a second; a window that is resized; what an idle editor writes and how
//! often it wakes in ten seconds; and how long it takes from its start to its first frame.
//!
//! `cargo bench -p tests --bench latency`, after `cargo build --release --workspace`. The program is its own worker.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on fails, and tells what it saw"
)]

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

#[path = "../support/rows.rs"]
mod rows;

const KEYS: usize = 300;

fn main() {
    if std::env::args().any(|argument| argument == "worker") {
        return worker();
    }
    let this = std::env::current_exe().unwrap();
    // Benches are built into target/release/deps.
    let folder = this.ancestors().nth(2).unwrap();
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join(".local/state/para");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("tour-seen"), "").unwrap();
    let graph = home.path().join("graph.json");
    std::fs::write(&graph, rows::graph(500, |_| String::new())).unwrap();
    let program = folder.join("para-tui");
    cold(&program, home.path(), &graph);
    let mut editor = Editor::start(&program, &this, home.path(), &graph);
    editor.rest();
    report("at rest", editor.measure());
    editor.input.write_all(b"R").unwrap();
    editor.listen(Duration::from_secs(2));
    report("while a run sends 1000 events a second", editor.measure());
    report("an edit meanwhile", editor.measure_keys(&[b"D", b"u"]));
    editor.input.write_all(b"S").unwrap();
    // Words that are said for a while go by themselves.
    editor.listen(Duration::from_secs(9));
    report("an edit at rest", editor.measure_keys(&[b"D", b"u"]));
    report("the last place of a drag", editor.drag());
    report("the last of 50 sizes", editor.resize());
    editor.listen(Duration::from_secs(9));
    let before = editor.wakes();
    let bytes = editor.listen(Duration::from_secs(10));
    let after = editor.wakes();
    println!(
        "idle for 10 s: {bytes} bytes, {} wake-ups of {} threads, {} ms of processor time",
        after.0 - before.0,
        after.1,
        (after.2 - before.2) * 10
    );
    editor.child.kill().unwrap();
}

struct Editor {
    output: Receiver<usize>,
    input: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    master: Box<dyn portable_pty::MasterPty + Send>,
}

const ROOM: PtySize = PtySize {
    rows: 60,
    cols: 200,
    pixel_width: 0,
    pixel_height: 0,
};

/// From the start of the program to the end of its first frame, with a worker that never answers.
fn cold(program: &Path, home: &Path, graph: &Path) {
    let mut times = Vec::new();
    for _ in 0..30 {
        let begun = Instant::now();
        let mut editor = Editor::open(program, home, &["--worker", "exec sleep 60"], graph);
        if editor.output.recv_timeout(Duration::from_secs(5)).is_ok() {
            // The screen is taken over in one write, the frame comes in the next ones.
            while editor.output.recv_timeout(Duration::from_millis(5)).is_ok() {}
            times.push(begun.elapsed().saturating_sub(Duration::from_millis(5)));
        }
        editor.child.kill().unwrap();
        let _ = editor.child.wait();
    }
    report_of("from the start to the first frame", times, 30);
}

impl Editor {
    fn start(program: &Path, worker: &Path, home: &Path, graph: &Path) -> Self {
        Self::open(program, home, &["--para", &worker.to_string_lossy()], graph)
    }

    fn open(program: &Path, home: &Path, args: &[&str], graph: &Path) -> Self {
        let pair = native_pty_system().openpty(ROOM).unwrap();
        let mut command = CommandBuilder::new(program);
        command.env("HOME", home);
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.arg("--no-pictures");
        command.args(args);
        command.arg(graph);
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (to, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if to.send(n).is_err() {
                    break;
                }
            }
        });
        Self {
            output,
            input: pair.master.take_writer().unwrap(),
            child,
            master: pair.master,
        }
    }

    fn listen(&mut self, time: Duration) -> usize {
        let until = Instant::now() + time;
        let mut bytes = 0;
        while let Ok(n) = self
            .output
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            bytes += n;
        }
        bytes
    }

    fn rest(&mut self) {
        while self.listen(Duration::from_millis(500)) > 0 {}
    }

    /// Times from keys that move the cursor to the next bytes. While a run goes on, bytes of a progress frame (four a
    /// second) may come first and count as the answer; they are too few to matter.
    fn measure(&mut self) -> Vec<Duration> {
        self.measure_keys(&[b"l", b"j", b"h", b"k"])
    }

    fn measure_keys(&mut self, keys: &[&[u8]]) -> Vec<Duration> {
        let mut times = Vec::with_capacity(KEYS);
        for at in 0..KEYS {
            while self.output.try_recv().is_ok() {}
            let key = keys[at % keys.len()];
            let begun = Instant::now();
            self.input.write_all(key).unwrap();
            self.input.flush().unwrap();
            if self.output.recv_timeout(Duration::from_secs(1)).is_ok() {
                times.push(begun.elapsed());
            }
            self.listen(Duration::from_millis(25));
        }
        times
    }
}

impl Editor {
    /// From the last place of a drag across the canvas, a place a millisecond, to the last byte.
    fn drag(&mut self) -> Vec<Duration> {
        let mut times = Vec::new();
        for _ in 0..10 {
            let _ = self.input.write_all(b"\x1b[<0;60;30M");
            for step in 0..300 {
                let place = format!("\x1b[<32;{};{}M", 40 + step % 60, 10 + step % 30);
                self.input.write_all(place.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
            times.push(self.last_byte(|editor| editor.input.write_all(b"\x1b[<32;61;31M").unwrap()));
            self.input.write_all(b"\x1b[<0;61;31m").unwrap();
            self.listen(Duration::from_millis(100));
        }
        times
    }

    /// From the last of 50 sizes in a second to the last byte.
    fn resize(&mut self) -> Vec<Duration> {
        let mut times = Vec::new();
        for _ in 0..5 {
            for step in 0_u16..50 {
                let (cols, rows) = (1 + step * 37 % 200, 1 + step * 17 % 60);
                self.master.resize(PtySize { cols, rows, ..ROOM }).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
            times.push(self.last_byte(|editor| editor.master.resize(ROOM).unwrap()));
        }
        times
    }

    /// What was written is all there 100 ms after; the time at which its last byte came.
    fn last_byte(&mut self, what: impl FnOnce(&mut Self)) -> Duration {
        while self.output.try_recv().is_ok() {}
        let begun = Instant::now();
        what(self);
        let mut last = Duration::ZERO;
        while self.output.recv_timeout(Duration::from_millis(100)).is_ok() {
            last = begun.elapsed();
        }
        last
    }

    /// How often its threads have been woken, how many there are, and the processor time used, in hundredths of a second.
    fn wakes(&self) -> (u64, usize, u64) {
        let process = Path::new("/proc").join(self.child.process_id().unwrap().to_string());
        let threads: Vec<PathBuf> = std::fs::read_dir(process.join("task"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        let switches = |thread: &PathBuf| -> u64 {
            let status = std::fs::read_to_string(thread.join("status")).unwrap();
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
                .unwrap();
            line.trim().parse().unwrap()
        };
        let stat = std::fs::read_to_string(process.join("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        (threads.iter().map(switches).sum(), threads.len(), ticks)
    }
}

fn report(what: &str, times: Vec<Duration>) {
    report_of(what, times, KEYS);
}

fn report_of(what: &str, mut times: Vec<Duration>, of: usize) {
    times.sort();
    let at = |share: usize| {
        times
            .get(times.len().saturating_sub(1) * share / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{what}: {} of {of} answered, p50 {:.2?}, p95 {:.2?}, p99 {:.2?}",
        times.len(),
        at(50),
        at(95),
        at(99)
    );
}

/// A worker with one node type, whose runs send an event a millisecond until they are cancelled.
fn worker() {
    let (to, stop) = channel::<u64>();
    let mut stop = Some(stop);
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").unwrap();
        out.flush().unwrap();
    };
    for line in std::io::stdin().lock().lines() {
        let request: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let id = request["id"].as_u64().unwrap();
        match request["ask"].as_str().unwrap() {
            "hello" => say(format!(
                r#"{{"id":{id},"reply":"hello","version":1,"para":"0.1.0","pid":{},"folder":"/","store":"/","cores":2,"memory":1}}"#,
                std::process::id()
            )),
            "catalogue" => say(format!(
                r#"{{"id":{id},"reply":"catalogue","nodes":[{{"name":"test/node","version":1,"kind":"step","doc":"A node.","inputs":[{{"name":"in","type":"model","optional":true,"variadic":true,"doc":"In"}}],"outputs":[{{"name":"out","type":"model","doc":"Out"}}],"params":[],"plugin":"test"}}],"plugins":[],"refused":[]}}"#
            )),
            "run" => {
                say(format!(
                    r#"{{"id":{id},"reply":"accepted","ahead":0,"diagnostics":[]}}"#
                ));
                say(format!(
                    r#"{{"id":{id},"reply":"event","event":"run_started","nodes":500}}"#
                ));
                let Some(stop) = stop.take() else { continue };
                std::thread::spawn(move || events(id, &stop));
            }
            "cancel" => {
                to.send(id).unwrap();
                say(format!(r#"{{"id":{id},"reply":"noted"}}"#));
            }
            "quit" => return,
            _ => say(format!(
                r#"{{"id":{id},"reply":"error","kind":"protocol","message":"not in this bench"}}"#
            )),
        }
    }
}

fn events(id: u64, stop: &Receiver<u64>) {
    let mut due = Instant::now();
    let mut out = std::io::stdout();
    let mut write = |line: String| {
        let sent = writeln!(out, "{line}").and_then(|()| out.flush());
        sent.is_ok()
    };
    write(format!(
        r#"{{"id":{id},"reply":"event","event":"started","node":"n0","type":"test/node"}}"#
    ));
    for step in 0_u64.. {
        due += Duration::from_millis(1);
        if stop.recv_timeout(due.saturating_duration_since(Instant::now())).is_ok() {
            break;
        }
        let event = if step % 2 == 0 {
            format!(r#""event":"progress","node":"n0","done":{step},"total":1000000,"note":"at work""#)
        } else {
            format!(r#""event":"metric","node":"n0","name":"loss","step":{step},"value":0.5"#)
        };
        if !write(format!(r#"{{"id":{id},"reply":"event",{event}}}"#)) {
            return;
        }
    }
    let summary = r#"{"executed":0,"cached":0,"loaded":0,"failed":0,"skipped":0,"cancelled":true,"seconds":1.0}"#;
    write(format!(r#"{{"id":{id},"reply":"ran","summary":{summary}}}"#));
}
