//! What a node says when it cannot go on.

use std::fmt;

/// A failure with room for what was expected and how to mend it.
///
/// Like `anyhow::Error` it takes any error with `?`; unlike it, it carries a `help` line that the engine
/// prints below the message, and knows the one failure that is none: the user cancelled.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    message: String,
    help: Option<String>,
    cancelled: bool,
}

/// What nodes and the diffusion crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure with a message.
    pub fn msg(message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                message: message.into(),
                help: None,
                cancelled: false,
            }),
        }
    }

    /// The user asked to stop.
    pub fn cancelled() -> Self {
        Self {
            inner: Box::new(Inner {
                message: "cancelled".into(),
                help: None,
                cancelled: true,
            }),
        }
    }

    /// Adds how to mend it; the first (innermost, most exact) help line stays.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.inner.help.get_or_insert_with(|| help.into());
        self
    }

    /// Puts what was being done before the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        if !self.inner.cancelled {
            self.inner.message = format!("{context}: {}", self.inner.message);
        }
        self
    }

    /// The message, on one or more lines.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// How to mend it.
    pub fn help_text(&self) -> Option<&str> {
        self.inner.help.as_deref()
    }

    /// Whether the user asked to stop, which is no fault of the node.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        match &self.inner.help {
            Some(help) if f.alternate() => write!(f, "\nhelp: {help}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        Self::msg(message)
    }
}

/// `context` and `help` on any result.
pub trait ResultExt<T> {
    /// Puts what was being done before the message.
    ///
    /// # Errors
    /// The error it was called on, with the context in front.
    fn context<C: fmt::Display>(self, context: impl FnOnce() -> C) -> Result<T>;
    /// Adds how to mend it.
    ///
    /// # Errors
    /// The error it was called on, with the help line.
    fn help<H: Into<String>>(self, help: impl FnOnce() -> H) -> Result<T>;
}

impl<T, E: Into<Error>> ResultExt<T> for std::result::Result<T, E> {
    fn context<C: fmt::Display>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|e| e.into().context(context()))
    }
    fn help<H: Into<String>>(self, help: impl FnOnce() -> H) -> Result<T> {
        self.map_err(|e| e.into().help(help()))
    }
}

/// Returns early with an [`Error`]: `bail!("text {x}")` or `bail!("text {x}"; help: "do {this}")`.
#[macro_export]
macro_rules! bail {
    ($fmt:literal $(, $arg:expr)* ; help: $($help:tt)+) => {
        return ::core::result::Result::Err($crate::Error::msg(format!($fmt $(, $arg)*)).help(format!($($help)+)))
    };
    ($($arg:tt)+) => {
        return ::core::result::Result::Err($crate::Error::msg(format!($($arg)+)))
    };
}
