//! Numbers of sequences, as one session takes them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tidemill_catalog::{Catalog, CatalogChange, Definition, Item};
use tidemill_expr::EvalError;
use tidemill_expr::functions::backends::{AdvisoryKey, AdvisoryMode, Backends, with_backends};
use tidemill_expr::functions::sequence::{self, Sequences};
use tidemill_repr::{ObjectId, Oid, SqlError, SqlState};
use tidemill_sql::plan::AlterSequencePlan;

use crate::advisory::{OwnState, Pending};
use crate::response::{Notice, Response};
use crate::sequences::{Counter, Position, flush};
use crate::session::{Session, Transaction};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::statements::Execution;

/// The numbers that a session took.
#[derive(Clone, Debug, Default)]
pub(crate) struct NumbersTaken {
    current: BTreeMap<ObjectId, i64>,
    last: Option<ObjectId>,
    /// Sequences whose numbers the ledger must know of before the session answers.
    unsaid: BTreeSet<ObjectId>,
}

/// The sequences while expressions are evaluated.
struct Host {
    shared: Arc<Shared>,
    catalog: Arc<Catalog>,
    /// What others see: a sequence that is not in it is the transaction's own.
    committed: Arc<Catalog>,
    numbers: RefCell<NumbersTaken>,
    own: RefCell<BTreeMap<ObjectId, Counter>>,
}

impl Host {
    fn item(&self, oid: Oid) -> Result<&Arc<Item>, EvalError> {
        let missing = || {
            let message = format!("could not open relation with OID {}", oid.0);
            EvalError::invalid(SqlState::UNDEFINED_TABLE, message)
        };
        let item = self.catalog.item_by_oid(oid).ok_or_else(missing)?;
        if item.sequence().is_some() {
            return Ok(item);
        }
        let message = format!("\"{}\" is not a sequence", item.name.item);
        Err(EvalError::invalid(SqlState::WRONG_OBJECT_TYPE, message))
    }

    fn with<T>(
        &self,
        item: &Item,
        run: impl FnOnce(&mut Counter) -> Result<T, SqlError>,
    ) -> Result<T, EvalError> {
        let Some(sequence) = item.sequence() else {
            return Err(EvalError::invalid(SqlState::INTERNAL_ERROR, "no sequence"));
        };
        let result = if self.committed.item(item.id).is_some() {
            self.numbers.borrow_mut().unsaid.insert(item.id);
            self.shared.sequences.with(item.id, sequence, run)
        } else {
            let mut own = self.own.borrow_mut();
            run(own.entry(item.id).or_insert_with(|| Counter::new(sequence, None)))
        };
        result.map_err(EvalError::from)
    }
}

impl Sequences for Host {
    fn next(&self, oid: Oid) -> Result<i64, EvalError> {
        let item = self.item(oid)?;
        let Some(sequence) = item.sequence() else { return Ok(0) };
        let value = self.with(item, |counter| counter.next(sequence, &item.name.item))?;
        let mut numbers = self.numbers.borrow_mut();
        numbers.current.insert(item.id, value);
        numbers.last = Some(item.id);
        Ok(value)
    }

    fn current(&self, oid: Oid) -> Result<i64, EvalError> {
        let item = self.item(oid)?;
        let known = self.numbers.borrow().current.get(&item.id).copied();
        known.ok_or_else(|| {
            let name = &item.name.item;
            EvalError::invalid(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("currval of sequence \"{name}\" is not yet defined in this session"),
            )
        })
    }

    fn last(&self) -> Result<i64, EvalError> {
        let numbers = self.numbers.borrow();
        let there = numbers.last.filter(|id| self.catalog.item(*id).is_some());
        let known = there.and_then(|id| numbers.current.get(&id).copied());
        known.ok_or_else(|| {
            EvalError::invalid(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "lastval is not yet defined in this session",
            )
        })
    }

    fn set(&self, oid: Oid, value: i64, called: bool) -> Result<(), EvalError> {
        let item = self.item(oid)?;
        let Some(sequence) = item.sequence() else { return Ok(()) };
        let position = Position { value, called };
        self.with(item, |counter| counter.set(sequence, &item.name.item, position))?;
        if called {
            self.numbers.borrow_mut().current.insert(item.id, value);
        }
        Ok(())
    }
}

/// The other sessions while expressions are evaluated.
struct OtherSessions {
    shared: Arc<Shared>,
    catalog: Arc<Catalog>,
    user: String,
    warnings: RefCell<Vec<SqlError>>,
    session: i32,
    database: u32,
    own: RefCell<OwnState>,
    /// How much of what was done for the row came up again.
    again: Cell<usize>,
}

impl OtherSessions {
    /// What was done at this place when the row was evaluated before.
    fn earlier(&self) -> Option<bool> {
        let at = self.again.get();
        let found = self.own.borrow().done.get(at).copied();
        if found.is_some() {
            self.again.set(at + 1);
        }
        found
    }

    fn done(&self, result: bool) -> bool {
        self.again.set(self.again.get() + 1);
        self.own.borrow_mut().done.push(result);
        result
    }

    fn waits<T>(&self, pending: Pending) -> Result<T, EvalError> {
        self.own.borrow_mut().pending = Some(pending);
        Err(EvalError::invalid(SqlState::INTERNAL_ERROR, "this has to be waited for"))
    }

    fn may_signal(&self, user: &str, terminate: bool) -> Result<(), EvalError> {
        let (action, what) = match terminate {
            true => ("terminate process", "terminate processes"),
            false => ("cancel query", "cancel queries"),
        };
        let refused = |detail: String| {
            let message = format!("permission denied to {action}");
            let error = SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message);
            Err(EvalError::from(error.with_detail(detail)))
        };
        if self.catalog.is_superuser(user) && !self.catalog.is_superuser(&self.user) {
            return refused(format!(
                "Only roles with the SUPERUSER attribute may {what} of roles with the SUPERUSER \
                 attribute."
            ));
        }
        if !self.catalog.is_member(&self.user, user) {
            let whose =
                if terminate { "process is being terminated" } else { "query is being canceled" };
            return refused(format!(
                "Only roles with privileges of the role whose {whose} may do that."
            ));
        }
        Ok(())
    }
}

impl Backends for OtherSessions {
    fn signal(&self, pid: i64, terminate: bool) -> Result<bool, EvalError> {
        let backend = i32::try_from(pid).ok().and_then(|pid| self.shared.activity.backend(pid));
        let Some(backend) = backend else {
            let message = format!("PID {pid} is not a PostgreSQL backend process");
            self.warnings.borrow_mut().push(SqlError::new(SqlState::WARNING, message));
            return Ok(false);
        };
        self.may_signal(&backend.user, terminate)?;
        if terminate {
            backend.terminate();
        } else {
            backend.cancel();
        }
        Ok(true)
    }

    fn lock(&self, key: AdvisoryKey, mode: AdvisoryMode) -> Result<bool, EvalError> {
        if let Some(taken) = self.earlier() {
            return Ok(taken);
        }
        let place = (self.database, key);
        let AdvisoryMode { shared, transaction, wait } = mode;
        if self.shared.advisory.take(place, self.session, shared, transaction) {
            return Ok(self.done(true));
        }
        if wait {
            return self.waits(Pending::Lock { place, shared, transaction });
        }
        Ok(self.done(false))
    }

    fn unlock(&self, key: AdvisoryKey, shared: bool) -> bool {
        if let Some(given) = self.earlier() {
            return given;
        }
        let given = self.shared.advisory.give_back((self.database, key), self.session, shared);
        if !given {
            let lock = if shared { "ShareLock" } else { "ExclusiveLock" };
            let message = format!("you don't own a lock of type {lock}");
            self.warnings.borrow_mut().push(SqlError::new(SqlState::WARNING, message));
        }
        self.done(given)
    }

    fn unlock_all(&self) {
        if self.earlier().is_none() {
            self.shared.advisory.give_all_back(self.session);
            self.done(true);
        }
    }

    fn sleep(&self, seconds: f64) -> Result<(), EvalError> {
        if self.earlier().is_some() {
            return Ok(());
        }
        // NaN and less than nothing are nothing; what is too long is as long as can be.
        let longest = Duration::from_secs(u64::from(u32::MAX));
        let time = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(longest);
        self.waits(Pending::Sleep(time.min(longest)))
    }

    fn seed(&self, seed: f64) {
        self.own.borrow_mut().random = Some(crate::advisory::seeded(seed));
    }

    fn random(&self) -> Option<f64> {
        self.own.borrow_mut().random.as_mut().map(crate::advisory::next_random)
    }

    fn transaction(&self, assign: bool) -> Option<i64> {
        let mut own = self.own.borrow_mut();
        if own.transaction.is_none() && assign {
            own.transaction = Some(self.shared.transactions.begin());
        }
        own.transaction
    }

    fn transaction_status(&self, number: i64) -> Result<Option<&'static str>, EvalError> {
        self.shared.transactions.status(number)
    }

    fn clock(&self) -> i64 {
        crate::clock::wall_timestamp()
    }

    fn blocking(&self, pid: i64) -> Vec<i32> {
        i32::try_from(pid).map(|pid| self.shared.advisory.blocking(pid)).unwrap_or_default()
    }

    fn row_done(&self) {
        self.again.set(0);
        self.own.borrow_mut().done.clear();
    }
}

impl Session {
    /// Runs what may take numbers of sequences.
    pub(crate) fn with_sequences<T>(&mut self, snapshot: &Snapshot, run: impl FnOnce() -> T) -> T {
        let own = match &mut self.transaction {
            Transaction::Open(open) => std::mem::take(open.writes.counters()),
            _ => BTreeMap::new(),
        };
        let mut own = own;
        own.append(self.temporary.counters());
        let host = Rc::new(Host {
            shared: Arc::clone(&self.shared),
            catalog: self.catalog(snapshot),
            committed: Arc::clone(&snapshot.catalog),
            numbers: RefCell::new(std::mem::take(&mut self.numbers)),
            own: RefCell::new(own),
        });
        let sequences: Rc<dyn Sequences> = Rc::<Host>::clone(&host);
        let others = Rc::new(OtherSessions {
            shared: Arc::clone(&self.shared),
            catalog: self.catalog(snapshot),
            user: self.current_user(),
            warnings: RefCell::default(),
            session: self.id,
            database: snapshot.catalog.database(&self.database).map_or(0, |found| found.oid.0),
            own: RefCell::new(std::mem::take(&mut self.own)),
            again: Cell::new(0),
        });
        let backends: Rc<dyn Backends> = Rc::<OtherSessions>::clone(&others);
        let result = with_backends(backends, || sequence::with_sequences(sequences, run));
        for warning in others.warnings.take() {
            self.notice(Notice::warning(warning));
        }
        self.own = others.own.take();
        self.numbers = host.numbers.take();
        let (temporary, own) =
            host.own.take().into_iter().partition(|(id, _)| matches!(id, ObjectId::Transient(_)));
        *self.temporary.counters() = temporary;
        if let Transaction::Open(open) = &mut self.transaction {
            *open.writes.counters() = own;
        }
        result
    }

    /// Waits for what an evaluation has to wait for; false if it ended for another reason.
    pub(crate) async fn wait_pending(&mut self) -> Result<bool, SqlError> {
        match self.own.pending.take() {
            None => return Ok(false),
            Some(Pending::Sleep(time)) => tokio::time::sleep(time).await,
            Some(Pending::Lock { place, shared, transaction }) => {
                self.shared.advisory.wait(place, self.id, shared, transaction).await?;
            }
        }
        self.own.done.push(true);
        Ok(true)
    }

    /// Waits until the ledger knows of the numbers that were taken.
    pub(crate) async fn flush_sequences(&mut self) -> Result<(), SqlError> {
        let unsaid: Vec<ObjectId> = std::mem::take(&mut self.numbers.unsaid).into_iter().collect();
        flush(&self.shared, &unsaid).await
    }

    /// Forgets what the session knows of sequences.
    pub(crate) fn discard_sequences(&mut self) {
        self.numbers = NumbersTaken::default();
    }
}

/// Executes ALTER SEQUENCE. Where it begins again is no part of a transaction, as in `setval`.
pub(crate) async fn alter(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &AlterSequencePlan,
) -> Result<Response, SqlError> {
    let catalog = session.catalog(&execution.snapshot);
    let item = catalog.item(plan.id).ok_or_else(crate::sequencer::serialization_failure)?;
    let mut changed = Item::clone(item);
    changed.create_sql.clone_from(&plan.create_sql);
    changed.depends_on.clone_from(&plan.depends_on);
    changed.definition = Definition::Sequence(plan.sequence.clone());
    let (oid, is_changed) = (item.oid, item.sequence() != Some(&plan.sequence));
    if is_changed {
        let change = CatalogChange::PutItem(Box::new(changed));
        crate::statements::ddl::commit(session, execution, vec![change]).await?;
    }
    if let Some(value) = plan.restart {
        restart(session, oid, value).await?;
    }
    Ok(Response::Tag("ALTER SEQUENCE".to_owned()))
}

/// Lets a sequence begin again.
pub(crate) async fn restart(session: &mut Session, oid: Oid, value: i64) -> Result<(), SqlError> {
    let snapshot = session.shared.snapshot();
    let set = |host: Oid| {
        tidemill_expr::functions::by_id("setval3_oid").map_or(Ok(()), |function| {
            let arena = bumpalo::Bump::new();
            let arguments = [
                tidemill_repr::Datum::Int(i64::from(host.0)),
                tidemill_repr::Datum::Int(value),
                tidemill_repr::Datum::Bool(false),
            ];
            let context = tidemill_expr::EvalContext { arena: &arena };
            (function.eval)(&arguments, context).map(drop)
        })
    };
    session.with_sequences(&snapshot, || set(oid)).map_err(SqlError::from)?;
    session.flush_sequences().await
}
