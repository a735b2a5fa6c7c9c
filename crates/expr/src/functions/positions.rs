//! `pg_lsn`, positions in a log, and the casts between `json` and `jsonb`.

use ethnum::I256;
use tidemill_repr::jsonb::{JsonbRef, parse_jsonb};
use tidemill_repr::{Datum, Numeric, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, jsonb, numeric, text, unsigned};

/// A whole number as `numeric`.
pub(super) fn whole(value: i128) -> Result<Numeric, EvalError> {
    Ok(Numeric::new(I256::from(value), 0)?)
}

/// A position some bytes further; the number is rounded.
fn moved<'a>(position: u64, by: Numeric, name: &str, sign: i128) -> Evaluated<'a> {
    if by.is_nan() {
        return Err(EvalError::invalid(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cannot {name} NaN {} pg_lsn", if sign > 0 { "to" } else { "from" }),
        ));
    }
    let wrong = || EvalError::invalid(SqlState::INVALID_PARAMETER_VALUE, "pg_lsn out of range");
    if !by.is_finite() {
        return Err(wrong());
    }
    let by: i128 = by.round(0)?.to_string().parse().map_err(|_| wrong())?;
    let sum = by.checked_mul(sign).and_then(|by| i128::from(position).checked_add(by));
    sum.and_then(|sum| u64::try_from(sum).ok()).map(Datum::UInt).ok_or_else(wrong)
}

pub(super) fn define(d: &mut Definitions) {
    d.add(
        "pg_lsn_mi",
        "pg_lsn_mi(pg_lsn, pg_lsn) -> numeric",
        |a, _| {
            let bytes = i128::from(unsigned(a, 0)?) - i128::from(unsigned(a, 1)?);
            Ok(Datum::Numeric(whole(bytes)?))
        },
        "Bytes between.",
    )
    .operator("-");
    let doc = "So many bytes further.";
    let add: Eval = |a, _| moved(unsigned(a, 0)?, numeric(a, 1)?, "add", 1);
    d.add("pg_lsn_pli", "pg_lsn_pli(pg_lsn, numeric) -> pg_lsn", add, doc).operator("+");
    let added: Eval = |a, _| moved(unsigned(a, 1)?, numeric(a, 0)?, "add", 1);
    d.add("numeric_pl_pg_lsn", "numeric_pl_pg_lsn(numeric, pg_lsn) -> pg_lsn", added, doc)
        .operator("+");
    let back: Eval = |a, _| moved(unsigned(a, 0)?, numeric(a, 1)?, "subtract", -1);
    d.add("pg_lsn_mii", "pg_lsn_mii(pg_lsn, numeric) -> pg_lsn", back, "So many bytes back.")
        .operator("-");
    d.add(
        "numeric_pg_lsn",
        "pg_lsn(numeric) -> pg_lsn",
        |a, _| {
            let value = numeric(a, 0)?;
            if value.is_nan() {
                return Err(EvalError::invalid(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "cannot convert NaN to pg_lsn",
                ));
            }
            moved(0, value, "add", 1)
        },
        "A number of bytes as a position.",
    );
    d.add(
        "json_jsonb",
        "jsonb(json) -> jsonb",
        |a, c| {
            let parsed = parse_jsonb(text(a, 0)?)?;
            Ok(Datum::Jsonb(JsonbRef::from_bytes(c.arena.alloc_slice_copy(&parsed))))
        },
        "A json value, read.",
    )
    .cast(CastContext::Assignment);
    d.add(
        "jsonb_json",
        "json(jsonb) -> json",
        |a, c| {
            let mut out = String::new();
            jsonb(a, 0)?.to_text(&mut out);
            Ok(c.text(&out))
        },
        "A jsonb value as it is shown.",
    )
    .cast(CastContext::Assignment);
}
