//! Stores and folders that cannot be written.

use crate::support::workspace::Workspace;
use std::fs;

const QUICK: &str = "--set draw.steps=1 --set draw.batch=1";

#[test]
fn a_store_that_cannot_be_made() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    workspace.write("taken", "a file where the store should be");
    let files = workspace.files();
    for store in ["taken", "taken/below", "/dev/full/store", "/proc/store"] {
        for command in ["run", "plan"] {
            let ran = workspace.para(&[command, "hello.json", "--store", store]).exits(4);
            assert!(
                ran.stderr.contains("error: cannot make the store "),
                "{store}: {}",
                ran.stderr
            );
            assert!(
                ran.stderr
                    .contains("help: name another folder with --store or PARA_STORE"),
                "{}",
                ran.stderr
            );
        }
        let by_environment = workspace
            .command(&["run", "hello.json"])
            .env("PARA_STORE", store)
            .output()
            .unwrap();
        workspace.ran(by_environment).exits(4);
    }
    assert_eq!(workspace.files(), files);
    let homeless = workspace
        .command(&["run", "hello.json"])
        .env_remove("PARA_STORE")
        .env("HOME", "/proc/nobody")
        .output()
        .unwrap();
    let homeless = workspace.ran(homeless).exits(4);
    assert!(homeless.stderr.contains("--store"), "{}", homeless.stderr);
}

#[test]
fn a_store_whose_rooms_cannot_be_written() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    fs::create_dir(workspace.path("store")).unwrap();
    fs::write(workspace.path("store/values"), "in the way").unwrap();
    let ran = workspace.shell(&format!("$PARA run hello.json {QUICK}"));
    let ran = ran.exits(4);
    assert!(
        ran.stderr.contains("cannot write [ROOT]/store/values/"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("--store"), "{}", ran.stderr);
    assert!(!workspace.path("graphs/out").exists());
}

/// A disk that is full: here, one on which no file may grow beyond some kB.
#[test]
fn a_full_disk_leaves_no_half_files() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    let full = |workspace: &Workspace| {
        let script = format!("trap '' XFSZ; ulimit -f 2; exec \"$PARA\" run hello.json {QUICK}");
        let ran = workspace.shell(&script).exits(4);
        assert!(
            ran.stderr.contains("error: cannot write [ROOT]/store/"),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr
                .contains("help: make room on the disk, or name another folder with --store"),
            "{}",
            ran.stderr
        );
        let left: Vec<String> = workspace
            .files()
            .into_iter()
            .filter(|name| name.contains(".para-") || name.contains("/out/"))
            .collect();
        assert_eq!(left, Vec::<String>::new());
        ran.stderr
    };
    assert!(
        full(&workspace).contains("store/plugins/"),
        "the copies of node crates have no room"
    );
    // With room again, the same command succeeds.
    let run = format!("$PARA run hello.json {QUICK}");
    workspace.shell(&run).exits(0);
    assert!(workspace.out("hello_00001.png").is_file());
    // Now it is the results that have none.
    for room in ["store/values", "store/steps", "graphs/out"] {
        fs::remove_dir_all(workspace.path(room)).unwrap();
    }
    assert!(full(&workspace).contains("store/values/"));
    workspace.shell(&run).exits(0);
}

#[test]
fn a_folder_for_pictures_that_cannot_be_made() {
    let workspace = Workspace::new();
    workspace.take("hello.json");
    workspace.write("out", "a file where the folder should be");
    let ran = workspace.shell(&format!("$PARA run hello.json {QUICK}")).exits(3);
    assert!(
        ran.stderr
            .contains("failed   save (image/save): cannot write [ROOT]/graphs/out/hello_00001.png"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        fs::read(workspace.path("graphs/out")).unwrap(),
        b"a file where the folder should be"
    );
    // What was drawn is kept: elsewhere, only saving is left to do.
    let ran = workspace.run(
        "hello.json",
        &[
            "--set",
            "draw.steps=1",
            "--set",
            "draw.batch=1",
            "--set",
            "save.directory=elsewhere",
        ],
    );
    assert_eq!(ran.exits(0).started(), ["save"]);
}
