//! What holds for all values: bytes are ordered as SQL orders, every format reads what it
//! wrote, and no bytes or text make decoding panic.

#![expect(clippy::unwrap_used, reason = "strategies make values that are valid by construction")]

use proptest::arbitrary::any;
use proptest::strategy::Strategy;
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use tidemill_repr::binary::{decode_into, encode_into};
use tidemill_repr::jsonb::{JsonbRef, parse_jsonb};
use tidemill_repr::text::{TextSettings, format, parse_into};
use tidemill_repr::{
    ColumnType, Datum, Inet, Interval, Numeric, RangeKind, Row, RowBuilder, ScalarType, TimeTz,
};

/// A type and a value of it, as a row of one datum.
fn values() -> impl Strategy<Value = (ScalarType, Row)> {
    let micros = -211_813_488_000_000_000i64..9_223_371_331_200_000_000;
    prop_oneof![
        any::<bool>().prop_map(|v| (ScalarType::Bool, Row::pack1(Datum::Bool(v)))),
        any::<i16>().prop_map(|v| (ScalarType::Int2, Row::pack1(Datum::Int(v.into())))),
        any::<i32>().prop_map(|v| (ScalarType::Int4, Row::pack1(Datum::Int(v.into())))),
        any::<i64>().prop_map(|v| (ScalarType::Int8, Row::pack1(Datum::Int(v)))),
        any::<u32>().prop_map(|v| (ScalarType::Oid, Row::pack1(Datum::Int(v.into())))),
        any::<f32>().prop_map(|v| (ScalarType::Float4, Row::pack1(Datum::Float4(v)))),
        any::<f64>().prop_map(|v| (ScalarType::Float8, Row::pack1(Datum::Float8(v)))),
        "-?[0-9]{1,40}(\\.[0-9]{1,30})?".prop_map(|v| {
            let number = Numeric::parse(&v).unwrap();
            (ScalarType::Numeric, Row::pack1(Datum::Numeric(number)))
        }),
        "[^\0]{0,12}".prop_map(|v| (ScalarType::Text, Row::pack1(Datum::Text(&v)))),
        proptest::collection::vec(any::<u8>(), 0..12)
            .prop_map(|v| (ScalarType::Bytea, Row::pack1(Datum::Bytes(&v)))),
        (-2_451_545i32..2_147_483_494).prop_map(|v| (ScalarType::Date, Row::pack1(Datum::Date(v)))),
        (0i64..86_400_000_000).prop_map(|v| (ScalarType::Time, Row::pack1(Datum::Time(v)))),
        micros.clone().prop_map(|v| (ScalarType::Timestamp, Row::pack1(Datum::Timestamp(v)))),
        micros.prop_map(|v| (ScalarType::TimestampTz, Row::pack1(Datum::TimestampTz(v)))),
        (any::<i32>(), any::<i32>(), any::<i64>()).prop_map(|(months, days, micros)| {
            let interval = Interval { months, days, micros };
            (ScalarType::Interval, Row::pack1(Datum::Interval(interval)))
        }),
        any::<[u8; 16]>().prop_map(|v| (ScalarType::Uuid, Row::pack1(Datum::Uuid(v)))),
        "(\\{\"[a-c]{0,2}\": [0-9]\\.[0-9]{1,3}, \"[a-c]{0,2}\": \\[null, true, \"x\"\\]\\})"
            .prop_map(|v| {
                let value = parse_jsonb(&v).unwrap();
                (ScalarType::Jsonb, Row::pack1(Datum::Jsonb(JsonbRef::from_bytes(&value))))
            }),
        rare_values(),
        proptest::collection::vec(proptest::option::of("[^\0]{0,5}"), 1..5).prop_map(|v| {
            let mut row = RowBuilder::new();
            let length = i32::try_from(v.len()).unwrap();
            let elements = v.iter().map(|e| e.as_deref().map_or(Datum::Null, Datum::Text));
            row.push_array(&[(length, 1)], elements);
            (ScalarType::Array(Box::new(ScalarType::Text)), row.finish())
        }),
    ]
}

/// A value from its text.
fn read(typ: ScalarType, text: &str) -> (ScalarType, Row) {
    let mut row = RowBuilder::new();
    let column = ColumnType::new(typ.clone());
    parse_into(&column, text, &TextSettings::default(), &mut row).unwrap();
    (typ, row.finish())
}

/// Values of the types that are seldom met.
fn rare_values() -> impl Strategy<Value = (ScalarType, Row)> {
    let bound = "(-?[0-9]{1,2}(\\.[0-9]{1,2})?)?";
    prop_oneof![
        (0i64..86_400_000_000, -57_540i32..57_540).prop_map(|(micros, zone)| {
            let time = TimeTz { micros, zone };
            (ScalarType::TimeTz, Row::pack1(Datum::TimeTz(time)))
        }),
        any::<i64>().prop_map(|v| (ScalarType::Money, Row::pack1(Datum::Int(v)))),
        "[01]{0,20}".prop_map(|v| read(ScalarType::Varbit, &v)),
        (any::<[u8; 4]>(), 0u8..=32).prop_map(|(v, bits)| {
            let inet = Inet { address: v.into(), bits };
            (ScalarType::Inet, Row::pack1(Datum::Inet(inet)))
        }),
        (any::<[u8; 16]>(), 0u8..=128).prop_map(|(v, bits)| {
            let inet = Inet { address: v.into(), bits };
            (ScalarType::Inet, Row::pack1(Datum::Inet(inet)))
        }),
        (0u64..1 << 48).prop_map(|v| (ScalarType::Macaddr, Row::pack1(Datum::UInt(v)))),
        any::<u64>().prop_map(|v| (ScalarType::Macaddr8, Row::pack1(Datum::UInt(v)))),
        any::<u64>().prop_map(|v| (ScalarType::PgLsn, Row::pack1(Datum::UInt(v)))),
        any::<u64>().prop_map(|v| (ScalarType::UInt8, Row::pack1(Datum::UInt(v)))),
        any::<u16>().prop_map(|v| (ScalarType::UInt2, Row::pack1(Datum::Int(v.into())))),
        (any::<i8>(), 0i32..9, any::<bool>()).prop_map(|(low, length, closed)| {
            let high = i32::from(low) + length;
            let close = if closed { ']' } else { ')' };
            read(ScalarType::Range(RangeKind::Int4), &format!("[{low},{high}{close}"))
        }),
        (bound, any::<bool>()).prop_map(|(low, closed)| {
            let open = if closed { '[' } else { '(' };
            read(ScalarType::Range(RangeKind::Numeric), &format!("{open}{low},)"))
        }),
        proptest::collection::vec((any::<i8>(), 0i32..5), 0..4).prop_map(|ranges| {
            let parts: Vec<String> = ranges
                .iter()
                .map(|(low, length)| format!("[{low},{})", i32::from(*low) + length))
                .collect();
            let text = format!("{{{}}}", parts.join(","));
            read(ScalarType::Multirange(RangeKind::Int8), &text)
        }),
        proptest::collection::vec(proptest::option::of("[^\0]{0,5}"), 0..5).prop_map(|v| {
            let mut row = RowBuilder::new();
            row.extend(v.iter().map(|e| e.as_deref().map_or(Datum::Null, Datum::Text)));
            let list = Row::pack1(Datum::List(row.as_ref()));
            (ScalarType::List(Box::new(ScalarType::Text)), list)
        }),
        proptest::collection::btree_map("[^\0]{0,5}", "[^\0]{0,5}", 0..4).prop_map(|v| {
            let mut row = RowBuilder::new();
            for (key, value) in &v {
                row.extend([Datum::Text(key), Datum::Text(value)]);
            }
            let map = Row::pack1(Datum::Map(row.as_ref()));
            (ScalarType::Map(Box::new(ScalarType::Text)), map)
        }),
    ]
}

/// Two values of one type.
fn pairs() -> impl Strategy<Value = (ScalarType, Row, Row)> {
    (proptest::collection::vec(values(), 30)).prop_filter_map("two of one type", |values| {
        let (typ, first) = values[0].clone();
        let other = values[1..].iter().find(|(other, _)| *other == typ)?;
        Some((typ, first, other.1.clone()))
    })
}

proptest! {
    #[test]
    fn bytes_are_ordered_as_sql_orders((typ, a, b) in pairs()) {
        let (left, right) = (a.first().unwrap(), b.first().unwrap());
        let order = left.sql_cmp(&right);
        if a == b {
            prop_assert!(order.is_eq());
        } else if typ.is_byte_ordered() && order.is_ne() {
            prop_assert_eq!(a.cmp(&b), order);
        }
        prop_assert_eq!(right.sql_cmp(&left), order.reverse());
    }

    #[test]
    fn formats_read_what_they_wrote((typ, row) in values()) {
        let column = ColumnType::new(typ.clone());
        let settings = TextSettings::in_zone("America/New_York");
        let datum = row.first().unwrap();
        let text = format(&datum, &typ, &settings);
        let mut read = RowBuilder::new();
        // A sum of interval parts can leave the range of the text form; PostgreSQL's too.
        match parse_into(&column, &text, &settings, &mut read) {
            Ok(()) => prop_assert_eq!(&read.finish(), &row, "{}", text),
            Err(error) => prop_assert!(typ == ScalarType::Interval, "{}: {}", text, error),
        }
        let mut bytes = Vec::new();
        encode_into(&datum, &typ, &mut bytes);
        decode_into(&column, &bytes, &mut read).unwrap();
        prop_assert_eq!(read.finish(), row);
    }

    #[test]
    fn any_bytes_are_decoded_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let row = Row::from_bytes(&bytes);
        let settings = TextSettings::default();
        for datum in row.iter() {
            format(&datum, &ScalarType::Unknown, &settings);
            datum.sql_cmp(&datum);
        }
        let value = JsonbRef::from_bytes(&bytes);
        value.to_text(&mut String::new());
        value.canonical();
        let mut builder = RowBuilder::new();
        for typ in ScalarType::ALL {
            let array = ScalarType::Array(Box::new(typ.clone()));
            for typ in [typ.clone(), array] {
                let length = builder.bytes().len();
                if decode_into(&ColumnType::new(typ), &bytes, &mut builder).is_err() {
                    prop_assert_eq!(builder.bytes().len(), length);
                }
            }
        }
    }

    #[test]
    fn any_text_is_read_without_panic(text in "[-+:., /0-9a-zTZP{}\\[\\]\"\\\\éü]{0,24}") {
        let settings = TextSettings::default();
        let mut builder = RowBuilder::new();
        for typ in ScalarType::ALL {
            let array = ScalarType::Array(Box::new(typ.clone()));
            for typ in [typ.clone(), array] {
                let length = builder.bytes().len();
                if parse_into(&ColumnType::new(typ), &text, &settings, &mut builder).is_err() {
                    prop_assert_eq!(builder.bytes().len(), length);
                }
            }
        }
    }
}
