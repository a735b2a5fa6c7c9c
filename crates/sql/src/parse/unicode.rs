//! `U&"d!0061t!+000061" UESCAPE '!'` and `U&'..' UESCAPE '!'`: names and texts with Unicode
//! escapes, as plain ones.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};
use tidemill_repr::{SqlError, SqlState};

fn syntax(message: &str, span: Span) -> SqlError {
    let position = u32::try_from(span.start.column).unwrap_or(0);
    SqlError::new(SqlState::SYNTAX_ERROR, message).at(position)
}

/// Puts plain names and texts in the place of those; `written` is the text of a span.
pub(super) fn join<'t>(
    tokens: Vec<TokenWithSpan>,
    written: impl Fn(Span) -> &'t str,
) -> Result<Vec<TokenWithSpan>, SqlError> {
    let unicode = |token: &TokenWithSpan| match &token.token {
        Token::UnicodeStringLiteral(_) => true,
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case("u"),
        _ => false,
    };
    if !tokens.iter().any(unicode) {
        return Ok(tokens);
    }
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let escape = |after: usize| uescape(&tokens, after);
        if matches!(token.token, Token::UnicodeStringLiteral(_)) {
            if let Some((escape, end)) = escape(at + 1)? {
                let raw = written(token.span);
                let inner = raw.get(3..raw.len().saturating_sub(1)).unwrap_or_default();
                let text = decode(&inner.replace("''", "'"), escape, token.span)?;
                joined.push(TokenWithSpan {
                    token: Token::SingleQuotedString(text),
                    span: token.span,
                });
                at = end;
                continue;
            }
        } else if unicode(token)
            && let Some((name, span)) = quoted_name(&tokens, at)
        {
            let (escape, end) = escape(at + 3)?.unwrap_or(('\\', at + 3));
            let word = Word {
                value: decode(name, escape, token.span)?,
                quote_style: Some('"'),
                keyword: Keyword::NoKeyword,
            };
            let span = Span::new(token.span.start, span.end);
            joined.push(TokenWithSpan { token: Token::Word(word), span });
            at = end;
            continue;
        }
        joined.push(token.clone());
        at += 1;
    }
    Ok(joined)
}

/// The name of `U&"..."`, without a blank between.
fn quoted_name(tokens: &[TokenWithSpan], at: usize) -> Option<(&str, Span)> {
    let (first, ampersand, name) = (tokens.get(at)?, tokens.get(at + 1)?, tokens.get(at + 2)?);
    let touching = first.span.end == ampersand.span.start && ampersand.span.end == name.span.start;
    match &name.token {
        Token::Word(word)
            if ampersand.token == Token::Ampersand && touching && word.quote_style == Some('"') =>
        {
            Some((&word.value, name.span))
        }
        _ => None,
    }
}

/// The character of `UESCAPE '!'`, and what follows.
fn uescape(tokens: &[TokenWithSpan], start: usize) -> Result<Option<(char, usize)>, SqlError> {
    let next = |mut at: usize| {
        while matches!(tokens.get(at).map(|token| &token.token), Some(Token::Whitespace(_))) {
            at += 1;
        }
        at
    };
    let at = next(start);
    match tokens.get(at).map(|token| &token.token) {
        Some(Token::Word(word)) if word.value.eq_ignore_ascii_case("uescape") => {}
        _ => return Ok(None),
    }
    let at = next(at + 1);
    let Some(token) = tokens.get(at) else {
        let span = tokens.last().map_or_else(Span::empty, |token| token.span);
        return Err(syntax("UESCAPE must be followed by a simple string literal", span));
    };
    let Token::SingleQuotedString(text) = &token.token else {
        return Err(syntax("UESCAPE must be followed by a simple string literal", token.span));
    };
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None)
            if !character.is_ascii_hexdigit()
                && !matches!(character, '+' | '\'' | '"')
                && !character.is_whitespace() =>
        {
            Ok(Some((character, at + 1)))
        }
        _ => Err(syntax("invalid Unicode escape character", token.span)),
    }
}

fn decode(text: &str, escape: char, span: Span) -> Result<String, SqlError> {
    let invalid = || {
        syntax("invalid Unicode escape", span)
            .with_hint("Unicode escapes must be \\XXXX or \\+XXXXXX.")
    };
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text.chars();
    let mut high: Option<u32> = None;
    while let Some(character) = rest.next() {
        let mut ahead = rest.clone();
        if character != escape || ahead.next() == Some(escape) {
            if high.is_some() {
                return Err(syntax("invalid Unicode surrogate pair", span));
            }
            decoded.push(character);
            if character == escape {
                rest.next();
            }
            continue;
        }
        let digits = match rest.clone().next() {
            Some('+') => {
                rest.next();
                6
            }
            _ => 4,
        };
        let mut code = 0;
        for _ in 0..digits {
            let digit = rest.next().and_then(|digit| digit.to_digit(16)).ok_or_else(invalid)?;
            code = code * 16 + digit;
        }
        let code = match (high.take(), code) {
            (None, 0xD800..0xDC00) => {
                high = Some(code);
                continue;
            }
            (Some(first), 0xDC00..0xE000) => 0x10000 + ((first - 0xD800) << 10) + (code - 0xDC00),
            (None, code) => code,
            (Some(_), _) => return Err(syntax("invalid Unicode surrogate pair", span)),
        };
        match char::from_u32(code).filter(|found| *found != '\0') {
            Some(found) => decoded.push(found),
            None => return Err(syntax("invalid Unicode escape value", span)),
        }
    }
    match high {
        Some(_) => Err(syntax("invalid Unicode surrogate pair", span)),
        None => Ok(decoded),
    }
}
