//! Nodes about pictures.

mod grid;
mod resize;
mod save;

use grid::Grid;
use resize::Resize;
use save::Save;

sdk::plugin![Save, Grid, Resize];
