//! How our statements are written: read back, each gives the same tree.

use std::fmt::{self, Display, Formatter};

use sqlparser::ast::{Expr, Ident, Query};
use tidemill_catalog::name::quote_literal;

use super::{
    Alter, AlterAction, AlterConnection, AlterSource, AsOf, ConnectionKind, ConnectionString, Copy,
    CopySource, CreateConnection, CreateIndex, CreateNamespace, CreateSecret, CreateSource,
    CreateTable, CreateTableFromSource, CreateView, CreateViewsFromSource, Declare, DropObjects,
    Execute, Explain, ExplainStage, Explainee, Fetch, FetchCount, NamedOption, ObjectKind,
    OnCommit, OptionValue, Prepare, QueryStatement, RefreshOption, SequenceOption,
    SequenceStatement, SetScope, SetTransaction, SetValue, SetVariable, Show, ShowFilter, ShowKind,
    SourceConnection, SourceTableName, SourceTables, Statement, Subscribe, SubscribeOutput,
    SubscribeTarget,
};
use crate::parse::{restore, unmark, with_exclusions};

/// Writes a query.
pub(crate) fn query_text(query: &Query) -> String {
    restore(with_exclusions(unmark(query.to_string())))
}

/// Writes an expression.
pub(crate) fn expr_text(expr: &Expr) -> String {
    restore(with_exclusions(unmark(expr.to_string())))
}

/// Writes a list with commas.
pub(crate) fn list<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn flag(set: bool, text: &'static str) -> &'static str {
    if set { text } else { "" }
}

fn with_options(f: &mut Formatter<'_>, options: &[NamedOption]) -> fmt::Result {
    if options.is_empty() { Ok(()) } else { write!(f, " WITH ({})", list(options)) }
}

fn in_cluster(f: &mut Formatter<'_>, cluster: Option<&Ident>) -> fmt::Result {
    cluster.map_or(Ok(()), |cluster| write!(f, " IN CLUSTER {cluster}"))
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let all_or = |f: &mut Formatter<'_>, verb: &str, name: &Option<Ident>| match name {
            Some(name) => write!(f, "{verb} {name}"),
            None => write!(f, "{verb} ALL"),
        };
        match self {
            Statement::Query(statement) => statement.fmt(f),
            Statement::Standard(statement) => {
                f.write_str(&restore(with_exclusions(unmark(statement.to_string()))))
            }
            Statement::CreateNamespace(statement) => statement.fmt(f),
            Statement::CreateSecret(statement) => statement.fmt(f),
            Statement::CreateConnection(statement) => statement.fmt(f),
            Statement::CreateSource(statement) => statement.fmt(f),
            Statement::CreateViewsFromSource(statement) => statement.fmt(f),
            Statement::CreateTable(statement) => statement.fmt(f),
            Statement::CreateTableFromSource(statement) => statement.fmt(f),
            Statement::CreateView(statement) => statement.fmt(f),
            // As its tokens are read: the words may stand at the end.
            Statement::Overriding { system, insert } => {
                let whose = if *system { "SYSTEM" } else { "USER" };
                write!(f, "{insert} OVERRIDING {whose} VALUE")
            }
            Statement::Sequence(statement) => statement.fmt(f),
            Statement::CreateType(statement) => statement.fmt(f),
            Statement::Function(statement) => statement.fmt(f),
            Statement::CreateDomain(statement) => statement.fmt(f),
            Statement::AlterType(statement) => statement.fmt(f),
            Statement::CreateIndex(statement) => statement.fmt(f),
            Statement::Drop(statement) => statement.fmt(f),
            Statement::Alter(statement) => statement.fmt(f),
            Statement::MoveObject(statement) => statement.fmt(f),
            Statement::Cluster(statement) => statement.fmt(f),
            Statement::Comment(statement) => statement.fmt(f),
            Statement::ValidateConnection(name) => write!(f, "VALIDATE CONNECTION {name}"),
            Statement::Role(statement) => statement.fmt(f),
            Statement::Subscribe(statement) => statement.fmt(f),
            Statement::Copy(statement) => statement.fmt(f),
            Statement::Declare(statement) => statement.fmt(f),
            Statement::Fetch(statement) => statement.fmt(f),
            Statement::Close(name) => all_or(f, "CLOSE", name),
            Statement::Prepare(statement) => statement.fmt(f),
            Statement::Execute(statement) => statement.fmt(f),
            Statement::Deallocate(name) => all_or(f, "DEALLOCATE", name),
            Statement::Explain(statement) => statement.fmt(f),
            Statement::Show(statement) => statement.fmt(f),
            Statement::Set(statement) => statement.fmt(f),
            Statement::SetTransaction(statement) => statement.fmt(f),
            Statement::Reset(name) => all_or(f, "RESET", name),
        }
    }
}

impl Display for QueryStatement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&query_text(&self.query))?;
        self.as_of.as_ref().map_or(Ok(()), |as_of| write!(f, " {as_of}"))
    }
}

impl Display for AsOf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "AS OF {}{}", flag(self.at_least, "AT LEAST "), self.at)
    }
}

impl Display for NamedOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.value {
            OptionValue::None => Ok(()),
            OptionValue::Text(text) => write!(f, " = {}", quote_literal(text)),
            OptionValue::Number(number) => write!(f, " = {number}"),
            OptionValue::Name(name) => write!(f, " = {name}"),
            OptionValue::Secret(name) => write!(f, " = SECRET {name}"),
            OptionValue::List(names) => write!(f, " ({})", list(names)),
            OptionValue::Refresh(refresh) => write!(f, " = {refresh}"),
            OptionValue::OnRefresh(options) if options.is_empty() => f.write_str(" = ON REFRESH"),
            OptionValue::OnRefresh(options) => write!(f, " = ON REFRESH ({})", list(options)),
        }
    }
}

impl Display for RefreshOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            RefreshOption::OnCommit => f.write_str("ON COMMIT"),
            RefreshOption::AtCreation => f.write_str("AT CREATION"),
            RefreshOption::At(time) => write!(f, "AT {time}"),
            RefreshOption::Every { interval, aligned_to } => {
                write!(f, "EVERY {}", quote_literal(interval))?;
                aligned_to.as_ref().map_or(Ok(()), |time| write!(f, " ALIGNED TO {time}"))
            }
        }
    }
}

impl Display for CreateNamespace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = if self.database { "DATABASE" } else { "SCHEMA" };
        write!(f, "CREATE {kind} {}{}", flag(self.if_not_exists, "IF NOT EXISTS "), self.name)
    }
}

impl Display for CreateSecret {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exists = flag(self.if_not_exists, "IF NOT EXISTS ");
        write!(f, "CREATE SECRET {exists}{} AS {}", self.name, self.value)
    }
}

impl fmt::Debug for CreateSecret {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateSecret").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for AlterAction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            AlterAction::Rename(name) => f.debug_tuple("Rename").field(name).finish(),
            AlterAction::SecretValue(_) => f.write_str("SecretValue(..)"),
            AlterAction::Cluster(name) => write!(f, "SET CLUSTER {name}"),
            AlterAction::RetainHistory(Some(option)) => write!(f, "SET ({option})"),
            AlterAction::RetainHistory(None) => f.write_str("RESET (RETAIN HISTORY)"),
            AlterAction::ApplyReplacement(name) => write!(f, "APPLY REPLACEMENT {name}"),
            AlterAction::Resync => f.write_str("Resync"),
            AlterAction::Relation(actions) => f.debug_tuple("Relation").field(actions).finish(),
            AlterAction::Followed { actions, with } => {
                f.debug_tuple("Followed").field(actions).field(with).finish()
            }
            AlterAction::Source(action) => f.debug_tuple("Source").field(action).finish(),
            AlterAction::Connection(action) => f.debug_tuple("Connection").field(action).finish(),
            AlterAction::Swap(name) => f.debug_tuple("Swap").field(name).finish(),
            AlterAction::Other(words) => f.debug_tuple("Other").field(words).finish(),
        }
    }
}

impl Display for ConnectionKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectionKind::Postgres => "POSTGRES",
            ConnectionKind::SshTunnel => "SSH TUNNEL",
            ConnectionKind::AwsPrivatelink => "AWS PRIVATELINK",
            ConnectionKind::Other(words) => words,
        })
    }
}

impl Display for CreateConnection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exists = flag(self.if_not_exists, "IF NOT EXISTS ");
        write!(f, "CREATE CONNECTION {exists}{} TO {}", self.name, self.kind)?;
        write!(f, " ({})", list(&self.options))?;
        with_options(f, &self.with)
    }
}

impl Display for CreateSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE SOURCE {}{}", flag(self.if_not_exists, "IF NOT EXISTS "), self.name)?;
        in_cluster(f, self.cluster.as_ref())?;
        write!(f, " FROM POSTGRES CONNECTION {} ({})", self.connection, list(&self.options))?;
        if let Some(tables) = &self.tables {
            write!(f, " {tables}")?;
        }
        if let Some(progress) = &self.progress {
            write!(f, " EXPOSE PROGRESS AS {progress}")?;
        }
        with_options(f, &self.with)
    }
}

impl Display for SourceConnection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            SourceConnection::Name(name) => name.fmt(f),
            SourceConnection::Text(text) => f.write_str(&quote_literal(&text.0)),
        }
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionString(..)")
    }
}

impl Display for CreateViewsFromSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exists = flag(self.if_not_exists, "IF NOT EXISTS ");
        write!(f, "CREATE VIEWS {exists}FROM SOURCE {}", self.source)?;
        self.tables.as_ref().map_or(Ok(()), |tables| write!(f, " ({})", list(tables)))
    }
}

impl Display for AlterSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            AlterSource::AddSubsources { if_not_exists, tables, with } => {
                let exists = flag(*if_not_exists, "IF NOT EXISTS ");
                write!(f, "ADD SUBSOURCE {exists}{}", list(tables))?;
                with_options(f, with)
            }
            AlterSource::DropSubsources { if_exists, names, cascade } => {
                let exists = flag(*if_exists, "IF EXISTS ");
                write!(f, "DROP SUBSOURCE {exists}{}", list(names))?;
                f.write_str(match cascade {
                    Some(true) => " CASCADE",
                    Some(false) => " RESTRICT",
                    None => "",
                })
            }
            AlterSource::RefreshReferences => f.write_str("REFRESH REFERENCES"),
            AlterSource::Set(options) => write!(f, "SET ({})", list(options)),
            AlterSource::Reset(names) => write!(f, "RESET ({})", list(names)),
        }
    }
}

impl Display for AlterConnection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let AlterConnection::Options { set, drop, with } = self else {
            return f.write_str("ROTATE KEYS");
        };
        let mut parts = Vec::new();
        if !set.is_empty() {
            parts.push(format!("SET ({})", list(set)));
        }
        if !drop.is_empty() {
            parts.push(format!("DROP ({})", list(drop)));
        }
        f.write_str(&parts.join(", "))?;
        with_options(f, with)
    }
}

impl Display for SourceTables {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            SourceTables::All => f.write_str("FOR ALL TABLES"),
            SourceTables::Schemas(schemas) => write!(f, "FOR SCHEMAS ({})", list(schemas)),
            SourceTables::Tables(tables) => write!(f, "FOR TABLES ({})", list(tables)),
        }
    }
}

impl Display for SourceTableName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.reference.fmt(f)?;
        self.alias.as_ref().map_or(Ok(()), |alias| write!(f, " AS {alias}"))
    }
}

impl Display for CreateTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let temporary = flag(self.temporary, "TEMPORARY ");
        let exists = flag(self.if_not_exists, "IF NOT EXISTS ");
        write!(f, "CREATE {temporary}TABLE {exists}{}", self.name)?;
        if let Some(created) = &self.query {
            if !created.columns.is_empty() {
                write!(f, " ({})", list(&created.columns))?;
            }
            let data = flag(!created.with_data, " WITH NO DATA");
            return write!(f, " AS {}{data}", created.query);
        }
        let mut parts: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        for like in self.likes.iter().rev() {
            let options: Vec<String> = like
                .options
                .iter()
                .map(|(including, what)| {
                    format!(" {} {what}", if *including { "INCLUDING" } else { "EXCLUDING" })
                })
                .collect();
            let position = like.position.min(parts.len());
            parts.insert(position, format!("LIKE {}{}", like.name, options.concat()));
        }
        parts.extend(self.constraints.iter().map(ToString::to_string));
        write!(f, " ({})", parts.join(", "))?;
        f.write_str(match self.on_commit {
            None => "",
            Some(OnCommit::PreserveRows) => " ON COMMIT PRESERVE ROWS",
            Some(OnCommit::DeleteRows) => " ON COMMIT DELETE ROWS",
            Some(OnCommit::Drop) => " ON COMMIT DROP",
        })?;
        with_options(f, &self.with)
    }
}

impl Display for SequenceStatement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verb = if self.alter { "ALTER" } else { "CREATE" };
        let temporary = flag(self.temporary, "TEMPORARY ");
        let exists = match (self.if_exists, self.alter) {
            (false, _) => "",
            (true, true) => "IF EXISTS ",
            (true, false) => "IF NOT EXISTS ",
        };
        write!(f, "{verb} {temporary}SEQUENCE {exists}{}", self.name)?;
        self.options.iter().try_for_each(|option| write!(f, " {option}"))
    }
}

impl Display for SequenceOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            SequenceOption::As(data_type) => write!(f, "AS {data_type}"),
            SequenceOption::Increment(by) => write!(f, "INCREMENT BY {by}"),
            SequenceOption::Min(Some(min)) => write!(f, "MINVALUE {min}"),
            SequenceOption::Min(None) => f.write_str("NO MINVALUE"),
            SequenceOption::Max(Some(max)) => write!(f, "MAXVALUE {max}"),
            SequenceOption::Max(None) => f.write_str("NO MAXVALUE"),
            SequenceOption::Start(start) => write!(f, "START WITH {start}"),
            SequenceOption::Restart(Some(start)) => write!(f, "RESTART WITH {start}"),
            SequenceOption::Restart(None) => f.write_str("RESTART"),
            SequenceOption::Cache(cache) => write!(f, "CACHE {cache}"),
            SequenceOption::Cycle(cycle) => write!(f, "{}CYCLE", flag(!cycle, "NO ")),
            SequenceOption::OwnedBy(Some(column)) => write!(f, "OWNED BY {column}"),
            SequenceOption::OwnedBy(None) => f.write_str("OWNED BY NONE"),
        }
    }
}

impl Display for CreateTableFromSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exists = flag(self.if_not_exists, "IF NOT EXISTS ");
        write!(f, "CREATE TABLE {exists}{} FROM SOURCE {}", self.name, self.source)?;
        write!(f, " (REFERENCE = {})", self.reference)?;
        with_options(f, &self.with)
    }
}

impl Display for CreateView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("CREATE ")?;
        f.write_str(flag(self.or_replace, "OR REPLACE "))?;
        f.write_str(flag(self.temporary, "TEMPORARY "))?;
        f.write_str(flag(self.replacement_for.is_some(), "REPLACEMENT "))?;
        f.write_str(flag(self.materialized, "MATERIALIZED "))?;
        write!(f, "VIEW {}{}", flag(self.if_not_exists, "IF NOT EXISTS "), self.name)?;
        if !self.columns.is_empty() {
            write!(f, " ({})", list(&self.columns))?;
        }
        if let Some(name) = &self.replacement_for {
            write!(f, " FOR {name}")?;
        }
        in_cluster(f, self.cluster.as_ref())?;
        with_options(f, &self.with)?;
        write!(f, " AS {}", query_text(&self.query))
    }
}

impl Display for CreateIndex {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("CREATE ")?;
        f.write_str(flag(self.key.is_none(), "DEFAULT "))?;
        f.write_str(flag(self.unique.is_some(), "UNIQUE "))?;
        f.write_str("INDEX")?;
        f.write_str(flag(self.if_not_exists, " IF NOT EXISTS"))?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        in_cluster(f, self.cluster.as_ref())?;
        write!(f, " ON {}", self.on)?;
        if let Some(method) = &self.method {
            write!(f, " USING {method}")?;
        }
        if let Some(key) = &self.key {
            write!(f, " ({})", list(key))?;
        }
        f.write_str(flag(self.unique == Some(true), " NULLS NOT DISTINCT"))?;
        with_options(f, &self.with)
    }
}

impl Display for ObjectKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ObjectKind::Table => "TABLE",
            ObjectKind::View => "VIEW",
            ObjectKind::MaterializedView => "MATERIALIZED VIEW",
            ObjectKind::Index => "INDEX",
            ObjectKind::Source => "SOURCE",
            ObjectKind::Connection => "CONNECTION",
            ObjectKind::Secret => "SECRET",
            ObjectKind::Sequence => "SEQUENCE",
            ObjectKind::Type => "TYPE",
            ObjectKind::Domain => "DOMAIN",
            ObjectKind::Schema => "SCHEMA",
            ObjectKind::Database => "DATABASE",
            ObjectKind::Cluster => "CLUSTER",
        })
    }
}

impl Display for DropObjects {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "DROP {} {}", self.kind, flag(self.if_exists, "IF EXISTS "))?;
        f.write_str(&list(&self.names))?;
        f.write_str(match self.cascade {
            Some(true) => " CASCADE",
            Some(false) => " RESTRICT",
            None => "",
        })
    }
}

impl Display for Alter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exists = flag(self.if_exists, "IF EXISTS ");
        write!(f, "ALTER {} {exists}{} ", self.kind, self.name)?;
        match &self.action {
            AlterAction::Rename(name) => write!(f, "RENAME TO {name}"),
            AlterAction::SecretValue(value) => write!(f, "AS {value}"),
            AlterAction::Cluster(name) => write!(f, "SET CLUSTER {name}"),
            AlterAction::RetainHistory(Some(option)) => write!(f, "SET ({option})"),
            AlterAction::RetainHistory(None) => f.write_str("RESET (RETAIN HISTORY)"),
            AlterAction::ApplyReplacement(name) => write!(f, "APPLY REPLACEMENT {name}"),
            AlterAction::Resync => f.write_str("RESYNC"),
            AlterAction::Relation(actions) => f.write_str(&list(actions)),
            AlterAction::Followed { actions, with } => {
                write!(f, "{} WITH ({})", list(actions), list(with))
            }
            AlterAction::Source(action) => action.fmt(f),
            AlterAction::Connection(action) => action.fmt(f),
            AlterAction::Swap(name) => write!(f, "SWAP WITH {name}"),
            AlterAction::Other(words) => f.write_str(words),
        }
    }
}

impl Display for Subscribe {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.target {
            SubscribeTarget::Object(name) => write!(f, "SUBSCRIBE TO {name}")?,
            SubscribeTarget::Query(query) => write!(f, "SUBSCRIBE TO ({})", query_text(query))?,
        }
        match &self.output {
            SubscribeOutput::Diffs => {}
            SubscribeOutput::Ordered(keys) => {
                write!(f, " WITHIN TIMESTAMP ORDER BY {}", list(keys))?;
            }
            SubscribeOutput::Upsert(key) => write!(f, " ENVELOPE UPSERT (KEY ({}))", list(key))?,
            SubscribeOutput::Debezium(key) => {
                write!(f, " ENVELOPE DEBEZIUM (KEY ({}))", list(key))?;
            }
        }
        with_options(f, &self.options)?;
        if let Some(as_of) = &self.as_of {
            write!(f, " {as_of}")?;
        }
        self.up_to.as_ref().map_or(Ok(()), |up_to| write!(f, " UP TO {up_to}"))
    }
}

impl Display for Copy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.source {
            CopySource::Subscribe(subscribe) => write!(f, "COPY ({subscribe})")?,
            CopySource::Query(query) => write!(f, "COPY ({query})")?,
            CopySource::Table(name, columns) if columns.is_empty() => write!(f, "COPY {name}")?,
            CopySource::Table(name, columns) => write!(f, "COPY {name} ({})", list(columns))?,
        }
        f.write_str(if self.from { " FROM STDIN" } else { " TO STDOUT" })?;
        if !self.options.is_empty() {
            // Here, as in PostgreSQL, no sign stands between name and value.
            let plain = |option: &NamedOption| option.to_string().replacen(" = ", " ", 1);
            write!(f, " WITH ({})", list(&self.options.iter().map(plain).collect::<Vec<_>>()))?;
        }
        self.filter.as_ref().map_or(Ok(()), |filter| write!(f, " WHERE {filter}"))
    }
}

impl Display for Declare {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let hold = flag(self.hold, " WITH HOLD");
        write!(f, "DECLARE {} CURSOR{hold} FOR {}", self.name, self.statement)
    }
}

impl Display for Fetch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.count {
            FetchCount::Rows(rows) => write!(f, "FETCH {rows} FROM {}", self.name)?,
            FetchCount::All => write!(f, "FETCH ALL FROM {}", self.name)?,
        }
        with_options(f, &self.options)
    }
}

impl Display for Prepare {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "PREPARE {}", self.name)?;
        if !self.types.is_empty() {
            write!(f, " ({})", list(&self.types))?;
        }
        write!(f, " AS {}", self.statement)
    }
}

impl Display for Execute {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "EXECUTE {}", self.name)?;
        if self.parameters.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", list::<Expr>(&self.parameters))
    }
}

impl Display for Explain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("EXPLAIN ")?;
        match self.stage {
            None if self.options.is_empty() => {}
            None => write!(f, "({}) ", list(&self.options))?,
            Some(stage) => {
                write!(f, "{stage} PLAN")?;
                with_options(f, &self.options)?;
                f.write_str(if self.as_json { " AS JSON FOR " } else { " FOR " })?;
            }
        }
        match &self.explainee {
            Explainee::Statement(statement) => statement.fmt(f),
            Explainee::Object(kind, name) => write!(f, "{kind} {name}"),
        }
    }
}

impl Display for ExplainStage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExplainStage::Raw => "RAW",
            ExplainStage::Decorrelated => "DECORRELATED",
            ExplainStage::Optimized => "OPTIMIZED",
            ExplainStage::Physical => "PHYSICAL",
        })
    }
}

impl Display for ShowKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ShowKind::Sources => "SOURCES",
            ShowKind::Subsources => "SUBSOURCES",
            ShowKind::Tables => "TABLES",
            ShowKind::Views => "VIEWS",
            ShowKind::MaterializedViews => "MATERIALIZED VIEWS",
            ShowKind::Indexes => "INDEXES",
            ShowKind::Connections => "CONNECTIONS",
            ShowKind::Secrets => "SECRETS",
            ShowKind::Databases => "DATABASES",
            ShowKind::Schemas => "SCHEMAS",
            ShowKind::Objects => "OBJECTS",
            ShowKind::Clusters => "CLUSTERS",
            ShowKind::ClusterReplicas => "CLUSTER REPLICAS",
            ShowKind::Sinks => "SINKS",
            ShowKind::Types => "TYPES",
            ShowKind::Columns => "COLUMNS",
        })
    }
}

impl Display for Show {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (kind, from, on, cluster, filter) = match self {
            Show::Create(kind, name) => return write!(f, "SHOW CREATE {kind} {name}"),
            Show::Variable(name) => return write!(f, "SHOW {name}"),
            Show::All => return f.write_str("SHOW ALL"),
            Show::Objects { kind, from, on, cluster, filter } => (kind, from, on, cluster, filter),
        };
        write!(f, "SHOW {kind}")?;
        if let Some(from) = from {
            write!(f, " FROM {from}")?;
        }
        if let Some(on) = on {
            write!(f, " ON {on}")?;
        }
        in_cluster(f, cluster.as_ref())?;
        match filter {
            None => Ok(()),
            Some(ShowFilter::Like(pattern)) => write!(f, " LIKE {}", quote_literal(pattern)),
            Some(ShowFilter::Where(condition)) => write!(f, " WHERE {condition}"),
        }
    }
}

impl Display for SetVariable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let local = flag(self.scope == SetScope::Local, "LOCAL ");
        write!(f, "SET {local}{} = ", self.name)?;
        match &self.values {
            None => f.write_str("DEFAULT"),
            Some(values) => f.write_str(&list(values)),
        }
    }
}

impl Display for SetValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            SetValue::Word(word) => f.write_str(word),
            SetValue::Text(text) => f.write_str(&quote_literal(text)),
            SetValue::Number(number) => f.write_str(number),
        }
    }
}

impl Display for SetTransaction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let session = flag(self.session, "SESSION CHARACTERISTICS AS ");
        write!(f, "SET {session}TRANSACTION {}", list(&self.modes))
    }
}
