//! What lies above the panes: lists, texts, questions, pages. The topmost has the keys.

use crate::action::Action;
use crate::edit::Candidate;
use crate::edit::convert::Converter;
use crate::keymap::Mode;
use crate::shape::{Port, Side, Wire};
use graph::catalog::Param;
use ratatui_textarea::TextArea;
use tui_input::Input;

mod picker;

pub use picker::{Picker, Row};

/// Something above the panes.
#[derive(Clone, Debug)]
pub enum Layer {
    /// A list with a filter.
    List(Box<Picker>),
    /// A line to type.
    Line(Box<LineBox>),
    /// A text to type.
    Text(Box<TextBox>),
    /// The other end of a wire.
    Connect(Box<Connect>),
    /// A question with one key for each answer.
    Question(Question),
    /// Something to read.
    Page(Page),
}

impl Layer {
    /// Which keys count.
    pub fn mode(&self) -> Mode {
        match self {
            Self::List(_) => Mode::List,
            Self::Line(_) | Self::Text(_) => Mode::Text,
            Self::Connect(_) => Mode::Connect,
            Self::Question(_) | Self::Page(_) => Mode::Page,
        }
    }
}

/// What a list is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// Actions to do; with the command line, what is typed may be an action with its argument.
    Action {
        /// Whether a typed line counts as it stands.
        typed: bool,
    },
    /// A node type to add.
    Add {
        /// Nodes that feed it.
        after: Vec<String>,
        /// Nodes that it feeds.
        before: Vec<String>,
    },
    /// A node to go to.
    Find,
    /// A value of a parameter.
    Choice {
        /// The node.
        node: String,
        /// The parameter.
        param: Box<Param>,
    },
    /// A file or folder for a parameter, on the worker's machine.
    Path {
        /// The node.
        node: String,
        /// The parameter.
        param: Box<Param>,
    },
    /// A graph to open, on this machine.
    Open,
    /// The other end of a wire, of those that the layer below has.
    End,
    /// A node that stands between this end and another of some other type.
    Through {
        /// The node of this end.
        node: String,
        /// Which side of it.
        side: Side,
        /// The port.
        port: Port,
        /// The ways.
        ways: Vec<Converter>,
    },
    /// A wire to cut.
    Cut(Vec<Wire>),
    /// A port to start from.
    From {
        /// The node.
        node: String,
        /// Its ports.
        ports: Vec<(Side, Port)>,
    },
}

/// What a typed line is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// The argument of an action.
    Argument(Action),
    /// A parameter.
    Param {
        /// The node.
        node: String,
        /// The parameter.
        param: Box<Param>,
    },
}

/// A line to type.
#[derive(Clone, Debug)]
pub struct LineBox {
    /// What for.
    pub ask: Ask,
    /// What stands above it.
    pub title: String,
    /// What is typed.
    pub input: Input,
    /// What is wrong with it.
    pub error: Option<String>,
    /// A word of help.
    pub hint: String,
}

/// What a typed text is for.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// A parameter.
    Param {
        /// The node.
        node: String,
        /// The parameter.
        param: Box<Param>,
    },
    /// A note at a node.
    Note {
        /// Its name.
        name: String,
        /// The node.
        beside: Option<String>,
    },
    /// The whole graph.
    Graph,
}

/// A text to type.
#[derive(Clone, Debug)]
pub struct TextBox {
    /// What for.
    pub about: About,
    /// What stands above it.
    pub title: String,
    /// What is typed.
    pub area: TextArea<'static>,
    /// What is wrong with it.
    pub error: Option<String>,
    /// A word of help.
    pub hint: String,
}

impl TextBox {
    /// What is typed.
    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }
}

/// The other end of a wire.
#[derive(Clone, Debug)]
pub struct Connect {
    /// The node of this end.
    pub node: String,
    /// Which side of it.
    pub side: Side,
    /// The port.
    pub port: Port,
    /// What could be the other end, with labels.
    pub ends: Vec<(String, Candidate)>,
    /// What of a label is typed.
    pub typed: String,
    /// The chosen one.
    pub cursor: usize,
}

impl Connect {
    /// The chosen end.
    pub fn chosen(&self) -> Option<&Candidate> {
        self.ends.get(self.cursor).map(|(_, end)| end)
    }
}

/// A question with one key for each answer.
#[derive(Clone, Debug)]
pub struct Question {
    /// The question.
    pub text: String,
    /// Key, words, what to do.
    pub answers: Vec<(char, String, Answer)>,
}

/// What an answer does.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// An action.
    Do(Action),
    /// Save, whatever the file holds now.
    Overwrite,
    /// Read the file again.
    Reload,
    /// Take what the journal knows.
    Recover,
    /// Let it go.
    Forget,
    /// Save, then close the tab.
    SaveClose,
    /// Close the tab without saving.
    CloseNow,
    /// Show what a file holds beside what is here.
    ShowConflict,
    /// Leave a file that somebody else changed as it is.
    Decline,
    /// Show the first tab with changes.
    GoChanged,
    /// Show what the journal knows beside what the file holds.
    Difference,
    /// Nothing.
    Nothing,
}

/// Something to read.
#[derive(Clone, Debug)]
pub struct Page {
    /// What stands above it.
    pub title: String,
    /// What it says.
    pub body: Body,
    /// Lines that are scrolled away.
    pub scroll: usize,
}

/// What a page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Lines; those that begin with `#` are headings.
    Lines(Vec<String>),
    /// A picture, by its number.
    Picture(u64),
    /// Runs side by side.
    Compare(Vec<u64>),
}
