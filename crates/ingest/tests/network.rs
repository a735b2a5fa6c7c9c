//! Lines to an upstream: what is said in a TLS handshake, a line that swallows everything, and a
//! server that is another one than before.
#![allow(clippy::unwrap_used, reason = "helpers of tests end the test")]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use support::{MemorySink, PrivatePostgres, SOURCE, connection, follow, slot};
use tidemill_ingest::SourceStatus;
use tidemill_ingest::postgres::{PostgresConnection, SslMode, validate};
use tidemill_repr::ObjectId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const A: ObjectId = ObjectId::User(2);

fn server_with_table() -> PrivatePostgres {
    let server = PrivatePostgres::start().unwrap();
    server
        .psql(
            "CREATE TABLE a (id int PRIMARY KEY, v text);
             INSERT INTO a VALUES (1, 'one');
             CREATE PUBLICATION p FOR ALL TABLES;",
        )
        .unwrap();
    server
}

/// A certificate that signs itself, and its key.
fn certificate(directory: &Path) -> ServerConfig {
    let (key, file) = (directory.join("key.pem"), directory.join("certificate.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&file)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let chain = vec![CertificateDer::from_pem_file(file).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    config.with_no_client_auth().with_single_cert(chain, key).unwrap()
}

/// What a client said to a server that offers TLS and SCRAM: the server name, the mechanism, and
/// the first message of SCRAM.
async fn said(host: &str) -> (Option<String>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(certificate(directory.path())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async {
        let (mut line, _) = listener.accept().await.unwrap();
        line.read_exact(&mut [0; 8]).await.unwrap();
        line.write_all(b"S").await.unwrap();
        let mut line = acceptor.accept(line).await.unwrap();
        let name = line.get_ref().1.server_name().map(str::to_owned);
        let length = line.read_u32().await.unwrap() as usize;
        line.read_exact(&mut vec![0; length - 4]).await.unwrap();
        let mechanisms = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        line.write_all(b"R").await.unwrap();
        line.write_u32(8 + mechanisms.len() as u32).await.unwrap();
        line.write_u32(10).await.unwrap();
        line.write_all(mechanisms).await.unwrap();
        line.flush().await.unwrap();
        assert_eq!(line.read_u8().await.unwrap(), b'p');
        let length = line.read_u32().await.unwrap() as usize;
        let mut message = vec![0; length - 4];
        line.read_exact(&mut message).await.unwrap();
        let end = message.iter().position(|byte| *byte == 0).unwrap();
        let mechanism = String::from_utf8(message[..end].to_vec()).unwrap();
        let first = String::from_utf8(message[end + 5..].to_vec()).unwrap();
        (name, mechanism, first)
    };
    let mut asked = PostgresConnection::new(host, port, "user@server-1", "d");
    asked.ssl_mode = SslMode::Require;
    asked.password = Some("secret".to_owned());
    let asking = tokio::spawn(async move { validate(&asked).await });
    let said = serve.await;
    asking.await.unwrap().unwrap_err();
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_tells_the_name_and_binds_the_password_to_the_line() {
    let (name, mechanism, first) = said("localhost").await;
    assert_eq!(name.as_deref(), Some("localhost"));
    assert_eq!(mechanism, "SCRAM-SHA-256-PLUS");
    assert!(first.starts_with("p=tls-server-end-point,,n="), "{first}");
    // An address is no name.
    let (name, ..) = said("127.0.0.1").await;
    assert_eq!(name, None);
}

/// A proxy that can begin to swallow what comes, on all lines that are open then.
struct Proxy {
    port: u16,
    open: Arc<Mutex<Vec<tokio::sync::watch::Sender<bool>>>>,
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    swallows: tokio::sync::watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) if *swallows.borrow() => {}
            Ok(length) => {
                if to.write_all(&buffer[..length]).await.is_err() {
                    break;
                }
            }
        }
    }
    if *swallows.borrow() {
        // Nor is it said that a side has gone.
        std::future::pending::<()>().await;
    }
}

impl Proxy {
    async fn start(to: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open: Arc<Mutex<Vec<tokio::sync::watch::Sender<bool>>>> = Arc::default();
        let lines = Arc::clone(&open);
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let (sender, swallows) = tokio::sync::watch::channel(false);
                lines.lock().push(sender);
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                tokio::spawn(pass(near_in, far_out, swallows.clone()));
                tokio::spawn(pass(far_in, near_out, swallows));
            }
        });
        Proxy { port, open }
    }

    fn swallow(&self) {
        for line in self.open.lock().iter() {
            let _ = line.send(true);
        }
    }
}

async fn wait_rows(sink: &MemorySink, rows: usize) {
    sink.wait("rows", |ledger| ledger.tables.get(&A).is_some_and(|rows_| rows_.len() == rows))
        .await;
}

fn stalled(sink: &MemorySink) -> Vec<String> {
    let statuses = sink.statuses.lock();
    let of_source = statuses.iter().filter(|(id, _)| *id == SOURCE);
    let stalled = of_source.filter_map(|(_, status)| match status {
        SourceStatus::Stalled { error, .. } => Some(error.message.clone()),
        _ => None,
    });
    stalled.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_swallows_is_left() {
    let server = server_with_table();
    let proxy = Proxy::start(server.port).await;
    let sink = Arc::new(MemorySink::default());
    let handle = follow(&server, &sink, &slot(), &[(A, "a")]).await;
    wait_rows(&sink, 1).await;
    sink.wait_running().await;
    sink.statuses.lock().clear();
    let mut through = connection(&server);
    through.port = proxy.port;
    handle.connect(through);
    sink.wait_running().await;
    server.psql("INSERT INTO a VALUES (2, 'two')").unwrap();
    wait_rows(&sink, 2).await;
    assert!(!proxy.open.lock().is_empty());
    sink.statuses.lock().clear();
    proxy.swallow();
    server.psql("INSERT INTO a VALUES (3, 'three')").unwrap();
    // Lines that are made from now on are good.
    for _ in 0..3000 {
        if sink.ledger.lock().tables.get(&A).is_some_and(|rows| rows.len() == 3) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    wait_rows(&sink, 3).await;
    let stalled = stalled(&sink);
    assert!(stalled.iter().any(|message| message.contains("has fallen silent")), "{stalled:?}");
    handle.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_cluster_is_not_followed() {
    let (server, other) = (server_with_table(), server_with_table());
    let sink = Arc::new(MemorySink::default());
    let handle = follow(&server, &sink, &slot(), &[(A, "a")]).await;
    wait_rows(&sink, 1).await;
    handle.connect(connection(&other));
    let failure = || {
        let statuses = sink.statuses.lock();
        statuses.iter().rev().find_map(|(id, status)| match status {
            SourceStatus::Failed { error } if *id == SOURCE => Some(error.clone()),
            _ => None,
        })
    };
    let mut found = failure();
    for _ in 0..600 {
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        found = failure();
    }
    let error = found.unwrap();
    assert!(error.message.contains("another database cluster"), "{error:?}");
    assert!(error.detail.is_some_and(|detail| detail.contains("system identifier")));
    assert!(error.hint.is_some_and(|hint| hint.contains("RESYNC")));
    // The right one is followed again, without loss.
    server.psql("INSERT INTO a VALUES (2, 'two')").unwrap();
    sink.statuses.lock().clear();
    handle.connect(connection(&server));
    wait_rows(&sink, 2).await;
    handle.stop().await;
}
