//! Pictures in the ways of three terminals: what is written, decoded, is the picture. No eye has seen it; the terminals that
//! could show it are not to be had here.

use crate::support::screen::Screen;
use crate::support::scripted::{graph, worker};
use crate::support::workspace::Workspace;
use image::{Rgba, RgbaImage};
use serde_json::json;
use std::collections::HashMap;

/// Cells of 10 by 20 pixels, and that all is well.
const CELLS: &str = "\x1b[6;20;10t\x1b[0n";

const QUARTERS: [[u8; 3]; 4] = [[220, 30, 30], [30, 200, 40], [40, 60, 210], [230, 220, 50]];

/// Four quarters of four colours.
fn source() -> RgbaImage {
    RgbaImage::from_fn(64, 64, |x, y| {
        let [r, g, b] = QUARTERS[(x / 32 + 2 * (y / 32)) as usize];
        Rgba([r, g, b, 255])
    })
}

/// An editor in such a terminal, looking at the picture; all that it wrote.
fn written(answer: &str, variables: &[(&str, &str)], until: &[u8]) -> Vec<u8> {
    let workspace = Workspace::new();
    let mut screen = looking(&workspace, |args| {
        Screen::of_terminal(&workspace, args, (120, 36), variables, &format!("{answer}{CELLS}"))
    });
    screen.until_raw("the picture", |raw| raw.windows(until.len()).any(|part| part == until));
    screen.settle();
    screen.raw.clone()
}

/// An editor with the picture in its preview.
fn looking(workspace: &Workspace, start: impl FnOnce(&[&str]) -> Screen) -> Screen {
    workspace.write("graph.json", graph(4));
    let mut png = std::io::Cursor::new(Vec::new());
    source().write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = serde_json::to_value(protocol::Bytes(png.into_inner())).unwrap();
    let picture = json!({ "width": 64, "height": 64, "png": png });
    let events = [
        json!({ "event": "run_started", "nodes": 4 }),
        json!({ "event": "started", "node": "n0", "type": "test/node" }),
        json!({ "event": "preview", "node": "n0", "step": 1, "note": "", "picture": picture }),
    ];
    let worker = worker(workspace, &events, None);
    let worker = worker.to_string_lossy();
    let mut screen = start(&["--para", &worker, "graph.json"]);
    screen.sees("test/node").sees(" cores").settle();
    screen.press("R").sees("step 1");
    screen
}

const KITTY: &str = "\x1b_Gi=31;OK\x1b\\\x1b[?62;c";

/// As over a slow line: cells first, the terminal's own way as soon as it is known.
#[test]
fn an_answer_that_comes_late_counts() {
    let workspace = Workspace::new();
    let mut screen = looking(&workspace, |args| Screen::silent(&workspace, args, (120, 36)));
    screen.sees("▀").settle();
    let before = screen.contents();
    let from = screen.raw.len();
    screen.send(format!("{KITTY}{CELLS}").as_bytes());
    screen.until_raw("the picture", |raw| raw[from..].windows(4).any(|part| part == b"f=32"));
    screen.settle();
    let picture = ['▀', '▄', '█', ' ', '\u{10eeee}'];
    let rest = |text: &str| {
        text.replace(picture, "")
            .chars()
            .filter(|c| c.is_ascii())
            .collect::<String>()
    };
    assert_eq!(rest(&screen.contents()), rest(&before), "an answer is no key");
}

/// The texts between two marks.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    text.split(begin)
        .skip(1)
        .filter_map(|part| part.split_once(end))
        .map(|(inside, _)| inside)
        .collect()
}

fn base64(text: &str) -> Vec<u8> {
    serde_json::from_value::<protocol::Bytes>(json!(text)).unwrap().0
}

/// The picture fills its place, and each quarter has its colour.
fn is_the_source(picture: &RgbaImage) {
    let (w, h) = picture.dimensions();
    assert!(w >= 100 && h >= 100 && w.abs_diff(h) <= 20, "{w}x{h}");
    for (at, colour) in QUARTERS.iter().enumerate() {
        let (x, y) = (w / 4 + w / 2 * (at as u32 % 2), h / 4 + h / 2 * (at as u32 / 2));
        let there = picture.get_pixel(x, y).0;
        let near = colour.iter().zip(there).all(|(a, b)| a.abs_diff(b) <= 12);
        assert!(near, "quarter {at} is {there:?} instead of {colour:?}");
    }
}

#[test]
fn kitty_is_sent_the_picture() {
    let raw = written(KITTY, &[], b"f=32");
    let raw = String::from_utf8_lossy(&raw);
    let commands = between(&raw, "\x1b_G", "\x1b\\");
    let first = commands.iter().position(|command| command.contains("a=T")).unwrap();
    let (keys, _) = commands[first].split_once(';').unwrap();
    let keys: HashMap<&str, &str> = keys.split(',').filter_map(|key| key.split_once('=')).collect();
    assert_eq!((keys["f"], keys["t"], keys["U"]), ("32", "d", "1"));
    let mut pixels = Vec::new();
    for command in &commands[first..] {
        let (keys, data) = command.split_once(';').unwrap();
        pixels.extend(base64(data));
        if keys.contains("m=0") {
            break;
        }
    }
    let size = |key: &str| keys[key].parse().unwrap();
    is_the_source(&RgbaImage::from_raw(size("s"), size("v"), pixels).unwrap());
    assert!(raw.contains('\u{10eeee}'), "the cells that show it");
}

#[test]
fn iterm2_is_sent_the_picture() {
    let raw = written("\x1b[?62;c", &[("TERM_PROGRAM", "iTerm.app")], b"]1337;File=");
    let raw = String::from_utf8_lossy(&raw);
    let files = between(&raw, "\x1b]1337;File=", "\x07");
    let (keys, data) = files[0].split_once(':').unwrap();
    assert!(keys.contains("inline=1"), "{keys}");
    is_the_source(&image::load_from_memory(&base64(data)).unwrap().to_rgba8());
}

#[test]
fn sixel_is_sent_the_picture() {
    let raw = written("\x1b[?62;4;c", &[], b"\x1bP");
    let raw = String::from_utf8_lossy(&raw);
    let data = between(&raw, "\x1bP", "\x1b\\")
        .into_iter()
        .find_map(|data| data.split_once('q'))
        .unwrap()
        .1;
    is_the_source(&sixels(data));
}

/// Reads a sixel picture.
fn sixels(data: &str) -> RgbaImage {
    let mut bytes = data.bytes().peekable();
    let mut palette: HashMap<u32, Rgba<u8>> = HashMap::new();
    let mut pixels: HashMap<(u32, u32), Rgba<u8>> = HashMap::new();
    let (mut x, mut band, mut colour) = (0, 0, 0);
    let numbers = |bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>| {
        let mut found = vec![0_u32];
        while let Some(byte) = bytes.next_if(|byte| byte.is_ascii_digit() || *byte == b';') {
            match byte {
                b';' => found.push(0),
                digit => *found.last_mut().unwrap() = found.last().unwrap() * 10 + u32::from(digit - b'0'),
            }
        }
        found
    };
    while let Some(byte) = bytes.next() {
        let mut times = 1;
        let mut sixel = byte;
        match byte {
            b'"' => drop(numbers(&mut bytes)),
            b'#' => {
                let found = numbers(&mut bytes);
                colour = found[0];
                if let [_, kind, r, g, b] = found[..] {
                    assert_eq!(kind, 2, "colours as red, green and blue");
                    let part = |n: u32| (n * 255 / 100) as u8;
                    palette.insert(colour, Rgba([part(r), part(g), part(b), 255]));
                }
            }
            b'$' => x = 0,
            b'-' => (x, band) = (0, band + 1),
            b'!' => {
                times = numbers(&mut bytes)[0];
                sixel = bytes.next().unwrap();
            }
            _ => {}
        }
        if !(b'?'..=b'~').contains(&sixel) {
            continue;
        }
        for _ in 0..times {
            for row in (0..6).filter(|row| (sixel - b'?') & (1 << row) != 0) {
                pixels.insert((x, band * 6 + row), palette[&colour]);
            }
            x += 1;
        }
    }
    let width = pixels.keys().map(|(x, _)| x + 1).max().unwrap();
    let height = pixels.keys().map(|(_, y)| y + 1).max().unwrap();
    RgbaImage::from_fn(width, height, |x, y| {
        pixels.get(&(x, y)).copied().unwrap_or(Rgba([0; 4]))
    })
}
