//! Texts out of other values: `||`, `concat`, `format`, quoting.

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, array, bad_parameter, text};
use crate::functions::text_values::datum_text;
use crate::scalar::EvalContext;

fn concatenate<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (left, right) = (text(a, 0)?, text(a, 1)?);
    if left.is_empty() || right.is_empty() {
        return Ok(Datum::Text(if left.is_empty() { right } else { left }));
    }
    Ok(context.text(&[left, right].concat()))
}

/// The values' texts with a separator; NULLs are left out.
fn join<'a>(values: &[Datum<'a>], separator: &str, context: EvalContext<'a>) -> Datum<'a> {
    let mut out = String::new();
    let mut first = true;
    for value in values.iter().filter(|value| !value.is_null()) {
        if !std::mem::take(&mut first) {
            out.push_str(separator);
        }
        datum_text(value, &mut out);
    }
    context.text(&out)
}

/// A truth value as the cast to text spells it out.
fn spelled<'a>(datum: Datum<'a>) -> Datum<'a> {
    match datum {
        Datum::Bool(true) => Datum::Text("true"),
        Datum::Bool(false) => Datum::Text("false"),
        other => other,
    }
}

fn array_to_string<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    if a.iter().take(2).any(Datum::is_null) {
        return Ok(Datum::Null);
    }
    let separator = text(a, 1)?;
    let null = a.get(2).filter(|datum| !datum.is_null());
    let values: Vec<Datum<'a>> = array(a, 0)?
        .elements()
        .filter_map(|value| if value.is_null() { null.copied() } else { Some(value) })
        .collect();
    Ok(join(&values, separator, context))
}

/// Words that must be quoted as identifiers.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// An identifier as SQL writes it, in quotes where it needs them.
pub fn quote_identifier(name: &str) -> String {
    let mut characters = name.chars();
    let plain = characters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && RESERVED.binary_search(&name).is_err();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A text as SQL writes it.
pub fn quote_literal(value: &str) -> String {
    let prefix = if value.contains('\\') { "E" } else { "" };
    format!("{prefix}'{}'", value.replace('\'', "''").replace('\\', "\\\\"))
}

/// One directive of `format`.
struct Directive {
    position: Option<usize>,
    left: bool,
    width: Option<i64>,
    kind: char,
}

fn unterminated() -> EvalError {
    EvalError::Invalid {
        code: SqlState::INVALID_PARAMETER_VALUE.0.to_owned(),
        message: "unterminated format() type specifier".to_owned(),
        detail: None,
        hint: Some("For a single \"%\" use \"%%\".".to_owned()),
    }
}

/// `next` counts the arguments taken by position so far; a `*` takes one too.
fn directive<'t>(
    rest: &'t str,
    a: &[Datum<'_>],
    next: &mut usize,
) -> Result<(Directive, &'t str), EvalError> {
    let number = |text: &'t str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        (text[..end].parse::<i64>().ok(), &text[end..])
    };
    let mut found = Directive { position: None, left: false, width: None, kind: ' ' };
    let mut rest = rest;
    let (position, after) = number(rest);
    if let (Some(position), Some(after)) = (position, after.strip_prefix('$')) {
        if position == 0 {
            return Err(bad_parameter(
                "format specifies argument 0, but arguments are numbered from 1",
            ));
        }
        found.position = usize::try_from(position).ok();
        rest = after;
    }
    while let Some(after) = rest.strip_prefix('-') {
        found.left = true;
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('*') {
        rest = after;
        let mut place = *next;
        if let (Some(given), Some(after)) = (number(rest).0, number(rest).1.strip_prefix('$')) {
            if given == 0 {
                return Err(bad_parameter(
                    "format specifies argument 0, but arguments are numbered from 1",
                ));
            }
            place = usize::try_from(given).unwrap_or(usize::MAX);
            rest = after;
        }
        let argument =
            a.get(place).ok_or_else(|| bad_parameter("too few arguments for format()"))?;
        *next = place.saturating_add(1);
        found.width = match argument {
            Datum::Int(width) => Some(*width),
            _ => None,
        };
    } else {
        let (width, after) = number(rest);
        found.width = width;
        rest = after;
    }
    let kind = rest.chars().next().ok_or_else(unterminated)?;
    found.kind = kind;
    Ok((found, &rest[kind.len_utf8()..]))
}

fn format<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    if a.first().is_none_or(Datum::is_null) {
        return Ok(Datum::Null);
    }
    let mut rest = text(a, 0)?;
    let mut out = String::new();
    let mut next = 1;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (found, after) = directive(rest, a, &mut next)?;
        rest = after;
        let position = found.position.unwrap_or(next);
        if !matches!(found.kind, 's' | 'I' | 'L') {
            let message = format!("unrecognized format() type specifier \"{}\"", found.kind);
            return Err(bad_parameter(message).with_hint("For a single \"%\" use \"%%\"."));
        }
        let value =
            a.get(position).ok_or_else(|| bad_parameter("too few arguments for format()"))?;
        next = position + 1;
        append(&mut out, &found, value)?;
    }
    out.push_str(rest);
    Ok(context.text(&out))
}

fn append(out: &mut String, found: &Directive, value: &Datum<'_>) -> Result<(), EvalError> {
    let mut shown = String::new();
    if !value.is_null() {
        datum_text(value, &mut shown);
    }
    let shown = match found.kind {
        'I' if value.is_null() => {
            return Err(EvalError::invalid(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "null values cannot be formatted as an SQL identifier",
            ));
        }
        'I' => quote_identifier(&shown),
        'L' if value.is_null() => "NULL".to_owned(),
        'L' => quote_literal(&shown),
        _ => shown,
    };
    let width = found.width.unwrap_or(0);
    let left = found.left || width < 0;
    let missing =
        usize::try_from(width.unsigned_abs()).unwrap_or(0).saturating_sub(shown.chars().count());
    if missing > 1 << 28 {
        return Err(super::too_long());
    }
    let padding = " ".repeat(missing);
    if left {
        out.push_str(&shown);
        out.push_str(&padding);
    } else {
        out.push_str(&padding);
        out.push_str(&shown);
    }
    Ok(())
}

pub(super) fn define(d: &mut Definitions) {
    d.add("textcat", "textcat(text, text) -> text", concatenate, "One text after the other.")
        .operator("||");
    let any: Eval = |a, c| Ok(join(&[spelled(a[0]), spelled(a[1])], "", c));
    d.add("textanycat", "textanycat(text, anynonarray) -> text", any, "Concatenation.")
        .operator("||");
    d.add("anytextcat", "anytextcat(anynonarray, text) -> text", any, "Concatenation.")
        .operator("||");
    d.add(
        "text_concat",
        "concat(variadic any) -> text",
        |a, c| Ok(join(a, "", c)),
        "The texts of all values one after the other; NULLs are left out.",
    )
    .sees_null();
    d.add(
        "text_concat_ws",
        "concat_ws(text, variadic any) -> text",
        |a, c| match a.first() {
            None | Some(Datum::Null) => Ok(Datum::Null),
            _ => Ok(join(&a[1..], text(a, 0)?, c)),
        },
        "The texts of all values with a separator; NULLs are left out.",
    )
    .sees_null();
    let doc = "The elements' texts with a separator.";
    d.add("array_to_text", "array_to_string(anyarray, text) -> text", array_to_string, doc)
        .sees_null();
    d.add(
        "array_to_text_null",
        "array_to_string(anyarray, text, text) -> text",
        array_to_string,
        doc,
    )
    .sees_null();
    let doc = "A template with values put in.";
    d.add("text_format_nv", "format(text) -> text", format, doc).sees_null();
    d.add("text_format", "format(text, variadic any) -> text", format, doc).sees_null();
    d.add(
        "quote_ident",
        "quote_ident(text) -> text",
        |a, c| Ok(c.text(&quote_identifier(text(a, 0)?))),
        "As an identifier in SQL.",
    );
    let literal: Eval = |a, c| {
        let mut shown = String::new();
        datum_text(&a[0], &mut shown);
        Ok(c.text(&quote_literal(&shown)))
    };
    d.add("quote_literal", "quote_literal(text) -> text", literal, "As a literal in SQL.");
    d.add(
        "quote_literal_any",
        "quote_literal(anyelement) -> text",
        literal,
        "As a literal in SQL.",
    );
    let nullable: Eval = |a, c| {
        if a[0].is_null() {
            return Ok(Datum::Text("NULL"));
        }
        let mut shown = String::new();
        datum_text(&a[0], &mut shown);
        Ok(c.text(&quote_literal(&shown)))
    };
    let doc = "As a literal in SQL; NULL as the word.";
    d.add("quote_nullable", "quote_nullable(text) -> text", nullable, doc).sees_null();
    d.add("quote_nullable_any", "quote_nullable(anyelement) -> text", nullable, doc).sees_null();
}
