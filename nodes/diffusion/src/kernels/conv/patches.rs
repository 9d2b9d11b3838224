//! Copies pixels into patches, and adds patches back to pixels.

use super::super::simd::vectorised;
use super::Conv;
use std::ops::Range;

impl Conv {
    /// Output columns whose tap `k` falls inside a row of `size` inputs, out of `out`.
    fn inside(&self, k: usize, size: usize, out: usize) -> Range<usize> {
        let first = self.padding.saturating_sub(k).div_ceil(self.stride).min(out);
        let end = (size + self.padding).saturating_sub(k).div_ceil(self.stride).min(out);
        first..end.max(first)
    }

    /// Where the plane is as wide as the output, a row of patches is the plane itself, shifted by this much.
    fn shift(&self, ky: usize, kx: usize) -> Option<isize> {
        let shift = |k: usize| k as isize - self.padding as isize;
        (self.stride == 1 && self.ow == self.w).then(|| shift(ky) * self.w as isize + shift(kx))
    }

    /// Patches of `channels` at `pixels`: (channels · taps, pixels).
    pub(in super::super) fn gather(
        &self,
        x: &[f32],
        channels: Range<usize>,
        pixels: Range<usize>,
        patches: &mut [f32],
    ) {
        let (plane, taps) = (self.plane(), self.taps());
        for (row, patch) in patches
            .chunks_exact_mut(pixels.len())
            .take(channels.len() * taps)
            .enumerate()
        {
            let (ky, kx) = (row % taps / self.kw, row % self.kw);
            let x = &x[(channels.start + row / taps) * plane..][..plane];
            let inside = self.inside(kx, self.w, self.ow);
            if let Some(shift) = self.shift(ky, kx) {
                let (source, kept) = shifted(&pixels, shift, plane);
                patch[..kept.start].fill(0.0);
                patch[kept.clone()].copy_from_slice(&x[source]);
                patch[kept.end..].fill(0.0);
                self.clear_edges(patch, &pixels, &inside);
                continue;
            }
            self.for_rows(&pixels, |oy, columns, at| {
                let patch = &mut patch[at..at + columns.len()];
                let Some(y) = (oy * self.stride + ky)
                    .checked_sub(self.padding)
                    .filter(|&y| y < self.h)
                else {
                    return patch.fill(0.0);
                };
                let x = &x[y * self.w..][..self.w];
                for (ox, value) in columns.zip(patch) {
                    *value = if inside.contains(&ox) {
                        x[ox * self.stride + kx - self.padding]
                    } else {
                        0.0
                    };
                }
            });
        }
    }

    /// Adds patches back to the pixels they came from; `dx` are the planes of the channels. Overwrites `patches`.
    pub(super) fn scatter(&self, patches: &mut [f32], pixels: Range<usize>, dx: &mut [f32]) {
        let (plane, taps) = (self.plane(), self.taps());
        for (row, patch) in patches.chunks_exact_mut(pixels.len()).enumerate() {
            let (ky, kx) = (row % taps / self.kw, row % self.kw);
            let dx = &mut dx[row / taps * plane..][..plane];
            let inside = self.inside(kx, self.w, self.ow);
            if let Some(shift) = self.shift(ky, kx) {
                self.clear_edges(patch, &pixels, &inside);
                let (target, kept) = shifted(&pixels, shift, plane);
                add(&mut dx[target], &patch[kept]);
                continue;
            }
            self.for_rows(&pixels, |oy, columns, at| {
                let Some(y) = (oy * self.stride + ky)
                    .checked_sub(self.padding)
                    .filter(|&y| y < self.h)
                else {
                    return;
                };
                let dx = &mut dx[y * self.w..][..self.w];
                for (ox, &value) in columns.zip(&patch[at..]) {
                    if inside.contains(&ox) {
                        dx[ox * self.stride + kx - self.padding] += value;
                    }
                }
            });
        }
    }

    /// Calls `f(row, columns, offset)` for every output row that `pixels` touch.
    fn for_rows(&self, pixels: &Range<usize>, mut f: impl FnMut(usize, Range<usize>, usize)) {
        let mut at = pixels.start;
        while at < pixels.end {
            let (row, column) = (at / self.ow, at % self.ow);
            let end = pixels.end.min((row + 1) * self.ow);
            f(row, column..column + end - at, at - pixels.start);
            at = end;
        }
    }

    /// Zeroes the values of a patch row whose tap lies left or right of the image.
    fn clear_edges(&self, patch: &mut [f32], pixels: &Range<usize>, inside: &Range<usize>) {
        if inside.len() == self.ow {
            return;
        }
        self.for_rows(pixels, |_, columns, at| {
            let patch = &mut patch[at..at + columns.len()];
            let clip = |edge: usize| edge.clamp(columns.start, columns.end) - columns.start;
            patch[..clip(inside.start)].fill(0.0);
            patch[clip(inside.end)..].fill(0.0);
        });
    }
}

/// The part of a plane that `pixels` shifted by `shift` cover, and the part of `pixels` that it is for.
fn shifted(pixels: &Range<usize>, shift: isize, plane: usize) -> (Range<usize>, Range<usize>) {
    let clip = |p: usize| p.saturating_add_signed(shift).min(plane);
    let back = |p: usize| p.saturating_add_signed(-shift).clamp(pixels.start, pixels.end) - pixels.start;
    let source = clip(pixels.start)..clip(pixels.end);
    let start = back(source.start);
    let kept = start..start + source.len();
    (source, kept)
}

vectorised! {
    fn add(to: &mut [f32], from: &[f32]) {
        for (a, &b) in to.iter_mut().zip(from) {
            *a += b;
        }
    }
}
