//! A coordinator in memory, and a private server to follow.
#![allow(dead_code, reason = "each file of tests uses a part")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use tidemill_ingest::postgres::{
    IngestColumn, PostgresConnection, SourceConfig, SourceHandle, TableConfig, TableSnapshot,
    describe, new_slot_name, start,
};
use tidemill_ingest::{
    BulkWriter, IngestCommit, IngestSink, Rows, SourceStatistics, SourceStatus, TableStatistics,
};
use tidemill_repr::{ColumnType, Lsn, ObjectId, RowBatch, SqlError};
use tokio::sync::watch;

// Not through the crate: testkit stands on crates that this one does not need.
#[path = "../../../testkit/src/postgres.rs"]
#[allow(dead_code)]
pub mod postgres;

pub use postgres::PrivatePostgres;

pub const SOURCE: ObjectId = ObjectId::User(1);

/// Rows as psql shows them, with how often each is there.
pub type Content = BTreeMap<String, i64>;

#[derive(Clone, Default)]
pub struct Ledger {
    pub position: Option<Lsn>,
    pub tables: BTreeMap<ObjectId, Content>,
    pub done: BTreeSet<ObjectId>,
    pub errors: BTreeMap<ObjectId, SqlError>,
    pub commits: u64,
    pub resynced: BTreeMap<ObjectId, u32>,
    pub timeline: u32,
    /// How many parts were committed.
    pub bulk: u64,
    /// How many rows the last commit that repaired a table had.
    pub last_rows: usize,
    /// Rows as they came, for reading back.
    rows: BTreeMap<ObjectId, RowBatch>,
    /// What the first twin has and the second has not.
    between_twins: Content,
}

#[derive(Default)]
pub struct MemorySink {
    pub ledger: Mutex<Ledger>,
    parts: Mutex<HashMap<String, RowBatch>>,
    pub statuses: Mutex<Vec<(ObjectId, SourceStatus)>>,
    durable: Mutex<Option<watch::Sender<Lsn>>>,
    /// Two tables that must be equal after each commit, once both are there.
    pub twins: Mutex<Option<(ObjectId, ObjectId)>>,
}

struct MemoryWriter {
    sink: Arc<MemorySink>,
    rows: RowBatch,
}

/// What tests hand to the task.
pub struct Handed(pub Arc<MemorySink>);

#[async_trait]
impl BulkWriter for MemoryWriter {
    async fn push(&mut self, rows: RowBatch) -> Result<(), SqlError> {
        self.rows.append(&rows);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Vec<String>, SqlError> {
        let mut parts = self.sink.parts.lock();
        let name = format!("part-{}", parts.len());
        parts.insert(name.clone(), self.rows);
        Ok(vec![name])
    }
}

fn apply(content: &mut Content, rows: &RowBatch, sign: i64) {
    for (row, diff) in rows.iter() {
        let text: Vec<String> = row.iter().map(|datum| format!("{datum:?}")).collect();
        let text = text.join("|");
        let count = content.entry(text.clone()).or_default();
        *count += diff * sign;
        if *count == 0 {
            content.remove(&text);
        }
    }
}

fn rows(batches: impl IntoIterator<Item = RowBatch>) -> Rows {
    let batches: Vec<_> = batches.into_iter().collect();
    let (sender, receiver) = tokio::sync::mpsc::channel(batches.len().max(1));
    for batch in batches {
        sender.try_send(Ok(Arc::new(batch))).unwrap();
    }
    receiver
}

#[async_trait]
impl IngestSink for Handed {
    async fn part_writer(
        &self,
        _table: ObjectId,
        _columns: &[ColumnType],
    ) -> Result<Box<dyn BulkWriter>, SqlError> {
        Ok(Box::new(MemoryWriter { sink: Arc::clone(&self.0), rows: RowBatch::new() }))
    }

    async fn commit(&self, commit: IngestCommit) -> Result<(), SqlError> {
        let mut ledger = self.0.ledger.lock();
        assert!(ledger.position.is_none_or(|position| position <= commit.position));
        ledger.position = Some(commit.position);
        ledger.commits += 1;
        let mut all: Vec<(ObjectId, RowBatch)> = commit.updates;
        for (table, parts) in commit.bulk {
            for part in parts {
                ledger.bulk += 1;
                let rows = self.0.parts.lock().remove(&part).expect("a part is used once");
                all.push((table, rows));
            }
        }
        let twins = *self.0.twins.lock();
        for (table, rows) in &all {
            ledger.rows.entry(*table).or_default().append(rows);
            apply(ledger.tables.entry(*table).or_default(), rows, 1);
            match twins {
                Some((first, _)) if *table == first => apply(&mut ledger.between_twins, rows, 1),
                Some((_, second)) if *table == second => {
                    apply(&mut ledger.between_twins, rows, -1);
                }
                _ => {}
            }
        }
        ledger.done.extend(commit.snapshot_done);
        ledger.errors.extend(commit.table_errors);
        ledger.timeline = commit.timeline;
        for (table, number) in commit.resynced {
            ledger.last_rows = all.iter().map(|(_, rows)| rows.len()).sum();
            ledger.errors.remove(&table);
            ledger.resynced.insert(table, number);
        }
        if let Some((first, second)) = twins
            && ledger.done.contains(&first)
            && ledger.done.contains(&second)
        {
            assert!(ledger.between_twins.is_empty(), "half a transaction");
        }
        if let Some(durable) = &*self.0.durable.lock() {
            durable.send_replace(commit.position);
        }
        Ok(())
    }

    async fn content(&self, table: ObjectId) -> Result<Rows, SqlError> {
        Ok(rows(self.0.ledger.lock().rows.get(&table).cloned()))
    }

    fn read_parts(&self, parts: Vec<String>) -> Rows {
        let stored = self.0.parts.lock();
        rows(parts.iter().map(|part| stored[part].clone()))
    }

    fn discard_parts(&self, parts: Vec<String>) {
        let mut stored = self.0.parts.lock();
        for part in parts {
            stored.remove(&part).expect("a part is discarded once");
        }
    }

    async fn enum_labels(
        &self,
        _: ObjectId,
        _: usize,
        _: &[String],
    ) -> Result<ColumnType, SqlError> {
        Err(SqlError::unsupported("enums"))
    }

    fn status(&self, id: ObjectId, status: SourceStatus) {
        self.0.statuses.lock().push((id, status));
    }

    fn source_statistics(&self, _source: ObjectId, _statistics: SourceStatistics) {}

    fn table_statistics(&self, _table: ObjectId, _statistics: TableStatistics) {}
}

impl MemorySink {
    pub fn content(&self, table: ObjectId) -> Content {
        self.ledger.lock().tables.get(&table).cloned().unwrap_or_default()
    }

    /// Another that stands where this one stands.
    pub fn twin(&self) -> MemorySink {
        let twin = MemorySink::default();
        *twin.ledger.lock() = self.ledger.lock().clone();
        twin
    }

    /// Waits until the source follows.
    pub async fn wait_running(&self) {
        let running = (SOURCE, SourceStatus::Running);
        for _ in 0..600 {
            if self.statuses.lock().iter().rev().find(|(id, _)| *id == SOURCE) == Some(&running) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not running: {:?}", self.statuses.lock());
    }

    /// Waits until something holds.
    pub async fn wait(&self, what: &str, holds: impl Fn(&Ledger) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(&self.ledger.lock()) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.statuses.lock().last());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub fn connection(server: &PrivatePostgres) -> PostgresConnection {
    PostgresConnection::new("127.0.0.1", server.port, "postgres", "postgres")
}

/// How a table of the publication `p` is followed.
pub async fn table(
    server: &PrivatePostgres,
    id: ObjectId,
    name: &str,
    snapshot: TableSnapshot,
) -> TableConfig {
    let description = describe(&connection(server), "p").await.unwrap();
    let upstream = description.tables.into_iter().find(|table| table.name == name).unwrap();
    upstream.check_supported().unwrap();
    let columns = upstream.columns.iter().map(|column| IngestColumn {
        attnum: column.attnum,
        typ: column.column_type().unwrap(),
        as_text: false,
    });
    TableConfig { id, columns: columns.collect(), upstream, snapshot, resyncs: 0, from: None }
}

/// Follows with another slot, and reads the table once more.
pub async fn resync(
    server: &PrivatePostgres,
    sink: &Arc<MemorySink>,
    slot: &str,
    id: ObjectId,
    name: &str,
    number: u32,
) -> SourceHandle {
    let mut again = table(server, id, name, TableSnapshot::Again { live: false }).await;
    again.resyncs = number;
    sink.ledger.lock().position = None;
    start_from(server, sink, slot, vec![again]).await
}

/// Starts following these tables, from where the sink stands.
pub async fn follow(
    server: &PrivatePostgres,
    sink: &Arc<MemorySink>,
    slot: &str,
    tables: &[(ObjectId, &str)],
) -> SourceHandle {
    let done = sink.ledger.lock().done.clone();
    let mut configs = Vec::new();
    for (id, name) in tables {
        let snapshot = if done.contains(id) { TableSnapshot::Done } else { TableSnapshot::Wanted };
        configs.push(table(server, *id, name, snapshot).await);
    }
    start_from(server, sink, slot, configs).await
}

async fn start_from(
    server: &PrivatePostgres,
    sink: &Arc<MemorySink>,
    slot: &str,
    tables: Vec<TableConfig>,
) -> SourceHandle {
    let position = sink.ledger.lock().position;
    let (sender, receiver) = watch::channel(position.unwrap_or_default());
    *sink.durable.lock() = Some(sender);
    let described = describe(&connection(server), "p").await.unwrap();
    let config = SourceConfig {
        source: SOURCE,
        connection: connection(server),
        publication: "p".to_owned(),
        slot: slot.to_owned(),
        system_identifier: Some(described.system_identifier),
        position,
        timeline: position.map(|_| sink.ledger.lock().timeline),
        tables,
    };
    start(config, Arc::new(Handed(Arc::clone(sink))), receiver)
}

pub fn slot() -> String {
    new_slot_name(SOURCE)
}
