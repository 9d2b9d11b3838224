//! Any bytes as a graph file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (document, _) = graph::parse(text);
    assert_eq!(document.to_text(), text, "a text is kept as it is");
    let found = match graph::check(&document, &graph::Catalog::default()) {
        Ok(checked) => checked.warnings,
        Err(found) => found,
    };
    for diagnostic in found {
        assert!(text.get(diagnostic.span.clone()).is_some(), "{diagnostic}");
        if let Some(fix) = diagnostic.fix {
            assert!(text.get(fix.span).is_some());
        }
    }
    let _ = document.canonical();
});
