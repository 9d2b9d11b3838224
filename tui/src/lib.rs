//! The terminal editor: draw a graph, run it, watch it.
//!
//! Everything turns in one circle. An [`event::Event`] (a key, a line of the worker, a signal) becomes an
//! [`action::Action`] from the one table of them; [`update`] changes the [`state::State`] and says which
//! [`effect::Effect`]s are wanted; [`view`] draws the state. `update` and `view` do no IO and read no clock, so tests
//! drive them with key strings and look at screens.
//!
//! The editor links no tensor code and loads no library: it speaks to a `para worker` child over JSON lines.

pub mod action;
pub mod app;
pub mod bytes;
pub mod clipboard;
pub mod edit;
pub mod effect;
pub mod event;
pub mod field;
pub mod glyph;
pub mod history;
pub mod journal;
pub mod keymap;
pub mod layer;
pub mod mirror;
mod pace;
pub mod regions;
pub mod runs;
pub mod scene;
pub mod session;
pub mod shape;
pub mod state;
pub mod survey;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;
