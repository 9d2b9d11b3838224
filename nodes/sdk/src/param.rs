//! Parameters: what a graph file sets on a node.

use crate::{Error, Result};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// The parameters of one node as the checker left them: all present, all of the declared type.
pub type Params = serde_json::Map<String, Json>;

/// A type that a parameter may have.
pub trait Param: Sized {
    /// The descriptor's fields: `"type":"integer"` and what else belongs to the type.
    const SCHEMA: &'static str;
    /// Whether `null` is a value.
    const NULLABLE: bool = false;
    /// More fields of the descriptor when the node states no range of its own: `,"min":0`.
    const BOUNDS: &'static str = "";

    /// Reads the parameter.
    ///
    /// # Errors
    /// When the JSON value is of another type.
    fn from_json(value: &Json) -> Result<Self>;
}

fn wrong(expected: &str, found: &Json) -> Error {
    Error::msg(format!("expected {expected}, found {found}"))
}

macro_rules! integer {
    ($($t:ty: $bounds:literal),*) => {$(
        impl Param for $t {
            const BOUNDS: &'static str = $bounds;
            const SCHEMA: &'static str = "\"type\":\"integer\"";
            fn from_json(value: &Json) -> Result<Self> {
                let wide = value.as_u64().map(i128::from).or_else(|| value.as_i64().map(i128::from));
                wide.and_then(|n| Self::try_from(n).ok()).ok_or_else(|| wrong(concat!("an integer (", stringify!($t), ")"), value))
            }
        }
    )*};
}
integer!(u32: ",\"min\":0", u64: ",\"min\":0", usize: ",\"min\":0", i64: "");

impl Param for f64 {
    const SCHEMA: &'static str = "\"type\":\"number\"";
    fn from_json(value: &Json) -> Result<Self> {
        value.as_f64().ok_or_else(|| wrong("a number", value))
    }
}

impl Param for bool {
    const SCHEMA: &'static str = "\"type\":\"boolean\"";
    fn from_json(value: &Json) -> Result<Self> {
        value.as_bool().ok_or_else(|| wrong("true or false", value))
    }
}

impl Param for String {
    const SCHEMA: &'static str = "\"type\":\"string\"";
    fn from_json(value: &Json) -> Result<Self> {
        value.as_str().map(Self::from).ok_or_else(|| wrong("a text", value))
    }
}

impl Param for Vec<String> {
    const SCHEMA: &'static str = "\"type\":\"strings\"";
    fn from_json(value: &Json) -> Result<Self> {
        let list = value.as_array().ok_or_else(|| wrong("a list of texts", value))?;
        list.iter().map(String::from_json).collect()
    }
}

impl<T: Param> Param for Option<T> {
    const SCHEMA: &'static str = T::SCHEMA;
    const NULLABLE: bool = true;
    const BOUNDS: &'static str = T::BOUNDS;
    fn from_json(value: &Json) -> Result<Self> {
        if value.is_null() {
            Ok(None)
        } else {
            T::from_json(value).map(Some)
        }
    }
}

macro_rules! path {
    ($(#[$doc:meta])* $name:ident, $schema:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub PathBuf);
        impl Param for $name {
            const SCHEMA: &'static str = $schema;
            fn from_json(value: &Json) -> Result<Self> {
                Ok(Self(PathBuf::from(String::from_json(value)?)))
            }
        }
        impl std::ops::Deref for $name {
            type Target = Path;
            fn deref(&self) -> &Path {
                &self.0
            }
        }
    };
}
path!(
    /// A file or folder that the node reads. Relative paths are relative to the graph file; the node gets them
    /// resolved. The content is part of the step's key, so the node runs again when it changes.
    InputPath, "\"type\":\"path\""
);
path!(
    /// A file or folder that the node writes. Relative paths are relative to the graph file.
    OutputPath, "\"type\":\"output_path\""
);

/// Declares a parameter that is one of a few words: `choice! { /// doc pub enum Mode { Merge = "merge", … } }`.
#[macro_export]
macro_rules! choice {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$vdoc])* $variant),+ }
        impl $crate::Param for $name {
            const SCHEMA: &'static str = $crate::choice!(@schema $($word),+);
            fn from_json(value: &$crate::serde_json::Value) -> $crate::Result<Self> {
                match value.as_str() {
                    $(Some($word) => Ok(Self::$variant),)+
                    _ => Err($crate::Error::msg(format!("expected one of {}, found {value}", [$($word),+].join(", ")))),
                }
            }
        }
    };
    (@schema $first:literal $(, $word:literal)*) => {
        concat!("\"type\":\"choice\",\"choices\":[\"", $first, "\"" $(, ",\"", $word, "\"")*, "]")
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    choice! {
        /// How.
        enum Mode { /// Jointly.
            Merge = "merge", /// One after another.
            Sequential = "sequential" }
    }

    #[test]
    fn types_are_not_guessed() {
        assert!(usize::from_json(&json!(3.9)).is_err());
        assert!(usize::from_json(&json!("3")).is_err());
        assert!(usize::from_json(&json!(-1)).is_err());
        assert_eq!(u64::from_json(&json!(u64::MAX)).unwrap(), u64::MAX);
        assert_eq!(f64::from_json(&json!(3)).unwrap(), 3.0);
        assert_eq!(<Option<usize>>::from_json(&Json::Null).unwrap(), None);
    }

    #[test]
    fn choices_describe_themselves() {
        let schema: Json = serde_json::from_str(&format!("{{{}}}", Mode::SCHEMA)).unwrap();
        assert_eq!(schema, json!({"type": "choice", "choices": ["merge", "sequential"]}));
        assert_eq!(Mode::from_json(&json!("sequential")).unwrap(), Mode::Sequential);
        assert_eq!(Mode::from_json(&json!("merge")).unwrap(), Mode::Merge);
        assert!(
            Mode::from_json(&json!("sum"))
                .unwrap_err()
                .message()
                .contains("merge, sequential")
        );
    }
}
