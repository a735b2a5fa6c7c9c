//! Numerics as ordered bytes.
//!
//! The value comes first, so that the order of bytes is the order of numbers; the display scale
//! follows:
//!
//! ```text
//! 00  -Infinity      80  zero      FE  Infinity      FF  NaN
//! ```
//!
//! Every other number is `0.d1 d2 .. * 100^e` with digits of base 100, of which the first and
//! the last are not zero. A positive one is the byte `C0 + e` (`97` and e + 32768 in two bytes if
//! e < -40), then the digits: `2d + 1`, the last one `2d`. A negative one has all these bytes
//! complemented. The scale is one byte, or `FF` and two bytes from 255 up.

use ethnum::U256;

use super::{Digits, Numeric, power_of_ten};

const NEGATIVE_INFINITY: u8 = 0x00;
const ZERO: u8 = 0x80;
const POSITIVE_INFINITY: u8 = 0xFE;
const NAN: u8 = 0xFF;
const EXPONENT_ZERO: i32 = 0xC0;
const EXPONENT_SMALLEST: i32 = -40;
const EXPONENT_SMALL: u8 = 0x97;
const EXPONENT_LARGEST: i32 = 39;
const SCALE_LONG: u8 = 0xFF;

/// Appends the order-preserving encoding (without the tag).
pub(crate) fn push_encoded(buffer: &mut Vec<u8>, value: &Numeric) {
    let (mantissa, scale) = match value {
        Numeric::NegativeInfinity => return buffer.push(NEGATIVE_INFINITY),
        Numeric::PositiveInfinity => return buffer.push(POSITIVE_INFINITY),
        Numeric::NaN => return buffer.push(NAN),
        Numeric::Finite { mantissa, scale } => (mantissa, *scale),
    };
    let digits = Digits::of(mantissa.unsigned_abs());
    let digits = digits.as_slice();
    if digits.is_empty() {
        buffer.push(ZERO);
    } else {
        let flip = if mantissa.is_negative() { 0xFF } else { 0x00 };
        push_value(buffer, digits, i32::from(scale), flip);
    }
    if scale < u16::from(SCALE_LONG) {
        buffer.push(scale as u8);
    } else {
        buffer.push(SCALE_LONG);
        buffer.extend_from_slice(&scale.to_be_bytes());
    }
}

fn push_value(buffer: &mut Vec<u8>, digits: &[u8], scale: i32, flip: u8) {
    // Digits before the point, and whether the first pair lacks its first digit.
    let before = digits.len() as i32 - scale;
    let exponent = (before + 1).div_euclid(2);
    let odd = before.rem_euclid(2) == 1;
    if exponent < EXPONENT_SMALLEST {
        buffer.push(EXPONENT_SMALL ^ flip);
        let biased = (exponent + 32768) as u16;
        buffer.extend(biased.to_be_bytes().map(|byte| byte ^ flip));
    } else {
        buffer.push((EXPONENT_ZERO + exponent) as u8 ^ flip);
    }
    let end = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    let (first, rest) = digits[..end].split_at(usize::from(odd));
    let start = buffer.len();
    buffer.extend(first.iter().map(|digit| (digit * 2 + 1) ^ flip));
    for pair in rest.chunks(2) {
        let digit = pair[0] * 10 + pair.get(1).copied().unwrap_or(0);
        buffer.push((digit * 2 + 1) ^ flip);
    }
    debug_assert!(buffer.len() > start);
    if let Some(last) = buffer.last_mut() {
        *last ^= 1;
    }
}

/// Reads what [`push_encoded`] wrote.
pub(crate) fn read_encoded(bytes: &mut &[u8]) -> Option<Numeric> {
    let first = take_byte(bytes)?;
    match first {
        NEGATIVE_INFINITY => return Some(Numeric::NegativeInfinity),
        POSITIVE_INFINITY => return Some(Numeric::PositiveInfinity),
        NAN => return Some(Numeric::NaN),
        ZERO => return Numeric::from_parts(false, U256::ZERO, read_scale(bytes)?).ok(),
        _ => {}
    }
    let negative = first < ZERO;
    let flip = if negative { 0xFF } else { 0x00 };
    let exponent = if first ^ flip == EXPONENT_SMALL {
        let high = take_byte(bytes)? ^ flip;
        let low = take_byte(bytes)? ^ flip;
        i32::from(u16::from_be_bytes([high, low])) - 32768
    } else {
        i32::from(first ^ flip) - EXPONENT_ZERO
    };
    if exponent > EXPONENT_LARGEST {
        return None;
    }
    let mut count = 0;
    let mut small: u128 = 0;
    let mut large: Option<U256> = None;
    loop {
        let byte = take_byte(bytes)? ^ flip;
        let digit = u128::from(byte >> 1);
        match &mut large {
            None if count < 18 => small = small * 100 + digit,
            None => large = Some(U256::new(small) * 100 + U256::new(digit)),
            Some(large) => *large = large.checked_mul(U256::new(100))?.checked_add(digit.into())?,
        }
        count += 1;
        if byte & 1 == 0 {
            break;
        }
    }
    let value = large.unwrap_or(U256::new(small));
    let scale = read_scale(bytes)?;
    let shift = i32::from(scale) - 2 * (count - exponent);
    let power = power_of_ten(shift.unsigned_abs())?;
    let magnitude = if shift < 0 { value / power } else { value.checked_mul(power)? };
    Numeric::from_parts(negative, magnitude, scale).ok()
}

fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(byte)
}

fn read_scale(bytes: &mut &[u8]) -> Option<u16> {
    match take_byte(bytes)? {
        SCALE_LONG => Some(u16::from_be_bytes([take_byte(bytes)?, take_byte(bytes)?])),
        short => Some(u16::from(short)),
    }
}
