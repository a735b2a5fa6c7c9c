//! From text to statements.
//!
//! [`tokens`] cuts the text into the tokens of each statement and makes them easy to work with;
//! what PostgreSQL and sqlparser agree on is read by sqlparser, our own statements by
//! [`StatementParser`] on sqlparser's parser: [`create`], [`show`] (SHOW, SET, EXPLAIN),
//! [`cursor`] (SUBSCRIBE, COPY, DECLARE, ..), [`objects`] (clusters, COMMENT ON), [`options`]. [`failure`] words what went wrong.

mod alter;
mod collections;
mod copy;
mod create;
mod created;
mod cursor;
mod dialect;
mod failure;
mod function;
mod json;
mod objects;
mod options;
mod recursion;
mod rewrite;
mod role;
mod show;
mod source;
mod table;
mod tokens;
mod unicode;
mod windows;

use std::sync::Arc;

use sqlparser::ast::{Expr, Ident, ObjectName, Query, SelectItem, SetExpr};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};
use tidemill_repr::{SqlError, SqlState};

use crate::ast::{AsOf, QueryStatement, Statement};
use dialect::SqlDialect;
use failure::Failure;
pub(crate) use recursion::{mutual_limit, restore, search_and_cycle};
pub(crate) use rewrite::unmark;
use tokens::{AS_OF, StatementTokens};
pub(crate) use windows::{exclusion_of, with_exclusions};

/// How deep the parser may recurse on the stack of its thread.
const SHALLOW_LIMIT: usize = 40;
/// How deep it may recurse on a stack of its own.
const DEEP_LIMIT: usize = 300;
/// That stack.
const DEEP_STACK_BYTES: usize = 16 * 1024 * 1024;

/// A statement with the text it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedStatement {
    /// The statement.
    pub statement: Statement,
    /// Its own text, without semicolon.
    pub text: String,
    /// The whole text that it is part of, on one line: what the spans of the tree refer to.
    pub whole: Arc<str>,
}

/// Splits a text into statements and reads each. Positions in errors, and in the spans of the
/// trees, count characters from 1 in the whole text (as column; the line is always 1).
///
/// # Errors
/// The text is not SQL (`42601`), is nested too deep (`54001`), or uses a construct that is
/// known and not supported (`0A000`).
pub fn parse(text: &str) -> Result<Vec<ParsedStatement>, SqlError> {
    if text.contains('\0') {
        return Err(SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ));
    }
    let statements = tokens::split(text)?;
    let whole: Arc<str> = text.replace('\n', " ").into();
    statements
        .into_iter()
        .map(|tokens| {
            let source = tokens.source(text).to_owned();
            let statement = parse_one(text, tokens)?;
            Ok(ParsedStatement { statement, text: source, whole: Arc::clone(&whole) })
        })
        .collect()
}

/// Reads a text that is one expression.
///
/// # Errors
/// It is none.
pub(crate) fn expression(text: &str) -> Result<Expr, SqlError> {
    let mut statements = parse(&format!("SELECT {text}"))?;
    let broken = || SqlError::internal("a text that is no expression");
    let Some(Statement::Query(statement)) = statements.pop().map(|one| one.statement) else {
        return Err(broken());
    };
    let SetExpr::Select(select) = *statement.query.body else { return Err(broken()) };
    match select.projection.into_iter().next() {
        Some(SelectItem::UnnamedExpr(expr)) => Ok(expr),
        _ => Err(broken()),
    }
}

/// A query of one SELECT, whose output is to be replaced.
pub(crate) fn empty_select() -> Result<Query, SqlError> {
    match parse("SELECT 1")?.pop().map(|one| one.statement) {
        Some(Statement::Query(statement)) => Ok(*statement.query),
        _ => Err(SqlError::internal("a text that is no query")),
    }
}

fn parse_one(text: &str, mut tokens: StatementTokens) -> Result<Statement, SqlError> {
    let overriding = table::take_overriding(&mut tokens.tokens);
    table::order_identity_options(&mut tokens.tokens);
    let statement = parse_rest(text, tokens)?;
    match (overriding, statement) {
        (None, statement) => Ok(statement),
        (Some(system), Statement::Standard(standard)) => match *standard {
            sqlparser::ast::Statement::Insert(insert) => {
                Ok(Statement::Overriding { system, insert: Box::new(insert) })
            }
            _ => Err(overriding_elsewhere()),
        },
        (Some(_), _) => Err(overriding_elsewhere()),
    }
}

fn overriding_elsewhere() -> SqlError {
    let message = "syntax error at or near \"overriding\"";
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

fn parse_rest(text: &str, tokens: StatementTokens) -> Result<Statement, SqlError> {
    let ends_at = tokens.ends_at;
    let (result, tokens) = parse_within(SHALLOW_LIMIT, text, tokens.tokens, ends_at);
    if !matches!(&result, Err(error) if error.code == SqlState::STATEMENT_TOO_COMPLEX) {
        return result;
    }
    // Few statements nest so deep: only for them a larger stack is made.
    stacker::grow(DEEP_STACK_BYTES, || parse_within(DEEP_LIMIT, text, tokens, ends_at).0)
}

/// Reads a statement; gives the tokens back.
fn parse_within(
    limit: usize,
    text: &str,
    tokens: Vec<TokenWithSpan>,
    ends_at: Option<u64>,
) -> (Result<Statement, SqlError>, Vec<TokenWithSpan>) {
    let parser =
        Parser::new(&SqlDialect).with_recursion_limit(limit).with_tokens_with_locations(tokens);
    let mut parser = StatementParser { parser };
    let result = parser.statement().and_then(|statement| {
        if parser.at_end() { Ok(statement) } else { Err(parser.unexpected()) }
    });
    let result =
        result.map_err(|failure| failure::into_error(failure, &parser.parser, text, ends_at));
    (result, parser.parser.into_tokens())
}

/// Reads one statement from its tokens.
struct StatementParser<'a> {
    parser: Parser<'a>,
}

impl StatementParser<'_> {
    /// The unquoted word `n` tokens ahead.
    fn peek_word_at(&self, n: usize) -> Option<&str> {
        match &self.parser.peek_nth_token_ref(n).token {
            Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
            _ => None,
        }
    }

    fn peek_word(&self, word: &str) -> bool {
        self.peek_word_at(0) == Some(word)
    }

    fn peek_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.peek_word_at(n) == Some(*word))
    }

    /// Takes this unquoted word if it comes next.
    fn word(&mut self, word: &str) -> bool {
        self.words(&[word])
    }

    /// Takes these unquoted words if they all come next.
    fn words(&mut self, words: &[&str]) -> bool {
        let found = self.peek_words(words);
        if found {
            words.iter().for_each(|_| self.parser.advance_token());
        }
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<(), Failure> {
        self.expect_words(&[word])
    }

    fn expect_words(&mut self, words: &[&str]) -> Result<(), Failure> {
        for word in words {
            if !self.word(word) {
                return Err(self.unexpected());
            }
        }
        Ok(())
    }

    fn peek_token(&self, token: &Token) -> bool {
        self.parser.peek_token_ref().token == *token
    }

    fn token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    fn expect_token(&mut self, token: &Token) -> Result<(), Failure> {
        if self.token(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn at_end(&self) -> bool {
        self.peek_token(&Token::EOF)
    }

    /// A syntax error at the next token.
    fn unexpected(&self) -> Failure {
        let found = self.parser.peek_token_ref();
        match self.parser.expected_ref::<()>("something else", found) {
            Err(error) => Failure::Parser(error),
            Ok(()) => Failure::Parser(ParserError::ParserError(String::new())),
        }
    }

    /// A construct that is known and refused.
    fn unsupported<T>(&self, what: impl std::fmt::Display) -> Result<T, Failure> {
        Err(Failure::Sql(SqlError::unsupported(what)))
    }

    fn identifier(&mut self) -> Result<Ident, Failure> {
        match &self.parser.peek_token_ref().token {
            Token::Word(_) => Ok(self.parser.parse_identifier()?),
            _ => Err(self.unexpected()),
        }
    }

    /// A text in any of the forms that PostgreSQL has for it; None if something else comes next.
    fn text_constant(&mut self) -> Result<Option<String>, Failure> {
        Ok(match &self.parser.peek_token_ref().token {
            Token::DollarQuotedString(text) => {
                let text = text.value.clone();
                self.parser.advance_token();
                Some(text)
            }
            Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_) => Some(self.parser.parse_literal_string()?),
            _ => None,
        })
    }

    fn object_name(&mut self) -> Result<ObjectName, Failure> {
        let mut parts = vec![self.identifier()?];
        while self.token(&Token::Period) {
            parts.push(self.identifier()?);
        }
        Ok(ObjectName::from(parts))
    }

    fn comma_separated<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let mut items = vec![read(self)?];
        while self.token(&Token::Comma) {
            items.push(read(self)?);
        }
        Ok(items)
    }

    fn parenthesized<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.expect_token(&Token::LParen)?;
        let inner = read(self)?;
        self.expect_token(&Token::RParen)?;
        Ok(inner)
    }

    fn if_not_exists(&mut self) -> bool {
        self.words(&["if", "not", "exists"])
    }

    fn statement(&mut self) -> Result<Statement, Failure> {
        let Some(first) = self.peek_word_at(0).map(str::to_owned) else {
            if self.peek_token(&Token::LParen) {
                return self.query_statement().map(Statement::Query);
            }
            return Err(self.unexpected());
        };
        if let Some(statement) = self.function_statement()? {
            return Ok(statement);
        }
        if let Some(statement) = self.role_statement()? {
            return Ok(statement);
        }
        match first.as_str() {
            "select" | "with" | "values" | "table" => self.query_statement().map(Statement::Query),
            "create" => self.create(),
            "drop" => self.drop(),
            "alter" => self.alter(),
            "validate" => self.validate(),
            "subscribe" | "tail" => self.subscribe().map(Statement::Subscribe),
            "copy" => self.copy(),
            "declare" => self.declare(),
            "fetch" => self.fetch(),
            "close" => self.close(),
            "prepare" => self.prepare(),
            "execute" => self.execute(),
            "deallocate" => self.deallocate(),
            "explain" => self.explain(),
            "show" => self.show(),
            "set" => self.set(),
            "reset" => self.reset(),
            "comment" => self.comment(),
            "insert" | "update" | "delete" | "begin" | "start" | "commit" | "end" | "rollback"
            | "abort" | "savepoint" | "release" | "discard" | "truncate" | "merge" | "analyze"
            | "vacuum" | "lock" | "listen" | "unlisten" | "notify" | "call" => {
                let statement = self.parser.parse_statement()?;
                Ok(Statement::Standard(Box::new(statement)))
            }
            "do" | "reindex" | "cluster" | "checkpoint" | "security" | "refresh" | "import"
            | "load" | "inspect" => self.unsupported(first.to_uppercase()),
            _ => Err(self.unexpected()),
        }
    }

    fn query(&mut self) -> Result<Box<Query>, Failure> {
        // sqlparser also takes queries that begin with FROM, INSERT and others here.
        let starts = self.peek_token(&Token::LParen)
            || ["select", "with", "values", "table"].iter().any(|word| self.peek_word(word));
        if !starts {
            return Err(self.unexpected());
        }
        Ok(self.parser.parse_query()?)
    }

    fn query_statement(&mut self) -> Result<QueryStatement, Failure> {
        let query = self.query()?;
        let as_of = self.as_of()?;
        Ok(QueryStatement { query, as_of })
    }

    fn as_of(&mut self) -> Result<Option<AsOf>, Failure> {
        if !self.token(&AS_OF) {
            return Ok(None);
        }
        let at_least = self.words(&["at", "least"]);
        let at = self.parser.parse_expr()?;
        Ok(Some(AsOf { at_least, at }))
    }
}

#[cfg(test)]
mod tests;
