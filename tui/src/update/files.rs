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
        self.outbox.push(Effect::Save {
            sheet: self.sheet,
            path,
            text,
            expected,
        });
    }

    /// Saves over whatever the file holds now.
    pub(super) fn save_over(&mut self) {
        if let Some((path, _)) = self.conflict.take() {
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

    /// Opens a graph in a tab: its own if it has one, this one if nothing is in it, else a new one.
    pub(super) fn open_graph(&mut self, name: &str) {
        let path = self.path_of(name);
        let there = self.other_sheets().find(|sheet| sheet.file.as_ref() == Some(&path));
        if let Some(number) = there.map(|sheet| sheet.number) {
            self.show_sheet(number);
            return;
        }
        let unused = self.file.is_none() && self.document.nodes().is_empty() && self.history.steps().is_empty();
        let sheet = if unused { self.sheet } else { self.next_sheet() };
        self.outbox.push(Effect::Open(sheet, Some(path)));
    }

    /// Reads the file again, in place of what is here.
    pub(super) fn reload_file(&mut self) {
        if let Some((path, _)) = self.conflict.take() {
            self.outbox.push(Effect::Open(self.sheet, Some(path)));
        }
    }

    pub(super) fn on_file(&mut self, event: FileEvent) {
        self.dirty = crate::state::Dirty::Yes;
        match event {
            FileEvent::Folder(id, entries) => self.folder_came(id, entries),
            FileEvent::Saved { sheet, path, text } => {
                if !self.show_sheet(sheet) {
                    return;
                }
                let moved = self.file.as_ref() != Some(&path);
                self.file = Some(path);
                self.mirror.moved(self.file.as_ref());
                self.saved = Some(text.clone());
                self.history.seal();
                if moved {
                    self.outbox.push(Effect::Runs(self.file.clone()));
                }
                self.outbox.push(Effect::Journal(
                    self.sheet,
                    Entry::Base {
                        path: self.file.clone(),
                        text,
                    },
                ));
                if self.leaving && !self.is_changed() {
                    return self.quit();
                }
                if std::mem::take(&mut self.closing) {
                    return self.close_tab();
                }
                if self.autosave {
                    return;
                }
                self.say(format!(
                    "saved {}",
                    self.file.as_ref().map(|p| p.display().to_string()).unwrap_or_default()
                ));
            }
            FileEvent::Changed { sheet, path, found } => {
                let known = found.is_some() && (found == self.declined || found == self.saved);
                if self.conflict.is_some() || !self.show_sheet(sheet) || known {
                    return;
                }
                (self.leaving, self.closing, self.save_at) = (false, false, None);
                self.conflict = Some((path, found));
                self.ask_conflict();
            }
            FileEvent::Kept(key, bytes) => self.kept_came(key, bytes),
            FileEvent::Opened {
                sheet,
                path,
                text,
                recovered,
                picture,
            } => {
                self.make_room(sheet);
                self.on_opened(path, text, recovered);
                if let Some(text) = picture {
                    self.take_picture(&text);
                }
            }
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
                (self.leaving, self.closing) = (false, false);
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
        self.outbox.retain(|effect| !matches!(effect, Effect::Journal(..)));
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
        self.outbox.push(Effect::Journal(
            self.sheet,
            Entry::Base {
                path: self.file.clone(),
                text: self.document.to_text(),
            },
        ));
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
                self.outbox
                    .push(Effect::Journal(self.sheet, Entry::Change(change.clone())));
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

    /// What to do with a file that somebody else changed.
    fn ask_conflict(&mut self) {
        let Some((path, _)) = &self.conflict else {
            return;
        };
        let text = format!(
            "{} is not what was opened: somebody else changed it, or it is another file",
            path.display()
        );
        self.layers.push(Layer::Question(Question {
            text,
            answers: vec![
                ('o', "overwrite it".to_owned(), Answer::Overwrite),
                ('r', "read it; what is here is given up".to_owned(), Answer::Reload),
                ('d', "show what differs".to_owned(), Answer::ShowConflict),
                ('c', "neither".to_owned(), Answer::Decline),
            ],
        }));
    }

    /// What the file holds beside what is here.
    pub(super) fn show_conflict(&mut self) {
        self.ask_conflict();
        let Some((path, found)) = &self.conflict else {
            return;
        };
        let lines = match found {
            Some(found) => difference(found, self.document.text()),
            None => vec!["it is no text".to_owned()],
        };
        let title = format!("{} (-) and what is here (+)", path.display());
        self.layers.push(Layer::Page(Page {
            title,
            body: Body::Lines(lines),
            scroll: 0,
        }));
    }

    /// The file stays, and what is here stays; the same is not asked again.
    pub(super) fn decline_conflict(&mut self) {
        (self.leaving, self.closing) = (false, false);
        self.declined = self.conflict.take().and_then(|(_, found)| found);
    }

    /// Back at the terminal: somebody may have changed the file meanwhile.
    pub(super) fn on_focus(&mut self, here: bool) {
        if let (true, Some(path), Some(expected)) = (here, self.file.clone(), self.saved.clone()) {
            let sheet = self.sheet;
            self.outbox.push(Effect::Look { sheet, path, expected });
        }
    }

    /// Saves what was changed a moment ago.
    pub(crate) fn save_by_itself(&mut self) {
        if self.save_at.take().is_some() && self.file.is_some() && self.is_changed() {
            self.save("");
        }
    }

    pub(super) fn toggle_autosave(&mut self) {
        self.autosave = !self.autosave;
        if self.autosave {
            self.save_at = Some(self.now);
            self.say("every change is saved after two seconds from now on");
        } else {
            self.save_at = None;
            self.say("changes are saved with C-s from now on");
        }
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
        lines.extend(difference(self.document.text(), &found.text));
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

/// Where two texts differ, as whole lines of the one and of the other.
fn difference(before: &str, after: &str) -> Vec<String> {
    let Some((at, old, new)) = Change::between(before, after) else {
        return vec!["nothing differs".to_owned()];
    };
    let whole = |text: &str, len: usize| {
        let begin = text[..at].rfind('\n').map_or(0, |place| place + 1);
        let end = at + len;
        let end = text[end..].find('\n').map_or(text.len(), |place| end + place);
        text[begin..end].to_owned()
    };
    let line = before[..at].matches('\n').count() + 1;
    let (old, new) = (whole(before, old.len()), whole(after, new.len()));
    let mut lines = vec![format!("from line {line}")];
    lines.extend(old.lines().map(|line| format!("- {line}")));
    lines.extend(new.lines().map(|line| format!("+ {line}")));
    lines
}
