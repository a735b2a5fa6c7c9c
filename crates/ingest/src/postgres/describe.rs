//! What an upstream's publication and its tables look like, for planning.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tidemill_repr::{ColumnType, Oid, ScalarType, SqlError, SqlState};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::connection::{PostgresConnection, check_server, sql_error};
use super::replication::ReplicationSession;

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
    /// The columns of its replica identity, unless that is FULL or NOTHING.
    pub identity: Vec<i16>,
    /// The publication's row filter, as SQL.
    pub row_filter: Option<String>,
    /// Whether the publication publishes its inserts, and no other changes.
    pub insert_only: bool,
    /// What changes when the table is taken out of the publication and put back, or the
    /// publication is changed: changes may be missing from the stream then.
    pub membership: Option<String>,
    /// The partitions that hold its rows, when it is a root, each with its file: that changes when
    /// the partition is truncated or rewritten by itself, which the stream does not tell.
    pub partitions: Vec<String>,
    /// A partition whose replica identity is not that of the root.
    pub odd_partition: Option<String>,
    /// Whether it is the root of partitions (`relkind` p).
    pub partitioned: bool,
    /// How many rows the upstream believes it has; None if it never looked.
    pub estimated_rows: Option<u64>,
    /// Whether the user may use its schema.
    pub schema_usable: bool,
    /// Whether the user may read its published columns.
    pub readable: bool,
    /// Whether row-level security hides rows from the user.
    pub row_security: bool,
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
    /// The base type, if it is an enum; its elements' type, if it is an array of an enum.
    pub enum_type: Option<UpstreamEnum>,
    /// The type of its elements, under all domains, if it is an array of an enum or of a domain
    /// (`type_kind` is then that of the elements).
    pub element_oid: Option<Oid>,
    /// The type under all domains; the declared one if it is no domain.
    pub base_type_oid: Oid,
    /// The modifier that holds for the base type.
    pub base_typmod: i32,
    /// Whether the column refuses NULL.
    pub not_null: bool,
    /// Whether the publication has the column (no column list, or it is in the list; generated
    /// columns are not published).
    pub published: bool,
}

/// An enum upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamEnum {
    /// Its name, without schema.
    pub name: String,
    /// Its labels, in their order.
    pub labels: Vec<String>,
}

/// Oids from here on are of types that users made: they mean nothing here, or something else.
const FIRST_USER_OID: u32 = 16_384;

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

impl ReplicaIdentity {
    /// From `pg_class.relreplident`.
    pub(crate) fn from_code(code: &str) -> ReplicaIdentity {
        match code {
            "f" => ReplicaIdentity::Full,
            "n" => ReplicaIdentity::Nothing,
            "i" => ReplicaIdentity::Index,
            _ => ReplicaIdentity::Default,
        }
    }
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
    /// It cannot be read whole, or its old rows cannot be found.
    pub fn check_supported(&self) -> Result<(), SqlError> {
        let name = self.sql_name();
        let denied = |message: String| SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message);
        let schema = quote_identifier(&self.schema);
        if !self.schema_usable {
            return Err(denied(format!("permission denied for schema {schema}")).with_hint(
                format!(
                    "Run GRANT USAGE ON SCHEMA {schema}, to the user of the connection, on the \
                 upstream database."
                ),
            ));
        }
        if !self.readable {
            return Err(denied(format!("permission denied for table {name}")).with_hint(format!(
                "Run GRANT SELECT ON {name}, to the user of the connection, on the upstream \
                 database."
            )));
        }
        if self.row_security {
            let message = format!("row-level security of table {name} applies to the user");
            return Err(denied(message)
                .with_detail("The snapshot would lack the rows that are hidden.")
                .with_hint("Give the user of the connection BYPASSRLS on the upstream database."));
        }
        if self.insert_only {
            return Ok(());
        }
        let unusable = |message: String, detail: &str| {
            Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                .with_detail(detail)
                .with_hint(replica_identity_hint(&name)))
        };
        let missing = "Without it, updates and deletes do not carry the old row.";
        match self.replica_identity {
            ReplicaIdentity::Nothing => {
                return unusable(format!("table {name} has replica identity NOTHING"), missing);
            }
            ReplicaIdentity::Default | ReplicaIdentity::Index if self.identity.is_empty() => {
                let message =
                    format!("table {name} does not have REPLICA IDENTITY FULL or a primary key");
                return unusable(message, missing);
            }
            _ => {}
        }
        match &self.odd_partition {
            Some(partition) if self.partitioned => {
                let message =
                    format!("partition {partition} has another replica identity than {name}");
                let hint = replica_identity_hint(partition);
                Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                    .with_detail("Its updates and deletes would not carry the old row.")
                    .with_hint(hint))
            }
            _ => Ok(()),
        }
    }
}

/// The way out of a replica identity that is not FULL.
pub(crate) fn replica_identity_hint(table: &str) -> String {
    format!("Run ALTER TABLE {table} REPLICA IDENTITY FULL on the upstream database.")
}

impl UpstreamColumn {
    /// The type the column has here, if it can be carried natively: domains as their base type.
    /// None: only as text (TEXT COLUMNS).
    pub fn column_type(&self) -> Option<ColumnType> {
        if self.base_type_oid.0 >= FIRST_USER_OID {
            return None;
        }
        let scalar_type = ScalarType::from_oid(self.base_type_oid)?;
        // A reg* value is another object in another database: its oid means nothing here.
        let oid_alias = ScalarType::is_reg;
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
    let client = connection.connect().await?;
    let server_version = check_server(&client).await?;
    let insert_only = check_publication(&client, publication).await?;
    let mut tables = read_tables(&client, server_version, publication).await?;
    for table in &mut tables {
        table.insert_only = insert_only;
    }
    let system = ReplicationSession::connect(connection).await?.identify_system().await?;
    Ok(UpstreamDescription {
        server_version,
        system_identifier: system.system_identifier,
        timeline: system.timeline,
        publication: publication.to_owned(),
        tables,
    })
}

pub(crate) async fn query(
    client: &Client,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<tokio_postgres::Row>, SqlError> {
    client.query(sql, parameters).await.map_err(|error| sql_error(&error))
}

/// Checks that the publication is there, and whole; says whether it publishes inserts only.
async fn check_publication(client: &Client, publication: &str) -> Result<bool, SqlError> {
    let sql = "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, \
                      pubinsert AND NOT (pubupdate OR pubdelete OR pubtruncate) \
               FROM pg_publication WHERE pubname = $1";
    let rows = query(client, sql, &[&publication]).await?;
    let Some(row) = rows.first() else {
        let names =
            query(client, "SELECT pubname::text FROM pg_publication ORDER BY 1", &[]).await?;
        let names: Vec<String> = names.iter().map(|row| row.get(0)).collect();
        let message = format!("publication \"{publication}\" does not exist");
        let error = SqlError::new(SqlState::UNDEFINED_OBJECT, message).with_hint(format!(
            "Run CREATE PUBLICATION {} FOR ALL TABLES on the upstream database.",
            quote_identifier(publication)
        ));
        return Err(match names.as_slice() {
            [] => error.with_detail("The upstream database has no publications."),
            names => error.with_detail(format!("The upstream database has: {}.", names.join(", "))),
        });
    };
    if row.get(0) || row.get(1) {
        return Ok(row.get(1));
    }
    let message = format!("publication \"{publication}\" does not publish all changes");
    let name = quote_identifier(publication);
    Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).with_hint(format!(
        "Run ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate') on the \
         upstream database."
    )))
}

async fn read_tables(
    client: &Client,
    server_version: u32,
    publication: &str,
) -> Result<Vec<UpstreamTable>, SqlError> {
    // Row filters and column lists came with version 15.
    let filters = if server_version >= 150_000 {
        "p.rowfilter, p.attnames::text[]"
    } else {
        "NULL::text, NULL::text[]"
    };
    let sql = format!(
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relreplident::text, c.relkind::text, \
                c.reltuples::float8, has_schema_privilege(n.oid, 'USAGE'), \
                (SELECT bool_and(has_column_privilege(c.oid, a.attnum, 'SELECT')) \
                 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 \
                 AND NOT a.attisdropped AND ({published})), \
                row_security_active(c.oid), {filters}, {membership}, {partitions}, {odd} \
         FROM pg_publication_tables p \
         JOIN pg_namespace n ON n.nspname = p.schemaname \
         JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename \
         JOIN pg_publication pub ON pub.pubname = p.pubname \
         WHERE p.pubname = $1 ORDER BY 2, 3",
        published = if server_version >= 150_000 { "a.attname = ANY (p.attnames)" } else { "true" },
        membership = membership_sql(server_version),
        partitions = partitions_sql(
            server_version,
            "text[]",
            &format!("array_agg({PARTITION_SQL} ORDER BY 1)")
        ),
        odd = partitions_sql(
            server_version,
            "text",
            "min(t.relid::regclass::text) FILTER (WHERE l.relreplident <> c.relreplident)"
        ),
    );
    let rows = query(client, &sql, &[&publication]).await?;
    let oids: Vec<u32> = rows.iter().map(|row| row.get(0)).collect();
    let mut columns = read_columns(client, server_version, &oids).await?;
    let mut keys = read_keys(client, &oids).await?;
    let mut identities = read_identities(client, &oids).await?;
    let tables = rows.iter().map(|row| {
        let oid: u32 = row.get(0);
        let listed: Option<Vec<String>> = row.get(10);
        let mut columns = columns.remove(&oid).unwrap_or_default();
        if let Some(listed) = listed {
            for column in &mut columns {
                column.published &= listed.contains(&column.name);
            }
        }
        let reltuples: f64 = row.get(5);
        UpstreamTable {
            oid: Oid(oid),
            schema: row.get(1),
            name: row.get(2),
            replica_identity: ReplicaIdentity::from_code(row.get(3)),
            columns,
            keys: keys.remove(&oid).unwrap_or_default(),
            identity: identities.remove(&oid).unwrap_or_default(),
            row_filter: row.get(9),
            insert_only: false,
            membership: row.get(11),
            partitions: row.get::<_, Option<Vec<String>>>(12).unwrap_or_default(),
            odd_partition: row.get(13),
            partitioned: row.get::<_, &str>(4) == "p",
            // -1: never analysed (since version 14; 0 before).
            estimated_rows: (reltuples > 0.0).then_some(reltuples as u64),
            schema_usable: row.get(6),
            readable: row.get::<_, Option<bool>>(7).unwrap_or(true),
            row_security: row.get(8),
        }
    });
    Ok(tables.collect())
}

/// What tells that the publication `pub` has table `c` without break, as an SQL expression.
pub(crate) fn membership_sql(server_version: u32) -> String {
    // Taking a table out of a publication and putting it back makes a new row, with a new oid.
    let table = if server_version >= 120_000 {
        "r.prrelid = c.oid OR r.prrelid IN (SELECT relid FROM pg_partition_ancestors(c.oid))"
    } else {
        "r.prrelid = c.oid"
    };
    let schema = if server_version >= 150_000 {
        "(SELECT max(s.oid)::text FROM pg_publication_namespace s \
          WHERE s.pnpubid = pub.oid AND s.pnnspid = c.relnamespace)"
    } else {
        "NULL"
    };
    format!(
        "concat_ws(',', 'publication', pub.oid, pub.xmin, 'tables', \
         (SELECT string_agg(r.oid::text, ' ' ORDER BY r.oid) FROM pg_publication_rel r \
          WHERE r.prpubid = pub.oid AND ({table})), 'schema', {schema})"
    )
}

/// A partition `t`, `l`, with its file.
pub(crate) const PARTITION_SQL: &str = "t.relid::oid::text || ':' || l.relfilenode::text";

/// An aggregate over the partitions `t` (`l` in `pg_class`) that hold rows of root `c`.
pub(crate) fn partitions_sql(server_version: u32, typ: &str, aggregate: &str) -> String {
    if server_version < 130_000 {
        // Published by its partitions only.
        return format!("(NULL::{typ})");
    }
    format!(
        "CASE WHEN c.relkind = 'p' THEN (SELECT {aggregate} FROM pg_partition_tree(c.oid) t \
         JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf AND l.relkind = 'r') END"
    )
}

/// The columns of each table's replica identity, where that is an index.
async fn read_identities(
    client: &Client,
    tables: &[u32],
) -> Result<HashMap<u32, Vec<i16>>, SqlError> {
    let sql = "SELECT i.indrelid, i.indkey::int2[] FROM pg_index i \
               JOIN pg_class c ON c.oid = i.indrelid \
               WHERE c.oid = ANY ($1) AND i.indisvalid AND i.indimmediate \
               AND CASE c.relreplident WHEN 'd' THEN i.indisprimary \
                                       WHEN 'i' THEN i.indisreplident ELSE false END";
    let rows = query(client, sql, &[&tables]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn read_columns(
    client: &Client,
    server_version: u32,
    tables: &[u32],
) -> Result<HashMap<u32, Vec<UpstreamColumn>>, SqlError> {
    let generated = if server_version >= 120_000 { "a.attgenerated <> ''" } else { "false" };
    let sql = format!(
        "SELECT a.attrelid, a.attnum, a.attname::text, a.atttypid, a.atttypmod, \
                format_type(a.atttypid, a.atttypmod), a.attnotnull, {generated} \
         FROM pg_attribute a \
         WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2"
    );
    let rows = query(client, &sql, &[&tables]).await?;
    let types = read_types(client, rows.iter().map(|row| row.get(3)).collect()).await?;
    let mut columns: HashMap<u32, Vec<UpstreamColumn>> = HashMap::new();
    for row in &rows {
        let mut column = UpstreamColumn {
            attnum: row.get(1),
            name: row.get(2),
            type_oid: Oid(row.get(3)),
            typmod: row.get(4),
            type_name: row.get(5),
            type_kind: TypeKind::Other,
            enum_type: None,
            element_oid: None,
            base_type_oid: Oid(row.get(3)),
            base_typmod: row.get(4),
            not_null: row.get(6),
            published: !row.get::<_, bool>(7),
        };
        resolve_domain(&mut column, &types);
        columns.entry(row.get(0)).or_default().push(column);
    }
    Ok(columns)
}

/// What `pg_type` says of a type.
struct PgType {
    name: String,
    kind: String,
    labels: Vec<String>,
    base: u32,
    typmod: i32,
    /// The type of the elements, if it is an array.
    element: u32,
    /// The type of arrays of it.
    array: u32,
}

/// These types, and those that domains and arrays among them stand on.
async fn read_types(
    client: &Client,
    mut wanted: Vec<u32>,
) -> Result<HashMap<u32, PgType>, SqlError> {
    let sql = "SELECT oid, typtype::text, typbasetype, typtypmod, typname::text, \
                      array(SELECT enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid \
                            ORDER BY enumsortorder), \
                      CASE WHEN typlen = -1 AND typcategory = 'A' THEN typelem ELSE 0 END, typarray \
               FROM pg_type t WHERE oid = ANY ($1)";
    let mut types = HashMap::new();
    while !wanted.is_empty() {
        wanted.sort_unstable();
        wanted.dedup();
        let rows = query(client, sql, &[&wanted]).await?;
        wanted.clear();
        for row in rows {
            let typ = PgType {
                name: row.get(4),
                kind: row.get(1),
                labels: row.get(5),
                base: row.get(2),
                typmod: row.get(3),
                element: row.get(6),
                array: row.get(7),
            };
            let stands_on = if typ.kind == "d" { typ.base } else { typ.element };
            if stands_on != 0 && !types.contains_key(&stands_on) {
                wanted.push(stands_on);
            }
            types.insert(row.get(0), typ);
        }
    }
    Ok(types)
}

/// The type under all domains, with the modifier that holds for it.
fn under_domains(
    mut oid: u32,
    mut typmod: i32,
    types: &HashMap<u32, PgType>,
) -> (u32, i32, Option<&PgType>) {
    while let Some(typ) = types.get(&oid) {
        if typ.kind != "d" {
            return (oid, typmod, Some(typ));
        }
        oid = typ.base;
        typmod = if typmod == -1 { typ.typmod } else { typmod };
    }
    (oid, typmod, None)
}

fn resolve_domain(column: &mut UpstreamColumn, types: &HashMap<u32, PgType>) {
    let (oid, typmod, found) = under_domains(column.base_type_oid.0, column.base_typmod, types);
    (column.base_type_oid, column.base_typmod) = (Oid(oid), typmod);
    let Some(mut typ) = found else { return };
    if typ.element != 0 && oid >= FIRST_USER_OID {
        let (element, typmod, found) = under_domains(typ.element, typmod, types);
        let Some(found) = found else { return };
        column.element_oid = Some(Oid(element));
        // An array of a domain is one of the domain's base here.
        if found.array != 0 && found.element == 0 {
            (column.base_type_oid, column.base_typmod) = (Oid(found.array), typmod);
        }
        typ = found;
    }
    column.type_kind = match typ.kind.as_str() {
        "b" => TypeKind::Base,
        "c" => TypeKind::Composite,
        "e" => TypeKind::Enum,
        "m" => TypeKind::Multirange,
        "r" => TypeKind::Range,
        _ => TypeKind::Other,
    };
    if column.type_kind == TypeKind::Enum {
        let (name, labels) = (typ.name.clone(), typ.labels.clone());
        column.enum_type = Some(UpstreamEnum { name, labels });
    }
}

async fn read_keys(
    client: &Client,
    tables: &[u32],
) -> Result<HashMap<u32, Vec<UpstreamKey>>, SqlError> {
    let sql = "SELECT conrelid, conname::text, contype = 'p', conkey FROM pg_constraint \
               WHERE conrelid = ANY ($1) AND contype IN ('p', 'u') ORDER BY 1, 3 DESC, 2";
    let mut keys: HashMap<u32, Vec<UpstreamKey>> = HashMap::new();
    for row in query(client, sql, &[&tables]).await? {
        let key = UpstreamKey { name: row.get(1), primary: row.get(2), attnums: row.get(3) };
        keys.entry(row.get(0)).or_default().push(key);
    }
    Ok(keys)
}
