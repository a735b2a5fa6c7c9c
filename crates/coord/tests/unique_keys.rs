//! Unique keys: of writers that race for one, one wins.
#![allow(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod common;

use tidemill_repr::SqlState;

use common::{open, run, session};

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_inserts_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    run(&mut s, "CREATE TABLE t (id int PRIMARY KEY, who int)").await.unwrap();
    let mut writers = Vec::new();
    for who in 0..8 {
        let mut session = session(&coordinator);
        writers.push(tokio::spawn(async move {
            let mut won = 0;
            for id in 0..40 {
                let insert = format!("INSERT INTO t VALUES ({id}, {who})");
                match run(&mut session, &insert).await {
                    Ok(_) => won += 1,
                    Err(error) => assert_eq!(error.code, SqlState::UNIQUE_VIOLATION),
                }
            }
            won
        }));
    }
    let mut won = 0;
    for writer in writers {
        won += writer.await.unwrap();
    }
    assert_eq!(won, 40);
    assert_eq!(run(&mut s, "SELECT count(*) FROM t").await.unwrap(), ["[Int(40)]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_upserts_all_count() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut s = session(&coordinator);
    run(&mut s, "CREATE TABLE t (id int PRIMARY KEY, n int)").await.unwrap();
    let mut writers = Vec::new();
    for _ in 0..4 {
        let mut session = session(&coordinator);
        writers.push(tokio::spawn(async move {
            for round in 0..25 {
                let upsert = format!(
                    "INSERT INTO t VALUES ({}, 1) ON CONFLICT (id) DO UPDATE SET n = t.n + 1",
                    round % 3
                );
                run(&mut session, &upsert).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(run(&mut s, "SELECT sum(n) FROM t").await.unwrap(), ["[Int(100)]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_others_wrote_meanwhile_fails_the_commit() {
    let directory = tempfile::tempdir().unwrap();
    let coordinator = open(directory.path()).await;
    let mut one = session(&coordinator);
    let mut two = session(&coordinator);
    run(&mut one, "CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    run(&mut one, "BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    run(&mut two, "INSERT INTO t VALUES (2)").await.unwrap();
    run(&mut two, "INSERT INTO t VALUES (1)").await.unwrap();
    let lost = run(&mut one, "COMMIT").await.unwrap_err();
    assert_eq!(lost.code, SqlState::SERIALIZATION_FAILURE);
    // Another key is no reason.
    run(&mut one, "BEGIN; INSERT INTO t VALUES (3)").await.unwrap();
    run(&mut two, "INSERT INTO t VALUES (4)").await.unwrap();
    run(&mut one, "COMMIT").await.unwrap();
}
