//! Tiles: nodes at four levels, folded groups, notes.

use super::canvas::{Look, Pen, Picture};
use crate::glyph::{Glyphs, Mark, cut};
use crate::theme::Role;
use canvas::{Item, Level, Point, PortAt, Side, Tile};
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

/// Signs of a frame: corners clockwise from the upper left, then across and along.
type Frame = [&'static str; 6];

const LIGHT: Frame = ["╭", "╮", "╯", "╰", "─", "│"];
const HEAVY: Frame = ["┏", "┓", "┛", "┗", "━", "┃"];
const DOUBLE: Frame = ["╔", "╗", "╝", "╚", "═", "║"];
const DOTTED: Frame = ["┌", "┐", "┘", "└", "┄", "┆"];
const PLAIN: Frame = ["+", "+", "+", "+", "-", "|"];
const HASHES: Frame = ["#", "#", "#", "#", "=", "#"];
const EQUALS: Frame = ["=", "=", "=", "=", "=", "="];
const DOTS: Frame = [".", ".", ".", ".", ".", ":"];

/// How a tile stands out.
#[derive(Clone, Copy, PartialEq)]
enum Stress {
    None,
    Marked,
    Chosen,
}

fn frame(glyphs: Glyphs, stress: Stress, note: bool) -> Frame {
    match (glyphs, stress) {
        (Glyphs::Unicode, Stress::Chosen) => HEAVY,
        (Glyphs::Unicode, Stress::Marked) => DOUBLE,
        (Glyphs::Unicode, Stress::None) if note => DOTTED,
        (Glyphs::Unicode, Stress::None) => LIGHT,
        (Glyphs::Ascii, Stress::Chosen) => HASHES,
        (Glyphs::Ascii, Stress::Marked) => EQUALS,
        (Glyphs::Ascii, Stress::None) if note => DOTS,
        (Glyphs::Ascii, Stress::None) => PLAIN,
    }
}

/// What is written on a tile.
struct Words {
    title: String,
    kind: String,
    look: Look,
}

/// Draws a tile.
pub(super) fn draw(picture: &Picture<'_>, tile: &Tile, pen: &mut Pen<'_>) {
    let model = &picture.drawing.model;
    let words = match tile.item {
        Item::Node(node) => Words {
            title: model.nodes[node].id.to_string(),
            kind: model.nodes[node].kind.to_string(),
            look: (picture.look)(node),
        },
        Item::Group(group) => folded(picture, group),
        Item::Note(note) => return draw_note(picture, tile, note, pen),
    };
    let stress = stress(picture, tile.item);
    match tile.level {
        Level::Map => draw_line(picture, tile, &words, stress, false, pen),
        Level::Compact => draw_line(picture, tile, &words, stress, true, pen),
        Level::Normal | Level::Detail => draw_box(picture, tile, &words, stress, pen),
    }
}

fn stress(picture: &Picture<'_>, item: Item) -> Stress {
    if picture.cursor == Some(item) {
        return Stress::Chosen;
    }
    match item {
        Item::Node(node) if picture.marked.contains(&*picture.drawing.model.nodes[node].id) => Stress::Marked,
        _ => Stress::None,
    }
}

/// A folded group shows the gravest state of what is inside.
fn folded(picture: &Picture<'_>, group: usize) -> Words {
    let model = &picture.drawing.model;
    let shows = |node: &usize| {
        picture
            .drawing
            .scene
            .tile_of_node(*node)
            .is_some_and(|t| t.item == Item::Group(group))
    };
    let inside: Vec<usize> = (0..model.nodes.len()).filter(shows).collect();
    let looks: Vec<Look> = inside.iter().map(|node| (picture.look)(*node)).collect();
    let gravest = |marks: &[Mark]| {
        marks
            .iter()
            .find_map(|mark| looks.iter().find(|look| look.mark == *mark))
    };
    let order = [
        Mark::Failed,
        Mark::Running,
        Mark::Waiting,
        Mark::Queued,
        Mark::Stale,
        Mark::Skipped,
        Mark::Done,
        Mark::Cached,
    ];
    let mut look = gravest(&order).cloned().unwrap_or_default();
    look.problem = looks.iter().filter_map(|look| look.problem).max();
    look.body = Vec::new();
    let kind = if inside.len() == 1 {
        "1 node".to_owned()
    } else {
        format!("{} nodes", inside.len())
    };
    Words {
        title: format!("{} {}", picture.glyphs.folded(), model.groups[group].title),
        kind,
        look,
    }
}

/// The colour of a state.
fn role(mark: Mark) -> Role {
    match mark {
        Mark::Done | Mark::Cached => Role::Good,
        Mark::Running => Role::Running,
        Mark::Failed => Role::Bad,
        Mark::Stale | Mark::Waiting => Role::Warning,
        Mark::Idle | Mark::Queued | Mark::Skipped | Mark::Bypassed | Mark::Frozen => Role::Dim,
    }
}

fn width(text: &str) -> i32 {
    i32::try_from(Span::raw(text).width()).unwrap_or(i32::MAX)
}

fn short(text: &str, cells: i32, glyphs: Glyphs) -> String {
    cut(text, usize::try_from(cells).unwrap_or(0), glyphs)
}

/// One line: how wires come in, the state, the name (with brackets), the type.
fn draw_line(picture: &Picture<'_>, tile: &Tile, words: &Words, stress: Stress, brackets: bool, pen: &mut Pen<'_>) {
    let glyphs = picture.glyphs;
    let rect = tile.rect;
    let plain = picture.style(Role::Text);
    let joined = flow(picture, tile, Side::Input).unwrap_or(plain);
    // Where more than one wire comes in, they are joined at the first cell.
    let last = tile.inputs().filter(|port| port.wired).map(|port| port.at.y).max();
    for row in 0..rect.h {
        let p = Point::new(rect.x, rect.y + row);
        pen.fill(p, rect.w, " ", Style::new());
        let sign = match (last, row) {
            (None, _) => " ",
            (Some(last), 0) if last == rect.y => glyphs.pick("─", "-"),
            (Some(_), 0) => glyphs.pick("┬", "*"),
            (Some(last), _) if p.y == last => glyphs.pick("╯", "+"),
            _ => glyphs.pick("┤", "*"),
        };
        pen.put(p, sign, joined);
    }
    let (open, close) = match (brackets, stress) {
        (false, _) => ("", ""),
        (true, Stress::Chosen) => (glyphs.pick("⟦", "#"), glyphs.pick("⟧", "#")),
        (true, _) => ("[", "]"),
    };
    let edge = match stress {
        Stress::Chosen => picture.style(Role::Focus),
        Stress::Marked => picture.style(Role::Changed),
        Stress::None => picture.style(Role::Dim),
    };
    let name = match stress {
        Stress::Chosen => picture
            .style(Role::Focus)
            .add_modifier(Modifier::BOLD | Modifier::REVERSED),
        Stress::Marked => picture.style(Role::Changed).add_modifier(Modifier::BOLD),
        Stress::None => plain,
    };
    let look = &words.look;
    let mark = match look.problem {
        Some(true) if !matches!(look.mark, Mark::Running | Mark::Failed) => (glyphs.mark(Mark::Failed), Role::Bad),
        _ => (glyphs.mark(look.mark), role(look.mark)),
    };
    let mut p = pen.put(Point::new(rect.x + 1, rect.y), open, edge);
    p = pen.put(p, mark.0, picture.style(mark.1));
    p = pen.put(p, " ", plain);
    if !brackets {
        let style = if stress == Stress::None { plain } else { name };
        p = pen.put(p, &short(&words.kind, rect.right() - p.x, glyphs), style);
        wire_on(picture, tile, p, rect.right(), pen);
        return;
    }
    let end = rect.right() - 1;
    p = pen.put(p, &short(&words.title, end - p.x, glyphs), name);
    p = pen.put(
        Point::new(p.x + 1, p.y),
        &short(&words.kind, end - p.x - 1, glyphs),
        picture.style(Role::Dim),
    );
    if let Some(share) = look.share {
        let percent = format!("{:.0}%", share * 100.0);
        let at = end - width(&percent);
        if at > p.x {
            pen.put(Point::new(at, p.y), &percent, picture.style(Role::Running));
        }
    }
    pen.put(Point::new(end, rect.y), close, edge);
}

/// A line without brackets ends where its text ends: the wire begins there.
fn wire_on(picture: &Picture<'_>, tile: &Tile, from: Point, right: i32, pen: &mut Pen<'_>) {
    if let Some(style) = flow(picture, tile, Side::Output) {
        let sign = picture.glyphs.pick("─", "-");
        pen.fill(Point::new(from.x + 1, from.y), right - from.x - 1, sign, style);
    }
}

/// The colour of the wires at one side of a tile, if there are any: that of their type if they all carry the same.
fn flow(picture: &Picture<'_>, tile: &Tile, side: Side) -> Option<Style> {
    let mut types = tile
        .ports
        .iter()
        .filter(|port| port.wired && port.side == side)
        .map(|port| picture.type_of(side, port.port));
    let first = types.next()?;
    let same = types.all(|ty| ty == first);
    Some(if same && !picture.dimmed() {
        picture.theme.port(first)
    } else {
        picture.style(Role::Text)
    })
}

/// A frame with port rows and a foot.
fn draw_box(picture: &Picture<'_>, tile: &Tile, words: &Words, stress: Stress, pen: &mut Pen<'_>) {
    let glyphs = picture.glyphs;
    let rect = tile.rect;
    let look = &words.look;
    let edge = picture.style(match (stress, look.mark) {
        (Stress::Chosen, _) => Role::Focus,
        (Stress::Marked, _) => Role::Changed,
        (_, Mark::Running) => Role::Running,
        (_, Mark::Failed) => Role::Bad,
        _ => Role::Frame,
    });
    let [upper_left, upper_right, lower_right, lower_left, across, along] = frame(glyphs, stress, false);
    let (left, right, bottom) = (rect.x, rect.right() - 1, rect.bottom() - 1);

    let mut p = pen.put(Point::new(left, rect.y), upper_left, edge);
    pen.fill(p, rect.w - 2, across, edge);
    pen.put(Point::new(right, rect.y), upper_right, edge);
    let title = match stress {
        Stress::Chosen => picture.style(Role::Focus),
        _ => picture.style(Role::Title),
    };
    p = pen.put(p, " ", edge);
    p = pen.put(p, &short(&words.title, right - p.x - 1, glyphs), title);
    p = pen.put(p, " ", edge);
    if right - p.x > 2 {
        p = pen.put(
            p,
            &short(&words.kind, right - p.x - 1, glyphs),
            picture.style(Role::Dim),
        );
        pen.put(p, " ", edge);
    }

    for y in rect.y + 1..bottom {
        pen.put(Point::new(left, y), along, edge);
        pen.fill(Point::new(left + 1, y), rect.w - 2, " ", Style::new());
        pen.put(Point::new(right, y), along, edge);
    }
    for port in &tile.ports {
        draw_port(picture, tile, port, pen);
    }
    if tile.level == Level::Detail {
        let rows = tile.ports.iter().map(|port| port.at.y).max().unwrap_or(rect.y + 1);
        for (y, line) in (rows + 1..bottom).zip(&look.body) {
            pen.put(
                Point::new(left + 2, y),
                &short(line, rect.w - 4, glyphs),
                picture.style(Role::Dim),
            );
        }
    }

    p = pen.put(Point::new(left, bottom), lower_left, edge);
    pen.fill(p, rect.w - 2, across, edge);
    pen.put(Point::new(right, bottom), lower_right, edge);
    foot(picture, look, Point::new(left + 2, bottom), right - 1, pen);
}

/// The state: sign, a bar while it runs, words; at the right a sign for problems.
fn foot(picture: &Picture<'_>, look: &Look, from: Point, mut end: i32, pen: &mut Pen<'_>) {
    let glyphs = picture.glyphs;
    if let Some(error) = look.problem {
        let (sign, role) = if error {
            (glyphs.mark(Mark::Failed), Role::Bad)
        } else {
            (glyphs.warning(), Role::Warning)
        };
        end -= 2;
        pen.put(Point::new(end - 1, from.y), " ", Style::new());
        pen.put(Point::new(end, from.y), sign, picture.style(role));
        pen.put(Point::new(end + 1, from.y), " ", Style::new());
        end -= 1;
    }
    if look.mark == Mark::Idle && look.words.is_empty() {
        return;
    }
    let style = picture.style(role(look.mark));
    let mut text = glyphs.mark(look.mark).to_owned();
    if let Some(share) = look.share {
        let percent = format!(" {:.0}%", share * 100.0);
        let room = end - from.x - 4 - width(&percent);
        text += &format!(
            " {}{percent}",
            glyphs.bar(usize::try_from(room.clamp(0, 10)).unwrap_or(0), share)
        );
    }
    if !look.words.is_empty() && (look.share.is_none() || width(&text) + width(&look.words) + 3 <= end - from.x) {
        text += " ";
        text += &look.words;
    }
    let text = format!(" {} ", short(&text, end - from.x - 2, glyphs));
    pen.put(Point::new(from.x - 1, from.y), &text, style);
}

fn draw_port(picture: &Picture<'_>, tile: &Tile, port: &PortAt, pen: &mut Pen<'_>) {
    let ty = picture.type_of(port.side, port.port);
    let spec = picture.drawing.ports.get(port.port.node);
    let spec = spec.and_then(|ports| ports.side(port.side).get(port.port.port));
    let outside = picture.drawing.outside.binary_search(&(port.side, port.port)).is_ok();
    let wired = port.wired || outside;
    let missing = !wired && spec.is_some_and(|port| port.required);
    let mut sign = if picture.dimmed() {
        picture.style(Role::Dim)
    } else {
        picture.theme.port(ty)
    };
    if outside {
        let (at, arrow) = match port.side {
            Side::Input => (Point::new(port.at.x - 1, port.at.y), picture.glyphs.right()),
            Side::Output => (Point::new(port.at.x + 1, port.at.y), picture.glyphs.right()),
        };
        pen.put_if_empty(at, arrow, sign);
    }
    if wired {
        sign = sign.add_modifier(Modifier::BOLD);
    }
    pen.put(port.at, picture.glyphs.port(ty), sign);
    let chosen = picture.cursor == Some(tile.item)
        && matches!(tile.item, Item::Node(_))
        && picture.port == Some((port.side, port.port.port))
        && port.nth == 0;
    let style = if chosen {
        picture.theme.style(Role::Chosen).add_modifier(Modifier::REVERSED)
    } else if missing {
        picture.style(Role::Warning)
    } else if wired {
        picture.style(Role::Text)
    } else {
        picture.style(Role::Dim)
    };
    let name = if port.nth == 0 {
        port.name.to_string()
    } else {
        format!("  {}", port.nth + 1)
    };
    let room = (tile.rect.w - 4).max(0);
    let name = short(&name, room, picture.glyphs);
    let at = match port.side {
        Side::Input => Point::new(port.at.x + 2, port.at.y),
        Side::Output => Point::new(port.at.x - 1 - width(&name), port.at.y),
    };
    pen.put(at, &name, style);
}

fn draw_note(picture: &Picture<'_>, tile: &Tile, note: usize, pen: &mut Pen<'_>) {
    let rect = tile.rect;
    let stress = stress(picture, tile.item);
    let edge = picture.style(if stress == Stress::Chosen {
        Role::Focus
    } else {
        Role::Dim
    });
    let [upper_left, upper_right, lower_right, lower_left, across, along] = frame(picture.glyphs, stress, true);
    let text = picture.drawing.notes.get(note).map_or("", |(_, text)| text.as_str());
    let mut lines = text.lines();
    for y in rect.y..rect.bottom() {
        let (left, fill, right) = match y {
            y if y == rect.y => (upper_left, across, upper_right),
            y if y == rect.bottom() - 1 => (lower_left, across, lower_right),
            _ => (along, " ", along),
        };
        let p = pen.put(Point::new(rect.x, y), left, edge);
        pen.fill(p, rect.w - 2, fill, edge);
        pen.put(Point::new(rect.right() - 1, y), right, edge);
        if fill == " "
            && let Some(line) = lines.next()
        {
            pen.put(p, &short(line, rect.w - 2, picture.glyphs), picture.style(Role::Text));
        }
    }
}
