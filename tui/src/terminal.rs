//! The terminal: taken over, drawn to without flicker, given back whatever happens.

use crate::glyph::Glyphs;
use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{execute, queue, terminal};
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, CrosstermBackend};
use std::io::{self, Stdout, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

/// What is drawn to.
pub type Screen = Terminal<CrosstermBackend<Stdout>>;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Mouse buttons, movement while one is pressed, coordinates of any size: not every movement, which would flood slow lines.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h";

/// The terminal while the editor has it; dropping it gives it back.
#[derive(Debug)]
pub struct Guard {
    mouse: bool,
}

impl Guard {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// Standard output is no terminal, or refuses.
    pub fn take(mouse: bool) -> io::Result<Self> {
        let guard = Self { mouse };
        guard.again()?;
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            hook(info);
        }));
        Ok(guard)
    }

    /// Takes the terminal over once more, after sleep or another program.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn again(&self) -> io::Result<()> {
        terminal::enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let mut out = stdout();
        execute!(out, EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange)?;
        if self.mouse {
            out.write_all(MOUSE_ON.as_bytes())?;
        }
        out.flush()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, if it is taken. Errors have nobody left to hear them.
pub fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(
        stdout(),
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    );
    let _ = terminal::disable_raw_mode();
}

/// Draws a frame between the two marks of a synchronised update, so that no terminal shows half of it. With `anew`, every
/// cell is written, whatever is there.
///
/// # Errors
/// The terminal cannot be written to.
pub fn draw(screen: &mut Screen, anew: bool, with: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
    queue!(screen.backend_mut(), BeginSynchronizedUpdate)?;
    if anew {
        // `Terminal::clear` would ask where the cursor is, and the answer would go to the thread that reads keys.
        screen.backend_mut().clear_region(ClearType::All)?;
        screen.swap_buffers();
    }
    let drawn = screen.draw(with).map(|_| ());
    execute!(screen.backend_mut(), EndSynchronizedUpdate)?;
    drawn
}

/// The signs that the environment's character set allows.
pub fn glyphs_of(var: impl Fn(&str) -> Option<String>) -> Glyphs {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| var(name).filter(|value| !value.is_empty()))
        .unwrap_or_default()
        .to_lowercase();
    let utf8 = locale.contains("utf-8") || locale.contains("utf8");
    match var("TERM").unwrap_or_default().as_str() {
        "linux" | "dumb" => Glyphs::Ascii,
        _ if utf8 => Glyphs::Unicode,
        _ => Glyphs::Ascii,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_follow_the_locale() {
        let of = |pairs: &[(&str, &str)]| {
            glyphs_of(|name| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[("LANG", "en_GB.UTF-8"), ("TERM", "xterm")]), Glyphs::Unicode);
        assert_eq!(of(&[("LANG", "en_GB.UTF-8"), ("TERM", "linux")]), Glyphs::Ascii);
        assert_eq!(of(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]), Glyphs::Ascii);
        assert_eq!(of(&[("TERM", "xterm")]), Glyphs::Ascii);
    }
}
