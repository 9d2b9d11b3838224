//! A terminal's screen as a picture: text as text, lines, blocks and dots as shapes, so that they join in every font.

use std::collections::BTreeMap;
use std::fmt::Write;
use vt100::{Cell, Color, Screen};

/// A cell, in pixels.
const WIDE: u16 = 8;
const HIGH: u16 = 17;

const PAPER: [u8; 3] = [0x16, 0x18, 0x1d];
const INK: [u8; 3] = [0xd4, 0xd7, 0xdd];

/// The sixteen colours that have names.
const NAMED: [[u8; 3]; 16] = [
    [0x16, 0x18, 0x1d],
    [0xe0, 0x6c, 0x75],
    [0x98, 0xc3, 0x79],
    [0xe5, 0xc0, 0x7b],
    [0x61, 0xaf, 0xef],
    [0xc6, 0x78, 0xdd],
    [0x56, 0xb6, 0xc2],
    [0xab, 0xb2, 0xbf],
    [0x5c, 0x63, 0x70],
    [0xff, 0x7a, 0x85],
    [0xb5, 0xe0, 0x90],
    [0xff, 0xd7, 0x80],
    [0x82, 0xc7, 0xff],
    [0xdd, 0x9c, 0xf0],
    [0x7a, 0xd6, 0xe0],
    [0xff, 0xff, 0xff],
];

/// Lines by the weight of their arms (none, light, heavy), counted in threes: up 1, right 3, down 9, left 27.
const LINES: &str = " ╵╹╶└┖╺┕┗╷│╿┌├┞┍┝┡╻╽┃┎┟┠┏┢┣╴┘┚─┴┸╼┶┺┐┤┦┬┼╀┮┾╄┒┧┨┰╁╂┲╆╊╸┙┛╾┵┹━┷┻┑┥┩┭┽╃┯┿╇┓┪┫┱╅╉┳╈╋";

fn rgb(colour: Color, otherwise: [u8; 3]) -> [u8; 3] {
    match colour {
        Color::Default => otherwise,
        Color::Rgb(r, g, b) => [r, g, b],
        Color::Idx(at @ 0..16) => NAMED[usize::from(at)],
        Color::Idx(at @ 16..232) => {
            let part = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let at = at - 16;
            [part(at / 36), part(at / 6 % 6), part(at % 6)]
        }
        Color::Idx(at) => [8 + 10 * (at - 232); 3],
    }
}

/// Foreground and background of a cell.
fn colours(cell: &Cell) -> ([u8; 3], [u8; 3]) {
    let (mut ink, mut paper) = (rgb(cell.fgcolor(), INK), rgb(cell.bgcolor(), PAPER));
    if cell.inverse() {
        (ink, paper) = (paper, ink);
    }
    if cell.dim() {
        ink = mix(ink, paper, 3);
    }
    (ink, paper)
}

/// A colour between two, by quarters of the first.
fn mix(ink: [u8; 3], paper: [u8; 3], quarters: u16) -> [u8; 3] {
    std::array::from_fn(|at| ((u16::from(ink[at]) * quarters + u16::from(paper[at]) * (4 - quarters)) / 4) as u8)
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A picture in the making.
#[derive(Default)]
struct Drawing {
    /// Filled rectangles by colour, as one path each.
    blocks: BTreeMap<[u8; 3], String>,
    /// Lines by colour and width.
    lines: BTreeMap<([u8; 3], bool), String>,
    text: String,
    /// Text that goes on: where it began, its style, itself.
    run: Option<(u16, u16, String, String)>,
}

impl Drawing {
    fn block(&mut self, colour: [u8; 3], x: f32, y: f32, w: f32, h: f32) {
        let _ = write!(self.blocks.entry(colour).or_default(), "M{x} {y}h{w}v{h}h-{w}z");
    }

    fn end_run(&mut self) {
        let Some((x, y, style, text)) = self.run.take() else {
            return;
        };
        let shown = text.trim_end();
        if shown.is_empty() {
            return;
        }
        let length = shown.chars().count() as u16 * WIDE;
        let escaped = shown.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.text,
            r#"<text x="{}" y="{}" textLength="{length}"{style}>{escaped}</text>"#,
            x * WIDE,
            y * HIGH + 13
        );
    }

    fn write(&mut self, x: u16, y: u16, style: String, text: &str) {
        let plain = text.is_ascii();
        if let Some((from, row, known, so_far)) = &mut self.run {
            let next = *from + so_far.chars().count() as u16;
            // A blank looks the same in every ink.
            if plain && so_far.is_ascii() && *row == y && next == x && (*known == style || text == " ") {
                so_far.push_str(text);
                return;
            }
        }
        self.end_run();
        if text != " " {
            self.run = Some((x, y, style, text.to_owned()));
        }
    }

    /// Draws a sign that is a shape; false when it is none.
    fn shape(&mut self, x: u16, y: u16, sign: char, (ink, paper): ([u8; 3], [u8; 3])) -> bool {
        let (left, top) = (f32::from(x * WIDE), f32::from(y * HIGH));
        let (wide, high) = (f32::from(WIDE), f32::from(HIGH));
        let (mid_x, mid_y) = (left + wide / 2.0, top + (high - 1.0) / 2.0);
        let (right, bottom) = (left + wide, top + high);
        let eighths = |from: char| f32::from((sign as u32 - from as u32 + 1) as u8);
        match sign {
            '▀' => self.block(ink, left, top, wide, 8.5),
            '░'..='▓' => {
                let share = sign as u32 - '░' as u32 + 1;
                self.block(mix(ink, paper, share as u16), left, top, wide, high);
            }
            '▐' => self.block(ink, mid_x, top, wide / 2.0, high),
            '▁'..='█' => {
                let tall = high * eighths('▁') / 8.0;
                self.block(ink, left, bottom - tall, wide, tall);
            }
            '▉'..='▏' => self.block(ink, left, top, wide * (8.0 - eighths('▉')) / 8.0, high),
            '▖'..='▟' => {
                // Quarters: upper left 1, upper right 2, lower left 4, lower right 8.
                let bits = [4, 8, 1, 13, 9, 7, 11, 2, 6, 14][sign as usize - '▖' as usize];
                for quarter in (0..4).filter(|at| bits & (1 << at) != 0) {
                    let (column, row) = ((quarter % 2) as f32, (quarter / 2) as f32);
                    self.block(ink, left + column * wide / 2.0, top + row * 8.5, wide / 2.0, 8.5);
                }
            }
            '\u{2800}'..='\u{28ff}' => {
                for dot in (0..8).filter(|at| (sign as u32 - 0x2800) & (1 << at) != 0) {
                    let (column, row) = if dot < 6 { (dot / 3, dot % 3) } else { (dot - 6, 3) };
                    self.block(
                        ink,
                        left + 1.5 + 4.0 * column as f32,
                        top + 1.0 + 4.25 * row as f32,
                        1.8,
                        1.8,
                    );
                }
            }
            '╭' | '╮' | '╯' | '╰' => {
                let (end_x, end_y) = match sign {
                    '╭' => (right, bottom),
                    '╮' => (left, bottom),
                    '╯' => (left, top),
                    _ => (right, top),
                };
                let line = self.lines.entry((ink, false)).or_default();
                let _ = write!(line, "M{end_x} {mid_y}Q{mid_x} {mid_y} {mid_x} {end_y}");
            }
            '┄' | '┆' => {
                let line = self.lines.entry((ink, false)).or_default();
                for part in 0..3 {
                    let at = part as f32 / 3.0;
                    let _ = if sign == '┄' {
                        write!(line, "M{} {mid_y}h1.6", left + wide * at)
                    } else {
                        write!(line, "M{mid_x} {}v3", top + high * at)
                    };
                }
            }
            '═' | '║' | '╔' | '╗' | '╚' | '╝' => {
                let line = self.lines.entry((ink, false)).or_default();
                let (a, b) = (mid_x - 1.5, mid_x + 1.5);
                let (c, d) = (mid_y - 1.5, mid_y + 1.5);
                let _ = match sign {
                    '═' => write!(line, "M{left} {c}H{right}M{left} {d}H{right}"),
                    '║' => write!(line, "M{a} {top}V{bottom}M{b} {top}V{bottom}"),
                    '╔' => write!(line, "M{right} {c}H{a}V{bottom}M{right} {d}H{b}V{bottom}"),
                    '╗' => write!(line, "M{left} {c}H{b}V{bottom}M{left} {d}H{a}V{bottom}"),
                    '╚' => write!(line, "M{right} {d}H{a}V{top}M{right} {c}H{b}V{top}"),
                    _ => write!(line, "M{left} {d}H{b}V{top}M{left} {c}H{a}V{top}"),
                };
            }
            _ => {
                let Some(at) = LINES.chars().position(|known| known == sign).filter(|at| *at > 0) else {
                    return false;
                };
                let ends = [(mid_x, top), (right, mid_y), (mid_x, bottom), (left, mid_y)];
                for (arm, (end_x, end_y)) in ends.into_iter().enumerate() {
                    let weight = at / 3_usize.pow(arm as u32) % 3;
                    if weight > 0 {
                        let line = self.lines.entry((ink, weight == 2)).or_default();
                        let _ = write!(line, "M{mid_x} {mid_y}L{end_x} {end_y}");
                    }
                }
            }
        }
        true
    }

    fn cell(&mut self, x: u16, y: u16, cell: &Cell) {
        let (ink, paper) = colours(cell);
        if paper != PAPER {
            let (left, top) = (f32::from(x * WIDE), f32::from(y * HIGH));
            self.block(paper, left, top, f32::from(WIDE), f32::from(HIGH));
        }
        let sign = if cell.has_contents() { cell.contents() } else { " " };
        let shape = sign
            .chars()
            .next()
            .is_some_and(|sign| self.shape(x, y, sign, (ink, paper)));
        if shape {
            return self.end_run();
        }
        let mut style = String::new();
        if ink != INK {
            let _ = write!(style, r#" fill="{}""#, hex(ink));
        }
        for (on, attribute) in [
            (cell.bold(), r#" font-weight="bold""#),
            (cell.italic(), r#" font-style="italic""#),
            (cell.underline(), r#" text-decoration="underline""#),
        ] {
            style.push_str(if on { attribute } else { "" });
        }
        self.write(x, y, style, sign);
    }
}

/// The screen as an SVG file.
pub(crate) fn svg(screen: &Screen) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let mut drawing = Drawing::default();
    for y in 0..rows {
        for x in 0..columns {
            if let Some(cell) = screen.cell(y, x).filter(|cell| !cell.is_wide_continuation()) {
                drawing.cell(x, y, cell);
            }
        }
        drawing.end_run();
    }
    let (width, height) = (columns * WIDE, rows * HIGH);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-8 -8 {} {}\" font-family=\"ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace\" \
         font-size=\"13.3\" fill=\"{}\" xml:space=\"preserve\">\n<rect x=\"-8\" y=\"-8\" width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{}\"/>\n",
        width + 16,
        height + 16,
        hex(INK),
        hex(PAPER)
    );
    for (colour, path) in &drawing.blocks {
        let _ = writeln!(
            out,
            r#"<path shape-rendering="crispEdges" fill="{}" d="{path}"/>"#,
            hex(*colour)
        );
    }
    for ((colour, heavy), path) in &drawing.lines {
        let width = if *heavy { 2.4 } else { 1.2 };
        let _ = writeln!(
            out,
            r#"<path fill="none" stroke="{}" stroke-width="{width}" d="{path}"/>"#,
            hex(*colour)
        );
    }
    out.push_str(&drawing.text);
    out.push_str("</svg>\n");
    out
}
