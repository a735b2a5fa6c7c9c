//! SUBSCRIBE, cursors and prepared statements.

use sqlparser::ast::Ident;
use sqlparser::tokenizer::Token;

use super::StatementParser;
use super::failure::Failure;
use super::tokens::AS_OF;
use crate::ast::{
    Declare, Execute, Fetch, FetchCount, Prepare, Statement, Subscribe, SubscribeOutput,
    SubscribeTarget,
};

impl StatementParser<'_> {
    pub(super) fn subscribe(&mut self) -> Result<Subscribe, Failure> {
        // `TAIL` was its name before.
        if !self.word("tail") {
            self.expect_word("subscribe")?;
        }
        let _ = self.word("to");
        let target = if self.peek_token(&Token::LParen) {
            SubscribeTarget::Query(self.parenthesized(Self::query)?)
        } else {
            SubscribeTarget::Object(self.object_name()?)
        };
        let mut subscribe = Subscribe {
            target,
            output: SubscribeOutput::Diffs,
            options: Vec::new(),
            as_of: None,
            up_to: None,
        };
        // Each clause once, in any order: it has changed over time.
        loop {
            if subscribe.output == SubscribeOutput::Diffs
                && let Some(output) = self.subscribe_output()?
            {
                subscribe.output = output;
            } else if subscribe.options.is_empty() && self.peek_word("with") {
                subscribe.options = self.with_options()?;
            } else if subscribe.as_of.is_none() && self.peek_token(&AS_OF) {
                subscribe.as_of = self.as_of()?;
            } else if subscribe.up_to.is_none() && self.words(&["up", "to"]) {
                subscribe.up_to = Some(self.parser.parse_expr()?);
            } else {
                return Ok(subscribe);
            }
        }
    }

    /// `ENVELOPE ..` or `WITHIN TIMESTAMP ORDER BY ..`
    fn subscribe_output(&mut self) -> Result<Option<SubscribeOutput>, Failure> {
        if self.words(&["within", "timestamp", "order", "by"]) {
            let keys = self.comma_separated(|s| Ok(s.parser.parse_order_by_expr()?))?;
            return Ok(Some(SubscribeOutput::Ordered(keys)));
        }
        if !self.word("envelope") {
            return Ok(None);
        }
        let is_upsert = self.word("upsert");
        if !is_upsert {
            self.expect_word("debezium")?;
        }
        let key = self.parenthesized(|s| {
            s.expect_word("key")?;
            s.parenthesized(|s| s.comma_separated(Self::identifier))
        })?;
        let output =
            if is_upsert { SubscribeOutput::Upsert(key) } else { SubscribeOutput::Debezium(key) };
        Ok(Some(output))
    }

    pub(super) fn declare(&mut self) -> Result<Statement, Failure> {
        self.expect_word("declare")?;
        let name = self.identifier()?;
        if self.word("binary") {
            return self.unsupported("a BINARY cursor");
        }
        let _ = self.word("insensitive") || self.word("asensitive");
        if !self.words(&["no", "scroll"]) && self.word("scroll") {
            return self.unsupported("a SCROLL cursor");
        }
        self.expect_word("cursor")?;
        let hold = self.words(&["with", "hold"]);
        let _ = !hold && self.words(&["without", "hold"]);
        self.expect_word("for")?;
        let statement = if self.peek_word("subscribe") || self.peek_word("tail") {
            Statement::Subscribe(self.subscribe()?)
        } else {
            Statement::Query(self.query_statement()?)
        };
        Ok(Statement::Declare(Declare { name, hold, statement: Box::new(statement) }))
    }

    pub(super) fn fetch(&mut self) -> Result<Statement, Failure> {
        self.expect_word("fetch")?;
        for word in ["backward", "prior", "first", "last", "absolute", "relative"] {
            if self.peek_word(word)
                && matches!(
                    self.parser.peek_nth_token_ref(1).token,
                    Token::Word(_) | Token::Number(..)
                )
            {
                return self.unsupported(format_args!("FETCH {}", word.to_uppercase()));
            }
        }
        let forward = self.word("forward");
        let count = if self.word("all") {
            FetchCount::All
        } else if !forward && self.word("next") {
            FetchCount::Rows(1)
        } else if let Token::Number(number, _) = &self.parser.peek_token_ref().token {
            let Ok(rows) = number.parse() else { return Err(self.unexpected()) };
            self.parser.advance_token();
            FetchCount::Rows(rows)
        } else if self.peek_token(&Token::Minus) {
            return self.unsupported("FETCH of a negative count");
        } else {
            FetchCount::Rows(1)
        };
        let _ = self.word("from") || self.word("in");
        let name = self.identifier()?;
        let options = self.with_options()?;
        Ok(Statement::Fetch(Fetch { name, count, options }))
    }

    pub(super) fn close(&mut self) -> Result<Statement, Failure> {
        self.expect_word("close")?;
        Ok(Statement::Close(self.name_or_all()?))
    }

    fn name_or_all(&mut self) -> Result<Option<Ident>, Failure> {
        if self.word("all") { Ok(None) } else { Ok(Some(self.identifier()?)) }
    }

    pub(super) fn prepare(&mut self) -> Result<Statement, Failure> {
        self.expect_word("prepare")?;
        if self.peek_word("transaction") {
            return self.unsupported("PREPARE TRANSACTION");
        }
        let name = self.identifier()?;
        let types = if self.peek_token(&Token::LParen) {
            self.parenthesized(|parser| {
                parser.comma_separated(|parser| Ok(parser.parser.parse_data_type()?))
            })?
        } else {
            Vec::new()
        };
        self.expect_word("as")?;
        let preparable = ["select", "with", "values", "table", "insert", "update", "delete"];
        let starts =
            self.peek_token(&Token::LParen) || preparable.iter().any(|word| self.peek_word(word));
        if !starts {
            return Err(self.unexpected());
        }
        let statement = Box::new(self.statement()?);
        Ok(Statement::Prepare(Prepare { name, types, statement }))
    }

    pub(super) fn execute(&mut self) -> Result<Statement, Failure> {
        self.expect_word("execute")?;
        let name = self.identifier()?;
        let parameters = if self.peek_token(&Token::LParen) {
            self.parenthesized(|parser| {
                parser.comma_separated(|parser| Ok(parser.parser.parse_expr()?))
            })?
        } else {
            Vec::new()
        };
        Ok(Statement::Execute(Execute { name, parameters }))
    }

    pub(super) fn deallocate(&mut self) -> Result<Statement, Failure> {
        self.expect_word("deallocate")?;
        let _ = self.word("prepare");
        Ok(Statement::Deallocate(self.name_or_all()?))
    }
}
