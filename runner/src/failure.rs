//! What ends a command, with the exit code that scripts rely on.

use std::fmt;

/// Whose fault it is, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Arguments, files, folders that the user named: exit code 1.
    User,
    /// The graph: exit code 2.
    Graph,
    /// A node failed: exit code 3.
    Node,
    /// The machine or the installation (disk, permissions, plugins): exit code 4.
    System,
    /// Us: exit code 70.
    Bug,
    /// The user stopped it: exit code 130, as shells have it.
    Cancelled,
}

impl Kind {
    /// The process's exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::User => 1,
            Self::Graph => 2,
            Self::Node => 3,
            Self::System => 4,
            Self::Bug => 70,
            Self::Cancelled => 130,
        }
    }
}

/// A failure of a command.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Whose fault it is.
    pub kind: Kind,
    /// What went wrong; several lines are possible.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

/// What the engine's functions return.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure with a message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            help: None,
        }
    }

    /// A mistake in what the user typed or named.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(Kind::User, message)
    }

    /// The machine or the installation.
    pub fn system(message: impl Into<String>) -> Self {
        Self::new(Kind::System, message)
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Errors of the shared library outside a node (writing files) are the machine's.
impl From<sdk::Error> for Failure {
    fn from(error: sdk::Error) -> Self {
        Self {
            kind: Kind::System,
            message: error.message().to_owned(),
            help: error.help_text().map(str::to_owned),
        }
    }
}
