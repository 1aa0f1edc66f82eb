//! Content codings, with a limit on what comes out.

use std::io::Read;

/// Why a body could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Neither `gzip`, `zstd` nor `identity` (HTTP 415).
    #[error("the content coding `{0}` is not read here; send gzip, zstd or none")]
    Unknown(String),
    /// More comes out than is accepted (HTTP 413).
    #[error("the body is more than {limit} bytes when decompressed; split the batch")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The data ends early or is damaged (HTTP 400).
    #[error(
        "the {coding} data is damaged or ends early, after {decoded} bytes of content: {detail}"
    )]
    Damaged {
        /// The coding.
        coding: &'static str,
        /// Bytes that could be decoded.
        decoded: usize,
        /// What the decoder said.
        detail: String,
    },
}

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// RFC 1952; several members follow each other as one.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Reads the `Content-Encoding` header.
    ///
    /// # Errors
    /// [`DecodeError::Unknown`].
    pub fn parse(header: Option<&str>) -> Result<Self, DecodeError> {
        let name = header.unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            other => Err(DecodeError::Unknown(other.chars().take(64).collect())),
        }
    }

    /// Decodes `body`. At most `limit` bytes are ever held, whatever the body claims.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(self, body: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
        match self {
            Self::Identity if body.len() > limit => Err(DecodeError::TooLarge { limit }),
            Self::Identity => Ok(body.to_vec()),
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(body), "gzip", limit),
            Self::Zstd => {
                let damaged = |e: std::io::Error| DecodeError::Damaged {
                    coding: "zstd",
                    decoded: 0,
                    detail: e.to_string(),
                };
                let mut decoder = zstd::stream::read::Decoder::new(body).map_err(damaged)?;
                // The window is the memory that a frame may ask for: 2^24 is 16 MiB.
                decoder.window_log_max(24).map_err(damaged)?;
                read(decoder, "zstd", limit)
            }
        }
    }
}

fn read(
    mut decoder: impl Read,
    coding: &'static str,
    limit: usize,
) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match decoder.read(&mut chunk) {
            Ok(0) => return Ok(out),
            Ok(n) if out.len() + n > limit => return Err(DecodeError::TooLarge { limit }),
            Ok(n) => out.extend_from_slice(&chunk[..n]),
            Err(error) => {
                return Err(DecodeError::Damaged {
                    coding,
                    decoded: out.len(),
                    detail: error.to_string(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write as _;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn decodes_within_the_limit() {
        let data = b"hello".repeat(1000);
        for (coding, body) in [
            (Coding::Gzip, gzip(&data)),
            (Coding::Zstd, zstd::bulk::compress(&data, 3).unwrap()),
        ] {
            assert_eq!(coding.decode(&body, 5_000).unwrap(), data);
            assert_eq!(
                coding.decode(&body, 4_999),
                Err(DecodeError::TooLarge { limit: 4_999 })
            );
            let cut = coding.decode(&body[..body.len() - 3], 5_000);
            assert!(matches!(cut, Err(DecodeError::Damaged { .. })), "{cut:?}");
            let junk = coding.decode(b"not compressed", 5_000);
            assert!(matches!(junk, Err(DecodeError::Damaged { .. })), "{junk:?}");
        }
        assert!(matches!(
            Coding::parse(Some("br")),
            Err(DecodeError::Unknown(_))
        ));
        assert!(matches!(
            Coding::parse(Some("gzip, gzip")),
            Err(DecodeError::Unknown(_))
        ));
        assert_eq!(Coding::parse(Some(" GZIP ")).unwrap(), Coding::Gzip);
    }
}
