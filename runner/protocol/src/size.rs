//! Sizes in words, the same on both sides of the border.

/// A number of bytes for people: `964 B`, `8.1 kB`, `12 MB` (of 1,000,000 bytes).
pub fn size_text(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for larger in ["kB", "MB", "GB", "TB"] {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, larger);
    }
    match unit {
        "B" => format!("{bytes} B"),
        _ if value < 9.95 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_tell_a_size() {
        assert_eq!(
            [0, 999, 1000, 9_949_999, 12_300_000, 999_600_000].map(size_text),
            ["0 B", "999 B", "1.0 kB", "9.9 MB", "12 MB", "1.0 GB"]
        );
    }
}
