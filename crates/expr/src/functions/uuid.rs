//! UUIDs.

use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use md5::Digest;
use tidemill_repr::{Datum, Interval};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, interval, out_of_range, text};
use crate::functions::datetime::plus_in_zone;

/// Microseconds from the epoch of Unix to that of PostgreSQL.
const EPOCHS: i64 = 946_684_800_000_000;
/// Microseconds from the beginning of the Gregorian calendar, where version 1 begins, to the
/// epoch of Unix.
const GREGORIAN: i64 = 12_219_292_800_000_000;

fn bytes(a: &[Datum<'_>]) -> [u8; 16] {
    match a.first() {
        Some(Datum::Uuid(bytes)) => *bytes,
        _ => [0; 16],
    }
}

/// Marks the variant of RFC 9562 and a version.
fn marked(mut bytes: [u8; 16], version: u8) -> Datum<'static> {
    bytes[6] = (bytes[6] & 0x0f) | (version << 4);
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Datum::Uuid(bytes)
}

/// Nanoseconds since the epoch of Unix, each call later than the one before.
fn now() -> i128 {
    static LAST: Mutex<i128> = Mutex::new(0);
    // What twelve bits can tell of a millisecond.
    const STEP: i128 = 1_000_000 / 4096 + 1;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let clock = i128::try_from(clock.as_nanos()).unwrap_or(0);
    let mut last = LAST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *last = clock.max(*last + STEP);
    *last
}

/// Version 7 of the present time, moved by a span.
fn version_7(span: Option<Interval>) -> Result<Datum<'static>, EvalError> {
    let mut nanos = now();
    if let Some(span) = span {
        let micros = i64::try_from(nanos / 1000).map_err(|_| out_of_range("timestamp"))?;
        let moved = plus_in_zone(micros - EPOCHS, span, &jiff::tz::TimeZone::UTC)? + EPOCHS;
        nanos = i128::from(moved) * 1000 + nanos % 1000;
    }
    let millis = u64::try_from(nanos.div_euclid(1_000_000))
        .ok()
        .filter(|millis| *millis < 1 << 48)
        .ok_or_else(|| out_of_range("timestamp"))?;
    let part = nanos.rem_euclid(1_000_000) * 4096 / 1_000_000;
    let mut bytes: [u8; 16] = rand::random();
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    // Below 4096.
    bytes[6..8].copy_from_slice(&(part as u16).to_be_bytes());
    Ok(marked(bytes, 7))
}

/// Version 5: the digest of a name in a namespace.
fn version_5<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let mut digest = sha1::Sha1::new();
    digest.update(bytes(a));
    digest.update(text(a, 1)?.as_bytes());
    let digest = digest.finalize();
    let mut bytes = [0; 16];
    for (byte, of_digest) in bytes.iter_mut().zip(digest.iter()) {
        *byte = *of_digest;
    }
    Ok(marked(bytes, 5))
}

fn is_standard(bytes: &[u8; 16]) -> bool {
    bytes[8] & 0xc0 == 0x80
}

/// The time in a UUID of version 1 or 7; other versions have none.
fn timestamp<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let bytes = bytes(a);
    let part = |range: std::ops::Range<usize>| {
        bytes[range].iter().fold(0i64, |number, byte| number << 8 | i64::from(*byte))
    };
    let micros = match bytes[6] >> 4 {
        _ if !is_standard(&bytes) => return Ok(Datum::Null),
        1 => ((part(6..8) & 0x0fff) << 48 | part(4..6) << 32 | part(0..4)) / 10 - GREGORIAN,
        7 => part(0..6) * 1000,
        _ => return Ok(Datum::Null),
    };
    Ok(Datum::TimestampTz(micros - EPOCHS))
}

fn version<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let bytes = bytes(a);
    let version = i64::from(bytes[6] >> 4);
    Ok(if is_standard(&bytes) { Datum::Int(version) } else { Datum::Null })
}

pub(super) fn define(d: &mut Definitions) {
    let random: Eval = |_, _| Ok(Datum::Uuid(*uuid::Uuid::new_v4().as_bytes()));
    let doc = "A random UUID (version 4).";
    d.add("gen_random_uuid", "gen_random_uuid() -> uuid", random, doc).safe().volatile();
    d.add("uuidv4", "uuidv4() -> uuid", random, doc).safe().volatile();
    let doc = "A UUID of version 7, ordered by time.";
    d.add("uuidv7", "uuidv7() -> uuid", |_, _| version_7(None), doc).safe().volatile();
    let doc = "A UUID of version 7 of a time so far from now.";
    let moved: Eval = |a, _| version_7(Some(interval(a, 0)?));
    d.add("uuidv7_interval", "uuidv7(interval) -> uuid", moved, doc).volatile();
    let doc = "The time in a UUID of version 1 or 7.";
    let signature = "uuid_extract_timestamp(uuid) -> timestamptz";
    d.add("uuid_extract_timestamp", signature, |a, _| timestamp(a), doc).safe();
    let doc = "The version of a UUID.";
    let signature = "uuid_extract_version(uuid) -> int2";
    d.add("uuid_extract_version", signature, |a, _| version(a), doc).safe();
    let doc = "The UUID of a name in a namespace (version 5).";
    let signature = "uuid_generate_v5(uuid, text) -> uuid";
    d.add("uuid_generate_v5", signature, |a, _| version_5(a), doc);
}
