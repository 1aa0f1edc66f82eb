//! The console's frame: layout, assets, tables, charts, the seal.
//!
//! Pages are rendered on the server and usable without script and with a keyboard. A system
//! gives the body of its page (any [`askama::Template`]) and a [`Chrome`] (who looks, where,
//! which tenant and which span of time), and answers with a [`Page`]. The components in
//! [`component`] and [`chart`] print themselves unescaped inside other templates
//! (`{{ table }}`), so a body is mostly a list of them.
//!
//! Architecture invariant: no inline script and no inline style anywhere, because the policy
//! in [`headers`] forbids both; what a script would do has a way without it. This crate knows
//! no system, holds no SQL and reads no clock: the moment `now` is always given.

pub mod assets;
pub mod chart;
pub mod chrome;
pub mod commands;
pub mod component;
pub mod flash;
pub mod format;
pub mod headers;
pub mod markup;
pub mod page;
pub mod range;
pub mod source;
pub mod theme;
pub mod url;

pub use askama::filters::HtmlSafe;
pub use chrome::{Chrome, Crumb, Group, Nav, NavItem, Tab, TenantMenu, User};
pub use flash::Flash;
pub use markup::Markup;
pub use page::{Fragment, Page, PlainPage, ProblemPage};
pub use range::TimeRange;
pub use source::{ChromeSource, Viewer};
pub use theme::Theme;
pub use url::PageUrl;
