//! Runs a training as a node does: with progress, checkpoints, and resuming what was interrupted.

use super::memory::Resident;
use super::show::{Pace, Show};
use super::{Control, Trainer};
use crate::adapter::Adapter;
use sdk::{Cell, Context, Error, Live, Result, ResultExt, Table, atomic};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Checkpoints kept of one training: the newest, and the one before in case it is damaged.
const KEPT: usize = 2;
/// Losses that the shown mean covers.
const WINDOW: usize = 20;

/// Trains to the end, or until the user stops it; a stopped or killed training goes on from its last checkpoint
/// and ends with the same bytes as one that was never interrupted.
///
/// Writes a checkpoint every `checkpoint_every` steps (0: only when stopped) into the step's scratch folder.
/// The table holds the loss of each step. The log says how much memory the training is thought to need, and what it took.
///
/// While it goes on, the user may ask for a sample, a checkpoint, or an early end whose result is that of a training
/// with so many steps. When somebody looks, samples are drawn unasked after checkpoints, in a small share of the time.
///
/// # Errors
/// Losses that are not finite, a full disk, and cancellation.
pub fn drive(
    context: &Context,
    mut trainer: Trainer,
    checkpoint_every: usize,
    show: &Show<'_>,
) -> Result<(Adapter, Table)> {
    let folder = context.scratch();
    if let Some(folder) = &folder {
        resume(context, folder, &mut trainer);
    }
    let estimate = trainer.memory_estimate()?;
    let how = if trainer.recomputes() { "computed twice" } else { "kept" };
    context.info(format!("memory {estimate}; activations are {how}"));
    let needed = estimate.activations + estimate.optimizer;
    let mut room = context.reserve_with(|| needed + trainer.missing_panels())?;
    let before = Resident::read();
    let total = trainer.options().steps;
    let ranks: Vec<usize> = trainer.modules().map(|(_, rank)| rank).collect();
    let (least, most) = (ranks.iter().min().unwrap_or(&0), ranks.iter().max().unwrap_or(&0));
    let ranks_text = if least == most {
        format!("rank {most}")
    } else {
        format!("ranks {least} to {most}")
    };
    context.info(format!("{} modules learn with {ranks_text}", ranks.len()));
    context.progress(trainer.step_count(), total, "");
    // Asked for before the first step: nothing yet, but it says that this node listens.
    let mut asked = context.live();
    let (mut stopped, mut kept) = (false, false);
    let mut pace = Pace::new();
    trainer.run(|trainer, progress| {
        // What the first step made counts with the model.
        room.shrink(needed);
        let recent = &trainer.losses()[trainer.losses().len().saturating_sub(WINDOW)..];
        let mean = recent.iter().sum::<f64>() / recent.len() as f64;
        context.metric("loss", progress.step, progress.loss);
        context.progress(progress.step, total, format!("loss {mean:.4}"));
        asked.extend(context.live());
        let is_asked = |what: Live| asked.contains(&what);
        let more = progress.step < total;
        kept = more && is_asked(Live::StopAndKeep);
        stopped = more && !kept && context.cancelled();
        let due = more && checkpoint_every > 0 && progress.step % checkpoint_every == 0;
        let backup = is_asked(Live::BackUpNow);
        if let (true, Some(folder)) = (stopped || kept || due || backup, &folder) {
            match save(folder, trainer) {
                Ok(file) if backup => context.info(format!("backed up at step {}: {}", progress.step, file.display())),
                Ok(_) => {}
                Err(error) => context.warn(format!("{error}; the training goes on without this checkpoint")),
            }
        }
        let unasked = due && context.previews() && pace.is_due();
        if !stopped && (unasked || is_asked(Live::SampleNow)) {
            let begun = Instant::now();
            match trainer.learnt().and_then(|learnt| show.draw(context, &learnt)) {
                Ok(image) => context.preview(progress.step, show.prompt, image),
                // Asked to stop in the middle of a sample: the next step sees it.
                Err(error) if error.is_cancelled() => {}
                Err(error) => context.warn(format!("no sample: {error}")),
            }
            pace.drawn(begun);
        }
        asked.clear();
        Ok(if stopped || kept {
            Control::Stop
        } else {
            Control::Continue
        })
    })?;
    if stopped {
        return Err(Error::cancelled());
    }
    if kept {
        let step = trainer.step_count();
        context.stands_for("steps", step);
        context.warn(format!(
            "ended at step {step} of {total} as asked: this is the result of `steps` {step}; the next run with {total} goes on from here"
        ));
    }
    if let (Some(before), Some(after)) = (before, Resident::read()) {
        context.info(before.compare(after, &estimate));
    }
    let mut losses = Table::new(["step", "loss"]);
    for (index, &loss) in trainer.losses().iter().enumerate() {
        losses.push([Cell::from(index + 1), Cell::from(loss)]);
    }
    Ok((trainer.adapter()?, losses))
}

fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|p| p.extension().is_some_and(|e| e == "checkpoint"))
        .collect();
    files.sort();
    files
}

fn save(folder: &Path, trainer: &Trainer) -> Result<PathBuf> {
    let file = folder.join(format!("{:09}.checkpoint", trainer.step_count()));
    atomic::write(&file, &trainer.state_bytes()?).context(|| "checkpoint")?;
    let files = checkpoints(folder);
    for old in files.iter().take(files.len().saturating_sub(KEPT)) {
        // An old checkpoint that stays costs space, nothing else.
        let _ = fs::remove_file(old);
    }
    Ok(file)
}

fn resume(context: &Context, folder: &Path, trainer: &mut Trainer) {
    for file in checkpoints(folder).iter().rev() {
        let restored = fs::read(file)
            .map_err(Error::from)
            .and_then(|bytes| trainer.restore(&bytes));
        match restored {
            Ok(()) => {
                context.info(format!("goes on from step {}", trainer.step_count()));
                return;
            }
            Err(error) => {
                context.warn(format!("checkpoint {} cannot be used: {error}", file.display()));
                let _ = fs::remove_file(file);
            }
        }
    }
}
