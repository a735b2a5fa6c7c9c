//! Long and deep queries neither end the stack nor take long.
#![allow(clippy::unwrap_used, reason = "helpers of tests end the test")]

use tidemill_expr::FunctionRef;
use tidemill_optimize::{NoDefinitions, optimize, peek_plan, physical};
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{Finishing, Id, QueryExpr, QueryScalar, RelationType};
use tidemill_repr::{ColumnType, Datum, ObjectId, Row, ScalarType};

fn get() -> QueryExpr {
    let typ = RelationType::new(vec![ColumnType::new(ScalarType::Int8); 2]);
    QueryExpr::Get { id: Id::Global(ObjectId::User(1)), typ }
}

fn equals(value: i64) -> QueryScalar {
    let column = QueryScalar::Column(ColumnRef { level: 0, column: 0 });
    let typ = ColumnType::new(ScalarType::Int8).nullable(false);
    let literal = QueryScalar::Literal(Ok(Row::pack([Datum::Int(value)])), typ);
    QueryScalar::Call {
        function: FunctionRef::by_id("int8eq").unwrap(),
        arguments: vec![column, literal],
        typ: ColumnType::new(ScalarType::Bool),
    }
}

fn plan(query: &QueryExpr) {
    let relation = optimize(query, &NoDefinitions).unwrap();
    physical(&[(ObjectId::Transient(1), relation.clone())], &NoDefinitions).unwrap();
    let _ = peek_plan(&relation, &Finishing::default(), &NoDefinitions);
}

#[test]
fn many_disjuncts() {
    let predicate = QueryScalar::Or((0..5000).map(equals).collect());
    plan(&QueryExpr::Filter { input: Box::new(get()), predicates: vec![predicate] });
}

#[test]
fn many_branches() {
    let branch =
        |value| QueryExpr::Filter { input: Box::new(get()), predicates: vec![equals(value)] };
    let mut nested = branch(0);
    for value in 1..1000 {
        nested = QueryExpr::Union { inputs: vec![nested, branch(value)] };
    }
    plan(&nested);
    plan(&QueryExpr::Union { inputs: (0..1000).map(branch).collect() });
}

/// As deep as what still counts as small: such plans get no stack of their own.
#[test]
fn deep_but_small() {
    for depth in (10..130).step_by(20) {
        let mut predicate = equals(0);
        let (mut filters, mut unions) = (get(), get());
        for value in 0..depth {
            predicate = QueryScalar::Not(Box::new(QueryScalar::Or(vec![predicate])));
            let scalars = vec![equals(value)];
            filters = QueryExpr::Map { input: Box::new(filters), scalars };
            filters = QueryExpr::Distinct { input: Box::new(filters) };
            unions = QueryExpr::Union { inputs: vec![unions, get()] };
        }
        plan(&QueryExpr::Filter { input: Box::new(get()), predicates: vec![predicate] });
        plan(&filters);
        plan(&unions);
    }
}
