//! A source against a real PostgreSQL: nothing is lost, doubled or torn, whatever happens.
#![allow(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::{Content, MemorySink, PrivatePostgres, SOURCE, connection, follow, slot, table};
use tidemill_ingest::SourceStatus;
use tidemill_ingest::postgres::{PostgresConnection, TableSnapshot, describe, drop_slot, validate};
use tidemill_repr::{ObjectId, SqlState};

const A: ObjectId = ObjectId::User(2);
const B: ObjectId = ObjectId::User(3);

fn server() -> PrivatePostgres {
    let server = PrivatePostgres::start().unwrap();
    server
        .psql(
            "CREATE TABLE a (id text NOT NULL PRIMARY KEY, v text);
             CREATE TABLE b (id text NOT NULL PRIMARY KEY, v text);
             ALTER TABLE a REPLICA IDENTITY FULL; ALTER TABLE b REPLICA IDENTITY DEFAULT;
             INSERT INTO a SELECT i::text, 'start' FROM generate_series(1, 5000) i;
             INSERT INTO b SELECT * FROM a;
             CREATE PUBLICATION p FOR ALL TABLES;",
        )
        .unwrap();
    server
}

/// What the upstream holds, in the form that the sink shows.
fn upstream(server: &PrivatePostgres, name: &str) -> Content {
    let rows = server.psql(&format!("SELECT id, coalesce(v, '-') FROM {name}")).unwrap();
    let datum =
        |text: &str| if text == "-" { "Null".to_owned() } else { format!("Text({text:?})") };
    let line = |line: &str| {
        let (id, v) = line.split_once('|').unwrap();
        (format!("{}|{}", datum(id), datum(v)), 1)
    };
    rows.lines().map(line).collect()
}

/// Keeps changing both tables alike, each time in one transaction.
struct Writer {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<u64>,
}

impl Writer {
    fn start(port: u16, seed: u64) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let text = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
            let (client, session) =
                tokio_postgres::connect(&text, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(session);
            let mut count = 0;
            while !stopped.load(Ordering::Relaxed) {
                count += 1;
                let new = format!("{seed}-{count}");
                let old = (count * 7 + seed) % 5_000;
                let mut sql = "BEGIN;".to_owned();
                for name in ["a", "b"] {
                    sql.push_str(&format!(
                        "INSERT INTO {name} VALUES ('{new}', repeat('x', 10));
                         UPDATE {name} SET v = 'u{new}' WHERE id = '{old}';
                         DELETE FROM {name} WHERE id = '{}';",
                        old + 3
                    ));
                }
                sql.push_str(if count % 10 == 9 { "ROLLBACK" } else { "COMMIT" });
                client.batch_execute(&sql).await.unwrap();
            }
            count
        });
        Writer { stop, task }
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

/// Waits until a table here is what it is upstream.
async fn wait_equal(server: &PrivatePostgres, sink: &MemorySink, id: ObjectId, name: &str) {
    let wanted = upstream(server, name);
    sink.wait(name, |ledger| ledger.tables.get(&id) == Some(&wanted)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_joins_the_stream_without_gap_or_overlap() {
    let server = server();
    let sink = Arc::new(MemorySink::default());
    *sink.twins.lock() = Some((A, B));
    let writer = Writer::start(server.port, 1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let source = follow(&server, &sink, &slot(), &[(A, "a"), (B, "b")]).await;
    sink.wait("snapshots", |ledger| ledger.done.len() == 2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(writer.stop().await > 20);
    wait_equal(&server, &sink, A, "a").await;
    wait_equal(&server, &sink, B, "b").await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_the_ledger_stands() {
    let server = server();
    let sink = Arc::new(MemorySink::default());
    *sink.twins.lock() = Some((A, B));
    let slot = slot();
    let writer = Writer::start(server.port, 1);
    for _ in 0..6 {
        let source = follow(&server, &sink, &slot, &[(A, "a"), (B, "b")]).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        source.stop().await;
    }
    writer.stop().await;
    let source = follow(&server, &sink, &slot, &[(A, "a"), (B, "b")]).await;
    wait_equal(&server, &sink, A, "a").await;
    wait_equal(&server, &sink, B, "b").await;
    source.stop().await;
    drop_slot(&connection(&server), &slot).await.unwrap();
    drop_slot(&connection(&server), &slot).await.unwrap();
    assert_eq!(server.psql("SELECT count(*) FROM pg_replication_slots").unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_resumes() {
    let mut server = server();
    let sink = Arc::new(MemorySink::default());
    *sink.twins.lock() = Some((A, B));
    let source = follow(&server, &sink, &slot(), &[(A, "a"), (B, "b")]).await;
    let writer = Writer::start(server.port, 1);
    sink.wait("snapshots", |ledger| ledger.done.len() == 2).await;
    for _ in 0..4 {
        let cut = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active";
        server.psql(cut).unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    writer.stop().await;
    wait_equal(&server, &sink, A, "a").await;
    let stalled = |status: &(ObjectId, SourceStatus)| {
        status.0 == SOURCE && matches!(status.1, SourceStatus::Stalled { .. })
    };
    assert!(sink.statuses.lock().iter().any(stalled));
    // A server that crashes and comes back is the same to us.
    server.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.resume().unwrap();
    server
        .psql("INSERT INTO a VALUES ('after', NULL); INSERT INTO b VALUES ('after', NULL)")
        .unwrap();
    *sink.twins.lock() = None;
    wait_equal(&server, &sink, A, "a").await;
    wait_equal(&server, &sink, B, "b").await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_added_to_a_running_source() {
    let server = server();
    let sink = Arc::new(MemorySink::default());
    *sink.twins.lock() = Some((A, B));
    let source = follow(&server, &sink, &slot(), &[(A, "a")]).await;
    let writer = Writer::start(server.port, 1);
    sink.wait("first table", |ledger| ledger.done.contains(&A)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    source.add_table(table(&server, B, "b", TableSnapshot::Wanted).await);
    sink.wait("second table", |ledger| ledger.done.contains(&B)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    writer.stop().await;
    wait_equal(&server, &sink, A, "a").await;
    wait_equal(&server, &sink, B, "b").await;
    // A table that is dropped is not followed any longer.
    source.drop_table(B);
    let before = sink.content(B);
    *sink.twins.lock() = None;
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.psql("BEGIN; DELETE FROM b; UPDATE a SET v = 'z' WHERE id = '5'; COMMIT").unwrap();
    wait_equal(&server, &sink, A, "a").await;
    assert_eq!(sink.content(B), before);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_upstream_does_not_keep_its_log() {
    let server = server();
    let sink = Arc::new(MemorySink::default());
    let slot = slot();
    let source = follow(&server, &sink, &slot, &[(A, "a")]).await;
    sink.wait("snapshot", |ledger| ledger.done.contains(&A)).await;
    // Something that is not published moves the log.
    server.psql("CREATE UNLOGGED TABLE x (i int); SELECT txid_current()").unwrap();
    server.psql("SELECT pg_switch_wal(); SELECT txid_current()").unwrap();
    let end = server.psql("SELECT pg_current_wal_lsn()").unwrap();
    let behind = format!(
        "SELECT count(*) FROM pg_replication_slots \
         WHERE slot_name = '{slot}' AND confirmed_flush_lsn < '{end}'"
    );
    for _ in 0..200 {
        if server.psql(&behind).unwrap() == "0" {
            source.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the slot does not advance");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_form_put_one_table_in_error() {
    let server = server();
    let sink = Arc::new(MemorySink::default());
    let source = follow(&server, &sink, &slot(), &[(A, "a"), (B, "b")]).await;
    sink.wait("snapshots", |ledger| ledger.done.len() == 2).await;
    server.psql("ALTER TABLE a ADD COLUMN more int DEFAULT 3").unwrap();
    server.psql("INSERT INTO a VALUES ('added', 'x', 4)").unwrap();
    sink.wait("added column", |l| l.tables[&A].contains_key("Text(\"added\")|Text(\"x\")")).await;
    server.psql("ALTER TABLE a RENAME COLUMN v TO w").unwrap();
    server.psql("INSERT INTO a VALUES ('renamed', 'x', 4)").unwrap();
    let renamed = "Text(\"renamed\")|Text(\"x\")";
    sink.wait("renamed column", |l| l.tables[&A].contains_key(renamed)).await;
    server.psql("ALTER TABLE a DROP COLUMN w").unwrap();
    server.psql("INSERT INTO a VALUES ('dropped', 4)").unwrap();
    sink.wait("dropped column", |ledger| ledger.errors.contains_key(&A)).await;
    let error = sink.ledger.lock().errors[&A].clone();
    assert!(error.message.contains("column \"v\" was dropped"), "{error}");
    assert!(error.hint.is_some());
    // The other goes on, and is emptied by TRUNCATE.
    server.psql("INSERT INTO b VALUES ('still', 'x')").unwrap();
    wait_equal(&server, &sink, B, "b").await;
    server.psql("TRUNCATE b; INSERT INTO b VALUES ('only', 'x')").unwrap();
    wait_equal(&server, &sink, B, "b").await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_slot_stops_the_source() {
    let server = server();
    let sink = Arc::new(MemorySink::default());
    let slot = slot();
    let source = follow(&server, &sink, &slot, &[(A, "a")]).await;
    sink.wait("snapshot", |ledger| ledger.done.contains(&A)).await;
    source.stop().await;
    drop_slot(&connection(&server), &slot).await.unwrap();
    let source = follow(&server, &sink, &slot, &[(A, "a")]).await;
    for _ in 0..200 {
        let last = sink.statuses.lock().iter().rev().find(|(id, _)| *id == SOURCE).cloned();
        if let Some((_, SourceStatus::Failed { error })) = last {
            assert!(error.message.contains("does not exist"), "{error}");
            assert!(error.hint.is_some());
            source.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no failure: {:?}", sink.statuses.lock());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn obstacles_have_names() {
    let server = server();
    server
        .psql(
            "CREATE ROLE reader LOGIN; CREATE TABLE d (id int PRIMARY KEY); CREATE TABLE nokey (id int);
             CREATE DOMAIN money2 AS numeric(10, 2); CREATE TYPE mood AS ENUM ('sad', 'ok');
             CREATE TABLE e (id int PRIMARY KEY, m money2, n mood);",
        )
        .unwrap();
    let good = connection(&server);
    validate(&good).await.unwrap();
    let error = async |connection: &PostgresConnection| validate(connection).await.unwrap_err();

    let refused = PostgresConnection { port: 1, ..good.clone() };
    assert!(error(&refused).await.message.contains("Connection refused"));
    let nowhere = PostgresConnection { host: "no.such.host.invalid".to_owned(), ..good.clone() };
    assert!(error(&nowhere).await.message.contains("no.such.host.invalid"));
    let no_database = PostgresConnection { database: "nope".to_owned(), ..good.clone() };
    let found = error(&no_database).await;
    assert_eq!(found.code, SqlState::INVALID_CATALOG_NAME);
    assert!(found.message.contains("\"nope\"") && found.hint.is_some());
    let no_privilege = PostgresConnection { user: "reader".to_owned(), ..good.clone() };
    let found = error(&no_privilege).await;
    assert!(found.hint.is_some_and(|hint| hint.contains("ALTER ROLE \"reader\" REPLICATION")));
    let secret = PostgresConnection { password: Some("geheim".to_owned()), ..good.clone() };
    assert!(!format!("{secret:?} {secret}").contains("geheim"));

    let found = describe(&good, "nope").await.unwrap_err();
    assert_eq!(found.code, SqlState::UNDEFINED_OBJECT);
    assert_eq!(found.message, "publication \"nope\" does not exist");
    let description = describe(&good, "p").await.unwrap();
    let d = description.tables.iter().find(|table| table.name == "d").unwrap();
    assert!(d.check_supported().is_ok());
    let d = describe(&good, "p").await.unwrap();
    let d = d.tables.iter().find(|table| table.name == "nokey").unwrap();
    let found = d.check_supported().unwrap_err();
    assert!(found.hint.is_some_and(|hint| hint.contains("REPLICA IDENTITY FULL")));
    let e = description.tables.iter().find(|table| table.name == "e").unwrap();
    assert_eq!(e.columns[1].column_type().unwrap().sql_name(), "numeric(10,2)");
    assert_eq!(e.columns[2].column_type(), None);
}
