//! A list with a filter.

use super::Purpose;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use std::cmp::Reverse;
use tui_input::Input;

/// A row of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What it stands for.
    pub value: String,
    /// What is shown and matched first.
    pub label: String,
    /// What is shown beside it and matched too.
    pub note: String,
    /// At the right: keys, sizes.
    pub right: String,
    /// What is said of it when it is chosen.
    pub page: Vec<String>,
    /// Of rows that match equally well, the heavier one comes first.
    pub weight: usize,
}

/// A list with a filter.
#[derive(Clone, Debug)]
pub struct Picker {
    /// What for.
    pub purpose: Purpose,
    /// What stands above it.
    pub title: String,
    /// What is typed.
    pub input: Input,
    /// All rows.
    pub rows: Vec<Row>,
    /// Rows that match, best first, with the characters of their label that do.
    pub shown: Vec<(usize, Vec<u32>)>,
    /// What they match.
    pub filtered: String,
    /// Which of `shown` is chosen.
    pub cursor: usize,
    /// Said instead of rows when there are none.
    pub empty: String,
    /// What is wrong with what is typed.
    pub error: Option<String>,
    /// A folder that rows come from, and the request that asked for it.
    pub folder: Option<(String, u64)>,
}

impl Picker {
    /// A list of rows.
    pub fn new(purpose: Purpose, title: impl Into<String>, rows: Vec<Row>) -> Self {
        let mut picker = Self {
            purpose,
            title: title.into(),
            input: Input::default(),
            rows,
            shown: Vec::new(),
            filtered: String::new(),
            cursor: 0,
            empty: "nothing matches".to_owned(),
            error: None,
            folder: None,
        };
        picker.filter();
        picker
    }

    /// What rows are matched with: for paths, the last part.
    pub fn needle(&self) -> &str {
        let typed = self.input.value();
        match self.purpose {
            Purpose::Path { .. } | Purpose::Open => typed.rsplit('/').next().unwrap_or(typed),
            Purpose::Action { typed: true } => typed.split(' ').next().unwrap_or(typed),
            _ => typed,
        }
    }

    /// Finds the rows that match what is typed.
    pub fn filter(&mut self) {
        let needle = self.needle().to_owned();
        self.filtered.clone_from(&needle);
        self.cursor = 0;
        self.error = None;
        if needle.is_empty() {
            self.shown = (0..self.rows.len()).map(|row| (row, Vec::new())).collect();
            return;
        }
        let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
        let pattern = Pattern::parse(&needle, CaseMatching::Smart, Normalization::Smart);
        let mut found: Vec<(u32, usize, Vec<u32>)> = Vec::new();
        let mut buffer = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            let mut places = Vec::new();
            let label = pattern.indices(Utf32Str::new(&row.label, &mut buffer), &mut matcher, &mut places);
            let both = format!("{} {}", row.label, row.note);
            // A label that matches comes before any note that does.
            let score = match label {
                Some(score) => {
                    score
                        + 1000
                        + 200 * u32::from(row.label.starts_with(&needle))
                        + 200 * u32::from(row.label == needle)
                }
                None => {
                    places.clear();
                    match pattern.score(Utf32Str::new(&both, &mut buffer), &mut matcher) {
                        Some(score) => score,
                        None => continue,
                    }
                }
            };
            places.sort_unstable();
            places.dedup();
            found.push((score, at, places));
        }
        let weight = |at: usize| self.rows.get(at).map_or(0, |row| row.weight);
        found.sort_by_key(|(score, at, _)| (Reverse((*score, weight(*at))), *at));
        self.shown = found.into_iter().map(|(_, at, places)| (at, places)).collect();
    }

    /// The chosen row.
    pub fn chosen(&self) -> Option<&Row> {
        self.shown.get(self.cursor).and_then(|(at, _)| self.rows.get(*at))
    }

    /// Moves the choice; over the end to the other.
    pub fn step(&mut self, by: isize) {
        let count = self.shown.len() as isize;
        if count > 0 {
            self.cursor = (self.cursor as isize + by).rem_euclid(count) as usize;
        }
    }

    /// Moves the choice by many rows, not over the ends.
    pub fn page(&mut self, by: isize) {
        let last = self.shown.len().saturating_sub(1) as isize;
        self.cursor = (self.cursor as isize + by).clamp(0, last) as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picker(labels: &[(&str, &str)]) -> Picker {
        let rows = labels.iter().map(|(label, note)| Row {
            value: (*label).to_owned(),
            label: (*label).to_owned(),
            note: (*note).to_owned(),
            ..Row::default()
        });
        Picker::new(Purpose::Find, "", rows.collect())
    }

    #[test]
    fn names_come_before_words_of_their_pages() {
        let mut list = picker(&[("image/grid", "pictures to save"), ("image/save", "writes pictures")]);
        list.input = Input::from("save".to_owned());
        list.filter();
        assert_eq!(list.chosen().unwrap().value, "image/save");
        assert_eq!(list.shown.len(), 2);
        list.step(-1);
        assert_eq!(list.chosen().unwrap().value, "image/grid");
    }

    #[test]
    fn of_equal_matches_the_heavier_comes_first() {
        let mut list = picker(&[("lora/train", ""), ("para/train", ""), ("train/lora", "")]);
        list.rows[1].weight = 1;
        list.input = Input::from("train".to_owned());
        list.filter();
        let order: Vec<&str> = list.shown.iter().map(|(at, _)| list.rows[*at].value.as_str()).collect();
        assert_eq!(order, ["train/lora", "para/train", "lora/train"]);
    }

    #[test]
    fn nothing_typed_keeps_the_order() {
        let list = picker(&[("b", ""), ("a", "")]);
        assert_eq!(list.chosen().unwrap().value, "b");
    }
}
