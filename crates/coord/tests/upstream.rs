//! Following a real PostgreSQL: snapshot, stream, restart, errors.
#![allow(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::time::{Duration, Instant};

use tidemill_coord::Session;
use tidemill_repr::SqlState;
use tidemill_testkit::postgres::PrivatePostgres;

use common::{open, run, session};

/// Runs a query until it gives what is expected.
async fn eventually(session: &mut Session, query: &str, expected: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let got = run(session, query).await;
        if got.as_ref().is_ok_and(|rows| rows == expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{query}: {got:?} instead of {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn follow(session: &mut Session, port: u16) {
    run(session, "CREATE SECRET password AS 'secret'").await.unwrap();
    let connection = format!(
        "CREATE CONNECTION upstream TO POSTGRES (HOST '127.0.0.1', PORT {port}, \
         USER 'postgres', PASSWORD SECRET password, DATABASE 'postgres')"
    );
    run(session, &connection).await.unwrap();
    run(session, "CREATE SOURCE s FROM POSTGRES CONNECTION upstream (PUBLICATION 'p')")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_follows_the_upstream_through_a_restart() {
    let upstream = PrivatePostgres::start().unwrap();
    upstream.psql("CREATE TABLE t (id int PRIMARY KEY, name text, price numeric(10,2))").unwrap();
    upstream.psql("ALTER TABLE t REPLICA IDENTITY FULL").unwrap();
    upstream.psql("INSERT INTO t VALUES (1, 'one', 1.50), (2, NULL, 2.25)").unwrap();
    upstream.psql("CREATE PUBLICATION p FOR TABLE t").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    follow(&mut s, upstream.port).await;
    run(&mut s, "CREATE TABLE t FROM SOURCE s (REFERENCE public.t)").await.unwrap();
    run(&mut s, "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n, max(id) AS id FROM t")
        .await
        .unwrap();
    eventually(&mut s, "SELECT * FROM m", &["[Int(2), Int(2)]"]).await;
    upstream.psql("INSERT INTO t VALUES (3, 'three', 3)").unwrap();
    upstream.psql("UPDATE t SET id = 20 WHERE id = 2").unwrap();
    upstream.psql("DELETE FROM t WHERE id = 1").unwrap();
    eventually(&mut s, "SELECT * FROM m", &["[Int(2), Int(20)]"]).await;
    drop(s);
    coordinator.shut_down().await;
    upstream.psql("INSERT INTO t VALUES (30, 'thirty', 0)").unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    eventually(&mut s, "SELECT * FROM m", &["[Int(3), Int(30)]"]).await;
    run(&mut s, "DROP SOURCE s CASCADE").await.unwrap();
    let warnings: Vec<_> =
        s.take_notices().into_iter().filter(|notice| notice.severity == "WARNING").collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(upstream.psql("SELECT count(*) FROM pg_replication_slots").unwrap().trim(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_upstream_is_said_and_changes_nothing() {
    let upstream = PrivatePostgres::start().unwrap();
    upstream.psql("CREATE TABLE t (id int)").unwrap();
    upstream.psql("ALTER TABLE t REPLICA IDENTITY NOTHING").unwrap();
    upstream.psql("CREATE PUBLICATION p FOR TABLE t").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    let refused = run(
        &mut s,
        "CREATE CONNECTION c TO POSTGRES (HOST '127.0.0.1', PORT 1, USER 'u', DATABASE 'd')",
    )
    .await
    .unwrap_err();
    assert!(refused.message.contains("127.0.0.1"), "{refused:?}");
    follow(&mut s, upstream.port).await;
    let absent =
        run(&mut s, "CREATE SOURCE x FROM POSTGRES CONNECTION upstream (PUBLICATION 'absent')")
            .await
            .unwrap_err();
    assert!(absent.message.contains("absent"), "{absent:?}");
    let identity =
        run(&mut s, "CREATE TABLE t FROM SOURCE s (REFERENCE public.t)").await.unwrap_err();
    assert_eq!(identity.code, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    let missing =
        run(&mut s, "CREATE TABLE t FROM SOURCE s (REFERENCE public.u)").await.unwrap_err();
    assert!(missing.message.contains("u"), "{missing:?}");
    assert_eq!(run(&mut s, "SELECT name FROM mz_sources").await.unwrap(), ["[Text(\"s\")]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_lost_a_column_answers_with_its_error_and_others_go_on() {
    let upstream = PrivatePostgres::start().unwrap();
    for table in ["a", "b"] {
        upstream.psql(&format!("CREATE TABLE {table} (id int)")).unwrap();
        upstream.psql(&format!("ALTER TABLE {table} REPLICA IDENTITY FULL")).unwrap();
        upstream.psql(&format!("INSERT INTO {table} VALUES (1)")).unwrap();
    }
    upstream.psql("ALTER TABLE a ADD x int").unwrap();
    upstream.psql("CREATE PUBLICATION p FOR TABLE a, b").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    follow(&mut s, upstream.port).await;
    for table in ["a", "b"] {
        run(&mut s, &format!("CREATE TABLE {table} FROM SOURCE s (REFERENCE public.{table})"))
            .await
            .unwrap();
    }
    run(&mut s, "CREATE MATERIALIZED VIEW m AS SELECT a.id FROM a JOIN b ON a.id = b.id")
        .await
        .unwrap();
    eventually(&mut s, "SELECT * FROM m", &["[Int(1)]"]).await;
    upstream.psql("ALTER TABLE a DROP x").unwrap();
    upstream.psql("INSERT INTO a VALUES (2)").unwrap();
    upstream.psql("INSERT INTO b VALUES (2)").unwrap();
    eventually(&mut s, "SELECT count(*) FROM b", &["[Int(2)]"]).await;
    for query in ["SELECT * FROM a", "SELECT * FROM m"] {
        let error = run(&mut s, query).await.unwrap_err();
        assert_eq!(error.code, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "{error:?}");
        assert!(error.message.contains("column \"x\" was dropped"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_table_is_not_read_again_after_a_restart() {
    let upstream = PrivatePostgres::start().unwrap();
    upstream.psql("CREATE TABLE t (id int)").unwrap();
    upstream.psql("ALTER TABLE t REPLICA IDENTITY FULL").unwrap();
    upstream.psql("INSERT INTO t VALUES (1), (2)").unwrap();
    upstream.psql("CREATE PUBLICATION p FOR TABLE t").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    follow(&mut s, upstream.port).await;
    run(&mut s, "CREATE TABLE t FROM SOURCE s (REFERENCE public.t)").await.unwrap();
    // The first read waits for the first content, and sees it.
    assert_eq!(run(&mut s, "SELECT count(*) FROM t").await.unwrap(), ["[Int(2)]"]);
    run(&mut s, "ALTER TABLE t RENAME TO u").await.unwrap();
    drop(s);
    coordinator.shut_down().await;
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    upstream.psql("INSERT INTO t VALUES (3)").unwrap();
    eventually(&mut s, "SELECT count(*) FROM u", &["[Int(3)]"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(run(&mut s, "SELECT count(*) FROM u").await.unwrap(), ["[Int(3)]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_filters_and_domains_are_the_same_in_snapshot_and_stream() {
    let upstream = PrivatePostgres::start().unwrap();
    upstream.psql("CREATE DOMAIN amount AS int CHECK (VALUE >= 0)").unwrap();
    upstream.psql("CREATE TABLE t (id int NOT NULL, n amount)").unwrap();
    upstream.psql("ALTER TABLE t REPLICA IDENTITY FULL").unwrap();
    upstream.psql("INSERT INTO t VALUES (1, 10), (2, 20)").unwrap();
    upstream.psql("CREATE PUBLICATION p FOR TABLE t WHERE (id > 1)").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    follow(&mut s, upstream.port).await;
    run(&mut s, "CREATE TABLE t FROM SOURCE s (REFERENCE public.t)").await.unwrap();
    eventually(&mut s, "SELECT * FROM t", &["[Int(2), Int(20)]"]).await;
    upstream.psql("INSERT INTO t VALUES (0, 0), (3, 30)").unwrap();
    upstream.psql("UPDATE t SET id = 4 WHERE id = 1").unwrap();
    upstream.psql("UPDATE t SET id = 1 WHERE id = 2").unwrap();
    let expected = ["[Int(3), Int(30)]", "[Int(4), Int(10)]"];
    eventually(&mut s, "SELECT * FROM t ORDER BY id", &expected).await;
}
