//! Signed notes: a text and the signatures under it (C2SP `signed-note`).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::ParseError;
use crate::key::{SignerKey, VerifierKey, check_name};

/// The longest note that is read, in bytes.
pub const MAX_NOTE_LEN: usize = 1_000_000;
/// The most signatures that a note may carry.
pub const MAX_SIGNATURES: usize = 100;

const FORMAT: &str = "signed note";
const PREFIX: &str = "\u{2014} ";

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The id of the key.
    pub key_id: u32,
    /// The bytes after the key id.
    pub signature: Vec<u8>,
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key_id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.signature);
        write!(f, "{PREFIX}{} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A text with its signatures, none of them checked yet. Ignore the text until
/// [`SignedNote::verify`] has accepted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// Why a note is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A signature that carries a known key's name and id is not that key's.
    #[error(
        "the signature by `{name}` (key {key_id:08x}) does not verify; the text or the signature was changed"
    )]
    Invalid {
        /// The name of the key.
        name: String,
        /// The id of the key.
        key_id: u32,
    },
    /// No signature is by a known key.
    #[error("no signature is by a known key; signed by: {}", if signers.is_empty() { "nobody" } else { signers })]
    NoKnownSigner {
        /// The names and ids on the note.
        signers: String,
    },
}

impl SignedNote {
    /// Signs a text with one or more keys.
    ///
    /// # Errors
    /// When the text is empty, does not end in a newline or holds another control character, or
    /// when there is no key.
    pub fn sign(text: &str, keys: &[&SignerKey]) -> Result<Self, ParseError> {
        check_text(text)?;
        if keys.is_empty() || keys.len() > MAX_SIGNATURES {
            return Err(ParseError::new(
                FORMAT,
                1,
                "between 1 and 100 signatures are needed",
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            signatures: keys.iter().map(|key| key.sign(text)).collect(),
        })
    }

    /// Reads a note. Nothing is tolerated that another reader could take for something else:
    /// every line must have exactly the specified form.
    ///
    /// # Errors
    /// [`ParseError`] with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let fail = |line, problem: &str| Err(ParseError::new(FORMAT, line, problem));
        if bytes.len() > MAX_NOTE_LEN {
            return fail(1, "longer than 1,000,000 bytes");
        }
        let note = match std::str::from_utf8(bytes) {
            Ok(note) => note,
            Err(e) => {
                let line = 1 + bytes[..e.valid_up_to()]
                    .iter()
                    .filter(|b| **b == b'\n')
                    .count();
                return fail(line, "not valid UTF-8");
            }
        };
        check_controls(note)?;
        let Some(split) = note.rfind("\n\n") else {
            return fail(1, "no empty line between text and signatures");
        };
        let text = &note[..=split];
        let Some(lines) = note[split + 2..].strip_suffix('\n') else {
            let line = 1 + note.matches('\n').count();
            return fail(line, "the last signature line must end in a newline");
        };
        if text == "\n" {
            return fail(1, "the text is empty");
        }
        let first = 2 + text.matches('\n').count();
        let mut signatures = Vec::new();
        for (i, line) in lines.split('\n').enumerate() {
            if i == MAX_SIGNATURES {
                return fail(first + i, "more than 100 signatures");
            }
            let signature = parse_signature(line)
                .map_err(|problem| ParseError::new(FORMAT, first + i, problem))?;
            signatures.push(signature);
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// The signed text, with its final newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures in order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature, for example a witness's.
    ///
    /// # Errors
    /// When the note has 100 already, or the signature's name is not allowed.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), ParseError> {
        let line = 2 + self.text.matches('\n').count() + self.signatures.len();
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(ParseError::new(FORMAT, line, "more than 100 signatures"));
        }
        check_name(&signature.name).map_err(|e| ParseError::new(FORMAT, line, e.to_string()))?;
        self.signatures.push(signature);
        Ok(())
    }

    /// Checks the note against known keys and gives those that signed it, in the order of their
    /// signatures. Signatures by unknown keys are ignored, as the specification demands.
    ///
    /// # Errors
    /// When a known key's signature does not verify, or no known key signed.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, VerifyError> {
        let mut signers: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let Some(key) = keys.iter().find(|key| key.made(signature)) else {
                continue;
            };
            if !key.verify(&self.text, &signature.signature) {
                return Err(VerifyError::Invalid {
                    name: signature.name.clone(),
                    key_id: signature.key_id,
                });
            }
            if !signers.contains(&key) {
                signers.push(key);
            }
        }
        if signers.is_empty() {
            let names = self.signatures.iter().take(16);
            let names: Vec<_> = names
                .map(|s| format!("`{}` (key {:08x})", s.name, s.key_id))
                .collect();
            return Err(VerifyError::NoKnownSigner {
                signers: names.join(", "),
            });
        }
        Ok(signers)
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

fn check_controls(note: &str) -> Result<(), ParseError> {
    let mut line = 1;
    for byte in note.bytes() {
        match byte {
            b'\n' => line += 1,
            0..=0x1f => {
                let problem = format!("control character {byte:#04x}; only newlines are allowed");
                return Err(ParseError::new(FORMAT, line, problem));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), ParseError> {
    check_controls(text)?;
    if text.len() < 2 || !text.ends_with('\n') {
        let line = 1 + text.matches('\n').count();
        return Err(ParseError::new(
            FORMAT,
            line,
            "the text must end in a newline",
        ));
    }
    Ok(())
}

fn parse_signature(line: &str) -> Result<NoteSignature, String> {
    const FORM: &str = "expected `\u{2014} <key name> <base64>`";
    let rest = line.strip_prefix(PREFIX).ok_or(FORM)?;
    let (name, encoded) = rest.split_once(' ').ok_or(FORM)?;
    check_name(name).map_err(|e| e.to_string())?;
    let bytes = STANDARD
        .decode(encoded)
        .map_err(|e| format!("the signature is not base64: {e}"))?;
    match bytes.split_first_chunk::<4>() {
        Some((id, signature)) if !signature.is_empty() => Ok(NoteSignature {
            name: name.to_owned(),
            key_id: u32::from_be_bytes(*id),
            signature: signature.to_vec(),
        }),
        _ => Err("the signature must have a key id of 4 bytes and at least one more".to_owned()),
    }
}
