//! Everything the editor knows: the document, what is chosen, what runs, what lies above.

use crate::action::Action;
use crate::effect::Effect;
use crate::event::Encoded;
use crate::glyph::Glyphs;
use crate::history::History;
use crate::keymap::{Key, Keymap};
use crate::layer::Layer;
use crate::mirror::Mirror;
use crate::regions::{Pane, Regions, Tab, Zoom, regions};
use crate::runs::Record;
use crate::scene::Drawing;
use crate::shape::Side;
use crate::theme::Theme;
use canvas::{Item, Level, View};
use graph::{Catalog, Document};
use protocol::{Plugin, Request};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

mod asked;
mod change;
mod picture;
mod problems;
mod select;
mod sheet;

pub use asked::{Asked, Worker};
pub use picture::Pending;
pub use problems::Problem;
pub(crate) use problems::find as problems;
pub use sheet::Sheet;

/// Something on the canvas that can be chosen, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Spot {
    /// A node.
    Node(String),
    /// A folded group.
    Group(String),
    /// A note.
    Note(String),
}

/// Words that appear for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// What it says.
    pub text: String,
    /// Whether something is wrong.
    pub bad: bool,
    /// When it goes, in milliseconds since 1970.
    pub until: u64,
}

/// How much must be drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dirty {
    /// Nothing.
    #[default]
    No,
    /// Numbers of a run: a few times a second is enough.
    Progress,
    /// Something that the user waits for.
    Yes,
}

/// What is kept of a picture.
#[derive(Clone, Debug, Default)]
pub struct Shot {
    /// The file's bytes, when they are here.
    pub bytes: Option<Arc<[u8]>>,
    /// As the terminal takes it, by the size it was made for.
    pub encoded: Option<((u16, u16), Result<Encoded, String>)>,
    /// The size that is being made.
    pub wanted: Option<(u16, u16)>,
    /// Whether the worker was asked for the bytes.
    pub asked: bool,
}

/// Counters for `debug`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Whether they are shown.
    pub shown: bool,
    /// Times that all events which had come were taken.
    pub batches: u64,
    /// Frames drawn.
    pub frames: u64,
    /// Events seen.
    pub events: u64,
}

/// Everything the editor knows.
#[derive(Debug)]
pub struct State {
    /// The number of this tab.
    pub sheet: u64,
    /// Tabs left of it.
    pub left: Vec<Sheet>,
    /// Tabs right of it.
    pub right: Vec<Sheet>,
    /// The number of the next tab.
    pub sheets: u64,
    /// The graph's file.
    pub file: Option<PathBuf>,
    /// The graph.
    pub document: Document,
    /// What the file holds; none: there is none.
    pub saved: Option<String>,
    /// What was done.
    pub history: History,
    /// The node types.
    pub catalog: Catalog,
    /// Whether the catalogue is here.
    pub knows_types: bool,
    /// The node crates.
    pub plugins: Vec<Plugin>,
    /// The worker.
    pub worker: Worker,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is wrong with the user's own settings.
    pub setup_problems: Vec<Problem>,
    /// The group that is looked into.
    pub inside: Option<String>,
    /// What is wrong with node crates.
    pub build_problems: Vec<Problem>,
    /// The graph as it is drawn.
    pub drawing: Drawing,
    /// The look at the graph that is being taken elsewhere.
    pub pending: Option<Pending>,
    /// How many were.
    pub surveys: u64,
    /// How much of each node is seen.
    pub level: Level,
    /// Which part of the graph is seen.
    pub view: View,
    /// Whether the minimap may be shown.
    pub minimap: bool,
    /// The chosen thing.
    pub cursor: Option<Spot>,
    /// The chosen port of the chosen node.
    pub port: Option<(Side, usize)>,
    /// Further nodes that are selected.
    pub marked: BTreeSet<String>,
    /// The pane with the keys.
    pub pane: Pane,
    /// What a narrow dock shows besides its tabs.
    pub side: Pane,
    /// How large that pane is.
    pub zoom: Zoom,
    /// What the dock shows.
    pub tab: Tab,
    /// The chosen row of the inspector.
    pub field: usize,
    /// The chosen row of each tab; of the log, lines scrolled up.
    pub rows: HashMap<Tab, usize>,
    /// Runs marked for comparison, by their beginning.
    pub compared: Vec<u64>,
    /// The run of the past whose pictures are looked at.
    pub looked_at: Option<u64>,
    /// The chosen picture, counted from the newest.
    pub shot: usize,
    /// What lies above, topmost last.
    pub layers: Vec<Layer>,
    /// Keys of an action that is not complete.
    pub keys: Vec<Key>,
    /// When the first of them came.
    pub keys_since: u64,
    /// Words that appear for a while.
    pub toast: Option<Toast>,
    /// Step of the tour.
    pub tour: Option<usize>,
    /// New nodes ask for what they need, one parameter after the other.
    pub asking: Option<String>,
    /// Runs of this session.
    pub mirror: Mirror,
    /// Runs of the past, newest first.
    pub past: Vec<Record>,
    /// Pictures by their number.
    pub shots: HashMap<u64, Shot>,
    /// Numbers of pictures of past runs that are looked at, by the run's beginning and their place in it.
    pub seen: HashMap<(u64, usize), u64>,
    /// What each node depends on.
    pub prints: HashMap<String, u64>,
    /// What stored results depended on, by their key, as far as this session knows.
    pub frozen_prints: HashMap<String, u64>,
    /// Frozen nodes: whether their result is older than their parameters or inputs, as far as this session knows.
    pub older: HashMap<String, bool>,
    /// Whether every change is run.
    pub watch: bool,
    /// When it will be.
    pub watch_at: Option<u64>,
    /// Nodes that were copied.
    pub clipboard: String,
    /// What was looked for.
    pub found: String,
    /// The last action that changed the graph.
    pub last: Option<Action>,
    /// Whether to leave after saving.
    pub leaving: bool,
    /// Whether to close the tab after saving.
    pub closing: bool,
    /// What an editor outside works on.
    pub outside: Option<crate::layer::About>,
    /// Requests under way.
    pub asked: HashMap<u64, Asked>,
    /// The number of the next request.
    pub next: u64,
    /// What is to be done outside.
    pub outbox: Vec<Effect>,
    /// How much must be drawn.
    pub dirty: Dirty,
    /// Counters.
    pub counters: Counters,
    /// Size of the screen.
    pub size: (u16, u16),
    /// The time, in milliseconds since 1970.
    pub now: u64,
    /// Seconds that the clock on the wall is ahead of Greenwich.
    pub offset: i32,
    /// A file that holds something else than expected, and what.
    pub conflict: Option<(PathBuf, Option<String>)>,
    /// What a file was found to hold and the user did not want.
    pub declined: Option<String>,
    /// Whether changes are saved by themselves.
    pub autosave: bool,
    /// When they will be.
    pub save_at: Option<u64>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// What a journal knows beyond the file.
    pub recovered: Option<crate::journal::Recovered>,
    /// Where a drag of the mouse began.
    pub drag: Option<crate::view::Hit>,
    /// Where the pointer was last during a drag.
    pub drag_from: Option<(u16, u16)>,
    /// What is where on the screen, as drawn last.
    pub hits: crate::view::HitMap,
    /// What was clicked last, and when.
    pub clicked: Option<(crate::view::Hit, u64)>,
    /// Whether the worker runs on another machine.
    pub remote: bool,
    /// Colours.
    pub theme: Theme,
    /// Signs.
    pub glyphs: Glyphs,
    /// Keys.
    pub keymap: Arc<Keymap>,
}

impl State {
    /// An editor with an empty graph on a screen of that size.
    pub fn new(keymap: Arc<Keymap>, theme: Theme, glyphs: Glyphs, size: (u16, u16)) -> Self {
        let mut state = Self {
            sheet: 0,
            left: Vec::new(),
            right: Vec::new(),
            sheets: 1,
            file: None,
            document: Document::new(),
            saved: None,
            history: History::default(),
            catalog: Catalog::default(),
            knows_types: false,
            plugins: Vec::new(),
            worker: Worker::None,
            problems: Vec::new(),
            setup_problems: Vec::new(),
            inside: None,
            build_problems: Vec::new(),
            drawing: Drawing::default(),
            pending: None,
            surveys: 0,
            level: Level::Normal,
            view: View::default(),
            minimap: true,
            cursor: None,
            port: None,
            marked: BTreeSet::new(),
            pane: Pane::Canvas,
            side: Pane::Inspector,
            zoom: Zoom::Normal,
            tab: Tab::Log,
            field: 0,
            rows: HashMap::new(),
            compared: Vec::new(),
            looked_at: None,
            shot: 0,
            layers: Vec::new(),
            keys: Vec::new(),
            keys_since: 0,
            toast: None,
            tour: None,
            asking: None,
            mirror: Mirror::default(),
            past: Vec::new(),
            shots: HashMap::new(),
            seen: HashMap::new(),
            prints: HashMap::new(),
            frozen_prints: HashMap::new(),
            older: HashMap::new(),
            watch: false,
            watch_at: None,
            clipboard: String::new(),
            found: String::new(),
            last: None,
            leaving: false,
            closing: false,
            outside: None,
            asked: HashMap::new(),
            next: 1,
            outbox: Vec::new(),
            dirty: Dirty::Yes,
            counters: Counters::default(),
            size,
            now: 0,
            offset: 0,
            conflict: None,
            declined: None,
            autosave: false,
            save_at: None,
            home: None,
            recovered: None,
            drag: None,
            drag_from: None,
            hits: Vec::new(),
            clicked: None,
            remote: false,
            theme,
            glyphs,
            keymap,
        };
        state.refresh();
        state
    }

    /// Where the panes are.
    pub fn regions(&self) -> Regions {
        regions(self.size.0, self.size.1, self.pane, self.side, self.zoom)
    }

    /// Whether the graph differs from its file.
    pub fn is_changed(&self) -> bool {
        sheet::is_changed(&self.document, self.saved.as_deref())
    }

    /// The graph's name, for people.
    pub fn name(&self) -> String {
        sheet::name(self.file.as_deref())
    }

    /// Asks the worker; false when there is none.
    pub fn ask(&mut self, what: Asked, ask: protocol::Ask) -> Option<u64> {
        if matches!(self.worker, Worker::None | Worker::Gone { .. }) {
            self.outbox.push(Effect::StartWorker);
            self.worker = Worker::Starting;
        }
        let id = self.next;
        self.next += 1;
        self.asked.insert(id, what);
        self.outbox.push(Effect::Ask(Request { id, ask }));
        Some(id)
    }

    /// Says something for a while.
    pub fn say(&mut self, text: impl Into<String>) {
        self.toast = Some(Toast {
            text: text.into(),
            bad: false,
            until: self.now + 4000,
        });
        self.dirty = Dirty::Yes;
    }

    /// Says for a while that something is wrong.
    pub fn bad(&mut self, text: impl Into<String>) {
        self.toast = Some(Toast {
            text: text.into(),
            bad: true,
            until: self.now + 8000,
        });
        self.dirty = Dirty::Yes;
    }

    /// When something happens by itself.
    pub fn deadline(&self) -> Option<u64> {
        let keys =
            (!self.keys.is_empty() && self.keys_since + WHICH_KEY > self.now).then_some(self.keys_since + WHICH_KEY);
        let toast = self.toast.as_ref().map(|toast| toast.until);
        [keys, toast, self.watch_at, self.save_at].into_iter().flatten().min()
    }

    /// Whether the keys so far have been waiting long enough to be explained.
    pub fn explains_keys(&self) -> bool {
        !self.keys.is_empty() && self.now >= self.keys_since + WHICH_KEY
    }

    /// The node that an item of the scene is.
    pub fn spot(&self, item: Item) -> Option<Spot> {
        match item {
            Item::Node(node) => self.drawing.id(node).map(|id| Spot::Node(id.to_owned())),
            Item::Group(group) => self.drawing.groups.get(group).cloned().map(Spot::Group),
            Item::Note(note) => self.drawing.notes.get(note).map(|(name, _)| Spot::Note(name.clone())),
        }
    }
}

/// Milliseconds after which pending keys are explained.
const WHICH_KEY: u64 = 400;
