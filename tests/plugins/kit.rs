//! Packs outside of the workspace: made, compiled, added, run, removed, by the commands of `docs/plugins.md`.

use crate::support::plugin::{Field, claiming};
use crate::support::project;
use crate::support::workspace::{Ran, Workspace};
use std::fs;
use std::path::Path;
use std::process::Command;

fn compiled(workspace: &Workspace, args: &[&str]) -> Ran {
    workspace.ran(workspace.compiling(args).output().unwrap())
}

/// The code block of the guide that begins with these words, up to its end.
fn block(guide: &str, begin: &str) -> String {
    let at = guide
        .find(begin)
        .unwrap_or_else(|| panic!("{begin} is not in the guide"));
    guide[at..].split("```").next().unwrap().to_owned()
}

#[test]
fn the_guide_works_to_the_letter() {
    let guide = fs::read_to_string(project::root().join("docs/plugins.md")).unwrap();
    let workspace = Workspace::new();
    let follow = |begin: &str| {
        for line in block(&guide, begin).lines() {
            let args: Vec<&str> = line.split_whitespace().skip(1).collect();
            compiled(&workspace, &args).exits(0);
        }
    };
    follow("para plugin new my-nodes\n");
    let picture = workspace.path("graphs/my-nodes/out/gradient_00001.png");
    let drawn = fs::read(&picture).unwrap();
    let page = compiled(&workspace, &["nodes", "my-nodes/gradient"]).exits(0).stdout;
    assert!(page.contains("size: integer 2..4096 = 256"), "{page}");

    workspace.write("my-nodes/src/mirror.rs", block(&guide, "//! `my-nodes/mirror`."));
    let lib = workspace.path("graphs/my-nodes/src/lib.rs");
    let before = fs::read_to_string(&lib).unwrap();
    let head = before.split("mod gradient;").next().unwrap();
    fs::write(&lib, format!("{head}{}", block(&guide, "mod gradient;\nmod mirror;"))).unwrap();
    workspace.write(
        "my-nodes/graph.json",
        block(&guide, "{ \"paragraph\": 1, \"title\": \"A picture drawn by my-nodes\""),
    );
    follow("para plugin add my-nodes\npara run my-nodes/graph.json\n```\n\nWhat a node");
    let mirrored = workspace.path("graphs/my-nodes/out/gradient_00002.png");
    assert_ne!(fs::read(mirrored).unwrap(), drawn);

    let list = compiled(&workspace, &["plugin", "list"]).exits(0).stdout;
    assert!(
        list.contains("my-nodes      0.1.0  [ROOT]/graphs/my-nodes  my-nodes/gradient my-nodes/mirror"),
        "{list}"
    );
    compiled(&workspace, &["plugin", "remove", "my-nodes"]).exits(0);
    let listed = compiled(&workspace, &["nodes"]).exits(0).stdout;
    assert!(!listed.contains("my-nodes"), "{listed}");
    assert!(lib.is_file(), "the source is the user's");
    compiled(&workspace, &["plugin", "remove", "my-nodes"]).exits(1);
}

#[test]
fn the_example_pack_trains_and_draws() {
    let workspace = Workspace::new();
    let from = project::root().join("examples/palette");
    for file in project::files_below(&from) {
        let name = file.strip_prefix(&from).unwrap().to_str().unwrap();
        if !name.starts_with("out/") {
            workspace.write(&format!("../examples/palette/{name}"), fs::read(&file).unwrap());
        }
    }
    compiled(&workspace, &["plugin", "test", "../examples/palette"]).exits(0);
    compiled(&workspace, &["plugin", "add", "../examples/palette"]).exits(0);
    let graph = "../examples/palette/graph.json";
    let ran = workspace.run(graph, &[]).exits(0);
    assert_eq!(ran.started(), ["colours", "dogs", "losses", "painted", "save", "sheet"]);
    let losses = fs::read_to_string(workspace.path("examples/palette/out/losses.csv")).unwrap();
    let loss = |line: &str| line.split_once(',').unwrap().1.parse::<f64>().unwrap();
    let lines: Vec<&str> = losses.lines().skip(1).collect();
    assert!(lines.len() == 60 && loss(lines[59]) < 0.8 * loss(lines[0]), "{losses}");
    assert_eq!(workspace.run(graph, &[]).exits(0).summary().executed, 0);
}

fn git(folder: &Path, args: &[&str]) {
    let name = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "-c",
        "init.defaultBranch=main",
    ];
    let done = Command::new("git")
        .current_dir(folder)
        .args(name)
        .args(args)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn a_repository_is_fetched_and_a_mistake_has_its_place() {
    let workspace = Workspace::new();
    workspace.para(&["plugin", "new", "far"]).exits(0);
    let folder = workspace.path("graphs/far");
    let git = |args: &[&str]| git(&folder, args);
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "one"]);
    git(&["tag", "v1"]);
    let source = folder.join("src/gradient.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replace("let [red, green, blue]", "let [red, green]")).unwrap();
    git(&["commit", "--quiet", "-am", "two"]);

    let url = format!("file://{}", folder.display());
    let broken = compiled(&workspace, &["plugin", "add", &url]).exits(1);
    assert!(
        broken.stderr.contains("far does not compile: src/gradient.rs:2"),
        "{}",
        broken.stderr
    );
    compiled(&workspace, &["plugin", "add", &format!("{url}#v1")]).exits(0);
    let list = compiled(&workspace, &["plugin", "list"]).exits(0).stdout;
    assert!(list.contains("file://[ROOT]/graphs/far#v1 at "), "{list}");
    // The same name from elsewhere does not take its place.
    let other = compiled(&workspace, &["plugin", "add", "far"]).exits(1);
    assert!(other.stderr.contains("far does not compile"), "{}", other.stderr);
    fs::write(&source, text).unwrap();
    let other = compiled(&workspace, &["plugin", "add", "far"]).exits(1);
    assert!(
        other.stderr.contains("a pack named far was added from file://"),
        "{}",
        other.stderr
    );
    // A pack may not take over somebody else's node type.
    fs::write(
        &source,
        fs::read_to_string(&source)
            .unwrap()
            .replace("far/gradient", "image/save"),
    )
    .unwrap();
    let taken = compiled(&workspace, &["plugin", "add", "far"]).exits(1);
    assert!(
        taken
            .stderr
            .contains("far defines the node type image/save, and so does node-image"),
        "{}",
        taken.stderr
    );
}

#[test]
fn what_was_added_is_built_again_for_this_para_and_fetched_again() {
    let workspace = Workspace::new();
    workspace.para(&["plugin", "new", "mine"]).exits(0);
    workspace.para(&["plugin", "new", "far"]).exits(0);
    let far = workspace.path("graphs/far");
    git(&far, &["init", "--quiet"]);
    git(&far, &["checkout", "--quiet", "-b", "stable"]);
    git(&far, &["add", "."]);
    git(&far, &["commit", "--quiet", "-m", "one"]);
    // The branch that is asked for is not the one that a clone begins with.
    git(&far, &["checkout", "--quiet", "-b", "work"]);
    compiled(&workspace, &["plugin", "add", "mine"]).exits(0);
    let url = format!("file://{}#stable", far.display());
    compiled(&workspace, &["plugin", "add", &url]).exits(0);

    // As an update of para leaves them: built for another one.
    let installed = workspace.path("home/.local/share/para/plugins");
    for name in ["mine", "far"] {
        let file = installed.join(format!("{name}/lib{name}.so"));
        let stale = claiming(
            fs::read(&file).unwrap(),
            Field::Sdk,
            b"0123456789abcdef0123456789abcdef",
        );
        fs::write(&file, stale).unwrap();
    }
    let refused = compiled(&workspace, &["run", "mine/graph.json"]).exits(2).stderr;
    assert!(
        refused.contains("far/libfar.so was not loaded: it was built against sdk 0123456789ab, this para has sdk "),
        "{refused}"
    );
    assert!(
        refused.contains("help: compile it for this para: para plugin update far (without a name: every pack"),
        "{refused}"
    );
    let ran = compiled(&workspace, &["plugin", "update", "mine"]).exits(0);
    assert!(
        ran.stderr.contains("updated mine 0.1.0: mine/gradient"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("was not loaded"), "{}", ran.stderr);
    compiled(&workspace, &["run", "mine/graph.json"]).exits(0);

    // Without a name, every pack; what is new in the repository is fetched.
    git(&far, &["checkout", "--quiet", "stable"]);
    let manifest = fs::read_to_string(far.join("Cargo.toml")).unwrap();
    fs::write(far.join("Cargo.toml"), manifest.replace("0.1.0", "0.2.0")).unwrap();
    git(&far, &["commit", "--quiet", "-am", "two"]);
    let ran = compiled(&workspace, &["plugin", "update"]).exits(0);
    for words in [
        "mine 0.1.0 is up to date",
        "updated far from 0.1.0 to 0.2.0: far/gradient",
    ] {
        assert!(ran.stderr.contains(words), "{words:?} is not in {}", ran.stderr);
    }
    let listed = compiled(&workspace, &["nodes"]).exits(0);
    assert!(
        listed.stdout.contains("far/gradient") && !listed.stderr.contains("was not loaded"),
        "{listed:#?}"
    );

    // One that fails keeps nobody else back.
    fs::rename(workspace.path("graphs/mine"), workspace.path("graphs/elsewhere")).unwrap();
    let ran = compiled(&workspace, &["plugin", "update"]).exits(1);
    for words in [
        "the source of mine is gone: no folder [ROOT]/graphs/mine",
        "far 0.2.0 is up to date",
        "not updated: mine",
    ] {
        assert!(ran.stderr.contains(words), "{words:?} is not in {}", ran.stderr);
    }
    let ran = compiled(&workspace, &["plugin", "update", "mane"]).exits(1);
    assert!(ran.stderr.contains("no pack named mane was added"), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean mine?"), "{}", ran.stderr);
    // What was fetched goes with its pack.
    let sources = || fs::read_dir(workspace.path("home/.local/share/para/sources")).unwrap();
    let fetched: Vec<_> = sources().map(|entry| entry.unwrap().path()).collect();
    assert!(fetched.len() == 1 && fetched[0].join("src").is_dir(), "{fetched:?}");
    compiled(&workspace, &["plugin", "remove", "far"]).exits(0);
    assert_eq!(sources().count(), 0);
}

/// A crate that only has a name and features, so that nothing is fetched.
fn stand_in(folder: &Path, name: &str, version: &str, features: &str) {
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    let manifest =
        format!("[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2024\"\n[features]\n{features}\n");
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
}

#[test]
fn manifests_that_would_change_what_is_shared_are_refused() {
    let workspace = Workspace::new();
    workspace.para(&["plugin", "new", "pack"]).exits(0);
    let manifest = workspace.path("graphs/pack/Cargo.toml");
    let good = fs::read_to_string(&manifest).unwrap();
    stand_in(&workspace.path("graphs/candle"), "candle-core", "0.11.1", "");
    stand_in(
        &workspace.path("graphs/json"),
        "serde_json",
        "1.0.154",
        "preserve_order = []\narbitrary_precision = []",
    );
    for (dependency, words) in [
        (
            "candle-core = { path = \"../candle\" }",
            "it brings a second candle-core into the process (pack → candle-core)",
        ),
        (
            "serde_json = { path = \"../json\", features = [\"preserve_order\", \"arbitrary_precision\"] }",
            "serde_json 1.0.154 would change a crate of the shared libraries: they are compiled without its feature arbitrary_precision",
        ),
    ] {
        fs::write(
            &manifest,
            good.replace("[dependencies]\n", &format!("[dependencies]\n{dependency}\n")),
        )
        .unwrap();
        for command in ["build", "test", "add"] {
            let refused = compiled(&workspace, &["plugin", command, "pack"]).exits(1);
            assert!(
                refused.stderr.contains(words),
                "{command}: {words:?} is not in {}",
                refused.stderr
            );
        }
    }
    fs::write(&manifest, good.replace("crate-type", "# crate-type")).unwrap();
    let refused = compiled(&workspace, &["plugin", "build", "pack"]).exits(1);
    assert!(
        refused.stderr.contains("the crate is no loadable library"),
        "{}",
        refused.stderr
    );
    assert!(!workspace.path("graphs/pack/target").exists(), "nothing was compiled");
}
