//! `text/encode`.

use diffusion::value::{Text, TextConditioning};
use sdk::prelude::*;

/// Encodes a prompt, and what to stay away from.
///
/// SDXL gets the penultimate states of both encoders and the pooled projection of the second; Stable Diffusion 1.x
/// the last states of its one encoder. Words beyond the encoder's length are left out, with a warning.
#[node("text/encode", outputs(conditioning = "Prompt and negative prompt, encoded"))]
fn encode(
    context: &Context,
    /// The text encoders
    text: &Text,
    /// What to draw
    prompt: String,
    /// What to stay away from; null: zeros where the model's config asks for that, else the encoded empty text
    negative: Option<String>,
) -> Result<TextConditioning> {
    let encoders = text.encoders()?;
    let _room = context.reserve_with(|| encoders.working_bytes())?;
    let positive = encoders.encode(&prompt)?;
    let negative = encoders.encode_negative(negative.as_deref())?;
    for encoded in [&positive, &negative] {
        if let Some(cut) = &encoded.truncated {
            context.warn(format!("the text is too long for the encoder; left out: {cut}"));
        }
    }
    Ok(TextConditioning { positive, negative })
}
