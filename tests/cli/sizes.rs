//! `para adapter sizes`: Table 3 of the paper.

use crate::support::workspace::{Workspace, snapshot};
use serde_json::Value as Json;

/// Computed independently, with diffusers' SDXL 1.0.
fn table3() -> Json {
    serde_json::from_str(include_str!("../fixtures/table3.json")).unwrap()
}

#[test]
fn sdxl_is_table_3() {
    let workspace = Workspace::new();
    let found = workspace
        .para(&["adapter", "sizes", "--model", "sdxl", "--json"])
        .exits(0);
    assert_eq!(found.json(), table3());
    let default = workspace.para(&["adapter", "sizes", "--json"]).exits(0);
    assert_eq!(default.stdout, found.stdout, "sdxl is the default");
    // The numbers that the paper prints for its own subset at rank 2.
    assert_eq!(found.json()["ExCA"]["r2"]["para"], 771_200);
}

#[test]
fn the_text_says_the_same() {
    let text = Workspace::new().para(&["adapter", "sizes"]).exits(0).stdout;
    let mut rows = 0;
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [subset, modules, rank, para, lora] = words[..] else {
            panic!("{line}")
        };
        let number = |text: &str| Json::from(text.parse::<u64>().unwrap());
        let expected = &table3()[subset];
        assert_eq!(expected["modules"], number(modules), "{line}");
        let of_rank = &expected[format!("r{rank}")];
        assert_eq!(
            (&of_rank["para"], &of_rank["lora"]),
            (&number(para), &number(lora)),
            "{line}"
        );
        rows += 1;
    }
    assert_eq!(rows, 24, "{text}");
    snapshot("cli", "sizes_of_sdxl", &text);
}

#[test]
fn a_folder_and_other_ranks() {
    let workspace = Workspace::new();
    let args = [
        "adapter",
        "sizes",
        "--model",
        "assets/emoji-xl",
        "--ranks",
        "1,4",
        "--json",
    ];
    let found = workspace.para(&args).exits(0).json();
    assert_eq!(found.as_object().unwrap().len(), 8);
    for (name, subset) in found.as_object().unwrap() {
        let count = |rank: &str, kind: &str| subset[rank][kind].as_u64().unwrap();
        assert!(subset["modules"].as_u64().unwrap() > 0, "{name}");
        assert!(
            count("r1", "para") < count("r1", "lora"),
            "{name}: PaRa is the smaller one"
        );
        assert!(count("r1", "para") < count("r4", "para"), "{name}");
        assert!(subset.get("r2").is_none(), "{name}");
    }
    let sd15 = workspace
        .para(&["adapter", "sizes", "--model", "sd15", "--json"])
        .exits(0)
        .json();
    assert_ne!(sd15["ExCA"]["modules"], table3()["ExCA"]["modules"]);
}

#[test]
fn mistakes_are_explained() {
    let workspace = Workspace::new();
    for (args, code, words) in [
        (["--model", "nope"], 1, "nope"),
        (["--gamma", "3"], 1, "3.0 where 1 is the greatest"),
        (["--gamma-scope", "some"], 1, "`gamma_scope` cannot be \"some\""),
        (["--ranks", "two"], 1, "invalid value 'two'"),
    ] {
        let ran = workspace.para(&[&["adapter", "sizes"], &args[..]].concat()).exits(code);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}
