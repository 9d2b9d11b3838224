//! Which part of the screen is what, from its size alone.

use ratatui::layout::Rect;

/// A pane: a part of the screen that can have the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pane {
    /// The graph.
    #[default]
    Canvas,
    /// The chosen node.
    Inspector,
    /// Log, problems, runs, queue, loss.
    Dock,
    /// Pictures.
    Preview,
}

/// Panes in the order of Tab.
pub const PANES: [Pane; 4] = [Pane::Canvas, Pane::Inspector, Pane::Dock, Pane::Preview];

/// What the dock shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tab {
    /// What the worker and the nodes say.
    #[default]
    Log,
    /// What is wrong with the graph.
    Problems,
    /// Runs of this session and of the past.
    Runs,
    /// Runs that wait.
    Queue,
    /// Losses.
    Loss,
}

/// Tabs from left to right.
pub const TABS: [Tab; 5] = [Tab::Log, Tab::Problems, Tab::Runs, Tab::Queue, Tab::Loss];

impl Tab {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "Log",
            Self::Problems => "Problems",
            Self::Runs => "Runs",
            Self::Queue => "Queue",
            Self::Loss => "Loss",
        }
    }
}

/// How large the pane with the keys is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zoom {
    /// As the layout has it.
    #[default]
    Normal,
    /// Half the screen.
    Half,
    /// All of it.
    Full,
}

/// The parts of the screen; those that are not shown are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regions {
    /// First row: the graph, the run.
    pub title: Rect,
    /// The graph.
    pub canvas: Rect,
    /// The chosen node.
    pub inspector: Rect,
    /// Pictures.
    pub preview: Rect,
    /// Log and so on.
    pub dock: Rect,
    /// Last row: hints.
    pub status: Rect,
    /// Whether inspector and preview are tabs of the dock.
    pub joined: bool,
    /// Too small for anything.
    pub tiny: bool,
}

/// From this width on there are three columns.
pub const WIDE: u16 = 110;

/// Below this one pane is shown at a time.
const NARROW: (u16, u16) = (80, 24);

/// Below this nothing is shown.
const TINY: (u16, u16) = (40, 10);

/// The parts of a screen of that size. `pane` has the keys; `side` is what a narrow dock shows if not its own tab.
pub fn regions(width: u16, height: u16, pane: Pane, side: Pane, zoom: Zoom) -> Regions {
    let mut parts = Regions::default();
    if width < TINY.0 || height < TINY.1 {
        parts.tiny = true;
        return parts;
    }
    parts.title = Rect::new(0, 0, width, 1);
    parts.status = Rect::new(0, height - 1, width, 1);
    let body = Rect::new(0, 1, width, height - 2);
    parts.joined = width < WIDE;
    if zoom == Zoom::Full || width < NARROW.0 || height < NARROW.1 {
        *parts.of(pane) = body;
        return parts;
    }
    if parts.joined {
        let wanted = if zoom == Zoom::Half {
            body.height / 2
        } else {
            8.max(body.height / 3)
        };
        let (top, bottom) = split_rows(body, body.height - wanted);
        parts.canvas = top;
        *parts.of(if pane == Pane::Canvas { side } else { pane }) = bottom;
        return parts;
    }
    let side_width = match zoom {
        Zoom::Half if matches!(pane, Pane::Inspector | Pane::Preview) => width / 2,
        _ => 36.max(width / 4).min(56),
    };
    let (left, right) = split_columns(body, width - side_width);
    let dock = match (zoom, pane) {
        (Zoom::Half, Pane::Dock) => left.height / 2,
        (Zoom::Half, Pane::Canvas) => 5,
        _ => 9.max(left.height / 4),
    };
    (parts.canvas, parts.dock) = split_rows(left, left.height - dock);
    let inspector = match (zoom, pane) {
        (Zoom::Half, Pane::Preview) => right.height / 4,
        (Zoom::Half, Pane::Inspector) => right.height * 3 / 4,
        _ => right.height * 6 / 11,
    };
    (parts.inspector, parts.preview) = split_rows(right, inspector);
    parts
}

impl Regions {
    fn of(&mut self, pane: Pane) -> &mut Rect {
        match pane {
            Pane::Canvas => &mut self.canvas,
            Pane::Inspector => &mut self.inspector,
            Pane::Dock => &mut self.dock,
            Pane::Preview => &mut self.preview,
        }
    }
}

fn split_rows(area: Rect, top: u16) -> (Rect, Rect) {
    let top = top.min(area.height);
    (
        Rect { height: top, ..area },
        Rect {
            y: area.y + top,
            height: area.height - top,
            ..area
        },
    )
}

fn split_columns(area: Rect, left: u16) -> (Rect, Rect) {
    let left = left.min(area.width);
    (
        Rect { width: left, ..area },
        Rect {
            x: area.x + left,
            width: area.width - left,
            ..area
        },
    )
}

/// The inside of a framed part.
pub fn inside(area: Rect) -> Rect {
    if area.width < 3 || area.height < 3 {
        return Rect {
            width: 0,
            height: 0,
            ..area
        };
    }
    Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_stay_on_the_screen_and_apart(w in 0u16..300, h in 0u16..100, p in 0usize..4, s in 1usize..4, z in 0usize..3) {
            let zoom = [Zoom::Normal, Zoom::Half, Zoom::Full][z];
            let parts = regions(w, h, PANES[p], PANES[s], zoom);
            let all = [parts.title, parts.canvas, parts.inspector, parts.preview, parts.dock, parts.status];
            for (at, a) in all.iter().enumerate() {
                prop_assert!(a.right() <= w && a.bottom() <= h);
                for b in &all[at + 1..] {
                    prop_assert!(!a.intersects(*b) || a.is_empty() || b.is_empty());
                }
            }
            let area: u32 = all.iter().map(|part| part.area()).sum();
            prop_assert!(parts.tiny || area == u32::from(w) * u32::from(h));
        }
    }
}
