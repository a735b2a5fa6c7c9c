//! CREATE SOURCE, CREATE TABLE .. FROM SOURCE: what is asked for. What it becomes depends on
//! what is upstream: see [`crate::sources`].

use tidemill_catalog::{ItemKind, QualifiedName};
use tidemill_repr::{SqlError, SqlState};

use super::options::Options;
use super::{Planning, command};
use crate::ast::{CreateSource, CreateTableFromSource, SourceTableName, SourceTables};
use crate::names;
use crate::plan::{
    CreateSourcePlan, CreateTableFromSourcePlan, Notice, Plan, Planned, TablesWanted,
};

impl Planning<'_> {
    pub(super) fn create_source(&self, statement: &CreateSource) -> Result<Planned, SqlError> {
        const STATEMENT: &str = "CREATE SOURCE";
        let name = self.new_name(&statement.name)?;
        if let Some(planned) = self.check_free(&name, statement.if_not_exists, STATEMENT)? {
            return Ok(planned);
        }
        let cluster = self.cluster(statement.cluster.as_ref())?;
        let connection = self.item(&statement.connection, &[ItemKind::Connection])?;
        let mut options = Options::new(STATEMENT, &statement.options)?;
        let publication = options.required_text("PUBLICATION")?;
        let text_columns = options.name_list("TEXT COLUMNS")?;
        let exclude_columns = options.name_list("EXCLUDE COLUMNS")?;
        options.finish()?;
        let mut with = Options::new(STATEMENT, &statement.with)?;
        let size = with.take("SIZE").is_some();
        with.refuse("RETAIN HISTORY")?;
        with.finish()?;
        if statement.progress.is_some() {
            return Err(SqlError::unsupported("EXPOSE PROGRESS AS")
                .with_hint("Query mz_internal.mz_source_statistics for the progress."));
        }
        if statement.tables.is_none() && !(text_columns.is_empty() && exclude_columns.is_empty()) {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "TEXT COLUMNS and EXCLUDE COLUMNS need FOR ALL TABLES, FOR SCHEMAS or FOR TABLES",
            )
            .with_hint("Give them to CREATE TABLE .. FROM SOURCE."));
        }
        let tables = self.tables_wanted(statement.tables.as_ref(), &name)?;
        let canonical = CreateSource {
            if_not_exists: false,
            name: names::object_name(&name),
            cluster: Some(names::ident(&cluster)),
            connection: names::object_name(&connection.name),
            tables: self.with_full_names(statement.tables.as_ref(), &tables),
            with: Vec::new(),
            ..statement.clone()
        };
        let mut planned = command(Plan::CreateSource(CreateSourcePlan {
            name,
            create_sql: canonical.to_string(),
            connection: connection.id,
            publication,
            cluster,
            tables,
            text_columns,
            exclude_columns,
        }));
        if size {
            planned.notices.push(Notice::new(
                SqlState::WARNING,
                "option SIZE has no effect: sources run on the server's own threads",
            ));
        }
        Ok(planned)
    }

    fn tables_wanted(
        &self,
        tables: Option<&SourceTables>,
        source: &QualifiedName,
    ) -> Result<TablesWanted, SqlError> {
        Ok(match tables {
            None => TablesWanted::None,
            Some(SourceTables::All) => TablesWanted::All,
            Some(SourceTables::Schemas(schemas)) => {
                TablesWanted::Schemas(schemas.iter().map(|schema| schema.value.clone()).collect())
            }
            Some(SourceTables::Tables(tables)) => TablesWanted::Tables(
                tables
                    .iter()
                    .map(|table| {
                        let alias = match &table.alias {
                            None => None,
                            Some(alias) => Some(self.alias(alias, source)?),
                        };
                        Ok((names::parts(&table.reference)?, alias))
                    })
                    .collect::<Result<_, SqlError>>()?,
            ),
        })
    }

    /// An alias without schema is in the schema of the source.
    fn alias(
        &self,
        alias: &sqlparser::ast::ObjectName,
        source: &QualifiedName,
    ) -> Result<QualifiedName, SqlError> {
        match names::parts(alias)?.as_slice() {
            [item] => Ok(QualifiedName { item: item.clone(), ..source.clone() }),
            _ => self.new_name(alias),
        }
    }

    fn with_full_names(
        &self,
        tables: Option<&SourceTables>,
        wanted: &TablesWanted,
    ) -> Option<SourceTables> {
        match (tables?, wanted) {
            (SourceTables::Tables(tables), TablesWanted::Tables(wanted)) => {
                let tables = tables
                    .iter()
                    .zip(wanted)
                    .map(|(table, (_, alias))| SourceTableName {
                        reference: table.reference.clone(),
                        alias: alias.as_ref().map(names::object_name),
                    })
                    .collect();
                Some(SourceTables::Tables(tables))
            }
            (other, _) => Some(other.clone()),
        }
    }

    pub(super) fn create_table_from_source(
        &self,
        statement: &CreateTableFromSource,
    ) -> Result<Planned, SqlError> {
        const STATEMENT: &str = "CREATE TABLE .. FROM SOURCE";
        let name = self.new_name(&statement.name)?;
        if let Some(planned) = self.check_free(&name, statement.if_not_exists, "CREATE TABLE")? {
            return Ok(planned);
        }
        let source = self.item(&statement.source, &[ItemKind::Source])?;
        let mut with = Options::new(STATEMENT, &statement.with)?;
        let text_columns = columns(with.name_list("TEXT COLUMNS")?);
        let exclude_columns = columns(with.name_list("EXCLUDE COLUMNS")?);
        with.finish()?;
        Ok(command(Plan::CreateTableFromSource(CreateTableFromSourcePlan {
            name,
            source: source.id,
            reference: names::parts(&statement.reference)?,
            text_columns,
            exclude_columns,
        })))
    }
}

/// Columns of the one table: what stands before a dot is passed over.
fn columns(names: Vec<Vec<String>>) -> Vec<String> {
    names.into_iter().filter_map(|mut parts| parts.pop()).collect()
}
