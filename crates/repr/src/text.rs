//! PostgreSQL's text formats: to row bytes and back.

use crate::datum::Datum;
use crate::error::SqlError;
use crate::row::RowBuilder;
use crate::types::{ColumnType, ScalarType};

/// The settings of a session that change how values are read and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSettings {
    /// `timezone`, as an IANA name or a POSIX offset.
    pub time_zone: String,
}

impl Default for TextSettings {
    fn default() -> Self {
        TextSettings { time_zone: "UTC".to_owned() }
    }
}

/// Reads one value of a type from its text and appends it to `row`, after applying the type's
/// modifier as an assignment does. On an error nothing is appended.
///
/// # Errors
/// The text is no value of the type (`22P02` and others, in PostgreSQL's words).
pub fn parse_into(
    typ: &ColumnType,
    text: &str,
    settings: &TextSettings,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let _ = (typ, text, settings, row);
    Err(SqlError::internal("text input"))
}

/// Appends the text of a value that is not NULL to `out`.
pub fn format_into(datum: &Datum<'_>, typ: &ScalarType, settings: &TextSettings, out: &mut String) {
    let _ = (datum, typ, settings, out);
}
