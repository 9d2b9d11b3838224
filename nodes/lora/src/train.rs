//! `lora/train`.

use diffusion::adapter::Adapter;
use diffusion::adapter::subset::RankRule;
use diffusion::choice::{Checkpoint, GammaScope, Subset};
use diffusion::ddim::Ddim;
use diffusion::train::{Method, Options, Show, TrainData, Trainer, drive};
use diffusion::value::{Model, Text, VaeModel};
use sdk::prelude::*;

/// Learns a LoRA: a low-rank change added to each layer of the UNet (Hu et al., 2021).
///
/// The same layers, recipe and checkpoints as para/train, so that the two can be compared.
#[node("lora/train", outputs(adapter = "What was learnt", losses = "The loss of each step"))]
fn train(
    context: &Context,
    /// The model to personalise
    model: &Model,
    /// Its text encoders
    text: &Text,
    /// Its autoencoder
    vae: &VaeModel,
    /// Pictures of the subject
    images: &Images,
    /// What pictures without a caption show, with a word for the subject: a photo of a sks dog
    prompt: String,
    /// Rank of the change in each layer
    #[default(4)]
    #[range(1..=4096)]
    rank: usize,
    /// The change is scaled by alpha / rank; null: alpha = rank
    alpha: Option<f64>,
    /// Steps in all
    #[default(200)]
    #[range(1..=1000000)]
    steps: usize,
    /// Learning rate
    #[default(1e-3)]
    #[range(1e-12..=1)]
    lr: f64,
    /// Pictures in a step
    #[default(1)]
    #[range(1..=1024)]
    batch: usize,
    /// Which layers learn; ExCA: attention and convolutions, without cross-attention
    #[default("ExCA")]
    subset: Subset,
    /// Cap of a layer's rank, as a share of its weight's rank; 1: no cap
    #[default(0.025)]
    #[range(0..=1)]
    gamma: f64,
    /// Layers that the cap holds for
    #[default("conv")]
    gamma_scope: GammaScope,
    /// Side of the square that pictures are cut to, in pixels; null: the model's own
    #[range(1..=16384)]
    resolution: Option<usize>,
    /// Seed of everything random
    #[default(0)]
    seed: u64,
    /// Steps over which the learning rate rises from zero
    #[default(0)]
    warmup: usize,
    /// Weighs steps by min(snr, this) (min-SNR); null: all alike, 5 is usual
    snr_gamma: Option<f64>,
    /// Steps between saved states that a stopped training goes on from; 0: only when stopped
    #[default(50)]
    #[manner]
    checkpoint_every: usize,
    /// Memory against time, with the same result: block keeps only what lies between blocks and computes the rest
    /// twice (activation checkpointing); auto does so where none would keep more than 1 GiB
    #[default("auto")]
    #[manner]
    checkpoint: Checkpoint,
) -> Result<(Adapter, Table)> {
    let data = TrainData::prepare(context, model, (text.encoders()?, &vae.0), images, &prompt, resolution)?;
    let options = Options {
        method: Method::Lora {
            alpha: alpha.unwrap_or(rank as f64),
        },
        subset: subset.into(),
        rule: RankRule {
            rank,
            gamma,
            scope: gamma_scope.into(),
        },
        steps,
        lr,
        batch,
        seed,
        warmup,
        snr_gamma,
        checkpointing: checkpoint.into(),
        info: [("para.instance_prompt".to_owned(), prompt.clone())].into(),
        ..Options::lora()
    };
    let trainer = Trainer::new(
        model.unet.unet.clone(),
        Ddim::for_training(model.scheduler.clone()),
        data,
        options,
    )?;
    let show = Show {
        model,
        text: text.encoders()?,
        vae: &vae.0,
        prompt: &prompt,
        seed,
    };
    drive(context, trainer, checkpoint_every, &show)
}
