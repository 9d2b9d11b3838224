//! Colours by what they mean, at four depths, each written by hand.

use ratatui::style::{Color, Modifier, Style};

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Depth {
    /// Any.
    #[default]
    True,
    /// The palette of 256.
    Indexed,
    /// The sixteen of the terminal's own theme.
    Sixteen,
    /// None: weight and reverse only.
    Mono,
}

/// Which palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Palette {
    /// For dark backgrounds.
    #[default]
    Dark,
    /// For light ones.
    Light,
}

/// What a colour means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Plain text.
    Text,
    /// What matters less.
    Dim,
    /// Frames.
    Frame,
    /// The frame of the pane with the keys, the chosen node.
    Focus,
    /// Titles.
    Title,
    /// The chosen row.
    Chosen,
    /// Keys in hints.
    Key,
    /// Done.
    Good,
    /// Running.
    Running,
    /// Out of date, warnings.
    Warning,
    /// Failed, errors.
    Bad,
    /// A value that is not the default.
    Changed,
    /// Characters of a filter that match.
    Match,
    /// A label to be typed.
    Label,
}

/// Roles to styles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// How many colours.
    pub depth: Depth,
    /// Which palette.
    pub palette: Palette,
}

/// A role's colour in 24 bits, in the palette of 256, among the sixteen; and its weight without colours.
struct Tone(u32, u8, Color, Modifier);

const NONE: Modifier = Modifier::empty();

fn dark(role: Role) -> Tone {
    match role {
        Role::Text => Tone(0x00c8_ccd4, 252, Color::Reset, NONE),
        Role::Dim => Tone(0x0071_7a8a, 243, Color::DarkGray, Modifier::DIM),
        Role::Frame => Tone(0x0049_5162, 240, Color::DarkGray, Modifier::DIM),
        Role::Focus => Tone(0x0061_afef, 75, Color::LightBlue, Modifier::BOLD),
        Role::Title => Tone(0x00e6_e9ef, 255, Color::White, Modifier::BOLD),
        Role::Chosen => Tone(0x00e6_e9ef, 255, Color::White, Modifier::REVERSED),
        Role::Key => Tone(0x00e5_c07b, 180, Color::Yellow, Modifier::BOLD),
        Role::Good => Tone(0x0098_c379, 114, Color::Green, NONE),
        Role::Running => Tone(0x0056_b6c2, 80, Color::Cyan, Modifier::BOLD),
        Role::Warning => Tone(0x00d1_9a66, 173, Color::Yellow, Modifier::UNDERLINED),
        Role::Bad => Tone(0x00e0_6c75, 168, Color::Red, Modifier::BOLD),
        Role::Changed => Tone(0x00c6_78dd, 176, Color::Magenta, Modifier::BOLD),
        Role::Match => Tone(0x00e5_c07b, 180, Color::Yellow, Modifier::UNDERLINED),
        Role::Label => Tone(0x001e_2127, 234, Color::Black, Modifier::REVERSED),
    }
}

fn light(role: Role) -> Tone {
    match role {
        Role::Text => Tone(0x0038_3a42, 237, Color::Reset, NONE),
        Role::Dim => Tone(0x008a_8d96, 245, Color::DarkGray, Modifier::DIM),
        Role::Frame => Tone(0x00b4_b7bf, 250, Color::Gray, Modifier::DIM),
        Role::Focus => Tone(0x0028_62c4, 26, Color::Blue, Modifier::BOLD),
        Role::Title => Tone(0x0012_1417, 233, Color::Black, Modifier::BOLD),
        Role::Chosen => Tone(0x0012_1417, 233, Color::Black, Modifier::REVERSED),
        Role::Key => Tone(0x0098_6801, 94, Color::Magenta, Modifier::BOLD),
        Role::Good => Tone(0x002f_7d31, 28, Color::Green, NONE),
        Role::Running => Tone(0x0001_7a99, 31, Color::Cyan, Modifier::BOLD),
        Role::Warning => Tone(0x00a8_5d00, 130, Color::Yellow, Modifier::UNDERLINED),
        Role::Bad => Tone(0x00c4_2b2b, 160, Color::Red, Modifier::BOLD),
        Role::Changed => Tone(0x0086_2a9e, 91, Color::Magenta, Modifier::BOLD),
        Role::Match => Tone(0x0098_6801, 94, Color::Magenta, Modifier::UNDERLINED),
        Role::Label => Tone(0x00ff_ffff, 231, Color::White, Modifier::REVERSED),
    }
}

/// Behind the chosen row, behind labels: 24 bits, 256, sixteen.
fn behind(palette: Palette, role: Role) -> Option<(u32, u8, Color)> {
    match (role, palette) {
        (Role::Chosen, Palette::Dark) => Some((0x0033_3a48, 237, Color::DarkGray)),
        (Role::Chosen, Palette::Light) => Some((0x00dc_e3f0, 253, Color::Gray)),
        (Role::Label, Palette::Dark) => Some((0x00e5_c07b, 180, Color::Yellow)),
        (Role::Label, Palette::Light) => Some((0x0098_6801, 94, Color::Magenta)),
        _ => None,
    }
}

impl Theme {
    /// The style of a role.
    pub fn style(self, role: Role) -> Style {
        let tone = match self.palette {
            Palette::Dark => dark(role),
            Palette::Light => light(role),
        };
        let mut style = match self.depth {
            Depth::Mono => return Style::new().add_modifier(tone.3),
            depth => Style::new().fg(colour(depth, tone.0, tone.1, tone.2)),
        };
        if let Some((rgb, index, named)) = behind(self.palette, role) {
            style = style.bg(colour(self.depth, rgb, index, named));
        }
        if tone.3.contains(Modifier::BOLD) {
            style = style.add_modifier(Modifier::BOLD);
        }
        style
    }

    /// The style of a port type and of wires that carry it.
    pub fn port(self, ty: &str) -> Style {
        let (rgb, index, named) = match (ty, self.palette) {
            ("model", Palette::Dark) => (0x00b3_8cf0, 141, Color::Magenta),
            ("model", Palette::Light) => (0x006f_3cc3, 92, Color::Magenta),
            ("text", Palette::Dark) => (0x00e5_c07b, 180, Color::Yellow),
            ("text", Palette::Light) => (0x0098_6801, 94, Color::Yellow),
            ("vae", Palette::Dark) => (0x00e0_6c75, 168, Color::Red),
            ("vae", Palette::Light) => (0x00b5_3a45, 131, Color::Red),
            ("latent", Palette::Dark) => (0x00d6_7ab5, 175, Color::LightMagenta),
            ("latent", Palette::Light) => (0x00a6_2f7e, 126, Color::LightMagenta),
            ("images", Palette::Dark) => (0x0061_afef, 75, Color::LightBlue),
            ("images", Palette::Light) => (0x0028_62c4, 26, Color::Blue),
            ("conditioning", Palette::Dark) => (0x00d1_9a66, 173, Color::LightYellow),
            ("conditioning", Palette::Light) => (0x00a8_5d00, 130, Color::LightYellow),
            ("adapter", Palette::Dark) => (0x0098_c379, 114, Color::Green),
            ("adapter", Palette::Light) => (0x002f_7d31, 28, Color::Green),
            ("table", Palette::Dark) => (0x0056_b6c2, 80, Color::Cyan),
            ("table", Palette::Light) => (0x0001_7a99, 31, Color::Cyan),
            (_, Palette::Dark) => (0x009a_a2b1, 247, Color::Gray),
            (_, Palette::Light) => (0x0060_6470, 241, Color::DarkGray),
        };
        match self.depth {
            Depth::Mono => Style::new(),
            depth => Style::new().fg(colour(depth, rgb, index, named)),
        }
    }
}

fn colour(depth: Depth, rgb: u32, index: u8, named: Color) -> Color {
    match depth {
        Depth::True => Color::Rgb((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8),
        Depth::Indexed => Color::Indexed(index),
        Depth::Sixteen => named,
        Depth::Mono => Color::Reset,
    }
}

/// The depth that the environment speaks of: `NO_COLOR`, `COLORTERM`, `TERM`.
pub fn depth_of(var: impl Fn(&str) -> Option<String>) -> Depth {
    if var("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return Depth::Mono;
    }
    let colours = var("COLORTERM").unwrap_or_default();
    if colours == "truecolor" || colours == "24bit" {
        return Depth::True;
    }
    match var("TERM").unwrap_or_default() {
        term if term.contains("256") || term.contains("kitty") || term.contains("direct") => Depth::Indexed,
        term if term == "dumb" || term.starts_with("vt") => Depth::Mono,
        _ => Depth::Sixteen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides() {
        let depth = |pairs: &[(&str, &str)]| {
            depth_of(|name| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(depth(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]), Depth::Mono);
        assert_eq!(depth(&[("COLORTERM", "truecolor")]), Depth::True);
        assert_eq!(depth(&[("TERM", "xterm-256color")]), Depth::Indexed);
        assert_eq!(depth(&[("TERM", "linux"), ("NO_COLOR", "")]), Depth::Sixteen);
        assert_eq!(depth(&[("TERM", "dumb")]), Depth::Mono);
    }

    #[test]
    fn without_colours_there_are_none() {
        let theme = Theme {
            depth: Depth::Mono,
            palette: Palette::Dark,
        };
        let style = theme.style(Role::Bad).patch(theme.port("model"));
        assert_eq!((style.fg, style.bg), (None, None));
        assert!(style.add_modifier.contains(Modifier::BOLD));
    }
}
