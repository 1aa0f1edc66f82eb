//! The small parts: badge, bar, definitions, command, empty state, panel, live region.

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::markup::{Markup, escaped};

/// How something stands. It always comes with a word; colour alone says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// No judgement.
    #[default]
    Neutral,
    /// Proven, within limits, done.
    Good,
    /// Needs to be looked at.
    Warn,
    /// Failed, over a limit, stopped.
    Bad,
    /// Worth knowing.
    Info,
}

impl Tone {
    /// The name in classes and cookies.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Info => "info",
        }
    }

    /// The tone of a name.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        [Self::Neutral, Self::Good, Self::Warn, Self::Bad, Self::Info]
            .into_iter()
            .find(|t| t.key() == key)
    }

    /// The word that goes before a message.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Neutral | Self::Info => "Note:",
            Self::Good => "Done:",
            Self::Warn => "Warning:",
            Self::Bad => "Failed:",
        }
    }
}

/// A state in a word or two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Badge {
    /// How it stands.
    pub tone: Tone,
    /// The state.
    pub text: String,
}

impl Badge {
    /// A state.
    #[must_use]
    pub fn new(tone: Tone, text: &str) -> Self {
        Self {
            tone,
            text: text.to_owned(),
        }
    }
}

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<span class=\"badge tone-{}\">{}</span>",
            self.tone.key(),
            escaped(&self.text)
        )
    }
}

impl HtmlSafe for Badge {}

/// A share of a whole as a bar, with the words beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The share: 0 is empty, 1 and above is full.
    pub share: Decimal,
    /// How it stands.
    pub tone: Tone,
    /// What stands beside it, e.g. `94 %`.
    pub text: String,
}

impl Bar {
    /// A share, written as a whole percentage.
    #[must_use]
    pub fn new(share: Decimal, tone: Tone) -> Self {
        Self {
            share,
            tone,
            text: crate::format::percent(share, 0),
        }
    }

    /// Full width of the drawing in px.
    const WIDTH: f64 = 84.0;

    fn filled(&self) -> f64 {
        let share = self.share.to_f64().unwrap_or(0.0).clamp(0.0, 1.0);
        (share * Self::WIDTH * 10.0).round() / 10.0
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<span class=\"bar tone-{}\"><svg width=\"84\" height=\"6\" aria-hidden=\"true\" \
             focusable=\"false\"><rect class=\"bar-all\" width=\"84\" height=\"6\" rx=\"3\"/>\
             <rect class=\"bar-part\" width=\"{}\" height=\"6\" rx=\"3\"/></svg>\
             <span class=\"bar-text\">{}</span></span>",
            self.tone.key(),
            self.filled(),
            escaped(&self.text)
        )
    }
}

impl HtmlSafe for Bar {}

/// Names and what they mean here.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "component/definitions.html")]
pub struct Definitions {
    items: Vec<(String, Markup)>,
}

impl HtmlSafe for Definitions {}

impl Definitions {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    #[must_use]
    pub fn item(mut self, name: &str, value: impl Into<Markup>) -> Self {
        self.items.push((name.to_owned(), value.into()));
        self
    }

    /// Adds one that is not known.
    #[must_use]
    pub fn unknown(self, name: &str) -> Self {
        let unknown = Markup::trusted("<span class=\"unknown\">unknown</span>".to_owned());
        self.item(name, unknown)
    }
}

/// A command or a piece of code, with a button that copies it where there is script.
#[derive(Clone, Debug, Template)]
#[template(path = "component/command.html")]
pub struct Command {
    text: String,
    label: String,
}

impl HtmlSafe for Command {}

impl Command {
    /// A command. `label` names it for those who hear the page (`Command that verifies it`).
    #[must_use]
    pub fn new(label: &str, text: &str) -> Self {
        Self {
            text: text.to_owned(),
            label: label.to_owned(),
        }
    }
}

/// What an empty list says: why it is empty, and what to do next.
#[derive(Clone, Debug, Template)]
#[template(path = "component/empty.html")]
pub struct Empty {
    text: String,
    next: Markup,
    command: Option<Command>,
}

impl HtmlSafe for Empty {}

impl Empty {
    /// Says why, and what to do.
    #[must_use]
    pub fn new(text: &str, next: impl Into<Markup>) -> Self {
        Self {
            text: text.to_owned(),
            next: next.into(),
            command: None,
        }
    }

    /// Gives the command that does it.
    #[must_use]
    pub fn command(mut self, text: &str) -> Self {
        self.command = Some(Command::new("Command for the next step", text));
        self
    }
}

/// A card with a heading, a note beside it and a body.
#[derive(Clone, Debug, Template)]
#[template(path = "component/panel.html")]
pub struct Panel {
    title: String,
    note: Markup,
    body: Markup,
    flush: bool,
}

impl HtmlSafe for Panel {}

impl Panel {
    /// A card around a component.
    #[must_use]
    pub fn new(title: &str, body: &impl HtmlSafe) -> Self {
        Self {
            title: title.to_owned(),
            note: Markup::new(),
            body: Markup::of(body),
            flush: false,
        }
    }

    /// What stands at the right of the heading.
    #[must_use]
    pub fn note(mut self, note: impl Into<Markup>) -> Self {
        self.note = note.into();
        self
    }

    /// Lets the body reach the edges, as definitions and lists of rows do.
    #[must_use]
    pub fn flush(mut self) -> Self {
        self.flush = true;
        self
    }
}

/// A part of a page that is fetched again while the page is open. The reader can pause it
/// (WCAG 2.2, 2.2.2); without script the part stays as it was.
#[derive(Clone, Debug, Template)]
#[template(path = "component/live.html")]
pub struct Live {
    id: String,
    href: String,
    seconds: u32,
    body: Markup,
}

impl HtmlSafe for Live {}

impl Live {
    /// A part with its id, the address that answers with its [`crate::Fragment`], and how often
    /// to ask, in seconds (at least 5). `body` is what it shows now.
    #[must_use]
    pub fn new(id: &str, href: &str, seconds: u32, body: &impl HtmlSafe) -> Self {
        Self {
            id: id.to_owned(),
            href: href.to_owned(),
            seconds: seconds.max(5),
            body: Markup::of(body),
        }
    }
}
