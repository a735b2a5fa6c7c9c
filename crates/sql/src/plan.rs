//! What a statement does, as plain data for `coord`.

mod alter;
mod copy;
mod subscribe;
mod write;

use std::fmt;

use tidemill_catalog::{CatalogChange, Definition, Item, QualifiedName, Sequence};
use tidemill_plan::explain::Annotations;
use tidemill_plan::{Finishing, QueryExpr, QueryScalar};
use tidemill_repr::{ObjectId, RelationDesc, ScalarType, SqlError, SqlState, Tick};

pub use crate::ast::OnCommit;
use crate::ast::{ExplainStage, FetchCount, SetScope, SetValue};
use crate::parse::ParsedStatement;

pub use alter::{
    AlterFollowedPlan, AlterTablePlan, AlteredContent, AlteredItem, NumberedColumn, renumber,
};
pub use copy::{CopyFormat, CopyFromPlan, CopyHeader, CopyOptions, CopyPlan};
pub use subscribe::{SubscribeForm, SubscribeKey, SubscribePlan};
pub use write::{
    ConflictPlan, DeletePlan, InsertPlan, KeyCheck, MergeAction, MergePlan, ReturningPlan,
    RowCheck, RowProgram, UpdatePlan,
};

/// A planned statement.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What it does.
    pub plan: Plan,
    /// The types of its parameters, `$1` first.
    pub parameters: Vec<ScalarType>,
    /// The rows it gives, if it gives any.
    pub desc: Option<RelationDesc>,
    /// What the client is told beside.
    pub notices: Vec<Notice>,
}

/// A message that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE` or `WARNING`
    pub severity: &'static str,
    /// The SQLSTATE.
    pub code: SqlState,
    /// The message.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Gives rows.
    Select(SelectPlan),
    /// Gives the text of a plan.
    Explain(ExplainPlan),
    /// Follows a relation.
    Subscribe(SubscribePlan),
    /// Gives rows in COPY format.
    Copy(CopyPlan),
    /// Adds rows that the client sends.
    CopyFrom(Box<CopyFromPlan>),
    /// Adds rows.
    Insert(InsertPlan),
    /// Changes rows.
    Update(UpdatePlan),
    /// Takes rows away.
    Delete(DeletePlan),
    /// Takes all rows of tables away.
    Truncate(TruncatePlan),
    /// Does one or the other with each row.
    Merge(Box<MergePlan>),
    /// Opens a cursor.
    Declare(DeclarePlan),
    /// Reads from a cursor.
    Fetch(FetchPlan),
    /// Closes a cursor; None: all.
    Close(Option<String>),
    /// Remembers a statement.
    Prepare(PreparePlan),
    /// Runs a remembered statement.
    Execute(ExecutePlan),
    /// Forgets a remembered statement; None: all.
    Deallocate(Option<String>),
    /// Begins a transaction.
    Begin(TransactionModes),
    /// Ends it; with `chain` another begins.
    Commit {
        /// `AND CHAIN`
        chain: bool,
    },
    /// Undoes it; with `chain` another begins.
    Rollback {
        /// `AND CHAIN`
        chain: bool,
    },
    /// Remembers a place in the transaction.
    Savepoint(String),
    /// Forgets it.
    Release(String),
    /// Undoes what was done since.
    RollbackTo(String),
    /// Sets modes of the transaction, or with `session` of those to come.
    SetTransaction {
        /// For the transactions of the session to come.
        session: bool,
        /// The modes.
        modes: TransactionModes,
    },
    /// Sets a setting.
    SetVariable(SetVariablePlan),
    /// Puts a setting back; None: all.
    ResetVariable(Option<String>),
    /// Shows a setting.
    ShowVariable(String),
    /// Shows all settings.
    ShowAllVariables,
    /// Forgets what the session holds.
    Discard(DiscardKind),
    /// Makes a database.
    CreateDatabase {
        /// Its name.
        name: String,
    },
    /// Makes a schema.
    CreateSchema {
        /// Its database.
        database: String,
        /// Its name.
        name: String,
    },
    /// Makes a secret; its value must be encrypted first.
    CreateSecret(CreateSecretPlan),
    /// Changes the value of a secret.
    AlterSecret {
        /// The secret.
        id: ObjectId,
        /// Its new value.
        value: SecretValue,
    },
    /// Reads a table that follows a source once more, or all of a source's tables.
    Resync(ObjectId),
    /// Makes more tables from a source, as [`crate::sources`] makes them from what is upstream.
    AddSubsources(Box<AddSubsourcesPlan>),
    /// Looks up anew which tables could be made from a source.
    RefreshReferences(ObjectId),
    /// Gives a connection other options.
    AlterConnection(Box<AlterConnectionPlan>),
    /// Replaces the first pair of keys of an SSH tunnel by the second, and that by a new one.
    RotateKeys(ObjectId),
    /// Gives schemas other names.
    RenameSchemas(Box<RenameSchemasPlan>),
    /// Makes a connection.
    CreateConnection {
        /// The connection.
        item: NewItem,
        /// Whether it is tried first.
        validate: bool,
    },
    /// Tries a connection.
    ValidateConnection(ObjectId),
    /// Makes a source, and tables that [`crate::sources`] makes from what is upstream.
    CreateSource(CreateSourcePlan),
    /// Makes a table from a source, as [`crate::sources`] makes it from what is upstream.
    CreateTableFromSource(CreateTableFromSourcePlan),
    /// Makes a table.
    CreateTable(Box<CreateTablePlan>),
    /// Makes a sequence.
    CreateSequence(NewItem),
    /// Changes a sequence.
    AlterSequence(Box<AlterSequencePlan>),
    /// Makes a view.
    CreateView(NewItem),
    /// Makes a materialized view.
    CreateMaterializedView(NewItem),
    /// Makes an index.
    CreateIndex(NewItem),
    /// Takes objects away.
    Drop(DropPlan),
    /// Makes a type.
    CreateType {
        /// The type; its name and oids are not in it yet.
        item: NewItem,
        /// The command tag.
        tag: &'static str,
    },
    /// Writes to several tables at once, and reads what was returned.
    WithWrites(Box<WithWritesPlan>),
    /// Makes a function.
    CreateFunction(NewItem),
    /// Changes a type.
    AlterType(AlterTypePlan),
    /// Gives an object another name. `item` is as it will be.
    Rename(RenamePlan),
    /// Changes columns and constraints.
    AlterTable(Box<AlterTablePlan>),
    /// Gives a table that follows a source other columns of the upstream's.
    AlterFollowed(Box<AlterFollowedPlan>),
    /// Changes the catalog, and nothing that runs but what follows from it.
    ChangeCatalog(ChangeCatalogPlan),
    /// Does nothing: `IF [NOT] EXISTS` had its way. The tag is what the client is told.
    Nothing {
        /// The command tag.
        tag: &'static str,
    },
}

/// Statements of a WITH that write, and the statement around them.
#[derive(Clone, Debug)]
pub struct WithWritesPlan {
    /// Those of the WITH, in order.
    pub writes: Vec<WritePart>,
    /// What gives the answer: a SELECT or another write.
    pub main: Plan,
}

/// A statement of a WITH that writes.
#[derive(Clone, Debug)]
pub struct WritePart {
    /// The binding that stands for what it returns.
    pub id: tidemill_plan::LocalId,
    /// The statement.
    pub plan: Plan,
}

/// A query.
#[derive(Clone, Debug)]
pub struct SelectPlan {
    /// The relation.
    pub query: QueryExpr,
    /// What it gives after the finishing.
    pub desc: RelationDesc,
    /// Order, limit and projection, done by the session.
    pub finishing: Finishing,
    /// The tick it is asked at; None: now.
    pub as_of: Option<AsOfTick>,
    /// Settings that are set before it is answered.
    pub set_config: Vec<crate::query::SetConfig>,
}

/// A tick that a read is asked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOfTick {
    /// The tick.
    pub tick: Tick,
    /// Whether a later one will do too.
    pub at_least: bool,
}

/// EXPLAIN.
#[derive(Clone, Debug)]
pub struct ExplainPlan {
    /// Which form.
    pub stage: ExplainStage,
    /// What is said of each operator beside it.
    pub annotations: Annotations,
    /// Whether the answer is JSON.
    pub as_json: bool,
    /// What is explained.
    pub explainee: Box<Explained>,
}

/// What is explained.
#[derive(Clone, Debug)]
pub enum Explained {
    /// A SELECT.
    Select(SelectPlan),
    /// Another statement that reads: its relation.
    Relation(QueryExpr, RelationDesc),
    /// An existing view, materialized view or index.
    Object(ObjectId),
    /// An index that is not there yet.
    NewIndex(NewItem),
}

/// TRUNCATE.
#[derive(Clone, Debug)]
pub struct TruncatePlan {
    /// The tables, each with the query for its rows.
    pub tables: Vec<(ObjectId, QueryExpr)>,
    /// Sequences that begin again.
    pub restart: Vec<ObjectId>,
}

/// DECLARE.
#[derive(Clone, Debug)]
pub struct DeclarePlan {
    /// The cursor.
    pub name: String,
    /// Whether it outlives the transaction.
    pub hold: bool,
    /// A Select or a Subscribe.
    pub source: Box<Planned>,
}

/// FETCH.
#[derive(Clone, Debug)]
pub struct FetchPlan {
    /// The cursor.
    pub name: String,
    /// How many rows.
    pub count: FetchCount,
    /// How long it waits for them, in microseconds; None: until there is at least one.
    pub timeout_micros: Option<u64>,
}

/// PREPARE.
#[derive(Clone, Debug)]
pub struct PreparePlan {
    /// The name.
    pub name: String,
    /// The statement; to be planned again when it is run.
    pub statement: ParsedStatement,
    /// The types that were given.
    pub types: Vec<Option<ScalarType>>,
}

/// EXECUTE.
#[derive(Clone, Debug)]
pub struct ExecutePlan {
    /// The name.
    pub name: String,
    /// The parameters, evaluated: rows of one datum with its type. The session casts them to the
    /// parameters' types.
    pub parameters: Vec<QueryScalar>,
}

/// Modes of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionModes {
    /// `READ ONLY` (true) or `READ WRITE` (false), if said.
    pub read_only: Option<bool>,
    /// The isolation level that was asked for, in PostgreSQL's words; all get strict
    /// serializability.
    pub isolation: Option<&'static str>,
}

/// SET.
#[derive(Clone, Debug)]
pub struct SetVariablePlan {
    /// For how long.
    pub scope: SetScope,
    /// The setting, folded.
    pub name: String,
    /// The values; None: the default.
    pub values: Option<Vec<SetValue>>,
}

/// What DISCARD forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscardKind {
    /// All of it.
    All,
    /// Cached plans: there are none.
    Plans,
    /// Sequences: there are none.
    Sequences,
    /// Temporary tables: there are none.
    Temp,
}

/// An object to be made; `coord` gives it identity and owner.
#[derive(Clone, Debug)]
pub struct NewItem {
    /// Its name.
    pub name: QualifiedName,
    /// The statement that makes it, with full names.
    pub create_sql: String,
    /// What it cannot be without.
    pub depends_on: Vec<ObjectId>,
    /// What it is.
    pub definition: Definition,
    /// What is dropped in the same commit (`OR REPLACE`): the object that had the name.
    pub replaces: Option<ObjectId>,
}

/// CREATE TABLE: the table, and what belongs to it.
#[derive(Clone, Debug)]
pub struct CreateTablePlan {
    /// The number by which the parts name the table; those of the parts follow it. They are no
    /// identities yet.
    pub number: u64,
    /// The table.
    pub table: NewItem,
    /// Its indexes and sequences.
    pub parts: Vec<NewItem>,
    /// What becomes of it, if it is temporary, when a transaction ends.
    pub on_commit: Option<OnCommit>,
    /// Its first rows, with the command tag of the statement that brings them.
    pub rows: Option<FirstRows>,
}

/// The rows of CREATE TABLE AS.
#[derive(Clone, Debug)]
pub struct FirstRows {
    /// The query; None: `WITH NO DATA`.
    pub query: Option<QueryExpr>,
    /// The command tag without rows.
    pub tag: &'static str,
}

/// ALTER SEQUENCE.
#[derive(Clone, Debug)]
pub struct AlterSequencePlan {
    /// The sequence.
    pub id: ObjectId,
    /// The statement that makes it as it will be.
    pub create_sql: String,
    /// How it will be.
    pub sequence: Sequence,
    /// What it depends on.
    pub depends_on: Vec<ObjectId>,
    /// The number it begins again with.
    pub restart: Option<i64>,
}

/// A value that does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(pub Vec<u8>);

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

/// CREATE SECRET.
#[derive(Clone, Debug)]
pub struct CreateSecretPlan {
    /// Its name.
    pub name: QualifiedName,
    /// The statement, without the value.
    pub create_sql: String,
    /// The value.
    pub value: SecretValue,
}

/// Which upstream tables become tables with a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TablesWanted {
    /// None.
    None,
    /// All of the publication.
    All,
    /// Those in these schemas.
    Schemas(Vec<String>),
    /// These: parts of the name upstream, and the name here if it was given.
    Tables(Vec<(Vec<String>, Option<QualifiedName>)>),
}

/// CREATE SOURCE.
#[derive(Clone, Debug)]
pub struct CreateSourcePlan {
    /// Its name.
    pub name: QualifiedName,
    /// The statement, with full names.
    pub create_sql: String,
    /// The connection.
    pub connection: SourceConnection,
    /// The publication upstream.
    pub publication: String,
    /// Where it runs.
    pub cluster: String,
    /// The name of its progress relation.
    pub progress: Option<QualifiedName>,
    /// The tables made with it, in the schema of `name` unless they say otherwise.
    pub tables: TablesWanted,
    /// Columns carried as text: parts of `[schema.]table.column`.
    pub text_columns: Vec<Vec<String>>,
    /// Columns left out.
    pub exclude_columns: Vec<Vec<String>>,
}

/// The connection of CREATE SOURCE.
#[derive(Clone, Debug)]
pub enum SourceConnection {
    /// One that is there.
    Existing(ObjectId),
    /// One that is made with the source, and the password it needs. The connection does not name
    /// the password's secret yet.
    Made {
        /// The connection.
        connection: Box<NewItem>,
        /// The password.
        password: Option<CreateSecretPlan>,
    },
}

/// ALTER SOURCE .. ADD SUBSOURCE, CREATE VIEWS FROM SOURCE.
#[derive(Clone, Debug)]
pub struct AddSubsourcesPlan {
    /// The source.
    pub source: ObjectId,
    /// A name in the schema of tables that have no alias.
    pub beside: QualifiedName,
    /// Whether tables that are there are left alone.
    pub if_not_exists: bool,
    /// The tables.
    pub tables: TablesWanted,
    /// Columns carried as text: parts of `[schema.]table.column`.
    pub text_columns: Vec<Vec<String>>,
    /// Columns left out.
    pub exclude_columns: Vec<Vec<String>>,
    /// The command tag.
    pub tag: &'static str,
}

/// ALTER CONNECTION.
#[derive(Clone, Debug)]
pub struct AlterConnectionPlan {
    /// The connection as it will be.
    pub item: Item,
    /// Whether it is tried first.
    pub validate: bool,
}

/// ALTER SCHEMA .. RENAME TO, ALTER SCHEMA .. SWAP WITH.
#[derive(Clone, Debug)]
pub struct RenameSchemasPlan {
    /// Their database.
    pub database: String,
    /// Old and new name of each.
    pub names: Vec<(String, String)>,
    /// The objects whose names or texts change, as they will be.
    pub items: Vec<Item>,
}

/// CREATE TABLE .. FROM SOURCE.
#[derive(Clone, Debug)]
pub struct CreateTableFromSourcePlan {
    /// Its name.
    pub name: QualifiedName,
    /// The source.
    pub source: ObjectId,
    /// Parts of the name upstream.
    pub reference: Vec<String>,
    /// Columns carried as text.
    pub text_columns: Vec<String>,
    /// Columns left out.
    pub exclude_columns: Vec<String>,
}

/// Changes of the catalog.
#[derive(Clone, Debug)]
pub struct ChangeCatalogPlan {
    /// The changes, one after the other.
    pub changes: Vec<CatalogChange>,
    /// The command tag.
    pub tag: &'static str,
    /// What is waited for afterwards.
    pub wait: Option<ReplicaWait>,
}

/// A cluster whose replicas are waited for.
#[derive(Clone, Debug)]
pub struct ReplicaWait {
    /// The cluster.
    pub cluster: String,
    /// For how long, in milliseconds.
    pub timeout: u64,
    /// What is changed if that is too short; None: nothing.
    pub otherwise: Option<Vec<CatalogChange>>,
}

/// DROP: everything that goes, each object before those it depends on.
#[derive(Clone, Debug, Default)]
pub struct DropPlan {
    /// Objects.
    pub items: Vec<ObjectId>,
    /// Schemas, empty by then: database and name.
    pub schemas: Vec<(String, String)>,
    /// Databases, empty by then.
    pub databases: Vec<String>,
    /// What else changes.
    pub changes: Vec<CatalogChange>,
    /// The command tag.
    pub tag: &'static str,
}

/// ALTER TYPE, ALTER DOMAIN.
#[derive(Clone, Debug)]
pub struct AlterTypePlan {
    /// The type and all that holds its definition, as they will be.
    pub items: Vec<Item>,
    /// Rows that must not be there, and the error if they are.
    pub refused: Vec<(QueryExpr, SqlError)>,
    /// The command tag.
    pub tag: &'static str,
}

/// ALTER .. RENAME TO.
#[derive(Clone, Debug)]
pub struct RenamePlan {
    /// The object.
    pub id: ObjectId,
    /// Its new name.
    pub name: QualifiedName,
    /// The statement that makes it, with the new name.
    pub create_sql: String,
    /// The objects whose texts hold the name, as they will be.
    pub dependants: Vec<Item>,
    /// The command tag.
    pub tag: &'static str,
}

impl Notice {
    /// A notice.
    pub fn new(code: SqlState, message: impl Into<String>) -> Notice {
        Notice { severity: "NOTICE", code, message: message.into(), detail: None }
    }
}
