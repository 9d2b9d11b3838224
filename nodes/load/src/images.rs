//! `load/images`.

use sdk::image::{self, ImageReader};
use sdk::prelude::*;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Larger pictures are a mistake or an attack: 64 megapixels.
const LARGEST: u64 = 64 << 20;

/// Loads pictures: one file, or all PNG, JPEG and WebP files of a folder in the order of their names.
///
/// A text file beside a picture (`dog.txt` for `dog.png`) is its caption; training uses it in place of its prompt.
/// Transparent parts become white. Training resizes the pictures to its own resolution.
#[node("load/images", outputs(images = "The pictures, with captions"))]
fn images(
    context: &Context,
    /// A picture, or a folder of pictures
    path: InputPath,
) -> Result<sdk::Images> {
    let files = if path.is_dir() {
        pictures(&path)?
    } else {
        vec![path.to_path_buf()]
    };
    if files.is_empty() {
        sdk::bail!("no picture in {}", path.display(); help: "expected .png, .jpg, .jpeg or .webp files");
    }
    let mut images = sdk::Images::default();
    for file in &files {
        context.check()?;
        images.items.push(read(file)?);
    }
    Ok(images)
}

fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default()
            .to_lowercase();
        let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if ["png", "jpg", "jpeg", "webp"].contains(&extension.as_str()) && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<Image> {
    let bytes = fs::read(file).context(|| format!("cannot read {}", file.display()))?;
    let broken = || format!("{} is not a picture that can be read", file.display());
    let help = || "expected a PNG, JPEG or WebP file; open it in another program to see whether it is whole";
    let reader = || ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
    // The header first: a small file may claim to be a huge picture.
    let (width, height) = reader()?.into_dimensions().help(help).context(broken)?;
    if u64::from(width) * u64::from(height) > LARGEST {
        sdk::bail!("{} has {width} x {height} pixels", file.display(); help: "pictures of up to 64 megapixels are read");
    }
    let decoded = reader()?.decode().help(help).context(broken)?;
    let rgba = decoded.to_rgba8();
    let mut rgb = Vec::with_capacity(3 * rgba.pixels().len());
    for image::Rgba([r, g, b, a]) in rgba.pixels() {
        let over_white = |c: &u8| ((u32::from(*c) * u32::from(*a) + 255 * (255 - u32::from(*a)) + 127) / 255) as u8;
        rgb.extend([over_white(r), over_white(g), over_white(b)]);
    }
    let caption = fs::read_to_string(file.with_extension("txt")).ok();
    let caption = caption
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|text| !text.is_empty());
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Image {
        name,
        caption,
        ..Image::new(width as usize, height as usize, rgb)?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn png(pixels: &[[u8; 4]]) -> Vec<u8> {
        let image = image::RgbaImage::from_fn(pixels.len() as u32, 1, |x, _| image::Rgba(pixels[x as usize]));
        let mut bytes = Vec::new();
        image
            .write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png)
            .unwrap();
        bytes
    }

    #[test]
    fn a_folder_in_order_with_captions_and_white_behind() {
        let one = png(&[[255, 0, 0, 255], [0, 0, 0, 0]]);
        let folder = folder_with(&[
            ("b.png", &one),
            ("a.png", &one),
            ("a.txt", b" a red\n dot "),
            ("notes.md", b"x"),
        ]);
        let found = images(&Context::detached(), InputPath(folder.path().to_owned())).unwrap();
        let names: Vec<_> = found
            .items
            .iter()
            .map(|i| (i.name.as_str(), i.caption.as_deref()))
            .collect();
        assert_eq!(names, [("a.png", Some("a red dot")), ("b.png", None)]);
        assert_eq!(found.items[0].rgb, [255, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let folder = folder_with(&[("a.png", b"not a picture"), ("b.jpg", &png(&[[1, 2, 3, 255]])[..40])]);
        for name in ["a.png", "b.jpg"] {
            let error = images(&Context::detached(), InputPath(folder.path().join(name))).unwrap_err();
            assert!(
                error.message().contains(name) && error.help_text().is_some(),
                "{error:?}"
            );
        }
        let empty = tempfile::tempdir().unwrap();
        let error = images(&Context::detached(), InputPath(empty.path().to_owned())).unwrap_err();
        assert!(error.message().contains("no picture in"), "{error}");
    }
}
