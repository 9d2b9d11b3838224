//! Large graphs for tests and benches of the editor. Files of other crates read this one too, so it needs nothing of this crate.

use std::fmt::Write;

/// Rows of ten nodes of the type `test/node`, each fed by two of the row before. `params` writes the parameters of each.
pub(crate) fn graph(count: usize, params: impl Fn(usize) -> String) -> String {
    let mut text = "{ \"paragraph\": 1, \"nodes\": {\n".to_owned();
    for at in 0..count {
        let above = |shift: usize| at.checked_sub(10).map(|row| row / 10 * 10 + (at + shift) % 10);
        let links = [above(0), above(1)].into_iter().flatten();
        let links: Vec<String> = links.map(|from| format!("\"n{from}.out\"")).collect();
        let links = links.join(", ");
        let params = match params(at) {
            given if given.is_empty() => given,
            given => format!(", \"params\": {{ {given} }}"),
        };
        let comma = if at + 1 < count { "," } else { "" };
        let _ = writeln!(
            text,
            "\"n{at}\": {{ \"type\": \"test/node\", \"inputs\": {{ \"in\": [{links}] }}{params} }}{comma}"
        );
    }
    text + "} }"
}
