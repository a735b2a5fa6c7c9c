//! Queries.

use super::expressions::query_expression_text;
use super::{Text, columns, order, recursion, window};
use crate::{QueryExpr, QueryScalar};

fn list(expressions: &[QueryScalar]) -> String {
    expressions.iter().map(query_expression_text).collect::<Vec<_>>().join(", ")
}

pub(super) fn write(query: &QueryExpr, text: &mut Text<'_>) {
    let (head, inputs): (String, Vec<&QueryExpr>) = match query {
        QueryExpr::Constant { rows, .. } => (format!("Constant ({} rows)", rows.len()), Vec::new()),
        QueryExpr::Get { id, .. } => (format!("Get {}", text.name(*id)), Vec::new()),
        QueryExpr::Let { id, name, value, body } => {
            text.line("With".to_owned());
            text.deeper(|text| {
                text.line(format!("cte {id} ({name}) ="));
                text.deeper(|text| write(value, text));
            });
            text.line("Return".to_owned());
            text.deeper(|text| write(body, text));
            return;
        }
        QueryExpr::LetRec { bindings, limit, body } => {
            recursion(limit, text);
            text.deeper(|text| {
                for binding in bindings {
                    text.line(format!("cte {} ({}) =", binding.id, binding.name));
                    text.deeper(|text| write(&binding.value, text));
                }
            });
            text.line("Return".to_owned());
            text.deeper(|text| write(body, text));
            return;
        }
        QueryExpr::Project { input, outputs } => {
            (format!("Project ({})", columns(outputs)), vec![input])
        }
        QueryExpr::Map { input, scalars } => (format!("Map ({})", list(scalars)), vec![input]),
        QueryExpr::Filter { input, predicates } => {
            (format!("Filter {}", list(predicates)), vec![input])
        }
        QueryExpr::FlatMap { input, function, arguments, .. } => {
            (format!("FlatMap {}({})", function.name, list(arguments)), vec![input])
        }
        QueryExpr::Join { left, right, on, kind, lateral } => {
            let lateral = if *lateral { "Lateral" } else { "" };
            let on = query_expression_text(on);
            (format!("{kind:?}{lateral}Join {on}"), vec![left, right])
        }
        QueryExpr::Reduce { input, group_key, aggregates } => {
            let aggregates: Vec<String> = aggregates
                .iter()
                .map(|a| format!("{:?}({})", a.kind, query_expression_text(&a.argument)))
                .collect();
            let aggregates = aggregates.join(", ").to_lowercase();
            let group = columns(group_key);
            (format!("Reduce group_by=[{group}] aggregates=[{aggregates}]"), vec![input])
        }
        QueryExpr::Distinct { input } => ("Distinct".to_owned(), vec![input]),
        QueryExpr::TopK { input, group_key, order_by, limit, offset } => {
            let limit = limit.as_ref().map_or("none".to_owned(), query_expression_text);
            let (group, order) = (columns(group_key), order(order_by));
            let head =
                format!("TopK group_by=[{group}] order_by=[{order}] limit={limit} offset={offset}");
            (head, vec![input])
        }
        QueryExpr::Window { input, partition_by, order_by, calls } => {
            (window(partition_by, order_by, calls), vec![input])
        }
        QueryExpr::Negate { input } => ("Negate".to_owned(), vec![input]),
        QueryExpr::Threshold { input } => ("Threshold".to_owned(), vec![input]),
        QueryExpr::Union { inputs } => ("Union".to_owned(), inputs.iter().collect()),
    };
    text.line(head);
    text.deeper(|text| inputs.into_iter().for_each(|input| write(input, text)));
}
