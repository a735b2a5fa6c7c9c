//! Rows are bytes: one canonical, memory-comparable encoding, drawn in `docs/formats/row.md`.
//!
//! Each datum is a tag byte and a payload that says itself where it ends, so the concatenation
//! of datums needs no lengths, a prefix of a row's columns is a prefix of its bytes, and the
//! order of bytes is SQL's ascending order with NULLs last:
//!
//! ```text
//! tag     payload
//! 04 05   false, true
//! 08..18  integer: 10 + n before the n bytes of a number from 0 up, 10 - n before one below 0
//! 20 21   float4 (4 bytes), float8 (8 bytes), bits flipped to be ordered
//! 24      numeric (see `numeric`)
//! 28      text: bytes, 00
//! 29      bytea: length (4 bytes), bytes
//! 2A..2D  date (4 bytes), time, timestamp, timestamptz (8 bytes each)
//! 2E      interval: its length (16 bytes), months (4), days (4), microseconds (8)
//! 2F      uuid (16 bytes)
//! 30      jsonb: length (4 bytes), then see `jsonb`
//! 31      array: number of dimensions (1), (length, lower bound) of each, length of all
//!         elements (4), elements
//! 32      record: length (4 bytes), fields
//! 33      unsigned number (8 bytes)
//! 34      timetz: UTC microseconds (8 bytes), seconds west of UTC (4 bytes)
//! 35      bits: number of bits (4 bytes), length (4 bytes), bytes
//! 36      network address: 04 or 06, bits of the prefix (1 byte), address (4 or 16 bytes)
//! 37 38   range, multirange: see `range`
//! 39 3A   list, map: datums, 00
//! 3B      enum: place in the order (4 bytes), label, 00
//! F0      NULL
//! ```
//!
//! The types with a length before their bytes (bytea, jsonb, arrays, records, bits) and network
//! addresses are canonical, but the order of their bytes is not SQL's: [`crate::ScalarType::is_byte_ordered`] tells them.
//!
//! Values that SQL calls equal but shows differently (`1.0` and `1.00`, `1 day` and
//! `24 hours`) have different bytes: what they have in common comes first, so that order is
//! kept. Operators that group or join by such types do it on `expr`'s canonical form.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::bits::BitsRef;
use crate::datum::Datum;
use crate::interval::Interval;
use crate::jsonb::JsonbRef;
use crate::network::Inet;
use crate::numeric;
use crate::range::{read_multirange, read_range};
use crate::tick::Diff;
use crate::time::TimeTz;

const TAG_FALSE: u8 = 0x04;
const TAG_TRUE: u8 = 0x05;
/// Integers: `TAG_INT_ZERO` + n holds n bytes of a positive number, - n of a negative one.
const TAG_INT_ZERO: u8 = 0x10;
const TAG_FLOAT4: u8 = 0x20;
const TAG_FLOAT8: u8 = 0x21;
const TAG_NUMERIC: u8 = 0x24;
const TAG_TEXT: u8 = 0x28;
const TAG_BYTES: u8 = 0x29;
const TAG_DATE: u8 = 0x2A;
const TAG_TIME: u8 = 0x2B;
const TAG_TIMESTAMP: u8 = 0x2C;
const TAG_TIMESTAMPTZ: u8 = 0x2D;
const TAG_INTERVAL: u8 = 0x2E;
const TAG_UUID: u8 = 0x2F;
const TAG_JSONB: u8 = 0x30;
const TAG_ARRAY: u8 = 0x31;
const TAG_RECORD: u8 = 0x32;
const TAG_UINT: u8 = 0x33;
const TAG_TIMETZ: u8 = 0x34;
const TAG_BITS: u8 = 0x35;
const TAG_INET: u8 = 0x36;
const TAG_RANGE: u8 = 0x37;
const TAG_MULTIRANGE: u8 = 0x38;
const TAG_LIST: u8 = 0x39;
const TAG_MAP: u8 = 0x3A;
const TAG_ENUM: u8 = 0x3B;
const TAG_NULL: u8 = 0xF0;
/// Ends a text, a list and a map: no datum begins with it.
const END: u8 = 0x00;

/// A row that owns its bytes; short ones lie inline.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Row {
    bytes: SmallVec<[u8; 24]>,
}

/// A row borrowed from somewhere. Equality and order are those of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowRef<'a> {
    bytes: &'a [u8],
}

impl Row {
    /// Encodes these datums, in order.
    pub fn pack<'a>(datums: impl IntoIterator<Item = Datum<'a>>) -> Row {
        let mut builder = RowBuilder::new();
        builder.extend(datums);
        builder.finish()
    }

    /// A row of one datum.
    pub fn pack1(datum: Datum<'_>) -> Row {
        Row::pack([datum])
    }

    /// The first datum, if there is one.
    pub fn first(&self) -> Option<Datum<'_>> {
        self.iter().next()
    }

    /// A row from bytes that [`Row::bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Row {
        Row { bytes: SmallVec::from_slice(bytes) }
    }

    /// The canonical encoding.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same row, borrowed.
    pub fn as_ref(&self) -> RowRef<'_> {
        RowRef { bytes: &self.bytes }
    }

    /// Decodes the datums one after the other.
    pub fn iter(&self) -> DatumIter<'_> {
        self.as_ref().iter()
    }

    /// Decodes all datums.
    pub fn unpack(&self) -> Vec<Datum<'_>> {
        self.iter().collect()
    }

    /// Bytes on the heap, beside the row itself.
    pub fn heap_size(&self) -> usize {
        if self.bytes.spilled() { self.bytes.capacity() } else { 0 }
    }
}

impl<'a> RowRef<'a> {
    /// A row in bytes that [`Row::bytes`] gave.
    pub fn from_bytes(bytes: &'a [u8]) -> RowRef<'a> {
        RowRef { bytes }
    }

    /// The canonical encoding.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Decodes the datums one after the other.
    pub fn iter(&self) -> DatumIter<'a> {
        DatumIter { bytes: self.bytes }
    }

    /// Copies the row.
    pub fn to_owned(&self) -> Row {
        Row::from_bytes(self.bytes)
    }
}

/// What containers of rows need, to compare what they hold with what comes.
impl PartialEq<&Row> for RowRef<'_> {
    fn eq(&self, other: &&Row) -> bool {
        self.bytes == other.bytes()
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for RowRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Builds a row datum by datum; the buffer is kept for the next row.
#[derive(Clone, Debug, Default)]
pub struct RowBuilder {
    buffer: Vec<u8>,
}

impl RowBuilder {
    /// A builder of an empty row.
    pub fn new() -> RowBuilder {
        RowBuilder::default()
    }

    /// Appends one datum.
    pub fn push(&mut self, datum: Datum<'_>) {
        push_datum(&mut self.buffer, datum);
    }

    /// Appends datums.
    pub fn extend<'a>(&mut self, datums: impl IntoIterator<Item = Datum<'a>>) {
        for datum in datums {
            self.push(datum);
        }
    }

    /// Appends datums that are encoded already: whole rows, or slices that
    /// [`DatumIter::next_bytes`] gave.
    pub fn push_encoded(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends an array. `dimensions` are (length, lower bound) pairs, outermost first; the
    /// product of lengths is the number of elements. An empty array has no dimension.
    pub fn push_array<'a>(
        &mut self,
        dimensions: &[(i32, i32)],
        elements: impl IntoIterator<Item = Datum<'a>>,
    ) {
        let buffer = &mut self.buffer;
        buffer.push(TAG_ARRAY);
        // PostgreSQL has at most six dimensions.
        buffer.push(dimensions.len() as u8);
        for (length, lower) in dimensions {
            buffer.extend_from_slice(&length.to_be_bytes());
            buffer.extend_from_slice(&order_i32(*lower));
        }
        push_block(buffer, |buffer| elements.into_iter().for_each(|d| push_datum(buffer, d)));
    }

    /// Appends an array whose elements are encoded already, one after the other.
    pub fn push_array_encoded(&mut self, dimensions: &[(i32, i32)], elements: &[u8]) {
        self.push_array(dimensions, []);
        // The block of no elements ends the buffer: its length is overwritten.
        let start = self.buffer.len() - 4;
        self.buffer.truncate(start);
        push_block(&mut self.buffer, |buffer| buffer.extend_from_slice(elements));
    }

    /// Appends a record whose fields are encoded already, one after the other.
    pub fn push_record_encoded(&mut self, fields: &[u8]) {
        self.buffer.push(TAG_RECORD);
        push_block(&mut self.buffer, |buffer| buffer.extend_from_slice(fields));
    }

    /// Appends a record with these fields.
    pub fn push_record<'a>(&mut self, fields: impl IntoIterator<Item = Datum<'a>>) {
        self.buffer.push(TAG_RECORD);
        push_block(&mut self.buffer, |buffer| {
            fields.into_iter().for_each(|field| push_datum(buffer, field));
        });
    }

    /// The bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// The row so far, borrowed.
    pub fn as_ref(&self) -> RowRef<'_> {
        RowRef { bytes: &self.buffer }
    }

    /// Forgets the bytes after `length`, to take back what was appended since.
    pub fn truncate(&mut self, length: usize) {
        self.buffer.truncate(length);
    }

    /// Forgets everything; the buffer stays allocated.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// The row, and an empty builder again.
    pub fn finish(&mut self) -> Row {
        let row = Row::from_bytes(&self.buffer);
        self.buffer.clear();
        row
    }
}

/// Decodes a row's datums from left to right. Bytes that are no row end the iteration.
#[derive(Clone, Debug)]
pub struct DatumIter<'a> {
    bytes: &'a [u8],
}

impl<'a> DatumIter<'a> {
    /// The encoded bytes of the next datum, without decoding more than its length.
    pub fn next_bytes(&mut self) -> Option<&'a [u8]> {
        let start = self.bytes;
        self.next()?;
        Some(&start[..start.len() - self.bytes.len()])
    }

    /// What is not decoded yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for DatumIter<'a> {
    type Item = Datum<'a>;

    fn next(&mut self) -> Option<Datum<'a>> {
        if self.bytes.is_empty() { None } else { read_datum(&mut self.bytes) }
    }
}

/// An array inside a row.
#[derive(Clone, Copy, Debug)]
pub struct ArrayRef<'a> {
    /// The elements, encoded one after the other.
    elements: &'a [u8],
    /// Eight bytes a dimension.
    dimensions: &'a [u8],
}

impl<'a> ArrayRef<'a> {
    /// The elements in row-major order.
    pub fn elements(&self) -> impl Iterator<Item = Datum<'a>> + use<'a> {
        DatumIter { bytes: self.elements }
    }

    /// (length, lower bound) of each dimension, outermost first.
    pub fn dimensions(&self) -> Vec<(i32, i32)> {
        self.dimensions
            .chunks_exact(8)
            .map(|chunk| {
                let length = i32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
                (length, unorder_i32([chunk[4], chunk[5], chunk[6], chunk[7]]))
            })
            .collect()
    }

    /// By number of dimensions, their lengths, their lower bounds.
    fn shape_cmp(&self, other: &ArrayRef<'_>) -> Ordering {
        let by_count = self.dimensions.len().cmp(&other.dimensions.len());
        by_count.then_with(|| {
            let (left, right) = (self.dimensions(), other.dimensions());
            let lengths = left.iter().map(|x| x.0).cmp(right.iter().map(|x| x.0));
            lengths.then_with(|| left.iter().map(|x| x.1).cmp(right.iter().map(|x| x.1)))
        })
    }

    /// SQL's order: by elements, then by number of dimensions and their sizes.
    pub fn sql_cmp(&self, other: &ArrayRef<'_>) -> Ordering {
        let mut left = self.elements();
        let mut right = other.elements();
        loop {
            match (left.next(), right.next()) {
                (None, None) => return self.shape_cmp(other),
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(a), Some(b)) => match a.sql_cmp(&b) {
                    Ordering::Equal => {}
                    order => return order,
                },
            }
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    take(bytes, N)?.try_into().ok()
}

fn order_i32(value: i32) -> [u8; 4] {
    (value.cast_unsigned() ^ (1 << 31)).to_be_bytes()
}

fn unorder_i32(bytes: [u8; 4]) -> i32 {
    (u32::from_be_bytes(bytes) ^ (1 << 31)).cast_signed()
}

fn order_i64(value: i64) -> [u8; 8] {
    (value.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn unorder_i64(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed()
}

/// Pushes an integer: the tag says the sign and how many bytes follow, most significant first;
/// negative numbers are written as their complement, so that byte order is numeric order.
fn push_int(buffer: &mut Vec<u8>, value: i64) {
    let magnitude = if value < 0 { !value } else { value }.cast_unsigned();
    let length = 8 - (magnitude.leading_zeros() / 8) as usize;
    let bytes = value.to_be_bytes();
    // Between 0 and 8: fits a u8.
    let short = length as u8;
    if value < 0 {
        // At least one byte, so that -1 and 0 differ in the tag.
        let length = length.max(1);
        buffer.push(TAG_INT_ZERO - short.max(1));
        buffer.extend_from_slice(&bytes[8 - length..]);
    } else {
        buffer.push(TAG_INT_ZERO + short);
        buffer.extend_from_slice(&bytes[8 - length..]);
    }
}

fn read_int(tag: u8, bytes: &mut &[u8]) -> Option<i64> {
    let length = usize::from(tag.abs_diff(TAG_INT_ZERO));
    let mut wide = if tag < TAG_INT_ZERO { [0xff; 8] } else { [0; 8] };
    wide.get_mut(8usize.checked_sub(length)?..)?.copy_from_slice(take(bytes, length)?);
    Some(i64::from_be_bytes(wide))
}

/// Flips the bits of an IEEE number so that unsigned order is numeric order; NaN goes last.
fn push_float8(buffer: &mut Vec<u8>, value: f64) {
    let bits = if value.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { value.to_bits() };
    let flipped = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    buffer.extend_from_slice(&flipped.to_be_bytes());
}

fn push_float4(buffer: &mut Vec<u8>, value: f32) {
    let bits = if value.is_nan() { f32::NAN.to_bits() & !(1 << 31) } else { value.to_bits() };
    let flipped = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    buffer.extend_from_slice(&flipped.to_be_bytes());
}

/// Appends the canonical encoding of one datum.
pub fn push_datum(buffer: &mut Vec<u8>, datum: Datum<'_>) {
    match datum {
        Datum::Null => buffer.push(TAG_NULL),
        Datum::Bool(false) => buffer.push(TAG_FALSE),
        Datum::Bool(true) => buffer.push(TAG_TRUE),
        Datum::Int(value) => push_int(buffer, value),
        Datum::Float4(value) => {
            buffer.push(TAG_FLOAT4);
            push_float4(buffer, value);
        }
        Datum::Float8(value) => {
            buffer.push(TAG_FLOAT8);
            push_float8(buffer, value);
        }
        Datum::Numeric(value) => {
            buffer.push(TAG_NUMERIC);
            numeric::push_encoded(buffer, &value);
        }
        Datum::Text(text) => {
            buffer.push(TAG_TEXT);
            buffer.extend_from_slice(text.as_bytes());
            buffer.push(END);
        }
        Datum::Bytes(bytes) => {
            buffer.push(TAG_BYTES);
            push_block(buffer, |buffer| buffer.extend_from_slice(bytes));
        }
        Datum::Date(days) => {
            buffer.push(TAG_DATE);
            buffer.extend_from_slice(&order_i32(days));
        }
        Datum::Time(micros) => push_micros(buffer, TAG_TIME, micros),
        Datum::Timestamp(micros) => push_micros(buffer, TAG_TIMESTAMP, micros),
        Datum::TimestampTz(micros) => push_micros(buffer, TAG_TIMESTAMPTZ, micros),
        Datum::Interval(interval) => push_interval(buffer, &interval),
        Datum::Uuid(uuid) => {
            buffer.push(TAG_UUID);
            buffer.extend_from_slice(&uuid);
        }
        Datum::Jsonb(value) => {
            buffer.push(TAG_JSONB);
            push_block(buffer, |buffer| buffer.extend_from_slice(value.bytes()));
        }
        Datum::Array(array) => {
            buffer.push(TAG_ARRAY);
            buffer.push((array.dimensions.len() / 8) as u8);
            buffer.extend_from_slice(array.dimensions);
            push_block(buffer, |buffer| buffer.extend_from_slice(array.elements));
        }
        Datum::Record(row) => {
            buffer.push(TAG_RECORD);
            push_block(buffer, |buffer| buffer.extend_from_slice(row.bytes()));
        }
        _ => push_rare(buffer, datum),
    }
}

/// Datums that are seldom met.
fn push_rare(buffer: &mut Vec<u8>, datum: Datum<'_>) {
    match datum {
        Datum::UInt(value) => {
            buffer.push(TAG_UINT);
            buffer.extend_from_slice(&value.to_be_bytes());
        }
        Datum::TimeTz(time) => {
            buffer.push(TAG_TIMETZ);
            buffer.extend_from_slice(&order_i64(time.utc_micros()));
            buffer.extend_from_slice(&order_i32(time.zone));
        }
        Datum::Bits(bits) => {
            buffer.push(TAG_BITS);
            buffer.extend_from_slice(&bits.length.to_be_bytes());
            push_block(buffer, |buffer| buffer.extend_from_slice(bits.bytes));
        }
        Datum::Inet(inet) => {
            buffer.push(TAG_INET);
            buffer.push(if inet.is_v4() { 4 } else { 6 });
            buffer.push(inet.bits);
            match inet.address {
                IpAddr::V4(address) => buffer.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => buffer.extend_from_slice(&address.octets()),
            }
        }
        Datum::Range(range) => {
            buffer.push(TAG_RANGE);
            buffer.extend_from_slice(range.bytes());
        }
        Datum::Multirange(ranges) => {
            buffer.push(TAG_MULTIRANGE);
            buffer.extend_from_slice(ranges.bytes());
        }
        Datum::List(elements) => {
            buffer.push(TAG_LIST);
            buffer.extend_from_slice(elements.bytes());
            buffer.push(END);
        }
        Datum::Map(entries) => {
            buffer.push(TAG_MAP);
            buffer.extend_from_slice(entries.bytes());
            buffer.push(END);
        }
        Datum::Enum { order, label } => {
            buffer.push(TAG_ENUM);
            push_float4(buffer, order);
            buffer.extend_from_slice(label.as_bytes());
            buffer.push(END);
        }
        // All others are pushed by `push_datum` itself.
        _ => {}
    }
}

/// Datums up to the byte that ends them.
fn read_until_end<'a>(bytes: &mut &'a [u8]) -> Option<RowRef<'a>> {
    let start = *bytes;
    loop {
        let (&next, rest) = bytes.split_first()?;
        if next == END {
            let row = RowRef { bytes: &start[..start.len() - bytes.len()] };
            *bytes = rest;
            return Some(row);
        }
        read_datum(bytes)?;
    }
}

fn read_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let end = memchr::memchr(END, bytes)?;
    let text = std::str::from_utf8(take(bytes, end)?).ok()?;
    take(bytes, 1)?;
    Some(text)
}

fn read_float4(bytes: &mut &[u8]) -> Option<f32> {
    let flipped = u32::from_be_bytes(take_array(bytes)?);
    let bits = if flipped >> 31 == 1 { flipped & !(1 << 31) } else { !flipped };
    Some(f32::from_bits(bits))
}

fn read_inet(bytes: &mut &[u8]) -> Option<Inet> {
    let [family, bits] = take_array(bytes)?;
    let address = match family {
        4 => IpAddr::V4(Ipv4Addr::from(take_array::<4>(bytes)?)),
        _ => IpAddr::V6(Ipv6Addr::from(take_array::<16>(bytes)?)),
    };
    Some(Inet { address, bits })
}

/// Datums that are seldom met, after their tag.
fn read_rare<'a>(tag: u8, bytes: &mut &'a [u8]) -> Option<Datum<'a>> {
    Some(match tag {
        TAG_UINT => Datum::UInt(u64::from_be_bytes(take_array(bytes)?)),
        TAG_TIMETZ => {
            let utc = unorder_i64(take_array(bytes)?);
            Datum::TimeTz(TimeTz::from_utc_micros(utc, unorder_i32(take_array(bytes)?)))
        }
        TAG_BITS => {
            let length = u32::from_be_bytes(take_array(bytes)?);
            Datum::Bits(BitsRef { length, bytes: take_block(bytes)? })
        }
        TAG_INET => Datum::Inet(read_inet(bytes)?),
        TAG_RANGE => Datum::Range(read_range(bytes)?),
        TAG_MULTIRANGE => Datum::Multirange(read_multirange(bytes)?),
        TAG_LIST => Datum::List(read_until_end(bytes)?),
        TAG_MAP => Datum::Map(read_until_end(bytes)?),
        TAG_ENUM => Datum::Enum { order: read_float4(bytes)?, label: read_text(bytes)? },
        _ => return None,
    })
}

fn push_micros(buffer: &mut Vec<u8>, tag: u8, micros: i64) {
    buffer.push(tag);
    buffer.extend_from_slice(&order_i64(micros));
}

fn push_interval(buffer: &mut Vec<u8>, interval: &Interval) {
    buffer.push(TAG_INTERVAL);
    let length = interval.comparison_value().cast_unsigned() ^ (1 << 127);
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(&order_i32(interval.months));
    buffer.extend_from_slice(&order_i32(interval.days));
    buffer.extend_from_slice(&order_i64(interval.micros));
}

/// Appends what `fill` appends, after its length in four bytes. Longer than 4 GiB cannot be:
/// a message of the protocol is not longer than 1 GiB.
fn push_block(buffer: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    fill(buffer);
    let length = (buffer.len() - start - 4) as u32;
    buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn take_block<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take_array(bytes)?);
    take(bytes, length as usize)
}

fn read_array<'a>(bytes: &mut &'a [u8]) -> Option<ArrayRef<'a>> {
    let count = take(bytes, 1)?[0];
    let dimensions = take(bytes, usize::from(count) * 8)?;
    Some(ArrayRef { elements: take_block(bytes)?, dimensions })
}

/// Decodes one datum and moves past it. None if the bytes are no datum.
pub fn read_datum<'a>(bytes: &mut &'a [u8]) -> Option<Datum<'a>> {
    let (&tag, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(match tag {
        TAG_NULL => Datum::Null,
        TAG_FALSE => Datum::Bool(false),
        TAG_TRUE => Datum::Bool(true),
        0x08..=0x18 => Datum::Int(read_int(tag, bytes)?),
        TAG_FLOAT4 => Datum::Float4(read_float4(bytes)?),
        TAG_FLOAT8 => {
            let flipped = u64::from_be_bytes(take_array(bytes)?);
            let bits = if flipped >> 63 == 1 { flipped & !(1 << 63) } else { !flipped };
            Datum::Float8(f64::from_bits(bits))
        }
        TAG_NUMERIC => Datum::Numeric(numeric::read_encoded(bytes)?),
        TAG_TEXT => Datum::Text(read_text(bytes)?),
        TAG_BYTES => Datum::Bytes(take_block(bytes)?),
        TAG_DATE => Datum::Date(unorder_i32(take_array(bytes)?)),
        TAG_TIME => Datum::Time(unorder_i64(take_array(bytes)?)),
        TAG_TIMESTAMP => Datum::Timestamp(unorder_i64(take_array(bytes)?)),
        TAG_TIMESTAMPTZ => Datum::TimestampTz(unorder_i64(take_array(bytes)?)),
        TAG_INTERVAL => {
            take(bytes, 16)?;
            Datum::Interval(Interval {
                months: unorder_i32(take_array(bytes)?),
                days: unorder_i32(take_array(bytes)?),
                micros: unorder_i64(take_array(bytes)?),
            })
        }
        TAG_UUID => Datum::Uuid(take_array(bytes)?),
        TAG_JSONB => Datum::Jsonb(JsonbRef::from_bytes(take_block(bytes)?)),
        TAG_ARRAY => Datum::Array(read_array(bytes)?),
        TAG_RECORD => Datum::Record(RowRef { bytes: take_block(bytes)? }),
        _ => return read_rare(tag, bytes),
    })
}

/// Many rows with their diffs in one arena: what sources, the ledger and the workers hand to
/// one another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowBatch {
    bytes: Vec<u8>,
    /// Where each row ends in `bytes`.
    ends: Vec<usize>,
    diffs: Vec<Diff>,
}

impl RowBatch {
    /// No rows.
    pub fn new() -> RowBatch {
        RowBatch::default()
    }

    /// Appends a row.
    pub fn push(&mut self, row: RowRef<'_>, diff: Diff) {
        self.push_encoded(row.bytes(), diff);
    }

    /// Appends a row by its bytes.
    pub fn push_encoded(&mut self, bytes: &[u8], diff: Diff) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
        self.diffs.push(diff);
    }

    /// How many updates there are.
    pub fn len(&self) -> usize {
        self.diffs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.diffs.is_empty()
    }

    /// Bytes of all rows together.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The row and diff at a position.
    pub fn get(&self, index: usize) -> Option<(RowRef<'_>, Diff)> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some((RowRef { bytes: &self.bytes[start..end] }, self.diffs[index]))
    }

    /// All updates in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (RowRef<'_>, Diff)> {
        let mut start = 0;
        self.ends.iter().zip(&self.diffs).map(move |(&end, &diff)| {
            let bytes = &self.bytes[start..end];
            start = end;
            (RowRef { bytes }, diff)
        })
    }

    /// Appends another batch.
    pub fn append(&mut self, other: &RowBatch) {
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| end + base));
        self.diffs.extend_from_slice(&other.diffs);
    }

    /// The parts, for the ledger to write: bytes of all rows, the end of each, diffs.
    pub fn parts(&self) -> (&[u8], &[usize], &[Diff]) {
        (&self.bytes, &self.ends, &self.diffs)
    }
}

impl<'a> Extend<(RowRef<'a>, Diff)> for RowBatch {
    fn extend<I: IntoIterator<Item = (RowRef<'a>, Diff)>>(&mut self, updates: I) {
        for (row, diff) in updates {
            self.push(row, diff);
        }
    }
}
