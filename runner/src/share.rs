//! Graphs on their way to somebody else: what a graph needs, by content; one archive with all of it; and finding it
//! again where everything has other names.
//!
//! A file is what its bytes are. A lock says for each file and folder that a graph reads how many bytes there are and
//! what they hash to, and where they come from if that is known; paths are only where to look first. Nothing is ever
//! taken for something else because it has the same name.

mod above;
pub mod bundle;
pub mod find;
pub mod lock;
pub mod need;
pub mod origin;
pub mod unpack;
