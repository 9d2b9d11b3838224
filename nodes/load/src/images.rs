//! `load/images`.

use sdk::image::metadata::Orientation;
use sdk::image::{self, DynamicImage, ImageDecoder, ImageReader};
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
    let _room = context.reserve(decoded_bytes(&files))?;
    let mut images = sdk::Images::default();
    for file in &files {
        context.check()?;
        images.items.push(read(file)?);
    }
    let captions = images.items.iter().filter(|image| image.caption.is_some()).count();
    context.info(format!("{} pictures, {captions} captions", images.items.len()));
    if path.is_dir() {
        let known = |name: &str| {
            files
                .iter()
                .any(|f| f.file_stem() == Path::new(name).file_stem() && (name.ends_with(".txt") || f.ends_with(name)))
        };
        let others = fs::read_dir(&*path)?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned());
        let others: Vec<String> = others.filter(|name| !name.starts_with('.') && !known(name)).collect();
        if !others.is_empty() {
            let named = others.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if others.len() > 5 { ", …" } else { "" };
            context.warn(format!(
                "{} other files in the folder are left out: {named}{more}",
                others.len()
            ));
        }
    }
    Ok(images)
}

/// What pictures take: themselves and their copy for the store, and the largest of them on its way. Files that cannot be
/// read are told of when they are.
fn decoded_bytes(files: &[PathBuf]) -> usize {
    let pixels = files.iter().filter_map(|file| {
        let (width, height) = ImageReader::open(file)
            .ok()?
            .with_guessed_format()
            .ok()?
            .into_dimensions()
            .ok()?;
        let pixels = u64::from(width) * u64::from(height);
        (pixels <= LARGEST).then_some(pixels as usize)
    });
    let (all, largest) = pixels.fold((0, 0), |(all, largest), pixels| (all + pixels, pixels.max(largest)));
    2 * 3 * all + 8 * largest
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
    let mut decoder = reader()?.into_decoder().help(help).context(broken)?;
    // Cameras store pictures as the sensor saw them and say how to turn them.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut decoded = DynamicImage::from_decoder(decoder).help(help).context(broken)?;
    decoded.apply_orientation(orientation);
    let rgba = decoded.to_rgba8();
    let mut rgb = Vec::with_capacity(3 * rgba.pixels().len());
    for image::Rgba([r, g, b, a]) in rgba.pixels() {
        let over_white = |c: &u8| ((u32::from(*c) * u32::from(*a) + 255 * (255 - u32::from(*a)) + 127) / 255) as u8;
        rgb.extend([over_white(r), over_white(g), over_white(b)]);
    }
    let caption = caption(file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Image {
        name,
        caption,
        ..Image::new(rgba.width() as usize, rgba.height() as usize, rgb)?
    })
}

/// The text beside a picture, on one line.
fn caption(picture: &Path) -> Result<Option<String>> {
    let file = picture.with_extension("txt");
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::from(error).context(format_args!("cannot read {}", file.display()))),
    };
    let text = String::from_utf8(bytes).context(|| format!("the caption {} is not UTF-8", file.display()));
    let text = text.help(|| "save it as UTF-8 text")?;
    let words: Vec<&str> = text.trim_start_matches('\u{feff}').split_whitespace().collect();
    Ok((!words.is_empty()).then(|| words.join(" ")))
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
    fn captions_have_to_be_readable() {
        let one = png(&[[1, 2, 3, 255]]);
        let read_with = |caption: &[u8]| {
            let folder = folder_with(&[("a.png", &one), ("a.txt", caption)]);
            images(&Context::detached(), InputPath(folder.path().to_owned()))
        };
        assert_eq!(
            read_with("\u{feff}a dög".as_bytes()).unwrap().items[0]
                .caption
                .as_deref(),
            Some("a dög")
        );
        let error = read_with(b"a d\xf6g").unwrap_err();
        assert!(error.message().contains("a.txt is not UTF-8"), "{error}");
    }

    #[test]
    fn pictures_of_a_turned_camera_stand_upright() {
        // A 2 x 1 JPEG whose EXIF says "rotate by 90 degrees" (orientation 6).
        let image = image::RgbImage::from_fn(16, 8, |x, _| image::Rgb([if x < 8 { 255 } else { 0 }, 0, 0]));
        let mut jpeg = Vec::new();
        image
            .write_to(&mut Cursor::new(&mut jpeg), image::ImageFormat::Jpeg)
            .unwrap();
        let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let mut segment = vec![0xff, 0xe1, 0, exif.len() as u8 + 2];
        segment.extend_from_slice(exif);
        jpeg.splice(2..2, segment);
        let folder = folder_with(&[("a.jpg", &jpeg)]);
        let found = images(&Context::detached(), InputPath(folder.path().to_owned())).unwrap();
        let picture = &found.items[0];
        assert_eq!((picture.width, picture.height), (8, 16));
        let red = |y: usize| picture.rgb[3 * (y * 8 + 4)];
        assert!(red(2) > 200 && red(13) < 60, "the left half is above now");
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
