//! `docs/sql/functions.md` is what the definitions say. `UPDATE_DOCS=1` writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use tidemill_expr::function::TypePattern;
use tidemill_expr::{Volatility, functions};

const HEAD: &str = "# Functions and operators

Names, results, rounding, messages and error codes are PostgreSQL's. This page is produced from the
definitions that the server itself uses (`UPDATE_DOCS=1 cargo nextest run -p tidemill-expr functions_page`
writes it); `pg_proc` and psql's `\\df` list the same.

- What is marked *volatile* differs from call to call: it is allowed in SELECT and INSERT, and refused in
  views, indexes and materialized views.
- Regular expressions have PostgreSQL's advanced syntax and its choice of the match (the longest, or the
  shortest by the first quantifier, of those that start first). Patterns with back references or look-around
  take the first way to match instead, and end in an error when they take too many steps.
- `now()` and its kin, `current_user`, `version()`, `pg_get_viewdef(..)` and other functions about the session and
  the catalog are answered while a query is planned: a view cannot use them.
- The last argument of a function that takes any number of them may be an array: `concat(VARIADIC names)`.
  Arguments of `make_interval`, `make_timestamp`, `jsonb_set`, `jsonb_path_query` and their kin may be named:
  `make_interval(days => 2)`.
- `csv_extract(n, text)` and `regexp_extract(pattern, text)` stand in FROM, give as many columns (`column1`, ..)
  as their first argument says, and that must be a constant. A record of CSV with another number of columns is an
  error.
- SQL's constructors of json: `JSON_OBJECT('a': 1)`, `JSON_ARRAY(1, 2)`, both with `NULL ON NULL`,
  `ABSENT ON NULL` and `RETURNING type`, `JSON(x [WITH UNIQUE KEYS])`, `JSON_SCALAR(1)`,
  `JSON_SERIALIZE(x [RETURNING type])`; and the test
  `x IS [NOT] JSON [VALUE | SCALAR | ARRAY | OBJECT] [WITH UNIQUE KEYS]`.
- SQL's functions of paths, as in PostgreSQL 17, also in what is maintained:
  `JSON_VALUE(x, path [PASSING v AS name, ..] [RETURNING type] [.. ON EMPTY] [.. ON ERROR])`, `JSON_QUERY(..)` with
  `WITH [CONDITIONAL | UNCONDITIONAL] WRAPPER` and `KEEP | OMIT QUOTES` besides, `JSON_EXISTS(.. [.. ON ERROR])`, and in FROM
  `JSON_TABLE(x, path COLUMNS (name type PATH path, n FOR ORDINALITY, e bool EXISTS PATH path, NESTED PATH path COLUMNS (..)))`.
- Advisory locks, `pg_sleep`, `setseed` and numbers of transactions work in the outermost SELECT list and in VALUES.
  What returns nothing in PostgreSQL returns an empty text.
- Templates of `to_char`, `to_date`, `to_timestamp` and `to_number` have all of PostgreSQL's patterns; names of
  months and days are English.
";

fn name(pattern: &TypePattern) -> String {
    match pattern {
        TypePattern::Is(typ) => typ.to_string(),
        TypePattern::ArrayOf(typ) => format!("{typ}[]"),
        TypePattern::Any => "any".to_owned(),
        TypePattern::AnyNonArray => "anynonarray".to_owned(),
        TypePattern::AnyElement => "anyelement".to_owned(),
        TypePattern::AnyArray => "anyarray".to_owned(),
        #[allow(unreachable_patterns)]
        other => format!("{other:?}").to_lowercase(),
    }
}

fn list(patterns: &[TypePattern]) -> String {
    patterns.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

fn page() -> String {
    let mut out = HEAD.to_owned();
    let behind: BTreeSet<&str> = functions::all_operators()
        .map(|operator| operator.function)
        .chain(functions::all_casts().filter_map(|cast| cast.function))
        .collect();
    let mut rows: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for function in functions::all() {
        // What is only reached through an operator or a cast is no function to call.
        let internal = behind.contains(function.id) && function.name == function.id;
        let between_texts =
            function.id.ends_with("_to_text") || function.id.starts_with("text_to_");
        if internal || (between_texts && function.name == function.id) {
            continue;
        }
        let variadic = if function.variadic { ", .." } else { "" };
        let volatile = if function.volatility == Volatility::Volatile { " *volatile*" } else { "" };
        let signature = format!(
            "`({}{variadic}) → {}`{volatile}",
            list(function.arguments),
            name(&function.returns)
        );
        rows.entry((function.name, function.doc)).or_default().insert(signature);
    }
    out.push_str("\n## Functions\n\n| name | arguments → result | gives |\n| --- | --- | --- |\n");
    for ((name, doc), forms) in &rows {
        let forms: Vec<String> = forms.iter().map(|form| escaped(form)).collect();
        let _ = writeln!(out, "| `{name}` | {} | {} |", forms.join("<br>"), escaped(doc));
    }
    let mut rows: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for function in functions::all_tables() {
        let columns: Vec<String> = function
            .columns
            .iter()
            .map(|(column, typ)| format!("{column} {}", name(typ)).trim().to_owned())
            .collect();
        let signature = format!("`({}) → {}`", list(function.arguments), columns.join(", "));
        rows.entry((function.name, function.doc)).or_default().insert(signature);
    }
    out.push_str("\n## Functions that give rows\n\n| name | arguments → columns | gives |\n| --- | --- | --- |\n");
    for ((name, doc), forms) in &rows {
        let forms: Vec<String> = forms.iter().map(|form| escaped(form)).collect();
        let _ = writeln!(out, "| `{name}` | {} | {} |", forms.join("<br>"), escaped(doc));
    }
    let mut rows: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for function in functions::aggregates::all() {
        let signature = format!("`({}) → {}`", list(&function.arguments), name(&function.returns));
        rows.entry((function.name, function.doc)).or_default().insert(signature);
    }
    out.push_str("\n## Aggregates\n\n| name | arguments → result | gives |\n| --- | --- | --- |\n");
    for ((name, doc), forms) in &rows {
        let forms: Vec<String> = forms.iter().map(|form| escaped(form)).collect();
        let _ = writeln!(out, "| `{name}` | {} | {} |", forms.join("<br>"), escaped(doc));
    }
    let mut rows: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for operator in functions::all_operators() {
        let Some(function) = functions::by_id(operator.function) else { continue };
        let left = operator.left.as_ref().map_or(String::new(), |left| format!("{} ", name(left)));
        let form = format!("`{left}{} {}`", operator.name, name(&operator.right));
        rows.entry((operator.name, function.doc)).or_default().insert(form);
    }
    out.push_str("\n## Operators\n\n| operator | of | gives |\n| --- | --- | --- |\n");
    for ((name, doc), forms) in &rows {
        let forms: Vec<String> = forms.iter().map(|form| escaped(form)).collect();
        let _ =
            writeln!(out, "| `{}` | {} | {} |", escaped(name), forms.join("<br>"), escaped(doc));
    }
    out
}

#[test]
fn functions_page_is_what_the_definitions_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql/functions.md");
    let wanted = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, wanted).expect("docs/sql/functions.md can be written");
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/sql/functions.md is not what the definitions say: run with UPDATE_DOCS=1"
    );
}
