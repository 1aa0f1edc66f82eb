//! Syslog messages: RFC 5424, RFC 3164, and what programs write that follow neither to the letter.

use crate::json;
use crate::time;

/// Longest message that is read.
const MAX_MESSAGE: usize = 1 << 20;
/// Most parameters of structured data.
const MAX_PARAMETERS: usize = 256;

/// A message. Texts are as they came; times in microseconds since 1970 (UTC).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// 0 (kernel) to 23 (local7).
    pub facility: Option<u8>,
    /// 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    /// RFC 5424's version; `None` for RFC 3164.
    pub version: Option<u8>,
    /// When it was written.
    pub time: Option<i64>,
    /// The host that wrote it.
    pub host: Option<String>,
    /// The program (APP-NAME, TAG).
    pub program: Option<String>,
    /// The process (PROCID).
    pub process: Option<String>,
    /// MSGID.
    pub message_id: Option<String>,
    /// Structured data: (element, parameter, value).
    pub data: Vec<(String, String, String)>,
    /// The text.
    pub text: String,
}

const SEVERITIES: [&str; 8] = [
    "Emergency",
    "Alert",
    "Critical",
    "Error",
    "Warning",
    "Notice",
    "Informational",
    "Debug",
];
const FACILITIES: [&str; 24] = [
    "kernel",
    "user-level",
    "mail",
    "system",
    "security/authorization1",
    "syslog",
    "line printer",
    "network news",
    "UUCP",
    "clock1",
    "security/authorization2",
    "FTP",
    "NTP",
    "log audit",
    "log alert",
    "clock2",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// Reads a message; `None` when it has neither a priority nor a time at its start, so that it is
/// just a text. `reference` (microseconds) gives the year of times without one.
pub fn parse(line: &str, reference: i64) -> Option<Message> {
    let line = line.trim_end_matches(['\r', '\n', '\0']);
    if line.len() > MAX_MESSAGE {
        return None;
    }
    let mut out = Message::default();
    let mut rest = line;
    if let Some(after) = line.strip_prefix('<')
        && let Some((number, tail)) = after.split_once('>')
        && number.len() <= 3
        && let Ok(priority) = number.parse::<u8>()
        && priority <= 191
    {
        out.facility = Some(priority / 8);
        out.severity = Some(priority % 8);
        rest = tail;
        if let Some(tail) = rest.strip_prefix("1 ") {
            out.version = Some(1);
            return Some(modern(out, tail, reference));
        }
    }
    old(out, rest, reference)
}

/// The next word; `-` is nothing.
fn word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (head, tail) = rest.split_once(' ').unwrap_or((rest, ""));
    *rest = tail;
    (head != "-" && !head.is_empty()).then_some(head)
}

fn modern(mut out: Message, mut rest: &str, reference: i64) -> Message {
    out.time = word(&mut rest).and_then(|t| time::instant(t, reference));
    out.host = word(&mut rest).map(Into::into);
    out.program = word(&mut rest).map(Into::into);
    out.process = word(&mut rest).map(Into::into);
    out.message_id = word(&mut rest).map(Into::into);
    let rest = if let Some(after) = rest.strip_prefix('-') {
        after
    } else {
        structured(&mut out, rest)
    };
    let text = rest.strip_prefix(' ').unwrap_or(rest);
    out.text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
    out
}

/// `[id name="value" …]…`; gives what follows.
fn structured<'a>(out: &mut Message, text: &'a str) -> &'a str {
    let mut rest = text;
    while let Some(after) = rest.strip_prefix('[') {
        let Some(end) = after.find([' ', ']']) else {
            return rest;
        };
        let id = &after[..end];
        let mut here = &after[end..];
        loop {
            here = here.trim_start_matches(' ');
            if let Some(tail) = here.strip_prefix(']') {
                rest = tail;
                break;
            }
            let Some((name, tail)) = here.split_once("=\"") else {
                return rest;
            };
            let mut value = String::new();
            let mut escaped = false;
            let mut end = None;
            for (i, c) in tail.char_indices() {
                if escaped {
                    // Only these three are escaped (section 6.3.3); others keep their backslash.
                    if !matches!(c, '"' | '\\' | ']') {
                        value.push('\\');
                    }
                    value.push(c);
                    escaped = false;
                } else if c == '\\' {
                    escaped = true;
                } else if c == '"' {
                    end = Some(i + 1);
                    break;
                } else {
                    value.push(c);
                }
            }
            let Some(end) = end else { return rest };
            if out.data.len() < MAX_PARAMETERS {
                out.data.push((id.to_owned(), name.to_owned(), value));
            }
            here = &tail[end..];
        }
    }
    rest
}

fn old(mut out: Message, rest: &str, reference: i64) -> Option<Message> {
    let rest = rest.trim_start();
    // `Nov 25 21:07:00`, with a year perhaps, or a time as RFC 5424 writes it.
    let mut tail = None;
    if rest.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) {
        let mut spaces = rest
            .match_indices(' ')
            .filter(|(i, _)| rest.as_bytes().get(i + 1) != Some(&b' '));
        let third = spaces.nth(2).map_or(rest.len(), |(i, _)| i);
        if let Some(t) = rest.get(..third).and_then(|t| time::syslog(t, reference)) {
            out.time = Some(t);
            tail = rest.get(third..);
        }
    } else if let Some((stamp, after)) = rest.split_once(' ')
        && stamp.len() >= 19
        && let Some(t) = time::instant(stamp, reference)
    {
        out.time = Some(t);
        tail = Some(after);
    }
    if tail.is_none() && out.facility.is_none() {
        return None;
    }
    let Some(mut rest) = tail.map(str::trim_start) else {
        out.text = rest.to_owned();
        return Some(out);
    };
    // The host is there unless the next word is already a tag.
    if let Some((head, after)) = rest.split_once(' ')
        && !head.ends_with(':')
        && !head.contains('[')
    {
        out.host = Some(head.to_owned());
        rest = after.trim_start();
    }
    let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
    if let Some(colon) = rest[..end].rfind(':').filter(|c| *c + 1 == end && *c > 0) {
        let tag = &rest[..colon];
        let (program, process) = tag
            .strip_suffix(']')
            .and_then(|t| t.split_once('['))
            .map_or((tag, None), |(p, n)| (p, Some(n)));
        out.program = Some(program.to_owned());
        out.process = process.map(Into::into);
        rest = &rest[end..];
    }
    out.text = rest.trim_start().to_owned();
    Some(out)
}

impl Message {
    /// The message under the names of ECS, as one line of JSON.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(self.text.len() + 256);
        out.push('{');
        if let Some(t) = self.time {
            out.push_str("\"@timestamp\":\"");
            time::format(t, &mut out);
            out.push_str("\",");
        }
        let mut log = Vec::new();
        if let (Some(f), Some(s)) = (self.facility, self.severity) {
            log.push(format!("\"priority\":{}", f * 8 + s));
            let name = FACILITIES.get(usize::from(f)).copied().unwrap_or_default();
            log.push(format!("\"facility\":{{\"code\":{f},\"name\":\"{name}\"}}"));
            let name = SEVERITIES.get(usize::from(s)).copied().unwrap_or_default();
            log.push(format!("\"severity\":{{\"code\":{s},\"name\":\"{name}\"}}"));
        }
        let mut text = |name: &str, value: &Option<String>| {
            if let Some(v) = value {
                let mut piece = format!("\"{name}\":");
                json::quote(v, &mut piece);
                log.push(piece);
            }
        };
        text("hostname", &self.host);
        text("appname", &self.program);
        text("procid", &self.process);
        text("msgid", &self.message_id);
        if let Some(v) = self.version {
            log.push(format!("\"version\":\"{v}\""));
        }
        if !self.data.is_empty() {
            log.push(format!("\"structured_data\":{}", self.data_json()));
        }
        out.push_str("\"log\":{\"syslog\":{");
        out.push_str(&log.join(","));
        out.push_str("}},");
        if let Some(h) = &self.host {
            out.push_str("\"host\":{\"hostname\":");
            json::quote(h, &mut out);
            out.push_str(",\"name\":");
            json::quote(h, &mut out);
            out.push_str("},");
        }
        if let Some(p) = &self.program {
            out.push_str("\"process\":{\"name\":");
            json::quote(p.rsplit('/').next().unwrap_or(p), &mut out);
            if let Some(id) = self.process.as_ref().and_then(|p| p.parse::<u32>().ok()) {
                out.push_str(&format!(",\"pid\":{id}"));
            }
            out.push_str("},");
        }
        out.push_str("\"message\":");
        json::quote(&self.text, &mut out);
        out.push('}');
        out
    }

    /// Elements by name, so that no name stands twice.
    fn data_json(&self) -> String {
        let mut elements: Vec<(&str, Vec<(&str, &str)>)> = Vec::new();
        for (element, name, value) in &self.data {
            let at = match elements.iter().position(|(e, _)| e == element) {
                Some(i) => i,
                None => {
                    elements.push((element, Vec::new()));
                    elements.len() - 1
                }
            };
            let members = &mut elements[at].1;
            if !members.iter().any(|(n, _)| n == name) {
                members.push((name, value));
            }
        }
        let mut out = String::from("{");
        for (i, (element, members)) in elements.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            json::quote(element, &mut out);
            out.push_str(":{");
            for (i, (name, value)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                json::quote(name, &mut out);
                out.push(':');
                json::quote(value, &mut out);
            }
            out.push('}');
        }
        out.push('}');
        out
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let now = time::instant("2026-11-25T00:00:00Z", 0).unwrap();
        let m = parse(
            "<34>Oct 11 22:14:15 mymachine su[77]: 'su root' failed for lonvick on /dev/pts/8",
            now,
        )
        .unwrap();
        assert_eq!(
            (m.facility, m.severity, m.version),
            (Some(4), Some(2), None)
        );
        assert_eq!(m.time, time::instant("2026-10-11T22:14:15Z", 0));
        assert_eq!(
            (
                m.host.as_deref(),
                m.program.as_deref(),
                m.process.as_deref()
            ),
            (Some("mymachine"), Some("su"), Some("77"))
        );
        assert_eq!(m.text, "'su root' failed for lonvick on /dev/pts/8");
        let m = parse(
            r#"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [a@1 iut="3" s="x\"\]y"][b@2 c="d"] An event"#,
            now,
        )
        .unwrap();
        assert_eq!(m.version, Some(1));
        assert_eq!(m.data.len(), 3);
        assert_eq!(m.data[1].2, "x\"]y");
        assert_eq!(
            (m.process, m.message_id.as_deref(), m.text.as_str()),
            (None, Some("ID47"), "An event")
        );
        let m = parse(
            "Nov  5 01:02:03 host sshd[1]: Accepted publickey for a from 1.2.3.4 port 5 ssh2",
            now,
        )
        .unwrap();
        assert_eq!(m.time, time::instant("2026-11-05T01:02:03Z", 0));
        assert_eq!(m.program.as_deref(), Some("sshd"));
        let m = parse("2026-11-05T01:02:03.5+01:00 host sudo: x : y", now).unwrap();
        assert_eq!(
            (m.program.as_deref(), m.text.as_str()),
            (Some("sudo"), "x : y")
        );
        assert_eq!(parse("just a text", now), None);
        assert_eq!(parse("<999>Oct 11", now), None);
    }
}
