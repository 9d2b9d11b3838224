//! `image/save`.

use sdk::OutputPath;
use sdk::prelude::*;
use std::path::Path;

/// Saves pictures as PNG files, one for each: PREFIX_00001.png, PREFIX_00002.png, …
///
/// Each file carries the graph that made it (`para run PICTURE.png` runs it again) and the hashes of the files it
/// used. Files that para did not write are never replaced, and one that somebody changed since is kept under another name.
#[node("image/save", effect, outputs(files = "The written files"))]
fn save(
    context: &Context,
    /// Pictures, in order
    images: Vec<&Images>,
    /// Beginning of the files' names
    #[default("image")]
    prefix: String,
    /// Folder that they go to; made when it is not there
    #[default("out")]
    directory: OutputPath,
) -> Result<Files> {
    if prefix.is_empty() || prefix.contains(['/', '\\', '\0']) {
        sdk::bail!("parameter `prefix`: {prefix:?} is no beginning of a file name"; help: "name the folder in `directory`");
    }
    let provenance = context.provenance(&directory);
    let pictures: Vec<&Image> = images.iter().flat_map(|images| &images.items).collect();
    let paths: Vec<_> = (1..=pictures.len())
        .map(|n| directory.join(format!("{prefix}_{n:05}.png")))
        .collect();
    let mut encoded = Vec::new();
    for (image, path) in pictures.iter().zip(&paths) {
        context.check()?;
        encoded.push(png(image, provenance.as_deref(), path)?);
    }
    for (path, bytes) in paths.iter().zip(&encoded) {
        context.claim(path, bytes)?;
    }
    let mut files = Files::default();
    for (path, bytes) in paths.iter().zip(&encoded) {
        files.write(path, bytes)?;
    }
    Ok(files)
}

fn png(image: &Image, provenance: Option<&str>, path: &Path) -> Result<Vec<u8>> {
    let encode = || -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, image.width as u32, image.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        if let Some(text) = provenance {
            encoder.add_itxt_chunk("paragraph".into(), text.into())?;
        }
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&image.rgb)?;
        writer.finish()?;
        Ok(bytes)
    };
    encode().context(|| format!("cannot encode {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_numbered_in_order_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let image = |v| Image::new(2, 1, vec![v; 6]).unwrap();
        let (a, b) = (
            Images {
                items: vec![image(1), image(2)],
            },
            Images { items: vec![image(3)] },
        );
        let directory = || OutputPath(folder.path().join("new"));
        let files = save(&Context::detached(), vec![&a, &b], "cat".into(), directory()).unwrap();
        for (index, entry) in files.items.iter().enumerate() {
            assert_eq!(entry.path, folder.path().join(format!("new/cat_{:05}.png", index + 1)));
            let read = sdk::image::open(&entry.path).unwrap().to_rgb8();
            assert_eq!(
                (read.dimensions(), read.get_pixel(0, 0).0[0]),
                ((2, 1), index as u8 + 1)
            );
        }
        assert!(save(&Context::detached(), vec![&a], "a/b".into(), directory()).is_err());
    }
}
