//! What is not a secret although it has the form of one.

/// Shannon entropy of the bytes, in bits per byte.
#[must_use]
pub fn entropy(bytes: &[u8]) -> f32 {
    if bytes.is_empty() {
        return 0.0;
    }
    let mut counts = [0_u32; 256];
    for b in bytes {
        counts[usize::from(*b)] += 1;
    }
    let n = bytes.len() as f32;
    counts
        .iter()
        .filter(|c| **c > 0)
        .map(|c| {
            let p = *c as f32 / n;
            -p * p.log2()
        })
        .sum()
}

/// Words that stand in documentation in place of a value.
const PLACEHOLDERS: &[&[u8]] = &[
    b"example",
    b"xxxxx",
    b"*****",
    b".....",
    b"00000000000",
    b"placeholder",
    b"changeme",
    b"change_me",
    b"change-me",
    b"changeit",
    b"redacted",
    b"replace_me",
    b"replaceme",
    b"replace-me",
    b"your_",
    b"your-",
    b"<your",
    b"insert_",
    b"dummy",
    b"####",
    b"notreal",
    b"not_real",
    b"not-real",
    b"014df517-39d1-4453-b7b3-9930c563627c",
];

/// Further words that show that a generic value is none.
const GENERIC_PLACEHOLDERS: &[&[u8]] = &[
    b"xxxx",
    b"yyyy",
    b"test_",
    b"_test",
    b"fake",
    b"sample",
    b"mysecret",
    b"my_secret",
    b"my-secret",
    b"mytoken",
    b"my_token",
    b"yourpass",
    b"yoursecret",
    b"yourtoken",
    b"yourkey",
    b"yourapi",
    b"secret_here",
    b"key_here",
    b"token_here",
    b"keyhere",
    b"todo",
    b"abcdefghijklmnopqrstuvwxyz",
    b"foobar",
    b"lorem",
    b"undefined",
    b"default",
    b"none",
    b"null",
    b"1234567890",
    b"12345678",
    b"abcdefgh",
    b"01234567",
    b"deadbeef",
    b"cafebabe",
];

/// Case-insensitive search for a short word.
#[must_use]
pub fn contains(text: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else {
        return true;
    };
    if text.len() < word.len() {
        return false;
    }
    let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    memchr::memchr2_iter(lower, upper, &text[..=text.len() - word.len()])
        .any(|i| text[i..i + word.len()].eq_ignore_ascii_case(word))
}

/// How many different bytes there are.
fn variety(bytes: &[u8]) -> u32 {
    let mut seen = [0_u64; 4];
    for b in bytes {
        seen[usize::from(b >> 6)] |= 1 << (b & 63);
    }
    seen.iter().map(|w| w.count_ones()).sum()
}

/// The name of a variable, a template or a format directive instead of a value.
fn reference(s: &[u8]) -> bool {
    let inner = |open: &[u8], close: &[u8]| {
        s.len() > open.len() + close.len() && s.starts_with(open) && s.ends_with(close)
    };
    inner(b"${", b"}")
        || inner(b"{{", b"}}")
        || inner(b"<", b">")
        || inner(b"[", b"]")
        || inner(b"%(", b")s")
        || inner(b"#{", b"}")
        || inner(b"$(", b")")
        || inner(b"{%", b"%}")
        || (inner(b"%", b"%") && s[1..s.len() - 1].iter().all(|b| name_byte(*b)))
        || (inner(b"@", b"@") && s[1..s.len() - 1].iter().all(|b| name_byte(*b)))
        || (s.len() > 1
            && s[0] == b'$'
            && s[1..].iter().all(|b| name_byte(*b))
            && one_case(&s[1..]))
        || (inner(b"{", b"}") && s[1..s.len() - 1].iter().all(|b| name_byte(*b)))
        || (s.len() == 2 && s[0] == b'%')
        || PLACES.iter().any(|p| s.starts_with(p))
}

/// Beginnings of values that say where a secret is kept.
const PLACES: [&[u8]; 12] = [
    b"vault:",
    b"vault://",
    b"arn:aws",
    b"op://",
    b"ssm:",
    b"secretsmanager:",
    b"/run/secrets/",
    b"@Microsoft.KeyVault(",
    b"gcp-secret:",
    b"ref+",
    b"!vault",
    b"ENC[",
];

fn name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'.'
}

fn one_case(s: &[u8]) -> bool {
    !(s.iter().any(u8::is_ascii_lowercase) && s.iter().any(u8::is_ascii_uppercase))
}

/// Why a value of a detector with a form of its own is no secret.
#[must_use]
pub fn harmless(secret: &[u8]) -> Option<&'static str> {
    if secret.is_empty() {
        return Some("empty");
    }
    if variety(secret) <= 2 && secret.len() > 3 {
        return Some("repeated");
    }
    if reference(secret) {
        return Some("reference");
    }
    for word in ["true", "false", "null", "none", "undefined", "nil"] {
        if secret.eq_ignore_ascii_case(word.as_bytes()) {
            return Some("word");
        }
    }
    if secret.len() < 600
        && (secret.ends_with(b"...")
            || memchr::memmem::find(secret, b"{{").is_some()
            || memchr::memmem::find(secret, b"${").is_some())
    {
        return Some("template");
    }
    if secret.len() < 600 && PLACEHOLDERS.iter().any(|p| contains(secret, p)) {
        return Some("placeholder");
    }
    let longest = longest_run(secret);
    if secret.len() >= 12 && longest * 2 > secret.len() {
        return Some("repeated");
    }
    None
}

/// The longest run of one byte.
fn longest_run(s: &[u8]) -> usize {
    let (mut best, mut run) = (0, 0);
    for (i, b) in s.iter().enumerate() {
        run = if i > 0 && s[i - 1] == *b { run + 1 } else { 1 };
        best = best.max(run);
    }
    best
}

/// Whether a reason of [`harmless`] is one for which a value of an issuer's form is only less
/// likely to be a secret: documentation shows such values, but people also paste real ones beside
/// such words.
#[must_use]
pub(crate) fn doubtful(why: &str) -> bool {
    matches!(why, "placeholder" | "repeated")
}

/// Why a value that nothing but a word beside it makes a secret is none.
#[must_use]
pub fn harmless_generic(secret: &[u8]) -> Option<&'static str> {
    if let Some(why) = harmless(secret) {
        return Some(why);
    }
    if GENERIC_PLACEHOLDERS.iter().any(|p| contains(secret, p)) {
        return Some("placeholder");
    }
    if variety(secret) < 5 {
        return Some("repeated");
    }
    if secret
        .iter()
        .all(|b| b.is_ascii_digit() || b".,+-: /".contains(b))
    {
        return Some("number");
    }
    if secret.starts_with(b"/")
        && secret.iter().filter(|b| **b == b'/').count() > 1
        && path_like(secret)
    {
        return Some("path");
    }
    if secret.starts_with(b"http:") || secret.starts_with(b"https:") || secret.starts_with(b"./") {
        return Some("address");
    }
    None
}

fn path_like(s: &[u8]) -> bool {
    s.split(|b| *b == b'/').all(|part| {
        part.len() < 24 && (part.iter().filter(|b| b.is_ascii_digit()).count() * 3 <= part.len())
    })
}

/// The value is 32, 40, 56, 64, 96 or 128 hexadecimal digits: the form of a hash.
#[must_use]
pub fn hash_form(s: &[u8]) -> bool {
    matches!(s.len(), 32 | 40 | 56 | 64 | 96 | 128) && s.iter().all(u8::is_ascii_hexdigit)
}

/// The value has the form of a UUID.
#[must_use]
pub fn uuid_form(s: &[u8]) -> bool {
    s.len() == 36
        && s.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Words before a hexadecimal value that make it a hash and no secret.
const HASH_WORDS: &[&[u8]] = &[
    b"sha1",
    b"sha-1",
    b"sha2",
    b"sha5",
    b"sha-2",
    b"sha-5",
    b"md5",
    b"hash",
    b"checksum",
    b"digest",
    b"commit",
    b"revision",
    b"integrity",
    b"etag",
    b"fingerprint",
    b"thumbprint",
    b"public_key",
    b"publickey",
    b"public-key",
    b"pubkey",
    b"signature",
    b"crc",
    b"git_rev",
    b"blake",
    b"ripemd",
    b"checksums",
    b"uuid",
    b"guid",
];

/// Whether the text before a value calls it a hash.
#[must_use]
pub fn called_a_hash(before: &[u8]) -> bool {
    HASH_WORDS.iter().any(|w| contains(before, w))
}

/// Share of letter pairs that are usual in English words and names of programs; random text has
/// few of them.
#[must_use]
pub fn wordiness(s: &[u8]) -> f32 {
    let mut pairs = 0;
    let mut usual = 0;
    for w in s.windows(2) {
        if w[0].is_ascii_alphabetic() && w[1].is_ascii_alphabetic() {
            pairs += 1;
            let pair = [w[0].to_ascii_lowercase(), w[1].to_ascii_lowercase()];
            if USUAL.chunks_exact(2).any(|u| u == pair) {
                usual += 1;
            }
        }
    }
    if pairs == 0 {
        return 0.0;
    }
    usual as f32 / pairs as f32
}

const USUAL: &[u8] = b"thheinerreanonateseditntisorararalentistotindhaenisouasedveledasilrocenecohismeitlictrsideetecriontiinutcaomearlamaadurdiellasesosacchpeabaisuoelseedtaemostssunorshopmoplimrtpaassowctulackensprolaaciipbegegoivevoirketiusspasauapouagrgenyelckabitesordunlofiflugmaysafefuburoccimudemphutgnnttyexluncrpldrcllltweyspuifo";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_placeholders() {
        for s in [
            "${TOKEN}",
            "$TOKEN",
            "xxxxxxxxxx",
            "AKIAIOSFODNN7EXAMPLE",
            "<secret>",
            "{{ x }}",
        ] {
            assert!(harmless(s.as_bytes()).is_some(), "{s}");
        }
        for s in ["oI8rknsgEUT1tC6Jk3XvWO7fTcrZGg", "super$ecret"] {
            assert!(harmless(s.as_bytes()).is_none(), "{s}");
        }
    }

    #[test]
    fn words_are_wordy() {
        assert!(wordiness(b"authentication_manager") > 0.6);
        assert!(wordiness(b"xKqZvWjRtPbNmQcG") < 0.3);
    }
}
