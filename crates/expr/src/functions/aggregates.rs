//! SQL's aggregates and what they are computed by.

use std::sync::LazyLock;

use tidemill_repr::ScalarType;

use crate::aggregate::{AggregateKind, Statistic};
use crate::function::TypePattern;
use crate::functions::definitions::pattern;

/// How an aggregate of SQL is made of kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lowering {
    /// It is this kind. For [`AggregateKind::ArrayAgg`] the type is that of the argument.
    Direct(AggregateKind),
    /// This sum divided by the count of the argument, NULL if that is 0: by `numeric_div` (the
    /// sum is `numeric`) or, for [`AggregateKind::SumFloat8`], `float8div`.
    Average(AggregateKind),
    /// How far values lie from their mean, from their sum, the sum of their squares and their
    /// count, all as `numeric`, which is exact.
    Spread {
        /// Divided by the count, not by one less.
        population: bool,
        /// The square root of it.
        root: bool,
    },
}

/// An aggregate as SQL calls it.
#[derive(Clone, Debug)]
pub struct AggregateDefinition {
    /// The SQL name.
    pub name: &'static str,
    /// Types of the arguments; none for `count(*)`.
    pub arguments: Vec<TypePattern>,
    /// Type of the result.
    pub returns: TypePattern,
    /// How it is computed.
    pub lowering: Lowering,
    /// One sentence for the documentation.
    pub doc: &'static str,
}

static ALL: LazyLock<Vec<AggregateDefinition>> = LazyLock::new(define);

/// Every aggregate.
pub fn all() -> impl Iterator<Item = &'static AggregateDefinition> {
    ALL.iter()
}

impl AggregateDefinition {
    /// The kind to compute, with the argument's type put in where the kind holds one.
    pub fn kind(&self, arguments: &[ScalarType]) -> AggregateKind {
        match &self.lowering {
            Lowering::Direct(AggregateKind::ArrayAgg(_)) => {
                AggregateKind::ArrayAgg(arguments.first().cloned().unwrap_or(ScalarType::Unknown))
            }
            Lowering::Direct(AggregateKind::ListAgg(_)) => {
                AggregateKind::ListAgg(arguments.first().cloned().unwrap_or(ScalarType::Unknown))
            }
            Lowering::Direct(AggregateKind::MapAgg(_)) => {
                AggregateKind::MapAgg(arguments.get(1).cloned().unwrap_or(ScalarType::Unknown))
            }
            Lowering::Direct(
                kind @ (AggregateKind::PercentileDisc(_) | AggregateKind::PercentileCont(_)),
            ) => {
                let value = arguments.get(1).cloned().unwrap_or(ScalarType::Unknown);
                let result = match arguments.first() {
                    Some(ScalarType::Array(_)) => ScalarType::Array(Box::new(value)),
                    _ => value,
                };
                match kind {
                    AggregateKind::PercentileDisc(_) => AggregateKind::PercentileDisc(result),
                    _ => AggregateKind::PercentileCont(result),
                }
            }
            Lowering::Direct(kind) | Lowering::Average(kind) => kind.clone(),
            Lowering::Spread { .. } => AggregateKind::SumNumeric,
        }
    }
}

/// Statistics of pairs `(y, x)`.
const PAIRS: [(&str, Statistic, &str); 12] = [
    ("corr", Statistic::Correlation, "The coefficient of correlation."),
    ("covar_pop", Statistic::CovariancePopulation, "The covariance of all there is."),
    ("covar_samp", Statistic::CovarianceSample, "The covariance of a sample."),
    ("regr_avgx", Statistic::AverageX, "The mean of the second argument, where both are there."),
    ("regr_avgy", Statistic::AverageY, "The mean of the first argument, where both are there."),
    ("regr_count", Statistic::Count, "How many pairs without NULL there are."),
    ("regr_intercept", Statistic::Intercept, "Where the fitted line meets x = 0."),
    ("regr_r2", Statistic::Determination, "The square of the coefficient of correlation."),
    ("regr_slope", Statistic::Slope, "The slope of the fitted line."),
    (
        "regr_sxx",
        Statistic::SquaresX,
        "The sum of the squares of the distances of x from its mean.",
    ),
    ("regr_sxy", Statistic::Products, "The sum of the products of the distances from the means."),
    (
        "regr_syy",
        Statistic::SquaresY,
        "The sum of the squares of the distances of y from its mean.",
    ),
];

/// Types that have a least and a greatest value, as in PostgreSQL.
const ORDERED: &[&str] = &[
    "int2",
    "int4",
    "int8",
    "oid",
    "float4",
    "float8",
    "numeric",
    "text",
    "bpchar",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "anyarray",
    "anyenum",
    "timetz",
    "money",
    "inet",
    "pg_lsn",
    "uint2",
    "uint4",
    "uint8",
    "mz_timestamp",
];

fn define() -> Vec<AggregateDefinition> {
    let mut all = Vec::new();
    let mut add = |name, arguments: &str, returns: &str, lowering, doc| {
        let arguments = arguments.split(' ').filter(|a| !a.is_empty()).map(pattern).collect();
        all.push(AggregateDefinition { name, arguments, returns: pattern(returns), lowering, doc });
    };
    let direct = Lowering::Direct;
    let average = Lowering::Average;
    add("count", "", "int8", direct(AggregateKind::Count), "How many rows there are.");
    add("count", "any", "int8", direct(AggregateKind::Count), "How many values are not NULL.");
    let sums = [
        ("int2", "int8", AggregateKind::SumInt),
        ("int4", "int8", AggregateKind::SumInt),
        ("int8", "numeric", AggregateKind::SumIntToNumeric),
        ("numeric", "numeric", AggregateKind::SumNumeric),
        ("money", "money", AggregateKind::SumInt),
        ("uint2", "uint8", AggregateKind::SumUnsigned),
        ("uint4", "uint8", AggregateKind::SumUnsigned),
        ("uint8", "numeric", AggregateKind::SumUnsignedToNumeric),
        ("float4", "float4", AggregateKind::SumFloat4),
        ("float8", "float8", AggregateKind::SumFloat8),
        ("interval", "interval", AggregateKind::SumInterval),
    ];
    for (argument, returns, kind) in sums {
        add("sum", argument, returns, direct(kind), "The sum.");
    }
    let averages = [
        ("int2", "numeric", AggregateKind::SumIntToNumeric),
        ("int4", "numeric", AggregateKind::SumIntToNumeric),
        ("int8", "numeric", AggregateKind::SumIntToNumeric),
        ("uint2", "numeric", AggregateKind::SumUnsignedToNumeric),
        ("uint4", "numeric", AggregateKind::SumUnsignedToNumeric),
        ("uint8", "numeric", AggregateKind::SumUnsignedToNumeric),
        ("numeric", "numeric", AggregateKind::SumNumeric),
        ("float8", "float8", AggregateKind::SumFloat8),
        ("interval", "interval", AggregateKind::SumInterval),
    ];
    for (argument, returns, kind) in averages {
        add("avg", argument, returns, average(kind), "The arithmetic mean.");
    }
    let spreads = [
        ("variance", false, false, "The variance of a sample."),
        ("var_samp", false, false, "The variance of a sample."),
        ("var_pop", true, false, "The variance of all there is."),
        ("stddev", false, true, "The standard deviation of a sample."),
        ("stddev_samp", false, true, "The standard deviation of a sample."),
        ("stddev_pop", true, true, "The standard deviation of all there is."),
    ];
    for (name, population, root, doc) in spreads {
        for argument in ["int2", "int4", "int8", "numeric"] {
            add(name, argument, "numeric", Lowering::Spread { population, root }, doc);
        }
        let statistic = match (population, root) {
            (false, false) => Statistic::VarianceSample,
            (true, false) => Statistic::VariancePopulation,
            (false, true) => Statistic::DeviationSample,
            (true, true) => Statistic::DeviationPopulation,
        };
        add(name, "float8", "float8", direct(AggregateKind::Statistic(statistic)), doc);
    }
    for (name, statistic, doc) in PAIRS {
        let returns = if statistic == Statistic::Count { "int8" } else { "float8" };
        add(name, "float8 float8", returns, direct(AggregateKind::Statistic(statistic)), doc);
    }
    for (name, kind, doc) in [
        ("bit_and", AggregateKind::BitAnd, "The bits that all values have."),
        ("bit_or", AggregateKind::BitOr, "The bits that any value has."),
        ("bit_xor", AggregateKind::BitXor, "The bits that an odd number of values has."),
    ] {
        for typ in ["int2", "int4", "int8", "bit"] {
            add(name, typ, typ, direct(kind.clone()), doc);
        }
    }
    let any = "One of the values, always the same of the same values.";
    add("any_value", "anyelement", "anyelement", direct(AggregateKind::Min), any);
    for typ in ORDERED {
        add("min", typ, typ, direct(AggregateKind::Min), "The least value.");
        add("max", typ, typ, direct(AggregateKind::Max), "The greatest value.");
    }
    // More than PostgreSQL 15 has; Materialize or later versions have them.
    for typ in ["bool", "bytea", "uuid"] {
        add("min", typ, typ, direct(AggregateKind::Min), "The least value.");
        add("max", typ, typ, direct(AggregateKind::Max), "The greatest value.");
    }
    add("bool_and", "bool", "bool", direct(AggregateKind::All), "Whether all are true.");
    add("every", "bool", "bool", direct(AggregateKind::All), "Whether all are true.");
    add("bool_or", "bool", "bool", direct(AggregateKind::Any), "Whether any is true.");
    let join = "Values joined, with a delimiter between them.";
    add("string_agg", "text text", "text", direct(AggregateKind::StringAgg), join);
    add("string_agg", "bytea bytea", "bytea", direct(AggregateKind::StringAgg), join);
    let array = direct(AggregateKind::ArrayAgg(ScalarType::Unknown));
    add("array_agg", "anyelement", "anyarray", array, "All values, NULLs too, in an array.");
    let list = direct(AggregateKind::ListAgg(ScalarType::Unknown));
    add("list_agg", "anyelement", "anylist", list, "All values, NULLs too, in a list.");
    let map = direct(AggregateKind::MapAgg(ScalarType::Unknown));
    add("map_agg", "text anyelement", "anymap", map, "Keys and values in a map.");
    let union = "The union of ranges.";
    let ranges = direct(AggregateKind::RangeAgg);
    add("range_agg", "anyrange", "anymultirange", ranges.clone(), union);
    add("range_agg", "anymultirange", "anymultirange", ranges, union);
    let common = "What is in all ranges.";
    let ranges = direct(AggregateKind::RangeIntersectAgg);
    add("range_intersect_agg", "anyrange", "anyrange", ranges.clone(), common);
    add("range_intersect_agg", "anymultirange", "anymultirange", ranges, common);
    let json = direct(AggregateKind::JsonbAgg);
    add("jsonb_agg", "any", "jsonb", json, "All values, NULLs too, in a jsonb array.");
    let object = direct(AggregateKind::JsonbObjectAgg);
    add("jsonb_object_agg", "any any", "jsonb", object, "Keys and values in a jsonb object.");
    let json = direct(AggregateKind::JsonAgg { lines: false });
    add("json_agg", "any", "json", json, "All values, NULLs too, in a json array.");
    let object = direct(AggregateKind::JsonObjectAgg);
    add("json_object_agg", "any any", "json", object, "Keys and values in a json object.");
    let often = "The most frequent value: WITHIN GROUP (ORDER BY value).";
    add("mode", "anyelement", "anyelement", direct(AggregateKind::Mode), often);
    let disc = || direct(AggregateKind::PercentileDisc(ScalarType::Unknown));
    let doc = "The first value at or behind a fraction of the way: WITHIN GROUP (ORDER BY value).";
    add("percentile_disc", "float8 anyelement", "anyelement", disc(), doc);
    add("percentile_disc", "float8[] anyelement", "anyarray", disc(), doc);
    let cont = || direct(AggregateKind::PercentileCont(ScalarType::Unknown));
    let doc = "The value at a fraction of the way, between two if need be: WITHIN GROUP (ORDER BY value).";
    for typ in ["float8", "interval"] {
        add("percentile_cont", &format!("float8 {typ}"), typ, cont(), doc);
        add("percentile_cont", &format!("float8[] {typ}"), &format!("{typ}[]"), cont(), doc);
    }
    all
}
