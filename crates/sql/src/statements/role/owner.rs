//! Who owns what: OWNER TO, REASSIGN OWNED and DROP OWNED.

use sqlparser::ast::ObjectName;
use tidemill_catalog::role::{self, Privilege, Securable, SecurableKind};
use tidemill_catalog::{CatalogChange, ItemKind};
use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::change;
use crate::ast::ObjectKind;
use crate::ast::role::RoleName;
use crate::plan::{DropPlan, Plan, Planned};
use crate::statements::authorize::denied;
use crate::statements::drop::{dependants_exist, is_missing, item_kind};
use crate::statements::{Planning, command, nothing};

impl Planning<'_> {
    pub(super) fn change_owner(
        &self,
        kind: ObjectKind,
        if_exists: bool,
        name: &ObjectName,
        role: &RoleName,
    ) -> Result<Planned, SqlError> {
        let tag = owner_tag(kind);
        let found = match kind {
            ObjectKind::Schema => self.securable(SecurableKind::Schema, name),
            ObjectKind::Database => self.securable(SecurableKind::Database, name),
            _ => match item_kind(kind) {
                None => return Err(SqlError::unsupported(format_args!("ALTER {kind} OWNER TO"))),
                Some((kind, _)) => self.item(name, &[kind]).map(|item| Securable::Item(item.id)),
            },
        };
        let on = match found {
            Ok(on) => on,
            Err(error) if if_exists && is_missing(&error) => {
                let message = format!("{}, skipping", error.message);
                return Ok(nothing(tag, SqlState("00000"), message));
            }
            Err(error) => return Err(error),
        };
        self.give_away(&on, role, tag)
    }

    /// Gives something to another owner.
    pub(in crate::statements) fn give_away(
        &self,
        on: &Securable,
        role: &RoleName,
        tag: &'static str,
    ) -> Result<Planned, SqlError> {
        if matches!(on, Securable::Item(ObjectId::System(_))) {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("cannot alter {} because it is built in", self.shown(on)),
            ));
        }
        let owner = self.single_role(role)?;
        self.require_owner(on)?;
        self.require_member(&owner)?;
        self.require_new_owner_creates(&owner, on)?;
        let mut changes = Vec::new();
        for on in self.with_parts(on) {
            changes.push(CatalogChange::SetOwner { on, owner: owner.clone() });
        }
        Ok(change(changes, tag))
    }

    fn require_member(&self, role: &str) -> Result<(), SqlError> {
        if self.planner.catalog.may_become(self.user(), role) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("must be able to SET ROLE \"{role}\""),
        ))
    }

    /// As in PostgreSQL the new owner must be one who could have made it.
    fn require_new_owner_creates(&self, owner: &str, on: &Securable) -> Result<(), SqlError> {
        let catalog = self.planner.catalog;
        let inside = match on {
            Securable::Item(id) => catalog.item(*id).map(|item| {
                Securable::Schema(item.name.database.clone(), item.name.schema.clone())
            }),
            Securable::Schema(Some(database), _) => Some(Securable::Database(database.clone())),
            _ => None,
        };
        let Some(inside) = inside else { return Ok(()) };
        if self.is_superuser() || catalog.has_privilege(owner, &inside, Privilege::Create) {
            return Ok(());
        }
        Err(denied::privilege(catalog, owner, &inside, Privilege::Create))
    }

    /// An object and what belongs to it: indexes, and sequences of its columns.
    fn with_parts(&self, on: &Securable) -> Vec<Securable> {
        let catalog = self.planner.catalog;
        let mut found = vec![on.clone()];
        if let Securable::Item(id) = on {
            found.extend(catalog.indexes_on(*id).map(|index| Securable::Item(index.id)));
            let needed = catalog.item(*id).map(|item| item.depends_on.clone()).unwrap_or_default();
            let sequences = needed.into_iter().filter(|id| {
                catalog.item(*id).is_some_and(|item| {
                    item.kind() == ItemKind::Sequence && catalog.owner(on) == Some(&item.owner)
                })
            });
            found.extend(sequences.map(Securable::Item));
        }
        found
    }

    pub(super) fn reassign_owned(
        &self,
        old: &[RoleName],
        new: &RoleName,
    ) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        let new = self.single_role(new)?;
        self.require_member(&new)?;
        let mut changes = Vec::new();
        for role in old {
            let role = self.single_role(role)?;
            self.require_member(&role)?;
            let owned = catalog.owned_by(&role);
            changes.extend(
                owned.into_iter().map(|on| CatalogChange::SetOwner { on, owner: new.clone() }),
            );
            for policy in catalog.network_policies().filter(|policy| policy.owner == role) {
                let mut policy = policy.clone();
                policy.owner.clone_from(&new);
                changes.push(CatalogChange::PutNetworkPolicy(policy));
            }
        }
        Ok(change(changes, "REASSIGN OWNED"))
    }

    pub(super) fn drop_owned(
        &self,
        roles: &[RoleName],
        cascade: bool,
    ) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        let mut plan = DropPlan { tag: "DROP OWNED", ..DropPlan::default() };
        let mut named: Vec<ObjectId> = Vec::new();
        let mut changes = Vec::new();
        let mut dropped = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for role in roles {
            let role = self.single_role(role)?;
            self.require_member(&role)?;
            let owned = catalog.owned_by(&role);
            for on in &owned {
                match on {
                    Securable::Item(id) => named.push(*id),
                    Securable::Schema(Some(database), name) => {
                        plan.schemas.push((database.clone(), name.clone()));
                        let inside = catalog.items_in_schema(Some(database), name);
                        named.extend(
                            inside.filter(|item| cascade || item.owner == role).map(|item| item.id),
                        );
                        let other = catalog
                            .items_in_schema(Some(database), name)
                            .find(|item| !cascade && item.owner != role);
                        if let Some(other) = other {
                            let line = format!("{} {}", other.kind(), other.name.item);
                            return Err(dependants_exist(
                                "cannot drop desired object(s)".to_owned(),
                                &[line],
                            ));
                        }
                    }
                    // As in PostgreSQL databases are left alone.
                    _ => {}
                }
            }
            dropped.extend(owned);
            names.push(role);
        }
        let named_role = |name: &String| names.contains(name);
        for (on, acl) in catalog.own_acls().filter(|(on, _)| !dropped.contains(on)) {
            let owner = catalog.owner(on);
            let mut left = acl.clone();
            left.retain(|item| !named_role(&item.grantee) || owner == Some(item.grantee.as_str()));
            if left != *acl {
                changes.push(CatalogChange::SetPrivileges { on: on.clone(), acl: left });
            }
        }
        let defaults = catalog.default_privileges();
        let left: Vec<role::DefaultPrivilege> = defaults
            .iter()
            .filter(|default| !named_role(&default.role) && !named_role(&default.grantee))
            .cloned()
            .collect();
        if left.len() != defaults.len() {
            changes.push(CatalogChange::SetDefaultPrivileges(left));
        }
        let mut notices = Vec::new();
        plan.items =
            crate::statements::drop::with_dependants(self.naming(), &named, cascade, &mut notices)?;
        plan.changes = changes;
        let mut planned = command(Plan::Drop(plan));
        planned.notices = notices;
        Ok(planned)
    }
}

fn owner_tag(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Schema => "ALTER SCHEMA",
        ObjectKind::Database => "ALTER DATABASE",
        ObjectKind::View => "ALTER VIEW",
        ObjectKind::MaterializedView => "ALTER MATERIALIZED VIEW",
        ObjectKind::Index => "ALTER INDEX",
        ObjectKind::Source => "ALTER SOURCE",
        ObjectKind::Connection => "ALTER CONNECTION",
        ObjectKind::Secret => "ALTER SECRET",
        ObjectKind::Sequence => "ALTER SEQUENCE",
        ObjectKind::Cluster => "ALTER CLUSTER",
        _ => "ALTER TABLE",
    }
}
