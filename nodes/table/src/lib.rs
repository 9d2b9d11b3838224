//! Nodes about tables.

mod save;

use save::Save;

sdk::plugin![Save];
