//! Lists in lists in lists: no graph needs that, and reading it could exhaust the stack.

use crate::codes::Code;
use crate::diagnostic::Finding;
use crate::span::MAX_DEPTH;

pub(crate) const CODE: Code = Code::error(
    "G002",
    "too_deep",
    "Lists and objects are nested deeper than any graph needs.",
);

pub(crate) fn finding(pointer: String) -> Finding {
    Finding::new(&CODE, format!("nested deeper than {MAX_DEPTH} levels"))
        .at_value(pointer)
        .expected(format!("at most {MAX_DEPTH} levels of lists and objects"))
        .help("flatten the value")
}
