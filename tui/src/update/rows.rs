//! Rows of the dock, runs of the past, pages.

use crate::layer::{Body, Layer, Page};
use crate::regions::{Pane, Tab};
use crate::runs::Record;
use crate::state::{Problem, State};

impl State {
    /// All problems: of the graph, of node crates, of the user's settings.
    pub fn all_problems(&self) -> impl Iterator<Item = &Problem> {
        let own = self.problems.iter();
        own.chain(&self.build_problems).chain(&self.setup_problems)
    }

    /// How many rows a tab has.
    fn count(&self, tab: Tab) -> usize {
        match tab {
            Tab::Log => self.mirror.log.len(),
            Tab::Problems => self.all_problems().count(),
            Tab::Runs => self.past.len(),
            Tab::Queue => self.mirror.open().count(),
            Tab::Loss => 0,
        }
    }

    /// The chosen row of a tab.
    pub fn row(&self, tab: Tab) -> usize {
        let last = self.count(tab).saturating_sub(1);
        self.rows.get(&tab).copied().unwrap_or(0).min(last)
    }

    /// Moves the choice; the log scrolls against it, since its last line is at the bottom.
    pub(super) fn step_row(&mut self, by: i32) {
        let by = if self.tab == Tab::Log { -by } else { by };
        let last = self.count(self.tab).saturating_sub(1);
        let row = self.row(self.tab).saturating_add_signed(by as isize).min(last);
        self.rows.insert(self.tab, row);
    }

    pub(super) fn chosen_problem(&self) -> Option<&Problem> {
        self.all_problems().nth(self.row(Tab::Problems))
    }

    /// To the node of the chosen problem, and to its field.
    pub(super) fn go_problem(&mut self) {
        let Some(problem) = self.chosen_problem().cloned() else {
            return self.say("no problems");
        };
        let Some(node) = problem.node.filter(|id| self.document.node(id).is_some()) else {
            return self.say(problem.place.unwrap_or(problem.message));
        };
        self.choose_node(&node);
        let field = problem
            .part
            .and_then(|part| self.params().iter().position(|param| param.name == part));
        match field {
            Some(field) => {
                self.field = field;
                self.enter_pane(Pane::Inspector);
            }
            None => self.enter_pane(Pane::Canvas),
        }
    }

    pub(super) fn step_problem(&mut self, by: isize) {
        let count = self.all_problems().count();
        if count == 0 {
            return self.say("no problems");
        }
        let at = if self.tab == Tab::Problems {
            (self.row(Tab::Problems) as isize + by).rem_euclid(count as isize) as usize
        } else {
            0
        };
        self.tab = Tab::Problems;
        self.rows.insert(Tab::Problems, at);
        if let Some(problem) = self.chosen_problem().cloned() {
            if let Some(node) = problem.node.filter(|id| self.document.node(id).is_some()) {
                self.choose_node(&node);
            }
            let help = problem.help.map(|help| format!(": {help}")).unwrap_or_default();
            self.say(format!("{}{help}", problem.message));
        }
    }

    /// The chosen run of the past.
    pub fn chosen_run(&self) -> Option<&Record> {
        self.past.get(self.row(Tab::Runs))
    }

    pub(super) fn mark_run(&mut self) {
        if self.tab != Tab::Runs {
            return self.say("v marks runs to compare, in the tab Runs");
        }
        let Some(began) = self.chosen_run().map(|run| run.began) else {
            return;
        };
        match self.compared.iter().position(|other| *other == began) {
            Some(at) => drop(self.compared.remove(at)),
            None => self.compared.push(began),
        }
    }

    /// The chosen run's pictures in the preview.
    pub(super) fn look_at_run(&mut self) {
        let Some(run) = self.chosen_run() else {
            return self.say("no runs yet: R runs the graph");
        };
        let words = run.words();
        self.looked_at = Some(run.began);
        self.shot = 0;
        self.say(words);
    }

    /// Runs side by side: the marked ones, else the chosen one and the one before.
    pub(super) fn compare(&mut self) {
        let mut runs = self.compared.clone();
        if runs.len() < 2 {
            let at = self.row(Tab::Runs);
            runs = self.past.iter().skip(at).take(2).map(|run| run.began).collect();
        }
        if runs.len() < 2 {
            return self.say("two runs are needed to compare");
        }
        runs.truncate(3);
        self.layers.push(Layer::Page(Page {
            title: "runs side by side".to_owned(),
            body: Body::Compare(runs),
            scroll: 0,
        }));
    }

    /// The graph of the chosen run, as a change that can be undone.
    pub(super) fn restore_run(&mut self) {
        let Some(text) = self.chosen_run().map(|run| run.graph.clone()) else {
            return self.say("no runs yet");
        };
        self.edit("take the graph of a run", None, None, |document| {
            *document = graph::parse(&text).0;
            Ok(())
        });
        self.first_look();
        self.say("this is the graph of that run; u takes it back");
    }

    /// The page of the chosen node's type.
    pub(super) fn node_help(&mut self) {
        let Some(ty) = self.node_type().cloned() else {
            return match self.node().and_then(|id| self.document.node(id)) {
                Some(node) => self.say(format!("nothing is known of {}", node.ty.name)),
                None => self.say("choose a node first"),
            };
        };
        let row = super::add::type_row(&ty);
        self.layers.push(Layer::Page(Page {
            title: ty.name.clone(),
            body: Body::Lines(row.page),
            scroll: 0,
        }));
    }
}
