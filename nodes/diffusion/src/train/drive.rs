//! Runs a training as a node does: with progress, checkpoints, and resuming what was interrupted.

use super::memory::Resident;
use super::{Control, Trainer};
use crate::adapter::Adapter;
use sdk::{Cell, Context, Error, Result, ResultExt, Table, atomic};
use std::fs;
use std::path::{Path, PathBuf};

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
/// # Errors
/// Losses that are not finite, a full disk, and cancellation.
pub fn drive(context: &Context, mut trainer: Trainer, checkpoint_every: usize) -> Result<(Adapter, Table)> {
    let folder = context.scratch();
    if let Some(folder) = &folder {
        resume(context, folder, &mut trainer);
    }
    let estimate = trainer.memory_estimate()?;
    let how = if trainer.recomputes() { "computed twice" } else { "kept" };
    context.info(format!("memory {estimate}; activations are {how}"));
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
    let mut stopped = false;
    trainer.run(|trainer, progress| {
        let recent = &trainer.losses()[trainer.losses().len().saturating_sub(WINDOW)..];
        let mean = recent.iter().sum::<f64>() / recent.len() as f64;
        context.metric("loss", progress.step, progress.loss);
        context.progress(progress.step, total, format!("loss {mean:.4}"));
        stopped = context.cancelled() && progress.step < total;
        let due = checkpoint_every > 0 && progress.step % checkpoint_every == 0 && progress.step < total;
        if let (true, Some(folder)) = (stopped || due, &folder)
            && let Err(error) = save(folder, trainer)
        {
            context.warn(format!("{error}; the training goes on without this checkpoint"));
        }
        Ok(if stopped { Control::Stop } else { Control::Continue })
    })?;
    if stopped {
        return Err(Error::cancelled());
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

fn save(folder: &Path, trainer: &Trainer) -> Result<()> {
    let file = folder.join(format!("{:09}.checkpoint", trainer.step_count()));
    atomic::write(&file, &trainer.state_bytes()?).context(|| "checkpoint")?;
    let files = checkpoints(folder);
    for old in files.iter().take(files.len().saturating_sub(KEPT)) {
        // An old checkpoint that stays costs space, nothing else.
        let _ = fs::remove_file(old);
    }
    Ok(())
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
