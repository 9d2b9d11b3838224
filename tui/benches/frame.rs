//! A key and its frame, on a graph of 500 nodes.

use criterion::{Criterion, criterion_group, criterion_main};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use tui::event::{Event, FileEvent};
use tui::glyph::Glyphs;
use tui::keymap::Keymap;
use tui::state::State;
use tui::theme::Theme;
use tui::view;

/// Rows of ten nodes, each fed by two of the row before.
fn graph(count: usize) -> String {
    let mut text = "{ \"paragraph\": 1, \"nodes\": {\n".to_owned();
    for at in 0..count {
        let above = |shift: usize| at.checked_sub(10).map(|row| row / 10 * 10 + (at + shift) % 10);
        let links = [above(0), above(1)].into_iter().flatten();
        let links: Vec<String> = links.map(|from| format!("\"n{from}.out\"")).collect();
        let comma = if at + 1 < count { "," } else { "" };
        let line = format!(
            "\"n{at}\": {{ \"type\": \"test/node\", \"inputs\": {{ \"in\": [{}] }}, \"params\": {{ \"seed\": {at} }} }}{comma}",
            links.join(", ")
        );
        let _ = writeln!(text, "{line}");
    }
    text + "} }"
}

fn editor(count: usize) -> State {
    let keymap = Arc::new(Keymap::builtin().unwrap_or_default());
    let mut state = State::new(keymap, Theme::default(), Glyphs::Unicode, (200, 60));
    let opened = FileEvent::Opened {
        sheet: 0,
        picture: None,
        path: "bench.json".into(),
        text: Some(graph(count)),
        recovered: None,
    };
    state.update(Event::File(opened), 1);
    state
}

fn key(c: char) -> Event {
    Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE))
}

fn bench(c: &mut Criterion) {
    for count in [500, 5000] {
        let mut state = editor(count);
        let Ok(mut terminal) = Terminal::new(TestBackend::new(200, 60));
        let mut now = 1000;
        let mut turn = 0;
        c.bench_function(&format!("move and draw, {count} nodes"), |b| {
            b.iter(|| {
                now += 10;
                turn += 1;
                let keys = ['j', 'l', 'k', 'h'];
                black_box(state.update(key(keys[turn % 4]), now));
                let _ = terminal.draw(|frame| drop(view::draw(&state, frame)));
            });
        });
        c.bench_function(&format!("change and draw, {count} nodes"), |b| {
            b.iter(|| {
                now += 10;
                turn += 1;
                let line = format!("set n5.seed={turn}");
                if let Ok(action) = tui::action::parse(&line) {
                    state.act(action);
                }
                black_box(state.update(Event::Timer, now));
                let _ = terminal.draw(|frame| drop(view::draw(&state, frame)));
            });
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
