//! Moving instants by the clock of a zone; instants of one fixed form.

use tidemill_repr::Datum;
use tidemill_repr::text::TextSettings;

use crate::function::Eval;
use crate::functions::Definitions;
use crate::functions::arguments::{Evaluated, interval, text, timestamptz};
use crate::functions::datetime::{negated, plus_in_zone, zone_argument};

fn moved<'a>(a: &[Datum<'a>], back: bool) -> Evaluated<'a> {
    let span = interval(a, 1)?;
    let span = if back { negated(span)? } else { span };
    // The zone is the third argument, whether it is given or that of the session.
    let zone = zone_argument(a, 2)?;
    plus_in_zone(timestamptz(a, 0)?, span, &zone).map(Datum::TimestampTz)
}

/// `YYYY-MM-DDThh:mm:ss.sssZ` and nothing else: of such texts the order is that of time.
fn monotonic<'a>(a: &[Datum<'a>]) -> Evaluated<'a> {
    let written = text(a, 0)?;
    let form = b"0000-00-00T00:00:00.000Z";
    let fits = written.len() == form.len()
        && written.bytes().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == *other,
        });
    if !fits {
        return Ok(Datum::Null);
    }
    let mut row = tidemill_repr::RowBuilder::new();
    let typ = tidemill_repr::ColumnType::new(tidemill_repr::ScalarType::Timestamp);
    let plain = written.trim_end_matches('Z').replace('T', " ");
    // What has no 30th of February is no timestamp.
    let read = tidemill_repr::text::parse_into(&typ, &plain, &TextSettings::default(), &mut row);
    match (read, row.as_ref().iter().next()) {
        // Seconds of 60 would be those of the next minute.
        _ if &written[17..19] == "60" => Ok(Datum::Null),
        (Ok(()), Some(Datum::Timestamp(micros))) => Ok(Datum::Timestamp(micros)),
        _ => Ok(Datum::Null),
    }
}

pub(super) fn define(d: &mut Definitions) {
    for (name, back, doc) in [
        ("date_add", false, "Later by this, by the clock of a zone."),
        ("date_subtract", true, "Earlier by this, by the clock of a zone."),
    ] {
        let eval: Eval = if back { |a, _| moved(a, true) } else { |a, _| moved(a, false) };
        let id = format!("timestamptz_{name}");
        d.add(&id, &format!("{name}(timestamptz, interval) -> timestamptz"), eval, doc).zone();
        let id = format!("timestamptz_{name}_at_zone");
        d.add(&id, &format!("{name}(timestamptz, interval, text) -> timestamptz"), eval, doc);
    }
    let name = "try_parse_monotonic_iso8601_timestamp";
    let doc = "A timestamp of the form YYYY-MM-DDThh:mm:ss.sssZ; NULL of any other text.";
    d.add(name, &format!("{name}(text) -> timestamp"), |a, _| monotonic(a), doc);
}
