//! `palette/paint`.

use sdk::prelude::*;

/// Draws pictures with the colours of a palette only: each pixel becomes the colour nearest to it, and the palette
/// itself stands below as a strip.
#[node("palette/paint", outputs(images = "The pictures, painted anew"))]
fn paint(
    /// The colours: rows of red, green, blue from 0 to 1
    palette: &Tensor,
    /// Pictures to paint
    images: &Images,
    /// Height of the strip below, in pixels; 0: none
    #[default(8)]
    #[range(0..=256)]
    strip: usize,
) -> Result<Images> {
    let rows = palette
        .to_vec2::<f32>()
        .context(|| "a palette has rows of three numbers".to_owned())?;
    let colours: Vec<[u8; 3]> = rows
        .iter()
        .filter_map(|row| <[f32; 3]>::try_from(row.as_slice()).ok())
        .map(|row| row.map(|channel| (channel * 255.0).round() as u8))
        .collect();
    if colours.is_empty() || colours.len() != rows.len() {
        bail!("a palette has rows of red, green and blue"; help: "palette/learn makes one");
    }
    let mut painted = Vec::with_capacity(images.items.len());
    for image in &images.items {
        let pixels = image.rgb.chunks_exact(3).flat_map(|pixel| nearest(&colours, pixel));
        let mut rgb: Vec<u8> = pixels.collect();
        for _ in 0..strip {
            rgb.extend((0..image.width).flat_map(|x| colours[x * colours.len() / image.width]));
        }
        let drawn = Image::new(image.width, image.height + strip, rgb)?;
        painted.push(Image {
            name: image.name.clone(),
            caption: image.caption.clone(),
            ..drawn
        });
    }
    Ok(Images { items: painted })
}

fn nearest(colours: &[[u8; 3]], pixel: &[u8]) -> [u8; 3] {
    let apart = |colour: &[u8; 3]| -> i32 {
        colour
            .iter()
            .zip(pixel)
            .map(|(a, b)| (i32::from(*a) - i32::from(*b)).pow(2))
            .sum()
    };
    colours.iter().copied().min_by_key(apart).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_the_nearest_colour_and_the_palette_stands_below() {
        let palette = Tensor::new(&[[0f32, 0.0, 0.0], [1.0, 1.0, 1.0]], &Device::Cpu).unwrap();
        let image = Image::new(2, 1, vec![20, 0, 30, 200, 255, 180]).unwrap();
        let painted = paint(&palette, &Images { items: vec![image] }, 1).unwrap();
        assert_eq!(painted.items[0].height, 2);
        assert_eq!(painted.items[0].rgb, [0, 0, 0, 255, 255, 255, 0, 0, 0, 255, 255, 255]);
    }
}
