//! Roles and privileges: relations that show them.

use tidemill_repr::{Datum, Row, RowBuilder};

use super::{Builtin, Content};
use crate::item::Item;
use crate::name::quote_identifier;
use crate::role::{AclItem, PUBLIC, Securable};
pub use crate::role::{DEFAULT, SYSTEM, oid};
use crate::snapshot::Catalog;

/// The relations.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 180,
        schema: "mz_catalog",
        name: "mz_roles",
        columns: "id text, oid oid, name text, inherit bool, rolcanlogin bool, rolsuper bool",
        content: Content::Catalog(roles),
    },
    Builtin {
        number: 181,
        schema: "mz_catalog",
        name: "mz_role_members",
        columns: "role_id text, member text, grantor text",
        content: Content::Catalog(members),
    },
    Builtin {
        number: 182,
        schema: "mz_catalog",
        name: "mz_role_parameters",
        columns: "role_id text, parameter_name text, parameter_value text",
        content: Content::Catalog(parameters),
    },
    Builtin {
        number: 183,
        schema: "mz_catalog",
        name: "mz_system_privileges",
        columns: "privileges text",
        content: Content::Catalog(system_privileges),
    },
    Builtin {
        number: 184,
        schema: "mz_catalog",
        name: "mz_default_privileges",
        columns: "role_id text, database_id text?, schema_id text?, object_type text, \
                  grantee text, privileges text",
        content: Content::Catalog(default_privileges),
    },
    Builtin {
        number: 185,
        schema: "mz_internal",
        name: "mz_object_privileges",
        columns: "oid oid, grantor text, grantee text, database text?, schema text?, name text, \
                  object_type text, privilege_type text",
        content: Content::Items(object_privileges),
    },
    Builtin {
        number: 186,
        schema: "mz_internal",
        name: "mz_other_privileges",
        columns: "oid oid, grantor text, grantee text, database text?, schema text?, name text?, \
                  object_type text, privilege_type text",
        content: Content::Catalog(other_privileges),
    },
    Builtin {
        number: 187,
        schema: "mz_internal",
        name: "mz_show_all_privileges",
        columns: "oid oid, grantor text, grantee text, database text?, schema text?, name text?, \
                  object_type text, privilege_type text",
        content: Content::View(
            "SELECT * FROM mz_internal.mz_object_privileges \
             UNION ALL SELECT * FROM mz_internal.mz_other_privileges",
        ),
    },
    Builtin {
        number: 188,
        schema: "mz_internal",
        name: "mz_network_policies",
        columns: "id text, name text, owner_id text",
        content: Content::Catalog(policies),
    },
    Builtin {
        number: 189,
        schema: "mz_internal",
        name: "mz_network_policy_rules",
        columns: "name text, policy_id text, action text, address text, direction text",
        content: Content::Catalog(policy_rules),
    },
    Builtin {
        number: 190,
        schema: "mz_internal",
        name: "mz_show_default_privileges",
        columns: "object_owner text, database text?, schema text?, object_type text, \
                  grantee text, privilege_type text",
        content: Content::Catalog(shown_default_privileges),
    },
];

fn shown_default_privileges(catalog: &Catalog) -> Vec<Row> {
    let rows = catalog.default_privileges().iter().flat_map(|default| {
        default.set().iter().map(|privilege| {
            Row::pack([
                Datum::Text(&default.role),
                default.database.as_deref().map_or(Datum::Null, Datum::Text),
                default.schema.as_deref().map_or(Datum::Null, Datum::Text),
                Datum::Text(default.kind.word()),
                Datum::Text(&default.grantee),
                Datum::Text(privilege.word()),
            ])
        })
    });
    rows.collect()
}

fn roles(catalog: &Catalog) -> Vec<Row> {
    let rows = catalog.roles().map(|role| {
        Row::pack([
            Datum::Text(&role.id_text()),
            Datum::Int(oid(&role.name)),
            Datum::Text(&role.name),
            Datum::Bool(role.inherit),
            Datum::Bool(role.login),
            Datum::Bool(role.superuser),
        ])
    });
    rows.collect()
}

fn members(catalog: &Catalog) -> Vec<Row> {
    let rows = catalog.memberships().map(|membership| {
        Row::pack([
            Datum::Text(&catalog.role_id(&membership.role)),
            Datum::Text(&catalog.role_id(&membership.member)),
            Datum::Text(&catalog.role_id(&membership.grantor)),
        ])
    });
    rows.collect()
}

fn parameters(catalog: &Catalog) -> Vec<Row> {
    let rows = catalog.roles().flat_map(|role| {
        role.settings.iter().map(|(name, values)| {
            Row::pack([
                Datum::Text(&role.id_text()),
                Datum::Text(name),
                Datum::Text(&values.join(", ")),
            ])
        })
    });
    rows.collect()
}

/// An access list entry with the identities of roles, as `mz_aclitem` is shown.
fn by_id(catalog: &Catalog, item: &AclItem) -> String {
    let grantee =
        if item.grantee == PUBLIC { String::new() } else { catalog.role_id(&item.grantee) };
    format!("{grantee}={}/{}", item.privileges, catalog.role_id(&item.grantor))
}

/// An access list entry with the names of roles, as PostgreSQL shows it.
fn by_name(item: &AclItem) -> String {
    let grantee =
        if item.grantee == PUBLIC { String::new() } else { quote_identifier(&item.grantee) };
    format!("{grantee}={}/{}", item.privileges, quote_identifier(&item.grantor))
}

/// The access list of something, with the identities of roles, as a row of one array.
pub(super) fn privileges(catalog: &Catalog, on: &Securable) -> Row {
    let texts: Vec<String> = catalog.acl(on).iter().map(|item| by_id(catalog, item)).collect();
    let mut row = RowBuilder::new();
    let length = i32::try_from(texts.len()).unwrap_or(i32::MAX);
    let dimensions = if texts.is_empty() { Vec::new() } else { vec![(length, 1)] };
    row.push_array(&dimensions, texts.iter().map(|text| Datum::Text(text)));
    row.finish()
}

/// The access list as PostgreSQL shows it: NULL where nothing was granted or revoked.
pub(super) fn postgres_acl(catalog: &Catalog, on: &Securable) -> Option<Vec<String>> {
    catalog.has_own_acl(on).then(|| catalog.acl(on).iter().map(by_name).collect())
}

fn system_privileges(catalog: &Catalog) -> Vec<Row> {
    let acl = catalog.acl(&Securable::System);
    acl.iter().map(|item| Row::pack([Datum::Text(&by_id(catalog, item))])).collect()
}

fn default_privileges(catalog: &Catalog) -> Vec<Row> {
    let id = |name: &str| if name == PUBLIC { "p".to_owned() } else { catalog.role_id(name) };
    let rows = catalog.default_privileges().iter().map(|default| {
        let database = default.database.as_deref().and_then(|name| catalog.database(name));
        let schema = match (&default.database, &default.schema) {
            (Some(database), Some(schema)) => catalog.schema(database, schema),
            _ => None,
        };
        let database = database.map(|database| format!("u{}", database.id));
        let schema = schema.map(|schema| format!("u{}", schema.id));
        Row::pack([
            Datum::Text(&id(&default.role)),
            database.as_deref().map_or(Datum::Null, Datum::Text),
            schema.as_deref().map_or(Datum::Null, Datum::Text),
            Datum::Text(default.kind.word()),
            Datum::Text(&id(&default.grantee)),
            Datum::Text(&default.set().to_string()),
        ])
    });
    rows.collect()
}

/// What is shown of where something is.
struct Place<'a> {
    oid: u32,
    database: Option<&'a str>,
    schema: Option<&'a str>,
    name: Option<&'a str>,
}

fn privilege_rows(catalog: &Catalog, on: &Securable, place: &Place<'_>, rows: &mut Vec<Row>) {
    for item in catalog.acl(on) {
        for privilege in item.privileges.iter() {
            rows.push(Row::pack([
                Datum::Int(i64::from(place.oid)),
                Datum::Text(&item.grantor),
                Datum::Text(&item.grantee),
                place.database.map_or(Datum::Null, Datum::Text),
                place.schema.map_or(Datum::Null, Datum::Text),
                place.name.map_or(Datum::Null, Datum::Text),
                Datum::Text(catalog.securable_kind(on).word()),
                Datum::Text(privilege.word()),
            ]));
        }
    }
}

fn object_privileges(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let place = Place {
        oid: item.oid.0,
        database: item.name.database.as_deref(),
        schema: Some(&item.name.schema),
        name: Some(&item.name.item),
    };
    privilege_rows(catalog, &Securable::Item(item.id), &place, rows);
}

fn other_privileges(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, database) in catalog.databases() {
        let place = Place { oid: database.oid.0, database: None, schema: None, name: Some(name) };
        privilege_rows(catalog, &Securable::Database(name.clone()), &place, &mut rows);
    }
    for ((database, name), schema) in catalog.schemas() {
        let place = Place {
            oid: schema.oid.0,
            database: database.as_deref(),
            schema: None,
            name: Some(name),
        };
        let on = Securable::Schema(database.clone(), name.clone());
        privilege_rows(catalog, &on, &place, &mut rows);
    }
    for cluster in catalog.clusters() {
        let name = &cluster.name;
        let place = Place { oid: 0, database: None, schema: None, name: Some(name) };
        privilege_rows(catalog, &Securable::Cluster(name.clone()), &place, &mut rows);
    }
    let place = Place { oid: 0, database: None, schema: None, name: None };
    privilege_rows(catalog, &Securable::System, &place, &mut rows);
    rows
}

fn policies(catalog: &Catalog) -> Vec<Row> {
    let rows = catalog.network_policies().map(|policy| {
        Row::pack([
            Datum::Text(&format!("u{}", policy.id)),
            Datum::Text(&policy.name),
            Datum::Text(&catalog.role_id(&policy.owner)),
        ])
    });
    rows.collect()
}

fn policy_rules(catalog: &Catalog) -> Vec<Row> {
    let rows = catalog.network_policies().flat_map(|policy| {
        policy.rules.iter().map(|rule| {
            Row::pack([
                Datum::Text(&rule.name),
                Datum::Text(&format!("u{}", policy.id)),
                Datum::Text("allow"),
                Datum::Text(&rule.address),
                Datum::Text("ingress"),
            ])
        })
    });
    rows.collect()
}
