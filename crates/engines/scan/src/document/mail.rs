//! Mail: its fields, its parts, and what is attached.

use mail_parser::{MessageParser, MimeHeaders, PartType};

use super::{Problem, Run};
use crate::decode::{Ratio, View};
use crate::scan::Source;

pub(super) fn scan(run: &mut Run<'_>, source: &Source, bytes: &[u8], depth: u32) {
    let Some(message) = MessageParser::default().parse(bytes) else {
        run.plain(source, bytes);
        return;
    };
    // The fields as they stand, then decoded where they are encoded words.
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")
        .or_else(|| memchr::memmem::find(bytes, b"\n\n"))
        .unwrap_or(bytes.len());
    run.raw(source, &bytes[..head]);
    let mut view = View::default();
    if let Some(subject) = message.subject() {
        let at = memchr::memmem::find(bytes, b"Subject:").unwrap_or(0);
        view.push(b"Subject: ", at, Ratio::Point);
        view.push(subject.as_bytes(), at, Ratio::Point);
        view.push(b"\n", head.min(bytes.len()), Ratio::Point);
    }
    view.finish(head);
    run.view(source, bytes, view, "header fields");
    for (i, part) in message.parts.iter().enumerate() {
        let name = part
            .attachment_name()
            .map_or_else(|| format!("part-{i}"), str::to_owned);
        match &part.body {
            PartType::Text(text) => run.inner(source, &name, text.as_bytes(), depth),
            PartType::Html(html) => {
                let inner = source.inside(&name);
                run.documents += 1;
                run.bytes += html.len() as u64;
                run.raw(&inner, html.as_bytes());
                for view in super::markup::views(html.as_bytes()) {
                    run.view(&inner, html.as_bytes(), view, "HTML");
                }
            }
            PartType::Binary(data) | PartType::InlineBinary(data) => {
                run.inner(source, &name, data, depth)
            }
            PartType::Message(inner) => {
                if depth >= run.limits.depth {
                    run.problem(source, Problem::TooDeep);
                } else {
                    let name = format!("{name}.eml");
                    run.inner(source, &name, inner.raw_message(), depth);
                }
            }
            PartType::Multipart(_) => {}
        }
    }
}
