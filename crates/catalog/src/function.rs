//! Functions that users write in SQL. They are not run: a call becomes the body, with the
//! arguments in it, when the query is planned.

use serde::{Deserialize, Serialize};
use tidemill_expr::function::TypePattern;
use tidemill_repr::ScalarType;

use crate::item::{Definition, Item};
use crate::name::{quote_identifier, quote_literal};

/// A function written in SQL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// All that it takes and gives by name, in order.
    pub parameters: Vec<Parameter>,
    /// What it gives.
    pub returns: Returns,
    /// Whether it is NULL, or without rows, where an argument is NULL.
    pub strict: bool,
    /// `i`, `s` or `v`.
    pub volatility: char,
    /// `s`, `r` or `u`.
    pub parallel: char,
    /// Whether it is said to tell nothing of its arguments but by its result.
    pub leakproof: bool,
    /// `COST`
    pub cost: f32,
    /// `ROWS`
    pub rows: f32,
    /// The query it stands for, with full names; empty where there is none.
    pub body: String,
    /// The body as it was written; None where it was no text (`RETURN ..`, `BEGIN ATOMIC ..`).
    pub source: Option<String>,
}

/// An argument, or a column of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// What it is for.
    pub mode: ParameterMode,
    /// Its name.
    pub name: Option<String>,
    /// Its type.
    pub typ: ParameterType,
    /// What stands for one that is not given, as SQL text.
    pub default: Option<String>,
}

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParameterMode {
    /// `IN`
    In,
    /// `OUT`
    Out,
    /// `INOUT`
    InOut,
    /// A column of `RETURNS TABLE`.
    Table,
}

/// A type, or what stands for any of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ParameterType {
    /// This type.
    Is(ScalarType),
    /// `anyelement` and its kin, by name.
    Any(String),
}

/// What a function gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Returns {
    /// The type of each value; None: a row of the columns among the parameters.
    pub typ: Option<ParameterType>,
    /// Whether it gives rows.
    pub set: bool,
}

/// The polymorphic types that can be used.
const POLYMORPHIC: [(&str, TypePattern); 6] = [
    ("anyelement", TypePattern::AnyElement),
    ("anyarray", TypePattern::AnyArray),
    ("anynonarray", TypePattern::AnyElement),
    ("anyenum", TypePattern::AnyEnum),
    ("anyrange", TypePattern::AnyRange),
    ("anymultirange", TypePattern::AnyMultirange),
];

impl ParameterType {
    /// The polymorphic type of a name.
    pub fn polymorphic(name: &str) -> Option<ParameterType> {
        let known = POLYMORPHIC.iter().any(|(known, _)| *known == name);
        known.then(|| ParameterType::Any(name.to_owned()))
    }

    /// What resolution matches arguments with.
    pub fn pattern(&self) -> TypePattern {
        match self {
            ParameterType::Is(typ) => TypePattern::Is(typ.clone()),
            ParameterType::Any(name) => POLYMORPHIC
                .iter()
                .find(|(known, _)| known == name)
                .map_or(TypePattern::AnyElement, |(_, pattern)| pattern.clone()),
        }
    }

    /// Its name in SQL.
    pub fn name(&self) -> String {
        match self {
            ParameterType::Is(typ) => typ.to_string(),
            ParameterType::Any(name) => name.clone(),
        }
    }

    /// The oid in `pg_type`.
    pub fn oid(&self) -> i64 {
        match self {
            ParameterType::Is(typ) => i64::from(typ.oid().0),
            ParameterType::Any(_) => {
                crate::builtin::pg_catalog::functions::pattern_oid(&self.pattern())
            }
        }
    }
}

impl ParameterMode {
    /// Whether callers give it.
    pub fn is_input(self) -> bool {
        matches!(self, ParameterMode::In | ParameterMode::InOut)
    }

    /// Whether it is a column of the result.
    pub fn is_output(self) -> bool {
        self != ParameterMode::In
    }

    /// The letter in `pg_proc.proargmodes`.
    pub fn letter(self) -> &'static str {
        match self {
            ParameterMode::In => "i",
            ParameterMode::Out => "o",
            ParameterMode::InOut => "b",
            ParameterMode::Table => "t",
        }
    }
}

impl Parameter {
    /// As it is written in a list of arguments.
    fn text(&self, defaults: bool) -> String {
        let mut text = match self.mode {
            ParameterMode::Out => "OUT ".to_owned(),
            ParameterMode::InOut => "INOUT ".to_owned(),
            ParameterMode::In | ParameterMode::Table => String::new(),
        };
        if let Some(name) = &self.name {
            text.push_str(&quote_identifier(name));
            text.push(' ');
        }
        text.push_str(&self.typ.name());
        if let Some(default) = self.default.as_ref().filter(|_| defaults) {
            text.push_str(" DEFAULT ");
            text.push_str(default);
        }
        text
    }
}

impl Function {
    /// What callers give, in order.
    pub fn inputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.mode.is_input())
    }

    /// The columns of the result that have names of their own.
    pub fn outputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.mode.is_output())
    }

    /// Whether two functions take the same arguments, so that they cannot have the same name.
    pub fn takes_same(&self, other: &Function) -> bool {
        self.inputs().map(|one| &one.typ).eq(other.inputs().map(|two| &two.typ))
    }

    /// The types of the arguments with commas: `integer,text`.
    pub fn argument_types(&self) -> String {
        let types: Vec<String> = self.inputs().map(|parameter| parameter.typ.name()).collect();
        types.join(",")
    }

    /// The arguments as `pg_get_function_arguments` writes them.
    pub fn arguments_text(&self, defaults: bool) -> String {
        let arguments =
            self.parameters.iter().filter(|parameter| parameter.mode != ParameterMode::Table);
        arguments.map(|parameter| parameter.text(defaults)).collect::<Vec<_>>().join(", ")
    }

    /// The result as `pg_get_function_result` writes it.
    pub fn result_text(&self) -> String {
        let table: Vec<String> = self
            .parameters
            .iter()
            .filter(|parameter| parameter.mode == ParameterMode::Table)
            .map(|parameter| parameter.text(false))
            .collect();
        if !table.is_empty() {
            return format!("TABLE({})", table.join(", "));
        }
        let set = if self.returns.set { "SETOF " } else { "" };
        match &self.returns.typ {
            Some(typ) => format!("{set}{}", typ.name()),
            None => format!("{set}record"),
        }
    }

    /// The oid of the type of its values.
    pub fn return_oid(&self) -> i64 {
        self.returns.typ.as_ref().map_or(2249, ParameterType::oid)
    }

    /// The definition in the words of `pg_get_functiondef`, under a name.
    pub fn definition_sql(&self, name: &str, or_replace: bool) -> String {
        let or_replace = if or_replace { "OR REPLACE " } else { "" };
        let mut text = format!(
            "CREATE {or_replace}FUNCTION {name}({})\n RETURNS {}\n LANGUAGE sql\n",
            self.arguments_text(true),
            self.result_text()
        );
        let mut words = Vec::new();
        match self.volatility {
            'i' => words.push("IMMUTABLE".to_owned()),
            's' => words.push("STABLE".to_owned()),
            _ => {}
        }
        match self.parallel {
            's' => words.push("PARALLEL SAFE".to_owned()),
            'r' => words.push("PARALLEL RESTRICTED".to_owned()),
            _ => {}
        }
        if self.strict {
            words.push("STRICT".to_owned());
        }
        if self.leakproof {
            words.push("LEAKPROOF".to_owned());
        }
        if (self.cost - 100.0).abs() > f32::EPSILON {
            words.push(format!("COST {}", self.cost));
        }
        if self.returns.set && (self.rows - 1000.0).abs() > f32::EPSILON {
            words.push(format!("ROWS {}", self.rows));
        }
        if !words.is_empty() {
            text.push_str(&format!(" {}\n", words.join(" ")));
        }
        match &self.source {
            Some(source) if !source.contains("$function$") => {
                text.push_str(&format!("AS $function${source}$function$\n"));
            }
            Some(source) => text.push_str(&format!("AS {}\n", quote_literal(source))),
            None => text.push_str(&format!("BEGIN ATOMIC\n {};\nEND\n", self.body)),
        }
        text
    }

    /// Puts the new definition of a created type wherever it is named. Tells whether it is.
    pub fn redefine(&mut self, new: &ScalarType) -> bool {
        let parameters = self.parameters.iter_mut().map(|parameter| &mut parameter.typ);
        parameters.chain(self.returns.typ.as_mut()).fold(false, |changed, typ| match typ {
            ParameterType::Is(typ) => typ.redefine(new) | changed,
            ParameterType::Any(_) => changed,
        })
    }
}

impl Item {
    /// The function, if it is one.
    pub fn function(&self) -> Option<&Function> {
        match &self.definition {
            Definition::Function(function) => Some(function),
            _ => None,
        }
    }

    /// Its name without schema, as details of errors say it: of a function with its arguments.
    pub fn described_name(&self) -> String {
        match self.function() {
            Some(function) => format!("{}({})", self.name.item, function.argument_types()),
            None => self.name.item.clone(),
        }
    }
}
