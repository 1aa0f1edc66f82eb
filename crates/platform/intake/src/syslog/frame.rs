//! Messages in a stream of bytes (RFC 6587).

/// A message as it came, and whether it was longer than is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framed {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it was cut.
    pub cut: bool,
}

/// Where in the stream the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before a message: its first byte says how it is framed.
    Start,
    /// In the number of bytes of a message.
    Length(usize),
    /// In a message of which so many bytes are still to come.
    Counted(usize),
    /// In a message that ends with its line.
    Line,
}

/// Digits of the longest length that is believed.
const LONGEST_LENGTH: usize = 9;

/// Finds the messages in what is read of a connection, in pieces of any size. A message that begins with a
/// digit has its length in front (`83 <34>1 …`); any other ends with its line, or with a zero byte. No more
/// than the longest message is held.
#[derive(Debug)]
pub struct Frames {
    limit: usize,
    at: At,
    digits: usize,
    held: Vec<u8>,
    cut: bool,
}

impl Frames {
    /// Messages of at most `limit` bytes; the rest of a longer one is passed over.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            at: At::Start,
            digits: 0,
            held: Vec::new(),
            cut: false,
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.held.len());
        let kept = bytes.len().min(room);
        self.held
            .extend_from_slice(bytes.get(..kept).unwrap_or_default());
        self.cut |= kept < bytes.len();
    }

    fn give(&mut self, out: &mut Vec<Framed>) {
        self.at = At::Start;
        let bytes = std::mem::take(&mut self.held);
        let cut = std::mem::take(&mut self.cut);
        if !bytes.trim_ascii().is_empty() {
            out.push(Framed { bytes, cut });
        }
    }

    /// Takes the next bytes; adds the messages that end in them to `out`.
    ///
    /// # Errors
    /// When the stream is not framed as a number of bytes says: nothing behind can be found any more.
    pub fn read(&mut self, mut bytes: &[u8], out: &mut Vec<Framed>) -> Result<(), &'static str> {
        while let Some(first) = bytes.first() {
            match self.at {
                At::Start => match first {
                    b'\n' | b'\r' | b'\0' | b' ' => bytes = bytes.get(1..).unwrap_or_default(),
                    b'1'..=b'9' => {
                        self.digits = 0;
                        self.at = At::Length(0);
                    }
                    _ => self.at = At::Line,
                },
                At::Length(so_far) => {
                    bytes = bytes.get(1..).unwrap_or_default();
                    match first {
                        b'0'..=b'9' => {
                            self.digits += 1;
                            if self.digits > LONGEST_LENGTH {
                                return Err("the length of a message has more than 9 digits");
                            }
                            self.at = At::Length(so_far * 10 + usize::from(first - b'0'));
                        }
                        b' ' => self.at = At::Counted(so_far),
                        _ => return Err("the length of a message is not followed by a space"),
                    }
                }
                At::Counted(left) => {
                    let here = left.min(bytes.len());
                    let (now, rest) = bytes.split_at(here);
                    self.hold(now);
                    bytes = rest;
                    if here == left {
                        self.give(out);
                    } else {
                        self.at = At::Counted(left - here);
                    }
                }
                At::Line => match bytes.iter().position(|b| matches!(b, b'\n' | b'\0')) {
                    Some(end) => {
                        self.hold(bytes.get(..end).unwrap_or_default());
                        bytes = bytes.get(end + 1..).unwrap_or_default();
                        self.give(out);
                    }
                    None => {
                        self.hold(bytes);
                        bytes = &[];
                    }
                },
            }
        }
        Ok(())
    }

    /// What a connection that has ended had begun: the last line without its end, or a message that was cut off.
    pub fn end(&mut self) -> Option<Framed> {
        let cut_off = matches!(self.at, At::Counted(_));
        let mut out = Vec::new();
        self.give(&mut out);
        let mut last = out.pop()?;
        last.cut |= cut_off;
        Some(last)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(limit: usize, bytes: &[u8], piece: usize) -> Vec<(String, bool)> {
        let mut frames = Frames::new(limit);
        let mut out = Vec::new();
        for piece in bytes.chunks(piece) {
            frames.read(piece, &mut out).unwrap();
        }
        out.extend(frames.end());
        out.into_iter()
            .map(|f| (String::from_utf8_lossy(&f.bytes).into_owned(), f.cut))
            .collect()
    }

    #[test]
    fn both_framings_are_found_however_the_stream_is_cut() {
        let stream = b"10 <34>1 - ab\n<13>line one\r\n\n5 a\nb c<1>x\0 <2>the last";
        let expected: Vec<(String, bool)> = [
            ("<34>1 - ab", false),
            ("<13>line one\r", false),
            ("a\nb c", false),
            ("<1>x", false),
            ("<2>the last", false),
        ]
        .map(|(text, cut)| (text.to_owned(), cut))
        .to_vec();
        for piece in 1..stream.len() {
            assert_eq!(read(100, stream, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_its_neighbours_are_not() {
        let mut stream = b"<1>".to_vec();
        stream.extend([b'x'; 500]);
        stream.extend(b"\n400 ");
        stream.extend([b'y'; 400]);
        stream.extend(b"3 <2>");
        for piece in [1, 7, 1_000] {
            let found = read(50, &stream, piece);
            assert_eq!(found.len(), 3);
            assert_eq!((found[0].0.len(), found[0].1), (50, true));
            assert_eq!((found[1].0.len(), found[1].1), (50, true));
            assert_eq!(found[2], ("<2>".to_owned(), false));
        }
    }

    #[test]
    fn a_length_that_is_none_ends_the_stream() {
        for bytes in [&b"1234567890 x"[..], b"12x", b"5\n"] {
            let mut out = Vec::new();
            assert!(Frames::new(10).read(bytes, &mut out).is_err(), "{bytes:?}");
        }
        assert_eq!(read(10, b"5 abc", 2), [("abc".to_owned(), true)]);
    }
}
