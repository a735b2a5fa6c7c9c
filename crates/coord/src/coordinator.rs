//! The server's start and end: from a data directory to running dataflows and sources.
//!
//! Everything derived is a function of the ledger, so a start is: read the ledger, put the
//! catalog together from its changes, plan its views, create its dataflows at the last tick and
//! feed them, and let the sources go on from their positions.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tidemill_catalog::role::Verifier;
use tidemill_catalog::{Catalog, CatalogChange, builtin};
use tidemill_ledger::{Ledger, Recovered};
use tidemill_repr::{ObjectId, SqlError, SqlState, Tick};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::wall_tick;
use crate::durable::DurableChange;
use crate::refresh::{self, Refreshes};
use crate::replicas::{self, Replicas};
use crate::sequencer::{self, CatalogCommit, Commit};
use crate::sequences::Sequences;
use crate::session::{Session, SessionOptions};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::sources::Sources;
use crate::statements::followed;
use crate::{slots, status};

/// How the server runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the ledger is.
    pub data_dir: PathBuf,
    /// Threads that run dataflows.
    pub workers: usize,
}

/// The running server.
pub struct Coordinator {
    pub(crate) shared: Arc<Shared>,
    next_session: AtomicI32,
    tasks: Vec<JoinHandle<()>>,
}

/// How many requests wait for the sequencer before sessions and sources wait.
const REQUESTS: usize = 4096;

/// The database every server has.
pub const DEFAULT_DATABASE: &str = "materialize";

impl Coordinator {
    /// Opens a data directory and starts all that is defined in it.
    ///
    /// # Errors
    /// The directory cannot be used, or what is in it cannot be read.
    pub async fn open(options: Options) -> Result<Coordinator, SqlError> {
        let directory = options.data_dir.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let (ledger, recovered) = Ledger::open(&directory, tidemill_ledger::Options::default())
                .map_err(|error| crate::ledger_error(&error))?;
            let secrets = ledger.secrets().map_err(|error| crate::ledger_error(&error))?;
            Ok::<_, SqlError>((ledger, recovered, secrets))
        });
        let (ledger, recovered, secrets) = opened.await.map_err(SqlError::internal)??;
        let replicas = Replicas::new(options.workers).map_err(SqlError::internal)?;
        let is_new = recovered.catalog.is_empty();
        let snapshot = recover(&recovered)?;
        let (requests, receiver) = mpsc::channel(REQUESTS);
        let positions: HashMap<ObjectId, Vec<u8>> = recovered.positions.into_iter().collect();
        let sequences = Sequences::recovered(&positions);
        let refreshes = Refreshes::recovered(&snapshot.catalog, &positions);
        let mut shared = Shared::new(ledger, replicas, secrets, snapshot, sequences, requests);
        shared.refreshes = refreshes;
        let shared = Arc::new(shared);
        start_builtins(&shared);
        let begun = shared.snapshot();
        let longest = begun.catalog.items().filter_map(|item| item.retain_history()).max();
        let from = Tick(begun.tick.0.saturating_sub(longest.unwrap_or(0)));
        shared.holds.begin_retained(from);
        sequencer::begin_replicas(&shared, &shared.snapshot());
        start_dataflows(&shared);
        Sources::reconcile(&shared, &positions);
        let tasks = vec![
            tokio::spawn(sequencer::run(Arc::clone(&shared), receiver)),
            tokio::spawn(status::run(Arc::downgrade(&shared))),
            tokio::spawn(Sources::run(Arc::downgrade(&shared))),
            tokio::spawn(slots::run(Arc::downgrade(&shared))),
            tokio::spawn(followed::forget_unfinished(Arc::downgrade(&shared))),
            tokio::spawn(replicas::run(Arc::downgrade(&shared))),
            tokio::spawn(refresh::run(Arc::downgrade(&shared))),
        ];
        let coordinator = Coordinator { shared, next_session: AtomicI32::new(1), tasks };
        if is_new {
            coordinator.bootstrap().await?;
        }
        Ok(coordinator)
    }

    /// The database and schema that a new data directory has.
    async fn bootstrap(&self) -> Result<(), SqlError> {
        let snapshot = self.shared.snapshot();
        let owner = "materialize".to_owned();
        let changes = vec![
            CatalogChange::CreateDatabase {
                id: 1,
                oid: Catalog::oid_for(1),
                name: DEFAULT_DATABASE.to_owned(),
                owner: owner.clone(),
            },
            CatalogChange::CreateSchema {
                id: 2,
                oid: Catalog::oid_for(2),
                database: DEFAULT_DATABASE.to_owned(),
                name: "public".to_owned(),
                owner,
            },
        ];
        let catalog = CatalogCommit {
            planned_at: snapshot.catalog_tick,
            base: Arc::clone(&snapshot.catalog),
            next: Arc::new(snapshot.catalog.apply(&changes)?),
            changes,
            dataflows: Vec::new(),
        };
        self.shared.commit(Commit { catalog: Some(catalog), ..Commit::default() }).await?;
        Ok(())
    }

    /// A new session.
    pub fn session(&self, options: SessionOptions) -> Session {
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        Session::new(Arc::clone(&self.shared), id, options)
    }

    /// Whether there is a database with this name.
    pub fn has_database(&self, name: &str) -> bool {
        self.shared.snapshot().catalog.database(name).is_some()
    }

    /// Whether a client may connect as a role from an address (None: one that is trusted).
    ///
    /// # Errors
    /// There is no such role, it may not log in, or not from there (`28000`).
    pub fn login(&self, user: &str, address: Option<std::net::IpAddr>) -> Result<(), SqlError> {
        let refused = |message: String| SqlError::new(SqlState::INVALID_AUTHORIZATION, message);
        let snapshot = self.shared.snapshot();
        let catalog = &snapshot.catalog;
        if let (Some(address), Some([name])) = (address, catalog.system_setting("network_policy"))
            && let Some(policy) = catalog.network_policy(name)
            && !policy.allows(address)
        {
            return Err(refused("session denied".to_owned())
                .with_detail(format!("Access denied for address {address}.")));
        }
        let role =
            catalog.role(user).ok_or_else(|| refused(format!("role \"{user}\" does not exist")))?;
        if !role.login {
            return Err(refused(format!("role \"{user}\" is not permitted to log in")));
        }
        Ok(())
    }

    /// What the password of a role is checked with, if it has one.
    pub fn verifier(&self, user: &str) -> Option<Verifier> {
        self.shared.snapshot().catalog.role(user)?.password.clone()
    }

    /// Whether one more session is one too many, by the setting `max_connections`.
    pub fn is_full(&self, user: &str) -> bool {
        let snapshot = self.shared.snapshot();
        let limit = snapshot.catalog.system_setting("max_connections");
        let limit = limit.and_then(|values| values.first()?.parse::<usize>().ok());
        let alive = self.shared.activity.count();
        limit.is_some_and(|limit| !snapshot.catalog.is_superuser(user) && alive >= limit)
    }

    /// Cancels what a session runs, if the key is the session's.
    pub fn cancel(&self, session: i32, key: &[u8]) {
        if let Some(backend) = self.shared.activity.backend(session) {
            backend.cancel_with(key);
        }
    }

    /// Lets the replicas of a cluster fail as if an operator had panicked, for tests.
    #[doc(hidden)]
    pub fn fail_cluster(&self, name: &str) {
        let pool = replicas::PoolId::named(&self.shared.snapshot().catalog, name);
        for running in self.shared.replicas.of_pool(pool) {
            running.replica.fail();
        }
    }

    /// Stops the sources and tasks. Everything acknowledged is durable already.
    pub async fn shut_down(self) {
        self.shared.sources.stop().await;
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// The state that the ledger tells of.
fn recover(recovered: &Recovered) -> Result<Snapshot, SqlError> {
    let mut catalog = Catalog::empty().apply(&builtin::changes())?;
    let mut snapshot = Snapshot {
        tick: recovered.upper.max(wall_tick()),
        catalog: Arc::default(),
        catalog_tick: recovered.upper,
        last_change: imbl::HashMap::new(),
        table_errors: imbl::HashMap::new(),
        repaired: imbl::HashMap::new(),
        resynced: imbl::HashMap::new(),
        hydrating: imbl::HashSet::new(),
        hydrated: imbl::HashMap::new(),
    };
    for value in &recovered.catalog {
        let change: DurableChange = serde_json::from_value(value.clone()).map_err(|error| {
            SqlError::new(
                SqlState::DATA_CORRUPTED,
                format!("a catalog change in the ledger cannot be read: {error}"),
            )
            .with_hint("The data directory may be from a newer version of Tidemill.")
        })?;
        match change {
            DurableChange::Catalog(change) => {
                note_table(&mut snapshot, &catalog, &change);
                catalog = catalog.apply(std::slice::from_ref(&change))?;
            }
            DurableChange::SnapshotDone(id) => {
                snapshot.hydrating.remove(&id);
            }
            DurableChange::TableError(id, error) => {
                snapshot.table_errors.insert(id, (recovered.upper, error));
            }
            DurableChange::Resynced(id, number) => {
                snapshot.table_errors.remove(&id);
                snapshot.hydrating.remove(&id);
                snapshot.resynced.insert(id, number);
            }
        }
    }
    snapshot.catalog = Arc::new(crate::statements::replan::replan(catalog)?);
    Ok(snapshot)
}

fn note_table(snapshot: &mut Snapshot, catalog: &Catalog, change: &CatalogChange) {
    match change {
        // A table that is put again was renamed: it keeps the content it has.
        CatalogChange::PutItem(item)
            if sequencer::waits_for_content(item) && catalog.item(item.id).is_none() =>
        {
            snapshot.hydrating.insert(item.id);
        }
        CatalogChange::DropItem(id) => {
            snapshot.hydrating.remove(id);
            snapshot.table_errors.remove(id);
            snapshot.resynced.remove(id);
        }
        _ => {}
    }
}

/// Gives the built-in relations their first content.
fn start_builtins(shared: &Shared) {
    let snapshot = shared.snapshot();
    for (id, batch) in sequencer::builtin_changes(&Catalog::default(), &snapshot.catalog) {
        shared.volatile.append(id, snapshot.tick, batch, Tick::MIN);
    }
}

/// Creates the dataflows of all indexes and materialized views, as of the last tick.
fn start_dataflows(shared: &Arc<Shared>) {
    let snapshot = shared.snapshot();
    let is_maintained = crate::statements::change_catalog::is_maintained;
    let all = snapshot.catalog.items().filter(|item| is_maintained(&snapshot.catalog, item));
    let all = all.map(|item| item.id).collect();
    sequencer::maintain(shared, &snapshot.catalog, &all, snapshot.tick);
}
