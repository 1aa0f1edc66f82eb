//! The fields of Elastic Common Schema and of this program's own namespace.

use std::cmp::Ordering;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// Version of the schema that events are written in.
pub const ECS_VERSION: &str = "9.5.0-dev";

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text (`keyword`, `wildcard`, `constant_keyword`, `match_only_text`).
    Keyword,
    /// A whole number.
    Long,
    /// Any number.
    Float,
    /// True or false.
    Boolean,
    /// RFC 3339.
    Date,
    /// IPv4 or IPv6.
    Ip,
    /// `{lat, lon}` in degrees.
    GeoPoint,
    /// An object, or a list of them, with members of its own.
    Object,
}

/// A field.
#[derive(Debug)]
pub struct Field {
    /// Full name, with dots.
    pub name: Box<str>,
    /// What it holds.
    pub kind: Kind,
    /// Whether its value is always a list.
    pub list: bool,
    /// The only values that are allowed; empty for any.
    pub allowed: Vec<Box<str>>,
    /// Whether other fields lie below it.
    pub parent: bool,
}

/// Index of a field in [`Schema::fields`].
pub(crate) type FieldId = u16;

/// All fields, in the order of their names part by part, so that members of one object stand together.
#[derive(Debug)]
pub struct Schema {
    /// The fields.
    pub fields: Vec<Field>,
    by_name: FxHashMap<Box<str>, FieldId>,
    roots: Vec<Box<str>>,
    categories: Vec<(Box<str>, Vec<Box<str>>)>,
}

fn order(a: &str, b: &str) -> Ordering {
    a.split('.').cmp(b.split('.'))
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let mut fields = Vec::new();
    let mut roots: Vec<Box<str>> = Vec::new();
    for text in [
        include_str!("../data/ecs/fields.tsv"),
        include_str!("../data/own-fields.tsv"),
    ] {
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let mut parts = line.split('\t');
            let name = parts.next().unwrap_or_default();
            let kind = match parts.next().unwrap_or_default() {
                "long" | "integer" => Kind::Long,
                "float" | "double" | "scaled_float" => Kind::Float,
                "boolean" => Kind::Boolean,
                "date" => Kind::Date,
                "ip" => Kind::Ip,
                "geo_point" => Kind::GeoPoint,
                "object" | "nested" | "flattened" => Kind::Object,
                _ => Kind::Keyword,
            };
            let list = parts.next() == Some("+");
            let allowed = parts.next().unwrap_or_default();
            let root = name.split('.').next().unwrap_or_default();
            if roots.last().is_none_or(|r| &**r != root) {
                roots.push(root.into());
            }
            fields.push(Field {
                name: name.into(),
                kind,
                list,
                allowed: allowed
                    .split('|')
                    .filter(|a| !a.is_empty())
                    .map(Into::into)
                    .collect(),
                parent: false,
            });
        }
    }
    fields.sort_by(|a, b| order(&a.name, &b.name));
    for i in 1..fields.len() {
        let (head, tail) = fields.split_at_mut(i);
        let parent = &mut head[i - 1];
        if let Some(rest) = tail[0].name.strip_prefix(&*parent.name) {
            parent.parent = rest.starts_with('.');
        }
    }
    let by_name = fields
        .iter()
        .enumerate()
        .map(|(i, f)| (f.name.clone(), FieldId::try_from(i).unwrap_or(FieldId::MAX)))
        .collect();
    let list = |text: &str| {
        text.split('|')
            .filter(|t| !t.is_empty())
            .map(Into::into)
            .collect()
    };
    let categories = include_str!("../data/ecs/categories.tsv")
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.split_once('\t'))
        .map(|(c, types)| (c.into(), list(types)))
        .collect();
    Schema {
        fields,
        by_name,
        roots,
        categories,
    }
});

/// The schema.
pub fn schema() -> &'static Schema {
    &SCHEMA
}

impl Schema {
    /// The field of a name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.id(name).map(|id| self.get(id))
    }

    pub(crate) fn id(&self, name: &str) -> Option<FieldId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, id: FieldId) -> &Field {
        &self.fields[usize::from(id)]
    }

    /// Whether the first part of a name is one of the schema's, so that names below it are not free.
    pub fn is_root(&self, name: &str) -> bool {
        self.roots.iter().any(|r| &**r == name)
    }

    /// The values of `event.type` that go with a value of `event.category`.
    pub fn types_of(&self, category: &str) -> &[Box<str>] {
        self.categories
            .iter()
            .find(|(c, _)| &**c == category)
            .map_or(&[], |(_, t)| t)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn members_of_an_object_stand_together() {
        let s = schema();
        assert!(s.fields.len() > 2_600);
        assert_eq!(&*s.fields[0].name, "@timestamp");
        let mut seen = std::collections::BTreeSet::new();
        let mut last = "";
        for f in &s.fields {
            let root = f.name.split('.').next().unwrap();
            if root != last {
                assert!(seen.insert(root), "{root} stands in two places");
                last = root;
            }
        }
        assert!(s.field("network.inner").unwrap().parent);
        assert!(s.field("event.category").unwrap().list);
        assert_eq!(s.field("source.ip").unwrap().kind, Kind::Ip);
        assert!(s.types_of("authentication").iter().any(|t| &**t == "start"));
    }
}
