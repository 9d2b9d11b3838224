//! The loop: wait, take all that has come, update, draw if something changed; sleep otherwise.

use crate::effect::Effect;
use crate::event::{Event, FileEvent};
use crate::keymap::Keymap;
use crate::pace::{FRAME, Pace};
use crate::session::{How, Session};
use crate::state::{Dirty, State};
use crate::survey::Survey;
use crate::terminal::{self, Guard, Screen};
use crate::{clipboard, view};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use ratatui::backend::CrosstermBackend;
use std::io::{self, Write as _, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

mod early;
mod files;
mod graphics;
mod input;
mod outside;
mod picture;

/// How the editor is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The graph to open.
    pub graph: Option<PathBuf>,
    /// The worker.
    pub worker: How,
    /// Whether the worker is on another machine.
    pub remote: bool,
    /// Whether the mouse is taken.
    pub mouse: bool,
    /// Colours.
    pub theme: crate::theme::Theme,
    /// Signs.
    pub glyphs: crate::glyph::Glyphs,
    /// Whether pictures may be sent in the terminal's own way, or only as coloured cells.
    pub pictures: bool,
    /// Keys, the user's own among them.
    pub keymap: Keymap,
    /// What is wrong with the user's own settings.
    pub problems: Vec<crate::state::Problem>,
}

/// Runs the editor until the user leaves it.
///
/// # Errors
/// The terminal refuses.
pub fn run(options: Options) -> io::Result<()> {
    let guard = Guard::take(options.mouse)?;
    let screen = Screen::new(CrosstermBackend::new(stdout()))?;
    let size = screen.size()?;
    let (to, events) = unbounded();
    let reader = input::Reader::start(&to, options.pictures)?;
    input::signals(&to)?;
    let files = files::Files::start(&to);
    let pictures = graphics::encoder(&to);
    let mut state = State::new(
        Arc::new(options.keymap),
        options.theme,
        options.glyphs,
        (size.width, size.height),
    );
    state.offset = chrono::Local::now().offset().local_minus_utc();
    state.remote = options.remote;
    state.home = files::home();
    state.setup_problems = options.problems;
    state.tour = (!files.tour_was_seen()).then_some(0);
    let mut app = App {
        guard,
        screen,
        state,
        reader,
        files,
        pictures,
        surveys: surveyor(&to),
        to,
        how: options.worker,
        session: None,
        workers: 0,
        pace: Pace::default(),
        early: early::Early::default(),
        anew: false,
        over: false,
    };
    app.state.now = now();
    app.files.send(files::Job::Open(0, options.graph));
    app.start_worker();
    let result = app.begin(options.pictures).and_then(|()| app.turn(&events));
    app.end();
    result
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

struct App {
    guard: Guard,
    screen: Screen,
    state: State,
    to: Sender<Event>,
    reader: input::Reader,
    files: files::Files,
    pictures: Sender<graphics::Job>,
    surveys: Sender<Box<Survey>>,
    how: How,
    session: Option<Session>,
    workers: usize,
    pace: Pace,
    early: early::Early,
    /// Whether the next frame writes every cell.
    anew: bool,
    over: bool,
}

impl App {
    /// The first frame waits for nothing, and no answer of the terminal is waited for: it comes among the keys.
    fn begin(&mut self, pictures: bool) -> io::Result<()> {
        self.draw()?;
        if !pictures {
            return Ok(());
        }
        let (picker, question) = graphics::guess();
        drop(self.pictures.send(graphics::Job::Terminal(picker)));
        let mut out = stdout();
        out.write_all(question.as_bytes())?;
        out.flush()
    }

    fn turn(&mut self, events: &Receiver<Event>) -> io::Result<()> {
        while !self.over {
            let first = match self.patience() {
                Some(wait) => match events.recv_timeout(wait) {
                    Ok(event) => event,
                    Err(RecvTimeoutError::Timeout) => Event::Timer,
                    Err(RecvTimeoutError::Disconnected) => break,
                },
                None => match events.recv() {
                    Ok(event) => event,
                    Err(_) => break,
                },
            };
            self.take(first)?;
            // All that has come meanwhile belongs to the same frame.
            let until = Instant::now() + FRAME;
            while let Ok(event) = events.try_recv() {
                self.take(event)?;
                if self.over || Instant::now() > until {
                    break;
                }
            }
            self.state.counters.batches += 1;
            if self.due().is_some_and(|wait| wait.is_zero()) {
                self.draw()?;
            }
        }
        Ok(())
    }

    /// How long to wait for an event: until a frame is due, or until something happens by itself.
    fn patience(&self) -> Option<Duration> {
        let deadline = self
            .state
            .deadline()
            .map(|at| Duration::from_millis(at.saturating_sub(now())));
        [deadline, self.due()].into_iter().flatten().min()
    }

    /// How long until the next frame; none when there is nothing to draw.
    fn due(&self) -> Option<Duration> {
        self.pace.due(self.state.dirty, Instant::now())
    }

    fn draw(&mut self) -> io::Result<()> {
        let state = &mut self.state;
        state.counters.frames += 1;
        let mut hits = Vec::new();
        let anew = std::mem::take(&mut self.anew);
        terminal::draw(&mut self.screen, anew, |frame| hits = view::draw(state, frame))?;
        state.hits = hits;
        state.dirty = Dirty::No;
        self.pace.drawn(Instant::now());
        Ok(())
    }

    fn take(&mut self, event: Event) -> io::Result<()> {
        if let Event::WorkerGone(gone) = &event {
            if self
                .session
                .as_ref()
                .is_some_and(|session| session.number() != gone.number)
            {
                return Ok(());
            }
            self.session = None;
        }
        if self.early.holds(&event, &self.state) {
            return Ok(());
        }
        self.follow(event)?;
        while let Some(event) = self.early.next(&self.state) {
            self.follow(event)?;
        }
        Ok(())
    }

    /// Takes an event whose time has come.
    fn follow(&mut self, event: Event) -> io::Result<()> {
        let effects = self.state.update(event, now());
        effects.into_iter().try_for_each(|effect| self.perform(effect))
    }

    fn perform(&mut self, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::Ask(request) => {
                if let Some(session) = &self.session {
                    session.ask(&request);
                }
            }
            Effect::StartWorker => self.start_worker(),
            Effect::List(id, path) => self.files.send(files::Job::List(id, path)),
            Effect::Save {
                sheet,
                path,
                text,
                expected,
            } => self.files.send(files::Job::Save {
                sheet,
                path,
                text,
                expected,
            }),
            Effect::Extract { path, text, count } => self.files.send(files::Job::Extract { path, text, count }),
            Effect::Open(sheet, path) => self.files.send(files::Job::Open(sheet, path)),
            Effect::Journal(sheet, entry) => self.files.send(files::Job::Journal(sheet, entry)),
            Effect::Close(sheet) => self.files.send(files::Job::Close(sheet)),
            Effect::Copy(text) => clipboard::send(stdout(), &text)?,
            Effect::Outside { text, extension } => {
                let result = self.outside(&text, extension)?;
                self.take(Event::Outside(result))?;
            }
            Effect::Encode { key, bytes, size } => {
                drop(self.pictures.send(graphics::Job::Picture(key, bytes, size)));
            }
            Effect::Graphics(picker) => drop(self.pictures.send(graphics::Job::Terminal(*picker))),
            Effect::Survey(survey) => drop(self.surveys.send(survey)),
            Effect::Keep(record) => self.files.send(files::Job::Keep(record)),
            Effect::KeepPicture(began, nth, bytes) => self.files.send(files::Job::KeepPicture(began, nth, bytes)),
            Effect::ReadKept(key, began, nth) => self.files.send(files::Job::ReadKept(key, began, nth)),
            Effect::Look { sheet, path, expected } => self.files.send(files::Job::Look { sheet, path, expected }),
            Effect::Runs(graph) => self.files.send(files::Job::Runs(graph)),
            Effect::TourSeen => self.files.send(files::Job::TourSeen),
            Effect::Suspend => {
                terminal::give_back();
                self.reader.pause();
                // Stops this process here; it goes on when the shell says so.
                let _ = signal_hook::low_level::raise(signal_hook::consts::SIGSTOP);
                self.again()?;
            }
            Effect::Redraw => self.anew = true,
            Effect::Quit => self.over = true,
        }
        Ok(())
    }

    /// The terminal is ours once more.
    fn again(&mut self) -> io::Result<()> {
        self.guard.again()?;
        self.reader.go_on();
        self.anew = true;
        let size = self.screen.size()?;
        self.take(Event::Resize(size.width, size.height))
    }

    /// Lets the user's own editor work on a text.
    fn outside(&mut self, text: &str, extension: &str) -> io::Result<Result<String, String>> {
        terminal::give_back();
        self.reader.pause();
        let result = outside::edit(text, extension);
        self.again()?;
        Ok(result)
    }

    fn start_worker(&mut self) {
        if let Some(old) = self.session.take() {
            old.kill();
        }
        self.workers += 1;
        match Session::start(&self.how, self.workers, &self.to) {
            Ok(session) => {
                self.session = Some(session);
                self.state.greet();
                for effect in std::mem::take(&mut self.state.outbox) {
                    if let (Effect::Ask(request), Some(session)) = (&effect, &self.session) {
                        session.ask(request);
                    } else {
                        self.state.outbox.push(effect);
                    }
                }
            }
            Err(gone) => drop(self.to.send(Event::WorkerGone(gone))),
        }
    }

    fn end(self) {
        drop(self.guard);
        if let Some(session) = &self.session {
            session.ask(&protocol::Request {
                id: u64::MAX,
                ask: protocol::Ask::Quit,
            });
        }
        self.files.finish();
    }
}

/// Looks at large graphs on a thread of its own; of several looks that wait, the newest is taken.
fn surveyor(events: &Sender<Event>) -> Sender<Box<Survey>> {
    let (to, surveys) = unbounded::<Box<Survey>>();
    let events = events.clone();
    std::thread::spawn(move || {
        while let Ok(first) = surveys.recv() {
            let survey = surveys.try_iter().last().unwrap_or(first);
            if events.send(Event::Surveyed(Box::new(survey.run()))).is_err() {
                return;
            }
        }
    });
    to
}

/// What the files thread says of a failure.
fn failed(what: &str, error: &dyn std::fmt::Display) -> Event {
    Event::File(FileEvent::Failed(format!("{what}: {error}")))
}
