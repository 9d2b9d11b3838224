//! The forward pass as a list of segments, each of which makes one tensor of a few earlier ones.
//!
//! Sampling runs them one after another. Training also runs them backwards, one at a time, so that it never needs
//! the graph of more than one segment (activation checkpointing: Chen et al. 2016, *Training Deep Nets with
//! Sublinear Memory Cost*).

use super::account::Ledger;
use super::attention::Transformer;
use super::blocks::grow;
use super::resnet::Resnet;
use super::{Added, Net, Unet};
use crate::layer::{GroupNorm, Hooks, Layer};
use sdk::candle_core::Tensor;
use sdk::{Error, Result, bail};

/// The value that every segment may read: the noisy latents.
const LATENTS: usize = 0;
/// The text states.
const CONTEXT: usize = 1;
/// The timestep's embedding, through SiLU: made by the first segment.
const TIME: usize = 2;
/// Values that are there before the first segment.
pub(crate) const SOURCES: usize = 2;

/// One segment: a resnet, a transformer block, a change of size.
pub(crate) struct Segment<'a> {
    /// The values it reads, by number: the sources, then the output of each segment.
    pub(crate) inputs: Vec<usize>,
    /// Height and width of its output.
    size: (usize, usize),
    work: Work<'a>,
}

enum Work<'a> {
    Time,
    First(&'a Layer),
    /// Reads a feature map, the other half that is joined to it if there is one, and the timestep.
    Resnet(&'a Resnet),
    /// A part of a transformer; the last part reads the transformer's input too, unless it is the first.
    Transformer(&'a Transformer, usize),
    Shrink(&'a Layer),
    Grow(&'a Layer),
    Last(&'a GroupNorm, &'a Layer),
}

/// Appends segments, and keeps the outputs that the way up will join.
pub(super) struct Builder<'a> {
    segments: Vec<Segment<'a>>,
    skips: Vec<(usize, (usize, usize))>,
    size: (usize, usize),
}

impl<'a> Builder<'a> {
    fn push(&mut self, inputs: Vec<usize>, work: Work<'a>) {
        let size = self.size;
        self.segments.push(Segment { inputs, size, work });
    }

    /// The newest value.
    fn newest(&self) -> usize {
        SOURCES + self.segments.len() - 1
    }

    /// Keeps the newest value for the way up.
    pub(super) fn keep(&mut self) {
        self.skips.push((self.newest(), self.size));
    }

    /// A resnet on the newest value.
    pub(super) fn resnet(&mut self, resnet: &'a Resnet) {
        self.push(vec![self.newest(), TIME], Work::Resnet(resnet));
    }

    /// A resnet on the newest value and what was kept last.
    pub(super) fn joining_resnet(&mut self, resnet: &'a Resnet) -> Result<()> {
        let (skip, _) = (self.skips.pop())
            .ok_or_else(|| Error::msg("the way up has more layers than the way down left outputs"))?;
        self.push(vec![self.newest(), skip, TIME], Work::Resnet(resnet));
        Ok(())
    }

    pub(super) fn transformer(&mut self, transformer: &'a Transformer) {
        let (x, parts) = (self.newest(), transformer.parts());
        for part in 0..parts {
            let mut inputs = vec![self.newest(), CONTEXT];
            if part > 0 && part + 1 == parts {
                inputs.push(x);
            }
            self.push(inputs, Work::Transformer(transformer, part));
        }
    }

    /// Half the size, rounded up.
    pub(super) fn shrink(&mut self, conv: &'a Layer) {
        self.size = (self.size.0.div_ceil(2), self.size.1.div_ceil(2));
        self.push(vec![self.newest()], Work::Shrink(conv));
    }

    /// The size of what was kept last, or double.
    pub(super) fn grow(&mut self, conv: &'a Layer) {
        let double = (2 * self.size.0, 2 * self.size.1);
        self.size = self.skips.last().map_or(double, |(_, size)| *size);
        self.push(vec![self.newest()], Work::Grow(conv));
    }
}

impl Net {
    fn segments(&self, size: (usize, usize)) -> Result<Vec<Segment<'_>>> {
        let mut builder = Builder {
            segments: Vec::new(),
            skips: Vec::new(),
            size,
        };
        builder.push(Vec::new(), Work::Time);
        builder.push(vec![LATENTS], Work::First(&self.conv_in));
        builder.keep();
        for stage in &self.down {
            stage.down_segments(&mut builder);
        }
        if let Some(mid) = &self.mid {
            mid.segments(&mut builder);
        }
        for stage in &self.up {
            stage.up_segments(&mut builder)?;
        }
        builder.push(vec![builder.newest()], Work::Last(&self.norm_out, &self.conv_out));
        Ok(builder.segments)
    }
}

/// One forward pass: the segments and what they start from.
pub(crate) struct Pass<'a> {
    unet: &'a Unet,
    t: &'a Tensor,
    added: Option<&'a Added>,
    /// Latents and text states, in the model's type.
    pub(crate) sources: [Tensor; SOURCES],
    pub(crate) segments: Vec<Segment<'a>>,
}

impl Unet {
    /// The segments of a pass over latents of a size; the output of the last one is the model's.
    ///
    /// # Errors
    /// A model whose ways down and up do not fit.
    pub(crate) fn segments(&self, height: usize, width: usize) -> Result<Vec<Segment<'_>>> {
        self.net.segments((height, width))
    }

    /// A forward pass that is ready to run; arguments as for [`Unet::forward`].
    ///
    /// # Errors
    /// Those of [`Unet::forward`] that can be seen in the shapes of latents, timesteps and text.
    pub(crate) fn pass<'a>(
        &'a self,
        x: &Tensor,
        t: &'a Tensor,
        context: &Tensor,
        added: Option<&'a Added>,
    ) -> Result<Pass<'a>> {
        self.check_inputs(x, t, context)?;
        let (_, _, height, width) = x.dims4()?;
        Ok(Pass {
            unet: self,
            t,
            added,
            sources: [
                x.to_dtype(self.working_dtype())?,
                context.to_dtype(self.working_dtype())?,
            ],
            segments: self.segments(height, width)?,
        })
    }
}

impl Pass<'_> {
    /// The output of segment `index` on the values that it reads.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub(crate) fn run(&self, index: usize, inputs: &[Tensor], hooks: &Hooks) -> Result<Tensor> {
        let Some(Segment { work, size, .. }) = self.segments.get(index) else {
            bail!("the UNet has no segment {index}");
        };
        match (work, inputs) {
            (Work::Time, []) => Ok(self.unet.time(self.t, self.added, hooks)?.silu()?),
            (Work::First(conv) | Work::Shrink(conv), [x]) => conv.forward(x, hooks),
            (Work::Resnet(resnet), [x, time]) => resnet.forward(x, Some(time), hooks),
            (Work::Resnet(resnet), [x, skip, time]) => resnet.forward(&Tensor::cat(&[x, skip], 1)?, Some(time), hooks),
            (Work::Transformer(transformer, part), [x, context]) => {
                transformer.forward_part(*part, x, x, *size, context, hooks)
            }
            (Work::Transformer(transformer, part), [states, context, x]) => {
                transformer.forward_part(*part, states, x, *size, context, hooks)
            }
            (Work::Grow(conv), [x]) => conv.forward(&grow(x, size.0, size.1)?, hooks),
            (Work::Last(norm, conv), [x]) => conv.forward(&norm.forward(x, true)?, hooks),
            _ => bail!("segment {index} of the UNet was given {} values", inputs.len()),
        }
    }

    /// The values that each segment is the last to read.
    pub(crate) fn last_uses(&self) -> Vec<Vec<usize>> {
        let mut last: Vec<Vec<usize>> = vec![Vec::new(); self.segments.len()];
        let mut seen = vec![false; SOURCES + self.segments.len()];
        for (segment, uses) in self.segments.iter().zip(&mut last).rev() {
            for &value in &segment.inputs {
                if !std::mem::replace(&mut seen[value], true) {
                    uses.push(value);
                }
            }
        }
        last
    }

    /// The whole pass, letting go of every value after its last use.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub(super) fn forward(&self, hooks: &Hooks) -> Result<Tensor> {
        let mut values: Vec<Option<Tensor>> = self.sources.iter().cloned().map(Some).collect();
        for (index, last) in self.last_uses().iter().enumerate() {
            let inputs = self.segments[index].read(&values)?;
            let output = self.run(index, &inputs, hooks)?;
            for &value in last {
                values[value] = None;
            }
            values.push(Some(output));
        }
        values
            .pop()
            .flatten()
            .ok_or_else(|| Error::msg("the UNet has no layer"))
    }
}

impl Segment<'_> {
    /// The tensors it reads.
    ///
    /// # Errors
    /// A value that was let go too early.
    pub(crate) fn read(&self, values: &[Option<Tensor>]) -> Result<Vec<Tensor>> {
        let read = |&value: &usize| {
            let tensor = values.get(value).cloned().flatten();
            tensor.ok_or_else(|| Error::msg(format!("value {value} of the UNet's forward pass is gone")))
        };
        self.inputs.iter().map(read).collect()
    }

    /// Enters what a run of this segment allocates; returns the values of its output.
    pub(crate) fn account(&self, ledger: &mut Ledger<'_>) -> usize {
        let pixels = ledger.batch * self.size.0 * self.size.1;
        let joined = self.inputs.len() == 3;
        match &self.work {
            // A vector for each sample: nothing beside feature maps.
            Work::Time => 0,
            Work::First(conv) | Work::Shrink(conv) => ledger.layer(conv, pixels),
            Work::Resnet(resnet) => resnet.account(ledger, pixels, joined),
            Work::Transformer(transformer, part) => transformer.account(ledger, *part, self.size),
            Work::Grow(conv) => {
                ledger.tensor(pixels * conv.weight.dims().get(1).copied().unwrap_or(0));
                ledger.layer(conv, pixels)
            }
            Work::Last(norm, conv) => {
                ledger.group_norm(norm, pixels);
                ledger.layer(conv, pixels)
            }
        }
    }
}
