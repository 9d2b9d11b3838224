//! Saving, opening, recovering.

use crate::action::Verb;
use crate::effect::{Effect, Entry};
use crate::event::FileEvent;
use crate::history::Change;
use crate::layer::{Answer, Body, Layer, Page, Question};
use crate::state::State;
use std::path::{Path, PathBuf};

impl State {
    pub(super) fn save(&mut self, name: &str) {
        let path = match (name, &self.file) {
            ("", Some(path)) => path.clone(),
            ("", None) => {
                let what = "file name";
                return self.ask_argument(Verb::Save, what);
            }
            (name, _) => self.path_of(name),
        };
        let same = self.file.as_ref() == Some(&path);
        let expected = if same { self.saved.clone() } else { None };
        self.write(path, Some(expected));
    }

    fn write(&mut self, path: PathBuf, expected: Option<Option<String>>) {
        let text = self.document.to_text();
        self.outbox.push(Effect::Save { path, text, expected });
    }

    /// Saves over whatever the file holds now.
    pub(super) fn save_over(&mut self) {
        if let Some(path) = self.conflict.take() {
            self.write(path, None);
        }
    }

    /// A name typed by the user: relative ones are beside the graph, `.json` is added where nothing else is said.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        let folder = self
            .file
            .as_deref()
            .and_then(Path::parent)
            .map(Path::to_owned)
            .unwrap_or_default();
        let mut path = match name.strip_prefix("~/").zip(self.home.as_deref()) {
            Some((rest, home)) => home.join(rest),
            None => folder.join(name),
        };
        if path.extension().is_none() {
            path.set_extension("json");
        }
        path
    }

    pub(super) fn open_graph(&mut self, name: &str) {
        let path = self.path_of(name);
        if self.is_changed() {
            self.layers.push(Layer::Question(Question {
                text: format!("{} has changes that are not saved", self.name()),
                answers: vec![
                    (
                        'o',
                        "open the other; these changes are lost".to_owned(),
                        Answer::OpenNow(path),
                    ),
                    ('c', "stay".to_owned(), Answer::Nothing),
                ],
            }));
            return;
        }
        self.outbox.push(Effect::Open(path));
    }

    /// Reads the file again; what was changed here can be undone to.
    pub(super) fn reload_file(&mut self) {
        if let Some(path) = self.conflict.take() {
            self.outbox.push(Effect::Open(path));
        }
    }

    pub(super) fn on_file(&mut self, event: FileEvent) {
        self.dirty = crate::state::Dirty::Yes;
        match event {
            FileEvent::Saved { path, text } => {
                let moved = self.file.as_ref() != Some(&path);
                self.file = Some(path);
                self.mirror.moved(self.file.clone());
                self.saved = Some(text.clone());
                self.history.seal();
                if moved {
                    self.outbox.push(Effect::Runs(self.file.clone()));
                }
                self.outbox.push(Effect::Journal(Entry::Base {
                    path: self.file.clone(),
                    text,
                }));
                if self.leaving && !self.is_changed() {
                    return self.leave();
                }
                self.say(format!(
                    "saved {}",
                    self.file.as_ref().map(|p| p.display().to_string()).unwrap_or_default()
                ));
            }
            FileEvent::Changed { path } => {
                let text = format!(
                    "{} is not what was opened: somebody else changed it, or it is another file",
                    path.display()
                );
                self.conflict = Some(path);
                self.layers.push(Layer::Question(Question {
                    text,
                    answers: vec![
                        ('o', "overwrite it".to_owned(), Answer::Overwrite),
                        ('r', "read it; what is here is given up".to_owned(), Answer::Reload),
                        ('c', "neither".to_owned(), Answer::Nothing),
                    ],
                }));
            }
            FileEvent::Opened { path, text, recovered } => self.on_opened(path, text, recovered),
            FileEvent::Extracted { path, count } => {
                let more = match count.1 {
                    0 => String::new(),
                    more => format!(" and {more} that feed them"),
                };
                let (name, s) = (path.display(), if count.0 == 1 { "" } else { "s" });
                self.say(format!("{} node{s}{more} are in {name}; here they stay too", count.0));
            }
            FileEvent::Runs(past) => self.runs_came(past),
            FileEvent::Failed(text) => {
                self.leaving = false;
                self.bad(text);
            }
            FileEvent::Said(line) => {
                self.bad(line.text.clone());
                self.mirror.log.push_back(line);
            }
        }
    }

    /// Runs that were kept; those of this session stay, also when the graph has another file by now.
    fn runs_came(&mut self, past: Vec<crate::runs::Record>) {
        let ours: Vec<u64> = self.mirror.here().map(|run| run.began).collect();
        let mut all: Vec<_> = self.past.drain(..).filter(|run| ours.contains(&run.began)).collect();
        all.extend(past.into_iter().filter(|run| !ours.contains(&run.began)));
        self.past = all;
    }

    fn on_opened(&mut self, path: PathBuf, text: Option<String>, recovered: Option<crate::journal::Recovered>) {
        let is_new = text.is_none() && !path.as_os_str().is_empty();
        let file = (!path.as_os_str().is_empty()).then_some(path);
        self.open(file, text);
        if is_new {
            self.say(format!("{} does not exist yet; saving makes it", self.name()));
        }
        let Some(recovered) = recovered else {
            return;
        };
        // Nothing may be written to the journal before this is answered.
        self.outbox.retain(|effect| !matches!(effect, Effect::Journal(_)));
        let steps = recovered.history.steps();
        let last = steps.last().map(|change| change.what.clone()).unwrap_or_default();
        let text = format!(
            "an editor that ended early left {} unsaved change{} to {}, the last: {last}",
            steps.len(),
            if steps.len() == 1 { "" } else { "s" },
            self.name()
        );
        self.recovered = Some(recovered);
        self.layers.push(Layer::Question(Question {
            text,
            answers: vec![
                ('y', "take them".to_owned(), Answer::Recover),
                ('n', "forget them".to_owned(), Answer::Forget),
                ('d', "show them".to_owned(), Answer::Difference),
            ],
        }));
    }

    /// Whether the question that is open must be answered.
    pub(super) fn must_answer(&self) -> bool {
        self.recovered.is_some()
    }

    fn journal_base(&mut self) {
        self.outbox.push(Effect::Journal(Entry::Base {
            path: self.file.clone(),
            text: self.document.to_text(),
        }));
    }

    pub(super) fn forget_recovered(&mut self) {
        self.recovered = None;
        self.journal_base();
    }

    pub(super) fn recover(&mut self) {
        let Some(found) = self.recovered.take() else {
            return;
        };
        self.journal_base();
        if found.base == self.document.text() {
            for change in found.history.steps() {
                self.outbox.push(Effect::Journal(Entry::Change(change.clone())));
            }
            self.document = graph::parse(&found.text).0;
            self.history = found.history;
            self.refresh();
            self.say("the changes are back; u takes them away one by one");
        } else {
            // The file went on without them: they come back as one change, to be looked at.
            self.edit("take back unsaved changes", None, None, |document| {
                *document = graph::parse(&found.text).0;
                Ok(())
            });
            self.say("the changes are back as one step; the file had changed since, so look at both with u and U");
        }
        self.first_look();
    }

    /// What the journal knows, beside the file.
    pub(super) fn show_recovered(&mut self) {
        let Some(found) = &self.recovered else {
            return;
        };
        let question = self.recovered_question();
        let mut lines = vec!["# steps".to_owned()];
        lines.extend(found.history.steps().iter().map(|change| change.what.clone()));
        lines.push(String::new());
        lines.push("# lines".to_owned());
        if let Some((at, old, new)) = Change::between(self.document.text(), &found.text) {
            let line = self.document.text()[..at].lines().count().max(1);
            lines.push(format!("from line {line}"));
            lines.extend(old.lines().map(|line| format!("- {line}")));
            lines.extend(new.lines().map(|line| format!("+ {line}")));
        }
        self.layers.push(question);
        self.layers.push(Layer::Page(Page {
            title: "unsaved changes".to_owned(),
            body: Body::Lines(lines),
            scroll: 0,
        }));
    }

    fn recovered_question(&self) -> Layer {
        Layer::Question(Question {
            text: "take the unsaved changes?".to_owned(),
            answers: vec![
                ('y', "take them".to_owned(), Answer::Recover),
                ('n', "forget them".to_owned(), Answer::Forget),
                ('d', "show them".to_owned(), Answer::Difference),
            ],
        })
    }
}
