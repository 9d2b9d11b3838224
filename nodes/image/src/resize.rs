//! `image/resize`.

use sdk::prelude::*;

sdk::choice! {
    /// What happens when the shape differs.
    pub enum Fit {
        /// Scaled until it covers the size, then cut at the edges alike.
        Crop = "crop",
        /// Each side scaled on its own.
        Stretch = "stretch",
    }
}

/// Brings pictures to a size.
#[node("image/resize", outputs(images = "The pictures at that size"))]
fn resize(
    context: &Context,
    /// Pictures, in order
    images: Vec<&Images>,
    /// Width in pixels
    #[range(1..=16384)]
    width: usize,
    /// Height in pixels
    #[range(1..=16384)]
    height: usize,
    /// Cut what does not fit, or stretch
    #[default("crop")]
    fit: Fit,
) -> Result<Images> {
    let mut sized = Images::default();
    for image in images.iter().flat_map(|images| &images.items) {
        context.check()?;
        let fit = match fit {
            Fit::Crop => sdk::Fit::Crop,
            Fit::Stretch => sdk::Fit::Stretch,
        };
        sized.items.push(image.resized(width, height, fit)?);
    }
    Ok(sized)
}
