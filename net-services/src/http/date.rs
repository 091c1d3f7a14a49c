//! Dates as HTTP writes them (RFC 9110 section 5.6.7).

use net_core::time::UnixTime;

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const LONG_DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const DAY_SECS: u64 = 24 * 3600;
/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

/// Writes a moment as `Sun, 06 Nov 1994 08:49:37 GMT`, without its fraction of a second. Beyond the year 9999 it is the
/// last second of that.
pub fn write(time: UnixTime) -> [u8; 29] {
    let secs = time.as_secs().min(LAST);
    let (days, secs) = ((secs / DAY_SECS) as u32, (secs % DAY_SECS) as u32);
    let (year, month, day) = civil(days);
    let mut text = *b"ddd, 00 mmm 0000 00:00:00 GMT";
    let mut put = |at: usize, part: &[u8]| {
        if let Some(place) = text.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
        }
    };
    put(0, DAYS.get((days % 7) as usize).copied().unwrap_or(b"Thu"));
    put(8, MONTHS.get((month - 1) as usize).copied().unwrap_or(b"Jan"));
    let numbers = [(5, day), (12, year / 100), (14, year), (17, secs / 3600), (20, secs / 60 % 60), (23, secs % 60)];
    for (at, number) in numbers {
        put(at, &[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
    }
    text
}

/// Reads a date in any of the three forms that a recipient must know:
///
/// - `Sun, 06 Nov 1994 08:49:37 GMT`, the one to be sent
/// - `Sunday, 06-Nov-94 08:49:37 GMT` (RFC 850), with the years 1970 to 2069
/// - `Sun Nov  6 08:49:37 1994`, as of `asctime` in C
///
/// The name of the day is not compared with the date. `None` for all else, and for dates before 1970.
pub fn parse(text: &[u8]) -> Option<UnixTime> {
    if text.get(3) == Some(&b',') {
        if text.len() != 29 || !text.ends_with(b" GMT") || [4, 7, 11, 16].iter().any(|&i| text.get(i) != Some(&b' ')) {
            return None;
        }
        short_day(text)?;
        let year = number(text.get(12..16)?)?;
        return moment(year, month(text.get(8..11)?)?, number(text.get(5..7)?)?, text.get(17..25)?);
    }
    if let Some(comma) = text.iter().position(|&byte| byte == b',') {
        let (day_name, rest) = text.split_at_checked(comma)?;
        LONG_DAYS.iter().position(|name| name.as_bytes() == day_name)?;
        // ", 06-Nov-94 08:49:37 GMT"
        let shape = rest.len() == 24 && rest.starts_with(b", ") && rest.ends_with(b" GMT");
        if !shape || rest.get(4) != Some(&b'-') || rest.get(8) != Some(&b'-') || rest.get(11) != Some(&b' ') {
            return None;
        }
        let year = number(rest.get(9..11)?)?;
        let year = if year < 70 { 2000 + year } else { 1900 + year };
        return moment(year, month(rest.get(5..8)?)?, number(rest.get(2..4)?)?, rest.get(12..20)?);
    }
    // "Sun Nov  6 08:49:37 1994"
    if text.len() != 24 || [3, 7, 10, 19].iter().any(|&i| text.get(i) != Some(&b' ')) {
        return None;
    }
    short_day(text)?;
    let day = match text.get(8..10)? {
        [b' ', digit] => number(&[*digit])?,
        digits => number(digits)?,
    };
    moment(number(text.get(20..24)?)?, month(text.get(4..7)?)?, day, text.get(11..19)?)
}

/// Up to four digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
}

fn short_day(text: &[u8]) -> Option<usize> {
    DAYS.iter().position(|name| text.starts_with(*name))
}

fn month(name: &[u8]) -> Option<u32> {
    MONTHS.iter().position(|month| *month == name).map(|index| index as u32 + 1)
}

/// The moment of a date and a time of day written `08:49:37`, both checked. A leap second is the second after it.
fn moment(year: u32, month: u32, day: u32, time: &[u8]) -> Option<UnixTime> {
    let (&[h1, h2, b':', m1, m2, b':', s1, s2], true) = (time, year >= 1970) else { return None };
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    let days = days(year, month, day);
    if hour > 23 || minute > 59 || second > 60 || civil(days) != (year, month, day) {
        return None;
    }
    Some(UnixTime::from_secs(u64::from(days) * DAY_SECS + u64::from(hour * 3600 + minute * 60 + second)))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, 1970 or later. Days of no month give those of the next or
/// the one before.
fn days(year: u32, month: u32, day: u32) -> u32 {
    // Years that begin in March have the leap day at their end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let to_month = (153 * month + 2) / 5;
    // 719,469 days lie between 1 March of the year 0, the day before counted, and 1970-01-01.
    (year * 365 + year / 4 - year / 100 + year / 400 + to_month + day).saturating_sub(719_469)
}

/// The date of the Gregorian calendar so many days after 1970-01-01: year, month 1 to 12, day 1 to 31.
fn civil(days: u32) -> (u32, u32, u32) {
    let mut year = 1970 + days / 366;
    while days >= self::days(year + 1, 1, 1) {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days >= self::days(year, month + 1, 1) {
        month += 1;
    }
    (year, month, days - self::days(year, month, 1) + 1)
}

#[cfg(test)]
mod tests;
