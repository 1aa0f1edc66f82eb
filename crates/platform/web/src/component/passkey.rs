//! A form that a browser fills with a passkey.

use askama::Template;
use askama::filters::HtmlSafe;

use super::Form;
use crate::assets;

/// A form whose hidden field `credential` the script fills: it asks at `options` what is to be asked of the browser,
/// and sends the form with what the browser answers. Without script, or in a browser without passkeys, the form stays
/// hidden and other words stand there.
#[derive(Clone, Debug, Template)]
#[template(path = "component/passkey.html")]
pub struct PasskeyForm {
    options: String,
    makes: bool,
    form: Form,
    without: String,
}

impl HtmlSafe for PasskeyForm {}

impl PasskeyForm {
    /// A form that sends a new passkey.
    #[must_use]
    pub fn makes(options: &str, form: Form, without: &str) -> Self {
        Self::new(options, form, without, true)
    }

    /// A form that sends the proof of a passkey that is there.
    #[must_use]
    pub fn proves(options: &str, form: Form, without: &str) -> Self {
        Self::new(options, form, without, false)
    }

    fn new(options: &str, form: Form, without: &str, makes: bool) -> Self {
        Self {
            options: options.to_owned(),
            makes,
            form: form.hidden("credential", ""),
            without: without.to_owned(),
        }
    }
}
