//! Nodes about adapter files and sizes.

mod save;
mod sizes;

use save::Save;
use sizes::Sizes;

diffusion::plugin![Save, Sizes];
