//! Dates, there and back.

use std::format;
use std::string::String;

use super::*;

fn written(secs: u64) -> String {
    String::from_utf8(write(UnixTime::from_secs(secs)).to_vec()).unwrap()
}

fn read(text: &str) -> Option<u64> {
    parse(text.as_bytes()).map(UnixTime::as_secs)
}

#[test]
fn h13_the_example_of_the_rfc_in_its_three_forms() {
    assert_eq!(written(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
        assert_eq!(read(text), Some(784_111_777), "{text}");
    }
}

#[test]
fn h13_every_day_of_five_centuries() {
    const NAMES: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const LONG: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let months = [("Jan", 31), ("Feb", 28), ("Mar", 31), ("Apr", 30), ("May", 31), ("Jun", 30)].into_iter().chain([
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ]);
    let mut days = 0;
    for year in 1970..2470 {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        for (month, length) in months.clone() {
            let length = if month == "Feb" && leap { 29 } else { length };
            for day in 1..=length {
                let secs = days * 86_400 + days % 86_400;
                let (h, m, s) = (days % 86_400 / 3600, days / 60 % 60, days % 60);
                let name = NAMES[(days % 7) as usize];
                let text = format!("{name}, {day:02} {month} {year} {h:02}:{m:02}:{s:02} GMT");
                assert_eq!(written(secs), text);
                assert_eq!(read(&text), Some(secs), "{text}");
                let text = format!("{name} {month} {day:2} {h:02}:{m:02}:{s:02} {year}");
                assert_eq!(read(&text), Some(secs), "{text}");
                let long = LONG[(days % 7) as usize];
                let text = format!("{long}, {day:02}-{month}-{:02} {h:02}:{m:02}:{s:02} GMT", year % 100);
                assert_eq!(read(&text) == Some(secs), year < 2070, "{text}");
                days += 1;
            }
            let text = format!("Mon, {:02} {month} {year} 00:00:00 GMT", length + 1);
            assert_eq!(read(&text), None, "{text}");
        }
    }
}

#[test]
fn h13_the_ends_of_the_range() {
    assert_eq!(written(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(written(LAST), "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_eq!(written(LAST + 1), written(LAST));
    assert_eq!(written(u64::MAX), written(LAST));
    assert_eq!(read("Fri, 31 Dec 9999 23:59:59 GMT"), Some(LAST));
    assert_eq!(read("Wed, 31 Dec 1969 23:59:59 GMT"), None);
    assert_eq!(write(UnixTime::from_micros(1_999_999)), write(UnixTime::from_secs(1)));
}

#[test]
fn h13_a_leap_second_is_the_second_after_it() {
    assert_eq!(read("Sat, 31 Dec 2016 23:59:60 GMT"), read("Sun, 01 Jan 2017 00:00:00 GMT"));
}

#[test]
fn h13_what_is_no_date() {
    for text in [
        "",
        " ",
        ",",
        "Sun",
        "Sun,",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1995 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08-49-37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 19x4 08:49:37 GMT",
        "Someday, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday,06-Nov-94 08:49:37 GMT ",
        "Sunday, 31-Feb-94 08:49:37 GMT",
        "Sunday, 06-Nov+94 08:49:37 GMT",
        "Sunday, 06+Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-94x08:49:37 GMT",
        "Sun Nov 06 08:49:37 1994 ",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov   08:49:37 1994",
        "SunxNov  6 08:49:37 1994",
        "Xyz Nov  6 08:49:37 1994",
        "Sun Nov  6 08:49:37x1994",
        "Sun,x06 Nov 1994 08:49:37 GMT",
        "Sun, 06xNov 1994 08:49:37 GMT",
        "Sun, 06 Novx1994 08:49:37 GMT",
        "Sun, 06 Nov 1994x08:49:37 GMT",
        "784111777",
        "\u{e9}\u{e9}\u{e9}, 06 Nov 1994 08:49:37 GMT",
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
    // Any piece of a date, and any date with a byte changed to one that fits nowhere
    for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
        for at in 0..text.len() {
            assert_eq!(read(&text[..at]), None, "{:?}", &text[..at]);
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = 0xff;
            assert_eq!(parse(&bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
