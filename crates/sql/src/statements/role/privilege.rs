//! GRANT and REVOKE of privileges, and those that new objects begin with.

use sqlparser::ast::ObjectName;
use tidemill_catalog::role::{
    self, DefaultPrivilege, PUBLIC, Privilege, Privileges, Securable, SecurableKind,
};
use tidemill_catalog::{CatalogChange, Item, ItemKind};
use tidemill_repr::{SqlError, SqlState};

use super::{INVALID_GRANT, change};
use crate::ast::role::{AlterDefaultPrivileges, DefaultRoles, GrantTarget, RoleName};
use crate::names;
use crate::plan::Planned;
use crate::statements::Planning;

/// The kinds of objects that privileges on tables are about.
const RELATIONS: &[ItemKind] = &[
    ItemKind::Table,
    ItemKind::View,
    ItemKind::MaterializedView,
    ItemKind::Source,
    ItemKind::Sequence,
];

impl Planning<'_> {
    pub(super) fn grant(
        &self,
        grant: bool,
        privileges: &[Privilege],
        target: &GrantTarget,
        grantees: &[RoleName],
    ) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        let mut changes = Vec::new();
        for on in self.securables(target)? {
            let kind = catalog.securable_kind(&on);
            let privileges = allowed(kind, privileges)?;
            if on == Securable::System {
                self.require_system(Privilege::CreateRole, "grant privileges on the system")?;
            } else {
                self.require_owner(&on)?;
            }
            let owner = catalog.owner(&on).unwrap_or(role::SYSTEM).to_owned();
            let mut acl = catalog.acl(&on);
            for grantee in grantees {
                let grantee = self.role_named(grantee)?;
                if grant {
                    role::grant(&mut acl, &grantee, &owner, privileges);
                } else {
                    role::revoke(&mut acl, &grantee, privileges);
                }
            }
            changes.push(CatalogChange::SetPrivileges { on, acl });
        }
        Ok(change(changes, if grant { "GRANT" } else { "REVOKE" }))
    }

    fn securables(&self, target: &GrantTarget) -> Result<Vec<Securable>, SqlError> {
        match target {
            GrantTarget::Functions(names) => names
                .iter()
                .map(|name| Ok(Securable::Item(self.named_function(name)?.id)))
                .collect(),
            GrantTarget::System => Ok(vec![Securable::System]),
            GrantTarget::Names(kind, names) => {
                names.iter().map(|name| self.securable(*kind, name)).collect()
            }
            GrantTarget::InSchemas(kind, names) => {
                let mut places = Vec::new();
                for name in names {
                    if let Securable::Schema(database, schema) =
                        self.securable(SecurableKind::Schema, name)?
                    {
                        places.push((database, Some(schema)));
                    }
                }
                Ok(self.all_of(*kind, &places))
            }
            GrantTarget::InDatabases(kind, names) => {
                let mut places = Vec::new();
                for name in names {
                    if let Securable::Database(name) =
                        self.securable(SecurableKind::Database, name)?
                    {
                        places.push((Some(name), None));
                    }
                }
                Ok(self.all_of(*kind, &places))
            }
            GrantTarget::All(kind) => {
                let databases = self.planner.catalog.databases();
                let places: Vec<_> =
                    databases.map(|(name, _)| (Some(name.clone()), None)).collect();
                Ok(self.all_of(*kind, &places))
            }
        }
    }

    /// All of a kind in these databases and schemas that the user may grant.
    fn all_of(
        &self,
        kind: SecurableKind,
        places: &[(Option<String>, Option<String>)],
    ) -> Vec<Securable> {
        let catalog = self.planner.catalog;
        let inside = |database: Option<&String>, schema: &str| {
            places.iter().any(|(in_database, in_schema)| {
                in_database.as_ref() == database
                    && in_schema.as_ref().is_none_or(|in_schema| in_schema == schema)
            })
        };
        match kind {
            SecurableKind::Schema => catalog
                .schemas()
                .filter(|((database, name), _)| inside(database.as_ref(), name))
                .map(|((database, name), _)| Securable::Schema(database.clone(), name.clone()))
                .collect(),
            SecurableKind::Database => {
                catalog.databases().map(|(name, _)| Securable::Database(name.clone())).collect()
            }
            _ => catalog
                .items()
                .filter(|item| {
                    !item.is_system()
                        && SecurableKind::of_item(item.kind()) == kind
                        && inside(item.name.database.as_ref(), &item.name.schema)
                })
                .map(|item| Securable::Item(item.id))
                .collect(),
        }
    }

    /// What a name of this kind means.
    pub(super) fn securable(
        &self,
        kind: SecurableKind,
        name: &ObjectName,
    ) -> Result<Securable, SqlError> {
        let session = self.planner.session;
        let catalog = self.planner.catalog;
        let parts = names::parts(name)?;
        let improper =
            || SqlError::new(SqlState::SYNTAX_ERROR, format!("improper name: {}", parts.join(".")));
        let item = |kinds: &[ItemKind]| -> Result<Securable, SqlError> {
            let item: &Item = self.item(name, kinds)?;
            if item.is_system() {
                return Err(SqlError::new(
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    format!(
                        "privileges on {} cannot be changed because it is built in",
                        item.name.item
                    ),
                ));
            }
            Ok(Securable::Item(item.id))
        };
        match kind {
            SecurableKind::Table => item(RELATIONS),
            SecurableKind::Secret => item(&[ItemKind::Secret]),
            SecurableKind::Connection => item(&[ItemKind::Connection]),
            SecurableKind::Index => item(&[ItemKind::Index]),
            SecurableKind::Function => item(&[ItemKind::Function]),
            SecurableKind::Type => {
                let found = catalog.resolve_item(session.database, session.search_path, &parts)?;
                Ok(Securable::Item(found.id))
            }
            SecurableKind::System => Ok(Securable::System),
            SecurableKind::Cluster => match name.0.as_slice() {
                [part] => {
                    let name = part.as_ident().map_or("", |name| &name.value);
                    Ok(Securable::Cluster(catalog.require_cluster(name)?.name.clone()))
                }
                _ => Err(improper()),
            },
            SecurableKind::Database => {
                let [database] = parts.as_slice() else { return Err(improper()) };
                if catalog.database(database).is_none() {
                    return Err(SqlError::new(
                        SqlState::INVALID_CATALOG_NAME,
                        format!("database \"{database}\" does not exist"),
                    ));
                }
                Ok(Securable::Database(database.clone()))
            }
            SecurableKind::Schema => {
                let (database, schema) = match parts.as_slice() {
                    [schema] => (session.database, schema),
                    [database, schema] => (database.as_str(), schema),
                    _ => return Err(improper()),
                };
                let key = (Some(database.to_owned()), schema.clone());
                if !catalog.schemas().any(|(name, _)| *name == key) {
                    return Err(SqlError::new(
                        SqlState::INVALID_SCHEMA_NAME,
                        format!("schema \"{schema}\" does not exist"),
                    ));
                }
                Ok(Securable::Schema(key.0, key.1))
            }
        }
    }

    pub(super) fn alter_default_privileges(
        &self,
        alter: &AlterDefaultPrivileges,
    ) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        let privileges = allowed(alter.kind, &alter.privileges)?;
        let everybody =
            |grantee: &RoleName| matches!(self.role_named(grantee), Ok(name) if name == PUBLIC);
        if alter.kind == SecurableKind::Function
            && !alter.grant
            && alter.grantees.iter().any(everybody)
        {
            return Err(SqlError::unsupported(
                "taking EXECUTE on functions that are not made yet from PUBLIC",
            )
            .with_hint("Use REVOKE EXECUTE ON FUNCTION .. FROM PUBLIC for each function."));
        }
        let roles = match &alter.roles {
            DefaultRoles::Current => vec![self.user().to_owned()],
            DefaultRoles::All => vec![PUBLIC.to_owned()],
            DefaultRoles::Roles(roles) => {
                roles.iter().map(|role| self.single_role(role)).collect::<Result<_, _>>()?
            }
        };
        for role in &roles {
            if role == PUBLIC {
                self.require_superuser("alter default privileges for all roles")?;
            } else if !catalog.is_member(self.user(), role) {
                self.require_system(Privilege::CreateRole, "alter default privileges")?;
            }
        }
        let mut places = Vec::new();
        for name in &alter.schemas {
            if let Securable::Schema(database, schema) =
                self.securable(SecurableKind::Schema, name)?
            {
                places.push((database, Some(schema)));
            }
        }
        for name in &alter.databases {
            if let Securable::Database(name) = self.securable(SecurableKind::Database, name)? {
                places.push((Some(name), None));
            }
        }
        if places.is_empty() {
            places.push((None, None));
        }
        let mut defaults = catalog.default_privileges().to_vec();
        for role in &roles {
            for (database, schema) in &places {
                for grantee in &alter.grantees {
                    let entry = DefaultPrivilege {
                        role: role.clone(),
                        database: database.clone(),
                        schema: schema.clone(),
                        kind: alter.kind,
                        grantee: self.role_named(grantee)?,
                        privileges: 0,
                    };
                    put_default(&mut defaults, entry, alter.grant, privileges);
                }
            }
        }
        let tag = "ALTER DEFAULT PRIVILEGES";
        Ok(change(vec![CatalogChange::SetDefaultPrivileges(defaults)], tag))
    }
}

fn put_default(
    defaults: &mut Vec<DefaultPrivilege>,
    entry: DefaultPrivilege,
    grant: bool,
    privileges: Privileges,
) {
    let at = defaults.iter().position(|known| known.clone().with(Privileges::default()) == entry);
    let before = at.map_or(Privileges::default(), |at| defaults.remove(at).set());
    let after = if grant { before.with(privileges) } else { before.without(privileges) };
    if !after.is_empty() {
        defaults.push(entry.with(after));
        defaults.sort();
    }
}

/// The privileges that are meant, all of them possible for the kind.
fn allowed(kind: SecurableKind, privileges: &[Privilege]) -> Result<Privileges, SqlError> {
    if privileges.is_empty() {
        return Ok(kind.privileges());
    }
    if let Some(wrong) = privileges.iter().find(|privilege| !kind.privileges().has(**privilege)) {
        return Err(SqlError::new(
            INVALID_GRANT,
            format!("invalid privilege type {} for {}", wrong.word(), kind.word()),
        ));
    }
    Ok(Privileges::of(privileges))
}
