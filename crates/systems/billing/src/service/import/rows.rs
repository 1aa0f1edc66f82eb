//! Rows of a file, whatever its notation.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::input::{Input, Opened};
use super::mapping::FileFormat;
use super::{ImportError, ParquetOpener, ParquetRows};

/// Where a row begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: u64,
    /// From 1.
    pub(super) column: u64,
}

/// What is wrong with a row, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) reason: String,
}

/// The values of a row.
#[derive(Debug)]
pub(super) enum Cells {
    /// With the index of each column of the header.
    Record(csv::StringRecord),
    Object(Map<String, Value>),
    /// An object whose members are read only where a mapping asks for them.
    Members(HashMap<String, Box<RawValue>>),
    /// A CloudEvent as it stands in the file.
    Event(Vec<u8>),
}

/// A row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) cells: Cells,
}

enum Source {
    Csv {
        reader: Box<csv::Reader<Input>>,
    },
    Lines(Input),
    Array {
        input: Input,
        /// Whether the rows stand in brackets.
        bracket: bool,
        first: bool,
        ended: bool,
    },
    Parquet {
        rows: ParquetRows,
        row: u64,
    },
}

/// An element of an array, its end, or what is wrong with the array.
type Element = Result<Option<(Place, Box<RawValue>)>, &'static str>;

/// Reads rows one after the other.
pub(super) struct Rows {
    source: Source,
    events: bool,
    file: String,
    header: HashMap<String, usize>,
}

impl Rows {
    pub(super) fn new(
        path: &Path,
        file: &str,
        opened: Opened,
        format: FileFormat,
        parquet: Option<&ParquetOpener>,
    ) -> Result<Self, ImportError> {
        let fault = |detail: String| ImportError::File {
            place: format!("{file}:1:1"),
            detail,
        };
        let mut header = HashMap::new();
        let mut input = opened.input;
        if opened.parquet != (format == FileFormat::Parquet) {
            return Err(fault(if opened.parquet {
                "this is a Parquet file; the mapping needs `format = \"parquet\"`".to_owned()
            } else {
                "this is no Parquet file: it does not begin with PAR1".to_owned()
            }));
        }
        let source = match format {
            FileFormat::Csv => {
                let mut reader = csv::ReaderBuilder::new().from_reader(input);
                let names = reader.headers().map_err(|error| fault(error.to_string()))?;
                for (index, name) in names.iter().enumerate() {
                    if header.insert(name.to_owned(), index).is_some() {
                        return Err(fault(format!("the header has the column `{name}` twice")));
                    }
                }
                if header.is_empty() {
                    return Err(fault("the file is empty; a header is expected".to_owned()));
                }
                Source::Csv {
                    reader: Box::new(reader),
                }
            }
            FileFormat::Ndjson => Source::Lines(input),
            FileFormat::Json | FileFormat::CloudEvents => {
                input
                    .skip_space()
                    .map_err(|error| fault(error.to_string()))?;
                let peeked = input.peek().map_err(|error| fault(error.to_string()))?;
                let bracket = peeked == Some(b'[');
                if !bracket && format == FileFormat::CloudEvents {
                    Source::Lines(input)
                } else if bracket {
                    input.take().map_err(|error| fault(error.to_string()))?;
                    Source::Array {
                        input,
                        bracket,
                        first: true,
                        ended: false,
                    }
                } else {
                    return Err(fault(
                        "a JSON array of objects is expected; for an object a line the format is ndjson".to_owned(),
                    ));
                }
            }
            FileFormat::Parquet => {
                let open =
                    parquet.ok_or_else(|| fault("Parquet files cannot be read here".to_owned()))?;
                Source::Parquet {
                    rows: open(path).map_err(fault)?,
                    row: 0,
                }
            }
        };
        Ok(Self {
            source,
            events: format == FileFormat::CloudEvents,
            file: file.to_owned(),
            header,
        })
    }

    /// The columns of a CSV file by name.
    pub(super) fn header(&self) -> Option<&HashMap<String, usize>> {
        matches!(self.source, Source::Csv { .. }).then_some(&self.header)
    }

    /// Reads to the end of the file, so that all of it is hashed.
    pub(super) fn drain(&mut self) -> Result<(), ImportError> {
        let input = match &mut self.source {
            Source::Lines(input) | Source::Array { input, .. } => input,
            Source::Csv { reader } => reader.get_mut(),
            Source::Parquet { .. } => return Ok(()),
        };
        let at = (input.line, input.column);
        input.drain().map_err(|error| self.broken(at, &error))
    }

    fn broken(&self, (line, column): (u64, u64), error: &io::Error) -> ImportError {
        let detail = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the file ends in the middle: it is cut off or damaged".to_owned()
            }
            _ => error.to_string(),
        };
        ImportError::File {
            place: format!("{}:{line}:{column}", self.file),
            detail,
        }
    }

    /// The next row: a fault of one row leaves the next ones readable.
    ///
    /// # Errors
    /// When the rest of the file cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Result<Row, Fault>>, ImportError> {
        match &mut self.source {
            Source::Csv { reader } => {
                reader.get_mut().begin_row();
                let mut record = csv::StringRecord::new();
                match reader.read_record(&mut record) {
                    Ok(false) => Ok(None),
                    Ok(true) => {
                        let line = record.position().map_or(0, csv::Position::line);
                        Ok(Some(Ok(Row {
                            place: Place { line, column: 1 },
                            cells: Cells::Record(record),
                        })))
                    }
                    Err(error) => {
                        let line = error.position().map_or(0, csv::Position::line);
                        match error.kind() {
                            csv::ErrorKind::Io(io) => {
                                let at = (reader.position().line(), 1);
                                Err(self.broken(at, io))
                            }
                            csv::ErrorKind::UnequalLengths {
                                expected_len, len, ..
                            } => Ok(Some(Err(Fault {
                                place: Place { line, column: 1 },
                                reason: format!(
                                    "the row has {len} fields; the header has {expected_len}"
                                ),
                            }))),
                            other => Ok(Some(Err(Fault {
                                place: Place { line, column: 1 },
                                reason: match other {
                                    csv::ErrorKind::Utf8 { .. } => {
                                        "the row is not UTF-8".to_owned()
                                    }
                                    _ => error.to_string(),
                                },
                            }))),
                        }
                    }
                }
            }
            Source::Lines(input) => loop {
                let line = input.line;
                match input.line() {
                    Err(error) => return Err(self.broken((line, 1), &error)),
                    Ok(None) => return Ok(None),
                    Ok(Some(text)) if text.iter().all(u8::is_ascii_whitespace) => {}
                    Ok(Some(text)) => {
                        let place = Place { line, column: 1 };
                        return Ok(Some(cells(place, text, self.events)));
                    }
                }
            },
            Source::Array { .. } => self.element(),
            Source::Parquet { rows, row } => {
                *row += 1;
                let place = Place {
                    line: *row,
                    column: 1,
                };
                match rows.next() {
                    None => Ok(None),
                    Some(Ok(object)) => Ok(Some(Ok(Row {
                        place,
                        cells: Cells::Object(object),
                    }))),
                    Some(Err(detail)) => Err(ImportError::File {
                        place: format!("{}, row {row}", self.file),
                        detail,
                    }),
                }
            }
        }
    }

    fn element(&mut self) -> Result<Option<Result<Row, Fault>>, ImportError> {
        let Source::Array {
            input,
            bracket,
            first,
            ended,
        } = &mut self.source
        else {
            return Ok(None);
        };
        if *ended {
            return Ok(None);
        }
        input.begin_row();
        let mut step = || -> io::Result<Element> {
            input.skip_space()?;
            if *bracket && input.peek()? == Some(b']') {
                input.take()?;
                input.skip_space()?;
                *ended = true;
                return Ok(match input.peek()? {
                    None => Ok(None),
                    Some(_) => Err("there is more after the end of the array"),
                });
            }
            if !*first {
                if input.peek()? != Some(b',') {
                    return Ok(Err("`,` or `]` is expected after an element of the array"));
                }
                input.take()?;
                input.skip_space()?;
            }
            *first = false;
            let place = Place {
                line: input.line,
                column: input.column,
            };
            if input.peek()? != Some(b'{') {
                return Ok(Err("an object is expected: one for each row"));
            }
            input.begin_row();
            let mut reader = serde_json::Deserializer::from_reader(&mut *input);
            match Box::<RawValue>::deserialize(&mut reader) {
                Ok(raw) => Ok(Ok(Some((place, raw)))),
                Err(error) => Err(io::Error::other(error.to_string())),
            }
        };
        match step() {
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some((place, raw)))) => Ok(Some(cells(
                place,
                raw.get().as_bytes().to_vec(),
                self.events,
            ))),
            // After a fault of the array itself nothing says where the next row begins.
            Ok(Err(detail)) => {
                let at = (input.line, input.column);
                Err(self.broken(at, &io::Error::other(detail)))
            }
            Err(error) => {
                let at = (input.line, input.column);
                Err(self.broken(at, &error))
            }
        }
    }
}

fn cells(place: Place, text: Vec<u8>, event: bool) -> Result<Row, Fault> {
    if event {
        return Ok(Row {
            place,
            cells: Cells::Event(text),
        });
    }
    match serde_json::from_slice::<Object>(&text) {
        Ok(object) => Ok(Row {
            place,
            cells: Cells::Members(object.0),
        }),
        Err(error) => {
            // The line and column of the error count from the start of the row.
            let (line, column) = (error.line() as u64, error.column() as u64);
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
            Err(Fault {
                place: Place {
                    line: place.line + line.saturating_sub(1),
                    column: if line <= 1 {
                        place.column + column.saturating_sub(1)
                    } else {
                        column
                    },
                },
                reason: format!("not a JSON object: {reason}"),
            })
        }
    }
}

/// An object whose members have different names: of two values of one name, nobody could say which counts.
struct Object(HashMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = HashMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if members.contains_key(&name) {
                        return Err(serde::de::Error::custom(format!(
                            "the member `{name}` is there twice"
                        )));
                    }
                    let value = map.next_value()?;
                    members.insert(name, value);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
