//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side: a password is checked against a
//! verifier and never seen.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The name of the mechanism.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// Why a client was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// What it sent is no message of the protocol.
    Malformed,
    /// It does not know the password.
    Wrong,
}

/// What a password is checked with.
struct Verifier {
    iterations: u32,
    salt: String,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$iterations:salt$stored:server`.
    fn parse(text: &str) -> Option<Verifier> {
        let (first, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = first.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        STANDARD.decode(salt).ok()?;
        Some(Verifier {
            iterations: iterations.parse().ok()?,
            salt: salt.to_owned(),
            stored_key: STANDARD.decode(stored).ok().filter(|key| key.len() == 32)?,
            server_key: STANDARD.decode(server).ok().filter(|key| key.len() == 32)?,
        })
    }

    /// One that no password fits, the same for a name each time: whether there is a role cannot
    /// be told from what the server says.
    fn unknown(user: &str, secret: &[u8]) -> Verifier {
        let seed = mac(secret, user.as_bytes());
        Verifier {
            iterations: 4096,
            salt: STANDARD.encode(seed.get(..16).unwrap_or_default()),
            stored_key: mac(&seed, b"stored"),
            server_key: mac(&seed, b"server"),
        }
    }
}

/// Whether a password that came in plain text is right.
pub fn is_password(user: &str, verifier: Option<&str>, password: &str, secret: &[u8]) -> bool {
    let known = verifier.and_then(Verifier::parse);
    let found = known.is_some();
    let verifier = known.unwrap_or_else(|| Verifier::unknown(user, secret));
    let mut salt = STANDARD.decode(&verifier.salt).unwrap_or_default();
    salt.extend_from_slice(&1_u32.to_be_bytes());
    let mut block = mac(password.as_bytes(), &salt);
    let mut salted = block.clone();
    for _ in 1..verifier.iterations {
        block = mac(password.as_bytes(), &block);
        salted.iter_mut().zip(&block).for_each(|(all, byte)| *all ^= byte);
    }
    let stored = Sha256::digest(mac(&salted, b"Client Key"));
    bool::from(stored.as_slice().ct_eq(&verifier.stored_key)) && found
}

/// An exchange with one client.
pub struct Exchange {
    verifier: Verifier,
    known: bool,
    /// The client's first message without its header, and the server's.
    messages: Option<(String, String)>,
    nonce: String,
    header: String,
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        }
        Err(_) => Vec::new(),
    }
}

impl Exchange {
    /// Begins one. `verifier` is None where there is no such role or it has no password; `secret`
    /// is the server's own.
    pub fn new(user: &str, verifier: Option<&str>, secret: &[u8]) -> Exchange {
        let known = verifier.and_then(Verifier::parse);
        let bytes: [u8; 18] = rand::random();
        Exchange {
            known: known.is_some(),
            verifier: known.unwrap_or_else(|| Verifier::unknown(user, secret)),
            messages: None,
            nonce: STANDARD.encode(bytes),
            header: String::new(),
        }
    }

    /// The answer to the client's first message.
    ///
    /// # Errors
    /// The message is malformed.
    pub fn first(&mut self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        let text = std::str::from_utf8(message).map_err(|_| Refused::Malformed)?;
        // `n,,` or `y,,`: no channel binding, no other identity.
        let header = ["n,,", "y,,"].into_iter().find(|header| text.starts_with(header));
        let header = header.ok_or(Refused::Malformed)?;
        let bare = text.get(header.len()..).ok_or(Refused::Malformed)?;
        let mut parts = bare.split(',');
        let name = parts.next().is_some_and(|part| part.starts_with("n="));
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        let nonce = nonce.filter(|nonce| name && !nonce.is_empty()).ok_or(Refused::Malformed)?;
        self.nonce = format!("{nonce}{}", self.nonce);
        header.clone_into(&mut self.header);
        let answer =
            format!("r={},s={},i={}", self.nonce, self.verifier.salt, self.verifier.iterations);
        self.messages = Some((bare.to_owned(), answer.clone()));
        Ok(answer.into_bytes())
    }

    /// The answer to the client's last message: it knows the password.
    ///
    /// # Errors
    /// It does not, or the message is malformed.
    pub fn last(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        let text = std::str::from_utf8(message).map_err(|_| Refused::Malformed)?;
        let (first, server_first) = self.messages.as_ref().ok_or(Refused::Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Refused::Malformed)?;
        let proof = STANDARD.decode(proof).map_err(|_| Refused::Malformed)?;
        let expected = format!("c={},r={}", STANDARD.encode(&self.header), self.nonce);
        if without_proof != expected || proof.len() != 32 {
            return Err(Refused::Malformed);
        }
        let signed = format!("{first},{server_first},{without_proof}");
        let signature = mac(&self.verifier.stored_key, signed.as_bytes());
        let key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let right = Sha256::digest(&key).as_slice().ct_eq(&self.verifier.stored_key);
        if !(bool::from(right) && self.known) {
            return Err(Refused::Wrong);
        }
        let answer = mac(&self.verifier.server_key, signed.as_bytes());
        Ok(format!("v={}", STANDARD.encode(answer)).into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

    use super::*;

    fn try_password(verifier: Option<&str>, password: &[u8]) -> Result<(), Refused> {
        let mut client = ScramSha256::new(password, ChannelBinding::unsupported());
        let mut server = Exchange::new("joe", verifier, b"secret");
        let first = server.first(client.message())?;
        client.update(&first).unwrap();
        let last = server.last(client.message())?;
        client.finish(&last).unwrap();
        Ok(())
    }

    #[test]
    fn only_the_password_fits() {
        let verifier = postgres_protocol::password::scram_sha_256(b"right");
        assert_eq!(try_password(Some(&verifier), b"right"), Ok(()));
        assert_eq!(try_password(Some(&verifier), b"wrong"), Err(Refused::Wrong));
        assert_eq!(try_password(None, b"right"), Err(Refused::Wrong));
    }

    #[test]
    fn a_password_in_plain_text_is_checked() {
        let verifier = postgres_protocol::password::scram_sha_256(b"right");
        assert!(is_password("joe", Some(&verifier), "right", b"secret"));
        assert!(!is_password("joe", Some(&verifier), "wrong", b"secret"));
        assert!(!is_password("joe", None, "right", b"secret"));
    }

    #[test]
    fn an_unknown_role_always_looks_the_same() {
        let one = Verifier::unknown("joe", b"secret");
        assert_eq!(one.salt, Verifier::unknown("joe", b"secret").salt);
        assert_ne!(one.salt, Verifier::unknown("ann", b"secret").salt);
    }

    #[test]
    fn garbage_is_refused() {
        for first in ["", "p=tls,,n=,r=x", "n,,r=x", "n,,n=,r="] {
            let mut server = Exchange::new("joe", None, b"secret");
            assert_eq!(server.first(first.as_bytes()), Err(Refused::Malformed));
        }
        let mut server = Exchange::new("joe", None, b"secret");
        assert_eq!(server.last(b"c=biws,r=x,p=AAAA"), Err(Refused::Malformed));
        server.first(b"n,,n=,r=abc").unwrap();
        assert_eq!(server.last(b"c=biws,r=abc,p=AAAA"), Err(Refused::Malformed));
    }
}
