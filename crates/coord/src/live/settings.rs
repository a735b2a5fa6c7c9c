//! What a session sees of itself: settings, cursors, prepared statements, privileges; and the
//! time zones.

use std::collections::BTreeSet;

use tidemill_catalog::builtin::live;
use tidemill_catalog::role::{PUBLIC, Securable, SecurableKind};
use tidemill_catalog::{Catalog, QualifiedName};
use tidemill_repr::time::TimeZone;
use tidemill_repr::{Datum, Interval, Row, RowBuilder, ScalarType};

use crate::clock::wall_timestamp;
use crate::session::Session;

/// The rows of a relation that tells of a session.
pub(super) fn of_session(session: &Session, catalog: &Catalog, number: u64) -> Vec<Row> {
    match number {
        live::SETTINGS => settings(session),
        live::SESSION_SETTINGS => values(session),
        live::CURSORS => cursors(session),
        live::PREPARED_STATEMENTS => prepared(session),
        live::MY_ROLE_MEMBERS => role_members(session, catalog),
        live::MY_DEFAULT_PRIVILEGES => default_privileges(session, catalog),
        live::ALL_MY_PRIVILEGES => privileges(session, catalog, |grant| Some(grant.row())),
        live::MY_OBJECT_PRIVILEGES => privileges(session, catalog, |grant| {
            matches!(grant.on, Securable::Item(_)).then(|| grant.row())
        }),
        live::MY_CLUSTER_PRIVILEGES => privileges(session, catalog, |grant| {
            matches!(grant.on, Securable::Cluster(_)).then(|| grant.short_row(true))
        }),
        live::MY_DATABASE_PRIVILEGES => privileges(session, catalog, |grant| {
            matches!(grant.on, Securable::Database(_)).then(|| grant.short_row(true))
        }),
        live::MY_SYSTEM_PRIVILEGES => privileges(session, catalog, |grant| {
            matches!(grant.on, Securable::System).then(|| grant.short_row(false))
        }),
        live::MY_SCHEMA_PRIVILEGES => privileges(session, catalog, |grant| {
            matches!(grant.on, Securable::Schema(..)).then(|| grant.schema_row())
        }),
        _ => Vec::new(),
    }
}

fn optional(text: Option<&str>) -> Datum<'_> {
    text.map_or(Datum::Null, Datum::Text)
}

fn settings(session: &Session) -> Vec<Row> {
    let row = |setting: &crate::settings::ShownSetting<'_>| {
        let mut row = RowBuilder::new();
        row.push(Datum::Text(setting.name));
        row.push(Datum::Text(&setting.value));
        row.push(optional(setting.unit));
        row.push(Datum::Text("Tidemill"));
        row.push(Datum::Text(setting.doc));
        row.push(Datum::Null);
        row.push(Datum::Text(setting.context));
        row.push(Datum::Text(setting.kind));
        row.push(Datum::Text(setting.source));
        row.push(optional(setting.min.as_deref()));
        row.push(optional(setting.max.as_deref()));
        if setting.words.is_empty() {
            row.push(Datum::Null);
        } else {
            let length = i32::try_from(setting.words.len()).unwrap_or(i32::MAX);
            row.push_array(&[(length, 1)], setting.words.iter().map(|word| Datum::Text(word)));
        }
        row.push(Datum::Text(&setting.boot));
        row.push(Datum::Text(&setting.reset));
        row.extend([Datum::Null, Datum::Null, Datum::Bool(false)]);
        row.finish()
    };
    session.settings.shown().iter().map(row).collect()
}

/// The settings by their names in small letters, as SHOW shows them.
fn values(session: &Session) -> Vec<Row> {
    let row = |(name, value, _): (&str, &str, String)| {
        Row::pack([Datum::Text(&name.to_lowercase()), Datum::Text(value)])
    };
    session.settings.all().into_iter().map(row).collect()
}

fn cursors(session: &Session) -> Vec<Row> {
    let rows = session.cursors.iter().map(|(name, cursor)| {
        Row::pack([
            Datum::Text(name),
            Datum::Null,
            Datum::Bool(cursor.hold),
            Datum::Bool(false),
            Datum::Bool(false),
            Datum::Null,
        ])
    });
    rows.collect()
}

fn push_types(row: &mut RowBuilder, types: &[ScalarType]) {
    let length = i32::try_from(types.len()).unwrap_or(i32::MAX);
    let dimensions = if types.is_empty() { Vec::new() } else { vec![(length, 1)] };
    row.push_array(&dimensions, types.iter().map(|typ| Datum::Int(i64::from(typ.oid().0))));
}

fn prepared(session: &Session) -> Vec<Row> {
    let rows = session.statements.iter().filter(|(name, _)| !name.is_empty());
    let rows = rows.map(|(name, prepared)| {
        let mut row = RowBuilder::new();
        row.push(Datum::Text(name));
        row.push(Datum::Text(prepared.statement.as_ref().map_or("", |statement| &statement.text)));
        row.push(Datum::Null);
        push_types(&mut row, &prepared.parameters);
        match &prepared.desc {
            Some(desc) => {
                let types: Vec<ScalarType> =
                    desc.columns.iter().map(|column| column.typ.scalar_type.clone()).collect();
                push_types(&mut row, &types);
            }
            None => row.push(Datum::Null),
        }
        row.extend([Datum::Null, Datum::Null, Datum::Null]);
        row.finish()
    });
    rows.collect()
}

/// One privilege on one thing.
struct Grant<'a> {
    grantor: &'a str,
    grantee: &'a str,
    on: &'a Securable,
    name: Option<&'a QualifiedName>,
    kind: SecurableKind,
    privilege: &'a str,
}

impl Grant<'_> {
    /// Database, schema and name of what it is on.
    fn place(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        match (self.on, self.name) {
            (Securable::Item(_), Some(name)) => {
                (name.database.as_deref(), Some(&name.schema), Some(&name.item))
            }
            (Securable::Schema(database, name), _) => (database.as_deref(), None, Some(name)),
            (Securable::Database(name) | Securable::Cluster(name), _) => (None, None, Some(name)),
            _ => (None, None, None),
        }
    }

    fn row(&self) -> Row {
        let (database, schema, name) = self.place();
        Row::pack([
            Datum::Text(self.grantor),
            Datum::Text(self.grantee),
            optional(database),
            optional(schema),
            optional(name),
            Datum::Text(self.kind.word()),
            Datum::Text(self.privilege),
        ])
    }

    fn short_row(&self, named: bool) -> Row {
        let mut row = RowBuilder::new();
        row.extend([Datum::Text(self.grantor), Datum::Text(self.grantee)]);
        if named {
            row.push(optional(self.place().2));
        }
        row.push(Datum::Text(self.privilege));
        row.finish()
    }

    fn schema_row(&self) -> Row {
        let (database, _, name) = self.place();
        Row::pack([
            Datum::Text(self.grantor),
            Datum::Text(self.grantee),
            optional(database),
            optional(name),
            Datum::Text(self.privilege),
        ])
    }
}

/// Rows of what the session's roles may do.
fn privileges(
    session: &Session,
    catalog: &Catalog,
    row: impl Fn(&Grant<'_>) -> Option<Row>,
) -> Vec<Row> {
    let user = session.current_user();
    let mine = my_roles(catalog, &user);
    let mut all: Vec<(Securable, Option<QualifiedName>)> = vec![(Securable::System, None)];
    all.extend(catalog.databases().map(|(name, _)| (Securable::Database(name.clone()), None)));
    all.extend(
        catalog
            .schemas()
            .map(|((database, name), _)| (Securable::Schema(database.clone(), name.clone()), None)),
    );
    all.extend(catalog.clusters().map(|found| (Securable::Cluster(found.name.clone()), None)));
    let items = catalog.items().filter(|item| !item.is_system());
    all.extend(items.map(|item| (Securable::Item(item.id), Some(item.name.clone()))));
    let mut rows = Vec::new();
    for (on, name) in &all {
        let kind = catalog.securable_kind(on);
        for acl in catalog.acl(on).iter().filter(|acl| mine.contains(acl.grantee.as_str())) {
            for privilege in acl.privileges.iter() {
                rows.extend(row(&Grant {
                    grantor: &acl.grantor,
                    grantee: &acl.grantee,
                    on,
                    name: name.as_ref(),
                    kind,
                    privilege: privilege.word(),
                }));
            }
        }
    }
    rows
}

fn my_roles<'a>(catalog: &'a Catalog, user: &'a str) -> BTreeSet<&'a str> {
    let mut roles = catalog.effective_roles(user);
    roles.insert(PUBLIC);
    roles
}

fn role_members(session: &Session, catalog: &Catalog) -> Vec<Row> {
    let user = session.current_user();
    let mine = my_roles(catalog, &user);
    let rows = catalog.memberships().filter(|found| mine.contains(found.member.as_str()));
    rows.map(|found| {
        Row::pack([
            Datum::Text(&found.role),
            Datum::Text(&found.member),
            Datum::Text(&found.grantor),
        ])
    })
    .collect()
}

fn default_privileges(session: &Session, catalog: &Catalog) -> Vec<Row> {
    let user = session.current_user();
    let mine = my_roles(catalog, &user);
    let defaults =
        catalog.default_privileges().iter().filter(|found| mine.contains(found.grantee.as_str()));
    let rows = defaults.flat_map(|default| {
        default.set().iter().map(|privilege| {
            Row::pack([
                Datum::Text(&default.role),
                optional(default.database.as_deref()),
                optional(default.schema.as_deref()),
                Datum::Text(default.kind.word()),
                Datum::Text(&default.grantee),
                Datum::Text(privilege.word()),
            ])
        })
    });
    rows.collect()
}

/// `pg_timezone_names`, as it is now.
pub(super) fn time_zones() -> Vec<Row> {
    let now = wall_timestamp();
    let rows = TimeZone::names().into_iter().filter_map(|name| {
        let zone = TimeZone::parse(&name).ok()?;
        let abbreviation = zone.abbreviation_at(now).unwrap_or_default();
        let micros = i64::from(zone.offset_at(now)) * 1_000_000;
        Some(Row::pack([
            Datum::Text(&name),
            Datum::Text(&abbreviation),
            Datum::Interval(Interval { months: 0, days: 0, micros }),
            Datum::Bool(zone.is_summer_at(now)),
        ]))
    });
    rows.collect()
}
