//! Network addresses as text.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{SqlError, SqlState};
use crate::network::Inet;

/// Reads an `inet`, or a `cidr`, whose bits behind the prefix must be zero.
///
/// # Errors
/// No address (`22P02`).
pub fn parse_inet(text: &str, cidr: bool) -> Result<Inet, SqlError> {
    let name = if cidr { "cidr" } else { "inet" };
    let read = if text.contains(':') { parse_v6(text) } else { parse_v4(text, cidr) };
    let inet = read.ok_or_else(|| SqlError::invalid_input(name, text))?;
    if cidr && inet.network() != inet {
        return Err(SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid cidr value: \"{text}\""),
        )
        .with_detail("Value has bits set to right of mask."));
    }
    Ok(inet)
}

fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.len() < 6 && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn parse_v4(text: &str, cidr: bool) -> Option<Inet> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(digits(bits).filter(|bits| *bits <= 32)?)),
        None => (text, None),
    };
    let mut octets = [0u8; 4];
    let mut count = 0u32;
    // A point may end the address of a network.
    let address =
        if cidr || bits.is_some() { address.strip_suffix('.').unwrap_or(address) } else { address };
    for part in address.split('.') {
        *octets.get_mut(count as usize)? = u8::try_from(digits(part)?).ok()?;
        count += 1;
    }
    let bits = match bits {
        Some(bits) if cidr => bits,
        Some(bits) => Some(bits).filter(|bits| bits / 8 <= count)?,
        None if cidr => {
            let class = match octets[0] {
                240.. => 32,
                224.. => 8,
                192.. => 24,
                128.. => 16,
                _ => 8,
            };
            if octets[0] == 224 && count == 1 { 4 } else { class.max(count * 8) }
        }
        None if count == 4 => 32,
        None => return None,
    };
    Some(Inet { address: IpAddr::V4(Ipv4Addr::from(octets)), bits: u8::try_from(bits).ok()? })
}

fn parse_v6(text: &str) -> Option<Inet> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => {
            let padded = bits.len() > 1 && bits.starts_with('0');
            (address, digits(bits).filter(|bits| *bits <= 128 && !padded)?)
        }
        None => (text, 128),
    };
    let address: Ipv6Addr = address.parse().ok()?;
    Some(Inet { address: IpAddr::V6(address), bits: u8::try_from(bits).ok()? })
}

/// Appends an address without its prefix length.
pub fn format_address(address: &IpAddr, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match address {
        IpAddr::V6(v6) => {
            let words = v6.segments();
            let compatible = words[..6].iter().all(|word| *word == 0) && words[6] != 0;
            if compatible {
                let [_, _, _, _, _, _, _, _, _, _, _, _, a, b, c, d] = v6.octets();
                write!(out, "::{a}.{b}.{c}.{d}")
            } else {
                write!(out, "{v6}")
            }
        }
        IpAddr::V4(v4) => write!(out, "{v4}"),
    };
}

/// Appends an address; the prefix length is shown always, or only where it is not the longest.
pub fn format_inet(inet: &Inet, always: bool, out: &mut String) {
    format_address(&inet.address, out);
    if always || inet.bits != inet.max_bits() {
        let _ = write!(out, "/{}", inet.bits);
    }
}

fn spaced(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b')
}

/// Reads a `macaddr`: six bytes in one of the ways they are written.
///
/// # Errors
/// No such address (`22P02`), or a byte above ff (`22003`).
pub fn parse_macaddr(text: &str) -> Result<u64, SqlError> {
    let invalid = || SqlError::invalid_input("macaddr", text);
    let body = spaced(text);
    for separator in [':', '-'] {
        let parts: Vec<&str> = body.split(separator).collect();
        if parts.len() == 6 {
            let mut value = 0;
            for part in parts {
                if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(invalid());
                }
                let byte = u8::from_str_radix(part, 16).map_err(|_| {
                    SqlError::new(
                        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                        format!("invalid octet value in \"macaddr\" value: \"{text}\""),
                    )
                })?;
                value = value << 8 | u64::from(byte);
            }
            return Ok(value);
        }
    }
    let shape: String = body.chars().map(|c| if c.is_ascii_hexdigit() { 'h' } else { c }).collect();
    let known =
        ["hhhhhh:hhhhhh", "hhhhhh-hhhhhh", "hhhh.hhhh.hhhh", "hhhh-hhhh-hhhh", "hhhhhhhhhhhh"];
    if !known.contains(&shape.as_str()) {
        return Err(invalid());
    }
    let hex: String = body.chars().filter(char::is_ascii_hexdigit).collect();
    u64::from_str_radix(&hex, 16).map_err(|_| invalid())
}

/// Reads a `macaddr8`: eight bytes, or six that ff and fe are put in the middle of.
///
/// # Errors
/// No such address (`22P02`).
pub fn parse_macaddr8(text: &str) -> Result<u64, SqlError> {
    macaddr8(spaced(text).as_bytes()).ok_or_else(|| SqlError::invalid_input("macaddr8", text))
}

fn macaddr8(text: &[u8]) -> Option<u64> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(u64::from);
    let mut bytes = [0u64; 8];
    let mut count = 0;
    let mut separator = None;
    let mut rest = text;
    while let [high, low, after @ ..] = rest {
        *bytes.get_mut(count)? = digit(*high)? << 4 | digit(*low)?;
        count += 1;
        rest = match after {
            [found @ (b':' | b'-' | b'.'), more @ ..] => {
                if *separator.get_or_insert(*found) != *found || more.is_empty() {
                    return None;
                }
                more
            }
            _ => after,
        };
    }
    if !rest.is_empty() {
        return None;
    }
    let whole = |bytes: &[u64]| bytes.iter().fold(0, |value, byte| value << 8 | byte);
    match count {
        8 => Some(whole(&bytes)),
        6 => Some(to_macaddr8(whole(&bytes[..6]))),
        _ => None,
    }
}

/// A `macaddr` as a `macaddr8`.
pub fn to_macaddr8(value: u64) -> u64 {
    (value >> 24 & 0xff_ffff) << 40 | 0xff_fe00_0000 | value & 0xff_ffff
}

/// Appends a hardware address of so many bytes.
pub fn format_hardware(value: u64, count: u32, out: &mut String) {
    for at in (0..count).rev() {
        let _ = write!(out, "{:02x}", value >> (8 * at) & 0xff);
        if at > 0 {
            out.push(':');
        }
    }
}
