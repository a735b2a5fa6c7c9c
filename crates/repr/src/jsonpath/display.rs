//! The text of a path.

use std::fmt::{Display, Formatter, Result};

use super::{Accessor, Arithmetic, JsonPath, Method, PathExpr};
use crate::jsonb::push_quoted;

impl Display for JsonPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut out = String::new();
        if !self.lax {
            out.push_str("strict ");
        }
        show(&self.root, true, &mut out);
        f.write_str(&out)
    }
}

/// How tightly an operator binds.
fn priority(expr: &PathExpr) -> u8 {
    match expr {
        PathExpr::Or(..) => 0,
        PathExpr::And(..) => 1,
        PathExpr::Compare(..) | PathExpr::StartsWith(..) => 2,
        PathExpr::Arithmetic(Arithmetic::Add | Arithmetic::Subtract, ..) => 3,
        PathExpr::Arithmetic(..) => 4,
        PathExpr::Sign(..) => 5,
        _ => 6,
    }
}

fn show(expr: &PathExpr, brackets: bool, out: &mut String) {
    let binary = |left: &PathExpr, symbol: &str, right: &PathExpr, out: &mut String| {
        out.push_str(if brackets { "(" } else { "" });
        show(left, priority(left) <= priority(expr), out);
        out.push(' ');
        out.push_str(symbol);
        out.push(' ');
        show(right, priority(right) <= priority(expr), out);
        out.push_str(if brackets { ")" } else { "" });
    };
    let within = |before: &str, inner: &PathExpr, after: &str, out: &mut String| {
        out.push_str(before);
        show(inner, false, out);
        out.push_str(after);
    };
    match expr {
        PathExpr::Root => out.push('$'),
        PathExpr::Current => out.push('@'),
        PathExpr::Last => out.push_str("last"),
        PathExpr::Variable(name) => {
            out.push('$');
            push_quoted(name, out);
        }
        PathExpr::Null => out.push_str("null"),
        PathExpr::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        PathExpr::Number(number) => out.push_str(&number.to_string()),
        PathExpr::Text(text) => push_quoted(text, out),
        PathExpr::Access(base, accessor) => {
            match &**base {
                number @ PathExpr::Number(_) => within("(", number, ")", out),
                base => show(base, true, out),
            }
            show_accessor(accessor, out);
        }
        PathExpr::Sign(sign, inner) => {
            out.push_str(if brackets { "(" } else { "" });
            out.push_str(sign.symbol());
            show(inner, priority(inner) <= priority(expr), out);
            out.push_str(if brackets { ")" } else { "" });
        }
        PathExpr::Arithmetic(operator, left, right) => binary(left, operator.symbol(), right, out),
        PathExpr::Compare(operator, left, right) => binary(left, operator.symbol(), right, out),
        PathExpr::And(left, right) => binary(left, "&&", right, out),
        PathExpr::Or(left, right) => binary(left, "||", right, out),
        PathExpr::StartsWith(left, right) => binary(left, "starts with", right, out),
        PathExpr::Not(inner) => within("!(", inner, ")", out),
        PathExpr::IsUnknown(inner) => within("(", inner, ") is unknown", out),
        PathExpr::Exists(inner) => within("exists (", inner, ")", out),
        PathExpr::LikeRegex { value, pattern, flags } => {
            out.push_str(if brackets { "(" } else { "" });
            show(value, priority(value) <= priority(expr), out);
            out.push_str(" like_regex ");
            push_quoted(pattern, out);
            if !flags.is_empty() {
                out.push_str(" flag ");
                push_quoted(flags, out);
            }
            out.push_str(if brackets { ")" } else { "" });
        }
    }
}

fn show_accessor(accessor: &Accessor, out: &mut String) {
    match accessor {
        Accessor::Member(key) => {
            out.push('.');
            push_quoted(key, out);
        }
        Accessor::AnyMember => out.push_str(".*"),
        Accessor::AnyElement => out.push_str("[*]"),
        Accessor::Elements(subscripts) => {
            out.push('[');
            for (at, (from, to)) in subscripts.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                show(from, false, out);
                if let Some(to) = to {
                    out.push_str(" to ");
                    show(to, false, out);
                }
            }
            out.push(']');
        }
        Accessor::AnyLevel(first, last) => {
            let level = |level: &Option<u32>| level.map_or("last".to_owned(), |n| n.to_string());
            out.push_str(".**");
            match (first, last) {
                (Some(0), None) => {}
                (first, last) if first == last => out.push_str(&format!("{{{}}}", level(first))),
                (first, last) => {
                    out.push_str(&format!("{{{} to {}}}", level(first), level(last)));
                }
            }
        }
        Accessor::Filter(condition) => {
            out.push_str("?(");
            show(condition, false, out);
            out.push(')');
        }
        Accessor::Method(method) => {
            out.push('.');
            out.push_str(method.name());
            out.push('(');
            if let Method::DateTime(Some(template)) = method {
                push_quoted(template, out);
            }
            out.push(')');
        }
    }
}
