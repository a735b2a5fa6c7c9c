//! TLS at the SQL port: certificates, and what a connection begins with.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The protocol that clients name when they begin with TLS at once.
const ALPN: &[u8] = b"postgresql";

/// The packets that ask for encryption: TLS, GSSAPI.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

/// How a listener speaks TLS.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    /// Whether clients without it are refused.
    pub required: bool,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("required", &self.required).finish_non_exhaustive()
    }
}

/// A stream, encrypted or not.
pub enum Stream {
    /// As it came.
    Plain(TcpStream),
    /// With TLS.
    Encrypted(Box<TlsStream<TcpStream>>),
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

impl Tls {
    /// Reads certificate and key; with an authority, clients must have certificates of it.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub fn read(
        certificate: &Path,
        key: &Path,
        authority: Option<&Path>,
        required: bool,
    ) -> io::Result<Tls> {
        let certificates = read_certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| invalid(format!("{}: {error}", key.display())))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(invalid)?;
        let builder = match authority {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = rustls::RootCertStore::empty();
                for certificate in read_certificates(path)? {
                    roots.add(certificate).map_err(invalid)?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(invalid)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(certificates, key).map_err(invalid)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), required })
    }

    async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        Ok(Stream::Encrypted(Box::new(self.acceptor.accept(stream).await?)))
    }
}

fn read_certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let wrong =
        |error: rustls::pki_types::pem::Error| invalid(format!("{}: {error}", path.display()));
    let read = CertificateDer::pem_file_iter(path).map_err(wrong)?;
    let found = read.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if found.is_empty() {
        return Err(invalid(format!("{}: no certificate in it", path.display())));
    }
    Ok(found)
}

/// Encrypts a stream, if its client asks for that: by a request, or by beginning with it.
///
/// # Errors
/// The client is gone, or its handshake fails.
pub async fn encrypt(mut stream: TcpStream, tls: Option<&Tls>) -> io::Result<Stream> {
    let Some(tls) = tls else { return Ok(Stream::Plain(stream)) };
    loop {
        let mut first = [0; 8];
        let count = stream.peek(&mut first).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The first byte of a TLS handshake; no packet of ours is so long.
        if first[0] == 0x16 {
            let Stream::Encrypted(stream) = tls.accept(stream).await? else {
                return Err(invalid("no TLS"));
            };
            if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
                return Err(invalid("direct TLS without the protocol postgresql"));
            }
            return Ok(Stream::Encrypted(stream));
        }
        if count < first.len() {
            // The rest is on its way.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        match first {
            SSL_REQUEST => {
                stream.read_exact(&mut first).await?;
                stream.write_all(b"S").await?;
                return tls.accept(stream).await;
            }
            GSS_REQUEST => {
                stream.read_exact(&mut first).await?;
                stream.write_all(b"N").await?;
            }
            _ => return Ok(Stream::Plain(stream)),
        }
    }
}
