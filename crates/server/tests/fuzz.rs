//! Hostile clients against a running server: whatever bytes come, other sessions go on, and
//! memory stays bounded.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::time::Duration;

use common::{Server, extended, message, server};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How many hostile connections there are; `FUZZ_CONNECTIONS` says otherwise.
const CONNECTIONS: u64 = 150;

/// How much the process may grow meanwhile.
const GROWTH_KB: u64 = 300 << 10;

const TEXTS: &[&str] = &[
    "SELECT 1",
    "SELECT $1::int + $2",
    "INSERT INTO f VALUES (1, 'x')",
    "SELECT * FROM f ORDER BY a LIMIT 3",
    "BEGIN",
    "COMMIT",
    "ROLLBACK TO SAVEPOINT s",
    "COPY f FROM STDIN",
    "COPY f TO STDOUT",
    "DECLARE c CURSOR FOR SELECT * FROM f",
    "FETCH ALL c",
    "SET statement_timeout = 100",
    "SELECT 1 / 0",
    "SUBSCRIBE f",
    "PREPARE p AS SELECT $1",
    "SELECT '\u{1F980}'",
    "",
];

/// A message that may be right, or wrong somewhere.
fn random_message(rng: &mut SmallRng) -> Vec<u8> {
    let text = TEXTS[rng.random_range(0..TEXTS.len())];
    let mut bytes = match rng.random_range(0..12) {
        0..=2 => message(b'Q', &[text.as_bytes(), b"\0"].concat()),
        3..=5 => extended(text),
        6 => message(b'S', b""),
        7 => message(b'H', b""),
        8 => message(b'D', &[b"SP"[rng.random_range(0..2)], 0]),
        9 => message(b'd', b"1\tx\n"),
        10 => message(b"cf"[rng.random_range(0..2)], b"\0"),
        _ => {
            let mut body = vec![0; rng.random_range(0..40)];
            rng.fill_bytes(&mut body);
            message(b"QPBDECHSXdcfFp"[rng.random_range(0..14)], &body)
        }
    };
    match rng.random_range(0..8) {
        0 => {
            let place = rng.random_range(0..bytes.len());
            bytes[place] = rng.random();
        }
        1 => bytes.truncate(rng.random_range(0..bytes.len())),
        // A long message of which only the beginning comes.
        2 => bytes.splice(1..5, [0x0f, 0xff, 0xff, 0xff]).for_each(drop),
        _ => {}
    }
    bytes
}

async fn hostile(port: u16, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    if rng.random_bool(0.9) {
        let startup = b"\0\0\0\x1a\0\x03\0\0user\0materialize\0\0";
        stream.write_all(startup).await.unwrap();
    }
    for _ in 0..rng.random_range(1..40) {
        if stream.write_all(&random_message(&mut rng)).await.is_err() {
            return;
        }
        if rng.random_bool(0.3) {
            let mut answer = [0; 4096];
            let read = stream.read(&mut answer);
            if !matches!(
                tokio::time::timeout(Duration::from_millis(5), read).await,
                Ok(Ok(1..)) | Err(_)
            ) {
                return;
            }
        }
    }
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

async fn goes_on(server: &Server) {
    let answered = async {
        let client = server.connect().await;
        client.query_one("SELECT 7", &[]).await.unwrap().get::<_, i32>(0)
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), answered).await.unwrap(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_clients_hurt_only_themselves() {
    let server = server().await;
    let bystander = server.connect().await;
    bystander.batch_execute("CREATE TABLE f (a int, b text)").await.unwrap();
    let connections = std::env::var("FUZZ_CONNECTIONS").ok().and_then(|text| text.parse().ok());
    let connections = connections.unwrap_or(CONNECTIONS);
    let first: u64 = match std::env::var("FUZZ_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::random::<u32>().into(),
    };
    println!("FUZZ_SEED={first}");
    let before = resident_kb();
    let mut tasks = tokio::task::JoinSet::new();
    for seed in first..first + connections {
        while tasks.len() >= 16 {
            tasks.join_next().await.unwrap().unwrap();
        }
        tasks.spawn(hostile(server.port, seed));
        if seed % 20 == 0 {
            assert_eq!(bystander.query_one("SELECT 7", &[]).await.unwrap().get::<_, i32>(0), 7);
        }
    }
    while tasks.join_next().await.is_some() {}
    goes_on(&server).await;
    let grown = resident_kb().saturating_sub(before);
    assert!(grown < GROWTH_KB, "{grown} kB");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_takes_stay_few() {
    let server = server().await;
    let (mut raw, _) = server.raw(0, &[]).await;
    raw.query("CREATE TABLE f (a int, b text)").await;
    raw.send(&message(b'P', b"s\0SELECT * FROM f\0\0\0")).await;
    let before = resident_kb();
    let describe = message(b'D', b"Ss\0").repeat(10_000);
    for _ in 0..200 {
        let sent = raw.0.write_all(&describe);
        if tokio::time::timeout(Duration::from_secs(1), sent).await.is_err() {
            break;
        }
    }
    let grown = resident_kb().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} kB");
    goes_on(&server).await;
}
