//! Who may do what, and what this installation forbids beyond the roles.

use axum::response::{IntoResponse, Response};
use sealwright_web::component::{
    Badge, Cell, Column, Command, Definitions, Empty, Panel, Row, Table, Tone,
};
use sealwright_web::{Markup, Page, PageUrl};

use super::problem_page;
use super::visit::Visit;
use crate::policy::{Decision, Matrix, OwnPolicy};

const TITLE: &str = "Permissions";

pub(super) async fn matrix(visit: Visit) -> Response {
    let (access, url) = (&visit.pages.access, &visit.visitor.url);
    let chrome = visit.chrome(TITLE);
    let matrix = match access.matrix(&visit.visitor.by) {
        Ok(matrix) => matrix,
        Err(error) => return problem_page(error, chrome),
    };
    let table = table(&matrix, url);
    if let Some(export) = table.export(url) {
        return export;
    }
    let mut body = Markup::of(&table);
    let own = access.policies().own();
    for policy in own {
        body = body.with(&Panel::new(
            &format!("Policy {}", policy.id),
            &described(policy),
        ));
    }
    if own.is_empty() {
        let none = Empty::new(
            "No policies of this installation.",
            "A folder of Cedar policies, named as access.policies, forbids more than the roles do. Its effect beforehand:",
        )
        .command("SEALWRIGHT__ACCESS__POLICIES=./policies sealwright access matrix");
        body = body.with(&Panel::new("Policies of this installation", &none));
    }
    let chrome = chrome.lead(
        "What each role includes, and what an API key may at most have. Another tenant's data is nobody's.",
    );
    Page::new(TITLE, chrome, &body).into_response()
}

fn table(matrix: &Matrix, url: &PageUrl) -> Table {
    let mut columns = vec![
        Column::text("action", "Action"),
        Column::text("data", "Whose data"),
    ];
    for name in crate::policy::COLUMNS {
        let label = match name {
            "key" => "API key".to_owned(),
            role => role[..1].to_uppercase() + &role[1..],
        };
        columns.push(Column::text(name, &label));
    }
    let mut table = Table::new("matrix", "Who may do what", url, columns);
    for (row, whose) in matrix.short() {
        let mut cells = vec![Cell::code(row.action.as_str()), Cell::text(whose)];
        for decision in row.cells {
            let text = matrix.cell(decision);
            cells.push(match decision {
                Decision::Allowed => Cell::badge(&Badge::new(Tone::Good, &text)),
                Decision::NotIncluded => Cell::text(&text),
                Decision::Forbidden(_) => Cell::badge(&Badge::new(Tone::Bad, &text)),
            });
        }
        table.push(Row::new(cells));
    }
    table
}

fn described(policy: &OwnPolicy) -> Markup {
    let mut facts = Definitions::new();
    if let Some(reason) = &policy.reason {
        facts = facts.item("Reason", reason.as_str());
    }
    let facts = facts.item("Written in", Markup::new().code(&policy.place()));
    Markup::of(&facts).with(&Command::new(
        &format!("Source of {}", policy.id),
        &policy.source,
    ))
}
