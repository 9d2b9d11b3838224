//! "Did you mean": the nearest of the names that would have been right.

use std::cell::Cell;

/// Character comparisons spent on suggestions in one check. Ten thousand misspelt links among ten thousand
/// nodes must not cost a hundred million comparisons; past the budget, faults come without a suggestion.
const BUDGET: usize = 30_000_000;

/// Finds near names, within a budget.
#[derive(Debug)]
pub(crate) struct Suggest {
    left: Cell<usize>,
}

impl Default for Suggest {
    fn default() -> Self {
        Self {
            left: Cell::new(BUDGET),
        }
    }
}

impl Suggest {
    /// The candidate nearest to `wanted`, when one is near enough to have been meant.
    pub(crate) fn nearest<'a>(&self, wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let limit = (wanted.chars().count() / 4).clamp(1, 3);
        let lower = wanted.to_lowercase();
        let mut best: Option<(usize, &'a str)> = None;
        for candidate in candidates {
            // An edit changes the length by at most four bytes, so most names need no comparison.
            let compare = wanted.len().abs_diff(candidate.len()) <= 4 * limit;
            let cost = 8 + if compare { wanted.len() * candidate.len() } else { 0 };
            self.left.set(self.left.get().checked_sub(cost)?);
            let distance = if candidate.to_lowercase() == lower {
                0
            } else if candidate.rsplit_once('/').is_some_and(|(_, tail)| tail == wanted) {
                // Only the family was forgotten.
                limit
            } else if compare {
                strsim::osa_distance(wanted, candidate)
            } else {
                continue;
            };
            if distance <= limit && best.is_none_or(|(d, _)| distance < d) {
                best = Some((distance, candidate));
            }
        }
        best.map(|(_, name)| name)
    }

    /// `did you mean …?` with the name meant, or the names there are.
    pub(crate) fn or_list<'a>(
        &self,
        wanted: &str,
        what: &str,
        names: impl Iterator<Item = &'a str> + Clone,
    ) -> (Option<String>, Option<&'a str>) {
        if let Some(name) = self.nearest(wanted, names.clone()) {
            return (Some(format!("did you mean `{name}`?")), Some(name));
        }
        let listed = list(names);
        ((!listed.is_empty()).then(|| format!("{what}: {listed}")), None)
    }
}

/// `` `a`, `b`, `c` ``; after eight names, how many more.
pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names = names.map(|n| format!("`{n}`"));
    let shown: Vec<_> = names.by_ref().take(8).collect();
    match names.count() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The candidate nearest to `wanted`, when one is near enough to have been meant.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    Suggest::default().nearest(wanted, candidates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let suggest = Suggest::default();
        let names = ["para/train", "para/apply", "image/save"];
        assert_eq!(suggest.nearest("para/trian", names), Some("para/train"));
        assert_eq!(suggest.nearest("train", names), Some("para/train"));
        assert_eq!(suggest.nearest("PARA/APPLY", names), Some("para/apply"));
        assert_eq!(suggest.nearest("upscale", names), None);
        assert_eq!(list(names.into_iter()), "`para/train`, `para/apply`, `image/save`");
        assert_eq!(list(["x"; 10].into_iter()).matches('x').count(), 8);
    }

    #[test]
    fn the_budget_ends_the_search() {
        let suggest = Suggest::default();
        let long = "n".repeat(5_000);
        let near = "n".repeat(4_999);
        assert_eq!(suggest.nearest(&long, [near.as_str()]), Some(near.as_str()));
        assert_eq!(suggest.nearest(&long, [near.as_str(), near.as_str()]), None);
    }
}
