//! Texts inside texts: base64, hexadecimal, percent, and how places in them map back.

mod find;

pub(crate) use find::{merge, scan_encoded, through};

/// Bytes that were made of other bytes, with the way back.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// The text that can be scanned.
    pub bytes: Vec<u8>,
    /// Steps of (place in the view, place in the origin, bytes of origin for each byte of view).
    /// Between steps places grow by the ratio.
    steps: Vec<(usize, usize, Ratio)>,
    /// Where the origin ends.
    end: usize,
}

/// How many bytes of the origin a byte of the view stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ratio {
    /// One for one.
    Same,
    /// Two of the origin for one: hexadecimal, ASCII in UTF-16.
    Double,
    /// Four for three.
    Base64,
    /// All of them come from one place.
    Point,
}

impl View {
    /// Adds bytes that come from `origin`.
    pub(crate) fn push(&mut self, bytes: &[u8], origin: usize, ratio: Ratio) {
        if bytes.is_empty() {
            return;
        }
        let at = self.bytes.len();
        let go_on = self
            .steps
            .last()
            .is_some_and(|(v, o, r)| *r == ratio && ratio == Ratio::Same && o + (at - v) == origin);
        if !go_on {
            self.steps.push((at, origin, ratio));
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Says where the origin ends.
    pub(crate) fn finish(&mut self, end: usize) {
        self.end = end;
    }

    fn at(&self, place: usize, up: bool) -> usize {
        let i = self.steps.partition_point(|(v, _, _)| *v <= place);
        let Some((view, origin, ratio)) = i.checked_sub(1).and_then(|i| self.steps.get(i)) else {
            return 0;
        };
        let n = place - view;
        match ratio {
            Ratio::Same => origin + n,
            Ratio::Double => origin + 2 * n,
            Ratio::Base64 if up => origin + (n + 1).div_ceil(3) * 4 - 1,
            Ratio::Base64 => origin + n / 3 * 4,
            Ratio::Point => *origin,
        }
    }

    /// The place in the origin of a place in the view.
    pub(crate) fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        let from = self.at(start, false);
        let last = end.saturating_sub(1).max(start);
        let i = self.steps.partition_point(|(v, _, _)| *v <= last);
        let to = match i.checked_sub(1).and_then(|i| self.steps.get(i)) {
            Some((_, _, Ratio::Point)) => self.steps.get(i).map_or(self.end, |(_, o, _)| *o),
            Some((_, _, Ratio::Double)) => self.at(last, true) + 2,
            _ => self.at(last, true) + 1,
        };
        (from, to.min(self.end.max(from + 1)).max(from + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_map_back() {
        let mut view = View::default();
        view.push(b"abc", 10, Ratio::Same);
        view.push(b"@", 13, Ratio::Point);
        view.push(b"de", 18, Ratio::Same);
        view.finish(20);
        assert_eq!(view.origin(0, 3), (10, 13));
        assert_eq!(view.origin(3, 4), (13, 18));
        assert_eq!(view.origin(2, 6), (12, 20));
    }
}
