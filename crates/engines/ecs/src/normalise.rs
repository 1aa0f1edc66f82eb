//! From an event of a source to an event of ECS.

use std::net::IpAddr;

use crate::beside;
use crate::convert::{self, Val, from_text, quoted};
use crate::derive::{constants, lookups, patterns};
use crate::geo::Geo;
use crate::json;
use crate::mapping::{Mapping, MappingError, glob};
use crate::render::{Envelope, wrap, write};
use crate::schema::{ECS_VERSION, FieldId, Schema, schema};
use crate::walk::{Found, Walk};
use crate::{MAX_BYTES, Refusal, address, time};

/// The mappings of this program: (file, text).
const BUILT_IN: &[(&str, &str)] = &[
    (
        "sealwright-usage.toml",
        include_str!("../mappings/sealwright-usage.toml"),
    ),
    (
        "sealwright-audit.toml",
        include_str!("../mappings/sealwright-audit.toml"),
    ),
    (
        "aws-cloudtrail.toml",
        include_str!("../mappings/aws-cloudtrail.toml"),
    ),
    (
        "okta-system.toml",
        include_str!("../mappings/okta-system.toml"),
    ),
    (
        "azure-signin.toml",
        include_str!("../mappings/azure-signin.toml"),
    ),
    (
        "azure-audit.toml",
        include_str!("../mappings/azure-audit.toml"),
    ),
    (
        "kubernetes-in-azure.toml",
        include_str!("../mappings/kubernetes-in-azure.toml"),
    ),
    (
        "azure-activity.toml",
        include_str!("../mappings/azure-activity.toml"),
    ),
    (
        "o365-audit.toml",
        include_str!("../mappings/o365-audit.toml"),
    ),
    (
        "github-audit.toml",
        include_str!("../mappings/github-audit.toml"),
    ),
    (
        "github-webhook.toml",
        include_str!("../mappings/github-webhook.toml"),
    ),
    (
        "google-workspace.toml",
        include_str!("../mappings/google-workspace.toml"),
    ),
    (
        "auth0-logs.toml",
        include_str!("../mappings/auth0-logs.toml"),
    ),
    (
        "kubernetes-audit.toml",
        include_str!("../mappings/kubernetes-audit.toml"),
    ),
    (
        "openai-audit.toml",
        include_str!("../mappings/openai-audit.toml"),
    ),
    (
        "openai-usage.toml",
        include_str!("../mappings/openai-usage.toml"),
    ),
    (
        "anthropic-activity.toml",
        include_str!("../mappings/anthropic-activity.toml"),
    ),
    (
        "anthropic-usage.toml",
        include_str!("../mappings/anthropic-usage.toml"),
    ),
    ("windows.toml", include_str!("../mappings/windows.toml")),
    (
        "nginx-json.toml",
        include_str!("../mappings/nginx-json.toml"),
    ),
    (
        "nginx-access.toml",
        include_str!("../mappings/nginx-access.toml"),
    ),
    (
        "nginx-error.toml",
        include_str!("../mappings/nginx-error.toml"),
    ),
    (
        "linux-auth.toml",
        include_str!("../mappings/linux-auth.toml"),
    ),
    ("ecs.toml", include_str!("../mappings/ecs.toml")),
    ("generic.toml", include_str!("../mappings/generic.toml")),
];

/// What is known about an event beside its text.
#[derive(Clone, Copy, Default)]
pub struct Context<'c> {
    /// The source, where it is known: the name of a mapping, one of its hints or a CloudEvents type.
    /// A hint that no mapping has is ignored.
    pub hint: Option<&'c str>,
    /// When the event was received, in microseconds since 1970 (UTC): its time when it states none,
    /// and the year of times without one.
    pub received: i64,
    /// Whose event it is.
    pub tenant: Option<&'c str>,
    /// Where addresses are.
    pub geo: Option<&'c dyn Geo>,
}

/// Which mapping an event took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(u16);

/// An event in ECS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event, one JSON object on one line.
    pub json: String,
    /// Its time in microseconds since 1970 (UTC).
    pub time: i64,
    /// Whether the event stated its time; otherwise `time` is when it was received.
    pub timed: bool,
    /// Its source.
    pub source: Source,
}

/// Field ids that finishing asks for.
struct Ids {
    timestamp: FieldId,
    ecs_version: FieldId,
    kind: FieldId,
    category: FieldId,
    kind_type: FieldId,
    odd_type: FieldId,
    event_id: FieldId,
    related_ip: FieldId,
    related_user: FieldId,
    related_hosts: FieldId,
    tenant: FieldId,
    addresses: Vec<FieldId>,
    users: Vec<FieldId>,
    hosts: Vec<FieldId>,
    user: [FieldId; 3],
    source_ip: FieldId,
    client_ip: FieldId,
    source_class: FieldId,
    destination_ip: FieldId,
    destination_class: FieldId,
    radius: FieldId,
    geo: [FieldId; 4],
    system: [FieldId; 2],
    unmapped: FieldId,
    /// Where events stay whose source is not known: beside the event they say nothing new.
    whole: [FieldId; 3],
    tokens: [FieldId; 3],
}

impl Ids {
    fn new(s: &Schema) -> Self {
        let id = |name: &str| s.id(name).unwrap_or(FieldId::MAX);
        let ids = |names: &[&str]| names.iter().map(|n| id(n)).collect::<Vec<_>>();
        Self {
            timestamp: id("@timestamp"),
            ecs_version: id("ecs.version"),
            kind: id("event.kind"),
            category: id("event.category"),
            kind_type: id("event.type"),
            odd_type: id("sealwright.event.type"),
            event_id: id("event.id"),
            related_ip: id("related.ip"),
            related_user: id("related.user"),
            related_hosts: id("related.hosts"),
            tenant: id("sealwright.tenant.id"),
            addresses: ids(&[
                "source.ip",
                "destination.ip",
                "client.ip",
                "server.ip",
                "host.ip",
            ]),
            users: ids(&[
                "user.id",
                "user.name",
                "user.email",
                "user.target.id",
                "user.target.name",
                "user.target.email",
                "user.effective.name",
                "user.changes.name",
            ]),
            hosts: ids(&[
                "host.name",
                "host.hostname",
                "destination.domain",
                "source.domain",
            ]),
            user: [id("user.name"), id("user.email"), id("user.id")],
            source_ip: id("source.ip"),
            client_ip: id("client.ip"),
            source_class: id("sealwright.source.class"),
            destination_ip: id("destination.ip"),
            destination_class: id("sealwright.destination.class"),
            radius: id("sealwright.source.radius_km"),
            geo: [
                id("source.geo.country_iso_code"),
                id("source.geo.region_iso_code"),
                id("source.geo.city_name"),
                id("source.geo.location"),
            ],
            system: [id("source.as.number"), id("source.as.organization.name")],
            unmapped: id("unmapped"),
            whole: [id("unmapped"), id("generic"), id("sealwright.unmapped")],
            tokens: [
                id("sealwright.ai.tokens"),
                id("gen_ai.usage.input_tokens"),
                id("gen_ai.usage.output_tokens"),
            ],
        }
    }
}

/// Turns events into ECS. Holds no state: one may be shared by all threads.
pub struct Normaliser {
    mappings: Vec<Mapping>,
    ids: Ids,
}

impl std::fmt::Debug for Normaliser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Normaliser")
            .field("mappings", &self.mappings.len())
            .finish_non_exhaustive()
    }
}

/// How an event is written.
#[derive(Clone, Copy)]
enum Form<'e> {
    /// As ECS alone.
    Ecs,
    /// Beside this text, which the source wrote.
    Beside(&'e str),
}

/// Ranks of what does not come from a field of the event.
const RANK_CONSTANT: u16 = 60_000;
const RANK_LAST: u16 = 60_001;

impl Normaliser {
    /// The mappings of this program, behind `own` ones, which come first in finding a source.
    ///
    /// # Errors
    /// When a mapping cannot be used.
    pub fn new(own: Vec<Mapping>) -> Result<Self, MappingError> {
        let mut mappings = own;
        for (file, text) in BUILT_IN {
            mappings.push(Mapping::parse(file, text)?);
        }
        Ok(Self {
            mappings,
            ids: Ids::new(schema()),
        })
    }

    /// The mappings, in the order in which they are tried.
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The mapping of a source.
    pub fn mapping(&self, source: Source) -> &Mapping {
        &self.mappings[usize::from(source.0).min(self.mappings.len() - 1)]
    }

    /// The source of an event: that of the hint, or the first whose marks the event has; the last
    /// mapping (`generic`) has none and takes everything.
    pub fn source(&self, event: &str, hint: Option<&str>) -> Source {
        let to = |i: usize| Source(u16::try_from(i).unwrap_or(u16::MAX));
        if let Some(hint) = hint
            && let Some(i) = self.mappings.iter().position(|m| m.hinted(hint))
        {
            return to(i);
        }
        let mut top: Vec<(&str, &str)> = Vec::with_capacity(32);
        json::members(event, |k, v| top.push((k, v)));
        let get = |path: &str| -> Option<&str> {
            let (head, tail) = path
                .split_once('.')
                .map_or((path, None), |(h, t)| (h, Some(t)));
            let whole = top.iter().find(|(k, _)| k.eq_ignore_ascii_case(path));
            if let Some((_, v)) = whole {
                return Some(v);
            }
            let (_, v) = top.iter().find(|(k, _)| k.eq_ignore_ascii_case(head))?;
            json::path(v, tail?)
        };
        let is = |path: &str, values: &[Box<str>]| {
            let text = get(path).and_then(json::scalar);
            text.is_some_and(|t| {
                let lower = t.to_lowercase();
                values.iter().any(|v| glob(v, &lower))
            })
        };
        let found = self.mappings.iter().position(|m| {
            m.all.iter().all(|p| get(p).is_some())
                && (m.any.is_empty() || m.any.iter().any(|p| get(p).is_some()))
                && m.equals.iter().all(|(p, values)| is(p, values))
        });
        to(found.unwrap_or(self.mappings.len() - 1))
    }

    /// An event as ECS. It may be the event of a source or a CloudEvent (JSON event format) around
    /// one; its `data` may be a text, for example a line of a log.
    ///
    /// # Errors
    /// When it is no event at all. Whatever is an object becomes an event.
    pub fn normalise(&self, event: &str, context: &Context<'_>) -> Result<Event, Refusal> {
        self.whole(event, context, false)
    }

    /// The event as its source wrote it, and beside it what ECS says of it, each field under its whole name
    /// (`"user.name"`). A name that the source uses is left to it. What the source wrote is the event, or the
    /// data of a CloudEvent when that is an object. The log source is stated in
    /// [`beside::LOGSOURCE_FIELDS`], and a time that the event does not state is not made up.
    ///
    /// # Errors
    /// When it is no event at all.
    pub fn beside(&self, event: &str, context: &Context<'_>) -> Result<Event, Refusal> {
        self.whole(event, context, true)
    }

    /// An event with its log source stated in [`beside::LOGSOURCE_FIELDS`] and nothing else added; `None` when
    /// it is of no known source.
    ///
    /// # Errors
    /// When it is no event at all.
    pub fn sourced(&self, event: &str) -> Result<Option<String>, Refusal> {
        if event.len() > MAX_BYTES {
            return Err(Refusal::TooLarge(event.len()));
        }
        json::check(event)?;
        let event = event.trim();
        Ok(beside::stated(
            event,
            self.mapping(self.source(event, None)),
        ))
    }

    fn whole(&self, event: &str, context: &Context<'_>, beside: bool) -> Result<Event, Refusal> {
        if event.len() > MAX_BYTES {
            return Err(Refusal::TooLarge(event.len()));
        }
        json::check(event)?;
        let event = event.trim();
        let form = |native| {
            if beside {
                Form::Beside(native)
            } else {
                Form::Ecs
            }
        };
        if !(event.contains("specversion")) {
            return Ok(self.inner(event, context, None, form(event)));
        }
        let Some(envelope) = Envelope::of(event) else {
            return Ok(self.inner(event, context, None, form(event)));
        };
        let hint = context.hint.or(Some(&envelope.kind));
        let context = Context { hint, ..*context };
        let data = envelope.data.unwrap_or("{}");
        let form = form(if data.starts_with('{') { data } else { event });
        // Of these the attributes around the data say part of what happened.
        let own = ["sealwright.usage.", "sealwright.audit."];
        if own.iter().any(|o| envelope.kind.starts_with(o)) {
            return Ok(self.inner(event, &context, Some(&envelope), form));
        }
        match json::string(data) {
            Some(text) => {
                let made = wrap(&text, context.received);
                Ok(self.inner(&made, &context, Some(&envelope), form))
            }
            None if data.starts_with('{') => Ok(self.inner(data, &context, Some(&envelope), form)),
            None => Ok(self.inner(event, &context, Some(&envelope), form)),
        }
    }

    /// A line of a log that is no JSON: syslog (RFC 3164 and 5424), or plain text.
    ///
    /// # Errors
    /// When it is larger than [`MAX_BYTES`].
    pub fn line(&self, line: &str, context: &Context<'_>) -> Result<Event, Refusal> {
        if line.len() > MAX_BYTES {
            return Err(Refusal::TooLarge(line.len()));
        }
        Ok(self.inner(&wrap(line, context.received), context, None, Form::Ecs))
    }

    /// Whether a hint names a mapping.
    pub fn knows(&self, hint: &str) -> bool {
        self.mappings.iter().any(|m| m.hinted(hint))
    }

    fn inner(
        &self,
        event: &str,
        context: &Context<'_>,
        envelope: Option<&Envelope<'_>>,
        form: Form<'_>,
    ) -> Event {
        let source = self.source(event, context.hint);
        let mapping = self.mapping(source);
        if let Some(path) = &mapping.unwrap
            && let Some(text) = json::path(event, path).and_then(json::string)
            && json::check(&text).is_ok()
        {
            let embedded = text.trim().to_owned();
            let inner = self.source(&embedded, None);
            if inner != source {
                let outer = Walk::run(mapping, event, context.received);
                let around = Some((mapping, outer));
                return self.finish(&embedded, inner, context, envelope, around, form);
            }
        }
        self.finish(event, source, context, envelope, None, form)
    }

    fn finish<'a>(
        &'a self,
        event: &'a str,
        source: Source,
        context: &Context<'_>,
        envelope: Option<&Envelope<'_>>,
        outer: Option<(&'a Mapping, Walk<'_, 'a>)>,
        form: Form<'_>,
    ) -> Event {
        let mapping = self.mapping(source);
        let mut walk = Walk::run(mapping, event, context.received);
        patterns(mapping, &mut walk, context.received);
        lookups(mapping, &mut walk);
        let Walk {
            mut found, rest, ..
        } = walk;
        constants(&mut found, mapping, RANK_CONSTANT);
        if let Some((around, outer)) = outer {
            // What the container says beside the event counts less than the event.
            for f in outer.found {
                let value = Val::Made(f.value.json().to_owned());
                found.push(Found {
                    rank: RANK_LAST,
                    value,
                    field: f.field,
                });
            }
            constants(&mut found, around, RANK_LAST);
        }
        let ids = &self.ids;
        if let Some(e) = envelope {
            if let Some(id) = &e.id {
                found.push(Found {
                    field: ids.event_id,
                    rank: RANK_LAST,
                    value: quoted(id),
                });
            }
            if let Some(t) = e
                .time
                .as_deref()
                .and_then(|t| from_text(t, schema().get(ids.timestamp), context.received))
            {
                found.push(Found {
                    field: ids.timestamp,
                    rank: RANK_LAST,
                    value: t,
                });
            }
        }
        if let Some(t) = context.tenant {
            found.retain(|f| f.field != ids.tenant);
            found.push(Found {
                field: ids.tenant,
                rank: 0,
                value: quoted(t),
            });
        }
        found.push(Found {
            field: ids.kind,
            rank: RANK_LAST,
            value: Val::Raw("\"event\""),
        });
        found.retain(|f| f.field != ids.ecs_version);
        found.push(Found {
            field: ids.ecs_version,
            rank: 0,
            value: quoted(ECS_VERSION),
        });
        self.enrich(&mut found, context.geo);
        self.pairs(&mut found);
        let stated = best(&found, ids.timestamp)
            .and_then(json::string)
            .and_then(|t| time::instant(&t, context.received));
        let at = stated.unwrap_or(context.received);
        if stated.is_none() && matches!(form, Form::Ecs) {
            let mut made = String::from("\"");
            time::format(at, &mut made);
            made.push('"');
            found.push(Found {
                field: ids.timestamp,
                rank: 0,
                value: Val::Made(made),
            });
        }
        let mut free = String::new();
        if rest != "{}" {
            if mapping.identity {
                let mut kept = String::from("{");
                json::members(&rest, |k, v| {
                    let root = k.split('.').next().unwrap_or(k);
                    let to = if schema().is_root(root) {
                        &mut kept
                    } else {
                        &mut free
                    };
                    if to.len() > 1 {
                        to.push(',');
                    }
                    to.push('"');
                    to.push_str(k);
                    to.push_str("\":");
                    to.push_str(v);
                });
                kept.push('}');
                if kept != "{}" {
                    found.push(Found {
                        field: ids.unmapped,
                        rank: 0,
                        value: Val::Made(kept),
                    });
                }
            } else {
                found.push(Found {
                    field: mapping.namespace,
                    rank: 0,
                    value: Val::Made(rest),
                });
            }
        }
        found.sort_by_key(|f| (f.field, f.rank));
        let json = match form {
            Form::Ecs => write(&found, &free, event.len()),
            Form::Beside(native) => beside::write(native, &found, &ids.whole, mapping),
        };
        Event {
            json,
            time: at,
            timed: stated.is_some(),
            source,
        }
    }

    fn enrich(&self, found: &mut Vec<Found<'_>>, geo: Option<&dyn Geo>) {
        let ids = &self.ids;
        let mut add = Vec::new();
        for f in found.iter() {
            let to = if ids.addresses.contains(&f.field) {
                ids.related_ip
            } else if ids.users.contains(&f.field) {
                ids.related_user
            } else if ids.hosts.contains(&f.field) {
                ids.related_hosts
            } else {
                continue;
            };
            // Of several candidates only the one that counts.
            let list = schema().get(f.field).list;
            if !list && found.iter().any(|o| o.field == f.field && o.rank < f.rank) {
                continue;
            }
            add.push(Found {
                field: to,
                rank: RANK_LAST,
                value: Val::Made(f.value.json().to_owned()),
            });
        }
        // One name to group by, whatever the source calls it.
        if best(found, ids.user[0]).is_none()
            && let Some(other) = best(found, ids.user[1]).or(best(found, ids.user[2]))
        {
            add.push(Found {
                field: ids.user[0],
                rank: RANK_LAST,
                value: Val::Made(other.to_owned()),
            });
        }
        if best(found, ids.tokens[0]).is_none() {
            let count = |field| best(found, field).and_then(|t| t.parse::<i64>().ok());
            let (read, written) = (count(ids.tokens[1]), count(ids.tokens[2]));
            if read.is_some() || written.is_some() {
                let sum = read.unwrap_or(0).saturating_add(written.unwrap_or(0));
                add.push(Found {
                    field: ids.tokens[0],
                    rank: RANK_LAST,
                    value: Val::Made(sum.to_string()),
                });
            }
        }
        let parsed = |field: FieldId| -> Option<IpAddr> {
            convert::address(json::unquoted(best(found, field)?))
        };
        if let Some(ip) = parsed(ids.destination_ip) {
            let class = address::classify(ip, None);
            add.push(Found {
                field: ids.destination_class,
                rank: RANK_LAST,
                value: quoted(class.name()),
            });
        }
        let from_client = parsed(ids.source_ip).is_none();
        if let Some(ip) = parsed(ids.source_ip).or_else(|| parsed(ids.client_ip)) {
            if from_client {
                add.push(Found {
                    field: ids.source_ip,
                    rank: RANK_LAST,
                    value: quoted(&ip.to_string()),
                });
            }
            let place = geo.and_then(|g| g.place(ip)).unwrap_or_default();
            let class = place
                .class
                .unwrap_or_else(|| address::classify(ip, place.asn));
            add.push(Found {
                field: ids.source_class,
                rank: RANK_LAST,
                value: quoted(class.name()),
            });
            let mut put = |field: FieldId, text: Option<String>| {
                if let Some(value) = text.and_then(|t| from_text(&t, schema().get(field), 0)) {
                    add.push(Found {
                        field,
                        rank: RANK_LAST,
                        value,
                    });
                }
            };
            put(ids.system[0], place.asn.map(|n| n.to_string()));
            put(ids.system[1], place.organization);
            if class.has_place() {
                put(ids.geo[0], place.country);
                put(ids.geo[1], place.region);
                put(ids.geo[2], place.city);
                put(ids.radius, place.radius_km.map(|r| r.to_string()));
                let position = place
                    .position
                    .filter(|(a, o)| a.abs() <= 90.0 && o.abs() <= 180.0);
                if let Some((lat, lon)) = position {
                    let value = Val::Made(format!("{{\"lat\":{lat},\"lon\":{lon}}}"));
                    add.push(Found {
                        field: ids.geo[3],
                        rank: RANK_LAST,
                        value,
                    });
                }
            }
        }
        found.append(&mut add);
    }

    /// Values of `event.type` that ECS does not pair with a category of the event go aside.
    fn pairs(&self, found: &mut [Found<'_>]) {
        let ids = &self.ids;
        let categories: Vec<String> = found
            .iter()
            .filter(|f| f.field == ids.category)
            .map(|f| json::unquoted(f.value.json()).to_owned())
            .collect();
        if categories.is_empty() {
            return;
        }
        for f in found.iter_mut().filter(|f| f.field == ids.kind_type) {
            let name = json::unquoted(f.value.json());
            let fits = categories
                .iter()
                .any(|c| schema().types_of(c).iter().any(|t| &**t == name));
            if !fits {
                f.field = ids.odd_type;
            }
        }
    }
}

fn best<'f>(found: &'f [Found<'_>], field: FieldId) -> Option<&'f str> {
    found
        .iter()
        .filter(|f| f.field == field)
        .min_by_key(|f| f.rank)
        .map(|f| f.value.json())
}
