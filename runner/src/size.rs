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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
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
    }
}
