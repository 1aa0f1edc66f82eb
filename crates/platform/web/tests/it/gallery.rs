//! What must hold on every page, shown on the gallery's.

use std::collections::HashSet;

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::http::call;
use crate::pages;

const PATHS: [&str; 8] = [
    "/console/gallery",
    "/console/gallery?sort=-spend&tenant=ten_x&range=last-month&q=a",
    "/console/gallery/alert",
    "/console/gallery/forms",
    "/console/gallery/empty",
    "/console/gallery/problem",
    "/console/gallery/sign-in",
    "/console/commands?q=over",
];

async fn page(path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (status, _, body) = call(pages::router(), request).await;
    (status, body)
}

/// The values of an attribute, in order.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    html.split(start.as_str())
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

#[tokio::test]
async fn nothing_is_inline() {
    for path in PATHS {
        let (_, html) = page(path).await;
        assert!(
            !html.contains(" style=") && !html.contains("<style"),
            "{path}: style"
        );
        for tag in html.split("<script").skip(1) {
            assert!(tag.starts_with(" src=\"/assets/"), "{path}: script");
        }
        for event in ["onclick", "onchange", "onload", "onsubmit", "hx-on"] {
            assert!(!html.contains(&format!(" {event}")), "{path}: {event}");
        }
    }
}

#[tokio::test]
async fn ids_are_unique_and_references_lead_somewhere() {
    for path in PATHS {
        let (_, html) = page(path).await;
        let ids = values(&html, "id");
        let set: HashSet<_> = ids.iter().copied().collect();
        assert_eq!(ids.len(), set.len(), "{path}: an id occurs twice");
        for attribute in [
            "popovertarget",
            "aria-labelledby",
            "aria-describedby",
            "for",
            "list",
        ] {
            for id in values(&html, attribute)
                .into_iter()
                .flat_map(str::split_whitespace)
            {
                assert!(set.contains(id), "{path}: {attribute}={id}");
            }
        }
    }
}

#[tokio::test]
async fn every_page_has_one_heading_and_every_post_a_token() {
    for path in PATHS {
        let (_, html) = page(path).await;
        assert_eq!(html.matches("<h1").count(), 1, "{path}");
        for form in html.split("<form").skip(1) {
            let form = form.split("</form>").next().unwrap();
            // Signing in has no session yet; the theme is no state of the server.
            let free = ["/console/theme", "/console/login"];
            let exempt = free
                .iter()
                .any(|a| form.contains(&format!("action=\"{a}\"")));
            if form.contains("method=\"post\"") && !exempt {
                assert!(form.contains("name=\"csrf\""), "{path}: {form}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_range_is_a_page_that_says_what_to_write() {
    let (status, html) = page("/console/gallery?range=1y").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(html.contains("use one of 24h, 7d"));
}

#[tokio::test]
async fn the_table_can_be_had_as_csv_with_the_same_filter() {
    let (status, csv) = page("/console/gallery?q=acme&format=csv&table=tenants").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(csv.lines().count(), 2);
    assert!(csv.contains("acme-corp,Enterprise,eu-west-1,"));
}
