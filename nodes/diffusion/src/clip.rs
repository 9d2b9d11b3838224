//! CLIP's text transformer, as Stable Diffusion uses it.

use crate::kernels::packed::PanelSet;
use crate::layer::{Hooks, Layer, LayerNorm, Module};
use crate::ops;
use crate::parts::{Parts, replaced};
use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Older configurations (those of Stable Diffusion among them) have this wrong id for the end token;
/// transformers then takes the highest id of a prompt for it.
const LEGACY_EOS: u32 = 2;

/// The activation of the two-layer networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x · sigmoid(1.702 x)`.
    QuickGelu,
    /// The exact GELU.
    Gelu,
}

/// A text encoder's `config.json`. Field names and defaults are those of transformers' `CLIPTextConfig`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClipConfig {
    /// Class names; `CLIPTextModelWithProjection` has a projection of the pooled state.
    pub architectures: Vec<String>,
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Width of the states.
    pub hidden_size: usize,
    /// Width inside the two-layer networks.
    pub intermediate_size: usize,
    /// Width of the projected pooled state.
    pub projection_dim: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// The longest text in tokens.
    pub max_position_embeddings: usize,
    /// The activation.
    pub hidden_act: Activation,
    /// Added to the variance in the normalisations.
    pub layer_norm_eps: f64,
    /// The token whose state is the pooled one.
    pub eos_token_id: u32,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            architectures: Vec::new(),
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            projection_dim: 512,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            eos_token_id: 49407,
        }
    }
}

impl ClipConfig {
    /// Reads the text of a `config.json`.
    ///
    /// # Errors
    /// No JSON, a wrong type, an unknown activation, heads that do not divide the width.
    pub fn from_json(text: &str) -> Result<Self> {
        let config: Self = serde_json::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let (width, heads) = (self.hidden_size, self.num_attention_heads);
        if heads == 0 || width % heads != 0 {
            bail!("`num_attention_heads` {heads} does not divide `hidden_size` {width}");
        }
        if self.num_hidden_layers == 0 {
            bail!("`num_hidden_layers` is 0, expected at least 1");
        }
        Ok(())
    }

    fn projects(&self) -> bool {
        self.architectures.iter().any(|a| a == "CLIPTextModelWithProjection")
    }
}

/// What a text encoder says about a batch of prompts.
#[derive(Clone, Debug)]
pub struct ClipStates {
    /// After the last layer and the final normalisation: (n, tokens, width).
    pub last: Tensor,
    /// Before the last layer, not normalised: (n, tokens, width).
    pub penultimate: Tensor,
    /// The last state at the end token: (n, width).
    pub pooled: Tensor,
    /// The pooled state projected, if the model has a projection: (n, projection).
    pub projected: Option<Tensor>,
}

/// A text encoder with its weights.
#[derive(Clone, Debug)]
pub struct ClipText {
    config: ClipConfig,
    tensors: BTreeMap<String, Tensor>,
    modules: Vec<Module>,
    panels: PanelSet,
    net: Net,
}

#[derive(Clone, Debug)]
struct Net {
    tokens: Tensor,
    positions: Tensor,
    layers: Vec<EncoderLayer>,
    norm: LayerNorm,
    projection: Option<Layer>,
}

#[derive(Clone, Debug)]
struct EncoderLayer {
    norm1: LayerNorm,
    q: Layer,
    k: Layer,
    v: Layer,
    out: Layer,
    norm2: LayerNorm,
    fc1: Layer,
    fc2: Layer,
}

impl EncoderLayer {
    /// In the order in which transformers lists the modules.
    fn new(parts: &mut Parts<'_>, path: &str, config: &ClipConfig) -> Result<Self> {
        let (d, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let mut linear = |name: &str, d_in, d_out| parts.linear(&format!("{path}.{name}"), d_in, d_out, true);
        let (k, v) = (linear("self_attn.k_proj", d, d)?, linear("self_attn.v_proj", d, d)?);
        let (q, out) = (linear("self_attn.q_proj", d, d)?, linear("self_attn.out_proj", d, d)?);
        let (fc1, fc2) = (linear("mlp.fc1", d, inner)?, linear("mlp.fc2", inner, d)?);
        Ok(Self {
            norm1: parts.layer_norm(&format!("{path}.layer_norm1"), d, eps)?,
            norm2: parts.layer_norm(&format!("{path}.layer_norm2"), d, eps)?,
            q,
            k,
            v,
            out,
            fc1,
            fc2,
        })
    }

    fn forward(&self, x: &Tensor, config: &ClipConfig, mask: &Tensor, hooks: &Hooks) -> Result<Tensor> {
        let (n, length, d) = x.dims3()?;
        let (heads, width) = (config.num_attention_heads, d / config.num_attention_heads);
        let split = |x: Tensor| x.reshape((n, length, heads, width))?.transpose(1, 2);
        let normed = self.norm1.forward(x)?;
        let q = split(self.q.forward(&normed, hooks)?)?;
        let k = split(self.k.forward(&normed, hooks)?)?;
        let v = split(self.v.forward(&normed, hooks)?)?;
        let mixed = ops::attention(&q, &k, &v, 1.0 / (width as f64).sqrt(), Some(mask))?;
        let mixed = mixed.transpose(1, 2)?.reshape((n, length, d))?;
        let x = &ops::add(&self.out.forward(&mixed, hooks)?, x)?;
        let hidden = self.fc1.forward(&self.norm2.forward(x)?, hooks)?;
        let hidden = match config.hidden_act {
            Activation::QuickGelu => ops::quick_gelu(&hidden)?,
            Activation::Gelu => ops::gelu(&hidden)?,
        };
        ops::add(&self.fc2.forward(&hidden, hooks)?, x)
    }
}

impl ClipText {
    /// A text encoder from tensors named as in transformers' files, with or without `text_model.` in front.
    ///
    /// # Errors
    /// Missing, unexpected or misshapen tensors, all in one message.
    pub fn new(config: ClipConfig, tensors: BTreeMap<String, Tensor>) -> Result<Self> {
        config.check()?;
        let tensors: BTreeMap<String, Tensor> = tensors
            .into_iter()
            .filter(|(name, _)| !name.ends_with("position_ids"))
            .map(|(name, tensor)| (full_name(name), tensor))
            .collect();
        let mut parts = Parts::new(&tensors)?;
        let (d, eps) = (config.hidden_size, config.layer_norm_eps);
        let embedding = |name: &str| format!("text_model.embeddings.{name}_embedding.weight");
        let net = Net {
            tokens: parts.tensor(&embedding("token"), &[config.vocab_size, d])?,
            positions: parts.tensor(&embedding("position"), &[config.max_position_embeddings, d])?,
            layers: (0..config.num_hidden_layers)
                .map(|i| EncoderLayer::new(&mut parts, &format!("text_model.encoder.layers.{i}"), &config))
                .collect::<Result<_>>()?,
            norm: parts.layer_norm("text_model.final_layer_norm", d, eps)?,
            projection: config
                .projects()
                .then(|| parts.linear("text_projection", d, config.projection_dim, false))
                .transpose()?,
        };
        let (modules, panels) = parts.finish("the text encoder")?;
        Ok(Self {
            config,
            tensors,
            modules,
            panels,
            net,
        })
    }

    /// The states of a batch of prompts of equal length, as token ids.
    ///
    /// # Errors
    /// No prompt, unequal lengths, more tokens than the model has positions, ids outside the vocabulary.
    pub fn forward(&self, ids: &[Vec<u32>], hooks: &Hooks) -> Result<ClipStates> {
        let (n, length) = self.check_ids(ids)?;
        let (net, device) = (&self.net, self.device());
        let flat: Vec<u32> = ids.iter().flatten().copied().collect();
        let flat = Tensor::from_vec(flat, n * length, device)?;
        let tokens = net.tokens.index_select(&flat, 0)?.reshape((n, length, ()))?;
        let mut x = tokens.broadcast_add(&net.positions.narrow(0, 0, length)?)?;
        let mut penultimate = x.clone();
        let mask = causal_mask(length, self.dtype(), device)?;
        for layer in &net.layers {
            penultimate = x;
            x = layer.forward(&penultimate, &self.config, &mask, hooks)?;
        }
        let last = net.norm.forward(&x)?;
        let rows: Vec<u32> = ids
            .iter()
            .enumerate()
            .map(|(i, row)| (i * length + self.end_of(row)) as u32)
            .collect();
        let rows = Tensor::from_vec(rows, n, device)?;
        let pooled = last.reshape((n * length, ()))?.index_select(&rows, 0)?;
        let projected = match &net.projection {
            Some(layer) => Some(layer.forward(&pooled, hooks)?),
            None => None,
        };
        Ok(ClipStates {
            last,
            penultimate,
            pooled,
            projected,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// All tensors, always with `text_model.` in front.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// Every Linear, by its path (`text_model.encoder.layers.0.self_attn.q_proj`).
    pub fn modules(&self) -> Vec<Module> {
        self.modules.clone()
    }

    /// What is kept of its weights in panels.
    pub(crate) fn panels(&self) -> &PanelSet {
        &self.panels
    }

    /// The type of the weights, in which the model computes.
    pub fn dtype(&self) -> DType {
        self.net.tokens.dtype()
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        self.net.tokens.device()
    }

    /// This model with some tensors replaced (same names, same shapes); all others are shared, not copied.
    ///
    /// # Errors
    /// A name that the model does not have, or another shape.
    pub fn with_weights(&self, changed: &BTreeMap<String, Tensor>) -> Result<Self> {
        Self::new(self.config.clone(), replaced(&self.tensors, changed)?)
    }

    /// Where the end token of a prompt is, as transformers finds it.
    fn end_of(&self, ids: &[u32]) -> usize {
        let eos = match self.config.eos_token_id {
            LEGACY_EOS => ids.iter().copied().max().unwrap_or(LEGACY_EOS),
            eos => eos,
        };
        ids.iter().position(|id| *id == eos).unwrap_or(0)
    }

    fn check_ids(&self, ids: &[Vec<u32>]) -> Result<(usize, usize)> {
        let length = ids.first().map_or(0, Vec::len);
        let (most, vocabulary) = (self.config.max_position_embeddings, self.config.vocab_size);
        if length == 0 || ids.iter().any(|row| row.len() != length) {
            bail!(
                "the text encoder needs prompts of one length, found {:?} tokens",
                ids.iter().map(Vec::len).collect::<Vec<_>>()
            );
        }
        if length > most {
            bail!("the text encoder takes {most} tokens, found {length}"; help: "the tokenizer belongs to another model");
        }
        if let Some(id) = ids.iter().flatten().find(|id| **id as usize >= vocabulary) {
            bail!("token {id} is outside the text encoder's vocabulary of {vocabulary}"; help: "the tokenizer belongs to another model");
        }
        Ok((ids.len(), length))
    }
}

fn full_name(name: String) -> String {
    let bare = ["embeddings.", "encoder.", "final_layer_norm."];
    if bare.iter().any(|start| name.starts_with(start)) {
        return format!("text_model.{name}");
    }
    name
}

/// Minus infinity wherever a token would see a later one.
fn causal_mask(length: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let cell = |i: usize, j: usize| if j > i { f32::NEG_INFINITY } else { 0.0 };
    let mask: Vec<f32> = (0..length * length).map(|at| cell(at / length, at % length)).collect();
    Ok(Tensor::from_vec(mask, (length, length), device)?.to_dtype(dtype)?)
}
