//! Tabs: opened, changed, closed.

use crate::action::Verb;
use crate::effect::Effect;
use crate::layer::{Answer, Layer, Question};
use crate::state::State;

impl State {
    /// A number that no tab has had.
    pub(super) fn next_sheet(&mut self) -> u64 {
        self.sheets += 1;
        self.sheets - 1
    }

    /// A new graph in a tab of its own.
    pub(super) fn new_tab(&mut self) {
        let sheet = self.next_sheet();
        self.outbox.push(Effect::Open(sheet, None));
    }

    pub(super) fn step_tab_place(&mut self, by: isize) {
        let (at, count) = self.tab_place();
        if count == 1 {
            return self.say("one graph is open; C-p opens another beside it");
        }
        let next = (at as isize + by).rem_euclid(count as isize);
        self.show_tab(next as usize);
    }

    /// Closes the tab; one with changes asks first.
    pub(super) fn close_tab(&mut self) {
        if self.tab_place().1 == 1 {
            return self.say("this is the only graph; Space q leaves the editor");
        }
        if !self.is_changed() {
            return self.drop_tab_now();
        }
        self.layers.push(Layer::Question(Question {
            text: format!("{} has changes that are not saved", self.name()),
            answers: vec![
                ('s', "save and close it".to_owned(), Answer::SaveClose),
                ('d', "discard them and close it".to_owned(), Answer::CloseNow),
                ('c', "keep it open".to_owned(), Answer::Nothing),
            ],
        }));
    }

    pub(super) fn save_and_close(&mut self) {
        self.closing = true;
        self.act(Verb::Save.into());
    }

    pub(super) fn drop_tab_now(&mut self) {
        let name = self.name();
        if self.drop_tab() {
            self.say(format!("{name} is closed"));
        }
    }

    /// A graph comes into a tab: this one, or a new one at the right of it.
    pub(super) fn make_room(&mut self, sheet: u64) {
        if self.show_sheet(sheet) {
            return;
        }
        let aside = self.put_aside();
        self.left.push(aside);
        self.sheet = sheet;
    }

    /// The graph of a picture, as a change of the new graph.
    pub(super) fn take_picture(&mut self, text: &str) {
        self.edit("take the graph of a picture", None, None, |document| {
            *document = graph::parse(text).0;
            Ok(())
        });
        self.cursor = self.drawing.scene.first().and_then(|item| self.spot(item));
        self.first_look();
        self.say(format!(
            "the graph that made this picture; saving writes {}.json",
            self.name()
        ));
    }
}
