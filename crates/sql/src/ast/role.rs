//! Statements about roles, privileges, network policies and settings of the server.

use std::fmt::{self, Display, Formatter};

use sqlparser::ast::{Ident, ObjectName};
use tidemill_catalog::name::{quote_identifier, quote_literal};
use tidemill_catalog::role::{Privilege, SecurableKind};

use super::display::list;
use super::function::FunctionName;
use super::{ObjectKind, SetValue, ShowFilter};

/// A role as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleName {
    /// By its name.
    Named(String),
    /// `PUBLIC`
    Public,
    /// `CURRENT_USER`, `CURRENT_ROLE`
    CurrentUser,
    /// `SESSION_USER`
    SessionUser,
}

/// What CREATE ROLE and ALTER ROLE say of a role.
#[derive(Clone, PartialEq, Eq)]
pub enum RoleOption {
    /// `[NO]SUPERUSER`
    Superuser(bool),
    /// `[NO]INHERIT`
    Inherit(bool),
    /// `[NO]LOGIN`
    Login(bool),
    /// `[NO]CREATEDB` and such: a privilege of the system.
    System(Privilege, bool),
    /// `PASSWORD 'text'`; None: `NULL`
    Password(Option<String>),
    /// `IN ROLE a, b`
    InRole(Vec<RoleName>),
    /// `ROLE a, b`
    Role(Vec<RoleName>),
    /// One that is refused, by its words.
    Other(String),
}

/// What privileges are granted on.
#[derive(Clone, Debug, PartialEq)]
pub enum GrantTarget {
    /// Objects by name.
    Names(SecurableKind, Vec<ObjectName>),
    /// `FUNCTION f(integer), g`
    Functions(Vec<FunctionName>),
    /// `SYSTEM`
    System,
    /// `ALL TABLES IN SCHEMA a, b`
    InSchemas(SecurableKind, Vec<ObjectName>),
    /// `ALL TABLES IN DATABASE a, b`
    InDatabases(SecurableKind, Vec<ObjectName>),
    /// `ALL TABLES`
    All(SecurableKind),
}

/// What is said of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberOption {
    /// `ADMIN`: the member may make others members.
    Admin,
    /// `INHERIT`: the member has the privileges without SET ROLE.
    Inherit,
    /// `SET`: the member can become the role.
    Set,
}

impl Display for MemberOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MemberOption::Admin => "ADMIN",
            MemberOption::Inherit => "INHERIT",
            MemberOption::Set => "SET",
        })
    }
}

/// Whose objects default privileges are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultRoles {
    /// The user's.
    Current,
    /// `FOR ALL ROLES`
    All,
    /// `FOR ROLE a, b`
    Roles(Vec<RoleName>),
}

/// `ALTER DEFAULT PRIVILEGES ..`
#[derive(Clone, Debug, PartialEq)]
pub struct AlterDefaultPrivileges {
    /// Whose objects.
    pub roles: DefaultRoles,
    /// In which schemas; empty: in all.
    pub schemas: Vec<ObjectName>,
    /// In which databases; empty: in all.
    pub databases: Vec<ObjectName>,
    /// GRANT, not REVOKE.
    pub grant: bool,
    /// Which privileges; empty: all.
    pub privileges: Vec<Privilege>,
    /// On what.
    pub kind: SecurableKind,
    /// To or from whom.
    pub grantees: Vec<RoleName>,
}

/// A rule of a network policy: name, action, direction, address.
pub type PolicyRule = (Ident, [String; 3]);

/// What SHOW lists of roles.
#[derive(Clone, Debug, PartialEq)]
pub enum ShowSecurity {
    /// `ROLES`
    Roles,
    /// `PRIVILEGES [ON kind name] [FOR role]`
    Privileges(Option<SecurableKind>, Option<ObjectName>),
    /// `DEFAULT PRIVILEGES`
    DefaultPrivileges,
    /// `ROLE MEMBERSHIP`
    Membership,
    /// `NETWORK POLICIES`
    NetworkPolicies,
}

/// A statement about roles and what they may do.
#[derive(Clone, Debug, PartialEq)]
pub enum RoleStatement {
    /// `CREATE {ROLE | USER}`
    Create(Ident, Vec<RoleOption>),
    /// `ALTER {ROLE | USER} .. WITH`
    Alter(RoleName, Vec<RoleOption>),
    /// `ALTER ROLE .. {SET | RESET}`; None: the default, of all settings where there is no name.
    AlterSetting(RoleName, Option<Ident>, Option<Vec<SetValue>>),
    /// `DROP {ROLE | USER} [IF EXISTS] ..`
    Drop(bool, Vec<Ident>),
    /// `GRANT a, b TO c, d [WITH ..]` (true), `REVOKE [.. OPTION FOR] a, b FROM c, d`
    Member(bool, Vec<Ident>, Vec<RoleName>, Vec<(MemberOption, bool)>),
    /// `GRANT .. ON .. TO` (true), `REVOKE .. ON .. FROM`; no privileges: all.
    Grant(bool, Vec<Privilege>, GrantTarget, Vec<RoleName>),
    /// `ALTER DEFAULT PRIVILEGES`
    DefaultPrivileges(AlterDefaultPrivileges),
    /// `ALTER kind [IF EXISTS] name OWNER TO role`
    Owner(ObjectKind, bool, ObjectName, RoleName),
    /// `REASSIGN OWNED BY .. TO`
    Reassign(Vec<RoleName>, RoleName),
    /// `DROP OWNED BY .. [CASCADE]`
    DropOwned(Vec<RoleName>, bool),
    /// `CREATE NETWORK POLICY` (true), `ALTER NETWORK POLICY .. SET`
    Policy(bool, Ident, Vec<PolicyRule>),
    /// `DROP NETWORK POLICY [IF EXISTS] ..`
    DropPolicy(bool, Vec<Ident>),
    /// `ALTER SYSTEM {SET | RESET}`; None: the default, of all settings where there is no name.
    System(Option<Ident>, Option<Vec<SetValue>>),
    /// `SHOW ..`
    Show(ShowSecurity, Option<RoleName>, Option<ShowFilter>),
}

impl Display for RoleName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            RoleName::Named(name) => f.write_str(&quote_identifier(name)),
            RoleName::Public => f.write_str("PUBLIC"),
            RoleName::CurrentUser => f.write_str("CURRENT_USER"),
            RoleName::SessionUser => f.write_str("SESSION_USER"),
        }
    }
}

impl Display for RoleOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let flag = |set: &bool| if *set { "" } else { "NO" };
        match self {
            RoleOption::Superuser(set) => write!(f, "{}SUPERUSER", flag(set)),
            RoleOption::Inherit(set) => write!(f, "{}INHERIT", flag(set)),
            RoleOption::Login(set) => write!(f, "{}LOGIN", flag(set)),
            RoleOption::System(privilege, set) => write!(f, "{}{}", flag(set), privilege.word()),
            RoleOption::Password(None) => f.write_str("PASSWORD NULL"),
            // It does not show.
            RoleOption::Password(Some(_)) => f.write_str("PASSWORD '********'"),
            RoleOption::InRole(roles) => write!(f, "IN ROLE {}", list(roles)),
            RoleOption::Role(roles) => write!(f, "ROLE {}", list(roles)),
            RoleOption::Other(words) => f.write_str(words),
        }
    }
}

impl fmt::Debug for RoleOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

fn plural(kind: SecurableKind) -> String {
    format!("{}S", kind.word().to_uppercase())
}

impl Display for GrantTarget {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            GrantTarget::Names(kind, names) => {
                write!(f, "{} {}", kind.word().to_uppercase(), list(names))
            }
            GrantTarget::Functions(names) => write!(f, "FUNCTION {}", list(names)),
            GrantTarget::System => f.write_str("SYSTEM"),
            GrantTarget::InSchemas(kind, names) => {
                write!(f, "ALL {} IN SCHEMA {}", plural(*kind), list(names))
            }
            GrantTarget::InDatabases(kind, names) => {
                write!(f, "ALL {} IN DATABASE {}", plural(*kind), list(names))
            }
            GrantTarget::All(kind) => write!(f, "ALL {}", plural(*kind)),
        }
    }
}

fn privilege_list(privileges: &[Privilege]) -> String {
    if privileges.is_empty() {
        return "ALL PRIVILEGES".to_owned();
    }
    privileges.iter().map(|privilege| privilege.word()).collect::<Vec<_>>().join(", ")
}

fn verb(grant: bool) -> (&'static str, &'static str) {
    if grant { ("GRANT", "TO") } else { ("REVOKE", "FROM") }
}

impl Display for AlterDefaultPrivileges {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("ALTER DEFAULT PRIVILEGES")?;
        match &self.roles {
            DefaultRoles::Current => {}
            DefaultRoles::All => f.write_str(" FOR ALL ROLES")?,
            DefaultRoles::Roles(roles) => write!(f, " FOR ROLE {}", list(roles))?,
        }
        if !self.schemas.is_empty() {
            write!(f, " IN SCHEMA {}", list(&self.schemas))?;
        }
        if !self.databases.is_empty() {
            write!(f, " IN DATABASE {}", list(&self.databases))?;
        }
        let (verb, to) = verb(self.grant);
        let (privileges, kind) = (privilege_list(&self.privileges), plural(self.kind));
        write!(f, " {verb} {privileges} ON {kind} {to} {}", list(&self.grantees))
    }
}

fn setting(
    f: &mut Formatter<'_>,
    name: Option<&Ident>,
    values: Option<&Vec<SetValue>>,
) -> fmt::Result {
    match (name, values) {
        (None, _) => f.write_str(" RESET ALL"),
        (Some(name), None) => write!(f, " RESET {name}"),
        (Some(name), Some(values)) => {
            let values = values.iter().map(|value| match value {
                SetValue::Word(text) => quote_identifier(text),
                SetValue::Text(text) => quote_literal(text),
                SetValue::Number(text) => text.clone(),
            });
            write!(f, " SET {name} TO {}", values.collect::<Vec<_>>().join(", "))
        }
    }
}

impl Display for RoleStatement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exists = |set: &bool| if *set { "IF EXISTS " } else { "" };
        let options = |options: &[RoleOption]| {
            options.iter().map(|option| format!(" {option}")).collect::<String>()
        };
        match self {
            RoleStatement::Create(name, with) => write!(f, "CREATE ROLE {name}{}", options(with)),
            RoleStatement::Alter(name, with) => write!(f, "ALTER ROLE {name}{}", options(with)),
            RoleStatement::AlterSetting(role, name, values) => {
                write!(f, "ALTER ROLE {role}")?;
                setting(f, name.as_ref(), values.as_ref())
            }
            RoleStatement::Drop(if_exists, names) => {
                write!(f, "DROP ROLE {}{}", exists(if_exists), list(names))
            }
            RoleStatement::Member(grant, roles, members, options) => {
                let (verb, to) = verb(*grant);
                let lost = options.first().filter(|_| !grant);
                let lost = lost.map_or_else(String::new, |(lost, _)| format!(" {lost} OPTION FOR"));
                write!(f, "{verb}{lost} {} {to} {}", list(roles), list(members))?;
                if !*grant || options.is_empty() {
                    return Ok(());
                }
                let said = |(option, on): &(MemberOption, bool)| {
                    format!("{option} {}", if *on { "TRUE" } else { "FALSE" })
                };
                write!(f, " WITH {}", options.iter().map(said).collect::<Vec<_>>().join(", "))
            }
            RoleStatement::Grant(grant, privileges, target, grantees) => {
                let (verb, to) = verb(*grant);
                let privileges = privilege_list(privileges);
                write!(f, "{verb} {privileges} ON {target} {to} {}", list(grantees))
            }
            RoleStatement::DefaultPrivileges(alter) => alter.fmt(f),
            RoleStatement::Owner(kind, if_exists, name, role) => {
                write!(f, "ALTER {kind} {}{name} OWNER TO {role}", exists(if_exists))
            }
            RoleStatement::Reassign(old, new) => {
                write!(f, "REASSIGN OWNED BY {} TO {new}", list(old))
            }
            RoleStatement::DropOwned(roles, cascade) => {
                let cascade = if *cascade { " CASCADE" } else { "" };
                write!(f, "DROP OWNED BY {}{cascade}", list(roles))
            }
            RoleStatement::Policy(create, name, rules) => {
                let rules = rules.iter().map(|(rule, [action, direction, address])| {
                    format!(
                        "{rule} (ACTION = {}, DIRECTION = {}, ADDRESS = {})",
                        quote_literal(action),
                        quote_literal(direction),
                        quote_literal(address)
                    )
                });
                let rules = rules.collect::<Vec<_>>().join(", ");
                if *create {
                    write!(f, "CREATE NETWORK POLICY {name} (RULES ({rules}))")
                } else {
                    write!(f, "ALTER NETWORK POLICY {name} SET (RULES ({rules}))")
                }
            }
            RoleStatement::DropPolicy(if_exists, names) => {
                write!(f, "DROP NETWORK POLICY {}{}", exists(if_exists), list(names))
            }
            RoleStatement::System(name, values) => {
                f.write_str("ALTER SYSTEM")?;
                setting(f, name.as_ref(), values.as_ref())
            }
            RoleStatement::Show(show, role, filter) => {
                match show {
                    ShowSecurity::Roles => f.write_str("SHOW ROLES")?,
                    ShowSecurity::Privileges(kind, name) => {
                        f.write_str("SHOW PRIVILEGES")?;
                        if let Some(kind) = kind {
                            write!(f, " ON {}", kind.word().to_uppercase())?;
                        }
                        if let Some(name) = name {
                            write!(f, " {name}")?;
                        }
                    }
                    ShowSecurity::DefaultPrivileges => f.write_str("SHOW DEFAULT PRIVILEGES")?,
                    ShowSecurity::Membership => f.write_str("SHOW ROLE MEMBERSHIP")?,
                    ShowSecurity::NetworkPolicies => f.write_str("SHOW NETWORK POLICIES")?,
                }
                if let Some(role) = role {
                    write!(f, " FOR {role}")?;
                }
                match filter {
                    None => Ok(()),
                    Some(ShowFilter::Like(pattern)) => {
                        write!(f, " LIKE {}", quote_literal(pattern))
                    }
                    Some(ShowFilter::Where(condition)) => write!(f, " WHERE {condition}"),
                }
            }
        }
    }
}
