//! Reads the messages of the `pgoutput` plugin, protocol versions 1 and 2, without copying.
//!
//! ```text
//! B  Begin     final LSN (8)  commit time (8)  xid (4)
//! C  Commit    flags (1)  LSN (8)  end LSN (8)  commit time (8)
//! O  Origin    LSN (8)  name
//! R  Relation  oid (4)  schema  name  identity (1)  count (2)  [flags (1) name type (4) typmod (4)]
//! Y  Type      oid (4)  schema  name
//! I  Insert    oid (4)  N tuple
//! U  Update    oid (4)  [K tuple | O tuple]  N tuple
//! D  Delete    oid (4)  K tuple | O tuple
//! T  Truncate  count (4)  flags (1)  [oid (4)]
//! M  Message   flags (1)  LSN (8)  prefix  length (4)  content
//! S  Stream start   xid (4)  first (1)
//! E  Stream stop
//! c  Stream commit  xid (4)  flags (1)  LSN (8)  end LSN (8)  commit time (8)
//! A  Stream abort   xid (4)  subtransaction's xid (4)
//!
//! tuple        count (2)  [n | u | t length (4) bytes | b length (4) bytes]
//! ```
//!
//! Names end with a zero byte. Between stream start and stop the messages of tables have a
//! transaction's number after their first byte ([`split_streamed`]). The messages of two-phase
//! transactions (protocol 3) are not asked for, and refused.

use tidemill_repr::{Lsn, Oid};

/// Bytes that are no message of protocol version 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad replication message: {0}")]
pub struct DecodeError(pub &'static str);

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A transaction begins; it is sent after its commit.
    Begin {
        /// Where its commit record starts.
        final_lsn: Lsn,
        /// Microseconds since 2000.
        commit_time: i64,
        /// Its identifier upstream.
        xid: u32,
    },
    /// It ends.
    Commit {
        /// Where its commit record starts.
        commit_lsn: Lsn,
        /// Where its commit record ends.
        end_lsn: Lsn,
        /// Microseconds since 2000.
        commit_time: i64,
    },
    /// Where the transaction was made first.
    Origin {
        /// Its commit there.
        lsn: Lsn,
        /// The origin's name.
        name: &'a str,
    },
    /// What a table looks like, before the first change of it and after each change of its form.
    Relation(Relation),
    /// The name of a type that is not built in.
    Type {
        /// The type.
        oid: Oid,
        /// Its schema.
        schema: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// A row is there.
    Insert {
        /// The table.
        table: Oid,
        /// The row.
        new: Tuple<'a>,
    },
    /// A row is another.
    Update {
        /// The table.
        table: Oid,
        /// The row before, as far as it is known.
        old: Option<OldTuple<'a>>,
        /// The row now.
        new: Tuple<'a>,
    },
    /// A row is gone.
    Delete {
        /// The table.
        table: Oid,
        /// The row.
        old: OldTuple<'a>,
    },
    /// All rows are gone.
    Truncate {
        /// The tables.
        tables: Vec<Oid>,
    },
    /// Changes of a transaction that has not committed yet follow.
    StreamStart {
        /// The transaction.
        xid: u32,
    },
    /// They end for now.
    StreamStop,
    /// Such a transaction commits.
    StreamCommit {
        /// The transaction.
        xid: u32,
        /// Where its commit record starts.
        commit_lsn: Lsn,
        /// Where its commit record ends.
        end_lsn: Lsn,
    },
    /// Such a transaction, or part of it, is undone.
    StreamAbort {
        /// The transaction.
        xid: u32,
        /// The part; the same number for all of it.
        subtransaction: u32,
    },
    /// A message of `pg_logical_emit_message`.
    Message {
        /// Whether it belongs to the transaction.
        transactional: bool,
        /// Where it stands.
        lsn: Lsn,
        /// Whose it is.
        prefix: &'a str,
        /// What it says.
        content: &'a [u8],
    },
}

/// What a table looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The table.
    pub oid: Oid,
    /// Its schema; empty means `pg_catalog`.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `pg_class.relreplident`.
    pub replica_identity: u8,
    /// The columns that tuples have, in order.
    pub columns: Vec<RelationColumn>,
}

/// A column of a tuple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationColumn {
    /// Whether it belongs to the replica identity.
    pub key: bool,
    /// Its name.
    pub name: String,
    /// Its declared type.
    pub type_oid: Oid,
    /// Its modifier.
    pub typmod: i32,
}

/// What is known of a row before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldTuple<'a> {
    /// The columns of the replica identity; the others read as NULL.
    Key(Tuple<'a>),
    /// The whole row.
    Full(Tuple<'a>),
}

impl<'a> OldTuple<'a> {
    /// The values.
    pub fn tuple(&self) -> &Tuple<'a> {
        match self {
            OldTuple::Key(tuple) | OldTuple::Full(tuple) => tuple,
        }
    }
}

/// A row in a message; its form was checked when the message was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple<'a> {
    count: u16,
    bytes: &'a [u8],
}

/// A column's value in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TupleValue<'a> {
    /// NULL
    Null,
    /// A value stored out of line that the update did not touch; it is not sent.
    Unchanged,
    /// In the type's text format.
    Text(&'a [u8]),
    /// In the type's binary format.
    Binary(&'a [u8]),
}

impl<'a> Tuple<'a> {
    /// How many columns there are.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes in the message.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The values, in order.
    pub fn iter(&self) -> impl Iterator<Item = TupleValue<'a>> + use<'a> {
        let mut cursor = Cursor { bytes: self.bytes };
        (0..self.count).map_while(move |_| cursor.value().ok())
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
}

type Decoded<T> = Result<T, DecodeError>;

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Decoded<&'a [u8]> {
        let (head, rest) =
            self.bytes.split_at_checked(count).ok_or(DecodeError("it ends too early"))?;
        self.bytes = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (head, rest) =
            self.bytes.split_first_chunk::<N>().ok_or(DecodeError("it ends too early"))?;
        self.bytes = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Decoded<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Decoded<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Decoded<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn i32(&mut self) -> Decoded<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn i64(&mut self) -> Decoded<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn lsn(&mut self) -> Decoded<Lsn> {
        Ok(Lsn(u64::from_be_bytes(self.array()?)))
    }

    fn oid(&mut self) -> Decoded<Oid> {
        Ok(Oid(self.u32()?))
    }

    fn name(&mut self) -> Decoded<&'a str> {
        let end = self.bytes.iter().position(|byte| *byte == 0);
        let name = self.take(end.ok_or(DecodeError("a name has no end"))?)?;
        self.take(1)?;
        std::str::from_utf8(name).map_err(|_| DecodeError("a name is not UTF-8"))
    }

    fn block(&mut self) -> Decoded<&'a [u8]> {
        let length = usize::try_from(self.i32()?).map_err(|_| DecodeError("a negative length"))?;
        self.take(length)
    }

    fn value(&mut self) -> Decoded<TupleValue<'a>> {
        match self.u8()? {
            b'n' => Ok(TupleValue::Null),
            b'u' => Ok(TupleValue::Unchanged),
            b't' => Ok(TupleValue::Text(self.block()?)),
            b'b' => Ok(TupleValue::Binary(self.block()?)),
            _ => Err(DecodeError("an unknown kind of value")),
        }
    }

    fn tuple(&mut self) -> Decoded<Tuple<'a>> {
        let count = self.u16()?;
        let start = self.bytes;
        for _ in 0..count {
            self.value()?;
        }
        let bytes = &start[..start.len() - self.bytes.len()];
        Ok(Tuple { count, bytes })
    }

    fn old_tuple(&mut self, kind: u8) -> Decoded<OldTuple<'a>> {
        match kind {
            b'K' => Ok(OldTuple::Key(self.tuple()?)),
            b'O' => Ok(OldTuple::Full(self.tuple()?)),
            _ => Err(DecodeError("an unknown kind of tuple")),
        }
    }

    fn new_tuple(&mut self, kind: u8) -> Decoded<Tuple<'a>> {
        if kind == b'N' { self.tuple() } else { Err(DecodeError("an unknown kind of tuple")) }
    }

    fn relation(&mut self) -> Decoded<Relation> {
        let oid = self.oid()?;
        let schema = self.name()?.to_owned();
        let name = self.name()?.to_owned();
        let replica_identity = self.u8()?;
        let count = self.u16()?;
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(RelationColumn {
                key: self.u8()? & 1 == 1,
                name: self.name()?.to_owned(),
                type_oid: self.oid()?,
                typmod: self.i32()?,
            });
        }
        Ok(Relation { oid, schema, name, replica_identity, columns })
    }

    fn update(&mut self) -> Decoded<Message<'a>> {
        let table = self.oid()?;
        let kind = self.u8()?;
        if kind == b'N' {
            return Ok(Message::Update { table, old: None, new: self.tuple()? });
        }
        let old = Some(self.old_tuple(kind)?);
        let kind = self.u8()?;
        Ok(Message::Update { table, old, new: self.new_tuple(kind)? })
    }

    fn truncate(&mut self) -> Decoded<Message<'a>> {
        let count = self.u32()?;
        self.u8()?;
        let mut tables = Vec::new();
        for _ in 0..count {
            tables.push(self.oid()?);
        }
        Ok(Message::Truncate { tables })
    }

    fn message(&mut self) -> Decoded<Message<'a>> {
        match self.u8()? {
            b'B' => Ok(Message::Begin {
                final_lsn: self.lsn()?,
                commit_time: self.i64()?,
                xid: self.u32()?,
            }),
            b'C' => {
                self.u8()?;
                Ok(Message::Commit {
                    commit_lsn: self.lsn()?,
                    end_lsn: self.lsn()?,
                    commit_time: self.i64()?,
                })
            }
            b'O' => Ok(Message::Origin { lsn: self.lsn()?, name: self.name()? }),
            b'R' => Ok(Message::Relation(self.relation()?)),
            b'Y' => {
                Ok(Message::Type { oid: self.oid()?, schema: self.name()?, name: self.name()? })
            }
            b'I' => {
                let table = self.oid()?;
                let kind = self.u8()?;
                Ok(Message::Insert { table, new: self.new_tuple(kind)? })
            }
            b'U' => self.update(),
            b'D' => {
                let table = self.oid()?;
                let kind = self.u8()?;
                Ok(Message::Delete { table, old: self.old_tuple(kind)? })
            }
            b'T' => self.truncate(),
            b'S' => {
                let xid = self.u32()?;
                self.u8()?;
                Ok(Message::StreamStart { xid })
            }
            b'E' => Ok(Message::StreamStop),
            b'c' => {
                let xid = self.u32()?;
                self.u8()?;
                let (commit_lsn, end_lsn) = (self.lsn()?, self.lsn()?);
                self.i64()?;
                Ok(Message::StreamCommit { xid, commit_lsn, end_lsn })
            }
            b'A' => Ok(Message::StreamAbort { xid: self.u32()?, subtransaction: self.u32()? }),
            b'M' => Ok(Message::Message {
                transactional: self.u8()? & 1 == 1,
                lsn: self.lsn()?,
                prefix: self.name()?,
                content: self.block()?,
            }),
            _ => Err(DecodeError("an unknown kind of message")),
        }
    }
}

/// Whether a message begins, interrupts or undoes a transaction that is sent before it commits.
pub fn is_of_streaming(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'S' | b'E' | b'A'))
}

/// A message between stream start and stop: the transaction's number, and the message as it is
/// elsewhere. None for the stop itself.
pub fn split_streamed(bytes: &[u8]) -> Option<(u32, Vec<u8>)> {
    let (kind, rest) = bytes.split_first()?;
    if !matches!(kind, b'R' | b'Y' | b'I' | b'U' | b'D' | b'T' | b'M') {
        return None;
    }
    let (xid, rest) = rest.split_first_chunk::<4>()?;
    let mut message = Vec::with_capacity(1 + rest.len());
    message.push(*kind);
    message.extend_from_slice(rest);
    Some((u32::from_be_bytes(*xid), message))
}

/// Reads one message.
///
/// # Errors
/// The bytes are no message of protocol version 2, or there are bytes behind it.
pub fn decode(bytes: &[u8]) -> Result<Message<'_>, DecodeError> {
    let mut cursor = Cursor { bytes };
    let message = cursor.message()?;
    if cursor.bytes.is_empty() { Ok(message) } else { Err(DecodeError("it goes on too long")) }
}

#[cfg(test)]
mod tests;
