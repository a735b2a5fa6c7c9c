//! The parts of CREATE TABLE, and sequences.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::StatementParser;
use super::failure::Failure;
use crate::ast::{
    CreateTable, CreateTableAs, LikeTable, SequenceOption, SequenceStatement, Statement,
};

/// Takes `OVERRIDING {SYSTEM | USER} VALUE`, which sqlparser does not know, out of an INSERT:
/// whether it was SYSTEM.
pub(super) fn take_overriding(tokens: &mut Vec<TokenWithSpan>) -> Option<bool> {
    let word = |token: &TokenWithSpan, text: &str| {
        matches!(&token.token, Token::Word(word)
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text))
    };
    let visible: Vec<usize> = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)))
        .map(|(position, _)| position)
        .collect();
    if !visible.first().is_some_and(|first| word(&tokens[*first], "insert")) {
        return None;
    }
    let three = visible.windows(3).find(|three| {
        word(&tokens[three[0]], "overriding")
            && (word(&tokens[three[1]], "system") || word(&tokens[three[1]], "user"))
            && word(&tokens[three[2]], "value")
    })?;
    let system = word(&tokens[three[1]], "system");
    tokens.drain(three[0]..=three[2]);
    Some(system)
}

/// Puts the options of `AS IDENTITY (..)` in the one order in which sqlparser reads them.
pub(super) fn order_identity_options(tokens: &mut [TokenWithSpan]) {
    const ORDER: &[&str] = &["increment", "minvalue", "maxvalue", "start", "cache", "cycle"];
    let word = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
        _ => None,
    };
    let is_blank = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    let mut at = 0;
    while at < tokens.len() {
        if word(&tokens[at]).as_deref() != Some("identity") {
            at += 1;
            continue;
        }
        let after = &tokens[at + 1..];
        let Some(open) = after.iter().position(|token| !is_blank(token)) else { return };
        if after[open].token != Token::LParen {
            at += 1;
            continue;
        }
        let Some(close) = after.iter().position(|token| token.token == Token::RParen) else {
            return;
        };
        let (first, last) = (at + 1 + open + 1, at + 1 + close);
        let mut clauses: Vec<(usize, Vec<TokenWithSpan>)> = Vec::new();
        let mut negated = false;
        for token in tokens.get(first..last).unwrap_or_default() {
            let text = word(token);
            let rank = ORDER.iter().position(|known| text.as_deref() == Some(known));
            let no = text.as_deref() == Some("no");
            match (rank, clauses.last_mut()) {
                (Some(rank), Some(clause)) if negated => {
                    clause.0 = rank;
                    clause.1.push(token.clone());
                }
                (Some(rank), _) => clauses.push((rank, vec![token.clone()])),
                (None, _) if no => clauses.push((ORDER.len(), vec![token.clone()])),
                (None, Some(clause)) => clause.1.push(token.clone()),
                (None, None) => clauses.push((0, vec![token.clone()])),
            }
            negated = no || (negated && is_blank(token));
        }
        clauses.sort_by_key(|(rank, _)| *rank);
        let sorted = clauses.into_iter().flat_map(|(_, tokens)| tokens);
        for (place, token) in tokens[first..last].iter_mut().zip(sorted) {
            *place = token;
        }
        at = last;
    }
}

impl StatementParser<'_> {
    /// `[(columns)] AS query [WITH [NO] DATA]`; false if something else follows.
    pub(super) fn table_as(&mut self, created: &mut CreateTable) -> Result<bool, Failure> {
        if !self.names_before_as() {
            return Ok(false);
        }
        let columns = if self.peek_token(&Token::LParen) {
            self.parenthesized(|parser| parser.comma_separated(Self::identifier))?
        } else {
            Vec::new()
        };
        self.expect_word("as")?;
        if self.peek_word("execute") {
            return self.unsupported("CREATE TABLE AS EXECUTE");
        }
        let query = self.query()?;
        let with_data = !self.words(&["with", "no", "data"]);
        if with_data {
            self.words(&["with", "data"]);
        }
        created.query = Some(CreateTableAs { columns, query, with_data, select_into: false });
        Ok(true)
    }

    /// Whether `AS`, or `(a, b) AS`, follows.
    fn names_before_as(&self) -> bool {
        if !self.peek_token(&Token::LParen) {
            return self.peek_word("as");
        }
        let mut next = 1;
        loop {
            let token = |n: usize| &self.parser.peek_nth_token_ref(n).token;
            if !matches!(token(next), Token::Word(_)) {
                return false;
            }
            match token(next + 1) {
                Token::Comma => next += 2,
                Token::RParen => return self.peek_word_at(next + 2) == Some("as"),
                _ => return false,
            }
        }
    }

    /// `(column | constraint | LIKE table, ..)`
    pub(super) fn table_elements(&mut self, created: &mut CreateTable) -> Result<(), Failure> {
        self.expect_token(&Token::LParen)?;
        if self.token(&Token::RParen) {
            return Ok(());
        }
        loop {
            if self.word("like") {
                let like = self.like_table(created.columns.len())?;
                created.likes.push(like);
            } else if let Some(constraint) = self.parser.parse_optional_table_constraint()? {
                created.constraints.push(constraint);
            } else {
                self.identifier_ahead()?;
                created.columns.push(self.parser.parse_column_def()?);
            }
            if !self.token(&Token::Comma) {
                return self.expect_token(&Token::RParen);
            }
        }
    }

    fn identifier_ahead(&self) -> Result<(), Failure> {
        match &self.parser.peek_token_ref().token {
            Token::Word(_) => Ok(()),
            _ => Err(self.unexpected()),
        }
    }

    fn like_table(&mut self, position: usize) -> Result<LikeTable, Failure> {
        let name = self.object_name()?;
        let mut options = Vec::new();
        loop {
            let including = if self.word("including") {
                true
            } else if self.word("excluding") {
                false
            } else {
                return Ok(LikeTable { position, name, options });
            };
            options.push((including, self.identifier()?.value.to_uppercase()));
        }
    }

    /// What follows `CREATE SEQUENCE` and `ALTER SEQUENCE`.
    pub(super) fn sequence(&mut self, alter: bool, temporary: bool) -> Result<Statement, Failure> {
        let if_exists = if alter { self.words(&["if", "exists"]) } else { self.if_not_exists() };
        let name = self.object_name()?;
        let mut options = Vec::new();
        while let Some(option) = self.sequence_option()? {
            options.push(option);
        }
        let statement = SequenceStatement { alter, temporary, if_exists, name, options };
        Ok(Statement::Sequence(statement))
    }

    fn sequence_option(&mut self) -> Result<Option<SequenceOption>, Failure> {
        let option = if self.word("as") {
            SequenceOption::As(self.parser.parse_data_type()?)
        } else if self.word("increment") {
            self.word("by");
            SequenceOption::Increment(self.signed_number()?)
        } else if self.words(&["no", "minvalue"]) {
            SequenceOption::Min(None)
        } else if self.word("minvalue") {
            SequenceOption::Min(Some(self.signed_number()?))
        } else if self.words(&["no", "maxvalue"]) {
            SequenceOption::Max(None)
        } else if self.word("maxvalue") {
            SequenceOption::Max(Some(self.signed_number()?))
        } else if self.word("start") {
            self.word("with");
            SequenceOption::Start(self.signed_number()?)
        } else if self.word("restart") {
            let with = self.word("with");
            let number = matches!(
                self.parser.peek_token_ref().token,
                Token::Number(..) | Token::Minus | Token::Plus
            );
            SequenceOption::Restart(if with || number { Some(self.signed_number()?) } else { None })
        } else if self.word("cache") {
            SequenceOption::Cache(self.signed_number()?)
        } else if self.words(&["no", "cycle"]) {
            SequenceOption::Cycle(false)
        } else if self.word("cycle") {
            SequenceOption::Cycle(true)
        } else if self.words(&["owned", "by"]) {
            let none = self.word("none");
            SequenceOption::OwnedBy(if none { None } else { Some(self.object_name()?) })
        } else {
            return Ok(None);
        };
        Ok(Some(option))
    }

    fn signed_number(&mut self) -> Result<i64, Failure> {
        let negative = self.token(&Token::Minus);
        if !negative {
            self.token(&Token::Plus);
        }
        let Token::Number(digits, _) = &self.parser.peek_token_ref().token else {
            return Err(self.unexpected());
        };
        let text = if negative { format!("-{digits}") } else { digits.clone() };
        let number = text.parse().map_err(|_| self.unexpected())?;
        self.parser.advance_token();
        Ok(number)
    }
}
