//! What is asked of rows.

use std::fmt;
use std::sync::Arc;

use crate::bytes::{Bytes, Damaged};
use crate::phrase::Phrase;
use crate::rows::RowSet;
use crate::segment::Segment;
use crate::{LONGEST_TERM, WORDS};

/// A test of terms.
pub type Test = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A field of which some term passes a test.
#[derive(Clone)]
pub struct Like {
    /// The field.
    pub field: String,
    /// What all terms that pass the test begin with; may be empty, and then all terms of the field are tested.
    pub prefix: String,
    /// The test.
    pub test: Test,
}

impl fmt::Debug for Like {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} like {:?}…", self.field, self.prefix)
    }
}

/// A condition on a row.
#[derive(Debug, Clone)]
pub enum Condition {
    /// All hold.
    All(Vec<Condition>),
    /// One of them holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// The row has the field.
    Present(String),
    /// The row has this term in this field.
    Equal(String, String),
    /// The row has a term in a field that passes a test.
    Like(Like),
    /// The phrase is in the row's text.
    Phrase(Phrase),
    /// Something that cannot be asked of terms; it holds for no row for which this does not hold.
    Within(Box<Condition>),
}

/// What a segment knows of a condition. No row is in both sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Rows for which it holds.
    pub yes: RowSet,
    /// Rows for which it may hold: the rows themselves must be looked at.
    pub maybe: RowSet,
}

impl Verdict {
    fn sure(yes: RowSet) -> Self {
        Self {
            maybe: RowSet::none(yes.rows()),
            yes,
        }
    }

    fn possible(&self) -> RowSet {
        let mut all = self.yes.clone();
        all.unite(&self.maybe);
        all
    }

    fn and(mut self, other: Self) -> Self {
        let mut maybe = self.possible();
        maybe.intersect(&other.possible());
        self.yes.intersect(&other.yes);
        maybe.subtract(&self.yes);
        Self {
            yes: self.yes,
            maybe,
        }
    }
}

impl Condition {
    /// What a segment knows of it.
    ///
    /// Cost: an equal term and a present field read a few kilobytes, whatever the segment's size; a test reads
    /// the field's terms that begin with its prefix.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn ask(&self, segment: &Segment<impl Bytes>) -> Result<Verdict, Damaged> {
        let rows = segment.rows();
        Ok(match self {
            Self::All(parts) => {
                let mut all = Verdict::sure(RowSet::all(rows));
                for part in parts {
                    all = all.and(part.ask(segment)?);
                    if all.yes.is_empty() && all.maybe.is_empty() {
                        break;
                    }
                }
                all
            }
            Self::Any(parts) => {
                let mut any = Verdict::sure(RowSet::none(rows));
                for part in parts {
                    let part = part.ask(segment)?;
                    any.yes.unite(&part.yes);
                    any.maybe.unite(&part.maybe);
                }
                any.maybe.subtract(&any.yes);
                any
            }
            Self::Not(inner) => {
                let Verdict { yes, maybe } = inner.ask(segment)?;
                let mut no = yes;
                no.unite(&maybe);
                no.invert();
                Verdict { yes: no, maybe }
            }
            Self::Present(field) => Verdict::sure(segment.present(field)?),
            Self::Equal(field, term) => equal(segment, field, term)?,
            Self::Like(like) => {
                similar(segment, &like.field, &like.prefix, |term| (like.test)(term))?
            }
            Self::Within(outer) => Verdict {
                yes: RowSet::none(rows),
                maybe: outer.ask(segment)?.possible(),
            },
            Self::Phrase(phrase) => phrase_in(phrase, segment)?,
        })
    }
}

fn equal(segment: &Segment<impl Bytes>, field: &str, term: &str) -> Result<Verdict, Damaged> {
    if term.len() > LONGEST_TERM {
        return Ok(Verdict {
            yes: RowSet::none(segment.rows()),
            maybe: segment.long(field)?,
        });
    }
    Ok(Verdict::sure(segment.equal(field, term)?))
}

fn similar(
    segment: &Segment<impl Bytes>,
    field: &str,
    prefix: &str,
    test: impl Fn(&str) -> bool,
) -> Result<Verdict, Damaged> {
    let yes = segment.like(field, prefix, test)?;
    let mut maybe = segment.long(field)?;
    maybe.subtract(&yes);
    Ok(Verdict { yes, maybe })
}

fn phrase_in(phrase: &Phrase, segment: &Segment<impl Bytes>) -> Result<Verdict, Damaged> {
    let mut found = Verdict::sure(RowSet::all(segment.rows()));
    for piece in phrase.pieces() {
        found = found.and(if !piece.open_start && !piece.open_end {
            equal(segment, WORDS, piece.word)?
        } else {
            let prefix = if piece.open_start { "" } else { piece.word };
            similar(segment, WORDS, prefix, |word| piece.is(word))?
        });
    }
    if phrase.only().is_none() && !phrase.text().is_empty() {
        // Its words are there; whether they stand together is not known.
        found.maybe = found.possible();
        found.yes = RowSet::none(segment.rows());
    }
    Ok(found)
}
