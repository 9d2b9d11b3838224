//! Nodes that draw.

mod ddim;

use ddim::Ddim;

diffusion::plugin![Ddim];
