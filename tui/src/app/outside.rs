//! The user's own editor.

use std::io::Write;
use std::process::Command;

/// Lets `$VISUAL` or `$EDITOR` work on a text; gives what came of it.
pub(super) fn edit(text: &str, extension: &str) -> Result<String, String> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
        .unwrap_or_else(|| "vi".to_owned());
    let made = tempfile::Builder::new()
        .prefix("para-")
        .suffix(&format!(".{extension}"))
        .tempfile();
    let mut file = made.map_err(|e| format!("no file for {editor}: {e}"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.flush())
        .map_err(|e| format!("no file for {editor}: {e}"))?;
    // Through the shell, since $EDITOR may carry arguments.
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(file.path())
        .status()
        .map_err(|e| format!("{editor} cannot be started: {e}"))?;
    if !status.success() {
        return Err(format!("{editor} ended with {status}; nothing was changed"));
    }
    std::fs::read_to_string(file.path()).map_err(|e| format!("what {editor} wrote cannot be read: {e}"))
}
