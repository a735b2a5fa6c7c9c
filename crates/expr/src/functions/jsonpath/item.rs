//! What a path works on.

use std::cmp::Ordering;

use tidemill_repr::jsonb::{JsonbBuilder, JsonbKind, JsonbRef};
use tidemill_repr::jsonpath::Comparison;
use tidemill_repr::{Datum, Numeric};

use crate::functions::jsonpath::evaluate::Failure;
use crate::functions::jsonpath::moment::Moment;
use crate::scalar::EvalContext;

/// An item.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    Null,
    Bool(bool),
    Number(Numeric),
    Text(&'a str),
    Array(JsonbRef<'a>),
    Object(JsonbRef<'a>),
    Moment(Moment),
}

/// What is known of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    Unknown,
}

impl From<bool> for Truth {
    fn from(value: bool) -> Truth {
        if value { Truth::True } else { Truth::False }
    }
}

impl<'a> Item<'a> {
    pub(super) fn of(value: JsonbRef<'a>) -> Item<'a> {
        match value.kind() {
            JsonbKind::Null => Item::Null,
            JsonbKind::Bool(value) => Item::Bool(value),
            JsonbKind::Number(number) => Item::Number(number),
            JsonbKind::String(text) => Item::Text(text),
            JsonbKind::Array(_) => Item::Array(value),
            JsonbKind::Object(_) => Item::Object(value),
        }
    }

    /// The elements, of an array.
    pub(super) fn elements(self) -> Option<impl ExactSizeIterator<Item = Item<'a>>> {
        match self {
            Item::Array(value) => {
                let elements: Vec<_> = value.as_array()?.map(Item::of).collect();
                Some(elements.into_iter())
            }
            _ => None,
        }
    }

    /// The values of the members, or the elements.
    pub(super) fn children(self) -> Vec<Item<'a>> {
        match self {
            Item::Array(value) => value.as_array().into_iter().flatten().map(Item::of).collect(),
            Item::Object(value) => {
                value.as_object().into_iter().flatten().map(|(_, value)| Item::of(value)).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn is_container(self) -> bool {
        matches!(self, Item::Array(_) | Item::Object(_))
    }

    /// What `.type()` says.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Item::Null => "null",
            Item::Bool(_) => "boolean",
            Item::Number(_) => "number",
            Item::Text(_) => "string",
            Item::Array(_) => "array",
            Item::Object(_) => "object",
            Item::Moment(moment) => moment.type_name(),
        }
    }

    pub(super) fn build(self, out: &mut JsonbBuilder) {
        match self {
            Item::Null => out.null(),
            Item::Bool(value) => out.bool(value),
            Item::Number(number) => out.number(&number),
            Item::Text(text) => out.string(text),
            Item::Array(value) | Item::Object(value) => out.value(value),
            Item::Moment(moment) => out.string(&moment.text()),
        }
    }

    pub(super) fn datum(self, context: EvalContext<'a>) -> Datum<'a> {
        if let Item::Array(value) | Item::Object(value) = self {
            return Datum::Jsonb(value);
        }
        let mut out = JsonbBuilder::new();
        self.build(&mut out);
        let bytes: &'a [u8] = context.arena.alloc_slice_copy(&out.finish());
        Datum::Jsonb(JsonbRef::from_bytes(bytes))
    }

    /// Compares two items; what has no order is unknown.
    pub(super) fn compare(
        self,
        operator: Comparison,
        other: Item<'a>,
        zone: Option<&str>,
    ) -> Result<Truth, Failure> {
        let order = match (self, other) {
            (Item::Null, Item::Null) => Ordering::Equal,
            // Null is not equal to what is not null.
            (Item::Null, _) | (_, Item::Null) => {
                return Ok((operator == Comparison::NotEqual).into());
            }
            (Item::Bool(left), Item::Bool(right)) => left.cmp(&right),
            (Item::Number(left), Item::Number(right)) => left.sql_cmp(&right),
            (Item::Text(left), Item::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Item::Moment(left), Item::Moment(right)) => match left.compare(right, zone)? {
                Some(order) => order,
                None => return Ok(Truth::Unknown),
            },
            _ => return Ok(Truth::Unknown),
        };
        Ok(match operator {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
        .into())
    }
}
