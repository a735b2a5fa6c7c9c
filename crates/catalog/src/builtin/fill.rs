//! Rows of relations with many columns of which only some say something.

use tidemill_repr::{Datum, Row, RowBuilder};

use super::columns;

/// The columns of a relation, read once.
pub(super) struct Shape {
    /// Name, what stands where nothing is given, and the first subscript of an array.
    columns: Vec<(&'static str, Blank, i32)>,
}

/// What a column holds that is not given.
#[derive(Clone, Copy)]
enum Blank {
    Null,
    False,
    Zero,
    ZeroFloat,
    Text,
    Array,
}

impl Shape {
    /// The shape of [`super::Builtin::columns`].
    pub(super) fn of(text: &'static str) -> Shape {
        let columns = columns(text)
            .map(|column| {
                let blank = match column.typ {
                    _ if column.nullable => Blank::Null,
                    "bool" => Blank::False,
                    "float4" | "float8" => Blank::ZeroFloat,
                    "text" | "name" | "char" => Blank::Text,
                    typ if typ.ends_with("[]") || typ.ends_with("vector") => Blank::Array,
                    _ => Blank::Zero,
                };
                // Vectors are counted from 0.
                let first = i32::from(!column.typ.ends_with("vector"));
                (column.name, blank, first)
            })
            .collect();
        Shape { columns }
    }

    /// A row with these values; other columns are NULL where they may, else 0, false or empty.
    pub(super) fn row(&self, values: &[(&str, Value<'_>)]) -> Row {
        let mut row = RowBuilder::new();
        for (name, blank, first) in &self.columns {
            match (values.iter().find(|(given, _)| given == name), blank) {
                (Some((_, value)), _) => value.push(&mut row, *first),
                (None, Blank::Null) => row.push(Datum::Null),
                (None, Blank::False) => row.push(Datum::Bool(false)),
                (None, Blank::Zero) => row.push(Datum::Int(0)),
                (None, Blank::ZeroFloat) => row.push(Datum::Float4(0.0)),
                (None, Blank::Text) => row.push(Datum::Text("")),
                (None, Blank::Array) => row.push_array(&[], std::iter::empty::<Datum<'_>>()),
            }
        }
        row.finish()
    }
}

/// A value of a column.
#[derive(Clone)]
pub(super) enum Value<'a> {
    /// A boolean.
    Bool(bool),
    /// An integer or oid.
    Int(i64),
    /// A real.
    Float4(f32),
    /// A text.
    Text(&'a str),
    /// A text or NULL.
    Optional(Option<&'a str>),
    /// An array of integers or oids.
    Ints(Vec<i64>),
    /// An array of integers or oids, or NULL.
    OptionalInts(Option<Vec<i64>>),
    /// An array of texts, or NULL.
    Texts(Option<Vec<String>>),
}

impl Value<'_> {
    fn push(&self, row: &mut RowBuilder, first: i32) {
        match self {
            Value::Bool(value) => row.push(Datum::Bool(*value)),
            Value::Int(value) => row.push(Datum::Int(*value)),
            Value::Float4(value) => row.push(Datum::Float4(*value)),
            Value::Text(text) | Value::Optional(Some(text)) => row.push(Datum::Text(text)),
            Value::Optional(None) => row.push(Datum::Null),
            Value::Texts(None) | Value::OptionalInts(None) => row.push(Datum::Null),
            Value::Texts(Some(values)) => {
                let length = i32::try_from(values.len()).unwrap_or(i32::MAX);
                let dimensions = if values.is_empty() { Vec::new() } else { vec![(length, 1)] };
                row.push_array(&dimensions, values.iter().map(|value| Datum::Text(value)));
            }
            Value::Ints(values) | Value::OptionalInts(Some(values)) => {
                let length = i32::try_from(values.len()).unwrap_or(i32::MAX);
                let dimensions = if values.is_empty() { Vec::new() } else { vec![(length, first)] };
                row.push_array(&dimensions, values.iter().map(|value| Datum::Int(*value)));
            }
        }
    }
}

/// An oid.
pub(super) fn oid(oid: tidemill_repr::Oid) -> Value<'static> {
    Value::Int(i64::from(oid.0))
}

/// A number of things.
pub(super) fn count(count: usize) -> Value<'static> {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}
