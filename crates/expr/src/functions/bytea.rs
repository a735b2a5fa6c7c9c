//! Bytes.

mod bits;

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{bytes, int};

pub(super) fn define(d: &mut Definitions) {
    bits::define(d);
    d.add(
        "byteacat",
        "byteacat(bytea, bytea) -> bytea",
        |a, c| Ok(c.bytes(&[bytes(a, 0)?, bytes(a, 1)?].concat())),
        "One after the other.",
    )
    .operator("||");
    let length: Eval = |a, _| Ok(Datum::Int(bytes(a, 0)?.len() as i64));
    d.add("byteaoctetlen", "octet_length(bytea) -> int4", length, "How many bytes there are.");
    d.add("bytea_length", "length(bytea) -> int4", length, "How many bytes there are.");
    d.add(
        "bytea_bit_length",
        "bit_length(bytea) -> int4",
        |a, _| Ok(Datum::Int(bytes(a, 0)?.len() as i64 * 8)),
        "How many bits there are.",
    );
    let part: Eval = |a, _| {
        let value = bytes(a, 0)?;
        let start = int(a, 1)?;
        let end = match a.get(2) {
            None => i64::MAX,
            Some(_) if int(a, 2)? < 0 => {
                return Err(EvalError::invalid(
                    SqlState::SUBSTRING_ERROR,
                    "negative substring length not allowed",
                ));
            }
            Some(_) => start.saturating_add(int(a, 2)?),
        };
        let place = |at: i64| usize::try_from(at.max(1) - 1).unwrap_or(usize::MAX).min(value.len());
        let from = place(start);
        Ok(Datum::Bytes(&value[from..place(end).max(from)]))
    };
    let doc = "A part, from a position counted from 1.";
    d.add("bytea_substr", "substring(bytea, int4, int4) -> bytea", part, doc);
    d.add("bytea_substr_no_len", "substring(bytea, int4) -> bytea", part, doc);
    d.add("bytea_substr_short", "substr(bytea, int4, int4) -> bytea", part, doc);
    d.add("bytea_substr_no_len_short", "substr(bytea, int4) -> bytea", part, doc);
    d.add(
        "byteapos",
        "position(bytea, bytea) -> int4",
        |a, _| {
            let (value, wanted) = (bytes(a, 0)?, bytes(a, 1)?);
            if wanted.is_empty() {
                return Ok(Datum::Int(1));
            }
            let at = value.windows(wanted.len()).position(|window| window == wanted);
            Ok(Datum::Int(at.map_or(0, |at| at as i64 + 1)))
        },
        "Where bytes occur in others; 0 if they do not.",
    );
    d.add(
        "byteaGetByte",
        "get_byte(bytea, int4) -> int4",
        |a, _| {
            let (value, at) = (bytes(a, 0)?, int(a, 1)?);
            let byte = usize::try_from(at).ok().and_then(|at| value.get(at));
            byte.map(|byte| Datum::Int(i64::from(*byte))).ok_or_else(|| {
                EvalError::invalid(
                    SqlState::from_code("2202E"),
                    format!("index {at} out of valid range, 0..{}", value.len() as i64 - 1),
                )
            })
        },
        "One byte, counted from 0.",
    );
}
