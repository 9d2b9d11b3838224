//! The names of a UNet's modules in three spellings, for any number of blocks, layers and depths.
//!
//! diffusers writes `down_blocks.1.attentions.0.…to_q`, the original (sgm) code
//! `input_blocks.4.1.…to_q`, and kohya's files either of them with underscores in place of dots and a
//! prefix. The block arithmetic follows from the layout of the UNet alone.

use crate::unet::UnetConfig;
use serde::{Deserialize, Serialize};

/// The model that a module belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    /// The denoising network.
    Unet,
    /// The only (SD 1.5) or first (SDXL) text encoder.
    Text,
    /// SDXL's second text encoder.
    Text2,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unet => "UNet",
            Self::Text => "text encoder",
            Self::Text2 => "second text encoder",
        })
    }
}

/// A module of a model as an adapter names it: a dotted path, of diffusers or of sgm.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleName {
    /// The model that the module belongs to.
    pub part: Part,
    /// Its dotted path there.
    pub path: String,
}

impl ModuleName {
    /// A module of the UNet.
    pub fn unet(path: impl Into<String>) -> Self {
        Self {
            part: Part::Unet,
            path: path.into(),
        }
    }

    /// Reads a kohya or LyCORIS stem: `lora_unet_…`, `lycoris_…`, `lora_te_…`, `lora_te1_…`, `lora_te2_…`.
    pub fn from_kohya(stem: &str) -> Option<Self> {
        let prefixes = [
            ("lora_unet_", Part::Unet),
            ("oft_unet_", Part::Unet),
            ("lora_te1_", Part::Text),
            ("lora_te2_", Part::Text2),
            ("lora_te_", Part::Text),
            ("lycoris_", Part::Unet),
        ];
        let (prefix, part) = prefixes.iter().find(|(p, _)| stem.starts_with(p))?;
        let flat = &stem[prefix.len()..];
        let text = matches!(part, Part::Unet) && flat.starts_with("text_model");
        Some(Self {
            part: if text { Part::Text } else { *part },
            path: dotted(flat),
        })
    }

    /// Writes the kohya stem of the path as it is. `two_encoders`: SDXL, whose encoders are numbered.
    pub fn to_kohya(&self, two_encoders: bool) -> String {
        let prefix = match self.part {
            Part::Unet => "lora_unet_",
            Part::Text if two_encoders => "lora_te1_",
            Part::Text => "lora_te_",
            Part::Text2 => "lora_te2_",
        };
        format!("{prefix}{}", self.path.replace('.', "_"))
    }
}

impl std::fmt::Display for ModuleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.part {
            Part::Unet => f.write_str(&self.path),
            part => write!(f, "{} ({part})", self.path),
        }
    }
}

/// Segments of module paths that hold an underscore themselves.
const COMPOUND: [&str; 31] = [
    "down_blocks",
    "mid_block",
    "up_blocks",
    "input_blocks",
    "middle_block",
    "output_blocks",
    "transformer_blocks",
    "time_emb_proj",
    "conv_shortcut",
    "conv_in",
    "conv_out",
    "time_embedding",
    "add_embedding",
    "linear_1",
    "linear_2",
    "time_embed",
    "label_emb",
    "in_layers",
    "out_layers",
    "emb_layers",
    "skip_connection",
    "proj_in",
    "proj_out",
    "to_q",
    "to_k",
    "to_v",
    "to_out",
    "text_model",
    "self_attn",
    "text_projection",
    "out_proj",
];
const COMPOUND_TEXT: [&str; 3] = ["q_proj", "k_proj", "v_proj"];

/// Puts the dots back into a path whose segments were joined by underscores.
pub fn dotted(flat: &str) -> String {
    let mut path = String::with_capacity(flat.len());
    let mut rest = flat;
    while !rest.is_empty() {
        let compound = COMPOUND
            .iter()
            .chain(&COMPOUND_TEXT)
            .filter(|c| {
                rest.strip_prefix(**c)
                    .is_some_and(|after| after.is_empty() || after.starts_with('_'))
            })
            .map(|c| c.len())
            .max();
        let end = compound.unwrap_or_else(|| rest.find('_').unwrap_or(rest.len()));
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or("");
    }
    path
}

/// One down or up block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Resnets in it.
    pub layers: usize,
    /// Whether each resnet is followed by a transformer.
    pub attention: bool,
}

/// What the names of a UNet's modules depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnetLayout {
    /// From the input down.
    pub down: Vec<Block>,
    /// From the middle up.
    pub up: Vec<Block>,
    /// Whether the UNet takes SDXL's added conditioning: its files use sgm names and two text encoders.
    pub sdxl: bool,
}

impl From<&UnetConfig> for UnetLayout {
    fn from(config: &UnetConfig) -> Self {
        let blocks = config.block_out_channels.len();
        let layers: Vec<usize> = (0..blocks).map(|i| config.layers_per_block.at(i)).collect();
        let attention = |types: &[String]| -> Vec<bool> { types.iter().map(|t| t.starts_with("CrossAttn")).collect() };
        Self::new(
            &layers,
            &attention(&config.down_block_types),
            &attention(&config.up_block_types),
            config.addition_embed_type.is_some(),
        )
    }
}

impl UnetLayout {
    /// `layers` of each down block, the attention of each down and up block.
    /// Up blocks have one resnet more than the down block they mirror.
    pub fn new(layers: &[usize], down: &[bool], up: &[bool], sdxl: bool) -> Self {
        Self {
            down: layers
                .iter()
                .zip(down)
                .map(|(&layers, &attention)| Block { layers, attention })
                .collect(),
            up: layers
                .iter()
                .rev()
                .zip(up)
                .map(|(&layers, &attention)| Block {
                    layers: layers + 1,
                    attention,
                })
                .collect(),
            sdxl,
        }
    }

    /// The original name of a module that diffusers names `path`.
    pub fn to_sgm(&self, path: &str) -> Option<String> {
        let segments: Vec<&str> = path.split('.').collect();
        let number = |i: usize| segments.get(i).and_then(|s| s.parse::<usize>().ok());
        let tail = |i: usize| segments.get(i..).map(|s| s.join("."));
        match (segments[0], segments.get(1).copied()) {
            ("conv_in", None) => Some("input_blocks.0.0".into()),
            ("conv_out", None) => Some("out.2".into()),
            ("time_embedding", Some(linear)) => Some(format!("time_embed.{}", linear_to_index(linear)?)),
            ("add_embedding", Some(linear)) => Some(format!("label_emb.0.{}", linear_to_index(linear)?)),
            ("mid_block", Some("resnets")) => {
                let index = [0, 2].get(number(2)?).copied()?;
                Some(format!("middle_block.{index}.{}", resnet_to_sgm(&tail(3)?)?))
            }
            ("mid_block", Some("attentions")) if number(2)? == 0 => Some(format!("middle_block.1.{}", tail(3)?)),
            ("down_blocks", Some(_)) => {
                let (block, layer) = (number(1)?, number(3)?);
                let layers = self.down.get(block)?.layers;
                let start: usize = 1 + self.down[..block].iter().map(|b| b.layers + 1).sum::<usize>();
                match segments[2] {
                    "resnets" if layer < layers => Some(format!(
                        "input_blocks.{}.0.{}",
                        start + layer,
                        resnet_to_sgm(&tail(4)?)?
                    )),
                    "attentions" if layer < layers => Some(format!("input_blocks.{}.1.{}", start + layer, tail(4)?)),
                    "downsamplers" if tail(4)? == "conv" => Some(format!("input_blocks.{}.0.op", start + layers)),
                    _ => None,
                }
            }
            ("up_blocks", Some(_)) => {
                let (block, layer) = (number(1)?, number(3)?);
                let Block { layers, attention } = *self.up.get(block)?;
                let start: usize = self.up[..block].iter().map(|b| b.layers).sum();
                match segments[2] {
                    "resnets" if layer < layers => Some(format!(
                        "output_blocks.{}.0.{}",
                        start + layer,
                        resnet_to_sgm(&tail(4)?)?
                    )),
                    "attentions" if layer < layers => Some(format!("output_blocks.{}.1.{}", start + layer, tail(4)?)),
                    "upsamplers" if tail(4)? == "conv" => Some(format!(
                        "output_blocks.{}.{}.conv",
                        start + layers - 1,
                        1 + usize::from(attention)
                    )),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The diffusers name of a module that the original code names `path`.
    pub fn from_sgm(&self, path: &str) -> Option<String> {
        let segments: Vec<&str> = path.split('.').collect();
        let number = |i: usize| segments.get(i).and_then(|s| s.parse::<usize>().ok());
        let tail = |i: usize| segments.get(i..).map(|s| s.join("."));
        match segments[0] {
            "out" if path == "out.2" => Some("conv_out".into()),
            "input_blocks" if path == "input_blocks.0.0" => Some("conv_in".into()),
            "time_embed" => Some(format!("time_embedding.{}", index_to_linear(number(1)?)?)),
            "label_emb" if number(1)? == 0 => Some(format!("add_embedding.{}", index_to_linear(number(2)?)?)),
            "middle_block" => match number(1)? {
                1 => Some(format!("mid_block.attentions.0.{}", tail(2)?)),
                0 => Some(format!("mid_block.resnets.0.{}", resnet_from_sgm(&tail(2)?)?)),
                2 => Some(format!("mid_block.resnets.1.{}", resnet_from_sgm(&tail(2)?)?)),
                _ => None,
            },
            "input_blocks" => {
                let (mut index, slot) = (number(1)?.checked_sub(1)?, number(2)?);
                for (block, Block { layers, .. }) in self.down.iter().enumerate() {
                    if index == *layers && slot == 0 && tail(3)? == "op" {
                        return Some(format!("down_blocks.{block}.downsamplers.0.conv"));
                    }
                    if index < *layers {
                        return layer_from_sgm(&format!("down_blocks.{block}"), index, slot, &tail(3)?);
                    }
                    index = index.checked_sub(layers + 1)?;
                }
                None
            }
            "output_blocks" => {
                let (mut index, slot) = (number(1)?, number(2)?);
                for (block, Block { layers, attention }) in self.up.iter().enumerate() {
                    if index < *layers {
                        if index + 1 == *layers && slot == 1 + usize::from(*attention) && tail(3)? == "conv" {
                            return Some(format!("up_blocks.{block}.upsamplers.0.conv"));
                        }
                        return layer_from_sgm(&format!("up_blocks.{block}"), index, slot, &tail(3)?);
                    }
                    index -= layers;
                }
                None
            }
            _ => None,
        }
    }

    /// The diffusers path of a UNet module in either spelling.
    pub fn diffusers(&self, path: &str) -> String {
        self.from_sgm(path).unwrap_or_else(|| path.to_string())
    }

    /// The kohya stem under which files for this kind of UNet name a module: sgm names for SDXL, diffusers
    /// names for SD 1.5, as kohya's own trainer does.
    pub fn kohya(&self, name: &ModuleName) -> String {
        let mut name = name.clone();
        if name.part == Part::Unet && self.sdxl {
            name.path = self.to_sgm(&name.path).unwrap_or(name.path);
        }
        name.to_kohya(self.sdxl)
    }
}

fn layer_from_sgm(block: &str, index: usize, slot: usize, tail: &str) -> Option<String> {
    match slot {
        0 => Some(format!("{block}.resnets.{index}.{}", resnet_from_sgm(tail)?)),
        1 => Some(format!("{block}.attentions.{index}.{tail}")),
        _ => None,
    }
}

const RESNET: [(&str, &str); 4] = [
    ("conv1", "in_layers.2"),
    ("time_emb_proj", "emb_layers.1"),
    ("conv2", "out_layers.3"),
    ("conv_shortcut", "skip_connection"),
];

fn resnet_to_sgm(name: &str) -> Option<&'static str> {
    RESNET.iter().find(|(d, _)| *d == name).map(|(_, s)| *s)
}

fn resnet_from_sgm(name: &str) -> Option<&'static str> {
    RESNET.iter().find(|(_, s)| *s == name).map(|(d, _)| *d)
}

fn linear_to_index(name: &str) -> Option<usize> {
    match name {
        "linear_1" => Some(0),
        "linear_2" => Some(2),
        _ => None,
    }
}

fn index_to_linear(index: usize) -> Option<&'static str> {
    match index {
        0 => Some("linear_1"),
        2 => Some("linear_2"),
        _ => None,
    }
}

/// The block a module belongs to, for reports: `down_blocks.1`, `mid_block`, `conv_in`, …
pub fn block_of(path: &str) -> &str {
    let numbered = ["down_blocks.", "up_blocks.", "input_blocks.", "output_blocks."];
    let from = match numbered.iter().find(|p| path.starts_with(**p)) {
        Some(prefix) => prefix.len(),
        None if path.starts_with("text_model.encoder.layers.") => "text_model.encoder.layers.".len(),
        None => 0,
    };
    path[from..].find('.').map_or(path, |dot| &path[..from + dot])
}
