//! From an event to a new state and what is to be done outside. Pure: no IO, no clock.

use crate::effect::Effect;
use crate::event::Event;
use crate::state::{Dirty, State};

mod act;
mod add;
mod change;
mod connect;
mod fields;
mod files;
mod freeze;
mod go;
mod group;
mod keys;
mod lists;
mod mouse;
mod paths;
mod pictures;
mod rows;
mod run;
mod sheet;
mod tour;
mod worker;

pub(crate) use pictures::compare_size;
pub use tour::STEPS;

impl State {
    /// Takes note of an event that happened at `now` (milliseconds since 1970); gives what is to be done outside.
    pub fn update(&mut self, event: Event, now: u64) -> Vec<Effect> {
        self.now = now;
        self.counters.events += 1;
        match event {
            Event::Key(key) => self.on_key(key),
            Event::Mouse(mouse) => self.on_mouse(mouse),
            Event::Paste(text) => self.on_paste(&text),
            Event::Resize(width, height) => {
                self.size = (width, height);
                self.resized();
                self.reveal();
            }
            Event::Focus(here) => self.on_focus(here),
            Event::Worker(message) => self.on_worker(message),
            Event::WorkerGone(gone) => self.on_worker_gone(gone),
            Event::File(event) => self.on_file(event),
            Event::Outside(result) => self.on_outside(result),
            Event::Picture(key, size, encoded) => self.on_picture(key, size, encoded),
            Event::Graphics(picker) => self.on_graphics(picker),
            Event::Surveyed(surveyed) => self.surveyed(*surveyed),
            Event::Timer => self.on_timer(),
            Event::Sleep => self.outbox.push(Effect::Suspend),
            Event::Woken => {
                self.outbox.push(Effect::Redraw);
                self.dirty = Dirty::Yes;
            }
            Event::Terminate => self.outbox.push(Effect::Quit),
        }
        self.want_pictures();
        std::mem::take(&mut self.outbox)
    }

    fn on_timer(&mut self) {
        if self.toast.as_ref().is_some_and(|toast| toast.until <= self.now) {
            self.toast = None;
            self.dirty = Dirty::Yes;
        }
        if self.explains_keys() {
            self.dirty = Dirty::Yes;
        }
        if self.save_at.is_some_and(|at| at <= self.now) {
            self.save_by_itself();
        }
        if self.watch_at.is_some_and(|at| at <= self.now) {
            self.watch_at = None;
            self.run_watched();
        }
    }
}
