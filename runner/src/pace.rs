//! Which node types are so quick that a lock, a file and another thread cost more than their work.

use graph::catalog::NodeType;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What takes less than this is quick.
pub(crate) const QUICK: Duration = Duration::from_millis(1);
/// So many executions in a row must have been quick before a type is taken for quick.
const TRUSTED: u32 = 16;

/// What is known of the types that executed in this process.
#[derive(Default)]
pub(crate) struct Pace {
    in_a_row: Mutex<HashMap<String, u32>>,
}

impl Pace {
    /// A node of this type took so long.
    pub(crate) fn ran(&self, ty: &NodeType, took: Duration) {
        let mut all = self.in_a_row.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&ty.name) {
            Some(count) if took < QUICK => *count = count.saturating_add(1),
            Some(count) => *count = 0,
            None => drop(all.insert(ty.name.clone(), u32::from(took < QUICK))),
        }
    }

    /// Whether nodes of this type are quick, by all that is known.
    pub(crate) fn is_quick(&self, ty: &NodeType) -> bool {
        let all = self.in_a_row.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&ty.name).is_some_and(|count| *count >= TRUSTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_execution_ends_the_trust() {
        let ty: NodeType = serde_json::from_str(r#"{"name": "t/n"}"#).unwrap();
        let pace = Pace::default();
        (0..TRUSTED).for_each(|_| pace.ran(&ty, QUICK / 2));
        assert!(pace.is_quick(&ty));
        pace.ran(&ty, QUICK * 2);
        assert!(!pace.is_quick(&ty));
    }
}
