//! A number beyond all range, half of a character.

use crate::codes::Code;
use crate::diagnostic::Finding;

pub(crate) const CODE: Code = Code::error(
    "G003",
    "unreadable_value",
    "A number is out of range, or a text holds half of a character.",
);

pub(crate) fn finding(pointer: String, token: &str) -> Finding {
    let finding = if token.starts_with('"') {
        Finding::new(&CODE, "a text with an escape that is no character")
            .expected("both halves of a surrogate pair: `\\ud83d\\ude00`")
            .help("write the character itself")
    } else {
        Finding::new(&CODE, "a number out of range")
            .expected("a number below 1.8e308")
            .help("write a finite number")
    };
    finding.found(super::shorten(token)).at_value(pointer)
}
