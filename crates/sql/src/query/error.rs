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

    /// The place of a word that is written before a span, with nothing but blanks between; that of
    /// the span if there is none.
    pub(super) fn before(&self, span: Span, word: &str) -> Option<u32> {
        let start = self.position(span)?;
        let end = usize::try_from(start).ok()?.checked_sub(1)?;
        let text: Vec<char> = self.text.chars().take(end).collect();
        let trimmed = text.iter().rposition(|c| !c.is_whitespace())? + 1;
        let wanted: Vec<char> = word.chars().collect();
        let at = trimmed.checked_sub(wanted.len())?;
        let found = text.get(at..trimmed)?;
        let same = found.iter().zip(&wanted).all(|(one, two)| one.eq_ignore_ascii_case(two));
        if same { u32::try_from(at + 1).ok() } else { Some(start) }
    }

    /// Gives an error the place of a word before a span, unless it has one.
    pub(super) fn locate_before(&self, mut error: SqlError, span: Span, word: &str) -> SqlError {
        if error.position.is_none() {
            error.position = self.before(span, word);
        }
        error
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
        let is = |window: &[char]| {
            window.iter().zip(&wanted).all(|(one, two)| one.eq_ignore_ascii_case(two))
        };
        match rest.windows(wanted.len().max(1)).position(is) {
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

    /// Gives an error the place of the type in a cast, unless it has one.
    pub(super) fn locate_after(
        &self,
        error: SqlError,
        operand: Span,
        kind: &sqlparser::ast::CastKind,
    ) -> SqlError {
        if error.position.is_some() {
            return error;
        }
        let word = match kind {
            sqlparser::ast::CastKind::DoubleColon => "::",
            _ => " as ",
        };
        let found = self.locate_operator(error, operand, word);
        let Some(at) = found.position else { return found };
        let skip = usize::try_from(at).unwrap_or(1).saturating_sub(1) + word.len();
        let blanks = self.text.chars().skip(skip).take_while(|c| c.is_whitespace()).count();
        match u32::try_from(skip + blanks + 1) {
            Ok(place) => SqlError { position: Some(place), ..found },
            Err(_) => found,
        }
    }

    /// A word as it is written in the statement, for it was folded.
    pub(super) fn as_written(&self, span: Span, word: &str) -> String {
        let start = self.position(span).and_then(|start| usize::try_from(start).ok());
        let Some(skip) = start.and_then(|start| start.checked_sub(1)) else {
            return word.to_owned();
        };
        let found: String = self.text.chars().skip(skip).take(word.chars().count()).collect();
        if found.eq_ignore_ascii_case(word) { found } else { word.to_owned() }
    }

    /// Refuses something at a span.
    pub(super) fn unsupported(&self, what: &str, span: Span) -> SqlError {
        self.locate(SqlError::unsupported(what), span)
    }
}

/// An error that PostgreSQL tells without a place in the statement.
pub(super) fn nowhere(error: SqlError) -> SqlError {
    error.at(0)
}

/// Takes away what [`nowhere`] said.
pub(crate) fn settle_position(mut error: SqlError) -> SqlError {
    error.position = error.position.filter(|position| *position > 0);
    error
}

/// The name an identifier means: folded to lower case unless quoted.
pub(super) fn name_of(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}
