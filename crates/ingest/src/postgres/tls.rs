//! TLS towards an upstream: which certificates are believed, by [`SslMode`].

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tidemill_repr::{SqlError, SqlState};

use super::connection::{PostgresConnection, SslMode};

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
