//! What packs cost: compiling one, from saving a source to the new node being live, and what old builds leave in memory.
//!
//! `cargo bench --workspace --bench kit`, after `cargo build --release --workspace`. With the folder of a release
//! behind `--` it measures that one's `para`: `cargo bench --workspace --bench kit -- /anywhere/para-0.1.0`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on fails, and tells what it saw"
)]

use protocol::{Message, Reply};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BUILDS: usize = 5;
const SAVES: usize = 20;

fn main() {
    let this = std::env::current_exe().unwrap();
    let named = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    // Benches are built into target/release/deps.
    let home = named.map_or_else(|| this.ancestors().nth(2).unwrap().to_owned(), PathBuf::from);
    let bench = Bench {
        para: home.join("para"),
        folder: tempfile::tempdir().unwrap(),
    };
    bench.compile();
    bench.reload();
}

struct Bench {
    para: PathBuf,
    folder: TempDir,
}

impl Bench {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.para);
        command.args(args).current_dir(self.folder.path());
        command.env("XDG_DATA_HOME", self.folder.path().join("data"));
        command.env("PARA_STORE", self.folder.path().join("store"));
        command
    }

    fn para(&self, args: &[&str]) {
        let done = self.command(args).output().unwrap();
        assert!(
            done.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    /// The example pack, from nothing.
    fn compile(&self) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap()
            .join("examples/palette");
        let pack = self.folder.path().join("palette");
        fs::create_dir_all(pack.join("src")).unwrap();
        for file in ["Cargo.toml", "src/lib.rs", "src/learn.rs", "src/paint.rs"] {
            fs::copy(from.join(file), pack.join(file)).unwrap();
        }
        let times = (0..BUILDS).map(|_| {
            let _ = fs::remove_dir_all(pack.join("target"));
            let began = Instant::now();
            self.para(&["plugin", "build", "palette"]);
            began.elapsed()
        });
        report("para plugin build examples/palette, from nothing", times.collect());
    }

    /// Saves a source of a small pack again and again while a worker runs.
    fn reload(&self) {
        self.para(&["plugin", "new", "live"]);
        self.para(&["plugin", "add", "live"]);
        let mut child = self
            .command(&["worker"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, messages) = channel::<Message>();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        let until = |wanted: &dyn Fn(&Reply) -> bool| loop {
            if wanted(&messages.recv_timeout(Duration::from_secs(60)).unwrap().reply) {
                return;
            }
        };
        writeln!(input, "{{\"id\":1,\"ask\":\"catalogue\"}}").unwrap();
        until(&|reply| matches!(reply, Reply::Catalogue { .. }));
        let source = self.folder.path().join("live/src/gradient.rs");
        let text = fs::read_to_string(&source).unwrap();
        let save = |n: usize| {
            let began = Instant::now();
            fs::write(&source, text.replace("255 160 0", &format!("255 160 {n}"))).unwrap();
            until(&|reply| matches!(reply, Reply::Reloaded { changed, .. } if !changed.is_empty()));
            began.elapsed()
        };
        // The first brings in what later ones share.
        save(1);
        let before = resident(child.id());
        let times: Vec<Duration> = (0..SAVES).map(|n| save(n + 2)).collect();
        let grown = resident(child.id()) - before;
        report(
            "from saving a source of a pack to its node being live in a worker",
            times,
        );
        println!(
            "memory of the worker after {SAVES} such reloads: {:+.3} MB each",
            grown / 1000.0 / SAVES as f64
        );
        drop(input);
        child.wait().unwrap();
    }
}

/// Resident memory in kB.
fn resident(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let seconds = |at: usize| times[at].as_secs_f64();
    println!(
        "{what}: median of {} {:.2} s ({:.2} to {:.2})",
        times.len(),
        seconds(times.len() / 2),
        seconds(0),
        seconds(times.len() - 1)
    );
}
