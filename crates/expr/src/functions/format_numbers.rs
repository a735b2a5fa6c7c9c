//! `to_char` of numbers, in its everyday patterns: `9 0 . , D G S MI PR PL SG FM L %`.

use tidemill_repr::Numeric;

use crate::error::EvalError;
use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, float4, float8, int, numeric, text};
use crate::scalar::EvalContext;

/// One place of a template.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// `9` or, with zeros, `0`.
    Digit(bool),
    Point,
    Group,
    /// `S` or `SG`: a sign that is always shown here.
    Sign,
    /// `MI`: a minus here, else a blank.
    Minus,
    /// `PL`
    Plus,
    Literal(char),
}

#[derive(Default)]
struct Template {
    places: Vec<Place>,
    no_fill: bool,
    brackets: bool,
}

fn parse(template: &str) -> Template {
    let mut parsed = Template::default();
    let mut rest = template;
    while let Some(next) = rest.chars().next() {
        let upper = rest.get(..2).map(str::to_ascii_uppercase);
        let place = match upper.as_deref() {
            Some("FM") => {
                parsed.no_fill = true;
                rest = &rest[2..];
                continue;
            }
            Some("PR") => {
                parsed.brackets = true;
                rest = &rest[2..];
                continue;
            }
            Some("MI") => Some(Place::Minus),
            Some("PL") => Some(Place::Plus),
            Some("SG") => Some(Place::Sign),
            _ => None,
        };
        if let Some(place) = place {
            parsed.places.push(place);
            rest = &rest[2..];
            continue;
        }
        if next == '"' {
            let end = rest[1..].find('"').map_or(rest.len(), |end| end + 1);
            parsed.places.extend(rest[1..end].chars().map(Place::Literal));
            rest = rest.get(end + 1..).unwrap_or("");
            continue;
        }
        parsed.places.push(match next {
            '9' => Place::Digit(false),
            '0' => Place::Digit(true),
            '.' | 'D' | 'd' => Place::Point,
            ',' | 'G' | 'g' => Place::Group,
            'S' | 's' => Place::Sign,
            'L' | 'l' => Place::Literal(' '),
            other => Place::Literal(other),
        });
        rest = &rest[next.len_utf8()..];
    }
    parsed
}

fn render(value: &Numeric, template: &Template) -> Result<String, EvalError> {
    let places = &template.places;
    let point = places.iter().position(|place| *place == Place::Point).unwrap_or(places.len());
    let digit = |place: &&Place| matches!(place, Place::Digit(_));
    let before = places[..point].iter().filter(digit).count();
    let after = places[point..].iter().filter(digit).count();
    let scale = i32::try_from(after).unwrap_or(0);
    let rounded = if value.is_finite() { value.round(scale)? } else { *value };
    let negative = rounded.signum() < 0;
    let shown = rounded.abs().to_string();
    let (whole, fraction) = shown.split_once('.').unwrap_or((&shown, ""));
    let whole = if whole == "0" && before > 0 && after > 0 { "" } else { whole };
    let overflow = whole.len() > before || !value.is_finite();
    // Where digits start to be shown: at the first digit of the number or the first 0.
    let first_zero =
        places[..point].iter().filter(digit).position(|place| *place == Place::Digit(true));
    let start = (before - whole.len().min(before)).min(first_zero.unwrap_or(before));
    let own_sign =
        places.iter().any(|place| matches!(place, Place::Sign | Place::Minus)) || template.brackets;
    let mut out = String::new();
    let (mut at, mut signed, mut in_fraction) = (0, own_sign, 0);
    let fraction_needed =
        significant(fraction, &places[point.min(places.len())..], template.no_fill);
    for (index, place) in places.iter().enumerate() {
        match place {
            Place::Digit(_) if index < point => {
                if at < start {
                    if !template.no_fill {
                        out.push(' ');
                    }
                } else {
                    if !signed {
                        sign_before(&mut out, negative, template.no_fill);
                        signed = true;
                    }
                    out.push(if overflow { '#' } else { digit_at(whole, before, at) });
                }
                at += 1;
            }
            Place::Digit(_) => {
                let c =
                    if overflow { '#' } else { fraction.chars().nth(in_fraction).unwrap_or('0') };
                in_fraction += 1;
                if in_fraction <= fraction_needed {
                    out.push(c);
                }
            }
            Place::Point => {
                if !signed {
                    sign_before(&mut out, negative, template.no_fill);
                    signed = true;
                }
                out.push('.');
            }
            Place::Group if at > start => out.push(','),
            Place::Group if template.no_fill => {}
            Place::Group => out.push(' '),
            Place::Sign => out.push(if negative { '-' } else { '+' }),
            Place::Minus if negative => out.push('-'),
            Place::Plus if !negative => out.push('+'),
            Place::Minus | Place::Plus => {
                if !template.no_fill {
                    out.push(' ')
                }
            }
            Place::Literal(c) => out.push(*c),
        }
    }
    if !signed {
        sign_before(&mut out, negative, template.no_fill);
    }
    if template.brackets {
        return Ok(in_brackets(&out, negative, template.no_fill));
    }
    Ok(place_sign(out, places))
}

/// How many digits of the fraction are shown: all, or without zeros at the end that no `0` asks
/// for.
fn significant(fraction: &str, places: &[Place], no_fill: bool) -> usize {
    let digits: Vec<&Place> =
        places.iter().filter(|place| matches!(place, Place::Digit(_))).collect();
    if !no_fill {
        return digits.len();
    }
    let forced =
        digits.iter().rposition(|place| **place == Place::Digit(true)).map_or(0, |at| at + 1);
    fraction.trim_end_matches('0').len().max(forced)
}

fn digit_at(whole: &str, before: usize, at: usize) -> char {
    let lead = before.saturating_sub(whole.len());
    if at < lead {
        '0'
    } else {
        whole.as_bytes().get(at - lead).map_or('0', |byte| char::from(*byte))
    }
}

fn sign_before(out: &mut String, negative: bool, no_fill: bool) {
    if negative {
        out.push('-');
    } else if !no_fill {
        // The sign's place stays blank, before the fill.
        out.insert(0, ' ');
    }
}

/// A leading `S` stands right before the first digit.
fn place_sign(out: String, places: &[Place]) -> String {
    if places.first() != Some(&Place::Sign) {
        return out;
    }
    let Some(sign) = out.chars().next() else { return out };
    let blanks = out[1..].len() - out[1..].trim_start_matches(' ').len();
    format!("{}{sign}{}", " ".repeat(blanks), &out[1 + blanks..])
}

fn in_brackets(out: &str, negative: bool, no_fill: bool) -> String {
    let trimmed = out.trim_start_matches(' ');
    let blanks = " ".repeat(out.len() - trimmed.len());
    match (negative, no_fill) {
        (true, _) => format!("{blanks}<{trimmed}>"),
        (false, true) => out.to_owned(),
        (false, false) => format!(" {out} "),
    }
}

fn shown<'a>(value: &Numeric, template: &str, context: EvalContext<'a>) -> Evaluated<'a> {
    Ok(context.text(&render(value, &parse(template))?))
}

pub(super) fn define(d: &mut Definitions) {
    let doc = "Written by a template.";
    let of_numeric: Eval = |a, c| shown(&numeric(a, 0)?, text(a, 1)?, c);
    d.add("numeric_to_char", "to_char(numeric, text) -> text", of_numeric, doc);
    let of_int: Eval = |a, c| shown(&Numeric::from(int(a, 0)?), text(a, 1)?, c);
    d.add("int4_to_char", "to_char(int4, text) -> text", of_int, doc);
    d.add("int8_to_char", "to_char(int8, text) -> text", of_int, doc);
    let of_float8: Eval = |a, c| shown(&Numeric::from_f64(float8(a, 0)?)?, text(a, 1)?, c);
    d.add("float8_to_char", "to_char(float8, text) -> text", of_float8, doc);
    let of_float4: Eval = |a, c| shown(&Numeric::from_f32(float4(a, 0)?)?, text(a, 1)?, c);
    d.add("float4_to_char", "to_char(float4, text) -> text", of_float4, doc);
}
