//! Edited here, run there: the worker is behind a command such as `ssh`, in another folder and another home.

use crate::support::screen::Screen;
use crate::support::workspace::{Workspace, target};
use std::os::unix::fs::PermissionsExt;

/// A program that does as `ssh` does: forgets the host, and runs the rest elsewhere.
fn ssh(workspace: &Workspace) -> String {
    let far = workspace.path("far");
    std::fs::create_dir_all(far.join("home")).unwrap();
    let far = far.to_string_lossy();
    let script =
        format!("#!/bin/sh\nshift\nexport HOME='{far}/home' PARA_STORE='{far}/store'\ncd '{far}'\nexec sh -c \"$*\"\n");
    let path = workspace.path("ssh");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{} host {} worker", path.display(), target().join("para").display())
}

#[test]
fn files_of_parameters_runs_and_pictures_are_the_other_machines_and_graphs_are_here() {
    let workspace = Workspace::new();
    let worker = ssh(&workspace);
    std::fs::create_dir_all(workspace.path("far/far-pictures")).unwrap();
    let picture = image::RgbImage::from_fn(16, 16, |x, y| image::Rgb([x as u8 * 16, y as u8 * 16, 40]));
    picture.save(workspace.path("far/far-pictures/one.png")).unwrap();
    workspace.write("near.json", "{ \"paragraph\": 1, \"nodes\": {} }");
    let mut screen = Screen::start(&workspace, &["--worker", &worker, "new.json"], (120, 36));
    screen.sees("CANVAS").sees(" cores").settle();
    screen
        .press("a")
        .sees("add a node")
        .type_text("load/images")
        .press("enter");
    screen.sees("on the worker's machine").sees("far-pictures/");
    assert!(!screen.contents().contains("near.json"), "{}", screen.contents());
    screen.type_text("far-p").settle().press("enter").settle();
    screen
        .press("o")
        .sees("add after")
        .type_text("image/save")
        .press("enter")
        .sees("save image/save");
    screen.press("esc").settle();
    screen
        .press("ctrl-p")
        .sees("open a graph of this machine")
        .sees("near.json");
    assert!(!screen.contents().contains("far-pictures/"), "{}", screen.contents());
    screen.press("esc").settle();
    let written = workspace.path("far/out/image_00001.png");
    screen.press("R").until("the picture is there", |_| written.is_file());
    screen.sees("preview  save").sees("▄");
    let saved = workspace.path("graphs/new.json");
    screen.press("ctrl-s").until("the graph is here", |_| saved.is_file());
    assert!(!workspace.path("far/new.json").exists() && !workspace.path("graphs/out").exists());
}
