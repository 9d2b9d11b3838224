//! An editor without a terminal and without a worker: keys go in, screens and wishes come out.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use protocol::{Ask, Event as RunEvent, Message, NodeEntry, NodeType, Reply, Request, Summary};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use ratatui_image::{FilterType, Resize};
use std::sync::Arc;
use tui::effect::Effect;
use tui::event::{Encoded, Event, FileEvent};
use tui::glyph::Glyphs;
use tui::keymap::{Keymap, sequence};
use tui::state::State;
use tui::theme::{Depth, Palette, Theme};
use tui::view;

/// 2026-11-25 14:00 in Greenwich.
const START: u64 = 1_795_615_200_000;

pub(crate) struct Editor {
    pub(crate) state: State,
    pub(crate) asked: Vec<Request>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) keys: usize,
    pub(crate) surveys_at_once: bool,
    now: u64,
}

/// The node types of a `para` of this day.
pub(crate) fn catalogue() -> Vec<NodeEntry> {
    let types: Vec<NodeType> = serde_json::from_str(include_str!("../fixtures/catalogue.json")).unwrap();
    let entry = |ty| NodeEntry {
        ty,
        plugin: "node-test".to_owned(),
    };
    types.into_iter().map(entry).collect()
}

impl Editor {
    /// With the node types known.
    pub(crate) fn new(width: u16, height: u16) -> Self {
        let mut editor = Self::ignorant(width, height, Depth::True, Glyphs::Unicode);
        editor.learn();
        editor
    }

    pub(crate) fn plain(width: u16, height: u16, depth: Depth, glyphs: Glyphs) -> Self {
        let mut editor = Self::ignorant(width, height, depth, glyphs);
        editor.learn();
        editor
    }

    /// Before the worker has said anything.
    pub(crate) fn ignorant(width: u16, height: u16, depth: Depth, glyphs: Glyphs) -> Self {
        let theme = Theme {
            depth,
            palette: Palette::Dark,
        };
        let keymap = Arc::new(Keymap::builtin().unwrap());
        let mut state = State::new(keymap, theme, glyphs, (width, height));
        state.now = START;
        state.greet();
        let mut editor = Self {
            state,
            asked: Vec::new(),
            effects: Vec::new(),
            keys: 0,
            surveys_at_once: true,
            now: START,
        };
        editor.sort();
        editor
    }

    fn learn(&mut self) {
        let id = self.id_of(|ask| matches!(ask, Ask::Hello { .. }));
        self.hear(
            id,
            Reply::Hello {
                version: protocol::VERSION,
                para: "0.1.0".to_owned(),
                pid: 7,
                folder: "/graphs".to_owned(),
                store: "/store".to_owned(),
                cores: 2,
                memory: 8_000_000_000,
            },
        );
        let id = self.id_of(|ask| matches!(ask, Ask::Catalogue));
        self.hear(
            id,
            Reply::Catalogue {
                nodes: catalogue(),
                plugins: Vec::new(),
                refused: Vec::new(),
            },
        );
    }

    /// The newest request of a kind.
    pub(crate) fn id_of(&self, wanted: impl Fn(&Ask) -> bool) -> u64 {
        let found = self.asked.iter().rev().find(|request| wanted(&request.ask));
        found.expect("such a request was made").id
    }

    pub(crate) fn run_id(&self) -> u64 {
        self.id_of(|ask| matches!(ask, Ask::Run(_)))
    }

    fn sort(&mut self) {
        for effect in std::mem::take(&mut self.state.outbox) {
            self.keep(effect);
        }
    }

    fn keep(&mut self, effect: Effect) {
        match effect {
            Effect::Ask(request) => self.asked.push(request),
            // What another thread would do; its answer comes at once.
            Effect::Survey(survey) if self.surveys_at_once => self.event(Event::Surveyed(Box::new(survey.run()))),
            other => self.effects.push(other),
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        for effect in self.state.update(event, self.now) {
            self.keep(effect);
        }
    }

    /// Time goes by; what was to happen by itself happens.
    pub(crate) fn wait(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.event(Event::Timer);
    }

    /// Presses keys, written as in the keymap, a tenth of a second apart.
    pub(crate) fn press(&mut self, keys: &str) -> &mut Self {
        for key in sequence(keys).unwrap() {
            self.now += 100;
            self.keys += 1;
            let code = *key.codes.first();
            self.event(Event::Key(KeyEvent::new(code, key.modifiers)));
        }
        self
    }

    /// Types a text; its characters do not count as keys.
    pub(crate) fn type_text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.now += 20;
            self.event(Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
        }
        self
    }

    pub(crate) fn hear(&mut self, id: u64, reply: Reply) {
        self.event(Event::Worker(Message { id: Some(id), reply }));
    }

    /// The worker tells of the newest run.
    pub(crate) fn run_event(&mut self, event: RunEvent) {
        self.now += 100;
        self.hear(self.run_id(), Reply::Event(event));
    }

    pub(crate) fn run_ends(&mut self, summary: Summary) {
        self.hear(self.run_id(), Reply::Ran { summary });
    }

    /// Pictures that are wanted come, kept ones in the order in which they are asked for, and are made ready.
    pub(crate) fn show_pictures(&mut self, kept: &[Vec<u8>]) {
        let mut kept = kept.iter();
        while let Some(at) = self
            .effects
            .iter()
            .position(|effect| matches!(effect, Effect::ReadKept(..) | Effect::Encode { .. }))
        {
            let event = match self.effects.remove(at) {
                Effect::ReadKept(key, ..) => Event::File(FileEvent::Kept(key, kept.next().cloned())),
                Effect::Encode { key, bytes, size } => {
                    let picture = image::load_from_memory(&bytes).unwrap();
                    let (size, resize) = (Size::new(size.0, size.1), Resize::Scale(Some(FilterType::Nearest)));
                    let made = ratatui_image::picker::Picker::halfblocks().new_protocol(picture, size, resize);
                    Event::Picture(key, (size.width, size.height), Ok(Encoded(Arc::new(made.unwrap()))))
                }
                _ => continue,
            };
            self.event(event);
        }
    }

    pub(crate) fn open(&mut self, text: &str) {
        self.event(Event::File(FileEvent::Opened {
            sheet: self.state.sheet,
            picture: None,
            path: "/graphs/two.json".into(),
            text: Some(text.to_owned()),
            recovered: None,
        }));
    }

    pub(crate) fn text(&self) -> &str {
        self.state.document.text()
    }

    /// The screen as text, with the styles in a buffer beside it.
    pub(crate) fn terminal(&mut self) -> Terminal<TestBackend> {
        let (width, height) = self.state.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut hits = Vec::new();
        terminal.draw(|frame| hits = view::draw(&self.state, frame)).unwrap();
        self.state.hits = hits;
        terminal
    }

    pub(crate) fn screen(&mut self) -> String {
        let (width, _) = self.state.size;
        let buffer = self.terminal().backend().buffer().clone();
        let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
        let lines = cells
            .chunks(usize::from(width))
            .map(|line| line.concat().trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    }
}
