//! What a look at a graph gives: its picture, what is wrong with it, what depends on what. Of a large graph it is taken on
//! another thread, while the keys go on.

use crate::mirror::{Prints, fingerprints};
use crate::state::{Problem, problems};
use canvas::{Model, Scene};
use graph::{Catalog, Document};
use std::collections::HashMap;
use std::sync::Arc;

/// Graphs of more nodes are surveyed elsewhere.
pub const LARGE: usize = 300;

/// A look to be taken.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Number that no other has.
    pub number: u64,
    /// The graph.
    pub text: Arc<str>,
    /// What stored results depended on, by their key.
    pub frozen: HashMap<String, u64>,
    /// The node types, once they are known.
    pub catalog: Option<Catalog>,
    /// What to lay out, with the picture so far; none: the picture is as wanted.
    pub picture: Option<(Arc<Model>, Option<Arc<Scene>>)>,
}

/// What a look gave.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// The number of the look.
    pub number: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What each node depends on.
    pub prints: Prints,
    /// Where everything stands, if that was asked.
    pub scene: Option<Arc<Scene>>,
}

impl Survey {
    /// Takes the look.
    pub fn run(self) -> Surveyed {
        let scene = self
            .picture
            .map(|(model, before)| canvas::layout(&model, before.as_deref()));
        let document: Document = graph::parse(&self.text).0;
        Surveyed {
            number: self.number,
            problems: problems(&document, self.catalog.as_ref()),
            prints: fingerprints(&document, &self.frozen),
            scene: scene.map(Arc::new),
        }
    }
}
