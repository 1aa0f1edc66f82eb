//! Cedar: the schema, the policies that are built in, and a question to the authorizer.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, RestrictedExpression, Schema,
};

use super::{OwnPolicy, Target, Who};
use crate::role::{Action, Role};

const SCHEMA: &str = include_str!("schema.cedarschema");
pub(super) const BUILT_IN: [(&str, &str); 2] = [
    ("roles.cedar", include_str!("roles.cedar")),
    ("tenants.cedar", include_str!("tenants.cedar")),
];

pub(super) struct Engine {
    schema: Schema,
    policies: PolicySet,
}

/// What Cedar answered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) allowed: bool,
    /// The policies that decided it.
    because: HashSet<String>,
    /// A policy that could not be computed, and why.
    pub(super) failed: Option<(String, String)>,
}

impl Answer {
    /// The first of the installation's policies that forbade it.
    pub(super) fn forbidden_by(&self, own: &[OwnPolicy]) -> Option<u16> {
        let failed = self.failed.as_ref().map(|(policy, _)| policy);
        let named =
            |policy: &OwnPolicy| self.because.contains(&policy.id) || failed == Some(&policy.id);
        own.iter()
            .position(named)
            .and_then(|place| u16::try_from(place).ok())
    }
}

/// The schema that all policies are validated against.
pub(super) fn schema() -> Result<Schema, String> {
    Schema::from_cedarschema_str(SCHEMA)
        .map(|(schema, _)| schema)
        .map_err(|error| error.to_string())
}

/// The policies of a text, each under its `@id`.
pub(super) fn named(set: &PolicySet) -> Result<Vec<cedar_policy::Policy>, String> {
    let mut policies = Vec::new();
    for policy in set.policies() {
        let id = policy.annotation("id").ok_or("a policy has no @id")?;
        policies.push(policy.new_id(PolicyId::new(id)));
    }
    Ok(policies)
}

fn built_in() -> Result<(Schema, PolicySet), String> {
    let mut all = PolicySet::new();
    for (file, text) in BUILT_IN {
        let set: PolicySet = text.parse().map_err(|error| format!("{file}: {error}"))?;
        for policy in named(&set)? {
            all.add(policy)
                .map_err(|error| format!("{file}: {error}"))?;
        }
    }
    Ok((schema()?, all))
}

impl Engine {
    /// What is compiled in.
    ///
    /// # Panics
    /// When it cannot be read, which a test excludes: without it nobody could be let in or kept out.
    pub(super) fn built_in() -> Self {
        match built_in() {
            Ok((schema, policies)) => Self { schema, policies },
            Err(error) => panic!("the built-in policies cannot be read: {error}"),
        }
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.policies.policy(&PolicyId::new(id)).is_some()
    }

    pub(super) fn add(&mut self, policy: cedar_policy::Policy) -> Result<(), String> {
        self.policies.add(policy).map_err(|error| error.to_string())
    }

    /// Asks the authorizer. What cannot be asked or computed is not allowed.
    pub(super) fn ask(&self, who: Who, action: Action, target: Target) -> Answer {
        let Ok((request, entities)) = self.question(who, action, target) else {
            // The schema knows no such question: an action that keys never have.
            return Answer::default();
        };
        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        let reasons = response.diagnostics().reason();
        let failed = response.diagnostics().errors().next().map(|error| {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            (error.policy_id().to_string(), error.inner().to_string())
        });
        Answer {
            allowed: response.decision() == Decision::Allow && failed.is_none(),
            because: reasons.map(ToString::to_string).collect(),
            failed,
        }
    }

    fn question(
        &self,
        who: Who,
        action: Action,
        target: Target,
    ) -> Result<(Request, Entities), Box<dyn std::error::Error>> {
        let (kind, roles, all_tenants) = match who {
            Who::User { roles, all_tenants } => ("User", roles, all_tenants),
            Who::Key { all_tenants } => ("Key", super::RoleSet::default(), all_tenants),
        };
        let mut parents = HashSet::new();
        for role in Role::ALL.iter().filter(|role| roles.has(**role)) {
            parents.insert(uid("Role", role.as_str())?);
        }
        let attributes = HashMap::from([(
            "all_tenants".to_owned(),
            RestrictedExpression::new_bool(all_tenants),
        )]);
        let principal = uid(kind, "who-asks")?;
        let entity = Entity::new(principal.clone(), attributes, parents)?;
        let whose = match target {
            Target::Own => "own",
            Target::Other => "other",
        };
        let request = Request::new(
            principal,
            uid("Action", action.as_str())?,
            uid("Tenant", whose)?,
            Context::empty(),
            Some(&self.schema),
        )?;
        let entities = Entities::from_entities([entity], Some(&self.schema))?;
        Ok((request, entities))
    }
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, cedar_policy::ParseErrors> {
    let kind: EntityTypeName = kind.parse()?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}
