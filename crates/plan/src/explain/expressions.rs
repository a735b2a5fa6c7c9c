//! Expressions on one line.

use tidemill_expr::window::{FrameBound, FrameExclusion, WindowArgument, WindowFrame};
use tidemill_expr::{AggregateCall, EvalError, ScalarExpr, WindowCall};
use tidemill_repr::text::{TextSettings, format_into};
use tidemill_repr::{ColumnType, Datum, Row};

use crate::QueryScalar;

/// An expression.
pub fn expression_text(expr: &ScalarExpr) -> String {
    named_text(expr, &|column| format!("#{column}"))
}

/// A scalar expression, whose columns have these names.
pub fn named_text(expr: &ScalarExpr, name: &dyn Fn(usize) -> String) -> String {
    let text = |expr: &ScalarExpr| named_text(expr, name);
    match expr {
        ScalarExpr::Column(column) => name(*column),
        ScalarExpr::Literal(value, typ) => literal(value, typ),
        ScalarExpr::Call { function, arguments, .. } => {
            call(function.name, arguments.iter().map(text).collect())
        }
        ScalarExpr::And(arguments) => joined(arguments.iter().map(text), " AND "),
        ScalarExpr::Or(arguments) => joined(arguments.iter().map(text), " OR "),
        ScalarExpr::Not(argument) => format!("NOT ({})", text(argument)),
        ScalarExpr::IsNull(argument) => format!("({}) IS NULL", text(argument)),
        ScalarExpr::Coalesce(arguments) => call("coalesce", arguments.iter().map(text).collect()),
        ScalarExpr::If(condition, then, otherwise) => {
            let (condition, then, otherwise) = (text(condition), text(then), text(otherwise));
            format!("case when {condition} then {then} else {otherwise} end")
        }
    }
}

/// An aggregate.
pub fn aggregate_text(call: &AggregateCall) -> String {
    let distinct = if call.distinct { "distinct " } else { "" };
    format!("{:?}({distinct}{})", call.kind, expression_text(&call.argument)).to_lowercase()
}

/// A window call, with its frame if that counts.
pub fn window_text(call: &WindowCall) -> String {
    let arguments = call.arguments.iter().map(window_argument).collect::<Vec<_>>().join(", ");
    let nulls = if call.ignore_nulls { " ignore nulls" } else { "" };
    let mut text = format!("{}({arguments}){nulls}", call.function.name());
    if call.function.uses_frame() {
        let WindowFrame { units, start, end, exclusion } = &call.frame;
        let units = format!("{units:?}").to_lowercase();
        text.push_str(&format!(" {units} {} to {}", bound_text(start), bound_text(end)));
        text.push_str(match exclusion {
            FrameExclusion::NoOthers => "",
            FrameExclusion::CurrentRow => " exclude current row",
            FrameExclusion::Group => " exclude group",
            FrameExclusion::Ties => " exclude ties",
        });
    }
    text
}

fn window_argument(argument: &WindowArgument) -> String {
    match argument {
        WindowArgument::Column(column) => format!("#{column}"),
        WindowArgument::Literal(row) => datum(row),
    }
}

fn bound_text(bound: &FrameBound) -> String {
    match bound {
        FrameBound::UnboundedPreceding => "unbounded preceding".to_owned(),
        FrameBound::Preceding(offset) => format!("{} preceding", window_argument(offset)),
        FrameBound::CurrentRow => "current row".to_owned(),
        FrameBound::Following(offset) => format!("{} following", window_argument(offset)),
        FrameBound::UnboundedFollowing => "unbounded following".to_owned(),
    }
}

/// An expression of a query; `#^n` is a column one scope out.
pub fn query_expression_text(expr: &QueryScalar) -> String {
    match expr {
        QueryScalar::Column(column) => {
            format!("#{}{}", "^".repeat(column.level), column.column)
        }
        QueryScalar::Parameter(number, _) => format!("${number}"),
        QueryScalar::Literal(value, typ) => literal(value, typ),
        QueryScalar::Call { function, arguments, .. } => {
            call(function.name, arguments.iter().map(query_expression_text).collect())
        }
        QueryScalar::And(arguments) => joined(arguments.iter().map(query_expression_text), " AND "),
        QueryScalar::Or(arguments) => joined(arguments.iter().map(query_expression_text), " OR "),
        QueryScalar::Not(argument) => format!("NOT ({})", query_expression_text(argument)),
        QueryScalar::IsNull(argument) => format!("({}) IS NULL", query_expression_text(argument)),
        QueryScalar::Coalesce(arguments) => {
            call("coalesce", arguments.iter().map(query_expression_text).collect())
        }
        QueryScalar::If(condition, then, otherwise) => format!(
            "case when {} then {} else {} end",
            query_expression_text(condition),
            query_expression_text(then),
            query_expression_text(otherwise)
        ),
        QueryScalar::Exists(query) => format!("exists({})", subquery(query)),
        QueryScalar::Subquery(query) => format!("({})", subquery(query)),
    }
}

fn subquery(query: &crate::QueryExpr) -> String {
    let text = super::explain_query(query, &super::by_id);
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

/// Several, with commas.
pub(super) fn list(expressions: &[ScalarExpr]) -> String {
    expressions.iter().map(expression_text).collect::<Vec<_>>().join(", ")
}

fn joined(arguments: impl Iterator<Item = String>, between: &str) -> String {
    arguments.map(|argument| format!("({argument})")).collect::<Vec<_>>().join(between)
}

fn call(name: &str, arguments: Vec<String>) -> String {
    format!("{name}({})", arguments.join(", "))
}

fn literal(value: &Result<Row, EvalError>, typ: &ColumnType) -> String {
    let row = match value {
        Err(error) => return format!("error(\"{error}\")"),
        Ok(row) => row,
    };
    match row.iter().next() {
        None | Some(Datum::Null | Datum::Bool(_) | Datum::Text(_)) => datum(row),
        Some(value) => {
            let mut text = String::new();
            format_into(&value, &typ.scalar_type, &TextSettings::default(), &mut text);
            let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
                && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.'))
                && !text[1..].contains('-');
            if is_number { text } else { format!("\"{text}\"") }
        }
    }
}

/// Predicates that must all be true.
pub(super) fn conjunction<'e>(predicates: impl Iterator<Item = &'e ScalarExpr>) -> String {
    let texts = predicates.map(|predicate| match predicate {
        ScalarExpr::Or(_) => format!("({})", expression_text(predicate)),
        _ => expression_text(predicate),
    });
    texts.collect::<Vec<_>>().join(" AND ")
}

fn datum(row: &Row) -> String {
    match row.iter().next() {
        None | Some(Datum::Null) => "null".to_owned(),
        Some(Datum::Bool(value)) => value.to_string(),
        Some(Datum::Int(value)) => value.to_string(),
        Some(Datum::Text(text)) => format!("\"{text}\""),
        Some(datum) => format!("{datum:?}"),
    }
}
