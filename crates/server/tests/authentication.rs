//! Clients that must show who they are: passwords, TLS, network policies, limits.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tidemill_coord::{Coordinator, Options};
use tidemill_server::{Authentication, Metrics, ServerOptions, Tls, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::sync::CancellationToken;

struct Server {
    port: u16,
    internal: u16,
    shutdown: CancellationToken,
    directory: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn server(options: impl FnOnce(&Path) -> ServerOptions) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let data_dir = directory.path().join("data");
    let coordinator = Arc::new(Coordinator::open(Options { data_dir, workers: 1 }).await.unwrap());
    let shutdown = CancellationToken::new();
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut ports = Vec::new();
    let internal = ServerOptions { internal: true, ..ServerOptions::default() };
    for options in [options, internal] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        ports.push(listener.local_addr().unwrap().port());
        let (coordinator, metrics) = (Arc::clone(&coordinator), Arc::clone(&metrics));
        tokio::spawn(serve(listener, coordinator, metrics, options, shutdown.clone()));
    }
    Server { port: ports[0], internal: ports[1], shutdown, directory }
}

impl Server {
    async fn connect(&self, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
        connect(self.port, user, password).await
    }

    /// Runs statements as the system user.
    async fn system(&self, statements: &str) {
        let client = connect(self.internal, "mz_system", "").await.unwrap();
        client.batch_execute(statements).await.unwrap();
    }
}

async fn connect(port: u16, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(user).dbname("materialize");
    if !password.is_empty() {
        config.password(password);
    }
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// SQLSTATE and message of a connection that was refused.
fn refusal(result: Result<Client, tokio_postgres::Error>) -> (String, String) {
    let error = result.err().unwrap();
    let error = error.as_db_error().unwrap();
    (error.code().code().to_owned(), error.message().to_owned())
}

fn with_password(_: &Path) -> ServerOptions {
    ServerOptions { authentication: Authentication::Password, ..ServerOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_asked_for() {
    let server = server(with_password).await;
    server.system("CREATE ROLE ann LOGIN PASSWORD 'right'; CREATE ROLE off PASSWORD 'right'").await;
    let client = server.connect("ann", "right").await.unwrap();
    let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "ann");

    let wrong = |user: &str| {
        let message = format!("password authentication failed for user \"{user}\"");
        ("28P01".to_owned(), message)
    };
    assert_eq!(refusal(server.connect("ann", "wrong").await), wrong("ann"));
    assert_eq!(refusal(server.connect("nobody", "right").await), wrong("nobody"));
    // No password is none that fits.
    assert_eq!(refusal(server.connect("materialize", "right").await), wrong("materialize"));
    assert_eq!(refusal(server.connect("off", "wrong").await), wrong("off"));
    let (code, message) = refusal(server.connect("off", "right").await);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("28000", "role \"off\" is not permitted to log in")
    );

    client.batch_execute("ALTER ROLE ann PASSWORD 'newer'").await.unwrap();
    assert_eq!(refusal(server.connect("ann", "right").await), wrong("ann"));
    let client = server.connect("ann", "newer").await.unwrap();
    let row = client.query_one("SELECT rolpassword FROM pg_authid WHERE rolname = 'ann'", &[]);
    assert_eq!(row.await.unwrap().get::<_, Option<String>>(0).as_deref(), Some("********"));

    // Neither text nor key of a password is in the directory of the data.
    let found = Command::new("grep")
        .args(["-rqE", "newer|right"])
        .arg(server.directory.path().join("data"))
        .status()
        .unwrap();
    assert!(!found.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_instead_of_a_password() {
    let server = server(with_password).await;
    for answer in [&b"p\0\0\0\x04"[..], b"p\0\0\0\x05\0", b"p\x7f\xff\xff\xff", b"Q\0\0\0\x05\0"] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        let mut startup = vec![0, 0, 0, 0, 0, 3, 0, 0];
        startup.extend_from_slice(b"user\0ann\0\0");
        startup[3] = u8::try_from(startup.len()).unwrap();
        stream.write_all(&startup).await.unwrap();
        stream.write_all(answer).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains("08P01"), "{answer:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_roles_and_networks_are_refused() {
    let server = server(|_| ServerOptions::default()).await;
    let expected = ("28000".to_owned(), "role \"nobody\" does not exist".to_owned());
    assert_eq!(refusal(server.connect("nobody", "").await), expected);
    server.connect("materialize", "").await.unwrap();
    assert_eq!(refusal(server.connect("mz_system", "").await).0, "28000");

    server
        .system(
            "CREATE NETWORK POLICY office (RULES (\
             lan (ACTION = 'allow', DIRECTION = 'ingress', ADDRESS = '10.0.0.0/8')));
             ALTER SYSTEM SET network_policy = office",
        )
        .await;
    let expected = ("28000".to_owned(), "session denied".to_owned());
    assert_eq!(refusal(server.connect("materialize", "").await), expected);
    server
        .system(
            "ALTER NETWORK POLICY office SET (RULES (\
             here (ACTION = 'allow', DIRECTION = 'ingress', ADDRESS = '127.0.0.1/32')))",
        )
        .await;
    let one = server.connect("materialize", "").await.unwrap();
    let denied = one.batch_execute("ALTER SYSTEM SET max_connections = 1").await.unwrap_err();
    assert_eq!(denied.code().unwrap().code(), "42501");

    server.system("ALTER SYSTEM SET max_connections = 1").await;
    let (code, message) = refusal(server.connect("materialize", "").await);
    assert_eq!((code.as_str(), message.as_str()), ("53300", "sorry, too many clients already"));
    server.system("ALTER SYSTEM RESET ALL").await;
    server.connect("materialize", "").await.unwrap();
}

/// Writes a certificate of its own authority, and its key.
fn certificate(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let path = |end: &str| directory.join(format!("{name}.{end}"));
    std::fs::write(
        path("cnf"),
        "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=localhost\n\
         [ext]\nsubjectAltName=DNS:localhost\nbasicConstraints=critical,CA:FALSE\n",
    )
    .unwrap();
    let done = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config"])
        .arg(path("cnf"))
        .arg("-keyout")
        .arg(path("key"))
        .arg("-out")
        .arg(path("pem"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (path("pem"), path("key"))
}

/// Connects with TLS; at once, or by a request first.
async fn encrypted(server: &Server, direct: bool) -> std::io::Result<Client> {
    let mut roots = rustls::RootCertStore::empty();
    let certificate = server.directory.path().join("server.pem");
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await?;
    if direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    } else {
        stream.write_all(&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]).await?;
        let mut answer = [0];
        stream.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"S");
    }
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    let mut config = Config::new();
    config.user("materialize").dbname("materialize").ssl_mode(SslMode::Disable);
    let connected = config.connect_raw(stream, NoTls).await;
    let (client, connection) = connected.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    Ok(client)
}

fn with_tls(directory: &Path, required: bool, clients: bool) -> ServerOptions {
    let (certificate, key) = certificate(directory, "server");
    let authority = clients.then_some(certificate.as_path());
    let tls = Tls::read(&certificate, &key, authority, required).unwrap();
    ServerOptions { tls: Some(tls), ..ServerOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_encrypted_both_ways() {
    let server = server(|directory| with_tls(directory, true, false)).await;
    for direct in [false, true] {
        let client = encrypted(&server, direct).await.unwrap();
        let row = client.query_one("SELECT 1", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 1);
    }
    let (code, message) = refusal(server.connect("materialize", "").await);
    assert_eq!(code, "28000");
    assert!(message.contains("encrypted"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_may_be_left_out_where_it_is_allowed() {
    let server = server(|directory| with_tls(directory, false, false)).await;
    encrypted(&server, false).await.unwrap();
    server.connect("materialize", "").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_certificate_are_refused() {
    let server = server(|directory| with_tls(directory, true, true)).await;
    assert!(encrypted(&server, false).await.is_err());
}
