//! Roles and their membership, network policies, settings of the server, and what SHOW lists of
//! them.

mod owner;
mod privilege;

use std::collections::BTreeMap;

use tidemill_catalog::CatalogChange;
use tidemill_catalog::name::quote_literal;
use tidemill_catalog::role::{
    self, Membership, NetworkPolicy, NetworkRule, PUBLIC, Privilege, Privileges, Role, Securable,
    Verifier,
};
use tidemill_repr::{SqlError, SqlState};

use super::authorize::denied;
use super::{Planning, command, nothing};
use crate::ast::role::{
    MemberOption, PolicyRule, RoleName, RoleOption, RoleStatement, ShowSecurity,
};
use crate::ast::{SetValue, ShowFilter};
use crate::plan::{ChangeCatalogPlan, Notice, Plan, Planned};

fn change(changes: Vec<CatalogChange>, tag: &'static str) -> Planned {
    command(Plan::ChangeCatalog(ChangeCatalogPlan { changes, tag, wait: None }))
}

/// `0LP01`
const INVALID_GRANT: SqlState = SqlState("0LP01");

impl<'a> Planning<'a> {
    pub(super) fn role(&self, statement: &RoleStatement) -> Result<Planned, SqlError> {
        match statement {
            RoleStatement::Create(name, options) => self.create_role(&name.value, options),
            RoleStatement::Alter(role, options) => self.alter_role(role, options),
            RoleStatement::AlterSetting(role, name, values) => {
                let name = name.as_ref().map(|name| name.value.as_str());
                self.alter_role_setting(role, name, values.as_deref())
            }
            RoleStatement::Drop(if_exists, names) => {
                let names: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
                self.drop_roles(*if_exists, &names)
            }
            RoleStatement::Member(grant, roles, members, options) => {
                let roles: Vec<&str> = roles.iter().map(|role| role.value.as_str()).collect();
                self.change_members(*grant, &roles, members, options)
            }
            RoleStatement::Grant(grant, privileges, target, grantees) => {
                self.grant(*grant, privileges, target, grantees)
            }
            RoleStatement::DefaultPrivileges(alter) => self.alter_default_privileges(alter),
            RoleStatement::Owner(kind, if_exists, name, role) => {
                self.change_owner(*kind, *if_exists, name, role)
            }
            RoleStatement::Reassign(old, new) => self.reassign_owned(old, new),
            RoleStatement::DropOwned(roles, cascade) => self.drop_owned(roles, *cascade),
            RoleStatement::Policy(create, name, rules) => {
                self.put_policy(*create, &name.value, rules)
            }
            RoleStatement::DropPolicy(if_exists, names) => {
                let names: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
                self.drop_policies(*if_exists, &names)
            }
            RoleStatement::System(name, values) => {
                let name = name.as_ref().map(|name| name.value.as_str());
                self.alter_system(name, values.as_deref())
            }
            RoleStatement::Show(show, role, filter) => {
                self.sql(&self.show_security(show, role.as_ref(), filter.as_ref())?)
            }
        }
    }

    fn user(&self) -> &'a str {
        self.planner.session.user
    }

    fn is_superuser(&self) -> bool {
        self.planner.catalog.is_superuser(self.user())
    }

    /// The name of the role that is meant, which exists; [`PUBLIC`] for all.
    fn role_named(&self, name: &RoleName) -> Result<String, SqlError> {
        Ok(match name {
            RoleName::Named(name) => self.planner.catalog.require_role(name)?.name.clone(),
            RoleName::Public => PUBLIC.to_owned(),
            RoleName::CurrentUser => self.user().to_owned(),
            RoleName::SessionUser => self.planner.session.session_user.to_owned(),
        })
    }

    /// The same, where all roles together cannot be meant.
    fn single_role(&self, name: &RoleName) -> Result<String, SqlError> {
        let role = self.role_named(name)?;
        if *name == RoleName::Public {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                "role \"public\" does not exist",
            ));
        }
        Ok(role)
    }

    fn require_system(&self, privilege: Privilege, what: &str) -> Result<(), SqlError> {
        if self.planner.catalog.has_privilege(self.user(), &Securable::System, privilege) {
            return Ok(());
        }
        Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to {what}"))
            .with_detail(format!(
                "The role \"{}\" needs the privilege {} on SYSTEM.",
                self.user(),
                privilege.word()
            )))
    }

    fn require_superuser(&self, what: &str) -> Result<(), SqlError> {
        if self.is_superuser() {
            return Ok(());
        }
        Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to {what}"))
            .with_detail("Only superusers may do this.")
            .with_hint("Connect as mz_system, at the internal SQL port."))
    }

    fn create_role(&self, name: &str, options: &[RoleOption]) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        self.require_system(Privilege::CreateRole, "create role")?;
        let reserved = name.starts_with("mz_") || name.starts_with("pg_");
        if reserved || ["public", "none", "p", ""].contains(&name) {
            return Err(SqlError::new(
                SqlState("42939"),
                format!("role name \"{name}\" is reserved"),
            ));
        }
        if catalog.role(name).is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_OBJECT,
                format!("role \"{name}\" already exists"),
            ));
        }
        let mut role = Role {
            id: catalog.next_role(),
            name: name.to_owned(),
            superuser: false,
            inherit: true,
            login: false,
            password: None,
            settings: BTreeMap::new(),
        };
        let mut changes = vec![];
        let mut rest = self.role_options(&mut role, options)?;
        changes.push(CatalogChange::PutRole(Box::new(role)));
        changes.append(&mut rest);
        Ok(change(changes, "CREATE ROLE"))
    }

    /// Puts options into a role; gives what else changes.
    fn role_options(
        &self,
        role: &mut Role,
        options: &[RoleOption],
    ) -> Result<Vec<CatalogChange>, SqlError> {
        let mut changes = Vec::new();
        let catalog = self.planner.catalog;
        let mut system = catalog.acl(&Securable::System);
        let before = system.clone();
        let member = |role: String, member: String| {
            CatalogChange::PutMember(Membership::new(role, member, self.user().to_owned()))
        };
        for option in options {
            match option {
                RoleOption::Superuser(set) => {
                    if role.superuser != *set {
                        self.require_superuser("make or unmake superusers")?;
                    }
                    role.superuser = *set;
                }
                RoleOption::Inherit(set) => role.inherit = *set,
                RoleOption::Login(set) => role.login = *set,
                RoleOption::System(privilege, set) => {
                    let privileges = Privileges::of(&[*privilege]);
                    if *set {
                        self.require_system(*privilege, "give this attribute")?;
                        role::grant(&mut system, &role.name, role::SYSTEM, privileges);
                    } else {
                        role::revoke(&mut system, &role.name, privileges);
                    }
                }
                RoleOption::Password(None) => role.password = None,
                RoleOption::Password(Some(text)) => role.password = Some(verifier(text)?),
                RoleOption::InRole(roles) => {
                    for other in roles {
                        let other = self.single_role(other)?;
                        self.refuse_superuser_role(&other)?;
                        changes.push(member(other, role.name.clone()));
                    }
                }
                RoleOption::Role(members) => {
                    for other in members {
                        changes.push(member(role.name.clone(), self.single_role(other)?));
                    }
                }
                RoleOption::Other(words) => {
                    return Err(SqlError::unsupported(format_args!(
                        "the attribute {words} of a role"
                    )));
                }
            }
        }
        if system != before {
            changes.push(CatalogChange::SetPrivileges { on: Securable::System, acl: system });
        }
        Ok(changes)
    }

    /// Only a superuser hands out the rights of one.
    fn refuse_superuser_role(&self, role: &str) -> Result<(), SqlError> {
        let catalog = self.planner.catalog;
        let strong = catalog.is_superuser(role)
            || catalog.roles().any(|other| other.superuser && catalog.is_member(role, &other.name));
        if strong { self.require_superuser("grant or change superusers") } else { Ok(()) }
    }

    fn alter_role(&self, name: &RoleName, options: &[RoleOption]) -> Result<Planned, SqlError> {
        let name = self.single_role(name)?;
        let mut role = Role::clone(self.planner.catalog.require_role(&name)?);
        let own = name == self.user()
            && options.iter().all(|option| matches!(option, RoleOption::Password(_)));
        if !own {
            self.require_system(Privilege::CreateRole, "alter role")?;
        }
        if role.superuser {
            self.require_superuser("alter superusers")?;
        }
        if role.is_system() {
            self.require_superuser("alter roles that are built in")?;
        }
        let mut changes = self.role_options(&mut role, options)?;
        changes.insert(0, CatalogChange::PutRole(Box::new(role)));
        Ok(change(changes, "ALTER ROLE"))
    }

    fn alter_role_setting(
        &self,
        name: &RoleName,
        setting: Option<&str>,
        values: Option<&[SetValue]>,
    ) -> Result<Planned, SqlError> {
        let name = self.single_role(name)?;
        let mut role = Role::clone(self.planner.catalog.require_role(&name)?);
        if name != self.user() {
            self.require_system(Privilege::CreateRole, "alter role")?;
        }
        if role.superuser {
            self.require_superuser("alter superusers")?;
        }
        match (setting, values) {
            (None, _) => role.settings.clear(),
            (Some(setting), None) => {
                role.settings.remove(setting);
            }
            (Some(setting), Some(values)) => {
                role.settings.insert(setting.to_owned(), texts(values));
            }
        }
        Ok(change(vec![CatalogChange::PutRole(Box::new(role))], "ALTER ROLE"))
    }

    fn drop_roles(&self, if_exists: bool, names: &[&str]) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        self.require_system(Privilege::CreateRole, "drop role")?;
        let mut changes = Vec::new();
        let mut notices = Vec::new();
        for name in names {
            let Some(role) = catalog.role(name) else {
                let error = SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("role \"{name}\" does not exist"),
                );
                if !if_exists {
                    return Err(error);
                }
                let message = format!("{}, skipping", error.message);
                notices.push(Notice::new(SqlState("00000"), message));
                continue;
            };
            if role.is_system() || role.name == role::DEFAULT {
                return Err(SqlError::new(
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    format!("cannot drop role {name} because it is built in"),
                ));
            }
            self.refuse_superuser_role(name)?;
            let session = self.planner.session;
            if [session.user, session.session_user].contains(name) {
                let who = if session.user == *name { "current" } else { "session" };
                return Err(SqlError::new(
                    SqlState::OBJECT_IN_USE,
                    format!("{who} user cannot be dropped"),
                ));
            }
            self.refuse_needed_role(name)?;
            changes.push(CatalogChange::DropRole((*name).to_owned()));
        }
        let mut planned = change(changes, "DROP ROLE");
        planned.notices = notices;
        Ok(planned)
    }

    /// What stands in the way of dropping a role.
    fn refuse_needed_role(&self, role: &str) -> Result<(), SqlError> {
        let catalog = self.planner.catalog;
        let mut lines: Vec<String> = catalog
            .owned_by(role)
            .iter()
            .map(|on| format!("owner of {}", self.shown(on)))
            .collect();
        for policy in catalog.network_policies().filter(|policy| policy.owner == role) {
            lines.push(format!("owner of network policy {}", policy.name));
        }
        for (on, acl) in catalog.own_acls() {
            let named = acl.iter().any(|item| item.grantee == role || item.grantor == role);
            if named && catalog.owner(on) != Some(role) {
                lines.push(format!("privileges for {}", self.shown(on)));
            }
        }
        let defaults = catalog.default_privileges().iter();
        for default in defaults.filter(|it| it.role == role || it.grantee == role) {
            lines.push(format!("default privileges on {}s", default.kind.word()));
        }
        if lines.is_empty() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            format!("role \"{role}\" cannot be dropped because some objects depend on it"),
        )
        .with_detail(lines.join("\n"))
        .with_hint("Use REASSIGN OWNED BY and DROP OWNED BY first."))
    }

    fn change_members(
        &self,
        grant: bool,
        roles: &[&str],
        members: &[RoleName],
        options: &[(MemberOption, bool)],
    ) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        let tag = if grant { "GRANT ROLE" } else { "REVOKE ROLE" };
        if !roles.iter().all(|role| catalog.administers(self.user(), role)) {
            self.require_system(Privilege::CreateRole, "change who is a member of a role")?;
        }
        let mut changes = Vec::new();
        let mut notices = Vec::new();
        for role in roles {
            catalog.require_role(role)?;
            self.refuse_superuser_role(role)?;
            for member in members {
                let member = self.single_role(member)?;
                let known = catalog
                    .memberships()
                    .find(|known| known.role == *role && known.member == member);
                if !grant {
                    if known.is_none() {
                        let message =
                            format!("role \"{member}\" is not a member of role \"{role}\"");
                        let mut notice = Notice::new(SqlState::WARNING, message);
                        notice.severity = "WARNING";
                        notices.push(notice);
                    }
                    match known.filter(|_| !options.is_empty()) {
                        Some(known) => {
                            let changed = with_options(known.clone(), options);
                            changes.push(CatalogChange::PutMember(changed));
                        }
                        None if options.is_empty() => {
                            let role = (*role).to_owned();
                            changes.push(CatalogChange::DropMember { role, member });
                        }
                        None => {}
                    }
                } else if let Some(known) = known.filter(|_| !options.is_empty()) {
                    let changed = with_options(known.clone(), options);
                    changes.push(CatalogChange::PutMember(changed));
                } else if known.is_some() {
                    let message =
                        format!("role \"{member}\" is already a member of role \"{role}\"");
                    notices.push(Notice::new(SqlState("00000"), message));
                } else {
                    let after = catalog.apply(&changes)?;
                    let circle = !after.is_superuser(role) && after.is_member(role, &member);
                    if *role == member || circle {
                        return Err(SqlError::new(
                            INVALID_GRANT,
                            format!("role \"{role}\" is a member of role \"{member}\""),
                        ));
                    }
                    let grantor = role::SYSTEM.to_owned();
                    let membership = Membership::new((*role).to_owned(), member, grantor);
                    changes.push(CatalogChange::PutMember(with_options(membership, options)));
                }
            }
        }
        let mut planned = change(changes, tag);
        planned.notices = notices;
        Ok(planned)
    }

    fn put_policy(
        &self,
        create: bool,
        name: &str,
        rules: &[PolicyRule],
    ) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        self.require_system(Privilege::CreateNetworkPolicy, "change network policies")?;
        let known = catalog.network_policy(name);
        if create && known.is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_OBJECT,
                format!("network policy \"{name}\" already exists"),
            ));
        }
        let (id, owner) = match known {
            Some(policy) => (policy.id, policy.owner.clone()),
            None if create => {
                let last = catalog.network_policies().map(|policy| policy.id).max();
                (last.unwrap_or(0) + 1, self.user().to_owned())
            }
            None => return Err(no_policy(name)),
        };
        let rules = rules
            .iter()
            .map(|(name, [action, direction, address])| {
                for (value, only) in [(action, "allow"), (direction, "ingress")] {
                    if !value.eq_ignore_ascii_case(only) {
                        return Err(SqlError::new(
                            SqlState::INVALID_PARAMETER_VALUE,
                            format!("invalid value \"{value}\" in a rule of a network policy"),
                        )
                        .with_hint(format!("Only '{only}' is possible here.")));
                    }
                }
                role::parse_network(address)?;
                Ok(NetworkRule { name: name.value.clone(), address: address.clone() })
            })
            .collect::<Result<Vec<_>, SqlError>>()?;
        let policy = NetworkPolicy { id, name: name.to_owned(), owner, rules };
        let tag = if create { "CREATE NETWORK POLICY" } else { "ALTER NETWORK POLICY" };
        Ok(change(vec![CatalogChange::PutNetworkPolicy(policy)], tag))
    }

    fn drop_policies(&self, if_exists: bool, names: &[&str]) -> Result<Planned, SqlError> {
        let catalog = self.planner.catalog;
        self.require_system(Privilege::CreateNetworkPolicy, "change network policies")?;
        let mut changes = Vec::new();
        for name in names {
            if catalog.network_policy(name).is_none() {
                if !if_exists {
                    return Err(no_policy(name));
                }
                let message = format!("network policy \"{name}\" does not exist, skipping");
                return Ok(nothing("DROP NETWORK POLICY", SqlState("00000"), message));
            }
            let used = catalog.system_setting("network_policy");
            if used.is_some_and(|values| values.iter().any(|value| value == name)) {
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("network policy \"{name}\" is in use"),
                )
                .with_hint("ALTER SYSTEM RESET network_policy; first."));
            }
            changes.push(CatalogChange::DropNetworkPolicy((*name).to_owned()));
        }
        Ok(change(changes, "DROP NETWORK POLICY"))
    }

    fn alter_system(
        &self,
        name: Option<&str>,
        values: Option<&[SetValue]>,
    ) -> Result<Planned, SqlError> {
        self.require_superuser("ALTER SYSTEM")?;
        let catalog = self.planner.catalog;
        let changes = match name {
            None => catalog
                .system_settings()
                .map(|(name, _)| CatalogChange::SetSystemSetting {
                    name: name.clone(),
                    values: None,
                })
                .collect(),
            Some(name) => {
                if name == "network_policy"
                    && let Some(policy) =
                        values.map(texts).and_then(|values| values.first().cloned())
                    && catalog.network_policy(&policy).is_none()
                {
                    return Err(no_policy(&policy));
                }
                let values = values.map(texts);
                vec![CatalogChange::SetSystemSetting { name: name.to_owned(), values }]
            }
        };
        Ok(change(changes, "ALTER SYSTEM"))
    }

    fn show_security(
        &self,
        show: &ShowSecurity,
        role: Option<&RoleName>,
        filter: Option<&ShowFilter>,
    ) -> Result<String, SqlError> {
        let role = role.map(|role| self.role_named(role)).transpose()?;
        let mut conditions = vec!["true".to_owned()];
        let (query, order) = match show {
            ShowSecurity::Roles => {
                ("SELECT name, ''::text AS comment FROM mz_catalog.mz_roles", "name")
            }
            ShowSecurity::NetworkPolicies => (
                "SELECT p.name, string_agg(r.name, ',' ORDER BY r.name) AS rules, \
                 ''::text AS comment FROM mz_internal.mz_network_policies p \
                 LEFT JOIN mz_internal.mz_network_policy_rules r ON r.policy_id = p.id \
                 GROUP BY p.id, p.name",
                "name",
            ),
            ShowSecurity::Membership => (
                "SELECT r.name AS role, m.name AS member, g.name AS grantor \
                 FROM mz_catalog.mz_role_members x JOIN mz_catalog.mz_roles r ON r.id = x.role_id \
                 JOIN mz_catalog.mz_roles m ON m.id = x.member \
                 JOIN mz_catalog.mz_roles g ON g.id = x.grantor",
                "role, member",
            ),
            ShowSecurity::DefaultPrivileges => (
                "SELECT object_owner, database, schema, object_type, grantee, privilege_type \
                 FROM mz_internal.mz_show_default_privileges",
                "object_owner, database, schema, object_type, grantee, privilege_type",
            ),
            ShowSecurity::Privileges(kind, name) => {
                if let Some(kind) = kind {
                    let kind = quote_literal(kind.word());
                    conditions.push(format!("object_type = {kind}"));
                }
                if let (Some(kind), Some(name)) = (kind, name) {
                    let on = self.securable(*kind, name)?;
                    conditions.push(format!("name = {}", quote_literal(&self.last_name(&on))));
                }
                (
                    "SELECT grantor, grantee, database, schema, name, object_type, \
                     privilege_type FROM mz_internal.mz_show_all_privileges \
                     WHERE oid >= 20000 OR object_type IN ('system', 'cluster')",
                    "grantor, grantee, database, schema, name, object_type, privilege_type",
                )
            }
        };
        if let Some(role) = role {
            let column = match show {
                ShowSecurity::Membership => "member",
                ShowSecurity::Roles | ShowSecurity::NetworkPolicies => "name",
                _ => "grantee",
            };
            conditions.push(format!("{column} = {}", quote_literal(&role)));
        }
        match filter {
            None => {}
            Some(ShowFilter::Like(pattern)) => {
                conditions.push(format!("name LIKE {}", quote_literal(pattern)));
            }
            Some(ShowFilter::Where(condition)) => conditions.push(format!("({condition})")),
        }
        let conditions = conditions.join(" AND ");
        Ok(format!("SELECT * FROM ({query}) AS objects WHERE {conditions} ORDER BY {order}"))
    }

    /// The error of a role that is not the owner.
    fn require_owner(&self, on: &Securable) -> Result<(), SqlError> {
        if self.planner.catalog.is_owner(self.user(), on) {
            return Ok(());
        }
        Err(denied::not_owner(self.planner.catalog, on))
    }

    fn shown(&self, on: &Securable) -> String {
        denied::shown(self.planner.catalog, on)
    }

    fn last_name(&self, on: &Securable) -> String {
        denied::last_name(self.planner.catalog, on)
    }
}

fn no_policy(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("network policy \"{name}\" does not exist"))
}

fn texts(values: &[SetValue]) -> Vec<String> {
    let text = |value: &SetValue| match value {
        SetValue::Word(text) | SetValue::Text(text) | SetValue::Number(text) => text.clone(),
    };
    values.iter().map(text).collect()
}

/// What is kept of a password: as PostgreSQL, a text that is a verifier already is kept as it is.
fn verifier(text: &str) -> Result<Verifier, SqlError> {
    if text.is_empty() {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "the password of a role must not be empty",
        ));
    }
    if text.starts_with("SCRAM-SHA-256$") {
        return Ok(Verifier(text.to_owned()));
    }
    Ok(Verifier(postgres_protocol::password::scram_sha_256(text.as_bytes())))
}

/// A membership of which this is said.
fn with_options(mut membership: Membership, options: &[(MemberOption, bool)]) -> Membership {
    for (option, on) in options {
        match option {
            MemberOption::Admin => membership.admin = *on,
            MemberOption::Inherit => membership.inherit = Some(*on),
            MemberOption::Set => membership.no_set = !on,
        }
    }
    membership
}
