//! Random expressions of a wanted type.

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::fuzz::kinds::{Kind, Relation};
use crate::fuzz::query::Generator;

/// What an expression may use.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Relations of this query and of those around it, innermost last.
    pub relations: Vec<Relation>,
}

impl Scope {
    /// The same with one more.
    pub fn with(&self, relation: Relation) -> Scope {
        let mut scope = self.clone();
        scope.relations.push(relation);
        scope
    }

    /// Columns of a type, qualified.
    fn columns(&self, kind: Kind) -> Vec<String> {
        let columns = self.relations.iter().flat_map(|relation| {
            let of_kind = relation.columns.iter().filter(move |(_, k)| *k == kind);
            of_kind.map(|(column, _)| format!("{}.{column}", relation.name))
        });
        columns.collect()
    }
}

/// Calls: the text with {n} for arguments, the type, the arguments' types.
type Call = (&'static str, Kind, &'static [Kind]);

use Kind::{
    Bool, Date, Float8, Int2, Int4, Int8, IntArray, Interval, Jsonb, Numeric, Text, Timestamp, Uuid,
};

const CALLS: &[Call] = &[
    ("({0} + {1})", Int4, &[Int4, Int4]),
    ("({0} - {1})", Int4, &[Int4, Int4]),
    ("({0} * {1})", Int4, &[Int4, Int2]),
    ("({0} / nullif({1}, 0))", Int4, &[Int4, Int4]),
    ("({0} % nullif({1}, 0))", Int4, &[Int4, Int4]),
    ("abs({0})", Int4, &[Int4]),
    ("(- {0})", Int4, &[Int4]),
    ("({0} & {1})", Int4, &[Int4, Int4]),
    ("({0} # {1})", Int4, &[Int4, Int4]),
    ("length({0})", Int4, &[Text]),
    ("strpos({0}, {1})", Int4, &[Text, Text]),
    ("ascii({0})", Int4, &[Text]),
    ("({0} - {1})", Int4, &[Date, Date]),
    ("array_length({0}, 1)", Int4, &[IntArray]),
    ("cardinality({0})", Int4, &[IntArray]),
    ("({0})[1]", Int4, &[IntArray]),
    ("array_position({0}, {1})", Int4, &[IntArray, Int4]),
    ("{0}::int4", Int4, &[Int2]),
    ("{0}::int4", Int4, &[Bool]),
    ("sign({0})::int4", Int4, &[Numeric]),
    ("({0} + {1})", Int8, &[Int8, Int4]),
    ("({0} * {1})", Int8, &[Int8, Int2]),
    ("{0}::int8", Int8, &[Int4]),
    ("extract(year from {0})::int8", Int8, &[Date]),
    ("round({0})::int8", Int8, &[Numeric]),
    ("{0}::int4::int2", Int2, &[Bool]),
    ("({0} + {1})", Numeric, &[Numeric, Numeric]),
    ("({0} - {1})", Numeric, &[Numeric, Int4]),
    ("({0} * {1})", Numeric, &[Numeric, Numeric]),
    ("({0} / nullif({1}, 0))", Numeric, &[Numeric, Numeric]),
    ("round({0}, 1)", Numeric, &[Numeric]),
    ("trunc({0})", Numeric, &[Numeric]),
    ("abs({0})", Numeric, &[Numeric]),
    ("{0}::numeric", Numeric, &[Int8]),
    ("extract(epoch from {0})", Numeric, &[Timestamp]),
    ("extract(dow from {0})", Numeric, &[Date]),
    ("({0} + {1})", Float8, &[Float8, Float8]),
    ("({0} * 0.5::float8)", Float8, &[Float8]),
    ("floor({0})", Float8, &[Float8]),
    ("{0}::float8", Float8, &[Int4]),
    ("({0} || {1})", Text, &[Text, Text]),
    ("upper({0})", Text, &[Text]),
    ("lower({0})", Text, &[Text]),
    ("substr({0}, 2)", Text, &[Text]),
    ("left({0}, {1})", Text, &[Text, Int4]),
    ("replace({0}, {1}, 'x')", Text, &[Text, Text]),
    ("lpad({0}, 4, '*')", Text, &[Text]),
    ("trim({0})", Text, &[Text]),
    ("reverse({0})", Text, &[Text]),
    ("concat({0}, {1})", Text, &[Text, Int4]),
    ("concat_ws('-', {0}, {1})", Text, &[Text, Date]),
    ("split_part({0}, ' ', 1)", Text, &[Text]),
    ("{0}::text", Text, &[Int4]),
    ("{0}::text", Text, &[Date]),
    ("{0}::text", Text, &[Bool]),
    ("{0}::text", Text, &[IntArray]),
    ("{0}::text", Text, &[Uuid]),
    ("md5({0})", Text, &[Text]),
    ("({0} ->> 'a')", Text, &[Jsonb]),
    ("jsonb_typeof({0})", Text, &[Jsonb]),
    ("to_char({0}, 'YYYY-MM-DD')", Text, &[Timestamp]),
    ("({0} + {1})", Date, &[Date, Int2]),
    ("{0}::date", Date, &[Timestamp]),
    ("greatest({0}, {1})", Date, &[Date, Date]),
    ("({0} + {1})", Timestamp, &[Timestamp, Interval]),
    ("({0} - {1})", Timestamp, &[Timestamp, Interval]),
    ("date_trunc('month', {0})", Timestamp, &[Timestamp]),
    ("{0}::timestamp", Timestamp, &[Date]),
    ("({0} - {1})", Interval, &[Timestamp, Timestamp]),
    ("({0} + {1})", Interval, &[Interval, Interval]),
    ("({0} * 2)", Interval, &[Interval]),
    ("array_append({0}, {1})", IntArray, &[IntArray, Int4]),
    ("({0} || {1})", IntArray, &[IntArray, IntArray]),
    ("ARRAY[{0}, {1}]", IntArray, &[Int4, Int4]),
    ("array_remove({0}, {1})", IntArray, &[IntArray, Int4]),
    ("({0} -> 'a')", Jsonb, &[Jsonb]),
    ("to_jsonb({0})", Jsonb, &[Int4]),
    ("to_jsonb({0})", Jsonb, &[Text]),
    ("jsonb_build_object('k', {0})", Jsonb, &[Int4]),
    ("({0} = {1})", Bool, &[Int4, Int4]),
    ("({0} = {1})", Bool, &[Int4, Int8]),
    ("({0} < {1})", Bool, &[Int8, Numeric]),
    ("({0} <> {1})", Bool, &[Int4, Int2]),
    ("({0} = {1})", Bool, &[Text, Text]),
    ("({0} < {1})", Bool, &[Text, Text]),
    ("({0} >= {1})", Bool, &[Numeric, Numeric]),
    ("({0} = {1})", Bool, &[Numeric, Int4]),
    ("({0} < {1})", Bool, &[Float8, Float8]),
    ("({0} = {1})", Bool, &[Float8, Int4]),
    ("({0} <= {1})", Bool, &[Date, Date]),
    ("({0} = {1})", Bool, &[Date, Timestamp]),
    ("({0} < {1})", Bool, &[Interval, Interval]),
    ("({0} = {1})", Bool, &[Interval, Interval]),
    ("({0} = {1})", Bool, &[IntArray, IntArray]),
    ("({0} @> {1})", Bool, &[IntArray, IntArray]),
    ("({0} = ANY ({1}))", Bool, &[Int4, IntArray]),
    ("({0} > ALL ({1}))", Bool, &[Int4, IntArray]),
    ("({0} = {1})", Bool, &[Jsonb, Jsonb]),
    ("({0} @> {1})", Bool, &[Jsonb, Jsonb]),
    ("({0} ? 'a')", Bool, &[Jsonb]),
    ("({0} = {1})", Bool, &[Uuid, Uuid]),
    ("({0} IS DISTINCT FROM {1})", Bool, &[Int4, Int4]),
    ("({0} IS NOT DISTINCT FROM {1})", Bool, &[Text, Text]),
    ("({0} BETWEEN {1} AND {2})", Bool, &[Int4, Int4, Int4]),
    ("({0} IN ({1}, {2}, 3))", Bool, &[Int4, Int4, Int4]),
    ("({0} NOT IN ({1}, 2))", Bool, &[Int4, Int4]),
    ("({0} LIKE '%b%')", Bool, &[Text]),
    ("({0} ~ '^[a-c]+$')", Bool, &[Text]),
    ("(({0}, {1}) < ({2}, {3}))", Bool, &[Int4, Text, Int4, Text]),
    ("({0} IS NULL)", Bool, &[Int4]),
    ("({0} IS NOT NULL)", Bool, &[Text]),
    ("({0} IS TRUE)", Bool, &[Bool]),
    ("({0} IS NOT FALSE)", Bool, &[Bool]),
    ("({0} AND {1})", Bool, &[Bool, Bool]),
    ("({0} OR {1})", Bool, &[Bool, Bool]),
    ("(NOT {0})", Bool, &[Bool]),
];

impl Generator<'_> {
    /// An expression of a type.
    pub fn expression(&mut self, kind: Kind, depth: u32, scope: &Scope) -> String {
        let columns = scope.columns(kind);
        let leaf = depth == 0 || self.rng.random_ratio(1, 3);
        if leaf {
            return match columns.choose(self.rng) {
                Some(column) if self.rng.random_ratio(5, 6) => column.clone(),
                _ => kind.literal(self.rng),
            };
        }
        match self.rng.random_range(0..20) {
            0 => self.case(kind, depth - 1, scope),
            1 => {
                let (a, b) = self.pair(kind, depth - 1, scope);
                format!("coalesce({a}, {b})")
            }
            2 => {
                let (a, b) = self.pair(kind, depth - 1, scope);
                format!("nullif({a}, {b})")
            }
            3 if kind.is_plain() && kind != Bool => {
                let (a, b) = self.pair(kind, depth - 1, scope);
                format!("least({a}, {b})")
            }
            4 => self.scalar_subquery(kind, depth - 1, scope),
            5..=7 if kind == Bool => self.subquery_condition(depth - 1, scope),
            _ => self.call(kind, depth - 1, scope),
        }
    }

    fn pair(&mut self, kind: Kind, depth: u32, scope: &Scope) -> (String, String) {
        (self.expression(kind, depth, scope), self.expression(kind, depth, scope))
    }

    fn case(&mut self, kind: Kind, depth: u32, scope: &Scope) -> String {
        let condition = self.expression(Bool, depth, scope);
        let (a, b) = self.pair(kind, depth, scope);
        format!("CASE WHEN {condition} THEN {a} ELSE {b} END")
    }

    fn call(&mut self, kind: Kind, depth: u32, scope: &Scope) -> String {
        let calls: Vec<&Call> = CALLS.iter().filter(|(_, result, _)| *result == kind).collect();
        let Some((text, _, arguments)) = calls.choose(self.rng) else {
            return self.expression(kind, 0, scope);
        };
        let mut text = (*text).to_owned();
        for (number, argument) in arguments.iter().enumerate() {
            let argument = self.expression(*argument, depth, scope);
            text = text.replacen(&format!("{{{number}}}"), &argument.replace('{', "\u{1}"), 1);
        }
        text.replace('\u{1}', "{")
    }
}
