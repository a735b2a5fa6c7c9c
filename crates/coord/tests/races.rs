//! Races and restarts: what must hold however commits, reads and ends fall together.
#![allow(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use std::time::Duration;

use tidemill_repr::SqlState;

use common::{open, run, session};

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_lost_is_not_told_to_have_won() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut one = session(&coordinator);
    let mut two = session(&coordinator);
    run(&mut one, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.unwrap();
    run(&mut one, "BEGIN; UPDATE t SET a = a + 1").await.unwrap();
    run(&mut two, "UPDATE t SET a = 10").await.unwrap();
    let lost = run(&mut one, "COMMIT").await.unwrap_err();
    assert_eq!(lost.code, SqlState::SERIALIZATION_FAILURE);
    assert_eq!(run(&mut one, "SELECT a FROM t").await.unwrap(), ["[Int(10)]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transaction_read_must_still_be_so_when_it_writes() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut one = session(&coordinator);
    let mut two = session(&coordinator);
    run(&mut one, "CREATE TABLE a (n int); CREATE TABLE b (n int)").await.unwrap();
    run(&mut one, "BEGIN; SELECT count(*) FROM a; INSERT INTO b VALUES (1)").await.unwrap();
    run(&mut two, "BEGIN; SELECT count(*) FROM b; INSERT INTO a VALUES (1)").await.unwrap();
    run(&mut one, "COMMIT").await.unwrap();
    let lost = run(&mut two, "COMMIT").await.unwrap_err();
    assert_eq!(lost.code, SqlState::SERIALIZATION_FAILURE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_over_quiet_tables_stays_readable() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    run(&mut s, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.unwrap();
    run(&mut s, "CREATE INDEX i ON t (a)").await.unwrap();
    // Longer than history is kept.
    tokio::time::sleep(Duration::from_millis(4500)).await;
    let rows = tokio::time::timeout(Duration::from_secs(5), run(&mut s, "SELECT a FROM t")).await;
    assert_eq!(rows.unwrap().unwrap(), ["[Int(1)]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_tells_of_progress_after_its_first_content() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    run(&mut s, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.unwrap();
    for _ in 0..10 {
        run(&mut s, "BEGIN; DECLARE c CURSOR FOR SUBSCRIBE t WITH (PROGRESS)").await.unwrap();
        let mut rows = Vec::new();
        while rows.len() < 3 {
            rows.extend(run(&mut s, "FETCH 1 FROM c").await.unwrap());
        }
        // Where it begins, what there is, how far that is complete.
        let progress: Vec<bool> = rows.iter().map(|row| row.contains("Bool(true)")).collect();
        assert_eq!(progress, [true, false, true], "{rows:?}");
        run(&mut s, "ROLLBACK").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_to_a_constant_ends() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    let rows = run(&mut s, "BEGIN; DECLARE c CURSOR FOR SUBSCRIBE (SELECT 1)").await;
    rows.unwrap();
    assert_eq!(run(&mut s, "FETCH 10 FROM c").await.unwrap().len(), 1);
    assert_eq!(run(&mut s, "FETCH 10 FROM c").await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_do_not_see_a_table_go() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = std::sync::Arc::new(open(directory.path()).await);
    let mut s = session(&coordinator);
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut reader = session(&coordinator);
        readers.push(tokio::spawn(async move {
            for _ in 0..60 {
                match run(&mut reader, "SELECT count(*) FROM t WHERE a >= 0").await {
                    Ok(rows) => assert_eq!(rows, ["[Int(1)]"]),
                    Err(error) => assert_eq!(error.code, SqlState::UNDEFINED_TABLE, "{error:?}"),
                }
            }
        }));
    }
    for _ in 0..20 {
        run(&mut s, "BEGIN; CREATE TABLE t (a int); INSERT INTO t VALUES (1); COMMIT")
            .await
            .unwrap();
        run(&mut s, "CREATE INDEX i ON t (a)").await.unwrap();
        run(&mut s, "DROP TABLE t CASCADE").await.unwrap();
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_prepared_on_what_was_rolled_back_is_planned_again() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    run(&mut s, "BEGIN; CREATE TABLE t (a int); PREPARE p AS INSERT INTO t VALUES (1); ROLLBACK")
        .await
        .unwrap();
    let error = run(&mut s, "EXECUTE p").await.unwrap_err();
    assert_eq!(error.code, SqlState::UNDEFINED_TABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_does_not_read_indexes_that_are_younger_than_its_tick() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut one = session(&coordinator);
    let mut two = session(&coordinator);
    run(&mut one, "CREATE TABLE a (n int); CREATE TABLE b (n int)").await.unwrap();
    run(&mut one, "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)").await.unwrap();
    run(&mut one, "CREATE VIEW v AS SELECT n, count(*) AS c FROM a GROUP BY n").await.unwrap();
    run(&mut one, "BEGIN; SELECT count(*) FROM a").await.unwrap();
    run(&mut two, "CREATE INDEX ia ON a (n); CREATE INDEX ib ON b (n)").await.unwrap();
    run(&mut two, "CREATE INDEX iv ON v (n); INSERT INTO a VALUES (1)").await.unwrap();
    let queries = [
        "SELECT a.n FROM a, b WHERE a.n = b.n",
        "SELECT n FROM a WHERE n = 1",
        "SELECT c FROM v WHERE n = 1",
        "SELECT v.c FROM v, b WHERE v.n = b.n",
    ];
    for query in queries {
        assert_eq!(run(&mut one, query).await.unwrap(), ["[Int(1)]"], "{query}");
    }
    run(&mut one, "COMMIT").await.unwrap();
    assert_eq!(run(&mut one, queries[2]).await.unwrap(), ["[Int(2)]"]);
}

/// A plan may leave out a table that cannot matter; its changes do not move the view.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_whose_table_was_folded_away_is_read_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    run(&mut s, "CREATE TABLE a (x int); CREATE TABLE b (y int); INSERT INTO a VALUES (1)")
        .await
        .unwrap();
    let view = "CREATE MATERIALIZED VIEW m AS SELECT a.x, o.y FROM a \
                LEFT JOIN (SELECT * FROM b WHERE false) o ON true";
    run(&mut s, view).await.unwrap();
    run(&mut s, "INSERT INTO b VALUES (1)").await.unwrap();
    let rows = tokio::time::timeout(Duration::from_secs(10), run(&mut s, "SELECT * FROM m"));
    assert_eq!(rows.await.unwrap().unwrap(), ["[Int(1), Null]"]);
}
