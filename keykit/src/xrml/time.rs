//! Times of XrML: whole minutes in UTC, as in `2013-04-04T00:53` (MS-RMPR §2.2.9.1.1).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

use super::FORMAT;
use crate::error::{Error, Result};

/// A time in UTC, to the minute, from year 1 to year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XrmlTime(DateTime);

impl XrmlTime {
    /// The present minute.
    #[must_use]
    pub fn now() -> Self {
        Self::at(Timestamp::now())
    }

    /// The minute that an instant lies in.
    #[must_use]
    pub fn at(instant: Timestamp) -> Self {
        let time = instant.to_zoned(TimeZone::UTC).datetime();
        Self(time.with().second(0).subsec_nanosecond(0).build().unwrap_or(time))
    }

    /// The same time some days later, or earlier if `days` is negative; the last or first possible time at the ends.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Self {
        let moved = self.0.saturating_add(jiff::Span::new().try_days(days).unwrap_or_default());
        Self(moved.with().second(0).subsec_nanosecond(0).build().unwrap_or(moved))
    }
}

impl fmt::Display for XrmlTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0;
        write!(f, "{:04}-{:02}-{:02}T{:02}:{:02}", time.year(), time.month(), time.day(), time.hour(), time.minute())
    }
}

impl FromStr for XrmlTime {
    type Err = Error;

    /// Reads `2013-04-04T00:53`. Seconds (`:59`) are read and dropped.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything else.
    fn from_str(text: &str) -> Result<Self> {
        read(text).ok_or_else(|| Error::malformed(FORMAT, format!("'{}' is not a time like 2013-04-04T00:53", shorten(text))))
    }
}

impl Serialize for XrmlTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn read(text: &str) -> Option<XrmlTime> {
    let mut rest = text;
    let year = number(&mut rest, 4, "")?;
    let month = number(&mut rest, 2, "-")?;
    let day = number(&mut rest, 2, "-")?;
    let hour = number(&mut rest, 2, "T")?;
    let minute = number(&mut rest, 2, ":")?;
    if !rest.is_empty() && number(&mut rest, 2, ":")? > 59 {
        return None;
    }
    if !rest.is_empty() || year == 0 {
        return None;
    }
    let small = |value: i16| i8::try_from(value).ok();
    DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, 0, 0).ok().map(XrmlTime)
}

/// Takes `before` and then exactly `digits` digits from the front of `rest`.
fn number(rest: &mut &str, digits: usize, before: &str) -> Option<i16> {
    let after = rest.strip_prefix(before)?;
    let (value, tail) = after.split_at_checked(digits)?;
    *rest = tail;
    value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok())?
}

/// The first characters of a text from outside, for a message.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

/// A period with both its ends. An end that is missing does not bound it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
pub struct TimeRange {
    /// The first minute.
    pub from: Option<XrmlTime>,
    /// The last minute.
    pub until: Option<XrmlTime>,
}

impl TimeRange {
    /// The period from one time to another.
    #[must_use]
    pub fn between(from: XrmlTime, until: XrmlTime) -> Self {
        Self { from: Some(from), until: Some(until) }
    }

    /// Whether a time lies in the period. Both ends belong to it.
    #[must_use]
    pub fn contains(&self, time: XrmlTime) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time <= until)
    }

    /// The time that lies in both periods.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        let until = match (self.until, other.until) {
            (Some(left), Some(right)) => Some(left.min(right)),
            (left, right) => left.or(right),
        };
        Self { from: self.from.max(other.from), until }
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |f: &mut fmt::Formatter<'_>, time: Option<XrmlTime>| match time {
            Some(time) => time.fmt(f),
            None => f.write_str("…"),
        };
        end(f, self.from)?;
        f.write_str(" to ")?;
        end(f, self.until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> XrmlTime {
        text.parse().unwrap()
    }

    #[test]
    fn real_times_come_back_and_compare() {
        for text in ["2013-04-04T00:53", "2255-04-18T16:50", "0001-01-01T00:00", "9999-12-31T23:59", "2024-02-29T12:00"] {
            assert_eq!(time(text).to_string(), text);
        }
        assert!(time("2013-04-04T00:53") < time("2013-04-04T00:54"));
        assert_eq!(time("2013-04-04T00:53:59"), time("2013-04-04T00:53"));
        assert_eq!(time("2013-12-31T23:59").plus_days(1).to_string(), "2014-01-01T23:59");
        assert!(time("9999-12-31T00:00").plus_days(i32::MAX) >= time("9999-12-31T00:00"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "2013-04-04", "2013-02-29T00:00", "2013-13-01T00:00", "0000-01-01T00:00", "2013-04-04T24:00", "2013-04-04T00:60"] {
            assert!(text.parse::<XrmlTime>().is_err(), "{text}");
        }
        for text in ["+013-04-04T00:53", "2013-04-04T00:53Z", "2013-04-04T00:53:60", "2013-04-04 00:53", "２013-04-04T00:53", "2013-4-04T00:530"] {
            assert!(text.parse::<XrmlTime>().is_err(), "{text}");
        }
    }

    #[test]
    fn both_ends_belong_to_a_range() {
        let range = TimeRange::between(time("2013-01-01T00:00"), time("2013-01-02T00:00"));
        assert!(range.contains(time("2013-01-01T00:00")) && range.contains(time("2013-01-02T00:00")));
        assert!(!range.contains(time("2012-12-31T23:59")) && !range.contains(time("2013-01-02T00:01")));
        let open = TimeRange { from: Some(time("2013-01-01T12:00")), until: None };
        assert_eq!(range.intersect(open), TimeRange::between(time("2013-01-01T12:00"), time("2013-01-02T00:00")));
        assert_eq!(open.intersect(range), range.intersect(open));
        assert!(TimeRange::default().contains(XrmlTime::now()));
    }

    proptest! {
        #[test]
        fn no_input_panics(text in "\\PC{0,20}|[0-9T:é-]{0,20}") {
            if let Ok(time) = text.parse::<XrmlTime>() {
                prop_assert_eq!(time.to_string(), &text[..16]);
            }
        }
    }
}
