//! Numerics in groups of four digits, as PostgreSQL sends them.

use ethnum::U256;

use super::{Reader, wrong};
use crate::error::SqlError;
use crate::numeric::{Digits, Numeric, NumericError, power_of_ten};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const POSITIVE_INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;
/// The scale that PostgreSQL sends with an infinity.
const INFINITE_SCALE: u16 = 32;
const BASE: u16 = 10_000;

/// Groups that surely fit in 128 bits.
const NARROW_GROUPS: usize = 9;

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Numeric, SqlError> {
    let count = usize::try_from(reader.i16()?)
        .map_err(|_| wrong("invalid length in external \"numeric\" value"))?;
    let weight = i32::from(reader.i16()?);
    let sign = u16::from_be_bytes(reader.array()?);
    let scale = u16::from_be_bytes(reader.array()?);
    match sign {
        POSITIVE | NEGATIVE => {}
        NAN => return Ok(Numeric::NaN),
        POSITIVE_INFINITY => return Ok(Numeric::PositiveInfinity),
        NEGATIVE_INFINITY => return Ok(Numeric::NegativeInfinity),
        _ => return Err(wrong("invalid sign in external \"numeric\" value")),
    }
    if scale & 0x3fff != scale {
        return Err(wrong("invalid scale in external \"numeric\" value"));
    }
    let mut small: u128 = 0;
    let mut large: Option<U256> = None;
    for at in 0..count {
        let group = u16::from_be_bytes(reader.array()?);
        if group >= BASE {
            return Err(wrong("invalid digit in external \"numeric\" value"));
        }
        if at < NARROW_GROUPS {
            small = small * u128::from(BASE) + u128::from(group);
            continue;
        }
        large = Some(
            large
                .unwrap_or(U256::new(small))
                .checked_mul(U256::from(BASE))
                .and_then(|value| value.checked_add(U256::from(group)))
                .ok_or(NumericError::Overflow)?,
        );
    }
    let digits = large.unwrap_or(U256::new(small));
    if digits == U256::ZERO {
        return Ok(Numeric::from_parts(false, digits, scale)?);
    }
    // Digits after the point that were sent, against those that are shown.
    let sent = 4 * (count as i32 - 1 - weight);
    let shift = i32::from(scale) - sent;
    let power = power_of_ten(shift.unsigned_abs());
    let magnitude = match (shift < 0, power) {
        (true, Some(power)) => digits / power,
        (true, None) => U256::ZERO,
        (false, power) => {
            power.and_then(|power| digits.checked_mul(power)).ok_or(NumericError::Overflow)?
        }
    };
    Ok(Numeric::from_parts(sign == NEGATIVE, magnitude, scale)?)
}

pub(super) fn encode(value: &Numeric, out: &mut Vec<u8>) {
    let (mantissa, scale) = match value {
        Numeric::Finite { mantissa, scale } => (mantissa, *scale),
        Numeric::NaN => return push_header(0, 0, NAN, 0, out),
        Numeric::PositiveInfinity => {
            return push_header(0, 0, POSITIVE_INFINITY, INFINITE_SCALE, out);
        }
        Numeric::NegativeInfinity => {
            return push_header(0, 0, NEGATIVE_INFINITY, INFINITE_SCALE, out);
        }
    };
    let digits = Digits::of(mantissa.unsigned_abs());
    let digits = digits.as_slice();
    let end = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    if end == 0 {
        return push_header(0, 0, POSITIVE, scale, out);
    }
    let before = digits.len() as i32 - i32::from(scale);
    let weight = (before - 1).div_euclid(4);
    // Of the first group's four digits so many are there.
    let present = ((before - 1).rem_euclid(4) + 1).unsigned_abs() as usize;
    let sign = if mantissa.is_negative() { NEGATIVE } else { POSITIVE };
    let (first, rest) = digits[..end].split_at(present.min(end));
    push_header(1 + rest.len().div_ceil(4), weight, sign, scale, out);
    push_group(first, present, out);
    rest.chunks(4).for_each(|group| push_group(group, 4, out));
}

fn push_header(count: usize, weight: i32, sign: u16, scale: u16, out: &mut Vec<u8>) {
    // At most 20 groups, and a weight of the scale's range over four.
    out.extend_from_slice(&(count as u16).to_be_bytes());
    out.extend_from_slice(&(weight as i16).to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
}

/// A group of digits, with zeros for those that are missing at its end.
fn push_group(digits: &[u8], width: usize, out: &mut Vec<u8>) {
    let group = (0..width)
        .fold(0u16, |group, at| group * 10 + u16::from(digits.get(at).copied().unwrap_or(0)));
    out.extend_from_slice(&group.to_be_bytes());
}
