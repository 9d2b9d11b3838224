//! The terminal's keys and the system's signals, as events.

use crate::event::Event;
use crossbeam_channel::Sender;
use crossterm::event::{self, Event as Raw};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// The thread that reads the terminal; it can be kept from reading while another program has the terminal.
pub(super) struct Reader {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    paused: Mutex<bool>,
    changed: Condvar,
    reading: AtomicBool,
}

impl Reader {
    pub(super) fn start(to: &Sender<Event>) -> Self {
        let shared = Arc::new(Shared::default());
        let (to, own) = (to.clone(), Arc::clone(&shared));
        thread::spawn(move || read(&to, &own));
        Self { shared }
    }

    /// Keeps it from reading; when this returns, it does not read.
    pub(super) fn pause(&self) {
        if let Ok(mut paused) = self.shared.paused.lock() {
            *paused = true;
        }
        while self.shared.reading.load(Ordering::SeqCst) {
            // It waits for the terminal; told that the window may have changed, it looks up.
            let _ = signal_hook::low_level::raise(SIGWINCH);
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn go_on(&self) {
        if let Ok(mut paused) = self.shared.paused.lock() {
            *paused = false;
        }
        self.shared.changed.notify_all();
    }
}

fn read(to: &Sender<Event>, shared: &Shared) {
    loop {
        {
            let Ok(mut paused) = shared.paused.lock() else {
                return;
            };
            while *paused {
                shared.reading.store(false, Ordering::SeqCst);
                let Ok(next) = shared.changed.wait(paused) else {
                    return;
                };
                paused = next;
            }
            shared.reading.store(true, Ordering::SeqCst);
        }
        // Woken by a key, a change of the window, or after a while.
        match event::poll(Duration::from_secs(3600)) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(_) => return drop(to.send(Event::Terminate)),
        }
        let Ok(raw) = event::read() else {
            return drop(to.send(Event::Terminate));
        };
        let event = match raw {
            Raw::Key(key) => Event::Key(key),
            Raw::Mouse(mouse) => Event::Mouse(mouse),
            Raw::Paste(text) => Event::Paste(text),
            Raw::Resize(width, height) => Event::Resize(width, height),
            Raw::FocusGained => Event::Focus(true),
            Raw::FocusLost => Event::Focus(false),
        };
        if to.send(event).is_err() {
            return;
        }
    }
}

/// Signals as events: to end, to sleep, and to be woken.
pub(super) fn signals(to: &Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGTSTP, SIGCONT])?;
    let to = to.clone();
    thread::spawn(move || {
        for signal in signals.forever() {
            let event = match signal {
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
