//! Bit strings: `bit` and `bit varying`.

use tidemill_repr::text::bits::Bits;
use tidemill_repr::{BitsRef, Datum, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{
    Evaluated, bad_parameter, bits, boolean, int, int4, out_of_range,
};
use crate::scalar::EvalContext;

/// The longest bit string.
const MAX_BITS: u32 = i32::MAX as u32 - 7;

/// The longest bit string that a type allows.
const MAX_TYPE_BITS: u32 = 83_886_080;

fn made<'a>(made: &Bits, context: EvalContext<'a>) -> Evaluated<'a> {
    let bytes = context.arena.alloc_slice_copy(&made.bytes);
    Ok(Datum::Bits(BitsRef { length: made.length, bytes }))
}

fn from_bits<'a>(all: impl IntoIterator<Item = bool>, context: EvalContext<'a>) -> Evaluated<'a> {
    made(&Bits::collect(all), context)
}

/// Joins two strings of one length bit by bit.
fn paired<'a>(
    a: &[Datum<'a>],
    context: EvalContext<'a>,
    name: &str,
    join: fn(u8, u8) -> u8,
) -> Evaluated<'a> {
    let (left, right) = (bits(a, 0)?, bits(a, 1)?);
    if left.length != right.length {
        return Err(EvalError::invalid(
            SqlState::STRING_DATA_LENGTH_MISMATCH,
            format!("cannot {name} bit strings of different sizes"),
        ));
    }
    let bytes = left.bytes.iter().zip(right.bytes).map(|(x, y)| join(*x, *y)).collect();
    made(&Bits { length: left.length, bytes }, context)
}

/// Shifts to the left by a count that may be negative.
fn shifted<'a>(value: BitsRef<'a>, by: i64, context: EvalContext<'a>) -> Evaluated<'a> {
    let length = i64::from(value.length);
    let at = |place: i64| {
        let from = place.saturating_add(by);
        (0..length).contains(&from) && value.get(from as u32).unwrap_or(false)
    };
    from_bits((0..length).map(at), context)
}

fn place(value: &BitsRef<'_>, at: i64) -> Result<u32, EvalError> {
    u32::try_from(at).ok().filter(|at| *at < value.length).ok_or_else(|| {
        EvalError::invalid(
            SqlState::SUBSCRIPT_ERROR,
            format!("bit index {at} out of valid range (0..{})", i64::from(value.length) - 1),
        )
    })
}

fn negative_length() -> EvalError {
    EvalError::invalid(SqlState::SUBSTRING_ERROR, "negative substring length not allowed")
}

/// The bits from a position counted from 1, so many or all.
fn part(value: BitsRef<'_>, start: i64, length: Option<i64>) -> Result<Bits, EvalError> {
    let end = match length {
        Some(length) if length < 0 => return Err(negative_length()),
        Some(length) => start.saturating_add(length),
        None => i64::MAX,
    };
    let clamp = |at: i64| (at.max(1) - 1).min(i64::from(value.length));
    let taken = clamp(start)..clamp(end).max(clamp(start));
    Ok(Bits::collect(taken.map(|at| value.get(at as u32).unwrap_or(false))))
}

fn overlay<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (value, new, start) = (bits(a, 0)?, bits(a, 1)?, int(a, 2)?);
    let length = if a.len() > 3 { int(a, 3)? } else { i64::from(new.length) };
    if start <= 0 {
        return Err(negative_length());
    }
    let before = part(value, 1, Some(start - 1))?;
    let after = part(value, start.saturating_add(length), None)?;
    let all =
        before.as_ref().iter().chain(new.iter()).chain(after.as_ref().iter()).collect::<Vec<_>>();
    from_bits(all, context)
}

fn position(value: BitsRef<'_>, wanted: BitsRef<'_>) -> i64 {
    if wanted.length == 0 {
        return i64::from(value.length > 0 || wanted.length == 0);
    }
    let Some(last) = value.length.checked_sub(wanted.length) else { return 0 };
    let found = (0..=last)
        .find(|start| (0..wanted.length).all(|at| value.get(start + at) == wanted.get(at)));
    found.map_or(0, |at| i64::from(at) + 1)
}

fn too_long() -> EvalError {
    EvalError::invalid(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("bit string length exceeds the maximum allowed ({MAX_TYPE_BITS})"),
    )
}

/// An integer as so many bits: cut on the left, or with its sign before it.
fn of_int<'a>(value: i64, length: i64, context: EvalContext<'a>) -> Evaluated<'a> {
    let length = if length < 1 { 1 } else { length };
    let length = u32::try_from(length).ok().filter(|length| *length <= MAX_TYPE_BITS);
    let length = length.ok_or_else(too_long)?;
    // Aligned to whole bytes, written from the right.
    let mut rest = i128::from(value) << ((8 - length % 8) % 8);
    let mut bytes = vec![0; length.div_ceil(8) as usize];
    for byte in bytes.iter_mut().rev() {
        *byte = (rest & 0xff) as u8;
        rest >>= 8;
    }
    made(&Bits { length, bytes }, context)
}

fn to_int<'a>(value: BitsRef<'a>, width: u32, type_name: &str) -> Evaluated<'a> {
    if value.length > width {
        return Err(out_of_range(type_name));
    }
    let raw = value.iter().fold(0u64, |sum, bit| sum << 1 | u64::from(bit));
    Ok(Datum::Int(if width == 32 { i64::from(raw as u32 as i32) } else { raw as i64 }))
}

/// To the length of a modifier: zeros are added, or bits cut, on the right; only a cast that was
/// written may do so.
fn fitted<'a>(a: &[Datum<'a>], context: EvalContext<'a>, varying: bool) -> Evaluated<'a> {
    let value = bits(a, 0)?;
    let Some(limit) = u32::try_from(int4(a, 1)?).ok().filter(|limit| *limit > 0) else {
        return Ok(Datum::Bits(value));
    };
    if value.length == limit || (varying && value.length < limit) {
        return Ok(Datum::Bits(value));
    }
    if !boolean(a, 2)? {
        return Err(if varying {
            EvalError::invalid(
                SqlState::STRING_DATA_RIGHT_TRUNCATION,
                format!("bit string too long for type bit varying({limit})"),
            )
        } else {
            EvalError::invalid(
                SqlState::STRING_DATA_LENGTH_MISMATCH,
                format!("bit string length {} does not match type bit({limit})", value.length),
            )
        });
    }
    if limit > MAX_TYPE_BITS {
        return Err(too_long());
    }
    let mut bytes = value.bytes.to_vec();
    bytes.resize(limit.div_ceil(8) as usize, 0);
    if let (Some(last), 1..) = (bytes.last_mut(), limit % 8) {
        *last &= 0xff << (8 - limit % 8);
    }
    made(&Bits { length: limit, bytes }, context)
}

pub(super) fn define(d: &mut Definitions) {
    d.add(
        "bitcat",
        "bitcat(varbit, varbit) -> varbit",
        |a, c| {
            let (left, right) = (bits(a, 0)?, bits(a, 1)?);
            if left.length.checked_add(right.length).is_none_or(|sum| sum > MAX_BITS) {
                return Err(EvalError::invalid(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    format!("bit string length exceeds the maximum allowed ({MAX_BITS})"),
                ));
            }
            from_bits(left.iter().chain(right.iter()).collect::<Vec<_>>(), c)
        },
        "One after the other.",
    )
    .operator("||");
    let pairs: [(&str, &str, Eval); 3] = [
        ("bitand", "&", |a, c| paired(a, c, "AND", |x, y| x & y)),
        ("bitor", "|", |a, c| paired(a, c, "OR", |x, y| x | y)),
        ("bitxor", "#", |a, c| paired(a, c, "XOR", |x, y| x ^ y)),
    ];
    for (id, operator, eval) in pairs {
        d.add(id, &format!("{id}(bit, bit) -> bit"), eval, "Bit by bit.").operator(operator);
    }
    let not: Eval = |a, c| from_bits(bits(a, 0)?.iter().map(|bit| !bit).collect::<Vec<_>>(), c);
    d.add("bitnot", "bitnot(bit) -> bit", not, "Bitwise not.").operator("~");
    let left: Eval = |a, c| shifted(bits(a, 0)?, int(a, 1)?, c);
    let right: Eval = |a, c| shifted(bits(a, 0)?, -int(a, 1)?, c);
    let doc = "Bits shifted, zeros put in.";
    d.add("bitshiftleft", "bitshiftleft(bit, int4) -> bit", left, doc).operator("<<");
    d.add("bitshiftright", "bitshiftright(bit, int4) -> bit", right, doc).operator(">>");
    define_parts(d);
    define_casts(d);
}

fn define_parts(d: &mut Definitions) {
    d.add(
        "bitgetbit",
        "get_bit(bit, int4) -> int4",
        |a, _| {
            let value = bits(a, 0)?;
            let at = place(&value, int(a, 1)?)?;
            Ok(Datum::Int(i64::from(value.get(at) == Some(true))))
        },
        "A bit, counted from 0 on the left.",
    );
    d.add(
        "bitsetbit",
        "set_bit(bit, int4, int4) -> bit",
        |a, c| {
            let value = bits(a, 0)?;
            let (at, new) = (place(&value, int(a, 1)?)?, int(a, 2)?);
            if !matches!(new, 0 | 1) {
                return Err(bad_parameter("new bit must be 0 or 1"));
            }
            let changed = |(place, bit): (u32, bool)| if place == at { new == 1 } else { bit };
            from_bits((0..).zip(value.iter()).map(changed).collect::<Vec<_>>(), c)
        },
        "With a bit changed, counted from 0 on the left.",
    );
    let substring: Eval = |a, c| {
        let length = if a.len() > 2 { Some(int(a, 2)?) } else { None };
        made(&part(bits(a, 0)?, int(a, 1)?, length)?, c)
    };
    let doc = "A part, from a position counted from 1.";
    d.add("bitsubstr", "substring(bit, int4, int4) -> bit", substring, doc);
    d.add("bitsubstr_no_len", "substring(bit, int4) -> bit", substring, doc);
    let doc = "With a part replaced.";
    d.add("bitoverlay", "overlay(bit, bit, int4, int4) -> bit", overlay, doc);
    d.add("bitoverlay_no_len", "overlay(bit, bit, int4) -> bit", overlay, doc);
    d.add(
        "bitposition",
        "position(bit, bit) -> int4",
        |a, _| Ok(Datum::Int(position(bits(a, 0)?, bits(a, 1)?))),
        "Where bits occur in others; 0 if they do not.",
    );
    let length: Eval = |a, _| Ok(Datum::Int(i64::from(bits(a, 0)?.length)));
    d.add("bitlength", "length(bit) -> int4", length, "How many bits there are.");
    d.add("bit_bit_length", "bit_length(bit) -> int4", length, "How many bits there are.");
    d.add(
        "bitoctetlength",
        "octet_length(bit) -> int4",
        |a, _| Ok(Datum::Int(bits(a, 0)?.bytes.len() as i64)),
        "How many bytes there are.",
    );
    d.add(
        "bit_bit_count",
        "bit_count(bit) -> int8",
        |a, _| Ok(Datum::Int(bits(a, 0)?.iter().filter(|bit| *bit).count() as i64)),
        "How many bits are set.",
    );
}

fn define_casts(d: &mut Definitions) {
    d.cast("bit", "varbit", CastContext::Implicit, None);
    d.cast("varbit", "bit", CastContext::Implicit, None);
    let of: Eval = |a, c| of_int(int(a, 0)?, int(a, 1)?, c);
    let doc = "The lowest bits of an integer.";
    d.add("bitfromint4", "bit(int4, int4) -> bit", of, doc).cast(CastContext::Explicit);
    d.add("bitfromint8", "bit(int8, int4) -> bit", of, doc).cast(CastContext::Explicit);
    let doc = "The number that bits are in base 2.";
    let int32: Eval = |a, _| to_int(bits(a, 0)?, 32, "integer");
    d.add("bittoint4", "int4(bit) -> int4", int32, doc).cast(CastContext::Explicit);
    let int64: Eval = |a, _| to_int(bits(a, 0)?, 64, "bigint");
    d.add("bittoint8", "int8(bit) -> int8", int64, doc).cast(CastContext::Explicit);
    let doc = "To a length.";
    let fixed: Eval = |a, c| fitted(a, c, false);
    d.add("bit_typmod", "bit(bit, int4, bool) -> bit", fixed, doc);
    let varying: Eval = |a, c| fitted(a, c, true);
    d.add("varbit_typmod", "varbit(varbit, int4, bool) -> varbit", varying, doc);
}
