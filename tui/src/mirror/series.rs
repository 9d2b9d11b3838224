//! A number over steps, at two resolutions: the last values as they are, all of them thinned out.

use serde::{Deserialize, Serialize};

/// Values kept as they are.
const RECENT: usize = 256;

/// Points of the whole course, at most.
const WHOLE: usize = 512;

/// A number over steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The last steps and values.
    #[serde(skip)]
    pub recent: Vec<(u64, f64)>,
    /// The whole course: means of `stride` values each, with their first step.
    pub whole: Vec<(u64, f64)>,
    /// How many values a point of `whole` stands for.
    pub stride: usize,
    /// Sum and number of the values of the point that is being made.
    #[serde(skip)]
    open: (f64, usize, u64),
}

impl Series {
    /// Adds a value. A step that was there already (a training that went on from a checkpoint) takes the later ones away.
    pub fn push(&mut self, step: u64, value: f64) {
        while self.recent.last().is_some_and(|(last, _)| *last >= step) {
            self.recent.pop();
        }
        while self.whole.last().is_some_and(|(last, _)| *last >= step) {
            self.whole.pop();
            self.open = (0.0, 0, 0);
        }
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push((step, value));
        self.stride = self.stride.max(1);
        if self.open.1 == 0 {
            self.open.2 = step;
        }
        self.open.0 += value;
        self.open.1 += 1;
        if self.open.1 >= self.stride {
            self.whole.push((self.open.2, self.open.0 / self.open.1 as f64));
            self.open = (0.0, 0, 0);
        }
        if self.whole.len() == WHOLE {
            let halved = self.whole.chunks(2).map(|pair| {
                let sum: f64 = pair.iter().map(|(_, value)| value).sum();
                (pair[0].0, sum / pair.len() as f64)
            });
            self.whole = halved.collect();
            self.stride *= 2;
        }
    }

    /// The last value.
    pub fn last(&self) -> Option<f64> {
        self.recent.last().or(self.whole.last()).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_course_stays_within_bounds_and_keeps_its_mean() {
        let mut series = Series::default();
        for step in 1..=10_000 {
            series.push(step, step as f64);
        }
        assert!(series.whole.len() < WHOLE && series.recent.len() == RECENT);
        assert_eq!(series.whole[0].0, 1);
        let mean = series.whole.iter().map(|(_, value)| value).sum::<f64>() / series.whole.len() as f64;
        assert!((mean - 5000.0).abs() < 50.0, "{mean}");
        assert_eq!(series.last(), Some(10_000.0));
    }

    #[test]
    fn steps_that_come_again_replace_the_old_ones() {
        let mut series = Series::default();
        for step in [1, 2, 3, 2, 3] {
            series.push(step, 0.0);
        }
        assert_eq!(series.recent.len(), 3);
        assert_eq!(series.whole.len(), 3);
    }
}
