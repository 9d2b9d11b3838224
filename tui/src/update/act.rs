//! Each action to the function that does it.

use crate::action::{Action, Argument, Verb};
use crate::effect::Effect;
use crate::layer::{Answer, Layer, Question};
use crate::regions::{Pane, Tab, Zoom};
use crate::state::{Dirty, State, Worker};
use canvas::{Direction, Level};

impl State {
    /// Does an action. One that lacks its argument asks for it.
    pub fn act(&mut self, action: Action) {
        self.dirty = Dirty::Yes;
        if let (None, Argument::Asked(what)) = (&action.argument, action.verb.row().argument) {
            self.ask_argument(action.verb, what);
            return;
        }
        self.tour_saw(action.verb);
        let before = self.history.steps().len();
        let argument = action.argument.clone().unwrap_or_default();
        self.do_verb(action.verb, &argument);
        let changed = self.history.steps().len() != before;
        if changed
            && !matches!(
                action.verb,
                Verb::Undo | Verb::Redo | Verb::Repeat | Verb::Earlier | Verb::Later
            )
        {
            self.last = Some(action);
        }
    }

    fn do_verb(&mut self, verb: Verb, argument: &str) {
        match verb {
            Verb::Help => self.open_keys(),
            Verb::Palette => self.open_actions(false),
            Verb::Command => self.open_actions(true),
            Verb::Tour => self.tour = Some(0),
            Verb::Back => self.back(),
            Verb::NextPane => self.step_pane(1),
            Verb::PreviousPane => self.step_pane(-1),
            Verb::PaneCanvas => self.enter_pane(Pane::Canvas),
            Verb::PaneInspector => self.enter_pane(Pane::Inspector),
            Verb::PaneDock => self.enter_pane(Pane::Dock),
            Verb::PanePreview => self.enter_pane(Pane::Preview),
            Verb::Zoom => {
                self.zoom = match self.zoom {
                    Zoom::Normal => Zoom::Half,
                    Zoom::Half => Zoom::Full,
                    Zoom::Full => Zoom::Normal,
                };
                self.resized();
                self.reveal();
            }
            Verb::Undo => self.undo(1),
            Verb::Redo => self.redo(1),
            Verb::Repeat => match self.last.clone() {
                Some(last) => self.act(last),
                None => self.say("nothing was changed yet"),
            },
            Verb::Earlier => self.earlier(argument),
            Verb::Later => match argument.parse() {
                Ok(steps) => self.redo(steps),
                Err(_) => self.bad("later takes a number of steps"),
            },
            Verb::Save => self.save(argument),
            Verb::Open => self.open_graph(argument),
            Verb::Autosave => self.toggle_autosave(),
            Verb::NewTab => self.new_tab(),
            Verb::NextTab => self.step_tab_place(1),
            Verb::PreviousTab => self.step_tab_place(-1),
            Verb::Close => self.close_tab(),
            Verb::Quit => self.quit(),
            Verb::SaveQuit => {
                self.leaving = true;
                self.save("");
            }
            Verb::QuitNow => self.leave(),
            Verb::Suspend => self.outbox.push(Effect::Suspend),
            Verb::Redraw => self.outbox.push(Effect::Redraw),
            Verb::Cancel => self.cancel(),
            Verb::Theme => self.set_theme(argument),
            Verb::Left => self.sideways(-1),
            Verb::Right => self.sideways(1),
            Verb::Up => self.upright(-1),
            Verb::Down => self.upright(1),
            Verb::MuchLess => self.much(-10),
            Verb::MuchMore => self.much(10),
            Verb::NextPort => self.step_port(1),
            Verb::PreviousPort => self.step_port(-1),
            Verb::GoSource => self.follow(crate::shape::Side::Input),
            Verb::GoUser => self.follow(crate::shape::Side::Output),
            Verb::GoFirst => self.go_end(true),
            Verb::GoLast => self.go_end(false),
            Verb::GoRunning => self.go_running(),
            Verb::NextProblem => self.step_problem(1),
            Verb::PreviousProblem => self.step_problem(-1),
            Verb::NextFailed => self.step_failed(1),
            Verb::PreviousFailed => self.step_failed(-1),
            Verb::Find => self.find(argument),
            Verb::FindNext => self.find_step(1),
            Verb::FindPrevious => self.find_step(-1),
            Verb::PanDown => self.pan(0, 1),
            Verb::PanUp => self.pan(0, -1),
            Verb::PanLeft => self.pan(-1, 0),
            Verb::PanRight => self.pan(1, 0),
            Verb::LevelMore => self.step_level(1),
            Verb::LevelLess => self.step_level(-1),
            Verb::LevelNormal => self.set_level(Level::Normal),
            Verb::Centre => self.centre(),
            Verb::Fit => self.fit(),
            Verb::Minimap => self.minimap = !self.minimap,
            Verb::Mark => self.mark(),
            Verb::MarkAll => self.marked = self.drawing.ids().map(str::to_owned).collect(),
            Verb::MarkNone => self.marked.clear(),
            Verb::Add => self.open_add(argument, Vec::new(), Vec::new()),
            Verb::AddAfter => self.add_beside(argument, true),
            Verb::AddBefore => self.add_beside(argument, false),
            Verb::Connect => self.connect(),
            Verb::CutWire => self.cut_wire(),
            Verb::CutWires => self.cut_wires(),
            Verb::Enter => self.enter(),
            Verb::EditOutside => self.edit_outside(),
            Verb::Default => self.default_or_delete(),
            Verb::Set => self.set(argument),
            Verb::Rename => self.rename(argument),
            Verb::Copy => self.copy(),
            Verb::Delete => self.delete(),
            Verb::Paste => self.paste(),
            Verb::Duplicate => self.duplicate(),
            Verb::Bypass => self.bypass(),
            Verb::Freeze => self.freeze(),
            Verb::PinLeft => self.pin(Direction::Left),
            Verb::PinDown => self.pin(Direction::Down),
            Verb::PinUp => self.pin(Direction::Up),
            Verb::PinRight => self.pin(Direction::Right),
            Verb::Unpin => self.unpin(),
            Verb::Group => self.group(argument),
            Verb::Ungroup => self.ungroup(),
            Verb::GoInside => self.go_inside(),
            Verb::LeaveGroup => self.leave_group(),
            Verb::Extract => self.extract(argument),
            Verb::Fold => self.fold(),
            Verb::Note => self.note(),
            Verb::NodeHelp => self.node_help(),
            Verb::Fix => self.fix(),
            Verb::EditText => self.edit_text(),
            Verb::Title => self.set_title(argument),
            Verb::RunHere => self.run_here(),
            Verb::Run => self.run(Vec::new(), false),
            Verb::RunFresh => self.run(Vec::new(), true),
            Verb::Queue => self.queue(),
            Verb::Stop => self.stop(false),
            Verb::StopNow => self.stop(true),
            Verb::Watch => self.toggle_watch(),
            Verb::SampleNow => self.live(protocol::Live::SampleNow, "a sample was asked for"),
            Verb::BackUpNow => self.live(protocol::Live::BackUpNow, "a checkpoint was asked for"),
            Verb::StopAndKeep => self.live(protocol::Live::StopAndKeep, "the training ends at its next step"),
            Verb::Runs => {
                self.tab = Tab::Runs;
                self.enter_pane(Pane::Dock);
            }
            Verb::Compare => self.compare(),
            Verb::RestoreRun => self.restore_run(),
            Verb::Reload => drop(self.ask(crate::state::Asked::Reload, protocol::Ask::Reload)),
            Verb::Restart => {
                self.worker = Worker::Starting;
                self.asked.clear();
                self.mirror.broken("the worker was replaced");
                self.outbox.push(Effect::StartWorker);
            }
            Verb::Debug => self.counters.shown = !self.counters.shown,
            Verb::PictureFull => self.picture_full(),
            Verb::Accept => self.accept(),
            Verb::Next => self.step_layer(1, false),
            Verb::Previous => self.step_layer(-1, false),
            Verb::NextPage => self.step_layer(10, true),
            Verb::PreviousPage => self.step_layer(-10, true),
            Verb::Complete => self.complete(),
            Verb::Through => self.list_ways(),
            Verb::NewLine => {
                if let Some(Layer::Text(text)) = self.layers.last_mut() {
                    text.area.insert_newline();
                }
            }
        }
    }

    /// One step back: a layer, the tour, marks, a pane.
    fn back(&mut self) {
        self.asking = None;
        if self.layers.pop().is_some() {
            return;
        }
        self.toast = None;
        if self.tour.take().is_some() {
            self.outbox.push(Effect::TourSeen);
            return;
        }
        if self.zoom != Zoom::Normal {
            self.zoom = Zoom::Normal;
            self.resized();
        } else if self.pane != Pane::Canvas {
            self.enter_pane(Pane::Canvas);
        } else if !self.marked.is_empty() {
            self.marked.clear();
        } else if self.port.take().is_none() && self.inside.is_some() {
            self.look_into(None);
        }
    }

    /// Undoes steps.
    pub(super) fn undo(&mut self, steps: usize) {
        let mut what = None;
        for _ in 0..steps {
            let Some((text, change)) = self.history.undo(self.document.text()) else {
                break;
            };
            self.document.reread(&text);
            self.outbox
                .push(Effect::Journal(self.sheet, crate::effect::Entry::Undo));
            what = Some(change);
        }
        match what {
            Some(change) => self.after_history("undone", &change),
            None => self.say("nothing to undo"),
        }
    }

    /// Does undone steps again.
    pub(super) fn redo(&mut self, steps: usize) {
        let mut what = None;
        for _ in 0..steps {
            let Some((text, change)) = self.history.redo(self.document.text()) else {
                break;
            };
            self.document.reread(&text);
            self.outbox
                .push(Effect::Journal(self.sheet, crate::effect::Entry::Redo));
            what = Some(change);
        }
        match what {
            Some(change) => self.after_history("done again", &change),
            None => self.say("nothing to redo"),
        }
    }

    fn after_history(&mut self, word: &str, change: &crate::history::Change) {
        self.refresh();
        if let Some(node) = change.node.as_deref().filter(|node| self.document.node(node).is_some()) {
            self.choose_node(node);
        }
        self.say(format!("{word}: {}", change.what));
    }

    /// Back by time or steps: `5m`, `30s`, `2h`, `3`.
    fn earlier(&mut self, argument: &str) {
        let (number, unit) = argument.split_at(argument.trim_end_matches(char::is_alphabetic).len());
        let factor = match unit {
            "" => None,
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            "d" => Some(86_400),
            _ => Some(0),
        };
        match (number.trim().parse::<u64>(), factor) {
            (Ok(steps), None) => self.undo(usize::try_from(steps).unwrap_or(usize::MAX)),
            (Ok(count), Some(seconds)) if seconds > 0 => {
                let time = self.now.saturating_sub(count * seconds * 1000);
                self.undo(self.history.since(time));
            }
            _ => self.bad(format!("earlier {argument}: write 5m, 30s, 2h or a number of steps")),
        }
    }

    fn set_theme(&mut self, name: &str) {
        self.theme.palette = match name {
            "dark" => crate::theme::Palette::Dark,
            "light" => crate::theme::Palette::Light,
            _ => return self.bad(format!("no theme `{name}`: dark, light")),
        };
    }

    fn cancel(&mut self) {
        let running = self.mirror.open().count();
        if running > 0 {
            self.stop(false);
        } else {
            self.quit();
        }
    }

    pub(super) fn quit(&mut self) {
        if self.is_changed() {
            self.layers.push(Layer::Question(Question {
                text: format!("{} has changes that are not saved", self.name()),
                answers: vec![
                    ('s', "save and leave".to_owned(), Answer::Do(Verb::SaveQuit.into())),
                    (
                        'd',
                        "discard them and leave".to_owned(),
                        Answer::Do(Verb::QuitNow.into()),
                    ),
                    ('c', "stay".to_owned(), Answer::Nothing),
                ],
            }));
            return;
        }
        let changed: Vec<String> = self
            .other_sheets()
            .filter(|sheet| sheet.is_changed())
            .map(crate::state::Sheet::name)
            .collect();
        if !changed.is_empty() {
            self.leaving = false;
            self.layers.push(Layer::Question(Question {
                text: format!("other tabs have changes that are not saved: {}", changed.join(", ")),
                answers: vec![
                    ('g', "go there".to_owned(), Answer::GoChanged),
                    (
                        'd',
                        "discard them and leave".to_owned(),
                        Answer::Do(Verb::QuitNow.into()),
                    ),
                    ('c', "stay".to_owned(), Answer::Nothing),
                ],
            }));
            return;
        }
        self.leave();
    }

    fn leave(&mut self) {
        let others: Vec<u64> = self.other_sheets().map(|sheet| sheet.number).collect();
        self.outbox.extend(others.into_iter().map(Effect::Close));
        self.outbox
            .push(Effect::Journal(self.sheet, crate::effect::Entry::Clean));
        self.outbox.push(Effect::Quit);
    }

    /// Does what an answer says.
    pub(super) fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Do(action) => self.act(action),
            Answer::Overwrite => self.save_over(),
            Answer::Reload => self.reload_file(),
            Answer::Recover => self.recover(),
            Answer::Forget => self.forget_recovered(),
            Answer::ShowConflict => self.show_conflict(),
            Answer::Decline => self.decline_conflict(),
            Answer::SaveClose => self.save_and_close(),
            Answer::CloseNow => self.drop_tab_now(),
            Answer::GoChanged => {
                self.leaving = false;
                let changed = self.other_sheets().find(|sheet| sheet.is_changed());
                if let Some(number) = changed.map(|sheet| sheet.number) {
                    self.show_sheet(number);
                }
            }
            Answer::Difference => self.show_recovered(),
            Answer::Nothing => (self.leaving, self.closing) = (false, false),
        }
    }
}
