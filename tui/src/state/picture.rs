//! The graph as it is seen: looked at anew after a change, moved, shown in more or less detail.

use super::{Dirty, State};
use crate::effect::Effect;
use crate::mirror::fingerprints;
use crate::scene::{Drawing, Made};
use crate::survey::{LARGE, Survey, Surveyed};
use canvas::{Level, Rect, Size};
use std::sync::Arc;

/// A look that is being taken elsewhere, and what is to be done once it is.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    /// Its number.
    number: u64,
    /// Whether a picture comes with it.
    picture: bool,
    /// The chosen thing is shown.
    reveal: bool,
    /// The chosen thing stays where it is seen; it was here in the picture before.
    keep: Option<Rect>,
    /// The levels that are tried next if the picture does not fit.
    fit: Option<Vec<Level>>,
}

impl State {
    /// Looks at the graph anew: problems, places, what depends on what.
    pub fn refresh(&mut self) {
        if let Some(name) = &self.inside
            && !crate::edit::layout::read(&self.document).groups.contains_key(name)
        {
            self.inside = None;
        }
        let before = std::mem::take(&mut self.drawing);
        let inside = self.inside.as_deref();
        let (drawing, made) = Drawing::new(&self.document, &self.catalog, self.level, before, inside);
        self.drawing = drawing;
        if self.document.nodes().len() > LARGE {
            self.survey(made);
        } else {
            self.pending = None;
            self.judge();
        }
        let known = |id: &String| self.document.node(id).is_some();
        self.marked.retain(known);
        self.settle_cursor();
        self.resized();
        self.dirty = Dirty::Yes;
    }

    fn judge(&mut self) {
        let prints = fingerprints(&self.document, &self.frozen_prints);
        (self.prints, self.older) = (prints.all, prints.older);
        self.problems = super::problems(&self.document, self.knows_types.then_some(&self.catalog));
    }

    /// Problems and dependences are those of the graph as it is now, however large it is.
    pub(crate) fn judge_now(&mut self) {
        if self.pending.is_some() {
            self.judge();
        }
    }

    /// Whether a picture is made in which there may be more than in this one.
    pub(super) fn waits_for_picture(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.picture)
    }

    /// Asks for a look at what the graph is now; one that was asked for before is not waited for.
    fn survey(&mut self, made: Made) {
        self.surveys += 1;
        let pending = self.pending.get_or_insert_default();
        pending.number = self.surveys;
        pending.picture = match made {
            Made::Same => pending.picture,
            Made::Whole => false,
            Made::Wanted => true,
        };
        let drawing = &self.drawing;
        let before = (!drawing.scene.tiles.is_empty()).then(|| Arc::clone(&drawing.scene));
        self.outbox.push(Effect::Survey(Box::new(Survey {
            number: self.surveys,
            text: self.document.shared_text(),
            frozen: self.frozen_prints.clone(),
            catalog: self.knows_types.then(|| self.catalog.clone()),
            picture: pending.picture.then(|| (Arc::clone(&drawing.model), before)),
        })));
    }

    /// A look was taken.
    pub(crate) fn surveyed(&mut self, surveyed: Surveyed) {
        let Some(pending) = self.pending.take_if(|pending| pending.number == surveyed.number) else {
            return;
        };
        self.problems = surveyed.problems;
        (self.prints, self.older) = (surveyed.prints.all, surveyed.prints.older);
        self.dirty = Dirty::Yes;
        let Some(scene) = surveyed.scene else { return };
        self.drawing.scene = scene;
        self.settle_cursor();
        if let (Some(old), Some(new)) = (pending.keep, self.cursor_tile().map(|tile| tile.rect)) {
            self.view.keep(old, new);
        }
        self.resized();
        match pending.fit {
            Some(levels) if !levels.is_empty() && !self.fits() => self.fit_level(&levels),
            Some(_) => self.show_whole(),
            None if pending.reveal => self.reveal(),
            None => {}
        }
    }

    /// The screen or the panes have another size.
    pub fn resized(&mut self) {
        let canvas = crate::regions::inside(self.regions().canvas);
        self.view.size = Size::new(i32::from(canvas.width), i32::from(canvas.height));
        self.view.clamp(self.drawing.scene.bounds);
        self.dirty = Dirty::Yes;
    }

    /// Shows the chosen thing.
    pub fn reveal(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.reveal = true;
        }
        if let Some(rect) = self.cursor_tile().map(|tile| tile.rect) {
            self.view.reveal(rect, 2);
            self.view.clamp(self.drawing.scene.bounds);
        }
        self.dirty = Dirty::Yes;
    }

    /// Takes the level at which the graph fits best.
    pub fn fit(&mut self) {
        self.fit_level(&[Level::Normal, Level::Compact, Level::Map]);
    }

    pub(super) fn fit_level(&mut self, levels: &[Level]) {
        for (at, level) in levels.iter().enumerate() {
            self.set_level(*level);
            if let Some(pending) = self.pending.as_mut().filter(|pending| pending.picture) {
                pending.fit = Some(levels[at + 1..].to_vec());
                return;
            }
            if self.fits() {
                break;
            }
        }
        self.show_whole();
    }

    fn fits(&self) -> bool {
        let bounds = self.drawing.scene.bounds;
        bounds.w <= self.view.size.w && bounds.h <= self.view.size.h
    }

    fn show_whole(&mut self) {
        self.view.centre(self.drawing.scene.bounds);
        self.view.clamp(self.drawing.scene.bounds);
        self.reveal();
    }

    /// Shows more or less of each node; the chosen one stays where it is seen.
    pub fn set_level(&mut self, level: Level) {
        if level == self.level {
            return;
        }
        let old = self.cursor_tile().map(|tile| tile.rect);
        self.level = level;
        self.refresh();
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.picture) {
            pending.keep = old;
        } else if let (Some(old), Some(new)) = (old, self.cursor_tile().map(|tile| tile.rect)) {
            self.view.keep(old, new);
        }
        self.view.clamp(self.drawing.scene.bounds);
        self.reveal();
    }
}
