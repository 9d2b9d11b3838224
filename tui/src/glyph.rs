//! Signs, in Unicode and in ASCII.

/// A set of signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// Box drawing, blocks and braille.
    #[default]
    Unicode,
    /// What every terminal has.
    Ascii,
}

/// Signs of node states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// Nothing is known.
    #[default]
    Idle,
    /// It will run.
    Queued,
    /// It runs.
    Running,
    /// It waits for something else.
    Waiting,
    /// It ran.
    Done,
    /// Its results were there.
    Cached,
    /// Something above it changed since it ran.
    Stale,
    /// It failed.
    Failed,
    /// It was not run, because of another.
    Skipped,
    /// It is bypassed.
    Bypassed,
    /// It is frozen.
    Frozen,
}

impl Glyphs {
    /// One of two signs.
    pub(crate) fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        match self {
            Self::Unicode => unicode,
            Self::Ascii => ascii,
        }
    }

    /// The sign of a node state.
    pub fn mark(self, mark: Mark) -> &'static str {
        let (unicode, ascii) = match mark {
            Mark::Idle => (" ", " "),
            Mark::Queued => ("·", "."),
            Mark::Running => ("▶", ">"),
            Mark::Waiting => ("…", "w"),
            Mark::Done => ("✓", "+"),
            Mark::Cached => ("✓", "+"),
            Mark::Stale => ("~", "~"),
            Mark::Failed => ("✖", "!"),
            Mark::Skipped => ("-", "-"),
            Mark::Bypassed => ("⊘", "/"),
            Mark::Frozen => ("❄", "*"),
        };
        self.pick(unicode, ascii)
    }

    /// The sign of a port type: shape and colour say the same.
    pub fn port(self, ty: &str) -> &'static str {
        let (unicode, ascii) = match ty {
            "model" => ("●", "M"),
            "text" => ("△", "T"),
            "vae" => ("◇", "V"),
            "latent" => ("◆", "L"),
            "images" => ("■", "I"),
            "conditioning" => ("▲", "C"),
            "adapter" => ("★", "A"),
            "table" => ("▤", "N"),
            "files" => ("□", "F"),
            _ => ("○", "o"),
        };
        self.pick(unicode, ascii)
    }

    /// Marks the row that is chosen.
    pub fn cursor(self) -> &'static str {
        self.pick("›", ">")
    }

    /// Marks something that changed and is not saved.
    pub fn dirty(self) -> &'static str {
        self.pick("●", "*")
    }

    /// A bar of `width` cells, filled to `share` of 1.
    pub fn bar(self, width: usize, share: f64) -> String {
        let full = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
        let (done, left) = match self {
            Self::Unicode => ("█", "░"),
            Self::Ascii => ("#", "."),
        };
        done.repeat(full.min(width)) + &left.repeat(width - full.min(width))
    }

    /// A sparkline of values, in `width` cells at most.
    pub fn sparkline(self, values: &[f64], width: usize) -> String {
        const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        const LETTERS: [char; 8] = ['_', '_', '.', '.', '-', '-', '^', '^'];
        let last = &values[values.len().saturating_sub(width)..];
        let (low, high) = last
            .iter()
            .fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        let signs = if self == Self::Unicode { BLOCKS } else { LETTERS };
        let place = |v: f64| {
            if high > low {
                ((v - low) / (high - low) * 7.0).round() as usize
            } else {
                0
            }
        };
        last.iter().map(|v| signs[place(*v).min(7)]).collect()
    }

    /// A wire goes on at the right.
    pub fn right(self) -> &'static str {
        self.pick("▸", ">")
    }

    /// A wire comes from the left.
    pub fn left(self) -> &'static str {
        self.pick("◂", "<")
    }

    /// A wire that closes a circle.
    pub fn circle(self) -> &'static str {
        self.pick("↺", "@")
    }

    /// A folded group.
    pub fn folded(self) -> &'static str {
        self.pick("▸", ">")
    }

    /// Something to look at.
    pub fn warning(self) -> &'static str {
        self.pick("▲", "?")
    }

    /// Three dots where a text was cut.
    pub fn more(self) -> &'static str {
        self.pick("…", "~")
    }
}

/// A sign in ASCII, as near as can be.
pub fn ascii(sign: &str) -> &'static str {
    match sign {
        "·" | "•" => ".",
        "…" => "~",
        "−" | "–" | "—" | "─" => "-",
        "×" => "x",
        "‘" | "’" => "'",
        "“" | "”" | "„" => "\"",
        "→" | "▸" => ">",
        "←" | "◂" => "<",
        "✓" => "+",
        "✖" => "!",
        _ => "?",
    }
}

/// The beginning of a text in at most `width` cells.
pub fn cut(text: &str, width: usize, glyphs: Glyphs) -> String {
    use ratatui::text::Span;
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if Span::raw(short.as_str()).width() + 1 > width {
            short.pop();
            break;
        }
    }
    if width > 0 {
        short.push_str(glyphs.more());
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_ascii() {
        use Mark::{Bypassed, Cached, Done, Failed, Frozen, Idle, Queued, Running, Skipped, Stale, Waiting};
        for mark in [
            Idle, Queued, Running, Waiting, Done, Cached, Stale, Failed, Skipped, Bypassed, Frozen,
        ] {
            assert!(Glyphs::Ascii.mark(mark).is_ascii());
        }
        assert_eq!(Glyphs::Ascii.bar(4, 0.5), "##..");
        assert!(Glyphs::Ascii.sparkline(&[1.0, 2.0], 9).is_ascii());
    }

    #[test]
    fn long_texts_are_cut_to_the_cell() {
        assert_eq!(cut("abcdef", 4, Glyphs::Unicode), "abc…");
        assert_eq!(cut("日本語", 4, Glyphs::Unicode), "日…");
        assert_eq!(cut("abc", 3, Glyphs::Unicode), "abc");
        assert_eq!(cut("abc", 0, Glyphs::Unicode), "");
    }
}
