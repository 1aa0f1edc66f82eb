//! An invoice as CSV (RFC 4180): one record a line of the invoice, the same columns for every kind.

use crate::model::InvoiceDocument;

/// Why an invoice could not be written as CSV.
#[derive(Debug, thiserror::Error)]
#[error("could not write the CSV: {0}")]
pub struct InvoiceCsvError(String);

/// The lines of an invoice. Decimals have a point and no grouping; a text that a spreadsheet would take for
/// a formula is preceded by an apostrophe.
///
/// # Errors
/// Only when memory for the text cannot be had.
pub fn invoice_csv(document: &InvoiceDocument) -> Result<Vec<u8>, InvoiceCsvError> {
    let fail = |error: &dyn std::fmt::Display| InvoiceCsvError(error.to_string());
    let mut writer = ::csv::WriterBuilder::new()
        .terminator(::csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer
        .write_record([
            "invoice",
            "number",
            "tenant",
            "period_from",
            "period_to",
            "line",
            "kind",
            "meter",
            "title",
            "dimensions",
            "quantity",
            "included",
            "unit",
            "model",
            "exact",
            "amount",
            "currency",
        ])
        .map_err(|e| fail(&e))?;
    for (index, line) in document.rated.lines.iter().enumerate() {
        let dimensions: Vec<String> = line
            .dimensions
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let kind = serde_json::to_value(line.kind).map_err(|e| fail(&e))?;
        writer
            .write_record([
                document.id.to_string(),
                document.number.clone().unwrap_or_default(),
                guarded(&document.tenant.slug),
                document.period_from.clone(),
                document.period_to.clone(),
                (index + 1).to_string(),
                kind.as_str().unwrap_or_default().to_owned(),
                guarded(line.meter.as_deref().unwrap_or_default()),
                guarded(&line.title),
                guarded(&dimensions.join(";")),
                line.quantity.to_string(),
                line.included.to_string(),
                guarded(line.unit.as_deref().unwrap_or_default()),
                line.model.clone(),
                line.exact.to_string(),
                line.amount.clone(),
                document.rated.currency.code().to_owned(),
            ])
            .map_err(|e| fail(&e))?;
    }
    writer.into_inner().map_err(|e| fail(&e))
}

/// Spreadsheets run what starts with one of these as a formula.
fn guarded(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    }
}
