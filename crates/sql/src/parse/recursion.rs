//! What a WITH may say that sqlparser does not know, in the places of its tree that carry it.
//!
//! ```text
//! WITH MUTUALLY RECURSIVE (options) a ..   WITH RECURSIVE \0(options)\0 AS (VALUES (1)), a ..
//! a AS (..) SEARCH .. CYCLE ..             a AS (..) FROM \0SEARCH .. CYCLE ..\0
//! ```
//!
//! No text of a user holds a `\0`, so that nothing else can look like this. [`restore`] gives the
//! text back from what the tree is written as.

use sqlparser::ast::{Cte, With};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};
use tidemill_plan::RecursionLimit;
use tidemill_repr::{SqlError, SqlState};

use super::failure::syntax_error;
use super::tokens::is_word;

const MARK: char = '\0';
/// What follows the options of WITH MUTUALLY RECURSIVE in the text of a tree.
const AFTER_OPTIONS: &str = " AS (VALUES (1)), ";

/// Rewrites the tokens of a statement.
pub(super) fn mark(tokens: &mut Vec<TokenWithSpan>) -> Result<(), SqlError> {
    let mut index = 0;
    while index < tokens.len() {
        if words_at(tokens, index, &["with", "mutually", "recursive"]) {
            mark_mutual(tokens, index)?;
        } else if tokens[index].token == Token::RParen {
            let end = end_of_clauses(tokens, index + 1);
            if end > index + 1 {
                let text = text_of(&tokens[index + 1..end]);
                let span = tokens[index + 1].span;
                let from = word("from", Keyword::FROM, span);
                tokens.splice(index + 1..end, [from, marked(&text, span)]);
            }
        }
        index += 1;
    }
    Ok(())
}

fn mark_mutual(tokens: &mut Vec<TokenWithSpan>, start: usize) -> Result<(), SqlError> {
    let span = tokens[start + 1].span;
    let mut end = start + 3;
    let mut options = String::new();
    if tokens.get(end).is_some_and(|token| token.token == Token::LParen) {
        let close = (end..tokens.len()).find(|at| tokens[*at].token == Token::RParen);
        let close = close.ok_or_else(|| unexpected(&tokens[end]))?;
        read_limit(&tokens[end + 1..=close])?;
        options = format!("({})", text_of(&tokens[end + 1..close]));
        end = close + 1;
    }
    let recursive = tokens[start + 2].clone();
    let plain = |token| TokenWithSpan { token, span };
    let replacement = [
        recursive,
        marked(&options, span),
        word("as", Keyword::AS, span),
        plain(Token::LParen),
        word("values", Keyword::VALUES, span),
        plain(Token::LParen),
        plain(Token::Number("1".to_owned(), false)),
        plain(Token::RParen),
        plain(Token::RParen),
        plain(Token::Comma),
    ];
    tokens.splice(start + 1..end, replacement);
    Ok(())
}

/// `[ERROR AT | RETURN AT] RECURSION LIMIT [=] n )`
fn read_limit(tokens: &[TokenWithSpan]) -> Result<RecursionLimit, SqlError> {
    let returns = words_at(tokens, 0, &["return", "at"]);
    let mut at = if returns || words_at(tokens, 0, &["error", "at"]) { 2 } else { 0 };
    for expected in ["recursion", "limit"] {
        match tokens.get(at) {
            Some(token) if is_word(&token.token, expected) => at += 1,
            Some(token) => return Err(unexpected(token)),
            None => return Err(SqlError::internal("a list without an end")),
        }
    }
    if tokens.get(at).is_some_and(|token| token.token == Token::Eq) {
        at += 1;
    }
    let (Some(number), Some(close)) = (tokens.get(at), tokens.get(at + 1)) else {
        return Err(tokens.last().map_or_else(|| syntax_error(")", 0), unexpected));
    };
    if close.token != Token::RParen {
        return Err(unexpected(close));
    }
    let Token::Number(digits, _) = &number.token else { return Err(unexpected(number)) };
    match digits.parse::<u64>() {
        Ok(rounds) if rounds > 0 => Ok(RecursionLimit { rounds, returns }),
        _ => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "the recursion limit must be a positive integer",
        )
        .at(position(number.span))),
    }
}

/// Where the SEARCH and CYCLE clauses end that start here.
fn end_of_clauses(tokens: &[TokenWithSpan], start: usize) -> usize {
    let mut end = start;
    let ways = ["depth", "breadth"];
    if is_any(tokens, end, "search")
        && ways.iter().any(|way| is_any(tokens, end + 1, way))
        && words_at(tokens, end + 2, &["first", "by"])
        && let Some(set) = after_names(tokens, end + 4)
        && is_any(tokens, set, "set")
        && is_name(tokens, set + 1)
    {
        end = set + 2;
    }
    if is_any(tokens, end, "cycle")
        && let Some(set) = after_names(tokens, end + 1)
        && is_any(tokens, set, "set")
        && is_name(tokens, set + 1)
    {
        let using = (set + 2..tokens.len()).find(|at| is_any(tokens, *at, "using"));
        if let Some(using) = using.filter(|using| is_name(tokens, using + 1)) {
            end = using + 2;
        }
    }
    end
}

fn is_any(tokens: &[TokenWithSpan], at: usize, expected: &str) -> bool {
    tokens.get(at).is_some_and(|token| is_word(&token.token, expected))
}

fn is_name(tokens: &[TokenWithSpan], at: usize) -> bool {
    tokens.get(at).is_some_and(|token| matches!(token.token, Token::Word(_)))
}

/// What follows a list of names.
fn after_names(tokens: &[TokenWithSpan], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        if !is_name(tokens, at) {
            return None;
        }
        at += 1;
        match tokens.get(at).map(|token| &token.token) {
            Some(Token::Comma) => at += 1,
            _ => return Some(at),
        }
    }
}

fn words_at(tokens: &[TokenWithSpan], start: usize, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(n, word)| is_any(tokens, start + n, word))
}

fn text_of(tokens: &[TokenWithSpan]) -> String {
    let mut text = String::new();
    for token in tokens {
        if !text.is_empty() && token.token != Token::Comma {
            text.push(' ');
        }
        text.push_str(&match &token.token {
            Token::Word(word) if word.quote_style.is_none() => match word.value.as_str() {
                name @ ("search" | "depth" | "breadth" | "first" | "by" | "set" | "cycle"
                | "to" | "default" | "using" | "error" | "return" | "at" | "recursion"
                | "limit") => name.to_uppercase(),
                name => name.to_owned(),
            },
            token => token.to_string(),
        });
    }
    text
}

fn word(value: &str, keyword: Keyword, span: Span) -> TokenWithSpan {
    let word = Word { value: value.to_owned(), quote_style: None, keyword };
    TokenWithSpan { token: Token::Word(word), span }
}

fn marked(text: &str, span: Span) -> TokenWithSpan {
    word(&format!("{MARK}{text}{MARK}"), Keyword::NoKeyword, span)
}

fn position(span: Span) -> u32 {
    u32::try_from(span.start.column).unwrap_or(u32::MAX)
}

fn unexpected(token: &TokenWithSpan) -> SqlError {
    syntax_error(&token.token.to_string(), token.span.start.column)
}

fn unmark(text: &str) -> Option<&str> {
    text.strip_prefix(MARK)?.strip_suffix(MARK)
}

/// The limit of a WITH MUTUALLY RECURSIVE, whose queries are all but the first one; None if the
/// WITH is another one.
pub(crate) fn mutual_limit(with: &With) -> Result<Option<RecursionLimit>, SqlError> {
    let Some(options) = with.cte_tables.first().and_then(|cte| unmark(&cte.alias.name.value))
    else {
        return Ok(None);
    };
    if options.is_empty() {
        return Ok(Some(RecursionLimit::DEFAULT));
    }
    let dialect = sqlparser::dialect::PostgreSqlDialect {};
    let tokens = sqlparser::tokenizer::Tokenizer::new(&dialect, options)
        .tokenize_with_location()
        .map_err(|error| SqlError::internal(error.to_string()))?;
    let mut tokens: Vec<TokenWithSpan> = tokens
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::LParen))
        .collect();
    for token in &mut tokens {
        if let Token::Word(word) = &mut token.token {
            word.value.make_ascii_lowercase();
        }
    }
    read_limit(&tokens).map(Some)
}

/// The SEARCH and CYCLE clauses of a query of a WITH, as text.
pub(crate) fn search_and_cycle(cte: &Cte) -> Option<&str> {
    cte.from.as_ref().and_then(|from| unmark(&from.value))
}

/// The text of a tree, as it can be read again.
pub(crate) fn restore(text: String) -> String {
    if !text.contains(MARK) {
        return text;
    }
    let mut restored = String::with_capacity(text.len());
    let mut parts = text.split(MARK);
    restored.push_str(parts.next().unwrap_or_default());
    while let (Some(marked), Some(rest)) = (parts.next(), parts.next()) {
        if let Some(rest) = rest.strip_prefix(AFTER_OPTIONS) {
            let before = restored.trim_end_matches("RECURSIVE ").len();
            restored.truncate(before);
            restored.push_str("MUTUALLY RECURSIVE ");
            if !marked.is_empty() {
                restored.push_str(marked);
                restored.push(' ');
            }
            restored.push_str(rest);
        } else {
            let before = restored.trim_end_matches("FROM ").len();
            restored.truncate(before);
            restored.push_str(marked);
            restored.push_str(rest);
        }
    }
    restored
}
