//! What an object of the catalog is.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemill_expr::ScalarExpr;
use tidemill_plan::QueryExpr;
use tidemill_repr::user_type::{CompositeType, DomainType, EnumType, TypeName};
use tidemill_repr::{ObjectId, Oid, RelationDesc, ScalarType};

use crate::constraint::{Constraint, Generation, Sequence, UniqueKey};
use crate::function::Function;
use crate::name::QualifiedName;
use crate::refresh::Refresh;

/// An object of the catalog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    /// Its identity.
    pub id: ObjectId,
    /// Its oid, for PostgreSQL's catalogs.
    pub oid: Oid,
    /// Its full name.
    pub name: QualifiedName,
    /// The role that owns it.
    pub owner: String,
    /// The statement that made it, with full names; it can be run again.
    pub create_sql: String,
    /// The objects it cannot be without.
    pub depends_on: Vec<ObjectId>,
    /// What it is.
    pub definition: Definition,
}

/// What an object is. Parts that are `skip`ped by serde are plans, put back when the server
/// starts.
#[allow(clippy::large_enum_variant, reason = "one an object, behind an Arc")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Definition {
    /// A base collection.
    Table(Table),
    /// A named query.
    View(View),
    /// A maintained query.
    MaterializedView(MaterializedView),
    /// An arrangement kept in memory.
    Index(Index),
    /// A connection to an upstream and a position in its log.
    Source(Source),
    /// How to reach an upstream.
    Connection(Connection),
    /// A value that is never shown.
    Secret(Secret),
    /// A counter.
    Sequence(Sequence),
    /// A type that a user created.
    Type(UserType),
    /// A function that a user wrote.
    Function(Function),
}

/// The kinds of objects, in the words of messages and `mz_objects.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// `table`
    Table,
    /// `view`
    View,
    /// `materialized-view`
    MaterializedView,
    /// `index`
    Index,
    /// `source`
    Source,
    /// `connection`
    Connection,
    /// `secret`
    Secret,
    /// `sequence`
    Sequence,
    /// `type`: domains, too.
    Type,
    /// `function`
    Function,
}

impl ItemKind {
    /// The word in `mz_objects.type`.
    pub fn catalog_name(self) -> &'static str {
        match self {
            ItemKind::MaterializedView => "materialized-view",
            ItemKind::Table => "table",
            ItemKind::View => "view",
            ItemKind::Index => "index",
            ItemKind::Source => "source",
            ItemKind::Connection => "connection",
            ItemKind::Secret => "secret",
            ItemKind::Sequence => "sequence",
            ItemKind::Type => "type",
            ItemKind::Function => "function",
        }
    }
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ItemKind::MaterializedView => "materialized view",
            other => other.catalog_name(),
        })
    }
}

/// A base collection: written by users, fed by a source, or built in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    /// Its columns.
    pub desc: RelationDesc,
    /// The default of each column, as SQL text.
    pub defaults: Vec<Option<String>>,
    /// For each column whose values come by themselves: how. May be shorter than the columns.
    #[serde(default)]
    pub generation: Vec<Option<Generation>>,
    /// What its rows must satisfy, apart from NOT NULL.
    #[serde(default)]
    pub constraints: Vec<Constraint>,
    /// Where its rows come from, if not from users.
    pub source: Option<SourceTable>,
    /// How many milliseconds of history are kept, where that is more than usual.
    #[serde(default)]
    pub retain_history: Option<u64>,
}

/// How a table follows an upstream table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceTable {
    /// The source.
    pub source: ObjectId,
    /// The upstream table as it was when this table was made.
    pub upstream: UpstreamTable,
    /// For each column of the table, in order: the attribute number upstream.
    pub columns: Vec<i16>,
    /// Attribute numbers of columns that are carried as text.
    pub text_columns: Vec<i16>,
    /// Whether it was made by `FOR TABLES` (a subsource) rather than by `CREATE TABLE`.
    pub subsource: bool,
    /// How often a RESYNC was asked for.
    #[serde(default)]
    pub resyncs: u32,
    /// The table whose place it is to take as soon as it has its content.
    #[serde(default)]
    pub succeeds: Option<Succession>,
}

/// How a table comes from one with other columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succession {
    /// The other table.
    pub table: ObjectId,
    /// For each column of this one: which of the other's it is. None: the other has not got it.
    pub columns: Vec<Option<usize>>,
}

/// A table upstream, as its catalog describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamTable {
    /// `pg_class.oid`
    pub oid: u32,
    /// The schema.
    pub schema: String,
    /// The name.
    pub name: String,
    /// `pg_class.relreplident`: `d`, `n`, `f` or `i`.
    pub replica_identity: char,
    /// Columns that exist, by attribute number, ascending.
    pub columns: Vec<UpstreamColumn>,
    /// Attribute numbers of the primary key, if there is one.
    pub primary_key: Vec<i16>,
    /// The publication's row filter, as SQL.
    #[serde(default)]
    pub row_filter: Option<String>,
    /// Attribute numbers of the replica identity, where that is an index.
    #[serde(default)]
    pub identity: Vec<i16>,
    /// Whether the publication publishes inserts and no other changes.
    #[serde(default)]
    pub insert_only: bool,
    /// What changes when the publication is changed, or has the table anew.
    #[serde(default)]
    pub membership: Option<String>,
    /// Whether it is the root of partitions.
    #[serde(default)]
    pub partitioned: bool,
    /// Its partitions: the oid of each, and its file.
    #[serde(default)]
    pub partitions: Vec<String>,
}

/// An enum upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamEnum {
    /// Its name, without schema.
    pub name: String,
    /// Its labels, in their order.
    pub labels: Vec<String>,
}

/// A column upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamColumn {
    /// `pg_attribute.attnum`: the column's identity.
    pub attnum: i16,
    /// The name.
    pub name: String,
    /// The oid of the type; of the base type for a domain.
    pub type_oid: u32,
    /// The name of the type, for messages.
    pub type_name: String,
    /// `pg_attribute.atttypmod`; of the base type for a domain.
    pub typmod: i32,
    /// `pg_attribute.atttypid` and `atttypmod` as declared: a domain's own.
    #[serde(default)]
    pub declared: Option<(u32, i32)>,
    /// Whether the type is an enum.
    #[serde(default)]
    pub is_enum: bool,
    /// The enum; None if it was not asked for when the table was made.
    #[serde(default)]
    pub enum_type: Option<UpstreamEnum>,
    /// The oid of the elements' type, under all domains, if this is an array of a type that is the
    /// upstream's own: of an enum (then `is_enum` and `enum_type` are of the elements) or a domain.
    #[serde(default)]
    pub element_oid: Option<u32>,
    /// `pg_attribute.attnotnull`
    pub not_null: bool,
}

/// A named query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct View {
    /// Its columns.
    pub desc: RelationDesc,
    /// The query, with full names.
    pub query_sql: String,
    /// The query, planned.
    #[serde(skip)]
    pub query: Option<Arc<QueryExpr>>,
    /// The time zone of the session that wrote the text.
    #[serde(default)]
    pub time_zone: Option<String>,
}

/// A maintained query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MaterializedView {
    /// The query.
    pub view: View,
    /// The cluster that maintains it.
    pub cluster: String,
    /// The materialized view whose query this is to become.
    #[serde(default)]
    pub replacement_for: Option<ObjectId>,
    /// How many milliseconds of history are kept, where that is more than usual.
    #[serde(default)]
    pub retain_history: Option<u64>,
    /// When it is computed, if that is not with each commit. It is a base collection then.
    #[serde(default)]
    pub refresh: Option<Refresh>,
}

/// An arrangement of a relation by a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Index {
    /// The relation.
    pub on: ObjectId,
    /// SQL texts of the key, in order.
    pub key_sql: Vec<String>,
    /// The key, planned: expressions over the relation's columns.
    #[serde(skip)]
    pub key: Vec<ScalarExpr>,
    /// The cluster that maintains it.
    pub cluster: String,
    /// The time zone of the session that wrote the key.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// What must be unique; the key is these columns then.
    #[serde(default)]
    pub unique: Option<UniqueKey>,
    /// How many milliseconds of history are kept, where that is more than usual.
    #[serde(default)]
    pub retain_history: Option<u64>,
}

/// A connection to an upstream and a position in its log. The position itself is in the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// The connection.
    pub connection: ObjectId,
    /// The publication upstream.
    pub publication: String,
    /// The replication slot upstream.
    pub slot: String,
    /// The upstream's timeline when the source was made.
    pub timeline: Option<u64>,
    /// The upstream's system identifier when the source was made.
    pub system_identifier: Option<String>,
    /// The cluster it runs on.
    pub cluster: String,
    /// The tables that could be made from it, when that was last looked up.
    #[serde(default)]
    pub references: Vec<SourceReference>,
    /// When that was, in microseconds since 2000.
    #[serde(default)]
    pub references_at: i64,
}

/// A table upstream that a table could be made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReference {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
}

/// How to reach an upstream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Connection {
    /// A PostgreSQL server.
    Postgres(PostgresConnectionOptions),
    /// An SSH server through which others are reached.
    SshTunnel(SshTunnelOptions),
    /// A service of AWS PrivateLink.
    AwsPrivatelink(AwsPrivatelinkOptions),
}

impl Connection {
    /// The word in `mz_connections.type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Connection::Postgres(_) => "postgres",
            Connection::SshTunnel(_) => "ssh-tunnel",
            Connection::AwsPrivatelink(_) => "aws-privatelink",
        }
    }
}

/// An SSH server through which upstreams are reached, and the keys that it must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshTunnelOptions {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// The server's own public key, if it is to be held against one.
    #[serde(default)]
    pub host_key: Option<String>,
    /// Two pairs of keys: that the first may be replaced while the second serves.
    pub keys: Vec<SshKey>,
}

/// A pair of keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshKey {
    /// The public half, as a line of `authorized_keys`.
    pub public: String,
    /// The private half, encrypted before it came here.
    pub ciphertext: Vec<u8>,
}

/// A service of AWS PrivateLink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsPrivatelinkOptions {
    /// `com.amazonaws.vpce.<region>.vpce-svc-<id>`
    pub service_name: String,
    /// Identities of availability zones.
    pub availability_zones: Vec<String>,
}

/// Where a PostgreSQL server is and who we are there. Secrets are named, never held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresConnectionOptions {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// The secret that holds the password.
    pub password: Option<ObjectId>,
    /// Database.
    pub database: String,
    /// `disable`, `prefer`, `require`, `verify-ca` or `verify-full`.
    pub ssl_mode: String,
    /// Authority certificate in PEM: the text, or a secret.
    pub ssl_certificate_authority: Option<TextOrSecret>,
    /// Client certificate in PEM.
    pub ssl_certificate: Option<TextOrSecret>,
    /// The secret that holds the client's key.
    pub ssl_key: Option<ObjectId>,
    /// The SSH tunnel through which the server is reached.
    #[serde(default)]
    pub ssh_tunnel: Option<ObjectId>,
    /// The PrivateLink through which the server is reached.
    #[serde(default)]
    pub aws_privatelink: Option<ObjectId>,
    /// Whether it was made from the connection string of a source, and goes with it.
    #[serde(default)]
    pub made_for_source: bool,
}

/// A text, or the secret that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TextOrSecret {
    /// The text itself.
    Text(String),
    /// The secret.
    Secret(ObjectId),
}

/// A value that is never shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secret {
    /// Encrypted before it came here.
    pub ciphertext: Vec<u8>,
}

impl Table {
    /// A table with these columns and nothing else.
    pub fn new(desc: RelationDesc) -> Table {
        let defaults = vec![None; desc.arity()];
        Table {
            desc,
            defaults,
            generation: Vec::new(),
            constraints: Vec::new(),
            source: None,
            retain_history: None,
        }
    }

    /// How the values of a column come by themselves, if they do.
    pub fn generation(&self, column: usize) -> Option<&Generation> {
        self.generation.get(column)?.as_ref()
    }

    /// The primary key's columns.
    pub fn primary_key(&self) -> Option<&[usize]> {
        let mut keys = self.constraints.iter().filter_map(Constraint::key);
        keys.find(|(key, _)| key.primary).map(|(key, _)| key.columns.as_slice())
    }
}

/// A type that a user created. Its name and oids are those of its object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserType {
    /// The definition: an enum, a domain, a composite type, or a list or map that has a name.
    pub typ: ScalarType,
    /// What a domain's values must fulfil.
    pub rules: DomainRules,
}

/// What the values of a domain must fulfil, and what stands for one that is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRules {
    /// `NOT NULL`
    pub not_null: bool,
    /// `DEFAULT`, as SQL text.
    pub default: Option<String>,
    /// Name and condition over `VALUE`, as SQL text, by name.
    pub checks: Vec<(String, String)>,
}

/// How far from an object's oid that of the array type over it is.
const ARRAY_OIDS: u32 = 1_000_000_000;
/// How far from a relation's oid that of its row type is.
const ROW_TYPE_OIDS: u32 = 500_000_000;

impl Item {
    /// The type it makes: a created type, or the type of a relation's rows.
    pub fn type_of(&self) -> Option<ScalarType> {
        if let Definition::Type(created) = &self.definition {
            return Some(created.typ.clone());
        }
        let desc = self.desc().filter(|_| !self.is_system())?;
        let fields = desc
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.typ.clone().nullable(true)));
        let name = type_name(&self.name, self.row_type_oid());
        let definition = CompositeType { name, fields: fields.collect() };
        Some(ScalarType::Composite(Arc::new(definition)))
    }

    /// The oid of the type of its rows, if it has rows.
    pub fn row_type_oid(&self) -> Oid {
        Oid(self.oid.0.saturating_add(ROW_TYPE_OIDS))
    }

    /// Puts its name and its oids into the type that it makes.
    #[must_use]
    pub fn with_type_name(mut self) -> Item {
        let name = type_name(&self.name, self.oid);
        if let Definition::Type(created) = &mut self.definition {
            match &mut created.typ {
                ScalarType::Enum(definition) => {
                    *definition = Arc::new(EnumType { name, labels: definition.labels.clone() });
                }
                ScalarType::Domain(definition) => {
                    *definition = Arc::new(DomainType { name, base: definition.base.clone() });
                }
                ScalarType::Composite(definition) => {
                    let fields = definition.fields.clone();
                    *definition = Arc::new(CompositeType { name, fields });
                }
                _ => {}
            }
        }
        self
    }

    /// Puts the new definition of a created type wherever it names it. Tells whether it does.
    pub fn redefine(&mut self, new: &ScalarType) -> bool {
        let desc = match &mut self.definition {
            Definition::Table(table) => &mut table.desc,
            Definition::View(view) => &mut view.desc,
            Definition::MaterializedView(materialized) => &mut materialized.view.desc,
            Definition::Type(created) => return created.typ.redefine(new),
            Definition::Function(function) => return function.redefine(new),
            _ => return false,
        };
        desc.columns
            .iter_mut()
            .fold(false, |changed, column| column.typ.scalar_type.redefine(new) | changed)
    }
}

/// The name of a type that an object makes.
pub fn type_name(name: &QualifiedName, oid: Oid) -> TypeName {
    TypeName {
        oid,
        array_oid: Oid(oid.0.saturating_add(ARRAY_OIDS)),
        schema: name.schema.clone(),
        name: name.item.clone(),
    }
}

impl Item {
    /// Its kind.
    pub fn kind(&self) -> ItemKind {
        match &self.definition {
            Definition::Table(_) => ItemKind::Table,
            Definition::View(_) => ItemKind::View,
            Definition::MaterializedView(_) => ItemKind::MaterializedView,
            Definition::Index(_) => ItemKind::Index,
            Definition::Source(_) => ItemKind::Source,
            Definition::Connection(_) => ItemKind::Connection,
            Definition::Secret(_) => ItemKind::Secret,
            Definition::Sequence(_) => ItemKind::Sequence,
            Definition::Type(_) => ItemKind::Type,
            Definition::Function(_) => ItemKind::Function,
        }
    }

    /// The time zone of the session that wrote its text, if that is known.
    pub fn time_zone(&self) -> Option<&str> {
        match &self.definition {
            Definition::Index(index) => index.time_zone.as_deref(),
            _ => self.view()?.time_zone.as_deref(),
        }
    }

    /// Its columns, if it can be selected from.
    pub fn desc(&self) -> Option<&RelationDesc> {
        match &self.definition {
            Definition::Table(table) => Some(&table.desc),
            Definition::View(view) => Some(&view.desc),
            Definition::MaterializedView(materialized) => Some(&materialized.view.desc),
            _ => None,
        }
    }

    /// The query of a view or materialized view.
    pub fn view(&self) -> Option<&View> {
        match &self.definition {
            Definition::View(view) => Some(view),
            Definition::MaterializedView(materialized) => Some(&materialized.view),
            _ => None,
        }
    }

    /// The table, if it is one.
    pub fn table(&self) -> Option<&Table> {
        match &self.definition {
            Definition::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The sequence, if it is one.
    pub fn sequence(&self) -> Option<&Sequence> {
        match &self.definition {
            Definition::Sequence(sequence) => Some(sequence),
            _ => None,
        }
    }

    /// How many milliseconds of history are kept, where that is more than usual.
    pub fn retain_history(&self) -> Option<u64> {
        match &self.definition {
            Definition::MaterializedView(materialized) => materialized.retain_history,
            Definition::Index(index) => index.retain_history,
            Definition::Table(table) => table.retain_history,
            _ => None,
        }
    }

    /// When it is computed, if it is a materialized view that is not kept up to date.
    pub fn refresh(&self) -> Option<&Refresh> {
        match &self.definition {
            Definition::MaterializedView(materialized) => materialized.refresh.as_ref(),
            _ => None,
        }
    }

    /// Whether its rows are in the ledger: a table, or a view that is computed at times.
    pub fn is_base(&self) -> bool {
        self.table().is_some() || self.refresh().is_some()
    }

    /// The cluster it runs on, if it runs.
    pub fn cluster(&self) -> Option<&str> {
        match &self.definition {
            Definition::MaterializedView(materialized) => Some(&materialized.cluster),
            Definition::Index(index) => Some(&index.cluster),
            Definition::Source(source) => Some(&source.cluster),
            _ => None,
        }
    }

    /// Whether it is built in.
    pub fn is_system(&self) -> bool {
        matches!(self.id, ObjectId::System(_))
    }
}
