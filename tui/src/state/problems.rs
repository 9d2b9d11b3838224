//! What is wrong, in the form that the Problems tab shows.

use graph::{Catalog, Diagnostic, Document, Fix};

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The node it is about.
    pub node: Option<String>,
    /// The parameter or input it is about.
    pub part: Option<String>,
    /// Whether it keeps the graph from running.
    pub error: bool,
    /// `G012`, `build`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Where it is, for a file that is not the graph.
    pub place: Option<String>,
    /// The diagnostic of the graph.
    pub diagnostic: Option<Diagnostic>,
}

/// All that is wrong with a graph. Without a catalogue only its text is judged.
pub(crate) fn find(document: &Document, catalog: Option<&Catalog>) -> Vec<Problem> {
    let found = match catalog {
        Some(catalog) => match graph::check(document, catalog) {
            Ok(checked) => checked.warnings,
            Err(all) => all,
        },
        None => document.diagnostics(),
    };
    // An empty graph is where one begins.
    let empty = document.nodes().is_empty() && document.is_readable();
    let mut problems: Vec<Problem> = found
        .into_iter()
        .filter(|d| !(empty && d.code == "G009"))
        .map(Problem::from)
        .collect();
    problems.sort_by_key(|problem| !problem.error);
    problems
}

impl From<Diagnostic> for Problem {
    fn from(d: Diagnostic) -> Self {
        let mut parts = d.pointer.split('/').skip(1);
        let of_node = parts.next() == Some("nodes");
        let node = parts.next().filter(|_| of_node).map(unescape);
        let _section = parts.next();
        let part = parts.next().filter(|_| of_node).map(unescape);
        Self {
            node,
            part,
            error: d.is_error(),
            code: d.code.to_owned(),
            message: d.message.clone(),
            help: d.help.clone(),
            place: None,
            diagnostic: Some(d),
        }
    }
}

impl Problem {
    /// Something wrong with a file of the user's settings; the editor works without it.
    pub fn of_setup(file: &std::path::Path, message: String) -> Self {
        Self {
            node: None,
            part: None,
            error: false,
            code: "setup".to_owned(),
            message,
            help: Some("mend the file; it is read when the editor starts".to_owned()),
            place: Some(file.display().to_string()),
            diagnostic: None,
        }
    }

    /// The change of the text that mends it.
    pub fn fix(&self) -> Option<&Fix> {
        self.diagnostic.as_ref()?.fix.as_ref()
    }
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_know_their_node_and_parameter() {
        let text = r#"{"paragraph":1,"nodes":{"a":{"type":"x/y","inputs":{"in":"nobody.out"}}}}"#;
        let document = graph::parse(text).0;
        let problems = find(&document, Some(&Catalog::default()));
        let link = problems.iter().find(|p| p.part.is_some()).unwrap();
        assert_eq!((link.node.as_deref(), link.part.as_deref()), (Some("a"), Some("in")));
        assert!(find(&Document::new(), Some(&Catalog::default())).is_empty());
    }
}
