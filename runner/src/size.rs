//! Sizes as people write them: `8GB`, `512 MB`, `1.5G`.

/// Reads a number of bytes.
///
/// # Errors
/// A sentence with what is expected.
pub fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim().to_ascii_lowercase());
    let factor = match unit.trim_end_matches('b') {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        "ki" => 1024.0,
        "mi" => 1024.0 * 1024.0,
        "gi" => 1024.0 * 1024.0 * 1024.0,
        "ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => {
            return Err(format!(
                "`{unit}` is no unit: expected B, kB, MB, GB, TB, or KiB, MiB, GiB, TiB"
            ));
        }
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "expected a number with a unit, such as 8GB".to_owned())?;
    Ok((number * factor) as u64)
}

/// A number of bytes for people.
pub fn show(bytes: u64) -> String {
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
    fn sizes_are_read_and_shown() {
        for (text, bytes) in [
            ("0", 0),
            ("12", 12),
            ("8GB", 8_000_000_000),
            ("1.5g", 1_500_000_000),
            (" 512 MiB ", 512 << 20),
            ("3kb", 3000),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "GB", "3 apples", "1.2.3M", "-1"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(
            [0, 999, 1000, 9_949_999, 12_300_000, 999_600_000].map(show),
            ["0 B", "999 B", "1.0 kB", "9.9 MB", "12 MB", "1.0 GB"]
        );
    }
}
