//! PostgreSQL's binary formats (`typsend`, `typreceive`): to row bytes and back.
//!
//! Numbers of base 10000 lie in `binary/numeric.rs`, what is seldom met in `binary/rare.rs`.

use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::id::Oid;
use crate::interval::Interval;
use crate::jsonb::{JsonbRef, parse_jsonb};
use crate::row::{ArrayRef, RowBuilder, RowRef};
use crate::text::composite::MAX_DIMENSIONS;
use crate::text::{TextSettings, apply_numeric, push_character};
use crate::time::{DAY, END_DATE, MIN_DATE, is_timestamp, round_micros};
use crate::types::{ColumnType, ScalarType};

mod numeric;
mod rare;

/// The version byte before a jsonb's text.
const JSONB_VERSION: u8 = 1;

fn insufficient() -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
}

fn incorrect() -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "incorrect binary data format")
}

fn wrong(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
}

/// What is left of a value's bytes.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], SqlError> {
        let (head, rest) = self.bytes.split_at_checked(count).ok_or_else(insufficient)?;
        self.bytes = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SqlError> {
        self.take(N)?.try_into().map_err(|_| insufficient())
    }

    fn i16(&mut self) -> Result<i16, SqlError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    fn i32(&mut self) -> Result<i32, SqlError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, SqlError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, SqlError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A length and so many bytes; none for NULL (-1).
    fn nullable(&mut self) -> Result<Option<&'a [u8]>, SqlError> {
        match self.i32()? {
            -1 => Ok(None),
            length => self.take(usize::try_from(length).map_err(|_| insufficient())?).map(Some),
        }
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, SqlError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let end = (at + error.error_len().unwrap_or(1)).min(bytes.len());
        let shown: Vec<String> =
            bytes[at..end].iter().map(|byte| format!("0x{byte:02x}")).collect();
        SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    })
}

/// Reads one value of a type from its binary form and appends it to `row`, after applying the
/// type's modifier. On an error nothing is appended.
///
/// # Errors
/// The bytes are no value of the type (`22P03`).
pub fn decode_into(typ: &ColumnType, bytes: &[u8], row: &mut RowBuilder) -> Result<(), SqlError> {
    decode_scalar_into(&typ.scalar_type, typ.typmod, bytes, row)
}

fn decode_scalar_into(
    typ: &ScalarType,
    typmod: i32,
    bytes: &[u8],
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let mut reader = Reader { bytes };
    let datum = match typ {
        ScalarType::Bool => Datum::Bool(reader.take(1)?[0] != 0),
        ScalarType::Int2 => Datum::Int(i64::from(reader.i16()?)),
        ScalarType::Int4 => Datum::Int(i64::from(reader.i32()?)),
        ScalarType::Int8 => Datum::Int(reader.i64()?),
        ScalarType::Oid => Datum::Int(i64::from(reader.u32()?)),
        ScalarType::Float4 => Datum::Float4(f32::from_be_bytes(reader.array()?)),
        ScalarType::Float8 => Datum::Float8(f64::from_be_bytes(reader.array()?)),
        ScalarType::Numeric => {
            Datum::Numeric(apply_numeric(numeric::decode(&mut reader)?, typmod)?)
        }
        ScalarType::Text
        | ScalarType::Varchar
        | ScalarType::Bpchar
        | ScalarType::InternalChar
        | ScalarType::Name
        | ScalarType::Unknown => {
            let none = *typ == ScalarType::InternalChar && bytes == [0];
            let text = if none { "" } else { text_of(bytes)? };
            return push_character(typ, typmod, text, row);
        }
        ScalarType::Bytea => {
            row.push(Datum::Bytes(bytes));
            return Ok(());
        }
        ScalarType::Date => Datum::Date(decode_date(&mut reader)?),
        ScalarType::Time => Datum::Time(decode_time(&mut reader, typmod)?),
        ScalarType::Timestamp => Datum::Timestamp(decode_timestamp(&mut reader, typmod)?),
        ScalarType::TimestampTz => Datum::TimestampTz(decode_timestamp(&mut reader, typmod)?),
        ScalarType::Interval => {
            let micros = reader.i64()?;
            let days = reader.i32()?;
            let interval = Interval { months: reader.i32()?, days, micros };
            Datum::Interval(interval.limited(typmod))
        }
        ScalarType::Uuid => Datum::Uuid(reader.array()?),
        ScalarType::Jsonb => return decode_jsonb(bytes, row),
        ScalarType::Array(element) => {
            return decode_array(element, typmod, &mut reader, row);
        }
        ScalarType::Record(fields) => {
            return decode_record(fields.iter().map(|field| (field, -1)), &mut reader, row);
        }
        ScalarType::Composite(definition) => {
            let fields = definition.fields.iter();
            let fields = fields.map(|(_, field)| (&field.scalar_type, field.typmod));
            return decode_record(fields, &mut reader, row);
        }
        ScalarType::Domain(definition) => {
            let base = &definition.base;
            return decode_scalar_into(&base.scalar_type, base.typmod, bytes, row);
        }
        _ => return decode_rare_into(typ, typmod, reader, row),
    };
    if !reader.bytes.is_empty() {
        return Err(incorrect());
    }
    row.push(datum);
    Ok(())
}

/// Types that are seldom met.
fn decode_rare_into(
    typ: &ScalarType,
    typmod: i32,
    mut reader: Reader<'_>,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let reader = &mut reader;
    let datum = match typ {
        ScalarType::Jsonpath => {
            let written = match reader.bytes.split_first() {
                Some((1, written)) => written,
                _ => return Err(incorrect()),
            };
            return crate::text::parse_into(
                &ColumnType::new(ScalarType::Jsonpath),
                text_of(written)?,
                &TextSettings::default(),
                row,
            );
        }
        ScalarType::Json | ScalarType::Enum(_) => {
            let text = text_of(reader.bytes)?;
            let settings = TextSettings::default();
            return crate::text::parse_into(&ColumnType::new(typ.clone()), text, &settings, row);
        }
        ScalarType::TimeTz => Datum::TimeTz(rare::decode_timetz(reader, typmod)?),
        ScalarType::Money => Datum::Int(reader.i64()?),
        ScalarType::Bit | ScalarType::Varbit => return rare::decode_bits(typ, typmod, reader, row),
        ScalarType::Inet => Datum::Inet(rare::decode_inet(reader, false)?),
        ScalarType::Cidr => Datum::Inet(rare::decode_inet(reader, true)?),
        ScalarType::Macaddr | ScalarType::Macaddr8 => {
            Datum::UInt(rare::decode_hardware(reader, typ)?)
        }
        ScalarType::Xid => Datum::Int(i64::from(reader.u32()?)),
        ScalarType::PgLsn | ScalarType::UInt8 | ScalarType::MzTimestamp => {
            Datum::UInt(u64::from_be_bytes(reader.array()?))
        }
        ScalarType::UInt2 => Datum::Int(i64::from(u16::from_be_bytes(reader.array()?))),
        ScalarType::UInt4 => Datum::Int(i64::from(reader.u32()?)),
        ScalarType::Int2Vector | ScalarType::OidVector => {
            let short = *typ == ScalarType::Int2Vector;
            let element = if short { ScalarType::Int2 } else { ScalarType::Oid };
            return rare::decode_vector(&element, reader, row);
        }
        ScalarType::Range(kind) => return rare::decode_range_into(*kind, reader, row),
        ScalarType::Multirange(kind) => return rare::decode_multirange_into(*kind, reader, row),
        ScalarType::List(element) => return rare::decode_list(element, reader, row),
        ScalarType::Map(value) => return rare::decode_map(value, reader, row),
        reg if reg.is_reg() => Datum::Int(i64::from(reader.u32()?)),
        _ => return Err(SqlError::unsupported(format!("binary input of type {typ}"))),
    };
    if !reader.bytes.is_empty() {
        return Err(incorrect());
    }
    row.push(datum);
    Ok(())
}

fn decode_date(reader: &mut Reader<'_>) -> Result<i32, SqlError> {
    let days = reader.i32()?;
    let fits =
        matches!(days, i32::MIN | i32::MAX) || (MIN_DATE..END_DATE).contains(&i64::from(days));
    if fits {
        Ok(days)
    } else {
        Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range"))
    }
}

fn decode_time(reader: &mut Reader<'_>, typmod: i32) -> Result<i64, SqlError> {
    let micros = reader.i64()?;
    if (0..=DAY).contains(&micros) {
        Ok(round_micros(micros, typmod))
    } else {
        Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "time out of range"))
    }
}

fn decode_timestamp(reader: &mut Reader<'_>, typmod: i32) -> Result<i64, SqlError> {
    let micros = round_micros(reader.i64()?, typmod);
    if is_timestamp(micros) {
        Ok(micros)
    } else {
        Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"))
    }
}

fn decode_jsonb(bytes: &[u8], row: &mut RowBuilder) -> Result<(), SqlError> {
    match bytes {
        [JSONB_VERSION, text @ ..] => {
            let value = parse_jsonb(text_of(text)?)?;
            row.push(Datum::Jsonb(JsonbRef::from_bytes(&value)));
            Ok(())
        }
        [version, ..] => Err(SqlError::new(
            SqlState::INTERNAL_ERROR,
            format!("unsupported jsonb version number {version}"),
        )),
        [] => Err(insufficient()),
    }
}

fn decode_array(
    element: &ScalarType,
    typmod: i32,
    reader: &mut Reader<'_>,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let count = usize::try_from(reader.i32()?).map_err(|_| wrong("invalid array flags"))?;
    if count > MAX_DIMENSIONS {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!(
                "number of array dimensions ({count}) exceeds the maximum allowed ({MAX_DIMENSIONS})"
            ),
        ));
    }
    if !matches!(reader.i32()?, 0 | 1) {
        return Err(wrong("invalid array flags"));
    }
    let oid = Oid(reader.u32()?);
    if oid != element.oid() {
        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, "wrong element type"));
    }
    let mut dimensions = Vec::with_capacity(count);
    let mut total: usize = 1;
    for _ in 0..count {
        let (length, lower) = (reader.i32()?, reader.i32()?);
        let size = usize::try_from(length).map_err(|_| incorrect())?;
        total = total.checked_mul(size).ok_or_else(incorrect)?;
        dimensions.push((length, lower));
    }
    if count == 0 || total == 0 {
        row.push_array_encoded(&[], &[]);
        return Ok(());
    }
    let mut elements = RowBuilder::new();
    for _ in 0..total {
        match reader.nullable()? {
            None => elements.push(Datum::Null),
            Some(bytes) => decode_scalar_into(element, typmod, bytes, &mut elements)?,
        }
    }
    if !reader.bytes.is_empty() {
        return Err(incorrect());
    }
    row.push_array_encoded(&dimensions, elements.bytes());
    Ok(())
}

fn decode_record<'t>(
    fields: impl ExactSizeIterator<Item = (&'t ScalarType, i32)>,
    reader: &mut Reader<'_>,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let count = usize::try_from(reader.i32()?).map_err(|_| incorrect())?;
    if count != fields.len() {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("wrong number of columns: {count}, expected {}", fields.len()),
        ));
    }
    let mut encoded = RowBuilder::new();
    for (field, typmod) in fields {
        if Oid(reader.u32()?) != field.oid() {
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, "wrong data type"));
        }
        match reader.nullable()? {
            None => encoded.push(Datum::Null),
            Some(bytes) => decode_scalar_into(field, typmod, bytes, &mut encoded)?,
        }
    }
    if !reader.bytes.is_empty() {
        return Err(incorrect());
    }
    row.push_record_encoded(encoded.bytes());
    Ok(())
}

/// Appends the binary form of a value that is not NULL to `out` (without its length).
pub fn encode_into(datum: &Datum<'_>, typ: &ScalarType, out: &mut Vec<u8>) {
    let typ = typ.base();
    match datum {
        Datum::Null => {}
        Datum::Bool(value) => out.push(u8::from(*value)),
        Datum::Int(value) => encode_int(*value, typ, out),
        Datum::Float4(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Float8(value) => out.extend_from_slice(&value.to_be_bytes()),
        Datum::Numeric(value) => numeric::encode(value, out),
        Datum::Text(text) if *typ == ScalarType::Jsonpath => {
            // The version of the format.
            out.push(1);
            out.extend_from_slice(text.as_bytes());
        }
        // One byte, which is zero where there is none.
        Datum::Text("") if *typ == ScalarType::InternalChar => out.push(0),
        Datum::Text(text) => out.extend_from_slice(text.as_bytes()),
        Datum::Bytes(bytes) => out.extend_from_slice(bytes),
        Datum::Date(days) => out.extend_from_slice(&days.to_be_bytes()),
        Datum::Time(micros) | Datum::Timestamp(micros) | Datum::TimestampTz(micros) => {
            out.extend_from_slice(&micros.to_be_bytes());
        }
        Datum::Interval(interval) => {
            out.extend_from_slice(&interval.micros.to_be_bytes());
            out.extend_from_slice(&interval.days.to_be_bytes());
            out.extend_from_slice(&interval.months.to_be_bytes());
        }
        Datum::Uuid(uuid) => out.extend_from_slice(uuid),
        Datum::Jsonb(value) => {
            let mut text = String::new();
            value.to_text(&mut text);
            out.push(JSONB_VERSION);
            out.extend_from_slice(text.as_bytes());
        }
        Datum::Array(array) => encode_array(array, typ, out),
        Datum::Record(row) => encode_record(*row, typ, out),
        _ => rare::encode_rare(datum, typ, out),
    }
}

/// Integers as wide as their type; the range was checked when the value was made.
fn encode_int(value: i64, typ: &ScalarType, out: &mut Vec<u8>) {
    match typ {
        ScalarType::Int2 => out.extend_from_slice(&(value as i16).to_be_bytes()),
        ScalarType::UInt2 => out.extend_from_slice(&(value as u16).to_be_bytes()),
        ScalarType::Int4 | ScalarType::Oid | ScalarType::Xid | ScalarType::UInt4 => {
            out.extend_from_slice(&(value as i32).to_be_bytes())
        }
        reg if reg.is_reg() => out.extend_from_slice(&(value as i32).to_be_bytes()),
        _ => out.extend_from_slice(&value.to_be_bytes()),
    }
}

fn encode_nullable(datum: &Datum<'_>, typ: &ScalarType, out: &mut Vec<u8>) {
    if datum.is_null() {
        return out.extend_from_slice(&(-1i32).to_be_bytes());
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    encode_into(datum, typ, out);
    // A message of the protocol is not longer than 1 GiB.
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn encode_array(array: &ArrayRef<'_>, typ: &ScalarType, out: &mut Vec<u8>) {
    let text = ScalarType::Text;
    let element = match typ {
        ScalarType::Array(element) => element.as_ref(),
        ScalarType::Int2Vector => &ScalarType::Int2,
        ScalarType::OidVector => &ScalarType::Oid,
        _ => &text,
    };
    let dimensions = array.dimensions();
    let has_null = array.elements().any(|datum| datum.is_null());
    out.extend_from_slice(&(dimensions.len() as i32).to_be_bytes());
    out.extend_from_slice(&i32::from(has_null).to_be_bytes());
    out.extend_from_slice(&element.oid().0.to_be_bytes());
    for (length, lower) in dimensions {
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&lower.to_be_bytes());
    }
    for datum in array.elements() {
        encode_nullable(&datum, element, out);
    }
}

fn encode_record(row: RowRef<'_>, typ: &ScalarType, out: &mut Vec<u8>) {
    let field_types;
    let fields: &[ScalarType] = match typ {
        ScalarType::Record(fields) => fields,
        ScalarType::Composite(definition) => {
            field_types = definition.field_types();
            &field_types
        }
        _ => &[],
    };
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count: i32 = 0;
    for (at, datum) in row.iter().enumerate() {
        let field = fields.get(at).unwrap_or(&ScalarType::Text);
        out.extend_from_slice(&field.oid().0.to_be_bytes());
        encode_nullable(&datum, field, out);
        count += 1;
    }
    out[start..start + 4].copy_from_slice(&count.to_be_bytes());
}
