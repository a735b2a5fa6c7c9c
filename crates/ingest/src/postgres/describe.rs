//! What an upstream's publication and its tables look like, for planning.

use serde::{Deserialize, Serialize};
use tidemill_repr::{ColumnType, Oid, ScalarType, SqlError, SqlState};

use super::connection::PostgresConnection;

/// An upstream and the tables of one publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamDescription {
    /// `server_version_num`, such as 150004.
    pub server_version: u32,
    /// Identifies the database cluster for its life.
    pub system_identifier: String,
    /// The cluster's timeline.
    pub timeline: u32,
    /// The publication.
    pub publication: String,
    /// Its tables, by schema and name.
    pub tables: Vec<UpstreamTable>,
}

/// A table of a publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamTable {
    /// Its identity.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What the stream tells of old rows.
    pub replica_identity: ReplicaIdentity,
    /// Its columns, in order; dropped ones left out.
    pub columns: Vec<UpstreamColumn>,
    /// Its primary key and unique constraints.
    pub keys: Vec<UpstreamKey>,
    /// The publication's row filter, as SQL.
    pub row_filter: Option<String>,
    /// Whether it is the root of partitions (`relkind` p).
    pub partitioned: bool,
    /// How many rows the upstream believes it has; None if it never looked.
    pub estimated_rows: Option<u64>,
}

/// A column of a table upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamColumn {
    /// Its identity within the table.
    pub attnum: i16,
    /// Its name.
    pub name: String,
    /// Its type, as declared (a domain's own oid).
    pub type_oid: Oid,
    /// Its modifier, as declared.
    pub typmod: i32,
    /// The declared type as SQL shows it, with its modifier.
    pub type_name: String,
    /// What kind of type the base type is.
    pub type_kind: TypeKind,
    /// The type under all domains; the declared one if it is no domain.
    pub base_type_oid: Oid,
    /// The modifier that holds for the base type.
    pub base_typmod: i32,
    /// Whether NULL is refused (by the column or its domain).
    pub not_null: bool,
    /// Whether the publication has the column (no column list, or it is in the list; generated
    /// columns are not published).
    pub published: bool,
}

/// What kind of type a base type is (`pg_type.typtype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TypeKind {
    /// `b`
    Base,
    /// `c`
    Composite,
    /// `e`
    Enum,
    /// `m`
    Multirange,
    /// `r`
    Range,
    /// Anything else.
    Other,
}

/// A primary key or unique constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamKey {
    /// The constraint's name.
    pub name: String,
    /// Whether it is the primary key.
    pub primary: bool,
    /// The columns, by number.
    pub attnums: Vec<i16>,
}

/// What the stream tells of old rows (`pg_class.relreplident`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaIdentity {
    /// The primary key.
    Default,
    /// Nothing.
    Nothing,
    /// The whole row.
    Full,
    /// The columns of an index.
    Index,
}

impl UpstreamTable {
    /// `schema.table`, quoted where needed.
    pub fn sql_name(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }

    /// The column with this name.
    pub fn column(&self, name: &str) -> Option<&UpstreamColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Says why this table cannot be followed yet, if so, with the way out.
    ///
    /// # Errors
    /// Its replica identity is not FULL, or it is the root of partitions.
    pub fn check_supported(&self) -> Result<(), SqlError> {
        let name = self.sql_name();
        if self.partitioned {
            return Err(SqlError::unsupported(format!("following the partitioned table {name}"))
                .with_hint(
                    "Publish the partitions themselves (publish_via_partition_root = false).",
                ));
        }
        if self.replica_identity != ReplicaIdentity::Full {
            let message = format!("table {name} does not have REPLICA IDENTITY FULL");
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                .with_detail("Without it, updates and deletes do not carry the old row.")
                .with_hint(replica_identity_hint(&name)));
        }
        Ok(())
    }
}

/// The way out of a replica identity that is not FULL.
pub(crate) fn replica_identity_hint(table: &str) -> String {
    format!("Run ALTER TABLE {table} REPLICA IDENTITY FULL on the upstream database.")
}

impl UpstreamColumn {
    /// The type the column has here, if it can be carried natively: domains as their base type,
    /// `json` as `jsonb`. None: only as text (TEXT COLUMNS).
    pub fn column_type(&self) -> Option<ColumnType> {
        const JSON: Oid = Oid(114);
        const JSON_ARRAY: Oid = Oid(199);
        let scalar_type = match self.base_type_oid {
            JSON => ScalarType::Jsonb,
            JSON_ARRAY => ScalarType::Array(Box::new(ScalarType::Jsonb)),
            oid => ScalarType::from_oid(oid)?,
        };
        // A reg* value is another object in another database: its oid means nothing here.
        let oid_alias = |typ: &ScalarType| {
            matches!(typ, ScalarType::Regclass | ScalarType::Regtype | ScalarType::Regproc)
        };
        match &scalar_type {
            ScalarType::Unknown | ScalarType::Record(_) => return None,
            ScalarType::Array(element) if oid_alias(element) => return None,
            typ if oid_alias(typ) => return None,
            _ => {}
        }
        let typ = ColumnType::new(scalar_type).with_typmod(self.base_typmod);
        Some(typ.nullable(!self.not_null))
    }

    /// The type of the column when it is carried as text.
    pub fn text_type(&self) -> ColumnType {
        ColumnType::new(ScalarType::Text).nullable(!self.not_null)
    }
}

/// An identifier as it stands in SQL, quoted if it must be.
pub fn quote_identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { always_quote(name) }
}

/// An identifier in double quotes: safe whatever is a keyword upstream.
pub(crate) fn always_quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Reads what the publication's tables look like now.
///
/// # Errors
/// The upstream cannot be reached, is not set up for logical replication, or has no such
/// publication; a privilege is missing.
pub async fn describe(
    connection: &PostgresConnection,
    publication: &str,
) -> Result<UpstreamDescription, SqlError> {
    let _ = (connection, publication);
    Err(SqlError::internal("describe"))
}
