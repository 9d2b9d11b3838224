//! A run is watched: how often and with how much the screen is written to, and what that takes.

use super::terminal::{BEGIN, END, positions};
use crate::support::screen::{Screen, memory};
use crate::support::scripted::{graph, progress, worker};
use crate::support::workspace::Workspace;
use serde_json::json;
use std::time::Duration;

#[test]
fn progress_is_drawn_four_times_a_second_in_a_few_bytes() {
    let workspace = Workspace::new();
    workspace.write("graph.json", graph(30));
    let mut events = vec![
        json!({ "event": "run_started", "nodes": 30 }),
        json!({ "event": "started", "node": "n0", "type": "test/node" }),
    ];
    events.extend((0..20_000).map(|step| progress("n0", step, 20_000)));
    let worker = worker(&workspace, &events, Some("0.01"));
    let worker = worker.to_string_lossy();
    let mut screen = Screen::start(&workspace, &["--para", &worker, "graph.json"], (120, 36));
    screen.sees("test/node").sees(" cores").settle();
    screen.press("R").sees("▶ run");
    // Words that are said for a while go by themselves.
    screen.listen(Duration::from_millis(4500));
    let from = screen.raw.len();
    screen.listen(Duration::from_secs(3));
    let raw = &screen.raw[from..];
    let (begin, end) = (positions(raw, BEGIN), positions(raw, END));
    assert!(
        (4..=13).contains(&begin.len()),
        "{} frames in three seconds",
        begin.len()
    );
    for begin in begin {
        // The last one may not have come to its end.
        let Some(end) = end.iter().find(|end| **end > begin) else {
            break;
        };
        let bytes = end + END.len() - begin;
        assert!(
            bytes <= 600,
            "{bytes} bytes: {:?}",
            String::from_utf8_lossy(&raw[begin..*end])
        );
    }
    screen.press("space D").sees(" batches");
    let contents = screen.contents();
    let number = |word: &str| -> u64 {
        let before = contents.split(word).next().unwrap();
        before.split_whitespace().last().unwrap().parse().unwrap()
    };
    let (frames, batches, events) = (number(" frames"), number(" batches"), number(" events"));
    assert!(
        frames <= batches + 1,
        "{frames} frames, {batches} batches: only the first is drawn unasked"
    );
    assert!(
        events > 1000 && frames < events / 10,
        "{frames} frames for {events} events"
    );
}

/// 500 nodes, as many lines of log as are kept, eight pictures.
#[test]
fn a_long_day_takes_less_than_120_megabytes() {
    let workspace = Workspace::new();
    workspace.write("graph.json", graph(500));
    let mut events = vec![json!({ "event": "run_started", "nodes": 500 })];
    for step in 0..8_u8 {
        let picture = image::RgbImage::from_fn(512, 512, |x, y| {
            image::Rgb([x as u8 ^ y as u8, step * 30, (x * y) as u8])
        });
        let mut png = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let png = serde_json::to_value(protocol::Bytes(png.into_inner())).unwrap();
        let picture = json!({ "width": 512, "height": 512, "png": png });
        events.push(json!({ "event": "preview", "node": "n0", "step": step, "note": "", "picture": picture }));
    }
    let line = |at| json!({ "event": "log", "node": "n3", "level": "info", "text": format!("step {at}: a line as long as lines of a log are") });
    events.extend((0..100_000).map(line));
    events.push(json!({ "event": "log", "node": "n4", "level": "info", "text": "that was all" }));
    let worker = worker(&workspace, &events, None);
    let worker = worker.to_string_lossy();
    let mut screen = Screen::start(&workspace, &["--para", &worker, "graph.json"], (120, 36));
    screen.sees("test/node").sees(" cores").settle();
    screen.press("R").sees("that was all");
    // Every picture has been looked at.
    for _ in 0..8 {
        screen.press("4 left").settle();
    }
    let megabytes = memory(screen.pid()) / 1024;
    assert!(megabytes <= 120, "{megabytes} MB");
    assert!(megabytes >= 10, "{megabytes} MB cannot be all of it");
}

/// The pointer is drawn where it was last, however many places it has been to.
#[test]
fn what_is_dragged_is_at_most_a_frame_behind() {
    let workspace = Workspace::new();
    workspace.take("multi_subject.json");
    let mut screen = Screen::start(&workspace, &["multi_subject.json"], (120, 36));
    screen.sees("load/model").settle();
    let contents = screen.contents();
    let row = contents.lines().position(|line| line.contains("⟦  base")).unwrap();
    let line = contents.lines().nth(row).unwrap();
    let byte = line.find("base").unwrap();
    let column = line[..byte].chars().count();
    let mouse = |button: u8, x: usize, y: usize, end: char| format!("\x1b[<{button};{};{}{end}", x + 1, y + 1);
    screen.send(mouse(0, column, row, 'M').as_bytes());
    for step in 0..600_usize {
        screen.send(mouse(32, 5 + step % 60, 3 + step % 15, 'M').as_bytes());
        screen.listen(Duration::from_millis(1));
    }
    let from = screen.raw.len();
    screen.send(mouse(32, 50, 12, 'M').as_bytes());
    screen.settle();
    let frames = positions(&screen.raw[from..], BEGIN).len();
    assert!((1..=2).contains(&frames), "{frames} frames after the last place");
    let contents = screen.contents();
    let shown: String = contents.lines().nth(12).unwrap().chars().skip(51).take(6).collect();
    assert_eq!(shown, " base ", "{contents}");
}
