//! What befalls a slot, a server and a timeline, and what a source says of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use support::{Content, MemorySink, PrivatePostgres, SOURCE, connection, follow, slot, table};
use tidemill_ingest::SourceStatus;
use tidemill_ingest::postgres::{TableSnapshot, check_slots, drop_slot};
use tidemill_repr::{ObjectId, SqlError, SqlState};

const A: ObjectId = ObjectId::User(2);

fn server_with(settings: &[&str]) -> PrivatePostgres {
    let server = PrivatePostgres::start_with(settings).unwrap();
    server
        .psql(
            "CREATE TABLE a (id int PRIMARY KEY, v text);
             INSERT INTO a SELECT i, 'start' FROM generate_series(1, 1000) i;
             CREATE PUBLICATION p FOR ALL TABLES;",
        )
        .unwrap();
    server
}

fn upstream(server: &PrivatePostgres) -> Content {
    let rows = server.psql("SELECT id, v FROM a").unwrap();
    let line = |line: &str| {
        let (id, v) = line.split_once('|').unwrap();
        (format!("Int({id})|Text({v:?})"), 1)
    };
    rows.lines().map(line).collect()
}

async fn wait_equal(server: &PrivatePostgres, sink: &MemorySink) {
    let wanted = upstream(server);
    sink.wait("a", |ledger| ledger.tables.get(&A) == Some(&wanted)).await;
}

/// The error with which a source stalled or failed last.
async fn wait_error(
    sink: &MemorySink,
    is_it: impl Fn(&SourceStatus) -> Option<&SqlError>,
) -> SqlError {
    for _ in 0..600 {
        let statuses = sink.statuses.lock().clone();
        let found = statuses.iter().rev().filter(|(id, _)| *id == SOURCE);
        if let Some(error) = found.filter_map(|(_, status)| is_it(status)).next() {
            return error.clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no error: {:?}", sink.statuses.lock());
}

fn failed(status: &SourceStatus) -> Option<&SqlError> {
    match status {
        SourceStatus::Failed { error } => Some(error),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_are_counted() {
    let server = server_with(&["max_replication_slots=2"]);
    check_slots(&connection(&server), 2).await.unwrap();
    server.psql("SELECT pg_create_physical_replication_slot('other')").unwrap();
    check_slots(&connection(&server), 1).await.unwrap();
    let error = check_slots(&connection(&server), 2).await.unwrap_err();
    assert_eq!(error.code, SqlState::CONFIGURATION_LIMIT_EXCEEDED);
    assert_eq!(error.message, "the upstream needs 2 free replication slots, and has 1");
    assert!(error.hint.is_some_and(|hint| hint.contains("max_replication_slots")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_in_use_is_waited_for() {
    let server = server_with(&[]);
    let slot = slot();
    let first = Arc::new(MemorySink::default());
    let holder = follow(&server, &first, &slot, &[(A, "a")]).await;
    wait_equal(&server, &first).await;
    first.wait_running().await;
    // Standbys keep the slot where they can.
    let failover = format!(
        "SELECT current_setting('server_version_num')::int < 170000 \
         OR (to_jsonb(s) ->> 'failover')::bool FROM pg_replication_slots s WHERE slot_name = '{slot}'"
    );
    assert_eq!(server.psql(&failover).unwrap(), "t");
    // Another that stands where the first stands.
    let second = Arc::new(first.twin());
    let source = follow(&server, &second, &slot, &[(A, "a")]).await;
    let error = wait_error(&second, |status| match status {
        SourceStatus::Stalled { error, .. } => Some(error),
        _ => None,
    })
    .await;
    assert_eq!(error.code, SqlState::OBJECT_IN_USE);
    assert!(error.message.contains("is active for PID "), "{error}");
    holder.stop().await;
    server.psql("UPDATE a SET v = 'later' WHERE id < 10").unwrap();
    wait_equal(&server, &second).await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_was_moved_is_an_error() {
    let server = server_with(&[]);
    let slot = slot();
    let sink = Arc::new(MemorySink::default());
    let source = follow(&server, &sink, &slot, &[(A, "a")]).await;
    wait_equal(&server, &sink).await;
    source.stop().await;
    server.psql("UPDATE a SET v = 'missed' WHERE id < 10").unwrap();
    let advance = format!("SELECT pg_replication_slot_advance('{slot}', pg_current_wal_lsn())");
    while server.psql(&advance).is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let source = follow(&server, &sink, &slot, &[(A, "a")]).await;
    let error = wait_error(&sink, failed).await;
    assert!(error.message.contains("was moved: LSN "), "{error}");
    assert!(error.message.contains("are available"), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("ALTER SOURCE .. RESYNC")));
    assert!(sink.ledger.lock().errors.contains_key(&A));
    source.stop().await;
    // Read again with a new slot, only what was missed changes.
    let slot = support::slot();
    let source = support::resync(&server, &sink, &slot, A, "a", 1).await;
    wait_equal(&server, &sink).await;
    sink.wait("resync", |ledger| ledger.resynced.get(&A) == Some(&1)).await;
    assert!(sink.ledger.lock().errors.is_empty());
    assert_eq!(sink.ledger.lock().last_rows, 18, "nine rows were replaced");
    server.psql("DELETE FROM a WHERE id = 1").unwrap();
    wait_equal(&server, &sink).await;
    source.stop().await;
    drop_slot(&connection(&server), &slot).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_whose_log_is_gone_is_an_error() {
    let server =
        server_with(&["max_slot_wal_keep_size=1MB", "min_wal_size=32MB", "max_wal_size=32MB"]);
    let slot = slot();
    let sink = Arc::new(MemorySink::default());
    let source = follow(&server, &sink, &slot, &[(A, "a")]).await;
    wait_equal(&server, &sink).await;
    source.stop().await;
    for _ in 0..8 {
        server.psql("INSERT INTO a SELECT (random() * 1e9)::int, 'more' FROM generate_series(1, 10) ON CONFLICT DO NOTHING; SELECT pg_switch_wal(); CHECKPOINT").unwrap();
        server.psql("SELECT pg_switch_wal(); CHECKPOINT").unwrap();
    }
    let lost = format!("SELECT wal_status FROM pg_replication_slots WHERE slot_name = '{slot}'");
    assert_eq!(server.psql(&lost).unwrap(), "lost");
    let source = follow(&server, &sink, &slot, &[(A, "a")]).await;
    let error = wait_error(&sink, failed).await;
    assert!(
        error.detail.as_ref().is_some_and(|d| d.contains("The source stands at ")),
        "{error:?}"
    );
    assert!(error.hint.is_some_and(|hint| hint.contains("ALTER SOURCE .. RESYNC")));
    source.stop().await;
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Makes the server recover to the end of its log, and go on on a new timeline.
fn begin_timeline(server: &mut PrivatePostgres) {
    use std::io::Write;
    let data = server.data_directory();
    copy(&data.join("PG_VERSION"), &data.join("recovery.signal"));
    let conf = data.join("postgresql.auto.conf");
    let mut conf = std::fs::OpenOptions::new().append(true).open(conf).unwrap();
    writeln!(conf, "restore_command = 'false'").unwrap();
    server.resume().unwrap();
    for _ in 0..200 {
        if server.psql("SELECT pg_is_in_recovery()").unwrap() == "f" {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeline_that_goes_on_is_followed_and_another_is_not() {
    let mut server = server_with(&[]);
    let slot = slot();
    let sink = Arc::new(MemorySink::default());
    let source = follow(&server, &sink, &slot, &[(A, "a")]).await;
    wait_equal(&server, &sink).await;
    assert_eq!(sink.ledger.lock().timeline, 1);
    server.stop();
    begin_timeline(&mut server);
    server.psql("UPDATE a SET v = 'two' WHERE id < 10").unwrap();
    wait_equal(&server, &sink).await;
    let timeline = server.psql("SELECT timeline_id FROM pg_control_checkpoint()").unwrap();
    assert_eq!(sink.ledger.lock().timeline, 2, "{timeline} {}", server.log());
    // A backup is taken; what comes after it is followed, and then lost.
    source.stop().await;
    server.stop();
    let backup = server.data_directory().with_extension("backup");
    copy(&server.data_directory(), &backup);
    server.resume().unwrap();
    server.psql("UPDATE a SET v = 'lost' WHERE id < 20").unwrap();
    let source = follow(&server, &sink, &slot, &[(A, "a")]).await;
    wait_equal(&server, &sink).await;
    source.stop().await;
    server.stop();
    copy(&backup, &server.data_directory());
    begin_timeline(&mut server);
    let source = follow(&server, &sink, &slot, &[(A, "a")]).await;
    let error = wait_error(&sink, failed).await;
    assert!(error.message.contains("is on timeline 3"), "{error}");
    assert!(error.detail.is_some_and(|detail| detail.contains("left timeline 2 at ")));
    assert!(error.hint.is_some_and(|hint| hint.contains("RESYNC")));
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_transactions_are_streamed_and_written_to_parts() {
    let server = server_with(&["logical_decoding_work_mem=64kB"]);
    let slot = slot();
    let sink = Arc::new(MemorySink::default());
    let source = follow(&server, &sink, &slot, &[(A, "a")]).await;
    wait_equal(&server, &sink).await;
    let large =
        "BEGIN; INSERT INTO a SELECT i, repeat('x', 500) FROM generate_series(2000, 150000) i;
                 SAVEPOINT s; DELETE FROM a; ROLLBACK TO s;
                 UPDATE a SET v = 'y' WHERE id % 100 = 0; DELETE FROM a WHERE id % 2 = 0; COMMIT";
    server.psql(large).unwrap();
    wait_equal(&server, &sink).await;
    assert!(sink.ledger.lock().bulk > 1, "it went through parts");
    server.psql("TRUNCATE a; INSERT INTO a VALUES (1, 'x')").unwrap();
    wait_equal(&server, &sink).await;
    source.stop().await;
    let streamed =
        format!("SELECT stream_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = '{slot}'");
    for _ in 0..100 {
        if server.psql(&streamed).unwrap() == "t" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing was streamed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_during_a_snapshot_is_kept_on_disk() {
    let server = server_with(&[]);
    server.psql("CREATE TABLE b (id int PRIMARY KEY, v text)").unwrap();
    let slot = slot();
    let sink = Arc::new(MemorySink::default());
    let source = follow(&server, &sink, &slot, &[(ObjectId::User(3), "b")]).await;
    sink.wait("b", |ledger| ledger.done.contains(&ObjectId::User(3))).await;
    // The snapshot waits for the lock, after its position was taken.
    let text = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", server.port);
    let (client, session) = tokio_postgres::connect(&text, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(session);
    source.add_table(table(&server, A, "a", TableSnapshot::Wanted).await);
    client.batch_execute("BEGIN; LOCK TABLE a").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    client
        .batch_execute(
            "UPDATE a SET v = repeat('long', 300); UPDATE a SET id = id + 10000 WHERE id > 500;
             INSERT INTO a SELECT i, repeat('x', 500) FROM generate_series(20000, 50000) i;
             COMMIT; BEGIN; TRUNCATE a; ROLLBACK; DELETE FROM a WHERE id % 3 = 0;",
        )
        .await
        .unwrap();
    wait_equal(&server, &sink).await;
    server.psql("UPDATE a SET v = 'end'").unwrap();
    wait_equal(&server, &sink).await;
    source.stop().await;
}
