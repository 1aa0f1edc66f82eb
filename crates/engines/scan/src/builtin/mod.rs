//! Scanners that are code, because no pattern says it as well or as fast.

pub(crate) mod assignment;
pub(crate) mod bitcoin;
pub(crate) mod email;
pub(crate) mod iban;
pub(crate) mod net;
pub(crate) mod phone;
pub(crate) mod url;

use crate::detector::DetectorError;
use crate::engine::grams::{self, Plan};

/// Owners in the prefilter from here on are built-in scanners, not detectors.
pub(crate) const FIRST_OWNER: u32 = 1 << 30;

/// The scanners, by the name that a detector's `scan` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    Assignment,
    Bitcoin,
    Email,
    Iban,
    Ipv4,
    Ipv6,
    Mac,
    Phone,
    UrlCredentials,
}

const ALL: [(&str, Builtin); 9] = [
    ("assignment", Builtin::Assignment),
    ("bitcoin", Builtin::Bitcoin),
    ("email", Builtin::Email),
    ("iban", Builtin::Iban),
    ("ipv4", Builtin::Ipv4),
    ("ipv6", Builtin::Ipv6),
    ("mac", Builtin::Mac),
    ("phone", Builtin::Phone),
    ("url_credentials", Builtin::UrlCredentials),
];

impl Builtin {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        ALL.iter().find(|(n, _)| *n == name).map(|(_, b)| *b)
    }

    /// The literals that call a scanner, for those that are called by literals.
    fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Assignment => Some(assignment::WORDS),
            Self::UrlCredentials => Some("(?s)://."),
            _ => None,
        }
    }
}

/// Which built-in scanners are on, and for which detector.
#[derive(Debug, Default)]
pub(crate) struct Set(Vec<(Builtin, u32)>);

impl Set {
    pub(crate) fn add(&mut self, builtin: Builtin, owner: u32) {
        self.0.retain(|(b, _)| *b != builtin);
        self.0.push((builtin, owner));
    }

    pub(crate) fn owner(&self, builtin: Builtin) -> Option<u32> {
        self.0.iter().find(|(b, _)| *b == builtin).map(|(_, o)| *o)
    }

    pub(crate) fn of_entry(&self, entry: u32) -> Option<(Builtin, u32)> {
        self.0.get((entry - FIRST_OWNER) as usize).copied()
    }

    pub(crate) fn plans(&self) -> Result<Vec<(u32, Plan)>, DetectorError> {
        let mut out = Vec::new();
        for (i, (builtin, _)) in self.0.iter().enumerate() {
            if let Some(pattern) = builtin.pattern() {
                let hir = regex_syntax::ParserBuilder::new()
                    .unicode(false)
                    .utf8(false)
                    .build()
                    .parse(pattern)
                    .map_err(|e| DetectorError::invalid("built-in", e))?;
                let plan = grams::plan(&hir).map_err(|e| DetectorError::invalid("built-in", e))?;
                out.push((FIRST_OWNER + i as u32, plan));
            }
        }
        Ok(out)
    }
}

/// Whether the text before `dash` is the end of an identifier as a UUID has it: letters and digits
/// mixed, joined by dashes.
pub(crate) fn tail_of_identifier(text: &[u8], dash: usize) -> bool {
    let floor = dash.saturating_sub(40);
    let part = text[floor..dash]
        .iter()
        .rposition(|b| !b.is_ascii_alphanumeric())
        .map_or(&text[floor..dash], |i| &text[floor + i + 1..dash]);
    part.iter().any(u8::is_ascii_digit)
}
