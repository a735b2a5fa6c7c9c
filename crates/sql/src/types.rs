//! Names of types: from what the parser read to a [`ColumnType`].

use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, Ident, ObjectName,
    ObjectNamePart, Spanned, TimezoneInfo,
};
use tidemill_catalog::name::quote_identifier;
use tidemill_repr::interval::fields;
use tidemill_repr::{ColumnType, ScalarType, SqlError, SqlState};

/// The longest `varchar(n)` and `char(n)`, in characters.
const MAX_CHARACTER_LENGTH: u64 = 10_485_760;
/// The most digits of `numeric(p, s)`.
const MAX_NUMERIC_PRECISION: u64 = 1000;
/// The most digits after the seconds' point.
const MAX_TIME_PRECISION: u64 = 6;

/// Types that PostgreSQL has and Tidemill has not: told apart from names that mean nothing.
const UNSUPPORTED: &[&str] = &[
    "xml",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "tsvector",
    "tsquery",
    "serial",
    "bigserial",
    "smallserial",
    "serial2",
    "serial4",
    "serial8",
    "cid",
    "tid",
    "xid8",
    "record",
];

/// Reads a type's name.
///
/// # Errors
/// It is none.
pub(crate) fn parse_data_type_text(text: &str) -> Result<DataType, SqlError> {
    let missing =
        || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{text}\" does not exist"));
    let dialect = sqlparser::dialect::PostgreSqlDialect {};
    let mut parser =
        sqlparser::parser::Parser::new(&dialect).try_with_sql(text).map_err(|_| missing())?;
    parser.parse_data_type().map_err(|_| missing())
}

/// Finds a type that a user created, by the parts of its name.
pub type CreatedTypes<'a> = dyn Fn(&[String]) -> Option<ScalarType> + 'a;

/// The type that a type name means, nullable, with its modifier. Built-in types come first.
///
/// # Errors
/// No such type (`42704`), a type Tidemill has not (`0A000`), a modifier that is out of range or
/// not allowed.
pub fn resolve_data_type(
    created: &CreatedTypes<'_>,
    data_type: &DataType,
) -> Result<ColumnType, SqlError> {
    resolve(created, data_type).map_err(|error| match data_type {
        DataType::Custom(name, _) if error.code == SqlState::UNDEFINED_OBJECT => {
            crate::names::locate(error, name.span())
        }
        _ => error,
    })
}

fn resolve(created: &CreatedTypes<'_>, data_type: &DataType) -> Result<ColumnType, SqlError> {
    let plain = |scalar_type| Ok(ColumnType::new(scalar_type));
    match data_type {
        DataType::Bool | DataType::Boolean => plain(ScalarType::Bool),
        DataType::Int2(modifier) | DataType::SmallInt(modifier) => {
            without_modifier(ScalarType::Int2, modifier.is_some())
        }
        DataType::Int(modifier) | DataType::Int4(modifier) | DataType::Integer(modifier) => {
            without_modifier(ScalarType::Int4, modifier.is_some())
        }
        DataType::Int8(modifier) | DataType::BigInt(modifier) => {
            without_modifier(ScalarType::Int8, modifier.is_some())
        }
        DataType::Real | DataType::Float4 => plain(ScalarType::Float4),
        DataType::Float8 | DataType::DoublePrecision => plain(ScalarType::Float8),
        DataType::Float(precision) => float(precision),
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => numeric(info),
        DataType::Text => plain(ScalarType::Text),
        DataType::Varchar(length)
        | DataType::CharVarying(length)
        | DataType::CharacterVarying(length) => varchar(length.as_ref()),
        DataType::Char(length) | DataType::Character(length) => character(length.as_ref()),
        DataType::Bytea => plain(ScalarType::Bytea),
        DataType::Date => plain(ScalarType::Date),
        DataType::Time(precision, zone) => match zone {
            TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => {
                Ok(time(ScalarType::Time, *precision))
            }
            TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => {
                Ok(time(ScalarType::TimeTz, *precision))
            }
        },
        DataType::Timestamp(precision, zone) => Ok(match zone {
            TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => {
                time(ScalarType::Timestamp, *precision)
            }
            TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => {
                time(ScalarType::TimestampTz, *precision)
            }
        }),
        DataType::Interval { fields, precision } => {
            let fields = fields.as_ref().map(|fields| fields.to_string().to_lowercase());
            interval(fields.as_deref(), *precision)
        }
        DataType::Uuid => plain(ScalarType::Uuid),
        DataType::JSONB => plain(ScalarType::Jsonb),
        DataType::JSON => plain(ScalarType::Json),
        // Alone it is `bit(1)`.
        DataType::Bit(length) => bits(ScalarType::Bit, "bit", Some(length.unwrap_or(1))),
        DataType::BitVarying(length) | DataType::VarBit(length) => {
            bits(ScalarType::Varbit, "varbit", *length)
        }
        DataType::UInt8 => plain(ScalarType::UInt8),
        DataType::Regclass => plain(ScalarType::Regclass),
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::Qualified(element, _),
        ) => array_of(&resolve_data_type(created, element)?),
        DataType::Custom(name, modifiers) => custom(created, name, modifiers),
        other => {
            let shown = other.to_string().to_lowercase();
            let base = shown.split('(').next().unwrap_or_default().trim();
            // A word of other dialects may be the name of a created type.
            match created(&[base.to_owned()]) {
                Some(found) if shown == base => plain(found),
                _ => Err(unknown_type(base)),
            }
        }
    }
}

/// The type of an array of these elements; an array of arrays is an array of more dimensions.
fn array_of(element: &ColumnType) -> Result<ColumnType, SqlError> {
    let scalar_type = match &element.scalar_type {
        ScalarType::Array(_) => element.scalar_type.clone(),
        other => ScalarType::Array(Box::new(other.clone())),
    };
    Ok(ColumnType::new(scalar_type).with_typmod(element.typmod))
}

fn without_modifier(scalar_type: ScalarType, modifier: bool) -> Result<ColumnType, SqlError> {
    if modifier {
        return Err(modifier_not_allowed(&scalar_type.pg_name()));
    }
    Ok(ColumnType::new(scalar_type))
}

fn modifier_not_allowed(name: &str) -> SqlError {
    SqlError::new(
        SqlState::SYNTAX_ERROR,
        format!("type modifier is not allowed for type \"{name}\""),
    )
}

fn invalid_modifier(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn float(precision: &ExactNumberInfo) -> Result<ColumnType, SqlError> {
    let scalar_type = match precision {
        ExactNumberInfo::None => ScalarType::Float8,
        ExactNumberInfo::Precision(0) => {
            return Err(invalid_modifier("precision for type float must be at least 1 bit"));
        }
        ExactNumberInfo::Precision(1..=24) => ScalarType::Float4,
        ExactNumberInfo::Precision(25..=53) => ScalarType::Float8,
        ExactNumberInfo::Precision(_) => {
            return Err(invalid_modifier("precision for type float must be less than 54 bits"));
        }
        ExactNumberInfo::PrecisionAndScale(..) => return Err(modifier_not_allowed("float")),
    };
    Ok(ColumnType::new(scalar_type))
}

fn numeric(info: &ExactNumberInfo) -> Result<ColumnType, SqlError> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(ColumnType::new(ScalarType::Numeric)),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    numeric_with(precision, scale)
}

fn numeric_with(precision: u64, scale: i64) -> Result<ColumnType, SqlError> {
    if precision == 0 || precision > MAX_NUMERIC_PRECISION {
        return Err(invalid_modifier(format!(
            "NUMERIC precision {precision} must be between 1 and {MAX_NUMERIC_PRECISION}"
        )));
    }
    if !(-1000..=1000).contains(&scale) {
        return Err(invalid_modifier(format!(
            "NUMERIC scale {scale} must be between -1000 and 1000"
        )));
    }
    let bits = ((precision as i64) << 16) | (scale & 0x7ff);
    let typmod = i32::try_from(bits + 4).map_err(SqlError::internal)?;
    Ok(ColumnType::new(ScalarType::Numeric).with_typmod(typmod))
}

fn varchar(length: Option<&CharacterLength>) -> Result<ColumnType, SqlError> {
    match length {
        None => Ok(ColumnType::new(ScalarType::Varchar)),
        Some(length) => with_length(ScalarType::Varchar, "varchar", length),
    }
}

/// `char` alone is `char(1)`.
fn character(length: Option<&CharacterLength>) -> Result<ColumnType, SqlError> {
    match length {
        None => Ok(ColumnType::new(ScalarType::Bpchar).with_typmod(5)),
        Some(length) => with_length(ScalarType::Bpchar, "char", length),
    }
}

fn with_length(
    scalar_type: ScalarType,
    name: &str,
    length: &CharacterLength,
) -> Result<ColumnType, SqlError> {
    match length {
        CharacterLength::IntegerLength { length, unit: None } => {
            character_length(scalar_type, name, *length)
        }
        other => Err(SqlError::unsupported(format_args!("type {name}({other})"))),
    }
}

fn character_length(
    scalar_type: ScalarType,
    name: &str,
    length: u64,
) -> Result<ColumnType, SqlError> {
    if length < 1 {
        return Err(invalid_modifier(format!("length for type {name} must be at least 1")));
    }
    if length > MAX_CHARACTER_LENGTH {
        return Err(invalid_modifier(format!(
            "length for type {name} cannot exceed {MAX_CHARACTER_LENGTH}"
        )));
    }
    let typmod = i32::try_from(length + 4).map_err(SqlError::internal)?;
    Ok(ColumnType::new(scalar_type).with_typmod(typmod))
}

/// The longest bit string of a type.
const MAX_BITS: u64 = 83_886_080;

fn bits(scalar_type: ScalarType, name: &str, length: Option<u64>) -> Result<ColumnType, SqlError> {
    let Some(length) = length else { return Ok(ColumnType::new(scalar_type)) };
    if length < 1 {
        return Err(invalid_modifier(format!("length for type {name} must be at least 1")));
    }
    if length > MAX_BITS {
        return Err(invalid_modifier(format!("length for type {name} cannot exceed {MAX_BITS}")));
    }
    let typmod = i32::try_from(length).map_err(SqlError::internal)?;
    Ok(ColumnType::new(scalar_type).with_typmod(typmod))
}

/// `int list`, `map[text=>int]`: types of Materialize, which the tokens hold as one word.
fn made_of(created: &CreatedTypes<'_>, name: &str) -> Result<Option<ScalarType>, SqlError> {
    if let Some(element) = name.strip_suffix(" list") {
        return Ok(Some(ScalarType::List(Box::new(type_named(created, element)?))));
    }
    let Some(inside) = name.strip_prefix("map[").and_then(|rest| rest.strip_suffix(']')) else {
        return Ok(None);
    };
    let (key, value) = inside.split_once("=>").ok_or_else(|| unknown_type(name))?;
    if type_named(created, key)? != ScalarType::Text {
        return Err(SqlError::unsupported("a map whose keys are no text"));
    }
    Ok(Some(ScalarType::Map(Box::new(type_named(created, value)?))))
}

/// The type that a text names.
fn type_named(created: &CreatedTypes<'_>, text: &str) -> Result<ScalarType, SqlError> {
    let text = text.trim();
    if let Some(made) = made_of(created, text)? {
        return Ok(made);
    }
    let mut parser = sqlparser::parser::Parser::new(&sqlparser::dialect::PostgreSqlDialect {})
        .try_with_sql(text)
        .map_err(|_| unknown_type(text))?;
    let read = parser.parse_data_type().map_err(|_| unknown_type(text))?;
    Ok(resolve_data_type(created, &read)?.scalar_type)
}

/// `interval`, `interval(3)`, `interval day to second(3)`
pub(crate) fn interval(fields: Option<&str>, digits: Option<u64>) -> Result<ColumnType, SqlError> {
    let typmod = fields::modifier(fields, digits).ok_or_else(|| {
        SqlError::new(SqlState::SYNTAX_ERROR, "an interval cannot have these fields")
    })?;
    Ok(ColumnType::new(ScalarType::Interval).with_typmod(typmod))
}

/// PostgreSQL lowers a precision that is too high, with a warning.
fn time(scalar_type: ScalarType, precision: Option<u64>) -> ColumnType {
    let typmod =
        precision.map_or(-1, |digits| i32::try_from(digits.min(MAX_TIME_PRECISION)).unwrap_or(-1));
    ColumnType::new(scalar_type).with_typmod(typmod)
}

fn unsupported_type(name: &str) -> SqlError {
    SqlError::unsupported(format_args!("type {name}"))
}

fn unknown_type(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
}

/// The name of an identifier: folded unless quoted.
fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// A name that is no keyword of the parser: `oid`, `name`, `"char"`, `pg_catalog.int4`, `_text`.
fn custom(
    created: &CreatedTypes<'_>,
    name: &ObjectName,
    modifiers: &[String],
) -> Result<ColumnType, SqlError> {
    let mut parts = Vec::with_capacity(name.0.len());
    for part in &name.0 {
        match part {
            ObjectNamePart::Identifier(ident) => parts.push(ident),
            ObjectNamePart::Function(_) => return Err(unknown_type(&name.to_string())),
        }
    }
    let folded: Vec<String> = parts.iter().map(|part| fold(part)).collect();
    let built_in = match folded.as_slice() {
        [base] => Some(base),
        [schema, base] if matches!(schema.as_str(), "pg_catalog" | "mz_catalog") => Some(base),
        _ => None,
    };
    if let Some(base) = built_in {
        if let Some(made) = made_of(created, base)? {
            return Ok(ColumnType::new(made));
        }
        if let Some(found) = named(base) {
            return apply_modifiers(base, found, modifiers);
        }
    }
    let found = created(&folded).or_else(|| {
        // The array type over a type.
        let (base, schema) = folded.split_last()?;
        let element = [schema, &[base.strip_prefix('_')?.to_owned()]].concat();
        Some(ScalarType::Array(Box::new(created(&element)?)))
    });
    match (found, built_in) {
        (Some(_), _) if !modifiers.is_empty() => {
            Err(modifier_not_allowed(folded.last().map_or("", String::as_str)))
        }
        (Some(found), _) => Ok(ColumnType::new(found)),
        (None, Some(base)) if UNSUPPORTED.contains(&base.as_str()) => Err(unsupported_type(base)),
        (None, _) => Err(unknown_type(&folded.join("."))),
    }
}

/// The type with this name in `pg_type`.
fn named(name: &str) -> Option<ScalarType> {
    if name == "unknown" {
        return None;
    }
    if let Some(element) = name.strip_prefix('_') {
        let element = named(element).filter(|typ| !matches!(typ, ScalarType::Array(_)))?;
        return Some(ScalarType::Array(Box::new(element)));
    }
    ScalarType::ALL.iter().find(|typ| typ.pg_name() == name).cloned()
}

fn apply_modifiers(
    name: &str,
    scalar_type: ScalarType,
    modifiers: &[String],
) -> Result<ColumnType, SqlError> {
    let number = |text: &String| {
        text.parse::<i64>().map_err(|_| {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid type modifier for type \"{name}\": \"{text}\""),
            )
        })
    };
    match (scalar_type, modifiers) {
        (scalar_type, []) => Ok(ColumnType::new(scalar_type)),
        (scalar_type @ (ScalarType::Varchar | ScalarType::Bpchar), [length]) => {
            let shown = if scalar_type == ScalarType::Varchar { "varchar" } else { "char" };
            character_length(scalar_type, shown, u64::try_from(number(length)?).unwrap_or(0))
        }
        (ScalarType::Numeric, [precision]) => {
            numeric_with(u64::try_from(number(precision)?).unwrap_or(0), 0)
        }
        (ScalarType::Numeric, [precision, scale]) => {
            numeric_with(u64::try_from(number(precision)?).unwrap_or(0), number(scale)?)
        }
        (
            scalar_type @ (ScalarType::Time
            | ScalarType::TimeTz
            | ScalarType::Timestamp
            | ScalarType::TimestampTz),
            [digits],
        ) => Ok(time(scalar_type, u64::try_from(number(digits)?).ok())),
        (scalar_type @ (ScalarType::Bit | ScalarType::Varbit), [length]) => {
            bits(scalar_type, name, Some(u64::try_from(number(length)?).unwrap_or(0)))
        }
        _ => Err(modifier_not_allowed(name)),
    }
}

/// How a type's name is written so that [`resolve_data_type`] reads the same type again.
pub fn data_type_sql(typ: &ColumnType) -> String {
    match &typ.scalar_type {
        ScalarType::Array(element) => {
            let element = ColumnType::new(element.as_ref().clone()).with_typmod(typ.typmod);
            format!("{}[]", data_type_sql(&element))
        }
        made @ (ScalarType::List(_) | ScalarType::Map(_)) => format!("\"{made}\""),
        created => match created.created() {
            Some(name) => {
                format!("{}.{}", quote_identifier(&name.schema), quote_identifier(&name.name))
            }
            None => typ.sql_name(),
        },
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    use super::*;

    fn resolve(text: &str) -> Result<ColumnType, SqlError> {
        let data_type = Parser::new(&PostgreSqlDialect {})
            .try_with_sql(text)
            .unwrap()
            .parse_data_type()
            .unwrap();
        resolve_data_type(&|_| None, &data_type)
    }

    #[test]
    fn names_mean_what_postgres_says() {
        let cases = [
            ("bool", "boolean"),
            ("int2", "smallint"),
            ("INT", "integer"),
            ("int4", "integer"),
            ("bigint", "bigint"),
            ("pg_catalog.int8", "bigint"),
            ("real", "real"),
            ("float(24)", "real"),
            ("float(25)", "double precision"),
            ("float", "double precision"),
            ("double precision", "double precision"),
            ("numeric", "numeric"),
            ("decimal(10)", "numeric(10,0)"),
            ("numeric(10,2)", "numeric(10,2)"),
            ("numeric(3,-2)", "numeric(3,-2)"),
            ("text", "text"),
            ("varchar", "character varying"),
            ("varchar(7)", "character varying(7)"),
            ("character varying(7)", "character varying(7)"),
            ("char", "character(1)"),
            ("char(3)", "character(3)"),
            ("bpchar", "bpchar"),
            ("\"char\"", "\"char\""),
            ("name", "name"),
            ("oid", "oid"),
            ("bytea", "bytea"),
            ("date", "date"),
            ("time", "time without time zone"),
            ("time(3)", "time(3) without time zone"),
            ("timestamp", "timestamp without time zone"),
            ("timestamp(3)", "timestamp(3) without time zone"),
            ("timestamptz", "timestamp with time zone"),
            ("timestamptz(3)", "timestamp(3) with time zone"),
            ("timestamp with time zone", "timestamp with time zone"),
            ("timestamp(9)", "timestamp(6) without time zone"),
            ("interval", "interval"),
            ("interval(3)", "interval(3)"),
            ("interval year to month", "interval year to month"),
            ("interval day to second(2)", "interval day to second(2)"),
            ("uuid", "uuid"),
            ("jsonb", "jsonb"),
            ("regclass", "regclass"),
            ("regtype", "regtype"),
            ("json", "json"),
            ("timetz", "time with time zone"),
            ("time(3) with time zone", "time(3) with time zone"),
            ("bit", "bit(1)"),
            ("bit(3)", "bit(3)"),
            ("\"bit\"", "\"bit\""),
            ("bit varying(5)[]", "bit varying(5)[]"),
            ("inet", "inet"),
            ("int4range", "int4range"),
            ("uint8", "uint8"),
            ("regrole", "regrole"),
            ("\"integer list\"", "\"integer list\""),
            ("\"map[text=>numeric list]\"", "\"map[text=>numeric list]\""),
            ("text[]", "text[]"),
            ("int[][]", "integer[]"),
            ("_int4", "integer[]"),
            ("varchar(3)[]", "character varying(3)[]"),
        ];
        for (text, expected) in cases {
            let typ = resolve(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let shown = data_type_sql(&typ);
            assert_eq!(shown, expected, "{text}");
            assert_eq!(resolve(&shown).unwrap(), typ, "{text} read again");
        }
    }

    #[test]
    fn wrong_names_and_modifiers_are_refused() {
        let cases = [
            ("nonsense", "42704", "type \"nonsense\" does not exist"),
            ("blob", "42704", "type \"blob\" does not exist"),
            ("tinyint", "42704", "type \"tinyint\" does not exist"),
            ("other.int4", "42704", "type \"other.int4\" does not exist"),
            ("unknown", "42704", "type \"unknown\" does not exist"),
            ("xml", "0A000", "type xml is not supported"),
            ("bit(0)", "22023", "length for type bit must be at least 1"),
            ("int4(3)", "42601", "type modifier is not allowed for type \"int4\""),
            ("oid(3)", "42601", "type modifier is not allowed for type \"oid\""),
            ("varchar(0)", "22023", "length for type varchar must be at least 1"),
            ("char(10485761)", "22023", "length for type char cannot exceed 10485760"),
            ("numeric(0)", "22023", "NUMERIC precision 0 must be between 1 and 1000"),
            ("numeric(1001)", "22023", "NUMERIC precision 1001 must be between 1 and 1000"),
            ("float(0)", "22023", "precision for type float must be at least 1 bit"),
            ("float(54)", "22023", "precision for type float must be less than 54 bits"),
        ];
        for (text, code, message) in cases {
            let error = resolve(text).unwrap_err();
            assert_eq!((error.code.0, error.message.as_str()), (code, message), "{text}");
        }
    }
}
