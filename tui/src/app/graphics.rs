//! How pictures are shown in this terminal, and the thread that makes them ready.

use crate::event::{Encoded, Event};
use crossbeam_channel::{Sender, unbounded};
use ratatui::layout::Size;
use ratatui_image::picker::cap_parser::{Parser, QueryStdioOptions, Response};
use ratatui_image::picker::{Picker, ProtocolType};
use ratatui_image::{FilterType, FontSize, Resize};
use std::sync::Arc;

/// What the thread is told.
pub(super) enum Job {
    /// Pictures are made for such a terminal from now on.
    Terminal(Picker),
    /// A picture's number, its file, the cells it may fill.
    Picture(u64, Arc<[u8]>, (u16, u16)),
}

/// What the environment says of the terminal, and what is to be asked of it.
pub(super) fn guess() -> (Picker, String) {
    let picker = match pixels() {
        Some(cell) => of_environment(cell),
        None => Picker::halfblocks(),
    };
    // WezTerm and Konsole say yes to what they do only in part; `ratatui-image` has the reasons.
    let set = |name| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let refused = if set("WEZTERM_EXECUTABLE") || set("KONSOLE_VERSION") {
        vec![ProtocolType::Kitty, ProtocolType::Sixel]
    } else {
        Vec::new()
    };
    let options = QueryStdioOptions {
        blacklist_protocols: refused,
        ..QueryStdioOptions::default()
    };
    let question = Parser::query(picker.tmux_detected(), options);
    (picker, question)
}

/// What the terminal's answers say; nothing when it has only cells.
pub(super) fn answered(answers: &[Response]) -> Option<Picker> {
    let cell = answers.iter().find_map(|answer| match answer {
        Response::CellSize(Some((width, height))) => Some(FontSize::new(*width, *height)),
        _ => None,
    });
    let mut picker = of_environment(cell.or_else(pixels)?);
    if answers.contains(&Response::Kitty) {
        picker.set_protocol_type(ProtocolType::Kitty);
    } else if answers.contains(&Response::Sixel) {
        picker.set_protocol_type(ProtocolType::Sixel);
    }
    (picker.protocol_type() != ProtocolType::Halfblocks).then_some(picker)
}

#[expect(
    deprecated,
    reason = "the other way reads the terminal itself, and the keys that are typed meanwhile are lost"
)]
fn of_environment(cell: FontSize) -> Picker {
    Picker::from_fontsize(cell)
}

/// The pixels of a cell, where the terminal tells the system.
fn pixels() -> Option<FontSize> {
    let window = crossterm::terminal::window_size().ok()?;
    let cell = FontSize::new(
        window.width.checked_div(window.columns)?,
        window.height.checked_div(window.rows)?,
    );
    (cell.width > 0 && cell.height > 0).then_some(cell)
}

/// Makes pictures ready on a thread of its own.
pub(super) fn encoder(events: &Sender<Event>) -> Sender<Job> {
    let (to, jobs) = unbounded();
    let events = events.clone();
    std::thread::spawn(move || {
        let mut terminal = None;
        for job in jobs {
            let (key, bytes, size) = match job {
                Job::Terminal(picker) => {
                    terminal = Some(picker);
                    continue;
                }
                Job::Picture(key, bytes, size) => (key, bytes, size),
            };
            let picker = terminal.get_or_insert_with(Picker::halfblocks);
            if events
                .send(Event::Picture(key, size, encode(picker, &bytes, size)))
                .is_err()
            {
                return;
            }
        }
    });
    to
}

fn encode(picker: &Picker, bytes: &[u8], (width, height): (u16, u16)) -> Result<Encoded, String> {
    let picture = image::load_from_memory(bytes).map_err(|e| format!("this picture cannot be shown: {e}"))?;
    let resize = Resize::Scale(Some(FilterType::Triangle));
    let made = picker.new_protocol(picture, Size::new(width, height), resize);
    made.map(|made| Encoded(Arc::new(made))).map_err(|e| e.to_string())
}
