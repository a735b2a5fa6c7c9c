//! How a family writes its definitions down: signatures as SQL writes them.

use tidemill_repr::ScalarType;

use crate::function::{Cast, CastContext, Eval, Function, Operator, TypePattern, Volatility};

/// Everything that is defined, in the order of definition.
#[derive(Default)]
pub(crate) struct Definitions {
    pub(crate) functions: Vec<Function>,
    pub(crate) operators: Vec<Operator>,
    pub(crate) casts: Vec<Cast>,
}

/// The definition that was added last, to be completed.
pub(crate) struct Added<'d> {
    definitions: &'d mut Definitions,
    at: usize,
}

impl Definitions {
    /// Adds a strict, immutable function that may fail. The signature is
    /// `name(type, .., variadic type) -> type`.
    pub(crate) fn add(
        &mut self,
        id: &str,
        signature: &str,
        eval: Eval,
        doc: &'static str,
    ) -> Added<'_> {
        let (name, arguments, variadic, returns) = parse_signature(signature);
        self.functions.push(Function {
            id: leak(id),
            name: leak(name),
            arguments: Vec::leak(arguments),
            variadic,
            returns,
            strict: true,
            volatility: Volatility::Immutable,
            could_error: true,
            needs_time_zone: false,
            needs_types: false,
            eval,
            doc,
        });
        let at = self.functions.len() - 1;
        Added { definitions: self, at }
    }

    /// Adds a cast by a function that is defined already, or by relabelling.
    pub(crate) fn cast(
        &mut self,
        from: &str,
        to: &str,
        context: CastContext,
        function: Option<&str>,
    ) {
        let (from, to) = (scalar_type(from), scalar_type(to));
        self.casts.push(Cast { from, to, context, function: function.map(leak) });
    }
}

impl Added<'_> {
    fn function(&mut self) -> &mut Function {
        &mut self.definitions.functions[self.at]
    }

    /// It never fails.
    pub(crate) fn safe(mut self) -> Self {
        self.function().could_error = false;
        self
    }

    /// It sees NULLs.
    pub(crate) fn sees_null(mut self) -> Self {
        self.function().strict = false;
        self
    }

    /// It is the same within one statement.
    pub(crate) fn stable(mut self) -> Self {
        self.function().volatility = Volatility::Stable;
        self
    }

    /// It differs from call to call.
    pub(crate) fn volatile(mut self) -> Self {
        self.function().volatility = Volatility::Volatile;
        self
    }

    /// It takes the session's time zone as one more argument. With the zone given it is
    /// immutable.
    pub(crate) fn zone(mut self) -> Self {
        self.function().needs_time_zone = true;
        self
    }

    /// It takes the types of its arguments as one more argument.
    pub(crate) fn types(mut self) -> Self {
        self.function().needs_types = true;
        self
    }

    /// It is the meaning of this operator too; with one argument a prefix operator.
    pub(crate) fn operator(mut self, name: &'static str) -> Self {
        let function = self.function();
        let (left, right) = match function.arguments {
            [right] => (None, right.clone()),
            [left, right, ..] => (Some(left.clone()), right.clone()),
            [] => return self,
        };
        let id = function.id;
        self.definitions.operators.push(Operator { name, left, right, function: id });
        self
    }

    /// It is the cast between its argument and its result too.
    pub(crate) fn cast(mut self, context: CastContext) -> Self {
        let function = self.function();
        let id = function.id;
        if let (Some(TypePattern::Is(from)), TypePattern::Is(to)) =
            (function.arguments.first(), &function.returns)
        {
            let (from, to) = (from.clone(), to.clone());
            self.definitions.casts.push(Cast { from, to, context, function: Some(id) });
        }
        self
    }
}

/// Definitions live as long as the process.
pub(crate) fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn parse_signature(signature: &str) -> (&str, Vec<TypePattern>, bool, TypePattern) {
    let (head, returns) = signature.rsplit_once(" -> ").unwrap_or((signature, "unknown"));
    let (name, arguments) = head.split_once('(').unwrap_or((head, ")"));
    let arguments = arguments.trim_end_matches(')');
    let mut variadic = false;
    let mut patterns = Vec::new();
    for argument in arguments.split(',').map(str::trim).filter(|argument| !argument.is_empty()) {
        let typ = argument.strip_prefix("variadic ");
        variadic |= typ.is_some();
        patterns.push(pattern(typ.unwrap_or(argument)));
    }
    (name.trim(), patterns, variadic, pattern(returns.trim()))
}

pub(crate) fn pattern(name: &str) -> TypePattern {
    match name {
        "any" => TypePattern::Any,
        "anynonarray" => TypePattern::AnyNonArray,
        "anyelement" => TypePattern::AnyElement,
        "anyarray" => TypePattern::AnyArray,
        "anyenum" => TypePattern::AnyEnum,
        "anyrange" => TypePattern::AnyRange,
        "anymultirange" => TypePattern::AnyMultirange,
        "anylist" => TypePattern::AnyList,
        "anymap" => TypePattern::AnyMap,
        _ => match name.strip_suffix("[]") {
            Some(element) => TypePattern::ArrayOf(scalar_type(element)),
            None => TypePattern::Is(scalar_type(name)),
        },
    }
}

/// The type with this name in `pg_type`. A test sees to it that no definition names another.
pub(crate) fn scalar_type(name: &str) -> ScalarType {
    if name == "record" {
        return ScalarType::Record(Vec::new());
    }
    ScalarType::ALL
        .iter()
        .find(|candidate| candidate.pg_name() == name)
        .cloned()
        .unwrap_or(ScalarType::Unknown)
}
