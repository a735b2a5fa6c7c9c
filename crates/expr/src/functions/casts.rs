//! Casts among character types, and what applies type modifiers. Other casts stand with their
//! families.

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, boolean, int4, interval, text, time};
use crate::scalar::EvalContext;

/// Bytes a `name` may have.
const NAME_BYTES: usize = 63;
/// The longest length a character type may be declared with.
const MAX_CHARACTERS: usize = 10_485_760;

fn to_name<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let value = text(a, 0)?;
    let mut end = value.len().min(NAME_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    Ok(Datum::Text(&value[..end]))
}

/// `varchar(n)` and `char(n)`: what is too long is cut if the cast was written, or if only
/// blanks go; else it is an error.
fn limited<'a>(a: &[Datum<'a>], type_name: &str) -> Result<(&'a str, Option<usize>), EvalError> {
    let value = text(a, 0)?;
    let limit = usize::try_from(int4(a, 1)?.saturating_sub(4)).ok();
    let Some(limit) = limit.filter(|limit| *limit <= MAX_CHARACTERS) else {
        return Ok((value, None));
    };
    let Some((end, _)) = value.char_indices().nth(limit) else { return Ok((value, Some(limit))) };
    let explicit = a.len() > 2 && boolean(a, 2)?;
    if !explicit && value[end..].contains(|c| c != ' ') {
        return Err(EvalError::invalid(
            SqlState::STRING_DATA_RIGHT_TRUNCATION,
            format!("value too long for type {type_name}({limit})"),
        ));
    }
    Ok((&value[..end], Some(limit)))
}

fn padded<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (value, limit) = limited(a, "character")?;
    let missing = limit.unwrap_or(0).saturating_sub(value.chars().count());
    if missing == 0 {
        return Ok(Datum::Text(value));
    }
    Ok(context.text(&format!("{value}{}", " ".repeat(missing))))
}

/// Microseconds rounded to a number of digits of a second, half away from zero.
pub(super) fn to_precision(micros: i64, digits: i32) -> i64 {
    let Ok(digits) = u32::try_from(digits) else { return micros };
    if digits >= 6 || micros == i64::MAX || micros == i64::MIN {
        return micros;
    }
    let unit = 10i64.pow(6 - digits);
    let half = if micros < 0 { -(unit / 2) } else { unit / 2 };
    micros.checked_add(half).map_or(micros, |sum| sum / unit * unit)
}

pub(super) fn define(d: &mut Definitions) {
    use CastContext::{Assignment, Implicit};
    d.cast("text", "varchar", Implicit, None);
    d.cast("text", "bpchar", Implicit, None);
    d.cast("varchar", "text", Implicit, None);
    d.cast("varchar", "bpchar", Implicit, None);
    d.cast("name", "text", Implicit, None);
    d.cast("name", "varchar", Assignment, None);
    d.cast("name", "bpchar", Assignment, None);
    let trimmed: Eval = |a, _| Ok(Datum::Text(text(a, 0)?.trim_end_matches(' ')));
    let doc = "Without the blanks that do not count.";
    d.add("bpchar_text", "text(bpchar) -> text", trimmed, doc).cast(Implicit);
    d.add("bpchar_varchar", "varchar(bpchar) -> varchar", trimmed, doc).cast(Implicit);
    for typ in ["text", "varchar"] {
        let eval: Eval = |a, _| to_name(a);
        let signature = format!("name({typ}) -> name");
        d.add(&format!("{typ}_name"), &signature, eval, "Cut to the length of a name.")
            .cast(Implicit);
    }
    let name: Eval = |a, _| match to_name(a)? {
        Datum::Text(name) => Ok(Datum::Text(name.trim_end_matches(' '))),
        other => Ok(other),
    };
    d.add("bpchar_name", "name(bpchar) -> name", name, "Cut to the length of a name.")
        .cast(Implicit);
    define_modifiers(d);
}

fn define_modifiers(d: &mut Definitions) {
    let varchar: Eval = |a, _| Ok(Datum::Text(limited(a, "character varying")?.0));
    d.add("varchar_typmod", "varchar(varchar, int4, bool) -> varchar", varchar, "To a length.");
    d.add("bpchar_typmod", "bpchar(bpchar, int4, bool) -> bpchar", padded, "To a length.");
    let doc = "To a number of digits of a second.";
    let of_time: Eval = |a, _| Ok(Datum::Time(to_precision(time(a, 0)?, int4(a, 1)?)));
    d.add("time_typmod", "time(time, int4) -> time", of_time, doc);
    let stamp: Eval = |a, _| {
        let value = super::arguments::timestamp(a, 0)?;
        Ok(Datum::Timestamp(to_precision(value, int4(a, 1)?)))
    };
    d.add("timestamp_typmod", "timestamp(timestamp, int4) -> timestamp", stamp, doc);
    let zoned: Eval = |a, _| {
        let value = super::arguments::timestamptz(a, 0)?;
        Ok(Datum::TimestampTz(to_precision(value, int4(a, 1)?)))
    };
    d.add("timestamptz_typmod", "timestamptz(timestamptz, int4) -> timestamptz", zoned, doc);
    let span: Eval = |a, _| {
        let value = interval(a, 0)?;
        Ok(Datum::Interval(value.limited(int4(a, 1)?)))
    };
    d.add("interval_typmod", "interval(interval, int4) -> interval", span, "To fields and digits.");
}
