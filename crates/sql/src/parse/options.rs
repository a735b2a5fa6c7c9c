//! Lists of options: `(NAME [=] value, ..)`.

use sqlparser::ast::{Ident, ObjectName};
use sqlparser::tokenizer::Token;

use super::StatementParser;
use super::failure::Failure;
use crate::ast::{NamedOption, OptionValue, RefreshOption};

/// Names of more than one word; longer ones first.
const LONG_NAMES: &[&[&str]] = &[
    &["ssl", "certificate", "authority"],
    &["ssl", "certificate"],
    &["ssl", "mode"],
    &["ssl", "key"],
    &["ssh", "tunnel"],
    &["host", "key"],
    &["aws", "privatelink"],
    &["aws", "connection"],
    &["service", "name"],
    &["availability", "zones"],
    &["text", "columns"],
    &["exclude", "columns"],
    &["ignore", "columns"],
    &["retain", "history"],
    &["replication", "factor"],
    &["availability", "zone"],
    &["introspection", "interval"],
    &["introspection", "debugging"],
    &["workload", "class"],
];

impl StatementParser<'_> {
    /// `WITH (..)`, if it comes next.
    pub(super) fn with_options(&mut self) -> Result<Vec<NamedOption>, Failure> {
        if self.word("with") { self.option_list() } else { Ok(Vec::new()) }
    }

    /// `(..)`
    pub(super) fn option_list(&mut self) -> Result<Vec<NamedOption>, Failure> {
        self.expect_token(&Token::LParen)?;
        if self.token(&Token::RParen) {
            return Ok(Vec::new());
        }
        let options = self.comma_separated(Self::named_option)?;
        self.expect_token(&Token::RParen)?;
        Ok(options)
    }

    pub(super) fn named_option(&mut self) -> Result<NamedOption, Failure> {
        if self.word("refresh") {
            return self.refresh();
        }
        let name = self.option_name()?;
        let equals = self.token(&Token::Eq);
        if name == "SCHEDULE" && self.words(&["on", "refresh"]) {
            let options =
                if self.peek_token(&Token::LParen) { self.option_list()? } else { Vec::new() };
            return Ok(NamedOption { name, value: OptionValue::OnRefresh(options) });
        }
        let _ = name == "RETAIN HISTORY" && self.word("for");
        let value = self.option_value(equals)?;
        Ok(NamedOption { name, value })
    }

    /// `REFRESH [=] {ON COMMIT | AT {CREATION | time} | EVERY 'interval' [ALIGNED TO time]}`, behind
    /// its first word.
    fn refresh(&mut self) -> Result<NamedOption, Failure> {
        let _ = self.token(&Token::Eq);
        let refresh = if self.words(&["on", "commit"]) {
            RefreshOption::OnCommit
        } else if self.words(&["at", "creation"]) {
            RefreshOption::AtCreation
        } else if self.word("at") {
            RefreshOption::At(Box::new(self.parser.parse_expr()?))
        } else if self.word("every") {
            let Token::SingleQuotedString(interval) = self.parser.peek_token_ref().token.clone()
            else {
                return Err(self.unexpected());
            };
            self.parser.advance_token();
            let aligned_to = match self.words(&["aligned", "to"]) {
                true => Some(Box::new(self.parser.parse_expr()?)),
                false => None,
            };
            RefreshOption::Every { interval, aligned_to }
        } else if matches!(&self.parser.peek_token_ref().token,
            Token::SingleQuotedString(text) if text.eq_ignore_ascii_case("on commit"))
        {
            // As tools write it.
            self.parser.advance_token();
            RefreshOption::OnCommit
        } else {
            return Err(self.unexpected());
        };
        Ok(NamedOption { name: "REFRESH".to_owned(), value: OptionValue::Refresh(refresh) })
    }

    pub(super) fn option_name(&mut self) -> Result<String, Failure> {
        for words in LONG_NAMES {
            if self.words(words) {
                return Ok(words.join(" ").to_uppercase());
            }
        }
        let mut name = self.identifier()?.value.to_uppercase();
        // An unknown name may have several words: all but the last before a comma or the end.
        while let Some(word) = self.peek_word_at(0) {
            let after = &self.parser.peek_nth_token_ref(1).token;
            let is_value =
                matches!(after, Token::Comma | Token::RParen | Token::EOF | Token::Period);
            if word == "secret" || is_value {
                break;
            }
            name = format!("{name} {}", word.to_uppercase());
            self.parser.advance_token();
        }
        Ok(name)
    }

    fn option_value(&mut self, required: bool) -> Result<OptionValue, Failure> {
        if self.peek_word("secret")
            && matches!(self.parser.peek_nth_token_ref(1).token, Token::Word(_))
        {
            self.parser.advance_token();
            return Ok(OptionValue::Secret(self.object_name()?));
        }
        let token = self.parser.peek_token_ref().token.clone();
        match token {
            Token::SingleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::UnicodeStringLiteral(text) => {
                self.parser.advance_token();
                Ok(OptionValue::Text(text))
            }
            Token::DollarQuotedString(text) => {
                self.parser.advance_token();
                Ok(OptionValue::Text(text.value))
            }
            Token::Number(number, _) => {
                self.parser.advance_token();
                Ok(OptionValue::Number(number))
            }
            Token::Minus => {
                self.parser.advance_token();
                match self.parser.peek_token_ref().token.clone() {
                    Token::Number(number, _) => {
                        self.parser.advance_token();
                        Ok(OptionValue::Number(format!("-{number}")))
                    }
                    _ => Err(self.unexpected()),
                }
            }
            Token::Word(_) => Ok(OptionValue::Name(self.object_name()?)),
            Token::LParen => self.name_list(&Token::RParen),
            Token::LBracket => self.name_list(&Token::RBracket),
            _ if required => Err(self.unexpected()),
            _ => Ok(OptionValue::None),
        }
    }

    fn name_list(&mut self, close: &Token) -> Result<OptionValue, Failure> {
        self.parser.advance_token();
        let mut names = Vec::new();
        while !self.token(close) {
            if !names.is_empty() {
                self.expect_token(&Token::Comma)?;
            }
            names.push(self.name_or_text()?);
        }
        Ok(OptionValue::List(names))
    }

    fn name_or_text(&mut self) -> Result<ObjectName, Failure> {
        match self.parser.peek_token_ref().token.clone() {
            Token::SingleQuotedString(text) => {
                self.parser.advance_token();
                Ok(ObjectName::from(Ident::with_quote('"', text)))
            }
            _ => self.object_name(),
        }
    }
}
