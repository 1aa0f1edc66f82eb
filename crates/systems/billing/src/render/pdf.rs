//! An invoice as PDF/A-3a and PDF/UA-1: readable by people, by screen readers, and (by the attached JSON) by
//! programs and by `sealwright verify`.

use std::num::NonZeroU16;

use krilla::configure::{Accessibility, Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::embed::{AssociationKind, EmbeddedFile, MimeType};
use krilla::geom::Point;
use krilla::metadata::{DateTime, Metadata};
use krilla::outline::{Outline, OutlineNode};
use krilla::tagging::{TableHeaderScope, Tag, TagGroup, TagTree};
use krilla::{Document, SerializeSettings};
use sealwright_core::{Digest, UnixMicros};
use sealwright_rating::{Line, LineKind};

use super::sheet::{
    Align, BLACK, Face, HEIGHT, Ink, MARGIN, MUTED, WIDTH, artifact_text, rule, settings, surface,
    text,
};
use crate::model::InvoiceDocument;

/// Why an invoice could not be written as PDF.
#[derive(Debug, thiserror::Error)]
#[error("could not write the PDF: {0}")]
pub struct PdfError(String);

const BODY: f32 = 9.5;
const SMALL: f32 = 8.0;
const STEP: f32 = 12.5;
const BOTTOM: f32 = HEIGHT - 70.0;
const COLUMNS: [(f32, Align); 4] = [
    (MARGIN, Align::Left),
    (370.0, Align::Right),
    (450.0, Align::Right),
    (WIDTH - MARGIN, Align::Right),
];
const TITLE_WIDTH: f32 = 215.0;

/// One row of the table, laid out.
struct Row {
    title: Vec<String>,
    detail: Vec<String>,
    quantity: String,
    unit: String,
    amount: String,
    strong: bool,
}

impl Row {
    fn height(&self) -> f32 {
        let lines = self.title.len() + self.detail.len();
        #[allow(clippy::cast_precision_loss, reason = "a row has few lines")]
        let lines = lines as f32;
        lines * STEP + 5.0
    }
}

/// The invoice as PDF. The same document gives the same bytes.
///
/// # Errors
/// When the document breaks PDF/A or PDF/UA, which is a fault of this module.
pub fn invoice_pdf(document: &InvoiceDocument, digest: Digest) -> Result<Vec<u8>, PdfError> {
    let regular = Face::regular().ok_or_else(|| PdfError("the typeface is damaged".to_owned()))?;
    let bold = Face::bold().ok_or_else(|| PdfError("the typeface is damaged".to_owned()))?;
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A3_A)
        .with_accessibility_validator(Accessibility::UA1)
        .finish()
        .map_err(|e| PdfError(format!("{e:?}")))?;
    let mut pdf = Document::new_with(SerializeSettings {
        configuration,
        ..Default::default()
    });

    let rows = rows(document, &regular, &bold);
    let mut layout = Layout {
        regular,
        bold,
        tree: TagTree::new(),
        number: 0,
    };
    layout.write(&mut pdf, document, digest, &rows)?;

    let mut outline = Outline::new();
    let start = XyzDestination::new(0, Point::from_xy(0.0, 0.0));
    outline.push_child(OutlineNode::new(heading(document), start));
    pdf.set_outline(outline);
    pdf.set_metadata(metadata(document));
    attach(&mut pdf, document)?;
    pdf.set_tag_tree(layout.tree);
    pdf.finish().map_err(|e| PdfError(format!("{e:?}")))
}

fn heading(document: &InvoiceDocument) -> String {
    match &document.number {
        Some(number) => format!("Invoice {number}"),
        None => "Draft invoice".to_owned(),
    }
}

fn metadata(document: &InvoiceDocument) -> Metadata {
    let issued = document.issued_at.as_deref().unwrap_or(&document.period_to);
    let mut metadata = Metadata::new()
        .title(format!(
            "{} for {}",
            heading(document),
            document.tenant.name
        ))
        .language("en".to_owned())
        .creator("Sealwright".to_owned())
        .producer("Sealwright".to_owned())
        .document_id(document.id.to_string());
    if let Some(date) = date_time(issued) {
        metadata = metadata.creation_date(date);
    }
    metadata
}

fn date_time(rfc3339: &str) -> Option<DateTime> {
    let at = UnixMicros::parse_rfc3339(rfc3339).ok()?;
    let at = at.timestamp().to_zoned(jiff::tz::TimeZone::UTC);
    let part = |n: i8| u8::try_from(n).unwrap_or(0);
    Some(
        DateTime::new(u16::try_from(at.year()).ok()?)
            .month(part(at.month()))
            .day(part(at.day()))
            .hour(part(at.hour()))
            .minute(part(at.minute()))
            .second(part(at.second()))
            .utc_offset_hour(0)
            .utc_offset_minute(0),
    )
}

fn attach(pdf: &mut Document, document: &InvoiceDocument) -> Result<(), PdfError> {
    let json = serde_json::to_vec_pretty(document).map_err(|e| PdfError(e.to_string()))?;
    let issued = document.issued_at.as_deref().unwrap_or(&document.period_to);
    pdf.embed_file(EmbeddedFile {
        path: "invoice.json".to_owned(),
        mime_type: MimeType::new("application/json"),
        description: Some("The same invoice for programs, and for `sealwright verify`".to_owned()),
        association_kind: AssociationKind::Source,
        data: json.into(),
        modification_date: date_time(issued),
        compress: None,
        location: None,
    })
    .ok_or_else(|| PdfError("the attachment was given twice".to_owned()))
}

fn rows(document: &InvoiceDocument, regular: &Face, bold: &Face) -> Vec<Row> {
    let row = |line: &Line| {
        let dimensions: Vec<String> = line
            .dimensions
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        let mut detail = dimensions.join(", ");
        if !line.included.is_zero() {
            detail = format!("{detail} {} included", grouped(&line.included.to_string()));
        }
        let usage = line.kind == LineKind::Usage;
        Row {
            title: regular.wrap(&line.title, BODY, TITLE_WIDTH),
            detail: if detail.trim().is_empty() {
                Vec::new()
            } else {
                regular.wrap(&detail, SMALL, TITLE_WIDTH)
            },
            quantity: if usage {
                grouped(&line.quantity.to_string())
            } else {
                String::new()
            },
            unit: line.unit.clone().unwrap_or_default(),
            amount: grouped(&line.amount),
            strong: false,
        }
    };
    let mut rows: Vec<Row> = document.rated.lines.iter().map(row).collect();
    rows.push(Row {
        title: bold.wrap("Total", BODY, TITLE_WIDTH),
        detail: Vec::new(),
        quantity: String::new(),
        unit: document.rated.currency.code().to_owned(),
        amount: grouped(&document.rated.total),
        strong: true,
    });
    rows
}

/// `1234567.5` as `1,234,567.5`.
fn grouped(number: &str) -> String {
    let (sign, digits) = number
        .strip_prefix('-')
        .map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = digits
        .split_once('.')
        .map_or((digits, None), |(w, f)| (w, Some(f)));
    let mut out = String::from(sign);
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

struct Layout {
    regular: Face,
    bold: Face,
    tree: TagTree,
    number: usize,
}

impl Layout {
    fn write(
        &mut self,
        pdf: &mut Document,
        document: &InvoiceDocument,
        digest: Digest,
        rows: &[Row],
    ) -> Result<(), PdfError> {
        let broken = || PdfError("the page has no size".to_owned());
        let mut table = TagGroup::new(Tag::Table);
        let mut body = TagGroup::new(Tag::TBody);
        let mut next = 0;
        let mut first = true;
        let mut notes_written = false;
        while first || next < rows.len() || !notes_written {
            self.number += 1;
            let mut page = pdf.start_page_with(settings().ok_or_else(broken)?);
            let mut s = surface(&mut page);
            let mut y = MARGIN + 14.0;
            if first {
                y = self.head(&mut s, document, y);
            }
            if next < rows.len() {
                y = self.table_head(&mut s, &mut table, first, y);
            }
            while let Some(row) = rows.get(next).filter(|row| y + row.height() < BOTTOM) {
                y = self.row(&mut s, &mut body, row, y);
                next += 1;
            }
            if next == rows.len() && y + 110.0 < BOTTOM {
                self.notes(&mut s, document, digest, y + 24.0, &mut table, &mut body);
                notes_written = true;
            }
            let label = format!("{} · page {}", heading(document), self.number);
            artifact_text(
                &mut s,
                &self.regular,
                (WIDTH - MARGIN, HEIGHT - 36.0),
                SMALL,
                &label,
            );
            s.finish();
            page.finish();
            first = false;
        }
        Ok(())
    }

    fn paragraph(
        &mut self,
        s: &mut krilla::surface::Surface<'_>,
        at: (f32, f32),
        size: f32,
        ink: Ink,
        words: &str,
    ) {
        let mut group = TagGroup::new(Tag::P);
        group.push(text(s, &self.regular, at, size, ink, Align::Left, words));
        self.tree.push(group);
    }

    fn head(
        &mut self,
        s: &mut krilla::surface::Surface<'_>,
        document: &InvoiceDocument,
        y: f32,
    ) -> f32 {
        let mut title = TagGroup::new(Tag::Hn(NonZeroU16::MIN, Some(heading(document))));
        title.push(text(
            s,
            &self.bold,
            (MARGIN, y),
            18.0,
            BLACK,
            Align::Left,
            &heading(document),
        ));
        self.tree.push(title);
        let day = |rfc3339: &str| rfc3339.get(..10).unwrap_or(rfc3339).to_owned();
        let mut lines = vec![
            document.tenant.name.clone(),
            format!(
                "Period from {} (included) to {} (excluded), UTC",
                day(&document.period_from),
                day(&document.period_to)
            ),
        ];
        if let (Some(issued), Some(due)) = (&document.issued_at, &document.due_at) {
            lines.push(format!("Issued {}, due {}", day(issued), day(due)));
        }
        lines.push(format!(
            "{}, version {}",
            document.price_book.title, document.price_book.version
        ));
        let mut y = y + 22.0;
        for (i, line) in lines.iter().enumerate() {
            let ink = if i == 0 { BLACK } else { MUTED };
            for part in self.regular.wrap(line, BODY + 0.5, WIDTH - 2.0 * MARGIN) {
                self.paragraph(s, (MARGIN, y), BODY + 0.5, ink, &part);
                y += STEP + 1.5;
            }
        }
        y + 18.0
    }

    fn table_head(
        &self,
        s: &mut krilla::surface::Surface<'_>,
        table: &mut TagGroup,
        first: bool,
        y: f32,
    ) -> f32 {
        let amount = "Amount";
        let titles = ["Item", "Quantity", "Unit", amount];
        if first {
            let mut row = TagGroup::new(Tag::TR);
            for (title, (x, align)) in titles.iter().zip(COLUMNS) {
                let mut cell = TagGroup::new(Tag::TH(TableHeaderScope::Column));
                cell.push(text(
                    s,
                    &self.bold,
                    (x, y),
                    SMALL + 0.5,
                    MUTED,
                    align,
                    title,
                ));
                row.push(cell);
            }
            let mut head = TagGroup::new(Tag::THead);
            head.push(row);
            table.push(head);
        }
        rule(s, y + 5.0);
        y + 5.0 + STEP
    }

    fn row(
        &self,
        s: &mut krilla::surface::Surface<'_>,
        body: &mut TagGroup,
        row: &Row,
        y: f32,
    ) -> f32 {
        let face = if row.strong {
            &self.bold
        } else {
            &self.regular
        };
        let mut line = TagGroup::new(Tag::TR);
        let mut cell = TagGroup::new(Tag::TD);
        let mut at = y + 2.0;
        for part in &row.title {
            cell.push(text(s, face, (MARGIN, at), BODY, BLACK, Align::Left, part));
            at += STEP;
        }
        for part in &row.detail {
            cell.push(text(s, face, (MARGIN, at), SMALL, MUTED, Align::Left, part));
            at += STEP;
        }
        line.push(cell);
        for (value, (x, align)) in [&row.quantity, &row.unit, &row.amount]
            .into_iter()
            .zip(COLUMNS.into_iter().skip(1))
        {
            let mut cell = TagGroup::new(Tag::TD);
            // An empty cell still has its place in the row.
            let shown = if value.is_empty() {
                " "
            } else {
                value.as_str()
            };
            cell.push(text(s, face, (x, y + 2.0), BODY, BLACK, align, shown));
            line.push(cell);
        }
        body.push(line);
        rule(s, at - STEP + 5.0);
        y + row.height()
    }

    fn notes(
        &mut self,
        s: &mut krilla::surface::Surface<'_>,
        document: &InvoiceDocument,
        digest: Digest,
        y: f32,
        table: &mut TagGroup,
        body: &mut TagGroup,
    ) {
        // The table precedes the notes in reading order, and is complete by now.
        table.push(std::mem::replace(body, TagGroup::new(Tag::TBody)));
        self.tree
            .push(std::mem::replace(table, TagGroup::new(Tag::Table)));
        let mut notes = vec![
            format!(
                "{} metered events stand behind this invoice. Anybody can check it without a network:",
                grouped(&document.events.to_string())
            ),
            "sealwright verify invoice.json (attached to this file) with the exported bundle."
                .to_owned(),
            format!("Document digest (SHA-256): {digest}"),
            format!(
                "Price book {}, digest {}",
                document.price_book.id, document.price_book.digest
            ),
        ];
        notes.extend(
            document
                .rated
                .warnings
                .iter()
                .map(|warning| format!("Note: {warning}")),
        );
        let mut y = y;
        for note in notes {
            for part in self.regular.wrap(&note, SMALL, WIDTH - 2.0 * MARGIN) {
                if y > HEIGHT - 50.0 {
                    return;
                }
                self.paragraph(s, (MARGIN, y), SMALL, MUTED, &part);
                y += STEP - 1.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_are_grouped_left_of_the_point_only() {
        assert_eq!(grouped("1234567.8901"), "1,234,567.8901");
        assert_eq!(grouped("-100"), "-100");
        assert_eq!(grouped("-1000.5"), "-1,000.5");
        assert_eq!(grouped("0"), "0");
    }
}
