//! Every screen: at both sizes, in Unicode and in ASCII, with few colours and none.

use crate::support::Editor;
use protocol::{Event as Run, Level, Summary};
use ratatui::style::{Color, Modifier};
use std::fmt::Write;
use tui::glyph::Glyphs;
use tui::theme::Depth;

const GRAPH: &str = include_str!("../../../graphs/multi_subject.json");

type Scene = (&'static str, fn(&mut Editor));

const SCENES: &[Scene] = &[
    ("empty", |_| {}),
    ("tour", |editor| {
        editor.press("space t");
    }),
    ("graph", |editor| editor.open(GRAPH)),
    ("detail", |editor| {
        editor.open(GRAPH);
        editor.press("0 +");
    }),
    ("add", |editor| {
        editor.open(GRAPH);
        editor.press("a").type_text("train");
    }),
    ("add_after", |editor| {
        editor.open(GRAPH);
        editor.press("o");
    }),
    ("connect", |editor| {
        editor.open(GRAPH);
        editor.press("0 J c");
    }),
    ("inspector", |editor| {
        editor.open(GRAPH);
        choose(editor, "dog");
        editor.press("enter j");
    }),
    ("text_field", |editor| {
        editor.open(GRAPH);
        choose(editor, "prompt");
        editor.press("enter enter");
    }),
    ("line_field", |editor| {
        editor.open(GRAPH);
        choose(editor, "dog");
        editor.press("enter j enter").type_text("0");
    }),
    ("choice_field", |editor| {
        editor.open(GRAPH);
        choose(editor, "both");
        editor.press("enter enter");
    }),
    ("problems", |editor| {
        editor.open(
            &GRAPH
                .replace("base.vae", "bse.vae")
                .replace("\"rank\": 2", "\"rank\": 0"),
        );
        editor.press("] d 3");
    }),
    ("running", running),
    ("running_boxes", |editor| {
        running(editor);
        editor.press("0");
    }),
    ("failed", |editor| {
        running(editor);
        editor.run_event(Run::Failed {
            node: "dog".to_owned(),
            ty: "para/train".to_owned(),
            message: "step 80 gave a loss that is not finite".to_owned(),
            help: Some("lower lr".to_owned()),
        });
        editor.wait(9000);
    }),
    ("loss", |editor| {
        running(editor);
        editor.press("3 right right right right");
        editor.wait(9000);
    }),
    ("runs", |editor| {
        running(editor);
        editor.run_event(Run::Done {
            node: "dog".to_owned(),
            seconds: 21.5,
            files: Vec::new(),
            key: String::new(),
        });
        editor.run_ends(summary());
        editor.wait(9000);
        editor.press("space r");
    }),
    ("preview", |editor| {
        running(editor);
        let (picture, png) = picture([200, 120, 60]);
        let preview = Run::Preview {
            node: "dog".to_owned(),
            step: 80,
            note: String::new(),
            picture: protocol::Picture {
                png: protocol::Bytes(png),
                ..picture
            },
        };
        editor.run_event(preview);
        editor.show_pictures(&[]);
        editor.press("4 Z Z");
        editor.show_pictures(&[]);
    }),
    ("compare", |editor| {
        two_runs(editor);
        editor.press("space r m");
        let pictures = [picture([200, 120, 60]).1, picture([60, 120, 200]).1];
        editor.show_pictures(&pictures);
    }),
    ("queue", |editor| {
        running(editor);
        editor.press("Q 3 right right right");
        editor.wait(9000);
    }),
    ("keys", |editor| {
        editor.open(GRAPH);
        editor.press("?");
    }),
    ("palette", |editor| {
        editor.open(GRAPH);
        editor.press("space space").type_text("undo");
    }),
    ("which_key", |editor| {
        editor.open(GRAPH);
        editor.press("space");
        editor.wait(500);
    }),
    ("page", |editor| {
        editor.open(GRAPH);
        choose(editor, "both");
        editor.press("space k");
    }),
    ("group", |editor| {
        editor.open(GRAPH);
        choose(editor, "dog");
        editor.press("v");
        choose(editor, "dogs");
        editor.press("v space g g").type_text("the dog").press("enter");
        choose(editor, "dog");
        editor.press("z a");
    }),
    ("note", |editor| {
        editor.open(GRAPH);
        choose(editor, "dog");
        editor.press("space n").type_text("mind the rank").press("enter");
    }),
    ("leave", |editor| {
        editor.open(GRAPH);
        editor.press("d space q");
        editor.wait(9000);
    }),
    ("preview_pane", |editor| {
        editor.open(GRAPH);
        editor.press("4");
    }),
    ("full", |editor| {
        editor.open(GRAPH);
        editor.press("0 Z Z");
    }),
];

fn choose(editor: &mut Editor, node: &str) {
    editor.press("/").type_text(node).press("enter");
}

fn summary() -> Summary {
    Summary {
        executed: 1,
        seconds: 21.6,
        ..Summary::default()
    }
}

fn running(editor: &mut Editor) {
    editor.open(GRAPH);
    choose(editor, "dog");
    editor.press("R");
    editor.run_event(Run::RunStarted { nodes: 18 });
    editor.run_event(Run::Loaded {
        node: "base".to_owned(),
        seconds: 0.08,
    });
    editor.run_event(Run::Cached {
        node: "dogs".to_owned(),
        files: Vec::new(),
        key: String::new(),
        frozen: false,
    });
    editor.run_event(Run::Started {
        node: "dog".to_owned(),
        ty: "para/train".to_owned(),
    });
    editor.run_event(Run::Log {
        node: Some("dog".to_owned()),
        level: Level::Warning,
        text: "a caption is too long for the text encoder".to_owned(),
    });
    for step in 1..=80 {
        editor.run_event(Run::Metric {
            node: "dog".to_owned(),
            name: "loss".to_owned(),
            step,
            value: Some(0.05 + 0.3 / step as f64),
        });
        editor.run_event(Run::Progress {
            node: "dog".to_owned(),
            done: step,
            total: 250,
            note: "loss 0.0538".to_owned(),
        });
    }
    editor.wait(9000);
}

/// A picture of rings in some colour.
fn picture(colour: [u8; 3]) -> (protocol::Picture, Vec<u8>) {
    let picture = image::RgbImage::from_fn(32, 32, |x, y| {
        let far = x.abs_diff(16).pow(2) + y.abs_diff(16).pow(2);
        image::Rgb(if far / 40 % 2 == 0 { colour } else { [20, 20, 20] })
    });
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let whole = protocol::Picture {
        width: 32,
        height: 32,
        png: protocol::Bytes(Vec::new()),
    };
    (whole, png.into_inner())
}

/// Two runs that wrote pictures, with other ranks and losses.
fn two_runs(editor: &mut Editor) {
    running(editor);
    for (nth, rank) in [(1, None), (2, Some("3"))] {
        if let Some(rank) = rank {
            choose(editor, "dog");
            editor
                .press("space =")
                .type_text(&format!("rank={rank}"))
                .press("enter R");
            editor.run_event(Run::RunStarted { nodes: 18 });
            for step in 1..=60 {
                editor.run_event(Run::Metric {
                    node: "dog".to_owned(),
                    name: "loss".to_owned(),
                    step,
                    value: Some(0.02 + 0.5 / step as f64),
                });
            }
        }
        editor.run_event(Run::Done {
            node: "save".to_owned(),
            seconds: 0.5,
            files: vec![format!("/graphs/out/two_0000{nth}.png")],
            key: String::new(),
        });
        editor.run_ends(summary());
    }
    editor.wait(9000);
}

/// Of each screen one file: at both sizes, in ASCII without colours, and the styles that sixteen colours leave.
#[test]
fn every_screen_is_as_it_was() {
    for (name, scene) in SCENES {
        let mut all = String::new();
        for (width, height, depth, glyphs, what) in [
            (120, 36, Depth::True, Glyphs::Unicode, "120x36"),
            (80, 24, Depth::True, Glyphs::Unicode, "80x24"),
            (80, 24, Depth::Mono, Glyphs::Ascii, "80x24, ASCII"),
        ] {
            let mut editor = Editor::plain(width, height, depth, glyphs);
            scene(&mut editor);
            let _ = write!(all, "=== {what}\n{}\n", editor.screen());
        }
        for (depth, what) in [
            (Depth::Sixteen, "styles in sixteen colours"),
            (Depth::Mono, "styles without colours"),
        ] {
            let mut editor = Editor::plain(80, 24, depth, Glyphs::Unicode);
            scene(&mut editor);
            let _ = write!(all, "=== 80x24, {what}\n{}\n", styles(&mut editor));
        }
        insta::assert_snapshot!(*name, all);
    }
}

/// The styles of a screen: a letter for each, in the order in which they come, and what they are.
fn styles(editor: &mut Editor) -> String {
    let terminal = editor.terminal();
    let buffer = terminal.backend().buffer();
    let mut known: Vec<(Color, Color, Modifier)> = vec![(Color::Reset, Color::Reset, Modifier::empty())];
    let mut plane = String::new();
    for row in buffer.content().chunks(usize::from(buffer.area.width)) {
        let mut line = String::new();
        for cell in row {
            let ink = if cell.symbol() == " " { Color::Reset } else { cell.fg };
            let style = (ink, cell.bg, cell.modifier);
            let at = known.iter().position(|other| *other == style).unwrap_or(known.len());
            if at == known.len() {
                known.push(style);
            }
            let letters = b".abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
            line.push(char::from(letters[at]));
        }
        let _ = writeln!(plane, "{}", line.trim_end_matches('.'));
    }
    for (at, (fg, bg, modifier)) in known.iter().enumerate().skip(1) {
        let letter = char::from(b"?abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[at]);
        let _ = writeln!(plane, "{letter}: {fg:?} on {bg:?} {modifier:?}");
    }
    plane
}

/// What is said in letters only: nothing else may be on the screen, and no colour.
#[test]
fn every_screen_in_ascii_without_colours() {
    for (name, scene) in SCENES {
        let mut editor = Editor::plain(80, 24, Depth::Mono, Glyphs::Ascii);
        scene(&mut editor);
        let screen = editor.screen();
        let foreign: Vec<char> = screen.chars().filter(|c| !c.is_ascii()).collect();
        assert!(foreign.is_empty(), "{name}: {foreign:?} in\n{screen}");
        let terminal = editor.terminal();
        for cell in terminal.backend().buffer().content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{name}: {cell:?}");
        }
    }
}

#[test]
fn sixteen_colours_and_the_palette_of_256_are_kept_to() {
    let named = |colour: Color| !matches!(colour, Color::Rgb(..) | Color::Indexed(_));
    let indexed = |colour: Color| !matches!(colour, Color::Rgb(..));
    for (name, scene) in SCENES {
        for (depth, fits) in [
            (Depth::Sixteen, &named as &dyn Fn(Color) -> bool),
            (Depth::Indexed, &indexed),
        ] {
            let mut editor = Editor::plain(80, 24, depth, Glyphs::Unicode);
            scene(&mut editor);
            let terminal = editor.terminal();
            let mut colours = 0;
            for cell in terminal.backend().buffer().content() {
                assert!(fits(cell.fg) && fits(cell.bg), "{name} at {depth:?}: {cell:?}");
                colours += usize::from(cell.fg != Color::Reset);
            }
            assert!(colours > 10, "{name} at {depth:?} is coloured");
        }
    }
}

/// The chosen row, the pane with the keys and the like differ from the rest without colours too.
#[test]
fn what_is_chosen_stands_out_without_colours() {
    for keys in ["space space", "1 enter", "3"] {
        let mut editor = Editor::plain(80, 24, Depth::Mono, Glyphs::Ascii);
        editor.open(GRAPH);
        choose(&mut editor, "dog");
        editor.press(keys);
        let terminal = editor.terminal();
        let marked = terminal
            .backend()
            .buffer()
            .content()
            .iter()
            .any(|cell| !cell.modifier.is_empty());
        assert!(marked, "{keys}");
    }
}

#[test]
fn no_size_is_too_small() {
    for (_, scene) in SCENES {
        let mut editor = Editor::new(120, 36);
        scene(&mut editor);
        for (width, height) in [
            (1, 1),
            (2, 1),
            (39, 9),
            (40, 10),
            (41, 11),
            (79, 23),
            (80, 24),
            (109, 24),
            (110, 24),
            (300, 100),
        ] {
            editor.event(tui::event::Event::Resize(width, height));
            editor.screen();
        }
    }
}
