//! The tour: six steps, each over when one has done what it says.

use crate::action::Verb;
use crate::state::State;

/// A step: what to do, and what counts as having done it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What to do.
    pub text: &'static str,
    /// Actions that end the step.
    pub done_by: &'static [Verb],
}

/// The steps.
pub const STEPS: [Step; 6] = [
    Step {
        text: "A graph is made of nodes. Press a, type load/model, Enter; then the path of a model. Type to narrow any list; Tab completes paths.",
        done_by: &[Verb::Add, Verb::AddAfter, Verb::Paste],
    },
    Step {
        text: "Press o for a node that takes what the chosen one gives: it comes connected. c connects by hand: type the label at the other end.",
        done_by: &[Verb::AddAfter, Verb::AddBefore, Verb::Connect],
    },
    Step {
        text: "Move with h j k l or the arrows. Enter goes to the parameters: j k choose, h l change, Enter types. Esc comes back.",
        done_by: &[Verb::Enter],
    },
    Step {
        text: "Press r to run up to the chosen node, R to run all. What was made before is taken from the store. s stops.",
        done_by: &[Verb::RunHere, Verb::Run, Verb::Queue],
    },
    Step {
        text: "Anything can be undone: u, and U to redo. Nothing is lost in a crash. Ctrl-s saves.",
        done_by: &[Verb::Undo, Verb::Save],
    },
    Step {
        text: "? lists the keys of this place, Space Space all actions, Space k the page of a node. Space t starts this tour again.",
        done_by: &[Verb::Help, Verb::Palette, Verb::NodeHelp, Verb::Command],
    },
];

impl State {
    /// An action was done: the tour may go on.
    pub(super) fn tour_saw(&mut self, verb: Verb) {
        let Some(at) = self.tour else {
            return;
        };
        if STEPS.get(at).is_some_and(|step| step.done_by.contains(&verb)) {
            self.tour = Some(at + 1).filter(|next| *next < STEPS.len());
            if self.tour.is_none() {
                self.outbox.push(crate::effect::Effect::TourSeen);
                self.say("that was the tour; Space t shows it again");
            }
        }
    }
}
