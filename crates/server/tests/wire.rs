//! Clients against a coordinator on an empty directory: the message loop as they see it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use tempfile::TempDir;
use tidemill_coord::{Coordinator, Options};
use tidemill_server::{Metrics, ServerOptions, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

struct Server {
    port: u16,
    shutdown: CancellationToken,
    _directory: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn server() -> Server {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { data_dir: directory.path().join("data"), workers: 1 };
    let coordinator = Arc::new(Coordinator::open(options).await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shutdown = CancellationToken::new();
    let metrics = Arc::new(Metrics::new().unwrap());
    let options = ServerOptions { max_connections: 4, ..ServerOptions::default() };
    tokio::spawn(serve(listener, coordinator, metrics, options, shutdown.clone()));
    Server { port, shutdown, _directory: directory }
}

impl Server {
    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let config = format!("host=127.0.0.1 port={} user=materialize", self.port);
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Sends bytes and reads until the server closes.
    async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(5), read).await.unwrap().unwrap();
        answer
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_in_both_protocols() {
    let server = server().await;
    let client = server.connect().await.unwrap();
    client.batch_execute("CREATE TABLE t (a int, b text)").await.unwrap();
    let insert = client.prepare("INSERT INTO t VALUES ($1, $2)").await.unwrap();
    assert_eq!(client.execute(&insert, &[&1_i32, &"one"]).await.unwrap(), 1);
    assert_eq!(client.execute(&insert, &[&2_i32, &None::<&str>]).await.unwrap(), 1);
    let rows = client.query("SELECT a, b FROM t WHERE a >= $1 ORDER BY a", &[&1]).await.unwrap();
    let rows: Vec<(i32, Option<String>)> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [(1, Some("one".to_owned())), (2, None)]);

    let answers = client.simple_query("SELECT a FROM t ORDER BY a; SELECT 'x'").await.unwrap();
    let texts: Vec<&str> = answers
        .iter()
        .filter_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["1", "2", "x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_leave_the_connection_usable() {
    let server = server().await;
    let mut client = server.connect().await.unwrap();
    let error = client.query("SELECT * FROM nothing", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNDEFINED_TABLE));
    let error = client.simple_query("SELECT 1; SELEC 2").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR));
    assert!(error.as_db_error().unwrap().position().is_some());
    let transaction = client.transaction().await.unwrap();
    transaction.query("SELECT 1 / 0", &[]).await.unwrap_err();
    let error = transaction.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    transaction.rollback().await.unwrap();
    assert_eq!(client.query_one("SELECT 7", &[]).await.unwrap().get::<_, i32>(0), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_gives_its_rows_in_pieces() {
    let server = server().await;
    let mut client = server.connect().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let portal = transaction
        .bind("SELECT * FROM (VALUES (1), (2), (3)) AS v (a) ORDER BY a", &[])
        .await
        .unwrap();
    let mut sizes = Vec::new();
    for _ in 0..3 {
        sizes.push(transaction.query_portal(&portal, 2).await.unwrap().len());
    }
    assert_eq!(sizes, [2, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_follows_and_is_cancelled() {
    let server = server().await;
    let writer = server.connect().await.unwrap();
    writer.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    let reader = server.connect().await.unwrap();
    let stream = reader.copy_out("COPY (SUBSCRIBE t) TO STDOUT").await.unwrap();
    pin_mut!(stream);
    writer.batch_execute("INSERT INTO t VALUES (42)").await.unwrap();
    let line = tokio::time::timeout(Duration::from_secs(10), stream.next()).await.unwrap();
    assert!(line.unwrap().unwrap().ends_with(b"\t1\t42\n"));
    reader.cancel_token().cancel_query(NoTls).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(10), stream.next()).await.unwrap();
    assert_eq!(end.unwrap().unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    reader.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_strangers_are_refused() {
    let server = server().await;
    assert!(contains(&server.raw(b"GET / HTTP/1.1\r\n\r\n").await, b"C08P01\0"));
    let mut broken = b"\0\0\0\0\0\x03\0\0user\0materialize\0\0".to_vec();
    broken[3] = broken.len() as u8;
    broken.extend_from_slice(b"?\0\0\0\x04");
    assert!(contains(&server.raw(&broken).await, b"C08P01\0"));
    let nowhere = b"\0\0\0\x1f\0\x03\0\0user\0materialize\0database\0x\0\0";
    let mut nowhere = nowhere.to_vec();
    nowhere[3] = nowhere.len() as u8;
    assert!(contains(&server.raw(&nowhere).await, b"C3D000\0"));
    server.connect().await.unwrap();

    let clients = [server.connect().await, server.connect().await, server.connect().await];
    assert!(clients.iter().all(Result::is_ok));
    let mut refused = None;
    let mut held = Vec::new();
    for _ in 0..3 {
        match server.connect().await {
            Ok(client) => held.push(client),
            Err(error) => refused = Some(error),
        }
    }
    assert_eq!(refused.unwrap().code(), Some(&SqlState::TOO_MANY_CONNECTIONS));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_server_ends_sessions() {
    let server = server().await;
    let client = server.connect().await.unwrap();
    server.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(client.is_closed());
}
