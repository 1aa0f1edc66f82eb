//! Rows of `siem_alert`, `siem_alert_event` and `siem_alert_entity`.

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_store::{Result, Row, Store, StoreError, Tx, sql};

use crate::model::{Alert, AlertEvent, AlertId, AlertState, Entity, IncidentId, Severity};

fn read(row: &Row) -> Result<Alert> {
    let verdict = row.opt_text("verdict")?;
    Ok(Alert {
        id: row.parse("id")?,
        tenant: row.parse("tenant_id")?,
        dedup_key: row.text("dedup_key")?,
        severity: Severity::of_number(row.int("severity")?),
        state: row.parse("state")?,
        verdict: verdict.map(|_| row.parse("verdict")).transpose()?,
        owner: row.opt_text("owner")?,
        matches: u64::try_from(row.int("matches")?).unwrap_or(0),
        first_at: row.micros("first_at")?,
        last_at: row.micros("last_at")?,
        created_at: row.micros("created_at")?,
        updated_at: row.micros("updated_at")?,
        acknowledged_at: row.opt_micros("acknowledged_at")?,
        closed_at: row.opt_micros("closed_at")?,
        due_at: row.micros("due_at")?,
        escalated_at: row.opt_micros("escalated_at")?,
        incident: match row.opt_text("incident_id")? {
            Some(_) => Some(row.parse("incident_id")?),
            None => None,
        },
        revision: row.int("revision")?,
        body: serde_json::from_str(&row.text("body")?).map_err(|_| StoreError::Column {
            column: "body".to_owned(),
            found: "text of another form",
            expected: "what an alert says",
        })?,
        digest: row.parse("digest")?,
        ledger_entry: row.opt_text("ledger_entry")?,
    })
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Adds an alert; a second one that is not closed for its key is a constraint error.
pub async fn insert(tx: &mut Tx, alert: &Alert, body: &str) -> Result<()> {
    tx.execute(
        sql(
            "INSERT INTO siem_alert (id, tenant_id, rule_id, dedup_key, severity, state, matches,
                first_at, last_at, created_at, updated_at, due_at, revision, body, digest,
                ledger_entry)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(alert.id)
        .bind(alert.tenant)
        .bind(&alert.body.rule.id)
        .bind(&alert.dedup_key)
        .bind(alert.severity.number())
        .bind(alert.state.name())
        .bind(number(alert.matches))
        .bind(alert.first_at)
        .bind(alert.last_at)
        .bind(alert.created_at)
        .bind(alert.updated_at)
        .bind(alert.due_at)
        .bind(alert.revision)
        .bind(body)
        .bind(alert.digest)
        .bind(alert.ledger_entry.clone()),
    )
    .await?;
    Ok(())
}

/// Writes what may change of an alert, if its revision is still `seen`.
///
/// # Errors
/// [`StoreError::Contended`] when somebody else changed it first.
pub async fn update(tx: &mut Tx, alert: &Alert, seen: i64) -> Result<()> {
    let changed = tx
        .execute(
            sql(
                "UPDATE siem_alert SET severity = $3, state = $4, verdict = $5, owner = $6,
                    updated_at = $7, acknowledged_at = $8, closed_at = $9, due_at = $10,
                    escalated_at = $11, incident_id = $12, revision = $13
                 WHERE id = $1 AND revision = $2",
            )
            .bind(alert.id)
            .bind(seen)
            .bind(alert.severity.number())
            .bind(alert.state.name())
            .bind(alert.verdict.map(|v| v.name().to_owned()))
            .bind(alert.owner.clone())
            .bind(alert.updated_at)
            .bind(alert.acknowledged_at)
            .bind(alert.closed_at)
            .bind(alert.due_at)
            .bind(alert.escalated_at)
            .bind(alert.incident)
            .bind(alert.revision),
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Contended)
    }
}

/// Counts further matches in an alert. Its revision stays: what people decide about it does not collide
/// with what is counted.
pub async fn count_in(
    tx: &mut Tx,
    id: AlertId,
    matches: u64,
    first: UnixMicros,
    last: UnixMicros,
    now: UnixMicros,
) -> Result<()> {
    tx.execute(
        sql("UPDATE siem_alert SET matches = matches + $2,
                first_at = CASE WHEN first_at < $3 THEN first_at ELSE $3 END,
                last_at = CASE WHEN last_at > $4 THEN last_at ELSE $4 END,
                updated_at = $5 WHERE id = $1")
        .bind(id)
        .bind(number(matches))
        .bind(first)
        .bind(last)
        .bind(now),
    )
    .await?;
    Ok(())
}

/// The alert that is not closed for a key.
pub async fn open_of(tx: &mut Tx, tenant: TenantId, key: &str) -> Result<Option<Alert>> {
    let row = tx
        .fetch_optional(
            sql(
                "SELECT * FROM siem_alert WHERE tenant_id = $1 AND dedup_key = $2
                 AND state <> 'closed'",
            )
            .bind(tenant)
            .bind(key),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Alerts of a key that were closed, the latest first.
pub async fn closed_of(store: &Store, tenant: TenantId, key: &str) -> Result<Vec<Alert>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM siem_alert WHERE tenant_id = $1 AND dedup_key = $2
                 AND state = 'closed' ORDER BY created_at DESC LIMIT 20",
            )
            .bind(tenant)
            .bind(key),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// How many alerts of a tenant were raised since a moment.
pub async fn raised_since(tx: &mut Tx, tenant: TenantId, since: UnixMicros) -> Result<u64> {
    let row = tx
        .fetch_one(
            sql("SELECT COUNT(*) AS n FROM siem_alert WHERE tenant_id = $1 AND created_at >= $2")
                .bind(tenant)
                .bind(since),
        )
        .await?;
    Ok(u64::try_from(row.int("n")?).unwrap_or(0))
}

/// One alert, if it is in the scope.
pub async fn find(store: &Store, scope: TenantScope, id: AlertId) -> Result<Option<Alert>> {
    let row = store
        .fetch_optional(
            sql("SELECT * FROM siem_alert WHERE id = $1 AND ($2 = '*' OR tenant_id = $2)")
                .bind(id)
                .bind(scope),
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// What a list of alerts may be narrowed to.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this state.
    pub state: Option<AlertState>,
    /// Only those that are not closed.
    pub open: bool,
    /// Only this severity and worse.
    pub severity: Option<Severity>,
    /// Only of this rule.
    pub rule: Option<String>,
    /// Only of this incident.
    pub incident: Option<IncidentId>,
    /// Only about this entity.
    pub entity: Option<Entity>,
    /// Only raised from this moment on.
    pub from: Option<UnixMicros>,
    /// Only raised before this moment.
    pub to: Option<UnixMicros>,
    /// Continue after this id.
    pub after: Option<AlertId>,
    /// At most this many.
    pub limit: u32,
}

/// Alerts, newest first.
pub async fn list(store: &Store, scope: TenantScope, filter: &Filter) -> Result<Vec<Alert>> {
    let (kind, value) = filter
        .entity
        .as_ref()
        .map_or(("", ""), |e| (&e.kind, &e.value));
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM siem_alert a WHERE ($1 = '*' OR tenant_id = $1)
                 AND ($2 = '*' OR state = $2) AND ($3 = 0 OR state <> 'closed')
                 AND severity >= $4 AND ($5 = '*' OR rule_id = $5)
                 AND ($6 = '*' OR incident_id = $6)
                 AND created_at >= $7 AND created_at < $8 AND ($9 = '' OR id < $9)
                 AND ($10 = '' OR EXISTS (SELECT 1 FROM siem_alert_entity e
                    WHERE e.alert_id = a.id AND e.kind = $10 AND e.value = $11))
                 ORDER BY id DESC LIMIT $12",
            )
            .bind(scope)
            .bind(filter.state.map_or("*", AlertState::name))
            .bind(filter.open)
            .bind(filter.severity.map_or(0, Severity::number))
            .bind(filter.rule.as_deref().unwrap_or("*"))
            .bind(
                filter
                    .incident
                    .map_or_else(|| "*".to_owned(), |id| id.to_string()),
            )
            .bind(filter.from.unwrap_or(UnixMicros(i64::MIN)))
            .bind(filter.to.unwrap_or(UnixMicros(i64::MAX)))
            .bind(filter.after.map(|id| id.to_string()).unwrap_or_default())
            .bind(kind)
            .bind(value)
            .bind(filter.limit),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Alerts that nobody answered until they were due, and that were not escalated yet.
pub async fn overdue(store: &Store, now: UnixMicros) -> Result<Vec<Alert>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT * FROM siem_alert WHERE state IN ('open', 'reopened') AND due_at <= $1
                 AND escalated_at IS NULL ORDER BY due_at LIMIT 1000",
            )
            .bind(now),
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Keeps the events that an alert shows, no more than `most` in all.
pub async fn add_events(tx: &mut Tx, id: AlertId, events: &[AlertEvent], most: i64) -> Result<()> {
    let row = tx
        .fetch_one(sql("SELECT COUNT(*) AS n FROM siem_alert_event WHERE alert_id = $1").bind(id))
        .await?;
    let room = usize::try_from((most - row.int("n")?).max(0)).unwrap_or(0);
    for event in events.iter().take(room) {
        let summary = serde_json::to_string(&event.summary).unwrap_or_else(|_| "{}".to_owned());
        tx.execute(
            sql(
                "INSERT INTO siem_alert_event (alert_id, log_offset, event_time, source, event_id,
                    event_type, digest, summary) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (alert_id, log_offset) DO NOTHING",
            )
            .bind(id)
            .bind(number(event.offset))
            .bind(event.time)
            .bind(&event.source)
            .bind(&event.id)
            .bind(&event.event_type)
            .bind(event.digest)
            .bind(summary),
        )
        .await?;
    }
    Ok(())
}

/// The events that an alert shows, in the order of their times. The caller has looked at the alert within
/// its scope.
pub async fn events(store: &Store, id: AlertId) -> Result<Vec<AlertEvent>> {
    let rows = store
        .fetch_all(
            sql("SELECT * FROM siem_alert_event WHERE alert_id = $1 ORDER BY event_time, log_offset")
                .bind(id),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(AlertEvent {
                offset: u64::try_from(row.int("log_offset")?).unwrap_or(0),
                time: row.micros("event_time")?,
                source: row.text("source")?,
                id: row.text("event_id")?,
                event_type: row.text("event_type")?,
                digest: row.parse("digest")?,
                summary: serde_json::from_str(&row.text("summary")?).unwrap_or_default(),
            })
        })
        .collect()
}

/// Notes whom an alert is about.
pub async fn add_entities(
    tx: &mut Tx,
    id: AlertId,
    tenant: TenantId,
    entities: &[Entity],
    last: UnixMicros,
) -> Result<()> {
    for entity in entities {
        tx.execute(
            sql(
                "INSERT INTO siem_alert_entity (alert_id, tenant_id, kind, value, last_at)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (alert_id, kind, value) DO UPDATE SET
                    last_at = CASE WHEN siem_alert_entity.last_at > excluded.last_at
                        THEN siem_alert_entity.last_at ELSE excluded.last_at END",
            )
            .bind(id)
            .bind(tenant)
            .bind(&entity.kind)
            .bind(&entity.value)
            .bind(last),
        )
        .await?;
    }
    Ok(())
}

/// Whom an alert is about, all its matches together.
pub async fn entities(store: &Store, id: AlertId) -> Result<Vec<Entity>> {
    let rows = store
        .fetch_all(
            sql("SELECT kind, value FROM siem_alert_entity WHERE alert_id = $1 ORDER BY kind, value")
                .bind(id),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Entity {
                kind: row.text("kind")?,
                value: row.text("value")?,
            })
        })
        .collect()
}

/// An alert that is not closed and shares an entity with another.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// Its id.
    pub id: AlertId,
    /// Its rule.
    pub rule_id: String,
    /// Its incident.
    pub incident: Option<IncidentId>,
    /// How bad it is.
    pub severity: Severity,
}

/// Alerts that are not closed and about an entity, seen since a moment, the latest first.
pub async fn neighbours(
    tx: &mut Tx,
    tenant: TenantId,
    entity: &Entity,
    since: UnixMicros,
) -> Result<Vec<Neighbour>> {
    let rows = tx
        .fetch_all(
            sql(
                "SELECT a.id AS id, a.rule_id AS rule_id, a.incident_id AS incident_id,
                    a.severity AS severity
                 FROM siem_alert_entity e JOIN siem_alert a ON a.id = e.alert_id
                 WHERE e.tenant_id = $1 AND e.kind = $2 AND e.value = $3 AND a.state <> 'closed'
                 AND e.last_at >= $4 ORDER BY a.id DESC LIMIT 50",
            )
            .bind(tenant)
            .bind(&entity.kind)
            .bind(&entity.value)
            .bind(since),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Neighbour {
                id: row.parse("id")?,
                rule_id: row.text("rule_id")?,
                incident: match row.opt_text("incident_id")? {
                    Some(_) => Some(row.parse("incident_id")?),
                    None => None,
                },
                severity: Severity::of_number(row.int("severity")?),
            })
        })
        .collect()
}

/// Puts an alert into an incident.
pub async fn join_incident(tx: &mut Tx, id: AlertId, incident: IncidentId) -> Result<()> {
    tx.execute(
        sql("UPDATE siem_alert SET incident_id = $2, revision = revision + 1 WHERE id = $1")
            .bind(id)
            .bind(incident),
    )
    .await?;
    Ok(())
}

/// Alerts about entities since a moment, false positives left out: what risk is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Whose.
    pub tenant: TenantId,
    /// Whom.
    pub entity: Entity,
    /// Alerts of each severity, informational first.
    pub alerts: [u64; 5],
}

/// The load of each entity in a scope, of one entity when it is given.
pub async fn loads(
    store: &Store,
    scope: TenantScope,
    entity: Option<&Entity>,
    since: UnixMicros,
) -> Result<Vec<Load>> {
    let (kind, value) = entity.map_or(("*", "*"), |e| (&e.kind, &e.value));
    let rows = store
        .fetch_all(
            sql(
                "SELECT e.tenant_id AS tenant_id, e.kind AS kind, e.value AS value,
                    a.severity AS severity, COUNT(*) AS n
                 FROM siem_alert_entity e JOIN siem_alert a ON a.id = e.alert_id
                 WHERE ($1 = '*' OR e.tenant_id = $1) AND ($2 = '*' OR (e.kind = $2 AND e.value = $3))
                 AND e.last_at >= $4 AND (a.verdict IS NULL OR a.verdict = 'true-positive')
                 GROUP BY e.tenant_id, e.kind, e.value, a.severity
                 ORDER BY e.tenant_id, e.kind, e.value LIMIT 20000",
            )
            .bind(scope)
            .bind(kind)
            .bind(value)
            .bind(since),
        )
        .await?;
    let mut loads: Vec<Load> = Vec::new();
    for row in &rows {
        let tenant: TenantId = row.parse("tenant_id")?;
        let entity = Entity {
            kind: row.text("kind")?,
            value: row.text("value")?,
        };
        let severity = usize::try_from(row.int("severity")?).unwrap_or(0).min(4);
        let n = u64::try_from(row.int("n")?).unwrap_or(0);
        if loads
            .last()
            .is_none_or(|l| l.tenant != tenant || l.entity != entity)
        {
            loads.push(Load {
                tenant,
                entity,
                alerts: [0; 5],
            });
        }
        if let Some(load) = loads.last_mut() {
            load.alerts[severity] += n;
        }
    }
    Ok(loads)
}

/// How alerts of a span stand: (severity, state, count).
pub async fn counts(
    store: &Store,
    scope: TenantScope,
    from: UnixMicros,
    to: UnixMicros,
) -> Result<Vec<(Severity, AlertState, u64)>> {
    let rows = store
        .fetch_all(
            sql("SELECT severity, state, COUNT(*) AS n FROM siem_alert
                 WHERE ($1 = '*' OR tenant_id = $1) AND created_at >= $2 AND created_at < $3
                 GROUP BY severity, state ORDER BY severity, state")
            .bind(scope)
            .bind(from)
            .bind(to),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                Severity::of_number(row.int("severity")?),
                row.parse("state")?,
                u64::try_from(row.int("n")?).unwrap_or(0),
            ))
        })
        .collect()
}

/// Alerts of a span by bucket of `width` microseconds and severity: (start, severity, count).
pub async fn histogram(
    store: &Store,
    scope: TenantScope,
    from: UnixMicros,
    to: UnixMicros,
    width: i64,
) -> Result<Vec<(UnixMicros, Severity, u64)>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT (created_at / $4) * $4 AS bucket, severity, COUNT(*) AS n FROM siem_alert
                 WHERE ($1 = '*' OR tenant_id = $1) AND created_at >= $2 AND created_at < $3
                 GROUP BY (created_at / $4) * $4, severity ORDER BY 1, 2",
            )
            .bind(scope)
            .bind(from)
            .bind(to)
            .bind(width.max(1)),
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.micros("bucket")?,
                Severity::of_number(row.int("severity")?),
                u64::try_from(row.int("n")?).unwrap_or(0),
            ))
        })
        .collect()
}

/// Mean times of a span, in microseconds; `None` where there is nothing to take the mean of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Means {
    /// From raising to the first answer.
    pub acknowledge: Option<i64>,
    /// From raising to closing.
    pub resolve: Option<i64>,
    /// Alerts that were closed in the span.
    pub closed: u64,
}

/// Mean times to answer and to close of what was answered or closed in a span.
pub async fn means(
    store: &Store,
    scope: TenantScope,
    from: UnixMicros,
    to: UnixMicros,
) -> Result<Means> {
    let row = store
        .fetch_one(
            sql("SELECT
                    CAST(AVG(CASE WHEN acknowledged_at >= $2 AND acknowledged_at < $3
                        THEN acknowledged_at - created_at END) AS BIGINT) AS mtta,
                    CAST(AVG(CASE WHEN closed_at >= $2 AND closed_at < $3
                        THEN closed_at - created_at END) AS BIGINT) AS mttr,
                    COUNT(CASE WHEN closed_at >= $2 AND closed_at < $3 THEN 1 END) AS closed
                 FROM siem_alert WHERE ($1 = '*' OR tenant_id = $1)")
            .bind(scope)
            .bind(from)
            .bind(to),
        )
        .await?;
    Ok(Means {
        acknowledge: row.opt_int("mtta")?,
        resolve: row.opt_int("mttr")?,
        closed: u64::try_from(row.int("closed")?).unwrap_or(0),
    })
}

/// Rules by the number of their alerts in a span, most first: (rule id, alerts, matches).
pub async fn by_rule(
    store: &Store,
    scope: TenantScope,
    from: UnixMicros,
    to: UnixMicros,
) -> Result<Vec<(String, u64, u64)>> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT rule_id, COUNT(*) AS n, CAST(SUM(matches) AS BIGINT) AS m FROM siem_alert
                 WHERE ($1 = '*' OR tenant_id = $1) AND created_at >= $2 AND created_at < $3
                 GROUP BY rule_id ORDER BY 2 DESC, 1 LIMIT 1000",
            )
            .bind(scope)
            .bind(from)
            .bind(to),
        )
        .await?;
    rows.iter()
        .map(|row| {
            let count = |name: &str| row.int(name).map(|n| u64::try_from(n).unwrap_or(0));
            Ok((row.text("rule_id")?, count("n")?, count("m")?))
        })
        .collect()
}
