//! Sessions on a coordinator, without a wire: statements in, rows out.
#![allow(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use tidemill_repr::SqlState;

use common::{open, run, session};

#[tokio::test(flavor = "multi_thread")]
async fn tables_views_and_indexes_follow_writes() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    assert_eq!(run(&mut s, "SELECT 1 + 1").await.unwrap(), ["[Int(2)]"]);
    run(&mut s, "CREATE TABLE t (a int NOT NULL, b bigint)").await.unwrap();
    run(&mut s, "INSERT INTO t VALUES (1, 10), (2, 20), (2, NULL)").await.unwrap();
    assert_eq!(run(&mut s, "SELECT count(*) FROM t").await.unwrap(), ["[Int(3)]"]);
    run(
        &mut s,
        "CREATE MATERIALIZED VIEW m AS SELECT a, count(*) AS n, max(b) AS b FROM t GROUP BY a",
    )
    .await
    .unwrap();
    let query = "SELECT * FROM m ORDER BY a";
    assert_eq!(
        run(&mut s, query).await.unwrap(),
        ["[Int(1), Int(1), Int(10)]", "[Int(2), Int(2), Int(20)]"]
    );
    run(&mut s, "UPDATE t SET b = 30 WHERE b IS NULL").await.unwrap();
    run(&mut s, "DELETE FROM t WHERE a = 1").await.unwrap();
    assert_eq!(run(&mut s, query).await.unwrap(), ["[Int(2), Int(2), Int(30)]"]);
    run(&mut s, "CREATE VIEW v AS SELECT t.a, t.b, m.n FROM t JOIN m ON t.a = m.a").await.unwrap();
    run(&mut s, "CREATE INDEX v_by_b ON v (b)").await.unwrap();
    assert_eq!(
        run(&mut s, "SELECT * FROM v WHERE b = 20").await.unwrap(),
        ["[Int(2), Int(20), Int(2)]"]
    );
    run(&mut s, "DROP TABLE t CASCADE").await.unwrap();
    assert_eq!(run(&mut s, query).await.unwrap_err().code, SqlState::UNDEFINED_TABLE);
    coordinator.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let coordinator = open(directory.path()).await;
        let mut s = session(&coordinator);
        if round == 0 {
            run(&mut s, "CREATE TABLE t (a int)").await.unwrap();
            run(&mut s, "CREATE VIEW v AS SELECT a * 2 AS b FROM t").await.unwrap();
            run(&mut s, "CREATE INDEX i ON v (b)").await.unwrap();
        }
        run(&mut s, &format!("INSERT INTO t VALUES ({round})")).await.unwrap();
        let expected: Vec<String> = (0..=round).map(|n| format!("[Int({})]", n * 2)).collect();
        assert_eq!(run(&mut s, "SELECT b FROM v ORDER BY b").await.unwrap(), expected);
        drop(s);
        coordinator.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_read_at_one_tick_and_write_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut one = session(&coordinator);
    let mut two = session(&coordinator);
    run(&mut one, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.unwrap();
    run(&mut one, "BEGIN").await.unwrap();
    assert_eq!(run(&mut one, "SELECT count(*) FROM t").await.unwrap(), ["[Int(1)]"]);
    run(&mut two, "INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(run(&mut two, "SELECT count(*) FROM t").await.unwrap(), ["[Int(2)]"]);
    assert_eq!(run(&mut one, "SELECT count(*) FROM t").await.unwrap(), ["[Int(1)]"]);
    run(&mut one, "COMMIT").await.unwrap();
    assert_eq!(run(&mut one, "SELECT count(*) FROM t").await.unwrap(), ["[Int(2)]"]);
    run(&mut one, "BEGIN; INSERT INTO t VALUES (3); INSERT INTO t VALUES (4)").await.unwrap();
    assert_eq!(run(&mut two, "SELECT count(*) FROM t").await.unwrap(), ["[Int(2)]"]);
    run(&mut one, "ROLLBACK").await.unwrap();
    run(&mut one, "BEGIN; INSERT INTO t VALUES (3); COMMIT").await.unwrap();
    assert_eq!(run(&mut two, "SELECT count(*) FROM t").await.unwrap(), ["[Int(3)]"]);
    let error = run(&mut one, "BEGIN; SELECT 1 / 0").await.unwrap_err();
    assert_eq!(error.code, SqlState::DIVISION_BY_ZERO);
    let error = run(&mut one, "SELECT 1").await.unwrap_err();
    assert_eq!(error.code, SqlState::IN_FAILED_SQL_TRANSACTION);
    run(&mut one, "ROLLBACK").await.unwrap();
    run(&mut one, "SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_increments_are_all_counted() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = std::sync::Arc::new(open(directory.path()).await);
    let mut s = session(&coordinator);
    run(&mut s, "CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)").await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let mut s = session(&coordinator);
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                run(&mut s, "UPDATE counter SET n = n + 1").await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(run(&mut s, "SELECT n FROM counter").await.unwrap(), ["[Int(40)]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_a_view_is_there_as_long_as_its_row() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    run(&mut s, "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (0)").await.unwrap();
    run(&mut s, "CREATE MATERIALIZED VIEW v AS SELECT 10 / a AS q FROM t").await.unwrap();
    let error = run(&mut s, "SELECT * FROM v").await.unwrap_err();
    assert_eq!(error.code, SqlState::DIVISION_BY_ZERO);
    run(&mut s, "DELETE FROM t WHERE a = 0").await.unwrap();
    assert_eq!(run(&mut s, "SELECT * FROM v").await.unwrap(), ["[Int(10)]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_gives_content_then_changes() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    let mut writer = session(&coordinator);
    run(&mut s, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.unwrap();
    run(&mut s, "BEGIN; DECLARE c CURSOR FOR SUBSCRIBE t").await.unwrap();
    let first = run(&mut s, "FETCH 10 FROM c").await.unwrap();
    assert_eq!(first.len(), 1);
    assert!(first[0].ends_with("Int(1), Int(1)]"), "{first:?}");
    run(&mut writer, "UPDATE t SET a = 2").await.unwrap();
    let mut changes = run(&mut s, "FETCH 10 FROM c").await.unwrap();
    while changes.len() < 2 {
        changes.extend(run(&mut s, "FETCH 10 FROM c").await.unwrap());
    }
    assert!(changes[0].ends_with("Int(-1), Int(1)]"), "{changes:?}");
    assert!(changes[1].ends_with("Int(1), Int(2)]"), "{changes:?}");
}

/// The statements of one simple query, as the server runs them.
async fn run_together(
    session: &mut tidemill_coord::Session,
    text: &str,
) -> Result<(), tidemill_repr::SqlError> {
    for statement in session.parse(text)? {
        session.begin_implicit_block();
        let prepared = session.prepare(Some(statement), &[]);
        let prepared = prepared.inspect_err(|_| session.fail())?;
        session.execute(&prepared, &[]).await?;
    }
    session.end_implicit_block().await
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_one_query_are_committed_together() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    run_together(&mut s, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.unwrap();
    let error = run_together(&mut s, "INSERT INTO t VALUES (2); SELECT 1 / 0").await.unwrap_err();
    assert_eq!(error.code, SqlState::DIVISION_BY_ZERO);
    let error = run_together(&mut s, "INSERT INTO t VALUES (2); SELECT nope").await.unwrap_err();
    assert_eq!(error.code, SqlState::UNDEFINED_COLUMN);
    assert_eq!(run(&mut s, "SELECT a FROM t").await.unwrap(), ["[Int(1)]"]);
    // What reads the block's own writes ends the block first.
    run_together(&mut s, "INSERT INTO t VALUES (3); UPDATE t SET a = a + 1").await.unwrap();
    assert_eq!(run(&mut s, "SELECT a FROM t ORDER BY a").await.unwrap(), ["[Int(2)]", "[Int(4)]"]);
    run_together(&mut s, "INSERT INTO t VALUES (5); BEGIN; INSERT INTO t VALUES (6); ROLLBACK")
        .await
        .unwrap();
    assert_eq!(run(&mut s, "SELECT count(*) FROM t").await.unwrap(), ["[Int(2)]"]);
}
