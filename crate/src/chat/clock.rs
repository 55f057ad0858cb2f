//! `strftime` of a time in UTC.

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Year, month (1 to 12), day of the month, day of the year. Source: Howard Hinnant, "chrono-compatible low-level date algorithms".
fn date(days: i64) -> (i64, usize, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let leap = i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1];
    (year, month as usize, day, before + day + if month > 2 { leap } else { 0 })
}

/// The time as a format of C's `strftime` says it; a directive that is not known is returned as the error.
pub(super) fn strftime(seconds: i64, format: &str) -> Result<String, String> {
    let days = seconds.clamp(-1 << 40, 1 << 40).div_euclid(86_400);
    let of_day = seconds.rem_euclid(86_400);
    let (year, month, day, of_year) = date(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let weekday = DAYS[days.rem_euclid(7) as usize];
    let hour12 = (hour + 11) % 12 + 1;
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (plain, directive) = match chars.next() {
            Some('-') => (true, chars.next()),
            other => (false, other),
        };
        let number = |value: i64, width: usize| if plain { value.to_string() } else { format!("{value:0width$}") };
        let text = match directive {
            Some('Y') => number(year, 4),
            Some('y') => number(year.rem_euclid(100), 2),
            Some('m') => number(month as i64, 2),
            Some('d') => number(day, 2),
            Some('e') if plain => day.to_string(),
            Some('e') => format!("{day:2}"),
            Some('j') => number(of_year, 3),
            Some('H') => number(hour, 2),
            Some('I') => number(hour12, 2),
            Some('M') => number(minute, 2),
            Some('S') => number(second, 2),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            Some('B') => MONTHS[month - 1].to_owned(),
            Some('b' | 'h') => MONTHS[month - 1][..3].to_owned(),
            Some('A') => weekday.to_owned(),
            Some('a') => weekday[..3].to_owned(),
            Some('F') => format!("{year:04}-{month:02}-{day:02}"),
            Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
            Some('Z') => "UTC".to_owned(),
            Some('z') => "+0000".to_owned(),
            Some('s') => seconds.to_string(),
            Some('%') => "%".to_owned(),
            Some(other) => return Err(format!("%{other}")),
            None => return Err("a lone %".to_owned()),
        };
        out.push_str(&text);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::strftime;

    /// Reference: Python's `datetime.fromtimestamp(n, timezone.utc).strftime`.
    #[test]
    fn times_are_written_as_python_writes_them() {
        let all = "%Y-%m-%d %H:%M:%S %j %A %a %B %b %I %p %y %-d %%";
        assert_eq!(strftime(0, all).unwrap(), "1970-01-01 00:00:00 001 Thursday Thu January Jan 12 AM 70 1 %");
        assert_eq!(
            strftime(951_782_399, all).unwrap(),
            "2000-02-28 23:59:59 059 Monday Mon February Feb 11 PM 00 28 %"
        );
        assert_eq!(
            strftime(1_735_646_400, all).unwrap(),
            "2024-12-31 12:00:00 366 Tuesday Tue December Dec 12 PM 24 31 %"
        );
        assert_eq!(strftime(-1, "%F %T").unwrap(), "1969-12-31 23:59:59");
        assert_eq!(strftime(0, "%Q"), Err("%Q".to_owned()));
    }
}
