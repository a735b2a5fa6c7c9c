//! PostgreSQL's dialect where sqlparser's differs from PostgreSQL: precedence of prefix
//! operators and of operators without a rank of their own, comparisons that do not associate,
//! constants of any type (`name 'x'`), `VARIADIC`.
//!
//! Everything else is [`PostgreSqlDialect`]'s.

use std::any::TypeId;

use sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, Ident, TypedString, UnaryOperator};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::json;
use crate::parse_marks::VARIADIC;

/// What binds tighter than a sign: `::`, `[..]`.
const ABOVE_SIGN: u8 = 120;

/// PostgreSQL's grammar.
#[derive(Debug)]
pub(crate) struct SqlDialect;

const BASE: PostgreSqlDialect = PostgreSqlDialect {};

/// Methods that are those of [`PostgreSqlDialect`].
macro_rules! as_base {
    ($($name:ident)*) => {
        $(
            fn $name(&self) -> bool {
                BASE.$name()
            }
        )*
    };
}

impl Dialect for SqlDialect {
    fn dialect(&self) -> TypeId {
        BASE.dialect()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        BASE.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        BASE.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        BASE.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        BASE.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        BASE.is_reserved_for_identifier(kw)
    }

    fn is_table_alias(&self, kw: &Keyword, parser: &mut Parser) -> bool {
        BASE.is_table_alias(kw, parser)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        BASE.is_custom_operator_part(ch)
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        BASE.prec_value(prec)
    }

    as_base! {
        supports_unicode_string_literal supports_filter_during_aggregation supports_group_by_expr
        supports_alter_user_as_alter_role allow_extract_custom allow_extract_single_quotes
        supports_create_index_with_clause supports_explain_with_utility_options
        supports_listen_notify supports_exclude_constraint supports_factorial_operator
        supports_bitwise_shift_operators supports_comment_on supports_load_extension
        supports_named_fn_args_with_colon_operator supports_named_fn_args_with_expr_name
        supports_empty_projections supports_nested_comments supports_string_escape_constant
        supports_numeric_literal_underscores supports_array_typedef_with_brackets
        supports_geometric_types supports_order_by_using_operator supports_set_names
        supports_alter_column_type_using supports_left_associative_joins_without_parens
        supports_notnull_operator supports_interval_options supports_insert_table_alias
        supports_create_table_like_parenthesized supports_select_wildcard_with_alias
        supports_comma_separated_trim supports_xml_expressions supports_aliased_function_args
        supports_comment_optimizer_hint
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }

    // After a query of a WITH it carries what `recursion` marks.
    fn supports_from_first_insert(&self) -> bool {
        true
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            // Below all operators.
            token if json::is_mark(token) => Some(Ok(1)),
            Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk => {
                Some(Ok(self.prec_value(Precedence::PgOther)))
            }
            Token::Word(word) if word.keyword == Keyword::OPERATOR => {
                Some(Ok(self.prec_value(Precedence::PgOther)))
            }
            // Ends the name of an argument.
            Token::Assignment => Some(Ok(self.prec_unknown())),
            _ => BASE.get_next_precedence(parser),
        }
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let op = match &parser.peek_token_ref().token {
            Token::Plus => UnaryOperator::Plus,
            Token::Minus => UnaryOperator::Minus,
            Token::Tilde => UnaryOperator::BitwiseNot,
            Token::AtSign => UnaryOperator::PGAbs,
            Token::PGSquareRoot => UnaryOperator::PGSquareRoot,
            Token::PGCubeRoot => UnaryOperator::PGCubeRoot,
            Token::Word(word) if word.quote_style.is_none() => {
                return match word.keyword {
                    Keyword::VARIADIC => Some(variadic(parser)),
                    Keyword::INTERVAL => interval_with_digits(parser),
                    Keyword::NoKeyword | Keyword::NAME => typed_string(parser),
                    _ => None,
                };
            }
            Token::Word(_) => return typed_string(parser),
            _ => return None,
        };
        let rank = match op {
            UnaryOperator::Plus | UnaryOperator::Minus => ABOVE_SIGN,
            _ => self.prec_value(Precedence::PgOther),
        };
        parser.advance_token();
        Some(parser.parse_subexpr(rank).map(|expr| Expr::UnaryOp { op, expr: Box::new(expr) }))
    }

    /// `a < b < c` is no expression.
    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if json::is_mark(&parser.peek_token_ref().token) {
            return Some(json::clauses(parser, expr));
        }
        let again = match precedence {
            rank if rank == self.prec_value(Precedence::Eq) => is_comparison(expr),
            rank if rank == self.prec_value(Precedence::Like) => is_matching(expr),
            _ => false,
        };
        again.then(|| parser.expected_ref("something else", parser.peek_token_ref()))
    }
}

fn is_comparison(expr: &Expr) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    match expr {
        Expr::BinaryOp { op, .. } => matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq),
        Expr::AnyOp { compare_op: op, .. } | Expr::AllOp { compare_op: op, .. } => {
            matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
        }
        _ => false,
    }
}

fn is_matching(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
    )
}

/// `VARIADIC x` as an argument.
fn variadic(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.advance_token();
    let value = Box::new(parser.parse_expr()?);
    Ok(Expr::Prefixed { prefix: Ident::new(VARIADIC), value })
}

fn is_text(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::DollarQuotedString(_)
    )
}

/// `interval(3) '1 second'`
fn interval_with_digits(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let ahead = |n: usize| &parser.peek_nth_token_ref(n).token;
    let Token::Number(digits, _) = ahead(2) else { return None };
    if *ahead(1) != Token::LParen || *ahead(3) != Token::RParen || !is_text(ahead(4)) {
        return None;
    }
    let precision = digits.parse().ok()?;
    (0..4).for_each(|_| parser.advance_token());
    Some(parser.parse_value().map(|value| Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Value(value)),
        data_type: DataType::Interval { fields: None, precision: Some(precision) },
        format: None,
    }))
}

/// `name 'x'`, `schema.type 'x'`: a constant of a type that is no keyword.
fn typed_string(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let ahead = |n: usize| &parser.peek_nth_token_ref(n).token;
    let mut at = 1;
    while *ahead(at) == Token::Period && matches!(ahead(at + 1), Token::Word(_)) {
        at += 2;
    }
    if !is_text(ahead(at)) {
        return None;
    }
    let read = |parser: &mut Parser| {
        let data_type = DataType::Custom(parser.parse_object_name(false)?, Vec::new());
        let value = parser.parse_value()?;
        Ok(Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }))
    };
    Some(read(parser))
}
