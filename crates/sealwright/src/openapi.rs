//! What every operation of the HTTP interface has in common, said once: credentials and problems.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, Schema};

/// What is answered without credentials.
const OPEN: [(&str, &str); 2] = [
    ("/api/billing/health", "get"),
    ("/api/access/sessions", "post"),
];

const PROBLEM: &str = "application/problem+json";

/// Adds the credentials, the form of problems, and to each operation the answers that any of them may give.
pub(crate) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("swk_…")
        .description(Some("An API key"))
        .build();
    components.add_security_scheme("key", SecurityScheme::Http(key));
    let session = ApiKeyValue::with_description(
        "sealwright_session",
        "A session of the console. Requests that change something need the header `x-csrf-token`, too",
    );
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    components
        .schemas
        .insert("Problem".to_owned(), RefOr::T(problem()));
    document.security = Some(vec![requirement("key"), requirement("session")]);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete_operation(operation, OPEN.contains(&(path.as_str(), method)));
        }
    }
}

fn requirement(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new::<_, [&str; 0], &str>(scheme, [])
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", item.get.as_mut()),
        ("put", item.put.as_mut()),
        ("post", item.post.as_mut()),
        ("delete", item.delete.as_mut()),
        ("patch", item.patch.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation?)))
}

fn complete_operation(operation: &mut Operation, open: bool) {
    let answers = &mut operation.responses.responses;
    let mut add = |status: &str, meaning: &str| {
        answers
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(Response::new(meaning)));
    };
    add("default", "Any other problem");
    if open {
        operation.security = Some(Vec::new());
    } else {
        add("401", "No valid credentials");
        add("403", "The credentials do not include this");
    }
    for (status, answer) in answers {
        let RefOr::T(answer) = answer else { continue };
        if (status.starts_with(['4', '5']) || status == "default") && answer.content.is_empty() {
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("Problem")))
                .build();
            answer.content.insert(PROBLEM.to_owned(), RefOr::T(content));
        }
        if answer.description.is_empty() {
            answer.description = meaning(status).to_owned();
        }
    }
}

/// What a status says where the operation itself says no more.
fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "Done",
        "201" => "Created",
        "202" => "Accepted",
        "204" => "Done; there is nothing to show",
        "400" => "The request is malformed",
        "401" => "No valid credentials",
        "403" => "The credentials do not include this",
        "404" => "Not there, or not visible with these credentials",
        "409" => "The present state does not admit this",
        "412" => "Changed since it was read",
        "422" => "The content is not valid",
        "428" => "If-Match is needed",
        "429" => "Too many attempts; Retry-After says when to come again",
        "503" => "Not available now; nothing was changed",
        _ => "See the status code",
    }
}

/// RFC 9457; further members say where.
fn problem() -> Schema {
    let text = |meaning: &str| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(meaning))
    };
    let status = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("The HTTP status code"));
    Schema::Object(
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("A problem (RFC 9457)"))
            .property(
                "type",
                text("The stable name of the kind of problem, `urn:sealwright:problem:…`"),
            )
            .property("title", text("What the kind means"))
            .property("status", status)
            .property(
                "detail",
                text("What is wrong this time, where, and what to do"),
            )
            .required("type")
            .required("title")
            .required("status")
            .required("detail")
            .build(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_says_who_may_ask_and_what_a_problem_looks_like() {
        let document = crate::systems::openapi();
        let value = serde_json::to_value(&document).unwrap();
        let mut open = Vec::new();
        for (path, methods) in value["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let answers = operation["responses"].as_object().unwrap();
                for (status, answer) in answers {
                    let said = answer["description"].as_str().unwrap();
                    assert!(!said.is_empty(), "{method} {path} {status} says nothing");
                }
                let problem = &answers["default"]["content"][PROBLEM]["schema"]["$ref"];
                assert_eq!(problem, "#/components/schemas/Problem", "{method} {path}");
                if operation["security"] == serde_json::json!([]) {
                    open.push((path.as_str(), method.as_str()));
                } else {
                    assert!(answers.contains_key("401"), "{method} {path}");
                }
            }
        }
        open.sort_unstable();
        let mut expected = OPEN;
        expected.sort_unstable();
        assert_eq!(open, expected);
    }

    #[test]
    fn a_name_of_the_document_means_one_thing() {
        // Merged documents keep the first of two schemas of one name, and say nothing.
        let (mut known, mut twice) = (std::collections::BTreeMap::new(), Vec::new());
        for part in crate::systems::documents() {
            let value = serde_json::to_value(&part).unwrap();
            for (name, schema) in value["components"]["schemas"]
                .as_object()
                .into_iter()
                .flatten()
            {
                let before = known.insert(name.clone(), schema.clone());
                if before.is_some_and(|before| before != *schema) {
                    twice.push(name.clone());
                }
            }
        }
        assert_eq!(twice, Vec::<String>::new(), "two things each");
    }
}
