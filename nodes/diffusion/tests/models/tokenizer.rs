use crate::common::{copy, failure, fixture};
use diffusion::tokenizer::Tokenizer;
use std::path::Path;

#[derive(serde::Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    ids_full: Vec<u32>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(&std::fs::read_to_string(fixture("clip_tokens.json")).unwrap()).unwrap()
}

#[test]
fn awkward_prompts_have_the_ids_of_transformers() {
    let tokenizer = Tokenizer::open(fixture("clip_tokenizer"), 77).unwrap();
    let cases = cases();
    assert_eq!(cases.len(), 14);
    for case in cases {
        let tokens = tokenizer.encode(&case.text).unwrap();
        assert_eq!(tokens.ids, case.ids, "{:?}", case.text);
        assert_eq!(tokens.cut.is_some(), case.ids_full.len() > 77, "{:?}", case.text);
    }
}

#[test]
fn the_part_that_was_cut_is_told() {
    let cut = |length, text: &str| {
        let tokenizer = Tokenizer::open(fixture("clip_tokenizer"), length).unwrap();
        assert_eq!(tokenizer.length(), length);
        let tokens = tokenizer.encode(text).unwrap();
        assert_eq!(
            (tokens.ids.len(), tokens.ids[0], tokens.ids[length - 1]),
            (length, 49406, 49407)
        );
        tokens.cut
    };
    // "naïve" is three tokens.
    let text = "A  photo of\tthe naïve Dog, in   the SNOW ";
    assert_eq!(cut(9, text).as_deref(), Some("Dog, in   the SNOW"));
    assert_eq!(cut(7, text).as_deref(), Some("ïve Dog, in   the SNOW"));
    assert_eq!(cut(7, "a photo of the dog"), None);
    // One emoji of several tokens, cut in its middle.
    let whole = cut(3, "👾🏽 x").unwrap();
    assert!("👾🏽 x".ends_with(&whole) && whole.ends_with("🏽 x"), "{whole:?}");
}

#[test]
fn both_kinds_of_file_make_the_same_tokenizer() {
    for name in ["tokenizer", "tokenizer_2"] {
        let whole = crate::folder::emoji_xl().join(name);
        let parts = copy(&whole);
        std::fs::remove_file(parts.path().join("tokenizer.json")).unwrap();
        let alone = copy(&whole);
        for file in ["vocab.json", "merges.txt", "special_tokens_map.json"] {
            std::fs::remove_file(alone.path().join(file)).unwrap();
        }
        let open = |path: &Path| Tokenizer::open(path, 32).unwrap();
        let (whole, parts, alone) = (open(&whole), open(parts.path()), open(alone.path()));
        let mut texts: Vec<String> = cases().into_iter().map(|c| c.text).collect();
        texts.extend(["wow! a dog!!", "!", "a photo of a sks teddy bear <|endoftext|> x"].map(String::from));
        for text in texts {
            let tokens = whole.encode(&text).unwrap();
            assert_eq!(tokens.ids.len(), 32);
            assert_eq!(tokens, parts.encode(&text).unwrap(), "{name}: {text:?}");
            assert_eq!(tokens, alone.encode(&text).unwrap(), "{name}: {text:?}");
        }
        // The second tokenizer pads with "!", which is id 0, the first with the end token.
        let pad = if name == "tokenizer" { 915 } else { 0 };
        assert_eq!(whole.encode("a dog").unwrap().ids[31], pad);
    }
}

#[test]
fn broken_tokenizers_are_explained() {
    let broken = |change: &dyn Fn(&Path)| {
        let folder = copy(&fixture("clip_tokenizer"));
        change(folder.path());
        failure(Tokenizer::open(folder.path(), 77))
    };
    let message = broken(&|f| std::fs::remove_file(f.join("merges.txt")).unwrap());
    assert!(
        message.contains("merges.txt") && message.contains("tokenizer.json"),
        "{message}"
    );
    let message = broken(&|f| std::fs::write(f.join("merges.txt"), "#version: 0.2\na b c\n").unwrap());
    assert!(message.contains("line 2") && message.contains("a b c"), "{message}");
    let message = broken(&|f| std::fs::write(f.join("vocab.json"), "{").unwrap());
    assert!(message.contains("vocab.json"), "{message}");
    let message = broken(&|f| {
        std::fs::write(f.join("tokenizer_config.json"), r#"{"pad_token": "<pad>"}"#).unwrap();
    });
    assert!(message.contains("`<pad>`"), "{message}");
    let message = broken(&|f| std::fs::write(f.join("tokenizer.json"), "{}").unwrap());
    assert!(message.contains("tokenizer.json"), "{message}");
}
