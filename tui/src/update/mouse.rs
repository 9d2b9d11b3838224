//! The mouse: choose, move, connect, pan.

use crate::action::Verb;
use crate::layer::Layer;
use crate::regions::{Pane, Tab, inside};
use crate::shape::Side;
use crate::state::{Dirty, Spot, State};
use crate::view::Hit;
use canvas::{Point, Thing};
use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

/// Milliseconds within which a second click counts as double.
const DOUBLE: u64 = 400;

/// What the right button offers at a node.
const OF_NODE: &[Verb] = &[
    Verb::Enter,
    Verb::RunHere,
    Verb::AddAfter,
    Verb::AddBefore,
    Verb::Connect,
    Verb::CutWires,
    Verb::Rename,
    Verb::Copy,
    Verb::Duplicate,
    Verb::Delete,
    Verb::Bypass,
    Verb::Freeze,
    Verb::Mark,
    Verb::Group,
    Verb::Fold,
    Verb::Note,
    Verb::NodeHelp,
];

/// At a folded group.
const OF_GROUP: &[Verb] = &[
    Verb::GoInside,
    Verb::Fold,
    Verb::Rename,
    Verb::RunHere,
    Verb::Copy,
    Verb::Extract,
    Verb::Ungroup,
];

/// Where nothing is.
const OF_CANVAS: &[Verb] = &[
    Verb::Add,
    Verb::Paste,
    Verb::Run,
    Verb::Undo,
    Verb::Redo,
    Verb::Fit,
    Verb::MarkAll,
    Verb::Unpin,
    Verb::LeaveGroup,
    Verb::Save,
    Verb::Open,
];

impl State {
    pub(super) fn on_mouse(&mut self, mouse: MouseEvent) {
        let at = (mouse.column, mouse.row);
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => self.press(at),
            MouseEventKind::Drag(MouseButton::Left) => self.dragged(at),
            MouseEventKind::Up(MouseButton::Left) => self.release(at),
            MouseEventKind::Down(MouseButton::Right) => self.menu(at),
            MouseEventKind::ScrollDown => self.wheel(at, mouse.modifiers, 1),
            MouseEventKind::ScrollUp => self.wheel(at, mouse.modifiers, -1),
            _ => return,
        }
        self.dirty = Dirty::Yes;
    }

    /// The scene's cell under the pointer, when the canvas is there.
    fn on_canvas(&self, at: (u16, u16)) -> Option<Point> {
        let area = inside(self.regions().canvas);
        let within = area.contains(ratatui::layout::Position::new(at.0, at.1));
        within.then(|| {
            self.view
                .to_scene(Point::new(i32::from(at.0 - area.x), i32::from(at.1 - area.y)))
        })
    }

    fn hit(&self, at: (u16, u16)) -> Option<Hit> {
        let position = ratatui::layout::Position::new(at.0, at.1);
        let hits = self.hits.iter().rev();
        hits.clone()
            .find(|(area, _)| area.contains(position))
            .map(|(_, hit)| hit.clone())
    }

    fn press(&mut self, at: (u16, u16)) {
        let Some(hit) = self.hit(at).or_else(|| self.thing_hit(at)) else {
            return;
        };
        let double = self
            .clicked
            .as_ref()
            .is_some_and(|(last, time)| *last == hit && self.now < time + DOUBLE);
        self.clicked = Some((hit.clone(), self.now));
        if !self.layers.is_empty() {
            return self.press_layer(&hit, double);
        }
        match &hit {
            Hit::Pane(pane) => self.enter_pane(*pane),
            Hit::Tab(tab) => {
                self.tab = *tab;
                self.enter_pane(Pane::Dock);
            }
            Hit::Field(field) => {
                self.enter_pane(Pane::Inspector);
                self.field = *field;
                if double {
                    self.edit_field();
                }
            }
            Hit::Row(tab, row) => {
                self.tab = *tab;
                self.rows.insert(*tab, *row);
                self.enter_pane(Pane::Dock);
                if double {
                    self.enter();
                }
            }
            Hit::Spot(spot) => {
                self.enter_pane(Pane::Canvas);
                self.choose(spot.clone());
                if double {
                    self.enter();
                }
            }
            Hit::Port(id, side, port) => {
                self.enter_pane(Pane::Canvas);
                self.choose_node(id);
                self.port = Some((*side, *port));
            }
            Hit::Minimap(to) => self.look_at(*to),
            Hit::Sheet(at) => self.show_tab(*at),
            Hit::NewSheet => self.act(Verb::NewTab.into()),
            Hit::LayerRow(_) => {}
        }
        self.drag = Some(hit);
    }

    /// What is under the pointer on the canvas.
    fn thing_hit(&self, at: (u16, u16)) -> Option<Hit> {
        let point = self.on_canvas(at)?;
        Some(match self.drawing.scene.pick(point) {
            Thing::Title(item) | Thing::Foot(item) | Thing::Body(item) => Hit::Spot(self.spot(item)?),
            Thing::Port(side, port) => {
                let node = self.drawing.id(port.node)?;
                match self.drawing.folded_around(node) {
                    Some(group) => Hit::Spot(Spot::Group(group.to_owned())),
                    None => Hit::Port(node.to_owned(), side, port.port),
                }
            }
            Thing::Wire(_) | Thing::Group(_) | Thing::Nothing => Hit::Pane(Pane::Canvas),
        })
    }

    fn press_layer(&mut self, hit: &Hit, double: bool) {
        let Hit::LayerRow(row) = hit else {
            return;
        };
        match self.layers.last_mut() {
            Some(Layer::List(list)) => {
                let again = list.cursor == *row;
                list.cursor = *row;
                if double || again {
                    self.act(Verb::Accept.into());
                }
            }
            Some(Layer::Question(question)) => {
                if let Some((_, _, answer)) = question.answers.get(*row).cloned() {
                    self.layers.pop();
                    self.answer(answer);
                }
            }
            _ => {}
        }
    }

    /// A cell of the scene to the middle of the view.
    fn look_at(&mut self, to: (i32, i32)) {
        self.view.origin = Point::new(to.0 - self.view.size.w / 2, to.1 - self.view.size.h / 2);
        self.view.clamp(self.drawing.scene.bounds);
    }

    /// With the button down: what was taken follows the pointer, the view when nothing was.
    fn dragged(&mut self, at: (u16, u16)) {
        match &self.drag {
            Some(Hit::Pane(Pane::Canvas)) => {
                if let (Some(from), Some(_)) = (self.drag_from, self.on_canvas(at)) {
                    let (dx, dy) = (i32::from(from.0) - i32::from(at.0), i32::from(from.1) - i32::from(at.1));
                    self.view.pan(dx, dy, self.drawing.scene.bounds);
                }
                self.drag_from = Some(at);
            }
            Some(Hit::Minimap(_)) => {
                if let Some(Hit::Minimap(to)) = self.hit(at) {
                    self.look_at(to);
                }
            }
            Some(_) => self.drag_from = Some(at),
            None => {}
        }
    }

    /// What the pointer carries: where it is, and what is said of it.
    pub fn carried(&self) -> Option<((u16, u16), String)> {
        let at = self.drag_from?;
        let text = match self.drag.as_ref()? {
            Hit::Spot(Spot::Node(name) | Spot::Group(name)) => name.clone(),
            Hit::Spot(Spot::Note(_)) => "note".to_owned(),
            Hit::Port(node, side, port) => {
                let ports = self.drawing.ports.get(self.drawing.index(node)?)?;
                format!("{node}.{}", ports.side(*side).get(*port)?.name)
            }
            _ => return None,
        };
        self.on_canvas(at).map(|_| (at, text))
    }

    /// The button is let go: a node moves there, a port is joined.
    fn release(&mut self, at: (u16, u16)) {
        let moved = self.drag_from.take().is_some();
        let Some(drag) = self.drag.take().filter(|_| moved && self.layers.is_empty()) else {
            return;
        };
        let Some(point) = self.on_canvas(at) else {
            return;
        };
        match drag {
            Hit::Spot(spot) => {
                let Some(item) = self.cursor_item() else {
                    return;
                };
                let here = self
                    .drawing
                    .scene
                    .tile(item)
                    .is_some_and(|tile| tile.rect.contains(point));
                if !here {
                    let pin = self.drawing.scene.dropped(item, point);
                    self.pin_at(&spot, pin);
                    self.reveal();
                }
            }
            Hit::Port(id, side, port) => self.drop_wire(&id, side, port, at),
            _ => {}
        }
    }

    /// A wire was dragged from a port to here: onto another port, onto a node, onto nothing.
    fn drop_wire(&mut self, id: &str, side: Side, port: usize, at: (u16, u16)) {
        let ports = self
            .drawing
            .index(id)
            .and_then(|node| self.drawing.ports.get(node))
            .cloned();
        let Some(from) = ports.and_then(|ports| ports.side(side).get(port).cloned()) else {
            return;
        };
        let target = self.thing_hit(at);
        let ends = crate::edit::candidates(&self.document, &self.catalog, id, side, &from);
        let end = match (&target, &ends) {
            (Some(Hit::Port(node, _, number)), Ok(ends)) => {
                let name = self
                    .drawing
                    .index(node)
                    .and_then(|at| self.drawing.ports.get(at))
                    .and_then(|ports| {
                        let other = if side == Side::Output {
                            Side::Input
                        } else {
                            Side::Output
                        };
                        ports.side(other).get(*number).map(|port| port.name.clone())
                    });
                ends.iter()
                    .find(|end| end.node == *node && Some(&end.port.name) == name.as_ref())
            }
            (Some(Hit::Spot(Spot::Node(node))), Ok(ends)) => ends.iter().find(|end| end.node == *node),
            _ => None,
        };
        match (end, target, ends.as_ref()) {
            (Some(end), _, _) => {
                let (node, port) = (end.node.clone(), end.port.clone());
                self.join((id, side, &from), (&node, &port));
            }
            (None, Some(Hit::Pane(Pane::Canvas)), _) if side == Side::Output => {
                self.open_add("", vec![id.to_owned()], Vec::new());
            }
            (None, Some(Hit::Pane(Pane::Canvas)), _) => self.open_add("", Vec::new(), vec![id.to_owned()]),
            (None, target, ends) => {
                let node = match &target {
                    Some(Hit::Port(node, _, _) | Hit::Spot(Spot::Node(node))) => Some(node.as_str()),
                    _ => None,
                };
                match ends {
                    Err(why) => self.bad(why.clone()),
                    Ok(_) => self.say(format!("nothing there is joined to {}", from.ty)),
                }
                if node.is_some_and(|node| node != id) {
                    self.open_ways(id, side, &from, node);
                }
            }
        }
    }

    /// The right button: what can be done with what is there.
    fn menu(&mut self, at: (u16, u16)) {
        if !self.layers.is_empty() {
            return self.act(Verb::Back.into());
        }
        match self.hit(at).or_else(|| self.thing_hit(at)) {
            Some(Hit::Spot(spot)) => {
                let verbs = match &spot {
                    Spot::Node(_) => OF_NODE,
                    Spot::Group(_) => OF_GROUP,
                    Spot::Note(_) => &[Verb::Enter, Verb::Delete],
                };
                self.enter_pane(Pane::Canvas);
                self.choose(spot);
                self.open_menu(verbs);
            }
            Some(Hit::Port(id, side, port)) => {
                self.enter_pane(Pane::Canvas);
                self.choose_node(&id);
                self.port = Some((side, port));
                self.open_menu(&[Verb::Connect, Verb::CutWire, Verb::GoSource, Verb::GoUser]);
            }
            Some(Hit::Pane(Pane::Canvas)) => self.open_menu(OF_CANVAS),
            _ => self.open_actions(false),
        }
    }

    fn wheel(&mut self, at: (u16, u16), modifiers: KeyModifiers, by: i32) {
        if !self.layers.is_empty() {
            return self.step_layer(by as isize, true);
        }
        if self.on_canvas(at).is_some() {
            return match modifiers {
                m if m.contains(KeyModifiers::CONTROL) => self.step_level(-by as isize),
                m if m.contains(KeyModifiers::SHIFT) => self.view.pan(4 * by, 0, self.drawing.scene.bounds),
                _ => self.view.pan(0, 2 * by, self.drawing.scene.bounds),
            };
        }
        let pane = [Pane::Inspector, Pane::Dock, Pane::Preview].into_iter().find(|pane| {
            let regions = self.regions();
            let area = match pane {
                Pane::Inspector => regions.inspector,
                Pane::Preview => regions.preview,
                _ => regions.dock,
            };
            area.contains(ratatui::layout::Position::new(at.0, at.1))
        });
        match pane {
            Some(Pane::Dock) if self.tab == Tab::Log => self.step_row(3 * by),
            Some(Pane::Dock) => self.step_row(by),
            Some(Pane::Preview) => self.step_shot(-by),
            Some(_) => {
                let last = self.params().len().saturating_sub(1);
                self.field = self.field.saturating_add_signed(by as isize).min(last);
            }
            None => {}
        }
    }
}
