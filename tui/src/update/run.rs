//! Running, stopping, watching.

use crate::mirror::{Phase, Run, Status};
use crate::state::{Asked, State};
use protocol::{Ask, Graph, Live};

impl State {
    /// The graph as the worker takes it.
    pub(super) fn graph_for_worker(&self) -> Graph {
        Graph {
            text: self.document.to_text(),
            // On another machine, paths start from the worker's folder.
            path: self
                .file
                .as_ref()
                .filter(|_| !self.remote)
                .map(|path| path.to_string_lossy().into_owned()),
            set: Vec::new(),
        }
    }

    /// Up to the selected nodes; with several that were marked, up to all of them.
    pub(super) fn run_here(&mut self) {
        let targets = self.selected();
        if targets.is_empty() {
            return self.run(Vec::new(), false);
        }
        self.run(targets, false);
    }

    /// Runs, unless something already does: then it is said how to queue.
    pub(super) fn run(&mut self, targets: Vec<String>, fresh: bool) {
        if self.mirror.open().next().is_some() {
            return self.say("a run goes on: Q queues another, s stops it");
        }
        self.start_run(targets, fresh);
    }

    /// A run of the graph as it is now, after those that go on.
    pub(super) fn queue(&mut self) {
        self.start_run(Vec::new(), false);
    }

    fn start_run(&mut self, targets: Vec<String>, fresh: bool) {
        if self.document.nodes().is_empty() {
            return self.say("nothing to run: a adds a node");
        }
        // The worker would refuse the whole graph.
        self.judge_now();
        if let Some(problem) = self.problems.iter().find(|problem| problem.error).cloned() {
            let help = problem
                .help
                .as_ref()
                .map(|help| format!(": {help}"))
                .unwrap_or_default();
            if let Some(node) = problem.node.clone().filter(|id| self.document.node(id).is_some()) {
                self.choose_node(&node);
            }
            self.tab = crate::regions::Tab::Problems;
            return self.bad(format!("{}{help}", problem.message));
        }
        let run = protocol::Run {
            graph: self.graph_for_worker(),
            targets: targets.clone(),
            fresh,
            previews: true,
        };
        let Some(ask) = self.ask(Asked::Run, Ask::Run(run)) else {
            return;
        };
        self.toast = None;
        let number = self.mirror.runs.len() + 1;
        let reached = self.needed(&targets);
        let all = self.document.nodes().keys();
        let nodes = all.filter(|id| targets.is_empty() || reached.contains(*id));
        let nodes = nodes.map(|id| (id.clone(), Status::Queued)).collect();
        self.mirror.runs.push(Run {
            ask,
            number,
            sheet: self.sheet,
            file: self.file.clone(),
            graph: self.document.to_text(),
            targets,
            began: self.now,
            nodes,
            fingerprints: self.prints.clone(),
            ..Run::default()
        });
        if matches!(self.tab, crate::regions::Tab::Problems | crate::regions::Tab::Queue) {
            self.tab = crate::regions::Tab::Log;
        }
    }

    /// The nodes that some need, themselves included; a frozen one needs nothing.
    fn needed(&self, targets: &[String]) -> std::collections::HashSet<String> {
        self.above(targets, |id| {
            self.document.node(id).is_none_or(|node| node.frozen.is_none())
        })
    }

    /// The nodes above some, themselves included; those above a node that `further` refuses only where others need them.
    pub(super) fn above(
        &self,
        targets: &[String],
        further: impl Fn(&str) -> bool,
    ) -> std::collections::HashSet<String> {
        let mut seen: std::collections::HashSet<String> = targets.iter().cloned().collect();
        let mut open = targets.to_vec();
        while let Some(id) = open.pop() {
            if !further(&id) {
                continue;
            }
            for wire in self.drawing.wires.iter().filter(|wire| *wire.to == *id) {
                if seen.insert(wire.from.to_string()) {
                    open.push(wire.from.to_string());
                }
            }
        }
        seen
    }

    pub(super) fn stop(&mut self, now: bool) {
        let Some(run) = self.mirror.current() else {
            return self.say("nothing runs");
        };
        let ask = Ask::Cancel {
            run: Some(run.ask),
            now,
        };
        self.ask(Asked::Word(""), ask);
        self.say(if now {
            "stopping at once"
        } else {
            "stopping at the next step; what is finished stays"
        });
    }

    pub(super) fn live(&mut self, command: Live, said: &'static str) {
        if self.mirror.current().and_then(Run::running).is_none() {
            return self.say("no training goes on");
        }
        let node = self.node().filter(|id| {
            let status = self.mirror.current().and_then(|run| run.nodes.get(*id));
            matches!(status, Some(Status::Running { .. }))
        });
        let node = node.map(str::to_owned);
        self.ask(
            Asked::Word(said),
            Ask::Live {
                run: None,
                node,
                command,
            },
        );
    }

    pub(super) fn toggle_watch(&mut self) {
        self.watch = !self.watch;
        if self.watch {
            self.watch_at = Some(self.now);
            self.say("every change is run from now on; w ends this");
        } else {
            self.watch_at = None;
            self.say("changes are not run any more");
        }
    }

    /// A change was made a moment ago: what goes on is stopped, and the graph runs as it is now.
    pub(super) fn run_watched(&mut self) {
        self.judge_now();
        if !self.watch || self.problems.iter().any(|problem| problem.error) || self.document.nodes().is_empty() {
            return;
        }
        let open: Vec<u64> = self.mirror.open().map(|run| run.ask).collect();
        for run in open {
            self.ask(
                Asked::Word(""),
                Ask::Cancel {
                    run: Some(run),
                    now: false,
                },
            );
        }
        self.start_run(Vec::new(), false);
    }

    /// A run came to its end.
    pub(super) fn run_ended(&mut self, ask: u64) {
        let Some(run) = self.mirror.by_ask(ask) else {
            return;
        };
        if run.phase != Phase::Broken {
            run.phase = Phase::Ended;
        }
        for status in run.nodes.values_mut() {
            if matches!(status, Status::Queued | Status::Waiting { .. } | Status::Running { .. }) {
                *status = Status::Skipped { because: None };
            }
        }
        let record = crate::runs::Record::of(run);
        if run.sheet == self.sheet {
            self.past.insert(0, record.clone());
        }
        if record.phase == Phase::Ended {
            self.keep_pictures(&record);
        }
        self.outbox.push(crate::effect::Effect::Keep(Box::new(record)));
    }
}
