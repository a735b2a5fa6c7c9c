//! Patterns of SIMILAR TO: the regular expressions that they mean.

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, text};
use crate::scalar::EvalContext;

/// The regular expression of a pattern; without `escape` the backslash escapes, with an empty
/// one nothing does. Two escaped quotes part the pattern in three, of which the middle is the
/// first group.
pub(super) fn to_regex(pattern: &str, escape: Option<&str>) -> Result<String, EvalError> {
    let mut escapes = escape.unwrap_or("\\").chars();
    let (escape, more) = (escapes.next(), escapes.next());
    if more.is_some() {
        return Err(EvalError::invalid(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string"));
    }
    let mut out = String::from("^(?:");
    let mut in_class = false;
    let mut parts = 0;
    let mut escaped = false;
    for next in pattern.chars() {
        if escaped {
            escaped = false;
            if next == '"' && !in_class {
                out.push_str(match parts {
                    0 => "){1,1}?(",
                    1 => "){1,1}(?:",
                    _ => {
                        return Err(EvalError::invalid(
                            SqlState::from_code("2200C"),
                            "SQL regular expression may not contain more than two escape-double-quote separators",
                        ));
                    }
                });
                parts += 1;
            } else {
                out.push('\\');
                out.push(next);
            }
        } else if Some(next) == escape {
            escaped = true;
        } else if in_class {
            if next == '\\' {
                out.push('\\');
            }
            out.push(next);
            in_class = next != ']';
        } else {
            in_class = next == '[';
            match next {
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(next);
                }
                other => out.push(other),
            }
        }
    }
    out.push_str(")$");
    Ok(out)
}

fn escaped<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let escape = if a.len() > 1 { Some(text(a, 1)?) } else { None };
    Ok(context.text(&to_regex(text(a, 0)?, escape)?))
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "The regular expression that a pattern of SIMILAR TO means.";
    d.add("similar_to_escape_1", "similar_to_escape(text) -> text", escaped, doc);
    d.add("similar_to_escape_2", "similar_to_escape(text, text) -> text", escaped, doc);
    d.add(
        "similar_escape",
        "similar_escape(text, text) -> text",
        |a, c| match a {
            [Datum::Null, ..] => Ok(Datum::Null),
            [pattern, Datum::Null] => escaped(&[*pattern], c),
            _ => escaped(a, c),
        },
        doc,
    )
    .sees_null();
}
