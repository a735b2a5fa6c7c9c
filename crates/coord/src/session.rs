//! A session: one client's settings, transaction, cursors, and the way from text to answers.
//!
//! ```text
//! parse ─▶ ParsedStatement ─▶ prepare ─▶ Prepared ─▶ execute ─▶ Response
//! ```
//!
//! Planning happens here, on the session's own task, against a snapshot of the catalog.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidemill_catalog::registered::Names;
use tidemill_repr::text::{OidNames, TextSettings};
use tidemill_repr::{ObjectId, Oid, RelationDesc, Row, ScalarType, SqlError, SqlState, Tick};
use tidemill_sql::{ParsedStatement, Plan};
use tokio::sync::Notify;

use crate::activity::{Backend, Terminate};
use crate::advisory::OwnState;
use crate::clock::wall_timestamp;
use crate::holds::Hold;
use crate::response::{Notice, Response, RowsResponse};
use crate::sequencer::Commit;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::statements;
use crate::statements::dml::sequence::NumbersTaken;
use crate::statements::temporary::Temporary;
use crate::statements::transaction::{Before, Savepoint};
use crate::statements::write::PendingWrites;

/// Who the client is.
#[derive(Clone, Default)]
pub struct SessionOptions {
    /// The user.
    pub user: String,
    /// The database.
    pub database: String,
    /// Settings given when it connected.
    pub settings: Vec<(String, String)>,
    /// Whether cancel requests must have a key of 32 bytes, and not of four.
    pub long_cancel_key: bool,
    /// Where the client is.
    pub client: Option<SocketAddr>,
    /// Where it is connected to.
    pub server: Option<SocketAddr>,
    /// Whether its connection is encrypted.
    pub encrypted: bool,
    /// Ends the connection.
    pub terminate: Option<Terminate>,
}

impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionOptions")
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// What ReadyForQuery tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// No transaction block.
    Idle,
    /// In a transaction block.
    InTransaction,
    /// In a transaction block that failed.
    Failed,
}

/// A statement that is planned and can be executed, more than once.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The statement; None for an empty text.
    pub(crate) statement: Option<Arc<ParsedStatement>>,
    /// The plan, and the catalog it was made on.
    pub(crate) plan: Option<Arc<Plan>>,
    pub(crate) planned_at: Tick,
    /// The settings it was planned with, the user among them.
    pub(crate) planned_with: u64,
    /// Types of its parameters.
    pub parameters: Vec<ScalarType>,
    /// The columns of its rows, if it gives rows.
    pub desc: Option<RelationDesc>,
    /// The plan of a read, made at the first execution.
    pub(crate) read: Arc<arc_swap::ArcSwapOption<crate::read::CachedRead>>,
}

impl Prepared {
    /// Whether the client speaks during it, or listens for ever.
    pub fn is_copy(&self) -> bool {
        matches!(self.plan.as_deref(), Some(Plan::CopyFrom(_) | Plan::Copy(_) | Plan::Subscribe(_)))
    }
}

/// A transaction block.
pub(crate) enum Transaction {
    /// None.
    Idle,
    /// One that goes on.
    Open(Box<OpenTransaction>),
    /// One that failed; it can go on from a savepoint.
    Failed(Box<OpenTransaction>),
}

/// The state of a transaction block.
#[derive(Default)]
pub(crate) struct OpenTransaction {
    /// The tick it reads at, held; set by the first read.
    pub read: Option<Hold>,
    /// The tables it read at that tick.
    pub tables_read: BTreeSet<ObjectId>,
    /// What it will write.
    pub writes: PendingWrites,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Whether it is the block around the statements of one simple query, not one of BEGIN.
    pub implicit: bool,
    /// Places to come back to, the last one last.
    pub savepoints: Vec<Savepoint>,
    /// What the session was like when it began.
    pub before: Option<Before>,
    /// When it began.
    pub began: Option<Instant>,
}

/// A cursor made by DECLARE.
pub(crate) struct Cursor {
    /// What is left of its rows.
    pub response: RowsResponse,
    /// Whether it outlives the transaction.
    pub hold: bool,
    /// Whether the transaction that declared it has committed.
    pub kept: bool,
}

/// Cancels what a session runs.
#[derive(Clone)]
pub struct CancelHandle {
    key: Vec<u8>,
    state: Arc<CancelState>,
}

#[derive(Default)]
struct CancelState {
    requested: AtomicBool,
    /// A commit is under way: whether it happens is not ours to say any more.
    committing: AtomicBool,
    notify: Notify,
}

impl CancelState {
    /// Waits while a commit is under way.
    async fn undecided(&self) {
        while self.committing.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl CancelHandle {
    /// Cancels, if the key is right.
    pub fn cancel(&self, key: &[u8]) {
        // Every byte is compared, so that the time it takes tells nothing.
        let different =
            self.key.iter().zip(key).fold(0, |all, (ours, theirs)| all | (ours ^ theirs));
        if self.key.len() == key.len() && different == 0 {
            self.cancel_now();
        }
    }

    /// Cancels.
    pub(crate) fn cancel_now(&self) {
        self.state.requested.store(true, Ordering::SeqCst);
        self.state.notify.notify_waiters();
    }
}

/// One client's session.
pub struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: i32,
    cancel_key: Vec<u8>,
    pub(crate) database: String,
    pub(crate) settings: Settings,
    pub(crate) transaction: Transaction,
    /// What the parts of a statement will write, while they are computed.
    pub(crate) deferred: Option<Vec<statements::Deferred>>,
    /// Objects that only this session has.
    pub(crate) temporary: Temporary,
    pub(crate) cursors: HashMap<String, Cursor>,
    /// Those of PREPARE and those of the protocol: they share their names.
    pub(crate) statements: BTreeMap<String, Arc<Prepared>>,
    /// Numbers that it took of sequences.
    pub(crate) numbers: NumbersTaken,
    /// Its transaction's number, and what its functions wait for.
    pub(crate) own: OwnState,
    /// Types of the parameters of the statement that runs, to plan it again.
    pub(crate) running_types: Vec<Option<ScalarType>>,
    commits: AtomicU64,
    notices: Vec<Notice>,
    reports: Vec<(&'static str, String)>,
    cancel: Arc<CancelState>,
    /// What others see of it.
    pub(crate) backend: Arc<Backend>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, id: i32, options: SessionOptions) -> Session {
        let cancel: Arc<CancelState> = Arc::default();
        let cancel_key = new_cancel_key(options.long_cancel_key);
        let handle = CancelHandle { key: cancel_key.clone(), state: Arc::clone(&cancel) };
        let application = options.settings.iter().find(|(name, _)| name == "application_name");
        let backend = Arc::new(Backend::new(
            (id, &options.user, &options.database),
            (options.client, options.server, options.encrypted),
            application.map_or("", |(_, value)| value),
            handle,
            options.terminate,
        ));
        shared.activity.enter(&backend);
        let mut session = Session {
            shared,
            id,
            cancel_key,
            backend,
            database: options.database,
            settings: Settings::default(),
            transaction: Transaction::Idle,
            deferred: None,
            temporary: Temporary::default(),
            cursors: HashMap::new(),
            statements: BTreeMap::new(),
            numbers: NumbersTaken::default(),
            own: OwnState::default(),
            running_types: Vec::new(),
            commits: AtomicU64::new(0),
            notices: Vec::new(),
            reports: Vec::new(),
            cancel,
        };
        session.begin_as(&options.user);
        for (name, value) in options.settings {
            // PostgreSQL refuses unknown parameters; drivers send some of other servers.
            if let Err(error) = session.set(&name, &[value], false) {
                session.notices.push(Notice::warning(error));
            }
        }
        session
    }

    /// Puts in what sessions of a user begin with.
    fn begin_as(&mut self, user: &str) {
        let user = if user.is_empty() { tidemill_catalog::role::DEFAULT } else { user };
        let snapshot = self.shared.snapshot();
        let catalog = &snapshot.catalog;
        for (name, values) in catalog.system_settings() {
            self.settings.put_default(name, values);
        }
        if let Some(role) = catalog.role(user) {
            for (name, values) in &role.settings {
                self.settings.put_default(name, values);
            }
        }
        self.settings.put_identity(user, catalog.is_superuser(user));
    }

    /// Who the session acts as: `current_user`.
    pub fn current_user(&self) -> String {
        match self.settings.get("role") {
            Ok(role) if role != "none" => role.to_owned(),
            _ => self.session_user().to_owned(),
        }
    }

    /// `session_user`
    pub fn session_user(&self) -> &str {
        self.settings.get("session_authorization").unwrap_or_default()
    }

    /// Sets a setting; one that says who the session is only if that is allowed.
    pub(crate) fn set(
        &mut self,
        name: &str,
        values: &[String],
        local: bool,
    ) -> Result<Option<(&'static str, String)>, SqlError> {
        if let ([value], true) = (values, Settings::is_identity(name)) {
            self.may_become(name, value)?;
            if name.eq_ignore_ascii_case("session_authorization") {
                self.settings.reset_identity();
            }
        }
        self.settings.set(name, values, local)
    }

    fn may_become(&self, setting: &str, role: &str) -> Result<(), SqlError> {
        let snapshot = self.shared.snapshot();
        let catalog = self.catalog(&snapshot);
        let sets_role = setting.eq_ignore_ascii_case("role");
        if sets_role && role == "none" {
            return Ok(());
        }
        if catalog.role(role).is_none() {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("role \"{role}\" does not exist"),
            ));
        }
        let (allowed, what) = if sets_role {
            (catalog.may_become(self.session_user(), role), format!("role \"{role}\""))
        } else {
            let first = self.settings.first_user();
            (first == role || catalog.is_superuser(first), "session authorization".to_owned())
        };
        if allowed {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied to set {what}"),
        ))
    }

    /// The number that `pg_backend_pid()` gives.
    pub fn number(&self) -> i32 {
        self.id
    }

    /// The key that cancel requests must have.
    pub fn cancel_key(&self) -> &[u8] {
        &self.cancel_key
    }

    /// All settings that the client is told of at first.
    pub fn reported_settings(&self) -> Vec<(&'static str, String)> {
        self.settings.reported()
    }

    /// The created type with this oid, or the array type over one.
    pub fn created_type(&self, oid: Oid) -> Option<ScalarType> {
        let catalog = self.catalog(&self.shared.snapshot());
        catalog.items().filter(|item| !item.is_system()).filter_map(|item| item.type_of()).find_map(
            |typ| match typ.created() {
                Some(name) if name.oid == oid => Some(typ),
                Some(name) if name.array_oid == oid => Some(ScalarType::Array(Box::new(typ))),
                _ => None,
            },
        )
    }

    /// How values are shown.
    pub fn text_settings(&self) -> TextSettings {
        self.settings.text_settings()
    }

    /// How the values of these columns are shown: those that stand for names as names.
    pub fn output_settings(&self, desc: &RelationDesc) -> TextSettings {
        let mut settings = self.text_settings();
        if desc.columns.iter().any(|column| column.typ.scalar_type.holds_reg()) {
            let catalog = self.catalog(&self.shared.snapshot());
            let database = self.database.clone();
            let search_path = self.settings.search_path();
            settings.names = OidNames(Some(Arc::new(move |typ, oid| {
                let (database, search_path) = (database.as_str(), search_path.as_slice());
                Names { catalog: &catalog, database, search_path }.shown(typ, oid)
            })));
        }
        settings
    }

    /// Whether a transaction block is open.
    pub fn transaction_status(&self) -> TransactionStatus {
        match self.transaction {
            Transaction::Idle => TransactionStatus::Idle,
            Transaction::Open(_) => TransactionStatus::InTransaction,
            Transaction::Failed(_) => TransactionStatus::Failed,
        }
    }

    /// Messages to send before the next answer.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let least = self.settings.get("client_min_messages").unwrap_or("notice");
        let mut notices = std::mem::take(&mut self.notices);
        notices.retain(|notice| match notice.severity {
            "WARNING" => least != "error",
            "INFO" => true,
            _ => !matches!(least, "warning" | "error"),
        });
        notices
    }

    /// Settings that changed and of which the client is told.
    pub fn take_reports(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.reports)
    }

    /// The cluster that answers the session's queries.
    pub(crate) fn cluster(&self) -> &str {
        let default = tidemill_catalog::cluster::DEFAULT_CLUSTER;
        self.settings.get("cluster").unwrap_or(default)
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    pub(crate) fn report(&mut self, report: Option<(&'static str, String)>) {
        self.reports.extend(report);
    }

    /// Splits a text into statements.
    ///
    /// # Errors
    /// The text is no SQL (`42601`), with position.
    pub fn parse(&self, text: &str) -> Result<Vec<ParsedStatement>, SqlError> {
        tidemill_sql::parse(text)
    }

    /// Plans a statement. `parameter_types` may be shorter than the parameters there are.
    ///
    /// # Errors
    /// The statement is wrong, or the transaction has failed. The transaction does not fail by
    /// itself: call [`Session::fail`].
    pub fn prepare(
        &mut self,
        statement: Option<ParsedStatement>,
        parameter_types: &[Option<ScalarType>],
    ) -> Result<Prepared, SqlError> {
        let Some(statement) = statement else {
            return Ok(Prepared {
                statement: None,
                plan: None,
                planned_at: Tick::MIN,
                planned_with: 0,
                parameters: Vec::new(),
                desc: None,
                read: Arc::default(),
            });
        };
        let snapshot = self.shared.snapshot();
        self.rebase(&snapshot)?;
        let planned = self.plan(&snapshot, &statement, parameter_types);
        if matches!(self.transaction, Transaction::Failed(_)) {
            let ends = planned.as_ref().is_ok_and(|planned| ends_transaction(&planned.plan));
            if !ends {
                return Err(failed_transaction());
            }
        }
        let mut planned = planned?;
        if let Plan::Fetch(fetch) = &planned.plan {
            // Only the session knows the columns of its cursors.
            planned.desc = self.cursors.get(&fetch.name).map(|cursor| cursor.response.desc.clone());
        }
        for notice in planned.notices {
            let mut message = SqlError::new(notice.code, notice.message);
            message.detail = notice.detail;
            self.notice(Notice { severity: notice.severity, message });
        }
        Ok(Prepared {
            statement: Some(Arc::new(statement)),
            plan: Some(Arc::new(planned.plan)),
            // What a block made that is not committed yet may never be there.
            planned_at: if self.has_private_catalog() { Tick::MIN } else { snapshot.catalog_tick },
            planned_with: self.settings.generation(),
            parameters: planned.parameters,
            desc: planned.desc,
            read: Arc::default(),
        })
    }

    pub(crate) fn plan(
        &self,
        snapshot: &Snapshot,
        statement: &ParsedStatement,
        parameter_types: &[Option<ScalarType>],
    ) -> Result<tidemill_sql::Planned, SqlError> {
        let search_path = self.settings.search_path();
        let text_settings = self.text_settings().to_argument();
        let user = self.current_user();
        let view = tidemill_sql::SessionView {
            settings: self,
            database: &self.database,
            search_path: &search_path,
            user: &user,
            session_user: self.session_user(),
            time_zone: &text_settings,
            cluster: self.cluster(),
            now: wall_timestamp(),
            backend_pid: self.id,
        };
        tidemill_sql::plan(&self.catalog(snapshot), &view, statement, parameter_types)
    }

    /// Executes a statement with its parameters: for each a row of one datum. An error in a
    /// transaction block makes it fail.
    ///
    /// # Errors
    /// Whatever the statement runs into.
    pub async fn execute(
        &mut self,
        prepared: &Prepared,
        parameters: &[Row],
    ) -> Result<Response, SqlError> {
        let (Some(statement), Some(plan)) = (&prepared.statement, &prepared.plan) else {
            return Ok(Response::Empty);
        };
        if matches!(self.transaction, Transaction::Failed(_)) && !ends_transaction(plan) {
            return Err(failed_transaction());
        }
        self.cancel.requested.store(false, Ordering::SeqCst);
        let application = self.settings.get("application_name").unwrap_or_default();
        let in_block = matches!(self.transaction, Transaction::Open(_));
        let began = self.backend.begin(&statement.text, application, in_block);
        let failed = matches!(self.transaction, Transaction::Failed(_));
        let result = self.execute_planned(prepared, (statement, plan), parameters).await;
        self.settle_own_transaction(plan, failed || result.is_err());
        self.log(began, &result);
        result
    }

    async fn execute_planned(
        &mut self,
        prepared: &Prepared,
        (statement, plan): (&Arc<ParsedStatement>, &Arc<Plan>),
        parameters: &[Row],
    ) -> Result<Response, SqlError> {
        let snapshot = self.shared.snapshot();
        if let Err(error) = self.rebase(&snapshot) {
            self.fail();
            return Err(error);
        }
        let current;
        let (plan, fresh) = if self.is_current(prepared, &snapshot) {
            (plan, true)
        } else {
            current = match self.plan_again(prepared, statement, &snapshot) {
                Ok(plan) => Arc::new(plan),
                Err(error) => {
                    self.fail();
                    return Err(error);
                }
            };
            (&current, false)
        };
        self.running_types = prepared.parameters.iter().cloned().map(Some).collect();
        let cache = fresh.then(|| Arc::clone(&prepared.read));
        let result = self.run(snapshot, Arc::clone(plan), statement, parameters, cache).await;
        if result.is_err() {
            self.fail();
        }
        result
    }

    /// Lets what the transaction made follow what others have committed since.
    fn rebase(&mut self, snapshot: &Snapshot) -> Result<(), SqlError> {
        match &mut self.transaction {
            Transaction::Open(open) => open.writes.rebase(snapshot),
            _ => Ok(()),
        }
    }

    /// Whether a plan was made on the catalog that the session sees now.
    pub(crate) fn is_current(&self, prepared: &Prepared, snapshot: &Snapshot) -> bool {
        snapshot.catalog_tick == prepared.planned_at
            && !self.has_private_catalog()
            && prepared.planned_with == self.settings.generation()
    }

    /// The catalog changed since: names may mean something else now.
    fn plan_again(
        &self,
        prepared: &Prepared,
        statement: &ParsedStatement,
        snapshot: &Snapshot,
    ) -> Result<Plan, SqlError> {
        let types: Vec<Option<ScalarType>> =
            prepared.parameters.iter().cloned().map(Some).collect();
        let planned = self.plan(snapshot, statement, &types)?;
        if planned.desc != prepared.desc {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cached plan must not change result type",
            )
            .with_hint("Prepare the statement again."));
        }
        Ok(planned.plan)
    }

    async fn run(
        &mut self,
        snapshot: Arc<Snapshot>,
        plan: Arc<Plan>,
        statement: &Arc<ParsedStatement>,
        parameters: &[Row],
        cache: Option<Arc<arc_swap::ArcSwapOption<crate::read::CachedRead>>>,
    ) -> Result<Response, SqlError> {
        let cancel = Arc::clone(&self.cancel);
        let timeout = self.statement_timeout();
        let ends = self.transaction_end();
        let execution = statements::execute(self, snapshot, plan, statement, parameters, cache);
        let cancelled = async {
            let notified = cancel.notify.notified();
            if !cancel.requested.load(Ordering::SeqCst) {
                notified.await;
            }
            cancel.undecided().await;
        };
        let timed_out = async {
            let error = match (timeout, ends) {
                (Some(timeout), ends) if ends.as_ref().is_none_or(|(left, _)| timeout <= *left) => {
                    tokio::time::sleep(timeout).await;
                    timed_out_error()
                }
                (_, Some((left, error))) => {
                    tokio::time::sleep(left).await;
                    error
                }
                _ => std::future::pending().await,
            };
            cancel.undecided().await;
            error
        };
        tokio::select! {
            biased;
            result = execution => result,
            () = cancelled => Err(cancelled_error("user request")),
            error = timed_out => Err(error),
        }
    }

    /// How long the transaction may still take, and what is said when it takes longer.
    fn transaction_end(&self) -> Option<(Duration, SqlError)> {
        let limit = Duration::from_millis(self.settings.quick().transaction_timeout?);
        let began = match &self.transaction {
            Transaction::Idle => None,
            Transaction::Open(open) | Transaction::Failed(open) => open.began,
        };
        let left = limit.saturating_sub(began.map_or(Duration::ZERO, |began| began.elapsed()));
        let message = "terminating connection due to transaction timeout";
        Some((left, SqlError::new(SqlState::TRANSACTION_TIMEOUT, message)))
    }

    /// Commits, and waits until it is durable. Neither a cancel request nor a timeout ends the
    /// statement meanwhile: an error would say that nothing was committed.
    pub(crate) async fn commit(&self, commit: Commit) -> Result<Tick, SqlError> {
        let only_rows =
            commit.catalog.is_none() && !(commit.updates.is_empty() && commit.parts.is_empty());
        let _passing = match only_rows {
            true => Some(self.shared.write_gate.read().await),
            false => None,
        };
        self.cancel.committing.store(true, Ordering::SeqCst);
        let result = self.shared.commit(commit).await;
        self.cancel.committing.store(false, Ordering::SeqCst);
        if result.is_ok() {
            self.commits.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// How many commits this session has made: whether something happened since.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// The columns of a cursor that DECLARE made.
    pub fn cursor_desc(&self, name: &str) -> Option<&RelationDesc> {
        self.cursors.get(name).map(|cursor| &cursor.response.desc)
    }

    /// How long a statement may take, its streamed rows included.
    pub fn statement_timeout(&self) -> Option<Duration> {
        self.settings.quick().statement_timeout.map(Duration::from_millis)
    }

    /// How long the client may be silent between statements, and what it is told then.
    pub fn idle_limit(&self) -> Option<(Duration, SqlError)> {
        let (setting, code, what) = match self.transaction {
            Transaction::Idle => {
                ("idle_session_timeout", SqlState::IDLE_SESSION_TIMEOUT, "idle-session")
            }
            _ => (
                "idle_in_transaction_session_timeout",
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "idle-in-transaction",
            ),
        };
        let idle = self.settings.milliseconds(setting).map(|limit| {
            let message = format!("terminating connection due to {what} timeout");
            (Duration::from_millis(limit), SqlError::new(code, message))
        });
        let whole = match self.transaction {
            Transaction::Idle => None,
            _ => self.transaction_end(),
        };
        idle.into_iter().chain(whole).min_by_key(|(limit, _)| *limit)
    }

    /// Whether the client has asked to cancel.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.requested.load(Ordering::SeqCst)
    }

    /// Waits until the client asks to cancel; for those who stream a long answer.
    pub async fn cancelled(&self) -> SqlError {
        loop {
            let notified = self.cancel.notify.notified();
            if self.cancel.requested.swap(false, Ordering::SeqCst) {
                return cancelled_error("user request");
            }
            notified.await;
        }
    }

    /// An error happened: an open transaction block fails.
    pub fn fail(&mut self) {
        self.end_own_transaction(true);
        match std::mem::replace(&mut self.transaction, Transaction::Idle) {
            Transaction::Open(open) if open.implicit => {
                self.cursors.retain(|_, cursor| cursor.kept);
                self.undo(open.before.unwrap_or_default());
            }
            Transaction::Open(mut open) => {
                if open.savepoints.is_empty() {
                    // Nothing of it will be seen again.
                    open.writes = PendingWrites::default();
                    open.read = None;
                    self.cursors.retain(|_, cursor| cursor.kept);
                }
                self.transaction = Transaction::Failed(open);
            }
            other => self.transaction = other,
        }
    }

    /// Opens the implicit block around several statements of one simple query, unless a block is
    /// open: they are committed together, or not at all. What cannot run in a block ends it
    /// first.
    pub fn begin_implicit_block(&mut self) {
        if matches!(self.transaction, Transaction::Idle) {
            let read_only =
                self.settings.get("default_transaction_read_only").is_ok_and(|v| v == "on");
            self.open_transaction(read_only, true);
        }
    }

    /// Commits the implicit block, if that is what is open.
    ///
    /// # Errors
    /// What it wrote cannot be committed any more.
    pub async fn end_implicit_block(&mut self) -> Result<(), SqlError> {
        if self.in_implicit_block() {
            let result = statements::transaction::commit_implicit(self).await;
            self.end_own_transaction(result.is_err());
            result?;
        }
        Ok(())
    }

    pub(crate) fn in_implicit_block(&self) -> bool {
        matches!(&self.transaction, Transaction::Open(open) if open.implicit)
    }
}

fn new_cancel_key(long: bool) -> Vec<u8> {
    let key: [u8; 32] = rand::random();
    key[..if long { 32 } else { 4 }].to_vec()
}

fn ends_transaction(plan: &Plan) -> bool {
    matches!(plan, Plan::Commit { .. } | Plan::Rollback { .. } | Plan::RollbackTo(_))
}

fn cancelled_error(why: &str) -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, format!("canceling statement due to {why}"))
}

/// The error of a statement that takes longer than `statement_timeout`.
pub fn timed_out_error() -> SqlError {
    cancelled_error("statement timeout")
}

fn failed_transaction() -> SqlError {
    SqlError::new(
        SqlState::IN_FAILED_SQL_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}
