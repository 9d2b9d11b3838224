//! The built editor behind a pseudoterminal, and what a terminal would show of it.

use super::workspace::{Workspace, rust, target};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longer than anything waited for takes on a busy machine; a wait ends when what is waited for is there.
const PATIENCE: Duration = Duration::from_secs(90);

/// The end of what a terminal is asked about pictures.
pub(crate) const QUESTION: &[u8] = b"\x1b[5n";

/// A running editor.
pub(crate) struct Screen {
    parser: vt100::Parser,
    output: Receiver<Vec<u8>>,
    input: Box<dyn Write + Send>,
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    /// Everything written so far.
    pub(crate) raw: Vec<u8>,
}

fn size((cols, rows): (u16, u16)) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

impl Screen {
    /// Starts `para-tui` in the workspace's `graphs/`, for somebody who has had the tour.
    pub(crate) fn start(workspace: &Workspace, args: &[&str], size: (u16, u16)) -> Self {
        let args: Vec<&str> = ["--no-pictures"].iter().chain(args).copied().collect();
        Self::open(workspace, &target().join("para-tui"), &args, size, &[])
    }

    /// Starts the editor as a user does: `para edit` with these arguments.
    pub(crate) fn edit(workspace: &Workspace, args: &[&str], size: (u16, u16)) -> Self {
        let args = [&["edit"], args, &["--", "--no-pictures"]].concat();
        Self::open(workspace, &target().join("para"), &args, size, &[])
    }

    /// As [`Self::start`], on a terminal of many colours.
    pub(crate) fn in_colour(workspace: &Workspace, args: &[&str], size: (u16, u16)) -> Self {
        let args: Vec<&str> = ["--no-pictures"].iter().chain(args).copied().collect();
        let variables = [("COLORTERM", "truecolor")];
        Self::open(workspace, &target().join("para-tui"), &args, size, &variables)
    }

    /// Starts `para-tui` on a terminal that says of itself what `answer` says.
    pub(crate) fn of_terminal(
        workspace: &Workspace,
        args: &[&str],
        size: (u16, u16),
        variables: &[(&str, &str)],
        answer: &str,
    ) -> Self {
        let mut screen = Self::open(workspace, &target().join("para-tui"), args, size, variables);
        screen.until_raw("a question to the terminal", |raw| {
            raw.windows(4).any(|part| part == QUESTION)
        });
        screen.send(answer.as_bytes());
        screen
    }

    /// Starts `para-tui` on a terminal that says nothing of itself.
    pub(crate) fn silent(workspace: &Workspace, args: &[&str], size: (u16, u16)) -> Self {
        Self::open(workspace, &target().join("para-tui"), args, size, &[])
    }

    /// As [`Self::start`], with a worker that can compile.
    pub(crate) fn compiling(workspace: &Workspace, args: &[&str], size: (u16, u16)) -> Self {
        let args: Vec<&str> = ["--no-pictures"].iter().chain(args).copied().collect();
        let rust = rust();
        let variables: Vec<(&str, &str)> = rust.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Self::open(workspace, &target().join("para-tui"), &args, size, &variables)
    }

    /// Starts a shell.
    pub(crate) fn shell(workspace: &Workspace, size: (u16, u16)) -> Self {
        let variables = [("PS1", "ready: "), ("PATH", "/usr/local/bin:/usr/bin:/bin")];
        Self::open(workspace, Path::new("/bin/sh"), &["-i"], size, &variables)
    }

    fn open(
        workspace: &Workspace,
        program: &Path,
        args: &[&str],
        (cols, rows): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let seen = workspace.path("home/.local/state/para");
        std::fs::create_dir_all(&seen).unwrap();
        std::fs::write(seen.join("tour-seen"), "").unwrap();
        let pair = native_pty_system().openpty(size((cols, rows))).unwrap();
        let mut command = CommandBuilder::new(program);
        command.env_clear();
        command.env("HOME", workspace.path("home"));
        command.env("PARA_STORE", workspace.path("store"));
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env("TZ", "UTC");
        command.env("EDITOR", workspace.path("home/editor"));
        for (name, value) in variables {
            command.env(name, value);
        }
        command.cwd(workspace.path("graphs"));
        command.args(args);
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (to, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if to.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            parser: vt100::Parser::new(cells(rows), cells(cols), 0),
            output,
            input: pair.master.take_writer().unwrap(),
            master: pair.master,
            child,
            raw: Vec::new(),
        }
    }

    /// The screen as text.
    pub(crate) fn contents(&self) -> String {
        self.parser.screen().contents()
    }

    /// The screen with its colours.
    pub(crate) fn shown(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (u16, u16) {
        let (rows, columns) = self.parser.screen().size();
        (columns.get(), rows.get())
    }

    /// The editor's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// The process that it started: an editor's worker, a shell's program.
    pub(crate) fn child(&mut self) -> u32 {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        let until = Instant::now() + PATIENCE;
        loop {
            let found = std::fs::read_to_string(&children).unwrap_or_default();
            if let Some(pid) = found.split_whitespace().next().and_then(|pid| pid.parse().ok()) {
                return pid;
            }
            assert!(Instant::now() < until, "nothing was started\n{}", self.contents());
            self.listen(Duration::from_millis(20));
        }
    }

    /// Keys by name, apart: `a`, `enter`, `ctrl-u`. Escape has to be the last: what follows it at once is taken as Alt.
    pub(crate) fn press(&mut self, keys: &str) -> &mut Self {
        for key in keys.split_whitespace() {
            self.send(&bytes(key));
        }
        self
    }

    /// A text, letter by letter.
    pub(crate) fn type_text(&mut self, text: &str) -> &mut Self {
        self.send(text.as_bytes());
        self
    }

    /// Bytes as a terminal sends them.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.input.write_all(bytes).unwrap();
        self.input.flush().unwrap();
    }

    /// Makes the window another size.
    pub(crate) fn resize(&mut self, (cols, rows): (u16, u16)) {
        self.parser.screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(size((cols, rows))).unwrap();
    }

    /// Takes what is written within a time; gives how many bytes.
    pub(crate) fn listen(&mut self, time: Duration) -> usize {
        let until = Instant::now() + time;
        let mut count = 0;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => {
                    count += bytes.len();
                    self.parser.process(&bytes);
                    self.raw.extend(bytes);
                }
                Err(RecvTimeoutError::Timeout) => return count,
                Err(RecvTimeoutError::Disconnected) => return count,
            }
            if left.is_zero() {
                return count;
            }
        }
    }

    /// Waits until the screen is as wanted.
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> &mut Self {
        let until = Instant::now() + PATIENCE;
        while !wanted(&self.contents()) {
            assert!(Instant::now() < until, "never came: {what}\n{}", self.contents());
            match self.output.recv_timeout(Duration::from_millis(100)) {
                Ok(bytes) => {
                    self.parser.process(&bytes);
                    self.raw.extend(bytes);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    assert!(
                        wanted(&self.contents()),
                        "the editor left before {what}\n{}",
                        self.contents()
                    );
                }
            }
        }
        self
    }

    /// Waits until what was written is as wanted.
    pub(crate) fn until_raw(&mut self, what: &str, wanted: impl Fn(&[u8]) -> bool) -> &mut Self {
        let until = Instant::now() + PATIENCE;
        while !wanted(&self.raw) {
            assert!(Instant::now() < until, "never came: {what}\n{}", self.contents());
            self.listen(Duration::from_millis(20));
        }
        self
    }

    /// Waits for a text.
    pub(crate) fn sees(&mut self, text: &str) -> &mut Self {
        self.until(text, |screen| screen.contains(text))
    }

    /// Waits until nothing more is written.
    pub(crate) fn settle(&mut self) -> &mut Self {
        let until = Instant::now() + PATIENCE;
        while self.listen(Duration::from_millis(400)) > 0 {
            assert!(Instant::now() < until, "it never rests\n{}", self.contents());
        }
        self
    }

    /// Waits for the end; the exit code.
    pub(crate) fn ends(&mut self) -> u32 {
        let until = Instant::now() + PATIENCE;
        loop {
            self.listen(Duration::from_millis(20));
            if let Some(status) = self.child.try_wait().unwrap() {
                self.listen(Duration::from_millis(20));
                return status.exit_code();
            }
            assert!(Instant::now() < until, "it does not end\n{}", self.contents());
        }
    }

    /// Whether it still runs.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a terminal sends for a key.
fn bytes(key: &str) -> Vec<u8> {
    match key {
        "enter" => b"\r".to_vec(),
        "esc" => b"\x1b".to_vec(),
        "tab" => b"\t".to_vec(),
        "backspace" => b"\x7f".to_vec(),
        "space" => b" ".to_vec(),
        "up" => b"\x1b[A".to_vec(),
        "down" => b"\x1b[B".to_vec(),
        "right" => b"\x1b[C".to_vec(),
        "left" => b"\x1b[D".to_vec(),
        "f2" => b"\x1bOQ".to_vec(),
        _ => match key.strip_prefix("ctrl-") {
            Some(letter) => vec![letter.as_bytes()[0] & 0x1f],
            None => key.as_bytes().to_vec(),
        },
    }
}

/// Sends a signal.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = std::process::Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status()
        .unwrap();
    assert!(sent.success(), "kill -s {name} {pid}");
}

/// What a process has in memory, in kilobytes.
pub(crate) fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Processor time a process has used, in clock ticks.
pub(crate) fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let field = |at: usize| after.split_whitespace().nth(at).unwrap().parse::<u64>().unwrap();
    field(11) + field(12)
}
