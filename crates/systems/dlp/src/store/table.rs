//! Tables of somebody else's PostgreSQL database: which there are, and their rows as JSON. Nothing is written there.

use sealwright_store::{Result, Store, Tx, sql};

/// Rows that are fetched at a time.
const ROWS: u32 = 500;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The tables that hold rows, the database's own catalogue excepted; of one schema, or one table of it, when it is
/// named.
pub async fn list(store: &Store, only: Option<&TableName>) -> Result<Vec<TableName>> {
    let (schema, name) = only.map_or(("", ""), |one| (one.schema.as_str(), one.name.as_str()));
    let rows = store
        .fetch_all(
            sql(
                "SELECT CAST(n.nspname AS TEXT) AS schema, CAST(c.relname AS TEXT) AS name
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition
                 AND n.nspname NOT IN ('pg_catalog', 'information_schema')
                 AND n.nspname NOT LIKE 'pg\\_%'
                 AND ($1 = '' OR n.nspname = $1) AND ($2 = '' OR c.relname = $2)
                 ORDER BY 1, 2",
            )
            .bind(schema)
            .bind(name),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(TableName {
                schema: row.text("schema")?,
                name: row.text("name")?,
            })
        })
        .collect()
}

/// Begins to read a table, as it is at this moment: all rows, or about so many in a hundred.
pub async fn begin(store: &Store, table: &TableName, percent: Option<f64>) -> Result<Tx> {
    let mut tx = store.begin().await?;
    tx.execute(sql("SET TRANSACTION READ ONLY")).await?;
    let sample = percent.map_or_else(String::new, |percent| {
        format!(" TABLESAMPLE BERNOULLI ({percent})")
    });
    let text = format!(
        "DECLARE sealwright_rows NO SCROLL CURSOR FOR
         SELECT CAST(row_to_json(t) AS TEXT) AS line FROM {}.{} AS t{sample}",
        quoted(&table.schema),
        quoted(&table.name)
    );
    tx.execute(sql(text)).await?;
    Ok(tx)
}

/// The next rows, each a JSON object; none at the end.
pub async fn next(tx: &mut Tx) -> Result<Vec<String>> {
    let rows = tx
        .fetch_all(sql(format!("FETCH {ROWS} FROM sealwright_rows")))
        .await?;
    rows.iter().map(|row| row.text("line")).collect()
}
