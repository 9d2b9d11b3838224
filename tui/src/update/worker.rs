//! What the worker says.

use crate::action::Verb;
use crate::effect::Effect;
use crate::event::Gone;
use crate::glyph::Mark;
use crate::keymap::Mode;
use crate::mirror::Phase;
use crate::regions::Tab;
use crate::state::{Asked, Dirty, Problem, State, Worker};
use graph::Catalog;
use protocol::{Build, Error, Event, Message, NodeEntry, Reply};
use std::sync::Arc;

impl State {
    /// A worker was started: the first words.
    pub fn greet(&mut self) {
        self.worker = Worker::Starting;
        self.ask(
            Asked::Hello,
            protocol::Ask::Hello {
                version: protocol::VERSION,
            },
        );
        self.ask(Asked::Catalogue, protocol::Ask::Catalogue);
    }

    pub(super) fn on_worker(&mut self, message: Message) {
        let asked = message.id.and_then(|id| self.asked.get(&id).cloned());
        if message.reply.is_final()
            && let Some(id) = message.id
        {
            self.asked.remove(&id);
        }
        let quiet = matches!(
            &message.reply,
            Reply::Event(Event::Progress { .. } | Event::Metric { .. })
        );
        let wanted = if quiet { Dirty::Progress } else { Dirty::Yes };
        self.dirty = self.dirty.max(wanted);
        match message.reply {
            Reply::Hello {
                folder,
                pid,
                cores,
                memory,
                ..
            } => {
                let machine = format!("{cores} cores  {:.1} GB", memory as f64 / 1e9);
                self.worker = Worker::Ready { folder, pid, machine };
            }
            Reply::Catalogue {
                nodes,
                plugins,
                refused,
            } => {
                self.plugins = plugins;
                self.catalogue_came(nodes);
                for refusal in refused {
                    let text = format!("{}: {}; {}", refusal.file, refusal.reason, refusal.help);
                    self.mirror.say(self.now, None, Some(Mark::Stale), text);
                }
            }
            Reply::Accepted { .. } => {}
            Reply::Event(event) => {
                if let Some(ask) = message.id {
                    self.on_run_event(ask, event);
                }
            }
            Reply::Ran { summary } => {
                if let Some(ask) = message.id {
                    if let Some(run) = self.mirror.by_ask(ask) {
                        run.summary = Some(summary.clone());
                    }
                    self.run_ended(ask);
                    let text = crate::mirror::summary_text(&summary) + &self.where_pictures_are(ask);
                    if summary.failed > 0 {
                        self.bad(text);
                    } else {
                        self.say(text);
                    }
                }
            }
            Reply::Noted { nodes } => match asked {
                Some(Asked::Word("")) | None => {}
                Some(Asked::Word(said)) if nodes.is_empty() => self.say(said),
                Some(Asked::Word(said)) => self.say(format!("{said}: {}", nodes.join(", "))),
                Some(_) => {}
            },
            Reply::Folder { entries, .. } => {
                if let Some(id) = message.id {
                    self.folder_came(id, entries);
                }
            }
            Reply::Picture { picture, .. } => match asked {
                Some(Asked::Picture(key)) => {
                    self.shots.entry(key).or_default().bytes = Some(Arc::from(picture.png.0));
                }
                Some(Asked::Keep(began, nth)) => {
                    self.outbox.push(Effect::KeepPicture(began, nth, picture.png.0));
                }
                _ => {}
            },
            Reply::Building { packages } => self.say(format!("building {}", packages.join(", "))),
            Reply::Reloaded {
                changed,
                plugins,
                refused,
                build,
            } => {
                self.plugins = plugins;
                self.reloaded(&changed, build.as_ref(), message.id.is_some());
                for refusal in refused {
                    self.bad(format!("{}: {}; {}", refusal.file, refusal.reason, refusal.help));
                }
            }
            Reply::Error(error) => self.on_error(message.id, asked, error),
            Reply::Planned { rows, .. } => {
                if let Some(Asked::Freeze(ids)) = asked {
                    self.results_came(&ids, &rows);
                }
            }
            Reply::Checked { .. } | Reply::File { .. } => {}
        }
    }

    /// Where to look for the pictures of a run, if they are not on the screen.
    fn where_pictures_are(&self, ask: u64) -> String {
        let mut runs = self.mirror.runs.iter();
        let made = runs.any(|run| run.ask == ask && run.sheet == self.sheet && !run.shots.is_empty());
        if !made || !crate::regions::inside(self.regions().preview).is_empty() {
            return String::new();
        }
        let keys = self.keymap.keys_of(Mode::Anywhere, Verb::PanePreview);
        keys.map(|keys| format!("; {keys} shows what was drawn"))
            .unwrap_or_default()
    }

    fn catalogue_came(&mut self, nodes: Vec<NodeEntry>) {
        let mut catalog = Catalog::default();
        for node in nodes {
            catalog.insert(node.ty);
        }
        catalog.sort();
        let first = !self.knows_types;
        self.catalog = catalog;
        self.knows_types = true;
        self.drawing.outdated();
        self.refresh();
        self.fill_add();
        if first {
            // Boxes have their ports only now.
            self.first_look();
        }
    }

    fn on_run_event(&mut self, ask: u64, event: Event) {
        if let Event::Failed { node, message, .. } = &event {
            self.bad(format!("{node}: {}", message.lines().next().unwrap_or_default()));
        }
        if let Some((key, bytes)) = self.mirror.hear(ask, event, self.now) {
            self.shots.entry(key).or_default().bytes = Some(Arc::from(bytes));
        }
    }

    /// Node crates were looked at, because they were `asked` to be or changed on disk.
    fn reloaded(&mut self, changed: &[String], build: Option<&Build>, asked: bool) {
        let was_broken = self.build_problems.iter().any(|problem| problem.error);
        self.build_problems = build.map(build_problems).unwrap_or_default();
        if self.build_problems.iter().any(|problem| problem.error) {
            self.tab = Tab::Problems;
            return self.bad("a node crate does not build; what was loaded stays");
        }
        if changed.is_empty() {
            if was_broken {
                self.say("node crates build again; nothing else is new");
            } else if asked {
                self.say("node crates: nothing new");
            }
            return;
        }
        let when = if self.mirror.open().next().is_some() {
            "; what runs ends with the old code"
        } else {
            ""
        };
        self.say(format!("{} live{when}", changed.join(", ")));
        self.mirror
            .say(self.now, None, None, format!("new build of {}", changed.join(", ")));
        self.ask(Asked::Catalogue, protocol::Ask::Catalogue);
    }

    fn on_error(&mut self, id: Option<u64>, asked: Option<Asked>, error: Error) {
        let help = error.help.as_ref().map(|help| format!(": {help}")).unwrap_or_default();
        let text = format!("{}{help}", error.message);
        match asked {
            Some(Asked::Run) => {
                if let Some(run) = id.and_then(|id| self.mirror.by_ask(id)) {
                    run.trouble = Some(text.clone());
                    run.nodes.clear();
                    run.phase = Phase::Ended;
                }
                if !error.diagnostics.is_empty() {
                    self.problems = error.diagnostics.into_iter().map(Problem::from).collect();
                    self.tab = Tab::Problems;
                }
                self.mirror.say(self.now, None, Some(Mark::Failed), &*text);
                self.bad(text);
            }
            Some(Asked::Folder) => {
                if let Some(id) = id {
                    self.folder_came(id, Vec::new());
                }
            }
            // The file itself is looked at then.
            Some(Asked::Keep(..)) => {}
            Some(Asked::Picture(key)) => {
                let shot = self.shots.entry(key).or_default();
                shot.encoded = Some(((0, 0), Err(text)));
            }
            _ => {
                self.mirror.say(self.now, None, Some(Mark::Failed), &*text);
                self.bad(text);
            }
        }
    }

    pub(super) fn on_worker_gone(&mut self, gone: Gone) {
        self.asked.clear();
        let running = self
            .mirror
            .current()
            .and_then(|run| run.running())
            .map(|(node, _)| node.to_owned());
        let open: Vec<u64> = self.mirror.open().map(|run| run.ask).collect();
        let last = gone.last.last().map(|line| format!(": {line}")).unwrap_or_default();
        let why = format!("the worker {}{last}", gone.how);
        self.mirror.say(self.now, running.as_deref(), Some(Mark::Failed), &*why);
        for line in &gone.last {
            self.mirror.say(self.now, running.as_deref(), None, &**line);
        }
        self.mirror.broken(&why);
        for ask in open {
            self.run_ended(ask);
        }
        self.worker = Worker::Gone { how: gone.how };
        let next = if running.is_some() {
            "; r goes on from what is finished"
        } else {
            "; the next run starts another"
        };
        self.bad(format!("{why}{next}"));
    }
}

fn build_problems(build: &Build) -> Vec<Problem> {
    let messages = build.messages.iter();
    messages
        .map(|message| Problem {
            node: None,
            part: None,
            error: message.level == "error",
            code: "build".to_owned(),
            message: message.message.clone(),
            help: None,
            place: message.file.as_ref().map(|file| {
                let line = message.line.map(|line| format!(":{line}")).unwrap_or_default();
                format!("{file}{line}")
            }),
            diagnostic: None,
        })
        .collect()
}
