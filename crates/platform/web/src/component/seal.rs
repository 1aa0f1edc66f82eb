//! The seal: the small mark beside a figure that opens the chain of its proof.

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;

use crate::component::Command;
use crate::markup::Markup;

/// How far the proof of a figure has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SealState {
    /// Its entry is in a signed checkpoint.
    #[default]
    Proven,
    /// Its entry waits for the next checkpoint.
    Pending,
    /// Computed from what was recorded so far; nothing of it is sealed.
    Draft,
    /// The stored data and the ledger disagree.
    Broken,
}

impl SealState {
    fn key(self) -> &'static str {
        match self {
            Self::Proven => "good",
            Self::Pending | Self::Draft => "neutral",
            Self::Broken => "bad",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Proven => "Proven figure",
            Self::Pending => "Waits for the next checkpoint",
            Self::Draft => "Not sealed: a draft",
            Self::Broken => "Does not match the ledger",
        }
    }

    /// What the accessible name adds; a proven figure's mark is just "Proof of …".
    fn suffix(self) -> &'static str {
        match self {
            Self::Proven => "",
            Self::Pending => ", waits for the next checkpoint",
            Self::Draft => ", a draft, not sealed",
            Self::Broken => ", does not match the ledger",
        }
    }
}

/// A link of the chain: rated lines, metered events, ledger entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    title: String,
    detail: Markup,
    href: Option<String>,
}

impl Step {
    /// A link of the chain, with what it holds.
    #[must_use]
    pub fn new(title: &str, detail: impl Into<Markup>) -> Self {
        Self {
            title: title.to_owned(),
            detail: detail.into(),
            href: None,
        }
    }

    /// Where it can be looked at.
    #[must_use]
    pub fn href(mut self, href: &str) -> Self {
        self.href = Some(href.to_owned());
        self
    }
}

/// The chain of a proof, as it stands in the seal and on pages about one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    steps: Vec<Step>,
    events: Option<String>,
    file: Option<(String, Option<u64>)>,
    verify: Option<String>,
}

impl Chain {
    /// Empty; the steps follow from the figure down to the ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Where the events can be looked at.
    #[must_use]
    pub fn events(mut self, href: &str) -> Self {
        self.events = Some(href.to_owned());
        self
    }

    /// Where the file to verify offline can be had, and its size in bytes when it is known.
    #[must_use]
    pub fn file(mut self, href: &str, size: Option<u64>) -> Self {
        self.file = Some((href.to_owned(), size));
        self
    }

    /// The command that verifies the file.
    #[must_use]
    pub fn verify(mut self, command: &str) -> Self {
        self.verify = Some(command.to_owned());
        self
    }

    fn command(&self) -> Option<Command> {
        self.verify
            .as_deref()
            .map(|text| Command::new("Command that verifies it", text))
    }
}

#[derive(Template)]
#[template(path = "component/chain.html")]
struct ChainView<'a> {
    chain: &'a Chain,
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ChainView { chain: self }.fmt(f)
    }
}

impl HtmlSafe for Chain {}

/// The mark. With a chain it opens in place, without script; with an address alone (as in
/// long tables) it leads to a page that shows the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    name: String,
    state: SealState,
    target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Opens {
        id: String,
        figure: String,
        chain: Chain,
    },
    Leads(String),
}

impl Seal {
    /// A mark that opens in place. `id` is unique on the page; `name` completes "Proof of …";
    /// `figure` repeats what is proven (`€ 184,302.17 usage revenue, 1 – 22 Nov 2026`).
    #[must_use]
    pub fn opens(id: &str, name: &str, figure: &str, chain: Chain) -> Self {
        Self {
            name: name.to_owned(),
            state: SealState::Proven,
            target: Target::Opens {
                id: format!("proof-{id}"),
                figure: figure.to_owned(),
                chain,
            },
        }
    }

    /// A mark that leads to the page with the chain.
    #[must_use]
    pub fn leads(name: &str, href: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: SealState::Proven,
            target: Target::Leads(href.to_owned()),
        }
    }

    /// Says how far the proof has come.
    #[must_use]
    pub fn state(mut self, state: SealState) -> Self {
        self.state = state;
        self
    }
}

#[derive(Template)]
#[template(path = "component/seal.html")]
struct SealView<'a> {
    seal: &'a Seal,
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SealView { seal: self }.fmt(f)
    }
}

impl HtmlSafe for Seal {}
