//! Shows a run: bars on a terminal, lines in a log, JSON for programs.

use super::report;
use crate::execute::{Control, Sink};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use protocol::{Event, Level, Summary, size_text};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How to tell what happens.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Style {
    /// Bars on a terminal, lines elsewhere.
    Auto,
    /// One JSON object a line on standard output.
    Json,
    /// Plain lines.
    Lines,
    /// Nothing but the files written.
    Quiet,
}

pub(super) fn sink(style: Style) -> Arc<dyn Sink> {
    match style {
        Style::Json => Arc::new(Json),
        Style::Auto if std::io::stderr().is_terminal() => Arc::new(Bars::default()),
        Style::Auto | Style::Lines => Arc::new(Lines::default()),
        Style::Quiet => Arc::new(Quiet),
    }
}

/// For commands that read the files of a graph and run nothing: whoever waits sees how far they are.
pub(super) fn patient() -> Control {
    Control::new(sink(Style::Auto))
}

struct Json;

impl Sink for Json {
    fn event(&self, event: Event) {
        if let Ok(line) = serde_json::to_string(&event) {
            report::result(&line);
        }
        if let Event::Log { node: None, text, .. } = &event {
            report::say(text);
        }
        if let Event::Failed {
            node,
            ty,
            message,
            help,
        } = &event
        {
            report::say(&failed(node, ty, message, help.as_deref()));
        }
    }
}

struct Quiet;

impl Sink for Quiet {
    fn event(&self, event: Event) {
        match &event {
            Event::Done { files, .. } | Event::Cached { files, .. } => {
                files.iter().for_each(|file| report::result(file));
            }
            Event::Failed {
                node,
                ty,
                message,
                help,
            } => report::say(&failed(node, ty, message, help.as_deref())),
            _ => {}
        }
    }
}

/// What both kinds of people's output have in common.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Done { node, seconds, .. } => format!("  done     {node}  {seconds:.1} s"),
        Event::Loaded { node, seconds } => format!("  loaded   {node}  {seconds:.1} s"),
        Event::Log { node, level, text } => {
            let tag = if *level == Level::Warning { "warning" } else { "note" };
            match node {
                Some(node) => format!("  {tag:8} {node}: {text}"),
                None => format!("  {tag:8} {text}"),
            }
        }
        Event::Older { node } => format!("  frozen   {node}: its result is older than its inputs"),
        Event::Failed {
            node,
            ty,
            message,
            help,
        } => failed(node, ty, message, help.as_deref()),
        Event::RunFinished { summary } => finished(summary),
        _ => return None,
    })
}

/// How far the reading of a node's files is, in words.
fn reading(path: &str, (files, of_files): (u64, u64), (bytes, of_bytes): (u64, u64)) -> String {
    let of = format!("{} of {}", size_text(bytes), size_text(of_bytes));
    match of_files {
        1 => format!("{path}: {of} read"),
        _ => format!("{path}: {files} of {of_files} files, {of} read"),
    }
}

fn failed(node: &str, ty: &str, message: &str, help: Option<&str>) -> String {
    let mut text = format!("  failed   {node} ({ty}): {message}");
    if let Some(help) = help {
        text.push_str(&format!("\n           help: {help}"));
    }
    text
}

fn finished(summary: &Summary) -> String {
    let parts = [
        (summary.executed, "executed"),
        (summary.cached, "from the store"),
        (summary.loaded, "loaded"),
        (summary.failed, "failed"),
        (summary.skipped, "not run"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    format!("{} in {:.1} s", parts.join(", "), summary.seconds)
}

fn files(event: &Event) -> &[String] {
    match event {
        Event::Done { files, .. } | Event::Cached { files, .. } => files,
        _ => &[],
    }
}

/// Lines for a log: long work is heard of every few seconds.
#[derive(Default)]
struct Lines {
    last: Mutex<HashMap<String, Instant>>,
}

const EVERY: Duration = Duration::from_secs(5);

impl Sink for Lines {
    fn event(&self, event: Event) {
        match &event {
            Event::Started { node, ty } => {
                self.last
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(node.clone(), Instant::now());
                report::say(&format!("  started  {node} ({ty})"));
            }
            Event::Reading {
                node,
                path,
                files,
                of_files,
                bytes,
                of_bytes,
            } => {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.get(node).is_none_or(|at| at.elapsed() >= EVERY) {
                    last.insert(node.clone(), Instant::now());
                    let text = reading(path, (*files, *of_files), (*bytes, *of_bytes));
                    report::say(&format!("  reading  {node}  {text}"));
                }
            }
            Event::Progress {
                node,
                done,
                total,
                note,
            } => {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(at) = last.get_mut(node)
                    && at.elapsed() >= EVERY
                {
                    *at = Instant::now();
                    report::say(
                        format!(
                            "  {:>7}  {node}  {done}/{total}  {note}",
                            format!("{} %", done * 100 / (*total).max(1))
                        )
                        .trim_end(),
                    );
                }
            }
            _ => {
                if let Some(line) = line(&event) {
                    report::say(&line);
                }
                files(&event).iter().for_each(|file| report::result(file));
            }
        }
    }
}

/// The bar of files that are read before a run; no node has such a name.
const READING: &str = "";

/// Bars for a terminal: one for each running node, finished nodes above them. They stay short of 80 columns, since
/// the `^C` that a terminal echoes behind a full line would wrap and leave half a bar behind.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

/// A command that runs nothing ends with what it reads.
impl Drop for Bars {
    fn drop(&mut self) {
        for (_, bar) in self.bars.get_mut().unwrap_or_else(PoisonError::into_inner).drain() {
            bar.finish_and_clear();
        }
    }
}

impl Sink for Bars {
    fn event(&self, event: Event) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        match &event {
            Event::Started { node, ty } => {
                let bar = self.all.add(ProgressBar::no_length());
                let style = ProgressStyle::with_template("  {spinner} {prefix:.24}  {msg:.24}  {elapsed}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_prefix(node.clone());
                bar.set_message(ty.clone());
                bar.enable_steady_tick(Duration::from_millis(120));
                bars.insert(node.clone(), bar);
            }
            Event::Reading {
                node,
                files,
                of_files,
                bytes,
                of_bytes,
                ..
            } => {
                let bar = bars.entry(READING.to_owned()).or_insert_with(|| {
                    let style = ProgressStyle::with_template("  {spinner} {prefix:.24}  {bar:20} {msg:.36}");
                    let bar = self.all.add(ProgressBar::new(*of_bytes));
                    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                });
                bar.set_prefix(node.clone());
                bar.set_length((*of_bytes).max(1));
                bar.set_position(*bytes);
                let of = format!("{} of {}", size_text(*bytes), size_text(*of_bytes));
                bar.set_message(match of_files {
                    1 => format!("reading: {of}"),
                    _ => format!("reading {files}/{of_files}: {of}"),
                });
            }
            Event::Progress {
                node,
                done,
                total,
                note,
            } => {
                let Some(bar) = bars.get(node) else { return };
                if bar.length().is_none() {
                    let style = ProgressStyle::with_template(
                        "  {spinner} {prefix:.24}  {bar:20} {pos}/{len}  {msg:.24}  {eta}",
                    );
                    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                }
                bar.set_length(*total);
                bar.set_position(*done);
                bar.set_message(report::plain(note).into_owned());
            }
            _ => {
                if let Event::Done { node, .. } | Event::Failed { node, .. } | Event::Skipped { node, .. } = &event
                    && let Some(bar) = bars.remove(node)
                {
                    bar.finish_and_clear();
                }
                if matches!(event, Event::RunStarted { .. })
                    && let Some(bar) = bars.remove(READING)
                {
                    bar.finish_and_clear();
                }
                if matches!(event, Event::RunFinished { .. }) {
                    for (_, bar) in bars.drain() {
                        bar.finish_and_clear();
                    }
                }
                self.all.suspend(|| {
                    if let Some(line) = line(&event) {
                        report::say(&line);
                    }
                    files(&event).iter().for_each(|file| report::result(file));
                });
            }
        }
    }
}
