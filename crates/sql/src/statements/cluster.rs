//! CREATE, ALTER and DROP of clusters and their replicas.

use sqlparser::ast::Ident;
use tidemill_catalog::cluster::{SIZES, known_size};
use tidemill_catalog::{CatalogChange, Cluster, ClusterReplica, Definition, Item};
use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::drop::{cascade_notice, dependants_exist, with_dependants};
use super::options::{Options, milliseconds};
use super::{Planning, command, nothing};
use crate::ast::{
    ClusterStatement, DropObjects, NamedOption, OptionValue, ReplicaDefinition, Statement,
};
use crate::names;
use crate::parse::parse;
use crate::plan::{ChangeCatalogPlan, DropPlan, Notice, Plan, Planned, ReplicaWait};

/// The most replicas of a cluster.
const REPLICAS: usize = 16;

/// What the options of a cluster say.
#[derive(Default)]
struct ClusterOptions {
    size: Option<&'static str>,
    factor: Option<usize>,
    managed: Option<bool>,
    /// When it runs: None in it is always.
    on_refresh: Option<Option<u64>>,
    notices: Vec<Notice>,
}

fn cluster_options(
    statement: &'static str,
    given: &[NamedOption],
) -> Result<ClusterOptions, SqlError> {
    let mut options = Options::new(statement, given)?;
    let mut found = ClusterOptions::default();
    if let Some(size) = options.text("SIZE")? {
        found.size = Some(known_size(&size).ok_or_else(|| unknown_size(&size))?);
    }
    if let Some(factor) = options.text("REPLICATION FACTOR")? {
        let factor = factor.parse::<usize>().ok().filter(|factor| *factor <= REPLICAS);
        found.factor = Some(factor.ok_or_else(|| {
            let wanted = format!("a whole number from 0 to {REPLICAS}");
            options.wrong("REPLICATION FACTOR", &wanted)
        })?);
    }
    found.managed = options.boolean("MANAGED")?;
    found.on_refresh = schedule(&mut options)?;
    if found.on_refresh.flatten().is_some() && found.factor.is_some() {
        return Err(scheduled_factor());
    }
    for name in [
        "DISK",
        "AVAILABILITY ZONE",
        "AVAILABILITY ZONES",
        "INTROSPECTION INTERVAL",
        "INTROSPECTION DEBUGGING",
        "WORKLOAD CLASS",
    ] {
        if options.take(name).is_some() {
            let message = format!("option {name} of {statement} is accepted and has no effect");
            found.notices.push(Notice::new(SqlState::WARNING, message));
        }
    }
    options.finish()?;
    Ok(found)
}

/// `SCHEDULE = {MANUAL | ON REFRESH [(HYDRATION TIME ESTIMATE = '..')]}`
fn schedule(options: &mut Options<'_>) -> Result<Option<Option<u64>>, SqlError> {
    const NAME: &str = "SCHEDULE";
    const ESTIMATE: &str = "HYDRATION TIME ESTIMATE";
    match options.take(NAME) {
        None => Ok(None),
        Some(OptionValue::OnRefresh(given)) => {
            let mut given = Options::new(NAME, given)?;
            let estimate = match given.text(ESTIMATE)? {
                Some(text) => milliseconds(&text)
                    .ok_or_else(|| given.wrong(ESTIMATE, "a time span, such as '10 minutes'"))?,
                None => 0,
            };
            given.finish()?;
            Ok(Some(Some(estimate)))
        }
        Some(OptionValue::Name(word)) if word.to_string().eq_ignore_ascii_case("manual") => {
            Ok(Some(None))
        }
        Some(OptionValue::Text(word)) if word.eq_ignore_ascii_case("manual") => Ok(Some(None)),
        Some(_) => Err(options.wrong(NAME, "MANUAL or ON REFRESH")),
    }
}

fn scheduled_factor() -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        "REPLICATION FACTOR cannot be given together with any SCHEDULE other than MANUAL",
    )
}

fn unknown_size(size: &str) -> SqlError {
    let names: Vec<&str> = SIZES.iter().map(|(size, ..)| *size).collect();
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unknown cluster replica size {size}"))
        .with_hint(format!("Valid sizes are: {}.", names.join(", ")))
}

fn size_missing(what: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("SIZE must be specified for {what}"))
}

fn change(changes: Vec<CatalogChange>, tag: &'static str, notices: Vec<Notice>) -> Planned {
    let mut planned = command(Plan::ChangeCatalog(ChangeCatalogPlan { changes, tag, wait: None }));
    planned.notices = notices;
    planned
}

impl Planning<'_> {
    pub(super) fn cluster_statement(
        &self,
        statement: &ClusterStatement,
    ) -> Result<Planned, SqlError> {
        match statement {
            ClusterStatement::Create { name, options, replicas } => {
                self.create_cluster(name, options, replicas.as_deref())
            }
            ClusterStatement::Set { if_exists, name, options, wait } => {
                let planned = self.set_cluster(*if_exists, &name.value, options)?;
                self.waiting(planned, &name.value, wait.as_deref())
            }
            ClusterStatement::Reset { if_exists, name, options } => {
                self.reset_cluster(*if_exists, &name.value, options)
            }
            ClusterStatement::CreateReplica { cluster, replica } => {
                self.create_replica(&cluster.value, replica)
            }
            ClusterStatement::DropReplicas { if_exists, names } => {
                self.drop_replicas(*if_exists, names)
            }
            ClusterStatement::RenameReplica { if_exists, cluster, name, to } => {
                self.rename_replica(*if_exists, &cluster.value, &name.value, &to.value)
            }
        }
    }

    /// The cluster of a name, which the system does not keep for itself.
    pub(super) fn changeable_cluster(&self, name: &str) -> Result<&Cluster, SqlError> {
        let cluster = self.planner.catalog.require_cluster(name)?;
        if cluster.system {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("system cluster \"{name}\" cannot be modified"),
            ));
        }
        Ok(cluster)
    }

    /// A replica of a cluster that may be changed.
    pub(super) fn replica(&self, cluster: &str, name: &str) -> Result<&Cluster, SqlError> {
        let found = self.changeable_cluster(cluster)?;
        if found.replica(name).is_none() {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("cluster replica \"{cluster}.{name}\" does not exist"),
            ));
        }
        Ok(found)
    }

    /// What is told of an object on a cluster that does nothing.
    pub(super) fn idle_cluster(&self, name: &str) -> Option<Notice> {
        if self.planner.catalog.cluster_runs(name) {
            return None;
        }
        let message = format!(
            "cluster \"{name}\" has no replicas: nothing is computed on it until it has one"
        );
        Some(Notice::new(SqlState("00000"), message))
    }

    fn create_cluster(
        &self,
        name: &Ident,
        options: &[NamedOption],
        replicas: Option<&[ReplicaDefinition]>,
    ) -> Result<Planned, SqlError> {
        const STATEMENT: &str = "CREATE CLUSTER";
        self.free_cluster_name(&name.value)?;
        let catalog = self.planner.catalog;
        let mut next = catalog.next_number();
        let mut cluster = Cluster {
            id: next,
            name: name.value.clone(),
            owner: self.planner.session.user.to_owned(),
            system: false,
            managed_size: None,
            replicas: Vec::new(),
            on_refresh: None,
        };
        let mut notices = Vec::new();
        if let Some(replicas) = replicas {
            for replica in replicas {
                next += 1;
                notices.extend(add_replica(&mut cluster, replica, next, "REPLICAS")?);
            }
        } else {
            let found = cluster_options(STATEMENT, options)?;
            if found.managed == Some(false) {
                let scheduled = found.on_refresh.flatten().is_some();
                if found.size.is_some() || found.factor.is_some() || scheduled {
                    return Err(unmanaged_option());
                }
            } else {
                let size = found.size.ok_or_else(|| size_missing("managed clusters"))?;
                cluster.on_refresh = found.on_refresh.flatten();
                // What is computed at times gets its replica when the time comes.
                let first = usize::from(cluster.on_refresh.is_none());
                cluster.manage(size, found.factor.unwrap_or(first), next + 1);
            }
            notices = found.notices;
        }
        Ok(change(vec![CatalogChange::PutCluster(cluster)], STATEMENT, notices))
    }

    fn free_cluster_name(&self, name: &str) -> Result<(), SqlError> {
        names::check_length(name)?;
        if name.starts_with("mz_") || name.starts_with("pg_") {
            return Err(SqlError::new(
                SqlState::RESERVED_NAME,
                format!("unacceptable cluster name \"{name}\""),
            )
            .with_detail("The prefixes \"mz_\" and \"pg_\" are reserved for system clusters."));
        }
        if self.planner.catalog.cluster(name).is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_OBJECT,
                format!("cluster \"{name}\" already exists"),
            ));
        }
        Ok(())
    }

    /// The cluster that ALTER names; None, with what is told, if IF EXISTS passes it over.
    fn altered(&self, if_exists: bool, name: &str) -> Result<Result<Cluster, Planned>, SqlError> {
        if if_exists && self.planner.catalog.cluster(name).is_none() {
            let message = format!("cluster \"{name}\" does not exist, skipping");
            return Ok(Err(nothing("ALTER CLUSTER", SqlState("00000"), message)));
        }
        Ok(Ok(self.changeable_cluster(name)?.clone()))
    }

    fn set_cluster(
        &self,
        if_exists: bool,
        name: &str,
        options: &[NamedOption],
    ) -> Result<Planned, SqlError> {
        const STATEMENT: &str = "ALTER CLUSTER";
        let mut cluster = match self.altered(if_exists, name)? {
            Ok(cluster) => cluster,
            Err(planned) => return Ok(planned),
        };
        let found = cluster_options(STATEMENT, options)?;
        let managed = found.managed.unwrap_or(cluster.managed_size.is_some());
        if managed {
            let size = match (found.size, &cluster.managed_size) {
                (Some(size), _) => size.to_owned(),
                (None, Some(size)) => size.clone(),
                (None, None) => match cluster.replicas.as_slice() {
                    [] => return Err(size_missing("managed clusters")),
                    [first, rest @ ..] => {
                        if rest.iter().any(|other| other.size != first.size) {
                            return Err(size_missing("clusters with replicas of several sizes"));
                        }
                        first.size.clone()
                    }
                },
            };
            if let Some(on_refresh) = found.on_refresh {
                cluster.on_refresh = on_refresh;
            }
            if cluster.on_refresh.is_some() && found.factor.is_some() {
                return Err(scheduled_factor());
            }
            let factor = found.factor.unwrap_or(cluster.replicas.len());
            cluster.manage(&size, factor, self.planner.catalog.next_number());
        } else {
            let scheduled = found.on_refresh.flatten().is_some();
            if found.size.is_some() || found.factor.is_some() || scheduled {
                return Err(unmanaged_option());
            }
            cluster.managed_size = None;
            cluster.on_refresh = None;
        }
        Ok(change(vec![CatalogChange::PutCluster(cluster)], STATEMENT, found.notices))
    }

    /// `WITH (WAIT ..)`
    fn waiting(
        &self,
        mut planned: Planned,
        name: &str,
        wait: Option<&[NamedOption]>,
    ) -> Result<Planned, SqlError> {
        let Some(wait) = wait else { return Ok(planned) };
        let mut options = Options::new("WAIT", wait)?;
        let timeout = options.required_text("TIMEOUT")?;
        let timeout = milliseconds(&timeout)
            .ok_or_else(|| options.wrong("TIMEOUT", "a time span, such as '10 minutes'"))?;
        let rolls_back = match options.text("ON TIMEOUT")?.map(|text| text.to_lowercase()) {
            None => false,
            Some(word) if word == "commit" => false,
            Some(word) if word == "rollback" => true,
            Some(_) => return Err(options.wrong("ON TIMEOUT", "COMMIT or ROLLBACK")),
        };
        options.finish()?;
        if let (Plan::ChangeCatalog(plan), Some(before)) =
            (&mut planned.plan, self.planner.catalog.cluster(name))
        {
            let back = vec![CatalogChange::PutCluster(Cluster::clone(before))];
            let otherwise = rolls_back.then_some(back);
            plan.wait = Some(ReplicaWait { cluster: name.to_owned(), timeout, otherwise });
        }
        Ok(planned)
    }

    fn reset_cluster(
        &self,
        if_exists: bool,
        name: &str,
        options: &[NamedOption],
    ) -> Result<Planned, SqlError> {
        let mut cluster = match self.altered(if_exists, name)? {
            Ok(cluster) => cluster,
            Err(planned) => return Ok(planned),
        };
        let mut notices = Vec::new();
        for option in options {
            match (option.name.as_str(), &option.value) {
                ("REPLICATION FACTOR", OptionValue::None) => {
                    let Some(size) = cluster.managed_size.clone() else {
                        return Err(unmanaged_option());
                    };
                    if cluster.on_refresh.is_some() {
                        return Err(scheduled_factor());
                    }
                    cluster.manage(&size, 1, self.planner.catalog.next_number());
                }
                ("SCHEDULE", OptionValue::None) => cluster.on_refresh = None,
                ("SIZE", OptionValue::None) => return Err(size_missing("managed clusters")),
                (_, OptionValue::None) => {
                    let one = std::slice::from_ref(option);
                    notices.extend(cluster_options("ALTER CLUSTER", one)?.notices);
                }
                (name, _) => {
                    let message = format!("RESET of option {name} takes no value");
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
            }
        }
        Ok(change(vec![CatalogChange::PutCluster(cluster)], "ALTER CLUSTER", notices))
    }

    fn create_replica(
        &self,
        cluster: &str,
        replica: &ReplicaDefinition,
    ) -> Result<Planned, SqlError> {
        const STATEMENT: &str = "CREATE CLUSTER REPLICA";
        let mut cluster = self.changeable_cluster(cluster)?.clone();
        refuse_managed(&cluster)?;
        let next = self.planner.catalog.next_number();
        let notices = add_replica(&mut cluster, replica, next, STATEMENT)?;
        Ok(change(vec![CatalogChange::PutCluster(cluster)], STATEMENT, notices))
    }

    fn drop_replicas(
        &self,
        if_exists: bool,
        names: &[(Ident, Ident)],
    ) -> Result<Planned, SqlError> {
        let mut changes = Vec::new();
        let mut notices = Vec::new();
        for (cluster, name) in names {
            let found = match self.replica(&cluster.value, &name.value) {
                Ok(found) => found,
                Err(error) if if_exists && error.code == SqlState::UNDEFINED_OBJECT => {
                    let message = format!("{}, skipping", error.message);
                    notices.push(Notice::new(SqlState("00000"), message));
                    continue;
                }
                Err(error) => return Err(error),
            };
            refuse_managed(found)?;
            // Several replicas of one cluster go one after the other.
            let earlier = changes.iter().rev().find_map(|change| match change {
                CatalogChange::PutCluster(earlier) if earlier.id == found.id => Some(earlier),
                _ => None,
            });
            let mut changed: Cluster = earlier.unwrap_or(found).clone();
            changed.replicas.retain(|replica| replica.name != name.value);
            changes.push(CatalogChange::PutCluster(changed));
        }
        Ok(change(changes, "DROP CLUSTER REPLICA", notices))
    }

    fn rename_replica(
        &self,
        if_exists: bool,
        cluster: &str,
        name: &str,
        to: &str,
    ) -> Result<Planned, SqlError> {
        const TAG: &str = "ALTER CLUSTER REPLICA";
        let mut changed = match self.replica(cluster, name) {
            Ok(found) => found.clone(),
            Err(error) if if_exists && error.code == SqlState::UNDEFINED_OBJECT => {
                let message = format!("{}, skipping", error.message);
                return Ok(nothing(TAG, SqlState("00000"), message));
            }
            Err(error) => return Err(error),
        };
        refuse_managed(&changed)?;
        names::check_length(to)?;
        if changed.replica(to).is_some() {
            return Err(replica_exists(cluster, to));
        }
        for replica in changed.replicas.iter_mut().filter(|replica| replica.name == name) {
            to.clone_into(&mut replica.name);
        }
        Ok(change(vec![CatalogChange::PutCluster(changed)], TAG, Vec::new()))
    }

    /// `ALTER CLUSTER .. RENAME TO`
    pub(super) fn rename_cluster(
        &self,
        if_exists: bool,
        name: &str,
        to: &str,
    ) -> Result<Planned, SqlError> {
        let cluster = match self.altered(if_exists, name)? {
            Ok(cluster) => cluster,
            Err(planned) => return Ok(planned),
        };
        self.free_cluster_name(to)?;
        let mut changes = self.moved_to_cluster(name, to);
        changes.insert(0, CatalogChange::PutCluster(Cluster { name: to.to_owned(), ..cluster }));
        Ok(change(changes, "ALTER CLUSTER", Vec::new()))
    }

    /// `ALTER CLUSTER .. SWAP WITH`
    pub(super) fn swap_clusters(
        &self,
        if_exists: bool,
        name: &str,
        other: &str,
    ) -> Result<Planned, SqlError> {
        let cluster = match self.altered(if_exists, name)? {
            Ok(cluster) => cluster,
            Err(planned) => return Ok(planned),
        };
        let second = self.changeable_cluster(other)?.clone();
        let between = format!("mz_swap_{}", cluster.id);
        let put = |cluster: &Cluster, name: &str| {
            CatalogChange::PutCluster(Cluster { name: name.to_owned(), ..cluster.clone() })
        };
        let mut changes = vec![put(&cluster, &between), put(&second, name), put(&cluster, other)];
        changes.extend(self.moved_to_cluster(name, other));
        changes.extend(self.moved_to_cluster(other, name));
        Ok(change(changes, "ALTER CLUSTER", Vec::new()))
    }

    /// The objects of a cluster as they are when it has another name.
    fn moved_to_cluster(&self, from: &str, to: &str) -> Vec<CatalogChange> {
        let put =
            |item: &std::sync::Arc<Item>| CatalogChange::PutItem(Box::new(on_cluster(item, to)));
        self.planner.catalog.items_on_cluster(from).map(put).collect()
    }

    pub(super) fn drop_clusters(&self, statement: &DropObjects) -> Result<Planned, SqlError> {
        const TAG: &str = "DROP CLUSTER";
        let catalog = self.planner.catalog;
        let mut plan = DropPlan { tag: TAG, ..DropPlan::default() };
        let mut notices = Vec::new();
        let mut named: Vec<ObjectId> = Vec::new();
        for name in &statement.names {
            let name = names::parts(name)?.join(".");
            if catalog.cluster(&name).is_none() && statement.if_exists {
                let message = format!("cluster \"{name}\" does not exist, skipping");
                notices.push(Notice::new(SqlState("00000"), message));
                continue;
            }
            self.changeable_cluster(&name)?;
            let on: Vec<&Item> = catalog.items_on_cluster(&name).map(|item| &**item).collect();
            if statement.cascade != Some(true) && !on.is_empty() {
                let line = |item: &&Item| {
                    format!("{} {} depends on cluster {name}", item.kind(), item.name.item)
                };
                let lines: Vec<String> = on.iter().map(line).collect();
                return Err(dependants_exist(format!("cannot drop cluster {name}"), &lines)
                    .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            for item in &on {
                super::drop::refuse_needed(catalog, item)?;
            }
            named.extend(on.iter().map(|item| item.id));
            plan.changes.push(CatalogChange::DropCluster { name });
        }
        plan.items = with_dependants(self.naming(), &named, true, &mut Vec::new())?;
        let items = plan.items.iter().filter_map(|id| catalog.item(*id)).map(|item| &**item);
        notices.extend(cascade_notice(self.naming(), items.collect()));
        let mut planned = command(Plan::Drop(plan));
        planned.notices = notices;
        Ok(planned)
    }

    /// The statement that makes a cluster as it is.
    pub(super) fn cluster_sql(cluster: &Cluster) -> String {
        let name = names::ident(&cluster.name);
        let text = |size: &str| OptionValue::Text(size.to_owned());
        let option = |name: &str, value| NamedOption { name: name.to_owned(), value };
        match (&cluster.managed_size, cluster.on_refresh) {
            (Some(size), Some(estimate)) => {
                let estimate = OptionValue::Text(format!("{estimate} milliseconds"));
                let estimate = option("HYDRATION TIME ESTIMATE", estimate);
                let schedule = OptionValue::OnRefresh(vec![estimate]);
                let options = vec![option("SIZE", text(size)), option("SCHEDULE", schedule)];
                ClusterStatement::Create { name, options, replicas: None }.to_string()
            }
            (Some(size), None) => {
                let factor = OptionValue::Number(cluster.replicas.len().to_string());
                let options =
                    vec![option("REPLICATION FACTOR", factor), option("SIZE", text(size))];
                ClusterStatement::Create { name, options, replicas: None }.to_string()
            }
            (None, _) => {
                let replicas = cluster.replicas.iter().map(|replica| ReplicaDefinition {
                    name: names::ident(&replica.name),
                    options: vec![option("SIZE", text(&replica.size))],
                });
                let replicas = Some(replicas.collect());
                ClusterStatement::Create { name, options: Vec::new(), replicas }.to_string()
            }
        }
    }
}

fn refuse_managed(cluster: &Cluster) -> Result<(), SqlError> {
    if cluster.managed_size.is_none() {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("cannot modify replicas of managed cluster \"{}\"", cluster.name),
    )
    .with_hint("Use ALTER CLUSTER .. SET (REPLICATION FACTOR = ..), or SET (MANAGED = false)."))
}

fn unmanaged_option() -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        "SIZE and REPLICATION FACTOR are options of managed clusters",
    )
    .with_hint("Set MANAGED as well.")
}

fn replica_exists(cluster: &str, name: &str) -> SqlError {
    SqlError::new(
        SqlState::DUPLICATE_OBJECT,
        format!("cluster replica \"{cluster}.{name}\" already exists"),
    )
}

fn add_replica(
    cluster: &mut Cluster,
    replica: &ReplicaDefinition,
    id: u64,
    statement: &'static str,
) -> Result<Vec<Notice>, SqlError> {
    let name = &replica.name.value;
    names::check_length(name)?;
    if cluster.replica(name).is_some() {
        return Err(replica_exists(&cluster.name, name));
    }
    let found = cluster_options(statement, &replica.options)?;
    if found.factor.is_some() || found.managed.is_some() {
        return Err(unmanaged_option());
    }
    let size = found.size.ok_or_else(|| size_missing("cluster replicas"))?.to_owned();
    if cluster.replicas.len() >= REPLICAS {
        return Err(SqlError::new(
            SqlState::CONFIGURATION_LIMIT_EXCEEDED,
            format!("a cluster has at most {REPLICAS} replicas"),
        ));
    }
    cluster.replicas.push(ClusterReplica { id, name: name.clone(), size });
    cluster.replicas.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found.notices)
}

/// An object as it is on another cluster.
pub(super) fn on_cluster(item: &Item, cluster: &str) -> Item {
    let mut item = item.clone();
    match &mut item.definition {
        Definition::MaterializedView(materialized) => cluster.clone_into(&mut materialized.cluster),
        Definition::Index(index) => cluster.clone_into(&mut index.cluster),
        Definition::Source(source) => cluster.clone_into(&mut source.cluster),
        _ => {}
    }
    let parsed = parse(&item.create_sql).ok().and_then(|mut parsed| parsed.pop());
    if let Some(mut parsed) = parsed {
        let named = Some(names::ident(cluster));
        match &mut parsed.statement {
            Statement::CreateView(create) => create.cluster = named,
            Statement::CreateIndex(create) => create.cluster = named,
            Statement::CreateSource(create) => create.cluster = named,
            // The index of a constraint: its text names no cluster.
            _ => return item,
        }
        item.create_sql = parsed.statement.to_string();
    }
    item
}
