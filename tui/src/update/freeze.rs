//! Freezing: a stored result stands for what a node would give.

use crate::state::{Asked, State};
use graph::catalog::NodeKind;
use protocol::PlanRow;

impl State {
    /// Freezes the selected nodes at their last results; those that all are frozen thaw.
    pub(super) fn freeze(&mut self) {
        let ids = self.selected();
        if ids.is_empty() {
            return self.say("nothing is selected");
        }
        let frozen = |id: &String| self.document.node(id).is_some_and(|node| node.frozen.is_some());
        if ids.iter().all(frozen) {
            return self.thaw(&ids);
        }
        let ids: Vec<String> = ids.iter().filter(|id| !frozen(id)).cloned().collect();
        let unkept = ids.iter().find_map(|id| match self.type_of(id)?.kind {
            NodeKind::Step => None,
            NodeKind::Lazy => Some(format!("{id} makes models, which are not kept: it cannot be frozen")),
            NodeKind::Effect => Some(format!("{id} writes files and gives nothing else: it cannot be frozen")),
        });
        if let Some(why) = unkept {
            return self.say(why);
        }
        let last: Option<Vec<_>> = ids.iter().map(|id| Some((id.clone(), self.last_result(id)?))).collect();
        match last {
            Some(last) => self.freeze_at(&last),
            // Not run in this session: the store may have what the graph would give as it is.
            None => {
                let ask = protocol::Ask::Plan {
                    graph: self.graph_for_worker(),
                    targets: ids.clone(),
                };
                self.ask(Asked::Freeze(ids), ask);
            }
        }
    }

    /// The key of the newest result of a node, and what it depended on.
    fn last_result(&self, id: &str) -> Option<(String, Option<u64>)> {
        let mut runs = self.mirror.here();
        let found = runs.find_map(|run| Some((run.keys.get(id)?.clone(), run.fingerprints.get(id).copied())));
        found.filter(|(key, _)| !key.is_empty())
    }

    /// The worker told which results there are.
    pub(super) fn results_came(&mut self, ids: &[String], rows: &[PlanRow]) {
        let key = |id: &String| rows.iter().find(|row| row.node == *id && !row.key.is_empty());
        let found: Option<Vec<_>> = ids
            .iter()
            .map(|id| Some((id.clone(), (key(id)?.key.clone(), self.prints.get(id).copied()))))
            .collect();
        match found {
            Some(found) => self.freeze_at(&found),
            None => {
                let missing = ids.iter().find(|id| key(id).is_none()).cloned().unwrap_or_default();
                self.say(format!("{missing} has no result yet that could be kept: r runs it"));
            }
        }
    }

    fn freeze_at(&mut self, results: &[(String, (String, Option<u64>))]) {
        for (_, (key, print)) in results {
            if let Some(print) = print {
                self.frozen_prints.insert(key.clone(), *print);
            }
        }
        let ids: Vec<&str> = results.iter().map(|(id, _)| id.as_str()).collect();
        let names = ids.join(", ");
        self.edit(format!("freeze {names}"), ids.first().copied(), None, |document| {
            let mut each = results.iter();
            each.try_for_each(|(id, (key, _))| document.set_frozen(id, Some(key)))
        });
        let s = if ids.len() == 1 {
            "keeps its result"
        } else {
            "keep their results"
        };
        self.say(format!("{names} {s}, whatever changes; B thaws"));
    }

    fn thaw(&mut self, ids: &[String]) {
        let names = ids.join(", ");
        self.edit(
            format!("thaw {names}"),
            ids.first().map(String::as_str),
            None,
            |document| ids.iter().try_for_each(|id| document.set_frozen(id, None)),
        );
        self.say(format!("{names}: frozen no more"));
    }

    /// What is said of a frozen node; none when it is not frozen.
    pub fn frozen_words(&self, id: &str) -> Option<&'static str> {
        self.document.node(id)?.frozen.as_ref()?;
        let said = || {
            self.mirror
                .here()
                .find(|run| run.nodes.contains_key(id))
                .is_some_and(|run| run.older.contains(id))
        };
        let older = self.older.get(id).copied().unwrap_or_else(said);
        Some(if older {
            "frozen: older than its inputs"
        } else {
            "frozen"
        })
    }
}
