//! Messages from clients: framing and decoding. Nothing here trusts a length.

use bytes::{Buf, BytesMut};
use tidemill_repr::{SqlError, SqlState};

/// The longest message.
pub const MAX_MESSAGE: usize = 256 << 20;

/// The longest message before a session is there, and of the kinds that hold no more than a name.
pub const MAX_STARTUP: usize = 10_000;

/// The newest minor version of protocol 3 that is spoken.
pub const NEWEST_MINOR: u16 = 2;

/// The longest key of a cancel request.
const MAX_CANCEL_KEY: usize = 256;

/// A request before the session starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartupRequest {
    /// TLS is asked for.
    Ssl,
    /// GSSAPI encryption is asked for.
    Gss,
    /// Cancel what another session runs.
    Cancel {
        /// The session's number.
        session: i32,
        /// The session's key: four bytes, or more from protocol 3.2 on.
        key: Vec<u8>,
    },
    /// Start a session.
    Startup {
        /// The minor version of protocol 3.
        minor: u16,
        /// Parameters as sent.
        parameters: Vec<(String, String)>,
    },
}

/// What a Describe or Close message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

/// A message of a session; it borrows from its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Run a text.
    Query(&'a str),
    /// Prepare a statement.
    Parse {
        /// The name, empty for the unnamed one.
        name: &'a str,
        /// The text.
        query: &'a str,
        /// Oids of parameters, 0 where not known.
        parameter_types: Vec<u32>,
    },
    /// Make a portal.
    Bind(Bind<'a>),
    /// Describe a statement or a portal.
    Describe(Target, &'a str),
    /// Run a portal.
    Execute {
        /// Its name.
        portal: &'a str,
        /// How many rows at most; 0 for all.
        max_rows: usize,
    },
    /// Forget a statement or a portal.
    Close(Target, &'a str),
    /// Send what there is.
    Flush,
    /// End of a packet of messages.
    Sync,
    /// End of the connection.
    Terminate,
    /// Left over from a COPY that failed: ignored.
    Copy,
    /// The first half of a function call, or a password nobody asked for.
    Unexpected(u8),
}

/// The content of a Bind message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal to make.
    pub portal: &'a str,
    /// The statement it runs.
    pub statement: &'a str,
    /// None, one for all, or one for each parameter; true is binary.
    pub parameter_formats: Vec<bool>,
    /// The values; None is NULL.
    pub parameters: Vec<Option<&'a [u8]>>,
    /// None, one for all, or one for each column; true is binary.
    pub result_formats: Vec<bool>,
}

/// A broken message.
fn violation(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

/// Takes a complete startup message from the front of the buffer. None if there is none yet.
///
/// # Errors
/// What is there is no startup message (`08P01`).
pub fn take_startup(input: &mut BytesMut) -> Result<Option<StartupRequest>, SqlError> {
    let Some(header) = input.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*header) as usize;
    if !(8..=MAX_STARTUP).contains(&length) {
        return Err(violation("invalid length of startup packet"));
    }
    if input.len() < length {
        return Ok(None);
    }
    let packet = input.split_to(length);
    let mut body = Body { bytes: &packet[4..] };
    let version = body.u32()?;
    let request = match (version >> 16, version & 0xffff) {
        (1234, 5678) => {
            let session = body.i32()?;
            let key = body.bytes.to_vec();
            if key.is_empty() || key.len() > MAX_CANCEL_KEY {
                return Err(violation("invalid length of cancel request packet"));
            }
            StartupRequest::Cancel { session, key }
        }
        (1234, 5679) => StartupRequest::Ssl,
        (1234, 5680) => StartupRequest::Gss,
        (3, minor) => {
            let mut parameters = Vec::new();
            loop {
                let name = body.string()?;
                if name.is_empty() {
                    break;
                }
                parameters.push((name.to_owned(), body.string()?.to_owned()));
            }
            body.end()?;
            // Sixteen bits by the mask above.
            StartupRequest::Startup { minor: minor as u16, parameters }
        }
        (major, minor) => {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!(
                    "unsupported frontend protocol {major}.{minor}: server supports 3.0 to \
                     3.{NEWEST_MINOR}"
                ),
            ));
        }
    };
    Ok(Some(request))
}

/// Takes a complete message from the front of the buffer: its type and its body. None if there
/// is none yet.
///
/// # Errors
/// The type or length cannot be (`08P01`); the stream is lost then.
pub fn take_message(input: &mut BytesMut) -> Result<Option<(u8, BytesMut)>, SqlError> {
    let Some(&kind) = input.first() else { return Ok(None) };
    if !b"QPBDECHSXdcfFp".contains(&kind) {
        return Err(violation(format!("invalid frontend message type {kind}")));
    }
    let Some(header) = input.get(1..5) else { return Ok(None) };
    let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
    let most = if b"QPBFd".contains(&kind) { MAX_MESSAGE } else { MAX_STARTUP };
    if !(4..=most).contains(&length) {
        return Err(violation("invalid message length"));
    }
    if input.len() < length + 1 {
        return Ok(None);
    }
    input.advance(5);
    Ok(Some((kind, input.split_to(length - 4))))
}

/// The type of the first message in the buffer that does not only close something: how a
/// statement is run depends on what comes after it. None if it is not there yet.
pub fn peek_kind(input: &[u8]) -> Option<u8> {
    let mut rest = input;
    loop {
        let kind = *rest.first()?;
        let [a, b, c, d] = *rest.get(1..5)?.first_chunk::<4>()?;
        if kind != b'C' {
            return Some(kind);
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        rest = rest.get(length.checked_add(1)?..)?;
    }
}

/// Decodes a message's body.
///
/// # Errors
/// The body is not what its type says (`08P01`), or no UTF-8 (`22021`).
pub fn decode(kind: u8, bytes: &[u8]) -> Result<Message<'_>, SqlError> {
    let mut body = Body { bytes };
    let message = match kind {
        b'Q' => Message::Query(body.string()?),
        b'P' => {
            let name = body.string()?;
            let query = body.string()?;
            let parameter_types = body.list(Body::u32)?;
            Message::Parse { name, query, parameter_types }
        }
        b'B' => Message::Bind(Bind {
            portal: body.string()?,
            statement: body.string()?,
            parameter_formats: body.list(Body::format)?,
            parameters: body.list(Body::value)?,
            result_formats: body.list(Body::format)?,
        }),
        b'D' => {
            let target = body.target("DESCRIBE")?;
            Message::Describe(target, body.string()?)
        }
        b'C' => {
            let target = body.target("CLOSE")?;
            Message::Close(target, body.string()?)
        }
        b'E' => {
            let portal = body.string()?;
            // Zero and below mean all.
            let max_rows = usize::try_from(body.i32()?).unwrap_or(0);
            Message::Execute { portal, max_rows }
        }
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'X' => return Ok(Message::Terminate),
        b'd' | b'c' | b'f' => return Ok(Message::Copy),
        other => return Ok(Message::Unexpected(other)),
    };
    body.end()?;
    Ok(message)
}

/// What is left of a message's body.
struct Body<'a> {
    bytes: &'a [u8],
}

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], SqlError> {
        let (head, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or_else(|| violation("insufficient data left in message"))?;
        self.bytes = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SqlError> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| violation("insufficient data left in message"))
    }

    fn u16(&mut self) -> Result<u16, SqlError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, SqlError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn i32(&mut self) -> Result<i32, SqlError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn string(&mut self) -> Result<&'a str, SqlError> {
        let end = self
            .bytes
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| violation("invalid string in message"))?;
        let bytes = self.take(end)?;
        self.take(1)?;
        utf8(bytes)
    }

    /// A count and so many items. Memory grows by what is there, not by the count.
    fn list<T>(
        &mut self,
        item: impl Fn(&mut Body<'a>) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        let count = self.u16()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn format(&mut self) -> Result<bool, SqlError> {
        match self.u16()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unsupported format code: {other}"),
            )),
        }
    }

    fn value(&mut self) -> Result<Option<&'a [u8]>, SqlError> {
        let length = self.i32()?;
        if length == -1 {
            return Ok(None);
        }
        let length =
            usize::try_from(length).map_err(|_| violation("insufficient data left in message"))?;
        self.take(length).map(Some)
    }

    fn target(&mut self, message: &str) -> Result<Target, SqlError> {
        match self.array::<1>()?[0] {
            b'S' => Ok(Target::Statement),
            b'P' => Ok(Target::Portal),
            other => Err(violation(format!("invalid {message} message subtype {other}"))),
        }
    }

    fn end(&self) -> Result<(), SqlError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(violation("invalid message format")) }
    }
}

/// Bytes as text.
///
/// # Errors
/// They are no UTF-8 (`22021`), in PostgreSQL's words.
pub fn utf8(bytes: &[u8]) -> Result<&str, SqlError> {
    let (bad, start) = match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => return Ok(text),
        Ok(_) => (&[0_u8][..], 0),
        Err(error) => (bytes, error.valid_up_to()),
    };
    let shown: Vec<String> =
        bad[start..].iter().take(4).map(|byte| format!("0x{byte:02x}")).collect();
    Err(SqlError::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    #[test]
    fn a_message_waits_until_it_is_whole_and_ends_where_it_says() {
        let mut input = BytesMut::from(&b"Q\0\0\0\x0dSELECT 1\0S\0\0\0\x04"[..]);
        let whole = input.clone();
        let mut part = BytesMut::from(&whole[..9]);
        assert_eq!(take_message(&mut part).unwrap(), None);
        let (kind, body) = take_message(&mut input).unwrap().unwrap();
        assert_eq!(decode(kind, &body).unwrap(), Message::Query("SELECT 1"));
        let (kind, body) = take_message(&mut input).unwrap().unwrap();
        assert_eq!(decode(kind, &body).unwrap(), Message::Sync);
        assert!(input.is_empty());
    }

    #[test]
    fn lengths_and_counts_that_lie_are_errors() {
        for (kind, body) in [
            (b'Q', &b"no end"[..]),
            (b'B', b"\0\0\xff\xff"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"),
            (b'P', b"\0\0\0\x01"),
            (b'E', b"\0\0"),
            (b'D', b"Z\0"),
            (b'S', b"more"),
        ] {
            let error = decode(kind, body).unwrap_err();
            assert_eq!(error.code, SqlState::PROTOCOL_VIOLATION, "{kind} {body:?}");
        }
        for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"Q\0\0\0\x03", b"Q\x7f\xff\xff\xff"] {
            assert!(take_message(&mut BytesMut::from(bytes)).is_err());
        }
        // A name is short, whatever the length says.
        assert!(take_message(&mut BytesMut::from(&b"D\0\x01\0\0"[..])).is_err());
        assert!(take_message(&mut BytesMut::from(&b"Q\0\x01\0\0"[..])).unwrap().is_none());
        assert!(take_startup(&mut BytesMut::from(&b"GET / HTTP/1.1\r\n"[..])).is_err());
    }

    #[test]
    fn what_comes_after_closes_is_seen() {
        let close = b"C\0\0\0\x06S\0";
        assert_eq!(peek_kind(b""), None);
        assert_eq!(peek_kind(close), None);
        assert_eq!(peek_kind(&[&close[..], b"S\0\0\0\x04"].concat()), Some(b'S'));
        assert_eq!(peek_kind(b"S\0"), None);
        assert_eq!(peek_kind(b"C\xff\xff\xff\xff"), None);
    }

    #[test]
    fn cancel_keys_have_any_length() {
        let request = |length: usize| {
            let mut bytes = u32::try_from(12 + length).unwrap().to_be_bytes().to_vec();
            bytes.extend_from_slice(&80_877_102_u32.to_be_bytes());
            bytes.extend_from_slice(&7_i32.to_be_bytes());
            bytes.extend(vec![9; length]);
            take_startup(&mut BytesMut::from(&bytes[..]))
        };
        for length in [4, 32, 256] {
            let cancel = StartupRequest::Cancel { session: 7, key: vec![9; length] };
            assert_eq!(request(length).unwrap(), Some(cancel));
        }
        assert!(request(0).is_err() && request(257).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind: u8, body: Vec<u8>, stream in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(kind, &body);
            let _ = peek_kind(&stream);
            let mut input = BytesMut::from(&stream[..]);
            let _ = take_startup(&mut input);
            let mut framed = vec![b'B'];
            framed.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
            framed.extend_from_slice(&body);
            let mut input = BytesMut::from(&framed[..]);
            let taken = take_message(&mut input).unwrap();
            prop_assert!(taken.is_some_and(|(_, taken)| taken[..] == body[..]));
            let mut input = BytesMut::from(&stream[..]);
            while let Ok(Some((kind, body))) = take_message(&mut input) {
                let _ = decode(kind, &body);
            }
        }
    }
}
