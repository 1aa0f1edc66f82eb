//! Tables as CSV (RFC 4180) and JSON.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::component::Table;
use crate::component::table::{Plain, Row};
use crate::url::PageUrl;

impl Table {
    /// The rows as CSV: a head of column keys, `\r\n`, numbers ungrouped, unknown as an empty
    /// field. Text that a spreadsheet would take for a formula is prefixed by an apostrophe.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut out = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(Vec::new());
        let head: Vec<&str> = self.columns.iter().map(|c| c.key()).collect();
        let mut written = out.write_record(&head);
        for row in &self.rows {
            let fields: Vec<String> = row.cells.iter().map(|c| field(&c.plain)).collect();
            written = written.and_then(|()| out.write_record(&fields));
        }
        // A writer into memory with rows of one length has no way to fail.
        debug_assert!(written.is_ok());
        out.into_inner()
            .ok()
            .and_then(|b| String::from_utf8(b).ok())
            .unwrap_or_default()
    }

    /// The rows as a JSON array of objects by column key. Numbers are strings, so that no
    /// reader rounds them; unknown is null.
    #[must_use]
    pub fn json(&self) -> String {
        let rows: Vec<Value> = self.rows.iter().map(|r| self.object(r)).collect();
        Value::Array(rows).to_string()
    }

    fn object(&self, row: &Row) -> Value {
        let fields = self.columns.iter().zip(&row.cells).map(|(column, cell)| {
            let value = match &cell.plain {
                Plain::Unknown => Value::Null,
                Plain::Text(v) | Plain::Number(v) => Value::String(v.clone()),
            };
            (column.key().to_owned(), value)
        });
        Value::Object(fields.collect::<Map<_, _>>())
    }

    /// The answer to an address that asks for this table by `format=csv` or `format=json`, if
    /// it does. Any other format is a 400.
    #[must_use]
    pub fn export(&self, url: &PageUrl) -> Option<Response> {
        if !Self::asked(self.id(), url) {
            return None;
        }
        let (kind, extension, body) = match url.get("format") {
            Some("csv") => ("text/csv; charset=utf-8; header=present", "csv", self.csv()),
            Some("json") => ("application/json", "json", self.json()),
            _ => {
                let text = "format must be csv or json\n";
                return Some((StatusCode::BAD_REQUEST, text).into_response());
            }
        };
        let mut response = body.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let name: String = self
            .id()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        let disposition = format!("attachment; filename=\"{name}.{extension}\"");
        if let Ok(value) = HeaderValue::from_str(&disposition) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        Some(response)
    }
}

fn field(plain: &Plain) -> String {
    match plain {
        Plain::Unknown => String::new(),
        Plain::Number(n) => n.clone(),
        Plain::Text(t) if t.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{t}"),
        Plain::Text(t) => t.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::{Cell, Column};

    fn table() -> Table {
        let columns = vec![Column::text("name", "Name"), Column::number("n", "N")];
        Table::new("t", "T", &PageUrl::parse("/t"), columns)
            .row(Row::new(vec![
                Cell::text("=cmd(), \"x\""),
                Cell::integer(-1_234),
            ]))
            .row(Row::new(vec![Cell::text("short")]))
            .row(Row::new(vec![
                Cell::text("a"),
                Cell::integer(1),
                Cell::integer(2),
            ]))
    }

    #[test]
    fn csv_is_quoted_and_safe_in_a_spreadsheet() {
        assert_eq!(
            table().csv(),
            "name,n\r\n\"'=cmd(), \"\"x\"\"\",-1234\r\nshort,\r\na,1\r\n"
        );
    }

    #[test]
    fn json_keeps_unknown_apart_from_zero() {
        assert_eq!(
            table().json(),
            r#"[{"name":"=cmd(), \"x\"","n":"-1234"},{"name":"short","n":null},{"name":"a","n":"1"}]"#
        );
    }
}
