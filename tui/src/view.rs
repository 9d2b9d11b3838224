//! The state on the screen. Drawing changes nothing and reads nothing but the state.

use crate::glyph::{Glyphs, ascii};
use crate::layer::Layer;
use crate::regions::{Pane, Tab};
use crate::shape::Side;
use crate::state::{Spot, State};
use ratatui::Frame;
use ratatui::layout::Rect;

pub mod canvas;
mod cells;
mod compare;
mod curve;
mod dock;
mod failure;
mod frame;
mod inspector;
mod list;
mod log;
mod loss;
pub mod minimap;
pub mod node;
mod page;
pub(crate) mod paint;
mod preview;
mod problems;
mod prompt;
mod runs;
mod stage;
mod status;
mod title;
mod toast;
mod which;
pub mod wire;

/// Something on the screen that can be clicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hit {
    /// A pane.
    Pane(Pane),
    /// A tab of the dock.
    Tab(Tab),
    /// A field of the inspector.
    Field(usize),
    /// A row of a tab.
    Row(Tab, usize),
    /// A node, a folded group, a note.
    Spot(Spot),
    /// A port: node, side, number.
    Port(String, Side, usize),
    /// The minimap, at the cell of the scene that it stands for.
    Minimap((i32, i32)),
    /// The graph of a tab, by its place.
    Sheet(usize),
    /// The sign for one more tab.
    NewSheet,
    /// A row of the topmost layer.
    LayerRow(usize),
}

/// What is where, later ones above earlier ones.
pub type HitMap = Vec<(Rect, Hit)>;

/// Draws everything; gives what is where.
pub fn draw(state: &State, frame: &mut Frame<'_>) -> HitMap {
    let mut hits = HitMap::new();
    let regions = state.regions();
    let area = frame.area();
    let buf = frame.buffer_mut();
    if regions.tiny {
        toast::enlarge(state, area, buf);
        return hits;
    }
    title::draw(state, regions.title, buf, &mut hits);
    if !regions.canvas.is_empty() {
        stage::draw(state, regions.canvas, buf, &mut hits);
    }
    if !regions.inspector.is_empty() {
        hits.push((regions.inspector, Hit::Pane(Pane::Inspector)));
        inspector::draw(state, regions.inspector, buf, &mut hits);
    }
    if !regions.dock.is_empty() {
        hits.push((regions.dock, Hit::Pane(Pane::Dock)));
        dock::draw(state, regions.dock, buf, &mut hits);
    }
    if !regions.preview.is_empty() {
        hits.push((regions.preview, Hit::Pane(Pane::Preview)));
        preview::draw(state, regions.preview, buf);
    }
    status::draw(state, regions.status, buf);
    toast::draw(state, middle_rows(area), buf);
    let mut cursor = None;
    for layer in &state.layers {
        hits.clear();
        cursor = match layer {
            Layer::List(picker) => list::draw(state, picker, area, buf, &mut hits),
            Layer::Line(line) => prompt::draw_line(state, line, area, buf),
            Layer::Text(text) => prompt::draw_text(state, text, area, buf),
            Layer::Question(question) => prompt::draw_question(state, question, area, buf, &mut hits),
            Layer::Page(page) => page::draw(state, page, area, buf),
            // Connecting is drawn on the canvas itself.
            Layer::Connect(_) => None,
        };
    }
    which::draw(state, area, buf);
    if state.glyphs == Glyphs::Ascii {
        // Words of others: of nodes, of files, of the user.
        for cell in buf.content.iter_mut().filter(|cell| !cell.symbol().is_ascii()) {
            let sign = ascii(cell.symbol());
            cell.set_symbol(sign);
        }
    }
    if let Some(place) = cursor {
        frame.set_cursor_position(place);
    }
    hits
}

/// All but the first and last row.
fn middle_rows(area: Rect) -> Rect {
    Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(2),
        ..area
    }
}
