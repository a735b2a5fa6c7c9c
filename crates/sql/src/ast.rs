//! Our statements. What PostgreSQL has too and sqlparser reads well stays sqlparser's
//! ([`Statement::Standard`]); the rest has a form of its own here. Each is written by
//! `Display` so that it is read back as the same ([`display`]).
//!
//! Identifiers are already folded: [`Ident::value`] is the name.

mod created;
mod display;
mod function;
mod objects;
mod options;
pub mod role;
mod subscribe;

pub use created::{
    AlterType, CreateDomain, CreateType, DomainConstraint, DomainDemand, TypeBody, TypeChange,
    TypeOption,
};
pub(crate) use display::{expr_text, query_text};
pub use function::{
    CreateFunction, FunctionBody, FunctionChange, FunctionName, FunctionParameter, FunctionReturns,
    FunctionStatement,
};
pub use objects::{ClusterStatement, Comment, CommentKind, MoveObject, MoveTo, ReplicaDefinition};
pub use options::{NamedOption, OptionValue, RefreshOption};
pub use subscribe::{Subscribe, SubscribeOutput, SubscribeTarget};

use sqlparser::ast::{
    AlterTableOperation, ColumnDef, DataType, Expr, Ident, ObjectName, Query, TableConstraint,
};

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `SELECT`, `VALUES`, `WITH ..`
    Query(QueryStatement),
    /// A statement in sqlparser's form: INSERT, UPDATE, DELETE, transactions, and what is
    /// refused by name when it is planned.
    Standard(Box<sqlparser::ast::Statement>),
    /// `INSERT .. OVERRIDING {SYSTEM | USER} VALUE ..`
    Overriding {
        /// `SYSTEM`, not `USER`.
        system: bool,
        /// The statement without it.
        insert: Box<sqlparser::ast::Insert>,
    },
    /// `CREATE DATABASE`, `CREATE SCHEMA`
    CreateNamespace(CreateNamespace),
    /// `CREATE SECRET`
    CreateSecret(CreateSecret),
    /// `CREATE CONNECTION`
    CreateConnection(CreateConnection),
    /// `CREATE SOURCE`
    CreateSource(CreateSource),
    /// `CREATE VIEWS FROM SOURCE`
    CreateViewsFromSource(CreateViewsFromSource),
    /// `CREATE TABLE`
    CreateTable(CreateTable),
    /// `CREATE TABLE .. FROM SOURCE`
    CreateTableFromSource(CreateTableFromSource),
    /// `CREATE VIEW`, `CREATE MATERIALIZED VIEW`
    CreateView(CreateView),
    /// `CREATE SEQUENCE`, `ALTER SEQUENCE`
    Sequence(SequenceStatement),
    /// `CREATE TYPE`
    CreateType(CreateType),
    /// `CREATE DOMAIN`
    CreateDomain(CreateDomain),
    /// `ALTER TYPE`, `ALTER DOMAIN`, but for RENAME TO
    AlterType(AlterType),
    /// What is about functions that users write.
    Function(Box<FunctionStatement>),
    /// `CREATE INDEX`
    CreateIndex(CreateIndex),
    /// `DROP ..`
    Drop(DropObjects),
    /// `ALTER ..`
    Alter(Alter),
    /// `ALTER .. SET SCHEMA`, `ALTER .. SWAP WITH`
    MoveObject(MoveObject),
    /// `CREATE CLUSTER`, `ALTER CLUSTER`, ..
    Cluster(ClusterStatement),
    /// `COMMENT ON`
    Comment(Comment),
    /// `VALIDATE CONNECTION`
    ValidateConnection(ObjectName),
    /// What is about roles, privileges, network policies or settings of the server.
    Role(Box<role::RoleStatement>),
    /// `SUBSCRIBE`
    Subscribe(Subscribe),
    /// `COPY`
    Copy(Copy),
    /// `DECLARE .. CURSOR FOR`
    Declare(Declare),
    /// `FETCH`
    Fetch(Fetch),
    /// `CLOSE`; None is ALL
    Close(Option<Ident>),
    /// `PREPARE`
    Prepare(Prepare),
    /// `EXECUTE`
    Execute(Execute),
    /// `DEALLOCATE`; None is ALL
    Deallocate(Option<Ident>),
    /// `EXPLAIN`
    Explain(Explain),
    /// `SHOW`
    Show(Show),
    /// `SET`
    Set(SetVariable),
    /// `SET [SESSION CHARACTERISTICS AS] TRANSACTION`
    SetTransaction(SetTransaction),
    /// `RESET`; None is ALL
    Reset(Option<Ident>),
}

/// A query, and the tick it is asked at.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryStatement {
    /// The query.
    pub query: Box<Query>,
    /// `AS OF [AT LEAST] x`
    pub as_of: Option<AsOf>,
}

/// `AS OF [AT LEAST] x`
#[derive(Clone, Debug, PartialEq)]
pub struct AsOf {
    /// Whether a later tick will do too.
    pub at_least: bool,
    /// The tick or time.
    pub at: Expr,
}

/// `CREATE {DATABASE | SCHEMA} [IF NOT EXISTS] name`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateNamespace {
    /// Whether it is a database rather than a schema.
    pub database: bool,
    /// Whether one that is there is left alone.
    pub if_not_exists: bool,
    /// The name.
    pub name: ObjectName,
}

/// `CREATE SECRET [IF NOT EXISTS] name AS value`. The value never shows, not even in `Debug`.
#[derive(Clone, PartialEq)]
pub struct CreateSecret {
    /// Whether one that is there is left alone.
    pub if_not_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// A constant.
    pub value: Expr,
}

/// To what a connection leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionKind {
    /// `POSTGRES`
    Postgres,
    /// `SSH TUNNEL`
    SshTunnel,
    /// `AWS PRIVATELINK`
    AwsPrivatelink,
    /// Anything else, in capitals.
    Other(String),
}

/// `CREATE CONNECTION [IF NOT EXISTS] name TO kind (options) [WITH (..)]`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateConnection {
    /// Whether one that is there is left alone.
    pub if_not_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// To what it leads.
    pub kind: ConnectionKind,
    /// How to get there.
    pub options: Vec<NamedOption>,
    /// `WITH (VALIDATE = ..)`
    pub with: Vec<NamedOption>,
}

/// `CREATE SOURCE [IF NOT EXISTS] name [IN CLUSTER c] FROM POSTGRES CONNECTION .. (..) [FOR ..]
/// [EXPOSE PROGRESS AS p] [WITH (..)]`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSource {
    /// Whether one that is there is left alone.
    pub if_not_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// Where it runs.
    pub cluster: Option<Ident>,
    /// The connection.
    pub connection: SourceConnection,
    /// What is read: `PUBLICATION`, `TEXT COLUMNS`, `EXCLUDE COLUMNS`.
    pub options: Vec<NamedOption>,
    /// The tables made with it; None: none.
    pub tables: Option<SourceTables>,
    /// The name of the progress relation.
    pub progress: Option<ObjectName>,
    /// `WITH (SIZE = ..)`
    pub with: Vec<NamedOption>,
}

/// The connection of CREATE SOURCE.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceConnection {
    /// One that is there.
    Name(ObjectName),
    /// `'host=.. password=..'`, from which one is made.
    Text(ConnectionString),
}

/// A connection string. It may hold a password, so it never shows in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString(pub String);

/// `CREATE VIEWS [IF NOT EXISTS] FROM SOURCE s [(t [AS a], ..)]`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateViewsFromSource {
    /// Whether tables that are there are left alone.
    pub if_not_exists: bool,
    /// The source.
    pub source: ObjectName,
    /// The tables; None: all.
    pub tables: Option<Vec<SourceTableName>>,
}

/// Which upstream tables become tables with the source.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceTables {
    /// `FOR ALL TABLES`
    All,
    /// `FOR SCHEMAS (..)`
    Schemas(Vec<Ident>),
    /// `FOR TABLES (t [AS a], ..)`
    Tables(Vec<SourceTableName>),
}

/// `t [AS a]`
#[derive(Clone, Debug, PartialEq)]
pub struct SourceTableName {
    /// Its name upstream.
    pub reference: ObjectName,
    /// Its name here.
    pub alias: Option<ObjectName>,
}

/// `LIKE table [INCLUDING ..]` in the columns of CREATE TABLE
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LikeTable {
    /// How many columns stand before it.
    pub position: usize,
    /// The table.
    pub name: ObjectName,
    /// What else is taken: (`INCLUDING`, what), in capitals.
    pub options: Vec<(bool, String)>,
}

/// `AS query [WITH [NO] DATA]` of CREATE TABLE
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTableAs {
    /// Names of the first columns.
    pub columns: Vec<Ident>,
    /// The query.
    pub query: Box<Query>,
    /// Whether its rows are put in.
    pub with_data: bool,
    /// Whether it was written `SELECT .. INTO`.
    pub select_into: bool,
}

/// What COMMIT does to a temporary table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCommit {
    /// Nothing.
    PreserveRows,
    /// Its rows go.
    DeleteRows,
    /// It goes.
    Drop,
}

/// `CREATE TABLE [IF NOT EXISTS] name (columns)`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    /// `TEMPORARY`
    pub temporary: bool,
    /// Whether one that is there is left alone.
    pub if_not_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// The columns.
    pub columns: Vec<ColumnDef>,
    /// Constraints over several columns.
    pub constraints: Vec<TableConstraint>,
    /// What becomes of a temporary table's rows when a transaction ends.
    pub on_commit: Option<OnCommit>,
    /// Tables whose columns are taken.
    pub likes: Vec<LikeTable>,
    /// The query whose rows are put in.
    pub query: Option<CreateTableAs>,
    /// `RETAIN HISTORY`
    pub with: Vec<NamedOption>,
}

/// `CREATE TABLE [IF NOT EXISTS] name FROM SOURCE source (REFERENCE t) [WITH (..)]`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTableFromSource {
    /// Whether one that is there is left alone.
    pub if_not_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// The source.
    pub source: ObjectName,
    /// The upstream table.
    pub reference: ObjectName,
    /// `TEXT COLUMNS`, `EXCLUDE COLUMNS`
    pub with: Vec<NamedOption>,
}

/// `CREATE [OR REPLACE] [MATERIALIZED] VIEW [IF NOT EXISTS] name [(columns)] [IN CLUSTER c] AS ..`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateView {
    /// Whether one that is there is replaced.
    pub or_replace: bool,
    /// `TEMPORARY`
    pub temporary: bool,
    /// Whether it is maintained.
    pub materialized: bool,
    /// Whether one that is there is left alone.
    pub if_not_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// Names of its first columns.
    pub columns: Vec<Ident>,
    /// Where it is maintained.
    pub cluster: Option<Ident>,
    /// `FOR name` of a replacement: the materialized view whose query this is to become.
    pub replacement_for: Option<ObjectName>,
    /// `WITH (..)`
    pub with: Vec<NamedOption>,
    /// Its definition.
    pub query: Box<Query>,
}

/// `CREATE [DEFAULT] INDEX [IF NOT EXISTS] [name] [IN CLUSTER c] ON t [USING m] (key)`
#[derive(Clone, Debug, PartialEq)]
pub struct CreateIndex {
    /// `UNIQUE`, and whether NULLs are equal there.
    pub unique: Option<bool>,
    /// Whether one that is there is left alone.
    pub if_not_exists: bool,
    /// The name; chosen if absent.
    pub name: Option<Ident>,
    /// Where it is kept.
    pub cluster: Option<Ident>,
    /// The relation.
    pub on: ObjectName,
    /// `USING m`
    pub method: Option<Ident>,
    /// The key; None: chosen (`CREATE DEFAULT INDEX`).
    pub key: Option<Vec<Expr>>,
    /// `WITH (..)`
    pub with: Vec<NamedOption>,
}

/// What kind of object a statement names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// `TABLE`
    Table,
    /// `VIEW`
    View,
    /// `MATERIALIZED VIEW`
    MaterializedView,
    /// `INDEX`
    Index,
    /// `SOURCE`
    Source,
    /// `CONNECTION`
    Connection,
    /// `SECRET`
    Secret,
    /// `SEQUENCE`
    Sequence,
    /// `TYPE`
    Type,
    /// `DOMAIN`
    Domain,
    /// `SCHEMA`
    Schema,
    /// `DATABASE`
    Database,
    /// `CLUSTER`
    Cluster,
}

/// `DROP kind [IF EXISTS] a, b [CASCADE | RESTRICT]`
#[derive(Clone, Debug, PartialEq)]
pub struct DropObjects {
    /// What is dropped.
    pub kind: ObjectKind,
    /// Whether absent ones are passed over.
    pub if_exists: bool,
    /// The names.
    pub names: Vec<ObjectName>,
    /// `CASCADE` (true), `RESTRICT` (false), or neither.
    pub cascade: Option<bool>,
}

/// `ALTER kind [IF EXISTS] name action`
#[derive(Clone, Debug, PartialEq)]
pub struct Alter {
    /// What is changed.
    pub kind: ObjectKind,
    /// Whether an absent one is passed over.
    pub if_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// The change.
    pub action: AlterAction,
}

/// What ALTER does.
#[derive(Clone, PartialEq)]
pub enum AlterAction {
    /// `RENAME TO name`
    Rename(Ident),
    /// `AS value` (of a secret)
    SecretValue(Expr),
    /// `RESYNC` (of a table that follows a source, or a source)
    Resync,
    /// What changes columns and constraints.
    Relation(Vec<AlterTableOperation>),
    /// The same with options: `.. WITH (TEXT COLUMNS (c))`, of a table that follows a source.
    Followed {
        /// The actions.
        actions: Vec<AlterTableOperation>,
        /// The options.
        with: Vec<NamedOption>,
    },
    /// What is only done to sources.
    Source(AlterSource),
    /// What is only done to connections.
    Connection(AlterConnection),
    /// `SET CLUSTER name`
    Cluster(Ident),
    /// `SET (RETAIN HISTORY FOR '..')`, `RESET (RETAIN HISTORY)`
    RetainHistory(Option<NamedOption>),
    /// `APPLY REPLACEMENT name` (of a materialized view)
    ApplyReplacement(ObjectName),
    /// `SWAP WITH name` (of a schema)
    Swap(Ident),
    /// Anything else: its first words, in capitals.
    Other(String),
}

/// What ALTER SOURCE does to a source.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterSource {
    /// `ADD SUBSOURCE t [AS a], .. [WITH (..)]`
    AddSubsources {
        /// Whether those that are there are left alone.
        if_not_exists: bool,
        /// The tables.
        tables: Vec<SourceTableName>,
        /// `TEXT COLUMNS`, `EXCLUDE COLUMNS`
        with: Vec<NamedOption>,
    },
    /// `DROP SUBSOURCE [IF EXISTS] t, .. [CASCADE | RESTRICT]`
    DropSubsources {
        /// Whether absent ones are passed over.
        if_exists: bool,
        /// The tables.
        names: Vec<ObjectName>,
        /// `CASCADE` (true), `RESTRICT` (false), or neither.
        cascade: Option<bool>,
    },
    /// `REFRESH REFERENCES`
    RefreshReferences,
    /// `SET (..)`
    Set(Vec<NamedOption>),
    /// `RESET (..)`
    Reset(Vec<String>),
}

/// What ALTER CONNECTION does to a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterConnection {
    /// `SET (..)`, `DROP (..)`, `RESET (..)`, and `WITH (VALIDATE = ..)`
    Options {
        /// Options that get a value.
        set: Vec<NamedOption>,
        /// Options that go.
        drop: Vec<String>,
        /// `VALIDATE`
        with: Vec<NamedOption>,
    },
    /// `ROTATE KEYS`
    RotateKeys,
}

/// What COPY reads.
#[derive(Clone, Debug, PartialEq)]
pub enum CopySource {
    /// `COPY (SUBSCRIBE ..) TO`
    Subscribe(Subscribe),
    /// `COPY (SELECT ..) TO`
    Query(QueryStatement),
    /// `COPY t (columns) TO`
    Table(ObjectName, Vec<Ident>),
}

/// Where COPY writes to or reads from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyEnd {
    /// STDIN or STDOUT.
    Client,
    /// A file of the server.
    File,
    /// A program on the server.
    Program,
}

/// `COPY .. {TO STDOUT | FROM STDIN} [WITH (..)] [WHERE ..]`
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// What is read, or with `from` the table that is written.
    pub source: CopySource,
    /// Whether it is `FROM`.
    pub from: bool,
    /// The other end.
    pub end: CopyEnd,
    /// `FORMAT`, ..
    pub options: Vec<NamedOption>,
    /// Which rows are taken.
    pub filter: Option<Expr>,
}

/// `DECLARE name CURSOR [..] FOR ..`
#[derive(Clone, Debug, PartialEq)]
pub struct Declare {
    /// The cursor.
    pub name: Ident,
    /// `WITH HOLD`
    pub hold: bool,
    /// A query or SUBSCRIBE.
    pub statement: Box<Statement>,
}

/// How many rows are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchCount {
    /// So many.
    Rows(u64),
    /// All there are.
    All,
}

/// `FETCH [n | ALL] [FROM] cursor [WITH (timeout = ..)]`
#[derive(Clone, Debug, PartialEq)]
pub struct Fetch {
    /// The cursor.
    pub name: Ident,
    /// How many.
    pub count: FetchCount,
    /// `TIMEOUT`
    pub options: Vec<NamedOption>,
}

/// `PREPARE name [(types)] AS ..`
#[derive(Clone, Debug, PartialEq)]
pub struct Prepare {
    /// The name.
    pub name: Ident,
    /// Types of the first parameters.
    pub types: Vec<DataType>,
    /// The statement.
    pub statement: Box<Statement>,
}

/// `EXECUTE name [(values)]`
#[derive(Clone, Debug, PartialEq)]
pub struct Execute {
    /// The name.
    pub name: Ident,
    /// The parameters.
    pub parameters: Vec<Expr>,
}

/// Which form of a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainStage {
    /// As planned from SQL.
    Raw,
    /// Without correlation.
    Decorrelated,
    /// After all rewrites.
    Optimized,
    /// As the workers render it, and how it is read.
    Physical,
}

/// `EXPLAIN [(..)] [stage PLAN [WITH (..)] [AS { TEXT | JSON }] FOR] statement`
#[derive(Clone, Debug, PartialEq)]
pub struct Explain {
    /// Which form; None is the default.
    pub stage: Option<ExplainStage>,
    /// `AS JSON`
    pub as_json: bool,
    /// Options.
    pub options: Vec<NamedOption>,
    /// What is explained.
    pub explainee: Explainee,
}

/// What is explained.
#[derive(Clone, Debug, PartialEq)]
pub enum Explainee {
    /// A statement.
    Statement(Box<Statement>),
    /// `VIEW v`, `MATERIALIZED VIEW v`, `INDEX i`
    Object(ObjectKind, ObjectName),
}

/// Objects that SHOW lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowKind {
    /// `SOURCES`
    Sources,
    /// `SUBSOURCES`
    Subsources,
    /// `TABLES`
    Tables,
    /// `VIEWS`
    Views,
    /// `MATERIALIZED VIEWS`
    MaterializedViews,
    /// `INDEXES`
    Indexes,
    /// `CONNECTIONS`
    Connections,
    /// `SECRETS`
    Secrets,
    /// `DATABASES`
    Databases,
    /// `SCHEMAS`
    Schemas,
    /// `OBJECTS`
    Objects,
    /// `CLUSTERS`
    Clusters,
    /// `CLUSTER REPLICAS`
    ClusterReplicas,
    /// `SINKS`
    Sinks,
    /// `TYPES`
    Types,
    /// `COLUMNS FROM x`
    Columns,
}

/// Which of the listed objects are shown.
#[derive(Clone, Debug, PartialEq)]
pub enum ShowFilter {
    /// `LIKE 'pattern'`
    Like(String),
    /// `WHERE expr`
    Where(Expr),
}

/// `SHOW ..`
#[derive(Clone, Debug, PartialEq)]
pub enum Show {
    /// A list of objects.
    Objects {
        /// Which.
        kind: ShowKind,
        /// `FROM name`: a schema, a source or a relation.
        from: Option<ObjectName>,
        /// `ON name`: a relation or source.
        on: Option<ObjectName>,
        /// `IN CLUSTER c`
        cluster: Option<Ident>,
        /// Which of them.
        filter: Option<ShowFilter>,
    },
    /// `SHOW CREATE kind name`
    Create(ObjectKind, ObjectName),
    /// `SHOW setting`
    Variable(Ident),
    /// `SHOW ALL`
    All,
}

/// For how long a setting is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetScope {
    /// For the session.
    Session,
    /// Until the end of the transaction.
    Local,
}

/// `SET [SESSION | LOCAL] name {= | TO} values`
#[derive(Clone, Debug, PartialEq)]
pub struct SetVariable {
    /// For how long.
    pub scope: SetScope,
    /// The setting.
    pub name: Ident,
    /// The values; None is `DEFAULT`.
    pub values: Option<Vec<SetValue>>,
}

/// A value of SET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// `word`: a folded identifier.
    Word(String),
    /// `'text'`
    Text(String),
    /// `-1.5`
    Number(String),
}

/// `SET TRANSACTION modes`, `SET SESSION CHARACTERISTICS AS TRANSACTION modes`
#[derive(Clone, Debug, PartialEq)]
pub struct SetTransaction {
    /// Whether it is for the transactions of the session that follow.
    pub session: bool,
    /// The modes.
    pub modes: Vec<sqlparser::ast::TransactionMode>,
}

/// `{CREATE SEQUENCE [IF NOT EXISTS] | ALTER SEQUENCE [IF EXISTS]} name options`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceStatement {
    /// Whether it is ALTER.
    pub alter: bool,
    /// `TEMPORARY`
    pub temporary: bool,
    /// Whether one that is there (CREATE), or is not (ALTER), is passed over.
    pub if_exists: bool,
    /// The name.
    pub name: ObjectName,
    /// What is said of it.
    pub options: Vec<SequenceOption>,
}

/// An option of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceOption {
    /// `AS type`
    As(DataType),
    /// `INCREMENT [BY] n`
    Increment(i64),
    /// `MINVALUE n`, `NO MINVALUE`
    Min(Option<i64>),
    /// `MAXVALUE n`, `NO MAXVALUE`
    Max(Option<i64>),
    /// `START [WITH] n`
    Start(i64),
    /// `RESTART [[WITH] n]`
    Restart(Option<i64>),
    /// `CACHE n`
    Cache(i64),
    /// `[NO] CYCLE`
    Cycle(bool),
    /// `OWNED BY table.column`; None: `NONE`
    OwnedBy(Option<ObjectName>),
}
