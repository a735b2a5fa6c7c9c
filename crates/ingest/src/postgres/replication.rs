//! A replication session: create slots, start the stream, read it, confirm what is durable.
//!
//! Framing and the messages inside `CopyData` are those of `pgwire_replication::protocol`. Its
//! client is not used, for these reasons: it always asks for `messages 'true'`, which servers
//! before version 14 refuse; it bounds what it buffers by events, not bytes; it takes
//! certificates as files only; and it puts a second task and a channel between the socket and
//! the changes. Here the reader of the socket is the consumer, and a small task of its own
//! answers keepalives, so that a consumer that waits (back pressure) keeps its session.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use pgwire_replication::PgWireError;
use pgwire_replication::protocol::framing::{
    MessageReader, write_copy_data, write_password_message, write_query, write_startup_message,
};
use pgwire_replication::protocol::messages::ErrorFields;
use pgwire_replication::protocol::replication::{
    PG_EPOCH_MICROS, ReplicationCopyData, encode_standby_status_update, parse_copy_data,
};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use tidemill_repr::{Lsn, SqlError, SqlState};
use tokio::io::{BufReader, ReadHalf, WriteHalf};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::connection::{Line, PostgresConnection};
use super::describe::always_quote;
use crate::ssh::Duplex;

type Reader = BufReader<ReadHalf<Box<dyn Duplex>>>;
type Writer = WriteHalf<Box<dyn Duplex>>;

const READ_BUFFER_BYTES: usize = 256 * 1024;
/// How often the server hears from us when nothing changes.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);
/// How long between two confirmations when much changes.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(100);
/// Each status asks for an answer; a line that says nothing for so long is dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(45);

/// How long a server may take for what takes a moment.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A session that takes replication commands.
pub(crate) struct ReplicationSession {
    reader: Reader,
    writer: Writer,
    messages: MessageReader,
    /// The server's process.
    process: Option<i32>,
    /// What SCRAM binds itself to.
    binding: Option<Vec<u8>>,
}

/// How a stream comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamOptions {
    /// Values in binary.
    pub(crate) binary: bool,
    /// Large transactions before they commit.
    pub(crate) streaming: bool,
}

/// The answer of `IDENTIFY_SYSTEM`.
pub(crate) struct SystemIdentity {
    pub(crate) system_identifier: String,
    pub(crate) timeline: u32,
}

/// The answer of `CREATE_REPLICATION_SLOT`.
pub(crate) struct CreatedSlot {
    /// Transactions committed up to here are in the snapshot, later ones in the stream.
    pub(crate) consistent_point: Lsn,
    /// The exported snapshot; it can be taken over until this session's next command.
    pub(crate) snapshot: Option<String>,
}

/// Whether a slot goes away with its session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotLife {
    /// It stays until it is dropped; no snapshot is exported.
    Permanent,
    /// It ends with the session, and exports its snapshot.
    Session,
}

fn wire_error(error: PgWireError) -> SqlError {
    SqlError::new(SqlState::CONNECTION_FAILURE, format!("upstream connection: {error}"))
}

fn protocol_error(what: &str) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, format!("upstream connection: {what}"))
}

fn server_error(payload: &[u8]) -> SqlError {
    let fields = ErrorFields::parse(payload);
    let code = SqlState::from_code(fields.code.as_deref().unwrap_or_default());
    let mut error = SqlError::new(code, fields.message.unwrap_or_default());
    error.detail = fields.detail;
    error.hint = fields.hint;
    error
}

impl ReplicationSession {
    /// Connects as a WAL receiver of the database.
    pub(crate) async fn connect(
        connection: &PostgresConnection,
    ) -> Result<ReplicationSession, SqlError> {
        let Line { stream, binding } = connection.open().await?;
        let (reader, writer) = tokio::io::split(stream);
        let reader = BufReader::with_capacity(READ_BUFFER_BYTES, reader);
        let messages = MessageReader::new();
        let mut session = ReplicationSession { reader, writer, messages, process: None, binding };
        let started = match timeout(ANSWER_LIMIT, session.start_up(connection)).await {
            Ok(started) => started,
            Err(_) => Err(protocol_error("the server does not answer")),
        };
        started.map_err(|error| connection.explain(error))?;
        Ok(session)
    }

    async fn start_up(&mut self, connection: &PostgresConnection) -> Result<(), SqlError> {
        // Values that come as text must read the same whatever the server's defaults are.
        let parameters = [
            ("user", connection.user.as_str()),
            ("database", connection.database.as_str()),
            ("replication", "database"),
            ("client_encoding", "UTF8"),
            ("application_name", "tidemill"),
            ("DateStyle", "ISO, MDY"),
            ("IntervalStyle", "postgres"),
            ("TimeZone", "UTC"),
            ("extra_float_digits", "3"),
            ("bytea_output", "hex"),
        ];
        const PROTOCOL_3: i32 = 196_608;
        write_startup_message(&mut self.writer, PROTOCOL_3, &parameters)
            .await
            .map_err(wire_error)?;
        let password = connection.password.as_deref();
        loop {
            let message = self.read().await?;
            match message.0 {
                b'R' => self.authenticate(&connection.user, password, &message.1).await?,
                b'E' => return Err(server_error(&message.1)),
                b'K' => {
                    let process = message.1.split_first_chunk::<4>();
                    self.process = process.map(|(process, _)| i32::from_be_bytes(*process));
                }
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }

    /// The server's process that serves this session.
    pub(crate) fn process(&self) -> Option<i32> {
        self.process
    }

    async fn read(&mut self) -> Result<(u8, Bytes), SqlError> {
        let message = self.messages.read(&mut self.reader).await.map_err(wire_error)?;
        Ok((message.tag, message.payload))
    }

    async fn authenticate(
        &mut self,
        user: &str,
        password: Option<&str>,
        request: &[u8],
    ) -> Result<(), SqlError> {
        let (code, rest) =
            request.split_first_chunk::<4>().ok_or_else(|| protocol_error("bad Authentication"))?;
        let code = i32::from_be_bytes(*code);
        if code == 0 {
            return Ok(());
        }
        let password = password.ok_or_else(|| {
            SqlError::new(SqlState::INVALID_PASSWORD, "fe_sendauth: no password supplied")
                .with_hint("Give the connection a PASSWORD.")
        })?;
        match code {
            3 => self.send_password(&terminated(password)).await,
            5 => {
                let salt = rest.try_into().map_err(|_| protocol_error("bad MD5 salt"))?;
                let hash = md5_hash(user.as_bytes(), password.as_bytes(), salt);
                self.send_password(&terminated(&hash)).await
            }
            10 => self.authenticate_scram(password, rest).await,
            other => {
                Err(SqlError::unsupported(format!("the server's authentication method {other}")))
            }
        }
    }

    async fn send_password(&mut self, payload: &[u8]) -> Result<(), SqlError> {
        write_password_message(&mut self.writer, payload).await.map_err(wire_error)
    }

    async fn authenticate_scram(&mut self, password: &str, offered: &[u8]) -> Result<(), SqlError> {
        let offers =
            |wanted: &str| offered.split(|byte| *byte == 0).any(|name| name == wanted.as_bytes());
        let (mechanism, binding) = match self.binding.take() {
            Some(binding) if offers(SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(binding))
            }
            // Who took the other mechanism out of the offer is found out.
            Some(_) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            None => (SCRAM_SHA_256, ChannelBinding::unsupported()),
        };
        if !offers(mechanism) {
            return Err(protocol_error("the server offers no SCRAM-SHA-256"));
        }
        let mut scram = ScramSha256::new(password.as_bytes(), binding);
        let mut first = mechanism.as_bytes().to_vec();
        first.push(0);
        let length = u32::try_from(scram.message().len()).unwrap_or(u32::MAX);
        first.extend_from_slice(&length.to_be_bytes());
        first.extend_from_slice(scram.message());
        self.send_password(&first).await?;
        let challenge = self.read_sasl(11).await?;
        scram.update(&challenge).map_err(|error| protocol_error(&error.to_string()))?;
        self.send_password(scram.message()).await?;
        let outcome = self.read_sasl(12).await?;
        scram.finish(&outcome).map_err(|error| protocol_error(&error.to_string()))
    }

    async fn read_sasl(&mut self, expected: i32) -> Result<Bytes, SqlError> {
        let (tag, mut payload) = self.read().await?;
        match tag {
            b'E' => Err(server_error(&payload)),
            b'R' if payload.len() >= 4 && payload[..4] == expected.to_be_bytes() => {
                Ok(payload.split_off(4))
            }
            _ => Err(protocol_error("authentication went another way than SCRAM")),
        }
    }

    /// Runs one command; gives its rows as text. An error of the server leaves the session usable.
    pub(crate) async fn command(
        &mut self,
        sql: &str,
    ) -> Result<Vec<Vec<Option<String>>>, SqlError> {
        match timeout(ANSWER_LIMIT, self.long_command(sql)).await {
            Ok(answer) => answer,
            Err(_) => Err(protocol_error("the server does not answer")),
        }
    }

    /// The same, however long it takes.
    async fn long_command(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SqlError> {
        write_query(&mut self.writer, sql).await.map_err(wire_error)?;
        let mut rows = Vec::new();
        let mut error = None;
        loop {
            let (tag, payload) = self.read().await?;
            match tag {
                b'D' => {
                    rows.push(data_row(&payload).ok_or_else(|| protocol_error("bad DataRow"))?);
                }
                b'E' => error = Some(server_error(&payload)),
                b'Z' => return error.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    pub(crate) async fn identify_system(&mut self) -> Result<SystemIdentity, SqlError> {
        let rows = self.command("IDENTIFY_SYSTEM").await?;
        let bad = || protocol_error("bad answer to IDENTIFY_SYSTEM");
        let row = rows.first().ok_or_else(bad)?;
        let text = |index: usize| row.get(index).cloned().flatten().ok_or_else(bad);
        Ok(SystemIdentity {
            system_identifier: text(0)?,
            timeline: text(1)?.parse().map_err(|_| bad())?,
        })
    }

    /// `server_version_num`, such as 150004.
    pub(crate) async fn server_version(&mut self) -> Result<u32, SqlError> {
        let rows = self.command("SELECT current_setting('server_version_num')").await?;
        let version = rows.first().and_then(|row| row.first()).cloned().flatten();
        Ok(version.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Which timelines a timeline came from, and where each was left.
    pub(crate) async fn timeline_history(
        &mut self,
        timeline: u32,
    ) -> Result<Vec<(u32, Lsn)>, SqlError> {
        let rows = self.command(&format!("TIMELINE_HISTORY {timeline}")).await?;
        let content = rows.first().and_then(|row| row.get(1)).cloned().flatten();
        let content = content.ok_or_else(|| protocol_error("bad answer to TIMELINE_HISTORY"))?;
        let line = |line: &str| {
            let mut fields = line.split_whitespace();
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        Ok(content.lines().filter_map(line).collect())
    }

    /// Creates a slot. Waits until all transactions that are open upstream have ended.
    pub(crate) async fn create_slot(
        &mut self,
        name: &str,
        life: SlotLife,
    ) -> Result<CreatedSlot, SqlError> {
        let slot = always_quote(name);
        let sql = match life {
            // Its standbys keep the slot, too, if they are set up so.
            SlotLife::Permanent if self.server_version().await? >= 170_000 => {
                format!(
                    "CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput (SNAPSHOT 'nothing', FAILOVER)"
                )
            }
            SlotLife::Permanent => {
                format!("CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput NOEXPORT_SNAPSHOT")
            }
            SlotLife::Session => {
                format!("CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT")
            }
        };
        let rows = self.long_command(&sql).await?;
        let bad = || protocol_error("bad answer to CREATE_REPLICATION_SLOT");
        let row = rows.first().ok_or_else(bad)?;
        let point = row.get(1).cloned().flatten().ok_or_else(bad)?;
        Ok(CreatedSlot {
            consistent_point: point.parse().map_err(|_| bad())?,
            snapshot: row.get(2).cloned().flatten(),
        })
    }

    /// Starts the stream of a slot. Each transaction that ends after `position` comes whole;
    /// `durable` is what is confirmed.
    pub(crate) async fn stream(
        mut self,
        slot: &str,
        position: Lsn,
        publication: &str,
        options: StreamOptions,
        durable: watch::Receiver<Lsn>,
    ) -> Result<ReplicationStream, SqlError> {
        // The list of publications is parsed as identifiers inside a string.
        let names = always_quote(publication).replace('\'', "''");
        let binary = if options.binary { ", binary 'true'" } else { "" };
        let (version, streaming) =
            if options.streaming { (2, ", streaming 'on'") } else { (1, "") };
        let sql = format!(
            "START_REPLICATION SLOT {} LOGICAL {position} \
             (proto_version '{version}', publication_names '{names}'{binary}{streaming})",
            always_quote(slot),
        );
        write_query(&mut self.writer, &sql).await.map_err(wire_error)?;
        loop {
            let (tag, payload) = self.read().await?;
            match tag {
                b'W' => break,
                b'E' => return Err(server_error(&payload)),
                _ => {}
            }
        }
        let wanted = Arc::new(Notify::new());
        let feedback = tokio::spawn(confirm(self.writer, durable, Arc::clone(&wanted)));
        Ok(ReplicationStream {
            reader: self.reader,
            messages: self.messages,
            wanted,
            feedback,
            deadline: None,
        })
    }
}

fn terminated(text: &str) -> BytesMut {
    let mut bytes = BytesMut::from(text.as_bytes());
    bytes.extend_from_slice(&[0]);
    bytes
}

fn data_row(payload: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = payload.split_first_chunk::<2>()?;
    let mut row = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        match usize::try_from(i32::from_be_bytes(*length)) {
            Ok(length) => {
                let (value, after) = after.split_at_checked(length)?;
                row.push(Some(String::from_utf8_lossy(value).into_owned()));
                rest = after;
            }
            Err(_) => {
                row.push(None);
                rest = after;
            }
        }
    }
    Some(row)
}

/// What comes out of a stream.
#[derive(Debug)]
pub(crate) enum StreamMessage {
    /// A pgoutput message.
    Data(Bytes),
    /// All that was committed upstream before this position has been sent.
    KeepAlive {
        /// That position.
        wal_end: Lsn,
        /// Whether the server waits for an answer: it may be shutting down.
        urgent: bool,
    },
}

/// A running stream. Dropping it closes the connection.
pub(crate) struct ReplicationStream {
    reader: Reader,
    messages: MessageReader,
    wanted: Arc<Notify>,
    feedback: JoinHandle<()>,
    /// Until when the next message must come; None before it is waited for.
    deadline: Option<Instant>,
}

impl ReplicationStream {
    /// The next message. May be dropped and called again without losing anything.
    pub(crate) async fn next(&mut self) -> Result<StreamMessage, SqlError> {
        loop {
            let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + SILENCE_LIMIT);
            let read = self.messages.read(&mut self.reader);
            let message = match tokio::time::timeout_at(deadline, read).await {
                Ok(message) => message.map_err(wire_error)?,
                Err(_) => return Err(protocol_error("the server has fallen silent")),
            };
            self.deadline = None;
            match message.tag {
                b'd' => return self.copy_data(message.payload),
                b'E' => return Err(server_error(&message.payload)),
                b'c' => return Err(protocol_error("the server ended the stream")),
                _ => {}
            }
        }
    }

    fn copy_data(&self, payload: Bytes) -> Result<StreamMessage, SqlError> {
        match parse_copy_data(payload).map_err(wire_error)? {
            ReplicationCopyData::XLogData { data, .. } => Ok(StreamMessage::Data(data)),
            ReplicationCopyData::KeepAlive { wal_end, reply_requested, .. } => {
                if reply_requested {
                    self.wanted.notify_one();
                }
                Ok(StreamMessage::KeepAlive { wal_end: Lsn(wal_end.0), urgent: reply_requested })
            }
        }
    }

    /// Asks the server how far it is: a keepalive follows.
    pub(crate) fn ask_position(&self) {
        self.wanted.notify_one();
    }
}

impl Drop for ReplicationStream {
    fn drop(&mut self) {
        self.feedback.abort();
    }
}

/// Tells the server what is durable: when that changes, when it asks, and now and then.
async fn confirm(mut writer: Writer, mut durable: watch::Receiver<Lsn>, wanted: Arc<Notify>) {
    let mut open = true;
    loop {
        let confirmed = durable.borrow_and_update().0;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX) - PG_EPOCH_MICROS;
        let status =
            encode_standby_status_update(pgwire_replication::Lsn::from_u64(confirmed), now, true);
        if write_copy_data(&mut writer, &status).await.is_err() {
            // The reader meets the same end.
            return;
        }
        tokio::time::sleep(CONFIRM_INTERVAL).await;
        tokio::select! {
            changed = durable.changed(), if open => open = changed.is_ok(),
            () = wanted.notified() => {}
            () = tokio::time::sleep(STATUS_INTERVAL) => {}
        }
    }
}
