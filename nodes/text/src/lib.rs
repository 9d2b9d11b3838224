//! Nodes about prompts.

mod encode;

use encode::Encode;

diffusion::plugin![Encode];
