//! The worker: a child process that is spoken to in lines.

use crate::event::{Event, Gone};
use crossbeam_channel::{Sender, unbounded};
use protocol::{Message, Request};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// How a worker is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// A program on this machine.
    Program(Vec<OsString>),
    /// A line for the shell: `ssh host para worker`.
    Shell(String),
}

/// Lines of standard error that are kept for when it dies.
const LAST_WORDS: usize = 20;

/// A worker.
#[derive(Debug)]
pub struct Session {
    to: Sender<String>,
    child: Arc<Mutex<Child>>,
    number: usize,
}

impl Session {
    /// Starts a worker; what it says comes as events, after which it is gone.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(how: &How, number: usize, events: &Sender<Event>) -> Result<Self, Gone> {
        let gone = |how: String| Gone {
            how,
            last: Vec::new(),
            number,
        };
        let mut command = match how {
            How::Program(words) => {
                let (program, arguments) = words
                    .split_first()
                    .ok_or_else(|| gone("no program is named".to_owned()))?;
                let mut command = Command::new(program);
                command.args(arguments);
                command
            }
            How::Shell(line) => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(format!("exec {line}"));
                command
            }
        };
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Of its own, so that keys and signals for the editor do not reach it.
        command.process_group(0);
        let mut child = command
            .spawn()
            .map_err(|e| gone(format!("{:?} cannot be started: {e}", command.get_program())))?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(gone("its pipes are missing".to_owned()));
        };
        let (to, lines) = unbounded::<String>();
        thread::spawn(move || {
            for line in lines {
                if stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).is_err() {
                    break;
                }
            }
        });
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&last);
        let errors = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let Ok(mut kept) = kept.lock() else {
                    return;
                };
                if kept.len() == LAST_WORDS {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        });
        let child = Arc::new(Mutex::new(child));
        let (watched, events) = (Arc::clone(&child), events.clone());
        thread::spawn(move || {
            let mut broken = None;
            for line in BufReader::new(stdout).lines() {
                match line.map_err(|e| e.to_string()).and_then(|line| read(&line)) {
                    Ok(message) => {
                        if events.send(Event::Worker(message)).is_err() {
                            return;
                        }
                    }
                    Err(why) => {
                        broken = Some(why);
                        break;
                    }
                }
            }
            let status = watched.lock().ok().and_then(|mut child| {
                if broken.is_some() {
                    // It does not speak our language: it is of no use.
                    let _ = child.kill();
                }
                child.wait().ok()
            });
            let _ = errors.join();
            let last = last
                .lock()
                .map(|last| last.iter().cloned().collect())
                .unwrap_or_default();
            let how = broken.unwrap_or_else(|| status.map_or("ended".to_owned(), ending));
            let _ = events.send(Event::WorkerGone(Gone { how, last, number }));
        });
        Ok(Self { to, child, number })
    }

    /// Sends a request. Whether it arrives is seen from the answers.
    pub fn ask(&self, request: &Request) {
        if let Ok(mut line) = serde_json::to_string(request) {
            line.push('\n');
            let _ = self.to.send(line);
        }
    }

    /// Which of the workers of this session it is.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Ends it at once. Without this, it ends by itself when its input does, and what it does then is its own affair:
    /// trainings write a checkpoint.
    pub fn kill(self) {
        if let Ok(mut child) = self.child.try_lock() {
            let _ = child.kill();
        }
    }
}

fn read(line: &str) -> Result<Message, String> {
    serde_json::from_str(line).map_err(|e| {
        let begin: String = line.chars().take(80).collect();
        format!("what it said is no message of a worker ({e}): {begin}")
    })
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Reply;

    fn all(line: &str) -> Vec<Event> {
        let (to, events) = unbounded();
        let session = Session::start(&How::Shell(line.to_owned()), 1, &to).unwrap();
        let mut seen = Vec::new();
        for event in events {
            let over = matches!(event, Event::WorkerGone(_));
            seen.push(event);
            if over {
                break;
            }
        }
        drop(session);
        seen
    }

    #[test]
    fn what_it_says_arrives_and_its_end_too() {
        let seen = all(r#"sh -c 'echo "{\"id\":1,\"reply\":\"noted\"}"; echo last words >&2; kill -9 $$'"#);
        let Event::Worker(message) = &seen[0] else {
            panic!("{seen:?}");
        };
        assert_eq!(
            (message.id, &message.reply),
            (Some(1), &Reply::Noted { nodes: Vec::new() })
        );
        let Event::WorkerGone(gone) = &seen[1] else {
            panic!("{seen:?}");
        };
        assert_eq!(gone.how, "was killed by signal 9");
        assert_eq!(gone.last, ["last words"]);
    }

    #[test]
    fn a_program_that_is_no_worker_is_ended() {
        let seen = all("sh -c 'echo welcome to this host; exec sleep 600'");
        let Event::WorkerGone(gone) = &seen[0] else {
            panic!("{seen:?}");
        };
        assert!(gone.how.contains("welcome to this host"), "{gone:?}");
    }
}
