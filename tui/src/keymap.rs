//! From keys to actions: a trie for each place, read from `keymap/default.toml`.

use crate::action::{ACTIONS, Verb};
use crokey::KeyCombination;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Which keys count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The panes.
    Anywhere,
    /// A list with a filter: other keys are typed into the filter.
    List,
    /// A text: other keys are typed.
    Text,
    /// Choosing the other end of a wire: other keys are labels.
    Connect,
    /// A page to read.
    Page,
}

/// A key, in a form that can be compared.
pub type Key = KeyCombination;

/// What the keys so far mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An action.
    Verb(Verb),
    /// The beginning of some.
    Pending,
    /// Nothing.
    Nothing,
}

/// A binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The keys, in order.
    pub keys: Vec<Key>,
    /// What they stand for.
    pub verb: Verb,
}

/// All bindings.
#[derive(Clone, Debug, Default)]
pub struct Keymap {
    modes: BTreeMap<Mode, Vec<Binding>>,
}

/// What is wrong with a keymap.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no TOML of the right form.
    #[error("the keymap cannot be read: {0}")]
    Form(#[from] toml::de::Error),
    /// A key that nobody can press.
    #[error("the keymap has no key `{0}`: names are as in ctrl-s, alt-h, pagedown")]
    Key(String),
    /// An action that does not exist.
    #[error("the keymap binds `{key}` to `{name}`, which is no action")]
    Name {
        /// The key.
        key: String,
        /// The name.
        name: String,
    },
    /// A binding that hides another.
    #[error("the keymap binds `{0}` twice, or binds a part of it")]
    Twice(String),
}

const DEFAULT: &str = include_str!("../keymap/default.toml");

impl Keymap {
    /// The keys that the editor comes with.
    ///
    /// # Errors
    /// None, as a test makes sure.
    pub fn builtin() -> Result<Self, Error> {
        Self::read(DEFAULT)
    }

    /// Reads a keymap.
    ///
    /// # Errors
    /// Unknown keys or actions, bindings that hide each other.
    pub fn read(text: &str) -> Result<Self, Error> {
        let tables: BTreeMap<Mode, toml::Table> = toml::from_str(text)?;
        let mut modes: BTreeMap<Mode, Vec<Binding>> = BTreeMap::new();
        for (mode, rows) in tables {
            let bindings = modes.entry(mode).or_default();
            for (written, name) in rows {
                let name = name.as_str().unwrap_or_default();
                let (keys, Some(verb)) = read_row(&written, name)? else {
                    continue;
                };
                let hides = |b: &Binding| b.keys.starts_with(&keys) || keys.starts_with(&b.keys);
                if bindings.iter().any(hides) {
                    return Err(Error::Twice(written));
                }
                bindings.push(Binding { keys, verb });
            }
        }
        Ok(Self { modes })
    }

    /// The same keys, with the user's own over them. A row that cannot be is left out and explained; one that binds a key
    /// to nothing (`""`) frees it.
    #[must_use]
    pub fn with_own(mut self, text: &str) -> (Self, Vec<String>) {
        let tables: BTreeMap<String, toml::Value> = match toml::from_str(text) {
            Ok(tables) => tables,
            Err(error) => return (self, vec![Error::Form(error).to_string()]),
        };
        let mut wrong = Vec::new();
        for (name, rows) in tables {
            let mode = Mode::deserialize(toml::Value::from(name.as_str())).ok();
            let (Some(mode), toml::Value::Table(rows)) = (mode, rows) else {
                wrong.push(format!(
                    "the keymap has no place `{name}`: anywhere, list, text, connect and page are tables of keys"
                ));
                continue;
            };
            let own = own_rows(rows, &mut wrong);
            let all = self.modes.entry(mode).or_default();
            for (keys, verb) in own {
                all.retain(|b| !b.keys.starts_with(&keys) && !keys.starts_with(&b.keys));
                all.extend(verb.map(|verb| Binding { keys, verb }));
            }
        }
        (self, wrong)
    }

    /// What the keys so far mean in a mode.
    pub fn find(&self, mode: Mode, keys: &[Key]) -> Found {
        let mut pending = false;
        for binding in self.bindings(mode) {
            if binding.keys == keys {
                return Found::Verb(binding.verb);
            }
            pending |= binding.keys.starts_with(keys);
        }
        if pending { Found::Pending } else { Found::Nothing }
    }

    /// The bindings of a mode, in the order of the file.
    pub fn bindings(&self, mode: Mode) -> &[Binding] {
        self.modes.get(&mode).map_or(&[], Vec::as_slice)
    }

    /// How the keys may go on: the next key, and the action, or how many actions are behind it.
    pub fn continuations(&self, mode: Mode, keys: &[Key]) -> Vec<(String, Result<Verb, usize>)> {
        let mut found: Vec<(String, Result<Verb, usize>)> = Vec::new();
        for binding in self.bindings(mode).iter().filter(|b| b.keys.starts_with(keys)) {
            let Some(next) = binding.keys.get(keys.len()) else {
                continue;
            };
            let label = name(*next);
            let last = binding.keys.len() == keys.len() + 1;
            match found.iter_mut().find(|(other, _)| *other == label) {
                Some((_, Err(count))) => *count += 1,
                _ if last => found.push((label, Ok(binding.verb))),
                _ => found.push((label, Err(1))),
            }
        }
        found
    }

    /// The shortest keys of an action in a mode, for people.
    pub fn keys_of(&self, mode: Mode, verb: Verb) -> Option<String> {
        let mut all = self.bindings(mode).iter().filter(|binding| binding.verb == verb);
        all.next().map(|binding| written(&binding.keys))
    }
}

/// The user's rows of a mode that can be: none of them hides another.
fn own_rows(rows: toml::Table, wrong: &mut Vec<String>) -> Vec<(Vec<Key>, Option<Verb>)> {
    let mut own: Vec<(Vec<Key>, Option<Verb>)> = Vec::new();
    for (written, name) in rows {
        let read = read_row(&written, name.as_str().unwrap_or("?"));
        let read = read.and_then(|(keys, verb)| {
            let hides = |(other, _): &&(Vec<Key>, _)| other.starts_with(&keys) || keys.starts_with(other);
            match own.iter().find(hides) {
                Some(_) => Err(Error::Twice(written)),
                None => Ok((keys, verb)),
            }
        });
        match read {
            Ok(row) => own.push(row),
            Err(error) => wrong.push(format!("{error}; the row is left out")),
        }
    }
    own
}

/// A row: its keys and its action; none for an empty name.
fn read_row(written: &str, name: &str) -> Result<(Vec<Key>, Option<Verb>), Error> {
    let keys = sequence(written)?;
    if name.is_empty() {
        return Ok((keys, None));
    }
    let row = ACTIONS.iter().find(|row| row.name == name);
    let verb = row.map(|row| row.verb).ok_or_else(|| Error::Name {
        key: written.to_owned(),
        name: name.to_owned(),
    })?;
    Ok((keys, Some(verb)))
}

/// Keys for people: `Space g u`.
pub fn written(keys: &[Key]) -> String {
    let mut text = String::new();
    for (at, key) in keys.iter().enumerate() {
        if at > 0 {
            text.push(' ');
        }
        text.push_str(&name(*key));
    }
    text
}

/// A key for people: `C-s`, `Enter`, `K`.
pub fn name(key: Key) -> String {
    let mut text = String::new();
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        text.push_str("C-");
    }
    if key.modifiers.contains(KeyModifiers::ALT) {
        text.push_str("A-");
    }
    let code = *key.codes.first();
    let shift = key.modifiers.contains(KeyModifiers::SHIFT);
    if shift && !matches!(code, KeyCode::Char(_)) {
        text.push_str("S-");
    }
    match code {
        KeyCode::Char(' ') => text.push_str("Space"),
        KeyCode::Char(c) if shift => text.extend(c.to_uppercase()),
        KeyCode::Char(c) => text.push(c),
        KeyCode::Enter => text.push_str("Enter"),
        KeyCode::Esc => text.push_str("Esc"),
        KeyCode::Tab | KeyCode::BackTab => text.push_str("Tab"),
        KeyCode::Delete => text.push_str("Del"),
        KeyCode::PageDown => text.push_str("PgDn"),
        KeyCode::PageUp => text.push_str("PgUp"),
        KeyCode::F(n) => drop(write!(text, "F{n}")),
        other => drop(write!(text, "{other}")),
    }
    text
}

/// The keys of a binding or of a test: names separated by spaces.
///
/// # Errors
/// A name that is no key.
pub fn sequence(text: &str) -> Result<Vec<Key>, Error> {
    text.split(' ').map(key).collect()
}

fn key(word: &str) -> Result<Key, Error> {
    let mut chars = word.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return Ok(normal(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
    }
    let parsed: KeyCombination = word.parse().map_err(|_| Error::Key(word.to_owned()))?;
    Ok(normal(KeyEvent::new(*parsed.codes.first(), parsed.modifiers)))
}

/// A pressed key in the form that bindings have: capital letters without Shift, Shift-Tab as terminals send it.
pub fn normal(event: KeyEvent) -> Key {
    let mut modifiers = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
    let code = match event.code {
        KeyCode::Char(c) => {
            let shifted = modifiers.contains(KeyModifiers::SHIFT) && c.is_ascii_lowercase();
            modifiers.remove(KeyModifiers::SHIFT);
            KeyCode::Char(if shifted { c.to_ascii_uppercase() } else { c })
        }
        KeyCode::BackTab => {
            modifiers.insert(KeyModifiers::SHIFT);
            KeyCode::BackTab
        }
        other => other,
    };
    KeyCombination::new(code, modifiers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Scope;

    #[test]
    fn every_action_has_a_key_and_no_key_has_two() {
        let keymap = Keymap::builtin().unwrap();
        for row in ACTIONS {
            let modes: &[Mode] = match row.scope {
                Scope::Anywhere => &[Mode::Anywhere],
                Scope::Inside => &[Mode::List, Mode::Text, Mode::Connect, Mode::Page],
            };
            let keys = modes.iter().find_map(|mode| keymap.keys_of(*mode, row.verb));
            assert!(keys.is_some(), "{} has no key", row.name);
        }
    }

    #[test]
    fn keys_that_hide_each_other_are_refused() {
        let wrong = |rows: &str| Keymap::read(&format!("[anywhere]\n{rows}")).unwrap_err().to_string();
        assert!(wrong("\"g\" = \"undo\"\n\"g g\" = \"redo\"").contains("twice"));
        assert!(wrong("\"g\" = \"dance\"").contains("no action"));
        assert!(wrong("\"hyper-g\" = \"undo\"").contains("no key"));
    }

    #[test]
    fn own_keys_come_over_the_others_and_bad_rows_are_explained() {
        let own = r#"
            [anywhere]
            "g" = "undo"
            "g g" = "redo"
            "a" = "dance"
            "hyper-x" = "undo"
            "q" = "quit"
            "Q" = ""
            [nowhere]
            "x" = "undo"
        "#;
        let (keymap, wrong) = Keymap::builtin().unwrap().with_own(own);
        let find = |keys: &str| keymap.find(Mode::Anywhere, &sequence(keys).unwrap());
        assert_eq!(find("g"), Found::Verb(Verb::Undo), "what began with g gives way");
        assert_eq!(find("q"), Found::Verb(Verb::Quit));
        assert_eq!(find("Q"), Found::Nothing);
        assert_eq!(find("a"), Found::Verb(Verb::Add), "a bad row leaves what was there");
        let said =
            ["twice", "no action", "no key", "no place"].map(|word| wrong.iter().filter(|w| w.contains(word)).count());
        assert_eq!((said, wrong.len()), ([1, 1, 1, 1], 4), "{wrong:?}");
        let (keymap, wrong) = Keymap::builtin().unwrap().with_own("this is no TOML");
        assert_eq!(wrong.len(), 1);
        assert_eq!(
            keymap.bindings(Mode::Anywhere),
            Keymap::builtin().unwrap().bindings(Mode::Anywhere)
        );
    }

    #[test]
    fn sequences_go_on() {
        let keymap = Keymap::builtin().unwrap();
        let space = sequence("space").unwrap();
        assert_eq!(keymap.find(Mode::Anywhere, &space), Found::Pending);
        let all = keymap.continuations(Mode::Anywhere, &space);
        assert!(all.contains(&("Space".to_owned(), Ok(Verb::Palette))));
        assert!(all.contains(&("g".to_owned(), Err(4))));
        let keys = sequence("space g u").unwrap();
        assert_eq!(keymap.find(Mode::Anywhere, &keys), Found::Verb(Verb::Ungroup));
        assert_eq!(written(&keys), "Space g u");
    }

    #[test]
    fn capitals_come_with_and_without_shift() {
        let plain = normal(KeyEvent::new(KeyCode::Char('R'), KeyModifiers::SHIFT));
        assert_eq!(plain, normal(KeyEvent::new(KeyCode::Char('R'), KeyModifiers::NONE)));
        assert_eq!(name(plain), "R");
    }
}
