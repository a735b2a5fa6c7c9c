//! The tokens of each statement of a text, made easy to work with:
//!
//! - every span is one line whose column is the position in the whole text that PostgreSQL's
//!   errors use, in characters from 1;
//! - unquoted words are folded, so that the value of an identifier is the name;
//! - words that are keywords in other dialects of sqlparser only are plain words;
//! - `AS OF` before a time is one token, [`AS_OF`], at which sqlparser ends a query.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};
use tidemill_repr::{SqlError, SqlState};

use super::rewrite::rewrite;
use super::{failure, json, recursion, unicode, windows};

/// Stands for `AS OF`.
pub(super) const AS_OF: Token = Token::Char('\u{1}');

/// How many operators may follow each other without a comma: each is a level of the tree.
const OPERATOR_LIMIT: usize = 2000;

/// Keywords that PostgreSQL has not, or for which sqlparser reserves what PostgreSQL does not:
/// names everywhere but at the start of a statement.
const NOT_KEYWORDS: &[Keyword] = &[
    Keyword::SORT,
    Keyword::PIVOT,
    Keyword::UNPIVOT,
    Keyword::TOP,
    Keyword::MINUS,
    Keyword::CLUSTER,
    Keyword::DISTRIBUTE,
    Keyword::GLOBAL,
    Keyword::ANTI,
    Keyword::SEMI,
    Keyword::OUTPUT,
    Keyword::ASOF,
    Keyword::MATCH_CONDITION,
    Keyword::QUALIFY,
    Keyword::PREWHERE,
    Keyword::SETTINGS,
    Keyword::FORMAT,
    Keyword::CONNECT,
    Keyword::MATCH_RECOGNIZE,
    Keyword::SAMPLE,
    Keyword::OPEN,
    Keyword::EXCLUDE,
    Keyword::VIEW,
    Keyword::STRUCT,
    Keyword::DIV,
    Keyword::XOR,
    Keyword::RLIKE,
    Keyword::REGEXP,
    Keyword::MEMBER,
    Keyword::PRIOR,
    Keyword::CONNECT_BY_ROOT,
    Keyword::CONVERT,
    Keyword::TRY_CONVERT,
    Keyword::TRY_CAST,
    Keyword::SAFE_CAST,
    Keyword::MATCH,
    Keyword::MAP,
    Keyword::LAMBDA,
    Keyword::EXPLAIN,
    Keyword::APPLY,
    Keyword::EMPTY,
    Keyword::GLOB,
];

/// The tokens of one statement.
pub(super) struct StatementTokens {
    /// The tokens; comments and blanks are among them.
    pub tokens: Vec<TokenWithSpan>,
    /// Where the statement ends: the position of its semicolon, or None at the end of the text.
    pub ends_at: Option<u64>,
    bytes: std::ops::Range<usize>,
}

impl StatementTokens {
    /// The statement's own text.
    pub fn source<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.bytes.clone()).unwrap_or_default()
    }
}

/// Splits a text at its semicolons; statements without a token are left out.
pub(super) fn split(text: &str) -> Result<Vec<StatementTokens>, SqlError> {
    let mut tokens = Tokenizer::new(&PostgreSqlDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| failure::tokenizer_error(&error.message, error.location, text))?;
    let positions = Positions::new(text);
    for token in &mut tokens {
        token.span.start.column = positions.position(token.span.start);
        token.span.end.column = positions.position(token.span.end);
        token.span.start.line = 1;
        token.span.end.line = 1;
    }
    let tokens = join_numbers(tokens, text, &positions)?;
    let tokens = unicode::join(tokens, |span| {
        let (start, end) = (span.start.column, span.end.column);
        text.get(positions.byte(start)..positions.byte(end)).unwrap_or_default()
    })?;
    let mut statements = Vec::new();
    let mut current = Vec::new();
    let mut atomic = Atomic::default();
    for token in tokens {
        atomic.see(&token.token);
        if token.token == Token::SemiColon && !atomic.inside() {
            let tokens = std::mem::take(&mut current);
            push(&mut statements, tokens, Some(token.span.start.column), &positions)?;
        } else if token.token != Token::EOF {
            current.push(token);
        }
    }
    push(&mut statements, current, None, &positions)?;
    Ok(statements)
}

/// Whether the tokens are within `BEGIN ATOMIC .. END`, where semicolons end no statement.
#[derive(Default)]
struct Atomic {
    after_begin: bool,
    /// How many ENDs are to come.
    depth: usize,
}

impl Atomic {
    fn see(&mut self, token: &Token) {
        let word = match token {
            Token::Whitespace(_) => return,
            Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
            _ => String::new(),
        };
        match word.as_str() {
            "atomic" if self.after_begin => self.depth += 1,
            "case" if self.depth > 0 => self.depth += 1,
            "end" => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.after_begin = word == "begin";
    }

    fn inside(&self) -> bool {
        self.depth > 0
    }
}

/// Numbers with a radix (`0x1f`, `0o17`, `0b11`) are one token; other letters right behind a
/// number are an error.
fn join_numbers(
    tokens: Vec<TokenWithSpan>,
    text: &str,
    positions: &Positions<'_>,
) -> Result<Vec<TokenWithSpan>, SqlError> {
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for mut token in tokens {
        let start = positions.byte(token.span.start.column);
        if let Token::HexStringLiteral(digits) = &token.token
            && text.get(start..).is_some_and(|rest| rest.starts_with('0'))
        {
            token.token = Token::Number(format!("0x{digits}"), false);
        }
        if let (Some(before), Token::Word(word)) = (joined.last_mut(), &token.token)
            && let Token::Number(number, false) = &before.token
            && before.span.end == token.span.start
            && word.quote_style.is_none()
        {
            let whole = format!("{number}{}", word.value);
            if number != "0" || !word.value.starts_with(['o', 'O', 'b', 'B']) {
                let message = format!("trailing junk after numeric literal at or near \"{whole}\"");
                let position = u32::try_from(before.span.start.column).unwrap_or(0);
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
            before.token = Token::Number(whole, false);
            before.span.end = token.span.end;
            continue;
        }
        joined.push(token);
    }
    Ok(joined)
}

fn push(
    statements: &mut Vec<StatementTokens>,
    tokens: Vec<TokenWithSpan>,
    ends_at: Option<u64>,
    positions: &Positions<'_>,
) -> Result<(), SqlError> {
    let solid = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_));
    let (Some(first), Some(last)) = (tokens.iter().find(solid), tokens.iter().rev().find(solid))
    else {
        return Ok(());
    };
    let bytes = positions.byte(first.span.start.column)..positions.byte(last.span.end.column);
    check_operators(&tokens)?;
    let tokens = normalize(tokens)?;
    statements.push(StatementTokens { tokens, ends_at, bytes });
    Ok(())
}

/// Folds words, forgets keywords that are none, joins `AS OF`.
fn normalize(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, SqlError> {
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut first = true;
    for mut token in tokens {
        match &mut token.token {
            Token::Whitespace(_) => continue,
            Token::Word(word) if word.quote_style.is_none() => {
                word.value.make_ascii_lowercase();
                if !first && NOT_KEYWORDS.contains(&word.keyword) {
                    word.keyword = Keyword::NoKeyword;
                }
            }
            _ => {}
        }
        first = false;
        result.push(token);
    }
    join_as_of(&mut result);
    recursion::mark(&mut result)?;
    windows::prepare(&mut result);
    json::mark(&mut result);
    Ok(super::collections::rewrite(rewrite(result)))
}

fn join_as_of(tokens: &mut Vec<TokenWithSpan>) {
    let mut index = 0;
    while index + 2 < tokens.len() {
        if is_word(&tokens[index].token, "as")
            && is_word(&tokens[index + 1].token, "of")
            && starts_time(&tokens[index + 2..])
        {
            let of = tokens.remove(index + 1);
            let span = Span::new(tokens[index].span.start, of.span.end);
            tokens[index] = TokenWithSpan { token: AS_OF, span };
        }
        index += 1;
    }
}

pub(super) fn is_word(token: &Token, expected: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value == expected)
}

/// Whether a time follows, so that `OF` was no alias.
fn starts_time(tokens: &[TokenWithSpan]) -> bool {
    match tokens.first().map(|token| &token.token) {
        Some(
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::LParen
            | Token::Plus
            | Token::Minus
            | Token::Placeholder(_),
        ) => true,
        Some(Token::Word(word)) if word.quote_style.is_none() => {
            let second = tokens.get(1).map(|token| &token.token);
            match word.value.as_str() {
                "at" => second.is_some_and(|token| is_word(token, "least")),
                "now" | "mz_now" | "current_timestamp" | "cast" => true,
                "timestamp" | "timestamptz" => second.is_some(),
                _ => false,
            }
        }
        _ => false,
    }
}

/// A long chain of operators is a deep tree: refused before it is built.
fn check_operators(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut counts = vec![0usize];
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket => counts.push(0),
            Token::RParen | Token::RBracket => {
                if counts.len() > 1 {
                    counts.pop();
                }
            }
            Token::Comma => {
                if let Some(count) = counts.last_mut() {
                    *count = 0;
                }
            }
            Token::Word(word) if word.quote_style.is_none() => {
                if matches!(
                    word.keyword,
                    Keyword::AND
                        | Keyword::OR
                        | Keyword::NOT
                        | Keyword::UNION
                        | Keyword::EXCEPT
                        | Keyword::INTERSECT
                        | Keyword::JOIN
                        | Keyword::IS
                        | Keyword::AT
                        | Keyword::COLLATE
                ) {
                    count_one(&mut counts)?;
                }
            }
            Token::Whitespace(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Period
            | Token::Placeholder(_) => {}
            _ => count_one(&mut counts)?,
        }
    }
    Ok(())
}

fn count_one(counts: &mut [usize]) -> Result<(), SqlError> {
    let Some(count) = counts.last_mut() else { return Ok(()) };
    *count += 1;
    if *count > OPERATOR_LIMIT {
        return Err(too_deep());
    }
    Ok(())
}

/// The error for a statement that is nested too deep.
pub(super) fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .with_hint("Write the statement with less nesting or fewer operators in a row.")
}

/// From lines and columns to characters and bytes of the whole text.
struct Positions<'a> {
    text: &'a str,
    /// How many characters come before each line.
    lines: Vec<u64>,
    /// The byte at which each character begins; None if all are one byte long.
    bytes: Option<Vec<usize>>,
}

impl<'a> Positions<'a> {
    fn new(text: &'a str) -> Positions<'a> {
        let mut lines = vec![0];
        let mut count = 0;
        for character in text.chars() {
            count += 1;
            if character == '\n' {
                lines.push(count);
            }
        }
        let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Positions { text, lines, bytes }
    }

    fn position(&self, location: Location) -> u64 {
        let line = usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX);
        self.lines.get(line).copied().unwrap_or(0) + location.column
    }

    fn byte(&self, position: u64) -> usize {
        let index = usize::try_from(position.saturating_sub(1)).unwrap_or(usize::MAX);
        match &self.bytes {
            None => index.min(self.text.len()),
            Some(bytes) => bytes.get(index).copied().unwrap_or(self.text.len()),
        }
    }
}
