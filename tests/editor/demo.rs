//! From an empty canvas to a running graph of two subjects with at most 120 keys; the same script is the demo in the
//! README: with `UPDATE=1` (`cargo xtask demo`) it runs to the end and writes the frames to `docs/editor/`.

use super::building::tidy;
use crate::support::project;
use crate::support::screen::Screen;
use crate::support::svg::svg;
use crate::support::workspace::Workspace;

/// Somebody at the keyboard, whose keys are counted; texts typed into fields and filters are not.
struct Demo {
    screen: Screen,
    keys: usize,
    frames: bool,
}

impl Demo {
    fn new(workspace: &Workspace, size: (u16, u16)) -> Self {
        let mut screen = Screen::in_colour(workspace, &["two.json"], (120, 36));
        // The worker is there, and with it the types of nodes; a small screen does not say so.
        screen.sees(" cores").settle();
        screen.resize(size);
        screen.until("what was said at the beginning is gone", |text| {
            !text.contains("does not exist yet")
        });
        let frames = size.0 == 120 && std::env::var_os("UPDATE").is_some_and(|value| value == "1");
        Self {
            screen,
            keys: 0,
            frames,
        }
    }

    fn press(&mut self, keys: &str) -> &mut Self {
        self.keys += keys.split_whitespace().count();
        self.screen.press(keys);
        self
    }

    fn type_text(&mut self, text: &str) -> &mut Self {
        self.screen.type_text(text);
        self
    }

    /// `a` or `o` or `O`, a filter, Enter; then the fields that are asked for, one Enter each.
    fn add(&mut self, key: &str, filter: &str, fields: &[&str]) {
        self.press(key).type_text(filter).press("enter");
        for field in fields {
            self.type_text(field).press("enter");
        }
    }

    fn go(&mut self, id: &str) {
        self.press("/").type_text(id).press("enter");
    }

    /// Compares the screen; keeps it as a frame of the demo.
    fn shot(&mut self, name: &str, compare: bool) {
        if compare {
            self.screen.settle();
            let (columns, _) = self.screen.size();
            insta::assert_snapshot!(format!("demo_{name}_{columns}"), tidy(&self.screen.contents()));
        }
        if self.frames {
            let folder = project::root().join("docs/editor");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{name}.svg")), svg(self.screen.shown())).unwrap();
        }
    }

    /// Two subjects learnt, combined, drawn, saved.
    fn build(&mut self) {
        self.shot("empty", true);
        self.add("a", "load/model", &["assets/emoji-xl"]);
        for subject in ["dog", "teapot"] {
            self.add("a", "load/images", &[&format!("assets/subjects/{subject}")]);
            self.press("o").type_text("para/train");
            if subject == "dog" {
                self.shot("add", true);
            }
            self.press("enter")
                .type_text(&format!("a photo of a sks {subject}"))
                .press("enter");
            self.press("f2 ctrl-u").type_text(subject).press("enter");
        }
        // Both trainings at once: marked, then combined.
        self.press("v");
        self.go("dog");
        self.press("v");
        self.add("o", "combine", &[]);
        self.add("o", "para/apply", &[]);
        self.add("o", "ddim", &[]);
        self.add("O", "encode", &["a sks dog with a sks teapot"]);
        self.go("ddim");
        self.add("o", "decode", &[]);
        self.add("o", "image/save", &[]);
        self.go("combine");
        self.press("0 z z");
        self.shot("graph", true);
    }
}

#[test]
fn two_subjects_from_an_empty_canvas_to_a_run_in_120_keys() {
    let workspace = Workspace::new();
    let mut demo = Demo::new(&workspace, (120, 36));
    demo.build();
    demo.press("R");
    assert!(demo.keys <= 120, "{} keys", demo.keys);
    let readme = std::fs::read_to_string(project::root().join("README.md")).unwrap();
    let told = format!("takes {} keys", demo.keys);
    assert!(readme.contains(&told), "README.md does not say \"{told}\"");
    demo.screen
        .until("a training runs", |text| text.contains("▶ run") && text.contains('%'));
    if demo.frames {
        demo.go("dog");
        demo.press("3 l l l l 1");
        demo.screen.until("how long it will take", |text| text.contains("eta"));
        demo.screen.listen(std::time::Duration::from_secs(9));
        demo.shot("running", false);
        let picture = workspace.path("graphs/out/image_00001.png");
        demo.screen.until("the picture is there", |_| picture.is_file());
        demo.go("save");
        // What is said at the end goes by itself.
        demo.screen
            .sees("executed")
            .until("the end was said", |text| !text.contains("executed"));
        demo.screen.settle();
        demo.shot("done", false);
    }
    demo.press("ctrl-s");
    demo.screen
        .until("it is saved", |_| workspace.path("graphs/two.json").exists());
    let text = std::fs::read_to_string(workspace.path("graphs/two.json")).unwrap();
    for link in ["dog.adapter", "teapot.adapter", "apply.model", "encode.conditioning"] {
        assert!(text.contains(&format!("\"{link}\"")), "{link} in {text}");
    }
    let checked = workspace.para(&["check", "two.json"]).exits(0);
    assert!(checked.stderr.contains("no errors"), "{checked:?}");
}

#[test]
fn the_same_on_a_small_screen() {
    let workspace = Workspace::new();
    let mut demo = Demo::new(&workspace, (80, 24));
    demo.build();
    demo.press("R");
    demo.screen
        .until("a training runs", |text| text.contains("▶ run") && text.contains('%'));
    assert!(demo.keys <= 120, "{} keys", demo.keys);
}
