//! Bit strings as text.

use crate::bits::BitsRef;
use crate::error::{SqlError, SqlState};
use crate::types::ScalarType;

/// A bit string that owns its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    /// How many bits there are.
    pub length: u32,
    /// The bits, whole bytes, unused bits zero.
    pub bytes: Vec<u8>,
}

impl Bits {
    /// Bits in their order.
    pub fn collect(bits: impl IntoIterator<Item = bool>) -> Bits {
        let mut made = Bits::default();
        bits.into_iter().for_each(|bit| made.push(bit));
        made
    }

    /// Appends a bit.
    pub fn push(&mut self, bit: bool) {
        let place = self.length % 8;
        if place == 0 {
            self.bytes.push(0);
        }
        if let (true, Some(last)) = (bit, self.bytes.last_mut()) {
            *last |= 0x80 >> place;
        }
        self.length += 1;
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> BitsRef<'_> {
        BitsRef { length: self.length, bytes: &self.bytes }
    }
}

impl BitsRef<'_> {
    /// The bits from left to right.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.length).map(|at| self.get(at).unwrap_or(false))
    }
}

/// Checks the length of a bit string against a type's modifier.
///
/// # Errors
/// A `bit(n)` has not n bits (`22026`), a `varbit(n)` has more (`22001`).
pub fn check_length(typ: &ScalarType, typmod: i32, length: u32) -> Result<(), SqlError> {
    let Some(limit) = u32::try_from(typmod).ok().filter(|limit| *limit > 0) else { return Ok(()) };
    if *typ == ScalarType::Bit && length != limit {
        return Err(SqlError::new(
            SqlState::STRING_DATA_LENGTH_MISMATCH,
            format!("bit string length {length} does not match type bit({limit})"),
        ));
    }
    if *typ == ScalarType::Varbit && length > limit {
        return Err(SqlError::new(
            SqlState::STRING_DATA_RIGHT_TRUNCATION,
            format!("bit string too long for type bit varying({limit})"),
        ));
    }
    Ok(())
}

/// Reads zeros and ones, perhaps after `b`, or hexadecimal digits after `x`.
///
/// # Errors
/// Another character (`22P02`), or a length the type does not allow.
pub fn parse_bits(typ: &ScalarType, typmod: i32, text: &str) -> Result<Bits, SqlError> {
    let (digits, hex) = match text.as_bytes().first() {
        Some(b'b' | b'B') => (&text[1..], false),
        Some(b'x' | b'X') => (&text[1..], true),
        _ => (text, false),
    };
    let width = if hex { 4 } else { 1 };
    let mut bits = Bits::default();
    for digit in digits.chars() {
        let value = digit.to_digit(if hex { 16 } else { 2 }).ok_or_else(|| {
            let kind = if hex { "hexadecimal" } else { "binary" };
            SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("\"{digit}\" is not a valid {kind} digit"),
            )
        })?;
        (0..width).rev().for_each(|at| bits.push(value >> at & 1 == 1));
    }
    check_length(typ, typmod, bits.length)?;
    Ok(bits)
}

/// Appends a bit string as zeros and ones.
pub fn format_bits(bits: &BitsRef<'_>, out: &mut String) {
    out.extend(bits.iter().map(|bit| if bit { '1' } else { '0' }));
}
