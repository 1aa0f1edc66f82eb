//! What stands around a page's body: navigation, breadcrumbs, tabs, the controls of the head.

use crate::component::Seal;
use crate::flash::Flash;
use crate::markup::Markup;
use crate::range::{Preset, TimeRange};
use crate::theme::Theme;
use crate::url::PageUrl;

/// A heading of the navigation, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// What stands above the headings, such as today's page.
    Top,
    /// Billing, cost, carbon.
    Account,
    /// Detection, data protection, supply chain.
    Protect,
    /// Delivery, failover, chaos.
    Release,
    /// Evidence, AI Act, trust center, ledger.
    Prove,
    /// Onboarding.
    Customers,
    /// Users, keys, jobs: the installation itself.
    System,
}

impl Group {
    /// The heading; empty for [`Group::Top`], which has none.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Top => "",
            Self::Account => "Account",
            Self::Protect => "Protect",
            Self::Release => "Release",
            Self::Prove => "Prove",
            Self::Customers => "Customers",
            Self::System => "System",
        }
    }
}

/// One line of the navigation. A system registers one for each page that it really has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NavItem {
    /// Under which heading it stands.
    pub group: Group,
    /// Its words.
    pub label: String,
    /// Its page; every path below it counts as the same place.
    pub href: String,
    /// What waits there, with its words for those who hear the page (`3`, `open alerts`).
    pub count: Option<(u64, String)>,
}

impl NavItem {
    /// A line with nothing waiting.
    #[must_use]
    pub fn new(group: Group, label: &str, href: &str) -> Self {
        Self {
            group,
            label: label.to_owned(),
            href: href.to_owned(),
            count: None,
        }
    }

    /// Says how much waits there. Zero shows nothing.
    #[must_use]
    pub fn count(mut self, count: u64, words: &str) -> Self {
        self.count = (count > 0).then(|| (count, words.to_owned()));
        self
    }
}

/// The navigation: the lines that the systems registered, by group in a fixed order and within
/// a group in the order of registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nav {
    items: Vec<NavItem>,
}

/// A heading of the navigation with its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NavSection<'a> {
    /// The heading, or empty.
    pub label: &'static str,
    /// Its lines.
    pub items: Vec<NavLine<'a>>,
}

/// A line of the navigation as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NavLine<'a> {
    /// The line.
    pub item: &'a NavItem,
    /// Where it leads, with the tenant and span of time of the page it stands on.
    pub href: String,
    /// True on the page itself and all below it.
    pub current: bool,
}

impl Nav {
    /// No line yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line.
    #[must_use]
    pub fn item(mut self, item: NavItem) -> Self {
        self.push(item);
        self
    }

    /// Adds a line.
    pub fn push(&mut self, item: NavItem) {
        self.items.push(item);
    }

    /// Every line, as registered.
    #[must_use]
    pub fn items(&self) -> &[NavItem] {
        &self.items
    }

    /// The lines by group, as seen from a page. The longest registered path that the page lies
    /// under is the current one, so that `/console` is not current on `/console/billing`.
    #[must_use]
    pub fn sections(&self, url: &PageUrl) -> Vec<NavSection<'_>> {
        let current = self
            .items
            .iter()
            .map(|i| i.href.as_str())
            .filter(|href| lies_under(url.path(), href))
            .max_by_key(|href| href.len());
        let mut groups: Vec<Group> = self.items.iter().map(|i| i.group).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
            .into_iter()
            .map(|group| NavSection {
                label: group.label(),
                items: self
                    .items
                    .iter()
                    .filter(|i| i.group == group)
                    .map(|item| NavLine {
                        item,
                        href: url.carry(&item.href).to_string(),
                        current: current == Some(item.href.as_str()),
                    })
                    .collect(),
            })
            .collect()
    }
}

fn lies_under(path: &str, href: &str) -> bool {
    path == href
        || path
            .strip_prefix(href)
            .is_some_and(|rest| href.ends_with('/') || rest.starts_with('/'))
}

/// A step of the way to the page. The last one is the page itself and has no link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crumb {
    /// Its words.
    pub label: String,
    /// Its page.
    pub href: Option<String>,
    /// True for an id, which is set in monospace.
    pub mono: bool,
}

impl Crumb {
    /// A step that leads somewhere.
    #[must_use]
    pub fn link(label: &str, href: &str) -> Self {
        Self {
            label: label.to_owned(),
            href: Some(href.to_owned()),
            mono: false,
        }
    }

    /// The page itself.
    #[must_use]
    pub fn here(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            href: None,
            mono: false,
        }
    }

    /// The page itself, named by an id.
    #[must_use]
    pub fn id(id: &str) -> Self {
        Self {
            label: crate::format::shorten(id, 10),
            href: None,
            mono: true,
        }
    }
}

/// A sibling of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tab {
    /// Its words.
    pub label: String,
    /// Its page.
    pub href: String,
    /// True for the page that is shown.
    pub current: bool,
}

impl Tab {
    /// The tabs of a system as seen from a page; the one that the page lies under is current.
    #[must_use]
    pub fn row(url: &PageUrl, tabs: &[(&str, &str)]) -> Vec<Self> {
        let current = tabs
            .iter()
            .map(|(_, href)| *href)
            .filter(|href| lies_under(url.path(), href))
            .max_by_key(|href| href.len());
        tabs.iter()
            .map(|(label, href)| Self {
                label: (*label).to_owned(),
                href: url.carry(href).to_string(),
                current: current == Some(*href),
            })
            .collect()
    }
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name that is shown.
    pub name: String,
    /// The role in words, e.g. `operator`.
    pub role: String,
}

/// The tenants that the user may look at, and the one that is chosen (`tenant` in the address).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantMenu {
    /// Id and name, in the order of the list. Above a few hundred the menu asks for the id
    /// instead of listing them.
    pub tenants: Vec<(String, String)>,
    /// The id that is chosen; none means all of them.
    pub chosen: Option<String>,
    /// True when a page without a tenant chosen shows all of them together.
    pub all: bool,
}

/// From how many tenants on the menu is a field with suggestions rather than a list of links.
pub const LISTED_TENANTS: usize = 60;

impl TenantMenu {
    /// What the control says.
    #[must_use]
    pub fn label(&self) -> &str {
        match &self.chosen {
            None if self.all => "All tenants",
            None => "Choose a tenant",
            Some(id) => self
                .tenants
                .iter()
                .find(|(i, _)| i == id)
                .map_or(id, |(_, name)| name),
        }
    }

    /// True when the menu lists its tenants as links.
    #[must_use]
    pub fn listed(&self) -> bool {
        self.tenants.len() <= LISTED_TENANTS
    }

    /// True for the tenant that is chosen.
    #[must_use]
    pub fn is_chosen(&self, id: &str) -> bool {
        self.chosen.as_deref() == Some(id)
    }
}

/// A button of the page's head: a POST with the CSRF token, or a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Its words; a step that asks further ends with an ellipsis.
    pub label: String,
    /// Where it leads or posts to.
    pub href: String,
    /// True to post, false to follow.
    pub post: bool,
    /// True for the one primary button of a page.
    pub primary: bool,
    /// Fields that are posted with it.
    pub fields: Vec<(String, String)>,
}

impl Action {
    /// A button that changes something.
    #[must_use]
    pub fn post(label: &str, href: &str) -> Self {
        Self {
            label: label.to_owned(),
            href: href.to_owned(),
            post: true,
            primary: false,
            fields: Vec::new(),
        }
    }

    /// A button that leads to another page.
    #[must_use]
    pub fn link(label: &str, href: &str) -> Self {
        Self {
            post: false,
            ..Self::post(label, href)
        }
    }

    /// Makes it the page's one primary button.
    #[must_use]
    pub fn primary(mut self) -> Self {
        self.primary = true;
        self
    }

    /// Posts a field with it.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Everything around a page's body. Make one for a request, then name the page's own parts.
#[derive(Clone, Debug, Default)]
pub struct Chrome {
    /// The page's address.
    pub url: PageUrl,
    /// What may be gone to.
    pub nav: Nav,
    /// Who looks; none on pages that need no session.
    pub user: Option<User>,
    /// The session's CSRF token, written as `csrf` into every form that posts.
    pub csrf: String,
    /// The theme that was remembered.
    pub theme: Theme,
    /// The way to the page.
    pub crumbs: Vec<Crumb>,
    /// Its siblings.
    pub tabs: Vec<Tab>,
    /// The tenant control, when the page has one.
    pub tenants: Option<TenantMenu>,
    /// The time control, when the page has one.
    pub range: Option<TimeRange>,
    /// What just happened.
    pub flashes: Vec<Flash>,
    /// A badge before the heading.
    pub badge: Option<crate::component::Badge>,
    /// The seal behind the heading.
    pub seal: Option<Seal>,
    /// A sentence under the heading.
    pub lead: Markup,
    /// The buttons beside the heading.
    pub actions: Vec<Action>,
    /// True to show the page's title as a visible heading; otherwise it is there for those who
    /// hear the page, and the breadcrumbs show it.
    pub heading: bool,
    /// Where the sign-out form posts to.
    pub logout: String,
}

impl Chrome {
    /// The frame for an address, with nobody signed in.
    #[must_use]
    pub fn new(url: PageUrl, nav: Nav) -> Self {
        Self {
            url,
            nav,
            logout: "/console/logout".to_owned(),
            ..Self::default()
        }
    }

    /// Names who is signed in and the session's CSRF token.
    #[must_use]
    pub fn user(mut self, name: &str, role: &str, csrf: &str) -> Self {
        self.user = Some(User {
            name: name.to_owned(),
            role: role.to_owned(),
        });
        csrf.clone_into(&mut self.csrf);
        self
    }

    /// Names the theme.
    #[must_use]
    pub fn theme(mut self, theme: Theme) -> Self {
        self.theme = theme;
        self
    }

    /// Names the way to the page.
    #[must_use]
    pub fn crumbs(mut self, crumbs: Vec<Crumb>) -> Self {
        self.crumbs = crumbs;
        self
    }

    /// Names the page's siblings.
    #[must_use]
    pub fn tabs(mut self, tabs: &[(&str, &str)]) -> Self {
        self.tabs = Tab::row(&self.url, tabs);
        self
    }

    /// Shows the tenant control.
    #[must_use]
    pub fn tenants(mut self, menu: TenantMenu) -> Self {
        self.tenants = Some(menu);
        self
    }

    /// Shows the time control.
    #[must_use]
    pub fn range(mut self, range: TimeRange) -> Self {
        self.range = Some(range);
        self
    }

    /// Says what just happened.
    #[must_use]
    pub fn flash(mut self, flash: Option<Flash>) -> Self {
        self.flashes.extend(flash);
        self
    }

    /// Shows the title as a heading, with a sentence under it.
    #[must_use]
    pub fn lead(mut self, lead: impl Into<Markup>) -> Self {
        self.heading = true;
        self.lead = lead.into();
        self
    }

    /// Puts a badge before the heading.
    #[must_use]
    pub fn badge(mut self, badge: crate::component::Badge) -> Self {
        self.heading = true;
        self.badge = Some(badge);
        self
    }

    /// Puts a seal behind the heading.
    #[must_use]
    pub fn seal(mut self, seal: Seal) -> Self {
        self.heading = true;
        self.seal = Some(seal);
        self
    }

    /// Adds a button beside the heading.
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.heading = true;
        self.actions.push(action);
        self
    }

    pub(crate) fn sections(&self) -> Vec<NavSection<'_>> {
        self.nav.sections(&self.url)
    }

    /// The address with another tenant; a cursor belongs to one result and goes.
    pub(crate) fn tenant_href(&self, id: &str) -> String {
        let url = self.url.without_all(&["cursor", "tenant"]);
        if id.is_empty() {
            url.to_string()
        } else {
            url.with("tenant", id).to_string()
        }
    }

    pub(crate) fn presets(&self) -> Vec<(&'static str, String, bool)> {
        let chosen = self.range.as_ref().and_then(|r| r.preset);
        let url = self.url.without_all(&["cursor", "from", "to"]);
        Preset::ALL
            .into_iter()
            .map(|p| {
                (
                    p.label(),
                    url.with("range", p.key()).to_string(),
                    chosen == Some(p),
                )
            })
            .collect()
    }

    /// The parameters that a form of the head carries along, without those it sets itself.
    pub(crate) fn carried(&self, own: &[&str]) -> Vec<(String, String)> {
        self.url
            .pairs()
            .iter()
            .filter(|(k, _)| k != "cursor" && !own.contains(&k.as_str()))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nav() -> Nav {
        Nav::new()
            .item(NavItem::new(Group::Prove, "Ledger", "/console/ledger"))
            .item(NavItem::new(Group::Top, "Today", "/console"))
            .item(NavItem::new(Group::Account, "Billing", "/console/billing"))
    }

    #[test]
    fn groups_come_in_their_order_and_only_what_exists() {
        let nav = nav();
        let sections = nav.sections(&PageUrl::parse("/console"));
        let labels: Vec<_> = sections.iter().map(|s| s.label).collect();
        assert_eq!(labels, ["", "Account", "Prove"]);
    }

    #[test]
    fn one_line_is_current() {
        let nav = nav();
        let current = |path: &str| {
            let sections = nav.sections(&PageUrl::parse(path));
            let found: Vec<_> = sections
                .iter()
                .flat_map(|s| &s.items)
                .filter(|l| l.current)
                .map(|l| l.item.label.clone())
                .collect();
            found.join(",")
        };
        assert_eq!(current("/console"), "Today");
        assert_eq!(current("/console/billing/invoices"), "Billing");
        assert_eq!(current("/console/billings"), "Today");
        assert_eq!(current("/login"), "");
    }

    #[test]
    fn choosing_a_tenant_drops_the_cursor() {
        let chrome = Chrome::new(PageUrl::parse("/p?cursor=x&sort=a&tenant=ten_1"), nav());
        assert_eq!(chrome.tenant_href("ten_2"), "/p?sort=a&tenant=ten_2");
        assert_eq!(chrome.tenant_href(""), "/p?sort=a");
    }
}
