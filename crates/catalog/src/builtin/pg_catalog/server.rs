//! `pg_catalog`: roles, settings, access methods, tablespaces.

use tidemill_repr::Row;

use super::super::fill::{Shape, Value, count};
use super::super::{Builtin, Content, roles};
use crate::role::{DefaultPrivilege, PUBLIC, Privilege, Securable, SecurableKind};
use crate::snapshot::Catalog;

const ROLES: &str = "oid oid, rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, \
     rolcreatedb bool, rolcanlogin bool, rolreplication bool, rolconnlimit int4, \
     rolpassword text?, rolvaliduntil timestamptz?, rolbypassrls bool, rolconfig text[]?";
const ACCESS_METHODS: &str = "oid oid, amname name, amhandler regproc, amtype char";
const TABLESPACES: &str = "oid oid, spcname name, spcowner oid, spcacl text[]?, spcoptions text[]?";
const LANGUAGES: &str = "oid oid, lanname name, lanowner oid, lanispl bool, lanpltrusted bool, \
     lanplcallfoid oid, laninline oid, lanvalidator oid, lanacl text[]?";

const AUTH_MEMBERS: &str = "roleid oid, member oid, grantor oid, admin_option bool, \
     inherit_option bool, set_option bool";
const DEFAULT_ACL: &str = "oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype char, \
     defaclacl text[]?";

/// The tablespace of all databases, with PostgreSQL's oid.
pub(super) const DEFAULT_TABLESPACE: i64 = 1663;

/// The relations.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 311,
        schema: "pg_catalog",
        name: "pg_roles",
        columns: ROLES,
        content: Content::Catalog(all_roles),
    },
    Builtin {
        number: 312,
        schema: "pg_catalog",
        name: "pg_am",
        columns: ACCESS_METHODS,
        content: Content::Constant(access_methods),
    },
    Builtin {
        number: 314,
        schema: "pg_catalog",
        name: "pg_tablespace",
        columns: TABLESPACES,
        content: Content::Constant(tablespaces),
    },
    Builtin {
        number: 315,
        schema: "pg_catalog",
        name: "pg_language",
        columns: LANGUAGES,
        content: Content::Constant(languages),
    },
    Builtin {
        number: 316,
        schema: "pg_catalog",
        name: "pg_extension",
        columns: "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable bool, \
                  extversion text, extconfig oid[]?, extcondition text[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 450,
        schema: "pg_catalog",
        name: "pg_auth_members",
        columns: AUTH_MEMBERS,
        content: Content::Catalog(auth_members),
    },
    Builtin {
        number: 451,
        schema: "pg_catalog",
        name: "pg_default_acl",
        columns: DEFAULT_ACL,
        content: Content::Catalog(default_acl),
    },
];

fn all_roles(catalog: &Catalog) -> Vec<Row> {
    let shape = Shape::of(ROLES);
    let may = |name: &str, privilege| {
        let acl = catalog.acl(&Securable::System);
        acl.iter().any(|item| item.grantee == name && item.privileges.has(privilege))
    };
    let rows = catalog.roles().map(|role| {
        let settings = (!role.settings.is_empty()).then(|| {
            let settings = role.settings.iter();
            settings.map(|(name, values)| format!("{name}={}", values.join(", "))).collect()
        });
        let superuser = role.superuser;
        shape.row(&[
            ("oid", Value::Int(roles::oid(&role.name))),
            ("rolname", Value::Text(&role.name)),
            ("rolsuper", Value::Bool(superuser)),
            ("rolinherit", Value::Bool(role.inherit)),
            ("rolcreaterole", Value::Bool(superuser || may(&role.name, Privilege::CreateRole))),
            ("rolcreatedb", Value::Bool(superuser || may(&role.name, Privilege::CreateDb))),
            ("rolcanlogin", Value::Bool(role.login)),
            ("rolconnlimit", Value::Int(-1)),
            ("rolpassword", Value::Optional(Some("********"))),
            ("rolbypassrls", Value::Bool(superuser)),
            ("rolconfig", Value::Texts(settings)),
        ])
    });
    rows.collect()
}

fn auth_members(catalog: &Catalog) -> Vec<Row> {
    let shape = Shape::of(AUTH_MEMBERS);
    let rows = catalog.memberships().map(|membership| {
        let admin =
            catalog.has_privilege(&membership.member, &Securable::System, Privilege::CreateRole);
        shape.row(&[
            ("roleid", Value::Int(roles::oid(&membership.role))),
            ("member", Value::Int(roles::oid(&membership.member))),
            ("grantor", Value::Int(roles::oid(&membership.grantor))),
            ("admin_option", Value::Bool(admin || membership.admin)),
            ("inherit_option", Value::Bool(catalog.inherits(membership))),
            ("set_option", Value::Bool(!membership.no_set)),
        ])
    });
    rows.collect()
}

fn default_acl(catalog: &Catalog) -> Vec<Row> {
    let shape = Shape::of(DEFAULT_ACL);
    // That types are everybody's is so by default in PostgreSQL, too.
    let usual = |default: &&DefaultPrivilege| {
        default.role == PUBLIC
            && default.grantee == PUBLIC
            && default.kind == SecurableKind::Type
            && default.schema.is_none()
            && default.database.is_none()
    };
    let defaults = catalog.default_privileges().iter().filter(|default| !usual(default));
    let rows = defaults.enumerate().map(|(number, default)| {
        let schema = match (&default.database, &default.schema) {
            (Some(database), Some(schema)) => catalog.schema(database, schema),
            _ => None,
        };
        let kind = match default.kind {
            SecurableKind::Table => "r",
            SecurableKind::Type => "T",
            SecurableKind::Function => "f",
            SecurableKind::Schema => "n",
            // PostgreSQL has no letter for the others.
            _ => "",
        };
        let of = |name: &str| if name == PUBLIC { 0 } else { roles::oid(name) };
        let grantee = if default.grantee == PUBLIC { "" } else { default.grantee.as_str() };
        let acl = format!("{grantee}={}/{}", default.set(), default.role);
        shape.row(&[
            ("oid", count(number + 1)),
            ("defaclrole", Value::Int(of(&default.role))),
            ("defaclnamespace", Value::Int(schema.map_or(0, |schema| i64::from(schema.oid.0)))),
            ("defaclobjtype", Value::Text(kind)),
            ("defaclacl", Value::Texts(Some(vec![acl]))),
        ])
    });
    rows.collect()
}

fn access_methods() -> Vec<Row> {
    let shape = Shape::of(ACCESS_METHODS);
    [(2, "heap", "t"), (403, "btree", "i")]
        .into_iter()
        .map(|(number, name, kind)| {
            shape.row(&[
                ("oid", Value::Int(number)),
                ("amname", Value::Text(name)),
                ("amtype", Value::Text(kind)),
            ])
        })
        .collect()
}

fn tablespaces() -> Vec<Row> {
    let shape = Shape::of(TABLESPACES);
    let owner = roles::oid(roles::SYSTEM);
    vec![shape.row(&[
        ("oid", Value::Int(DEFAULT_TABLESPACE)),
        ("spcname", Value::Text("pg_default")),
        ("spcowner", Value::Int(owner)),
    ])]
}

fn languages() -> Vec<Row> {
    let shape = Shape::of(LANGUAGES);
    let owner = roles::oid(roles::SYSTEM);
    [(12, "internal"), (14, "sql")]
        .into_iter()
        .map(|(number, name)| {
            shape.row(&[
                ("oid", Value::Int(number)),
                ("lanname", Value::Text(name)),
                ("lanowner", Value::Int(owner)),
            ])
        })
        .collect()
}
