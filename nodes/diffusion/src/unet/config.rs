//! The UNet's `config.json`, with diffusers' defaults and a clear refusal of what is not built here.

use sdk::{Result, ResultExt, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One number for every block, or one for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a positive integer, or a list of them with one for each block"
)]
pub enum PerBlock {
    /// The same everywhere.
    Same(usize),
    /// Block by block, on the way down.
    Each(Vec<usize>),
}

impl PerBlock {
    /// The number for a block, counted on the way down. The last one serves the blocks after it.
    pub fn at(&self, block: usize) -> usize {
        match self {
            Self::Same(n) => *n,
            Self::Each(list) => list.get(block).or(list.last()).copied().unwrap_or(0),
        }
    }
}

/// What a `UNet2DConditionModel` is made of. Field names and defaults are those of diffusers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnetConfig {
    /// Latent height (and width) that the model was trained for.
    pub sample_size: Option<PerBlock>,
    /// Latent channels in.
    pub in_channels: usize,
    /// Latent channels out.
    pub out_channels: usize,
    /// Block types on the way down: `DownBlock2D` or `CrossAttnDownBlock2D`.
    pub down_block_types: Vec<String>,
    /// `UNetMidBlock2DCrossAttn`, or none.
    pub mid_block_type: Option<String>,
    /// Block types on the way up: `UpBlock2D` or `CrossAttnUpBlock2D`.
    pub up_block_types: Vec<String>,
    /// Channels of each block.
    pub block_out_channels: Vec<usize>,
    /// Resnet blocks in a down block; an up block has one more.
    pub layers_per_block: PerBlock,
    /// Transformer blocks in each attention module.
    pub transformer_layers_per_block: PerBlock,
    /// In spite of its name the number of attention *heads*, unless `num_attention_heads` is given.
    pub attention_head_dim: PerBlock,
    /// The number of attention heads.
    pub num_attention_heads: Option<PerBlock>,
    /// Width of the text states.
    pub cross_attention_dim: PerBlock,
    /// Whether `proj_in` and `proj_out` are linear layers instead of 1×1 convolutions.
    pub use_linear_projection: bool,
    /// Whether attention is computed in f32 whatever the weights are.
    pub upcast_attention: bool,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// Added to the variance in the resnet blocks' normalisations.
    pub norm_eps: f64,
    /// Whether cosines come before sines in the timestep's embedding.
    pub flip_sin_to_cos: bool,
    /// Shift of the frequencies of the timestep's embedding.
    pub freq_shift: f64,
    /// Width of the timestep's embedding; 4 × the first block's channels if not given.
    pub time_embedding_dim: Option<usize>,
    /// Kernel size of the first convolution.
    pub conv_in_kernel: usize,
    /// Kernel size of the last convolution.
    pub conv_out_kernel: usize,
    /// `text_time` for SDXL: pooled text and sizes join the timestep.
    pub addition_embed_type: Option<String>,
    /// Width of the embedding of each of the six size numbers.
    pub addition_time_embed_dim: Option<usize>,
    /// Width of pooled text and embedded sizes together.
    pub projection_class_embeddings_input_dim: Option<usize>,
}

impl Default for UnetConfig {
    fn default() -> Self {
        let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Self {
            sample_size: None,
            in_channels: 4,
            out_channels: 4,
            down_block_types: names(&[
                "CrossAttnDownBlock2D",
                "CrossAttnDownBlock2D",
                "CrossAttnDownBlock2D",
                "DownBlock2D",
            ]),
            mid_block_type: Some("UNetMidBlock2DCrossAttn".into()),
            up_block_types: names(&[
                "UpBlock2D",
                "CrossAttnUpBlock2D",
                "CrossAttnUpBlock2D",
                "CrossAttnUpBlock2D",
            ]),
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: PerBlock::Same(2),
            transformer_layers_per_block: PerBlock::Same(1),
            attention_head_dim: PerBlock::Same(8),
            num_attention_heads: None,
            cross_attention_dim: PerBlock::Same(1280),
            use_linear_projection: false,
            upcast_attention: false,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            time_embedding_dim: None,
            conv_in_kernel: 3,
            conv_out_kernel: 3,
            addition_embed_type: None,
            addition_time_embed_dim: None,
            projection_class_embeddings_input_dim: None,
        }
    }
}

impl UnetConfig {
    /// The UNet of Stable Diffusion XL base 1.0.
    pub fn sdxl() -> Self {
        let names = |list: [&str; 3]| list.map(str::to_owned).to_vec();
        Self {
            sample_size: Some(PerBlock::Same(128)),
            down_block_types: names(["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"]),
            up_block_types: names(["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]),
            block_out_channels: vec![320, 640, 1280],
            transformer_layers_per_block: PerBlock::Each(vec![1, 2, 10]),
            attention_head_dim: PerBlock::Each(vec![5, 10, 20]),
            cross_attention_dim: PerBlock::Same(2048),
            use_linear_projection: true,
            addition_embed_type: Some("text_time".into()),
            addition_time_embed_dim: Some(256),
            projection_class_embeddings_input_dim: Some(2816),
            ..Self::default()
        }
    }

    /// The UNet of Stable Diffusion 1.5.
    pub fn sd15() -> Self {
        Self {
            sample_size: Some(PerBlock::Same(64)),
            cross_attention_dim: PerBlock::Same(768),
            ..Self::default()
        }
    }

    /// Reads the text of a `config.json`; keys that are left out have diffusers' defaults.
    ///
    /// # Errors
    /// No JSON, a wrong type, sizes that contradict each other, or an architecture that is not built here.
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        refuse_unsupported(&value)?;
        let config: Self = serde_json::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// Latent (height, width) that the model was trained for; 64 × 64 if the configuration does not say.
    pub fn latent_size(&self) -> (usize, usize) {
        self.sample_size
            .as_ref()
            .map_or((64, 64), |size| (size.at(0), size.at(1)))
    }

    /// Width of the timestep's embedding.
    pub fn time_width(&self) -> usize {
        self.time_embedding_dim
            .unwrap_or_else(|| 4 * self.block_out_channels.first().copied().unwrap_or(0))
    }

    /// Attention heads of a block, counted on the way down.
    pub fn heads(&self, block: usize) -> usize {
        self.num_attention_heads
            .as_ref()
            .unwrap_or(&self.attention_head_dim)
            .at(block)
    }

    /// Widths of pooled text and of each embedded size number, for a model with added conditioning.
    pub fn added_widths(&self) -> Option<(usize, usize)> {
        let size_width = self.addition_time_embed_dim?;
        let both = self.projection_class_embeddings_input_dim?;
        self.addition_embed_type
            .as_ref()
            .map(|_| (both.saturating_sub(6 * size_width), size_width))
    }

    /// Refuses sizes that contradict each other and block types that are not built here.
    ///
    /// # Errors
    /// The first contradiction, with the key's name.
    pub fn check(&self) -> Result<()> {
        let blocks = self.block_out_channels.len();
        if blocks == 0 {
            bail!("`block_out_channels` is empty, expected the channels of at least one block");
        }
        for (key, types, allowed) in [
            (
                "down_block_types",
                &self.down_block_types,
                ["DownBlock2D", "CrossAttnDownBlock2D"],
            ),
            (
                "up_block_types",
                &self.up_block_types,
                ["UpBlock2D", "CrossAttnUpBlock2D"],
            ),
        ] {
            if types.len() != blocks {
                bail!(
                    "`{key}` lists {} blocks, but `block_out_channels` lists {blocks}",
                    types.len()
                );
            }
            if let Some(odd) = types.iter().find(|t| !allowed.contains(&t.as_str())) {
                bail!("`{key}`: block type `{odd}` is not supported"; help: "supported are {} and {}", allowed[0], allowed[1]);
            }
        }
        if let Some(mid) = self.mid_block_type.as_ref().filter(|m| *m != "UNetMidBlock2DCrossAttn") {
            bail!("`mid_block_type`: `{mid}` is not supported"; help: "supported is UNetMidBlock2DCrossAttn");
        }
        for (key, per_block) in [
            ("layers_per_block", Some(&self.layers_per_block)),
            ("transformer_layers_per_block", Some(&self.transformer_layers_per_block)),
            ("attention_head_dim", Some(&self.attention_head_dim)),
            ("num_attention_heads", self.num_attention_heads.as_ref()),
            ("cross_attention_dim", Some(&self.cross_attention_dim)),
        ] {
            if let Some(PerBlock::Each(list)) = per_block
                && list.len() != blocks
            {
                bail!(
                    "`{key}` lists {} numbers, but `block_out_channels` lists {blocks}",
                    list.len()
                );
            }
        }
        for (i, channels) in self.block_out_channels.iter().enumerate() {
            let (groups, heads) = (self.norm_num_groups, self.heads(i));
            if groups == 0 || channels % groups != 0 {
                bail!("block {i}: `norm_num_groups` {groups} does not divide {channels} channels");
            }
            let attends = self.down_block_types[i].starts_with("CrossAttn")
                || self.up_block_types[blocks - 1 - i].starts_with("CrossAttn")
                || i + 1 == blocks;
            if attends && (heads == 0 || channels % heads != 0) {
                bail!("block {i}: {heads} attention heads do not divide {channels} channels");
            }
        }
        if self.conv_in_kernel.is_multiple_of(2) || self.conv_out_kernel.is_multiple_of(2) {
            bail!(
                "`conv_in_kernel` {} and `conv_out_kernel` {} must be odd",
                self.conv_in_kernel,
                self.conv_out_kernel
            );
        }
        match self.addition_embed_type.as_deref() {
            None => Ok(()),
            Some("text_time") if self.added_widths().is_some_and(|(pooled, _)| pooled > 0) => Ok(()),
            Some("text_time") => bail!(
                "`addition_embed_type` is text_time, but `addition_time_embed_dim` {:?} and `projection_class_embeddings_input_dim` {:?} leave no room for the pooled text",
                self.addition_time_embed_dim,
                self.projection_class_embeddings_input_dim
            ),
            Some(other) => {
                bail!("`addition_embed_type`: `{other}` is not supported"; help: "supported are text_time (SDXL) and null")
            }
        }
    }
}

/// Keys that must have the value that this implementation builds, or be null or left out.
fn refuse_unsupported(config: &Value) -> Result<()> {
    if !config.is_object() {
        bail!("expected a JSON object with the UNet's configuration");
    }
    let silu = [json!("silu"), json!("swish")];
    let no = [json!(false)];
    let one = [json!(1), json!(1.0)];
    let built: [(&str, &[Value]); 25] = [
        ("_class_name", &[json!("UNet2DConditionModel")]),
        ("act_fn", &silu),
        ("addition_embed_type_num_heads", &[json!(64)]),
        ("attention_type", &[json!("default")]),
        ("center_input_sample", &no),
        ("class_embed_type", &[]),
        ("class_embeddings_concat", &no),
        ("cross_attention_norm", &[]),
        ("downsample_padding", &[json!(1)]),
        ("dual_cross_attention", &no),
        ("encoder_hid_dim", &[]),
        ("encoder_hid_dim_type", &[]),
        ("mid_block_only_cross_attention", &no),
        ("mid_block_scale_factor", &one),
        ("num_class_embeds", &[]),
        ("only_cross_attention", &no),
        ("resnet_out_scale_factor", &one),
        ("resnet_skip_time_act", &no),
        ("resnet_time_scale_shift", &[json!("default")]),
        ("reverse_transformer_layers_per_block", &[]),
        ("time_cond_proj_dim", &[]),
        ("time_embedding_act_fn", &[]),
        ("time_embedding_type", &[json!("positional")]),
        ("timestep_post_act", &[]),
        ("dropout", &[json!(0), json!(0.0)]),
    ];
    for (key, allowed) in built {
        let found = &config[key];
        let all_allowed = |list: &Vec<Value>| list.iter().all(|v| allowed.contains(v));
        let fits = found.is_null() || allowed.contains(found) || found.as_array().is_some_and(all_allowed);
        if !fits {
            let mut values: Vec<String> = allowed.iter().map(Value::to_string).collect();
            values.push("null".into());
            bail!("`{key}`: {found} is not supported"; help: "supported: {}", values.join(", "));
        }
    }
    for key in [
        "norm_num_groups",
        "norm_eps",
        "attention_head_dim",
        "transformer_layers_per_block",
    ] {
        if config.get(key).is_some_and(Value::is_null) {
            bail!("`{key}` is null, expected a number");
        }
    }
    nested_layers(config).context(|| "`transformer_layers_per_block`")
}

fn nested_layers(config: &Value) -> Result<()> {
    let list = config["transformer_layers_per_block"].as_array();
    if list.is_some_and(|l| l.iter().any(Value::is_array)) {
        bail!("a list within the list (different depths within one block) is not supported");
    }
    Ok(())
}
