//! A pack of nodes that is no part of Paragraph: it learns the colours of pictures, and paints others with them.

mod learn;
mod paint;

use learn::Learn;
use paint::Paint;

sdk::plugin![Learn, Paint];
