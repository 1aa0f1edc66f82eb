//! SQL over the lake: reading only, within a tenant scope, within limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use datafusion::common::ScalarValue;
use datafusion::execution::{
    FunctionRegistry as _, SessionState, SessionStateBuilder, TaskContext,
};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SQLOptions, SessionContext, col, lit};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use futures::StreamExt as _;
use sealwright_core::TenantScope;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::{LakeError, Result};
use crate::files::DataFile;
use crate::provider::{Events, Scanned};
use crate::rows::json_rows;
use crate::session;
use crate::share::{self, Round, is_divided};
use crate::table::{Lake, Snapshot};

/// No query runs longer, whatever its limit says: a vacuum must know when readers have ended.
pub const LONGEST_QUERY_SECONDS: u64 = 300;
/// The longest query text in bytes.
pub const LONGEST_QUERY_TEXT: usize = 64 << 10;
/// How deep expressions and subqueries may nest.
const DEEPEST: usize = 50;

/// How far a query may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueryLimits {
    /// Rows that are returned at most; further ones are cut and the result says so.
    pub rows: usize,
    /// Seconds until the query is stopped; at most [`LONGEST_QUERY_SECONDS`].
    pub seconds: u64,
    /// Bytes that sorts, joins and aggregations may hold, and the result itself. It does not count a
    /// single expression's value while it is computed.
    pub memory: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            rows: 10_000,
            seconds: 30,
            memory: 512 << 20,
        }
    }
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type as Arrow calls it, such as `Int64` or `Utf8View`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What a query answered.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QueryResult {
    /// The columns, in order.
    pub columns: Vec<ResultColumn>,
    /// The rows, each with one value a column. Decimals are strings, times RFC 3339.
    #[schema(value_type = Vec<Vec<Object>>)]
    pub rows: Vec<Vec<Value>>,
    /// Whether rows were cut off by the limit.
    pub truncated: bool,
    /// Data files that the statistics did not rule out.
    pub files_scanned: u64,
    /// Bytes that were read from them. Null when another process that had a part did not say.
    pub bytes_scanned: Option<u64>,
    /// How many processes answered, each a part.
    pub processes: u32,
    /// The first offset that the lake did not hold: later events are not in the answer.
    pub next_offset: u64,
}

/// The columns that queries see, in order. `json` is the whole event; `digest` is its SHA-256 in
/// hexadecimal; `stream` and `day` are the partition.
pub(crate) const EVENT_COLUMNS: [&str; 10] = [
    "tenant_id",
    "offset",
    "received_at",
    "time",
    "id",
    "source",
    "type",
    "subject",
    "digest",
    "json",
];

/// A session over one state with the rows of one scope.
pub(crate) struct Scoped {
    pub(crate) context: SessionContext,
    pub(crate) scanned: Arc<Scanned>,
    rows: DataFrame,
}

impl Scoped {
    pub(crate) fn new(
        lake: &Lake,
        snapshot: Arc<Snapshot>,
        scope: TenantScope,
        memory: usize,
    ) -> Result<Self> {
        Self::of_files(lake, snapshot, None, scope, memory)
    }

    /// The same for a question that others may have parts of.
    fn in_round(
        lake: &Lake,
        snapshot: Arc<Snapshot>,
        scope: TenantScope,
        memory: usize,
        round: &Round<'_>,
    ) -> Result<Self> {
        let version = snapshot.version;
        Self::with(lake, snapshot, None, scope, memory, |builder| {
            round.session(builder, version, memory)
        })
    }

    /// The same with some of the state's files only.
    pub(crate) fn of_files(
        lake: &Lake,
        snapshot: Arc<Snapshot>,
        files: Option<Vec<DataFile>>,
        scope: TenantScope,
        memory: usize,
    ) -> Result<Self> {
        Self::with(lake, snapshot, files, scope, memory, |builder| {
            Ok(builder.build())
        })
    }

    fn with(
        lake: &Lake,
        snapshot: Arc<Snapshot>,
        files: Option<Vec<DataFile>>,
        scope: TenantScope,
        memory: usize,
        build: impl FnOnce(SessionStateBuilder) -> Result<SessionState>,
    ) -> Result<Self> {
        let scanned = Arc::new(Scanned::default());
        let explain_files = matches!(scope, TenantScope::All);
        let builder = session::builder(lake.runtime(), memory, explain_files)?;
        let context = session::context(build(builder)?);
        let table = Events::new(snapshot, files, Arc::clone(&scanned));
        // The table itself is never registered under a name: what a query can name is filtered already.
        let mut rows = context.read_table(Arc::new(table))?;
        if let TenantScope::One(tenant) = scope {
            rows = rows.filter(
                col("tenant_id").eq(lit(ScalarValue::Utf8View(Some(tenant.to_string())))),
            )?;
        }
        Ok(Self {
            context,
            scanned,
            rows,
        })
    }

    /// The scope's rows with all columns.
    pub(crate) fn rows(&self) -> DataFrame {
        self.rows.clone()
    }

    fn register_view(&self) -> Result<()> {
        let hex = self.context.udf("hex_text")?;
        let mut columns: Vec<_> = EVENT_COLUMNS
            .iter()
            .map(|name| match *name {
                "digest" => hex.call(vec![col("digest")]).alias("digest"),
                name => col(name),
            })
            .collect();
        columns.extend([col("stream"), col("day")]);
        let view = self.rows.clone().select(columns)?.into_view();
        self.context.register_table("events", view)?;
        Ok(())
    }
}

impl Lake {
    /// Answers one `SELECT`, `WITH … SELECT` or `EXPLAIN` over the view `events`, which holds the rows
    /// of `scope` and nothing else. There are no other tables, files or addresses to read, and nothing
    /// can be changed. Besides SQL's functions there are `json_get`, `json_text`, `json_number` and
    /// `json_decimal` for the event's members: `json_text(json, 'data.model')`.
    ///
    /// # Errors
    /// [`LakeError::Query`] with line and column where they are known; [`LakeError::Limit`].
    pub async fn query(
        &self,
        scope: TenantScope,
        sql: &str,
        limits: QueryLimits,
    ) -> Result<QueryResult> {
        let statement = parse(sql, scope)?;
        let seconds = limits.seconds.clamp(1, LONGEST_QUERY_SECONDS);
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut round = Round::first(self.sharing());
        loop {
            let mut divided = false;
            let answer = self.answer(&statement, scope, limits, &round, until, &mut divided);
            match answer.await {
                Err(error) if round.again(&error, divided).await => {}
                answer => return answer,
            }
        }
    }

    /// One try, with the processes of `round`. `divided` says afterwards whether others had parts.
    async fn answer(
        &self,
        statement: &Statement,
        scope: TenantScope,
        limits: QueryLimits,
        round: &Round<'_>,
        until: Instant,
        divided: &mut bool,
    ) -> Result<QueryResult> {
        let (snapshot, reader) = self.read().await?;
        let next_offset = self.next_offset();
        let scoped = Scoped::in_round(self, snapshot, scope, limits.memory, round)?;
        scoped.register_view()?;
        let scanned = Arc::clone(&scoped.scanned);
        let statement = statement.clone();
        let parts = Arc::new(AtomicBool::new(false));
        let has_parts = Arc::clone(&parts);
        // In a task of its own, so that a step that does not yield cannot hold up the timer. The task
        // keeps the files from removal until it has really ended.
        let answer = AbortOnDrop(tokio::spawn(async move {
            let _reader = reader;
            let context = scoped.context;
            let plan = Box::pin(context.state().statement_to_plan(statement)).await?;
            allowed(&plan)?;
            let frame = Box::pin(context.execute_logical_plan(plan)).await?;
            let task = Arc::new(frame.task_ctx());
            // A plan that cannot be divided may still be one for this process.
            has_parts.store(true, Ordering::Relaxed);
            let plan = Box::pin(frame.create_physical_plan()).await?;
            has_parts.store(is_divided(plan.as_ref()), Ordering::Relaxed);
            collect(plan, task, limits).await
        }));
        let seconds = limits.seconds.clamp(1, LONGEST_QUERY_SECONDS);
        let answer = answer.until(until, seconds).await;
        *divided = parts.load(Ordering::Relaxed);
        let (plan, rows, truncated) = answer?;
        Ok(QueryResult {
            columns: plan
                .schema()
                .fields()
                .iter()
                .map(|f| ResultColumn {
                    name: f.name().clone(),
                    kind: f.data_type().to_string(),
                })
                .collect(),
            rows,
            truncated,
            files_scanned: scanned.files.load(Ordering::Relaxed),
            processes: round.answered(plan.as_ref()),
            bytes_scanned: measured(plan, truncated).await,
            next_offset,
        })
    }
}

/// What a plan has read. Where other processes had parts, and were stopped when enough rows were there, it is not known.
async fn measured(plan: Arc<dyn ExecutionPlan>, truncated: bool) -> Option<u64> {
    if truncated && is_divided(plan.as_ref()) {
        return None;
    }
    let plan = share::measured(plan).await?;
    Some(bytes_scanned(plan.as_ref()))
}

/// A running query, which ends with whoever waits for it.
struct AbortOnDrop(tokio::task::JoinHandle<Result<Answer>>);

impl AbortOnDrop {
    async fn until(mut self, until: Instant, seconds: u64) -> Result<Answer> {
        match tokio::time::timeout_at(until.into(), &mut self.0).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(ended)) => Err(LakeError::Table(format!("the query ended: {ended}"))),
            Err(_) => Err(LakeError::Limit {
                limit: format!("{seconds} seconds"),
            }),
        }
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Answer = (Arc<dyn ExecutionPlan>, Vec<Vec<Value>>, bool);

async fn collect(
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    limits: QueryLimits,
) -> Result<Answer> {
    let mut stream = execute_stream(Arc::clone(&plan), task)?;
    let mut rows = Vec::new();
    let mut bytes = 0_usize;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let wanted = limits.rows - rows.len();
        let cut = batch.num_rows() > wanted;
        let batch = batch.slice(0, batch.num_rows().min(wanted));
        json_rows(&batch, &mut rows)?;
        bytes += rows[rows.len() - batch.num_rows()..]
            .iter()
            .flatten()
            .map(size_of_value)
            .sum::<usize>();
        if bytes > limits.memory {
            return Err(LakeError::Limit {
                limit: format!("{} bytes for the result", limits.memory),
            });
        }
        if cut {
            return Ok((plan, rows, true));
        }
    }
    Ok((plan, rows, false))
}

fn size_of_value(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size_of_value).sum(),
            Value::Object(members) => members
                .iter()
                .map(|(k, v)| k.len() + size_of_value(v))
                .sum(),
            _ => 0,
        }
}

fn bytes_scanned(plan: &dyn ExecutionPlan) -> u64 {
    let own = plan
        .metrics()
        .and_then(|m| m.sum_by_name("bytes_scanned"))
        .map_or(0, |v| v.as_usize() as u64);
    own + plan
        .children()
        .into_iter()
        .map(|child| bytes_scanned(child.as_ref()))
        .sum::<u64>()
}

/// One statement that only reads.
fn parse(sql: &str, scope: TenantScope) -> Result<Statement> {
    if sql.len() > LONGEST_QUERY_TEXT {
        return Err(LakeError::query(format!(
            "the query is {} bytes long; the limit is {LONGEST_QUERY_TEXT}",
            sql.len()
        )));
    }
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(DEEPEST)
        .build()?
        .parse_statements()?;
    let Some(statement) = statements.pop_front().filter(|_| statements.is_empty()) else {
        return Err(LakeError::query(
            "give exactly one statement, such as SELECT count(*) FROM events",
        ));
    };
    let inner = match &statement {
        Statement::Explain(explain) => {
            let text = explain.to_string().to_ascii_uppercase();
            if matches!(scope, TenantScope::One(_))
                && !(text.starts_with("EXPLAIN SELECT") || text.starts_with("EXPLAIN WITH"))
            {
                return Err(LakeError::query(
                    "with one tenant's rows, EXPLAIN takes no options: they would show files that \
                     tenants share",
                ));
            }
            explain.statement.as_ref()
        }
        other => other,
    };
    match inner {
        Statement::Statement(sql) if matches!(sql.as_ref(), SqlStatement::Query(_)) => {
            Ok(statement)
        }
        _ => Err(LakeError::query(
            "the lake is read only: SELECT, WITH … SELECT and EXPLAIN are what it answers",
        )),
    }
}

/// The second look, at what the statement came to mean.
fn allowed(plan: &LogicalPlan) -> Result<()> {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan)?;
    Ok(())
}
