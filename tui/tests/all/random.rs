//! Whatever is done, in whatever order: it can be undone, and the journal leads to the same text.

use crate::support::Editor;
use proptest::prelude::*;
use tui::action::{ACTIONS, Scope, Verb};
use tui::effect::{Effect, Entry};
use tui::glyph::Glyphs;
use tui::journal;
use tui::theme::Depth;

const GRAPH: &str = include_str!("../../../graphs/multi_subject.json");

/// Actions that say goodbye, or wait for somebody outside.
const NOT: [Verb; 4] = [Verb::QuitNow, Verb::Quit, Verb::SaveQuit, Verb::Suspend];

#[derive(Clone, Debug)]
enum Step {
    Do(Verb),
    Say(String),
    Type(String),
    Press(&'static str),
    Size(u16, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let verbs: Vec<Verb> = ACTIONS
        .iter()
        .filter(|row| row.scope == Scope::Anywhere && !NOT.contains(&row.verb))
        .map(|row| row.verb)
        .collect();
    prop_oneof![
        6 => prop::sample::select(verbs).prop_map(Step::Do),
        1 => "(rename|group|set dog.rank=|title|earlier|add) [a-z0-9/]{1,9}".prop_map(Step::Say),
        2 => "[a-z0-9/]{1,8}".prop_map(Step::Type),
        4 => prop::sample::select(vec!["enter", "esc", "tab", "down", "up", "j", "k", "h", "l", "f", "d", "y"]).prop_map(Step::Press),
        1 => (1u16..140, 1u16..50).prop_map(|(w, h)| Step::Size(w, h)),
    ]
}

fn take(editor: &mut Editor, step: Step) {
    match step {
        Step::Do(verb) => editor.state.act(verb.into()),
        Step::Say(line) => {
            if let Ok(action) = tui::action::parse(&line) {
                editor.state.act(action);
            }
        }
        Step::Type(text) => {
            editor.type_text(&text);
        }
        Step::Press(key) => {
            editor.press(key);
        }
        Step::Size(w, h) => editor.event(tui::event::Event::Resize(w, h)),
    }
    editor.wait(10);
}

/// The journal that the effects would have written.
fn journal_of(editor: &mut Editor) -> Option<journal::Recovered> {
    let folder = tempfile::tempdir().unwrap();
    let journal::Opened::Ours(mut journal, _) = journal::Journal::open(folder.path(), None).unwrap() else {
        panic!("a new journal is ours");
    };
    for effect in editor.effects.drain(..) {
        if let Effect::Journal(_, entry) = effect {
            // Leaving empties the journal; here nobody leaves.
            if !matches!(entry, Entry::Clean) {
                journal.write(entry).unwrap();
            }
        }
    }
    journal.sync().unwrap();
    let text = std::fs::read_to_string(journal.path()).unwrap();
    journal::replay(&text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn everything_can_be_undone_and_is_in_the_journal(steps in prop::collection::vec(step(), 1..40)) {
        let mut editor = Editor::new(120, 36);
        editor.open(GRAPH);
        for step in steps {
            take(&mut editor, step);
            editor.screen();
        }
        let text = editor.text().to_owned();
        let found = journal_of(&mut editor).unwrap();
        prop_assert_eq!(&found.text, &text);
        // Every screen can be drawn, whatever is open.
        for (depth, glyphs) in [(Depth::Mono, Glyphs::Ascii), (Depth::Sixteen, Glyphs::Unicode)] {
            editor.state.theme.depth = depth;
            editor.state.glyphs = glyphs;
            let screen = editor.screen();
            if glyphs == Glyphs::Ascii {
                let foreign: Vec<char> = screen.chars().filter(|c| !c.is_ascii()).collect();
                prop_assert!(foreign.is_empty(), "{:?} in\n{}", foreign, screen);
            }
        }
        editor.state.layers.clear();
        while !editor.state.history.steps().is_empty() {
            editor.state.act(Verb::Undo.into());
        }
        prop_assert_eq!(editor.text(), found.base.as_str());
    }
}
