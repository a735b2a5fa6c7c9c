//! `x op ANY (array)` for comparisons. ALL is the negation of ANY with the opposite comparison.

use std::cmp::Ordering;

use tidemill_repr::Datum;

use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::Evaluated;

/// True if it holds for an element, else NULL if that is not known for one, else false.
fn any<'a>(arguments: &[Datum<'a>], test: fn(Ordering) -> bool) -> Evaluated<'a> {
    let [value, Datum::Array(array), ..] = arguments else { return Ok(Datum::Null) };
    let mut unknown = false;
    for element in array.elements() {
        if value.is_null() || element.is_null() {
            unknown = true;
        } else if test(value.sql_cmp(&element)) {
            return Ok(Datum::Bool(true));
        }
    }
    Ok(if unknown { Datum::Null } else { Datum::Bool(false) })
}

pub(super) fn define(d: &mut Definitions) {
    let all: [(&str, Eval); 6] = [
        ("eq", |a, _| any(a, Ordering::is_eq)),
        ("ne", |a, _| any(a, Ordering::is_ne)),
        ("lt", |a, _| any(a, Ordering::is_lt)),
        ("le", |a, _| any(a, Ordering::is_le)),
        ("gt", |a, _| any(a, Ordering::is_gt)),
        ("ge", |a, _| any(a, Ordering::is_ge)),
    ];
    for (suffix, eval) in all {
        let id = format!("array_any_{suffix}");
        let doc = "Whether a comparison with an element holds; the last argument names it.";
        d.add(&id, &format!("{id}(any, any, text) -> bool"), eval, doc).sees_null().safe();
    }
}
