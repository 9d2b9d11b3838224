//! Pictures for messages: small PNGs.

use protocol::{Bytes, Picture};
use sdk::image::{ImageFormat, RgbImage};
use sdk::{Error, Fit, Image, Result};
use std::io::Cursor;

/// Pictures in messages have no longer side.
const LONGEST: usize = 512;

/// A preview as it is sent.
///
/// # Errors
/// A picture without pixels.
pub fn of(image: &Image) -> Result<Picture> {
    let image = within(image, LONGEST, LONGEST)?;
    let (width, height) = (image.width as u32, image.height as u32);
    let pixels = RgbImage::from_raw(width, height, image.rgb).ok_or_else(|| Error::msg("a picture without pixels"))?;
    let mut png = Vec::new();
    pixels.write_to(&mut Cursor::new(&mut png), ImageFormat::Png)?;
    Ok(Picture {
        width,
        height,
        png: Bytes(png),
    })
}

/// The picture, shrunk so that it is no wider and no higher than this; never enlarged.
///
/// # Errors
/// A picture without pixels.
pub fn within(image: &Image, width: usize, height: usize) -> Result<Image> {
    let (width, height) = (width.max(1), height.max(1));
    let shrink = f64::max(image.width as f64 / width as f64, image.height as f64 / height as f64);
    if shrink <= 1.0 {
        return Ok(image.clone());
    }
    let side = |n: usize, most: usize| ((n as f64 / shrink).round() as usize).clamp(1, most);
    image.resized(side(image.width, width), side(image.height, height), Fit::Stretch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_shape_and_are_not_enlarged() {
        let wide = Image::new(1000, 10, vec![7; 30_000]).unwrap();
        let small = within(&wide, 100, 100).unwrap();
        assert_eq!((small.width, small.height), (100, 1));
        assert_eq!(within(&small, 500, 500).unwrap(), small);
        let sent = of(&wide).unwrap();
        assert_eq!((sent.width, sent.height), (512, 5));
        assert!(sent.png.0.starts_with(b"\x89PNG"));
    }
}
