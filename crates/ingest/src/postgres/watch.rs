//! What the stream does not tell: looks into the upstream's catalog, on a session of its own.
//!
//! A table that is dropped, or taken out of the publication, sends nothing any more; a NOT NULL
//! or a key that is dropped shows only in rows that come later. So the catalog is looked at now
//! and then, and each time the stream describes a table anew.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tidemill_repr::{ObjectId, Oid, SqlError, SqlState};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::connection::{PostgresConnection, TEXT_FORMS, check_server, sql_error};
use super::describe::{PARTITION_SQL, membership_sql, partitions_sql, query, quote_identifier};
use super::source::TableConfig;
use super::table::{Attribute, table_error};

/// How long an answer may take: the stream waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer, if it came in time.
type Answer<T> = Result<Result<T, SqlError>, Elapsed>;

/// Looks into the upstream's catalog.
pub(crate) struct Watch {
    connection: PostgresConnection,
    publication: String,
    session: Option<(Client, u32)>,
    /// The partitions that roots were seen with.
    partitions: HashMap<ObjectId, BTreeSet<String>>,
    /// The storage of tables, as it was seen last.
    storages: HashMap<ObjectId, Storage>,
}

/// Where a table's rows lie, and how many columns it ever had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Storage {
    /// Another one: all rows were written anew.
    pub(crate) file: u32,
    pub(crate) columns: i16,
}

/// What rows that were written before a column was added have in it.
#[derive(Clone, Debug)]
pub(crate) struct AddedColumn {
    /// The file of the table.
    pub(crate) file: u32,
    pub(crate) attribute: Attribute,
    /// None: NULL.
    pub(crate) missing: Option<String>,
}

/// What a look found.
pub(crate) enum Found {
    /// Something is to be done about these tables.
    Tables(Vec<(ObjectId, Problem)>),
    /// The publication is gone.
    NoPublication(SqlError),
}

/// What is to be done about a table.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It cannot be followed any further.
    Error(SqlError),
    /// Rows came or went that the stream does not tell: it is read once more.
    ReadAgain,
}

/// What the catalog says of one table.
struct TableNow {
    published: bool,
    membership: Option<String>,
    not_null: Vec<i16>,
    unique: Vec<Vec<i16>>,
    partitions: BTreeSet<String>,
    attached: BTreeSet<String>,
    odd_partition: Option<String>,
    storage: Option<Storage>,
}

impl Watch {
    pub(crate) fn new(connection: PostgresConnection, publication: String) -> Watch {
        Watch {
            connection,
            publication,
            session: None,
            partitions: HashMap::new(),
            storages: HashMap::new(),
        }
    }

    /// Looks by another way from now on.
    pub(crate) fn connect(&mut self, connection: PostgresConnection) {
        self.connection = connection;
        self.session = None;
    }

    async fn session(&mut self) -> Result<(&Client, u32), SqlError> {
        if self.session.as_ref().is_none_or(|(client, _)| client.is_closed()) {
            let client = self.connection.connect().await?;
            let version = check_server(&client).await?;
            client.batch_execute(TEXT_FORMS).await.map_err(|error| sql_error(&error))?;
            self.session = Some((client, version));
        }
        let (client, version) =
            self.session.as_ref().ok_or_else(|| SqlError::internal("no session"))?;
        Ok((client, *version))
    }

    /// Takes an answer that came in time. A session that does not answer is left.
    fn in_time<T>(&mut self, answer: Answer<T>) -> Result<T, SqlError> {
        answer.unwrap_or_else(|_| {
            self.session = None;
            let message = "the upstream does not answer a look into its catalog";
            Err(SqlError::new(SqlState::CONNECTION_FAILURE, message))
        })
    }

    /// The columns of a table as they are now; none if it is gone.
    pub(crate) async fn attributes(&mut self, table: Oid) -> Result<Vec<Attribute>, SqlError> {
        let answer = timeout(PATIENCE, self.attributes_now(table)).await;
        self.in_time(answer)
    }

    async fn attributes_now(&mut self, table: Oid) -> Result<Vec<Attribute>, SqlError> {
        let (client, _) = self.session().await?;
        let sql = "SELECT attnum, attname::text, atttypid, atttypmod FROM pg_attribute \
                   WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY 1";
        let rows = query(client, sql, &[&table.0]).await?;
        let attribute = |row: &tokio_postgres::Row| Attribute {
            attnum: row.get(0),
            name: row.get(1),
            type_oid: row.get(2),
            typmod: row.get(3),
        };
        Ok(rows.iter().map(attribute).collect())
    }

    /// The labels of enums as they are now, in their order.
    pub(crate) async fn labels(
        &mut self,
        enums: &[u32],
    ) -> Result<HashMap<u32, Vec<String>>, SqlError> {
        if enums.is_empty() {
            return Ok(HashMap::new());
        }
        let answer = timeout(PATIENCE, self.labels_now(enums)).await;
        self.in_time(answer)
    }

    async fn labels_now(&mut self, enums: &[u32]) -> Result<HashMap<u32, Vec<String>>, SqlError> {
        let (client, _) = self.session().await?;
        let sql = "SELECT enumtypid, array_agg(enumlabel::text ORDER BY enumsortorder) \
                   FROM pg_enum WHERE enumtypid = ANY ($1) GROUP BY 1";
        let rows = query(client, sql, &[&enums]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Holds the catalog against what these tables were.
    pub(crate) async fn look(&mut self, tables: &[TableConfig]) -> Result<Found, SqlError> {
        let answer = timeout(PATIENCE, self.look_now(tables)).await;
        self.in_time(answer)
    }

    async fn look_now(&mut self, tables: &[TableConfig]) -> Result<Found, SqlError> {
        let publication = self.publication.clone();
        let (client, version) = self.session().await?;
        let sql = "SELECT FROM pg_publication WHERE pubname = $1";
        if query(client, sql, &[&publication]).await?.is_empty() {
            return Ok(Found::NoPublication(no_publication(&publication)));
        }
        let oids: Vec<u32> = tables.iter().map(|table| table.upstream.oid.0).collect();
        let now = read(client, version, &publication, &oids).await?;
        let mut problems = Vec::new();
        for table in tables {
            let known = self
                .partitions
                .entry(table.id)
                .or_insert_with(|| table.upstream.partitions.iter().cloned().collect());
            let now = now.get(&table.upstream.oid.0);
            if let Err(error) = check(table, now, &publication) {
                problems.push((table.id, Problem::Error(error)));
            } else if let Some(now) = now {
                if let Some(storage) = now.storage {
                    self.storages.insert(table.id, storage);
                }
                let gone = !known.is_subset(&now.partitions);
                if gone || now.attached.difference(known).next().is_some() {
                    problems.push((table.id, Problem::ReadAgain));
                }
                known.clone_from(&now.partitions);
            }
        }
        Ok(Found::Tables(problems))
    }

    /// Forgets which partitions a table had.
    pub(crate) fn forget(&mut self, table: ObjectId) {
        self.partitions.remove(&table);
        self.storages.remove(&table);
    }

    /// Looks at the storage of these tables.
    pub(crate) async fn look_at_storages(
        &mut self,
        tables: &[(ObjectId, Oid)],
    ) -> Result<(), SqlError> {
        let answer = timeout(PATIENCE, self.look_at_storages_now(tables)).await;
        self.in_time(answer)
    }

    async fn look_at_storages_now(&mut self, tables: &[(ObjectId, Oid)]) -> Result<(), SqlError> {
        let oids: Vec<u32> = tables.iter().map(|(_, oid)| oid.0).collect();
        let (client, _) = self.session().await?;
        let sql = "SELECT oid, pg_relation_filenode(oid), relnatts FROM pg_class \
                   WHERE oid = ANY ($1)";
        let rows = query(client, sql, &[&oids]).await?;
        for (id, oid) in tables {
            let row = rows.iter().find(|row| row.get::<_, u32>(0) == oid.0);
            let file = row.and_then(|row| Some((row.get::<_, Option<u32>>(1)?, row.get(2))));
            match file {
                Some((file, columns)) => {
                    self.storages.insert(*id, Storage { file, columns });
                }
                None => {
                    self.storages.remove(id);
                }
            }
        }
        Ok(())
    }

    /// A table's storage, as it was seen last.
    pub(crate) fn storage(&self, table: ObjectId) -> Option<Storage> {
        self.storages.get(&table).copied()
    }

    /// Looks at a column that was added to a table.
    pub(crate) async fn added_column(
        &mut self,
        table: Oid,
        attnum: i16,
    ) -> Result<Option<AddedColumn>, SqlError> {
        let answer = timeout(PATIENCE, self.added_column_now(table, attnum)).await;
        self.in_time(answer)
    }

    async fn added_column_now(
        &mut self,
        table: Oid,
        attnum: i16,
    ) -> Result<Option<AddedColumn>, SqlError> {
        let (client, _) = self.session().await?;
        let sql = "SELECT pg_relation_filenode(c.oid), a.attname::text, a.atttypid, a.atttypmod, \
                          (a.attmissingval::text::text[])[1] \
                   FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
                   WHERE c.oid = $1 AND a.attnum = $2 AND NOT a.attisdropped";
        let rows = query(client, sql, &[&table.0, &attnum]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let Some(file) = row.get::<_, Option<u32>>(0) else { return Ok(None) };
        let attribute =
            Attribute { attnum, name: row.get(1), type_oid: row.get(2), typmod: row.get(3) };
        Ok(Some(AddedColumn { file, attribute, missing: row.get(4) }))
    }
}

/// The error of a source whose publication is gone.
pub(crate) fn no_publication(publication: &str) -> SqlError {
    let message = format!("publication \"{publication}\" was dropped upstream");
    SqlError::new(SqlState::UNDEFINED_OBJECT, message).with_hint(format!(
        "Create publication {} again on the upstream database, then run ALTER SOURCE .. RESYNC.",
        quote_identifier(publication)
    ))
}

async fn read(
    client: &Client,
    version: u32,
    publication: &str,
    oids: &[u32],
) -> Result<HashMap<u32, TableNow>, SqlError> {
    let sql = format!(
        "SELECT c.oid, published.relid IS NOT NULL, {membership}, \
           (SELECT array_agg(a.attnum) FROM pg_attribute a \
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull), \
           (SELECT array_agg(i.indkey::text) FROM pg_index i \
            WHERE i.indrelid = c.oid AND i.indisunique AND i.indpred IS NULL), \
           {partitions}, {attached}, {odd}, pg_relation_filenode(c.oid), c.relnatts \
         FROM pg_class c CROSS JOIN pg_publication pub \
         LEFT JOIN LATERAL (SELECT t.relid FROM pg_get_publication_tables(pub.pubname::text) t) \
           AS published ON published.relid = c.oid \
         WHERE pub.pubname = $1 AND c.oid = ANY ($2)",
        membership = membership_sql(version),
        partitions = partitions_sql(version, "text[]", &format!("array_agg({PARTITION_SQL})")),
        // Made as a partition, or made as a table and attached later?
        attached = partitions_sql(
            version,
            "text[]",
            &format!(
                "array_agg({PARTITION_SQL}) FILTER (WHERE (SELECT i.xmin::text FROM pg_inherits i \
                 WHERE i.inhrelid = t.relid) IS DISTINCT FROM (SELECT y.xmin::text FROM pg_type y \
                 WHERE y.oid = l.reltype))"
            )
        ),
        odd = partitions_sql(
            version,
            "text",
            "min(t.relid::regclass::text) FILTER (WHERE l.relreplident <> c.relreplident)"
        ),
    );
    let rows = query(client, &sql, &[&publication, &oids]).await?;
    let set = |row: &tokio_postgres::Row, column: usize| {
        row.get::<_, Option<Vec<String>>>(column).unwrap_or_default().into_iter().collect()
    };
    let now = |row: &tokio_postgres::Row| TableNow {
        published: row.get(1),
        membership: row.get(2),
        not_null: row.get::<_, Option<Vec<i16>>>(3).unwrap_or_default(),
        unique: row
            .get::<_, Option<Vec<String>>>(4)
            .unwrap_or_default()
            .iter()
            .map(|key| key.split(' ').filter_map(|number| number.parse().ok()).collect())
            .collect(),
        partitions: set(row, 5),
        attached: set(row, 6),
        odd_partition: row.get(7),
        storage: row.get::<_, Option<u32>>(8).map(|file| Storage { file, columns: row.get(9) }),
    };
    Ok(rows.iter().map(|row| (row.get(0), now(row))).collect())
}

fn check(table: &TableConfig, now: Option<&TableNow>, publication: &str) -> Result<(), SqlError> {
    let Some(now) = now else {
        return Err(table_error(table, "the table was dropped upstream"));
    };
    let publication = quote_identifier(publication);
    let name = table.upstream.sql_name();
    if !now.published {
        let what = format!("it was removed from publication {publication}");
        return Err(table_error(table, &what).with_hint(format!(
            "Run ALTER PUBLICATION {publication} ADD TABLE {name} on the upstream database, then \
             ALTER TABLE .. RESYNC for the table here."
        )));
    }
    if table.upstream.membership.is_some() && table.upstream.membership != now.membership {
        let what = format!("publication {publication} was changed upstream");
        return Err(table_error(table, &what)
            .with_detail("Changes of the table may be missing from the stream."));
    }
    for column in &table.columns {
        let upstream = super::table::upstream_column(table, column.attnum)?;
        if !column.typ.nullable && upstream.not_null && !now.not_null.contains(&column.attnum) {
            let what = format!("NOT NULL of column \"{}\" was dropped upstream", upstream.name);
            return Err(table_error(table, &what).with_hint(format!(
                "Run ALTER TABLE {name} ALTER COLUMN {} SET NOT NULL on the upstream database, \
                 then ALTER TABLE .. RESYNC for the table here.",
                quote_identifier(&upstream.name)
            )));
        }
    }
    check_key(table, now)?;
    match &now.odd_partition {
        Some(partition) if !table.upstream.insert_only => {
            let what = format!("partition {partition} has another replica identity");
            Err(table_error(table, &what))
        }
        _ => Ok(()),
    }
}

/// Views may rely on the primary key.
fn check_key(table: &TableConfig, now: &TableNow) -> Result<(), SqlError> {
    let Some(key) = table.upstream.keys.iter().find(|key| key.primary) else { return Ok(()) };
    let here = |attnum: &i16| table.columns.iter().any(|column| column.attnum == *attnum);
    if !key.attnums.iter().all(here) {
        return Ok(());
    }
    let columns: BTreeSet<&i16> = key.attnums.iter().collect();
    if now.unique.iter().any(|unique| unique.iter().collect::<BTreeSet<_>>() == columns) {
        return Ok(());
    }
    let names: Vec<&str> = key
        .attnums
        .iter()
        .filter_map(|attnum| table.upstream.columns.iter().find(|c| c.attnum == *attnum))
        .map(|column| column.name.as_str())
        .collect();
    let names = names.join(", ");
    let what = format!("its primary key ({names}) was dropped upstream");
    Err(table_error(table, &what).with_hint(format!(
        "Run ALTER TABLE {} ADD PRIMARY KEY ({names}) on the upstream database, then ALTER TABLE .. \
         RESYNC for the table here.",
        table.upstream.sql_name()
    )))
}
