//! The first content of tables: binary COPY out of one exported snapshot, several tables at once.
//!
//! A temporary slot exports the snapshot and names the position that belongs to it: what was
//! committed up to there is in the snapshot, what was committed later is in the stream. Two
//! sessions take the snapshot over, the slot goes, and the sessions read one table after the
//! other until none is left.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use parking_lot::Mutex;
use tidemill_repr::{ColumnType, Lsn, ObjectId, RowBatch, RowBuilder, SqlError, SqlState};
use tokio::sync::mpsc;
use tokio_postgres::Client;

use crate::sink::{BulkWriter, IngestSink};

use super::connection::{PostgresConnection, TEXT_FORMS, sql_error};
use super::describe::always_quote;
use super::replication::{ReplicationSession, SlotLife};
use super::slot_wait::SlotWait;
use super::source::TableConfig;
use super::table::{Attribute, ColumnDecoder, RESYNC_HINT, snapshot_columns};

/// How many tables are read at once.
const SESSIONS: usize = 2;
/// How many rows, or bytes of them, go to the writer at once.
const BATCH_ROWS: usize = 65_536;
const BATCH_BYTES: usize = 8 << 20;
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// What a snapshot tells the source task.
#[derive(Debug)]
pub(crate) enum SnapshotEvent {
    /// It waits for something upstream.
    Waiting(SqlError),
    /// The snapshot is of this position.
    Taken(Lsn),
    /// How far a table is.
    Progress { table: ObjectId, known: Option<u64>, rows: u64, bytes: u64 },
    /// A table's rows are written.
    TableDone { table: ObjectId, parts: Vec<String>, rows: u64 },
    /// A table cannot be read.
    TableFailed { table: ObjectId, error: SqlError },
    /// A table was copied from another one here, or it was not.
    Copied { table: ObjectId, copied: Result<(Vec<String>, u64, u64), SqlError> },
    /// Nothing more comes. Tables that were neither done nor failed are to be tried again.
    Ended(Result<(), SqlError>),
}

/// What the sessions of a snapshot share.
struct Shared {
    tables: Mutex<VecDeque<TableConfig>>,
    sink: Arc<dyn IngestSink>,
    events: mpsc::UnboundedSender<SnapshotEvent>,
}

/// An error while a table is read: of the table alone, or of all.
enum ReadError {
    Table(SqlError),
    Session(SqlError),
}

/// Reads the tables; tells how it goes through `events`, and at last that it ended.
pub(crate) async fn run(
    connection: PostgresConnection,
    tables: Vec<TableConfig>,
    sink: Arc<dyn IngestSink>,
    events: mpsc::UnboundedSender<SnapshotEvent>,
) {
    let shared =
        Arc::new(Shared { tables: Mutex::new(tables.into()), sink, events: events.clone() });
    let result = read_all(&connection, &shared).await;
    let _ = events.send(SnapshotEvent::Ended(result));
}

async fn read_all(connection: &PostgresConnection, shared: &Arc<Shared>) -> Result<(), SqlError> {
    let mut replication = ReplicationSession::connect(connection).await?;
    let slot = format!("materialize_snapshot_{:016x}", rand::random::<u64>());
    let waits = SlotWait::new(connection, replication.process());
    let tell = |error| {
        let _ = shared.events.send(SnapshotEvent::Waiting(error));
    };
    let created = waits.during(replication.create_slot(&slot, SlotLife::Session), tell).await?;
    let snapshot = created
        .snapshot
        .ok_or_else(|| SqlError::internal("the temporary slot exported no snapshot"))?;
    let mut sessions = Vec::new();
    let wanted = shared.tables.lock().len().min(SESSIONS);
    for _ in 0..wanted {
        sessions.push(open_session(connection, &snapshot).await?);
    }
    // Both sessions hold the snapshot now; with this session the slot goes, and the WAL it kept.
    drop(replication);
    let _ = shared.events.send(SnapshotEvent::Taken(created.consistent_point));
    // Sees the catalog as it is now, not as it was at the snapshot.
    let catalog = Arc::new(connection.connect().await?);
    let readers = sessions
        .into_iter()
        .map(|client| read_tables(client, Arc::clone(&catalog), Arc::clone(shared)));
    futures::future::try_join_all(readers).await?;
    Ok(())
}

async fn open_session(connection: &PostgresConnection, snapshot: &str) -> Result<Client, SqlError> {
    let client = connection.connect().await?;
    let sql = format!(
        "{TEXT_FORMS} SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
         BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
         SET TRANSACTION SNAPSHOT '{}'",
        snapshot.replace('\'', "''")
    );
    client.batch_execute(&sql).await.map_err(|error| sql_error(&error))?;
    Ok(client)
}

async fn read_tables(
    client: Client,
    catalog: Arc<Client>,
    shared: Arc<Shared>,
) -> Result<(), SqlError> {
    loop {
        let Some(table) = shared.tables.lock().pop_front() else {
            let _ = client.batch_execute("COMMIT").await;
            return Ok(());
        };
        // A table's error must not end the transaction that holds the snapshot.
        client.batch_execute("SAVEPOINT t").await.map_err(|error| sql_error(&error))?;
        let event = match read_table(&client, &catalog, &table, &shared).await {
            Ok(event) => event,
            Err(ReadError::Table(error)) => {
                let undo = client.batch_execute("ROLLBACK TO SAVEPOINT t").await;
                undo.map_err(|error| sql_error(&error))?;
                SnapshotEvent::TableFailed { table: table.id, error }
            }
            Err(ReadError::Session(error)) => return Err(error),
        };
        let _ = shared.events.send(event);
    }
}

/// Whether an error of the server lies with the one table.
fn upstream_error(table: &TableConfig, error: &tokio_postgres::Error) -> ReadError {
    let ours = sql_error(error);
    let of_the_table = [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_OBJECT,
        SqlState::INVALID_SCHEMA_NAME,
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::WRONG_OBJECT_TYPE,
    ];
    if !of_the_table.contains(&ours.code) {
        return ReadError::Session(ours);
    }
    let message = format!("table {} cannot be read: {}", table.upstream.sql_name(), ours.message);
    ReadError::Table(SqlError { message, ..ours }.with_hint(
        "Put it right on the upstream database, then run ALTER TABLE .. RESYNC for the table here.",
    ))
}

async fn read_table(
    client: &Client,
    catalog: &Client,
    table: &TableConfig,
    shared: &Shared,
) -> Result<SnapshotEvent, ReadError> {
    let failed = |error: tokio_postgres::Error| upstream_error(table, &error);
    let (name, columns) = lock(client, catalog, table).await?;
    let known = check_unchanged(client, table).await?;
    let copy = copy_statement(table, &name, &columns);
    let decoders = columns.into_iter().map(|(_, decoder)| decoder).collect();
    let types: Vec<ColumnType> = table.columns.iter().map(|column| column.typ.clone()).collect();
    let writer = shared.sink.part_writer(table.id, &types).await.map_err(ReadError::Session)?;
    let mut reader = TableReader {
        table: table.id,
        known,
        rows: 0,
        bytes: 0,
        told: None,
        batch: RowBatch::new(),
        writer,
        events: &shared.events,
    };
    reader.tell();
    let stream = client.copy_out(copy.as_str()).await.map_err(failed)?;
    let mut stream = std::pin::pin!(stream);
    let mut copied = CopyDecoder::new(decoders);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(failed)?;
        reader.bytes += chunk.len() as u64;
        copied.decode(&chunk, &mut reader.batch).map_err(ReadError::Table)?;
        if reader.batch.len() >= BATCH_ROWS || reader.batch.byte_len() >= BATCH_BYTES {
            reader.flush().await.map_err(ReadError::Session)?;
        }
    }
    if !copied.ended {
        let message = "the upstream ended COPY too early";
        return Err(ReadError::Session(SqlError::new(SqlState::PROTOCOL_VIOLATION, message)));
    }
    reader.flush().await.map_err(ReadError::Session)?;
    reader.tell();
    let rows = reader.rows;
    let parts = reader.writer.finish().await.map_err(ReadError::Session)?;
    Ok(SnapshotEvent::TableDone { table: table.id, parts, rows })
}

fn dropped(table: &TableConfig) -> ReadError {
    let message = format!("table {} was dropped upstream", table.upstream.sql_name());
    ReadError::Table(SqlError::new(SqlState::UNDEFINED_TABLE, message).with_hint(RESYNC_HINT))
}

/// How often a table's names are looked up, if they change meanwhile.
const LOOKS: usize = 10;

/// Locks the table against changes of its form, and gives its name and its columns, by the names
/// that they have now: statements know no others, however old the snapshot is.
async fn lock(
    client: &Client,
    catalog: &Client,
    table: &TableConfig,
) -> Result<(String, Vec<(String, ColumnDecoder)>), ReadError> {
    for _ in 0..LOOKS {
        let form = current_form(catalog, table).await?;
        let only = if table.upstream.partitioned { "" } else { "ONLY " };
        let name = format!("{only}{}", form.0);
        let columns = snapshot_columns(table, &form.1).map_err(ReadError::Table)?;
        // Takes the lock that COPY will need, and no more privileges than that.
        let names: Vec<String> = columns.iter().map(|(name, _)| always_quote(name)).collect();
        let lock = format!("SELECT {} FROM {name} LIMIT 0", names.join(", "));
        let locked = client.batch_execute(&lock).await;
        let same = current_form(catalog, table).await? == form;
        match locked {
            Ok(()) if same => return Ok((name, columns)),
            Err(error) if same => return Err(upstream_error(table, &error)),
            _ => {}
        }
        let undo = client.batch_execute("ROLLBACK TO SAVEPOINT t").await;
        undo.map_err(|error| ReadError::Session(sql_error(&error)))?;
    }
    let name = table.upstream.sql_name();
    let message = format!("table {name} was changed upstream while its snapshot was taken");
    Err(ReadError::Session(SqlError::new(SqlState::SERIALIZATION_FAILURE, message)))
}

/// What the table and its columns are called now. Nothing else may have the table's name.
async fn current_form(
    catalog: &Client,
    table: &TableConfig,
) -> Result<(String, Vec<Attribute>), ReadError> {
    let sql = "SELECT n.nspname::text, c.relname::text, \
                      a.attnum, a.attname::text, a.atttypid, a.atttypmod \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
               WHERE c.oid = $1 ORDER BY a.attnum";
    let rows = catalog.query(sql, &[&table.upstream.oid.0]).await;
    let rows = rows.map_err(|error| upstream_error(table, &error))?;
    let first = rows.first().ok_or_else(|| dropped(table))?;
    let name = format!("{}.{}", always_quote(first.get(0)), always_quote(first.get(1)));
    let attribute = |row: &tokio_postgres::Row| Attribute {
        attnum: row.get(2),
        name: row.get(3),
        type_oid: row.get(4),
        typmod: row.get(5),
    };
    Ok((name, rows.iter().map(attribute).collect()))
}

/// Checks that the table is in its old storage (a rewrite since the snapshot would make it look
/// empty). Gives the number of rows it should have.
async fn check_unchanged(client: &Client, table: &TableConfig) -> Result<Option<u64>, ReadError> {
    let failed = |error: tokio_postgres::Error| upstream_error(table, &error);
    let sql = "SELECT c.reltuples::float8, c.relfilenode = 0 \
                      OR c.relfilenode = pg_relation_filenode(c.oid) \
               FROM pg_class c WHERE c.oid = $1";
    let row = client.query_opt(sql, &[&table.upstream.oid.0]).await.map_err(failed)?;
    let row = row.ok_or_else(|| dropped(table))?;
    if !row.get::<_, Option<bool>>(1).unwrap_or(false) {
        let name = table.upstream.sql_name();
        let message = format!("table {name} was rewritten upstream while its snapshot was taken");
        return Err(ReadError::Session(SqlError::new(SqlState::SERIALIZATION_FAILURE, message)));
    }
    let tuples: f64 = row.get(0);
    Ok((tuples > 0.0).then_some(tuples as u64))
}

fn copy_statement(table: &TableConfig, name: &str, columns: &[(String, ColumnDecoder)]) -> String {
    let column = |(name, decoder): &(String, ColumnDecoder)| {
        let cast = if decoder.copies_text() { "::text" } else { "" };
        format!("{}{cast}", always_quote(name))
    };
    let columns: Vec<String> = columns.iter().map(column).collect();
    let columns = columns.join(", ");
    // The stream applies the publication's filter: so must the snapshot.
    let filter = table.upstream.row_filter.as_ref();
    let filter = filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
    format!("COPY (SELECT {columns} FROM {name}{filter}) TO STDOUT (FORMAT binary)")
}

/// Rows of one table on their way to the writer.
struct TableReader<'a> {
    table: ObjectId,
    known: Option<u64>,
    rows: u64,
    bytes: u64,
    told: Option<Instant>,
    batch: RowBatch,
    writer: Box<dyn BulkWriter>,
    events: &'a mpsc::UnboundedSender<SnapshotEvent>,
}

impl TableReader<'_> {
    async fn flush(&mut self) -> Result<(), SqlError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.rows += self.batch.len() as u64;
        self.writer.push(std::mem::take(&mut self.batch)).await?;
        if self.told.is_none_or(|told| told.elapsed() >= PROGRESS_INTERVAL) {
            self.tell();
        }
        Ok(())
    }

    fn tell(&mut self) {
        self.told = Some(Instant::now());
        // What was guessed cannot be less than what is there.
        let known = self.known.map(|known| known.max(self.rows));
        let (table, rows, bytes) = (self.table, self.rows, self.bytes);
        let _ = self.events.send(SnapshotEvent::Progress { table, known, rows, bytes });
    }
}

/// Reads COPY's binary format, in chunks that may end anywhere.
struct CopyDecoder {
    decoders: Vec<(ColumnDecoder, bool)>,
    /// The start of something whose end has not come yet.
    carried: Vec<u8>,
    header_read: bool,
    ended: bool,
    row: RowBuilder,
}

/// A piece of the format, or that more bytes are needed first.
type Piece<T> = Result<Option<T>, SqlError>;

impl CopyDecoder {
    fn new(decoders: Vec<ColumnDecoder>) -> CopyDecoder {
        let decoders = decoders
            .into_iter()
            .map(|decoder| {
                let text = decoder.copies_text();
                (decoder, text)
            })
            .collect();
        CopyDecoder {
            decoders,
            carried: Vec::new(),
            header_read: false,
            ended: false,
            row: RowBuilder::new(),
        }
    }

    fn decode(&mut self, chunk: &[u8], out: &mut RowBatch) -> Result<(), SqlError> {
        if self.carried.is_empty() {
            let used = self.decode_from(chunk, out)?;
            self.carried.extend_from_slice(&chunk[used..]);
            return Ok(());
        }
        let mut carried = std::mem::take(&mut self.carried);
        carried.extend_from_slice(chunk);
        let used = self.decode_from(&carried, out)?;
        carried.drain(..used);
        self.carried = carried;
        Ok(())
    }

    /// Decodes all that is whole; gives how many bytes that was.
    fn decode_from(&mut self, bytes: &[u8], out: &mut RowBatch) -> Result<usize, SqlError> {
        let mut used = 0;
        if !self.header_read {
            match header_length(bytes)? {
                Some(length) => used = length,
                None => return Ok(0),
            }
            self.header_read = true;
        }
        while let Some(length) = self.decode_row(&bytes[used..], out)? {
            used += length;
        }
        Ok(used)
    }

    /// Decodes one row; gives its length.
    fn decode_row(&mut self, bytes: &[u8], out: &mut RowBatch) -> Piece<usize> {
        let Some((count, mut rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.ended = true;
            return Ok(Some(2));
        }
        if self.ended || usize::try_from(count) != Ok(self.decoders.len()) {
            return Err(bad_copy());
        }
        self.row.clear();
        for (decoder, text) in &self.decoders {
            let Some((length, after)) = rest.split_first_chunk::<4>() else { return Ok(None) };
            let length = i32::from_be_bytes(*length);
            if length == -1 {
                decoder.null(&mut self.row)?;
                rest = after;
                continue;
            }
            let length = usize::try_from(length).map_err(|_| bad_copy())?;
            let Some((value, after)) = after.split_at_checked(length) else { return Ok(None) };
            if *text {
                decoder.text(value, &mut self.row)?;
            } else {
                decoder.binary(value, &mut self.row)?;
            }
            rest = after;
        }
        out.push(self.row.as_ref(), 1);
        Ok(Some(bytes.len() - rest.len()))
    }
}

fn bad_copy() -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "the upstream sent bad binary COPY data")
}

/// The signature, flags and extension at the start.
fn header_length(bytes: &[u8]) -> Piece<usize> {
    const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
    let Some((fixed, rest)) = bytes.split_first_chunk::<19>() else { return Ok(None) };
    if !fixed.starts_with(SIGNATURE) {
        return Err(bad_copy());
    }
    let extension = u32::from_be_bytes([fixed[15], fixed[16], fixed[17], fixed[18]]) as usize;
    Ok((rest.len() >= extension).then_some(19 + extension))
}
