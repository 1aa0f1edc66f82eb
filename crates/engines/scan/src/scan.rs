//! From hits to findings: lines and columns, fingerprints, the encodings inside a text.

use std::sync::Arc;

use crate::decode;
use crate::engine::{Hit, Scanner};
use crate::finding::{Finding, Value};

/// Where the bytes come from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file or object, as it is to be shown.
    pub path: Arc<str>,
    /// The document inside it.
    pub inner: Option<Arc<str>>,
}

impl Source {
    /// A file that is looked at as it is.
    #[must_use]
    pub fn file(path: &str) -> Self {
        Self {
            path: path.into(),
            inner: None,
        }
    }

    /// A document inside this one.
    #[must_use]
    pub fn inside(&self, name: &str) -> Self {
        let inner = match &self.inner {
            Some(outer) => format!("{outer}!{name}"),
            None => name.to_owned(),
        };
        Self {
            path: self.path.clone(),
            inner: Some(inner.into()),
        }
    }

    fn name(&self) -> &str {
        self.inner.as_deref().unwrap_or(&self.path)
    }
}

impl Scanner {
    /// Everything in a text, and in what is encoded inside it. The bytes are taken as they are
    /// (UTF-8 or any encoding that agrees with ASCII).
    #[must_use]
    pub fn scan(&self, source: &Source, text: &[u8]) -> Vec<Finding> {
        let hits = self.hits(source.name(), text);
        let mut findings = self.findings(source, text, &hits, None);
        if self.options.decode_depth > 0 {
            decode::scan_encoded(self, source, text, self.options.decode_depth, &mut findings);
        }
        findings.sort_by_key(|a| (a.start, a.end));
        findings
    }

    /// Makes findings of hits in `text`. With a `map`, the hits are in a view of the text and are
    /// reported where the view came from.
    pub(crate) fn findings(
        &self,
        source: &Source,
        text: &[u8],
        hits: &[Hit],
        map: Option<(&decode::View, &str)>,
    ) -> Vec<Finding> {
        let mut lines = Lines::new(text);
        let mut placed: Vec<(usize, usize, &Hit)> = hits
            .iter()
            .map(|h| match map {
                Some((view, _)) => {
                    let (s, e) = view.origin(h.start, h.end);
                    (s, e, h)
                }
                None => (h.start, h.end, h),
            })
            .collect();
        placed.sort_by_key(|p| p.0);
        placed
            .into_iter()
            .map(|(start, end, hit)| {
                let ready = &self.ready[hit.detector as usize];
                let value = match map {
                    Some((view, _)) => &view.bytes[hit.start..hit.end],
                    None => &text[hit.start..hit.end],
                };
                let (line, column) = lines.of(start);
                let mut reasons = hit.why.words(&ready.detector);
                if let Some((_, how)) = map {
                    reasons.push(format!("decoded from {how}"));
                }
                Finding {
                    path: source.path.clone(),
                    inner: source.inner.clone(),
                    line,
                    column,
                    start: start as u64,
                    end: end as u64,
                    detector: ready.id.clone(),
                    title: ready.title.clone(),
                    class: ready.detector.class,
                    severity: ready.detector.severity,
                    confidence: hit.confidence,
                    reasons,
                    fingerprint: self.options.key.fingerprint(
                        &ready.id,
                        ready.detector.class,
                        value,
                    ),
                    value: self.options.keep_values.then(|| Value::new(value)),
                }
            })
            .collect()
    }
}

/// Lines and columns of places that come in order.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
    line_start: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            line_start: 0,
        }
    }

    fn of(&mut self, place: usize) -> (u64, u64) {
        let place = place.min(self.text.len());
        if place > self.at {
            for i in memchr::memchr_iter(b'\n', &self.text[self.at..place]) {
                self.line += 1;
                self.line_start = self.at + i + 1;
            }
            self.at = place;
        }
        (self.line, (place - self.line_start.min(place)) as u64 + 1)
    }
}
