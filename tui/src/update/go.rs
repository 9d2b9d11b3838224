//! Moving: panes, nodes, ports, the view.

use crate::regions::{PANES, Pane, TABS};
use crate::shape::Side;
use crate::state::{Spot, State};
use canvas::{Direction, Level};

impl State {
    pub(super) fn enter_pane(&mut self, pane: Pane) {
        self.pane = pane;
        if pane != Pane::Canvas {
            self.side = pane;
        }
        self.history.seal();
        self.resized();
        self.reveal();
    }

    pub(super) fn step_pane(&mut self, by: isize) {
        let at = PANES.iter().position(|pane| *pane == self.pane).unwrap_or(0) as isize;
        let next = (at + by).rem_euclid(PANES.len() as isize);
        self.enter_pane(PANES[next as usize]);
    }

    /// Left or right: a node, a value, a tab, a picture.
    pub(super) fn sideways(&mut self, by: i32) {
        match self.pane {
            Pane::Canvas => self.walk(if by < 0 { Direction::Left } else { Direction::Right }),
            Pane::Inspector => self.nudge(i64::from(by)),
            Pane::Dock => self.step_tab(by),
            Pane::Preview => self.step_shot(-by),
        }
    }

    /// Up or down: a node, a field, a row, a picture.
    pub(super) fn upright(&mut self, by: i32) {
        match self.pane {
            Pane::Canvas => self.walk(if by < 0 { Direction::Up } else { Direction::Down }),
            Pane::Inspector => {
                let last = self.params().len().saturating_sub(1);
                self.field = self.field.saturating_add_signed(by as isize).min(last);
                self.history.seal();
            }
            Pane::Dock => self.step_row(by),
            Pane::Preview => self.step_shot(-by),
        }
    }

    pub(super) fn much(&mut self, by: i64) {
        match self.pane {
            Pane::Inspector => self.nudge(by),
            Pane::Dock => self.step_row(by as i32),
            Pane::Canvas | Pane::Preview => self.say("H and L change values in the inspector (2)"),
        }
    }

    fn walk(&mut self, to: Direction) {
        let Some(item) = self.cursor_item() else {
            return;
        };
        if let Some(spot) = self.drawing.scene.walk(item, to).and_then(|item| self.spot(item)) {
            self.choose(spot);
        } else {
            // At the edge, the view still moves.
            self.reveal();
        }
    }

    fn step_tab(&mut self, by: i32) {
        let at = TABS.iter().position(|tab| *tab == self.tab).unwrap_or(0) as i32;
        self.tab = TABS[(at + by).rem_euclid(TABS.len() as i32) as usize];
    }

    /// The ports of the chosen node: inputs, then outputs.
    fn all_ports(&self) -> Vec<(Side, usize)> {
        let Some(ports) = self
            .node()
            .and_then(|id| self.drawing.ports.get(self.drawing.index(id)?))
        else {
            return Vec::new();
        };
        let inputs = (0..ports.inputs.len()).map(|at| (Side::Input, at));
        inputs
            .chain((0..ports.outputs.len()).map(|at| (Side::Output, at)))
            .collect()
    }

    pub(super) fn step_port(&mut self, by: isize) {
        let all = self.all_ports();
        if all.is_empty() {
            return self.say("no ports here");
        }
        let next = match self.port.and_then(|port| all.iter().position(|other| *other == port)) {
            Some(at) => (at as isize + by).rem_euclid(all.len() as isize) as usize,
            None if by < 0 => all.len() - 1,
            None => 0,
        };
        self.port = Some(all[next]);
    }

    /// Goes along a wire: that of the chosen port, else the first on that side; again goes on to the next one.
    pub(super) fn follow(&mut self, side: Side) {
        let Some(item) = self.cursor_item() else {
            return;
        };
        let port = self.port.filter(|(at, _)| *at == side);
        let name = port.and_then(|(_, at)| {
            let ports = self.drawing.ports.get(self.drawing.index(self.node()?)?)?;
            ports.side(side).get(at).map(|port| port.name.clone())
        });
        let wired = name.and_then(|name| {
            let id = self.node()?;
            let mut wires = self.drawing.wires.iter();
            match side {
                Side::Input => wires.find(|w| w.enters(id, &name)).map(|w| w.from.to_string()),
                Side::Output => wires.find(|w| w.leaves(id, &name)).map(|w| w.to.to_string()),
            }
        });
        let next = match wired {
            Some(id) => Some(Spot::Node(id)),
            None => self
                .drawing
                .scene
                .neighbours(item, side)
                .first()
                .and_then(|item| self.spot(*item)),
        };
        match next {
            Some(spot) => self.choose(spot),
            None if side == Side::Input => self.say("nothing feeds this node"),
            None => self.say("nothing uses this node"),
        }
    }

    pub(super) fn go_end(&mut self, first: bool) {
        let scene = &self.drawing.scene;
        let item = if first { scene.first() } else { scene.last() };
        if let Some(spot) = item.and_then(|item| self.spot(item)) {
            self.choose(spot);
        }
    }

    pub(super) fn go_running(&mut self) {
        let running = self.mirror.current().and_then(|run| run.running());
        match running.map(|(node, _)| node.to_owned()) {
            Some(node) => self.choose_node(&node),
            None => self.say("nothing runs"),
        }
    }

    pub(super) fn step_failed(&mut self, by: isize) {
        let failed = |id: &String| {
            let shown = self.mirror.shown(id, self.prints.get(id).copied());
            shown.is_some_and(|shown| shown.mark == crate::glyph::Mark::Failed)
        };
        let nodes: Vec<String> = self.document.nodes().keys().filter(|id| failed(id)).cloned().collect();
        if nodes.is_empty() {
            return self.say("no node failed");
        }
        self.step_among(&nodes, by);
    }

    /// The next of some nodes, counted from the chosen one.
    pub(super) fn step_among(&mut self, nodes: &[String], by: isize) {
        let at = self.node().and_then(|id| nodes.iter().position(|other| other == id));
        let next = match at {
            Some(at) => (at as isize + by).rem_euclid(nodes.len() as isize) as usize,
            None if by < 0 => nodes.len() - 1,
            None => 0,
        };
        let id = nodes[next].clone();
        self.choose_node(&id);
    }

    pub(super) fn find_step(&mut self, by: isize) {
        let word = self.found.to_lowercase();
        if word.is_empty() {
            return self.say("/ finds a node first");
        }
        let matches = |id: &&String| {
            let ty = self.document.node(id).map(|node| node.ty.name.to_lowercase());
            id.to_lowercase().contains(&word) || ty.is_some_and(|ty| ty.contains(&word))
        };
        let nodes: Vec<String> = self.document.nodes().keys().filter(matches).cloned().collect();
        if nodes.is_empty() {
            return self.say(format!("no node matches {word}"));
        }
        self.step_among(&nodes, by);
    }

    /// Moves the view by a third of itself.
    pub(super) fn pan(&mut self, dx: i32, dy: i32) {
        let (w, h) = (self.view.size.w, self.view.size.h);
        self.view
            .pan(dx * (w / 3).max(1), dy * (h / 3).max(1), self.drawing.scene.bounds);
    }

    pub(super) fn step_level(&mut self, by: isize) {
        const LEVELS: [Level; 4] = [Level::Map, Level::Compact, Level::Normal, Level::Detail];
        let at = LEVELS.iter().position(|level| *level == self.level).unwrap_or(2);
        let next = at.saturating_add_signed(by).min(LEVELS.len() - 1);
        self.set_level(LEVELS[next]);
    }

    pub(super) fn centre(&mut self) {
        if let Some(rect) = self.cursor_tile().map(|tile| tile.rect) {
            self.view.centre(rect);
            self.view.clamp(self.drawing.scene.bounds);
        }
    }

    pub(super) fn mark(&mut self) {
        if self.pane == Pane::Dock {
            return self.mark_run();
        }
        let Some(Spot::Node(id)) = self.cursor.clone() else {
            return self.say("only nodes are selected");
        };
        if !self.marked.remove(&id) {
            self.marked.insert(id);
        }
    }
}
