//! SELECT.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use tidemill_catalog::Catalog;
use tidemill_plan::{Finishing, QueryExpr};
use tidemill_repr::{Diff, ObjectId, Row, SqlError, SqlState, Tick};
use tidemill_sql::plan::{AsOfTick, SelectPlan};

use super::Execution;
use super::own::{OwnRows, OwnWrites};
use super::write::follow_own_write;
use crate::holds::Hold;
use crate::lookup::{self, Lookup};
use crate::read::{self, CachedRead, ReadPlan};
use crate::recency;
use crate::response::{Notice, Response, RowsResponse};
use crate::session::{Session, Transaction};
use crate::snapshot::Snapshot;

/// Executes a SELECT.
pub(crate) async fn select(
    session: &mut Session,
    execution: &Execution<'_>,
    select: &SelectPlan,
) -> Result<Response, SqlError> {
    rows(session, execution, select, "SELECT").await.map(Response::Rows)
}

/// The rows of a SELECT.
pub(crate) async fn rows(
    session: &mut Session,
    execution: &Execution<'_>,
    select: &SelectPlan,
    tag: &'static str,
) -> Result<RowsResponse, SqlError> {
    super::setting::set_config(session, &select.set_config, execution.parameters)?;
    if let Some(rows) = without_planning(session, execution, select).await? {
        let rows = finished(session, rows, select)?;
        return Ok(RowsResponse::ready(select.desc.clone(), tag, rows));
    }
    let query = match execution.parameters {
        [] => Cow::Borrowed(&select.query),
        parameters => Cow::Owned(bound(&select.query, parameters)),
    };
    if select.as_of.is_none() && super::dml::ordered::uses_sequences(session, &query) {
        let rows = super::dml::ordered::select_rows(session, execution, &query).await?;
        let rows = finished(session, rows, select)?;
        return Ok(RowsResponse::ready(select.desc.clone(), tag, rows));
    }
    let catalog = session.catalog(&execution.snapshot);
    let at = session.planning_tick(select.as_of);
    let own = session.own_writes(&execution.snapshot, &query)?;
    let live = own.as_ref().is_some_and(OwnWrites::has_live);
    let wanted = (&*query, &select.finishing);
    let plan =
        read::plan_read(&session.shared, &catalog, wanted, (at, session.cluster()), own.as_ref())?;
    drop(own);
    let read = (&plan, &select.finishing);
    let (rows, tick) = read_at(session, &execution.snapshot, read, select.as_of).await?;
    if session.settings.quick().emit_timestamp_notice {
        let message = SqlError::new(SqlState("00000"), format!("query timestamp: {tick}"));
        session.notice(Notice { severity: "NOTICE", message });
    }
    if !live {
        remember(session, execution, select, plan);
    }
    let rows = finished(session, rows, select)?;
    Ok(RowsResponse::ready(select.desc.clone(), tag, rows))
}

/// The rows in their order, unless they are too many bytes.
fn finished(
    session: &Session,
    rows: Vec<(Row, Diff)>,
    select: &SelectPlan,
) -> Result<Vec<Row>, SqlError> {
    let limit = session.settings.quick().max_query_result_size;
    let size = |(row, diff): &(Row, Diff)| {
        (row.bytes().len() as u64).saturating_mul(u64::try_from(*diff).unwrap_or(0))
    };
    if rows.iter().map(size).fold(0, u64::saturating_add) > limit
        && select.finishing.limit.is_none()
    {
        let shown = session.settings.get("max_query_result_size")?;
        return Err(SqlError::new(
            SqlState::CONFIGURATION_LIMIT_EXCEEDED,
            format!("result exceeds max size of {shown}"),
        )
        .with_hint("Ask for fewer rows, or SET max_query_result_size."));
    }
    crate::finish::finish(rows, &select.finishing)
}

/// The query with its parameters put in.
pub(crate) fn bound(query: &QueryExpr, parameters: &[Row]) -> QueryExpr {
    let mut query = query.clone();
    if !parameters.is_empty() {
        tidemill_sql::query::bind_parameters(&mut query, parameters);
    }
    query
}

/// Whether a read is one of the present state with the committed catalog: its plan is the same
/// for all that are.
fn is_plain(session: &Session, execution: &Execution<'_>, select: &SelectPlan) -> bool {
    let is_old = session.planning_tick(None) < execution.snapshot.catalog_tick;
    !session.has_own() && select.as_of.is_none() && !is_old
}

/// The rows by a plan that an earlier execution left, or by a lookup, which needs none.
async fn without_planning(
    session: &mut Session,
    execution: &Execution<'_>,
    select: &SelectPlan,
) -> Result<Option<Vec<(Row, Diff)>>, SqlError> {
    if !is_plain(session, execution, select) {
        return Ok(None);
    }
    let kept = execution.cache.as_ref().and_then(|cache| cache.load_full());
    match kept.as_deref() {
        Some(CachedRead::Plan(plan)) if *plan.cluster != *session.cluster() => Ok(None),
        Some(CachedRead::Plan(plan)) => {
            let (rows, _) =
                read_at(session, &execution.snapshot, (plan, &select.finishing), None).await?;
            Ok(Some(rows))
        }
        Some(CachedRead::Lookup(_)) if session.waits_for_upstreams() => Ok(None),
        Some(CachedRead::Lookup(lookup)) => look_up(session, execution, lookup).await.map(Some),
        None => {
            let catalog = &execution.snapshot.catalog;
            let at = session.planning_tick(None);
            let found =
                lookup::recognise(&session.shared, catalog, &select.query, (at, session.cluster()));
            let Some(lookup) = found else { return Ok(None) };
            let rows = look_up(session, execution, &lookup).await?;
            if let Some(cache) = &execution.cache {
                cache.store(Some(Arc::new(CachedRead::Lookup(lookup))));
            }
            Ok(Some(rows))
        }
    }
}

async fn look_up(
    session: &mut Session,
    execution: &Execution<'_>,
    lookup: &Lookup,
) -> Result<Vec<(Row, Diff)>, SqlError> {
    let Some(key) = lookup.key(execution.parameters) else { return Ok(Vec::new()) };
    let (tick, snapshot, _hold) = session.pick_tick(None).await?;
    let snapshot = read::wait_hydrated(&session.shared, snapshot, &lookup.bases).await?;
    session.check_catalog(execution.snapshot.catalog_tick, &snapshot)?;
    let tick = session.later_tick(tick);
    check_content(&snapshot, &lookup.bases, tick)?;
    let rows = read::look_up(&session.shared, &snapshot, lookup, &key, tick).await?;
    session.note_read(&lookup.bases);
    Ok(rows)
}

/// Keeps the plan for the next execution of the same prepared statement.
fn remember(session: &Session, execution: &Execution<'_>, select: &SelectPlan, plan: ReadPlan) {
    let Some(cache) = &execution.cache else { return };
    // A query of the session's functions (now()) is planned anew each time it is parsed, which
    // is when these become constants.
    if execution.parameters.is_empty() && is_plain(session, execution, select) {
        cache.store(Some(Arc::new(CachedRead::Plan(plan))));
    }
}

/// Reads by a plan at the session's tick. Gives the tick too.
pub(crate) async fn read_at(
    session: &mut Session,
    snapshot: &Arc<Snapshot>,
    (plan, finishing): (&ReadPlan, &Finishing),
    as_of: Option<AsOfTick>,
) -> Result<(Vec<(Row, Diff)>, Tick), SqlError> {
    let system = |id: &ObjectId| matches!(id, ObjectId::System(_));
    if !plan.is_constant() && !plan.bases.iter().all(system) {
        super::change_catalog::check_cluster(&snapshot.catalog, session.cluster())?;
    }
    if as_of.is_none() && !session.has_read() {
        recency::wait_for_upstreams(session, snapshot, &plan.bases).await?;
    }
    let hydrated = read::wait_hydrated(&session.shared, Arc::clone(snapshot), &plan.bases).await?;
    drop(hydrated);
    let planned_at = snapshot.catalog_tick;
    let (tick, snapshot, _hold) = session.pick_tick(as_of).await?;
    session.check_catalog(planned_at, &snapshot)?;
    check_content(&snapshot, &plan.bases, tick)?;
    let mut snapshot = snapshot;
    if session.has_private_catalog() {
        let mut own = (*snapshot).clone();
        own.catalog = session.catalog(&snapshot);
        snapshot = Arc::new(own);
    }
    let rows = read::read(&session.shared, &snapshot, (plan, finishing), tick).await?;
    if as_of.is_none() {
        session.note_read(&plan.bases);
    }
    Ok((rows, tick))
}

/// A tick before a table's first content must not be read as if the table were empty.
fn check_content(
    snapshot: &Snapshot,
    bases: &BTreeSet<ObjectId>,
    tick: Tick,
) -> Result<(), SqlError> {
    let later = |id| snapshot.hydrated.get(id).is_some_and(|hydrated| *hydrated > tick);
    if !bases.iter().any(later) {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("at {tick}, a table that the query reads was still waiting for its first content"),
    )
    .with_hint("Read as of a later tick, in a transaction that begins now."))
}

impl Session {
    /// The catalog as this session's transaction sees it.
    pub(crate) fn catalog(&self, snapshot: &Snapshot) -> Arc<Catalog> {
        let shared = match &self.transaction {
            Transaction::Open(open) => open.writes.catalog().unwrap_or(&snapshot.catalog),
            _ => &snapshot.catalog,
        };
        self.temporary.on_top(shared)
    }

    /// Whether the session sees a catalog of its own.
    pub(crate) fn has_private_catalog(&self) -> bool {
        self.has_pending_catalog() || !self.temporary.is_empty()
    }

    pub(crate) fn has_pending_catalog(&self) -> bool {
        matches!(&self.transaction, Transaction::Open(open) if open.writes.catalog().is_some())
    }

    /// What was planned on an older catalog is planned again where nobody sees it.
    pub(crate) fn check_catalog(
        &self,
        planned_at: Tick,
        snapshot: &Snapshot,
    ) -> Result<(), SqlError> {
        let lost = !self.has_pending_catalog() && planned_at != snapshot.catalog_tick;
        let in_block = matches!(self.transaction, Transaction::Open(_));
        if lost && !in_block { Err(crate::sequencer::serialization_failure()) } else { Ok(()) }
    }

    /// What the transaction has written cannot be followed in it.
    pub(crate) fn check_followable(&self, bases: &BTreeSet<ObjectId>) -> Result<(), SqlError> {
        if !self.temporary.tables().is_disjoint(bases) {
            return Err(SqlError::unsupported("SUBSCRIBE to a temporary table"));
        }
        match &self.transaction {
            Transaction::Open(open)
                if open.writes.touches(bases.iter().copied())
                    || !open.writes.new_tables().is_disjoint(bases) =>
            {
                Err(follow_own_write())
            }
            _ => Ok(()),
        }
    }

    /// Whether the session sees something that is not committed.
    pub(crate) fn has_own(&self) -> bool {
        self.has_private_catalog()
            || matches!(&self.transaction, Transaction::Open(open) if open.writes.has_rows())
    }

    /// The rows that only this session sees, for planning a read of a query.
    pub(crate) fn own_writes(
        &self,
        snapshot: &Snapshot,
        query: &QueryExpr,
    ) -> Result<Option<OwnWrites>, SqlError> {
        let (mut rows, mut private) = match &self.transaction {
            Transaction::Open(open) => (open.writes.own_rows()?, open.writes.new_tables()),
            _ => (OwnRows::new(), BTreeSet::new()),
        };
        rows.extend(self.temporary.rows().iter().map(|(id, rows)| (*id, rows.clone())));
        private.extend(self.temporary.tables());
        let committed = self.has_private_catalog().then(|| Arc::clone(&snapshot.catalog));
        let live = crate::live::rows_for(self, &self.catalog(snapshot), query);
        let nothing =
            rows.is_empty() && private.is_empty() && committed.is_none() && live.is_empty();
        Ok((!nothing).then(|| OwnWrites::new(rows, private, committed).with_live(live)))
    }

    /// The tick that a read will not be before: what is complete only later must not be planned
    /// with.
    pub(crate) fn planning_tick(&self, as_of: Option<AsOfTick>) -> Tick {
        match (as_of, &self.transaction) {
            (Some(as_of), _) => as_of.tick,
            (None, Transaction::Open(open)) => open.read.as_ref().map_or(Tick::MAX, Hold::tick),
            (None, _) => Tick::MAX,
        }
    }

    /// Whether the transaction block has its tick.
    fn has_read(&self) -> bool {
        matches!(&self.transaction, Transaction::Open(open) if open.read.is_some())
    }

    /// Keeps in mind what a transaction block has read: if it writes, that must still be so. The
    /// built-in relations are left out: drivers look at them all the time, and they change by
    /// themselves.
    fn note_read(&mut self, bases: &BTreeSet<ObjectId>) {
        if let Transaction::Open(open) = &mut self.transaction {
            let tables = bases.iter().filter(|id| matches!(id, ObjectId::User(_)));
            open.tables_read.extend(tables);
        }
    }

    /// The tick to read at, held while the answer is made, with a snapshot that is not older.
    /// Inside a transaction block all reads have the first one's tick.
    pub(crate) async fn pick_tick(
        &mut self,
        as_of: Option<AsOfTick>,
    ) -> Result<(Tick, Arc<Snapshot>, Option<Hold>), SqlError> {
        if let Some(as_of) = as_of {
            return self.tick_as_of(as_of).await;
        }
        if let Transaction::Open(open) = &self.transaction
            && let Some(hold) = &open.read
        {
            return Ok((hold.tick(), self.shared.snapshot(), None));
        }
        let (tick, snapshot, hold) = loop {
            let (tick, snapshot) = self.latest_tick().await?;
            // If time ran away meanwhile, there is a later tick to read.
            if let Ok(hold) = self.shared.holds.try_hold(tick) {
                break (tick, snapshot, hold);
            }
        };
        if let Transaction::Open(open) = &mut self.transaction {
            open.read = Some(hold);
            return Ok((tick, snapshot, None));
        }
        Ok((tick, snapshot, Some(hold)))
    }

    /// The last readable tick, at which the catalog of the snapshot is there too.
    async fn latest_tick(&self) -> Result<(Tick, Arc<Snapshot>), SqlError> {
        let readable = self.shared.completion.readable();
        let snapshot = self.shared.snapshot();
        let tick = readable.max(snapshot.catalog_tick);
        self.shared.wait_readable(tick).await?;
        self.shared.wait_installed(snapshot.catalog_tick).await?;
        Ok((tick, snapshot))
    }

    /// A tick that was picked before waiting, or a later one if the session is free to choose.
    pub(crate) fn later_tick(&self, tick: Tick) -> Tick {
        match &self.transaction {
            Transaction::Open(_) => tick,
            _ => tick.max(self.shared.completion.readable()),
        }
    }

    async fn tick_as_of(
        &self,
        as_of: AsOfTick,
    ) -> Result<(Tick, Arc<Snapshot>, Option<Hold>), SqlError> {
        let mut tick = as_of.tick;
        if as_of.at_least {
            tick = tick.max(self.shared.completion.readable());
        }
        let hold = self.shared.holds.try_hold(tick);
        let hold =
            hold.or_else(|_| self.shared.holds.try_hold_retained(tick)).map_err(|since| {
                SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("the history before {since} is not kept: cannot read as of {tick}"),
                )
                .with_hint(
                    "Use a later AS OF, AS OF AT LEAST, or an object that retains its history.",
                )
            })?;
        self.shared.wait_readable(tick).await?;
        Ok((tick, self.shared.snapshot(), Some(hold)))
    }
}
