//! `palette/learn`.

use sdk::candle_core::Var;
use sdk::prelude::*;

/// Learns a few colours that come close to every colour of the pictures, by gradient descent.
///
/// The loss is the mean squared distance of a pixel to the colour nearest to it. Of many pixels an even sample is taken.
#[node(
    "palette/learn",
    outputs(
        palette = "The colours: rows of red, green, blue from 0 to 1",
        losses = "The loss of each step"
    )
)]
fn learn(
    context: &Context,
    /// Pictures to learn from
    images: &Images,
    /// How many colours
    #[default(6)]
    #[range(1..=64)]
    colours: usize,
    /// Steps in all
    #[default(60)]
    #[range(1..=10000)]
    steps: usize,
    /// Learning rate: the share of the way to the mean of its pixels that an average colour goes in one step
    #[default(0.3)]
    #[range(0.001..=1)]
    lr: f64,
) -> Result<(Tensor, Table)> {
    let mut pixels: Vec<[f32; 3]> = Vec::new();
    for image in &images.items {
        pixels.extend(
            image
                .rgb
                .chunks_exact(3)
                .map(|p| [p[0], p[1], p[2]].map(|c| f32::from(c) / 255.0)),
        );
    }
    if pixels.len() < colours {
        bail!("{} pixels cannot teach {colours} colours", pixels.len(); help: "give more pictures, or ask for fewer colours");
    }
    let sample = evenly(&pixels, 4096);
    let start = scattered(&sample, colours);
    let pixels = tensor(&sample)?;
    let palette = Var::from_tensor(&tensor(&start)?)?;
    let mut losses = Table {
        columns: vec!["step".into(), "loss".into()],
        rows: Vec::new(),
    };
    for step in 1..=steps {
        context.check()?;
        // (pixels, 1, 3) − (1, colours, 3): every pixel beside every colour.
        let apart = pixels.unsqueeze(1)?.broadcast_sub(&palette.as_tensor().unsqueeze(0)?)?;
        let loss = apart.sqr()?.sum(2)?.min(1)?.mean(0)?;
        let gradients = loss.backward()?;
        if let Some(gradient) = gradients.get(&palette) {
            // The mean over all pixels makes a colour's gradient small by its share of them.
            palette.set(&(palette.as_tensor() - (gradient * (lr * colours as f64 / 2.0))?)?)?;
        }
        let loss = f64::from(loss.to_scalar::<f32>()?);
        context.metric("loss", step, loss);
        context.progress(step, steps, format!("loss {loss:.5}"));
        losses
            .rows
            .push(vec![sdk::Cell::Number(step as f64), sdk::Cell::Number(loss)]);
    }
    Ok((palette.as_tensor().clamp(0.0, 1.0)?.detach(), losses))
}

fn tensor(rows: &[[f32; 3]]) -> Result<Tensor> {
    Ok(Tensor::from_vec(rows.concat(), (rows.len(), 3), &Device::Cpu)?)
}

/// At most `count` of the rows, at equal distances.
fn evenly(rows: &[[f32; 3]], count: usize) -> Vec<[f32; 3]> {
    let count = count.min(rows.len());
    (0..count)
        .map(|i| rows[(2 * i + 1) * rows.len() / (2 * count)])
        .collect()
}

/// Rows to start from: each the one farthest from those before.
fn scattered(rows: &[[f32; 3]], count: usize) -> Vec<[f32; 3]> {
    let apart = |a: &[f32; 3], b: &[f32; 3]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let mut nearest = vec![f32::MAX; rows.len()];
    let mut chosen = vec![rows[rows.len() / 2]];
    while chosen.len() < count {
        for (row, near) in rows.iter().zip(&mut nearest) {
            *near = near.min(apart(row, &chosen[chosen.len() - 1]));
        }
        let farthest = (0..rows.len()).max_by(|&a, &b| nearest[a].total_cmp(&nearest[b]));
        chosen.push(rows[farthest.unwrap_or(0)]);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_colours_of_a_picture_of_two() {
        let rgb = [[250, 10, 10], [10, 10, 250]].concat().repeat(32);
        let images = Images {
            items: vec![Image::new(8, 8, rgb).unwrap()],
        };
        let (palette, losses) = learn(&Context::detached(), &images, 2, 60, 0.3).unwrap();
        let mut found = palette.to_vec2::<f32>().unwrap();
        found.sort_by(|a, b| b[0].total_cmp(&a[0]));
        let near = |a: f32, b: f32| (a - b).abs() < 0.01;
        assert!(
            near(found[0][0], 250.0 / 255.0) && near(found[1][2], 250.0 / 255.0),
            "{found:?}"
        );
        let loss = |row: usize| match losses.rows[row][1] {
            sdk::Cell::Number(loss) => loss,
            sdk::Cell::Text(_) => f64::NAN,
        };
        assert!(
            losses.rows.len() == 60 && loss(59) <= loss(0),
            "{} {}",
            loss(0),
            loss(59)
        );
    }

    #[test]
    fn more_colours_than_pixels_are_refused() {
        let images = Images {
            items: vec![Image::new(1, 1, vec![0; 3]).unwrap()],
        };
        assert!(learn(&Context::detached(), &images, 2, 1, 0.3).is_err());
    }
}
