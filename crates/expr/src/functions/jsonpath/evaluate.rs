//! Running a path: items are handed on one by one, in the order in which PostgreSQL finds them, so
//! that what is found before an error is found here too.

use tidemill_repr::jsonb::JsonbRef;
use tidemill_repr::jsonpath::{Accessor, Arithmetic, JsonPath, PathExpr};
use tidemill_repr::{Numeric, SqlState};

use crate::error::EvalError;
use crate::functions::jsonpath::item::{Item, Truth};
use crate::functions::jsonpath::{hard, soft};
use crate::functions::regex;
use crate::scalar::EvalContext;

/// Why a path has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The value does not fit: in a condition it is unknown, and `silent` passes it over.
    Soft(EvalError),
    /// The path itself is wrong.
    Hard(EvalError),
}

/// Whether to go on.
pub(super) type Flow = Result<bool, Failure>;

/// Takes an item, and whether structural errors do not count from here on.
type Found<'f, 'a> = &'f mut dyn FnMut(Item<'a>, bool) -> Flow;

/// One evaluation of a path.
pub(super) struct Run<'p, 'a> {
    path: &'p JsonPath,
    root: Item<'a>,
    variables: Option<JsonbRef<'a>>,
    pub(super) zone: Option<&'a str>,
    pub(super) context: EvalContext<'a>,
}

/// Where an expression stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// `@`
    current: Item<'a>,
    /// Length of the array in whose subscript it is.
    length: i64,
    /// Whether structural errors do not count.
    loose: bool,
}

impl<'p, 'a> Run<'p, 'a> {
    pub(super) fn new(
        path: &'p JsonPath,
        value: JsonbRef<'a>,
        variables: Option<JsonbRef<'a>>,
        zone: Option<&'a str>,
        context: EvalContext<'a>,
    ) -> Run<'p, 'a> {
        Run { path, root: Item::of(value), variables, zone, context }
    }

    /// Where an object lies in the value, in bytes: what tells it from others. It is 0 for the
    /// value itself; elsewhere PostgreSQL's bytes lie differently.
    pub(super) fn place_of(&self, object: JsonbRef<'a>) -> i64 {
        let (Item::Array(root) | Item::Object(root)) = self.root else { return 0 };
        let place = object.bytes().as_ptr().addr().checked_sub(root.bytes().as_ptr().addr());
        let place = place.filter(|place| *place < root.bytes().len());
        place.and_then(|place| i64::try_from(place).ok()).unwrap_or(0)
    }

    /// All items, until `found` has enough.
    pub(super) fn items(&self, found: &mut dyn FnMut(Item<'a>) -> bool) -> Result<(), Failure> {
        let place = Place { current: self.root, length: -1, loose: self.path.lax };
        self.eval(&self.path.root, place, &mut |item, _| Ok(found(item)))?;
        Ok(())
    }

    fn eval(&self, expr: &PathExpr, place: Place<'a>, found: Found<'_, 'a>) -> Flow {
        // A chain of accessors is as deep as it is long.
        stacker::maybe_grow(64 << 10, 1 << 20, || self.dispatch(expr, place, found))
    }

    fn dispatch(&self, expr: &PathExpr, place: Place<'a>, found: Found<'_, 'a>) -> Flow {
        let loose = place.loose;
        match expr {
            PathExpr::Root => found(self.root, loose),
            PathExpr::Current => found(place.current, loose),
            PathExpr::Last => found(Item::Number(Numeric::from(place.length - 1)), loose),
            PathExpr::Variable(name) => found(self.variable(name)?, loose),
            PathExpr::Null => found(Item::Null, loose),
            PathExpr::Bool(value) => found(Item::Bool(*value), loose),
            PathExpr::Number(number) => found(Item::Number(*number), loose),
            PathExpr::Text(text) => found(Item::Text(self.context.arena.alloc_str(text)), loose),
            PathExpr::Access(base, accessor) => self.eval(base, place, &mut |item, loose| {
                self.apply(accessor, item, Place { loose, ..place }, true, found)
            }),
            PathExpr::Sign(sign, inner) => {
                for item in self.collect(inner, place, true)? {
                    let Item::Number(number) = item else {
                        return Err(soft(
                            SqlState::SQL_JSON_NUMBER_NOT_FOUND,
                            format!(
                                "operand of unary jsonpath operator {} is not a numeric value",
                                sign.symbol()
                            ),
                        ));
                    };
                    let negative = *sign == Arithmetic::Subtract;
                    let number = if negative { number.neg() } else { number };
                    if !found(Item::Number(number), loose)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            PathExpr::Arithmetic(operator, left, right) => {
                let left = self.single_number(*operator, "left", left, place)?;
                let right = self.single_number(*operator, "right", right, place)?;
                let result = match operator {
                    Arithmetic::Add => left.add(&right),
                    Arithmetic::Subtract => left.sub(&right),
                    Arithmetic::Multiply => left.mul(&right),
                    Arithmetic::Divide => left.div(&right),
                    Arithmetic::Modulo => left.rem(&right),
                };
                found(Item::Number(result.map_err(|error| Failure::Soft(error.into()))?), loose)
            }
            predicate => {
                let item = match self.test(predicate, place)? {
                    Truth::True => Item::Bool(true),
                    Truth::False => Item::Bool(false),
                    Truth::Unknown => Item::Null,
                };
                found(item, loose)
            }
        }
    }

    fn variable(&self, name: &str) -> Result<Item<'a>, Failure> {
        let found = self.variables.and_then(|variables| variables.get_field(name));
        found.map(Item::of).ok_or_else(|| {
            Failure::Hard(EvalError::invalid(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find jsonpath variable \"{name}\""),
            ))
        })
    }

    /// All items of an expression; arrays are opened if asked for, in lax mode.
    fn collect(
        &self,
        expr: &PathExpr,
        place: Place<'a>,
        open: bool,
    ) -> Result<Vec<Item<'a>>, Failure> {
        let mut items = Vec::new();
        self.eval(expr, place, &mut |item, _| {
            match item.elements().filter(|_| open && self.path.lax) {
                Some(elements) => items.extend(elements),
                None => items.push(item),
            }
            Ok(true)
        })?;
        Ok(items)
    }

    fn single_number(
        &self,
        operator: Arithmetic,
        side: &str,
        expr: &PathExpr,
        place: Place<'a>,
    ) -> Result<Numeric, Failure> {
        match self.collect(expr, place, true)?.as_slice() {
            [Item::Number(number)] => Ok(*number),
            _ => Err(soft(
                SqlState::SINGLETON_SQL_JSON_ITEM_REQUIRED,
                format!(
                    "{side} operand of jsonpath operator {} is not a single numeric value",
                    operator.symbol()
                ),
            )),
        }
    }

    /// An accessor on an item. With `open`, arrays are opened in lax mode.
    fn apply(
        &self,
        accessor: &Accessor,
        item: Item<'a>,
        place: Place<'a>,
        open: bool,
        found: Found<'_, 'a>,
    ) -> Flow {
        let opens = match accessor {
            Accessor::Member(_) | Accessor::AnyMember | Accessor::Filter(_) => true,
            Accessor::Method(method) => super::methods::opens_arrays(method),
            _ => false,
        };
        if let Some(elements) = item.elements().filter(|_| opens && open && self.path.lax) {
            for element in elements {
                if !self.apply(accessor, element, place, false, found)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let loose = place.loose;
        match (accessor, item) {
            (Accessor::Member(key), Item::Object(object)) => match object.get_field(key) {
                Some(value) => found(Item::of(value), loose),
                None if loose => Ok(true),
                None => Err(soft(
                    SqlState::SQL_JSON_MEMBER_NOT_FOUND,
                    format!("JSON object does not contain key \"{key}\""),
                )),
            },
            (Accessor::AnyMember, Item::Object(_)) | (Accessor::AnyElement, Item::Array(_)) => {
                each(item.children(), loose, found)
            }
            (Accessor::AnyElement, item) if self.path.lax => found(item, loose),
            (Accessor::Elements(subscripts), item) if self.path.lax || is_array(item) => {
                self.elements(subscripts, item, place, found)
            }
            (Accessor::AnyLevel(first, last), item) => {
                let goes_on = *first != Some(0) || found(item, true)?;
                let bounds = (first.unwrap_or(u32::MAX), last.unwrap_or(u32::MAX));
                if goes_on { levels(item, 1, bounds, found) } else { Ok(false) }
            }
            (Accessor::Filter(condition), item) => {
                let place = Place { current: item, ..place };
                match self.test(condition, place)? {
                    Truth::True => found(item, loose),
                    _ => Ok(true),
                }
            }
            (Accessor::Method(method), item) => {
                self.method(method, item, self.path.lax, loose, &mut |item| found(item, loose))
            }
            (Accessor::Member(_) | Accessor::AnyMember | Accessor::AnyElement, _)
            | (Accessor::Elements(_), _)
                if loose =>
            {
                Ok(true)
            }
            (Accessor::Member(_), _) => Err(soft(
                SqlState::SQL_JSON_MEMBER_NOT_FOUND,
                "jsonpath member accessor can only be applied to an object",
            )),
            (Accessor::AnyMember, _) => Err(soft(
                SqlState::SQL_JSON_OBJECT_NOT_FOUND,
                "jsonpath wildcard member accessor can only be applied to an object",
            )),
            (Accessor::AnyElement, _) => Err(soft(
                SqlState::SQL_JSON_ARRAY_NOT_FOUND,
                "jsonpath wildcard array accessor can only be applied to an array",
            )),
            (Accessor::Elements(_), _) => Err(soft(
                SqlState::SQL_JSON_ARRAY_NOT_FOUND,
                "jsonpath array accessor can only be applied to an array",
            )),
        }
    }

    /// `[1, 2 to last]`; what is no array is one of a single element.
    fn elements(
        &self,
        subscripts: &[(PathExpr, Option<PathExpr>)],
        item: Item<'a>,
        place: Place<'a>,
        found: Found<'_, 'a>,
    ) -> Flow {
        let all = if is_array(item) { item.children() } else { vec![item] };
        let length = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let inside = Place { length, ..place };
        for (from, to) in subscripts {
            let first = self.subscript(from, inside)?;
            let last = match to {
                Some(to) => self.subscript(to, inside)?,
                None => first,
            };
            if !place.loose && (first < 0 || first > last || last >= length) {
                return Err(soft(
                    SqlState::INVALID_SQL_JSON_SUBSCRIPT,
                    "jsonpath array subscript is out of bounds",
                ));
            }
            for at in first.max(0)..=last.min(length - 1) {
                let Some(element) = usize::try_from(at).ok().and_then(|at| all.get(at)) else {
                    continue;
                };
                if !found(*element, place.loose)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn subscript(&self, expr: &PathExpr, place: Place<'a>) -> Result<i64, Failure> {
        let items = self.collect(expr, place, false)?;
        let [Item::Number(number)] = items.as_slice() else {
            return Err(soft(
                SqlState::INVALID_SQL_JSON_SUBSCRIPT,
                "jsonpath array subscript is not a single numeric value",
            ));
        };
        let whole = number.trunc(0).ok().and_then(|whole| whole.to_i64());
        whole.and_then(|whole| i32::try_from(whole).ok()).map(i64::from).ok_or_else(|| {
            soft(
                SqlState::INVALID_SQL_JSON_SUBSCRIPT,
                "jsonpath array subscript is out of integer range",
            )
        })
    }

    fn test(&self, expr: &PathExpr, place: Place<'a>) -> Result<Truth, Failure> {
        stacker::maybe_grow(64 << 10, 1 << 20, || match self.truth(expr, place) {
            Err(Failure::Soft(_)) => Ok(Truth::Unknown),
            other => other,
        })
    }

    fn truth(&self, expr: &PathExpr, place: Place<'a>) -> Result<Truth, Failure> {
        match expr {
            PathExpr::And(left, right) => Ok(match self.test(left, place)? {
                Truth::False => Truth::False,
                left => match self.test(right, place)? {
                    Truth::True => left,
                    right => right,
                },
            }),
            PathExpr::Or(left, right) => Ok(match self.test(left, place)? {
                Truth::True => Truth::True,
                left => match self.test(right, place)? {
                    Truth::False => left,
                    right => right,
                },
            }),
            PathExpr::Not(inner) => Ok(match self.test(inner, place)? {
                Truth::True => Truth::False,
                Truth::False => Truth::True,
                Truth::Unknown => Truth::Unknown,
            }),
            PathExpr::IsUnknown(inner) => Ok((self.test(inner, place)? == Truth::Unknown).into()),
            PathExpr::Exists(inner) if self.path.lax => {
                let mut any = false;
                self.eval(inner, place, &mut |_, _| {
                    any = true;
                    Ok(false)
                })?;
                Ok(any.into())
            }
            PathExpr::Exists(inner) => Ok((!self.collect(inner, place, false)?.is_empty()).into()),
            PathExpr::Compare(operator, left, right) => {
                let left = self.collect(left, place, true)?;
                let right = self.collect(right, place, true)?;
                self.pairs(&left, &right, &mut |left, right| {
                    left.compare(*operator, right, self.zone)
                })
            }
            PathExpr::StartsWith(left, right) => {
                let left = self.collect(left, place, true)?;
                let right = self.collect(right, place, false)?;
                self.pairs(&left, &right, &mut |left, right| match (left, right) {
                    (Item::Text(whole), Item::Text(start)) => Ok(whole.starts_with(start).into()),
                    _ => Ok(Truth::Unknown),
                })
            }
            PathExpr::LikeRegex { value, pattern, flags } => {
                let compiled = compile(pattern, flags)?;
                let values = self.collect(value, place, true)?;
                self.pairs(&values, &[Item::Null], &mut |value, _| match value {
                    Item::Text(text) => {
                        compiled.is_match(text).map(Truth::from).map_err(Failure::Hard)
                    }
                    _ => Ok(Truth::Unknown),
                })
            }
            _ => Err(hard("a jsonpath condition is none")),
        }
    }

    /// A condition on pairs: true if it holds for one. In strict mode all are looked at, and one
    /// that is unknown decides.
    fn pairs(
        &self,
        left: &[Item<'a>],
        right: &[Item<'a>],
        test: &mut dyn FnMut(Item<'a>, Item<'a>) -> Result<Truth, Failure>,
    ) -> Result<Truth, Failure> {
        let (mut unknown, mut any) = (false, false);
        for left in left {
            for right in right {
                match test(*left, *right)? {
                    Truth::Unknown if !self.path.lax => return Ok(Truth::Unknown),
                    Truth::Unknown => unknown = true,
                    Truth::True if self.path.lax => return Ok(Truth::True),
                    Truth::True => any = true,
                    Truth::False => {}
                }
            }
        }
        Ok(match (any, unknown) {
            (true, _) => Truth::True,
            (false, true) => Truth::Unknown,
            _ => Truth::False,
        })
    }
}

fn is_array(item: Item<'_>) -> bool {
    matches!(item, Item::Array(_))
}

fn each<'a>(items: Vec<Item<'a>>, loose: bool, found: Found<'_, 'a>) -> Flow {
    for item in items {
        if !found(item, loose)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What lies inside an item, between two depths; with both at the end, what holds nothing more.
fn levels<'a>(item: Item<'a>, level: u32, bounds: (u32, u32), found: Found<'_, 'a>) -> Flow {
    let (first, last) = bounds;
    if level > last {
        return Ok(true);
    }
    for child in item.children() {
        let leaf = first == u32::MAX && last == u32::MAX && !child.is_container();
        if (level >= first || leaf) && !found(child, true)? {
            return Ok(false);
        }
        if level < last && child.is_container() {
            let goes_on =
                stacker::maybe_grow(64 << 10, 1 << 20, || levels(child, level + 1, bounds, found))?;
            if !goes_on {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// XQuery's flags in PostgreSQL's letters.
fn compile(pattern: &str, flags: &str) -> Result<std::rc::Rc<regex::Pattern>, Failure> {
    let mut letters = String::new();
    if flags.contains('i') {
        letters.push('i');
    }
    if flags.contains('q') {
        letters.push('q');
    } else {
        letters.push(match (flags.contains('s'), flags.contains('m')) {
            (true, true) => 'w',
            (true, false) => 's',
            (false, true) => 'n',
            (false, false) => 'p',
        });
    }
    regex::compile(pattern, &letters).map_err(Failure::Hard)
}
