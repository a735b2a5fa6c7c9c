//! CREATE SOURCE, CREATE TABLE .. FROM SOURCE: what is asked for. What it becomes depends on
//! what is upstream: see [`crate::sources`].

use tidemill_catalog::{Connection, Definition, Item, ItemKind, QualifiedName};
use tidemill_repr::{SqlError, SqlState};

use super::connection::{check_postgres, conninfo};
use super::options::Options;
use super::{Planning, command};
use crate::ast::{
    self, AlterSource, CreateSource, CreateTableFromSource, CreateViewsFromSource, NamedOption,
    OptionValue, SourceTableName, SourceTables,
};
use crate::names;
use crate::plan::{
    AddSubsourcesPlan, CreateSecretPlan, CreateSourcePlan, CreateTableFromSourcePlan, NewItem,
    Notice, Plan, Planned, SecretValue, SourceConnection, TablesWanted,
};

impl Planning<'_> {
    pub(super) fn create_source(&self, statement: &CreateSource) -> Result<Planned, SqlError> {
        const STATEMENT: &str = "CREATE SOURCE";
        let name = self.new_name(&statement.name)?;
        if let Some(planned) = self.check_free(&name, statement.if_not_exists, STATEMENT)? {
            return Ok(planned);
        }
        let cluster = self.cluster(statement.cluster.as_ref())?;
        let mut options = Options::new(STATEMENT, &statement.options)?;
        let publication = options.required_text("PUBLICATION")?;
        let text_columns = options.name_list("TEXT COLUMNS")?;
        let exclude_columns = exclude_columns(&mut options)?;
        options.finish()?;
        let mut with = Options::new(STATEMENT, &statement.with)?;
        let size = with.take("SIZE").is_some();
        with.refuse("RETAIN HISTORY")?;
        with.finish()?;
        if statement.tables.is_none() && !(text_columns.is_empty() && exclude_columns.is_empty()) {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "TEXT COLUMNS and EXCLUDE COLUMNS need FOR ALL TABLES, FOR SCHEMAS or FOR TABLES",
            )
            .with_hint("Give them to CREATE TABLE .. FROM SOURCE."));
        }
        let (connection, connection_name) = self.source_connection(&statement.connection, &name)?;
        let progress = match &statement.progress {
            None => None,
            Some(progress) => {
                let progress = self.alias(progress, &name)?;
                if self.planner.catalog.item_by_name(&progress).is_some() || progress == name {
                    return Err(tidemill_catalog::snapshot::already_exists(&progress.item));
                }
                Some(progress)
            }
        };
        let tables = self.tables_wanted(statement.tables.as_ref(), &name)?;
        let canonical = CreateSource {
            if_not_exists: false,
            name: names::object_name(&name),
            cluster: Some(names::ident(&cluster)),
            connection: ast::SourceConnection::Name(names::object_name(&connection_name)),
            tables: self.with_full_names(statement.tables.as_ref(), &tables),
            progress: progress.as_ref().map(names::object_name),
            with: Vec::new(),
            ..statement.clone()
        };
        let made = matches!(connection, SourceConnection::Made { .. });
        let mut planned = command(Plan::CreateSource(CreateSourcePlan {
            name,
            create_sql: canonical.to_string(),
            connection,
            publication,
            cluster,
            progress,
            tables,
            text_columns,
            exclude_columns,
        }));
        if size {
            planned.notices.push(size_notice());
        }
        if made {
            planned.notices.push(Notice::new(
                SqlState("00000"),
                format!("connection \"{}\" is made with the source", connection_name.item),
            ));
        }
        Ok(planned)
    }

    /// The connection of a source, and its name.
    fn source_connection(
        &self,
        connection: &ast::SourceConnection,
        source: &QualifiedName,
    ) -> Result<(SourceConnection, QualifiedName), SqlError> {
        let text = match connection {
            ast::SourceConnection::Name(name) => {
                let item = self.item(name, &[ItemKind::Connection])?;
                check_postgres(item)?;
                return Ok((SourceConnection::Existing(item.id), item.name.clone()));
            }
            ast::SourceConnection::Text(text) => text,
        };
        let beside = |suffix: &str| {
            let item = format!("{}_{suffix}", source.item);
            let name = QualifiedName { item, ..source.clone() };
            match self.planner.catalog.item_by_name(&name) {
                None => Ok(name),
                Some(_) => Err(tidemill_catalog::snapshot::already_exists(&name.item).with_hint(
                    "A source with a connection string makes a connection of this name.",
                )),
            }
        };
        let parsed = conninfo::parse(&text.0)?;
        let name = beside("connection")?;
        let password = match &parsed.password {
            None => None,
            Some(password) => {
                let name = beside("password")?;
                Some(CreateSecretPlan {
                    create_sql: format!("CREATE SECRET {name} AS '********'"),
                    name,
                    value: SecretValue(password.clone().into_bytes()),
                })
            }
        };
        let mut create = parsed.statement(&name);
        if let Some(password) = &password {
            let value = OptionValue::Secret(names::object_name(&password.name));
            create.options.push(NamedOption { name: "PASSWORD".to_owned(), value });
        }
        let connection = Box::new(NewItem {
            name: name.clone(),
            create_sql: create.to_string(),
            depends_on: Vec::new(),
            definition: Definition::Connection(Connection::Postgres(parsed.options)),
            replaces: None,
        });
        Ok((SourceConnection::Made { connection, password }, name))
    }

    /// CREATE VIEWS FROM SOURCE: what the views of 2021 showed are tables of the source.
    pub(super) fn create_views_from_source(
        &self,
        statement: &CreateViewsFromSource,
    ) -> Result<Planned, SqlError> {
        let source = self.item(&statement.source, &[ItemKind::Source])?;
        let beside = self.new_name(&names::ident("views").into())?;
        let tables = statement.tables.clone().map_or(SourceTables::All, SourceTables::Tables);
        Ok(command(Plan::AddSubsources(Box::new(AddSubsourcesPlan {
            source: source.id,
            tables: self.tables_wanted(Some(&tables), &beside)?,
            beside,
            if_not_exists: statement.if_not_exists,
            text_columns: Vec::new(),
            exclude_columns: Vec::new(),
            tag: "CREATE VIEWS",
        }))))
    }

    /// ALTER SOURCE, apart from what is done to other objects too.
    pub(super) fn alter_source(
        &self,
        item: &Item,
        action: &AlterSource,
    ) -> Result<Planned, SqlError> {
        const TAG: &str = "ALTER SOURCE";
        match action {
            AlterSource::AddSubsources { if_not_exists, tables, with } => {
                let mut with = Options::new("ALTER SOURCE .. ADD SUBSOURCE", with)?;
                let text_columns = with.name_list("TEXT COLUMNS")?;
                let exclude_columns = exclude_columns(&mut with)?;
                with.finish()?;
                let tables = SourceTables::Tables(tables.clone());
                Ok(command(Plan::AddSubsources(Box::new(AddSubsourcesPlan {
                    source: item.id,
                    beside: item.name.clone(),
                    if_not_exists: *if_not_exists,
                    tables: self.tables_wanted(Some(&tables), &item.name)?,
                    text_columns,
                    exclude_columns,
                    tag: TAG,
                }))))
            }
            AlterSource::DropSubsources { if_exists, names, cascade } => {
                self.drop_subsources(item, names, *if_exists, *cascade)
            }
            AlterSource::RefreshReferences => Ok(command(Plan::RefreshReferences(item.id))),
            AlterSource::Set(options) => {
                let mut options = Options::new(TAG, options)?;
                let size = options.take("SIZE").is_some();
                options.refuse("RETAIN HISTORY")?;
                options.finish()?;
                let mut planned = command(Plan::Nothing { tag: TAG });
                if size {
                    planned.notices.push(size_notice());
                }
                Ok(planned)
            }
            AlterSource::Reset(names) => match names.iter().find(|name| *name != "SIZE") {
                Some(other) => Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("unrecognized option {other} of {TAG}"),
                )),
                None => Ok(command(Plan::Nothing { tag: TAG })),
            },
        }
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
        let exclude_columns = columns(exclude_columns(&mut with)?);
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

/// `EXCLUDE COLUMNS`, which has also been called `IGNORE COLUMNS`.
fn exclude_columns(options: &mut Options<'_>) -> Result<Vec<Vec<String>>, SqlError> {
    let mut columns = options.name_list("EXCLUDE COLUMNS")?;
    columns.extend(options.name_list("IGNORE COLUMNS")?);
    Ok(columns)
}

fn size_notice() -> Notice {
    let message = "option SIZE has no effect: sources run on the server's own threads";
    Notice::new(SqlState("00000"), message)
}
