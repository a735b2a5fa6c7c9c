//! SUBSCRIBE, and COPY .. TO STDOUT.

use tidemill_plan::physical::Export;
use tidemill_repr::{SqlError, SqlState, Tick};
use tidemill_sql::plan::{CopyPlan, Plan, SubscribePlan};

use super::Execution;
use super::select::{bound, rows};
use crate::activity::ListedSubscription;
use crate::read;
use crate::response::{Response, RowsResponse};
use crate::session::Session;
use crate::subscription::{Subscription, SubscriptionSource, SubscriptionStyle};

/// Starts a SUBSCRIBE.
pub(crate) async fn subscribe(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &SubscribePlan,
) -> Result<RowsResponse, SqlError> {
    let query = bound(&plan.query, execution.parameters);
    let shared = &session.shared;
    let catalog = session.catalog(&execution.snapshot);
    let at = plan.as_of.map_or(Tick::MAX, |as_of| as_of.tick);
    let definitions = read::CatalogDefinitions::new(&catalog, shared, session.cluster()).at(at);
    let relation = tidemill_optimize::optimize(&query, &definitions)?;
    let bases = read::bases_of(&catalog, &relation);
    session.check_followable(&bases)?;
    super::change_catalog::check_cluster(&catalog, session.cluster())?;
    if plan.as_of.is_none() {
        crate::recency::wait_for_upstreams(session, &execution.snapshot, &bases).await?;
    }
    let snapshot =
        read::wait_hydrated(shared, std::sync::Arc::clone(&execution.snapshot), &bases).await?;
    let object = shared.transient_id();
    let id = shared.transient_id();
    let dataflow =
        read::relation_dataflow(shared, &catalog, relation, object, (at, session.cluster()))?;
    let as_of = match plan.as_of {
        Some(as_of) => {
            let (tick, _, hold) = session.pick_tick(Some(as_of)).await?;
            Some((tick, hold))
        }
        None => None,
    };
    let start = as_of.as_ref().map_or(Tick::MIN, |(tick, _)| *tick);
    if let Some(until) = plan.up_to
        && until <= start.max(if as_of.is_none() { snapshot.tick } else { Tick::MIN })
    {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("UP TO {until} is not after the subscription's beginning"),
        ));
    }
    let export = Export::Subscribe { id, on: object, snapshot: plan.snapshot };
    let mut description = dataflow.describe(id, start, plan.up_to, vec![export]);
    crate::follow::describe_followed(&session.shared, &catalog, &mut description);
    let on = read::replica_for(&session.shared, &catalog, session.cluster(), &description)?;
    let batches = on.replica.subscribe(id);
    // Whoever cancels from here on leaves no dataflow behind.
    let shared = std::sync::Arc::clone(&session.shared);
    let unwanted = read::DropDataflow::new(&shared, id);
    let as_of = shared.install(description, &on).await?;
    unwanted.keep();
    let source = SubscriptionSource { dataflow: id, batches, as_of, until: plan.up_to };
    let listed = ListedSubscription {
        session: session.backend.session,
        cluster: session.cluster().to_owned(),
        created_at: crate::clock::wall_timestamp(),
        bases: bases.into_iter().collect(),
    };
    shared.activity.subscribe(id, listed);
    let desc = plan.output_desc();
    let (form, arity) = (plan.form.clone(), desc.arity());
    let style = SubscriptionStyle { form, progress: plan.progress, arity };
    let subscription = Subscription::new(std::sync::Arc::clone(&session.shared), source, style);
    Ok(RowsResponse::live(desc, "SUBSCRIBE", subscription))
}

/// Executes COPY .. TO STDOUT.
pub(crate) async fn copy(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &CopyPlan,
) -> Result<Response, SqlError> {
    let rows = match &*plan.source {
        Plan::Select(select) => rows(session, execution, select, "COPY").await?,
        Plan::Subscribe(plan) => {
            let mut rows = subscribe(session, execution, plan).await?;
            rows.tag = "COPY";
            rows
        }
        _ => return Err(SqlError::unsupported("COPY of this statement")),
    };
    Ok(Response::CopyOut(plan.options.clone(), rows))
}
