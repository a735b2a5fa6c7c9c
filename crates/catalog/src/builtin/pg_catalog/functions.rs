//! `pg_catalog`: functions and operators, from the tables of the expression crate.

use std::collections::HashMap;
use std::sync::LazyLock;

use tidemill_expr::function::{Operator, TypePattern, Volatility};
use tidemill_expr::functions;
use tidemill_repr::{Datum, Oid, Row, ScalarType};

use super::super::fill::{Shape, Value, count, oid};
use super::super::{Builtin, Content, DATABASE_COLUMN, roles};
use super::{PG_CATALOG, type_functions};
use crate::function::Function;
use crate::item::Item;
use crate::name::quote_identifier;
use crate::registered::built_in_name;
use crate::role::Securable;
use crate::snapshot::Catalog;

const FUNCTION: &str = "oid oid, proname name, pronamespace oid, proowner oid, prolang oid, \
     procost float4, prorows float4, provariadic oid, prosupport regproc, \
     prokind char, prosecdef bool, proleakproof bool, proisstrict bool, \
     proretset bool, provolatile char, proparallel char, pronargs int2, \
     pronargdefaults int2, prorettype oid, proargtypes oidvector, proallargtypes oid[]?, \
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
        number: 217,
        schema: "mz_internal",
        name: "mz_registered_names",
        columns: "kind text, oid oid, name text",
        content: Content::ConstantAndItems(registered_names, registered_function),
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
    /// The oids of arguments and result, where they are no types that values can have.
    internal: Option<(Vec<i64>, i64)>,
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

/// The functions that need a window.
const WINDOW_FUNCTIONS: &[(&str, &[TypePattern], TypePattern)] = {
    use TypePattern::{AnyElement, Is};
    const INT4: TypePattern = Is(ScalarType::Int4);
    const INT8: TypePattern = Is(ScalarType::Int8);
    const FLOAT8: TypePattern = Is(ScalarType::Float8);
    &[
        ("row_number", &[], INT8),
        ("rank", &[], INT8),
        ("dense_rank", &[], INT8),
        ("percent_rank", &[], FLOAT8),
        ("cume_dist", &[], FLOAT8),
        ("ntile", &[INT4], INT4),
        ("lag", &[AnyElement], AnyElement),
        ("lag", &[AnyElement, INT4], AnyElement),
        ("lag", &[AnyElement, INT4, AnyElement], AnyElement),
        ("lead", &[AnyElement], AnyElement),
        ("lead", &[AnyElement, INT4], AnyElement),
        ("lead", &[AnyElement, INT4, AnyElement], AnyElement),
        ("first_value", &[AnyElement], AnyElement),
        ("last_value", &[AnyElement], AnyElement),
        ("nth_value", &[AnyElement, INT4], AnyElement),
    ]
};

/// Gives each function PostgreSQL's oid, or one that follows from its id as long as that is
/// free.
fn assign_oids(all: &mut [FunctionRow]) {
    let mut taken = std::collections::HashSet::new();
    taken.extend(all.iter().filter(|function| function.internal.is_some()).map(|one| one.oid));
    for function in all.iter_mut().filter(|function| function.internal.is_none()) {
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
            internal: None,
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
            internal: None,
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
            internal: None,
        });
        let internal = type_functions::all().map(|function| FunctionRow {
            oid: function.oid,
            name: function.name,
            id: function.name,
            kind: "f",
            strict: true,
            returns_set: false,
            volatility: "i",
            variadic: false,
            arguments: Vec::new(),
            returns: None,
            internal: Some((function.arguments, function.returns)),
        });
        let windows = WINDOW_FUNCTIONS.iter().map(|(name, arguments, returns)| FunctionRow {
            oid: 0,
            name,
            id: name,
            kind: "w",
            strict: true,
            returns_set: false,
            volatility: "i",
            variadic: false,
            arguments: arguments.iter().collect(),
            returns: Some(returns),
            internal: None,
        });
        let mut all: Vec<FunctionRow> =
            scalar.chain(tables).chain(aggregates).chain(windows).chain(internal).collect();
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

/// The name of a type that may be a pseudo-type.
fn oid_name(oid: i64) -> String {
    match oid {
        2275 => "cstring".to_owned(),
        2281 => "internal".to_owned(),
        2249 => "record".to_owned(),
        2278 => "void".to_owned(),
        2277 => "anyarray".to_owned(),
        3500 => "anyenum".to_owned(),
        2276 => "\"any\"".to_owned(),
        3831 => "anyrange".to_owned(),
        4537 => "anymultirange".to_owned(),
        1263 => "cstring[]".to_owned(),
        oid => {
            let typ = u32::try_from(oid).ok().and_then(|oid| ScalarType::from_oid(Oid(oid)));
            typ.map_or_else(|| oid.to_string(), |typ| typ.to_string())
        }
    }
}

impl FunctionRow {
    fn argument_oids(&self) -> Vec<i64> {
        match &self.internal {
            Some((arguments, _)) => arguments.clone(),
            None => self.arguments.iter().map(|pattern| pattern_oid(pattern)).collect(),
        }
    }

    fn argument_names(&self) -> Vec<String> {
        match &self.internal {
            Some((arguments, _)) => arguments.iter().map(|oid| oid_name(*oid)).collect(),
            None => self.arguments.iter().map(|pattern| pattern_name(pattern)).collect(),
        }
    }

    /// The oid of the result's type; that of `record` for several columns.
    fn result_oid(&self) -> i64 {
        match &self.internal {
            Some((_, returns)) => *returns,
            None => self.returns.map_or(2249, pattern_oid),
        }
    }

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
            ("pronargs", count(self.argument_oids().len())),
            ("prorettype", Value::Int(self.result_oid())),
            ("proargtypes", Value::Ints(self.argument_oids())),
            ("prosrc", Value::Text(self.id)),
        ])
    }
}

/// A function or an operator with the types of its arguments, as they are shown.
pub(crate) struct Signature {
    /// Its name.
    pub name: &'static str,
    /// Its oid.
    pub oid: u32,
    /// The types; `NONE` is the left side of a prefix operator.
    pub arguments: Vec<String>,
}

/// Every function.
pub(crate) fn function_signatures() -> Vec<Signature> {
    all()
        .iter()
        .map(|function| Signature {
            name: function.name,
            oid: u32::try_from(function.oid).unwrap_or(0),
            arguments: function.argument_names(),
        })
        .collect()
}

/// What `mz_functions` shows of a function.
pub(crate) struct FunctionSummary {
    pub oid: i64,
    pub name: &'static str,
    /// The oids of its arguments' types.
    pub arguments: Vec<i64>,
    /// Whether the last of them stands for any number.
    pub variadic: bool,
    /// The oid of its result's type; None where that is a row.
    pub returns: Option<i64>,
    pub returns_set: bool,
}

/// All functions with what they take and give.
pub(crate) fn function_summaries() -> impl Iterator<Item = FunctionSummary> {
    all().iter().map(|function| FunctionSummary {
        oid: function.oid,
        name: function.name,
        arguments: function.argument_oids(),
        variadic: function.variadic,
        returns: Some(function.result_oid()),
        returns_set: function.returns_set,
    })
}

/// All operators: oid, name, oids of the types of both sides and of the result.
pub(crate) fn operator_summaries() -> impl Iterator<Item = (i64, &'static str, [i64; 2], i64)> {
    operator_oids().map(|(operator, oid)| {
        let sides = [operator.left.as_ref().map_or(0, pattern_oid), pattern_oid(&operator.right)];
        let result = functions::by_id(operator.function);
        let result = result.map_or(0, |function| pattern_oid(&function.returns));
        (oid, operator.name, sides, result)
    })
}

/// Every operator.
pub(crate) fn operator_signatures() -> Vec<Signature> {
    operator_oids()
        .map(|(operator, oid)| Signature {
            name: operator.name,
            oid: u32::try_from(oid).unwrap_or(0),
            arguments: vec![
                operator.left.as_ref().map_or_else(|| "NONE".to_owned(), pattern_name),
                pattern_name(&operator.right),
            ],
        })
        .collect()
}

/// The names of functions, operators and collations, as their oids are shown.
fn registered_names() -> Vec<Row> {
    let functions = all().iter().map(|function| function.oid);
    let functions: Vec<i64> = functions.collect();
    let operators: Vec<i64> = operator_oids().map(|(_, oid)| oid).collect();
    let kinds = [
        (ScalarType::Regproc, &functions),
        (ScalarType::Regprocedure, &functions),
        (ScalarType::Regoper, &operators),
        (ScalarType::Regoperator, &operators),
        (ScalarType::Regcollation, &vec![100, 950, 951]),
    ];
    let mut rows = Vec::new();
    for (kind, oids) in kinds {
        for oid in oids {
            let number = u32::try_from(*oid).unwrap_or(0);
            if let Some(name) = built_in_name(&kind, number) {
                let kind = kind.pg_name();
                rows.push(Row::pack([Datum::Text(&kind), Datum::Int(*oid), Datum::Text(&name)]));
            }
        }
    }
    rows
}

/// The names of a user's function.
fn registered_function(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let Some(function) = item.function() else { return };
    let name = quote_identifier(&item.name.item);
    let signature = format!("{name}({})", function.argument_types());
    for (kind, name) in [(ScalarType::Regproc, name), (ScalarType::Regprocedure, signature)] {
        rows.push(Row::pack([
            Datum::Text(&kind.pg_name()),
            Datum::Int(i64::from(item.oid.0)),
            Datum::Text(&name),
        ]));
    }
}

/// What `pg_get_function_arguments` and `pg_get_function_result` say.
fn signatures() -> Vec<Row> {
    all()
        .iter()
        .map(|function| {
            let mut arguments = function.argument_names();
            if function.variadic
                && let Some(last) = arguments.last_mut()
            {
                last.insert_str(0, "VARIADIC ");
            }
            let returns = match (&function.internal, function.returns) {
                (Some((_, oid)), _) => oid_name(*oid),
                (None, Some(pattern)) => pattern_name(pattern),
                (None, None) => "record".to_owned(),
            };
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
        ("proacl", Value::Texts(roles::postgres_acl(catalog, &Securable::Item(item.id)))),
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

fn operator_oids() -> impl Iterator<Item = (&'static Operator, i64)> {
    functions::all_operators().zip(FIRST_OPERATOR..).map(|(operator, number)| {
        let left = operator.left.as_ref().map_or(0, pattern_oid);
        let sides = [left, pattern_oid(&operator.right)];
        let known = POSTGRES.get(signature(operator.name, sides.into_iter()).as_str());
        (operator, known.copied().unwrap_or(number))
    })
}

fn operators() -> Vec<Row> {
    let shape = Shape::of(OPERATOR);
    operator_oids()
        .map(|(operator, number)| {
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
