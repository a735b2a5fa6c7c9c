//! SSH tunnels: an upstream in a private network is reached through an SSH server that stands in
//! front of it. What goes through them is not there yet: they are refused by name.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidemill_repr::SqlError;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

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

fn unsupported() -> SqlError {
    SqlError::unsupported("SSH TUNNEL")
}

/// A new pair of keys.
///
/// # Errors
/// Always: there are no tunnels yet.
pub fn generate_keys(_: &str) -> Result<KeyPair, SqlError> {
    Err(unsupported())
}

impl SshTunnel {
    /// Checks that the SSH server lets us in.
    ///
    /// # Errors
    /// Always: there are no tunnels yet.
    pub async fn validate(&self) -> Result<(), SqlError> {
        Err(unsupported())
    }

    /// Opens a line to a server behind the SSH server.
    pub(crate) async fn open(&self, _: &str, _: u16) -> Result<DuplexStream, SqlError> {
        Err(unsupported())
    }
}
