//! Clusters: named pools of compute, and their replicas.

use serde::{Deserialize, Serialize};

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Identity, apart from objects' ids.
    pub id: u64,
    /// The name.
    pub name: String,
    /// The role that owns it.
    pub owner: String,
    /// Whether it is there for the system itself, and cannot be changed.
    #[serde(default)]
    pub system: bool,
    /// The size of its replicas, where they are managed; None: replicas are made one by one.
    pub managed_size: Option<String>,
    /// Its replicas, by name.
    pub replicas: Vec<ClusterReplica>,
    /// Where it runs only while its materialized views are computed at their times: how many
    /// milliseconds before that it begins.
    #[serde(default)]
    pub on_refresh: Option<u64>,
}

/// A replica of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterReplica {
    /// Identity, among replicas.
    pub id: u64,
    /// The name.
    pub name: String,
    /// The size.
    pub size: String,
}

/// The cluster that sessions begin with.
pub const DEFAULT_CLUSTER: &str = "quickstart";

/// The size of the clusters that are there from the first start.
pub const FIRST_SIZE: &str = "25cc";

/// The sizes of replicas: name, hundredths of credits an hour, worker threads.
pub const SIZES: &[(&str, i64, usize)] = &[
    ("25cc", 25, 1),
    ("50cc", 50, 1),
    ("100cc", 100, 1),
    ("200cc", 200, 2),
    ("300cc", 300, 3),
    ("400cc", 400, 4),
    ("600cc", 600, 6),
    ("800cc", 800, 8),
    ("1200cc", 1200, 12),
    ("1600cc", 1600, 16),
    ("3200cc", 3200, 32),
    ("3xsmall", 25, 1),
    ("2xsmall", 50, 1),
    ("xsmall", 100, 1),
    ("small", 200, 2),
    ("medium", 400, 4),
    ("large", 800, 8),
    ("xlarge", 1600, 16),
    ("2xlarge", 3200, 32),
    ("3xlarge", 6400, 64),
    ("4xlarge", 12_800, 128),
    ("5xlarge", 25_600, 256),
    ("6xlarge", 51_200, 512),
];

/// The size of this name, as it is written in the catalog.
pub fn known_size(name: &str) -> Option<&'static str> {
    SIZES.iter().map(|(size, ..)| *size).find(|size| size.eq_ignore_ascii_case(name))
}

/// How many worker threads a replica of this size has.
pub fn size_workers(name: &str) -> usize {
    SIZES.iter().find(|(size, ..)| *size == name).map_or(1, |(.., workers)| *workers)
}

impl Cluster {
    /// Whether it has a replica that can work.
    pub fn has_replicas(&self) -> bool {
        !self.replicas.is_empty()
    }

    /// `u1` for clusters of users, `s1` for those of the system.
    pub fn id_text(&self) -> String {
        format!("{}{}", if self.system { 's' } else { 'u' }, self.id)
    }

    /// The replica of this name.
    pub fn replica(&self, name: &str) -> Option<&ClusterReplica> {
        self.replicas.iter().find(|replica| replica.name == name)
    }

    /// Gives a managed cluster so many replicas of its size, `r1` first. Replicas of another size
    /// become replicas of this one; `next` numbers new ones.
    pub fn manage(&mut self, size: &str, replicas: usize, mut next: u64) {
        self.managed_size = Some(size.to_owned());
        self.replicas.truncate(replicas);
        for (index, replica) in self.replicas.iter_mut().enumerate() {
            replica.name = format!("r{}", index + 1);
            size.clone_into(&mut replica.size);
        }
        while self.replicas.len() < replicas {
            let name = format!("r{}", self.replicas.len() + 1);
            self.replicas.push(ClusterReplica { id: next, name, size: size.to_owned() });
            next += 1;
        }
    }
}

/// The clusters of a new database: the default one, and those of the system.
pub(crate) fn first_clusters() -> Vec<Cluster> {
    let system = ["mz_system", "mz_catalog_server", "mz_probe", "mz_support", "mz_analytics"];
    let cluster = |id, name: &str, system: bool, replicas| {
        let mut cluster = Cluster {
            id,
            name: name.to_owned(),
            owner: "mz_system".to_owned(),
            system,
            managed_size: None,
            replicas: Vec::new(),
            on_refresh: None,
        };
        cluster.manage(FIRST_SIZE, replicas, id);
        cluster
    };
    let systems = system.iter().zip(1..).map(|(name, id)| {
        // Nothing runs on the last two until somebody asks for support.
        cluster(id, name, true, usize::from(id <= 3))
    });
    systems.chain([cluster(1, DEFAULT_CLUSTER, false, 1)]).collect()
}
