//! One among candidates: exact matches, then preferred types, then what untyped arguments
//! suggest.

use tidemill_repr::types::TypeCategory;
use tidemill_repr::{RangeKind, ScalarType};

use crate::function::TypePattern;
use crate::resolve::casts::{can_coerce, common_type};

/// What resolution needs to know of a definition.
pub(super) struct Signature<'s> {
    pub(super) arguments: &'s [TypePattern],
    pub(super) variadic: bool,
    pub(super) returns: &'s TypePattern,
}

impl Signature<'_> {
    /// The patterns of a call with this many arguments; None if there can be none.
    pub(super) fn expand(&self, count: usize) -> Option<Vec<TypePattern>> {
        let mut patterns = self.arguments.to_vec();
        if self.variadic {
            let last = patterns.last()?.clone();
            if count < patterns.len() {
                // A variadic function of nothing but "any" may be called with nothing.
                return (count == 0 && patterns.len() == 1).then(Vec::new);
            }
            patterns.resize(count, last);
        }
        (patterns.len() == count).then_some(patterns)
    }
}

/// A definition whose arguments the given ones can be coerced to.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Its place among the definitions of the name.
    pub(super) at: usize,
    patterns: Vec<TypePattern>,
    /// The concrete types of its arguments in this call.
    pub(super) arguments: Vec<ScalarType>,
    /// The concrete type of its result.
    pub(super) returns: ScalarType,
}

/// What came of choosing.
pub(super) enum Choice {
    One(Candidate),
    None,
    Several,
}

impl Candidate {
    /// None if the given types cannot be coerced to the patterns.
    pub(super) fn new(
        at: usize,
        patterns: Vec<TypePattern>,
        returns: &TypePattern,
        given: &[ScalarType],
    ) -> Option<Candidate> {
        let fits = |(pattern, typ): (&TypePattern, &ScalarType)| accepts(pattern, typ);
        if !patterns.iter().zip(given).all(fits) {
            return None;
        }
        let element = bind(&patterns, given)?;
        let arguments =
            patterns.iter().zip(given).map(|(pattern, typ)| concrete(pattern, typ, &element));
        let arguments: Vec<ScalarType> = arguments.collect::<Option<_>>()?;
        let polymorphic_fits =
            patterns.iter().zip(given).zip(&arguments).all(|((pattern, typ), argument)| {
                !is_polymorphic(pattern) || can_coerce(typ, argument)
            });
        if !polymorphic_fits {
            return None;
        }
        let returns = concrete(returns, &ScalarType::Unknown, &element)?;
        Some(Candidate { at, patterns, arguments, returns })
    }

    fn exact(&self, at: usize, typ: &ScalarType) -> bool {
        match &self.patterns[at] {
            TypePattern::Is(_) | TypePattern::ArrayOf(_) => self.arguments[at] == *typ,
            _ => false,
        }
    }

    /// The category of an argument; polymorphic ones have none.
    fn category(&self, at: usize) -> TypeCategory {
        match &self.patterns[at] {
            TypePattern::Is(typ) => typ.category(),
            TypePattern::ArrayOf(_) => TypeCategory::Array,
            _ => TypeCategory::Pseudo,
        }
    }

    fn is_preferred(&self, at: usize) -> bool {
        matches!(&self.patterns[at], TypePattern::Is(typ) if typ.is_preferred())
    }
}

fn accepts(pattern: &TypePattern, typ: &ScalarType) -> bool {
    match pattern {
        TypePattern::Is(ScalarType::Record(fields)) if fields.is_empty() => {
            matches!(typ, ScalarType::Record(_) | ScalarType::Composite(_))
        }
        TypePattern::Is(wanted) => can_coerce(typ, wanted),
        TypePattern::ArrayOf(element) => match typ {
            ScalarType::Unknown => true,
            ScalarType::Array(given) => can_coerce(given, element),
            _ => false,
        },
        TypePattern::Any | TypePattern::AnyElement => true,
        TypePattern::AnyNonArray => !matches!(typ, ScalarType::Array(_)),
        TypePattern::AnyArray => matches!(
            typ,
            ScalarType::Array(_)
                | ScalarType::Int2Vector
                | ScalarType::OidVector
                | ScalarType::Unknown
        ),
        TypePattern::AnyRange => matches!(typ, ScalarType::Range(_) | ScalarType::Unknown),
        TypePattern::AnyEnum => matches!(typ, ScalarType::Enum(_) | ScalarType::Unknown),
        TypePattern::AnyMultirange => {
            matches!(typ, ScalarType::Multirange(_) | ScalarType::Unknown)
        }
        TypePattern::AnyList => matches!(typ, ScalarType::List(_) | ScalarType::Unknown),
        TypePattern::AnyMap => matches!(typ, ScalarType::Map(_) | ScalarType::Unknown),
    }
}

/// Whether a pattern's type depends on those of the other arguments.
fn is_polymorphic(pattern: &TypePattern) -> bool {
    !matches!(
        pattern,
        TypePattern::Is(_) | TypePattern::ArrayOf(_) | TypePattern::Any | TypePattern::AnyNonArray
    )
}

/// What `AnyElement` is where an argument of this pattern is of this type.
pub(super) fn element_of(pattern: &TypePattern, typ: &ScalarType) -> Option<ScalarType> {
    Some(match (pattern, typ) {
        (TypePattern::AnyElement, typ) | (TypePattern::AnyEnum, typ @ ScalarType::Enum(_)) => {
            typ.clone()
        }
        (TypePattern::AnyArray, ScalarType::Array(element))
        | (TypePattern::AnyList, ScalarType::List(element))
        | (TypePattern::AnyMap, ScalarType::Map(element)) => (**element).clone(),
        (TypePattern::AnyArray, ScalarType::Int2Vector) => ScalarType::Int2,
        (TypePattern::AnyArray, ScalarType::OidVector) => ScalarType::Oid,
        (TypePattern::AnyRange, ScalarType::Range(kind))
        | (TypePattern::AnyMultirange, ScalarType::Multirange(kind)) => kind.subtype(),
        _ => return None,
    })
}

/// The type that `AnyElement` stands for in a call; text where nothing tells. None if the
/// arguments do not agree.
fn bind(patterns: &[TypePattern], given: &[ScalarType]) -> Option<ScalarType> {
    let elements: Vec<ScalarType> =
        patterns.iter().zip(given).filter_map(|(pattern, typ)| element_of(pattern, typ)).collect();
    let ranges = patterns
        .iter()
        .any(|pattern| matches!(pattern, TypePattern::AnyRange | TypePattern::AnyMultirange));
    let enums = patterns.iter().any(|pattern| matches!(pattern, TypePattern::AnyEnum));
    if ranges || enums {
        // A range's bounds are of its type, and no other; enums have nothing in common.
        let mut known = elements.iter().filter(|typ| **typ != ScalarType::Unknown);
        let first = known.next()?;
        return known.all(|typ| typ == first).then(|| first.clone());
    }
    common_type("ARRAY", &elements).ok()
}

/// None if there is no such type: not all types have ranges over them.
pub(super) fn concrete(
    pattern: &TypePattern,
    given: &ScalarType,
    element: &ScalarType,
) -> Option<ScalarType> {
    Some(match pattern {
        TypePattern::AnyRange => ScalarType::Range(RangeKind::over(element)?),
        TypePattern::AnyMultirange => ScalarType::Multirange(RangeKind::over(element)?),
        TypePattern::AnyList => ScalarType::List(Box::new(element.clone())),
        TypePattern::AnyMap => ScalarType::Map(Box::new(element.clone())),
        TypePattern::Is(ScalarType::Record(fields)) if fields.is_empty() => match given {
            ScalarType::Record(_) | ScalarType::Composite(_) => given.clone(),
            _ => ScalarType::Record(Vec::new()),
        },
        TypePattern::Is(typ) => typ.clone(),
        TypePattern::ArrayOf(typ) => ScalarType::Array(Box::new(typ.clone())),
        TypePattern::AnyElement | TypePattern::AnyEnum => element.clone(),
        TypePattern::AnyArray => ScalarType::Array(Box::new(element.clone())),
        TypePattern::Any | TypePattern::AnyNonArray => match given {
            ScalarType::Unknown => ScalarType::Text,
            _ => given.clone(),
        },
    })
}

/// Chooses among candidates that all fit. `assumed` are the types for the search of an exact
/// match.
pub(super) fn choose(
    candidates: Vec<Candidate>,
    given: &[ScalarType],
    assumed: &[ScalarType],
) -> Choice {
    let exact = |candidate: &&Candidate| {
        assumed.iter().enumerate().all(|(at, typ)| candidate.exact(at, typ))
    };
    if let Some(found) = candidates.iter().find(exact) {
        return Choice::One(found.clone());
    }
    let candidates = best(candidates, |candidate| count(given, |at, typ| candidate.exact(at, typ)));
    let candidates = best(candidates, |candidate| {
        count(given, |at, typ| {
            candidate.exact(at, typ)
                || (candidate.is_preferred(at) && candidate.category(at) == typ.category())
        })
    });
    if candidates.len() <= 1 || !given.contains(&ScalarType::Unknown) {
        return only(candidates);
    }
    let candidates = by_unknown(candidates, given);
    if candidates.len() <= 1 {
        return only(candidates);
    }
    // If all typed arguments are of one type, the untyped ones may be of it too.
    let mut known = given.iter().filter(|typ| **typ != ScalarType::Unknown);
    if let Some(first) = known.next()
        && known.all(|typ| typ == first)
    {
        let fitting: Vec<Candidate> = candidates
            .iter()
            .filter(|candidate| {
                let given = vec![first.clone(); candidate.patterns.len()];
                let patterns = candidate.patterns.clone();
                Candidate::new(candidate.at, patterns, &TypePattern::Any, &given).is_some()
            })
            .cloned()
            .collect();
        if fitting.len() == 1 {
            return only(fitting);
        }
    }
    only(candidates)
}

fn only(mut candidates: Vec<Candidate>) -> Choice {
    match candidates.len() {
        0 => Choice::None,
        1 => Choice::One(candidates.remove(0)),
        _ => Choice::Several,
    }
}

/// How many of the typed arguments fulfil a condition.
fn count(given: &[ScalarType], condition: impl Fn(usize, &ScalarType) -> bool) -> usize {
    given
        .iter()
        .enumerate()
        .filter(|(at, typ)| **typ != ScalarType::Unknown && condition(*at, typ))
        .count()
}

/// Those with the highest score.
fn best(candidates: Vec<Candidate>, score: impl Fn(&Candidate) -> usize) -> Vec<Candidate> {
    let highest = candidates.iter().map(&score).max().unwrap_or(0);
    candidates.into_iter().filter(|candidate| score(candidate) == highest).collect()
}

/// For each untyped argument: the string category if any candidate takes it there, else the one
/// that all take; those of another category are dropped, and those whose type is not preferred
/// if one's is. Nothing is dropped when the candidates disagree.
fn by_unknown(candidates: Vec<Candidate>, given: &[ScalarType]) -> Vec<Candidate> {
    let mut chosen: Vec<Option<(TypeCategory, bool)>> = vec![None; given.len()];
    for (at, typ) in given.iter().enumerate() {
        if *typ != ScalarType::Unknown {
            continue;
        }
        let has_string =
            candidates.iter().any(|candidate| candidate.category(at) == TypeCategory::String);
        let category = if has_string { TypeCategory::String } else { candidates[0].category(at) };
        let agreed = candidates.iter().all(|candidate| candidate.category(at) == category);
        if !has_string && !agreed {
            return candidates;
        }
        let preferred = candidates
            .iter()
            .any(|candidate| candidate.category(at) == category && candidate.is_preferred(at));
        chosen[at] = Some((category, preferred));
    }
    let keeps = |candidate: &&Candidate| {
        chosen.iter().enumerate().all(|(at, choice)| match choice {
            None => true,
            Some((category, preferred)) => {
                candidate.category(at) == *category && (!preferred || candidate.is_preferred(at))
            }
        })
    };
    let kept: Vec<Candidate> = candidates.iter().filter(keeps).cloned().collect();
    if kept.is_empty() { candidates } else { kept }
}
