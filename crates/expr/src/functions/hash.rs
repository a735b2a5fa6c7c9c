//! Digests and checksums.

use hmac::{Hmac, Mac};
use md5::Digest;
use tidemill_repr::Datum;

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, bad_parameter, bytes, text};
use crate::functions::text::hex;
use crate::scalar::EvalContext;

/// The bytes of a text or of a bytea.
fn content<'a>(a: &[Datum<'a>], at: usize) -> Result<&'a [u8], EvalError> {
    match a.get(at) {
        Some(Datum::Bytes(value)) => Ok(value),
        _ => Ok(text(a, at)?.as_bytes()),
    }
}

fn unknown(name: &str) -> EvalError {
    bad_parameter(format!("invalid hash algorithm '{name}'"))
}

fn digest<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (value, name) = (content(a, 0)?, text(a, 1)?);
    Ok(match name.to_ascii_lowercase().as_str() {
        "md5" => context.bytes(&md5::Md5::digest(value)),
        "sha1" => context.bytes(&sha1::Sha1::digest(value)),
        "sha224" => context.bytes(&sha2::Sha224::digest(value)),
        "sha256" => context.bytes(&sha2::Sha256::digest(value)),
        "sha384" => context.bytes(&sha2::Sha384::digest(value)),
        "sha512" => context.bytes(&sha2::Sha512::digest(value)),
        _ => return Err(unknown(name)),
    })
}

macro_rules! keyed {
    ($digest:ty, $value:expr, $key:expr, $context:expr) => {{
        // A key of any length is taken.
        let mut mac = <Hmac<$digest> as Mac>::new_from_slice($key)
            .map_err(|_| bad_parameter("invalid key"))?;
        mac.update($value);
        $context.bytes(&mac.finalize().into_bytes())
    }};
}

fn hmac<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (value, key, name) = (content(a, 0)?, content(a, 1)?, text(a, 2)?);
    Ok(match name.to_ascii_lowercase().as_str() {
        "md5" => keyed!(md5::Md5, value, key, context),
        "sha1" => keyed!(sha1::Sha1, value, key, context),
        "sha224" => keyed!(sha2::Sha224, value, key, context),
        "sha256" => keyed!(sha2::Sha256, value, key, context),
        "sha384" => keyed!(sha2::Sha384, value, key, context),
        "sha512" => keyed!(sha2::Sha512, value, key, context),
        _ => return Err(unknown(name)),
    })
}

/// MurmurHash2 of 32 bits with the seed that Kafka's default partitioner takes.
fn murmur2(data: &[u8]) -> i32 {
    const MIX: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in words.by_ref() {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(MIX);
        k ^= k >> 24;
        k = k.wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^= hash >> 15;
    hash.cast_signed()
}

/// CRC-32 of IEEE 802.3.
fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
        crc
    })
}

/// The mixing of SeaHash: invertible.
fn diffuse(value: u64) -> u64 {
    const FACTOR: u64 = 0x6eed_0e9d_a4d9_4a4f;
    let mut mixed = value.wrapping_mul(FACTOR);
    mixed ^= (mixed >> 32) >> (mixed >> 60);
    mixed.wrapping_mul(FACTOR)
}

/// SeaHash with its default seeds.
fn seahash(data: &[u8]) -> u64 {
    let mut lanes = [
        0x16f1_1fe8_9b0d_677c_u64,
        0xb480_a793_d8e6_c86c,
        0x6fe2_e5aa_f078_ebc9,
        0x14f9_94a4_c525_9381,
    ];
    for (at, chunk) in data.chunks(8).enumerate() {
        let word = chunk.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        let lane = &mut lanes[at % 4];
        *lane = diffuse(*lane ^ word);
    }
    let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
    diffuse(lanes.into_iter().fold(length, |all, lane| all ^ lane))
}

/// CRC-32C (Castagnoli).
fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
        crc
    })
}

/// Whether equal, in a time that does not tell where they differ.
fn equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |differs, (l, r)| differs | (l ^ r)) == 0
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "MD5 digest in hexadecimal digits.";
    let md5: Eval = |a, c| Ok(c.text(&hex(&md5::Md5::digest(content(a, 0)?))));
    d.add("md5_text", "md5(text) -> text", md5, doc);
    d.add("md5_bytea", "md5(bytea) -> text", md5, doc);
    let sha: [(&str, Eval); 4] = [
        ("sha224", |a, c| Ok(c.bytes(&sha2::Sha224::digest(bytes(a, 0)?)))),
        ("sha256", |a, c| Ok(c.bytes(&sha2::Sha256::digest(bytes(a, 0)?)))),
        ("sha384", |a, c| Ok(c.bytes(&sha2::Sha384::digest(bytes(a, 0)?)))),
        ("sha512", |a, c| Ok(c.bytes(&sha2::Sha512::digest(bytes(a, 0)?)))),
    ];
    for (name, eval) in sha {
        let id = format!("{name}_bytea");
        d.add(&id, &format!("{name}(bytea) -> bytea"), eval, "SHA-2 digest.");
    }
    let murmur: Eval = |a, _| Ok(Datum::Int(i64::from(murmur2(content(a, 0)?))));
    let crc: Eval = |a, _| Ok(Datum::Int(i64::from(crc32(content(a, 0)?))));
    let equal: Eval =
        |a, _| Ok(Datum::Bool(equal_in_constant_time(content(a, 0)?, content(a, 1)?)));
    for typ in ["text", "bytea"] {
        let doc = "Digest by a named algorithm: md5, sha1, sha224, sha256, sha384 or sha512.";
        let id = format!("digest_{typ}");
        d.add(&id, &format!("digest({typ}, text) -> bytea"), digest, doc);
        let doc = "Keyed digest by a named algorithm.";
        let id = format!("hmac_{typ}");
        d.add(&id, &format!("hmac({typ}, {typ}, text) -> bytea"), hmac, doc);
        let doc = "MurmurHash2, as Kafka's default partitioner takes it of keys.";
        let id = format!("kafka_murmur2_{typ}");
        d.add(&id, &format!("kafka_murmur2({typ}) -> int4"), murmur, doc);
        let id = format!("crc32_{typ}");
        d.add(&id, &format!("crc32({typ}) -> int8"), crc, "CRC-32 checksum.");
        let sea: Eval = |a, _| Ok(Datum::UInt(seahash(content(a, 0)?)));
        let id = format!("seahash_{typ}");
        d.add(&id, &format!("seahash({typ}) -> uint8"), sea, "SeaHash.");
        let doc = "Whether equal, in a time that does not tell where they differ.";
        let id = format!("constant_time_eq_{typ}");
        d.add(&id, &format!("constant_time_eq({typ}, {typ}) -> bool"), equal, doc);
    }
    let castagnoli: Eval = |a, _| Ok(Datum::Int(i64::from(crc32c(bytes(a, 0)?))));
    d.add("crc32c_bytea", "crc32c(bytea) -> int8", castagnoli, "CRC-32C checksum.");
}

#[cfg(test)]
mod tests {
    use super::{crc32c, seahash};

    #[test]
    fn digests_are_those_of_the_reference() {
        assert_eq!(seahash(b"to be or not to be"), 1_988_685_042_348_123_509);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
