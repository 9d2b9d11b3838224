//! Which pictures are looked at, and what must be fetched and made ready for that.

use crate::effect::Effect;
use crate::event::Encoded;
use crate::layer::{Body, Layer, Page};
use crate::regions::inside;
use crate::state::{Asked, Dirty, State};

/// A picture to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub key: u64,
    /// A few words.
    pub title: String,
    /// The node it comes from.
    pub node: String,
}

/// Pictures that are fetched are at most this large, in pixels.
const MOST: u32 = 1024;

/// Pictures that are kept with their run are at most this large, in pixels.
const KEPT: u32 = 384;

/// Numbers of pictures of files begin here; those of runs count from 0.
const FILES: u64 = 1 << 40;

impl State {
    /// The pictures of the preview, newest last: of the run that is looked at, else of the newest; of the chosen node
    /// where it has some.
    pub fn seen_pictures(&self) -> Vec<Seen> {
        if let Some(record) = self
            .looked_at
            .and_then(|began| self.past.iter().find(|run| run.began == began))
        {
            let files = record.files.iter().filter(|(_, file)| is_picture(file));
            return files
                .enumerate()
                .filter_map(|(nth, (node, file))| {
                    Some(Seen {
                        key: *self.seen.get(&(record.began, nth))?,
                        title: file.rsplit('/').next().unwrap_or(file).to_owned(),
                        node: node.clone(),
                    })
                })
                .collect();
        }
        let runs = self.mirror.here();
        let of_node = self.node().and_then(|id| {
            let mut shown = runs.clone().filter(|run| run.shots.iter().any(|shot| shot.node == id));
            shown.next().map(|run| (run, Some(id)))
        });
        let newest = || runs.clone().find(|run| !run.shots.is_empty()).map(|run| (run, None));
        let Some((run, node)) = of_node.or_else(newest) else {
            return Vec::new();
        };
        let shots = run.shots.iter().filter(|shot| node.is_none_or(|id| shot.node == id));
        shots
            .map(|shot| Seen {
                key: shot.key,
                title: shot.title.clone(),
                node: shot.node.clone(),
            })
            .collect()
    }

    /// The chosen picture, with its place among the others.
    pub fn seen_picture(&self) -> Option<(Seen, usize, usize)> {
        let all = self.seen_pictures();
        let back = self.shot.min(all.len().checked_sub(1)?);
        let at = all.len() - 1 - back;
        Some((all[at].clone(), at, all.len()))
    }

    /// To an older (1) or newer (-1) picture.
    pub(super) fn step_shot(&mut self, by: i32) {
        let last = self.seen_pictures().len().saturating_sub(1);
        self.shot = self.shot.saturating_add_signed(by as isize).min(last);
    }

    pub(super) fn picture_full(&mut self) {
        let Some((seen, _, _)) = self.seen_picture() else {
            return self.say("no pictures yet: run a graph that makes some");
        };
        self.layers.push(Layer::Page(Page {
            title: format!("{}  {}", seen.node, seen.title),
            body: Body::Picture(seen.key),
            scroll: 0,
        }));
    }

    /// What pictures the screen shows, with their sizes in cells.
    pub fn wanted_pictures(&self) -> Vec<(u64, (u16, u16))> {
        let mut wanted = Vec::new();
        let regions = self.regions();
        let preview = inside(regions.preview);
        if preview.height > 1
            && let Some((seen, _, _)) = self.seen_picture()
        {
            wanted.push((seen.key, (preview.width, preview.height - 1)));
        }
        if let Some(Layer::Page(page)) = self.layers.last() {
            let (width, height) = (self.size.0.saturating_sub(2), self.size.1.saturating_sub(4));
            match &page.body {
                Body::Picture(key) => wanted.push((*key, (width, height))),
                Body::Compare(runs) => {
                    let each = width / runs.len().max(1) as u16;
                    for began in runs {
                        let record = self.past.iter().find(|run| run.began == *began);
                        if let Some(key) = record.and_then(|run| self.last_picture(run)) {
                            wanted.push((key, compare_size(each, height)));
                        }
                    }
                }
                Body::Lines(_) => {}
            }
        }
        wanted.retain(|(_, (w, h))| *w > 0 && *h > 0);
        wanted
    }

    /// Fetches and makes ready what is looked at.
    pub(super) fn want_pictures(&mut self) {
        self.number_files();
        for (key, size) in self.wanted_pictures() {
            let shot = self.shots.entry(key).or_default();
            if shot
                .encoded
                .as_ref()
                .is_some_and(|(made, result)| *made == size || result.is_err())
            {
                continue;
            }
            if let Some(bytes) = shot.bytes.clone() {
                if shot.wanted != Some(size) {
                    shot.wanted = Some(size);
                    self.outbox.push(Effect::Encode { key, bytes, size });
                }
                continue;
            }
            if std::mem::replace(&mut shot.asked, true) {
                continue;
            }
            match self.seen.iter().find(|(_, number)| **number == key) {
                Some((&(began, nth), _)) => self.outbox.push(Effect::ReadKept(key, began, nth)),
                None => self.fetch_picture(key),
            }
        }
    }

    /// Asks the worker for the picture of a file.
    fn fetch_picture(&mut self, key: u64) {
        let Some(path) = self.file_of(key) else {
            return;
        };
        let ask = protocol::Ask::ReadPicture {
            path,
            width: MOST,
            height: MOST,
        };
        self.ask(Asked::Picture(key), ask);
    }

    /// A picture that was kept with its run came, or was not kept: then the file is looked at, whatever it is by now.
    pub(super) fn kept_came(&mut self, key: u64, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(bytes) => self.shots.entry(key).or_default().bytes = Some(bytes.into()),
            None => self.fetch_picture(key),
        }
    }

    /// Asks for small copies of the pictures of a run that ended, to keep them with it.
    pub(super) fn keep_pictures(&mut self, run: &crate::runs::Record) {
        for (nth, file) in run.pictures().enumerate().take(crate::runs::PICTURES) {
            let ask = protocol::Ask::ReadPicture {
                path: file.clone(),
                width: KEPT,
                height: KEPT,
            };
            self.ask(Asked::Keep(run.began, nth), ask);
        }
    }

    /// The number of a run's last picture.
    pub fn last_picture(&self, run: &crate::runs::Record) -> Option<u64> {
        let last = run.pictures().count().checked_sub(1)?;
        self.seen.get(&(run.began, last)).copied()
    }

    /// Gives numbers to the picture files of runs that are looked at.
    fn number_files(&mut self) {
        let looked = self.looked_at.iter().copied();
        let compared = self.layers.iter().flat_map(|layer| match layer {
            Layer::Page(Page {
                body: Body::Compare(runs),
                ..
            }) => runs.clone(),
            _ => Vec::new(),
        });
        let runs: Vec<u64> = looked.chain(compared).collect();
        for record in self.past.iter().filter(|run| runs.contains(&run.began)) {
            for nth in 0..record.pictures().count() {
                let next = FILES + self.seen.len() as u64;
                self.seen.entry((record.began, nth)).or_insert(next);
            }
        }
    }

    fn file_of(&self, key: u64) -> Option<String> {
        if key >= FILES {
            let (began, nth) = self.seen.iter().find(|(_, number)| **number == key)?.0;
            let record = self.past.iter().find(|run| run.began == *began)?;
            return record.pictures().nth(*nth).cloned();
        }
        let shots = self.mirror.runs.iter().flat_map(|run| &run.shots);
        shots.filter(|shot| shot.key == key).find_map(|shot| shot.file.clone())
    }

    pub(super) fn on_picture(&mut self, key: u64, size: (u16, u16), encoded: Result<Encoded, String>) {
        if let Some(shot) = self.shots.get_mut(&key) {
            if shot.wanted == Some(size) {
                shot.wanted = None;
            }
            shot.encoded = Some((size, encoded));
            self.dirty = Dirty::Yes;
        }
        self.forget_pictures();
    }

    /// The terminal said how it shows pictures: what was made ready before is made ready again.
    pub(super) fn on_graphics(&mut self, picker: Box<ratatui_image::picker::Picker>) {
        for shot in self.shots.values_mut() {
            shot.encoded.take_if(|(_, made)| made.is_ok());
            shot.wanted = None;
        }
        self.outbox.push(Effect::Graphics(picker));
        self.dirty = Dirty::Yes;
    }

    /// Pictures that can be fetched again are let go when there are many.
    fn forget_pictures(&mut self) {
        const MANY: usize = 128;
        if self.shots.len() <= MANY {
            return;
        }
        let wanted: Vec<u64> = self.wanted_pictures().into_iter().map(|(key, _)| key).collect();
        let known: Vec<u64> = self
            .mirror
            .runs
            .iter()
            .flat_map(|run| &run.shots)
            .map(|shot| shot.key)
            .collect();
        self.shots.retain(|key, _| wanted.contains(key) || known.contains(key));
    }
}

/// The size of a picture among others, beside which numbers and losses stand.
pub(crate) fn compare_size(width: u16, height: u16) -> (u16, u16) {
    (width.saturating_sub(2), height * 2 / 5)
}

fn is_picture(file: &str) -> bool {
    let lower = file.to_lowercase();
    [".png", ".jpg", ".jpeg", ".webp"]
        .iter()
        .any(|end| lower.ends_with(end))
}
