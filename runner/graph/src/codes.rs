//! The table of all diagnostics: help, docs and tests derive from it.

use crate::check as c;
use crate::diagnostic::Severity;

/// A kind of diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// `G001` and so on. Never given to another diagnostic once released.
    pub id: &'static str,
    /// The file under `check/` that finds it.
    pub name: &'static str,
    /// The same for every diagnostic of the kind.
    pub severity: Severity,
    /// One line for people.
    pub doc: &'static str,
}

impl Code {
    pub(crate) const fn error(id: &'static str, name: &'static str, doc: &'static str) -> Self {
        Self {
            id,
            name,
            severity: Severity::Error,
            doc,
        }
    }

    pub(crate) const fn warning(id: &'static str, name: &'static str, doc: &'static str) -> Self {
        Self {
            id,
            name,
            severity: Severity::Warning,
            doc,
        }
    }
}

/// Every code, in order.
pub static ALL: &[&Code] = &[
    &c::syntax::CODE,
    &c::too_deep::CODE,
    &c::unreadable_value::CODE,
    &c::duplicate_key::CODE,
    &c::wrong_shape::CODE,
    &c::format_version::CODE,
    &c::unknown_key::CODE,
    &c::misspelt_key::CODE,
    &c::nothing_to_run::CODE,
    &c::bad_id::CODE,
    &c::bad_type::CODE,
    &c::unknown_type::CODE,
    &c::newer_version::CODE,
    &c::older_version::CODE,
    &c::unknown_input::CODE,
    &c::missing_input::CODE,
    &c::bad_link::CODE,
    &c::missing_node::CODE,
    &c::missing_port::CODE,
    &c::type_mismatch::CODE,
    &c::list_for_single::CODE,
    &c::empty_list::CODE,
    &c::self_link::CODE,
    &c::cycle::CODE,
    &c::unknown_param::CODE,
    &c::missing_param::CODE,
    &c::param_type::CODE,
    &c::param_range::CODE,
    &c::param_choice::CODE,
    &c::null_param::CODE,
    &c::bypassed::CODE,
    &c::frozen::CODE,
];

/// The code of that id.
pub fn get(id: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|code| code.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_ordered_and_explained() {
        let ids: BTreeSet<_> = ALL.iter().map(|c| c.id).collect();
        assert_eq!(ids.len(), ALL.len());
        assert!(ALL.iter().map(|c| c.id).eq(ids), "the table is in order of id");
        for code in ALL {
            assert!(code.doc.len() > 20 && !code.doc.contains('\n'), "{}", code.id);
        }
    }

    #[test]
    fn every_file_under_check_has_its_line() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/check");
        let files = std::fs::read_dir(folder).unwrap();
        let files: BTreeSet<_> = files
            .map(|f| f.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let names: BTreeSet<_> = ALL.iter().map(|c| c.name.to_owned()).collect();
        assert_eq!(files, names);
    }
}
