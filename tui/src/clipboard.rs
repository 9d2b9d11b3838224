//! The clipboard: the editor's own, and the system's through the terminal.

use crossterm::clipboard::CopyToClipboard;
use std::io::Write;

/// Sends a text to the clipboard of the machine whose terminal this is (OSC 52). Terminals that do not know it ignore it.
///
/// # Errors
/// The terminal cannot be written to.
pub fn send(mut to: impl Write, text: &str) -> std::io::Result<()> {
    crossterm::execute!(to, CopyToClipboard::to_clipboard_from(text))
}
