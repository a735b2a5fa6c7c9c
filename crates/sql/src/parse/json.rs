//! The clauses within the parentheses of SQL/JSON's functions, as operators that sqlparser's tree
//! has a place for:
//!
//! ```text
//! JSON_VALUE(x, p PASSING a AS b RETURNING int DEFAULT 0 ON EMPTY)
//! json_value(x, (((p PASSING (a AS b)) RETURNING int) DEFAULT (0 ON EMPTY)))
//! ```
//!
//! written without the inner parentheses, so that the text of the tree is what can be read again.
//! [`mark`] finds where the clauses begin; [`clauses`] reads them.

use sqlparser::ast::{BinaryOperator, Expr, Ident, Value};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// What a word begins with that begins the clauses.
const MARK: &str = "\0json ";

/// The functions with such clauses.
const FUNCTIONS: [&str; 7] = [
    "json_value",
    "json_query",
    "json_exists",
    "json_table",
    "json_serialize",
    "json",
    "json_scalar",
];

/// Marks the words at which clauses begin.
pub(super) fn mark(tokens: &mut [TokenWithSpan]) {
    for start in 0..tokens.len() {
        let Some(name) = plain_word(tokens, start) else { continue };
        if !FUNCTIONS.contains(&name)
            || tokens.get(start + 1).is_none_or(|token| token.token != Token::LParen)
        {
            continue;
        }
        let of_two = ["json_value", "json_query", "json_exists", "json_table"].contains(&name);
        if name == "json_table"
            && let Some(Token::Word(word)) = tokens.get_mut(start).map(|token| &mut token.token)
        {
            word.keyword = Keyword::NoKeyword;
        }
        mark_call(tokens, start + 2, of_two);
    }
}

fn mark_call(tokens: &mut [TokenWithSpan], start: usize, of_two: bool) {
    let mut depth = 0usize;
    let mut first = of_two;
    let mut open = true;
    for at in start..tokens.len() {
        match tokens[at].token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket if depth == 0 => return,
            Token::RParen | Token::RBracket => depth -= 1,
            Token::Comma if depth == 0 => {
                if !first {
                    return;
                }
                first = false;
                open = true;
            }
            _ if depth == 0 && open && begins_clause(tokens, at, first) => {
                open = false;
                if let Token::Word(word) = &mut tokens[at].token {
                    let value = format!("{MARK}{}", word.value);
                    *word = Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword };
                }
            }
            _ => {}
        }
    }
}

fn plain_word(tokens: &[TokenWithSpan], at: usize) -> Option<&str> {
    match tokens.get(at).map(|token| &token.token) {
        Some(Token::Word(word)) if word.quote_style.is_none() => Some(&word.value),
        _ => None,
    }
}

fn begins_clause(tokens: &[TokenWithSpan], at: usize, first: bool) -> bool {
    let Some(word) = plain_word(tokens, at) else { return false };
    let after_value = match at.checked_sub(1).and_then(|before| tokens.get(before)) {
        Some(before) => match &before.token {
            Token::Word(word) => {
                word.quote_style.is_some()
                    || !matches!(word.keyword, Keyword::IS | Keyword::NOT | Keyword::AND)
            }
            Token::Number(..)
            | Token::RParen
            | Token::RBracket
            | Token::Placeholder(_)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::DollarQuotedString(_) => true,
            _ => false,
        },
        None => false,
    };
    if !after_value {
        return false;
    }
    let next = plain_word(tokens, at + 1).unwrap_or_default();
    if word == "format" {
        return next == "json";
    }
    !first
        && match word {
            "passing" | "returning" | "columns" | "default" | "as" => true,
            "with" => {
                ["wrapper", "array", "conditional", "unconditional", "unique"].contains(&next)
            }
            "without" => ["wrapper", "array", "unique"].contains(&next),
            "keep" | "omit" => next == "quotes",
            "null" | "error" | "true" | "false" | "unknown" => next == "on",
            "empty" => ["on", "array", "object"].contains(&next),
            _ => false,
        }
}

/// Whether the clauses begin at a token.
pub(super) fn is_mark(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.value.starts_with(MARK))
}

struct Reader<'p, 'a> {
    parser: &'p mut Parser<'a>,
}

fn raw(text: impl Into<String>) -> Expr {
    Expr::Identifier(Ident::new(text))
}

fn clause(left: Expr, name: &str, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::Custom(name.to_owned()),
        right: Box::new(right),
    }
}

/// Reads the clauses after an expression, up to the end of the call.
pub(super) fn clauses(parser: &mut Parser<'_>, expr: &Expr) -> Result<Expr, ParserError> {
    let mut reader = Reader { parser };
    let read = reader.all(expr.clone())?;
    if matches!(reader.parser.peek_token_ref().token, Token::RParen | Token::Comma) {
        return Ok(read);
    }
    reader.unexpected()
}

impl Reader<'_, '_> {
    fn unexpected<T>(&self) -> Result<T, ParserError> {
        self.parser.expected_ref("something else", self.parser.peek_token_ref())
    }

    fn peek(&self) -> Option<&str> {
        match &self.parser.peek_token_ref().token {
            Token::Word(word) => match word.value.strip_prefix(MARK) {
                Some(marked) => Some(marked),
                None if word.quote_style.is_none() => Some(&word.value),
                None => None,
            },
            _ => None,
        }
    }

    fn word(&mut self, expected: &str) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.parser.advance_token();
        }
        found
    }

    fn expect(&mut self, expected: &str) -> Result<(), ParserError> {
        if self.word(expected) { Ok(()) } else { self.unexpected() }
    }

    fn token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// A type, as text.
    fn data_type(&mut self) -> Result<Expr, ParserError> {
        Ok(raw(self.parser.parse_data_type()?.to_string()))
    }

    fn all(&mut self, mut expr: Expr) -> Result<Expr, ParserError> {
        while let Some(word) = self.peek().map(str::to_owned) {
            expr = match word.as_str() {
                "format" => {
                    self.expect("format")?;
                    self.expect("json")?;
                    clause(expr, "FORMAT", raw("JSON"))
                }
                "as" => {
                    self.expect("as")?;
                    let name = self.parser.parse_identifier()?;
                    clause(expr, "AS", Expr::Identifier(name))
                }
                "passing" => {
                    self.expect("passing")?;
                    self.passing(expr)?
                }
                "returning" => {
                    self.expect("returning")?;
                    let typ = self.data_type()?;
                    clause(expr, "RETURNING", typ)
                }
                "with" | "without" => {
                    self.parser.advance_token();
                    self.wrapper(expr, &word)?
                }
                "keep" | "omit" => {
                    self.parser.advance_token();
                    self.expect("quotes")?;
                    if self.word("on") {
                        self.expect("scalar")?;
                        self.expect("string")?;
                    }
                    clause(expr, &word.to_uppercase(), raw("QUOTES"))
                }
                "null" | "error" | "true" | "false" | "unknown" => {
                    self.parser.advance_token();
                    let on = self.on()?;
                    clause(expr, &word.to_uppercase(), raw(format!("ON {on}")))
                }
                "empty" => {
                    self.expect("empty")?;
                    let what = ["array", "object"].into_iter().find(|what| self.word(what));
                    let on = self.on()?;
                    match what {
                        Some(what) => {
                            clause(expr, "EMPTY", raw(format!("{} ON {on}", what.to_uppercase())))
                        }
                        None => clause(expr, "EMPTY", raw(format!("ON {on}"))),
                    }
                }
                "default" => {
                    self.expect("default")?;
                    let value = self.parser.parse_expr()?;
                    let on = self.on()?;
                    clause(expr, "DEFAULT", clause(value, "ON", raw(on)))
                }
                "columns" => {
                    self.expect("columns")?;
                    let columns = self.columns()?;
                    clause(expr, "COLUMNS", columns)
                }
                _ => break,
            };
        }
        Ok(expr)
    }

    /// `ON EMPTY`, `ON ERROR`
    fn on(&mut self) -> Result<&'static str, ParserError> {
        self.expect("on")?;
        if self.word("empty") {
            return Ok("EMPTY");
        }
        self.expect("error")?;
        Ok("ERROR")
    }

    fn passing(&mut self, mut expr: Expr) -> Result<Expr, ParserError> {
        let mut name = "PASSING";
        loop {
            let mut value = self.parser.parse_expr()?;
            if self.word("format") {
                self.expect("json")?;
                value = clause(value, "FORMAT", raw("JSON"));
            }
            self.expect("as")?;
            let named = Expr::Identifier(self.parser.parse_identifier()?);
            expr = clause(expr, name, clause(value, "AS", named));
            if !self.token(&Token::Comma) {
                return Ok(expr);
            }
            name = ",";
        }
    }

    fn wrapper(&mut self, expr: Expr, word: &str) -> Result<Expr, ParserError> {
        if self.word("unique") {
            self.word("keys");
            return Ok(clause(expr, &word.to_uppercase(), raw("UNIQUE KEYS")));
        }
        let kind = ["conditional", "unconditional"].into_iter().find(|kind| self.word(kind));
        if word == "without" && kind.is_some() {
            return self.unexpected();
        }
        self.word("array");
        self.expect("wrapper")?;
        let what = match kind {
            Some("conditional") => "CONDITIONAL WRAPPER",
            _ => "WRAPPER",
        };
        Ok(clause(expr, &word.to_uppercase(), raw(what)))
    }

    fn columns(&mut self) -> Result<Expr, ParserError> {
        self.parser.expect_token(&Token::LParen)?;
        let mut columns = vec![self.column()?];
        while self.token(&Token::Comma) {
            columns.push(self.column()?);
        }
        self.parser.expect_token(&Token::RParen)?;
        Ok(Expr::Tuple(columns))
    }

    fn column(&mut self) -> Result<Expr, ParserError> {
        let ahead = &self.parser.peek_nth_token_ref(1).token;
        let nested = self.peek() == Some("nested")
            && (matches!(ahead, Token::SingleQuotedString(_))
                || matches!(ahead, Token::Word(word) if word.value == "path"
                    && matches!(self.parser.peek_nth_token_ref(2).token,
                        Token::SingleQuotedString(_))));
        if nested {
            self.expect("nested")?;
            self.word("path");
            let path = Expr::Value(self.parser.parse_value()?);
            let value = self.all(path)?;
            return Ok(prefixed(Ident::new("NESTED PATH"), value));
        }
        let name = self.parser.parse_identifier()?;
        if self.word("for") {
            self.expect("ordinality")?;
            return Ok(prefixed(name, raw("FOR ORDINALITY")));
        }
        let typ = self.data_type()?;
        let mut column = prefixed(name.clone(), typ);
        if self.word("exists") {
            column = clause(column, "EXISTS", self.path(&name)?);
        } else {
            if self.word("format") {
                self.expect("json")?;
                column = clause(column, "FORMAT", raw("JSON"));
            }
            column = clause(column, "PATH", self.path(&name)?);
        }
        self.all(column)
    }

    /// The path of a column: that of the member of its name if none is written.
    fn path(&mut self, name: &Ident) -> Result<Expr, ParserError> {
        let written = matches!(self.parser.peek_token_ref().token, Token::SingleQuotedString(_));
        if self.word("path") || written {
            return Ok(Expr::Value(self.parser.parse_value()?));
        }
        let member = serde_json::Value::String(name.value.clone());
        Ok(Expr::Value(Value::SingleQuotedString(format!("$.{member}")).into()))
    }
}

fn prefixed(prefix: Ident, value: Expr) -> Expr {
    Expr::Prefixed { prefix, value: Box::new(value) }
}
