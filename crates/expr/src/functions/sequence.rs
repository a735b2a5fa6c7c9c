//! Sequences: `nextval`, `currval`, `lastval`, `setval`.
//!
//! Where a sequence stands is known to the session alone, which evaluates these functions row by
//! row on its own thread, within [`with_sequences`]. Anywhere else a call is an error.

use std::cell::RefCell;
use std::rc::Rc;

use tidemill_repr::{Datum, Oid, SqlState};

use crate::error::EvalError;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, int};

/// What a session knows of sequences, by their oids.
pub trait Sequences {
    /// The next number.
    ///
    /// # Errors
    /// There is none, or no such sequence.
    fn next(&self, sequence: Oid) -> Result<i64, EvalError>;
    /// The last number that the session took.
    ///
    /// # Errors
    /// It took none.
    fn current(&self, sequence: Oid) -> Result<i64, EvalError>;
    /// The last number that the session took of any sequence.
    ///
    /// # Errors
    /// It took none.
    fn last(&self) -> Result<i64, EvalError>;
    /// Sets the last number, or with `called` false the next one.
    ///
    /// # Errors
    /// It is out of bounds.
    fn set(&self, sequence: Oid, value: i64, called: bool) -> Result<(), EvalError>;
}

thread_local! {
    static SEQUENCES: RefCell<Option<Rc<dyn Sequences>>> = const { RefCell::new(None) };
}

/// Runs what may call these functions.
pub fn with_sequences<T>(sequences: Rc<dyn Sequences>, run: impl FnOnce() -> T) -> T {
    let before = SEQUENCES.with(|known| known.replace(Some(sequences)));
    let result = run();
    SEQUENCES.with(|known| known.replace(before));
    result
}

/// The name of the function, if an id is one of these.
pub fn is_sequence_function(id: &str) -> bool {
    matches!(id, "nextval_oid" | "currval_oid" | "lastval" | "setval_oid" | "setval3_oid")
}

fn known<T>(ask: impl FnOnce(&dyn Sequences) -> Result<T, EvalError>) -> Result<T, EvalError> {
    let sequences = SEQUENCES.with(|known| known.borrow().clone());
    match sequences {
        Some(sequences) => ask(sequences.as_ref()),
        None => Err(EvalError::invalid(
            SqlState::FEATURE_NOT_SUPPORTED,
            "a function of a sequence is only supported in the outermost SELECT list, in VALUES \
             and in SET",
        )),
    }
}

fn sequence(a: &[Datum<'_>]) -> Result<Oid, EvalError> {
    Ok(Oid(u32::try_from(int(a, 0)?).unwrap_or(0)))
}

fn set<'a>(a: &[Datum<'a>], called: bool) -> Evaluated<'a> {
    let (sequence, value) = (sequence(a)?, int(a, 1)?);
    known(|sequences| sequences.set(sequence, value, called))?;
    Ok(Datum::Int(value))
}

pub(super) fn define(d: &mut Definitions) {
    d.add(
        "nextval_oid",
        "nextval(regclass) -> int8",
        |a, _| {
            let sequence = sequence(a)?;
            known(|sequences| sequences.next(sequence)).map(Datum::Int)
        },
        "The next number of a sequence.",
    )
    .volatile();
    d.add(
        "currval_oid",
        "currval(regclass) -> int8",
        |a, _| {
            let sequence = sequence(a)?;
            known(|sequences| sequences.current(sequence)).map(Datum::Int)
        },
        "The number that the session last took of a sequence.",
    )
    .volatile();
    d.add(
        "lastval",
        "lastval() -> int8",
        |_, _| known(|sequences| sequences.last()).map(Datum::Int),
        "The number that the session last took of any sequence.",
    )
    .volatile();
    d.add(
        "setval_oid",
        "setval(regclass, int8) -> int8",
        |a, _| set(a, true),
        "Sets the last number of a sequence.",
    )
    .volatile();
    d.add(
        "setval3_oid",
        "setval(regclass, int8, bool) -> int8",
        |a, _| set(a, !matches!(a.get(2), Some(Datum::Bool(false)))),
        "Sets the last number of a sequence, or the next one.",
    )
    .volatile();
}
