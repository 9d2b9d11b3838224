//! Lines and columns of byte offsets.

use std::sync::{Arc, OnceLock};

/// Bytes after which the count of characters is noted; a file may be one line of many megabytes.
const BLOCK: usize = 256;

/// Turns byte offsets into lines and columns in constant time.
#[derive(Clone, Debug)]
pub struct Lines {
    text: Arc<str>,
    /// Made when first asked for: a graph without faults never asks.
    table: OnceLock<Table>,
}

#[derive(Clone, Debug)]
struct Table {
    starts: Vec<usize>,
    /// Characters before each block.
    chars: Vec<usize>,
}

impl Table {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let newlines = bytes
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'\n')
            .map(|(i, _)| i + 1);
        let starts = std::iter::once(0).chain(newlines).collect();
        let mut total = 0;
        let chars = bytes
            .chunks(BLOCK)
            .map(|block| {
                let before = total;
                total += count(block);
                before
            })
            .collect();
        Self { starts, chars }
    }
}

impl Lines {
    /// The lines of `text`.
    pub fn of(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            table: OnceLock::new(),
        }
    }

    fn table(&self) -> &Table {
        self.table.get_or_init(|| Table::of(&self.text))
    }

    /// Line and column of byte `offset`, both from 1; columns count characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let starts = &self.table().starts;
        let offset = offset.min(self.text.len());
        let line = starts.partition_point(|&s| s <= offset);
        let start = starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, self.before(offset) - self.before(start) + 1)
    }

    /// Characters before byte `offset`.
    fn before(&self, offset: usize) -> usize {
        let chars = &self.table().chars;
        let block = (offset / BLOCK).min(chars.len().saturating_sub(1));
        let noted = chars.get(block).copied().unwrap_or(0);
        noted + self.text.as_bytes().get(block * BLOCK..offset).map_or(0, count)
    }

    /// Byte at which `line` (from 1) begins.
    pub(crate) fn start(&self, line: usize) -> usize {
        let starts = &self.table().starts;
        starts
            .get(line.saturating_sub(1))
            .or(starts.last())
            .copied()
            .unwrap_or(0)
    }
}

fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| (**b & 0xC0) != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = format!("é{}x\n\nyz", "ß".repeat(400));
        let lines = Lines::of(text.as_str());
        assert_eq!(lines.position(0), (1, 1));
        assert_eq!(lines.position(text.find('x').unwrap()), (1, 402));
        assert_eq!(lines.position(text.find('y').unwrap()), (3, 1));
        assert_eq!(lines.position(text.len()), (3, 3));
        assert_eq!(lines.position(text.len() + 9), (3, 3));
        assert_eq!(Lines::of("").position(0), (1, 1));
    }
}
