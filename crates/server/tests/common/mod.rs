//! A server, and clients that speak the protocol byte by byte.

#![allow(dead_code, reason = "each test uses some of it")]

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidemill_coord::{Coordinator, Options};
use tidemill_server::{Metrics, ServerOptions, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

pub struct Server {
    pub port: u16,
    pub shutdown: CancellationToken,
    _directory: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub async fn server() -> Server {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { data_dir: directory.path().join("data"), workers: 1 };
    let coordinator = Arc::new(Coordinator::open(options).await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shutdown = CancellationToken::new();
    let metrics = Arc::new(Metrics::new().unwrap());
    let options = ServerOptions::default();
    tokio::spawn(serve(listener, coordinator, metrics, options, shutdown.clone()));
    Server { port, shutdown, _directory: directory }
}

impl Server {
    pub async fn connect(&self) -> Client {
        let config = format!("host=127.0.0.1 port={} user=materialize", self.port);
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A client that has said who it is; the answers up to the first ReadyForQuery.
    pub async fn raw(&self, minor: u16, options: &[(&str, &str)]) -> (Raw, Vec<Message>) {
        let mut raw = Raw(TcpStream::connect(("127.0.0.1", self.port)).await.unwrap());
        let mut body = ((3_u32 << 16) | u32::from(minor)).to_be_bytes().to_vec();
        for (name, value) in [("user", "materialize")].iter().chain(options) {
            body.extend_from_slice(name.as_bytes());
            body.push(0);
            body.extend_from_slice(value.as_bytes());
            body.push(0);
        }
        body.push(0);
        let length = u32::try_from(body.len() + 4).unwrap();
        raw.0.write_all(&[&length.to_be_bytes()[..], &body].concat()).await.unwrap();
        let answers = raw.until_ready().await;
        (raw, answers)
    }

    /// Sends a cancel request.
    pub async fn cancel(&self, session: &[u8], key: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let length = u32::try_from(8 + session.len() + key.len()).unwrap();
        let request = [&length.to_be_bytes()[..], &80_877_102_u32.to_be_bytes(), session, key];
        stream.write_all(&request.concat()).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

/// The type and the body of a message.
pub type Message = (u8, Vec<u8>);

/// A connection.
pub struct Raw(pub TcpStream);

/// A message's bytes.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// Parse, Bind, Execute of the unnamed statement.
pub fn extended(text: &str) -> Vec<u8> {
    let parse = [b"\0", text.as_bytes(), b"\0\0\0"].concat();
    [message(b'P', &parse), message(b'B', b"\0\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0")]
        .concat()
}

pub const SYNC: &[u8] = b"S\0\0\0\x04";
pub const FLUSH: &[u8] = b"H\0\0\0\x04";

impl Raw {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub async fn next(&mut self) -> Message {
        let next = async {
            let mut header = [0; 5];
            self.0.read_exact(&mut header).await.unwrap();
            let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize;
            let mut body = vec![0; length - 4];
            self.0.read_exact(&mut body).await.unwrap();
            (header[0], body)
        };
        tokio::time::timeout(Duration::from_secs(10), next).await.unwrap()
    }

    pub async fn until_ready(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            messages.push(self.next().await);
            if messages.last().unwrap().0 == b'Z' {
                return messages;
            }
        }
    }

    /// Runs a text by the simple protocol; gives the answers.
    pub async fn query(&mut self, text: &str) -> Vec<Message> {
        self.send(&message(b'Q', &[text.as_bytes(), b"\0"].concat())).await;
        self.until_ready().await
    }
}

/// The kinds of messages, notices left out.
pub fn kinds(messages: &[Message]) -> String {
    messages.iter().map(|(kind, _)| char::from(*kind)).filter(|kind| *kind != 'N').collect()
}

/// The SQLSTATE of the error among messages.
pub fn code(messages: &[Message]) -> Option<String> {
    let (_, body) = messages.iter().find(|(kind, _)| *kind == b'E')?;
    let field = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&b'C'))?;
    Some(String::from_utf8_lossy(&field[1..]).into_owned())
}

/// The value of the only column of the only row.
pub fn value(messages: &[Message]) -> Option<String> {
    let (_, body) = messages.iter().find(|(kind, _)| *kind == b'D')?;
    Some(String::from_utf8_lossy(body.get(6..)?).into_owned())
}
