//! Secrets are sealed before they reach the ledger.
//!
//! A sealed secret is a nonce (12 random bytes) and ChaCha20-Poly1305's ciphertext with its tag.
//! The key (32 random bytes) lies in the file `secret.key` of the data directory, readable by its
//! owner only: who has the segments or a backup of them, but not this file, has no secret.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};

use crate::error::LedgerError;

const KEY_FILE: &str = "secret.key";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// Seals and opens secrets with the key of one data directory.
#[derive(Clone)]
pub struct SecretBox {
    cipher: ChaCha20Poly1305,
}

impl fmt::Debug for SecretBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBox")
    }
}

impl SecretBox {
    /// Reads the directory's key, or makes one.
    ///
    /// # Errors
    /// The key file cannot be read or written, or is no key.
    pub fn open(directory: &Path) -> Result<SecretBox, LedgerError> {
        let path = directory.join(KEY_FILE);
        let key = match fs::read(&path) {
            Ok(key) => key,
            Err(error) if error.kind() == ErrorKind::NotFound => create_key(directory, &path)?,
            Err(error) => return Err(LedgerError::io("read file", &path, error)),
        };
        if key.len() != KEY_BYTES {
            return Err(LedgerError::corrupted(&path, 0, "a key has 32 bytes"));
        }
        Ok(SecretBox { cipher: ChaCha20Poly1305::new(Key::from_slice(&key)) })
    }

    /// Seals a secret.
    ///
    /// # Errors
    /// The secret is too long for the cipher (256 GiB).
    pub fn encrypt(&self, secret: &[u8]) -> Result<Vec<u8>, LedgerError> {
        let nonce = ChaCha20Poly1305::generate_nonce(&mut OsRng);
        let sealed = self.cipher.encrypt(&nonce, secret).map_err(|_| LedgerError::Secret)?;
        let mut out = nonce.to_vec();
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// Opens what [`SecretBox::encrypt`] gave.
    ///
    /// # Errors
    /// The bytes were changed, or sealed with another key.
    pub fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, LedgerError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(LedgerError::Secret)?;
        self.cipher.decrypt(Nonce::from_slice(nonce), sealed).map_err(|_| LedgerError::Secret)
    }
}

/// Makes a key and gets it to disk under its name only when it is whole.
fn create_key(directory: &Path, path: &Path) -> Result<Vec<u8>, LedgerError> {
    let key = ChaCha20Poly1305::generate_key(&mut OsRng).to_vec();
    let temporary = directory.join("secret.key.new");
    let failed = |error| LedgerError::io("write file", path, error);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(failed)?;
    file.write_all(&key).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn seals_and_opens() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = SecretBox::open(directory.path()).unwrap();
        let sealed = secrets.encrypt(b"swordfish").unwrap();
        assert!(!sealed.windows(9).any(|window| window == b"swordfish"));
        assert_ne!(sealed, secrets.encrypt(b"swordfish").unwrap());
        let again = SecretBox::open(directory.path()).unwrap();
        assert_eq!(again.decrypt(&sealed).unwrap(), b"swordfish");
        let mode = fs::metadata(directory.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn refuses_what_was_changed() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = SecretBox::open(directory.path()).unwrap();
        let mut sealed = secrets.encrypt(b"swordfish").unwrap();
        sealed[NONCE_BYTES] ^= 1;
        assert!(secrets.decrypt(&sealed).is_err());
        assert!(secrets.decrypt(b"short").is_err());
        let other = tempfile::tempdir().unwrap();
        let stranger = SecretBox::open(other.path()).unwrap();
        assert!(stranger.decrypt(&secrets.encrypt(b"swordfish").unwrap()).is_err());
    }
}
