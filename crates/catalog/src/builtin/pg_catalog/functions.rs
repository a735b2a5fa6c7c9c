//! `pg_catalog`: functions and operators, from the tables of the expression crate.

use std::collections::HashMap;
use std::sync::LazyLock;

use tidemill_expr::function::{TypePattern, Volatility};
use tidemill_expr::functions;
use tidemill_repr::{Datum, Row};

use super::super::fill::{Shape, Value, count, oid};
use super::super::{Builtin, Content, DATABASE_COLUMN, roles};
use super::PG_CATALOG;
use crate::function::Function;
use crate::item::Item;
use crate::name::quote_identifier;
use crate::snapshot::Catalog;

const FUNCTION: &str = "oid oid, proname name, pronamespace oid, proowner oid, prolang oid, \
     procost float4, prorows float4, provariadic oid, prosupport regproc, \
     prokind char, prosecdef bool, proleakproof bool, proisstrict bool, \
     proretset bool, provolatile char, proparallel char, pronargs int2, \
     pronargdefaults int2, prorettype oid, proargtypes oid[], proallargtypes oid[]?, \
     proargmodes char[]?, proargnames text[]?, proargdefaults text?, \
     protrftypes oid[]?, prosrc text, probin text?, prosqlbody text?, \
     proconfig text[]?, proacl text[]?, database_name name?";
const OPERATOR: &str = "oid oid, oprname name, oprnamespace oid, oprowner oid, oprkind char, \
     oprcanmerge bool, oprcanhash bool, oprleft oid, oprright oid, oprresult oid, \
     oprcom oid, oprnegate oid, oprcode regproc, oprrest regproc, oprjoin regproc";

/// The relations.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 309,
        schema: "pg_catalog",
        name: "pg_proc",
        columns: FUNCTION,
        content: Content::ConstantAndItems(
            || all().iter().map(FunctionRow::row).collect(),
            user_function,
        ),
    },
    Builtin {
        number: 310,
        schema: "pg_catalog",
        name: "pg_operator",
        columns: OPERATOR,
        content: Content::Constant(operators),
    },
    Builtin {
        number: 206,
        schema: "mz_internal",
        name: "mz_function_signatures",
        columns: "oid oid, arguments text, identity_arguments text, result text, \
                  definition text?, body text?",
        content: Content::ConstantAndItems(signatures, user_signature),
    },
];

/// A function as `pg_proc` shows it.
struct FunctionRow {
    oid: i64,
    name: &'static str,
    id: &'static str,
    kind: &'static str,
    strict: bool,
    returns_set: bool,
    volatility: &'static str,
    variadic: bool,
    arguments: Vec<&'static TypePattern>,
    returns: Option<&'static TypePattern>,
}

/// Oids of functions that PostgreSQL does not have, from a hash of their ids.
const OWN_FUNCTIONS: std::ops::Range<i64> = 10_000..12_000;
/// Oids of operators that PostgreSQL does not have.
const FIRST_OPERATOR: i64 = 12_000;

/// PostgreSQL's oids of functions and operators: a line `name(argument oids) oid` each; of an
/// operator the oids of its sides, 0 for none.
static POSTGRES: LazyLock<HashMap<&str, i64>> = LazyLock::new(|| {
    include_str!("oids.txt")
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(signature, oid)| Some((signature, oid.parse().ok()?)))
        .collect()
});

fn signature(name: &str, arguments: impl Iterator<Item = i64>) -> String {
    let arguments: Vec<String> = arguments.map(|oid| oid.to_string()).collect();
    format!("{name}({})", arguments.join(","))
}

/// Gives each function PostgreSQL's oid, or one that follows from its id as long as that is
/// free.
fn assign_oids(all: &mut [FunctionRow]) {
    let mut taken = std::collections::HashSet::new();
    for function in all.iter_mut() {
        let arguments = function.arguments.iter().map(|pattern| pattern_oid(pattern));
        let known = POSTGRES.get(signature(function.name, arguments).as_str()).copied();
        function.oid = known.filter(|oid| taken.insert(*oid)).unwrap_or(0);
    }
    for function in all.iter_mut().filter(|function| function.oid == 0) {
        let seed = if function.kind == "a" { function.name } else { function.id };
        // FNV-1a, which stays the same from version to version.
        let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let span = (OWN_FUNCTIONS.end - OWN_FUNCTIONS.start).unsigned_abs();
        let mut oid = OWN_FUNCTIONS.start + i64::try_from(hash % span).unwrap_or(0);
        while !taken.insert(oid) {
            oid += 1;
        }
        function.oid = oid;
    }
}

/// Every function; an id has the same oid as long as the tables stay as they are.
fn all() -> &'static [FunctionRow] {
    static ALL: LazyLock<Vec<FunctionRow>> = LazyLock::new(|| {
        let scalar = functions::all().map(|function| FunctionRow {
            oid: 0,
            name: function.name,
            id: function.id,
            kind: "f",
            strict: function.strict,
            returns_set: false,
            volatility: match function.volatility {
                Volatility::Immutable => "i",
                Volatility::Stable => "s",
                Volatility::Volatile => "v",
            },
            variadic: function.variadic,
            arguments: function.arguments.iter().collect(),
            returns: Some(&function.returns),
        });
        let tables = functions::all_tables().map(|function| FunctionRow {
            oid: 0,
            name: function.name,
            id: function.id,
            kind: "f",
            strict: function.strict,
            returns_set: true,
            volatility: "i",
            variadic: false,
            arguments: function.arguments.iter().collect(),
            returns: match function.columns {
                [(_, only)] => Some(only),
                _ => None,
            },
        });
        let aggregates = functions::aggregates::all().map(|function| FunctionRow {
            oid: 0,
            name: function.name,
            id: "aggregate_dummy",
            kind: "a",
            strict: false,
            returns_set: false,
            volatility: "i",
            variadic: false,
            arguments: function.arguments.iter().collect(),
            returns: Some(&function.returns),
        });
        let mut all: Vec<FunctionRow> = scalar.chain(tables).chain(aggregates).collect();
        assign_oids(&mut all);
        all
    });
    &ALL
}

/// The oid of a scalar function; 0 if there is none.
pub(super) fn function_oid(id: &str) -> i64 {
    static BY_ID: LazyLock<HashMap<&str, i64>> =
        LazyLock::new(|| all().iter().map(|function| (function.id, function.oid)).collect());
    BY_ID.get(id).copied().unwrap_or(0)
}

/// The oid of a type, or of PostgreSQL's pseudo-type for several.
pub(crate) fn pattern_oid(pattern: &TypePattern) -> i64 {
    match pattern {
        TypePattern::Is(typ) => i64::from(typ.oid().0),
        TypePattern::ArrayOf(element) => i64::from(element.array_oid().0),
        TypePattern::Any => 2276,
        TypePattern::AnyNonArray => 2776,
        TypePattern::AnyElement => 2283,
        TypePattern::AnyArray => 2277,
        TypePattern::AnyRange => 3831,
        TypePattern::AnyEnum => 3500,
        TypePattern::AnyMultirange => 4537,
        TypePattern::AnyList => 16_386,
        TypePattern::AnyMap => 16_387,
    }
}

fn pattern_name(pattern: &TypePattern) -> String {
    match pattern {
        TypePattern::Is(typ) => typ.to_string(),
        TypePattern::ArrayOf(element) => format!("{element}[]"),
        TypePattern::Any => "\"any\"".to_owned(),
        TypePattern::AnyNonArray => "anynonarray".to_owned(),
        TypePattern::AnyElement => "anyelement".to_owned(),
        TypePattern::AnyArray => "anyarray".to_owned(),
        TypePattern::AnyRange => "anyrange".to_owned(),
        TypePattern::AnyEnum => "anyenum".to_owned(),
        TypePattern::AnyMultirange => "anymultirange".to_owned(),
        TypePattern::AnyList => "anylist".to_owned(),
        TypePattern::AnyMap => "anymap".to_owned(),
    }
}

impl FunctionRow {
    fn row(&self) -> Row {
        static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(FUNCTION));
        let variadic = self.arguments.last().filter(|_| self.variadic);
        SHAPE.row(&[
            ("oid", Value::Int(self.oid)),
            ("proname", Value::Text(self.name)),
            ("pronamespace", Value::Int(PG_CATALOG)),
            ("proowner", Value::Int(roles::oid(roles::SYSTEM))),
            // internal
            ("prolang", Value::Int(12)),
            ("procost", Value::Float4(1.0)),
            ("prorows", Value::Float4(if self.returns_set { 1000.0 } else { 0.0 })),
            ("provariadic", Value::Int(variadic.map_or(0, |pattern| pattern_oid(pattern)))),
            ("prokind", Value::Text(self.kind)),
            ("proisstrict", Value::Bool(self.strict)),
            ("proretset", Value::Bool(self.returns_set)),
            ("provolatile", Value::Text(self.volatility)),
            ("proparallel", Value::Text("s")),
            ("pronargs", count(self.arguments.len())),
            // record
            ("prorettype", Value::Int(self.returns.map_or(2249, pattern_oid))),
            (
                "proargtypes",
                Value::Ints(self.arguments.iter().map(|pattern| pattern_oid(pattern)).collect()),
            ),
            ("prosrc", Value::Text(self.id)),
        ])
    }
}

/// What `pg_get_function_arguments` and `pg_get_function_result` say.
fn signatures() -> Vec<Row> {
    all()
        .iter()
        .map(|function| {
            let mut arguments: Vec<String> =
                function.arguments.iter().map(|pattern| pattern_name(pattern)).collect();
            if function.variadic
                && let Some(last) = arguments.last_mut()
            {
                last.insert_str(0, "VARIADIC ");
            }
            let returns = function.returns.map_or_else(|| "record".to_owned(), pattern_name);
            let set = if function.returns_set { "SETOF " } else { "" };
            let arguments = arguments.join(", ");
            Row::pack([
                Datum::Int(function.oid),
                Datum::Text(&arguments),
                Datum::Text(&arguments),
                Datum::Text(&format!("{set}{returns}")),
                Datum::Null,
                Datum::Null,
            ])
        })
        .collect()
}

/// The language `sql` in `pg_language`.
const SQL_LANGUAGE: i64 = 14;

/// The row of a user's function in `pg_proc`.
fn user_function(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(FUNCTION));
    let Some(function) = item.function() else { return };
    let inputs: Vec<i64> = function.inputs().map(|parameter| parameter.typ.oid()).collect();
    let defaults: Vec<&str> =
        function.inputs().filter_map(|parameter| parameter.default.as_deref()).collect();
    let has_outputs = function.outputs().next().is_some();
    let all = |get: fn(&crate::function::Parameter) -> i64| {
        has_outputs.then(|| function.parameters.iter().map(get).collect::<Vec<_>>())
    };
    let modes = has_outputs.then(|| {
        let letters = function.parameters.iter().map(|parameter| parameter.mode.letter());
        letters.map(str::to_owned).collect()
    });
    let named = function.parameters.iter().any(|parameter| parameter.name.is_some());
    let names = named.then(|| {
        let names = function.parameters.iter().map(|parameter| parameter.name.clone());
        names.map(Option::unwrap_or_default).collect()
    });
    let default_text = defaults.join(", ");
    let body = standard_body(function);
    rows.push(SHAPE.row(&[
        ("oid", oid(item.oid)),
        ("proname", Value::Text(&item.name.item)),
        ("pronamespace", oid(catalog.schema_oid(&item.name))),
        ("proowner", Value::Int(roles::oid(&item.owner))),
        ("prolang", Value::Int(SQL_LANGUAGE)),
        ("procost", Value::Float4(function.cost)),
        ("prorows", Value::Float4(if function.returns.set { function.rows } else { 0.0 })),
        ("prokind", Value::Text("f")),
        ("proleakproof", Value::Bool(function.leakproof)),
        ("proisstrict", Value::Bool(function.strict)),
        ("proretset", Value::Bool(function.returns.set)),
        ("provolatile", Value::Text(function.volatility.encode_utf8(&mut [0; 4]))),
        ("proparallel", Value::Text(function.parallel.encode_utf8(&mut [0; 4]))),
        ("pronargs", count(inputs.len())),
        ("pronargdefaults", count(defaults.len())),
        ("prorettype", Value::Int(function.return_oid())),
        ("proargtypes", Value::Ints(inputs)),
        ("proallargtypes", Value::OptionalInts(all(|parameter| parameter.typ.oid()))),
        ("proargmodes", Value::Texts(modes)),
        ("proargnames", Value::Texts(names)),
        (
            "proargdefaults",
            Value::Optional(Some(default_text.as_str()).filter(|_| !defaults.is_empty())),
        ),
        ("prosrc", Value::Text(function.source.as_deref().unwrap_or_default())),
        ("prosqlbody", Value::Optional(body.as_deref())),
        (DATABASE_COLUMN, Value::Optional(item.name.database.as_deref())),
    ]));
}

fn standard_body(function: &Function) -> Option<String> {
    let standard = function.source.is_none();
    standard.then(|| format!("BEGIN ATOMIC\n {};\nEND", function.body))
}

/// What is said of a user's function.
fn user_signature(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let Some(function) = item.function() else { return };
    let name = &item.name;
    let shown = format!("{}.{}", quote_identifier(&name.schema), quote_identifier(&name.item));
    rows.push(Row::pack([
        Datum::Int(i64::from(item.oid.0)),
        Datum::Text(&function.arguments_text(true)),
        Datum::Text(&function.arguments_text(false)),
        Datum::Text(&function.result_text()),
        Datum::Text(&function.definition_sql(&shown, true)),
        standard_body(function).as_deref().map_or(Datum::Null, Datum::Text),
    ]));
}

fn operators() -> Vec<Row> {
    let shape = Shape::of(OPERATOR);
    functions::all_operators()
        .zip(FIRST_OPERATOR..)
        .map(|(operator, number)| {
            let left = operator.left.as_ref().map_or(0, pattern_oid);
            let sides = [left, pattern_oid(&operator.right)];
            let known = POSTGRES.get(signature(operator.name, sides.into_iter()).as_str());
            let number = known.copied().unwrap_or(number);
            let result = functions::by_id(operator.function);
            shape.row(&[
                ("oid", Value::Int(number)),
                ("oprname", Value::Text(operator.name)),
                ("oprnamespace", Value::Int(PG_CATALOG)),
                ("oprowner", Value::Int(roles::oid(roles::SYSTEM))),
                ("oprkind", Value::Text(if operator.left.is_some() { "b" } else { "l" })),
                ("oprcanhash", Value::Bool(operator.name == "=")),
                ("oprcanmerge", Value::Bool(operator.name == "=")),
                ("oprleft", Value::Int(operator.left.as_ref().map_or(0, pattern_oid))),
                ("oprright", Value::Int(pattern_oid(&operator.right))),
                (
                    "oprresult",
                    Value::Int(result.map_or(0, |function| pattern_oid(&function.returns))),
                ),
                ("oprcode", Value::Int(function_oid(operator.function))),
            ])
        })
        .collect()
}
