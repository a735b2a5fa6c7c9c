//! Values asked from PostgreSQL.

use super::{
    Reading, TimeZone, civil_from_days, days_from_civil, format_date, format_time,
    format_timestamp, format_timestamptz, parse_date, parse_time, parse_timestamp,
    parse_timestamptz,
};

#[test]
fn calendar() {
    assert_eq!(days_from_civil(2000, 1, 1), 0);
    assert_eq!(days_from_civil(1970, 1, 1), -10957);
    for days in (-2_500_000..4_000_000).step_by(37) {
        let (year, month, day) = civil_from_days(days);
        assert_eq!(days_from_civil(year, month, day), days);
    }
}

#[test]
fn dates() {
    for (text, shown) in [
        ("2024-01-31", "2024-01-31"),
        ("20240131", "2024-01-31"),
        ("Jan 5 2024", "2024-01-05"),
        ("January 5, 2024", "2024-01-05"),
        ("5 January 2024", "2024-01-05"),
        ("2024-1-5", "2024-01-05"),
        ("1/8/1999", "1999-01-08"),
        ("5-Jan-2024", "2024-01-05"),
        ("1999-Jan-08", "1999-01-08"),
        ("08-Jan-99", "1999-01-08"),
        ("990108", "1999-01-08"),
        ("1999.01.08", "1999-01-08"),
        ("Mon Jan 05 10:20:30 2024", "2024-01-05"),
        ("99999-01-01", "99999-01-01"),
        ("0044-03-15 BC", "0044-03-15 BC"),
        ("infinity", "infinity"),
        ("-infinity", "-infinity"),
        ("epoch", "1970-01-01"),
        ("4714-11-24 BC", "4714-11-24 BC"),
        ("5874897-12-31", "5874897-12-31"),
        ("2024-02-29 10:00:00", "2024-02-29"),
    ] {
        let mut out = String::new();
        format_date(parse_date(text, &Reading::plain()).unwrap(), &mut out);
        assert_eq!(out, shown, "{text}");
    }
    assert_eq!(parse_date("2023-02-29", &Reading::plain()).unwrap_err().code.0, "22008");
    assert_eq!(parse_date("abc", &Reading::plain()).unwrap_err().code.0, "22007");
    assert_eq!(parse_date("today", &Reading::plain()).unwrap_err().code.0, "0A000");
}

#[test]
fn timestamps() {
    for (text, shown) in [
        ("2024-01-31T10:20:30.123456789Z", "2024-01-31 10:20:30.123457"),
        ("2024-01-31 10:20", "2024-01-31 10:20:00"),
        ("20240131T102030", "2024-01-31 10:20:30"),
        ("2024-01-31 24:00:00", "2024-02-01 00:00:00"),
        ("2024-01-31 11:59:59.5 PM", "2024-01-31 23:59:59.5"),
        ("Jan 5 2024 1:02:03.5 am", "2024-01-05 01:02:03.5"),
        ("0001-01-01 00:00:00 BC", "0001-01-01 00:00:00 BC"),
        ("294276-12-31 23:59:59.999999", "294276-12-31 23:59:59.999999"),
    ] {
        let mut out = String::new();
        format_timestamp(parse_timestamp(text, &Reading::plain()).unwrap(), &mut out);
        assert_eq!(out, shown, "{text}");
    }
    let berlin = TimeZone::parse("Europe/Berlin").unwrap();
    let in_berlin = Reading { zone: &berlin, ..Reading::plain() };
    for (text, shown) in [
        ("2024-01-31 10:00", "2024-01-31 10:00:00+01"),
        ("2024-07-01 10:00", "2024-07-01 10:00:00+02"),
        ("2024-07-01 10:00+05:30", "2024-07-01 06:30:00+02"),
        ("2024-07-01 10:00 America/New_York", "2024-07-01 16:00:00+02"),
        ("2024-03-31 02:30", "2024-03-31 03:30:00+02"),
        ("2024-10-27 02:30", "2024-10-27 02:30:00+01"),
        ("2024-07-01 10:00-0330", "2024-07-01 15:30:00+02"),
        ("250000-07-01 10:00", "250000-07-01 10:00:00+02"),
        ("1800-01-01 00:00", "1800-01-01 00:00:00+00:53:28"),
    ] {
        let mut out = String::new();
        format_timestamptz(parse_timestamptz(text, &in_berlin).unwrap(), &berlin, &mut out);
        assert_eq!(out, shown, "{text}");
    }
    let mut out = String::new();
    format_time(parse_time("04:05:06.7", &Reading::plain()).unwrap(), &mut out);
    assert_eq!(out, "04:05:06.7");
    assert!(TimeZone::parse("nowhere").is_err());
    assert_eq!(TimeZone::parse("-7").unwrap().offset_at(0), -7 * 3600);
    assert_eq!(TimeZone::parse("<+03>-03").unwrap().offset_at(0), 3 * 3600);
}
