//! Undo and redo: every change of the text with its inverse.
//!
//! A change is a splice: at one place, one text went and another came. Whatever an edit did to the document, its
//! inverse is exact, byte for byte.

use serde::{Deserialize, Serialize};

/// A change of the graph's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it did, for people: `set rank of bear`.
    pub what: String,
    /// Byte where it happened.
    pub at: usize,
    /// What stood there before.
    pub old: String,
    /// What stands there now.
    pub new: String,
    /// When, in milliseconds since 1970.
    pub time: u64,
    /// Changes that follow each other with the same word here are one step: nudging a number, typing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<String>,
    /// The node it concerned; undo shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl Change {
    /// The splice that leads from one text to another; none when they are the same.
    pub fn between(before: &str, after: &str) -> Option<(usize, String, String)> {
        let (gone, come) = graph::difference(before, after)?;
        Some((gone.start, before[gone].to_owned(), after[come].to_owned()))
    }

    /// The text after this change; none when the change does not fit the text.
    pub fn apply(&self, text: &str) -> Option<String> {
        splice(text, self.at, &self.old, &self.new)
    }

    /// The text before this change; none when the change does not fit the text.
    pub fn revert(&self, text: &str) -> Option<String> {
        splice(text, self.at, &self.new, &self.old)
    }
}

fn splice(text: &str, at: usize, old: &str, new: &str) -> Option<String> {
    let rest = text.get(at..)?.strip_prefix(old)?;
    Some([text.get(..at)?, new, rest].concat())
}

/// What was done and what was undone.
#[derive(Clone, Debug, Default)]
pub struct History {
    done: Vec<Change>,
    undone: Vec<Change>,
    seals: u64,
}

impl History {
    /// The word by which changes of one kind are joined, until something else happens.
    pub fn merge_word(&self, kind: &str) -> String {
        format!("{kind}#{}", self.seals)
    }

    /// Takes note of a change that was made; joins it to the last one where both have the same `merge`.
    /// `after` is the text with the change.
    pub fn push(&mut self, change: Change, after: &str) {
        self.undone.clear();
        let joined = self
            .done
            .last()
            .filter(|last| last.merge.is_some() && last.merge == change.merge)
            .and_then(|last| {
                let before = last.revert(&change.revert(after)?)?;
                let (at, old, new) = Change::between(&before, after).unwrap_or_default();
                Some(Change {
                    at,
                    old,
                    new,
                    ..change.clone()
                })
            });
        match joined {
            Some(joined) => {
                self.done.pop();
                self.done.push(joined);
            }
            None => self.done.push(change),
        }
    }

    /// The next change begins a step of its own.
    pub fn seal(&mut self) {
        self.seals += 1;
    }

    /// Undoes the last step: gives the text before it and the step.
    pub fn undo(&mut self, text: &str) -> Option<(String, Change)> {
        let change = self.done.pop()?;
        let before = change.revert(text)?;
        self.undone.push(change.clone());
        self.seals += 1;
        Some((before, change))
    }

    /// Does again what was undone last.
    pub fn redo(&mut self, text: &str) -> Option<(String, Change)> {
        let change = self.undone.pop()?;
        let after = change.apply(text)?;
        self.done.push(change.clone());
        self.seals += 1;
        Some((after, change))
    }

    /// Steps made, oldest first.
    pub fn steps(&self) -> &[Change] {
        &self.done
    }

    /// How many steps can be done again.
    pub fn undone(&self) -> usize {
        self.undone.len()
    }

    /// How many of the last steps were made after `time`.
    pub fn since(&self, time: u64) -> usize {
        self.done.iter().rev().take_while(|change| change.time > time).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change(before: &str, after: &str, merge: Option<&str>) -> Change {
        let (at, old, new) = Change::between(before, after).unwrap();
        Change {
            what: String::new(),
            at,
            old,
            new,
            time: 0,
            merge: merge.map(str::to_owned),
            node: None,
        }
    }

    proptest! {
        #[test]
        fn undo_is_the_inverse(texts in proptest::collection::vec("[ab\u{e9}\u{65e5}]{0,12}", 1..12)) {
            let mut history = History::default();
            let mut now = texts[0].clone();
            for next in &texts[1..] {
                if *next != now {
                    history.push(change(&now, next, None), next);
                    now = next.clone();
                }
            }
            let last = now.clone();
            while let Some((before, _)) = history.undo(&now) {
                now = before;
            }
            prop_assert_eq!(&now, &texts[0]);
            while let Some((after, _)) = history.redo(&now) {
                now = after;
            }
            prop_assert_eq!(now, last);
        }
    }

    #[test]
    fn typing_is_one_step() {
        let mut history = History::default();
        let words = ["x", "xa", "xab", "xabc"];
        for pair in words.windows(2) {
            history.push(change(pair[0], pair[1], Some("text")), pair[1]);
        }
        assert_eq!(history.steps().len(), 1);
        assert_eq!(history.undo("xabc").unwrap().0, "x");
    }

    #[test]
    fn a_sealed_step_stays_by_itself() {
        let mut history = History::default();
        let word = history.merge_word("text");
        history.push(change("", "a", Some(&word)), "a");
        history.seal();
        let word = history.merge_word("text");
        history.push(change("a", "ab", Some(&word)), "ab");
        assert_eq!(history.steps().len(), 2);
    }

    #[test]
    fn a_change_that_does_not_fit_is_refused() {
        assert_eq!(change("abc", "axc", None).apply("ayc"), None);
        assert_eq!(change("abc", "axc", None).apply(""), None);
    }
}
