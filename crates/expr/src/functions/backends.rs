//! What only the session that runs the statement can do, on its own thread, within
//! [`with_backends`]: signals to other sessions, advisory locks, sleep, numbers by a seed, the
//! transaction's number. Anywhere else a call is an error.
//!
//! What has to wait ends the evaluation with an error; the session waits, and evaluates the row
//! again: what it did for the row before is remembered ([`row_done`]).

use std::cell::RefCell;
use std::rc::Rc;

use tidemill_repr::{Datum, RowBuilder, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, float8, int, interval, timestamptz};

/// An advisory lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AdvisoryKey {
    /// The first of two numbers, or the upper half of one.
    pub class: u32,
    /// The second, or the lower half.
    pub object: u32,
    /// Whether there are two numbers.
    pub pair: bool,
}

/// How an advisory lock is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvisoryMode {
    /// Others may share it.
    pub shared: bool,
    /// It ends with the transaction.
    pub transaction: bool,
    /// Whether to wait for it.
    pub wait: bool,
}

/// The session among the others of the server.
pub trait Backends {
    /// Cancels what a session runs, or ends it. False if there is no such session.
    ///
    /// # Errors
    /// The user may not do that.
    fn signal(&self, pid: i64, terminate: bool) -> Result<bool, EvalError>;
    /// Takes an advisory lock. False if others have it.
    ///
    /// # Errors
    /// It has to be waited for.
    fn lock(&self, key: AdvisoryKey, mode: AdvisoryMode) -> Result<bool, EvalError>;
    /// Gives an advisory lock of the session back. False if it has none.
    fn unlock(&self, key: AdvisoryKey, shared: bool) -> bool;
    /// Gives all advisory locks of the session back.
    fn unlock_all(&self);
    /// Lets so many seconds pass.
    ///
    /// # Errors
    /// They have to be waited for.
    fn sleep(&self, seconds: f64) -> Result<(), EvalError>;
    /// What `random()` begins with.
    fn seed(&self, seed: f64);
    /// The next number, if there was a seed.
    fn random(&self) -> Option<f64>;
    /// The number of the transaction; with `assign` false only if it has one.
    fn transaction(&self, assign: bool) -> Option<i64>;
    /// What became of a transaction; None if that is not known any more.
    ///
    /// # Errors
    /// There is none yet.
    fn transaction_status(&self, number: i64) -> Result<Option<&'static str>, EvalError>;
    /// What the clock says: microseconds since 2000.
    fn clock(&self) -> i64;
    /// The sessions that one waits for.
    fn blocking(&self, pid: i64) -> Vec<i32>;
    /// A row is computed, what comes is another one.
    fn row_done(&self);
}

thread_local! {
    static BACKENDS: RefCell<Option<Rc<dyn Backends>>> = const { RefCell::new(None) };
}

/// Runs what may call these functions.
pub fn with_backends<T>(backends: Rc<dyn Backends>, run: impl FnOnce() -> T) -> T {
    let before = BACKENDS.with(|known| known.replace(Some(backends)));
    let result = run();
    BACKENDS.with(|known| known.replace(before));
    result
}

/// A row is computed.
pub fn row_done() {
    if let Some(backends) = BACKENDS.with(|known| known.borrow().clone()) {
        backends.row_done();
    }
}

/// The session's next random number, if it has a seed.
pub(crate) fn seeded_random() -> Option<f64> {
    BACKENDS.with(|known| known.borrow().clone())?.random()
}

/// Whether an id is one of these functions.
pub fn is_backend_function(id: &str) -> bool {
    ["pg_cancel_backend", "pg_terminate_backend", "pg_advisory_", "pg_try_advisory_", "pg_sleep"]
        .iter()
        .any(|prefix| id.starts_with(prefix))
        || TRANSACTIONS.iter().any(|(known, ..)| *known == id)
        || matches!(id, "setseed" | "txid_status" | "pg_xact_status" | "pg_blocking_pids")
}

/// Those that tell the number of the transaction: name, type, whether it gets one.
const TRANSACTIONS: [(&str, &str, Eval); 4] = [
    ("txid_current", "int8", |_, _| number(true)),
    ("txid_current_if_assigned", "int8", |_, _| number(false)),
    ("pg_current_xact_id", "xid", |_, _| number(true)),
    ("pg_current_xact_id_if_assigned", "xid", |_, _| number(false)),
];

fn number<'a>(assign: bool) -> Evaluated<'a> {
    let number = here(|backends| Ok(backends.transaction(assign)))?;
    Ok(number.map_or(Datum::Null, Datum::Int))
}

fn here<T>(ask: impl FnOnce(&dyn Backends) -> Result<T, EvalError>) -> Result<T, EvalError> {
    match BACKENDS.with(|known| known.borrow().clone()) {
        Some(backends) => ask(backends.as_ref()),
        None => Err(EvalError::invalid(
            SqlState::FEATURE_NOT_SUPPORTED,
            "a function of the session that runs the statement is only supported in the outermost \
             SELECT list",
        )),
    }
}

fn signal<'a>(a: &[Datum<'a>], terminate: bool) -> Evaluated<'a> {
    let pid = int(a, 0)?;
    here(|backends| backends.signal(pid, terminate)).map(Datum::Bool)
}

/// The key that one number or two are.
fn key(a: &[Datum<'_>]) -> Result<AdvisoryKey, EvalError> {
    let low = |number: i64| u32::try_from(number & 0xffff_ffff).unwrap_or(0);
    let first = int(a, 0)?;
    Ok(match a.len() {
        1 => AdvisoryKey { class: low(first >> 32), object: low(first), pair: false },
        _ => AdvisoryKey { class: low(first), object: low(int(a, 1)?), pair: true },
    })
}

fn lock<'a>(a: &[Datum<'a>], mode: AdvisoryMode) -> Evaluated<'a> {
    let key = key(a)?;
    let taken = here(|backends| backends.lock(key, mode))?;
    Ok(if mode.wait { Datum::Text("") } else { Datum::Bool(taken) })
}

fn sleep<'a>(seconds: f64) -> Evaluated<'a> {
    here(|backends| backends.sleep(seconds))?;
    Ok(Datum::Text(""))
}

const fn mode(shared: bool, transaction: bool, wait: bool) -> AdvisoryMode {
    AdvisoryMode { shared, transaction, wait }
}

/// Name, what it gives, code, what it does.
type LockFunction = (&'static str, &'static str, Eval, &'static str);

const LOCKS: [LockFunction; 10] = [
    (
        "pg_advisory_lock",
        "text",
        |a, _| lock(a, mode(false, false, true)),
        "Takes an advisory lock, and waits for it.",
    ),
    (
        "pg_advisory_lock_shared",
        "text",
        |a, _| lock(a, mode(true, false, true)),
        "Takes a shared advisory lock, and waits for it.",
    ),
    (
        "pg_advisory_xact_lock",
        "text",
        |a, _| lock(a, mode(false, true, true)),
        "Takes an advisory lock until the transaction ends, and waits for it.",
    ),
    (
        "pg_advisory_xact_lock_shared",
        "text",
        |a, _| lock(a, mode(true, true, true)),
        "Takes a shared advisory lock until the transaction ends, and waits for it.",
    ),
    (
        "pg_try_advisory_lock",
        "bool",
        |a, _| lock(a, mode(false, false, false)),
        "Takes an advisory lock if nobody has it.",
    ),
    (
        "pg_try_advisory_lock_shared",
        "bool",
        |a, _| lock(a, mode(true, false, false)),
        "Takes a shared advisory lock if nobody has it alone.",
    ),
    (
        "pg_try_advisory_xact_lock",
        "bool",
        |a, _| lock(a, mode(false, true, false)),
        "Takes an advisory lock until the transaction ends, if nobody has it.",
    ),
    (
        "pg_try_advisory_xact_lock_shared",
        "bool",
        |a, _| lock(a, mode(true, true, false)),
        "Takes a shared advisory lock until the transaction ends, if nobody has it alone.",
    ),
    (
        "pg_advisory_unlock",
        "bool",
        |a, _| {
            let key = key(a)?;
            here(|backends| Ok(backends.unlock(key, false))).map(Datum::Bool)
        },
        "Gives an advisory lock back.",
    ),
    (
        "pg_advisory_unlock_shared",
        "bool",
        |a, _| {
            let key = key(a)?;
            here(|backends| Ok(backends.unlock(key, true))).map(Datum::Bool)
        },
        "Gives a shared advisory lock back.",
    ),
];

fn define_locks(d: &mut Definitions) {
    for (name, returns, eval, doc) in LOCKS {
        for (suffix, arguments) in [("int8", "int8"), ("int4", "int4, int4")] {
            let signature = format!("{name}({arguments}) -> {returns}");
            d.add(&format!("{name}_{suffix}"), &signature, eval, doc).volatile();
        }
    }
    let all: Eval = |_, _| {
        here(|backends| {
            backends.unlock_all();
            Ok(Datum::Text(""))
        })
    };
    let doc = "Gives all advisory locks of the session back.";
    d.add("pg_advisory_unlock_all", "pg_advisory_unlock_all() -> text", all, doc).volatile();
}

fn define_waits(d: &mut Definitions) {
    let blocking: Eval = |a, c| {
        let pid = int(a, 0)?;
        let pids = here(|backends| Ok(backends.blocking(pid)))?;
        let length = i32::try_from(pids.len()).unwrap_or(i32::MAX);
        let dimensions = if pids.is_empty() { Vec::new() } else { vec![(length, 1)] };
        let mut row = RowBuilder::new();
        row.push_array(&dimensions, pids.into_iter().map(|pid| Datum::Int(i64::from(pid))));
        Ok(c.built(&row))
    };
    let doc = "The sessions for whose advisory locks one waits.";
    d.add("pg_blocking_pids", "pg_blocking_pids(int4) -> int4[]", blocking, doc).volatile();
    d.add(
        "pg_sleep",
        "pg_sleep(float8) -> text",
        |a, _| sleep(float8(a, 0)?),
        "Waits so many seconds.",
    )
    .volatile();
    d.add(
        "pg_sleep_for",
        "pg_sleep_for(interval) -> text",
        |a, _| {
            let span = interval(a, 0)?;
            let days = f64::from(span.months) * 30.0 + f64::from(span.days);
            sleep(days * 86_400.0 + span.micros as f64 / 1e6)
        },
        "Waits as long as an interval.",
    )
    .volatile();
    d.add(
        "pg_sleep_until",
        "pg_sleep_until(timestamptz) -> text",
        |a, _| {
            let until = timestamptz(a, 0)?;
            let now = here(|backends| Ok(backends.clock()))?;
            sleep(until.saturating_sub(now) as f64 / 1e6)
        },
        "Waits until a time.",
    )
    .volatile();
}

fn define_transactions(d: &mut Definitions) {
    for (name, returns, eval) in TRANSACTIONS {
        let signature = format!("{name}() -> {returns}");
        d.add(name, &signature, eval, "The number of the transaction.").volatile();
    }
    let status: Eval = |a, _| {
        let number = int(a, 0)?;
        let found = here(|backends| backends.transaction_status(number))?;
        Ok(found.map_or(Datum::Null, Datum::Text))
    };
    let doc = "What became of a transaction: `committed`, `aborted`, `in progress`.";
    d.add("txid_status", "txid_status(int8) -> text", status, doc).volatile();
    d.add("pg_xact_status", "pg_xact_status(xid) -> text", status, doc).volatile();
    d.add(
        "setseed",
        "setseed(float8) -> text",
        |a, _| {
            let seed = float8(a, 0)?;
            if !(-1.0..=1.0).contains(&seed) {
                return Err(EvalError::invalid(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("setseed parameter {seed} is out of allowed range [-1,1]"),
                ));
            }
            here(|backends| {
                backends.seed(seed);
                Ok(Datum::Text(""))
            })
        },
        "What the session's random() begins with.",
    )
    .volatile();
}

pub(super) fn define(d: &mut Definitions) {
    define_locks(d);
    define_waits(d);
    define_transactions(d);
    d.add(
        "pg_cancel_backend",
        "pg_cancel_backend(int4) -> bool",
        |a, _| signal(a, false),
        "Cancels the statement that a session runs.",
    )
    .volatile();
    let doc = "Ends a session.";
    d.add(
        "pg_terminate_backend",
        "pg_terminate_backend(int4) -> bool",
        |a, _| signal(a, true),
        doc,
    )
    .volatile();
    d.add(
        "pg_terminate_backend_timeout",
        "pg_terminate_backend(int4, int8) -> bool",
        |a, _| signal(a, true),
        doc,
    )
    .volatile();
}
