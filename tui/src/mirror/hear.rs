//! What an event of the worker changes.

use super::status::progress;
use super::words::sentence;
use super::{Mirror, Phase, Shot, Status};
use protocol::Event;

impl Mirror {
    /// Takes note of an event. Gives the number and the bytes of a picture that came with it.
    pub fn hear(&mut self, ask: u64, event: Event, now: u64) -> Option<(u64, Vec<u8>)> {
        let said = sentence(&event);
        let key = self.shots;
        let run = self.by_ask(ask)?;
        let mut picture = None;
        match event {
            Event::RunStarted { nodes } => {
                run.phase = Phase::Running;
                run.total = nodes;
            }
            Event::Started { node, .. } => {
                run.nodes.insert(node, Status::running(now));
            }
            Event::Reading {
                node, bytes, of_bytes, ..
            } => {
                let share = 100 * bytes / of_bytes.max(1);
                let why = format!("its files are read: {share} %");
                run.nodes.insert(node, Status::Waiting { why });
            }
            Event::Waiting { node, why } => {
                run.nodes.insert(node, Status::Waiting { why });
            }
            Event::Progress {
                node,
                done,
                total,
                note,
            } => {
                if !matches!(run.nodes.get(&node), Some(Status::Running { .. })) {
                    run.nodes.insert(node.clone(), Status::running(now));
                }
                if let Some(status) = run.nodes.get_mut(&node) {
                    progress(status, done, total, note, now);
                }
            }
            Event::Metric {
                node,
                name,
                step,
                value,
            } => {
                if let Some(value) = value {
                    run.series
                        .entry(format!("{node}.{name}"))
                        .or_default()
                        .push(step, value);
                }
            }
            Event::Preview {
                node,
                step,
                note,
                picture: sent,
            } => {
                let title = if note.is_empty() {
                    format!("step {step}")
                } else {
                    format!("step {step}  {note}")
                };
                picture = Some((key, sent.png.0));
                run.add_shot(Shot {
                    key,
                    node,
                    title,
                    file: None,
                });
                self.shots += 1;
            }
            Event::Log { .. } => {}
            Event::Done {
                node,
                seconds,
                files,
                key,
            } => {
                run.keys.insert(node.clone(), key);
                run.nodes.insert(node.clone(), Status::Done { seconds });
                self.add_files(ask, &node, files);
            }
            Event::Cached { node, files, key, .. } => {
                run.keys.insert(node.clone(), key);
                run.nodes.insert(node.clone(), Status::Cached);
                self.add_files(ask, &node, files);
            }
            Event::Older { node } => drop(run.older.insert(node)),
            Event::Loaded { node, seconds } => {
                run.nodes.insert(node, Status::Loaded { seconds });
            }
            Event::Failed {
                node, message, help, ..
            } => {
                run.nodes.insert(node, Status::Failed { message, help });
            }
            Event::Skipped { node, because } => {
                run.nodes.insert(node, Status::Skipped { because });
            }
            Event::RunFinished { summary } => run.summary = Some(summary),
        }
        if let Some((node, mark, text)) = said {
            self.say(now, node.as_deref(), mark, text);
        }
        picture
    }

    fn add_files(&mut self, ask: u64, node: &str, files: Vec<String>) {
        for file in files {
            let key = self.shots;
            let Some(run) = self.by_ask(ask) else {
                return;
            };
            let lower = file.to_lowercase();
            if [".png", ".jpg", ".jpeg", ".webp"]
                .iter()
                .any(|end| lower.ends_with(end))
            {
                let title = file.rsplit('/').next().unwrap_or(&file).to_owned();
                run.add_shot(Shot {
                    key,
                    node: node.to_owned(),
                    title,
                    file: Some(file.clone()),
                });
                self.shots += 1;
            }
            if let Some(run) = self.by_ask(ask) {
                run.files.push((node.to_owned(), file));
            }
        }
    }
}
