//! CREATE FUNCTION, and what DROP, ALTER and COMMENT do with functions.

use sqlparser::ast::{DataType, Value};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;
use tidemill_catalog::ParameterMode;
use tidemill_repr::{SqlError, SqlState};

use super::StatementParser;
use super::failure::Failure;
use crate::ast::{
    CreateFunction, FunctionBody, FunctionChange, FunctionName, FunctionParameter, FunctionReturns,
    FunctionStatement, Statement,
};

impl StatementParser<'_> {
    /// DROP, ALTER and COMMENT ON of functions; None if it is something else.
    pub(super) fn function_statement(&mut self) -> Result<Option<Statement>, Failure> {
        let function = |word: Option<&str>| matches!(word, Some("function" | "routine"));
        let words = match self.peek_word_at(0) {
            Some("drop" | "alter") if function(self.peek_word_at(1)) => 2,
            Some("comment") if function(self.peek_word_at(2)) => 3,
            _ => return Ok(None),
        };
        let verb = self.peek_word_at(0).map(str::to_owned).unwrap_or_default();
        (0..words).for_each(|_| self.parser.advance_token());
        let statement = match verb.as_str() {
            "drop" => {
                let if_exists = self.words(&["if", "exists"]);
                let functions = self.comma_separated(Self::function_name)?;
                let cascade = self.word("cascade");
                let _ = !cascade && self.word("restrict");
                FunctionStatement::Drop { if_exists, functions, cascade }
            }
            "alter" => {
                let name = self.function_name()?;
                let change = if self.words(&["rename", "to"]) {
                    FunctionChange::Rename(self.identifier()?)
                } else if self.words(&["owner", "to"]) {
                    FunctionChange::Owner(self.role_name()?)
                } else if self.words(&["set", "schema"]) {
                    FunctionChange::Schema(self.object_name()?)
                } else {
                    return self.unsupported("this form of ALTER FUNCTION");
                };
                FunctionStatement::Alter(name, change)
            }
            _ => {
                let name = self.function_name()?;
                self.expect_word("is")?;
                let text = match self.word("null") {
                    true => None,
                    false => Some(self.text_constant()?.ok_or_else(|| self.unexpected())?),
                };
                FunctionStatement::Comment(name, text)
            }
        };
        Ok(Some(Statement::Function(Box::new(statement))))
    }

    pub(super) fn function_name(&mut self) -> Result<FunctionName, Failure> {
        let name = self.object_name()?;
        if !self.peek_token(&Token::LParen) {
            return Ok(FunctionName { name, arguments: None });
        }
        let parameters = self.parameters()?;
        let inputs = parameters.into_iter().filter(|parameter| parameter.mode.is_input());
        let arguments = Some(inputs.map(|parameter| parameter.data_type).collect());
        Ok(FunctionName { name, arguments })
    }

    fn parameters(&mut self) -> Result<Vec<FunctionParameter>, Failure> {
        self.parenthesized(|parser| {
            if parser.peek_token(&Token::RParen) {
                return Ok(Vec::new());
            }
            parser.comma_separated(Self::parameter)
        })
    }

    fn parameter(&mut self) -> Result<FunctionParameter, Failure> {
        let mut mode = self.parameter_mode()?;
        let alone = self.parser.maybe_parse(lone_type)?;
        let (name, data_type) = match alone {
            Some(data_type) => (None, data_type),
            None => {
                let name = self.identifier()?;
                if mode.is_none() {
                    mode = self.parameter_mode()?;
                }
                (Some(name), self.parser.parse_data_type()?)
            }
        };
        let has_default = self.word("default") || self.token(&Token::Eq);
        let default = if has_default { Some(self.parser.parse_expr()?) } else { None };
        let mode = mode.unwrap_or(ParameterMode::In);
        Ok(FunctionParameter { mode, name, data_type, default })
    }

    fn parameter_mode(&mut self) -> Result<Option<ParameterMode>, Failure> {
        if self.peek_word("variadic") {
            return self.unsupported("VARIADIC arguments of functions");
        }
        // One of these may be the name of the argument.
        let names = matches!(
            self.parser.peek_nth_token_ref(1).token,
            Token::Comma | Token::RParen | Token::Eq
        );
        if names {
            return Ok(None);
        }
        Ok(if self.words(&["in", "out"]) || self.word("inout") {
            Some(ParameterMode::InOut)
        } else if self.word("in") {
            Some(ParameterMode::In)
        } else if self.word("out") {
            Some(ParameterMode::Out)
        } else {
            None
        })
    }

    /// After `CREATE [OR REPLACE] FUNCTION`.
    pub(super) fn create_function(&mut self, or_replace: bool) -> Result<Statement, Failure> {
        let name = self.object_name()?;
        let mut create = CreateFunction {
            or_replace,
            name,
            parameters: self.parameters()?,
            returns: None,
            language: None,
            volatility: None,
            strict: None,
            leakproof: None,
            parallel: None,
            cost: None,
            rows: None,
            body: None,
        };
        if self.word("returns") {
            create.returns = Some(self.function_returns(&mut create.parameters)?);
        }
        while !self.at_end() {
            self.function_option(&mut create)?;
        }
        Ok(Statement::Function(Box::new(FunctionStatement::Create(create))))
    }

    fn function_returns(
        &mut self,
        parameters: &mut Vec<FunctionParameter>,
    ) -> Result<FunctionReturns, Failure> {
        if self.peek_word("table") && self.parser.peek_nth_token_ref(1).token == Token::LParen {
            self.word("table");
            let columns = self.parenthesized(|parser| {
                parser.comma_separated(|parser| {
                    let name = Some(parser.identifier()?);
                    let data_type = parser.parser.parse_data_type()?;
                    let mode = ParameterMode::Table;
                    Ok(FunctionParameter { mode, name, data_type, default: None })
                })
            })?;
            parameters.extend(columns);
            return Ok(FunctionReturns::Table);
        }
        let set = self.word("setof");
        if self.peek_word("trigger") || self.peek_word("event_trigger") {
            return self.unsupported("functions of triggers");
        }
        if self.peek_word("void") {
            return self.unsupported("RETURNS void");
        }
        let data_type = self.parser.parse_data_type()?;
        Ok(FunctionReturns::Type { set, data_type })
    }

    fn function_option(&mut self, create: &mut CreateFunction) -> Result<(), Failure> {
        if self.word("language") {
            let language = match &self.parser.peek_token_ref().token {
                Token::SingleQuotedString(_) => self.parser.parse_literal_string()?,
                _ => self.identifier()?.value,
            };
            return once(&mut create.language, language);
        }
        for (word, letter) in [("immutable", 'i'), ("stable", 's'), ("volatile", 'v')] {
            if self.word(word) {
                return once(&mut create.volatility, letter);
            }
        }
        if self.word("strict") || self.words(&["returns", "null", "on", "null", "input"]) {
            return once(&mut create.strict, true);
        }
        if self.words(&["called", "on", "null", "input"]) {
            return once(&mut create.strict, false);
        }
        if self.word("leakproof") {
            return once(&mut create.leakproof, true);
        }
        if self.words(&["not", "leakproof"]) {
            return once(&mut create.leakproof, false);
        }
        if self.words(&["external", "security", "invoker"]) || self.words(&["security", "invoker"])
        {
            return Ok(());
        }
        if self.word("parallel") {
            let level = self.identifier()?.value;
            let letter = match level.as_str() {
                "safe" => 's',
                "restricted" => 'r',
                "unsafe" => 'u',
                _ => {
                    let message = "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE";
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).into());
                }
            };
            return once(&mut create.parallel, letter);
        }
        if self.word("cost") {
            let cost = self.positive("COST")?;
            return once(&mut create.cost, cost);
        }
        if self.word("rows") {
            let rows = self.positive("ROWS")?;
            return once(&mut create.rows, rows);
        }
        if self.word("as") {
            let text = self.body_text()?;
            return once_body(create, FunctionBody::Text(text));
        }
        if self.word("return") {
            let expr = Box::new(self.parser.parse_expr()?);
            return once_body(create, FunctionBody::Return(expr));
        }
        if self.words(&["begin", "atomic"]) {
            return self.atomic(create);
        }
        for other in ["security", "external", "set", "support", "window", "transform"] {
            if self.peek_word(other) {
                let words = match other {
                    "security" | "external" => "SECURITY DEFINER".to_owned(),
                    other => other.to_uppercase(),
                };
                return self.unsupported(format_args!("{words} of a function"));
            }
        }
        Err(self.unexpected())
    }

    fn body_text(&mut self) -> Result<String, Failure> {
        let Some(text) = self.text_constant()? else { return Err(self.unexpected()) };
        if self.peek_token(&Token::Comma) {
            return self.unsupported("functions in files of their own");
        }
        Ok(text)
    }

    fn atomic(&mut self, create: &mut CreateFunction) -> Result<(), Failure> {
        let starts = ["select", "with", "values", "table"];
        let query = self.peek_token(&Token::LParen) || starts.iter().any(|w| self.peek_word(w));
        if !query {
            return match self.peek_word_at(0) {
                Some("insert" | "update" | "delete" | "merge" | "end") => {
                    self.unsupported("a function of anything but one query")
                }
                _ => Err(self.unexpected()),
            };
        }
        let query = self.query()?;
        self.expect_token(&Token::SemiColon)?;
        if !self.word("end") {
            return self.unsupported("a function of more than one statement");
        }
        once_body(create, FunctionBody::Atomic(query))
    }

    fn positive(&mut self, word: &str) -> Result<f32, Failure> {
        let number = match self.parser.parse_number_value()?.value {
            Value::Number(digits, _) => digits.parse::<f32>().unwrap_or(0.0),
            _ => 0.0,
        };
        if number > 0.0 && number.is_finite() {
            return Ok(number);
        }
        let message = format!("{word} must be positive");
        Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).into())
    }
}

/// A type after which the argument ends: otherwise it was the argument's name.
fn lone_type(parser: &mut Parser<'_>) -> Result<DataType, ParserError> {
    let data_type = parser.parse_data_type()?;
    match &parser.peek_token_ref().token {
        Token::Comma | Token::RParen | Token::Eq => Ok(data_type),
        Token::Word(word) if word.quote_style.is_none() && word.value == "default" => Ok(data_type),
        _ => Err(ParserError::ParserError(String::new())),
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Failure> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => {
            let message = "conflicting or redundant options";
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message).into())
        }
    }
}

fn once_body(create: &mut CreateFunction, body: FunctionBody) -> Result<(), Failure> {
    let text = matches!(body, FunctionBody::Text(_));
    match create.body.replace(body) {
        None => Ok(()),
        Some(FunctionBody::Text(_)) if text => {
            let message = "conflicting or redundant options";
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message).into())
        }
        Some(_) => {
            let message = "duplicate function body specified";
            Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message).into())
        }
    }
}
