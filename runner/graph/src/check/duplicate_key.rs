//! One key twice in one object: JSON readers keep the last without a word.

use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::lines::Lines;
use crate::span::Spans;

pub(crate) const CODE: Code = Code::error(
    "G004",
    "duplicate_key",
    "A node id or a key stands twice in one object, so one of the two would be lost.",
);

pub(crate) fn finding(spans: &Spans, lines: &Lines, at: usize, earlier: usize) -> Finding {
    let pointer = spans.pointer(at);
    let key = spans.key(at);
    let entries = spans.entries();
    let (line, _) = lines.position(entries[earlier].key.start);
    let node = pointer.starts_with("/nodes/") && pointer.rfind('/') == Some("/nodes".len());
    let what = if node { "node" } else { "key" };
    let key = super::shorten(&key);
    let finding = Finding::new(
        &CODE,
        format!("the {what} `{key}` stands here a second time; the first is in line {line}"),
    )
    .help("rename or remove one of the two");
    finding.at_bytes(pointer, entries[at].key.clone())
}
