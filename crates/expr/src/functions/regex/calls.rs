//! The functions and operators over regular expressions.

use tidemill_repr::{Datum, RowBuilder};

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, bad_parameter, int, one_dimension, text};
use crate::functions::regex::{Match, Options, Pattern, compile};
use crate::functions::table::{Emitter, Tables};
use crate::scalar::EvalContext;
use crate::table_function::TableEval;

fn matches(a: &[Datum<'_>], options: &str) -> Result<bool, EvalError> {
    compile(text(a, 1)?, options)?.is_match(text(a, 0)?)
}

fn option_text<'a>(a: &[Datum<'a>], at: usize) -> Result<&'a str, EvalError> {
    if a.len() > at { text(a, at) } else { Ok("") }
}

fn no_global(function: &str, options: &str) -> Result<(), EvalError> {
    if Options::of(options)?.global {
        let message = format!("{function}() does not support the \"global\" option");
        let error = bad_parameter(message);
        return Err(match function {
            "regexp_match" => error.with_hint("Use the regexp_matches function instead."),
            _ => error,
        });
    }
    Ok(())
}

/// An integer argument that must not be below a least value; without it a default.
fn number(
    a: &[Datum<'_>],
    at: usize,
    name: &str,
    least: i64,
    default: i64,
) -> Result<i64, EvalError> {
    if a.len() <= at {
        return Ok(default);
    }
    let value = int(a, at)?;
    if value < least {
        return Err(bad_parameter(format!("invalid value for parameter \"{name}\": {value}")));
    }
    Ok(value)
}

/// The byte of a character, counted from 1; past the end if there are not so many.
fn byte_of(source: &str, character: i64) -> usize {
    let at = usize::try_from(character - 1).unwrap_or(usize::MAX);
    let mut indices = source.char_indices().map(|(at, _)| at).chain([source.len()]);
    indices.nth(at).unwrap_or(source.len() + 1)
}

/// Appends a replacement with `\1` and `\&` filled in.
fn replace_one(out: &mut String, template: &str, source: &str, found: &Match) {
    let mut characters = template.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match characters.next() {
            Some(digit @ '1'..='9') => {
                let at = digit as usize - '1' as usize;
                if let Some(Some(range)) = found.groups.get(at) {
                    out.push_str(&source[range.clone()]);
                }
            }
            Some('&') => out.push_str(&source[found.whole.clone()]),
            Some('\\') | None => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
}

/// Replaces the `nth` match from a character on, or all of them if it is 0.
fn replaced<'a>(
    a: &[Datum<'a>],
    (start, nth): (i64, i64),
    options: &str,
    context: EvalContext<'a>,
) -> Evaluated<'a> {
    let (source, template) = (text(a, 0)?, text(a, 2)?);
    let compiled = compile(text(a, 1)?, options)?;
    let mut out = String::new();
    let (mut copied, mut seen) = (0, 0);
    compiled.each(source, byte_of(source, start), &mut |found| {
        seen += 1;
        if nth > 0 && seen < nth {
            return true;
        }
        out.push_str(&source[copied..found.whole.start]);
        replace_one(&mut out, template, source, &found);
        copied = found.whole.end;
        nth == 0
    })?;
    if copied == 0 && out.is_empty() {
        return Ok(Datum::Text(source));
    }
    out.push_str(&source[copied..]);
    Ok(context.text(&out))
}

fn regexp_replace<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let options = option_text(a, 3)?;
    if let Some(digit) = options.chars().next().filter(char::is_ascii_digit) {
        return Err(bad_parameter(format!("invalid regular expression option: \"{digit}\"")));
    }
    let nth = i64::from(!Options::of(options)?.global);
    replaced(a, (1, nth), options, context)
}

fn regexp_replace_from<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let start = number(a, 3, "start", 1, 1)?;
    let nth = number(a, 4, "n", 0, 1)?;
    replaced(a, (start, nth), option_text(a, 5)?, context)
}

/// The groups of a match as an array; of a pattern without groups the whole.
fn push_groups(builder: &mut RowBuilder, source: &str, found: &Match) {
    let groups: Vec<Datum<'_>> = if found.groups.is_empty() {
        vec![Datum::Text(&source[found.whole.clone()])]
    } else {
        let group = |range: &Option<std::ops::Range<usize>>| match range {
            Some(range) => Datum::Text(&source[range.clone()]),
            None => Datum::Null,
        };
        found.groups.iter().map(group).collect()
    };
    builder.push_array(&one_dimension(groups.len()), groups);
}

fn regexp_match<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let options = option_text(a, 2)?;
    no_global("regexp_match", options)?;
    let source = text(a, 0)?;
    let Some(found) = compile(text(a, 1)?, options)?.find(source, 0)? else {
        return Ok(Datum::Null);
    };
    let mut builder = RowBuilder::new();
    push_groups(&mut builder, source, &found);
    Ok(context.built(&builder))
}

/// `substring(text from pattern)`: the first group, or all of the match.
fn part<'a>(source: &'a str, compiled: &Pattern) -> Evaluated<'a> {
    let Some(found) = compiled.find(source, 0)? else { return Ok(Datum::Null) };
    let range = if compiled.groups() > 0 { found.groups[0].clone() } else { Some(found.whole) };
    Ok(range.map_or(Datum::Null, |range| Datum::Text(&source[range])))
}

fn regexp_split<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let mut parts = Vec::new();
    split("regexp_split_to_array", a, &mut |part| parts.push(Datum::Text(part)))?;
    let mut builder = RowBuilder::new();
    builder.push_array(&one_dimension(parts.len()), parts);
    Ok(context.built(&builder))
}

/// The parts of a text between matches; empty matches at its ends or right after a match do not
/// count.
fn split<'a>(name: &str, a: &[Datum<'a>], emit: &mut dyn FnMut(&'a str)) -> Result<(), EvalError> {
    let source = text(a, 0)?;
    let options = option_text(a, 2)?;
    no_global(name, options)?;
    let (mut start, mut previous) = (0, 0);
    compile(text(a, 1)?, options)?.each(source, 0, &mut |found| {
        let whole = found.whole;
        if whole.start < source.len() && whole.end > previous {
            emit(&source[start..whole.start]);
            start = whole.end;
        }
        previous = whole.end;
        true
    })?;
    emit(&source[start..]);
    Ok(())
}

fn regexp_like<'a>(a: &[Datum<'a>], _: EvalContext<'a>) -> Evaluated<'a> {
    let options = option_text(a, 2)?;
    no_global("regexp_like", options)?;
    Ok(Datum::Bool(matches(a, options)?))
}

fn regexp_count<'a>(a: &[Datum<'a>], _: EvalContext<'a>) -> Evaluated<'a> {
    let source = text(a, 0)?;
    let start = number(a, 2, "start", 1, 1)?;
    let options = option_text(a, 3)?;
    no_global("regexp_count", options)?;
    let mut count = 0;
    compile(text(a, 1)?, options)?.each(source, byte_of(source, start), &mut |_| {
        count += 1;
        true
    })?;
    Ok(Datum::Int(count))
}

/// The `nth` match from a character on, or the part of it that a group matched.
fn nth_match(
    source: &str,
    compiled: &Pattern,
    (start, nth): (i64, i64),
    group: i64,
) -> Result<Option<std::ops::Range<usize>>, EvalError> {
    let group = usize::try_from(group).unwrap_or(usize::MAX);
    if group > compiled.groups() {
        return Ok(None);
    }
    let (mut seen, mut chosen) = (0, None);
    compiled.each(source, byte_of(source, start), &mut |found| {
        seen += 1;
        if seen == nth {
            chosen = match group {
                0 => Some(found.whole),
                _ => found.groups[group - 1].clone(),
            };
        }
        seen < nth
    })?;
    Ok(chosen)
}

fn regexp_instr<'a>(a: &[Datum<'a>], _: EvalContext<'a>) -> Evaluated<'a> {
    let source = text(a, 0)?;
    let place = (number(a, 2, "start", 1, 1)?, number(a, 3, "n", 1, 1)?);
    let after = number(a, 4, "endoption", 0, 0)?;
    if after > 1 {
        return Err(bad_parameter(format!("invalid value for parameter \"endoption\": {after}")));
    }
    let options = option_text(a, 5)?;
    let group = number(a, 6, "subexpr", 0, 0)?;
    no_global("regexp_instr", options)?;
    let compiled = compile(text(a, 1)?, options)?;
    let found = nth_match(source, &compiled, place, group)?;
    Ok(Datum::Int(found.map_or(0, |range| {
        let at = if after == 1 { range.end } else { range.start };
        source[..at].chars().count() as i64 + 1
    })))
}

fn regexp_substr<'a>(a: &[Datum<'a>], _: EvalContext<'a>) -> Evaluated<'a> {
    let source = text(a, 0)?;
    let place = (number(a, 2, "start", 1, 1)?, number(a, 3, "n", 1, 1)?);
    let options = option_text(a, 4)?;
    let group = number(a, 5, "subexpr", 0, 0)?;
    no_global("regexp_substr", options)?;
    let compiled = compile(text(a, 1)?, options)?;
    let found = nth_match(source, &compiled, place, group)?;
    Ok(found.map_or(Datum::Null, |range| Datum::Text(&source[range])))
}

pub(in crate::functions) fn define(d: &mut Definitions) {
    let operators: [(&str, &str, Eval, &str); 4] = [
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
    define_functions(d);
}

/// Name, code, result, sentence; and of each form the id and the arguments after the first two.
type Family =
    (&'static str, Eval, &'static str, &'static str, &'static [(&'static str, &'static str)]);

fn define_functions(d: &mut Definitions) {
    let doc = "Matches replaced.";
    let replace: [(&str, &str, Eval); 5] = [
        ("textregexreplace_noopt", "", regexp_replace),
        ("textregexreplace", ", text", regexp_replace),
        ("textregexreplace_extended_no_n", ", int4", regexp_replace_from),
        ("textregexreplace_extended_no_flags", ", int4, int4", regexp_replace_from),
        ("textregexreplace_extended", ", int4, int4, text", regexp_replace_from),
    ];
    for (id, more, eval) in replace {
        d.add(id, &format!("regexp_replace(text, text, text{more}) -> text"), eval, doc);
    }
    let families: [Family; 6] = [
        (
            "regexp_match",
            regexp_match,
            "text[]",
            "The groups of the first match.",
            &[("regexp_match_no_flags", ""), ("regexp_match", ", text")],
        ),
        (
            "regexp_split_to_array",
            regexp_split,
            "text[]",
            "The parts between matches.",
            &[("regexp_split_to_array_no_flags", ""), ("regexp_split_to_array", ", text")],
        ),
        (
            "regexp_like",
            regexp_like,
            "bool",
            "Whether a regular expression matches.",
            &[("regexp_like_no_flags", ""), ("regexp_like", ", text")],
        ),
        (
            "regexp_count",
            regexp_count,
            "int4",
            "How often a regular expression matches.",
            &[
                ("regexp_count_no_start", ""),
                ("regexp_count_no_flags", ", int4"),
                ("regexp_count", ", int4, text"),
            ],
        ),
        (
            "regexp_instr",
            regexp_instr,
            "int4",
            "Where a match starts or ends; 0 if there is none.",
            &[
                ("regexp_instr_no_start", ""),
                ("regexp_instr_no_n", ", int4"),
                ("regexp_instr_no_endoption", ", int4, int4"),
                ("regexp_instr_no_flags", ", int4, int4, int4"),
                ("regexp_instr_no_subexpr", ", int4, int4, int4, text"),
                ("regexp_instr", ", int4, int4, int4, text, int4"),
            ],
        ),
        (
            "regexp_substr",
            regexp_substr,
            "text",
            "A match, or what one of its groups matched.",
            &[
                ("regexp_substr_no_start", ""),
                ("regexp_substr_no_n", ", int4"),
                ("regexp_substr_no_flags", ", int4, int4"),
                ("regexp_substr_no_subexpr", ", int4, int4, text"),
                ("regexp_substr", ", int4, int4, text, int4"),
            ],
        ),
    ];
    for (name, eval, returns, doc, forms) in families {
        for (id, more) in forms {
            d.add(id, &format!("{name}(text, text{more}) -> {returns}"), eval, doc);
        }
    }
    d.add(
        "textregexsubstr",
        "substring(text, text) -> text",
        |a, _| part(text(a, 0)?, &*compile(text(a, 1)?, "")?),
        "What a regular expression matches.",
    );
    d.add(
        "textregexsubstr_similar",
        "substring(text, text, text) -> text",
        |a, _| {
            let pattern = crate::functions::similar::to_regex(text(a, 1)?, Some(text(a, 2)?))?;
            part(text(a, 0)?, &*compile(&pattern, "")?)
        },
        "What the middle part of a pattern of SIMILAR TO matches.",
    );
}

const SPLIT_TO_ROWS: TableEval = |a, _, emit| {
    let mut parts = Vec::new();
    split("regexp_split_to_table", a, &mut |part| parts.push(part))?;
    let mut out = Emitter::new(emit);
    parts.into_iter().try_for_each(|part| out.row([Datum::Text(part)]))
};

const MATCHES: TableEval = |a, _, emit| {
    let source = text(a, 0)?;
    let options = option_text(a, 2)?;
    let all = Options::of(options)?.global;
    let mut found = Vec::new();
    compile(text(a, 1)?, options)?.each(source, 0, &mut |one| {
        found.push(one);
        all
    })?;
    let mut out = Emitter::new(emit);
    found.iter().try_for_each(|one| out.build(|builder| push_groups(builder, source, one)))
};

pub(in crate::functions) fn define_tables(t: &mut Tables) {
    let doc = "The parts of a text between matches.";
    let signature = "regexp_split_to_table(text, text) -> text";
    t.add("regexp_split_to_table_no_flags", signature, true, SPLIT_TO_ROWS, doc);
    let signature = "regexp_split_to_table(text, text, text) -> text";
    t.add("regexp_split_to_table", signature, true, SPLIT_TO_ROWS, doc);
    let doc = "The groups of each match.";
    let signature = "regexp_matches(text, text) -> text[]";
    t.add("regexp_matches_no_flags", signature, true, MATCHES, doc);
    t.add("regexp_matches", "regexp_matches(text, text, text) -> text[]", true, MATCHES, doc);
}
