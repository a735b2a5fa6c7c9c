//! Ranges and multiranges: constructors, operators, parts.
//!
//! Where both sides may be a range or a multirange, both are taken as a list of ranges in order;
//! a range is a list of one, an empty one a list of none.

use tidemill_repr::range::build::{Bounds, adjacent, begins_after, make_multirange, make_range};
use tidemill_repr::range::{compare_lower, compare_upper, push_range};
use tidemill_repr::{Datum, MultirangeRef, RangeBound, RangeKind, RangeRef, SqlState};

use crate::error::EvalError;
use crate::function::{CastContext, Eval};
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, multirange, range, text};
use crate::scalar::EvalContext;

fn wrong(message: &str) -> EvalError {
    EvalError::invalid(SqlState::DATA_EXCEPTION, message)
}

/// A range of bytes that were made.
pub(crate) fn range_of<'a>(bytes: &[u8], context: EvalContext<'a>) -> Datum<'a> {
    Datum::Range(RangeRef::from_bytes(context.arena.alloc_slice_copy(bytes)))
}

/// A multirange of ranges in any order.
pub(crate) fn multirange_of<'a>(
    parts: impl IntoIterator<Item = Bounds<'a>>,
    context: EvalContext<'a>,
) -> Datum<'a> {
    let encoded: Vec<Vec<u8>> = parts.into_iter().map(|part| encoded(Some(part))).collect();
    let bytes = make_multirange(encoded.iter().map(|bytes| RangeRef::from_bytes(bytes)));
    Datum::Multirange(MultirangeRef::from_bytes(context.arena.alloc_slice_copy(&bytes)))
}

fn encoded(bounds: Option<Bounds<'_>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_range(&mut bytes, bounds);
    bytes
}

/// The ranges that a value is made of.
fn parts<'a>(datum: Option<&Datum<'a>>) -> Vec<Bounds<'a>> {
    match datum {
        Some(Datum::Range(range)) if range.is_empty() => Vec::new(),
        Some(Datum::Range(range)) => vec![range.bounds()],
        Some(Datum::Multirange(ranges)) => ranges.ranges().map(|range| range.bounds()).collect(),
        _ => Vec::new(),
    }
}

fn both<'a>(a: &[Datum<'a>]) -> (Vec<Bounds<'a>>, Vec<Bounds<'a>>) {
    (parts(a.first()), parts(a.get(1)))
}

fn overlaps(left: Bounds<'_>, right: Bounds<'_>) -> bool {
    !begins_after(left.0, right.1) && !begins_after(right.0, left.1)
}

fn holds(outer: Bounds<'_>, inner: Bounds<'_>) -> bool {
    compare_lower(outer.0, inner.0).is_le() && compare_upper(outer.1, inner.1).is_ge()
}

fn holds_value(part: &Bounds<'_>, value: Datum<'_>) -> bool {
    let point = Some(RangeBound { value, inclusive: true });
    !begins_after(part.0, point) && !begins_after(point, part.1)
}

/// Whether each right range lies in a left one.
fn contains(outer: &[Bounds<'_>], inner: &[Bounds<'_>]) -> bool {
    inner.iter().all(|inner| outer.iter().any(|outer| holds(*outer, *inner)))
}

fn any_overlap(left: &[Bounds<'_>], right: &[Bounds<'_>]) -> bool {
    left.iter().any(|left| right.iter().any(|right| overlaps(*left, *right)))
}

/// Whether all of the left is before all of the right.
fn before(left: &[Bounds<'_>], right: &[Bounds<'_>]) -> bool {
    match (left.last(), right.first()) {
        (Some(left), Some(right)) => begins_after(right.0, left.1),
        _ => false,
    }
}

fn not_above(left: &[Bounds<'_>], right: &[Bounds<'_>]) -> bool {
    match (left.last(), right.last()) {
        (Some(left), Some(right)) => compare_upper(left.1, right.1).is_le(),
        _ => false,
    }
}

fn not_below(left: &[Bounds<'_>], right: &[Bounds<'_>]) -> bool {
    match (left.first(), right.first()) {
        (Some(left), Some(right)) => compare_lower(left.0, right.0).is_ge(),
        _ => false,
    }
}

fn touches(left: &[Bounds<'_>], right: &[Bounds<'_>]) -> bool {
    let ends = (left.first(), left.last(), right.first(), right.last());
    let (Some(first), Some(last), Some(other_first), Some(other_last)) = ends else { return false };
    adjacent(last.1, other_first.0) || adjacent(other_last.1, first.0)
}

fn common<'a>(left: Bounds<'a>, right: Bounds<'a>) -> Option<Bounds<'a>> {
    if !overlaps(left, right) {
        return None;
    }
    let lower = if compare_lower(left.0, right.0).is_ge() { left.0 } else { right.0 };
    let upper = if compare_upper(left.1, right.1).is_le() { left.1 } else { right.1 };
    Some((lower, upper))
}

fn flipped(bound: Option<RangeBound<'_>>) -> Option<RangeBound<'_>> {
    bound.map(|bound| RangeBound { inclusive: !bound.inclusive, ..bound })
}

/// What is in one range and in none of the others, which are in order.
fn without<'a>(whole: Bounds<'a>, taken: &[Bounds<'a>]) -> Vec<Bounds<'a>> {
    let mut left = Vec::new();
    let mut rest = whole;
    for part in taken {
        if !overlaps(rest, *part) {
            continue;
        }
        if compare_lower(rest.0, part.0).is_lt() {
            left.push((rest.0, flipped(part.0)));
        }
        if compare_upper(rest.1, part.1).is_le() {
            return left;
        }
        rest = (flipped(part.1), rest.1);
    }
    left.push(rest);
    left
}

/// `a - b` of ranges: a range, so that nothing may be taken from the middle.
fn range_minus<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (left, right) = both(a);
    let Some(whole) = left.first() else { return Ok(Datum::Range(range(a, 0)?)) };
    match without(*whole, &right).as_slice() {
        [] => Ok(range_of(&encoded(None), context)),
        [one] => Ok(range_of(&encoded(Some(*one)), context)),
        _ => Err(wrong("result of range difference would not be contiguous")),
    }
}

/// The least range that holds all; the ranges must touch unless gaps do not matter.
fn span<'a>(parts: &[Bounds<'a>]) -> Option<Bounds<'a>> {
    let mut all = parts.iter();
    let mut span = *all.next()?;
    for part in all {
        if compare_lower(part.0, span.0).is_lt() {
            span.0 = part.0;
        }
        if compare_upper(part.1, span.1).is_gt() {
            span.1 = part.1;
        }
    }
    Some(span)
}

fn range_plus<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let (left, right) = both(a);
    if let (Some(one), Some(two)) = (left.first(), right.first())
        && !overlaps(*one, *two)
        && !touches(&left, &right)
    {
        return Err(wrong("result of range union would not be contiguous"));
    }
    let all: Vec<_> = left.into_iter().chain(right).collect();
    Ok(range_of(&encoded(span(&all)), context))
}

/// `int4range(1, 5, '[]')`; a NULL bound is open.
fn construct<'a>(kind: RangeKind, a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    let flags = match a.get(2) {
        None => "[)",
        Some(Datum::Null) => {
            return Err(wrong("range constructor flags argument must not be null"));
        }
        Some(_) => text(a, 2)?,
    };
    let (lower_inclusive, upper_inclusive) = match flags {
        "[]" => (true, true),
        "[)" => (true, false),
        "(]" => (false, true),
        "()" => (false, false),
        _ => {
            return Err(EvalError::invalid(SqlState::SYNTAX_ERROR, "invalid range bound flags")
                .with_hint("Valid values are \"[]\", \"[)\", \"(]\", and \"()\"."));
        }
    };
    let bound = |at: usize, inclusive: bool| match a.get(at) {
        None | Some(Datum::Null) => None,
        Some(value) => Some(RangeBound { value: *value, inclusive }),
    };
    let bounds = (bound(0, lower_inclusive), bound(1, upper_inclusive));
    Ok(range_of(&make_range(kind, bounds)?, context))
}

fn construct_many<'a>(a: &[Datum<'a>], context: EvalContext<'a>) -> Evaluated<'a> {
    if a.iter().any(Datum::is_null) {
        return Err(EvalError::invalid(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "multirange values cannot contain null members",
        ));
    }
    Ok(multirange_of(a.iter().flat_map(|range| parts(Some(range))), context))
}

/// The first (or last) end of a range or multirange.
fn end<'a>(a: &[Datum<'a>], upper: bool) -> Option<RangeBound<'a>> {
    let parts = parts(a.first());
    if upper { parts.last().and_then(|part| part.1) } else { parts.first().and_then(|part| part.0) }
}

fn unbounded<'a>(a: &[Datum<'a>], upper: bool) -> Evaluated<'a> {
    let is_empty = parts(a.first()).is_empty();
    Ok(Datum::Bool(!is_empty && end(a, upper).is_none()))
}

pub(super) fn define(d: &mut Definitions) {
    macro_rules! kinds {
        ($($kind:ident)*) => {
            $({
                let kind = RangeKind::$kind;
                let (name, subtype) = (kind.name(), kind.subtype().pg_name());
                let eval: Eval = |a, c| construct(RangeKind::$kind, a, c);
                let doc = "A range from its bounds.";
                let signature = format!("{name}({subtype}, {subtype}) -> {name}");
                d.add(&format!("{name}_constructor2"), &signature, eval, doc).sees_null();
                let signature = format!("{name}({subtype}, {subtype}, text) -> {name}");
                d.add(&format!("{name}_constructor3"), &signature, eval, doc).sees_null();
                let many = kind.multirange_name();
                let doc = "A multirange from ranges.";
                let eval: Eval = |a, c| construct_many(a, c);
                let signature = format!("{many}(variadic {name}) -> {many}");
                d.add(&format!("{many}_constructor"), &signature, eval, doc).sees_null();
                let one: Eval = |a, c| construct_many(a, c);
                d.add(&format!("{name}_{many}"), &format!("{name}_to_{many}({name}) -> {many}"), one, doc)
                    .cast(CastContext::Explicit);
            })*
        };
    }
    kinds!(Int4 Int8 Numeric Date Timestamp TimestampTz);
    let one: Eval = |a, c| construct_many(a, c);
    let doc = "A multirange of one range.";
    d.add("multirange_constructor1", "multirange(anyrange) -> anymultirange", one, doc);
    define_ends(d);
    define_tests(d);
    define_sets(d);
}

fn define_ends(d: &mut Definitions) {
    for (prefix, pattern) in [("range", "anyrange"), ("multirange", "anymultirange")] {
        let lower: Eval = |a, _| Ok(end(a, false).map_or(Datum::Null, |bound| bound.value));
        let doc = "The lower bound; NULL if there is none.";
        d.add(&format!("{prefix}_lower"), &format!("lower({pattern}) -> anyelement"), lower, doc);
        let upper: Eval = |a, _| Ok(end(a, true).map_or(Datum::Null, |bound| bound.value));
        let doc = "The upper bound; NULL if there is none.";
        d.add(&format!("{prefix}_upper"), &format!("upper({pattern}) -> anyelement"), upper, doc);
        let tests: [(&str, Eval, &str); 5] = [
            ("isempty", |a, _| Ok(Datum::Bool(parts(a.first()).is_empty())), "Whether empty."),
            (
                "lower_inc",
                |a, _| Ok(Datum::Bool(end(a, false).is_some_and(|bound| bound.inclusive))),
                "Whether the lower bound belongs to it.",
            ),
            (
                "upper_inc",
                |a, _| Ok(Datum::Bool(end(a, true).is_some_and(|bound| bound.inclusive))),
                "Whether the upper bound belongs to it.",
            ),
            ("lower_inf", |a, _| unbounded(a, false), "Whether there is no lower bound."),
            ("upper_inf", |a, _| unbounded(a, true), "Whether there is no upper bound."),
        ];
        for (name, eval, doc) in tests {
            let id = match name {
                "isempty" => format!("{prefix}_empty"),
                _ => format!("{prefix}_{name}"),
            };
            d.add(&id, &format!("{name}({pattern}) -> bool"), eval, doc);
        }
    }
    let merge: Eval = |a, c| {
        let (left, right) = both(a);
        let all: Vec<_> = left.into_iter().chain(right).collect();
        Ok(range_of(&encoded(span(&all)), c))
    };
    let doc = "The least range that holds all.";
    d.add("range_merge", "range_merge(anyrange, anyrange) -> anyrange", merge, doc);
    d.add("range_merge_from_multirange", "range_merge(anymultirange) -> anyrange", merge, doc);
}

fn define_tests(d: &mut Definitions) {
    macro_rules! test {
        ($test:expr) => {{
            let eval: Eval = |a, _| {
                let (left, right) = both(a);
                Ok(Datum::Bool($test(&left, &right)))
            };
            eval
        }};
    }
    let tests: [(&str, &str, Eval, &str); 8] = [
        ("overlaps", "&&", test!(any_overlap), "Whether two have a value in common."),
        ("contains", "@>", test!(contains), "Whether the left one holds the right one."),
        (
            "contained_by",
            "<@",
            test!(|left: &_, right: &_| contains(right, left)),
            "Whether the right one holds the left one.",
        ),
        ("before", "<<", test!(before), "Whether all of the left is before the right."),
        (
            "after",
            ">>",
            test!(|left: &_, right: &_| before(right, left)),
            "Whether all of the left is after the right.",
        ),
        ("overleft", "&<", test!(not_above), "Whether the left does not reach above the right."),
        ("overright", "&>", test!(not_below), "Whether the left does not reach below the right."),
        ("adjacent", "-|-", test!(touches), "Whether nothing is between two, and nothing common."),
    ];
    let kinds = [("range", "anyrange"), ("multirange", "anymultirange")];
    for (suffix, operator, eval, doc) in tests {
        for (left_name, left) in kinds {
            for (right_name, right) in kinds {
                let id = match (left_name, right_name) {
                    ("range", "range") => format!("range_{suffix}"),
                    (left, right) => format!("{left}_{suffix}_{right}"),
                };
                d.add(&id, &format!("{id}({left}, {right}) -> bool"), eval, doc).operator(operator);
            }
        }
    }
    let value_in: Eval = |a, _| {
        let value = a.get(1).copied().unwrap_or(Datum::Null);
        Ok(Datum::Bool(parts(a.first()).iter().any(|part| holds_value(part, value))))
    };
    let in_value: Eval = |a, _| {
        let value = a.first().copied().unwrap_or(Datum::Null);
        Ok(Datum::Bool(parts(a.get(1)).iter().any(|part| holds_value(part, value))))
    };
    let doc = "Whether a value is in it.";
    for (name, pattern) in kinds {
        let id = format!("{name}_contains_elem");
        d.add(&id, &format!("{id}({pattern}, anyelement) -> bool"), value_in, doc).operator("@>");
        let id = format!("elem_contained_by_{name}");
        d.add(&id, &format!("{id}(anyelement, {pattern}) -> bool"), in_value, doc).operator("<@");
    }
}

fn define_sets(d: &mut Definitions) {
    let doc = "What is in either.";
    d.add("range_union", "range_union(anyrange, anyrange) -> anyrange", range_plus, doc)
        .operator("+");
    let doc = "What is in the left one only.";
    d.add("range_minus", "range_minus(anyrange, anyrange) -> anyrange", range_minus, doc)
        .operator("-");
    let doc = "What is in both.";
    let intersect: Eval = |a, c| {
        let (left, right) = both(a);
        let found = left.first().zip(right.first()).and_then(|(one, two)| common(*one, *two));
        Ok(range_of(&encoded(found), c))
    };
    d.add("range_intersect", "range_intersect(anyrange, anyrange) -> anyrange", intersect, doc)
        .operator("*");
    let union: Eval = |a, c| {
        multirange(a, 0)?;
        let (left, right) = both(a);
        Ok(multirange_of(left.into_iter().chain(right), c))
    };
    let minus: Eval = |a, c| {
        let (left, right) = both(a);
        Ok(multirange_of(left.into_iter().flat_map(|whole| without(whole, &right)), c))
    };
    let intersect: Eval = |a, c| {
        let (left, right) = both(a);
        let found = left.iter().flat_map(|one| right.iter().filter_map(|two| common(*one, *two)));
        Ok(multirange_of(found.collect::<Vec<_>>(), c))
    };
    let sets: [(&str, &str, Eval, &str); 3] = [
        ("union", "+", union, "What is in either."),
        ("minus", "-", minus, "What is in the left one only."),
        ("intersect", "*", intersect, "What is in both."),
    ];
    for (suffix, operator, eval, doc) in sets {
        let id = format!("multirange_{suffix}");
        d.add(&id, &format!("{id}(anymultirange, anymultirange) -> anymultirange"), eval, doc)
            .operator(operator);
    }
}

/// The union of ranges (or multiranges), for `range_agg`.
pub(crate) fn union_of<'a>(
    values: impl Iterator<Item = Datum<'a>>,
    context: EvalContext<'a>,
) -> Datum<'a> {
    let all: Vec<Bounds<'a>> = values.flat_map(|value| parts(Some(&value))).collect();
    multirange_of(all, context)
}

/// The intersection of ranges (or of multiranges), for `range_intersect_agg`.
pub(crate) fn intersection_of<'a>(
    mut values: impl Iterator<Item = Datum<'a>>,
    context: EvalContext<'a>,
) -> Datum<'a> {
    let Some(first) = values.next() else { return Datum::Null };
    let mut left = parts(Some(&first));
    for value in values {
        let right = parts(Some(&value));
        left =
            left.iter().flat_map(|one| right.iter().filter_map(|two| common(*one, *two))).collect();
    }
    match first {
        Datum::Range(_) => range_of(&encoded(left.first().copied()), context),
        _ => multirange_of(left, context),
    }
}
