//! Lines and columns of byte offsets.

/// Bytes after which the count of characters is noted; a file may be one line of many megabytes.
const BLOCK: usize = 256;

/// Turns byte offsets into lines and columns in constant time.
#[derive(Clone, Debug)]
pub struct Lines {
    starts: Vec<usize>,
    /// Characters before each block.
    chars: Vec<usize>,
}

impl Lines {
    /// Reads `text` once.
    pub fn of(text: &str) -> Self {
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

    /// Line and column of byte `offset` of `text`, both from 1; columns count characters.
    pub fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let offset = offset.min(text.len());
        let line = self.starts.partition_point(|&s| s <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, self.before(text, offset) - self.before(text, start) + 1)
    }

    /// Characters before byte `offset`.
    fn before(&self, text: &str, offset: usize) -> usize {
        let block = (offset / BLOCK).min(self.chars.len().saturating_sub(1));
        let noted = self.chars.get(block).copied().unwrap_or(0);
        noted + text.as_bytes().get(block * BLOCK..offset).map_or(0, count)
    }

    /// Byte at which `line` (from 1) begins.
    pub(crate) fn start(&self, line: usize) -> usize {
        self.starts
            .get(line.saturating_sub(1))
            .or(self.starts.last())
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
        let lines = Lines::of(&text);
        assert_eq!(lines.position(&text, 0), (1, 1));
        assert_eq!(lines.position(&text, text.find('x').unwrap()), (1, 402));
        assert_eq!(lines.position(&text, text.find('y').unwrap()), (3, 1));
        assert_eq!(lines.position(&text, text.len()), (3, 3));
        assert_eq!(lines.position(&text, text.len() + 9), (3, 3));
        assert_eq!(Lines::of("").position("", 0), (1, 1));
    }
}
