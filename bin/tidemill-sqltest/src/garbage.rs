//! Bytes that are no PostgreSQL protocol: the server must hang up, and live.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends several kinds of garbage to a port, each on a connection of its own.
pub async fn send(port: u16) -> Result<()> {
    let mut parse_without_startup = b"P\0\0\0\x08\0SELECT".to_vec();
    parse_without_startup.extend([0; 16]);
    let messages: [Vec<u8>; 8] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0xff; 64],
        vec![0; 64],
        // A startup message that claims two gigabytes.
        vec![0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0],
        // A length that is shorter than itself.
        vec![0, 0, 0, 1, 0, 3, 0, 0],
        // A protocol version that nobody speaks, with no terminator.
        vec![0, 0, 0, 12, 0, 99, 0, 0, b'u', b's', b'e', b'r'],
        // A user name that is not UTF-8.
        b"\0\0\0\x12\0\x03\0\0user\0\xff\xfe\0\0".to_vec(),
        parse_without_startup,
    ];
    for (number, message) in messages.iter().enumerate() {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(message).await?;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        if read.is_err() {
            bail!("the server keeps the connection open after garbage number {number}");
        }
    }
    Ok(())
}
