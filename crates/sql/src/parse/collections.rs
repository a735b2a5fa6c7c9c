//! Lists and maps, which PostgreSQL's grammar lacks, as tokens it has.
//!
//! - `LIST[a, [b]]` becomes `list_build(a, list_build(b))`;
//! - `MAP['k' => v]` becomes `map_build_pairs('k', v)`;
//! - a literal of a type that the parser does not know becomes a cast;
//! - the types `int list` and `map[text=>int]` become one word in quotes, that
//!   [`crate::types`] reads.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};
use tidemill_repr::ScalarType;

use super::tokens::is_word;

/// What an open bracket is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Other,
    List,
    Map,
}

/// Names of types beside those of `pg_type`.
const TYPE_NAMES: &[&str] = &["int", "integer", "bigint", "smallint", "boolean", "real", "decimal"];

/// Rewrites all lists and maps.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let tokens = typed_literals(tokens);
    let is_collection =
        |token: &TokenWithSpan| is_word(&token.token, "list") || is_word(&token.token, "map");
    if !tokens.iter().any(is_collection) {
        return tokens;
    }
    values(types(tokens))
}

/// The types that sqlparser does not know before a literal.
fn is_unknown_type(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            word.quote_style.is_none()
                && (word.keyword == Keyword::NoKeyword
                    || matches!(word.keyword, Keyword::BIT | Keyword::VARBIT))
                && ScalarType::ALL.iter().any(|typ| typ.pg_name() == word.value)
        }
        _ => false,
    }
}

/// `inet '1.2.3.4'` becomes `cast('1.2.3.4' as inet)`.
fn typed_literals(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let typed = |pair: &[TokenWithSpan]| {
        is_unknown_type(&pair[0].token) && matches!(pair[1].token, Token::SingleQuotedString(_))
    };
    if !tokens.windows(2).any(typed) {
        return tokens;
    }
    let keyword = |value: &str, keyword: Keyword| {
        Token::Word(Word { value: value.to_owned(), quote_style: None, keyword })
    };
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 8);
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let literal = match rest.peek() {
            Some(next) if typed(&[token.clone(), next.clone()]) => rest.next(),
            _ => None,
        };
        let after_dot = matches!(result.last(), Some(last) if last.token == Token::Period);
        match literal {
            Some(literal) if !after_dot => {
                let span = token.span;
                let at = |token: Token| TokenWithSpan { token, span };
                result.push(at(keyword("cast", Keyword::CAST)));
                result.push(at(Token::LParen));
                result.push(literal);
                result.push(at(keyword("as", Keyword::AS)));
                result.push(token);
                result.push(at(Token::RParen));
            }
            literal => {
                result.push(token);
                result.extend(literal);
            }
        }
    }
    result
}

fn word(value: &str, quote_style: Option<char>) -> Token {
    Token::Word(Word { value: value.to_owned(), quote_style, keyword: Keyword::NoKeyword })
}

fn is_type_name(token: &Token) -> bool {
    match token {
        Token::Word(word) if word.quote_style.is_none() => {
            TYPE_NAMES.contains(&word.value.as_str())
                || ScalarType::ALL.iter().any(|typ| typ.pg_name() == word.value)
        }
        Token::Word(word) => word.value.ends_with(" list") || word.value.starts_with("map["),
        _ => false,
    }
}

/// Where the type begins that the tokens end with.
fn type_start(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut at = tokens.len().checked_sub(1)?;
    if tokens[at].token == Token::RParen {
        at = tokens[..at].iter().rposition(|token| token.token == Token::LParen)?;
        at = at.checked_sub(1)?;
    }
    if !is_type_name(&tokens[at].token) {
        return None;
    }
    match &tokens.get(at.checked_sub(1)?)?.token {
        Token::DoubleColon | Token::RArrow => Some(at),
        Token::Word(before) if before.value != "select" => Some(at),
        _ => None,
    }
}

/// Joins the tokens of each list type and map type.
fn types(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        if is_word(&token.token, "list")
            && let Some(start) = type_start(&result)
        {
            let parts: Vec<TokenWithSpan> = result.drain(start..).collect();
            let name = format!("{} list", written(&parts));
            let first = parts.first().map_or(token.span, |first| first.span);
            let span = Span::new(first.start, token.span.end);
            result.push(TokenWithSpan { token: word(&name, Some('"')), span });
            continue;
        }
        if is_word(&token.token, "map")
            && let Some(end) = map_type_end(&tokens[at..])
        {
            let inside = types(tokens[at + 1..at + end].to_vec());
            let name = format!("map[{}]", written(&inside));
            let last = tokens[at + end].span.end;
            let span = Span::new(token.span.start, last);
            result.push(TokenWithSpan { token: word(&name, Some('"')), span });
            at += end + 1;
            continue;
        }
        result.push(token.clone());
    }
    result
}

/// Where `[text=>..]` ends, if the tokens begin with it.
fn map_type_end(tokens: &[TokenWithSpan]) -> Option<usize> {
    let begins = tokens.len() > 3
        && tokens[0].token == Token::LBracket
        && is_word(&tokens[1].token, "text")
        && tokens[2].token == Token::RArrow;
    if !begins {
        return None;
    }
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LBracket => depth += 1,
            Token::RBracket => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The text of a type's tokens.
fn written(tokens: &[TokenWithSpan]) -> String {
    let mut text = String::new();
    for token in tokens {
        match &token.token {
            Token::Word(word) => {
                if text.ends_with(|c: char| c.is_ascii_alphanumeric()) {
                    text.push(' ');
                }
                text.push_str(&word.value);
            }
            other => text.push_str(&other.to_string()),
        }
    }
    text
}

/// Turns the brackets of lists and maps into calls.
fn values(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut open: Vec<Open> = Vec::new();
    // Whether an element of a list may begin here.
    let mut element_next = false;
    for mut token in tokens {
        let starts_element = std::mem::take(&mut element_next);
        match &token.token {
            Token::LBracket => {
                let before = result.last().map(|before| &before.token);
                let of = match before {
                    Some(before) if is_word(before, "list") => Open::List,
                    Some(before) if is_word(before, "map") => Open::Map,
                    _ if starts_element => Open::List,
                    _ => Open::Other,
                };
                let name = if of == Open::Map { "map_build_pairs" } else { "list_build" };
                if of != Open::Other {
                    if starts_element {
                        result.push(TokenWithSpan { token: word(name, None), span: token.span });
                    } else if let Some(before) = result.last_mut() {
                        before.token = word(name, None);
                    }
                    token.token = Token::LParen;
                    element_next = of == Open::List;
                }
                open.push(of);
            }
            Token::LParen => open.push(Open::Other),
            Token::RParen => {
                open.pop();
            }
            Token::RBracket => {
                if matches!(open.pop(), Some(Open::List | Open::Map)) {
                    token.token = Token::RParen;
                }
            }
            Token::RArrow if open.last() == Some(&Open::Map) => token.token = Token::Comma,
            Token::Comma => element_next = open.last() == Some(&Open::List),
            _ => {}
        }
        result.push(token);
    }
    result
}
