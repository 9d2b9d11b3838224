//! The command line itself: help, mistakes in arguments, targets.

use crate::support::workspace::Workspace;

#[test]
fn help_names_every_command_and_exit_code() {
    let workspace = Workspace::new();
    let help = workspace.para(&["--help"]).exits(0).stdout;
    for word in [
        "run",
        "check",
        "plan",
        "nodes",
        "adapter",
        "cache",
        "worker",
        "plugin",
        "pack",
        "open",
        "doctor",
        "--store",
        "--memory",
        "--store-size",
        "--plugins",
        "Exit codes: 0 done",
    ] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
    for command in ["run", "check", "plan", "nodes", "adapter", "cache", "plugin", "worker"] {
        let page = workspace.para(&[command, "--help"]).exits(0).stdout;
        assert!(page.contains("Usage: para "), "{page}");
    }
    let version = workspace.para(&["--version"]).exits(0).stdout;
    assert!(version.starts_with("para 0."), "{version}");
    assert_eq!(workspace.files(), Vec::<String>::new(), "asking writes nothing");
}

#[test]
fn mistakes_in_arguments_are_the_users() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    std::fs::create_dir(workspace.path("graphs/folder")).unwrap();
    for (args, words) in [
        (&["frobnicate"][..], "unrecognized subcommand 'frobnicate'"),
        (&["run"], "<GRAPH>"),
        (
            &["run", "hello.json", "--events", "loud"],
            "[possible values: auto, json, lines, quiet]",
        ),
        (
            &["run", "nowhere.json"],
            "cannot read the graph nowhere.json: no such file",
        ),
        (&["run", "folder"], "cannot read the graph folder: it is a folder"),
        (
            &["run", "hello.json", "--target", "drw"],
            "--target drw: no such node in the graph",
        ),
        (
            &["run", "hello.json", "--set", "draw.steps"],
            "--set draw.steps: expected node.param=value",
        ),
        (
            &["run", "hello.json", "--set", "draw.steps=none"],
            "`draw.steps` must be a whole number",
        ),
        (
            &["run", "hello.json", "--set", "draw.steps=0"],
            "`draw.steps` is out of range: 0 where 1 is the least",
        ),
        (&["run", "hello.json", "--set", "drow.steps=3"], "drow"),
        (&["run", "hello.json", "--set", "draw.stpes=3"], "stpes"),
        (
            &["plan", "hello.json", "--target", "nope"],
            "the nodes are base, prompt, draw, picture, save",
        ),
    ] {
        let ran = workspace.para(args).exits(1);
        assert!(
            ran.stderr.contains(words),
            "{args:?}: {words:?} is not in\n{}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "", "{args:?}");
    }
    let files = workspace.files();
    assert_eq!(files, ["graphs/hello.json"], "nothing was written");
}

#[test]
fn a_target_runs_only_what_it_needs() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    let quick = ["--set", "draw.steps=2", "--set", "draw.batch=1"];
    let ran = workspace
        .run("hello.json", &[&quick[..], &["--target", "draw"]].concat())
        .exits(0);
    assert_eq!(ran.started(), ["draw", "prompt"]);
    assert_eq!(ran.loaded(), ["base"]);
    assert!(!workspace.path("graphs/out").exists());
    let rest = workspace.run("hello.json", &quick).exits(0);
    assert_eq!(rest.started(), ["picture", "save"]);
}

#[test]
fn events_name_what_a_program_needs() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    let args = ["--set", "draw.steps=2", "--set", "draw.batch=1"];
    let ran = workspace.run("hello.json", &args).exits(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], r#"{"event":"run_started","nodes":5}"#);
    assert!(
        lines.contains(&r#"{"event":"started","node":"draw","type":"sample/ddim"}"#),
        "{lines:#?}"
    );
    assert!(
        lines.contains(&r#"{"event":"progress","node":"draw","done":1,"total":2}"#),
        "{lines:#?}"
    );
    let started = lines.iter().filter(|line| line.contains("\"started\"")).count();
    assert_eq!(started, 4, "said only of what executes");
    assert!(
        lines
            .last()
            .unwrap()
            .starts_with(r#"{"event":"run_finished","executed":4,"cached":0,"loaded":1,"#)
    );
    assert_eq!(ran.stderr, "", "nothing but events");

    let quiet = workspace
        .para(&[&["run", "hello.json", "--events", "quiet"], &args[..]].concat())
        .exits(0);
    assert_eq!(
        (quiet.stdout.as_str(), quiet.stderr.as_str()),
        ("[ROOT]/graphs/out/hello_00001.png\n", "")
    );
}
