//! The binary formats of the types that are seldom met.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Reader, decode_scalar_into, encode_into, encode_nullable, incorrect, text_of, wrong};
use crate::bits::BitsRef;
use crate::datum::Datum;
use crate::error::SqlError;
use crate::network::Inet;
use crate::range::build::{make_multirange, make_range};
use crate::range::{MultirangeRef, RangeBound, RangeKind, RangeRef};
use crate::row::{Row, RowBuilder, RowRef};
use crate::text::bits::check_length;
use crate::text::network::to_macaddr8;
use crate::time::{DAY, TimeTz, round_micros};
use crate::types::ScalarType;

/// The families of addresses, as PostgreSQL numbers them.
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 3;

const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_UNBOUNDED: u8 = 0x08;
const UPPER_UNBOUNDED: u8 = 0x10;

pub(super) fn decode_timetz(reader: &mut Reader<'_>, typmod: i32) -> Result<TimeTz, SqlError> {
    let micros = reader.i64()?;
    let zone = reader.i32()?;
    let overflow = |message: &str| SqlError::new(crate::SqlState::DATETIME_FIELD_OVERFLOW, message);
    if !(0..=DAY).contains(&micros) {
        return Err(overflow("time out of range"));
    }
    if zone.unsigned_abs() >= 16 * 3600 {
        return Err(SqlError::new(
            crate::SqlState::from_code("22009"),
            "time zone displacement out of range",
        ));
    }
    Ok(TimeTz { micros: round_micros(micros, typmod), zone })
}

/// An array of one dimension, which is there even if it has no elements.
pub(super) fn decode_vector(
    element: &ScalarType,
    reader: &mut Reader<'_>,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let mut array = RowBuilder::new();
    super::decode_array(element, -1, reader, &mut array)?;
    match array.as_ref().iter().next() {
        Some(Datum::Array(array)) if array.dimensions().is_empty() => {
            row.push_array_encoded(&[(0, 0)], &[]);
        }
        Some(Datum::Array(array)) if array.dimensions().len() == 1 => {
            let length = array.dimensions()[0].0;
            row.push_array(&[(length, 0)], array.elements());
        }
        _ => return Err(incorrect()),
    }
    Ok(())
}

pub(super) fn decode_bits(
    typ: &ScalarType,
    typmod: i32,
    reader: &mut Reader<'_>,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let length =
        u32::try_from(reader.i32()?).map_err(|_| wrong("invalid length in external bit string"))?;
    check_length(typ, typmod, length)?;
    let mut bytes = reader.take(length.div_ceil(8) as usize)?.to_vec();
    if !reader.bytes.is_empty() {
        return Err(incorrect());
    }
    if let (Some(last), 1..) = (bytes.last_mut(), length % 8) {
        *last &= 0xff << (8 - length % 8);
    }
    row.push(Datum::Bits(BitsRef { length, bytes: &bytes }));
    Ok(())
}

pub(super) fn decode_inet(reader: &mut Reader<'_>, cidr: bool) -> Result<Inet, SqlError> {
    let name = if cidr { "cidr" } else { "inet" };
    let [family, bits, _, length] = reader.array()?;
    let (address, longest) = match (family, length) {
        (FAMILY_V4, 4) => (IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?)), 32),
        (FAMILY_V6, 16) => (IpAddr::V6(Ipv6Addr::from(reader.array::<16>()?)), 128),
        (FAMILY_V4 | FAMILY_V6, _) => {
            return Err(wrong(&format!("invalid length in external \"{name}\" value")));
        }
        _ => return Err(wrong(&format!("invalid address family in external \"{name}\" value"))),
    };
    if bits > longest {
        return Err(wrong(&format!("invalid bits in external \"{name}\" value")));
    }
    let inet = Inet { address, bits };
    if cidr && inet.network() != inet {
        return Err(wrong("invalid external \"cidr\" value")
            .with_detail("Value has bits set to right of mask."));
    }
    Ok(inet)
}

pub(super) fn encode_inet(inet: &Inet, cidr: bool, out: &mut Vec<u8>) {
    let family = if inet.is_v4() { FAMILY_V4 } else { FAMILY_V6 };
    out.extend_from_slice(&[family, inet.bits, u8::from(cidr)]);
    match inet.address {
        IpAddr::V4(address) => {
            out.push(4);
            out.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            out.push(16);
            out.extend_from_slice(&address.octets());
        }
    }
}

pub(super) fn decode_hardware(reader: &mut Reader<'_>, typ: &ScalarType) -> Result<u64, SqlError> {
    let whole = |bytes: &[u8]| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let short = *typ == ScalarType::Macaddr || reader.bytes.len() == 6;
    let value = whole(reader.take(if short { 6 } else { 8 })?);
    Ok(if short && *typ == ScalarType::Macaddr8 { to_macaddr8(value) } else { value })
}

/// Numbers without sign, as wide as their type.
pub(super) fn encode_unsigned(value: u64, typ: &ScalarType, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    out.extend_from_slice(if *typ == ScalarType::Macaddr { &bytes[2..] } else { &bytes });
}

fn decode_range(kind: RangeKind, reader: &mut Reader<'_>) -> Result<Vec<u8>, SqlError> {
    let flags = reader.take(1)?[0] & 0x1f;
    if flags & EMPTY != 0 {
        return Ok(vec![0]);
    }
    let subtype = kind.subtype();
    let mut values = RowBuilder::new();
    for unbounded in [LOWER_UNBOUNDED, UPPER_UNBOUNDED] {
        if flags & unbounded == 0 {
            let bytes = reader.nullable()?.ok_or_else(incorrect)?;
            decode_scalar_into(&subtype, -1, bytes, &mut values)?;
        }
    }
    let mut read = values.as_ref().iter();
    let mut bound = |unbounded: u8, inclusive: u8| {
        let value = if flags & unbounded == 0 { read.next() } else { None };
        value.map(|value| RangeBound { value, inclusive: flags & inclusive != 0 })
    };
    let lower = bound(LOWER_UNBOUNDED, LOWER_INCLUSIVE);
    let upper = bound(UPPER_UNBOUNDED, UPPER_INCLUSIVE);
    make_range(kind, (lower, upper))
}

pub(super) fn decode_range_into(
    kind: RangeKind,
    reader: &mut Reader<'_>,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let bytes = decode_range(kind, reader)?;
    if !reader.bytes.is_empty() {
        return Err(incorrect());
    }
    row.push(Datum::Range(RangeRef::from_bytes(&bytes)));
    Ok(())
}

pub(super) fn decode_multirange_into(
    kind: RangeKind,
    reader: &mut Reader<'_>,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let count = reader.u32()?;
    let mut ranges = Vec::new();
    for _ in 0..count {
        let bytes = reader.nullable()?.ok_or_else(incorrect)?;
        let mut inner = Reader { bytes };
        ranges.push(decode_range(kind, &mut inner)?);
        if !inner.bytes.is_empty() {
            return Err(incorrect());
        }
    }
    if !reader.bytes.is_empty() {
        return Err(incorrect());
    }
    let bytes = make_multirange(ranges.iter().map(|bytes| RangeRef::from_bytes(bytes)));
    row.push(Datum::Multirange(MultirangeRef::from_bytes(&bytes)));
    Ok(())
}

pub(super) fn encode_range(range: &RangeRef<'_>, kind: RangeKind, out: &mut Vec<u8>) {
    if range.is_empty() {
        return out.push(EMPTY);
    }
    let (lower, upper) = range.bounds();
    let flag = |bound: &Option<RangeBound<'_>>, inclusive: u8, unbounded: u8| match bound {
        None => unbounded,
        Some(bound) if bound.inclusive => inclusive,
        Some(_) => 0,
    };
    out.push(
        flag(&lower, LOWER_INCLUSIVE, LOWER_UNBOUNDED)
            | flag(&upper, UPPER_INCLUSIVE, UPPER_UNBOUNDED),
    );
    for bound in [lower, upper].into_iter().flatten() {
        encode_nullable(&bound.value, &kind.subtype(), out);
    }
}

pub(super) fn encode_multirange(ranges: &MultirangeRef<'_>, kind: RangeKind, out: &mut Vec<u8>) {
    let count = ranges.ranges().count() as u32;
    out.extend_from_slice(&count.to_be_bytes());
    for range in ranges.ranges() {
        let mut bytes = Vec::new();
        encode_range(&range, kind, &mut bytes);
        out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        out.extend_from_slice(&bytes);
    }
}

/// A list: the number of elements, then each with its length.
pub(super) fn decode_list(
    element: &ScalarType,
    reader: &mut Reader<'_>,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let count = reader.u32()?;
    let mut elements = RowBuilder::new();
    for _ in 0..count {
        match reader.nullable()? {
            None => elements.push(Datum::Null),
            Some(bytes) => decode_scalar_into(element, -1, bytes, &mut elements)?,
        }
    }
    if !reader.bytes.is_empty() {
        return Err(incorrect());
    }
    row.push(Datum::List(elements.as_ref()));
    Ok(())
}

/// A map: the number of entries, then keys and values in turn, each with its length.
pub(super) fn decode_map(
    value: &ScalarType,
    reader: &mut Reader<'_>,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let count = reader.u32()?;
    let mut entries: std::collections::BTreeMap<String, Row> = std::collections::BTreeMap::new();
    let mut scratch = RowBuilder::new();
    for _ in 0..count {
        let key = text_of(reader.nullable()?.ok_or_else(incorrect)?)?.to_owned();
        if key.contains('\0') {
            return Err(incorrect());
        }
        match reader.nullable()? {
            None => scratch.push(Datum::Null),
            Some(bytes) => decode_scalar_into(value, -1, bytes, &mut scratch)?,
        }
        entries.insert(key, scratch.finish());
    }
    if !reader.bytes.is_empty() {
        return Err(incorrect());
    }
    let mut encoded = RowBuilder::new();
    for (key, value) in &entries {
        encoded.push(Datum::Text(key));
        encoded.push_encoded(value.bytes());
    }
    row.push(Datum::Map(encoded.as_ref()));
    Ok(())
}

pub(super) fn encode_list(elements: RowRef<'_>, typ: &ScalarType, out: &mut Vec<u8>) {
    let ScalarType::List(element) = typ else { return };
    out.extend_from_slice(&(elements.iter().count() as u32).to_be_bytes());
    elements.iter().for_each(|datum| encode_nullable(&datum, element, out));
}

pub(super) fn encode_map(entries: RowRef<'_>, typ: &ScalarType, out: &mut Vec<u8>) {
    let ScalarType::Map(value) = typ else { return };
    out.extend_from_slice(&(entries.iter().count() as u32 / 2).to_be_bytes());
    for (at, datum) in entries.iter().enumerate() {
        let typ = if at % 2 == 0 { &ScalarType::Text } else { value };
        encode_nullable(&datum, typ, out);
    }
}

/// What is seldom met, and not NULL.
pub(super) fn encode_rare(datum: &Datum<'_>, typ: &ScalarType, out: &mut Vec<u8>) {
    match (datum, typ) {
        (Datum::UInt(value), _) => encode_unsigned(*value, typ, out),
        (Datum::TimeTz(time), _) => {
            out.extend_from_slice(&time.micros.to_be_bytes());
            out.extend_from_slice(&time.zone.to_be_bytes());
        }
        (Datum::Bits(bits), _) => {
            out.extend_from_slice(&bits.length.to_be_bytes());
            out.extend_from_slice(bits.bytes);
        }
        (Datum::Inet(inet), _) => encode_inet(inet, *typ == ScalarType::Cidr, out),
        (Datum::Range(range), ScalarType::Range(kind)) => encode_range(range, *kind, out),
        (Datum::Multirange(ranges), ScalarType::Multirange(kind)) => {
            encode_multirange(ranges, *kind, out);
        }
        (Datum::List(elements), _) => encode_list(*elements, typ, out),
        (Datum::Map(entries), _) => encode_map(*entries, typ, out),
        (Datum::Enum { label, .. }, _) => out.extend_from_slice(label.as_bytes()),
        (_, ScalarType::Domain(_)) => encode_into(datum, typ.base(), out),
        _ => {}
    }
}
