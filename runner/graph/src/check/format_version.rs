//! `"paragraph": 1` says that the file is a graph of ours, and of which format.

use super::shorten;
use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::parse::FORMAT;

pub(crate) const CODE: Code = Code::error(
    "G006",
    "format_version",
    "`paragraph`, the version of the file format, is missing or not 1.",
);

/// Judges the value of `paragraph`, as it stands in the file.
pub(crate) fn finding(token: Option<&str>) -> Option<Finding> {
    let finding = match token.map(|t| (t, t.parse::<u64>())) {
        Some((_, Ok(FORMAT))) => return None,
        Some((token, Ok(later))) if later > FORMAT => Finding::new(
            &CODE,
            format!("this file has format {later}; this version of Paragraph reads format {FORMAT}"),
        )
        .found(token)
        .help("update Paragraph")
        .at_value("/paragraph"),
        Some((token, _)) => Finding::new(&CODE, format!("`paragraph` must be {FORMAT}"))
            .found(shorten(token))
            .help(format!("write `\"paragraph\": {FORMAT}`"))
            .at_value("/paragraph"),
        None => Finding::new(&CODE, "`paragraph`, the version of the file format, is missing")
            .help(format!("add `\"paragraph\": {FORMAT}` if this is a graph of Paragraph"))
            .at_key("/paragraph"),
    };
    Some(finding.expected(FORMAT.to_string()))
}
