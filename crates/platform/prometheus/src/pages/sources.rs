//! Sources: the list, and the form for a new one.

use axum::body::Bytes;
use axum::response::Response;
use sealwright_web::component::{Cell, Column, Empty, Pager, Panel, Row, Table};
use sealwright_web::{Crumb, Markup};

use super::{Answer, LIST, Refused, Visit, done, form, is_field, length, standing, time};

/// `GET /console/prometheus/sources`.
pub(super) async fn list(visit: Visit) -> Answer {
    page(&visit, None).await
}

async fn page(visit: &Visit, refused: Refused<'_>) -> Answer {
    let service = visit.service();
    let refuse = |error| visit.refuse(error);
    let found = service
        .sources(&visit.by, visit.url.get("cursor"), Some(100))
        .await
        .map_err(refuse)?;
    let totals = service.totals(&visit.by, None).await.map_err(refuse)?;
    let now = service.now();
    let columns = vec![
        Column::text("name", "Name"),
        Column::text("state", "State"),
        Column::time("done_through", "Counted up to, UTC"),
        Column::text("lag", "Lag"),
        Column::number("events", "Events"),
        Column::number("resets", "Resets"),
        Column::number("gaps", "Gaps"),
        Column::number("lost", "Lost"),
        Column::text("last_error", "Last error"),
    ];
    let mut table = Table::new("sources", "Sources", &visit.url, columns)
        .note("Numbers are of the last 90 days. A gap is a window without any sample, or a series that fell silent.")
        .pager(Pager {
            previous: visit.url.get("cursor").map(|_| String::new()),
            next: found.next.clone(),
        })
        .empty(
            Empty::new("No source yet.", "Create one below, or with:").command(
                "sealwright prometheus source create --name requests --url http://prometheus:9090 \
                 --kind counter --expression http_requests_total --tenant-label tenant \
                 --event-type acme.requests.v1",
            ),
        );
    for source in &found.items {
        let sums = totals.get(&source.id).copied().unwrap_or_default();
        // An error that is over is told on the source's own page.
        let error = source
            .last_error
            .as_deref()
            .filter(|_| source.failures > 0)
            .unwrap_or_default();
        table.push(Row::new(vec![
            Cell::link(&source.name, &format!("{LIST}/{}", source.id)),
            Cell::badge(&standing(source.state(now))),
            time(source.done_through),
            Cell::text(&length(source.lag(now))),
            Cell::integer(sums.events),
            Cell::integer(sums.resets),
            Cell::integer(sums.empty.saturating_add(sums.vanished)),
            Cell::integer(sums.lost),
            Cell::text(error),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::of(&table);
    if visit.may_write() {
        let form = form::form(&visit.csrf, refused);
        body = body.with(&Panel::new("New source", &form));
    }
    let chrome = visit.chrome(vec![Crumb::here("Sources")]);
    Ok(visit.show("Prometheus", chrome, &body, refused))
}

/// `POST /console/prometheus/sources`.
pub(super) async fn create(visit: Visit, body: Bytes) -> Answer {
    let fields = visit.fields(&body)?;
    let made: Result<_, _> = match form::read(&fields) {
        Ok(new) => visit.service().create(&visit.by, &new).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(source) => Ok(created(&source.id.to_string())),
        Err(error) if is_field(&error) => page(&visit, Some((&fields, &error))).await,
        Err(error) => Err(visit.refuse(error)),
    }
}

fn created(id: &str) -> Response {
    done(
        &format!("{LIST}/{id}"),
        "Created. Its first window is asked for when it is over and the delay has passed.",
    )
}
