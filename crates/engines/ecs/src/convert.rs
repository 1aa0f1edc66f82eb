//! From a value of a source to a value of a field.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::json;
use crate::schema::{Field, Kind};
use crate::time;

/// A value on its way into an event.
#[derive(Debug, Clone)]
pub(crate) enum Val<'a> {
    /// JSON as it stands in the source or in a mapping.
    Raw(&'a str),
    /// JSON that was made.
    Made(String),
}

impl Val<'_> {
    pub(crate) fn json(&self) -> &str {
        match self {
            Self::Raw(t) => t,
            Self::Made(t) => t,
        }
    }
}

/// A step between the value of a source and the type of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Lower,
    Upper,
    /// What follows the last of these texts; the whole where it is missing.
    Last(String),
    /// What follows the first; nothing where it is missing.
    After(String),
    /// What precedes the first; nothing where it is missing.
    Before(String),
    /// Each piece becomes a value.
    Split(String),
    /// Only when it is, or is not, of this form.
    Starts(String),
    Without(String),
    /// Host of `host:port`, `[v6]:port` or a URL.
    Host,
    Port,
    UrlPath,
    UrlQuery,
    UrlScheme,
    /// Times a factor, as a whole number.
    Scale(f64),
    /// Hash of a text in which spaces, digits, punctuation and case do not count.
    Fingerprint,
    /// Only when it is a mail address.
    Email,
    /// Stays in the source's namespace as well.
    Keep,
}

impl Step {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        let argument = || match rest {
            "" => Err(format!("`{name}` needs a text behind it")),
            "space" => Ok(" ".to_owned()),
            text => Ok(text.to_owned()),
        };
        Ok(match name {
            "lower" => Self::Lower,
            "upper" => Self::Upper,
            "last" => Self::Last(argument()?),
            "after" => Self::After(argument()?),
            "before" => Self::Before(argument()?),
            "split" => Self::Split(argument()?),
            "starts" => Self::Starts(argument()?),
            "without" => Self::Without(argument()?),
            "host" => Self::Host,
            "port" => Self::Port,
            "url-path" => Self::UrlPath,
            "url-query" => Self::UrlQuery,
            "url-scheme" => Self::UrlScheme,
            "scale" => Self::Scale(rest.parse().map_err(|_| format!("`{rest}` is no number"))?),
            "fingerprint" => Self::Fingerprint,
            "email" => Self::Email,
            "keep" => Self::Keep,
            other => return Err(format!("there is no step `{other}`")),
        })
    }

    fn apply<'a>(&self, text: Cow<'a, str>) -> Option<Cow<'a, str>> {
        let cut = |range: std::ops::Range<usize>| -> Cow<'a, str> {
            match &text {
                Cow::Borrowed(t) => Cow::Borrowed(t.get(range).unwrap_or_default()),
                Cow::Owned(t) => Cow::Owned(t.get(range).unwrap_or_default().to_owned()),
            }
        };
        Some(match self {
            Self::Lower => Cow::Owned(text.to_lowercase()),
            Self::Upper => Cow::Owned(text.to_uppercase()),
            Self::Last(s) => match text.rfind(s.as_str()) {
                Some(i) => cut(i + s.len()..text.len()),
                None => text,
            },
            Self::After(s) => cut(text.find(s.as_str())? + s.len()..text.len()),
            Self::Before(s) => cut(0..text.find(s.as_str())?),
            Self::Starts(s) => return text.starts_with(s.as_str()).then_some(text),
            Self::Without(s) => match text.strip_prefix(s.as_str()) {
                Some(_) => cut(s.len()..text.len()),
                None => text,
            },
            Self::Host => {
                let (host, _) = authority(&text)?;
                Cow::Owned(host.to_owned())
            }
            Self::Port => Cow::Owned(authority(&text)?.1?.to_owned()),
            Self::UrlPath => {
                let (start, end) = url_path(&text)?;
                cut(start..end)
            }
            Self::UrlQuery => {
                let text_ref: &str = &text;
                let q = text_ref.find('?')?;
                let end = text_ref.find('#').unwrap_or(text_ref.len());
                cut(q + 1..end.max(q + 1))
            }
            Self::UrlScheme => {
                let i = text.find("://")?;
                cut(0..i)
            }
            Self::Scale(factor) => {
                let n: f64 = text.trim().parse().ok()?;
                let scaled = (n * factor).round();
                if !scaled.is_finite() || scaled.abs() > 9e18 {
                    return None;
                }
                #[allow(clippy::cast_possible_truncation)]
                Cow::Owned((scaled as i64).to_string())
            }
            Self::Fingerprint => Cow::Owned(crate::fingerprint::fingerprint(&text)),
            Self::Email => {
                let (user, domain) = text.split_once('@')?;
                if user.is_empty()
                    || !domain.contains('.')
                    || domain.contains('@')
                    || text.contains(' ')
                {
                    return None;
                }
                text
            }
            Self::Split(_) | Self::Keep => text,
        })
    }
}

fn authority(text: &str) -> Option<(&str, Option<&str>)> {
    let rest = text.find("://").map_or(text, |i| &text[i + 3..]);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let rest = &rest[..end];
    let rest = rest.rsplit_once('@').map_or(rest, |(_, r)| r);
    if let Some(v6) = rest.strip_prefix('[') {
        let (host, tail) = v6.split_once(']')?;
        return Some((host, tail.strip_prefix(':')));
    }
    if rest.matches(':').count() > 1 {
        return Some((rest, None));
    }
    let (host, port) = rest
        .split_once(':')
        .map_or((rest, None), |(h, p)| (h, Some(p)));
    (!host.is_empty()).then_some((host, port))
}

fn url_path(text: &str) -> Option<(usize, usize)> {
    let start = match text.find("://") {
        Some(i) => i + 3 + text[i + 3..].find('/')?,
        None => text.find('/')?,
    };
    let end = text[start..]
        .find(['?', '#'])
        .map_or(text.len(), |i| start + i);
    Some((start, end))
}

/// An address, also when a port or brackets stand around it. IPv6 forms of IPv4 become IPv4.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let plain = |t: &str| t.parse::<IpAddr>().ok().map(|a| a.to_canonical());
    plain(text).or_else(|| {
        let (host, _) = authority(text)?;
        plain(host.split('%').next().unwrap_or(host))
    })
}

/// What a raw value becomes in a field, appended to `out`; false when it does not fit there.
pub(crate) fn convert<'a>(
    raw: &'a str,
    field: &Field,
    steps: &[Step],
    reference: i64,
    out: &mut impl FnMut(Val<'a>),
) -> bool {
    if steps.iter().all(|s| *s == Step::Keep) {
        return typed(raw, field, reference).map(out).is_some();
    }
    let Some(mut text) = json::scalar(raw) else {
        return false;
    };
    for step in steps {
        if let Step::Split(at) = step {
            let mut any = false;
            for piece in text
                .split(at.as_str())
                .map(str::trim)
                .filter(|p| !p.is_empty())
                .take(64)
            {
                if let Some(v) = from_text(piece, field, reference) {
                    any = true;
                    out(v);
                }
            }
            return any;
        }
        match step.apply(text) {
            Some(t) => text = t,
            None => return false,
        }
    }
    from_text(&text, field, reference).map(out).is_some()
}

pub(crate) fn quoted(text: &str) -> Val<'static> {
    let mut made = String::with_capacity(text.len() + 2);
    json::quote(text, &mut made);
    Val::Made(made)
}

/// A text as a value of a field.
pub(crate) fn from_text(text: &str, field: &Field, reference: i64) -> Option<Val<'static>> {
    let text = text.trim();
    if text.is_empty() || text == "-" || text.eq_ignore_ascii_case("null") {
        return None;
    }
    Some(match field.kind {
        Kind::Keyword => {
            if !field.allowed.is_empty() && !field.allowed.iter().any(|a| &**a == text) {
                return None;
            }
            quoted(text)
        }
        Kind::Long => Val::Made(whole(text)?),
        Kind::Float => {
            let n: f64 = text.parse().ok()?;
            if !n.is_finite() {
                return None;
            }
            Val::Made(serde_json::Number::from_f64(n)?.to_string())
        }
        Kind::Boolean => match text {
            "true" | "True" | "TRUE" | "1" | "yes" | "Yes" => Val::Raw("true"),
            "false" | "False" | "FALSE" | "0" | "no" | "No" => Val::Raw("false"),
            _ => return None,
        },
        Kind::Date => {
            let mut made = String::with_capacity(30);
            made.push('"');
            time::format(time::instant(text, reference)?, &mut made);
            made.push('"');
            Val::Made(made)
        }
        Kind::Ip => quoted(&address(text)?.to_string()),
        Kind::GeoPoint | Kind::Object => return None,
    })
}

fn whole(text: &str) -> Option<String> {
    if let Ok(n) = text.parse::<i64>() {
        return Some(n.to_string());
    }
    let n: f64 = text.parse().ok()?;
    #[allow(clippy::cast_possible_truncation)]
    (n.fract() == 0.0 && n.abs() < 9e15).then(|| (n as i64).to_string())
}

fn typed<'a>(raw: &'a str, field: &Field, reference: i64) -> Option<Val<'a>> {
    let first = *raw.as_bytes().first()?;
    match field.kind {
        Kind::Keyword if first == b'"' => {
            let inner = json::unquoted(raw);
            if !field.allowed.is_empty() && !field.allowed.iter().any(|a| &**a == inner) {
                return None;
            }
            // Nothing is said by these.
            if inner.is_empty() || inner == "-" || inner.trim().is_empty() {
                return None;
            }
            Some(Val::Raw(raw))
        }
        Kind::Long if first != b'"' && raw.parse::<i64>().is_ok() => Some(Val::Raw(raw)),
        Kind::Float if matches!(first, b'-' | b'0'..=b'9') => raw
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .map(|_| Val::Raw(raw)),
        Kind::Boolean if matches!(raw, "true" | "false") => Some(Val::Raw(raw)),
        Kind::Ip if first == b'"' => {
            let text = json::string(raw)?;
            let parsed = address(&text)?;
            if parsed.to_string() == *text {
                Some(Val::Raw(raw))
            } else {
                Some(quoted(&parsed.to_string()))
            }
        }
        Kind::GeoPoint => point(raw),
        Kind::Object => matches!(first, b'{' | b'[').then_some(Val::Raw(raw)),
        _ => from_text(&json::scalar(raw)?, field, reference),
    }
}

fn point(raw: &str) -> Option<Val<'_>> {
    let number = |name: &str, max: f64| {
        let text = json::scalar(json::member(raw, name)?)?;
        text.parse::<f64>()
            .ok()
            .filter(|n| n.is_finite() && n.abs() <= max)
    };
    let (lat, lon) = (number("lat", 90.0)?, number("lon", 180.0)?);
    Some(Val::Made(format!("{{\"lat\":{lat},\"lon\":{lon}}}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::schema::schema;

    fn run(field: &str, raw: &str, steps: &[&str]) -> Vec<String> {
        let steps: Vec<Step> = steps.iter().map(|s| Step::parse(s).unwrap()).collect();
        let mut out = Vec::new();
        convert(raw, schema().field(field).unwrap(), &steps, 0, &mut |v| {
            out.push(v.json().to_owned())
        });
        out
    }

    #[test]
    fn values_take_the_type_of_their_field() {
        assert_eq!(run("user.name", "\"a\\n\"", &[]), ["\"a\\n\""]);
        assert_eq!(run("user.name", "17", &[]), ["\"17\""]);
        assert_eq!(run("source.port", "\"443\"", &[]), ["443"]);
        assert_eq!(run("source.port", "443.0", &[]), ["443"]);
        assert_eq!(run("source.ip", "\"::ffff:1.2.3.4\"", &[]), ["\"1.2.3.4\""]);
        assert_eq!(
            run("source.ip", "\"[2001:db8::1]:80\"", &[]),
            ["\"2001:db8::1\""]
        );
        assert_eq!(
            run("@timestamp", "1700000000123", &[]),
            ["\"2023-11-14T22:13:20.123Z\""]
        );
        assert_eq!(run("event.outcome", "\"fine\"", &[]), Vec::<String>::new());
        for (field, raw) in [
            ("source.ip", "\"ec2.amazonaws.com\""),
            ("source.port", "1.5"),
            ("source.port", "1e300"),
            ("user.name", "{}"),
            ("user.name", "null"),
            ("@timestamp", "\"NaN\""),
            ("source.ip", "5"),
        ] {
            assert!(run(field, raw, &[]).is_empty(), "{field} {raw}");
        }
    }

    #[test]
    fn steps() {
        assert_eq!(
            run("user.name", "\"arn:aws:iam::1:user/x/bob\"", &["last /"]),
            ["\"bob\""]
        );
        assert_eq!(
            run("user.email", "\"bob\"", &["email"]),
            Vec::<String>::new()
        );
        assert_eq!(
            run("user.domain", "\"bob@example.com\"", &["after @", "upper"]),
            ["\"EXAMPLE.COM\""]
        );
        assert_eq!(
            run("related.ip", "\"1.2.3.4, x, 5.6.7.8\"", &["split ,"]),
            ["\"1.2.3.4\"", "\"5.6.7.8\""]
        );
        assert_eq!(
            run("url.path", "\"https://u:p@h:8/a/b?c=d#e\"", &["url-path"]),
            ["\"/a/b\""]
        );
        assert_eq!(
            run("url.query", "\"https://u:p@h:8/a/b?c=d#e\"", &["url-query"]),
            ["\"c=d\""]
        );
        assert_eq!(
            run("url.domain", "\"https://u:p@h:8/a/b?c=d#e\"", &["host"]),
            ["\"h\""]
        );
        assert_eq!(
            run("url.port", "\"https://u:p@h:8/a/b?c=d#e\"", &["port"]),
            ["8"]
        );
        assert_eq!(
            run("event.duration", "\"0.25\"", &["scale 1e9"]),
            ["250000000"]
        );
    }
}
