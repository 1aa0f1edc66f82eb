//! The command palette's list: every page that can be gone to, as a page of its own.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::chrome::Chrome;

/// Where the palette's list is served. The frame links to it.
pub const PATH: &str = "/console/commands";

/// Something to go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its words.
    pub label: String,
    /// Where it belongs, e.g. `Billing`.
    pub group: String,
    /// Its page.
    pub href: String,
}

impl Command {
    /// A command.
    #[must_use]
    pub fn new(group: &str, label: &str, href: &str) -> Self {
        Self {
            label: label.to_owned(),
            group: group.to_owned(),
            href: href.to_owned(),
        }
    }
}

/// The list, filtered by `q` of the address. Serve it at [`PATH`]: as a [`crate::Page`] for a
/// person, as a [`crate::Fragment`] when htmx or the palette's script asks.
#[derive(Debug, Template)]
#[template(path = "commands.html")]
pub struct Commands {
    query: String,
    found: Vec<Command>,
}

impl HtmlSafe for Commands {}

impl Commands {
    /// The navigation's lines and what the systems add, filtered. All words of the query must
    /// occur in group or label, in any order and case.
    #[must_use]
    pub fn new(chrome: &Chrome, more: &[Command]) -> Self {
        let query = chrome.url.get("q").unwrap_or_default().to_owned();
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let nav = chrome.nav.items().iter().map(|item| {
            let group = match item.group.label() {
                "" => "Sealwright",
                label => label,
            };
            Command::new(group, &item.label, &item.href)
        });
        let found = nav
            .chain(more.iter().cloned())
            .filter(|c| {
                let text = format!("{} {}", c.group, c.label).to_lowercase();
                words.iter().all(|w| text.contains(w.as_str()))
            })
            .collect();
        Self { query, found }
    }

    /// What was found.
    #[must_use]
    pub fn found(&self) -> &[Command] {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chrome::{Group, Nav, NavItem};
    use crate::url::PageUrl;

    #[test]
    fn every_word_must_occur() {
        let nav = Nav::new().item(NavItem::new(Group::Account, "Billing", "/console/billing"));
        let chrome = Chrome::new(PageUrl::parse("/console/commands?q=inv+BILL"), nav);
        let more = [Command::new(
            "Billing",
            "Invoices",
            "/console/billing/invoices",
        )];
        let found = Commands::new(&chrome, &more);
        assert_eq!(found.found(), &more);
    }
}
