//! Nodes about LoRA and every other adapter that is not a PaRa.

mod apply;
mod train;

use apply::Apply;
use train::Train;

diffusion::plugin![Train, Apply];
