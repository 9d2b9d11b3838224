//! Random numbers that equal those of PyTorch's CPU generator, so that a seed means the same here as in diffusers.

use sdk::candle_core::{Device, Shape, Tensor};
use sdk::{Result, bail};

const WORDS: usize = 624;
const SHIFT: usize = 397;
/// Starts a saved state; the last byte is the version of its layout.
const MAGIC: &[u8; 8] = b"paramt\0\x01";

/// The Mersenne twister (mt19937) with PyTorch's distributions on top.
///
/// A clone continues with the same numbers as the original.
#[derive(Clone, Debug, PartialEq)]
pub struct Generator {
    words: Box<[u32; WORDS]>,
    next: usize,
    /// The second half of a pair of normal numbers that was drawn for an odd count.
    spare_normal: Option<f64>,
}

impl Generator {
    /// As `torch.Generator().manual_seed(seed)`: only the low 32 bits of the seed count.
    pub fn manual_seed(seed: u64) -> Self {
        let mut words = Box::new([0u32; WORDS]);
        let mut previous = (seed & 0xffff_ffff) as u32;
        words[0] = previous;
        for (i, word) in words.iter_mut().enumerate().skip(1) {
            previous = 1_812_433_253u32
                .wrapping_mul(previous ^ (previous >> 30))
                .wrapping_add(i as u32);
            *word = previous;
        }
        Self {
            words,
            next: WORDS,
            spare_normal: None,
        }
    }

    /// Standard normal f32 numbers, as `torch.randn(shape, generator=…)` on the CPU.
    ///
    /// # Errors
    /// Only those of the allocation.
    pub fn randn(&mut self, shape: impl Into<Shape>) -> Result<Tensor> {
        let shape = shape.into();
        let count = shape.elem_count();
        let values = if count < 16 {
            (0..count).map(|_| self.normal() as f32).collect()
        } else {
            self.normal_blocks(count)
        };
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    /// Uniform f32 numbers in [0, 1), as `torch.rand(shape, generator=…)` on the CPU.
    ///
    /// # Errors
    /// Only those of the allocation.
    pub fn rand(&mut self, shape: impl Into<Shape>) -> Result<Tensor> {
        let shape = shape.into();
        let values: Vec<f32> = (0..shape.elem_count()).map(|_| self.uniform()).collect();
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    /// One integer in [0, high), as an element of `torch.randint(high, …, generator=…)`.
    ///
    /// # Errors
    /// `high` is zero.
    pub fn randint(&mut self, high: u64) -> Result<u64> {
        if high == 0 {
            bail!("a random integer below 0 does not exist: the upper bound must be at least 1");
        }
        // PyTorch takes 64 bits from here on, to keep the remainder's bias small.
        if high >= 1 << 28 {
            return Ok(self.next_u64() % high);
        }
        Ok(u64::from(self.next_u32()) % high)
    }

    /// Everything needed to go on later with the same numbers.
    pub fn state(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.words.iter().flat_map(|w| w.to_le_bytes()));
        bytes.extend((self.next as u32).to_le_bytes());
        bytes.push(u8::from(self.spare_normal.is_some()));
        bytes.extend(self.spare_normal.unwrap_or(0.0).to_le_bytes());
        bytes
    }

    /// The generator that [`Generator::state`] saved.
    ///
    /// # Errors
    /// Bytes that are no saved state.
    pub fn from_state(state: &[u8]) -> Result<Self> {
        let expected = MAGIC.len() + 4 * WORDS + 4 + 1 + 8;
        if state.len() != expected || !state.starts_with(MAGIC) {
            bail!(
                "not the saved state of a random generator: {} bytes found, {expected} expected after a fixed start",
                state.len()
            );
        }
        let word = |at: usize| u32::from_le_bytes([state[at], state[at + 1], state[at + 2], state[at + 3]]);
        let mut words = Box::new([0u32; WORDS]);
        for (i, w) in words.iter_mut().enumerate() {
            *w = word(MAGIC.len() + 4 * i);
        }
        let tail = MAGIC.len() + 4 * WORDS;
        let next = word(tail) as usize;
        if next > WORDS || state[tail + 4] > 1 {
            bail!("the saved state of the random generator is damaged: position {next} of {WORDS}");
        }
        let mut spare = [0u8; 8];
        spare.copy_from_slice(&state[tail + 5..]);
        let spare_normal = (state[tail + 4] == 1).then(|| f64::from_le_bytes(spare));
        Ok(Self {
            words,
            next,
            spare_normal,
        })
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == WORDS {
            self.twist();
        }
        let mut y = self.words[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn twist(&mut self) {
        for i in 0..WORDS {
            let y = (self.words[i] & 0x8000_0000) | (self.words[(i + 1) % WORDS] & 0x7fff_ffff);
            let mixed = if y & 1 == 0 { y >> 1 } else { (y >> 1) ^ 0x9908_b0df };
            self.words[i] = self.words[(i + SHIFT) % WORDS] ^ mixed;
        }
        self.next = 0;
    }

    fn next_u64(&mut self) -> u64 {
        let high = u64::from(self.next_u32());
        (high << 32) | u64::from(self.next_u32())
    }

    /// 24 bits of one word.
    fn uniform(&mut self) -> f32 {
        (self.next_u32() & 0x00ff_ffff) as f32 * (1.0 / 16_777_216.0)
    }

    /// 53 bits of two words.
    fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }

    /// The scalar path: Box and Muller in f64, the second number kept for the next call.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        let angle = std::f64::consts::TAU * self.uniform_f64();
        let radius = (-2.0 * (-self.uniform_f64()).ln_1p()).sqrt();
        self.spare_normal = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// The block path: sixteen uniform numbers become eight cosines and eight sines; a tail shorter than a
    /// block draws its last sixteen anew.
    fn normal_blocks(&mut self, count: usize) -> Vec<f32> {
        let mut values: Vec<f32> = (0..count).map(|_| self.uniform()).collect();
        values.chunks_exact_mut(16).for_each(box_muller);
        if !count.is_multiple_of(16) {
            let last = &mut values[count - 16..];
            last.iter_mut().for_each(|v| *v = self.uniform());
            box_muller(last);
        }
        values
    }
}

fn box_muller(block: &mut [f32]) {
    let (first, second) = block.split_at_mut(8);
    for (a, b) in first.iter_mut().zip(second) {
        let radius = (-2.0 * (1.0 - *a).ln()).sqrt();
        let angle = std::f32::consts::TAU * *b;
        *a = radius * angle.cos();
        *b = radius * angle.sin();
    }
}
