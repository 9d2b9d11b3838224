//! Where `unsafe` may stand.

use crate::support::project;

const ALLOWED: [&str; 6] = [
    "nodes/diffusion/src/handshake.rs",
    "nodes/diffusion/src/kernels.rs",
    "nodes/diffusion/src/kernels/",
    "nodes/sdk/src/handshake.rs",
    "nodes/sdk/src/process.rs",
    "runner/src/host/library.rs",
];

/// Lines of code (not comments) with the word `unsafe`.
fn uses(text: &str) -> usize {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .filter(|code| {
            code.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "unsafe")
        })
        .count()
}

fn is_allowed(name: &str) -> bool {
    ALLOWED
        .iter()
        .any(|allowed| name == *allowed || (allowed.ends_with('/') && name.starts_with(allowed)))
}

#[test]
fn only_the_loader_the_handshake_the_start_and_the_kernels_are_unsafe() {
    let this = "tests/house/unsafety.rs";
    let mut seen = 0;
    for (name, text) in project::sources() {
        let uses = uses(&text);
        if is_allowed(&name) {
            seen += uses;
        } else {
            assert!(uses == 0 || name == this, "{name}: {uses} uses of unsafe");
        }
    }
    assert!(seen > 5, "the search finds what is there: {seen}");
}

#[test]
fn words_are_told_apart() {
    assert_eq!(uses("unsafe { x }\n// unsafe\nunsafe_code\n#[unsafe(no_mangle)]"), 2);
}
