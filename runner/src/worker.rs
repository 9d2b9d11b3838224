//! `para worker`: answers requests of an editor, one JSON object a line (crate `protocol`, `docs/protocol.md`).
//!
//! One thread reads and answers what needs no work. Two take what does, so that checking a graph waits neither for a
//! model file that is being hashed nor for a training; one runs graphs, one after another.

mod answer;
mod files;
mod output;
mod runs;

use crate::failure::{Failure, Kind, Result};
use crate::panic;
use crate::reload::{Reloader, Service};
use crate::resolve::Session;
use crossbeam_channel::{Receiver, Sender, unbounded};
use output::{Output, error};
use protocol::{Ask, Live, Message, Reply, Request};
use runs::{Job, Runs};
use std::io::{BufRead, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// What all threads of a worker share.
struct Shared {
    session: Session,
    /// The registry that new requests work with; a run keeps the one that it began with.
    reloader: Arc<Reloader>,
    output: Output,
    runs: Runs,
    /// Where accepted runs go; closed at the end.
    jobs: Mutex<Option<Sender<Job>>>,
}

impl Shared {
    fn session(&self) -> Session {
        Session {
            registry: self.reloader.registry(),
            ..self.session.clone()
        }
    }
}

/// Answers requests until the input ends, or until one asks to quit; then stops what runs. Messages go to `output`.
/// With `watch`, node crates are built and replaced when their sources change, and the messages tell of it.
///
/// # Errors
/// When the input cannot be read.
pub fn serve(
    session: Session,
    reloader: Arc<Reloader>,
    watch: bool,
    mut input: impl BufRead,
    output: Box<dyn Write + Send>,
) -> Result<()> {
    let (jobs, to_run) = unbounded();
    let shared = Arc::new(Shared {
        session,
        reloader: reloader.clone(),
        output: Output::new(output),
        runs: Runs::default(),
        jobs: Mutex::new(Some(jobs)),
    });
    let told = shared.output.clone();
    let service = watch.then(|| Service::start(reloader, move |news| told.send(None, answer::news(news))));
    if let Some(Err(failure)) = &service {
        shared.output.send(None, error(failure));
    }
    let desk = Desk {
        quick: thread(&shared),
        slow: thread(&shared),
    };
    runs::thread(&shared, to_run);
    let mut line = Vec::new();
    loop {
        match read_line(&mut input, &mut line) {
            Ok(Line::End) => break,
            Ok(Line::TooLong) => {
                let message = format!("a line is longer than {} MiB", protocol::LONGEST >> 20);
                shared.output.send(None, protocol_error(message));
            }
            Ok(Line::Read) => {
                if !take(&shared, &desk, &line) {
                    break;
                }
            }
            Err(e) => return Err(Failure::system(format!("standard input cannot be read: {e}"))),
        }
    }
    drop(desk);
    shared.runs.finish();
    shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
    shared.session().contents.save();
    Ok(())
}

/// Where requests wait for their thread.
struct Desk {
    quick: Sender<Request>,
    slow: Sender<Request>,
}

/// A thread that works on requests in order. It ends with the process, not before: at the end of input nobody waits for
/// a file that is being hashed.
fn thread(shared: &Arc<Shared>) -> Sender<Request> {
    let (sender, requests): (_, Receiver<Request>) = unbounded();
    let shared = shared.clone();
    std::thread::spawn(move || {
        for request in requests {
            let id = request.id;
            guarded(&shared, id, || do_ask(&shared, request));
        }
    });
    sender
}

/// Does some work for a request; a panic in it is an answer.
fn guarded(shared: &Shared, id: u64, work: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        let failure = Failure::new(Kind::Bug, format!("para itself failed: {}", panic::describe(payload)));
        shared.runs.leave(id);
        shared
            .output
            .send(Some(id), error(&failure.help("please report this with the request")));
    }
}

/// Takes a line; false when it asks to quit.
fn take(shared: &Shared, desk: &Desk, line: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(line) else {
        shared.output.send(None, protocol_error("the line is not UTF-8".into()));
        return true;
    };
    if text.trim().is_empty() {
        return true;
    }
    let request = match Request::read(text) {
        Ok(request) => request,
        Err(bad) => {
            shared.output.send(bad.id, protocol_error(bad.message));
            return true;
        }
    };
    let id = request.id;
    let reply = match &request.ask {
        Ask::Hello { version } => Some(answer::hello(shared, *version)),
        Ask::Cancel { run, now } => Some(shared.runs.cancel(*run, *now)),
        Ask::Live { run, node, command } => {
            let command = match command {
                Live::SampleNow => sdk::Live::SampleNow,
                Live::BackUpNow => sdk::Live::BackUpNow,
                Live::StopAndKeep => sdk::Live::StopAndKeep,
            };
            Some(shared.runs.live(*run, node.as_deref(), command))
        }
        Ask::Quit => {
            shared.output.send(Some(id), Reply::Noted { nodes: Vec::new() });
            return false;
        }
        Ask::Run(run) => {
            if let Err(reply) = shared.runs.enter(id, run.previews, &shared.output) {
                shared.output.send(Some(id), reply);
                return true;
            }
            let _ = desk.quick.send(request);
            return true;
        }
        Ask::Plan { .. } | Ask::Reload | Ask::ReadPicture { .. } => {
            // The thread lives as long as its sender.
            let _ = desk.slow.send(request);
            return true;
        }
        Ask::Catalogue | Ask::Check { .. } | Ask::ListFolder { .. } | Ask::ReadFile { .. } => {
            let _ = desk.quick.send(request);
            return true;
        }
    };
    if let Some(reply) = reply {
        shared.output.send(Some(id), reply);
    }
    true
}

/// Requests that need some work and no run.
fn do_ask(shared: &Shared, request: Request) {
    let session = shared.session();
    let reply = match request.ask {
        Ask::Catalogue => Ok(answer::catalogue(shared, &session)),
        Ask::Check { graph } => answer::check(&session, &graph),
        Ask::Plan { graph, targets } => answer::plan(&session, &graph, &targets),
        Ask::ListFolder { path } => files::list(&path),
        Ask::ReadFile { path, limit } => files::read(&path, limit),
        Ask::ReadPicture { path, width, height } => files::picture(&path, width, height),
        Ask::Reload => answer::reload(shared),
        Ask::Run(run) => return runs::accept(shared, request.id, run),
        // Answered where they are read.
        Ask::Hello { .. } | Ask::Cancel { .. } | Ask::Live { .. } | Ask::Quit => return,
    };
    let reply = reply.unwrap_or_else(|failure| error(&failure));
    shared.output.send(Some(request.id), reply);
}

fn protocol_error(message: String) -> Reply {
    Reply::Error(protocol::Error {
        kind: protocol::Kind::Protocol,
        message,
        help: Some("docs/protocol.md shows every request".into()),
        diagnostics: Vec::new(),
    })
}

enum Line {
    Read,
    TooLong,
    End,
}

/// Reads a line without its end. The rest of one that is too long is passed over.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Line> {
    line.clear();
    let limit = protocol::LONGEST as u64;
    if input.by_ref().take(limit).read_until(b'\n', line)? == 0 {
        return Ok(Line::End);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Line::Read);
    }
    if (line.len() as u64) < limit {
        // The input ended in the middle of a line.
        return Ok(Line::Read);
    }
    loop {
        line.clear();
        if input.by_ref().take(1 << 16).read_until(b'\n', line)? == 0 || line.last() == Some(&b'\n') {
            line.shrink_to(1 << 20);
            return Ok(Line::TooLong);
        }
    }
}

/// A message as its line.
fn text(id: Option<u64>, reply: Reply) -> String {
    serde_json::to_string(&Message { id, reply }).unwrap_or_else(|e| {
        // Every reply is plain data; numbers that are not finite become null.
        format!("{{\"id\":null,\"reply\":\"error\",\"kind\":\"bug\",\"message\":\"{e}\"}}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    #[test]
    fn lines_that_are_too_long_are_passed_over() {
        let long = vec![b'x'; protocol::LONGEST + (3 << 16)];
        let mut text = b"one\n\n".to_vec();
        text.extend(&long);
        text.extend(b"\ntwo");
        let mut input = BufReader::new(text.as_slice());
        let mut line = Vec::new();
        let mut next = || match read_line(&mut input, &mut line).unwrap() {
            Line::Read => String::from_utf8(line.clone()).unwrap(),
            Line::TooLong => "too long".into(),
            Line::End => "end".into(),
        };
        let all: Vec<String> = (0..5).map(|_| next()).collect();
        assert_eq!(all, ["one", "", "too long", "two", "end"]);
    }
}
