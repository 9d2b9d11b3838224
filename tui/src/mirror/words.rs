//! What happened, in words.

use crate::glyph::Mark;
use protocol::{Event, Level, Summary};

/// What the log says of an event; nothing of progress and numbers.
pub(super) fn sentence(event: &Event) -> Option<(Option<String>, Option<Mark>, String)> {
    Some(match event {
        Event::RunStarted { nodes } => (None, None, format!("run of {nodes} nodes")),
        Event::Started { node, ty } => (Some(node.clone()), Some(Mark::Running), ty.clone()),
        Event::Waiting { node, why } => (Some(node.clone()), Some(Mark::Waiting), format!("waits: {why}")),
        Event::Log { node, level, text } => {
            let mark = (*level == Level::Warning).then_some(Mark::Stale);
            (node.clone(), mark, text.clone())
        }
        Event::Done {
            node, seconds, files, ..
        } => {
            let files = if files.is_empty() {
                String::new()
            } else {
                format!("  {}", files.join("  "))
            };
            (
                Some(node.clone()),
                Some(Mark::Done),
                format!("{}{files}", seconds_text(*seconds)),
            )
        }
        Event::Cached { node, frozen: true, .. } => (Some(node.clone()), Some(Mark::Frozen), "frozen".to_owned()),
        Event::Cached { node, .. } => (Some(node.clone()), Some(Mark::Cached), "cached".to_owned()),
        Event::Older { node } => (
            Some(node.clone()),
            Some(Mark::Stale),
            "frozen: older than its inputs; B thaws it".to_owned(),
        ),
        Event::Loaded { node, seconds } => (
            Some(node.clone()),
            Some(Mark::Done),
            format!("loaded in {}", seconds_text(*seconds)),
        ),
        Event::Failed {
            node, message, help, ..
        } => {
            let help = help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
            (Some(node.clone()), Some(Mark::Failed), format!("{message}{help}"))
        }
        Event::Skipped { node, because } => {
            let why = because
                .as_ref()
                .map_or("stopped".to_owned(), |other| format!("not run: {other} failed"));
            (Some(node.clone()), Some(Mark::Skipped), why)
        }
        Event::RunFinished { summary } => (None, None, summary_text(summary)),
        Event::Progress { .. } | Event::Metric { .. } | Event::Preview { .. } | Event::Reading { .. } => return None,
    })
}

/// A run's end in a line.
pub fn summary_text(s: &Summary) -> String {
    let mut words = Vec::new();
    for (count, word) in [
        (s.executed, "executed"),
        (s.cached, "cached"),
        (s.loaded, "loaded"),
        (s.failed, "failed"),
        (s.skipped, "skipped"),
    ] {
        if count > 0 {
            words.push(format!("{count} {word}"));
        }
    }
    let end = if s.cancelled {
        "stopped"
    } else if s.failed > 0 {
        "failed"
    } else {
        "done"
    };
    format!("{end} in {}: {}", seconds_text(s.seconds), words.join(", "))
}

/// `1.8s`, `2:14`, `1:02:03`.
pub fn seconds_text(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1}s");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_can_be_read() {
        assert_eq!(seconds_text(1.84), "1.8s");
        assert_eq!(seconds_text(134.2), "2:14");
        assert_eq!(seconds_text(3723.0), "1:02:03");
    }
}
