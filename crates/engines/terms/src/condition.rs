//! What is asked of rows.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::bytes::{Bytes, Damaged};
use crate::order::Order;
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

/// A field of which some value is in a range of an order.
#[derive(Clone)]
pub struct Range {
    /// The field.
    pub field: String,
    /// The order.
    pub order: Order,
    /// The keys of the range.
    pub keys: RangeInclusive<u64>,
    /// Whether a value is in the range, by its term: the same as the keys say.
    pub test: Test,
}

impl fmt::Debug for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:?} {:?}", self.field, self.order, self.keys)
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
    /// The row has a value in a range.
    Range(Range),
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
    /// the field's terms that begin with its prefix; a range the rows that are in it.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn ask(&self, segment: &Segment<impl Bytes>) -> Result<Verdict, Damaged> {
        self.roughly(segment, u64::MAX)
    }

    /// The same, when no field of more than `most` terms has them tested one by one: what tests would decide stays open then.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn roughly(&self, segment: &Segment<impl Bytes>, most: u64) -> Result<Verdict, Damaged> {
        let rows = segment.rows();
        Ok(match self {
            Self::All(parts) => {
                let mut all = Verdict::sure(RowSet::all(rows));
                for part in parts {
                    all = all.and(part.roughly(segment, most)?);
                    if all.yes.is_empty() && all.maybe.is_empty() {
                        break;
                    }
                }
                all
            }
            Self::Any(parts) => {
                let mut any = Verdict::sure(RowSet::none(rows));
                for part in parts {
                    let part = part.roughly(segment, most)?;
                    any.yes.unite(&part.yes);
                    any.maybe.unite(&part.maybe);
                }
                any.maybe.subtract(&any.yes);
                any
            }
            Self::Not(inner) => {
                let Verdict { yes, maybe } = inner.roughly(segment, most)?;
                let mut no = yes;
                no.unite(&maybe);
                no.invert();
                Verdict { yes: no, maybe }
            }
            Self::Present(field) => Verdict::sure(segment.present(field)?),
            Self::Equal(field, term) => equal(segment, field, term)?,
            Self::Like(like) => {
                let test = |term: &str| (like.test)(term);
                similar(segment, &like.field, &like.prefix, test, most)?
            }
            Self::Range(range) => match segment.within(&range.field, range.order, &range.keys)? {
                Some(yes) => or_long(segment, &range.field, yes)?,
                None => {
                    let test = |term: &str| (range.test)(term);
                    similar(segment, &range.field, "", test, most)?
                }
            },
            Self::Within(outer) => Verdict {
                yes: RowSet::none(rows),
                maybe: outer.roughly(segment, most)?.possible(),
            },
            Self::Phrase(phrase) => phrase_in(phrase, segment, most)?,
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
    most: u64,
) -> Result<Verdict, Damaged> {
    if segment.terms(field)? > most {
        return Ok(Verdict {
            yes: RowSet::none(segment.rows()),
            maybe: segment.present(field)?,
        });
    }
    let yes = segment.like(field, prefix, test)?;
    or_long(segment, field, yes)
}

/// What terms say, when long values are not among them.
fn or_long(segment: &Segment<impl Bytes>, field: &str, yes: RowSet) -> Result<Verdict, Damaged> {
    let mut maybe = segment.long(field)?;
    maybe.subtract(&yes);
    Ok(Verdict { yes, maybe })
}

fn phrase_in(
    phrase: &Phrase,
    segment: &Segment<impl Bytes>,
    most: u64,
) -> Result<Verdict, Damaged> {
    let mut found = Verdict::sure(RowSet::all(segment.rows()));
    for piece in phrase.pieces() {
        found = found.and(if !piece.open_start && !piece.open_end {
            equal(segment, WORDS, piece.word)?
        } else {
            let prefix = if piece.open_start { "" } else { piece.word };
            similar(segment, WORDS, prefix, |word| piece.is(word), most)?
        });
    }
    if phrase.only().is_none() && !phrase.text().is_empty() {
        // Its words are there; whether they stand together is not known.
        found.maybe = found.possible();
        found.yes = RowSet::none(segment.rows());
    }
    Ok(found)
}
