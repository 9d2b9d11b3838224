//! The terminal's keys and the system's signals, as events.

use crate::bytes::{Bytes, Sent};
use crate::event::Event;
use crossbeam_channel::Sender;
use crossterm::event::Event as Raw;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// How long the rest of what begins with the byte of Escape is waited for.
const REST: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// The thread that reads the terminal; it can be kept from reading while another program has the terminal.
pub(super) struct Reader {
    shared: Arc<Shared>,
    wake: PipeWriter,
}

#[derive(Default)]
struct Shared {
    state: Mutex<Turn>,
    changed: Condvar,
}

#[derive(Default)]
struct Turn {
    paused: bool,
    reading: bool,
}

impl Reader {
    /// Begins to read; `asked` when the terminal is asked about pictures, so that answers come among the keys.
    pub(super) fn start(to: &Sender<Event>, asked: bool) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (woken, wake) = io::pipe()?;
        let (to, own) = (to.clone(), Arc::clone(&shared));
        thread::spawn(move || read(&to, &own, &woken, asked));
        Ok(Self { shared, wake })
    }

    /// Keeps it from reading; when this returns, it does not read.
    pub(super) fn pause(&mut self) {
        let Ok(mut turn) = self.shared.state.lock() else {
            return;
        };
        turn.paused = true;
        if self.wake.write_all(&[0]).is_err() {
            return;
        }
        drop(self.shared.changed.wait_while(turn, |turn| turn.reading));
    }

    pub(super) fn go_on(&self) {
        if let Ok(mut turn) = self.shared.state.lock() {
            turn.paused = false;
        }
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Waits until it may be read; false when nobody is left to read for.
    fn may_read(&self) -> bool {
        let Ok(mut turn) = self.state.lock() else {
            return false;
        };
        turn.reading = false;
        self.changed.notify_all();
        let Ok(mut turn) = self.changed.wait_while(turn, |turn| turn.paused) else {
            return false;
        };
        turn.reading = true;
        true
    }
}

fn read(to: &Sender<Event>, shared: &Shared, woken: &PipeReader, asked: bool) {
    let mut bytes = Bytes::new(asked);
    while shared.may_read() {
        match chunk(woken) {
            Ok(chunk) => {
                if !pass_on(to, bytes.take(&chunk)) {
                    return;
                }
            }
            Err(_) => return drop(to.send(Event::Terminate)),
        }
    }
}

/// The bytes that are there, once there are some; none when it was woken.
fn chunk(woken: &PipeReader) -> Result<Vec<u8>, Errno> {
    let terminal = io::stdin();
    let mut fds = [PollFd::new(&terminal, PollFlags::IN), PollFd::new(woken, PollFlags::IN)];
    match poll(&mut fds, None) {
        Err(Errno::INTR) => return Ok(Vec::new()),
        other => other?,
    };
    let [of_terminal, of_waker] = fds.map(|fd| fd.revents());
    let mut buffer = [0; 4096];
    if !of_waker.is_empty() {
        rustix::io::read(woken, &mut buffer)?;
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    let mut there = !of_terminal.is_empty();
    while there {
        match rustix::io::read(&terminal, &mut buffer) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            // The terminal is gone.
            Ok(0) => return Err(Errno::IO),
            read => all.extend(&buffer[..read?]),
        }
        let patience = if all.last() == Some(&0x1b) { &REST } else { &AT_ONCE };
        there = all.len() < 65536
            && poll(&mut [PollFd::new(&terminal, PollFlags::IN)], Some(patience)).is_ok_and(|ready| ready > 0);
    }
    Ok(all)
}

/// Hands on what was sent; false when nobody takes it any more.
fn pass_on(to: &Sender<Event>, sent: Vec<Sent>) -> bool {
    for sent in sent {
        let event = match sent {
            Sent::Event(Raw::Key(key)) => Event::Key(key),
            Sent::Event(Raw::Mouse(mouse)) => Event::Mouse(mouse),
            Sent::Event(Raw::Paste(text)) => Event::Paste(text),
            Sent::Event(Raw::Resize(width, height)) => Event::Resize(width, height),
            Sent::Event(Raw::FocusGained) => Event::Focus(true),
            Sent::Event(Raw::FocusLost) => Event::Focus(false),
            Sent::Answers(answers) => match super::graphics::answered(&answers) {
                Some(picker) => Event::Graphics(Box::new(picker)),
                None => continue,
            },
        };
        if to.send(event).is_err() {
            return false;
        }
    }
    true
}

/// Signals as events: another size of the window, to end, to sleep, and to be woken.
pub(super) fn signals(to: &Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGWINCH, SIGTERM, SIGHUP, SIGTSTP, SIGCONT])?;
    let to = to.clone();
    thread::spawn(move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGWINCH => match crossterm::terminal::size() {
                    Ok((width, height)) => Event::Resize(width, height),
                    Err(_) => continue,
                },
                SIGCONT => Event::Woken,
                SIGTSTP => Event::Sleep,
                _ => Event::Terminate,
            };
            if to.send(event).is_err() {
                return;
            }
        }
    });
    Ok(())
}
