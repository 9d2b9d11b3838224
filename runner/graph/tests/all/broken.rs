//! Broken graphs, and exactly what is said of each.

use crate::support::{catalog, file};
use graph::{Diagnostic, check, codes, parse};
use std::collections::BTreeSet;
use std::fmt::Write;

/// A text, and of each diagnostic: code, line, column, pointer, words of its sentence or fix.
type Case = (
    String,
    &'static [(&'static str, usize, usize, &'static str, &'static str)],
);

const BASE: &str = r#""base": { "type": "load/model", "params": { "path": "m" } },"#;

fn with_base(nodes: &str) -> String {
    file(&format!("{BASE}\n{nodes}"))
}

fn train(inputs: &str, params: &str) -> String {
    with_base(&format!(
        "\"t\": {{ \"type\": \"para/train\", \"inputs\": {{\n{inputs} }},\n\"params\": {{ {params} }} }},\n\"i\": {{ \"type\": \"load/images\", \"params\": {{ \"path\": \"p\" }} }}"
    ))
}

const FED: &str = r#""model": "base.model", "text": "base.text", "vae": "base.vae", "images": "i.images""#;

fn text_cases() -> Vec<Case> {
    let deep = format!(
        "\"a\": {{ \"type\": \"image/grid\", \"inputs\": {{ \"images\": \"i.images\" }}, \"params\": {{\n\"labels\": {}{} }} }},\n\"i\": {{ \"type\": \"load/images\", \"params\": {{ \"path\": \"p\" }} }}",
        "[".repeat(200),
        "]".repeat(200)
    );
    vec![
        (String::new(), &[("G001", 1, 1, "", "empty")]),
        ("\u{feff} ".into(), &[("G001", 1, 1, "", "empty")]),
        ("[".repeat(200_000), &[("G001", 1, 200_001, "", "never closed")]),
        (
            "{ \"paragraph\": 1,\n  \"nodes\": {\n    \"a\": { \"type\": \"x\"".into(),
            &[("G001", 3, 23, "", "the `{` in line 3 is never closed")],
        ),
        (
            "{ \"paragraph\": 1,\n  \"nodes\": { \"a\": { \"type\": \"x\", } } }".into(),
            &[("G001", 2, 32, "/nodes/a", "remove the comma")],
        ),
        (
            "{ \"paragraph\": 1,\n  \"nodes\": {}\n  \"title\": \"x\" }".into(),
            &[("G001", 3, 3, "/title", "comma between")],
        ),
        (
            "{ \"paragraph\": 1, // one\n \"nodes\": {} }".into(),
            &[("G001", 1, 19, "", "`comments`")],
        ),
        (
            "{ \"nodes\": { 'a': 1 } }".into(),
            &[("G001", 1, 14, "/nodes", "double quotes")],
        ),
        (
            "{ \"nodes\": { a: 1 } }".into(),
            &[("G001", 1, 14, "/nodes", "in double quotes")],
        ),
        ("{ \"nodes\" { } }".into(), &[("G001", 1, 11, "/nodes", "colon")]),
        ("{ \"é\": NaN }".into(), &[("G001", 1, 8, "/é", "no NaN")]),
        ("{ \"lr\": -Infinity }".into(), &[("G001", 1, 9, "/lr", "finite")]),
        (
            "\u{feff}{ \"a\": True }".into(),
            &[("G001", 1, 9, "/a", "write `true`")],
        ),
        ("{ \"lr\": 1.e5 }".into(), &[("G001", 1, 11, "/lr", "1e-3")]),
        (
            "{ \"path\": \"C:\\models\" }".into(),
            &[("G001", 1, 15, "/path", "\\\\")],
        ),
        ("{ \"t\": \"one\ntwo\" }".into(), &[("G001", 1, 12, "/t", "\\n")]),
        ("{ \"t\": }".into(), &[("G001", 1, 8, "", "value is missing")]),
        ("{ \"t\": yes }".into(), &[("G001", 1, 8, "/t", "`yes` is not")]),
        (
            "{ \"paragraph\": 1 }\n}".into(),
            &[("G001", 2, 1, "", "follows the end")],
        ),
        (
            file(&deep),
            &[
                ("G032", 3, 11, "/nodes/a/params/labels", "list of texts"),
                (
                    "G002",
                    3,
                    71,
                    "/nodes/a/params/labels/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0",
                    "64",
                ),
            ],
        ),
        (
            train(FED, "\"prompt\": \"p\", \"lr\": 1e400"),
            &[("G003", 5, 34, "/nodes/t/params/lr", "finite")],
        ),
        (
            train(FED, r#""prompt": "\ud83d""#),
            &[("G003", 5, 23, "/nodes/t/params/prompt", "character")],
        ),
        (
            with_base(BASE.trim_end_matches(',')),
            &[("G004", 3, 1, "/nodes/base", "first is in line 2")],
        ),
        (
            train(FED, r#""prompt": "a", "rank": 1, "r\u0061nk": 2"#),
            &[("G004", 5, 39, "/nodes/t/params/rank", "key `rank`")],
        ),
        ("[]".into(), &[("G005", 1, 1, "", "JSON object")]),
        (
            "{ \"paragraph\": 1, \"nodes\": [] }".into(),
            &[("G005", 1, 19, "/nodes", "another program")],
        ),
        (file("\"a\": 3"), &[("G005", 2, 6, "/nodes/a", "must be an object")]),
        (
            file("\"a\": { \"type\": 3, \"inputs\": [],\n\"params\": null }"),
            &[
                ("G005", 2, 16, "/nodes/a/type", "a text"),
                ("G005", 2, 29, "/nodes/a/inputs", "an object"),
                ("G005", 3, 11, "/nodes/a/params", "an object"),
            ],
        ),
        (
            with_base("\"i\": { \"type\": \"load/images\", \"params\": { \"path\": \"\" } } }, \"title\": { \"a\": {}"),
            &[("G005", 3, 70, "/title", "text")],
        ),
        (
            "{ \"nodes\": { \"a\": { \"type\": \"test/pass\" } } }".into(),
            &[("G006", 1, 1, "/paragraph", "add `\"paragraph\": 1`")],
        ),
        (
            "{ \"paragraph\": 2, \"nodes\": { \"a\": { \"type\": \"test/pass\" } } }".into(),
            &[("G006", 1, 16, "/paragraph", "update Paragraph")],
        ),
        (
            "{ \"paragraph\": \"1\", \"nodes\": { \"a\": { \"type\": \"test/pass\" } } }".into(),
            &[("G006", 1, 16, "/paragraph", "must be 1")],
        ),
        (
            "{ \"paragraph\": 1, \"nodes\": {}, \"titel\": 1 }".into(),
            &[
                ("G009", 1, 19, "/nodes", "nothing to run"),
                ("G007", 1, 32, "/titel", "did you mean `title`?"),
            ],
        ),
        (
            "{ \"paragraph\": 1 }".into(),
            &[("G009", 1, 1, "/nodes", "nothing to run")],
        ),
    ]
}

fn node_cases() -> Vec<Case> {
    vec![
        (
            file("\"a\": { \"type\": \"test/pass\", \"parms\": {},\n\"colour\": 1, \"input\": {} }"),
            &[
                ("G008", 2, 29, "/nodes/a/parms", "`params`"),
                ("G007", 3, 1, "/nodes/a/colour", "ignored"),
                ("G008", 3, 14, "/nodes/a/input", "`inputs`"),
            ],
        ),
        (
            file("\"a.b/c\": { \"type\": \"test/pass\" }"),
            &[("G010", 2, 1, "/nodes/a.b~1c", "call it `a_b_c`")],
        ),
        (
            file("\"\": { \"type\": \"test/pass\" }"),
            &[("G010", 2, 1, "/nodes/", "give the node a name")],
        ),
        (
            file(&format!("\"{}\": {{ \"type\": \"test/pass\" }}", "x".repeat(65))),
            &[(
                "G010",
                2,
                1,
                "/nodes/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                "64",
            )],
        ),
        (
            file("\"a\": { \"params\": {} }"),
            &[("G011", 2, 1, "/nodes/a/type", "has no type")],
        ),
        (
            file("\"a\": { \"type\": \"test/pass@x\" }"),
            &[("G011", 2, 16, "/nodes/a/type", "whole number")],
        ),
        (
            file("\"a\": { \"type\": \"para/tarin\" }"),
            &[("G012", 2, 16, "/nodes/a/type", "did you mean `para/train`?")],
        ),
        (
            file("\"a\": { \"type\": \"image/upscale\" }"),
            &[("G012", 2, 16, "/nodes/a/type", "`image` has `image/grid`, `image/save`")],
        ),
        (
            file("\"a\": { \"type\": \"their/node\", \"anything\": [1.50] }"),
            &[
                ("G012", 2, 16, "/nodes/a/type", "node crate with the family `their`"),
                ("G007", 2, 30, "/nodes/a/anything", "ignored"),
            ],
        ),
        (
            file("\"a\": { \"type\": \"test/pass@3\" }"),
            &[("G013", 2, 16, "/nodes/a/type", "version 1 is loaded")],
        ),
        (
            file("\"a\": { \"type\": \"para/train@1\" }"),
            &[("G014", 2, 16, "/nodes/a/type", "no migration leads from version 1")],
        ),
    ]
}

fn input_cases() -> Vec<Case> {
    vec![
        (
            train(&format!("{FED}, \"image\": \"i.images\""), "\"prompt\": \"p\""),
            &[("G020", 4, 86, "/nodes/t/inputs/image", "did you mean `images`?")],
        ),
        (
            train(&format!("{FED}, \"rank\": \"i.images\""), "\"prompt\": \"p\""),
            &[("G020", 4, 86, "/nodes/t/inputs/rank", "is a parameter")],
        ),
        (
            train(
                r#""model": "base.model", "text": "base.text", "vae": "base.vae""#,
                "\"prompt\": \"p\"",
            ),
            &[("G021", 3, 30, "/nodes/t/inputs/images", "\"i.images\"")],
        ),
        (
            file("\"d\": { \"type\": \"vae/decode\" }"),
            &[
                ("G021", 2, 1, "/nodes/d/inputs/vae", "made by `load/model`"),
                ("G021", 2, 1, "/nodes/d/inputs/latent", "made by `sample/ddim`"),
            ],
        ),
        (
            train(
                r#""model": "base", "text": "base.text.x", "vae": 3, "images": null"#,
                "\"prompt\": \"p\"",
            ),
            &[
                ("G022", 4, 10, "/nodes/t/inputs/model", "\"base.model\""),
                ("G022", 4, 26, "/nodes/t/inputs/text", "node.port"),
                ("G022", 4, 48, "/nodes/t/inputs/vae", "under `params`"),
                ("G022", 4, 61, "/nodes/t/inputs/images", "remove the input"),
            ],
        ),
        (
            train(
                r#""model": "bsae.model", "text": "base.text", "vae": "base.vae", "images": "nowhere.images""#,
                "\"prompt\": \"p\"",
            ),
            &[
                ("G023", 4, 10, "/nodes/t/inputs/model", "did you mean `base.model`?"),
                ("G023", 4, 74, "/nodes/t/inputs/images", "does not exist"),
            ],
        ),
        (
            train(
                r#""model": "base.unet", "text": "base.txt", "vae": "base.vae", "images": "i.images""#,
                "\"prompt\": \"p\"",
            ),
            &[
                ("G024", 4, 10, "/nodes/t/inputs/model", "`model`, `text`, `vae`"),
                ("G024", 4, 31, "/nodes/t/inputs/text", "did you mean `base.text`?"),
            ],
        ),
        (
            with_base(
                "\"s\": { \"type\": \"image/save\", \"inputs\": { \"images\": \"s2.files\" } },\n\"s2\": { \"type\": \"image/save\", \"inputs\": { \"images\": [\"base.vae\"] } }",
            ),
            &[
                ("G024", 3, 52, "/nodes/s/inputs/images", "no outputs"),
                (
                    "G025",
                    4,
                    54,
                    "/nodes/s2/inputs/images/0",
                    "between: it takes `vae`, `latent` and gives `images`",
                ),
            ],
        ),
        (
            train(
                r#""model": "base.vae", "text": "base.text", "vae": "base.vae", "images": "base.model""#,
                "\"prompt\": \"p\"",
            ),
            &[
                (
                    "G025",
                    4,
                    10,
                    "/nodes/t/inputs/model",
                    "`base.model` is of type `model`",
                ),
                (
                    "G025",
                    4,
                    72,
                    "/nodes/t/inputs/images",
                    "input `model` of this node takes",
                ),
            ],
        ),
        (
            train(FED, "\"prompt\": \"p\"").replace(
                "\n\"i\":",
                "\n\"s\": { \"type\": \"image/save\", \"inputs\": { \"images\": \"t.adapter\" } },\n\"i\":",
            ),
            &[(
                "G025",
                6,
                52,
                "/nodes/s/inputs/images",
                "`adapter` is taken by `para/combine`, `para/apply`; `images` is made by `load/images`",
            )],
        ),
        (
            with_base(
                "\"d\": { \"type\": \"sample/ddim\", \"inputs\": { \"model\": \"base.model\", \"conditioning\": \"w.conditioning\" } },\n\"w\": { \"type\": \"text/encode\", \"inputs\": { \"text\": \"base.text\" }, \"params\": { \"prompt\": \"\" } },\n\"g\": { \"type\": \"image/grid\", \"inputs\": { \"images\": \"d.latent\" } }",
            ),
            &[("G025", 5, 52, "/nodes/g/inputs/images", "put `vae/decode` between")],
        ),
        (
            train(
                r#""model": ["base.model"], "text": [], "vae": "base.vae", "images": "i.images""#,
                "\"prompt\": \"p\"",
            ),
            &[
                ("G026", 4, 10, "/nodes/t/inputs/model", "remove the brackets"),
                ("G026", 4, 34, "/nodes/t/inputs/text", "takes one link"),
            ],
        ),
        (
            file("\"s\": { \"type\": \"image/save\", \"inputs\": { \"images\": [] } }"),
            &[("G027", 2, 52, "/nodes/s/inputs/images", "at least one link")],
        ),
        (
            file("\"a\": { \"type\": \"test/pass\", \"inputs\": { \"in\": [\"a.out\"] } }"),
            &[("G028", 2, 48, "/nodes/a/inputs/in/0", "a.out → a.in")],
        ),
        (
            file(
                "\"a\": { \"type\": \"test/pass\", \"inputs\": { \"in\": \"c.out\" } },\n\"b\": { \"type\": \"test/pass\", \"inputs\": { \"in\": \"a.out\" } },\n\"c\": { \"type\": \"test/pass\", \"inputs\": { \"in\": [\"a.out\", \"b.out\"] } },\n\"d\": { \"type\": \"test/pass\", \"inputs\": { \"in\": \"c.out\" } }",
            ),
            &[("G029", 2, 47, "/nodes/a/inputs/in", "a.out → c.in → a")],
        ),
        (
            file(
                "\"x\": { \"type\": \"test/pass\", \"inputs\": { \"in\": [\"y.out\"] } },\n\"y\": { \"type\": \"test/pass\", \"inputs\": { \"in\": \"x.out\" } },\n\"p\": { \"type\": \"gone/gone\", \"inputs\": { \"i\": \"q.out\" } },\n\"q\": { \"type\": \"test/pass\", \"inputs\": { \"in\": \"p.o\" } }",
            ),
            &[
                ("G029", 2, 48, "/nodes/x/inputs/in/0", "x.out → y.in → x"),
                ("G012", 4, 16, "/nodes/p/type", "gone"),
                ("G029", 4, 46, "/nodes/p/inputs/i", "p.o → q.in → p"),
            ],
        ),
    ]
}

fn param_cases() -> Vec<Case> {
    vec![
        (
            train(FED, "\"prompt\": \"p\", \"rnak\": 3, \"images\": 1"),
            &[
                ("G030", 5, 28, "/nodes/t/params/rnak", "did you mean `rank`?"),
                ("G030", 5, 39, "/nodes/t/params/images", "is an input"),
            ],
        ),
        (
            train(FED, ""),
            &[("G031", 5, 1, "/nodes/t/params/prompt", "What the pictures show.")],
        ),
        (
            train(
                FED,
                "\"prompt\": 3, \"rank\": 3.9, \"steps\": \"12\", \"lr\": \"fast\", \"resume\": \"true\", \"subset\": 1",
            ),
            &[
                ("G032", 5, 23, "/nodes/t/params/prompt", "quotes: `\"3\"`"),
                ("G032", 5, 34, "/nodes/t/params/rank", "`3` or `4`"),
                ("G032", 5, 48, "/nodes/t/params/steps", "remove the quotes: `12`"),
                ("G032", 5, 60, "/nodes/t/params/lr", "a number"),
                ("G032", 5, 78, "/nodes/t/params/resume", "remove the quotes"),
                ("G032", 5, 96, "/nodes/t/params/subset", "one of `ExCA`"),
            ],
        ),
        (
            train(FED, "\"prompt\": \"p\", \"rank\": 3.0, \"seed\": 18446744073709551616"),
            &[
                ("G032", 5, 36, "/nodes/t/params/rank", "`3`"),
                ("G032", 5, 49, "/nodes/t/params/seed", "18446744073709551615"),
            ],
        ),
        (
            train(FED, "\"prompt\": \"p\", \"rank\": 0, \"seed\": -1, \"lr\": -1e-9"),
            &[
                ("G033", 5, 36, "/nodes/t/params/rank", "1 to 1024"),
                ("G033", 5, 47, "/nodes/t/params/seed", "0 or more"),
                ("G033", 5, 57, "/nodes/t/params/lr", "least"),
            ],
        ),
        (
            train(FED, "\"prompt\": \"p\", \"rank\": 1025"),
            &[("G033", 5, 36, "/nodes/t/params/rank", "greatest")],
        ),
        (
            train(FED, "\"prompt\": \"p\", \"subset\": \"exca\""),
            &[("G034", 5, 38, "/nodes/t/params/subset", "did you mean `ExCA`?")],
        ),
        (
            train(FED, "\"prompt\": null, \"rank\": null"),
            &[
                ("G035", 5, 23, "/nodes/t/params/prompt", "give it a value"),
                ("G035", 5, 37, "/nodes/t/params/rank", "default, 4"),
            ],
        ),
        (
            with_base(
                "\"e\": { \"type\": \"text/encode\", \"inputs\": { \"text\": \"base.text\" }, \"params\": { \"prompt\": \"p\" }, \"bypass\": true },\n\"s\": { \"type\": \"sample/ddim\", \"inputs\": { \"model\": \"base.model\", \"conditioning\": \"e.conditioning\" } },\n\"x\": { \"type\": \"load/images\", \"params\": { \"path\": \"p\" }, \"bypass\": 1 }",
            ),
            &[
                (
                    "G036",
                    4,
                    82,
                    "/nodes/s/inputs/conditioning",
                    "remove `bypass` from `e`",
                ),
                ("G005", 5, 68, "/nodes/x/bypass", "true or false"),
            ],
        ),
        (
            with_base(&format!(
                "\"m\": {{ \"type\": \"load/model\", \"params\": {{ \"path\": \"p\" }}, \"frozen\": \"{}\" }},\n\"x\": {{ \"type\": \"load/images\", \"params\": {{ \"path\": \"p\" }}, \"frozen\": \"mine\" }}",
                "0a".repeat(32)
            )),
            &[
                ("G037", 3, 67, "/nodes/m/frozen", "remove `frozen` from `m`"),
                ("G005", 4, 68, "/nodes/x/frozen", "64 hexadecimal digits"),
            ],
        ),
        (
            with_base(
                "\"g\": { \"type\": \"image/grid\", \"inputs\": { \"images\": [] }, \"params\": { \"labels\": \"a\", \"columns\": false } }",
            ),
            &[
                ("G027", 3, 52, "/nodes/g/inputs/images", "at least"),
                ("G032", 3, 80, "/nodes/g/params/labels", "[\"a\"]"),
                ("G032", 3, 96, "/nodes/g/params/columns", "or null"),
            ],
        ),
    ]
}

fn cases() -> Vec<Case> {
    [text_cases(), node_cases(), input_cases(), param_cases()].concat()
}

fn diagnose(text: &str) -> Vec<Diagnostic> {
    let (document, parsed) = parse(text);
    let all = match check(&document, &catalog()) {
        Ok(checked) => checked.warnings,
        Err(diagnostics) => diagnostics,
    };
    assert!(parsed.iter().all(|d| all.contains(d)), "check repeats what parse found");
    assert_eq!(document.to_text(), text, "a broken text is kept");
    all
}

#[test]
fn each_broken_graph_is_explained() {
    let mut faults = String::new();
    for (text, expected) in cases() {
        let found = diagnose(&text);
        let shown: String = text.chars().take(600).collect();
        let places: Vec<_> = found.iter().map(place).collect();
        let wanted: Vec<_> = expected.iter().map(|&(c, l, n, p, _)| (c, l, n, p)).collect();
        if places != wanted {
            write!(faults, "\n{shown}\nfound  {places:?}\nwanted {wanted:?}\n").unwrap();
        }
        for (diagnostic, (.., words)) in found.iter().zip(expected) {
            if !diagnostic.to_string().contains(words) {
                write!(faults, "\n{shown}\n{words:?} is not in\n{diagnostic}\n").unwrap();
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

fn place(diagnostic: &Diagnostic) -> (&str, usize, usize, &str) {
    let Diagnostic {
        code,
        line,
        column,
        pointer,
        ..
    } = diagnostic;
    (code, *line, *column, pointer)
}

#[test]
fn every_code_has_a_broken_graph_and_its_own_severity() {
    let mut seen = BTreeSet::new();
    for (text, _) in cases() {
        for diagnostic in diagnose(&text) {
            let code = codes::get(diagnostic.code).unwrap();
            assert_eq!(code.severity, diagnostic.severity);
            assert!(
                !diagnostic.is_error() || diagnostic.help.is_some() || diagnostic.expected.is_some(),
                "{diagnostic}"
            );
            seen.insert(diagnostic.code);
        }
    }
    let all: BTreeSet<_> = codes::ALL.iter().map(|code| code.id).collect();
    assert_eq!(seen, all);
    assert!(cases().len() >= 30);
}

#[test]
fn diagnostics_survive_the_border() {
    for (text, _) in cases() {
        for diagnostic in diagnose(&text) {
            let json = serde_json::to_string(&diagnostic).unwrap();
            assert_eq!(serde_json::from_str::<Diagnostic>(&json).unwrap(), diagnostic);
        }
    }
    let foreign =
        r#"{"severity":"error","code":"X1","message":"","pointer":"","line":1,"column":1,"span":{"start":0,"end":0}}"#;
    assert!(
        serde_json::from_str::<Diagnostic>(foreign)
            .unwrap_err()
            .to_string()
            .contains("X1")
    );
}

#[test]
fn messages_cannot_steer_a_terminal() {
    let text =
        file("\"\\u001b[2Jx\": { \"type\": \"\\u001b]0;t\\u0007\", \"inputs\": { \"a\\u001b\": \"n\\u001b.x\" } }");
    for diagnostic in diagnose(&text) {
        assert!(
            !diagnostic.to_string().replace('\n', "").contains(char::is_control),
            "{diagnostic:?}"
        );
    }
}

#[test]
fn proposed_fixes_mend_what_they_are_for() {
    let catalog = catalog();
    let found = |text: &str| match check(&parse(text).0, &catalog) {
        Ok(checked) => checked.warnings,
        Err(found) => found,
    };
    let count = |all: &[Diagnostic], code: &str| all.iter().filter(|d| d.code == code).count();
    let mut fixed = BTreeSet::new();
    let near = (train(&FED.replace("\"vae\"", "\"vea\""), "\"prompt\": \"x\""), &[][..]);
    for (text, _) in cases().into_iter().chain([near]) {
        let before = found(&text);
        for diagnostic in &before {
            let Some(fix) = &diagnostic.fix else { continue };
            let mut mended = text.clone();
            mended.replace_range(fix.span.clone(), &fix.text);
            let after = found(&mended);
            assert!(
                count(&after, diagnostic.code) < count(&before, diagnostic.code),
                "{diagnostic}\n{mended}\n{after:#?}"
            );
            fixed.insert(diagnostic.code);
        }
    }
    assert!(
        ["G007", "G008", "G012", "G020", "G023", "G024", "G030", "G033", "G034"]
            .iter()
            .all(|code| fixed.contains(code)),
        "{fixed:?}"
    );
}
