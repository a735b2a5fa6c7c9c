//! LIKE.

use tidemill_repr::{Datum, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, text};
use crate::scalar::EvalContext;

/// Whether a text is like a pattern; `fold` compares without regard to case.
fn like(source: &str, pattern: &str, fold: bool) -> Result<bool, EvalError> {
    if fold {
        return like_bytes(
            source.to_lowercase().as_bytes(),
            pattern.to_lowercase().as_bytes(),
            true,
        );
    }
    like_bytes(source.as_bytes(), pattern.as_bytes(), true)
}

/// The classic walk with one place to go back to: after the last `%`.
fn like_bytes(source: &[u8], pattern: &[u8], characters: bool) -> Result<bool, EvalError> {
    let (mut s, mut p) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    // How many bytes the character at a position has.
    let width = |at: usize| {
        if !characters {
            return 1;
        }
        source[at + 1..].iter().take_while(|byte| **byte & 0xC0 == 0x80).count() + 1
    };
    while s < source.len() {
        let matched = match pattern.get(p) {
            Some(b'%') => {
                back = Some((p + 1, s));
                p += 1;
                continue;
            }
            Some(b'_') => {
                s += width(s);
                p += 1;
                true
            }
            Some(b'\\') => {
                let Some(escaped) = pattern.get(p + 1) else { return Err(escape_at_end()) };
                let same = *escaped == source[s];
                if same {
                    s += 1;
                    p += 2;
                }
                same
            }
            Some(byte) if *byte == source[s] => {
                s += 1;
                p += 1;
                true
            }
            _ => false,
        };
        if !matched {
            let Some((after, from)) = back else { return Ok(false) };
            let next = from + width(from);
            back = Some((after, next));
            (p, s) = (after, next);
        }
    }
    let rest = &pattern[p.min(pattern.len())..];
    Ok(rest.iter().all(|byte| *byte == b'%'))
}

fn escape_at_end() -> EvalError {
    EvalError::invalid(
        SqlState::INVALID_ESCAPE_SEQUENCE,
        "LIKE pattern must not end with escape character",
    )
}

/// A pattern with an escape character of its own, as one with a backslash.
fn like_escape<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (pattern, escape) = (text(a, 0)?, text(a, 1)?);
    let mut characters = escape.chars();
    let character = characters.next();
    if characters.next().is_some() {
        return Err(EvalError::Invalid {
            code: SqlState::INVALID_ESCAPE_SEQUENCE.0.to_owned(),
            message: "invalid escape string".to_owned(),
            detail: None,
            hint: Some("Escape string must be empty or one character.".to_owned()),
        });
    }
    let mut out = String::with_capacity(pattern.len());
    let mut after = false;
    for c in pattern.chars() {
        if Some(c) == character && !after {
            out.push('\\');
            after = true;
        } else if c == '\\' && character != Some('\\') && !after {
            out.push_str("\\\\");
        } else if c == '\\' && character != Some('\\') {
            out.push('\\');
            after = false;
        } else {
            out.push(c);
            after = false;
        }
    }
    Ok(context.text(&out))
}

pub(super) fn define(d: &mut Definitions) {
    let operators: [(&str, &str, Eval, &str); 4] = [
        ("like", "~~", |a, _| Ok(Datum::Bool(like(text(a, 0)?, text(a, 1)?, false)?)), "LIKE."),
        (
            "nlike",
            "!~~",
            |a, _| Ok(Datum::Bool(!like(text(a, 0)?, text(a, 1)?, false)?)),
            "NOT LIKE.",
        ),
        ("iclike", "~~*", |a, _| Ok(Datum::Bool(like(text(a, 0)?, text(a, 1)?, true)?)), "ILIKE."),
        (
            "icnlike",
            "!~~*",
            |a, _| Ok(Datum::Bool(!like(text(a, 0)?, text(a, 1)?, true)?)),
            "NOT ILIKE.",
        ),
    ];
    for (suffix, operator, eval, doc) in operators {
        for typ in ["text", "bpchar", "name"] {
            let id = format!("{typ}{suffix}");
            d.add(&id, &format!("{id}({typ}, text) -> bool"), eval, doc).operator(operator);
        }
    }
    d.add(
        "like_escape",
        "like_escape(text, text) -> text",
        like_escape,
        "A LIKE pattern with an escape character.",
    );
    for (id, signature, source) in [
        ("textlike_call", "like(text, text)", "textlike"),
        ("namelike_call", "like(name, text)", "namelike"),
        ("textnlike_call", "notlike(text, text)", "textnlike"),
        ("namenlike_call", "notlike(name, text)", "namenlike"),
    ] {
        let eval = d.functions.iter().find(|function| function.id == source).map(|f| f.eval);
        if let Some(eval) = eval {
            d.add(id, &format!("{signature} -> bool"), eval, "LIKE as a function.");
        }
    }
    let bytes: [(&str, &str, Eval); 2] = [
        ("bytealike", "~~", |a, _| {
            let (source, pattern) =
                (super::arguments::bytes(a, 0)?, super::arguments::bytes(a, 1)?);
            Ok(Datum::Bool(like_bytes(source, pattern, false)?))
        }),
        ("byteanlike", "!~~", |a, _| {
            let (source, pattern) =
                (super::arguments::bytes(a, 0)?, super::arguments::bytes(a, 1)?);
            Ok(Datum::Bool(!like_bytes(source, pattern, false)?))
        }),
    ];
    for (id, operator, eval) in bytes {
        d.add(id, &format!("{id}(bytea, bytea) -> bool"), eval, "LIKE of bytes.")
            .operator(operator);
    }
}
