//! What the user asks of nodes that run.

use sdk::Live;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Nodes that listen, with what they were asked and have not heard yet.
#[derive(Default)]
pub struct Desk {
    listening: Mutex<BTreeMap<String, Vec<Live>>>,
}

impl Desk {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Live>>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a node, or all that listen; gives back those who will hear it.
    pub fn ask(&self, node: Option<&str>, what: Live) -> Vec<String> {
        let mut listening = self.lock();
        let asked = listening
            .iter_mut()
            .filter(|(name, _)| node.is_none_or(|node| node == *name));
        asked
            .map(|(name, asked)| {
                asked.push(what);
                name.clone()
            })
            .collect()
    }

    /// What a node was asked since it last looked; from the first call on it listens.
    pub(crate) fn take(&self, node: &str) -> Vec<Live> {
        let mut listening = self.lock();
        match listening.get_mut(node) {
            Some(asked) => std::mem::take(asked),
            None => {
                listening.insert(node.to_owned(), Vec::new());
                Vec::new()
            }
        }
    }

    /// A node has ended.
    pub(crate) fn leave(&self, node: &str) {
        self.lock().remove(node);
    }
}
