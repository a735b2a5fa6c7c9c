//! Relations.

use super::expressions::{aggregate_text, conjunction, expression_text, list};
use super::{Text, columns, order, recursion, window};
use crate::RelationExpr;

pub(super) fn write(relation: &RelationExpr, text: &mut Text<'_>) {
    let head = match relation {
        RelationExpr::Constant { rows: Ok(rows), .. } if rows.is_empty() => {
            "Constant <empty>".to_owned()
        }
        RelationExpr::Constant { rows: Ok(rows), .. } => format!("Constant ({} rows)", rows.len()),
        RelationExpr::Constant { rows: Err(error), .. } => format!("Error \"{error}\""),
        RelationExpr::Get { id, .. } => format!("Get {}", text.name(*id)),
        RelationExpr::Let { id, value, body } => {
            text.line("With".to_owned());
            text.deeper(|text| {
                text.line(format!("cte {id} ="));
                text.deeper(|text| write(value, text));
            });
            text.line("Return".to_owned());
            text.deeper(|text| write(body, text));
            return;
        }
        RelationExpr::LetRec { bindings, limit, body } => {
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
        RelationExpr::Project { outputs, .. } => format!("Project ({})", columns(outputs)),
        RelationExpr::Map { scalars, .. } => format!("Map ({})", list(scalars)),
        RelationExpr::Filter { predicates, .. } => {
            format!("Filter {}", conjunction(predicates.iter()))
        }
        RelationExpr::FlatMap { function, arguments, .. } => {
            format!("FlatMap {}({})", function.name, list(arguments))
        }
        RelationExpr::Join { equivalences, .. } if equivalences.is_empty() => {
            "CrossJoin".to_owned()
        }
        RelationExpr::Join { equivalences, .. } => {
            let classes: Vec<String> = equivalences
                .iter()
                .map(|class| class.iter().map(expression_text).collect::<Vec<_>>().join(" = "))
                .collect();
            format!("Join on=({})", classes.join(" AND "))
        }
        RelationExpr::Reduce { group_key, aggregates, .. } if aggregates.is_empty() => {
            format!("Distinct [{}]", list(group_key))
        }
        RelationExpr::Reduce { group_key, aggregates, .. } => {
            let aggregates: Vec<String> = aggregates.iter().map(aggregate_text).collect();
            let aggregates = aggregates.join(", ");
            format!("Reduce group_by=[{}] aggregates=[{aggregates}]", list(group_key))
        }
        RelationExpr::TopK { group_key, order_by, limit, offset, .. } => {
            let limit = limit.as_ref().map_or("none".to_owned(), expression_text);
            let (group, order) = (columns(group_key), order(order_by));
            format!("TopK group_by=[{group}] order_by=[{order}] limit={limit} offset={offset}")
        }
        RelationExpr::Window { partition_by, order_by, calls, .. } => {
            window(partition_by, order_by, calls)
        }
        RelationExpr::Negate { .. } => "Negate".to_owned(),
        RelationExpr::Threshold { .. } => "Threshold".to_owned(),
        RelationExpr::Union { .. } => "Union".to_owned(),
    };
    text.line(head + &text.annotations.of(relation));
    text.deeper(|text| relation.children().into_iter().for_each(|child| write(child, text)));
}
