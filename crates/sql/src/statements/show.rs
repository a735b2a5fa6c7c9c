//! SHOW: lists of objects are queries over the catalog's relations.

use sqlparser::ast::ObjectName;
use tidemill_catalog::ItemKind;
use tidemill_catalog::name::quote_literal;
use tidemill_repr::{ColumnType, RelationDesc, ScalarType, SqlError, SqlState};

use super::drop::item_kind;
use super::{Planning, rows};
use crate::ast::{ObjectKind, Show, ShowFilter, ShowKind, Statement};
use crate::names;
use crate::parse::parse;
use crate::plan::{Plan, Planned};

impl Planning<'_> {
    pub(super) fn show(&self, statement: &Show) -> Result<Planned, SqlError> {
        match statement {
            Show::Variable(name) => {
                let text = ColumnType::new(ScalarType::Text);
                let desc = RelationDesc::new([(name.value.clone(), text)]);
                Ok(rows(Plan::ShowVariable(name.value.clone()), Vec::new(), desc))
            }
            Show::All => {
                let text = || ColumnType::new(ScalarType::Text);
                let names = ["name", "setting", "description"];
                let desc = RelationDesc::new(names.map(|name| (name, text())));
                Ok(rows(Plan::ShowAllVariables, Vec::new(), desc))
            }
            Show::Create(kind, name) => self.show_create(*kind, name),
            Show::Objects { .. } => self.sql(&self.show_objects(statement)?),
        }
    }

    /// Plans a query that is given as text.
    pub(super) fn sql(&self, text: &str) -> Result<Planned, SqlError> {
        let parsed = parse(text)?.pop();
        let Some(parsed) = parsed else { return Err(SqlError::internal("an empty query")) };
        let Statement::Query(query) = &parsed.statement else {
            return Err(SqlError::internal("SHOW without query"));
        };
        let planning = Planning { text: &parsed.whole, statement: &parsed, ..*self };
        // The place is one in a text that the client never saw.
        planning.select(query).map_err(|error| SqlError { position: None, ..error })
    }

    fn show_create(&self, kind: ObjectKind, name: &ObjectName) -> Result<Planned, SqlError> {
        if kind == ObjectKind::Cluster {
            let name = names::parts(name)?.join(".");
            let cluster = self.planner.catalog.require_cluster(&name)?;
            return self.sql(&format!(
                "SELECT {}::text AS name, {}::text AS create_sql",
                quote_literal(&name),
                quote_literal(&Self::cluster_sql(cluster))
            ));
        }
        let Some((kind, _)) = item_kind(kind) else {
            return Err(SqlError::unsupported(format_args!("SHOW CREATE {kind}")));
        };
        if kind == ItemKind::Secret {
            return Err(SqlError::unsupported("SHOW CREATE SECRET"));
        }
        let item = self.item(name, &[kind])?;
        self.sql(&format!(
            "SELECT {}::text AS name, {}::text AS create_sql",
            quote_literal(&item.name.to_string()),
            quote_literal(&item.create_sql)
        ))
    }

    fn show_objects(&self, statement: &Show) -> Result<String, SqlError> {
        let Show::Objects { kind, from, on, cluster, filter } = statement else {
            return Err(SqlError::internal("SHOW"));
        };
        let mut conditions = Vec::new();
        let mut query = listing(*kind).to_owned();
        match kind {
            ShowKind::Columns => {
                let Some(relation) = from else { return Err(SqlError::internal("SHOW COLUMNS")) };
                let kinds = [ItemKind::Table, ItemKind::View, ItemKind::MaterializedView];
                let item = self.item(relation, &kinds)?;
                conditions.push(format!("o.id = {}", quote_literal(&item.id.to_string())));
            }
            ShowKind::Databases | ShowKind::Clusters | ShowKind::ClusterReplicas => {
                if let Some(from) = from {
                    return Err(SqlError::unsupported(format_args!("SHOW {kind} FROM {from}")));
                }
            }
            ShowKind::Schemas => {
                let database = match from {
                    None => self.planner.session.database.to_owned(),
                    Some(name) => names::parts(name)?.join("."),
                };
                let exists = self.planner.catalog.database(&database).is_some();
                if !exists {
                    return Err(SqlError::new(
                        SqlState::INVALID_CATALOG_NAME,
                        format!("database \"{database}\" does not exist"),
                    ));
                }
                let database = quote_literal(&database);
                conditions.push(format!("(d.name = {database} OR o.database_id IS NULL)"));
            }
            ShowKind::Indexes | ShowKind::Subsources if on.is_some() => {}
            _ => conditions.push(self.in_schema(from.as_ref())?),
        }
        if let Some(on) = on {
            conditions.push(self.on_object(*kind, on)?);
        }
        if let Some(cluster) = cluster {
            self.planner.catalog.require_cluster(&cluster.value)?;
            conditions.push(in_cluster(*kind, &cluster.value)?);
        }
        if !conditions.is_empty() {
            let joined = conditions.join(" AND ");
            let word = if query.contains(" WHERE ") { "AND" } else { "WHERE" };
            query = format!("{query} {word} {joined}");
        }
        let order = match kind {
            ShowKind::Columns => "position",
            ShowKind::ClusterReplicas => "cluster, replica",
            _ => "name",
        };
        let columns = shown_columns(*kind);
        let filter = match filter {
            None => String::new(),
            Some(ShowFilter::Like(pattern)) => {
                let name = if *kind == ShowKind::ClusterReplicas { "cluster" } else { "name" };
                format!(" WHERE {name} LIKE {}", quote_literal(pattern))
            }
            Some(ShowFilter::Where(condition)) => format!(" WHERE {condition}"),
        };
        Ok(format!("SELECT {columns} FROM ({query}) AS objects{filter} ORDER BY {order}"))
    }

    /// The condition for the objects of a schema: the one that is named, or those of the search
    /// path.
    fn in_schema(&self, from: Option<&ObjectName>) -> Result<String, SqlError> {
        let session = self.planner.session;
        let (database, schemas) = match from {
            None => (session.database.to_owned(), session.search_path.to_vec()),
            Some(name) => match names::parts(name)?.as_slice() {
                [schema] => (session.database.to_owned(), vec![schema.clone()]),
                [database, schema] => (database.clone(), vec![schema.clone()]),
                parts => {
                    return Err(SqlError::new(
                        SqlState::SYNTAX_ERROR,
                        format!("improper schema name: {}", parts.join(".")),
                    ));
                }
            },
        };
        let catalog = self.planner.catalog;
        if let (Some(_), [schema]) = (from, schemas.as_slice())
            && catalog.schema(&database, schema).is_none()
        {
            return Err(SqlError::new(
                SqlState::INVALID_SCHEMA_NAME,
                format!("schema \"{schema}\" does not exist"),
            ));
        }
        if schemas.is_empty() {
            return Ok("false".to_owned());
        }
        let list: Vec<String> = schemas.iter().map(|schema| quote_literal(schema)).collect();
        let database = quote_literal(&database);
        Ok(format!(
            "s.name IN ({}) AND (d.name = {database} OR s.database_id IS NULL)",
            list.join(", ")
        ))
    }

    fn on_object(&self, kind: ShowKind, on: &ObjectName) -> Result<String, SqlError> {
        let (column, kinds): (_, &[ItemKind]) = match kind {
            ShowKind::Indexes => {
                ("o.on_id", &[ItemKind::Table, ItemKind::View, ItemKind::MaterializedView])
            }
            ShowKind::Subsources | ShowKind::Tables => ("o.source_id", &[ItemKind::Source]),
            _ => return Err(SqlError::unsupported(format_args!("SHOW {kind} ON"))),
        };
        let item = self.item(on, kinds)?;
        Ok(format!("{column} = {}", quote_literal(&item.id.to_string())))
    }
}

fn in_cluster(kind: ShowKind, cluster: &str) -> Result<String, SqlError> {
    match kind {
        ShowKind::Sources | ShowKind::MaterializedViews | ShowKind::Indexes | ShowKind::Objects => {
            Ok(format!("cl.name = {}", quote_literal(cluster)))
        }
        ShowKind::ClusterReplicas => Ok(format!("c.name = {}", quote_literal(cluster))),
        _ => Err(SqlError::unsupported(format_args!("SHOW {kind} IN CLUSTER"))),
    }
}

const IN_SCHEMA: &str = "JOIN mz_catalog.mz_schemas AS s ON s.id = o.schema_id \
     LEFT JOIN mz_catalog.mz_databases AS d ON d.id = s.database_id";

const COMMENT: &str = "COALESCE(k.comment, '') AS comment";

const CLUSTER: &str = "LEFT JOIN mz_catalog.mz_clusters AS cl ON cl.id = o.cluster_id";

/// The comments on objects of a kind, as `k`.
fn comments_on(condition: &str) -> String {
    format!(
        "LEFT JOIN mz_internal.mz_comments AS k \
         ON k.id = o.id AND k.object_sub_id IS NULL AND {condition}"
    )
}

/// The rows behind a list, with all that filters may use.
fn listing(kind: ShowKind) -> String {
    let objects = |columns: &str, relation: &str| {
        let comments = comments_on(
            "k.object_type NOT IN ('schema', 'database', 'cluster', 'cluster-replica')",
        );
        let cluster = if columns.contains("cl.") { CLUSTER } else { "" };
        format!(
            "SELECT o.name, {columns}{COMMENT} FROM mz_catalog.{relation} AS o {IN_SCHEMA} \
             {cluster} {comments}"
        )
    };
    match kind {
        ShowKind::Sources => objects("o.type, cl.name AS cluster, ", "mz_sources"),
        ShowKind::Subsources => {
            let tables = objects("'subsource'::text AS type, ", "mz_tables");
            format!("{tables} WHERE o.source_id IS NOT NULL")
        }
        ShowKind::Tables => objects("", "mz_tables"),
        ShowKind::Views => objects("", "mz_views"),
        ShowKind::MaterializedViews => objects("cl.name AS cluster, ", "mz_materialized_views"),
        ShowKind::Indexes => format!(
            "SELECT o.name, r.name AS \"on\", cl.name AS cluster, \
             '{{' || o.key || '}}' AS key, {COMMENT} \
             FROM mz_catalog.mz_indexes AS o JOIN mz_catalog.mz_objects AS r ON r.id = o.on_id \
             {IN_SCHEMA} {CLUSTER} {}",
            comments_on("k.object_type = 'index'")
        ),
        ShowKind::Connections => objects("o.type, ", "mz_connections"),
        ShowKind::Secrets => objects("", "mz_secrets"),
        ShowKind::Objects => {
            let objects = objects("o.type, ", "mz_objects");
            objects.replacen(IN_SCHEMA, &format!("{IN_SCHEMA} {CLUSTER}"), 1)
        }
        ShowKind::Sinks => {
            let sinks = objects("o.type, cl.name AS cluster, ", "mz_objects");
            format!("{sinks} WHERE o.type = 'sink'")
        }
        ShowKind::Types => {
            let types = objects("", "mz_objects");
            format!("{types} WHERE o.type = 'type'")
        }
        ShowKind::Databases => format!(
            "SELECT o.name, {COMMENT} FROM mz_catalog.mz_databases AS o {}",
            comments_on("k.object_type = 'database'")
        ),
        ShowKind::Schemas => format!(
            "SELECT o.name, {COMMENT} FROM mz_catalog.mz_schemas AS o \
             LEFT JOIN mz_catalog.mz_databases AS d ON d.id = o.database_id {}",
            comments_on("k.object_type = 'schema'")
        ),
        ShowKind::Clusters => format!(
            "SELECT o.name, COALESCE(r.replicas, '') AS replicas, {COMMENT} \
             FROM mz_catalog.mz_clusters AS o \
             LEFT JOIN (SELECT cluster_id, \
               string_agg(name || ' (' || size || ')', ', ' ORDER BY name) AS replicas \
               FROM mz_catalog.mz_cluster_replicas GROUP BY cluster_id) AS r \
             ON r.cluster_id = o.id {}",
            comments_on("k.object_type = 'cluster'")
        ),
        ShowKind::ClusterReplicas => format!(
            "SELECT c.name AS cluster, o.name AS replica, o.size, \
             COALESCE(s.status = 'online', false) AS ready, {COMMENT} \
             FROM mz_catalog.mz_cluster_replicas AS o \
             JOIN mz_catalog.mz_clusters AS c ON c.id = o.cluster_id \
             LEFT JOIN mz_internal.mz_cluster_replica_statuses AS s ON s.replica_id = o.id {}",
            comments_on("k.object_type = 'cluster-replica'")
        ),
        ShowKind::Columns => format!(
            "SELECT o.name, o.nullable, o.type, o.position, {COMMENT} \
             FROM mz_catalog.mz_columns AS o LEFT JOIN mz_internal.mz_comments AS k \
             ON k.id = o.id AND k.object_sub_id = o.position \
             AND k.object_type IN ('table', 'view', 'materialized-view', 'source')"
        ),
    }
}

fn shown_columns(kind: ShowKind) -> &'static str {
    match kind {
        ShowKind::Sources | ShowKind::Sinks => "name, type, cluster, comment",
        ShowKind::Subsources => "name, type",
        ShowKind::Connections | ShowKind::Objects => "name, type, comment",
        ShowKind::MaterializedViews => "name, cluster, comment",
        ShowKind::Indexes => "name, \"on\", cluster, key, comment",
        ShowKind::Columns => "name, nullable, type, comment",
        ShowKind::Clusters => "name, replicas, comment",
        ShowKind::ClusterReplicas => "cluster, replica, size, ready, comment",
        ShowKind::Tables
        | ShowKind::Views
        | ShowKind::Secrets
        | ShowKind::Databases
        | ShowKind::Schemas
        | ShowKind::Types => "name, comment",
    }
}
