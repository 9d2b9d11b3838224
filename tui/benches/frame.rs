//! A key, a change, a tick of progress, each with its frame: on 500 nodes with all their ports, and on 5000 in a line each.
//!
//! `cargo bench -p tui --bench frame` prints quantiles of the single times, since the slowest are what a hand feels.
//! Layouts of graphs this large are made on another thread; how long they take is in `canvas/benches/layout.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on fails, and tells what it saw"
)]

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use protocol::{Ask, Event as Run, Message, NodeEntry, Reply};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tui::effect::Effect;
use tui::event::{Event, FileEvent};
use tui::glyph::Glyphs;
use tui::keymap::Keymap;
use tui::state::State;
use tui::survey::Survey;
use tui::theme::Theme;
use tui::view;

const TYPE: &str = r#"{"name":"test/node","version":1,"kind":"step","doc":"A node.",
    "inputs":[{"name":"in","type":"model","optional":true,"variadic":true,"doc":"In"},
              {"name":"other","type":"images","optional":true,"doc":"Other"}],
    "outputs":[{"name":"out","type":"model","doc":"Out"},{"name":"pictures","type":"images","doc":"Pictures"}],
    "params":[{"name":"seed","type":"integer","default":0,"doc":"Seed"},{"name":"prompt","type":"string","default":"","doc":"Prompt"},
              {"name":"lr","type":"number","default":0.1,"doc":"Rate"}],"plugin":"test"}"#;

#[path = "../../tests/support/rows.rs"]
mod rows;

fn graph(count: usize) -> String {
    rows::graph(count, |at| {
        format!(r#""seed": {at}, "prompt": "a photo of number {at}", "lr": 0.001"#)
    })
}

struct Editor {
    state: State,
    terminal: Terminal<TestBackend>,
    now: u64,
    survey: Option<Box<Survey>>,
    run: u64,
}

impl Editor {
    fn new(count: usize) -> Self {
        let keymap = Arc::new(Keymap::builtin().unwrap());
        let mut editor = Self {
            state: State::new(keymap, Theme::default(), Glyphs::Unicode, (200, 60)),
            terminal: Terminal::new(TestBackend::new(200, 60)).unwrap(),
            now: 1000,
            survey: None,
            run: 0,
        };
        editor.state.greet();
        let ty: NodeEntry = serde_json::from_str(TYPE).unwrap();
        let catalogue = Reply::Catalogue {
            nodes: vec![ty],
            plugins: Vec::new(),
            refused: Vec::new(),
        };
        editor.event(Event::Worker(Message {
            id: Some(2),
            reply: catalogue,
        }));
        let opened = FileEvent::Opened {
            sheet: 0,
            picture: None,
            path: "bench.json".into(),
            text: Some(graph(count)),
            recovered: None,
        };
        editor.event(Event::File(opened));
        editor.rest();
        editor
    }

    fn event(&mut self, event: Event) {
        self.now += 10;
        for effect in self.state.update(event, self.now) {
            match effect {
                Effect::Survey(survey) => self.survey = Some(survey),
                Effect::Ask(request) if matches!(request.ask, Ask::Run(_)) => self.run = request.id,
                _ => {}
            }
        }
    }

    fn key(&mut self, code: KeyCode) {
        self.event(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    fn char(&mut self, c: char) {
        self.key(KeyCode::Char(c));
    }

    fn draw(&mut self) {
        let mut hits = Vec::new();
        self.terminal
            .draw(|frame| hits = view::draw(&self.state, frame))
            .unwrap();
        self.state.hits = hits;
    }

    /// Until no look at the graph is wanted any more.
    fn rest(&mut self) {
        while let Some(survey) = self.survey.take() {
            self.event(Event::Surveyed(Box::new(survey.run())));
        }
        self.draw();
    }

    fn time(&mut self, what: impl FnOnce(&mut Self)) -> Duration {
        let begun = Instant::now();
        what(self);
        self.draw();
        begun.elapsed()
    }
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 1000];
    println!(
        "{what:44} p50 {:>8.2?}   p95 {:>8.2?}   p99 {:>8.2?}   longest {:>8.2?}",
        at(500),
        at(950),
        at(990),
        at(1000)
    );
}

fn main() {
    for (count, level, rounds) in [(500, "normal", 1000), (500, "compact", 1000), (5000, "compact", 200)] {
        let mut editor = Editor::new(count);
        if level == "normal" {
            editor.char('0');
            editor.rest();
        }
        let name = |what: &str| format!("{what}, {count} nodes, {level}");
        let mut each = |what: &str, step: &mut dyn FnMut(&mut Editor, usize) -> Duration| {
            let times = (0..rounds).map(|turn| step(&mut editor, turn)).collect();
            report(&name(what), times);
        };
        each("move", &mut |editor, turn| {
            editor.time(|editor| editor.char(['j', 'l', 'k', 'h'][turn % 4]))
        });
        each("pan", &mut |editor, turn| {
            let code = if turn / 8 % 2 == 0 { 'd' } else { 'u' };
            let key = KeyEvent::new(KeyCode::Char(code), KeyModifiers::CONTROL);
            editor.time(|editor| editor.event(Event::Key(key)))
        });
        each("set a parameter", &mut |editor, turn| {
            let action = tui::action::parse(&format!("set n5.seed={turn}")).unwrap();
            let time = editor.time(|editor| {
                editor.state.act(action);
                editor.event(Event::Timer);
            });
            editor.rest();
            time
        });
        // Nodes with their wires go and come; the picture follows from another thread.
        let mut laid = Vec::new();
        let keys = [
            ("delete a node", 'd'),
            ("undo it", 'u'),
            ("redo it", 'U'),
            ("", 'u'),
            ("paste ten nodes", 'p'),
            ("undo that", 'u'),
        ];
        let mut times = vec![Vec::new(); keys.len()];
        for at in 0..10 {
            editor.char('g');
            editor.char('g');
            for _ in 0..at {
                editor.char('j');
            }
            editor.char('v');
        }
        editor.char('y');
        let copied = editor.state.clipboard.clone();
        editor.char(';');
        for _ in 0..rounds / 2 {
            for (times, (_, key)) in times.iter_mut().zip(keys) {
                editor.state.clipboard.clone_from(&copied);
                times.push(editor.time(|editor| editor.char(key)));
                if let Some(survey) = editor.survey.take() {
                    let surveyed = Box::new(survey.run());
                    laid.push(editor.time(|editor| editor.event(Event::Surveyed(surveyed))));
                }
                editor.rest();
            }
        }
        for ((what, _), times) in keys.iter().zip(times).filter(|((what, _), _)| !what.is_empty()) {
            report(&name(what), times);
        }
        report(&name("a new layout is taken over"), laid);
        editor.char('R');
        let ask = editor.run;
        let hear = |editor: &mut Editor, event: Run| {
            editor.event(Event::Worker(Message {
                id: Some(ask),
                reply: Reply::Event(event),
            }));
        };
        hear(&mut editor, Run::RunStarted { nodes: count });
        hear(
            &mut editor,
            Run::Started {
                node: "n0".to_owned(),
                ty: "test/node".to_owned(),
            },
        );
        let times = (0..rounds).map(|turn| {
            let done = turn as u64;
            let tick = Run::Progress {
                node: "n0".to_owned(),
                done,
                total: 1000,
                note: "at work".to_owned(),
            };
            editor.time(|editor| hear(editor, tick))
        });
        report(&name("a tick of progress"), times.collect());
    }
}
