//! Clusters whose operators panic, and their neighbours.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::time::Duration;

use common::{open, run, session};
use tidemill_coord::Session;
use tidemill_repr::SqlError;

/// Runs a query until it succeeds; gives the answer and how often it failed.
async fn finally(session: &mut Session, text: &str) -> (Vec<String>, usize) {
    let mut last: Option<SqlError> = None;
    for failures in 0..200 {
        match run(session, text).await {
            Ok(rows) => return (rows, failures),
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_hurts_one_cluster_which_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut session = session(&coordinator);
    run(
        &mut session,
        "CREATE CLUSTER a (SIZE = '25cc'); CREATE CLUSTER b (SIZE = '200cc'); \
         CREATE TABLE t (x int); INSERT INTO t VALUES (1), (2)",
    )
    .await
    .unwrap();
    run(&mut session, "CREATE MATERIALIZED VIEW in_a IN CLUSTER a AS SELECT sum(x) AS s FROM t")
        .await
        .unwrap();
    run(&mut session, "CREATE MATERIALIZED VIEW in_b IN CLUSTER b AS SELECT count(*) AS n FROM t")
        .await
        .unwrap();
    let over = "CREATE MATERIALIZED VIEW over_a IN CLUSTER b AS SELECT s + 1 AS s FROM in_a";
    run(&mut session, over).await.unwrap();
    let sum = run(&mut session, "SELECT * FROM in_a").await.unwrap();
    let over = run(&mut session, "SELECT * FROM over_a").await.unwrap();

    for round in 0..2 {
        coordinator.fail_cluster("a");
        // The neighbour goes on at once.
        let count = run(&mut session, "SELECT * FROM in_b").await.unwrap();
        assert!(count[0].contains("Int(2)"), "{round} {count:?}");
        let (again, _) = finally(&mut session, "SELECT * FROM in_a").await;
        assert_eq!(again, sum);
        let (again, _) = finally(&mut session, "SELECT * FROM over_a").await;
        assert_eq!(again, over);
    }
    run(&mut session, "INSERT INTO t VALUES (40)").await.unwrap();
    let (sum, _) = finally(&mut session, "SELECT * FROM in_a").await;
    assert!(sum[0].contains("43"), "{sum:?}");
    let (over, _) = finally(&mut session, "SELECT * FROM over_a").await;
    assert!(over[0].contains("44"), "{over:?}");

    // The default cluster, with the indexes of constraints.
    run(&mut session, "CREATE TABLE k (x int PRIMARY KEY); INSERT INTO k VALUES (1)")
        .await
        .unwrap();
    coordinator.fail_cluster("quickstart");
    let (rows, _) = finally(&mut session, "SELECT * FROM k WHERE x = 1").await;
    assert_eq!(rows.len(), 1);
    let (_, _) = finally(&mut session, "INSERT INTO k VALUES (2)").await;
    let mut codes = Vec::new();
    while codes.last() != Some(&"23505") && codes.len() < 100 {
        codes.push(run(&mut session, "INSERT INTO k VALUES (1)").await.unwrap_err().code.0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(codes.last(), Some(&"23505"), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resize_under_writes_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut writer = session(&coordinator);
    let mut reader = session(&coordinator);
    run(
        &mut writer,
        "CREATE CLUSTER a (SIZE = '25cc'); CREATE CLUSTER b (SIZE = '25cc'); \
         CREATE TABLE t (x int)",
    )
    .await
    .unwrap();
    let view = "CREATE MATERIALIZED VIEW m IN CLUSTER a AS SELECT count(*) AS n FROM t";
    run(&mut writer, view).await.unwrap();
    let over = "CREATE MATERIALIZED VIEW o IN CLUSTER b AS SELECT n FROM m";
    run(&mut writer, over).await.unwrap();
    let resizes = async {
        for size in ["200cc", "25cc", "100cc"] {
            for cluster in ["a", "b"] {
                let alter =
                    format!("ALTER CLUSTER {cluster} SET (SIZE = '{size}') WITH (WAIT FOR '20s')");
                run(&mut reader, &alter).await.unwrap();
            }
        }
        reader
    };
    let writes = async {
        let mut written = 0;
        for number in 0..120 {
            run(&mut writer, &format!("INSERT INTO t VALUES ({number})")).await.unwrap();
            written += 1;
            for view in ["m", "o"] {
                let seen = run(&mut writer, &format!("SELECT n FROM {view}")).await.unwrap();
                assert_eq!(seen.len(), 1, "{view} {written} {seen:?}");
                assert!(seen[0].contains(&format!("Int({written})")), "{view} {written} {seen:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let both = async { tokio::join!(resizes, writes) };
    tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
}
