//! Nodes that bring files into a graph: models, pictures, adapters.

mod adapter;
mod images;
mod model;

use adapter::Adapter;
use images::Images;
use model::Model;

diffusion::plugin![Model, Images, Adapter];
