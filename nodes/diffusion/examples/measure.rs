//! Does one piece of work again and again and prints how long it took, as a line of JSON. `tests/peers/torch_work.py` does the
//! same work with the same arguments in PyTorch, and `tests/peers/compare.py` alternates the two.
//!
//! ```text
//! cargo run --release --example measure -- --work train --model shipped --batch 1 --rank 4
//! ```
#![allow(clippy::print_stdout, reason = "a command whose result is what it prints")]

#[path = "../benches/jobs/mod.rs"]
mod jobs;

use diffusion::train::Checkpointing;
use jobs::{Model, Training};
use sdk::candle_core::DType;
use sdk::{Error, Result, ResultExt, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs;
use std::time::Instant;

/// Arguments, each `--name value`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    /// `forward`, `para`, `lora` (a training step each), `ddim` (a whole trajectory), `adapters` (merged and applied),
    /// or `load` (nothing).
    work: String,
    /// `shipped`, `small`, `sd15`, `sdxl`.
    model: String,
    batch: usize,
    /// Side of the latents; the model's own if not given.
    latent: Option<usize>,
    rank: usize,
    /// Of a trajectory.
    steps: usize,
    /// How many are merged and applied.
    adapters: usize,
    /// `f32`, `bf16` or `f16`.
    precision: String,
    /// `none`, `block` or `auto`.
    checkpoint: String,
    /// What the pool must have: set `RAYON_NUM_THREADS`.
    threads: usize,
    /// Untimed ones before the timed ones.
    warmup: usize,
    repetitions: usize,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            work: "forward".into(),
            model: "shipped".into(),
            batch: 1,
            latent: None,
            rank: 4,
            steps: 50,
            adapters: 2,
            precision: "f32".into(),
            checkpoint: "none".into(),
            threads: rayon::current_num_threads(),
            warmup: 1,
            repetitions: 5,
        }
    }
}

impl Arguments {
    fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let words: Vec<String> = words.collect();
        let mut map = Map::new();
        for pair in words.chunks(2) {
            let (Some(name), Some(value)) = (pair[0].strip_prefix("--"), pair.get(1)) else {
                bail!("{pair:?}: expected --name value");
            };
            let value = value.parse::<usize>().map_or(json!(value), |number| json!(number));
            map.insert(name.to_owned(), value);
        }
        Ok(serde_json::from_value(Value::Object(map))?)
    }
}

/// Bytes of a line of `/proc/self/status`.
fn status(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number = line.trim_start_matches(':').trim().trim_end_matches("kB").trim();
    Some(number.parse::<u64>().ok()? * 1024)
}

/// Seconds of each timed repetition. The peak of memory is that of these and of the untimed ones before them: making weights has
/// a peak of its own, which is forgotten.
fn timed(arguments: &Arguments, mut once: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    // Linux alone has this; elsewhere no peak is reported.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let mut seconds = Vec::with_capacity(arguments.repetitions);
    for index in 0..arguments.warmup + arguments.repetitions {
        let start = Instant::now();
        once()?;
        if index >= arguments.warmup {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(seconds)
}

fn main() -> Result<()> {
    sdk::process::prepare();
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    if rayon::current_num_threads() != arguments.threads {
        bail!("the pool has {} threads, expected {}", rayon::current_num_threads(), arguments.threads;
              help: "set RAYON_NUM_THREADS");
    }
    let dtype = match arguments.precision.as_str() {
        "f32" => DType::F32,
        "bf16" => DType::BF16,
        "f16" => DType::F16,
        other => bail!("there is no precision {other:?}"; help: "choose f32, bf16 or f16"),
    };
    let model = Model::named(&arguments.model, dtype)?;
    let (batch, latent) = (arguments.batch, arguments.latent.unwrap_or(model.latent()));
    let mut trained = 0;
    let seconds = match arguments.work.as_str() {
        "forward" => timed(&arguments, model.forward(batch, latent)?)?,
        "ddim" => timed(&arguments, model.ddim(batch, latent, arguments.steps)?)?,
        "adapters" => timed(&arguments, model.adapters(arguments.adapters, arguments.rank)?)?,
        "load" => timed(&arguments, || Ok(()))?,
        kind @ ("para" | "lora") => {
            let checkpointing = match arguments.checkpoint.as_str() {
                "none" => Checkpointing::None,
                "block" => Checkpointing::Block,
                "auto" => Checkpointing::Auto,
                other => bail!("there is no checkpoint {other:?}"; help: "choose none, block or auto"),
            };
            let training = Training {
                lora: kind == "lora",
                rank: arguments.rank,
                checkpointing,
                seed: 0,
            };
            let mut trainer = model.trainer(&training, batch, latent)?;
            trained = trainer.weights()?.values().map(|t| t.elem_count()).sum();
            timed(&arguments, || trainer.step().map(|_| ()))?
        }
        other => bail!("there is no work {other:?}"; help: "choose forward, para, lora, ddim, adapters or load"),
    };
    let report = json!({
        "seconds": seconds,
        "peak_bytes": status("VmHWM").ok_or_else(|| Error::msg("/proc/self/status has no VmHWM")).context(|| "peak memory")?,
        "parameters": model.parameters(),
        "trained": trained,
        "latent": latent,
        "threads": rayon::current_num_threads(),
    });
    println!("{report}");
    Ok(())
}
