//! Patterns: LIKE, and regular expressions.
//!
//! Regular expressions are those of the crate `regex`, which knows no back references and no
//! look-around; what it does know means the same as in PostgreSQL. Compiled patterns are kept
//! for each thread.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
use tidemill_repr::{Datum, RowBuilder, SqlState};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, bad_parameter, one_dimension, text};
use crate::scalar::EvalContext;

/// Compiled patterns a thread keeps at most.
const CACHE_SIZE: usize = 256;

thread_local! {
    static CACHE: RefCell<HashMap<(String, String), Regex>> = RefCell::new(HashMap::new());
}

/// Compiles a pattern with PostgreSQL's option letters.
///
/// # Errors
/// It is no regular expression, or one with constructs that are not supported (`2201B`).
pub(super) fn compile(pattern: &str, options: &str) -> Result<Regex, EvalError> {
    let key = (pattern.to_owned(), options.to_owned());
    if let Some(found) = CACHE.with_borrow(|cache| cache.get(&key).cloned()) {
        return Ok(found);
    }
    let mut literal = false;
    let mut source = pattern;
    if let Some(rest) = source.strip_prefix("***=") {
        literal = true;
        source = rest;
    } else if let Some(rest) = source.strip_prefix("***:") {
        source = rest;
    }
    let escaped = regex::escape(source);
    let mut builder = RegexBuilder::new(source);
    if options.contains('q') || literal {
        builder = RegexBuilder::new(&escaped);
    }
    builder.dot_matches_new_line(true);
    for option in options.chars() {
        match option {
            'i' => builder.case_insensitive(true),
            'c' => builder.case_insensitive(false),
            'n' | 'm' => builder.multi_line(true).dot_matches_new_line(false),
            'p' => builder.dot_matches_new_line(false),
            'w' => builder.multi_line(true),
            'x' => builder.ignore_whitespace(true),
            's' | 'g' | 'q' | 't' | 'e' => &mut builder,
            _ => {
                let message = format!("invalid regular expression option: \"{option}\"");
                return Err(bad_parameter(message));
            }
        };
    }
    let compiled = builder.size_limit(1 << 22).build().map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
        EvalError::invalid(
            SqlState::INVALID_REGULAR_EXPRESSION,
            format!("invalid regular expression: {reason}"),
        )
    })?;
    CACHE.with_borrow_mut(|cache| {
        if cache.len() >= CACHE_SIZE {
            cache.clear();
        }
        cache.insert(key, compiled.clone());
    });
    Ok(compiled)
}

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

fn matches(a: &[Datum<'_>], options: &str) -> Result<bool, EvalError> {
    Ok(compile(text(a, 1)?, options)?.is_match(text(a, 0)?))
}

/// PostgreSQL's `\1` and `\&` as the crate's `${1}` and `${0}`.
fn replacement(template: &str) -> String {
    let mut out = String::new();
    let mut characters = template.chars();
    while let Some(c) = characters.next() {
        match c {
            '$' => out.push_str("$$"),
            '\\' => match characters.next() {
                Some(digit @ '1'..='9') => out.push_str(&format!("${{{digit}}}")),
                Some('&') => out.push_str("${0}"),
                Some('\\') | None => out.push('\\'),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
            },
            _ => out.push(c),
        }
    }
    out
}

fn regexp_replace<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let options = if a.len() > 3 { text(a, 3)? } else { "" };
    let limit = usize::from(!options.contains('g'));
    let compiled = compile(text(a, 1)?, options)?;
    let replaced = compiled.replacen(text(a, 0)?, limit, replacement(text(a, 2)?));
    Ok(context.text(&replaced))
}

fn regexp_match<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let options = if a.len() > 2 { text(a, 2)? } else { "" };
    if options.contains('g') {
        return Err(EvalError::invalid(
            SqlState::INVALID_PARAMETER_VALUE,
            "regexp_match() does not support the \"global\" option",
        ));
    }
    let compiled = compile(text(a, 1)?, options)?;
    let Some(found) = compiled.captures(text(a, 0)?) else { return Ok(Datum::Null) };
    let skip = usize::from(found.len() > 1);
    let groups: Vec<Datum<'_>> = found
        .iter()
        .skip(skip)
        .map(|group| group.map_or(Datum::Null, |group| Datum::Text(group.as_str())))
        .collect();
    let mut builder = RowBuilder::new();
    builder.push_array(&one_dimension(groups.len()), groups);
    Ok(context.built(&builder))
}

/// `substring(text from pattern)`: the first group, or all of the match.
fn regexp_substring<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let source = text(a, 0)?;
    let compiled = compile(text(a, 1)?, "")?;
    let found = compiled.captures(source);
    let group = found.and_then(|found| found.get(usize::from(found.len() > 1)).map(|g| g.range()));
    Ok(group.map_or(Datum::Null, |range| Datum::Text(&source[range])))
}

fn regexp_split<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let mut parts = Vec::new();
    split(a, &mut |part| parts.push(Datum::Text(part)))?;
    let mut builder = RowBuilder::new();
    builder.push_array(&one_dimension(parts.len()), parts);
    Ok(context.built(&builder))
}

/// The parts of a text between matches; empty matches at its ends do not count.
pub(super) fn split<'a>(a: &[Datum<'a>], emit: &mut dyn FnMut(&'a str)) -> Result<(), EvalError> {
    let source = text(a, 0)?;
    let options = if a.len() > 2 { text(a, 2)? } else { "" };
    let compiled = compile(text(a, 1)?, options)?;
    let mut start = 0;
    for found in compiled.find_iter(source) {
        if found.is_empty() && (found.start() == start || found.start() == source.len()) {
            continue;
        }
        emit(&source[start..found.start()]);
        start = found.end();
    }
    emit(&source[start..]);
    Ok(())
}

/// The regular expression that a pattern of SIMILAR TO means; without `escape` the backslash
/// escapes, with an empty one nothing does.
fn similar<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let pattern = text(a, 0)?;
    let escape = if a.len() > 1 { text(a, 1)? } else { "\\" };
    let mut escapes = escape.chars();
    let (escape, more) = (escapes.next(), escapes.next());
    if more.is_some() {
        return Err(EvalError::Invalid {
            code: "22025".to_owned(),
            message: "invalid escape string".to_owned(),
            detail: None,
        });
    }
    let mut out = String::from("^(?:");
    let mut characters = pattern.chars();
    let mut in_class = false;
    while let Some(next) = characters.next() {
        if Some(next) == escape {
            let Some(plain) = characters.next() else { break };
            out.push_str(&regex::escape(plain.encode_utf8(&mut [0; 4])));
        } else if in_class {
            in_class = next != ']';
            if matches!(next, '\\' | '[' | '&' | '~') {
                out.push('\\');
            }
            out.push(next);
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
    Ok(context.text(&out))
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "The regular expression that a pattern of SIMILAR TO means.";
    d.add("similar_to_escape_1", "similar_to_escape(text) -> text", similar, doc);
    d.add("similar_to_escape_2", "similar_to_escape(text, text) -> text", similar, doc);
    let operators: [(&str, &str, Eval, &str); 8] = [
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
        (
            "regexeq",
            "~",
            |a, _| Ok(Datum::Bool(matches(a, "")?)),
            "Whether a regular expression matches.",
        ),
        ("regexne", "!~", |a, _| Ok(Datum::Bool(!matches(a, "")?)), "Whether it does not match."),
        (
            "icregexeq",
            "~*",
            |a, _| Ok(Datum::Bool(matches(a, "i")?)),
            "Whether it matches in any case.",
        ),
        (
            "icregexne",
            "!~*",
            |a, _| Ok(Datum::Bool(!matches(a, "i")?)),
            "Whether it does not in any case.",
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
    let doc = "Matches replaced.";
    d.add(
        "textregexreplace_noopt",
        "regexp_replace(text, text, text) -> text",
        regexp_replace,
        doc,
    );
    d.add(
        "textregexreplace",
        "regexp_replace(text, text, text, text) -> text",
        regexp_replace,
        doc,
    );
    let doc = "The groups of the first match.";
    d.add("regexp_match_no_flags", "regexp_match(text, text) -> text[]", regexp_match, doc);
    d.add("regexp_match", "regexp_match(text, text, text) -> text[]", regexp_match, doc);
    d.add(
        "textregexsubstr",
        "substring(text, text) -> text",
        |a, _| regexp_substring(a),
        "What a regular expression matches.",
    );
    let doc = "The parts between matches.";
    d.add(
        "regexp_split_to_array_no_flags",
        "regexp_split_to_array(text, text) -> text[]",
        regexp_split,
        doc,
    );
    d.add(
        "regexp_split_to_array",
        "regexp_split_to_array(text, text, text) -> text[]",
        regexp_split,
        doc,
    );
    d.add(
        "regexp_like",
        "regexp_like(text, text) -> bool",
        |a, _| Ok(Datum::Bool(matches(a, "")?)),
        "Whether a regular expression matches.",
    );
    d.add(
        "regexp_count",
        "regexp_count(text, text) -> int4",
        |a, _| Ok(Datum::Int(compile(text(a, 1)?, "")?.find_iter(text(a, 0)?).count() as i64)),
        "How often a regular expression matches.",
    );
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
