//! `image/grid`.

use font8x8::UnicodeFonts;
use sdk::prelude::*;

/// Pixels of a letter, and between pictures.
const LETTER: usize = 8;
const GAP: usize = 2;

/// Lays pictures out in one, row by row, with a line of text above.
///
/// Cells are as large as the largest picture. Without `columns` each linked input is a row of its own (a single
/// input is laid out as square as possible). There are as many labels as pictures, or as many as linked inputs.
#[node("image/grid", outputs(images = "One picture of all"))]
fn grid(
    /// Pictures, in order
    images: Vec<&Images>,
    /// Pictures in a row; null: one row for each input
    #[range(1..=1000)]
    columns: Option<usize>,
    /// Lines of text above the pictures, in order
    labels: Option<Vec<String>>,
    /// Enlarges each pixel this many times
    #[default(1)]
    #[range(1..=32)]
    scale: usize,
) -> Result<Images> {
    let count: usize = images.iter().map(|images| images.items.len()).sum();
    let rows = match (columns, images.as_slice()) {
        (None, [_, _, ..]) => images.iter().map(|images| images.items.iter().collect()).collect(),
        (columns, _) => {
            let all: Vec<&Image> = images.iter().flat_map(|images| &images.items).collect();
            let columns = columns.unwrap_or((count as f64).sqrt().ceil() as usize).max(1);
            all.chunks(columns).map(<[_]>::to_vec).collect::<Vec<Vec<&Image>>>()
        }
    };
    let labels = labels.unwrap_or_default();
    let by_input = labels.len() == images.len() && columns.is_none() && images.len() > 1;
    if !labels.is_empty() && labels.len() != count && !by_input {
        sdk::bail!("{} labels for {count} pictures of {} inputs", labels.len(), images.len();
                   help: "give one label for each picture, or, without `columns`, one for each input");
    }
    let all = || rows.iter().flatten();
    let (Some(width), Some(height)) = (all().map(|i| i.width).max(), all().map(|i| i.height).max()) else {
        sdk::bail!("there is no picture to lay out");
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or(1);
    let (width, height) = (width * scale, height * scale);
    let head = if labels.is_empty() { 0 } else { LETTER + 2 * GAP };
    let mut canvas = Canvas::new(columns * (width + GAP) + GAP, rows.len() * (height + head + GAP) + GAP);
    let mut index = 0;
    for (row, pictures) in rows.iter().enumerate() {
        let y = GAP + row * (height + head + GAP);
        if by_input {
            canvas.write(&labels[row], GAP, y + GAP, columns * (width + GAP) - GAP);
        }
        for (column, image) in pictures.iter().enumerate() {
            let x = GAP + column * (width + GAP);
            if let (false, Some(label)) = (by_input, labels.get(index)) {
                canvas.write(label, x, y + GAP, width);
            }
            canvas.draw(image, x, y + head, scale);
            index += 1;
        }
    }
    Ok(Images {
        items: vec![Image::new(canvas.width, canvas.height, canvas.rgb)?],
    })
}

struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            rgb: vec![255; 3 * width * height],
        }
    }

    fn set(&mut self, x: usize, y: usize, colour: &[u8]) {
        let at = 3 * (y * self.width + x);
        self.rgb[at..at + 3].copy_from_slice(colour);
    }

    fn draw(&mut self, image: &Image, x: usize, y: usize, scale: usize) {
        for row in 0..image.height * scale {
            for column in 0..image.width * scale {
                let at = 3 * (row / scale * image.width + column / scale);
                self.set(x + column, y + row, &image.rgb[at..at + 3]);
            }
        }
    }

    /// One line of text, cut to `width` pixels; letters that the font lacks are shown as `?`.
    fn write(&mut self, text: &str, x: usize, y: usize, width: usize) {
        let room = width / LETTER;
        let letters: Vec<char> = text.chars().collect();
        let cut = letters.len() > room;
        for (index, &letter) in letters.iter().take(room).enumerate() {
            let letter = if cut && index + 1 == room { '.' } else { letter };
            let glyph = glyph(letter).or_else(|| glyph('?')).unwrap_or_default();
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                    self.set(x + index * LETTER + column, y + row, &[20, 20, 20]);
                }
            }
        }
    }
}

fn glyph(letter: char) -> Option<[u8; LETTER]> {
    font8x8::BASIC_FONTS
        .get(letter)
        .or_else(|| font8x8::LATIN_FONTS.get(letter))
        .or_else(|| font8x8::GREEK_FONTS.get(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(n: usize, value: u8) -> Images {
        Images {
            items: (0..n)
                .map(|_| Image::new(16, 8, vec![value; 16 * 8 * 3]).unwrap())
                .collect(),
        }
    }

    #[test]
    fn cells_and_labels() {
        let (a, b) = (images(2, 10), images(2, 200));
        let labels = vec!["r1".to_owned(), "rank".to_owned()];
        let grid = grid(vec![&a, &b], None, Some(labels), 2).unwrap();
        let picture = &grid.items[0];
        assert_eq!((picture.width, picture.height), (2 * 34 + 2, 2 * (16 + 12 + 2) + 2));
        let at = |x: usize, y: usize| picture.rgb[3 * (y * picture.width + x)];
        assert_eq!(
            (at(2, 14), at(2 + 34, 14), at(2, 14 + 30), at(0, 0)),
            (10, 10, 200, 255)
        );
        let dark = |x0: usize, y0: usize| (y0..y0 + 8).any(|y| (x0..x0 + 16).any(|x| at(x, y) == 20));
        assert!(dark(2, 4) && dark(2, 34), "each row carries the label of its input");
    }

    #[test]
    fn a_wrong_number_of_labels_is_an_error() {
        let error = grid(vec![&images(3, 0)], None, Some(vec!["a".into(), "b".into()]), 1).unwrap_err();
        assert!(error.message().contains("2 labels for 3 pictures"), "{error}");
    }
}
