//! A prediction, a training step and a DDIM step of whole models.
//!
//! ```text
//! cargo bench --workspace --bench models
//! PARA_BENCH=all cargo bench --workspace --bench models -- sd15
//! ```
//!
//! Random weights of the size of Stable Diffusion 1.5 take 3.5 GB, those of SDXL 10 GB: they are measured when `PARA_BENCH` is
//! `all`, or the model's name.

mod jobs;

use criterion::{Criterion, criterion_group, criterion_main};
use diffusion::train::Checkpointing;
use jobs::{Model, Training};
use sdk::Result;
use sdk::candle_core::DType;
use std::time::Duration;

/// `shipped` and `small` always, the others when asked for.
fn names() -> Vec<&'static str> {
    let asked = std::env::var("PARA_BENCH").unwrap_or_default();
    ["shipped", "small", "sd15", "sdxl"]
        .into_iter()
        .filter(|name| ["shipped", "small"].contains(name) || asked == "all" || asked == *name)
        .collect()
}

fn model(criterion: &mut Criterion, name: &str) -> Result<()> {
    let model = Model::named(name, DType::F32)?;
    // Half the side of the big ones, which shows as much in a quarter of the time.
    let (batch, latent) = match name {
        "shipped" | "small" => (2, model.latent()),
        _ => (2, 32),
    };
    let mut group = criterion.benchmark_group(format!("{name}, {} parameters", model.parameters()));
    let size = format!("batch {batch}, {latent}²");
    let mut forward = model.forward(batch, latent)?;
    group.bench_function(format!("forward, {size}"), |b| b.iter(&mut forward));
    let mut ddim = model.ddim(batch, latent, 1)?;
    group.bench_function(format!("DDIM step with guidance, {size}"), |b| b.iter(&mut ddim));
    for (kind, lora) in [("PaRa", false), ("LoRA", true)] {
        let training = Training {
            lora,
            rank: 4,
            checkpointing: Checkpointing::None,
            seed: 0,
        };
        let mut trainer = model.trainer(&training, batch, latent)?;
        group.bench_function(format!("{kind} step, rank 4, {size}"), |b| b.iter(|| trainer.step()));
    }
    group.finish();
    Ok(())
}

/// All that was asked for; the first that fails ends the run with its message.
fn all(criterion: &mut Criterion) {
    for name in names() {
        if let Err(error) = model(criterion, name) {
            panic!("{error}");
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    targets = all
}
criterion_main!(benches);
