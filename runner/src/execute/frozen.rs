//! Frozen nodes: a stored result stands for what they would give.

use super::Run;
use protocol::Event;

impl Run<'_> {
    /// A frozen node gives what is in the store, or nothing: it never runs.
    pub(super) fn thaw(&mut self, index: usize, key: &str) {
        match self.steps.frozen(index, key) {
            Ok(record) => {
                self.keys[index] = Some(key.to_owned());
                self.summary.cached += 1;
                self.control.sink.event(Event::Cached {
                    node: self.id(index),
                    files: Vec::new(),
                    key: key.to_owned(),
                    frozen: true,
                });
                self.known(index, record.outputs.into_iter().map(|output| output.content).collect());
                self.release_inputs(index);
                if self.unknown[index] == 0 {
                    self.compare_frozen(index);
                }
            }
            Err(why) => {
                let help = "name the store that it was made with (--store), or take `frozen` out of the node (B in the editor): it runs again then";
                self.failed(index, why, Some(help.to_owned()));
            }
        }
    }

    /// The key of a node whose inputs are known.
    pub(super) fn own_key(&self, index: usize) -> Option<String> {
        self.steps.key(index, |node, output| {
            self.contents[node].get(output).map(String::as_str)
        })
    }

    /// All that feeds a frozen node is known: is its result still the one it would give?
    pub(super) fn compare_frozen(&mut self, index: usize) {
        let frozen = self.steps.checked.nodes[index].frozen.as_ref();
        // What stands above it may be no part of this run.
        if let (Some(frozen), Some(own)) = (frozen, self.own_key(index))
            && *frozen != own
            && self.steps.frozen(index, frozen).is_ok()
        {
            self.control.sink.event(Event::Older { node: self.id(index) });
        }
    }
}
