//! Statements about objects of any kind: clusters, comments, SET SCHEMA and SWAP WITH.

use std::fmt::{self, Display, Formatter};

use sqlparser::ast::{Ident, ObjectName};
use tidemill_catalog::name::quote_literal;

use super::display::{flag, list};
use super::{NamedOption, ObjectKind};

/// A statement about a cluster or its replicas.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterStatement {
    /// `CREATE CLUSTER name (options)`, `CREATE CLUSTER name REPLICAS (r1 (options), ..)`
    Create {
        /// The name.
        name: Ident,
        /// `SIZE`, `REPLICATION FACTOR`, ..
        options: Vec<NamedOption>,
        /// Its replicas, where they are named one by one.
        replicas: Option<Vec<ReplicaDefinition>>,
    },
    /// `ALTER CLUSTER [IF EXISTS] name SET (options)`
    Set {
        /// Whether an absent one is passed over.
        if_exists: bool,
        /// The name.
        name: Ident,
        /// What changes.
        options: Vec<NamedOption>,
        /// `WITH (WAIT ..)`: `TIMEOUT` and `ON TIMEOUT`.
        wait: Option<Vec<NamedOption>>,
    },
    /// `ALTER CLUSTER [IF EXISTS] name RESET (names)`
    Reset {
        /// Whether an absent one is passed over.
        if_exists: bool,
        /// The name.
        name: Ident,
        /// What goes back to its default.
        options: Vec<NamedOption>,
    },
    /// `CREATE CLUSTER REPLICA cluster.name (options)`
    CreateReplica {
        /// The cluster.
        cluster: Ident,
        /// The replica.
        replica: ReplicaDefinition,
    },
    /// `DROP CLUSTER REPLICA [IF EXISTS] cluster.name, ..`
    DropReplicas {
        /// Whether absent ones are passed over.
        if_exists: bool,
        /// Cluster and name of each.
        names: Vec<(Ident, Ident)>,
    },
    /// `ALTER CLUSTER REPLICA [IF EXISTS] cluster.name RENAME TO name`
    RenameReplica {
        /// Whether an absent one is passed over.
        if_exists: bool,
        /// The cluster.
        cluster: Ident,
        /// The replica.
        name: Ident,
        /// Its new name.
        to: Ident,
    },
}

/// `name (options)`
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaDefinition {
    /// The name.
    pub name: Ident,
    /// `SIZE`, ..
    pub options: Vec<NamedOption>,
}

/// What a comment is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommentKind {
    /// An object, schema, database or cluster.
    Object(ObjectKind),
    /// A column.
    Column,
    /// A replica of a cluster.
    ClusterReplica,
    /// A role.
    Role,
    /// A constraint; its table is named apart.
    Constraint,
}

/// `COMMENT ON kind name IS 'text'`
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// The kind of thing.
    pub kind: CommentKind,
    /// Its name.
    pub name: ObjectName,
    /// The table of a constraint.
    pub table: Option<ObjectName>,
    /// The comment; None takes it away.
    pub text: Option<String>,
}

/// `ALTER kind [IF EXISTS] name {SET SCHEMA s | SWAP WITH b}`
#[derive(Clone, Debug, PartialEq)]
pub struct MoveObject {
    /// What is changed.
    pub kind: ObjectKind,
    /// Whether an absent one is passed over.
    pub if_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// The change.
    pub to: MoveTo,
}

/// Where an object goes.
#[derive(Clone, Debug, PartialEq)]
pub enum MoveTo {
    /// `SET SCHEMA schema`
    Schema(ObjectName),
    /// `SWAP WITH other`
    Swap(Ident),
}

impl ClusterStatement {
    /// The clusters that must be there.
    pub fn named(&self) -> Vec<&str> {
        match self {
            ClusterStatement::Create { .. } => Vec::new(),
            ClusterStatement::Set { name, .. } | ClusterStatement::Reset { name, .. } => {
                vec![&name.value]
            }
            ClusterStatement::CreateReplica { cluster, .. }
            | ClusterStatement::RenameReplica { cluster, .. } => vec![&cluster.value],
            ClusterStatement::DropReplicas { names, .. } => {
                names.iter().map(|(cluster, _)| cluster.value.as_str()).collect()
            }
        }
    }
}

impl Display for ReplicaDefinition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, list(&self.options))
    }
}

impl Display for ClusterStatement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exists = |if_exists: &bool| flag(*if_exists, "IF EXISTS ");
        match self {
            ClusterStatement::Create { name, replicas: Some(replicas), .. } => {
                write!(f, "CREATE CLUSTER {name} REPLICAS ({})", list(replicas))
            }
            ClusterStatement::Create { name, options, replicas: None } => {
                write!(f, "CREATE CLUSTER {name} ({})", list(options))
            }
            ClusterStatement::Set { if_exists, name, options, wait } => {
                write!(f, "ALTER CLUSTER {}{name} SET ({})", exists(if_exists), list(options))?;
                match wait {
                    Some(wait) => write!(f, " WITH (WAIT UNTIL READY ({}))", list(wait)),
                    None => Ok(()),
                }
            }
            ClusterStatement::Reset { if_exists, name, options } => {
                write!(f, "ALTER CLUSTER {}{name} RESET ({})", exists(if_exists), list(options))
            }
            ClusterStatement::CreateReplica { cluster, replica } => {
                write!(f, "CREATE CLUSTER REPLICA {cluster}.{replica}")
            }
            ClusterStatement::DropReplicas { if_exists, names } => {
                let names: Vec<String> =
                    names.iter().map(|(cluster, name)| format!("{cluster}.{name}")).collect();
                write!(f, "DROP CLUSTER REPLICA {}{}", exists(if_exists), names.join(", "))
            }
            ClusterStatement::RenameReplica { if_exists, cluster, name, to } => {
                let exists = exists(if_exists);
                write!(f, "ALTER CLUSTER REPLICA {exists}{cluster}.{name} RENAME TO {to}")
            }
        }
    }
}

impl Display for Comment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("COMMENT ON ")?;
        match self.kind {
            CommentKind::Object(kind) => write!(f, "{kind}")?,
            CommentKind::Column => f.write_str("COLUMN")?,
            CommentKind::ClusterReplica => f.write_str("CLUSTER REPLICA")?,
            CommentKind::Role => f.write_str("ROLE")?,
            CommentKind::Constraint => f.write_str("CONSTRAINT")?,
        }
        write!(f, " {} ", self.name)?;
        if let Some(table) = &self.table {
            write!(f, "ON {table} ")?;
        }
        f.write_str("IS ")?;
        match &self.text {
            Some(text) => f.write_str(&quote_literal(text)),
            None => f.write_str("NULL"),
        }
    }
}

impl Display for MoveObject {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exists = flag(self.if_exists, "IF EXISTS ");
        write!(f, "ALTER {} {exists}{} ", self.kind, self.name)?;
        match &self.to {
            MoveTo::Schema(schema) => write!(f, "SET SCHEMA {schema}"),
            MoveTo::Swap(other) => write!(f, "SWAP WITH {other}"),
        }
    }
}
