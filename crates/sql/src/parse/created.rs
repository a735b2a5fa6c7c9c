//! CREATE TYPE, CREATE DOMAIN, and what ALTER does to them.

use sqlparser::ast::{ColumnOption, DataType, Ident};
use sqlparser::tokenizer::Token;
use tidemill_repr::{SqlError, SqlState};

use super::StatementParser;
use super::failure::Failure;
use crate::ast::{
    CreateDomain, CreateType, DomainConstraint, DomainDemand, Statement, TypeBody, TypeChange,
    TypeOption,
};

impl StatementParser<'_> {
    pub(super) fn create_type(&mut self) -> Result<Statement, Failure> {
        let name = self.object_name()?;
        if self.at_end() {
            return self.unsupported("CREATE TYPE without definition");
        }
        if self.peek_token(&Token::LParen) {
            return self.unsupported("CREATE TYPE with functions of input and output");
        }
        self.expect_word("as")?;
        let body = if self.word("enum") {
            self.parenthesized(|parser| {
                if parser.peek_token(&Token::RParen) {
                    return Ok(Vec::new());
                }
                parser.comma_separated(Self::label)
            })
            .map(TypeBody::Enum)?
        } else if self.word("list") {
            TypeBody::List(self.type_options()?)
        } else if self.word("map") {
            TypeBody::Map(self.type_options()?)
        } else if self.word("range") {
            return self.unsupported("CREATE TYPE .. AS RANGE");
        } else {
            self.parenthesized(|parser| {
                if parser.peek_token(&Token::RParen) {
                    return Ok(Vec::new());
                }
                parser.comma_separated(Self::field)
            })
            .map(TypeBody::Composite)?
        };
        Ok(Statement::CreateType(CreateType { name, body }))
    }

    fn label(&mut self) -> Result<String, Failure> {
        self.text_constant()?.ok_or_else(|| self.unexpected())
    }

    fn field(&mut self) -> Result<(Ident, DataType), Failure> {
        let name = self.identifier()?;
        let data_type = self.parser.parse_data_type()?;
        if self.peek_word("collate") {
            return self.unsupported("COLLATE of a field");
        }
        Ok((name, data_type))
    }

    fn type_options(&mut self) -> Result<Vec<TypeOption>, Failure> {
        self.parenthesized(|parser| parser.comma_separated(Self::type_option))
    }

    fn type_option(&mut self) -> Result<TypeOption, Failure> {
        let first = self.identifier()?.value;
        self.expect_word("type")?;
        let _ = self.token(&Token::Eq);
        let data_type = self.parser.parse_data_type()?;
        Ok(TypeOption { name: format!("{} TYPE", first.to_uppercase()), data_type })
    }

    pub(super) fn create_domain(&mut self) -> Result<Statement, Failure> {
        let name = self.object_name()?;
        let _ = self.word("as");
        let data_type = self.parser.parse_data_type()?;
        let mut domain =
            CreateDomain { name, data_type, collation: None, default: None, constraints: vec![] };
        loop {
            let constraint = if self.word("constraint") { Some(self.identifier()?) } else { None };
            if constraint.is_none() && self.at_end() {
                return Ok(Statement::CreateDomain(domain));
            }
            let Some(option) = self.parser.parse_optional_column_option()? else {
                return Err(self.unexpected());
            };
            match option {
                ColumnOption::Default(expr) if constraint.is_none() => {
                    if domain.default.replace(expr).is_some() {
                        let message = "multiple default expressions";
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).into());
                    }
                }
                ColumnOption::Collation(name) if constraint.is_none() => {
                    domain.collation = Some(name);
                }
                other => domain.constraints.push(self.demand(constraint, other)?),
            }
        }
    }

    fn demand(
        &self,
        name: Option<Ident>,
        option: ColumnOption,
    ) -> Result<DomainConstraint, Failure> {
        let demand = match option {
            ColumnOption::NotNull => DomainDemand::NotNull,
            ColumnOption::Null => DomainDemand::Null,
            ColumnOption::Check(check) if check.no_inherit => {
                let message = "check constraints for domains cannot be marked NO INHERIT";
                return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message).into());
            }
            ColumnOption::Check(check) => DomainDemand::Check(*check.expr),
            ColumnOption::Unique(_) => return Err(not_for_domains("unique")),
            ColumnOption::PrimaryKey(_) => return Err(not_for_domains("primary key")),
            ColumnOption::ForeignKey(_) => return Err(not_for_domains("foreign key")),
            _ => return Err(self.unexpected()),
        };
        Ok(DomainConstraint { name, demand })
    }

    /// What ALTER TYPE or ALTER DOMAIN changes, unless it is the name of the type or something
    /// that is not known here.
    pub(super) fn type_change(&mut self, domain: bool) -> Result<Option<TypeChange>, Failure> {
        if domain { self.domain_change() } else { self.enum_change() }
    }

    fn enum_change(&mut self) -> Result<Option<TypeChange>, Failure> {
        if self.words(&["add", "value"]) {
            let if_not_exists = self.if_not_exists();
            let value = self.label()?;
            let place = if self.word("before") {
                Some((true, self.label()?))
            } else if self.word("after") {
                Some((false, self.label()?))
            } else {
                None
            };
            return Ok(Some(TypeChange::AddValue { if_not_exists, value, place }));
        }
        if self.words(&["rename", "value"]) {
            let old = self.label()?;
            self.expect_word("to")?;
            return Ok(Some(TypeChange::RenameValue(old, self.label()?)));
        }
        Ok(None)
    }

    fn domain_change(&mut self) -> Result<Option<TypeChange>, Failure> {
        if self.words(&["set", "not", "null"]) {
            return Ok(Some(TypeChange::NotNull(true)));
        }
        if self.words(&["drop", "not", "null"]) {
            return Ok(Some(TypeChange::NotNull(false)));
        }
        if self.words(&["set", "default"]) {
            return Ok(Some(TypeChange::Default(Some(self.parser.parse_expr()?))));
        }
        if self.words(&["drop", "default"]) {
            return Ok(Some(TypeChange::Default(None)));
        }
        if self.words(&["drop", "constraint"]) {
            let if_exists = self.words(&["if", "exists"]);
            let name = self.identifier()?;
            let _ = self.word("cascade") || self.word("restrict");
            return Ok(Some(TypeChange::DropConstraint { if_exists, name }));
        }
        if self.words(&["rename", "constraint"]) {
            let old = self.identifier()?;
            self.expect_word("to")?;
            return Ok(Some(TypeChange::RenameConstraint(old, self.identifier()?)));
        }
        if self.word("add") {
            let name = if self.word("constraint") { Some(self.identifier()?) } else { None };
            let Some(option) = self.parser.parse_optional_column_option()? else {
                return Err(self.unexpected());
            };
            let constraint = self.demand(name, option)?;
            if self.words(&["not", "valid"]) {
                return self.unsupported("NOT VALID of a constraint");
            }
            return Ok(Some(TypeChange::AddConstraint(constraint)));
        }
        Ok(None)
    }
}

fn not_for_domains(kind: &str) -> Failure {
    let message = format!("{kind} constraints not possible for domains");
    SqlError::new(SqlState::SYNTAX_ERROR, message).into()
}
