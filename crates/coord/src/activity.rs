//! Who is connected, what each session does, and the log of what they did.
//!
//! Nothing is reported while statements run: a session notes what it does on its own
//! [`Backend`], and relations such as `pg_stat_activity` look when they are read ([`crate::live`]).

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tidemill_repr::{ObjectId, SqlError};

use crate::clock::wall_timestamp;
use crate::response::Response;
use crate::session::{CancelHandle, Session, TransactionStatus};

/// How many statements, and how many sessions, are remembered.
const KEPT: usize = 2048;

/// How many characters of a statement are shown, as PostgreSQL's `track_activity_query_size`.
const SHOWN: usize = 1024;

/// How many statements a second are remembered; others are only counted.
const STATEMENTS_A_SECOND: u64 = 200;

/// Ends a session's connection.
pub type Terminate = Arc<dyn Fn() + Send + Sync>;

/// The sessions that are connected, and what was done by them and others before.
#[derive(Default)]
pub struct Activity {
    backends: Mutex<BTreeMap<i32, Arc<Backend>>>,
    log: Mutex<Log>,
    /// The second of the log, in the upper half, and how many statements it has had.
    rate: AtomicU64,
    throttled: AtomicU64,
    subscriptions: Mutex<BTreeMap<ObjectId, ListedSubscription>>,
}

#[derive(Default)]
struct Log {
    statements: VecDeque<Arc<LoggedStatement>>,
    sessions: VecDeque<Arc<Backend>>,
}

/// A running SUBSCRIBE.
#[derive(Clone)]
pub struct ListedSubscription {
    /// Whose it is.
    pub session: [u8; 16],
    /// Where it runs.
    pub cluster: String,
    /// When it began.
    pub created_at: i64,
    /// The base collections that it follows.
    pub bases: Vec<ObjectId>,
}

/// What a session does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doing {
    /// Nothing, outside a transaction block.
    #[default]
    Idle,
    /// It runs a statement.
    Active,
    /// Nothing, in a transaction block.
    InTransaction,
    /// Nothing, in a transaction block that failed.
    Failed,
}

impl Doing {
    /// As `pg_stat_activity.state` shows it.
    pub fn word(self) -> &'static str {
        match self {
            Doing::Idle => "idle",
            Doing::Active => "active",
            Doing::InTransaction => "idle in transaction",
            Doing::Failed => "idle in transaction (aborted)",
        }
    }
}

/// One session, as others see it.
pub struct Backend {
    /// `pg_backend_pid()`
    pub pid: i32,
    /// An identity that no other session has, ever.
    pub session: [u8; 16],
    /// The user that connected.
    pub user: String,
    /// Its database.
    pub database: String,
    /// Where the client is, if that is known.
    pub client: Option<SocketAddr>,
    /// Where it is connected to.
    pub server: Option<SocketAddr>,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// When it connected.
    pub connected_at: i64,
    /// `application_name` when it connected.
    pub first_application: String,
    cancel: CancelHandle,
    terminate: Option<Terminate>,
    now: Mutex<Now>,
}

/// What changes from statement to statement.
#[derive(Clone, Default)]
pub struct Now {
    /// What it does.
    pub doing: Doing,
    /// `application_name`
    pub application: String,
    /// The last statement, as [`shown_text`] shows it.
    pub query: String,
    /// When that began.
    pub statement_at: Option<i64>,
    /// When the transaction began, if there is one.
    pub transaction_at: Option<i64>,
    /// When it began to do what it does.
    pub changed_at: i64,
}

/// A statement that is over.
pub struct LoggedStatement {
    /// An identity of this execution.
    pub id: [u8; 16],
    /// Who ran it.
    pub backend: Arc<Backend>,
    /// What it was, as [`shown_text`] shows it.
    pub query: String,
    /// Settings that it ran with.
    pub application: String,
    /// `cluster`
    pub cluster: String,
    /// `search_path`
    pub search_path: Vec<String>,
    /// When it began.
    pub began_at: i64,
    /// When it was answered, or began to answer.
    pub finished_at: i64,
    /// Why it failed.
    pub error: Option<String>,
    /// How many rows it gave, if it gave rows all at once.
    pub rows: Option<u64>,
    /// Statements before it that are not in the log.
    pub throttled: u64,
}

/// Sixteen random bytes, marked as a random UUID.
pub(crate) fn random_uuid() -> [u8; 16] {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

impl Backend {
    pub(crate) fn new(
        (pid, user, database): (i32, &str, &str),
        (client, server, encrypted): (Option<SocketAddr>, Option<SocketAddr>, bool),
        application: &str,
        cancel: CancelHandle,
        terminate: Option<Terminate>,
    ) -> Backend {
        let connected_at = wall_timestamp();
        let now =
            Now { application: application.to_owned(), changed_at: connected_at, ..Now::default() };
        Backend {
            pid,
            session: random_uuid(),
            user: user.to_owned(),
            database: database.to_owned(),
            client,
            server,
            encrypted,
            connected_at,
            first_application: application.to_owned(),
            cancel,
            terminate,
            now: Mutex::new(now),
        }
    }

    /// What it does now.
    pub fn now(&self) -> Now {
        self.now.lock().clone()
    }

    /// A statement begins; gives when.
    pub(crate) fn begin(&self, text: &str, application: &str, in_block: bool) -> i64 {
        let at = wall_timestamp();
        let mut now = self.now.lock();
        if now.application != application {
            application.clone_into(&mut now.application);
        }
        now.query.clear();
        now.query.push_str(&shown_text(text));
        now.statement_at = Some(at);
        if !in_block || now.transaction_at.is_none() {
            now.transaction_at = Some(at);
        }
        now.doing = Doing::Active;
        now.changed_at = at;
        at
    }

    /// It waits for its client.
    pub(crate) fn wait(&self, doing: Doing) {
        let mut now = self.now.lock();
        if now.doing != doing {
            now.doing = doing;
            now.changed_at = wall_timestamp();
        }
        if doing == Doing::Idle {
            now.transaction_at = None;
        }
    }

    /// Cancels what it runs.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel_now();
    }

    /// Cancels what it runs, if the key is right.
    pub(crate) fn cancel_with(&self, key: &[u8]) {
        self.cancel.cancel(key);
    }

    /// Ends its connection. One that serves a single request ends with what it runs.
    pub(crate) fn terminate(&self) {
        match &self.terminate {
            Some(terminate) => terminate(),
            None => self.cancel(),
        }
    }
}

impl Activity {
    /// A session is there.
    pub(crate) fn enter(&self, backend: &Arc<Backend>) {
        self.backends.lock().insert(backend.pid, Arc::clone(backend));
        let mut log = self.log.lock();
        log.sessions.push_back(Arc::clone(backend));
        if log.sessions.len() > KEPT {
            log.sessions.pop_front();
        }
    }

    /// A session is gone.
    pub(crate) fn leave(&self, pid: i32) {
        self.backends.lock().remove(&pid);
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.backends.lock().len()
    }

    /// A session by its number.
    pub fn backend(&self, pid: i32) -> Option<Arc<Backend>> {
        self.backends.lock().get(&pid).cloned()
    }

    /// All sessions.
    pub fn backends(&self) -> Vec<Arc<Backend>> {
        self.backends.lock().values().cloned().collect()
    }

    /// The last sessions, those that are gone among them.
    pub fn session_history(&self) -> Vec<Arc<Backend>> {
        self.log.lock().sessions.iter().cloned().collect()
    }

    /// The last statements.
    pub fn statements(&self) -> Vec<Arc<LoggedStatement>> {
        self.log.lock().statements.iter().cloned().collect()
    }

    /// Whether one more statement may be logged now; if so, how many were not before it.
    pub(crate) fn admit(&self, at: i64) -> Option<u64> {
        let second = u64::try_from(at / 1_000_000).unwrap_or(0) & 0xffff_ffff;
        let step = |rate: u64| {
            let (of, count) = (rate >> 32, rate & 0xffff_ffff);
            match (of == second, count < STATEMENTS_A_SECOND) {
                (false, _) => Some(second << 32 | 1),
                (true, true) => Some(rate + 1),
                (true, false) => None,
            }
        };
        if self.rate.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok() {
            return Some(self.throttled.swap(0, Ordering::Relaxed));
        }
        self.throttled.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// A statement is over.
    pub(crate) fn log(&self, statement: LoggedStatement) {
        let mut log = self.log.lock();
        log.statements.push_back(Arc::new(statement));
        if log.statements.len() > KEPT {
            log.statements.pop_front();
        }
    }

    /// A SUBSCRIBE runs.
    pub(crate) fn subscribe(&self, id: ObjectId, subscription: ListedSubscription) {
        self.subscriptions.lock().insert(id, subscription);
    }

    /// A SUBSCRIBE is over.
    pub(crate) fn unsubscribe(&self, id: ObjectId) {
        self.subscriptions.lock().remove(&id);
    }

    /// The SUBSCRIBEs that run.
    pub fn subscriptions(&self) -> Vec<(ObjectId, ListedSubscription)> {
        let subscriptions = self.subscriptions.lock();
        subscriptions.iter().map(|(id, listed)| (*id, listed.clone())).collect()
    }
}

impl Session {
    /// The statement is answered: the session waits for its client.
    pub fn wait_for_client(&self) {
        self.backend.wait(match self.transaction_status() {
            TransactionStatus::Idle => Doing::Idle,
            TransactionStatus::InTransaction => Doing::InTransaction,
            TransactionStatus::Failed => Doing::Failed,
        });
    }

    /// Puts a statement that is over into the log, unless there are too many.
    pub(crate) fn log(&self, began_at: i64, result: &Result<Response, SqlError>) {
        let finished_at = wall_timestamp();
        let Some(throttled) = self.shared.activity.admit(finished_at) else { return };
        let now = self.backend.now();
        self.shared.activity.log(LoggedStatement {
            id: random_uuid(),
            backend: Arc::clone(&self.backend),
            query: now.query,
            application: now.application,
            cluster: self.cluster().to_owned(),
            search_path: self.settings.search_path(),
            began_at,
            finished_at,
            error: result.as_ref().err().map(|error| error.message.clone()),
            rows: match result {
                Ok(Response::Rows(rows)) => rows.count(),
                _ => None,
            },
            throttled,
        });
    }
}

/// The text of a statement as others may see it: its beginning, without what may be a secret.
pub fn shown_text(text: &str) -> Cow<'_, str> {
    let first = text.split_whitespace().next().unwrap_or_default();
    let defines = ["create", "alter"].iter().any(|known| first.eq_ignore_ascii_case(known));
    if defines && ["secret", "password", "connection"].iter().any(|word| has_word(text, word)) {
        let end = text.find(['\'', '$']).unwrap_or(text.len());
        if end < text.len() {
            return Cow::Owned(format!("{}'<REDACTED>'", shortened(&text[..end])));
        }
    }
    Cow::Borrowed(shortened(text))
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|part| part.eq_ignore_ascii_case(word))
}

/// The beginning of a text.
fn shortened(text: &str) -> &str {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (text, shown) in [
            ("CREATE SECRET s AS 'x'", "CREATE SECRET s AS '<REDACTED>'"),
            ("alter role r\npassword $$x$$", "alter role r\npassword '<REDACTED>'"),
            ("SELECT 'secret'", "SELECT 'secret'"),
            ("CREATE TABLE secret (a int)", "CREATE TABLE secret (a int)"),
        ] {
            assert_eq!(shown_text(text), shown);
        }
    }

    #[test]
    fn the_log_takes_so_many_a_second() {
        let activity = Activity::default();
        let admitted = (0..300).filter(|_| activity.admit(5_000_000).is_some()).count();
        assert_eq!(u64::try_from(admitted).unwrap(), STATEMENTS_A_SECOND);
        assert_eq!(activity.admit(6_000_000), Some(100));
    }
}
