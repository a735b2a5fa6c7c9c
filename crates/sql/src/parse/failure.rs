//! What went wrong while parsing, in PostgreSQL's words.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, Tokenizer};
use tidemill_repr::{SqlError, SqlState};

use super::tokens::too_deep;

/// Why a statement was not read.
#[derive(Debug)]
pub(super) enum Failure {
    /// sqlparser says so.
    Parser(ParserError),
    /// We say so.
    Sql(SqlError),
}

impl From<ParserError> for Failure {
    fn from(error: ParserError) -> Self {
        Failure::Parser(error)
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Failure::Sql(error)
    }
}

/// The error of a statement that ends at `ends_at` (None: at the end of the text).
pub(super) fn into_error(
    failure: Failure,
    parser: &Parser<'_>,
    text: &str,
    ends_at: Option<u64>,
) -> SqlError {
    let message = match failure {
        Failure::Sql(error) => return error,
        Failure::Parser(ParserError::RecursionLimitExceeded) => return too_deep(),
        Failure::Parser(
            ParserError::ParserError(message) | ParserError::TokenizerError(message),
        ) => message,
    };
    match blamed_position(&message, parser) {
        Some(position) => near(position, parser, text),
        None => match ends_at {
            Some(position) => syntax_error(";", position),
            None => at_end(text),
        },
    }
}

/// Where sqlparser says the error is; None at the end of the statement.
fn blamed_position(message: &str, parser: &Parser<'_>) -> Option<u64> {
    if let Some((_, column)) = message.rsplit_once(", Column: ")
        && let Ok(position) = column.trim().parse()
    {
        return Some(position);
    }
    if message.contains("found: EOF") {
        return None;
    }
    // A message without a place: blame the token that was not taken yet.
    let next = parser.peek_token_ref();
    (next.token != Token::EOF).then_some(next.span.start.column)
}

fn near(position: u64, parser: &Parser<'_>, text: &str) -> SqlError {
    let found = (0..)
        .map(|index| parser.token_at(index))
        .take_while(|token| token.token != Token::EOF)
        .find(|token| token.span.start.column == position);
    let Some(token) = found else { return syntax_error("", position) };
    let length = token.span.end.column.saturating_sub(position);
    let skip = usize::try_from(position.saturating_sub(1)).unwrap_or(usize::MAX);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let shown: String = text.chars().skip(skip).take(length).collect();
    // `AS OF` is one token of ours and two of PostgreSQL's.
    let shown = if token.token == super::AS_OF {
        shown.split_whitespace().next().unwrap_or_default().to_owned()
    } else {
        shown
    };
    syntax_error(&shown, position)
}

pub(super) fn syntax_error(token: &str, position: u64) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{token}\""))
        .at(u32::try_from(position).unwrap_or(u32::MAX))
}

fn at_end(text: &str) -> SqlError {
    let position = text.chars().count() + 1;
    SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input")
        .at(u32::try_from(position).unwrap_or(u32::MAX))
}

/// The error for a text that cannot be cut into tokens.
pub(super) fn tokenizer_error(message: &str, location: Location, text: &str) -> SqlError {
    let line = usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX);
    let before: usize =
        text.split_inclusive('\n').take(line).map(|line| line.chars().count()).sum();
    let column = usize::try_from(location.column.saturating_sub(1)).unwrap_or(0);
    let lower = message.to_lowercase();
    // The start is what PostgreSQL blames, not the end of the text.
    let opened = if lower.contains("comment") {
        open_comment(text)
    } else if lower.contains("dollar") {
        open_dollar_quote(text)
    } else {
        None
    };
    let at = opened.unwrap_or(before + column);
    let rest: String = text.chars().skip(at).collect();
    let what = if lower.contains("dollar") {
        "unterminated dollar-quoted string"
    } else if lower.contains("comment") {
        "unterminated /* comment"
    } else if lower.contains("expected close delimiter") || lower.contains("expected: close") {
        "unterminated quoted identifier"
    } else if lower.contains("string") || lower.contains("literal") {
        "unterminated quoted string"
    } else {
        "syntax error"
    };
    let position = u32::try_from(at + 1).unwrap_or(u32::MAX);
    let error = if rest.is_empty() {
        SqlError::new(SqlState::SYNTAX_ERROR, format!("{what} at end of input"))
    } else {
        SqlError::new(SqlState::SYNTAX_ERROR, format!("{what} at or near \"{rest}\""))
    };
    error.at(position)
}

/// Where the comment begins that never ends, in characters from 0.
fn open_comment(text: &str) -> Option<usize> {
    let mut from = 0;
    for _ in 0..100 {
        let start = from + text.get(from..)?.find("/*")?;
        from = start + 2;
        let before = text.get(..start)?;
        if Tokenizer::new(&PostgreSqlDialect {}, before).tokenize().is_err() {
            continue;
        }
        match comment_end(text.get(start..)?) {
            Some(length) => from = start + length,
            None => return Some(before.chars().count()),
        }
    }
    None
}

/// Where the dollar-quoted string begins that never ends, in characters from 0.
fn open_dollar_quote(text: &str) -> Option<usize> {
    let mut from = 0;
    for _ in 0..100 {
        let start = from + text.get(from..)?.find('$')?;
        from = start + 1;
        let before = text.get(..start)?;
        let rest = text.get(from..)?;
        let Some(length) = rest.find('$') else { continue };
        let tag = rest.get(..length)?;
        if !tag.chars().all(|c| c.is_alphanumeric() || c == '_')
            || Tokenizer::new(&PostgreSqlDialect {}, before).tokenize().is_err()
        {
            continue;
        }
        let body = from + length + 1;
        match text.get(body..)?.find(&format!("${tag}$")) {
            Some(end) => from = body + end + tag.len() + 2,
            None => return Some(before.chars().count()),
        }
    }
    None
}

/// The length of the comment at the start of a text; comments nest.
fn comment_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0;
    let mut index = 0;
    while index + 1 < bytes.len() {
        match &bytes[index..index + 2] {
            b"/*" => depth += 1,
            b"*/" if depth == 1 => return Some(index + 2),
            b"*/" => depth -= 1,
            _ => {
                index += 1;
                continue;
            }
        }
        index += 2;
    }
    None
}
