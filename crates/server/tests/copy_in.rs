//! COPY .. FROM STDIN as clients send it: in pieces, in binary, given up, too early ended.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tempfile::TempDir;
use tidemill_coord::{Coordinator, Options};
use tidemill_server::{Metrics, ServerOptions, serve};
use tokio::net::TcpListener;
use tokio_postgres::{Client, NoTls};
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

async fn connect(server: &Server) -> Client {
    let config = format!("host=127.0.0.1 port={} user=materialize", server.port);
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn copy(client: &Client, sql: &str, pieces: &[&[u8]]) -> Result<u64, tokio_postgres::Error> {
    let mut sink = pin!(client.copy_in::<_, Bytes>(sql).await?);
    for piece in pieces {
        if sink.send(Bytes::copy_from_slice(piece)).await.is_err() {
            break;
        }
    }
    sink.finish().await
}

async fn count(client: &Client, table: &str) -> i64 {
    client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_cut_anywhere_and_errors_with_their_place() {
    let server = server().await;
    let client = connect(&server).await;
    client.batch_execute("CREATE TABLE t (a int, b text)").await.unwrap();
    let pieces: [&[u8]; 5] = [b"1\ton", b"e\n2", b"\t\\", b"N\n", b"3\tthr\xc3"];
    let error = copy(&client, "COPY t FROM STDIN", &pieces).await.unwrap_err();
    let error = error.as_db_error().unwrap().clone();
    assert_eq!((error.code().code(), error.where_()), ("22021", Some("COPY t, line 3")));
    let done = copy(&client, "COPY t FROM STDIN", &pieces[..4]).await.unwrap();
    assert_eq!((done, count(&client, "t").await), (2, 2));
    let error = copy(&client, "COPY t FROM STDIN", &[b"1\tx\nx\ty\n"]).await.unwrap_err();
    let error = error.as_db_error().unwrap().clone();
    assert_eq!(error.where_(), Some("COPY t, line 2, column a: \"x\""));
    let error = copy(&client, "COPY t FROM STDIN", &[b"1\tx\n7\n"]).await.unwrap_err();
    let error = error.as_db_error().unwrap().clone();
    assert_eq!(error.where_(), Some("COPY t, line 2: \"7\""));
    assert_eq!(count(&client, "t").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_goes_out_and_in_again() {
    let server = server().await;
    let client = connect(&server).await;
    let create = "CREATE TABLE t (a int, b text, c numeric, d timestamptz); \
                  CREATE TABLE u (a int, b text, c numeric, d timestamptz); \
                  INSERT INTO t VALUES (1, 'x', 1.25, '2020-01-01'), (NULL, '', NULL, NULL)";
    client.batch_execute(create).await.unwrap();
    let mut out = pin!(client.copy_out("COPY t TO STDOUT (FORMAT binary)").await.unwrap());
    let mut data = Vec::new();
    while let Some(piece) = out.next().await {
        data.extend_from_slice(&piece.unwrap());
    }
    let (head, tail) = data.split_at(25);
    let sql = "COPY u FROM STDIN BINARY";
    assert_eq!(copy(&client, sql, &[head, tail]).await.unwrap(), 2);
    let same = "SELECT count(*) FROM (SELECT * FROM t EXCEPT ALL SELECT * FROM u) x";
    let row = client.query_one(same, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
    for (data, code) in [(&b"PGCOPY\n\xff\r\n\x01"[..], "22P04"), (head, "22P04")] {
        let error = copy(&client, sql, &[data]).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), code);
    }
    assert_eq!(count(&client, "u").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_leaves_nothing() {
    let server = server().await;
    let client = connect(&server).await;
    client.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    {
        let sink = client.copy_in::<_, Bytes>("COPY t FROM STDIN").await.unwrap();
        let mut sink = Box::pin(sink);
        sink.send(Bytes::from_static(b"1\n2\n")).await.unwrap();
        // Dropping the sink sends CopyFail.
    }
    assert_eq!(count(&client, "t").await, 0);
    client.batch_execute("BEGIN").await.unwrap();
    copy(&client, "COPY t FROM STDIN", &[b"1\n"]).await.unwrap();
    assert_eq!(count(&client, "t").await, 1);
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(count(&client, "t").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_go_through_parts_and_are_seen_by_views() {
    let server = server().await;
    let client = connect(&server).await;
    let create = "CREATE TABLE t (a int, b text DEFAULT 'none'); \
                  CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n, sum(a) AS s FROM t";
    client.batch_execute(create).await.unwrap();
    let mut data = String::new();
    for number in 0..200_000 {
        data.push_str(&format!("{number}\tsome text that takes a little place {number}\n"));
    }
    let pieces: Vec<&[u8]> = data.as_bytes().chunks(50_000).collect();
    assert_eq!(copy(&client, "COPY t FROM STDIN", &pieces).await.unwrap(), 200_000);
    client.batch_execute("BEGIN").await.unwrap();
    copy(&client, "COPY t FROM STDIN", &pieces).await.unwrap();
    assert_eq!(count(&client, "t").await, 400_000);
    client.batch_execute("COMMIT").await.unwrap();
    let row = client.query_one("SELECT n, s FROM m", &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (400_000, 39_999_800_000));
    let wrong = [pieces.concat(), b"x\ty\n".to_vec()].concat();
    let wrong: Vec<&[u8]> = wrong.chunks(60_000).collect();
    assert!(copy(&client, "COPY t FROM STDIN", &wrong).await.is_err());
    assert_eq!(count(&client, "t").await, 400_000);
}
