//! Who may do what, as a snapshot knows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::{Catalog, SYSTEM_SCHEMAS};
use crate::change::CatalogChange;
use crate::cluster::DEFAULT_CLUSTER;
use crate::item::Item;
use crate::role::{
    self, AclItem, DefaultPrivilege, Membership, NetworkPolicy, PUBLIC, Privilege, Privileges,
    Role, Securable, SecurableKind,
};

/// Roles, privileges, and settings of the whole server.
#[derive(Clone, Debug, Default)]
pub(super) struct Security {
    roles: imbl::OrdMap<String, Arc<Role>>,
    memberships: imbl::OrdSet<Membership>,
    /// Where they are not the usual ones.
    acls: imbl::OrdMap<Securable, Vec<AclItem>>,
    defaults: Arc<Vec<DefaultPrivilege>>,
    policies: imbl::OrdMap<String, NetworkPolicy>,
    settings: imbl::OrdMap<String, Vec<String>>,
}

impl Security {
    pub(super) fn builtin() -> Security {
        let mut security = Security::default();
        for role in Role::builtin() {
            security.roles.insert(role.name.clone(), Arc::new(role));
        }
        let types = DefaultPrivilege {
            role: PUBLIC.to_owned(),
            database: None,
            schema: None,
            kind: SecurableKind::Type,
            grantee: PUBLIC.to_owned(),
            privileges: 0,
        };
        security.defaults = Arc::new(vec![types.with(Privileges::of(&[Privilege::Usage]))]);
        security
    }

    /// Lets what is said of schemas follow their new names.
    pub(super) fn rename_schemas(&mut self, database: &str, names: &[(String, String)]) {
        let key = |name: &String| Securable::Schema(Some(database.to_owned()), name.clone());
        let moved: Vec<_> =
            names.iter().map(|(from, to)| (key(to), self.acls.remove(&key(from)))).collect();
        for (to, acl) in moved {
            if let Some(acl) = acl {
                self.acls.insert(to, acl);
            }
        }
        let mut defaults = Vec::clone(&self.defaults);
        for default in &mut defaults {
            let inside = default.database.as_deref() == Some(database);
            let new = names.iter().find(|(from, _)| default.schema.as_ref() == Some(from));
            if let (true, Some((_, to))) = (inside, new) {
                default.schema = Some(to.clone());
            }
        }
        self.defaults = Arc::new(defaults);
    }

    /// What is said of something is forgotten with it.
    /// The access list of something that gets another name.
    pub(super) fn rename(&mut self, from: &Securable, to: Securable) {
        if let Some(acl) = self.acls.remove(from) {
            self.acls.insert(to, acl);
        }
    }

    pub(super) fn forget(&mut self, on: &Securable) {
        self.acls.remove(on);
    }
}

impl Catalog {
    /// Applies a change that is about roles, privileges or settings.
    pub(super) fn apply_security(&mut self, change: &CatalogChange) -> Result<(), SqlError> {
        match change {
            CatalogChange::PutRole(role) => {
                let other = self.security.roles.values().find(|other| {
                    other.name != role.name && role::oid(&other.name) == role::oid(&role.name)
                });
                if other.is_some() {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_OBJECT,
                        format!("role \"{}\" would have the oid of another role", role.name),
                    )
                    .with_hint("Choose another name."));
                }
                self.security.roles.insert(role.name.clone(), Arc::new((**role).clone()));
            }
            CatalogChange::DropRole(name) => {
                self.security.roles.remove(name);
                self.comments.remove(&crate::comment::Commented::Role(name.clone()));
                self.security.memberships = std::mem::take(&mut self.security.memberships)
                    .into_iter()
                    .filter(|member| member.role != *name && member.member != *name)
                    .collect();
            }
            CatalogChange::PutMember(membership) => {
                let same = |known: &Membership| {
                    known.role == membership.role && known.member == membership.member
                };
                let known = self.security.memberships.iter().find(|known| same(known)).cloned();
                if let Some(known) = known {
                    self.security.memberships.remove(&known);
                }
                self.security.memberships.insert(membership.clone());
            }
            CatalogChange::DropMember { role, member } => {
                self.security.memberships = std::mem::take(&mut self.security.memberships)
                    .into_iter()
                    .filter(|known| known.role != *role || known.member != *member)
                    .collect();
            }
            CatalogChange::SetPrivileges { on, acl } => {
                self.security.acls.insert(on.clone(), acl.clone());
                self.touch(on);
            }
            CatalogChange::SetOwner { on, owner } => self.set_owner(on, owner)?,
            CatalogChange::SetDefaultPrivileges(defaults) => {
                self.security.defaults = Arc::new(defaults.clone());
            }
            CatalogChange::PutNetworkPolicy(policy) => {
                self.security.policies.insert(policy.name.clone(), policy.clone());
            }
            CatalogChange::DropNetworkPolicy(name) => {
                self.security.policies.remove(name);
            }
            CatalogChange::SetSystemSetting { name, values: Some(values) } => {
                self.security.settings.insert(name.clone(), values.clone());
            }
            CatalogChange::SetSystemSetting { name, values: None } => {
                self.security.settings.remove(name);
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets relations that show an object be told of it again.
    fn touch(&mut self, on: &Securable) {
        if let Securable::Item(id) = on
            && let Some(item) = self.items.get(id)
        {
            let again = Arc::new(Item::clone(item));
            self.items.insert(*id, again);
        }
    }

    fn set_owner(&mut self, on: &Securable, owner: &str) -> Result<(), SqlError> {
        let gone = || SqlError::new(SqlState::UNDEFINED_OBJECT, "what is given away is gone");
        let mut acl = self.acl(on);
        let old = self.owner(on).ok_or_else(gone)?.to_owned();
        match on {
            Securable::Item(id) => {
                let mut item = Item::clone(self.items.get(id).ok_or_else(gone)?);
                item.owner = owner.to_owned();
                self.items.insert(*id, Arc::new(item));
            }
            Securable::Schema(database, name) => {
                let key = (database.clone(), name.clone());
                self.schemas.get_mut(&key).ok_or_else(gone)?.owner = owner.to_owned();
            }
            Securable::Database(name) => {
                self.databases.get_mut(name).ok_or_else(gone)?.owner = owner.to_owned();
            }
            Securable::Cluster(name) => {
                let cluster = self.clusters.get_mut(name).ok_or_else(gone)?;
                Arc::make_mut(cluster).owner = owner.to_owned();
            }
            Securable::System => return Err(gone()),
        }
        // As in PostgreSQL, what the old owner had and gave is the new one's.
        if self.security.acls.contains_key(on) {
            let mut new: Vec<AclItem> = Vec::new();
            for item in acl.drain(..) {
                let swap = |name: String| if name == old { owner.to_owned() } else { name };
                let (grantee, grantor) = (swap(item.grantee), swap(item.grantor));
                role::grant(&mut new, &grantee, &grantor, item.privileges);
            }
            self.security.acls.insert(on.clone(), new);
        }
        Ok(())
    }

    /// Grants on a new object what its maker's default privileges say.
    pub(super) fn grant_defaults(&mut self, on: &Securable) {
        let Some(owner) = self.owner(on).map(str::to_owned) else { return };
        let (database, schema) = self.place(on);
        let kind = self.securable_kind(on);
        let mut acl = self.acl(on);
        let before = acl.clone();
        for default in self.security.defaults.iter() {
            let fits = (default.role == owner || default.role == PUBLIC)
                && default.kind == kind
                && (default.database.is_none() || default.database == database)
                && (default.schema.is_none() || default.schema == schema);
            if fits {
                role::grant(&mut acl, &default.grantee, &owner, default.set());
            }
        }
        if acl != before {
            self.security.acls.insert(on.clone(), acl);
        }
    }

    /// The database and schema that something is in.
    fn place(&self, on: &Securable) -> (Option<String>, Option<String>) {
        match on {
            Securable::Item(id) => self.items.get(id).map_or((None, None), |item| {
                (item.name.database.clone(), Some(item.name.schema.clone()))
            }),
            Securable::Schema(database, _) => (database.clone(), None),
            _ => (None, None),
        }
    }

    /// A role by name.
    pub fn role(&self, name: &str) -> Option<&Arc<Role>> {
        self.security.roles.get(name)
    }

    /// A role by name.
    ///
    /// # Errors
    /// There is none (`42704`).
    pub fn require_role(&self, name: &str) -> Result<&Arc<Role>, SqlError> {
        self.role(name).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
        })
    }

    /// All roles by name.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.security.roles.values()
    }

    /// The identity of a role as relations show it; its name where there is no such role.
    pub fn role_id(&self, name: &str) -> String {
        self.role(name).map_or_else(|| name.to_owned(), |role| role.id_text())
    }

    /// The number of the next role.
    pub fn next_role(&self) -> u64 {
        let users = self.roles().filter(|role| !role.is_system());
        users.map(|role| role.id).max().unwrap_or(0) + 1
    }

    /// Who is a member of what.
    pub fn memberships(&self) -> impl Iterator<Item = &Membership> + Clone {
        self.security.memberships.iter()
    }

    /// Whether a role may do everything.
    pub fn is_superuser(&self, role: &str) -> bool {
        self.role(role).is_some_and(|role| role.superuser)
    }

    /// A role and those whose privileges it has.
    pub fn effective_roles<'a>(&'a self, role: &'a str) -> BTreeSet<&'a str> {
        role::closure(role, self.memberships(), |membership| self.inherits(membership))
    }

    /// Whether the member of a membership has the privileges of the role without SET ROLE.
    pub fn inherits(&self, membership: &Membership) -> bool {
        let by_role = || self.role(&membership.member).is_some_and(|role| role.inherit);
        membership.inherit.unwrap_or_else(by_role)
    }

    /// Whether a role can become another by SET ROLE.
    pub fn may_become(&self, member: &str, role: &str) -> bool {
        self.is_superuser(member)
            || role::closure(member, self.memberships(), |membership| !membership.no_set)
                .contains(role)
    }

    /// Whether a role may say who is a member of another.
    pub fn administers(&self, user: &str, role: &str) -> bool {
        let roles = self.effective_roles(user);
        self.is_superuser(user)
            || self.memberships().any(|membership| {
                membership.admin
                    && membership.role == role
                    && roles.contains(membership.member.as_str())
            })
    }

    /// Whether a role is another, or a member of it over any number of steps.
    pub fn is_member(&self, member: &str, role: &str) -> bool {
        self.is_superuser(member)
            || role::closure(member, self.memberships(), |_| true).contains(role)
    }

    /// What something is, for privileges.
    pub fn securable_kind(&self, on: &Securable) -> SecurableKind {
        match on {
            Securable::Item(id) => self
                .items
                .get(id)
                .map_or(SecurableKind::Table, |item| SecurableKind::of_item(item.kind())),
            Securable::Schema(..) => SecurableKind::Schema,
            Securable::Database(_) => SecurableKind::Database,
            Securable::Cluster(_) => SecurableKind::Cluster,
            Securable::System => SecurableKind::System,
        }
    }

    /// Who owns something.
    pub fn owner(&self, on: &Securable) -> Option<&str> {
        match on {
            Securable::Item(id) => self.items.get(id).map(|item| item.owner.as_str()),
            Securable::Schema(database, name) => {
                let key = (database.clone(), name.clone());
                self.schemas.get(&key).map(|schema| schema.owner.as_str())
            }
            Securable::Database(name) => {
                self.databases.get(name).map(|database| database.owner.as_str())
            }
            Securable::Cluster(name) => {
                self.clusters.get(name).map(|cluster| cluster.owner.as_str())
            }
            Securable::System => Some(role::SYSTEM),
        }
    }

    /// The access list of something.
    pub fn acl(&self, on: &Securable) -> Vec<AclItem> {
        self.security.acls.get(on).cloned().unwrap_or_else(|| self.usual_acl(on))
    }

    /// Whether an access list is not the usual one.
    pub fn has_own_acl(&self, on: &Securable) -> bool {
        self.security.acls.contains_key(on)
    }

    /// All that have an access list which is not the usual one.
    pub fn own_acls(&self) -> impl Iterator<Item = (&Securable, &Vec<AclItem>)> {
        self.security.acls.iter()
    }

    /// The access list of something where nothing was granted or revoked.
    fn usual_acl(&self, on: &Securable) -> Vec<AclItem> {
        let owner = self.owner(on).unwrap_or(role::SYSTEM);
        let kind = self.securable_kind(on);
        let mut acl = Vec::new();
        let mut add = |grantee: &str, privileges| {
            role::grant(&mut acl, grantee, owner, privileges);
        };
        if !kind.privileges().is_empty() {
            add(owner, kind.privileges());
        }
        let usage = Privileges::of(&[Privilege::Usage]);
        match on {
            Securable::Item(ObjectId::System(_)) => {
                add(PUBLIC, Privileges::of(&[Privilege::Select]));
            }
            Securable::Item(_) if kind == SecurableKind::Type => add(PUBLIC, usage),
            Securable::Item(_) if kind == SecurableKind::Function => {
                add(PUBLIC, kind.privileges());
            }
            Securable::Schema(_, name)
                if name == "public" || SYSTEM_SCHEMAS.contains(&name.as_str()) =>
            {
                add(PUBLIC, usage);
            }
            Securable::Database(_) => add(PUBLIC, usage),
            Securable::Cluster(name) if name == DEFAULT_CLUSTER => {
                add(PUBLIC, usage);
                add(role::DEFAULT, kind.privileges());
            }
            Securable::Cluster(name) if self.cluster(name).is_some_and(|it| it.system) => {
                add(PUBLIC, usage);
            }
            Securable::System => {
                add(role::DEFAULT, kind.privileges());
            }
            _ => {}
        }
        acl
    }

    /// Whether a role has a privilege by itself, a role it is a member of, or PUBLIC.
    pub fn has_privilege(&self, role: &str, on: &Securable, privilege: Privilege) -> bool {
        if self.is_superuser(role) {
            return true;
        }
        let roles = self.effective_roles(role);
        self.acl(on).iter().any(|item| {
            (item.grantee == PUBLIC || roles.contains(item.grantee.as_str()))
                && item.privileges.has(privilege)
        })
    }

    /// Whether a role has the rights of an object's owner.
    pub fn is_owner(&self, role: &str, on: &Securable) -> bool {
        self.is_superuser(role)
            || self.owner(on).is_some_and(|owner| self.effective_roles(role).contains(owner))
    }

    /// What is granted on objects as they are made.
    pub fn default_privileges(&self) -> &[DefaultPrivilege] {
        &self.security.defaults
    }

    /// All network policies by name.
    pub fn network_policies(&self) -> impl Iterator<Item = &NetworkPolicy> {
        self.security.policies.values()
    }

    /// A network policy by name.
    pub fn network_policy(&self, name: &str) -> Option<&NetworkPolicy> {
        self.security.policies.get(name)
    }

    /// What ALTER SYSTEM has set.
    pub fn system_setting(&self, name: &str) -> Option<&[String]> {
        self.security.settings.get(name).map(Vec::as_slice)
    }

    /// All that ALTER SYSTEM has set.
    pub fn system_settings(&self) -> impl Iterator<Item = (&String, &Vec<String>)> {
        self.security.settings.iter()
    }

    /// All that is owned by a role, objects last.
    pub fn owned_by(&self, role: &str) -> Vec<Securable> {
        let mut found = Vec::new();
        for (name, database) in self.databases() {
            if database.owner == role {
                found.push(Securable::Database(name.clone()));
            }
        }
        for ((database, name), schema) in self.schemas() {
            if schema.owner == role && database.is_some() {
                found.push(Securable::Schema(database.clone(), name.clone()));
            }
        }
        let items = self.items().filter(|item| item.owner == role && !item.is_system());
        found.extend(items.map(|item| Securable::Item(item.id)));
        found
    }
}
