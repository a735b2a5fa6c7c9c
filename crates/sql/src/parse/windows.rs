//! What sqlparser does not read of windows, said in tokens that it does read:
//!
//! - `EXCLUDE ..` of a frame becomes a last key of the window's ORDER BY, a name that nobody
//!   can write; [`exclusion_of`] reads it, [`with_exclusions`] puts it back into a text;
//! - a frame's offset that starts with a text is put in parentheses;
//! - `QUALIFY` is a keyword only where the clause can stand, elsewhere a name.

use sqlparser::ast::Expr;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use tidemill_expr::window::FrameExclusion;

/// The names that stand for exclusions, and how they are written.
const EXCLUSIONS: &[(&str, &str, FrameExclusion)] = &[
    ("\0exclude current row", "EXCLUDE CURRENT ROW", FrameExclusion::CurrentRow),
    ("\0exclude group", "EXCLUDE GROUP", FrameExclusion::Group),
    ("\0exclude ties", "EXCLUDE TIES", FrameExclusion::Ties),
];

/// The exclusion that a key of a window's ORDER BY stands for.
pub(crate) fn exclusion_of(key: &Expr) -> Option<FrameExclusion> {
    let Expr::Identifier(ident) = key else { return None };
    EXCLUSIONS.iter().find(|(name, ..)| *name == ident.value).map(|(.., exclusion)| *exclusion)
}

/// A text that sqlparser has written, with exclusions at their places.
pub(crate) fn with_exclusions(mut text: String) -> String {
    for (name, written, _) in EXCLUSIONS {
        let key = format!("\"{name}\"");
        while let Some(at) = text.find(&key) {
            let before = &text[..at];
            let start = ["ORDER BY ", ", "]
                .iter()
                .find_map(|lead| before.strip_suffix(lead))
                .map_or(at, |kept| kept.trim_end().len());
            let Some(end) = closing(&text[at + key.len()..]) else { break };
            text.insert_str(at + key.len() + end, &format!(" {written}"));
            let mut after = at + key.len();
            if text[..start].ends_with('(') && text[after..].starts_with(' ') {
                after += 1;
            }
            text.replace_range(start..after, "");
        }
    }
    text
}

/// Where the parenthesis closes that is open at the start of a text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => return Some(at),
            (None, ')') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Prepares the tokens of a statement.
pub(super) fn prepare(tokens: &mut Vec<TokenWithSpan>) {
    let has = |tokens: &[TokenWithSpan], word| tokens.iter().any(|token| is(&token.token, word));
    if has(tokens, "qualify") {
        find_qualify(tokens);
    }
    if has(tokens, "preceding") || has(tokens, "following") {
        enclose_offsets(tokens);
    }
    if has(tokens, "exclude") {
        move_exclusions(tokens);
    }
}

fn is(token: &Token, expected: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value == expected)
}

fn is_any(token: &Token, expected: &[&str]) -> bool {
    expected.iter().any(|expected| is(token, expected))
}

fn move_exclusions(tokens: &mut Vec<TokenWithSpan>) {
    let mut index = 0;
    while index < tokens.len() {
        if is(&tokens[index].token, "exclude")
            && let Some((words, name)) = exclusion_at(&tokens[index + 1..])
            && let Some((units, ordered)) = frame_before(tokens, index)
        {
            let span = tokens[index].span;
            tokens.drain(index..=index + words);
            if let Some(name) = name {
                let word = |value: &str, quote_style, keyword| {
                    let word = Word { value: value.to_owned(), quote_style, keyword };
                    TokenWithSpan { token: Token::Word(word), span }
                };
                let lead = match ordered {
                    true => vec![TokenWithSpan { token: Token::Comma, span }],
                    false => {
                        vec![word("order", None, Keyword::ORDER), word("by", None, Keyword::BY)]
                    }
                };
                let key = word(name, Some('"'), Keyword::NoKeyword);
                tokens.splice(units..units, lead.into_iter().chain([key]));
            }
        }
        index += 1;
    }
}

/// How many words after EXCLUDE say what, before the window ends, and the name for it.
fn exclusion_at(tokens: &[TokenWithSpan]) -> Option<(usize, Option<&'static str>)> {
    let word = |at: usize, expected| tokens.get(at).is_some_and(|token| is(&token.token, expected));
    let (words, name) = if word(0, "no") && word(1, "others") {
        (2, None)
    } else if word(0, "current") && word(1, "row") {
        (2, Some(EXCLUSIONS[0].0))
    } else if word(0, "group") {
        (1, Some(EXCLUSIONS[1].0))
    } else if word(0, "ties") {
        (1, Some(EXCLUSIONS[2].0))
    } else {
        return None;
    };
    let ends = tokens.get(words).is_some_and(|token| token.token == Token::RParen);
    ends.then_some((words, name))
}

/// Where the frame starts that ends at `end`, and whether the window has an ORDER BY.
fn frame_before(tokens: &[TokenWithSpan], end: usize) -> Option<(usize, bool)> {
    let mut depth = 0usize;
    let mut units = None;
    for index in (0..end).rev() {
        let token = &tokens[index].token;
        match token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => return Some((units?, false)),
            Token::LParen => depth -= 1,
            _ if depth > 0 => {}
            token if units.is_none() && is_any(token, &["rows", "range", "groups"]) => {
                units = Some(index);
            }
            token if units.is_some() && is(token, "order") => return Some((units?, true)),
            _ => {}
        }
    }
    None
}

/// Parentheses around the offsets of frames that start with a text.
fn enclose_offsets(tokens: &mut Vec<TokenWithSpan>) {
    let mut index = 0;
    while index < tokens.len() {
        if is_any(&tokens[index].token, &["preceding", "following"])
            && let Some(start) = offset_before(tokens, index)
        {
            let (first, last) = (tokens[start].span, tokens[index].span);
            tokens.insert(index, TokenWithSpan { token: Token::RParen, span: last });
            tokens.insert(start, TokenWithSpan { token: Token::LParen, span: first });
            index += 2;
        }
        index += 1;
    }
}

/// Where the offset starts that ends at `end`, if it starts with a text.
fn offset_before(tokens: &[TokenWithSpan], end: usize) -> Option<usize> {
    let mut depth = 0usize;
    for index in (0..end).rev() {
        match &tokens[index].token {
            Token::RParen => depth += 1,
            Token::LParen => depth = depth.checked_sub(1)?,
            token
                if depth == 0 && is_any(token, &["between", "and", "rows", "range", "groups"]) =>
            {
                let first = &tokens.get(index + 1)?.token;
                return matches!(first, Token::SingleQuotedString(_)).then_some(index + 1);
            }
            _ => {}
        }
    }
    None
}

/// Words after which an expression is still to come, or a name.
const OPEN: &[&str] = &[
    "select",
    "distinct",
    "all",
    "as",
    "from",
    "join",
    "where",
    "and",
    "or",
    "not",
    "on",
    "by",
    "having",
    "in",
    "like",
    "ilike",
    "between",
    "is",
    "case",
    "when",
    "then",
    "else",
    "union",
    "except",
    "intersect",
    "with",
    "using",
    "table",
    "view",
    "into",
    "update",
    "only",
    "over",
    "column",
    "to",
    "lateral",
    "limit",
    "offset",
    "returning",
    "set",
    "schema",
    "index",
    "qualify",
];

/// Words that go on after a table's alias.
const AFTER_ALIAS: &[&str] = &[
    "as",
    "join",
    "inner",
    "left",
    "right",
    "full",
    "cross",
    "natural",
    "on",
    "using",
    "where",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "union",
    "except",
    "intersect",
    "for",
    "from",
    "and",
    "or",
    "is",
    "in",
    "like",
    "between",
    "set",
    "values",
    "default",
    "cascade",
    "restrict",
    "when",
    "then",
    "else",
    "end",
    "asc",
    "desc",
    "nulls",
    "rename",
    "add",
    "drop",
    "to",
    "with",
    "collate",
    "at",
    "returning",
];

/// Makes QUALIFY a keyword where an expression or a table ends before it and an expression
/// starts after it.
fn find_qualify(tokens: &mut [TokenWithSpan]) {
    for index in 1..tokens.len() {
        if !is(&tokens[index].token, "qualify") {
            continue;
        }
        let ends = match &tokens[index - 1].token {
            Token::Word(word) => word.quote_style.is_some() || !OPEN.contains(&word.value.as_str()),
            Token::RParen
            | Token::RBracket
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_) => true,
            _ => false,
        };
        let starts = match tokens.get(index + 1).map(|token| &token.token) {
            Some(Token::Word(word)) => {
                word.quote_style.is_some() || !AFTER_ALIAS.contains(&word.value.as_str())
            }
            Some(
                Token::LParen
                | Token::Number(..)
                | Token::SingleQuotedString(_)
                | Token::Placeholder(_)
                | Token::Plus
                | Token::Minus,
            ) => true,
            _ => false,
        };
        if ends
            && starts
            && let Token::Word(word) = &mut tokens[index].token
        {
            word.keyword = Keyword::QUALIFY;
        }
    }
}
