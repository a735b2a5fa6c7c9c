//! MERGE.

use std::collections::HashMap;

use tidemill_repr::{Datum, Diff, Row, RowRef, SqlError, SqlState};
use tidemill_sql::plan::{MergeAction, MergePlan};

use super::{Changes, Respond, compute, finish, join, push_times, split};
use crate::response::Response;
use crate::session::Session;
use crate::statements::Execution;

/// Executes a MERGE.
pub(crate) async fn merge(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &MergePlan,
) -> Result<Response, SqlError> {
    let computed = compute(session, execution, &plan.query).await?;
    let arity = plan.check.desc.arity();
    let mut changes = Changes { read: computed.read, ..Changes::default() };
    let mut returned = Vec::new();
    let mut count = 0;
    let mut touched: HashMap<Row, Diff> = HashMap::new();
    for (row, times) in &computed.rows {
        let merged = Merged::of(row.as_ref(), arity, plan);
        let Some(action) = merged.action else { continue };
        if action != MergeAction::Insert {
            let touched = touched.entry(merged.old.to_owned()).or_default();
            *touched += times;
            if *touched > merged.count {
                return Err(hit_twice());
            }
        }
        let shown = match action {
            MergeAction::Nothing => continue,
            MergeAction::Insert => {
                plan.check.check(merged.new)?;
                changes.rows.push((merged.new.to_owned(), *times));
                merged.new
            }
            MergeAction::Update => {
                plan.check.check(merged.new)?;
                changes.replace(merged.old, merged.new, *times);
                merged.new
            }
            MergeAction::Delete => {
                changes.rows.push((merged.old.to_owned(), -times));
                merged.old
            }
        };
        count += times;
        if plan.returning.is_some() {
            push_times(&mut returned, &join(&[merged.source, shown]), *times);
        }
    }
    let respond = Respond { tag: "MERGE", count, returning: plan.returning.as_ref(), returned };
    finish(session, execution, plan.table, &plan.check, changes, respond).await
}

/// The parts of a joined row.
struct Merged<'r> {
    old: RowRef<'r>,
    count: Diff,
    source: RowRef<'r>,
    action: Option<MergeAction>,
    new: RowRef<'r>,
}

impl<'r> Merged<'r> {
    fn of(row: RowRef<'r>, arity: usize, plan: &MergePlan) -> Merged<'r> {
        let [old, count, rest] = split(row, [arity, 1]);
        let [source, marks, new] = split(rest, [plan.source, 2]);
        let number = |datum: Option<Datum<'_>>| match datum {
            Some(Datum::Int(number)) => number,
            _ => 0,
        };
        let action = usize::try_from(number(marks.iter().nth(1)) - 1).ok();
        Merged {
            old,
            count: number(count.iter().next()),
            source,
            action: action.and_then(|action| plan.actions.get(action).copied()),
            new,
        }
    }
}

fn hit_twice() -> SqlError {
    SqlError::new(SqlState::CARDINALITY_VIOLATION, "MERGE command cannot affect row a second time")
        .with_hint("Ensure that not more than one source row matches any one target row.")
}
