//! Physical plans.

use super::expressions::{aggregate_text, conjunction, expression_text, list};
use super::{Text, columns, order, recursion, window};
use crate::physical::{MapFilterProject, PhysicalPlan, TemporalComparison};

fn work(mfp: &MapFilterProject, text: &mut Text<'_>) {
    if mfp.is_identity() {
        return;
    }
    if !mfp.scalars.is_empty() {
        text.line(format!("map=({})", list(&mfp.scalars)));
    }
    if !mfp.predicates.is_empty() {
        let predicates = mfp.predicates.iter().map(|(_, predicate)| predicate);
        text.line(format!("filter=({})", conjunction(predicates)));
    }
    text.line(format!("project=({})", columns(&mfp.projection)));
}

pub(super) fn write(plan: &PhysicalPlan, text: &mut Text<'_>) {
    match plan {
        PhysicalPlan::Constant { rows: Ok(rows) } => {
            text.line(format!("Constant ({} rows)", rows.len()));
        }
        PhysicalPlan::Constant { rows: Err(error) } => text.line(format!("Error \"{error}\"")),
        PhysicalPlan::Get { id, key, literal, mfp } => {
            let name = text.name(*id);
            text.line(match (key, literal) {
                (Some(key), Some(row)) => {
                    format!("Get::Lookup {name} key=({}) value={row:?}", list(&key.0))
                }
                (Some(key), None) => format!("Get::Arrangement {name} key=({})", list(&key.0)),
                _ => format!("Get::Collection {name}"),
            });
            text.deeper(|text| work(mfp, text));
        }
        PhysicalPlan::Let { id, value, body } => {
            text.line("With".to_owned());
            text.deeper(|text| {
                text.line(format!("cte {id} ="));
                text.deeper(|text| write(value, text));
            });
            text.line("Return".to_owned());
            text.deeper(|text| write(body, text));
        }
        PhysicalPlan::LetRec { bindings, limit, body } => {
            recursion(limit, text);
            text.deeper(|text| {
                for binding in bindings {
                    text.line(format!("cte {} ({}) =", binding.id, binding.name));
                    text.deeper(|text| write(&binding.value, text));
                }
            });
            text.line("Return".to_owned());
            text.deeper(|text| write(body, text));
        }
        PhysicalPlan::Mfp { input, mfp } => {
            text.line("Mfp".to_owned());
            text.deeper(|text| {
                work(mfp, text);
                write(input, text);
            });
        }
        PhysicalPlan::TemporalFilter { input, bounds } => {
            let bounds: Vec<String> = bounds
                .iter()
                .map(|bound| {
                    let operator = match bound.comparison {
                        TemporalComparison::From => ">=",
                        TemporalComparison::After => ">",
                        TemporalComparison::Before => "<",
                        TemporalComparison::UpTo => "<=",
                    };
                    format!("mz_now() {operator} {}", expression_text(&bound.expr))
                })
                .collect();
            text.line(format!("TemporalFilter ({})", bounds.join(" AND ")));
            text.deeper(|text| write(input, text));
        }
        PhysicalPlan::FlatMap { input, function, arguments, mfp } => {
            text.line(format!("FlatMap {}({})", function.name, list(arguments)));
            text.deeper(|text| {
                work(mfp, text);
                write(input, text);
            });
        }
        PhysicalPlan::Join(join) => {
            text.line("Join::Linear".to_owned());
            text.deeper(|text| {
                text.line("source".to_owned());
                text.deeper(|text| {
                    work(&join.source_mfp, text);
                    write(&join.source, text);
                });
                for stage in &join.stages {
                    let (left, right) = (list(&stage.stream_key), list(&stage.lookup_key));
                    text.line(format!("lookup ({left}) = ({right})"));
                    text.deeper(|text| {
                        work(&stage.mfp, text);
                        write(&stage.lookup, text);
                    });
                }
            });
        }
        PhysicalPlan::Reduce(reduce) => {
            let aggregates: Vec<String> = reduce.aggregates.iter().map(aggregate_text).collect();
            let (key, aggregates) = (list(&reduce.key), aggregates.join(", "));
            text.line(format!("Reduce key=({key}) aggregates=[{aggregates}]"));
            text.deeper(|text| {
                work(&reduce.mfp, text);
                work(&reduce.input_mfp, text);
                write(&reduce.input, text);
            });
        }
        PhysicalPlan::TopK { input, group_key, order_by, limit, offset, .. } => {
            let limit = limit.as_ref().map_or("none".to_owned(), expression_text);
            let (group, order) = (columns(group_key), order(order_by));
            text.line(format!(
                "TopK group_by=[{group}] order_by=[{order}] limit={limit} offset={offset}"
            ));
            text.deeper(|text| write(input, text));
        }
        PhysicalPlan::Window { input, partition_by, order_by, calls, .. } => {
            text.line(window(partition_by, order_by, calls));
            text.deeper(|text| write(input, text));
        }
        PhysicalPlan::Negate { input } => {
            text.line("Negate".to_owned());
            text.deeper(|text| write(input, text));
        }
        PhysicalPlan::Threshold { input, .. } => {
            text.line("Threshold".to_owned());
            text.deeper(|text| write(input, text));
        }
        PhysicalPlan::Union { inputs } => {
            text.line("Union".to_owned());
            text.deeper(|text| inputs.iter().for_each(|input| write(input, text)));
        }
        PhysicalPlan::ArrangeBy { input, keys, .. } => {
            let keys: Vec<String> = keys.iter().map(|key| format!("({})", list(&key.0))).collect();
            text.line(format!("ArrangeBy keys=[{}]", keys.join(", ")));
            text.deeper(|text| write(input, text));
        }
    }
}
