//! Types whose values are not compared: json has neither equality nor order.

use tidemill_repr::{ScalarType, SqlError, SqlState};

/// A type within this one that has no equality.
fn without_equality(typ: &ScalarType) -> Option<&ScalarType> {
    match typ {
        ScalarType::Json | ScalarType::Jsonpath => Some(typ),
        ScalarType::Array(inner) | ScalarType::List(inner) | ScalarType::Map(inner) => {
            without_equality(inner)
        }
        ScalarType::Record(fields) => fields.iter().find_map(without_equality),
        ScalarType::Composite(composite) => {
            composite.fields.iter().find_map(|(_, typ)| without_equality(&typ.scalar_type))
        }
        ScalarType::Domain(_) => without_equality(typ.base()),
        _ => None,
    }
}

/// Refuses what is to be told apart and cannot be.
pub(super) fn require_equality(typ: &ScalarType) -> Result<(), SqlError> {
    match without_equality(typ) {
        None => Ok(()),
        Some(typ) => Err(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("could not identify an equality operator for type {typ}"),
        )),
    }
}

/// Refuses what is to be sorted and has no order.
pub(super) fn require_order(typ: &ScalarType) -> Result<(), SqlError> {
    let missing = match typ.base() {
        ScalarType::Xid => Some(typ),
        typ => without_equality(typ),
    };
    match missing {
        None => Ok(()),
        Some(typ) => Err(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("could not identify an ordering operator for type {typ}"),
        )
        .with_hint("Use an explicit ordering operator or modify the query.")),
    }
}
