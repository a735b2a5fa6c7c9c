//! COPY, in the forms of all versions of PostgreSQL.

use sqlparser::ast::ObjectName;
use sqlparser::tokenizer::Token;

use super::StatementParser;
use super::failure::Failure;
use crate::ast::{Copy, CopyEnd, CopySource, NamedOption, OptionValue, Statement};

impl StatementParser<'_> {
    pub(super) fn copy(&mut self) -> Result<Statement, Failure> {
        self.expect_word("copy")?;
        let mut options = Vec::new();
        if self.peek_word("binary")
            && matches!(self.parser.peek_nth_token_ref(1).token, Token::Word(_))
        {
            let second = self.peek_word_at(1);
            if second != Some("from") && second != Some("to") {
                self.parser.advance_token();
                options.push(option("FORMAT", OptionValue::Text("binary".to_owned())));
            }
        }
        let source = self.copy_source()?;
        let from = matches!(source, CopySource::Table(..)) && self.word("from");
        if !from {
            self.expect_word("to")?;
        }
        let end = if self.word("stdin") || self.word("stdout") {
            CopyEnd::Client
        } else if self.word("program") {
            self.copy_text()?;
            CopyEnd::Program
        } else {
            self.copy_text()?;
            CopyEnd::File
        };
        if self.words(&["using", "delimiters"]) || self.word("delimiters") {
            options.push(option("DELIMITER", OptionValue::Text(self.copy_text()?)));
        }
        let _ = self.word("with");
        if self.peek_token(&Token::LParen) {
            self.new_copy_options(&mut options)?;
        } else {
            self.old_copy_options(&mut options)?;
        }
        let filter =
            if from && self.word("where") { Some(self.parser.parse_expr()?) } else { None };
        Ok(Statement::Copy(Copy { source, from, end, options, filter }))
    }

    fn copy_source(&mut self) -> Result<CopySource, Failure> {
        if self.peek_token(&Token::LParen) {
            return self.parenthesized(|parser| {
                if parser.peek_word("subscribe") || parser.peek_word("tail") {
                    parser.subscribe().map(CopySource::Subscribe)
                } else if ["insert", "update", "delete"].iter().any(|word| parser.peek_word(word)) {
                    parser.unsupported("COPY of a statement that writes")
                } else {
                    parser.query_statement().map(CopySource::Query)
                }
            });
        }
        let name = self.object_name()?;
        let columns = if self.peek_token(&Token::LParen) {
            self.parenthesized(|parser| parser.comma_separated(Self::identifier))?
        } else {
            Vec::new()
        };
        Ok(CopySource::Table(name, columns))
    }

    fn copy_text(&mut self) -> Result<String, Failure> {
        match self.parser.peek_token_ref().token.clone() {
            Token::SingleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::UnicodeStringLiteral(text) => {
                self.parser.advance_token();
                Ok(text)
            }
            Token::DollarQuotedString(text) => {
                self.parser.advance_token();
                Ok(text.value)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// `(name [value], ..)`
    fn new_copy_options(&mut self, options: &mut Vec<NamedOption>) -> Result<(), Failure> {
        self.expect_token(&Token::LParen)?;
        loop {
            let name = self.identifier()?.value.to_uppercase();
            let value = match self.parser.peek_token_ref().token.clone() {
                Token::Comma | Token::RParen => OptionValue::None,
                Token::Mul => {
                    self.parser.advance_token();
                    OptionValue::Text("*".to_owned())
                }
                Token::Number(number, _) => {
                    self.parser.advance_token();
                    OptionValue::Number(number)
                }
                Token::LParen => OptionValue::List(
                    self.parenthesized(|parser| parser.comma_separated(Self::copy_column))?,
                ),
                Token::Word(_) => OptionValue::Text(self.identifier()?.value),
                _ => OptionValue::Text(self.copy_text()?),
            };
            options.push(NamedOption { name, value });
            if !self.token(&Token::Comma) {
                break;
            }
        }
        self.expect_token(&Token::RParen)
    }

    fn copy_column(&mut self) -> Result<ObjectName, Failure> {
        Ok(ObjectName::from(self.identifier()?))
    }

    /// The form before PostgreSQL 9.0, which it still takes.
    fn old_copy_options(&mut self, options: &mut Vec<NamedOption>) -> Result<(), Failure> {
        loop {
            if self.word("binary") {
                options.push(option("FORMAT", OptionValue::Text("binary".to_owned())));
            } else if self.word("csv") {
                options.push(option("FORMAT", OptionValue::Text("csv".to_owned())));
            } else if self.word("freeze") {
                options.push(option("FREEZE", OptionValue::None));
            } else if self.word("header") {
                options.push(option("HEADER", OptionValue::None));
            } else if self.words(&["force", "quote"]) {
                let value = if self.token(&Token::Mul) {
                    OptionValue::Text("*".to_owned())
                } else {
                    OptionValue::List(self.comma_separated(Self::copy_column)?)
                };
                options.push(option("FORCE_QUOTE", value));
            } else if self.words(&["force", "not", "null"]) {
                let columns = self.comma_separated(Self::copy_column)?;
                options.push(option("FORCE_NOT_NULL", OptionValue::List(columns)));
            } else if self.words(&["force", "null"]) {
                let columns = self.comma_separated(Self::copy_column)?;
                options.push(option("FORCE_NULL", OptionValue::List(columns)));
            } else {
                let named = ["delimiter", "null", "quote", "escape", "encoding"];
                let Some(name) = named.into_iter().find(|name| self.peek_word(name)) else {
                    return Ok(());
                };
                self.parser.advance_token();
                if name != "encoding" {
                    let _ = self.word("as");
                }
                let value = OptionValue::Text(self.copy_text()?);
                options.push(option(&name.to_uppercase(), value));
            }
        }
    }
}

fn option(name: &str, value: OptionValue) -> NamedOption {
    NamedOption { name: name.to_owned(), value }
}
