//! The one error that clients see, in PostgreSQL's voice.

use std::fmt;

/// A five-character SQLSTATE code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SqlState(pub &'static str);

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl SqlState { $($(#[$doc])* #[doc = concat!("`", $code, "`")] pub const $name: SqlState = SqlState($code);)*

            /// The code with these five characters; `XX000` if Tidemill has no name for it.
            pub fn from_code(code: &str) -> SqlState {
                match code { $($code => SqlState($code),)* _ => SqlState("XX000") }
            }
        }
    };
}

states! {
    WARNING = "01000";
    CONNECTION_EXCEPTION = "08000";
    CONNECTION_FAILURE = "08006";
    PROTOCOL_VIOLATION = "08P01";
    FEATURE_NOT_SUPPORTED = "0A000";
    CARDINALITY_VIOLATION = "21000";
    DATA_EXCEPTION = "22000";
    STRING_DATA_RIGHT_TRUNCATION = "22001";
    NUMERIC_VALUE_OUT_OF_RANGE = "22003";
    NULL_VALUE_NOT_ALLOWED = "22004";
    INVALID_DATETIME_FORMAT = "22007";
    DATETIME_FIELD_OVERFLOW = "22008";
    DIVISION_BY_ZERO = "22012";
    INVALID_PRECEDING_OR_FOLLOWING_SIZE = "22013";
    INVALID_ARGUMENT_FOR_NTILE = "22014";
    INTERVAL_FIELD_OVERFLOW = "22015";
    INVALID_ARGUMENT_FOR_NTH_VALUE = "22016";
    INVALID_REGULAR_EXPRESSION = "2201B";
    INVALID_ARGUMENT_FOR_LOG = "2201E";
    INVALID_ARGUMENT_FOR_POWER = "2201F";
    INVALID_ARGUMENT_FOR_WIDTH_BUCKET = "2201G";
    INVALID_ROW_COUNT_IN_LIMIT = "2201W";
    INVALID_ROW_COUNT_IN_OFFSET = "2201X";
    CHARACTER_NOT_IN_REPERTOIRE = "22021";
    INVALID_PARAMETER_VALUE = "22023";
    INVALID_ESCAPE_SEQUENCE = "22025";
    STRING_DATA_LENGTH_MISMATCH = "22026";
    DUPLICATE_JSON_OBJECT_KEY_VALUE = "22030";
    INVALID_ARGUMENT_FOR_JSON_DATETIME_FUNCTION = "22031";
    INVALID_SQL_JSON_SUBSCRIPT = "22033";
    MORE_THAN_ONE_SQL_JSON_ITEM = "22034";
    NO_SQL_JSON_ITEM = "22035";
    NON_NUMERIC_SQL_JSON_ITEM = "22036";
    SINGLETON_SQL_JSON_ITEM_REQUIRED = "22038";
    SQL_JSON_ARRAY_NOT_FOUND = "22039";
    SQL_JSON_MEMBER_NOT_FOUND = "2203A";
    SQL_JSON_NUMBER_NOT_FOUND = "2203B";
    SQL_JSON_OBJECT_NOT_FOUND = "2203C";
    SQL_JSON_SCALAR_REQUIRED = "2203F";
    SUBSTRING_ERROR = "22011";
    SUBSCRIPT_ERROR = "2202E";
    INVALID_TEXT_REPRESENTATION = "22P02";
    INVALID_BINARY_REPRESENTATION = "22P03";
    NOT_NULL_VIOLATION = "23502";
    UNIQUE_VIOLATION = "23505";
    CHECK_VIOLATION = "23514";
    GENERATED_ALWAYS = "428C9";
    SEQUENCE_GENERATOR_LIMIT_EXCEEDED = "2200H";
    INVALID_CURSOR_STATE = "24000";
    ACTIVE_SQL_TRANSACTION = "25001";
    NO_ACTIVE_SQL_TRANSACTION = "25P01";
    IN_FAILED_SQL_TRANSACTION = "25P02";
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = "25P03";
    READ_ONLY_SQL_TRANSACTION = "25006";
    INVALID_SQL_STATEMENT_NAME = "26000";
    INVALID_AUTHORIZATION = "28000";
    INVALID_PASSWORD = "28P01";
    DEPENDENT_OBJECTS_STILL_EXIST = "2BP01";
    INVALID_CURSOR_NAME = "34000";
    INVALID_SAVEPOINT_SPECIFICATION = "3B001";
    INVALID_CATALOG_NAME = "3D000";
    UNTRANSLATABLE_CHARACTER = "22P05";
    INVALID_USE_OF_ESCAPE_CHARACTER = "2200C";
    BAD_COPY_FILE_FORMAT = "22P04";
    INVALID_SCHEMA_NAME = "3F000";
    DEADLOCK_DETECTED = "40P01";
    SERIALIZATION_FAILURE = "40001";
    SYNTAX_ERROR = "42601";
    INSUFFICIENT_PRIVILEGE = "42501";
    CANNOT_COERCE = "42846";
    WINDOWING_ERROR = "42P20";
    GROUPING_ERROR = "42803";
    INVALID_COLUMN_REFERENCE = "42P10";
    INVALID_COLUMN_DEFINITION = "42611";
    INDETERMINATE_DATATYPE = "42P18";
    DATATYPE_MISMATCH = "42804";
    INVALID_RECURSION = "42P19";
    WRONG_OBJECT_TYPE = "42809";
    UNDEFINED_COLUMN = "42703";
    UNDEFINED_FUNCTION = "42883";
    UNDEFINED_TABLE = "42P01";
    COLLATION_MISMATCH = "42P21";
    UNDEFINED_PARAMETER = "42P02";
    UNDEFINED_OBJECT = "42704";
    DUPLICATE_COLUMN = "42701";
    DUPLICATE_CURSOR = "42P03";
    DUPLICATE_DATABASE = "42P04";
    DUPLICATE_PREPARED_STATEMENT = "42P05";
    DUPLICATE_SCHEMA = "42P06";
    DUPLICATE_TABLE = "42P07";
    DUPLICATE_ALIAS = "42712";
    DUPLICATE_OBJECT = "42710";
    AMBIGUOUS_COLUMN = "42702";
    AMBIGUOUS_FUNCTION = "42725";
    DUPLICATE_FUNCTION = "42723";
    INVALID_FUNCTION_DEFINITION = "42P13";
    AMBIGUOUS_ALIAS = "42P09";
    INVALID_TABLE_DEFINITION = "42P16";
    INVALID_OBJECT_DEFINITION = "42P17";
    INVALID_NAME = "42602";
    RESERVED_NAME = "42939";
    TOO_MANY_ARGUMENTS = "54023";
    TOO_MANY_COLUMNS = "54011";
    TOO_MANY_CONNECTIONS = "53300";
    OUT_OF_MEMORY = "53200";
    DISK_FULL = "53100";
    CONFIGURATION_LIMIT_EXCEEDED = "53400";
    TRANSACTION_TIMEOUT = "25P04";
    PROGRAM_LIMIT_EXCEEDED = "54000";
    STATEMENT_TOO_COMPLEX = "54001";
    OBJECT_NOT_IN_PREREQUISITE_STATE = "55000";
    OBJECT_IN_USE = "55006";
    CANT_CHANGE_RUNTIME_PARAM = "55P02";
    QUERY_CANCELED = "57014";
    ADMIN_SHUTDOWN = "57P01";
    CANNOT_CONNECT_NOW = "57P03";
    IDLE_SESSION_TIMEOUT = "57P05";
    IO_ERROR = "58030";
    INTERNAL_ERROR = "XX000";
    DATA_CORRUPTED = "XX001";
}

/// An error as a client sees it: what went wrong, by name, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    /// The SQLSTATE.
    pub code: SqlState,
    /// The primary message: no capital, no full stop.
    pub message: String,
    /// More facts, in whole sentences.
    pub detail: Option<String>,
    /// What to do, in whole sentences.
    pub hint: Option<String>,
    /// Where in the statement's text, in characters from 1.
    pub position: Option<u32>,
    /// Where in the work of the server: the row and column that COPY was at.
    pub context: Option<Box<str>>,
    /// The object it is about, where a program may want to know.
    pub about: Option<Box<ErrorObject>>,
}

/// The object that an error is about, as fields of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorObject {
    /// The schema.
    pub schema: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The constraint.
    pub constraint: Option<String>,
}

impl SqlError {
    /// An error with a code and a message.
    pub fn new(code: SqlState, message: impl Into<String>) -> SqlError {
        SqlError {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            about: None,
        }
    }

    /// Adds facts.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> SqlError {
        self.detail = Some(detail.into());
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> SqlError {
        self.hint = Some(hint.into());
        self
    }

    /// Adds where in its work the server was.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> SqlError {
        self.context = Some(context.into().into_boxed_str());
        self
    }

    /// Adds the object that it is about.
    #[must_use]
    pub fn about(mut self, object: ErrorObject) -> SqlError {
        self.about = Some(Box::new(object));
        self
    }

    /// Adds the place in the statement's text, in characters from 1.
    #[must_use]
    pub fn at(mut self, position: u32) -> SqlError {
        self.position = Some(position);
        self
    }

    /// Something PostgreSQL can do and Tidemill cannot.
    pub fn unsupported(what: impl fmt::Display) -> SqlError {
        SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported"))
    }

    /// A broken promise inside the server, told instead of a panic.
    pub fn internal(what: impl fmt::Display) -> SqlError {
        SqlError::new(SqlState::INTERNAL_ERROR, format!("internal error: {what}"))
            .with_hint("This is a bug in Tidemill; please report the statement that led here.")
    }

    /// A text that is no value of a type, in PostgreSQL's words.
    pub fn invalid_input(type_name: impl fmt::Display, text: &str) -> SqlError {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type {type_name}: \"{text}\""),
        )
    }

    /// A value outside the range of its type.
    pub fn out_of_range(type_name: impl fmt::Display) -> SqlError {
        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{type_name} out of range"))
    }
}
