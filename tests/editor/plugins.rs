//! A node that is changed while the editor shows it.

use crate::support::screen::Screen;
use crate::support::workspace::Workspace;

#[test]
fn a_changed_node_is_told_when_it_is_live_and_errors_of_its_build_are_problems() {
    let workspace = Workspace::new();
    workspace.para(&["plugin", "new", "demo"]).exits(0);
    let added = workspace.compiling(&["plugin", "add", "demo"]).output().unwrap();
    workspace.ran(added).exits(0);
    let source = workspace.path("graphs/demo/src/gradient.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    let mut screen = Screen::compiling(&workspace, &["demo/graph.json"], (120, 36));
    screen.sees("demo/gradient").sees(" cores").settle();
    let broken = text.replace("[red, green, blue] = colour", "[red, green, bleu] = colour");
    assert_ne!(broken, text);
    std::fs::write(&source, broken).unwrap();
    screen.sees("does not build; what was loaded stays").sees("Problems 1");
    screen.sees("gradient.rs:27 cannot find value `blue`");
    std::fs::write(&source, text.replace("default(\"255 160 0\")", "default(\"1 2 3\")")).unwrap();
    screen.sees("demo/gradient live").sees("no problems");
    // The new default is seen without a run.
    screen
        .press("1 g g")
        .until("the node's new default", |text| text.contains("colour       1 2 3"));
}
