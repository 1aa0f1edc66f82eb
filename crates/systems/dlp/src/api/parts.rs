//! The XML of objects in parts: what S3 answers, and what a client says when it has sent them all.

use quick_xml::NsReader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::{BytesRef, Event};
use quick_xml::name::{LocalName, Namespace, ResolveResult};
use sealwright_core::Problem;

use crate::service::upload::MOST_PARTS;

/// The namespace of S3; clients leave it out, too.
const S3: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// The largest list: 10,000 parts with every checksum that S3 knows.
const MOST_BYTES: usize = 8 << 20;
/// Elements inside each other; the ones that count have three.
const MOST_DEPTH: usize = 8;
/// Bytes of a number or an ETag.
const MOST_TEXT: usize = 256;

/// An answer of S3 with these fields.
pub(super) fn answer(name: &str, fields: &[(&str, &str)]) -> String {
    let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><{name} xmlns=\"{S3}\">");
    for (field, value) in fields {
        text.push_str(&format!("<{field}>{}</{field}>", escape(*value)));
    }
    text.push_str(&format!("</{name}>"));
    text
}

/// What has been read so far.
#[derive(Default)]
struct Read {
    /// The open elements; what is not S3's has an empty name.
    open: Vec<String>,
    /// An element was read, so that what follows is behind the document.
    begun: bool,
    number: Option<String>,
    etag: Option<String>,
    list: Vec<(i32, String)>,
}

impl Read {
    fn is_part(&self) -> bool {
        matches!(self.open.as_slice(), [_, part] if part == "Part")
    }

    /// What the text here belongs to.
    fn field(&mut self) -> Option<&mut Option<String>> {
        match self.open.as_slice() {
            [_, part, field] if part == "Part" => match field.as_str() {
                "PartNumber" => Some(&mut self.number),
                "ETag" => Some(&mut self.etag),
                _ => None,
            },
            _ => None,
        }
    }

    fn begin(&mut self, space: &ResolveResult<'_>, name: LocalName<'_>) -> Result<(), String> {
        let ours = match space {
            ResolveResult::Unbound => true,
            ResolveResult::Bound(Namespace(space)) => *space == S3.as_bytes(),
            ResolveResult::Unknown(_) => return Err("a prefix has no namespace".to_owned()),
        };
        let name = std::str::from_utf8(name.into_inner()).unwrap_or_default();
        if self.open.is_empty() {
            if self.begun || !ours || name != "CompleteMultipartUpload" {
                return Err("it is another document".to_owned());
            }
            self.begun = true;
        }
        if self.open.len() == MOST_DEPTH {
            return Err(format!("more than {MOST_DEPTH} elements inside each other"));
        }
        self.open.push(if ours { name } else { "" }.to_owned());
        if self.is_part() {
            (self.number, self.etag) = (None, None);
        }
        match self.field().map(|field| field.replace(String::new())) {
            Some(Some(_)) => Err("a part says something twice".to_owned()),
            _ => Ok(()),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        let Some(field) = self.field() else {
            return Ok(());
        };
        let field = field.get_or_insert_default();
        field.push_str(text);
        if field.len() > MOST_TEXT {
            return Err(format!(
                "more than {MOST_TEXT} bytes in a number or an ETag"
            ));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let part = self.is_part();
        self.open.pop();
        if !part {
            return Ok(());
        }
        let number = self.number.take();
        let number = number
            .and_then(|number| number.trim().parse().ok())
            .filter(|number| (1..=MOST_PARTS).contains(number))
            .ok_or_else(|| format!("a part has no <PartNumber> from 1 to {MOST_PARTS}"))?;
        let etag = self.etag.take().unwrap_or_default();
        let etag = etag.trim().trim_matches('"');
        if etag.is_empty() {
            return Err("a part has no <ETag>".to_owned());
        }
        if self.list.last().is_some_and(|(last, _)| *last >= number) {
            return Err("the parts are not in their order".to_owned());
        }
        self.list.push((number, etag.to_owned()));
        Ok(())
    }
}

/// The parts of a `CompleteMultipartUpload`, in their order.
///
/// # Errors
/// What is wrong with it.
pub(super) fn listed(body: &[u8]) -> Result<Vec<(i32, String)>, Problem> {
    let bad = |why: String| Problem::bad_request(format!("CompleteMultipartUpload: {why}"));
    if body.len() > MOST_BYTES {
        return Err(bad(format!("more than {MOST_BYTES} bytes")));
    }
    let text = std::str::from_utf8(body).map_err(|_| bad("not UTF-8".to_owned()))?;
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut read = Read::default();
    loop {
        let (space, event) = reader
            .read_resolved_event()
            .map_err(|error| bad(error.to_string()))?;
        let step = match event {
            Event::Start(start) => read.begin(&space, start.local_name()),
            Event::End(_) => read.end(),
            Event::Text(text) => match text.decode() {
                Ok(text) => read.text(&text),
                Err(error) => Err(error.to_string()),
            },
            Event::CData(text) => match text.decode() {
                Ok(text) => read.text(&text),
                Err(error) => Err(error.to_string()),
            },
            Event::GeneralRef(name) => resolved(&name).and_then(|text| read.text(&text)),
            Event::DocType(_) => Err("it has a document type".to_owned()),
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Empty(_) => Ok(()),
        };
        step.map_err(bad)?;
    }
    if !read.open.is_empty() {
        return Err(bad("it does not end".to_owned()));
    }
    if read.list.is_empty() {
        return Err(bad("it lists no part".to_owned()));
    }
    Ok(read.list)
}

/// What a reference stands for; none of a document's own, which could be a billion.
fn resolved(name: &BytesRef<'_>) -> Result<String, String> {
    if let Some(one) = name.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(one.to_string());
    }
    let name = name.decode().map_err(|error| error.to_string())?;
    resolve_predefined_entity(&name)
        .map(str::to_owned)
        .ok_or_else(|| format!("there is no entity `{name}`"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_of_parts_are_read_as_clients_write_them() {
        let wanted = [(1, "a".to_owned()), (3, "b".to_owned())];
        for text in [
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag></Part>\
             <Part>\n<ETag>&quot;b&quot;</ETag><PartNumber>3</PartNumber></Part></CompleteMultipartUpload>",
            "<?xml version=\"1.0\"?><s:CompleteMultipartUpload xmlns:s=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <s:Part><s:PartNumber>1</s:PartNumber><s:ETag>&#34;a&#x22;</s:ETag></s:Part><!-- <Part> -->\
             <s:Part><s:ETag><![CDATA[\"b\"]]></s:ETag><s:PartNumber> 3 </s:PartNumber>\
             <s:ChecksumCRC32>AAAA</s:ChecksumCRC32><x xmlns=\"urn:x\"><ETag>c</ETag></x></s:Part>\
             </s:CompleteMultipartUpload>\n",
        ] {
            assert_eq!(listed(text.as_bytes()).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let part = "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>";
        let whole =
            |inner: &str| format!("<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>");
        assert!(listed(whole(part).as_bytes()).is_ok());
        for bad in [
            String::new(),
            part.to_owned(),
            whole(""),
            whole("<Part><PartNumber>1</PartNumber></Part>"),
            whole("<Part><ETag>a</ETag></Part>"),
            whole("<Part><PartNumber>0</PartNumber><ETag>a</ETag></Part>"),
            whole("<Part><PartNumber>10001</PartNumber><ETag>a</ETag></Part>"),
            whole("<Part><PartNumber>1</PartNumber><ETag>a</ETag><ETag>b</ETag></Part>"),
            whole(&format!("{part}{part}")),
            whole("<Part><PartNumber>1</PartNumber><ETag>a</ETag>"),
            format!("{}{}", whole(part), whole(part)),
            format!("<CompleteMultipartUpload>{part}"),
            whole(&format!("<x:y>{part}</x:y>")),
            whole("<Part><PartNumber>1</PartNumber><ETag>&x;</ETag></Part>"),
            whole(&format!(
                "<Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>",
                "a".repeat(300)
            )),
            whole(&format!("{}{}{part}", "<a>".repeat(9), "</a>".repeat(9))),
            format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{}", whole(part)),
            format!("<CompleteMultipartUpload xmlns=\"urn:x\">{part}</CompleteMultipartUpload>"),
            whole(&" ".repeat(MOST_BYTES)),
        ] {
            let shown: String = bad.chars().take(200).collect();
            assert!(listed(bad.as_bytes()).is_err(), "{shown}");
        }
    }

    #[test]
    fn answers_carry_any_key() {
        let text = answer("R", &[("Key", "a<&>\"'ü")]);
        assert!(
            text.contains("<Key>a&lt;&amp;&gt;&quot;&apos;ü</Key>"),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = listed(&bytes);
        }

        #[test]
        fn no_markup_breaks_it(text in "(<|>|/|&|;|#|!|\\[|\\]|CDATA|Part|ETag|CompleteMultipartUpload|xmlns|=|\"|:|1| |\\?)*") {
            let _ = listed(text.as_bytes());
        }
    }
}
