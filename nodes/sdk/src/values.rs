//! The values that any node crate may need: pictures, tables, lists of written files.

mod files;
mod images;
mod table;

pub use files::{FileEntry, Files};
pub use images::{Fit, Image, Images};
pub use table::{Cell, Table};
