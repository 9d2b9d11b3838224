//! Pictures.

use crate::{Error, Port, Result};
use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// One 8-bit RGB picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row by row, red, green, blue: `3 · width · height` bytes.
    pub rgb: Vec<u8>,
    /// Where it comes from (a file name), or empty.
    pub name: String,
    /// What it shows, in words, if somebody said so.
    pub caption: Option<String>,
}

impl Image {
    /// A picture without a name.
    ///
    /// # Errors
    /// When the number of bytes does not fit the size.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self> {
        if rgb.len() != 3 * width * height || rgb.is_empty() {
            crate::bail!(
                "a picture of {width} x {height} needs {} bytes, found {}",
                3 * width * height,
                rgb.len()
            );
        }
        Ok(Self {
            width,
            height,
            rgb,
            name: String::new(),
            caption: None,
        })
    }
}

/// How a picture comes to another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Scaled until it covers the size, then cut at the edges alike.
    Crop,
    /// Each side scaled on its own.
    Stretch,
}

impl Image {
    /// The picture at another size (Lanczos).
    ///
    /// # Errors
    /// A size of zero.
    pub fn resized(&self, width: usize, height: usize, fit: Fit) -> Result<Self> {
        if width == 0 || height == 0 {
            crate::bail!("a picture cannot become {width} x {height}");
        }
        if (self.width, self.height) == (width, height) {
            return Ok(self.clone());
        }
        let source = RgbImage::from_raw(self.width as u32, self.height as u32, self.rgb.clone());
        let source = source.ok_or_else(|| Error::msg("a picture with the wrong number of bytes"))?;
        let source = match fit {
            Fit::Stretch => source,
            Fit::Crop => {
                // The largest part of the picture that has the wanted shape.
                let (w, h) = (self.width as u64, self.height as u64);
                let (tw, th) = (width as u64, height as u64);
                let (cw, ch) = if w * th > h * tw {
                    ((h * tw / th).max(1), h)
                } else {
                    (w, (w * th / tw).max(1))
                };
                let (x, y) = ((w - cw) / 2, (h - ch) / 2);
                imageops::crop_imm(&source, x as u32, y as u32, cw as u32, ch as u32).to_image()
            }
        };
        let done = imageops::resize(&source, width as u32, height as u32, imageops::FilterType::Lanczos3);
        let resized = Self::new(width, height, done.into_raw())?;
        Ok(Self {
            name: self.name.clone(),
            caption: self.caption.clone(),
            ..resized
        })
    }
}

/// Pictures of any sizes, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// The pictures.
    pub items: Vec<Image>,
}

#[derive(Serialize, Deserialize)]
struct Label {
    name: String,
    caption: Option<String>,
}

impl Port for Images {
    const NAME: &'static str = "images";

    fn encode(&self) -> Result<Option<Vec<u8>>> {
        let labels: Vec<_> = self
            .items
            .iter()
            .map(|i| Label {
                name: i.name.clone(),
                caption: i.caption.clone(),
            })
            .collect();
        let views = self.items.iter().enumerate().map(|(index, image)| {
            let shape = vec![image.height, image.width, 3];
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::U8, shape, &image.rgb);
            view.map(|view| (format!("{index:06}"), view))
        });
        let views: Vec<_> = views.collect::<Result<_, _>>()?;
        // One metadata key only: several would be written in the random order of a hash map.
        let metadata = HashMap::from([("labels".to_owned(), serde_json::to_string(&labels)?)]);
        Ok(Some(safetensors::serialize(views, Some(metadata))?))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let (_, header) = safetensors::SafeTensors::read_metadata(bytes)?;
        let tensors = safetensors::SafeTensors::deserialize(bytes)?;
        let labels = header.metadata().as_ref().and_then(|m| m.get("labels"));
        let labels: Vec<Label> = serde_json::from_str(labels.ok_or_else(|| Error::msg("no labels"))?)?;
        let items = labels.into_iter().enumerate().map(|(index, label)| {
            let tensor = tensors.tensor(&format!("{index:06}"))?;
            let [height, width, 3] = *tensor.shape() else {
                crate::bail!("picture {index} has shape {:?}", tensor.shape());
            };
            let image = Image::new(width, height, tensor.data().to_vec())?;
            Ok(Image {
                name: label.name,
                caption: label.caption,
                ..image
            })
        });
        Ok(Self {
            items: items.collect::<Result<_>>()?,
        })
    }

    fn size(&self) -> usize {
        self.items.iter().map(|image| image.rgb.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_survive_the_store() {
        let mut images = Images::default();
        for (index, (width, height)) in [(2, 3), (1, 1)].into_iter().enumerate() {
            let rgb = (0..3 * width * height).map(|i| i as u8).collect();
            let image = Image::new(width, height, rgb).unwrap();
            images.items.push(Image {
                name: format!("{index}.png"),
                caption: (index == 0).then(|| "a dog".into()),
                ..image
            });
        }
        let bytes = images.encode().unwrap().unwrap();
        assert_eq!(Images::decode(&bytes).unwrap(), images);
        assert_eq!(images.encode().unwrap().unwrap(), bytes, "same pictures, same bytes");
        assert!(Images::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Image::new(2, 2, vec![0; 11]).is_err());
    }

    fn striped(width: usize, height: usize) -> Image {
        let rgb = (0..width * height)
            .flat_map(|i| [(i % width) as u8 * 10, (i / width) as u8 * 10, 7])
            .collect();
        Image::new(width, height, rgb).unwrap()
    }

    #[test]
    fn crops_keep_the_middle() {
        let wide = striped(12, 4).resized(4, 4, Fit::Crop).unwrap();
        assert_eq!(wide.rgb[0], 40, "columns 4 to 7 stay");
        assert_eq!(striped(12, 4).resized(6, 2, Fit::Stretch).unwrap().width, 6);
    }
}
