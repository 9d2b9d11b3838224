//! Sizes of sources, and what no file may mention.

use crate::support::project;

const LONGEST: usize = 500;

/// Lines of a source before its unit tests.
fn lines(text: &str) -> usize {
    text.lines()
        .take_while(|line| line.trim_end() != "#[cfg(test)]")
        .count()
}

#[test]
fn no_source_is_longer_than_500_lines() {
    let long: Vec<String> = project::sources()
        .iter()
        .filter(|(name, _)| !project::is_test(name))
        .map(|(name, text)| (name, lines(text)))
        .filter(|(_, lines)| *lines > LONGEST)
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn unit_tests_do_not_count() {
    let text = format!("{}#[cfg(test)]\n{}", "code\n".repeat(500), "test\n".repeat(500));
    assert_eq!(lines(&text), 500);
}

#[test]
fn no_file_names_a_machine_it_was_made_on() {
    // In pieces, so that this file is not among those found.
    let words = [
        concat!("/wor", "k/"),
        concat!("../sha", "red"),
        concat!(".lib", "rary"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("target-", "tests"),
    ];
    let mut found = Vec::new();
    for name in project::files() {
        let bytes = std::fs::read(project::root().join(&name)).unwrap();
        for word in words {
            if contains(&bytes, word.as_bytes()) {
                found.push(format!("{name} mentions {word}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    // Rare bytes first: weights are large, and slashes in them are as common as any byte.
    let last = word[word.len() - 1];
    bytes
        .iter()
        .enumerate()
        .skip(word.len() - 1)
        .any(|(at, byte)| *byte == last && bytes[..=at].ends_with(word))
}
