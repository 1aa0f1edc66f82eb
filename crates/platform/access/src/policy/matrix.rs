//! Who may do what, as a table: for the page, the command and the tests.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Decision, OwnPolicy, Policies, Target, Who};
use crate::role::{Action, Role};

/// Of what the credentials are, and whose data they are used on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Credentials of the installation: every tenant is their own.
    AllTenants,
    /// Credentials of one tenant, on its own data.
    OwnTenant,
    /// Credentials of one tenant, on another's data.
    OtherTenant,
}

impl Reach {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AllTenants, Self::OwnTenant, Self::OtherTenant];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllTenants => "all-tenants",
            Self::OwnTenant => "own-tenant",
            Self::OtherTenant => "other-tenant",
        }
    }

    fn target(self) -> Target {
        match self {
            Self::AllTenants | Self::OwnTenant => Target::Own,
            Self::OtherTenant => Target::Other,
        }
    }
}

/// The columns: what each role may do alone, and what a key may do at most.
pub(crate) const COLUMNS: [&str; 6] = ["owner", "admin", "operator", "auditor", "member", "key"];

fn who(column: usize, all_tenants: bool) -> Who {
    match Role::ALL.get(column) {
        Some(role) => Who::User {
            roles: [*role].iter().collect(),
            all_tenants,
        },
        None => Who::Key { all_tenants },
    }
}

/// Everybody of the matrix.
pub(super) fn columns() -> impl Iterator<Item = Who> {
    (0..COLUMNS.len()).flat_map(|column| [who(column, true), who(column, false)])
}

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixRow {
    /// What is done.
    pub action: Action,
    /// By what credentials, on whose data.
    pub reach: Reach,
    /// For each column.
    pub cells: [Decision; COLUMNS.len()],
}

/// The whole matrix.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// Three for each action.
    pub rows: Vec<MatrixRow>,
    policies: Policies,
}

impl Matrix {
    /// What the policies say.
    pub fn of(policies: &Policies) -> Self {
        let row = |action, reach: Reach| {
            let all_tenants = reach == Reach::AllTenants;
            MatrixRow {
                action,
                reach,
                cells: std::array::from_fn(|column| {
                    policies.decide(who(column, all_tenants), action, reach.target())
                }),
            }
        };
        let rows = Action::ALL
            .iter()
            .flat_map(|action| Reach::ALL.map(|reach| row(*action, reach)));
        Self {
            rows: rows.collect(),
            policies: policies.clone(),
        }
    }

    /// The installation's own policies.
    pub fn own(&self) -> &[OwnPolicy] {
        self.policies.own()
    }

    /// The policy that a decision names.
    pub fn policy(&self, decision: Decision) -> Option<&str> {
        match decision {
            Decision::Forbidden(place) => {
                let policy = self.policies.own().get(usize::from(place));
                policy.map(|policy| policy.id.as_str())
            }
            Decision::Allowed | Decision::NotIncluded => None,
        }
    }

    /// A cell in words: `yes`, `-`, or the policy that forbids.
    pub fn cell(&self, decision: Decision) -> String {
        match decision {
            Decision::Allowed => "yes".to_owned(),
            Decision::NotIncluded => "-".to_owned(),
            Decision::Forbidden(_) => format!("not: {}", self.policy(decision).unwrap_or("?")),
        }
    }

    /// The rows that people read: what is the same for credentials of the installation and of one tenant stands
    /// once, and what nobody may is left out.
    pub fn short(&self) -> Vec<(&MatrixRow, &'static str)> {
        let mut short = Vec::new();
        for of_action in self.rows.chunks(Reach::ALL.len()) {
            let alike = matches!(of_action, [all, own, ..] if all.cells == own.cells);
            for row in of_action {
                match row.reach {
                    Reach::AllTenants if alike => short.push((row, "own")),
                    Reach::AllTenants => short.push((row, "any, of the installation")),
                    Reach::OwnTenant if alike => {}
                    Reach::OwnTenant => short.push((row, "own, of one tenant")),
                    Reach::OtherTenant if row.cells.iter().any(|cell| cell.allowed()) => {
                        short.push((row, "another's"));
                    }
                    Reach::OtherTenant => {}
                }
            }
        }
        short
    }

    /// Every cell, and the installation's policies.
    pub fn json(&self) -> Value {
        let cells = self.rows.iter().flat_map(|row| {
            COLUMNS.iter().zip(row.cells).map(|(column, decision)| {
                json!({
                    "action": row.action.as_str(),
                    "who": column,
                    "reach": row.reach,
                    "allowed": decision.allowed(),
                    "policy": self.policy(decision),
                })
            })
        });
        json!({"items": cells.collect::<Vec<_>>(), "policies": self.policies.own()})
    }
}
