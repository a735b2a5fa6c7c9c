//! Other sessions: `pg_cancel_backend`, `pg_terminate_backend`.
//!
//! As with sequences, only the session that runs the statement can do it, on its own thread,
//! within [`with_backends`]. Anywhere else a call is an error.

use std::cell::RefCell;
use std::rc::Rc;

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, int};

/// The other sessions of the server.
pub trait Backends {
    /// Cancels what a session runs, or ends it. False if there is no such session.
    ///
    /// # Errors
    /// The user may not do that.
    fn signal(&self, pid: i64, terminate: bool) -> Result<bool, EvalError>;
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

/// Whether an id is one of these functions.
pub fn is_backend_function(id: &str) -> bool {
    matches!(id, "pg_cancel_backend" | "pg_terminate_backend" | "pg_terminate_backend_timeout")
}

fn signal<'a>(a: &[Datum<'a>], terminate: bool) -> Evaluated<'a> {
    let pid = int(a, 0)?;
    match BACKENDS.with(|known| known.borrow().clone()) {
        Some(backends) => backends.signal(pid, terminate).map(Datum::Bool),
        None => Err(EvalError::invalid(
            SqlState::FEATURE_NOT_SUPPORTED,
            "a function that ends what another session does is only supported in the outermost \
             SELECT list",
        )),
    }
}

pub(super) fn define(d: &mut Definitions) {
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
