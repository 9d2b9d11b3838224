//! When a frame is due: at most 125 a second, and those that only tell of progress four a second.

use crate::state::Dirty;
use std::time::{Duration, Instant};

/// Frames are at least this far apart.
pub(crate) const FRAME: Duration = Duration::from_millis(8);

/// Frames that only tell of progress are at least this far apart.
pub(crate) const PROGRESS: Duration = Duration::from_millis(250);

/// Remembers the last frame. It has no clock: whoever asks says what time it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    drawn: Option<Instant>,
}

impl Pace {
    /// How long until the next frame; none when there is nothing to draw.
    pub(crate) fn due(&self, dirty: Dirty, now: Instant) -> Option<Duration> {
        let apart = match dirty {
            Dirty::No => return None,
            Dirty::Progress => PROGRESS,
            Dirty::Yes => FRAME,
        };
        let since = self.drawn.map(|drawn| now.saturating_duration_since(drawn));
        Some(since.map_or(Duration::ZERO, |since| apart.saturating_sub(since)))
    }

    /// A frame was drawn.
    pub(crate) fn drawn(&mut self, now: Instant) {
        self.drawn = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames in a second in which something changes every tenth of a millisecond.
    fn frames(dirty: Dirty) -> usize {
        let start = Instant::now();
        let mut pace = Pace::default();
        let times = (0..10_000).map(|step| start + Duration::from_micros(100 * step));
        let drawn = times.filter(|now| {
            let due = pace.due(dirty, *now) == Some(Duration::ZERO);
            if due {
                pace.drawn(*now);
            }
            due
        });
        drawn.count()
    }

    #[test]
    fn there_are_125_frames_a_second_at_most_and_four_of_progress() {
        assert_eq!(frames(Dirty::Yes), 125);
        assert_eq!(frames(Dirty::Progress), 4);
        assert_eq!(frames(Dirty::No), 0);
    }

    #[test]
    fn what_the_user_waits_for_is_drawn_at_once_after_a_rest() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(
            pace.due(Dirty::Progress, start),
            Some(Duration::ZERO),
            "the first frame"
        );
        pace.drawn(start);
        let soon = start + Duration::from_millis(5);
        assert_eq!(pace.due(Dirty::Yes, soon), Some(Duration::from_millis(3)));
        assert_eq!(pace.due(Dirty::Progress, soon), Some(Duration::from_millis(245)));
        assert_eq!(pace.due(Dirty::Yes, soon + FRAME), Some(Duration::ZERO));
    }
}
