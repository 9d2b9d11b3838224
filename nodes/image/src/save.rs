//! `image/save`.

use sdk::OutputPath;
use sdk::prelude::*;

/// Saves pictures as PNG files, one for each: PREFIX_00001.png, PREFIX_00002.png, …
///
/// Numbers go on behind the pictures that are there, so none is ever replaced; one that somebody changed is kept under
/// another name when the graph makes it again. Each file carries the graph that made it (`para run PICTURE.png` runs it
/// again) and the hashes of the files it used.
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
    let mut encoded = Vec::new();
    for image in &pictures {
        context.check()?;
        encoded.push(png(image, provenance.as_deref()).context(|| format!("cannot encode pictures of {prefix}"))?);
    }
    let series = Series {
        folder: &directory,
        prefix: &prefix,
        extension: "png",
    };
    let first = context.number(&series, &encoded)?;
    let paths: Vec<_> = (first..).take(encoded.len()).map(|n| series.path(n)).collect();
    for (path, bytes) in paths.iter().zip(&encoded) {
        context.claim(path, bytes)?;
    }
    let mut files = Files::default();
    for (path, bytes) in paths.iter().zip(&encoded) {
        files.write(path, bytes)?;
    }
    Ok(files)
}

fn png(image: &Image, provenance: Option<&str>) -> Result<Vec<u8>, png::EncodingError> {
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
        let more = save(&Context::detached(), vec![&b], "cat".into(), directory()).unwrap();
        assert!(
            more.items[0].path.ends_with("cat_00003.png"),
            "the same picture stays where it is"
        );
        let turned = Images {
            items: a.items.iter().rev().cloned().collect(),
        };
        let more = save(&Context::detached(), vec![&turned], "cat".into(), directory()).unwrap();
        assert!(
            more.items[0].path.ends_with("cat_00004.png"),
            "other pictures go behind"
        );
        assert!(save(&Context::detached(), vec![&a], "a/b".into(), directory()).is_err());
    }
}
