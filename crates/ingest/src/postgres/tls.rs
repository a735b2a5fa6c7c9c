//! TLS towards an upstream: which certificates are believed, by [`SslMode`].

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tidemill_repr::{SqlError, SqlState};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::connection::{PostgresConnection, SslMode};
use crate::ssh::Duplex;

/// The TLS settings of a connection.
pub(crate) fn client_config(connection: &PostgresConnection) -> Result<ClientConfig, SqlError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = verifier(connection, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SqlError::internal(format!("TLS versions: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some((certificate, key)) = &connection.ssl_client_identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("SSL CERTIFICATE", certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| bad_option("SSL KEY", "it is no private key in PEM format"))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| bad_option("SSL CERTIFICATE", &error.to_string()))
}

fn bad_option(option: &str, why: &str) -> SqlError {
    let message = format!("invalid value of option {option}: {why}");
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn certificates(option: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, SqlError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| bad_option(option, "it is no certificate in PEM format"))?;
    if chain.is_empty() {
        return Err(bad_option(option, "it holds no certificate in PEM format"));
    }
    Ok(chain)
}

fn verifier(
    connection: &PostgresConnection,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, SqlError> {
    // As in libpq: a given authority makes `require` verify it.
    let authority = connection.ssl_root_certificate.as_deref();
    let check_name = connection.ssl_mode == SslMode::VerifyFull;
    let check_chain = check_name
        || connection.ssl_mode == SslMode::VerifyCa
        || (connection.ssl_mode == SslMode::Require && authority.is_some());
    if !check_chain {
        return Ok(Arc::new(AnyCertificate { provider: Arc::clone(provider) }));
    }
    let mut roots = RootCertStore::empty();
    match authority {
        Some(pem) => {
            for certificate in certificates("SSL CERTIFICATE AUTHORITY", pem)? {
                roots
                    .add(certificate)
                    .map_err(|e| bad_option("SSL CERTIFICATE AUTHORITY", &e.to_string()))?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| bad_option("SSL CERTIFICATE AUTHORITY", &error.to_string()))?;
    if check_name { Ok(inner) } else { Ok(Arc::new(AnyName { inner })) }
}

/// What SCRAM binds itself to: the hash of the server's certificate, by the hash function with
/// which that is signed (`tls-server-end-point`, RFC 5929). None: it is signed in another way.
pub(crate) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    // Certificate ::= SEQUENCE { tbsCertificate, SEQUENCE { algorithm, .. }, .. }
    let (whole, _) = der(certificate, 0x30)?;
    let (_, rest) = der(whole, 0x30)?;
    let (algorithm, _) = der(rest, 0x30)?;
    let (oid, _) = der(algorithm, 0x06)?;
    let bits = match (oid.strip_prefix(RSA), oid.strip_prefix(ECDSA)) {
        // MD5 and SHA-1 are too weak: SHA-256 stands for them.
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => 256,
        (Some([12]), _) | (_, Some([3, 3])) => 384,
        (Some([13]), _) | (_, Some([3, 4])) => 512,
        _ => return None,
    };
    Some(match bits {
        256 => Sha256::digest(certificate).to_vec(),
        384 => Sha384::digest(certificate).to_vec(),
        _ => Sha512::digest(certificate).to_vec(),
    })
}

/// The content of the DER value with this tag at the start, and what comes after it.
fn der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            if digits.len() > 4 {
                return None;
            }
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
    };
    if *found != tag { None } else { rest.split_at_checked(length) }
}

/// For the client of a line on which TLS is already.
pub(crate) struct Secured {
    pub(crate) binding: Vec<u8>,
}

/// That line.
pub(crate) struct SecuredLine<S> {
    stream: S,
    binding: Vec<u8>,
}

impl<S: Duplex> TlsConnect<S> for Secured {
    type Stream = SecuredLine<S>;
    type Error = io::Error;
    type Future = Ready<io::Result<SecuredLine<S>>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(SecuredLine { stream, binding: self.binding }))
    }
}

impl<S: Duplex> TlsStream for SecuredLine<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::tls_server_end_point(self.binding.clone())
    }
}

impl<S: Duplex> AsyncRead for SecuredLine<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: Duplex> AsyncWrite for SecuredLine<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// `require`: the line is encrypted, whoever is at the other end.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// `verify-ca`: a certificate of the right authority, for whatever name.
#[derive(Debug)]
struct AnyName {
    inner: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        // The name is checked after the chain.
        match verified {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
