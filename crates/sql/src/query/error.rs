//! Errors with the place in the statement's text.

use sqlparser::ast::Ident;
use sqlparser::tokenizer::{Location, Span};
use tidemill_repr::{SqlError, SqlState};

use super::QueryContext;

/// The place of a location in a text, in characters from 1; None if it is not known. In the first
/// line it is the column, which is all there is after [`crate::parse`].
pub fn position(text: &str, location: Location) -> Option<u32> {
    if location.line == 0 || location.column == 0 {
        return None;
    }
    if location.line == 1 {
        return u32::try_from(location.column).ok();
    }
    let (mut line, mut column) = (1, 1);
    for (index, character) in text.chars().enumerate() {
        if line == location.line && column == location.column {
            return u32::try_from(index + 1).ok();
        }
        if character == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    None
}

impl QueryContext<'_> {
    /// The position of a span's start.
    pub(super) fn position(&self, span: Span) -> Option<u32> {
        position(self.text, span.start)
    }

    /// An error at a span.
    pub(super) fn error(&self, code: SqlState, message: impl Into<String>, span: Span) -> SqlError {
        self.locate(SqlError::new(code, message), span)
    }

    /// Gives an error the place of a span, unless it has one.
    pub(super) fn locate(&self, mut error: SqlError, span: Span) -> SqlError {
        if error.position.is_none() {
            error.position = self.position(span);
        }
        error
    }

    /// Gives an error the place of an operator that is written after `left`.
    pub(super) fn locate_operator(&self, error: SqlError, left: Span, name: &str) -> SqlError {
        if error.position.is_some() {
            return error;
        }
        let Some(end) = position(self.text, left.end) else { return error };
        let skip = usize::try_from(end).unwrap_or(1).saturating_sub(1);
        let rest: Vec<char> = self.text.chars().skip(skip).collect();
        let wanted: Vec<char> = name.chars().collect();
        match rest.windows(wanted.len().max(1)).position(|window| window == wanted) {
            Some(offset) => {
                let place = skip + offset + 1;
                match u32::try_from(place) {
                    Ok(place) => error.at(place),
                    Err(_) => error,
                }
            }
            None => error,
        }
    }

    /// Refuses something at a span.
    pub(super) fn unsupported(&self, what: &str, span: Span) -> SqlError {
        self.locate(SqlError::unsupported(what), span)
    }
}

/// The name an identifier means: folded to lower case unless quoted.
pub(super) fn name_of(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}
