//! Between 8-bit pictures and tensors.

use sdk::candle_core::{DType, Device, Tensor};
use sdk::{Image, Images, Result, bail};

/// Pictures of one size as (n, 3, h, w) in [−1, 1]. `factor` must divide height and width.
///
/// # Errors
/// No picture, unequal sizes, a size that `factor` does not divide.
pub fn to_tensor(images: &Images, factor: usize) -> Result<Tensor> {
    let Some(first) = images.items.first() else {
        bail!("there is no picture to encode");
    };
    let (width, height) = (first.width, first.height);
    if let Some(other) = images.items.iter().find(|i| (i.width, i.height) != (width, height)) {
        bail!("pictures of {width} x {height} and {} x {} cannot be encoded together", other.width, other.height;
              help: "bring them to one size with image/resize");
    }
    if width % factor != 0 || height % factor != 0 {
        bail!("pictures of {width} x {height} cannot be encoded: the autoencoder needs multiples of {factor}";
              help: "bring them to such a size with image/resize");
    }
    let rows: Result<Vec<Tensor>> = images.items.iter().map(tensor).collect();
    Ok(Tensor::stack(&rows?, 0)?)
}

/// (3, h, w) in [−1, 1].
fn tensor(image: &Image) -> Result<Tensor> {
    let bytes = Tensor::from_slice(&image.rgb, (image.height, image.width, 3), &Device::Cpu)?;
    let unit = (bytes.to_dtype(DType::F32)? / 127.5)?;
    Ok((unit - 1.0)?.permute((2, 0, 1))?.contiguous()?)
}

/// (n, 3, h, w) in [−1, 1] as pictures; values outside are clipped, others rounded to 8 bits.
///
/// # Errors
/// Another shape.
pub fn from_tensor(pixels: &Tensor) -> Result<Images> {
    let (_, channels, height, width) = pixels.dims4()?;
    if channels != 3 {
        bail!("the autoencoder gave {channels} channels, expected 3");
    }
    let bytes = pixels
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F32)?
        .permute((0, 2, 3, 1))?;
    let bytes = ((bytes + 1.0)? * 127.5)?
        .clamp(0.0, 255.0)?
        .round()?
        .to_dtype(DType::U8)?;
    let rows = (0..bytes.dim(0)?).map(|index| Image::new(width, height, bytes.get(index)?.flatten_all()?.to_vec1()?));
    Ok(Images {
        items: rows.collect::<Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn striped(width: usize, height: usize) -> Image {
        let rgb = (0..width * height)
            .flat_map(|i| [(i % width) as u8 * 10, (i / width) as u8 * 10, 7])
            .collect();
        Image::new(width, height, rgb).unwrap()
    }

    #[test]
    fn eight_bits_survive_the_way_there_and_back() {
        let images = Images {
            items: vec![striped(8, 4), striped(8, 4)],
        };
        let tensor = to_tensor(&images, 4).unwrap();
        assert_eq!(tensor.dims(), [2, 3, 4, 8]);
        let first: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!((first[0], first[2 * 4 * 8]), (-1.0, 7.0 / 127.5 - 1.0));
        assert_eq!(from_tensor(&tensor).unwrap().items[1].rgb, images.items[1].rgb);
        assert!(to_tensor(&images, 3).unwrap_err().message().contains("multiples of 3"));
    }
}
