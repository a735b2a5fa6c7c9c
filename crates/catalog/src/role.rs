//! Roles, what they may do, and settings of the whole server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use tidemill_repr::{ObjectId, Oid, SqlError, SqlState};

use crate::item::ItemKind;

/// The role that owns what is built in: a superuser.
pub const SYSTEM: &str = "mz_system";
/// A role that may look at everything that is built in.
pub const SUPPORT: &str = "mz_support";
/// A role whose members may see what others do.
pub const MONITOR: &str = "mz_monitor";
/// The role that users are by default.
pub const DEFAULT: &str = "materialize";
/// The name by which all roles together are granted something.
pub const PUBLIC: &str = "PUBLIC";

/// A role: who connects, and who owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its number, among user roles or among built-in ones.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Whether all is allowed to it.
    pub superuser: bool,
    /// Whether it has the privileges of the roles it is a member of without SET ROLE.
    pub inherit: bool,
    /// Whether clients may connect as it.
    pub login: bool,
    /// What a password is checked with.
    #[serde(default)]
    pub password: Option<Verifier>,
    /// Settings that its sessions begin with.
    #[serde(default)]
    pub settings: BTreeMap<String, Vec<String>>,
}

/// What a password is checked with: `SCRAM-SHA-256$..`. It does not show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifier(pub String);

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

impl Role {
    /// Whether it is always there.
    pub fn is_system(&self) -> bool {
        [SYSTEM, SUPPORT, MONITOR].contains(&self.name.as_str())
    }

    /// Its identity, as `mz_roles.id` shows it.
    pub fn id_text(&self) -> String {
        format!("{}{}", if self.is_system() { 's' } else { 'u' }, self.id)
    }

    /// Its oid.
    pub fn oid(&self) -> Oid {
        Oid(u32::try_from(oid(&self.name)).unwrap_or(u32::MAX))
    }

    /// The roles of an empty catalog.
    pub fn builtin() -> [Role; 4] {
        let role = |id, name: &str, superuser, login| Role {
            id,
            name: name.to_owned(),
            superuser,
            inherit: true,
            login,
            password: None,
            settings: BTreeMap::new(),
        };
        [
            role(1, SYSTEM, true, true),
            role(2, SUPPORT, false, true),
            role(3, MONITOR, false, false),
            role(1, DEFAULT, false, true),
        ]
    }
}

/// The oid of a role: fixed for those that are always there, made from the name for others.
/// Two roles of one oid are refused.
pub fn oid(name: &str) -> i64 {
    match name {
        SYSTEM => 10,
        SUPPORT => 11,
        MONITOR => 12,
        DEFAULT => 15_001,
        // FNV, so that it is the same on every start, in the upper half of all oids.
        other => {
            let hash = other.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
            i64::from(hash | 0x8000_0000)
        }
    }
}

/// A role is a member of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Membership {
    /// The role whose privileges are given.
    pub role: String,
    /// The role that gets them.
    pub member: String,
    /// Who granted it.
    pub grantor: String,
    /// Whether the member may make others members.
    #[serde(default)]
    pub admin: bool,
    /// Whether the member has the privileges without SET ROLE; None: as the member says.
    #[serde(default)]
    pub inherit: Option<bool>,
    /// Whether the member cannot become the role by SET ROLE.
    #[serde(default)]
    pub no_set: bool,
}

impl Membership {
    /// A membership with nothing said of it.
    pub fn new(role: String, member: String, grantor: String) -> Membership {
        Membership { role, member, grantor, admin: false, inherit: None, no_set: false }
    }
}

/// One thing that a role may be allowed to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    /// `INSERT`
    Insert,
    /// `SELECT`
    Select,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
    /// `USAGE`
    Usage,
    /// `CREATE`
    Create,
    /// `CREATEROLE`
    CreateRole,
    /// `CREATEDB`
    CreateDb,
    /// `CREATECLUSTER`
    CreateCluster,
    /// `CREATENETWORKPOLICY`
    CreateNetworkPolicy,
    /// `EXECUTE`
    Execute,
}

impl Privilege {
    /// All, in the order that they are written in.
    pub const ALL: [Privilege; 11] = [
        Privilege::Insert,
        Privilege::Select,
        Privilege::Update,
        Privilege::Delete,
        Privilege::Usage,
        Privilege::Create,
        Privilege::CreateRole,
        Privilege::CreateDb,
        Privilege::CreateCluster,
        Privilege::CreateNetworkPolicy,
        Privilege::Execute,
    ];

    /// Its letter in an access list.
    pub fn letter(self) -> char {
        match self {
            Privilege::Insert => 'a',
            Privilege::Select => 'r',
            Privilege::Update => 'w',
            Privilege::Delete => 'd',
            Privilege::Usage => 'U',
            Privilege::Create => 'C',
            Privilege::CreateRole => 'R',
            Privilege::CreateDb => 'B',
            Privilege::CreateCluster => 'N',
            Privilege::CreateNetworkPolicy => 'P',
            Privilege::Execute => 'X',
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Privilege::Insert => "INSERT",
            Privilege::Select => "SELECT",
            Privilege::Update => "UPDATE",
            Privilege::Delete => "DELETE",
            Privilege::Usage => "USAGE",
            Privilege::Create => "CREATE",
            Privilege::CreateRole => "CREATEROLE",
            Privilege::CreateDb => "CREATEDB",
            Privilege::CreateCluster => "CREATECLUSTER",
            Privilege::CreateNetworkPolicy => "CREATENETWORKPOLICY",
            Privilege::Execute => "EXECUTE",
        }
    }

    /// The privilege of a word in any case.
    pub fn of_word(word: &str) -> Option<Privilege> {
        Privilege::ALL.into_iter().find(|privilege| privilege.word().eq_ignore_ascii_case(word))
    }
}

/// A set of privileges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges(u16);

impl Privileges {
    /// These privileges.
    pub fn of(privileges: &[Privilege]) -> Privileges {
        Privileges(privileges.iter().fold(0, |set, privilege| set | 1 << (*privilege as u16)))
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether one is among them.
    pub fn has(self, privilege: Privilege) -> bool {
        self.0 & (1 << (privilege as u16)) != 0
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Privileges) -> Privileges {
        Privileges(self.0 | other.0)
    }

    /// Those that are not in another set.
    #[must_use]
    pub fn without(self, other: Privileges) -> Privileges {
        Privileges(self.0 & !other.0)
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Privilege> {
        Privilege::ALL.into_iter().filter(move |privilege| self.has(*privilege))
    }
}

impl fmt::Display for Privileges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|privilege| write!(f, "{}", privilege.letter()))
    }
}

/// What one role has granted another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclItem {
    /// Who has it; [`PUBLIC`] for all.
    pub grantee: String,
    /// Who granted it.
    pub grantor: String,
    /// What.
    pub privileges: Privileges,
}

/// What privileges are about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Securable {
    /// An object.
    Item(ObjectId),
    /// A schema, by database (None: built in) and name.
    Schema(Option<String>, String),
    /// A database by name.
    Database(String),
    /// A cluster by name.
    Cluster(String),
    /// The server.
    System,
}

/// The kinds of what privileges are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SecurableKind {
    /// Tables, views, materialized views, sources, sequences.
    Table,
    /// Types.
    Type,
    /// Secrets.
    Secret,
    /// Connections.
    Connection,
    /// Indexes, which have an owner and no privileges.
    Index,
    /// Functions, which all may call until that is revoked.
    Function,
    /// Databases.
    Database,
    /// Schemas.
    Schema,
    /// Clusters.
    Cluster,
    /// The server.
    System,
}

impl SecurableKind {
    /// The kind that an object's kind is for privileges.
    pub fn of_item(kind: ItemKind) -> SecurableKind {
        match kind.catalog_name() {
            "connection" => SecurableKind::Connection,
            "secret" => SecurableKind::Secret,
            "index" => SecurableKind::Index,
            "function" => SecurableKind::Function,
            "type" => SecurableKind::Type,
            _ => SecurableKind::Table,
        }
    }

    /// Its word in lists.
    pub fn word(self) -> &'static str {
        match self {
            SecurableKind::Table => "table",
            SecurableKind::Type => "type",
            SecurableKind::Secret => "secret",
            SecurableKind::Connection => "connection",
            SecurableKind::Index => "index",
            SecurableKind::Function => "function",
            SecurableKind::Database => "database",
            SecurableKind::Schema => "schema",
            SecurableKind::Cluster => "cluster",
            SecurableKind::System => "system",
        }
    }

    /// All privileges that there are for it.
    pub fn privileges(self) -> Privileges {
        use Privilege as P;
        match self {
            SecurableKind::Table => Privileges::of(&[P::Insert, P::Select, P::Update, P::Delete]),
            SecurableKind::Type | SecurableKind::Secret | SecurableKind::Connection => {
                Privileges::of(&[P::Usage])
            }
            SecurableKind::Index => Privileges::default(),
            SecurableKind::Function => Privileges::of(&[P::Execute]),
            SecurableKind::Database | SecurableKind::Schema | SecurableKind::Cluster => {
                Privileges::of(&[P::Usage, P::Create])
            }
            SecurableKind::System => Privileges::of(&[
                P::CreateRole,
                P::CreateDb,
                P::CreateCluster,
                P::CreateNetworkPolicy,
            ]),
        }
    }
}

/// What is granted on objects as they are made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DefaultPrivilege {
    /// Who makes them; [`PUBLIC`] for all.
    pub role: String,
    /// The database they are in; None: any.
    pub database: Option<String>,
    /// The schema they are in; None: any.
    pub schema: Option<String>,
    /// What they are.
    pub kind: SecurableKind,
    /// Who gets it.
    pub grantee: String,
    /// What: the bits of [`Privileges`].
    pub privileges: u16,
}

impl DefaultPrivilege {
    /// What is granted.
    pub fn set(&self) -> Privileges {
        Privileges(self.privileges)
    }

    /// With other privileges.
    #[must_use]
    pub fn with(mut self, privileges: Privileges) -> DefaultPrivilege {
        self.privileges = privileges.0;
        self
    }
}

/// Who may connect from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPolicy {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Who owns it.
    pub owner: String,
    /// The rules: all of them allow clients to connect.
    pub rules: Vec<NetworkRule>,
}

/// A rule of a network policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRule {
    /// Its name.
    pub name: String,
    /// The addresses: `10.0.0.0/8`.
    pub address: String,
}

impl NetworkRule {
    /// Whether an address is one of the rule's.
    pub fn allows(&self, client: std::net::IpAddr) -> bool {
        parse_network(&self.address)
            .is_ok_and(|(network, bits)| prefix(network, bits) == prefix(client, bits))
    }
}

impl NetworkPolicy {
    /// Whether a client may connect from an address.
    pub fn allows(&self, client: std::net::IpAddr) -> bool {
        let client = client.to_canonical();
        self.rules.iter().any(|rule| rule.allows(client))
    }
}

/// The first bits of an address, and its family.
fn prefix(address: std::net::IpAddr, bits: u8) -> (bool, u128) {
    let (four, number, width) = match address {
        std::net::IpAddr::V4(address) => (true, u128::from(address.to_bits()), 32_u32),
        std::net::IpAddr::V6(address) => (false, address.to_bits(), 128),
    };
    let rest = width.saturating_sub(u32::from(bits));
    (four, number.checked_shr(rest).unwrap_or(0))
}

/// Reads `10.0.0.0/8`.
///
/// # Errors
/// It is no network (`22P02`).
pub fn parse_network(text: &str) -> Result<(std::net::IpAddr, u8), SqlError> {
    let invalid = || {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid address of a network: \"{text}\""),
        )
        .with_hint("Write it as an address and the length of its prefix: '10.0.0.0/8'.")
    };
    let (address, bits) = text.split_once('/').ok_or_else(invalid)?;
    let address: std::net::IpAddr = address.trim().parse().map_err(|_| invalid())?;
    let bits: u8 = bits.trim().parse().map_err(|_| invalid())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    if bits > width {
        return Err(invalid());
    }
    Ok((address, bits))
}

/// Adds privileges to an access list.
pub fn grant(acl: &mut Vec<AclItem>, grantee: &str, grantor: &str, privileges: Privileges) {
    match acl.iter_mut().find(|item| item.grantee == grantee && item.grantor == grantor) {
        Some(item) => item.privileges = item.privileges.with(privileges),
        None => acl.push(AclItem {
            grantee: grantee.to_owned(),
            grantor: grantor.to_owned(),
            privileges,
        }),
    }
}

/// Takes privileges out of an access list, whoever granted them.
pub fn revoke(acl: &mut Vec<AclItem>, grantee: &str, privileges: Privileges) {
    for item in acl.iter_mut().filter(|item| item.grantee == grantee) {
        item.privileges = item.privileges.without(privileges);
    }
    acl.retain(|item| !item.privileges.is_empty());
}

/// The roles of a name and those it is a member of, over any number of steps that can be gone.
pub(crate) fn closure<'a>(
    start: &'a str,
    memberships: impl Iterator<Item = &'a Membership> + Clone,
    goes: impl Fn(&Membership) -> bool,
) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut todo = vec![start];
    while let Some(role) = todo.pop() {
        if !found.insert(role) {
            continue;
        }
        let of_role = memberships.clone().filter(|membership| membership.member == role);
        let of_role = of_role.filter(|membership| goes(membership));
        todo.extend(of_role.map(|membership| membership.role.as_str()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let rule = |address: &str| NetworkRule { name: "r".into(), address: address.into() };
        assert!(rule("10.0.0.0/8").allows("10.1.2.3".parse().unwrap()));
        assert!(!rule("10.0.0.0/8").allows("11.1.2.3".parse().unwrap()));
        assert!(rule("0.0.0.0/0").allows("11.1.2.3".parse().unwrap()));
        assert!(!rule("0.0.0.0/0").allows("::1".parse().unwrap()));
        assert!(parse_network("10.0.0.0/33").is_err());
        assert!(parse_network("10.0.0.0").is_err());
    }

    #[test]
    fn what_is_revoked_is_gone() {
        let mut acl = Vec::new();
        grant(&mut acl, "a", "b", Privileges::of(&[Privilege::Select]));
        grant(&mut acl, "a", "b", Privileges::of(&[Privilege::Insert]));
        assert_eq!(acl.len(), 1);
        assert_eq!(acl[0].privileges.to_string(), "ar");
        revoke(&mut acl, "a", SecurableKind::Table.privileges());
        assert!(acl.is_empty());
    }
}
