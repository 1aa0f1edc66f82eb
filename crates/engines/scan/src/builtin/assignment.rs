//! A value that is given to a telling name: `password = "…"`, `api_key: …`, `setToken('…')`,
//! `<secret>…</secret>`, `--password …`, `?access_token=…`.

mod words;

use crate::engine::filter;
use words::{ABOUT, WORDS_FOR_IT};

/// The words that call this scanner, as a pattern.
pub(crate) const WORDS: &str = "(?i)passw|passphrase|_pass|pass[=:\"' ]|pwd(?s:.)|secret|token|api[_.-]?key|access[_.-]?key|auth[_.-]?key|private[_.-]?key|signing[_.-]?key|encryption[_.-]?key|master[_-]?key|account[_-]?key|license[_-]?key|client[_.-]?key|app[_-]?key|credential|creds|_auth[\"' ]{0,2}[:=]|authorization|encrypt[_-]?key|[_.-]key[\"' ]?[=:]|contrase|kennwort|passwort|senha";

/// A found assignment: the value's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Assigned {
    pub start: usize,
    pub end: usize,
    pub confidence: f32,
    /// The value looks random rather than chosen.
    pub random: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Password,
    Token,
}

fn name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.'
}

/// What the name of a file says about what is assigned in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// A value without quotes is a value, not an expression.
    plain_values: bool,
    /// Written for tests or to show how.
    test: bool,
}

impl Place {
    pub(crate) fn of(path: &str) -> Self {
        let lower = path.to_ascii_lowercase();
        Self {
            plain_values: plain_values(&lower),
            test: ["test", "spec", "mock", "fixture", "example"]
                .iter()
                .any(|w| lower.contains(w)),
        }
    }
}

/// Looks at the name around `at` and at what is given to it.
pub(crate) fn at(text: &[u8], at: usize, place: Place) -> Option<Assigned> {
    let mut from = at.min(text.len());
    // The gram may begin on the sign before the word.
    while from < text.len() && !text[from].is_ascii_alphanumeric() && from < at + 2 {
        from += 1;
    }
    let floor = from.saturating_sub(48);
    let mut name_start = from;
    while name_start > floor && name_byte(text[name_start - 1]) {
        name_start -= 1;
    }
    let ceil = text.len().min(from + 64);
    let mut name_end = from;
    while name_end < ceil && name_byte(text[name_end]) {
        name_end += 1;
    }
    let name = &text[name_start..name_end];
    // The cheapest question first: most names are given nothing.
    let (value_start, quote, operator) = to_value(text, name_end, name_start)?;
    let value_end = value_end(text, value_start, quote)?;
    let value = &text[value_start..value_end];
    if value.len() < 4 || value.len() > 400 {
        return None;
    }
    // The content of an element and a setting of a recipe are values whatever the file.
    let mut place = place;
    place.plain_values |=
        operator == b'e' || operator == b'>' && text[value_end..].starts_with(b"</");
    if quote == 0 && !place.plain_values && value.len() < 12 {
        return None;
    }
    let kind = kind_of(name)?;
    weigh(place, kind, name, value, quote, operator).map(|(confidence, random)| Assigned {
        start: value_start,
        end: value_end,
        confidence,
        random,
    })
}

fn kind_of(name: &[u8]) -> Option<Kind> {
    let word = last_word(name);
    if ABOUT.iter().any(|a| word.eq_ignore_ascii_case(a)) {
        return None;
    }
    // The same in one case: `passwordpolicy`, `SECRETNAME`.
    if ABOUT.iter().any(|a| {
        a.len() >= 4 && ends(name, a) && {
            let head = &name[..name.len() - a.len()];
            [&b"password"[..], b"passwd", b"secret", b"token", b"key"]
                .iter()
                .any(|w| ends(head, w))
        }
    }) {
        return None;
    }
    let has = |w: &[u8]| filter::contains(name, w);
    if has(b"public")
        || has(b"translation")
        || has(b"i18n")
        || has(b"idempotency")
        || has(b"routing_key")
        || has(b"routingkey")
        || has(b"tokeniz")
        || has(b"keyword")
        || has(b"primary_key")
        || has(b"foreign")
        || has(b"cache_key")
        || has(b"partition")
        || has(b"cachekey")
        || has(b"sort_key")
        || has(b"pubkey")
        || has(b"csrf")
        || has(b"xsrf")
        || has(b"passwordless")
        || has(b"author") && !has(b"authoriz")
    {
        return None;
    }
    if has(b"passw")
        || has(b"pwd")
        || has(b"passphrase")
        || has(b"contrase")
        || has(b"kennwort")
        || has(b"passwort")
        || has(b"senha")
        || word.eq_ignore_ascii_case(b"pass")
        || name.len() <= 12
            && ends(name, b"pass")
            && ![
                &b"bypass"[..],
                b"compass",
                b"trespass",
                b"surpass",
                b"overpass",
            ]
            .iter()
            .any(|w| ends(name, w))
    {
        return Some(Kind::Password);
    }
    if has(b"secret")
        || has(b"token")
        || has(b"key")
        || has(b"credential")
        || has(b"creds")
        || ends(name, b"_auth")
        || has(b"authorization")
    {
        return Some(Kind::Token);
    }
    None
}

fn ends(name: &[u8], word: &[u8]) -> bool {
    name.len() >= word.len() && name[name.len() - word.len()..].eq_ignore_ascii_case(word)
}

/// The last word of a name in any of the usual spellings.
fn last_word(name: &[u8]) -> &[u8] {
    let name = match name {
        [rest @ .., b'.' | b'-' | b'_'] => rest,
        _ => name,
    };
    let mut i = name.len();
    while i > 0 {
        let b = name[i - 1];
        if matches!(b, b'_' | b'-' | b'.') {
            break;
        }
        i -= 1;
        if b.is_ascii_uppercase() && i > 0 && name[i - 1].is_ascii_lowercase() {
            break;
        }
    }
    &name[i..]
}

/// From the end of the name to the first byte of the value; the quote around it and the operator.
fn to_value(text: &[u8], name_end: usize, name_start: usize) -> Option<(usize, u8, u8)> {
    let mut i = name_end;
    let get = |i: usize| text.get(i).copied().unwrap_or(b'\n');
    let skip = |i: &mut usize, set: &[u8], most: usize| {
        let from = *i;
        while *i - from < most && set.contains(&get(*i)) && *i < text.len() {
            *i += 1;
        }
    };
    // A command's option: `--password value`.
    let option = name_start >= 2 && text[name_start..].starts_with(b"--")
        || name_start >= 1 && text[name_start..].starts_with(b"-p");
    skip(&mut i, b"\"'`)]\\", 4);
    skip(&mut i, b" \t", 24);
    let mut operator = get(i);
    // `name="…" value="…"`, as in XML settings.
    if operator.eq_ignore_ascii_case(&b'v')
        && i > name_end + 1
        && text[name_end..i].iter().any(|b| matches!(b, b'"' | b'\''))
        && text[i..]
            .get(..6)
            .is_some_and(|t| t.eq_ignore_ascii_case(b"value="))
    {
        i += 5;
        operator = b'=';
    }
    // A variable with its type between: `var token string = "…"`, `const char *key = "…"`.
    if i > name_end && (operator.is_ascii_alphabetic() || operator == b'[') {
        let kind = text[i..]
            .iter()
            .take(16)
            .take_while(|b| b.is_ascii_alphanumeric() || b"[]&*.".contains(b))
            .count();
        let mut k = i + kind;
        skip(&mut k, b" ", 4);
        let quoted = get(k) == b'='
            && get(k + 1) != b'='
            && matches!(
                get(k + 1 + usize::from(get(k + 1) == b' ')),
                b'"' | b'\'' | b'`'
            );
        if quoted && kind > 2 {
            i = k;
            operator = b'=';
        }
    }
    // `ENV NAME value` of a container's recipe.
    let env = i > name_end
        && !matches!(operator, b'=' | b':')
        && text[..name_start].ends_with(b"ENV ")
        && (name_start == 4 || matches!(text[name_start - 5], b'\n' | b' '));
    if env {
        return Some((i, 0, b'e'));
    }
    match operator {
        b'=' | b':' => {
            i += 1;
            // `:=`, `=>`, `==`, `===`, `::=`, `=~`
            skip(&mut i, b"=>:~", 3);
        }
        b'?' | b'|' | b'+' | b'.' if matches!(get(i + 1), b'=' | b'|') => i += 2,
        b'-' if get(i + 1) == b'>' => i += 2,
        b'!' if get(i + 1) == b'=' => i += 2,
        b',' | b'(' | b'>' => i += 1,
        b'"' | b'\'' => {}
        _ if option && i > name_end => operator = b'-',
        _ => return None,
    }
    skip(&mut i, b" \t", 24);
    if operator == b'>' {
        // The content of an element may begin on the next line.
        skip(&mut i, b" \t\r\n", 24);
    }
    // `password: str = "…"`, `let token: &str = "…"`, `Token string = "…"`.
    if operator == b':' && (get(i).is_ascii_alphabetic() || get(i) == b'_') || get(i) == b'&' {
        let mut j = i;
        while j < text.len() && j < i + 24 && (name_byte(text[j]) || b"&<>[]?'".contains(&text[j]))
        {
            j += 1;
        }
        let mut k = j;
        while k < text.len() && k < j + 4 && text[k] == b' ' {
            k += 1;
        }
        if get(k) == b'=' && get(k + 1) != b'=' && k > i && get(k + 1) == b' ' {
            i = k + 1;
            skip(&mut i, b" \t", 8);
            operator = b'=';
        }
    }
    if operator == b'=' || operator == b'(' || operator == b':' {
        // Calls and types that only wrap the value.
        for wrap in [
            &b"os.environ.get("[..],
            b"Buffer.from(",
            b"String(",
            b"bytes(",
            b"str(",
            b"new String(",
            b"SecureString(",
            b"Secret(",
            b"SecretString(",
            b"b",
            b"r",
            b"u",
            b"@",
            b"L",
            b"N",
            b"[",
            b"(",
            b"{",
        ] {
            if text[i.min(text.len())..].starts_with(wrap)
                && matches!(get(i + wrap.len()), b'"' | b'\'')
            {
                i += wrap.len();
                break;
            }
        }
    }
    let mut escapes = 0;
    while get(i) == b'\\' && escapes < 3 {
        i += 1;
        escapes += 1;
    }
    let quote = get(i);
    if matches!(quote, b'"' | b'\'' | b'`') {
        i += 1;
        // Python's and others' triple quotes.
        if get(i) == quote && get(i + 1) == quote {
            i += 2;
        } else if get(i) == quote {
            return None;
        }
        if get(i) == b'\\' && matches!(get(i + 1), b'"' | b'\'') {
            i += 2;
        }
        return Some((i, quote, operator));
    }
    if escapes > 0 || matches!(operator, b',' | b'(' | b'"' | b'\'') {
        return None;
    }
    Some((i, 0, operator))
}

fn value_end(text: &[u8], start: usize, quote: u8) -> Option<usize> {
    let ceil = text.len().min(start + 410);
    let mut i = start;
    while i < ceil {
        let b = text[i];
        if quote != 0 {
            if b == quote {
                while i > start && text[i - 1] == b'\\' {
                    i -= 1;
                }
                return Some(i);
            }
            if b == b'\n' || b == b'\r' {
                return None;
            }
        } else if b.is_ascii_whitespace() || b"\"'`<>;,&|)}]\\".contains(&b) || b < 0x20 {
            break;
        }
        i += 1;
    }
    if quote != 0 || i == start || i == ceil && ceil < text.len() {
        return None;
    }
    Some(i)
}

/// Files in which a value without quotes is a value, not an expression.
fn plain_values(path: &str) -> bool {
    let name = path.rsplit(['/', '\\', '!']).next().unwrap_or(path);
    name.contains(".env")
        || name.starts_with("env")
        || [
            ".properties",
            ".ini",
            ".cfg",
            ".conf",
            ".cnf",
            ".yml",
            ".yaml",
            ".toml",
            ".txt",
            ".config",
            ".sh",
            ".bash",
            ".netrc",
            "rc",
            ".credentials",
            ".log",
            ".tfvars",
            ".md",
            ".csv",
        ]
        .iter()
        .any(|e| name.ends_with(e))
        || !name.contains('.')
}

fn weigh(
    place: Place,
    kind: Kind,
    name: &[u8],
    value: &[u8],
    quote: u8,
    operator: u8,
) -> Option<(f32, bool)> {
    if filter::harmless_generic(value).is_some()
        && !(kind == Kind::Password
            && strong(value)
            && filter::harmless(value).is_none()
            && !filter::contains(value, b"xxxx"))
    {
        return None;
    }
    let spaces = value.iter().filter(|b| **b == b' ').count();
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = value.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let upper = value.iter().any(u8::is_ascii_uppercase);
    let lower = value.iter().any(u8::is_ascii_lowercase);
    let signs = value.len() - digits - letters - spaces;
    // Codes that colour a terminal, and the gaps of a format: no secret is written with them.
    let control = [&b"\\x1b"[..], b"\\033", b"\\e[", b"\\u001b"]
        .iter()
        .any(|c| filter::contains(value, c));
    let gaps = digits == 0 && value.contains(&b'{') && value.contains(&b'}');
    // A call that gets the secret, in quotes.
    let call = value.ends_with(b")")
        && value.iter().position(|b| *b == b'(').is_some_and(|at| {
            at > 2
                && value[..at]
                    .iter()
                    .all(|b| b.is_ascii_alphabetic() || matches!(*b, b'_' | b'.'))
        });
    if control || gaps || call || kind == Kind::Token && structured(value) {
        return None;
    }
    let template = value.windows(2).any(|w| {
        matches!(
            w,
            b"${" | b"{{" | b"<%" | b"$(" | b"%s" | b"%d" | b"{}" | b"#{"
        )
    }) || value.starts_with(b"$")
        || value.starts_with(b"<")
        || value.starts_with(b"%") && value.ends_with(b"%");
    if template || spaces > 2 || value.contains(&b'\t') || value.iter().any(|b| *b >= 0x80) {
        return None;
    }
    if quote == 0 {
        // Expressions: calls, members, indexes, numbers, names in words.
        if value.iter().any(|b| b"([{*".contains(b)) && kind == Kind::Token
            || value.contains(&b'(')
            || value.ends_with(b":")
        {
            return None;
        }
        let member = value.split(|b| *b == b'.').count() > 1
            && value.split(|b| *b == b'.').all(|p| {
                !p.is_empty()
                    && p.len() < 24
                    && !p[0].is_ascii_digit()
                    && filter::wordiness(p) > 0.2
            });
        if member || value.windows(2).any(|w| w == b"::" || w == b"->") {
            return None;
        }
        let run = value
            .split(|b| !b.is_ascii_alphanumeric())
            .map(<[u8]>::len)
            .max()
            .unwrap_or(0);
        if kind == Kind::Token && run < 12 {
            return None;
        }
        // The name of a constant or a type.
        if value.contains(&b'_') && !lower && signs == value.iter().filter(|b| **b == b'_').count()
        {
            return None;
        }
        if operator == b'-' && value.starts_with(b"-") {
            return None;
        }
        if !place.plain_values && (digits < 2 || letters < 3 || value.len() < 12) {
            return None;
        }
    }
    let same_as_name = filter::contains(name, value)
        || value.len() > 5 && filter::contains(value, last_word(name)) && digits < 3
        || same_letters(name, value);
    if same_as_name {
        return None;
    }
    let wordy = filter::wordiness(value);
    let entropy = filter::entropy(value);
    let telling_words = WORDS_FOR_IT.iter().any(|w| filter::contains(value, w));
    let mut confidence: f32 = match kind {
        Kind::Password => {
            if spaces > 1 || value.len() > 80 {
                return None;
            }
            if telling_words && !(digits >= 2 || signs >= 2) {
                0.25
            } else if digits > 0 && letters > 0 && (signs > 0 || upper && lower || value.len() >= 8)
            {
                0.7
            } else if signs > 0
                && letters > 0
                && spaces == 0
                && value.len() >= 7
                && !matches!(value[0], b'.' | b'/' | b'#' | b'-' | b'_' | b'[')
                && !identifier(value)
            {
                0.6
            } else if upper && lower && wordy < 0.3 && spaces == 0 && value.len() >= 12 {
                0.65
            } else if upper && lower && wordy < 0.45 && spaces == 0 && value.len() >= 8 {
                0.55
            } else if digits > 0 && value.len() >= 6 {
                0.5
            } else {
                0.35
            }
        }
        Kind::Token => {
            if spaces > 0 || value.len() < 8 || value.len() < 10 && quote == 0 {
                return None;
            }
            if identifier(value) && digits < 4 || value.contains(&b'@') {
                return None;
            }
            let needed: f32 = if value.len() < 16 {
                2.8
            } else if value.len() < 24 {
                3.1
            } else {
                3.3
            };
            let hex = value.iter().all(u8::is_ascii_hexdigit);
            let needed = if hex { needed.min(2.9) } else { needed };
            if entropy < needed {
                return None;
            }
            if digits == 0 {
                if wordy > 0.4 || !(upper && lower) || value.len() < 16 {
                    return None;
                }
                0.5
            } else if telling_words && wordy > 0.5 {
                0.4
            } else if filter::uuid_form(value) {
                if filter::contains(name, b"key")
                    || filter::contains(name, b"secret")
                    || filter::contains(name, b"token")
                {
                    0.5
                } else {
                    0.3
                }
            } else if wordy > 0.6 && digits < 4 {
                0.4
            } else if value.len() >= 16 {
                0.75
            } else {
                0.6
            }
        }
    };
    // Comparison and plain arguments say less than an assignment.
    if matches!(operator, b',' | b'(' | b'!' | b'"' | b'\'')
        && !(operator == b',' && quote != 0 && filter::uuid_form(value))
    {
        confidence -= 0.1;
    }
    if quote == 0 && kind == Kind::Password && !(digits > 0 && letters > 0) {
        confidence -= 0.1;
    }
    if quote == 0 && operator == b'>' && !(digits > 0 && letters > 0) {
        confidence -= 0.1;
    }
    if place.test && kind == Kind::Password {
        confidence -= 0.05;
    }
    let random = wordy < 0.45 && entropy > 3.0 && digits > 1;
    Some((confidence.clamp(0.05, 0.95), random))
}

/// Mixed enough that a word such as `test_` in it says nothing.
fn strong(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_uppercase)
        && value.iter().any(u8::is_ascii_lowercase)
        && value.iter().any(|b| b"!@#$%^&*".contains(b))
}

/// Words and counters joined by signs, as keys of caches and routes are: `tenant#4821#order`.
fn structured(value: &[u8]) -> bool {
    let sign = |b: &u8| matches!(*b, b'#' | b':' | b'/' | b'|');
    value.iter().filter(|b| sign(b)).count() >= 2
        && value.split(sign).all(|p| {
            p.len() <= 8 && p.iter().all(u8::is_ascii_digit)
                || p.len() <= 20 && p.iter().all(|b| b.is_ascii_lowercase() || *b == b'_')
        })
}

/// The value is the name again, written otherwise.
fn same_letters(name: &[u8], value: &[u8]) -> bool {
    let plain = |s: &[u8]| -> Vec<u8> {
        s.iter()
            .filter(|b| b.is_ascii_alphanumeric())
            .map(u8::to_ascii_lowercase)
            .collect()
    };
    value.len() >= 4 && plain(name).ends_with(&plain(value))
}

/// A name of a program: words joined by one kind of sign, digits only at the ends of words.
fn identifier(value: &[u8]) -> bool {
    let joined = value
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || matches!(*b, b'_' | b'-' | b'.' | b':' | b'/'));
    if !joined {
        return false;
    }
    // Words in one case with a sign between them, whatever their letters.
    if value.iter().any(|b| matches!(*b, b'_' | b'-'))
        && value
            .iter()
            .all(|b| b.is_ascii_lowercase() || matches!(*b, b'_' | b'-'))
        && value
            .split(|b| matches!(*b, b'_' | b'-'))
            .all(|p| p.len() <= 12)
    {
        return true;
    }
    let parts: Vec<&[u8]> = value
        .split(|b| matches!(*b, b'_' | b'-' | b'.' | b':' | b'/'))
        .filter(|p| !p.is_empty())
        .collect();
    parts.iter().all(|p| {
        let letters = p.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let tail_digits = p[letters..].iter().all(u8::is_ascii_digit) && p.len() - letters <= 3;
        p.len() <= 20 && tail_digits && (p.len() <= 4 || filter::wordiness(p) > 0.35)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'t>(text: &'t str, path: &str) -> Option<&'t str> {
        for w in ["passw", "pwd", "secret", "token", "key", "pass"] {
            if let Some(i) = text.to_ascii_lowercase().find(w)
                && let Some(a) = at(text.as_bytes(), i, Place::of(path))
                && a.confidence >= 0.5
            {
                return text.get(a.start..a.end);
            }
        }
        None
    }

    #[test]
    fn secrets() {
        for (text, value) in [
            ("password = \"super$ecret9\"", "super$ecret9"),
            (
                "\"awsSecretKey\":\"3lyTWqHMt5UySny2drdPYheRTEzrNux8Cn5JWFHL\"",
                "3lyTWqHMt5UySny2drdPYheRTEzrNux8Cn5JWFHL",
            ),
            (
                "let api_key: &str = \"951bc382db9abad29c68634761dd6e19\";",
                "951bc382db9abad29c68634761dd6e19",
            ),
            (
                "API_KEY=951bc382db9abad29c68634761dd6e19",
                "951bc382db9abad29c68634761dd6e19",
            ),
            ("setPassword('Tr0ub4dor&3x')", "Tr0ub4dor&3x"),
            ("<password>Tr0ub4dor&3x</password>", "Tr0ub4dor"),
        ] {
            assert_eq!(find(text, "x.env"), Some(value), "{text}");
        }
    }

    #[test]
    fn none() {
        for text in [
            "password = getPassword()",
            "token = request.token",
            "\"password\": \"${DB_PASSWORD}\"",
            "password: \"Password is required here\"",
            "secret_name = \"prod-db-1234567890abc\"",
            "tokenizer = \"bert-base-uncased-v2-1234\"",
            "max_tokens: 4096",
            "api_key = \"your_api_key_here_123456\"",
            "access_token_url = \"https://x.example/oauth2/token12345\"",
        ] {
            assert_eq!(find(text, "x.py"), None, "{text}");
        }
    }
}
