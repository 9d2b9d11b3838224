//! Prompts as the UNet wants them: one text encoder for Stable Diffusion 1.x, two for SDXL.

use crate::clip::ClipText;
use crate::layer::Hooks;
use crate::tokenizer::Tokenizer;
use sdk::candle_core::{D, Tensor};
use sdk::{Error, Result, bail};
use std::collections::BTreeMap;

/// States of the widest layer that an encoder has in memory at once, at the most.
const IN_FLIGHT: usize = 8;

/// A prompt as the UNet wants it.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// (1, tokens, width).
    pub states: Tensor,
    /// SDXL: the second encoder's projected pooled state, (1, p).
    pub pooled: Option<Tensor>,
    /// The end of the prompt, if it was too long and left out.
    pub truncated: Option<String>,
}

/// One text encoder with its tokenizer.
#[derive(Clone, Debug)]
pub struct TextEncoder {
    /// Text to tokens.
    pub tokenizer: Tokenizer,
    /// Tokens to states.
    pub model: ClipText,
}

/// All text encoders of a model.
#[derive(Clone, Debug)]
pub struct TextEncoders {
    encoders: Vec<TextEncoder>,
    zeros_for_no_negative: bool,
}

impl TextEncoders {
    /// Stable Diffusion 1.x: the last states of one encoder, normalised.
    pub fn sd15(encoder: TextEncoder) -> Self {
        Self {
            encoders: vec![encoder],
            zeros_for_no_negative: false,
        }
    }

    /// SDXL: the penultimate states of both encoders side by side, and the second one's projected pooled state.
    /// `zeros_for_no_negative` is the pipeline's `force_zeros_for_empty_prompt`.
    ///
    /// # Errors
    /// A second encoder without projection, or tokenizers of unequal length.
    pub fn sdxl(first: TextEncoder, second: TextEncoder, zeros_for_no_negative: bool) -> Result<Self> {
        let lengths = (first.tokenizer.length(), second.tokenizer.length());
        if lengths.0 != lengths.1 {
            bail!(
                "the two tokenizers make {} and {} tokens, expected the same number",
                lengths.0,
                lengths.1
            );
        }
        if !second.model.modules().iter().any(|m| m.path == "text_projection") {
            bail!("the second text encoder has no `text_projection`, from which SDXL takes the pooled text";
                  help: "expected `architectures`: [\"CLIPTextModelWithProjection\"] in its config.json");
        }
        Ok(Self {
            encoders: vec![first, second],
            zeros_for_no_negative,
        })
    }

    /// The states of a prompt.
    ///
    /// # Errors
    /// A tokenizer that does not belong to its encoder.
    pub fn encode(&self, prompt: &str) -> Result<Encoded> {
        let (mut states, mut pooled, mut truncated) = (Vec::new(), None, None);
        let only = self.encoders.len() == 1;
        for encoder in &self.encoders {
            let tokens = encoder.tokenizer.encode(prompt)?;
            truncated = truncated.or(tokens.cut);
            let found = encoder.model.forward(&[tokens.ids], &Hooks::none())?;
            states.push(if only { found.last } else { found.penultimate });
            pooled = found.projected;
        }
        Ok(Encoded {
            states: Tensor::cat(&states, D::Minus1)?,
            pooled: pooled.filter(|_| !only),
            truncated,
        })
    }

    /// The states of the negative prompt. Without one they are zeros where the model's pipeline asks for that
    /// (SDXL with `force_zeros_for_empty_prompt`), and those of the empty prompt elsewhere.
    ///
    /// # Errors
    /// As [`TextEncoders::encode`].
    pub fn encode_negative(&self, prompt: Option<&str>) -> Result<Encoded> {
        let encoded = self.encode(prompt.unwrap_or(""))?;
        if prompt.is_some() || !self.zeros_for_no_negative {
            return Ok(encoded);
        }
        Ok(Encoded {
            states: encoded.states.zeros_like()?,
            pooled: encoded.pooled.map(|p| p.zeros_like()).transpose()?,
            truncated: None,
        })
    }

    /// The encoders, in the pipeline's order.
    pub fn encoders(&self) -> &[TextEncoder] {
        &self.encoders
    }

    /// About how many bytes encoding one prompt takes beside the encoders: their weights in panels that are not there
    /// yet, and what is in flight.
    pub fn working_bytes(&self) -> usize {
        let of = |encoder: &TextEncoder| {
            let config = encoder.model.config();
            let state = config.max_position_embeddings * config.hidden_size.max(config.intermediate_size);
            IN_FLIGHT * state * size_of::<f32>() + encoder.model.panels().missing(false)
        };
        self.encoders.iter().map(of).sum()
    }

    /// These encoders with panels of their own; the weights are shared.
    ///
    /// # Errors
    /// None for encoders that are whole.
    pub(crate) fn bare(&self) -> Result<Self> {
        let mut bare = self.clone();
        for encoder in &mut bare.encoders {
            encoder.model = encoder.model.with_weights(&BTreeMap::new())?;
        }
        Ok(bare)
    }

    /// These encoders with some tensors of encoder `index` replaced; everything else is shared.
    ///
    /// # Errors
    /// No such encoder, or as [`ClipText::with_weights`].
    pub fn with_weights(&self, index: usize, changed: &BTreeMap<String, Tensor>) -> Result<Self> {
        let mut new = self.clone();
        let count = new.encoders.len();
        let encoder = new.encoders.get_mut(index).ok_or_else(|| {
            Error::msg(format!(
                "the model has {count} text encoder(s), none with index {index}"
            ))
        })?;
        encoder.model = encoder.model.with_weights(changed)?;
        Ok(new)
    }
}
