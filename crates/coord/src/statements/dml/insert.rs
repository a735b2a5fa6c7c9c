//! INSERT, with ON CONFLICT.

use std::collections::{HashMap, HashSet};

use tidemill_repr::{ObjectId, Row, SqlError, SqlState};
use tidemill_sql::plan::{ConflictPlan, InsertPlan, KeyCheck};

use super::keys::{KeyReader, key_of};
use super::{Changes, Respond, compute, earlier, finish, program, push_times, split};
use crate::response::Response;
use crate::session::Session;
use crate::statements::Execution;

/// Executes an INSERT.
pub(crate) async fn insert(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &InsertPlan,
) -> Result<Response, SqlError> {
    let computed = compute(session, execution, &plan.query).await?;
    let mut rows = Vec::new();
    for (row, count) in computed.rows {
        plan.check.check(row.as_ref())?;
        push_times(&mut rows, &row, count);
    }
    let mut changes = Changes { read: computed.read, ..Changes::default() };
    let returned = match &plan.conflict {
        None => {
            changes.rows = rows.iter().map(|row| (row.clone(), 1)).collect();
            rows
        }
        Some(conflict) => upsert(session, execution, plan, conflict, rows, &mut changes).await?,
    };
    let count = i64::try_from(returned.len()).unwrap_or(i64::MAX);
    let returning = plan.returning.as_ref();
    let respond = Respond { tag: "INSERT 0", count, returning, returned };
    finish(session, execution, plan.table, &plan.check, changes, respond).await
}

/// Rows by the index and key that they have.
type Keys = HashSet<(ObjectId, Row)>;

/// Adds the rows whose keys are not there, does what is to be done about the others, and gives
/// the rows that were written.
async fn upsert(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &InsertPlan,
    conflict: &ConflictPlan,
    rows: Vec<Row>,
    changes: &mut Changes,
) -> Result<Vec<Row>, SqlError> {
    let mut reader = KeyReader::new(session, execution, plan.table, &plan.check).await?;
    let arbiters: Vec<&KeyCheck> = plan
        .check
        .keys
        .iter()
        .filter(|key| conflict.arbiters.is_empty() || conflict.arbiters.contains(&key.index))
        .collect();
    let mut written = Keys::new();
    // What is written, by the position of the row that it is written for.
    let mut results: HashMap<usize, Row> = HashMap::new();
    let mut pairs: Vec<(usize, Row)> = Vec::new();
    for (position, row) in rows.iter().enumerate() {
        let mut there = None;
        let mut twice = false;
        for key in &arbiters {
            let Some(value) = key_of(key, row.as_ref())? else { continue };
            if written.contains(&(key.index, value.clone())) {
                twice = true;
                break;
            }
            there = reader.existing(key, &value).await?;
            if there.is_some() {
                break;
            }
        }
        if twice {
            if conflict.update.is_some() {
                return Err(hit_twice());
            }
            continue;
        }
        match &there {
            None => {
                note(&mut written, &arbiters, row)?;
                changes.rows.push((row.clone(), 1));
                results.insert(position, row.clone());
            }
            Some(existing) => {
                if conflict.update.is_none() {
                    continue;
                }
                note(&mut written, &arbiters, existing)?;
                pairs.push((position, super::join(&[existing.as_ref(), row.as_ref()])));
            }
        }
    }
    if let Some(update) = &conflict.update {
        let arity = plan.check.desc.arity();
        let (positions, rows): (Vec<usize>, Vec<Row>) = pairs.into_iter().unzip();
        let computed = program::run_each(session, execution, update, rows).await?;
        changes.read = earlier(changes.read.take(), computed.read);
        for (position, row) in positions.into_iter().zip(computed.rows) {
            let Some(row) = row else { continue };
            let [old, _, new] = split(row.as_ref(), [arity, arity]);
            plan.check.check(new)?;
            changes.replace(old, new, 1);
            results.insert(position, new.to_owned());
        }
    }
    changes.looked_up = reader.into_looked_up();
    let mut results: Vec<(usize, Row)> = results.into_iter().collect();
    results.sort_unstable_by_key(|(position, _)| *position);
    Ok(results.into_iter().map(|(_, row)| row).collect())
}

fn note(written: &mut Keys, keys: &[&KeyCheck], row: &Row) -> Result<(), SqlError> {
    for key in keys {
        if let Some(value) = key_of(key, row.as_ref())? {
            written.insert((key.index, value));
        }
    }
    Ok(())
}

fn hit_twice() -> SqlError {
    SqlError::new(
        SqlState::CARDINALITY_VIOLATION,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
    )
    .with_hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate \
         constrained values.",
    )
}
