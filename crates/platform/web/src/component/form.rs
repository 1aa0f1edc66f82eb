//! Forms: labelled fields with hints and errors.

use askama::Template;
use askama::filters::HtmlSafe;

/// An option of a choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
}

/// What a field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// One line; the string is the HTML type (`text`, `email`, `password`, `number`, `date`, `url`).
    Line(&'static str),
    /// Several lines.
    Text {
        /// Height in lines.
        rows: u32,
    },
    /// One of several.
    Select(Vec<Choice>),
    /// Yes or no. The value `on` means yes.
    Check,
    /// A file.
    File {
        /// Accepted types, e.g. `.csv,.json`.
        accept: String,
    },
}

/// A field with its label, a hint and what was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: String,
    label: String,
    kind: FieldKind,
    value: String,
    hint: String,
    error: String,
    required: bool,
    autocomplete: &'static str,
    mono: bool,
}

impl Field {
    /// A field of any kind.
    #[must_use]
    pub fn new(name: &str, label: &str, kind: FieldKind) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            kind,
            value: String::new(),
            hint: String::new(),
            error: String::new(),
            required: false,
            autocomplete: "off",
            mono: false,
        }
    }

    /// One line of text.
    #[must_use]
    pub fn text(name: &str, label: &str) -> Self {
        Self::new(name, label, FieldKind::Line("text"))
    }

    /// A password. `autocomplete` is `current-password` or `new-password`, so that password
    /// managers help (WCAG 2.2, 3.3.8).
    #[must_use]
    pub fn password(name: &str, label: &str, autocomplete: &'static str) -> Self {
        Self::new(name, label, FieldKind::Line("password")).autocomplete(autocomplete)
    }

    /// One of several values.
    #[must_use]
    pub fn select(name: &str, label: &str, choices: &[(&str, &str)]) -> Self {
        let choices = choices
            .iter()
            .map(|(v, l)| Choice {
                value: (*v).to_owned(),
                label: (*l).to_owned(),
            })
            .collect();
        Self::new(name, label, FieldKind::Select(choices))
    }

    /// What it holds. A password is never sent back.
    #[must_use]
    pub fn value(mut self, value: &str) -> Self {
        if self.kind != FieldKind::Line("password") {
            value.clone_into(&mut self.value);
        }
        self
    }

    /// What helps to fill it.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        hint.clone_into(&mut self.hint);
        self
    }

    /// What was wrong with it: what, and what to write instead.
    #[must_use]
    pub fn error(mut self, error: &str) -> Self {
        error.clone_into(&mut self.error);
        self
    }

    /// Must be filled.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The token of HTML's `autocomplete`.
    #[must_use]
    pub fn autocomplete(mut self, token: &'static str) -> Self {
        self.autocomplete = token;
        self
    }

    /// Holds an id, a key or code.
    #[must_use]
    pub fn mono(mut self) -> Self {
        self.mono = true;
        self
    }

    fn described_by(&self) -> String {
        let mut ids = Vec::new();
        if !self.hint.is_empty() {
            ids.push(format!("f-{}-hint", self.name));
        }
        if !self.error.is_empty() {
            ids.push(format!("f-{}-error", self.name));
        }
        ids.join(" ")
    }
}

/// A form that posts with the session's CSRF token (field `csrf`). With errors it begins with
/// a summary that leads to the fields.
#[derive(Clone, Debug, Template)]
#[template(path = "component/form.html")]
pub struct Form {
    action: String,
    csrf: String,
    submit: String,
    fields: Vec<Field>,
    hidden: Vec<(String, String)>,
    cancel: Option<String>,
    multipart: bool,
    danger: bool,
}

impl HtmlSafe for Form {}

impl Form {
    /// A form: where it posts to, the session's token (empty where there is no session), and
    /// the words of its button.
    #[must_use]
    pub fn new(action: &str, csrf: &str, submit: &str) -> Self {
        Self {
            action: action.to_owned(),
            csrf: csrf.to_owned(),
            submit: submit.to_owned(),
            fields: Vec::new(),
            hidden: Vec::new(),
            cancel: None,
            multipart: false,
            danger: false,
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.multipart |= matches!(field.kind, FieldKind::File { .. });
        self.fields.push(field);
        self
    }

    /// Adds a value that is sent along.
    #[must_use]
    pub fn hidden(mut self, name: &str, value: &str) -> Self {
        self.hidden.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where to go instead.
    #[must_use]
    pub fn cancel(mut self, href: &str) -> Self {
        self.cancel = Some(href.to_owned());
        self
    }

    /// Its button deletes or stops something.
    #[must_use]
    pub fn danger(mut self) -> Self {
        self.danger = true;
        self
    }

    fn summary(&self) -> ErrorSummary {
        ErrorSummary {
            errors: self
                .fields
                .iter()
                .filter(|f| !f.error.is_empty())
                .map(|f| (f.name.clone(), format!("{}: {}", f.label, f.error)))
                .collect(),
        }
    }
}

/// What is wrong with a form, with links to the fields.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "component/errors.html")]
pub struct ErrorSummary {
    errors: Vec<(String, String)>,
}

impl HtmlSafe for ErrorSummary {}

impl ErrorSummary {
    /// Errors by the name of their field.
    #[must_use]
    pub fn new(errors: Vec<(String, String)>) -> Self {
        Self { errors }
    }
}
