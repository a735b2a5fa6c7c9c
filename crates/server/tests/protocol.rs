//! What only a client that builds its messages itself sees: versions, keys, pipelines.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::time::Duration;

use common::{FLUSH, SYNC, code, extended, kinds, message, server, value};

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_negotiated() {
    let server = server().await;
    let (_, answers) = server.raw(0, &[]).await;
    let key = |answers: &[common::Message]| {
        answers.iter().find(|(kind, _)| *kind == b'K').unwrap().1.clone()
    };
    assert!(!kinds(&answers).contains('v'));
    assert_eq!(key(&answers).len(), 8);
    let (_, answers) = server.raw(2, &[]).await;
    assert!(!kinds(&answers).contains('v'));
    assert_eq!(key(&answers).len(), 36);
    let (_, answers) = server.raw(9999, &[("_pq_.later", "1")]).await;
    let negotiated = &answers.iter().find(|(kind, _)| *kind == b'v').unwrap().1;
    assert_eq!(&negotiated[..], b"\0\x03\0\x02\0\0\0\x01_pq_.later\0");
    assert_eq!(key(&answers).len(), 36);

    let reported: Vec<String> = answers
        .iter()
        .filter(|(kind, _)| *kind == b'S')
        .map(|(_, body)| {
            String::from_utf8_lossy(body.split(|byte| *byte == 0).next().unwrap()).into_owned()
        })
        .collect();
    for name in [
        "application_name",
        "client_encoding",
        "DateStyle",
        "default_transaction_read_only",
        "in_hot_standby",
        "integer_datetimes",
        "IntervalStyle",
        "is_superuser",
        "scram_iterations",
        "search_path",
        "server_encoding",
        "server_version",
        "session_authorization",
        "standard_conforming_strings",
        "TimeZone",
    ] {
        assert!(reported.iter().any(|reported| reported == name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_keys_cancel_and_parts_of_them_do_not() {
    let server = server().await;
    for minor in [0, 2] {
        let (mut raw, answers) = server.raw(minor, &[]).await;
        let key = answers.iter().find(|(kind, _)| *kind == b'K').unwrap().1.clone();
        raw.query("CREATE TABLE IF NOT EXISTS t (a int)").await;
        raw.send(&[extended("COPY (SUBSCRIBE t) TO STDOUT"), SYNC.to_vec()].concat()).await;
        while raw.next().await.0 != b'H' {}
        server.cancel(&key[..4], &key[4..key.len() - 1]).await;
        server.cancel(&key[..4], &[&key[4..], b"x"].concat()).await;
        let early = tokio::time::timeout(Duration::from_millis(300), raw.next()).await;
        assert!(early.is_err());
        server.cancel(&key[..4], &key[4..]).await;
        assert_eq!(code(&raw.until_ready().await).as_deref(), Some("57014"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_sync_is_one_transaction() {
    let server = server().await;
    let (mut raw, _) = server.raw(0, &[]).await;
    raw.query("CREATE TABLE t (a int)").await;
    let count = "SELECT count(*) FROM t";

    let insert = |number: u32| extended(&format!("INSERT INTO t VALUES ({number})"));
    raw.send(&[insert(1), insert(2), extended("SELECT 1 / 0"), insert(3), SYNC.to_vec()].concat())
        .await;
    let answers = raw.until_ready().await;
    assert_eq!(kinds(&answers), "12C12C12EZ");
    assert_eq!(code(&answers).as_deref(), Some("22012"));
    assert_eq!(value(&raw.query(count).await).as_deref(), Some("0"));

    // Sees what it has written itself; nobody else does before Sync.
    raw.send(&[insert(1), insert(2), extended(count), FLUSH.to_vec()].concat()).await;
    let mut seen = Vec::new();
    while kinds(&seen) != "12C12C12DC" {
        seen.push(raw.next().await);
    }
    assert_eq!(value(&seen).as_deref(), Some("2"));
    let (mut other, _) = server.raw(0, &[]).await;
    assert_eq!(value(&other.query(count).await).as_deref(), Some("0"));
    raw.send(SYNC).await;
    assert_eq!(raw.until_ready().await.last().unwrap().1, b"I");
    assert_eq!(value(&other.query(count).await).as_deref(), Some("2"));

    // COMMIT commits what came before it; what follows is a transaction of its own.
    raw.send(
        &[insert(4), extended("COMMIT"), insert(5), extended("SELECT 1 / 0"), SYNC.to_vec()]
            .concat(),
    )
    .await;
    assert_eq!(code(&raw.until_ready().await).as_deref(), Some("22012"));
    assert_eq!(value(&raw.query(count).await).as_deref(), Some("3"));

    // BEGIN makes a block of it that goes on after Sync.
    raw.send(&[insert(6), extended("BEGIN"), insert(7), SYNC.to_vec()].concat()).await;
    assert_eq!(raw.until_ready().await.last().unwrap().1, b"T");
    raw.query("ROLLBACK").await;
    assert_eq!(value(&raw.query(count).await).as_deref(), Some("3"));

    // What is not followed by Sync never happened.
    raw.send(&[insert(8), insert(9)].concat()).await;
    drop(raw);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(value(&other.query(count).await).as_deref(), Some("3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_call_protocol_is_refused_and_the_session_goes_on() {
    let server = server().await;
    let (mut raw, _) = server.raw(0, &[]).await;
    raw.send(&message(b'F', b"\0\0\x05\x2b\0\0\0\0\0\0")).await;
    let answers = raw.until_ready().await;
    assert_eq!((kinds(&answers).as_str(), code(&answers).as_deref()), ("EZ", Some("0A000")));
    assert_eq!(value(&raw.query("SELECT 7").await).as_deref(), Some("7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_a_transaction_are_told_when_they_end() {
    let server = server().await;
    let (mut raw, _) = server.raw(0, &[]).await;
    let told = |answers: &[common::Message]| {
        answers
            .iter()
            .filter(|(kind, _)| *kind == b'S')
            .map(|(_, body)| String::from_utf8_lossy(body).replace('\0', " ").trim().to_owned())
            .collect::<Vec<_>>()
    };
    raw.query("BEGIN").await;
    let answers = raw.query("SET LOCAL TimeZone = 'Asia/Tokyo'").await;
    assert_eq!(told(&answers), ["TimeZone Asia/Tokyo"]);
    assert_eq!(told(&raw.query("COMMIT").await), ["TimeZone UTC"]);
    raw.query("BEGIN").await;
    raw.query("SET application_name = 'x'").await;
    assert_eq!(told(&raw.query("ROLLBACK").await), ["application_name"]);
    raw.query("SET search_path = a, public").await;
    assert_eq!(told(&raw.query("DISCARD ALL").await), ["search_path public"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn timeouts_end_statements_and_transactions() {
    let server = server().await;
    let (mut raw, _) = server.raw(0, &[]).await;
    raw.query("CREATE TABLE t (a int)").await;
    raw.query("SET statement_timeout = '200ms'").await;
    let answers = raw.query("COPY (SUBSCRIBE t) TO STDOUT").await;
    assert_eq!(code(&answers).as_deref(), Some("57014"));
    raw.query("SET statement_timeout = 0").await;
    raw.query("SET transaction_timeout = '300ms'").await;
    raw.query("BEGIN").await;
    assert_eq!(code(&[raw.next().await]).as_deref(), Some("25P04"));

    let (mut raw, _) = server.raw(0, &[("idle_session_timeout", "200ms")]).await;
    assert_eq!(code(&[raw.next().await]).as_deref(), Some("57P05"));
    let options = [("idle_in_transaction_session_timeout", "200ms")];
    let (mut raw, _) = server.raw(0, &options).await;
    raw.query("BEGIN").await;
    assert_eq!(code(&[raw.next().await]).as_deref(), Some("25P03"));
    let (mut raw, _) = server.raw(0, &[]).await;
    server.shutdown.cancel();
    assert_eq!(code(&[raw.next().await]).as_deref(), Some("57P01"));
}
