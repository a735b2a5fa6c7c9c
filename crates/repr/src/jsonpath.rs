//! SQL/JSON paths in PostgreSQL's dialect: what they are made of, how they are read and shown.
//!
//! Written by hand, because the numbers of a path are decimals, and its text form, its errors and
//! its lax and strict modes have to be PostgreSQL's.

mod display;
mod parse;

use crate::numeric::Numeric;

pub use parse::parse_jsonpath;

/// A path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    /// Whether what does not fit is passed over.
    pub lax: bool,
    /// What it computes.
    pub root: PathExpr,
}

/// An expression in a path.
#[derive(Clone, Debug, PartialEq)]
pub enum PathExpr {
    /// `$`
    Root,
    /// `@`
    Current,
    /// `last`
    Last,
    /// `$name`
    Variable(String),
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Numeric),
    /// A string.
    Text(String),
    /// What an accessor finds in the items of an expression.
    Access(Box<PathExpr>, Accessor),
    /// `+x`, `-x`
    Sign(Arithmetic, Box<PathExpr>),
    /// `x + y`
    Arithmetic(Arithmetic, Box<PathExpr>, Box<PathExpr>),
    /// `x < y`
    Compare(Comparison, Box<PathExpr>, Box<PathExpr>),
    /// `x && y`
    And(Box<PathExpr>, Box<PathExpr>),
    /// `x || y`
    Or(Box<PathExpr>, Box<PathExpr>),
    /// `!x`
    Not(Box<PathExpr>),
    /// `(x) is unknown`
    IsUnknown(Box<PathExpr>),
    /// `exists (x)`
    Exists(Box<PathExpr>),
    /// `x starts with "y"`
    StartsWith(Box<PathExpr>, Box<PathExpr>),
    /// `x like_regex "pattern" flag "letters"`
    LikeRegex {
        /// What is matched.
        value: Box<PathExpr>,
        /// The pattern.
        pattern: String,
        /// The letters among `ismxq` that are set, in this order.
        flags: String,
    },
}

/// An operator on numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`, `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A step from an item to items in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Accessor {
    /// `.key`
    Member(String),
    /// `.*`
    AnyMember,
    /// `[*]`
    AnyElement,
    /// `[1, 2 to 3]`
    Elements(Vec<(PathExpr, Option<PathExpr>)>),
    /// `.**{first to last}`; None is `last`.
    AnyLevel(Option<u32>, Option<u32>),
    /// `?(condition)`
    Filter(Box<PathExpr>),
    /// `.size()`
    Method(Method),
}

/// A method of items.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// `.type()`
    Type,
    /// `.size()`
    Size,
    /// `.abs()`
    Abs,
    /// `.floor()`
    Floor,
    /// `.ceiling()`
    Ceiling,
    /// `.double()`
    Double,
    /// `.keyvalue()`
    KeyValue,
    /// `.datetime()`, `.datetime("template")`
    DateTime(Option<String>),
}

impl Arithmetic {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Modulo => "%",
        }
    }
}

impl Comparison {
    /// As it is shown.
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

impl Method {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Type => "type",
            Method::Size => "size",
            Method::Abs => "abs",
            Method::Floor => "floor",
            Method::Ceiling => "ceiling",
            Method::Double => "double",
            Method::KeyValue => "keyvalue",
            Method::DateTime(_) => "datetime",
        }
    }
}

impl PathExpr {
    /// Whether it is a condition.
    pub fn is_predicate(&self) -> bool {
        matches!(
            self,
            PathExpr::Compare(..)
                | PathExpr::And(..)
                | PathExpr::Or(..)
                | PathExpr::Not(_)
                | PathExpr::IsUnknown(_)
                | PathExpr::Exists(_)
                | PathExpr::StartsWith(..)
                | PathExpr::LikeRegex { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::parse_jsonpath;

    #[test]
    fn paths_are_shown_as_postgresql_shows_them() {
        for (written, shown) in [
            (
                "$.a.b[*] ? (@.x > 1 && !(@.y == \"z\") || exists(@.q)).size()",
                "$.\"a\".\"b\"[*]?(@.\"x\" > 1 && !(@.\"y\" == \"z\") || exists (@.\"q\")).size()",
            ),
            (
                "strict $.\"a b\"[0, 1 to last, last - 1].*.**{2}.**{1 to 3}.**{last}",
                "strict $.\"a b\"[0,1 to last,last - 1].*.**{2}.**{1 to 3}.**{last}",
            ),
            ("($.a + 1) * 2 - -$.b", "(($.\"a\" + 1) * 2 - -$.\"b\")"),
            ("-$.a", "(-$.\"a\")"),
            ("($ > 1) is unknown", "($ > 1) is unknown"),
            ("$a.b", "$\"a\".\"b\""),
        ] {
            assert_eq!(parse_jsonpath(written).unwrap().to_string(), shown);
            assert_eq!(parse_jsonpath(shown).unwrap().to_string(), shown);
        }
        for bad in
            ["", "$.", "@", "last", "$ >", "1a", "01", "2 > 1 == true", "$ ? (1)", "$[", "!$"]
        {
            assert!(parse_jsonpath(bad).is_err(), "{bad}");
        }
        assert!(parse_jsonpath(&"(".repeat(100_000)).is_err());
        assert!(parse_jsonpath(&format!("${}", ".a".repeat(100_000))).is_err());
    }
}
