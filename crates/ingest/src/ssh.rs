//! SSH tunnels: an upstream in a private network is reached through an SSH server that stands in
//! front of it. Each line to the upstream has an SSH session of its own, so a broken tunnel is
//! nothing else than a broken line, and is mended by connecting again.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use russh::ChannelOpenFailure;
use russh::client::{self, Handle};
use russh::keys::{
    Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use serde::{Deserialize, Serialize};
use tidemill_repr::{SqlError, SqlState};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How often the SSH server hears from us when nothing else is said.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long connecting to the SSH server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes to and from an upstream, encrypted or not.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An SSH server, and how we show who we are. Shown (`Debug` included) without its keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshTunnel {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// The server's own public key; None: whichever it has.
    pub host_key: Option<String>,
    /// Private keys in OpenSSH's format; the server must know one of them.
    pub keys: Vec<String>,
}

/// A pair of keys.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// A line of `authorized_keys`.
    pub public: String,
    /// In OpenSSH's format.
    pub private: String,
}

impl fmt::Debug for SshTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SshTunnel({}@{}:{})", self.user, self.host, self.port)
    }
}

/// A new pair of ed25519 keys.
///
/// # Errors
/// The system has no random numbers.
pub fn generate_keys(comment: &str) -> Result<KeyPair, SqlError> {
    let failed = |error: &dyn fmt::Display| SqlError::internal(format!("SSH key: {error}"));
    let seed: [u8; 32] = rand::random();
    let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&seed);
    let mut key = PrivateKey::from(pair);
    key.set_comment(comment);
    debug_assert_eq!(key.algorithm(), Algorithm::Ed25519);
    let private = key
        .to_openssh(russh::keys::ssh_key::LineEnding::LF)
        .map_err(|error| failed(&error))?
        .to_string();
    let public = key.public_key().to_openssh().map_err(|error| failed(&error))?;
    Ok(KeyPair { public, private })
}

/// Checks that a text is a public key of an SSH server, as it stands in `known_hosts` or a `.pub` file.
///
/// # Errors
/// It is none.
pub fn check_host_key(text: &str) -> Result<(), SqlError> {
    host_key(text).map(drop)
}

fn host_key(text: &str) -> Result<PublicKey, SqlError> {
    PublicKey::from_openssh(text.trim()).map_err(|error| {
        let message = format!("invalid HOST KEY of an SSH tunnel: {error}");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).with_hint(
            "Give the type and the key, as ssh-keyscan prints them behind the host's name: \
             ssh-ed25519 AAAA..",
        )
    })
}

/// Holds the server's key against the one that is wanted, if one is. Without one the server's key
/// is not checked: who stands behind it is for SSL MODE of the connection to say.
struct ServerKey {
    wanted: Option<PublicKey>,
    /// The fingerprint of a key that was refused.
    refused: Arc<Mutex<Option<String>>>,
}

impl client::Handler for ServerKey {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let shown = shown.public_key();
        let fits = self.wanted.as_ref().is_none_or(|wanted| wanted.key_data() == shown.key_data());
        if !fits {
            *self.refused.lock() = Some(shown.fingerprint(HashAlg::Sha256).to_string());
        }
        Ok(fits)
    }
}

impl SshTunnel {
    fn failed(&self, why: impl fmt::Display) -> SqlError {
        SqlError::new(
            SqlState::CONNECTION_FAILURE,
            format!(
                "connection to SSH server at \"{}\", port {} failed: {why}",
                self.host, self.port
            ),
        )
    }

    /// The line to the SSH server.
    async fn line(&self) -> Result<TcpStream, SqlError> {
        let addresses =
            tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(|error| {
                let message =
                    format!("could not translate host name \"{}\" of the SSH server", self.host);
                SqlError::new(SqlState::CONNECTION_EXCEPTION, message)
                    .with_detail(format!("The look-up says: {error}."))
                    .with_hint("Check HOST of the SSH tunnel's connection.")
            })?;
        let mut last = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(|error| self.failed(error))?;
                    return Ok(stream);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => self
                .failed("Connection refused")
                .with_hint("Is the SSH server running on that host and port?"),
            Some(error) => self.failed(error),
            None => self.failed("the name has no address"),
        })
    }

    async fn session(&self) -> Result<Handle<ServerKey>, SqlError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.session_unlimited()).await {
            Ok(session) => session,
            Err(_) => Err(self.failed("timeout expired").with_hint(
                "Check HOST and PORT of the SSH tunnel's connection, and that no firewall is in \
                 between.",
            )),
        }
    }

    async fn session_unlimited(&self) -> Result<Handle<ServerKey>, SqlError> {
        let wanted = self.host_key.as_deref().map(host_key).transpose()?;
        let mut config = client::Config {
            keepalive_interval: Some(KEEPALIVE),
            nodelay: true,
            ..client::Config::default()
        };
        if let Some(wanted) = &wanted {
            // A server with several keys is to show the one that is known.
            config.preferred.key = vec![wanted.algorithm()].into();
        }
        let refused = Arc::new(Mutex::new(None));
        let handler = ServerKey { wanted, refused: Arc::clone(&refused) };
        let line = self.line().await?;
        let connected = client::connect_stream(Arc::new(config), line, handler).await;
        let mut session = connected.map_err(|error| match (refused.lock().take(), error) {
            (Some(fingerprint), _) => self.other_server(&fingerprint),
            (None, russh::Error::NoCommonAlgo { .. }) if self.host_key.is_some() => self
                .failed("it has no key of the type of HOST KEY")
                .with_hint("Give another of its keys: ssh-keyscan prints them."),
            (None, error) => {
                self.failed(error).with_hint("Is it an SSH server that listens there?")
            }
        })?;
        for key in &self.keys {
            let key = PrivateKey::from_openssh(key)
                .map_err(|error| SqlError::internal(format!("SSH key: {error}")))?;
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
            let answer = session.authenticate_publickey(self.user.as_str(), key).await;
            if answer.map_err(|error| self.failed(error))?.success() {
                return Ok(session);
            }
        }
        Err(SqlError::new(
            SqlState::INVALID_AUTHORIZATION,
            format!(
                "the SSH server at \"{}\", port {} does not let user \"{}\" in",
                self.host, self.port, self.user
            ),
        )
        .with_hint(
            "Add the public keys in mz_ssh_tunnel_connections to the user's authorized_keys there, \
             and check USER of the SSH tunnel's connection.",
        ))
    }

    fn other_server(&self, fingerprint: &str) -> SqlError {
        SqlError::new(
            SqlState::CONNECTION_EXCEPTION,
            format!(
                "the SSH server at \"{}\", port {} does not have the HOST KEY of the connection",
                self.host, self.port
            ),
        )
        .with_detail(format!("It shows a key with fingerprint {fingerprint}."))
        .with_hint(
            "If the server was set up anew, give its new key with ALTER CONNECTION .. SET (HOST \
             KEY ..). If not, somebody may be listening in.",
        )
    }

    /// Checks that the SSH server lets us in.
    ///
    /// # Errors
    /// It cannot be reached, or does not know our keys.
    pub async fn validate(&self) -> Result<(), SqlError> {
        self.session().await.map(drop)
    }

    /// Opens a line to a server behind the SSH server.
    pub(crate) async fn open(&self, host: &str, port: u16) -> Result<TunnelStream, SqlError> {
        let session = self.session().await?;
        let channel = session.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0);
        let channel = channel.await.map_err(|error| {
            let server = &self.host;
            let failed = |what: String| SqlError::new(SqlState::CONNECTION_FAILURE, what);
            match error {
                russh::Error::ChannelOpenFailure(
                    ChannelOpenFailure::AdministrativelyProhibited,
                ) => failed(format!(
                    "the SSH server at \"{server}\" does not forward to \"{host}\", port {port}"
                ))
                .with_hint("Set AllowTcpForwarding and PermitOpen of the SSH server so that it does."),
                russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => {
                    failed(format!(
                        "the SSH server at \"{server}\" cannot reach \"{host}\", port {port}"
                    ))
                    .with_hint("Check HOST and PORT of the connection as the SSH server sees them.")
                }
                error => failed(format!(
                    "the SSH server at \"{server}\" gives no way to \"{host}\", port {port}: {error}"
                )),
            }
        })?;
        Ok(TunnelStream { stream: Box::pin(channel.into_stream()), _session: session })
    }
}

/// A line through a tunnel. The SSH session lives as long.
pub(crate) struct TunnelStream {
    stream: Pin<Box<russh::ChannelStream<client::Msg>>>,
    _session: Handle<ServerKey>,
}

impl AsyncRead for TunnelStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ed25519_and_read_back() {
        let pair = generate_keys("tidemill").unwrap();
        assert!(pair.public.starts_with("ssh-ed25519 "), "{}", pair.public);
        assert!(pair.public.ends_with(" tidemill"));
        let read = PrivateKey::from_openssh(&pair.private).unwrap();
        assert_eq!(read.public_key().to_openssh().unwrap(), pair.public);
        assert_ne!(generate_keys("tidemill").unwrap().public, pair.public);
    }
}
