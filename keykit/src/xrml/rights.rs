//! Rights and who holds them (MS-RMPR §2.2.9.8.5.3, §2.2.9.9.6, §2.2.9.10.4.2).

use super::parts::Object;
use super::time::TimeRange;
use super::value::{fault, only_child};
use crate::error::Result;
use crate::xml::Element;

/// A right, with those who hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// Its name, for example `VIEW`.
    pub name: String,
    /// Who holds it. Nobody where the document lists nobody.
    pub holders: Vec<RightHolder>,
    /// When it holds, if that is bounded by dates.
    pub range: Option<TimeRange>,
    /// For how many days from the issue it holds, if that is bounded so.
    pub days: Option<u32>,
}

/// Who holds a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RightHolder {
    /// Whoever asks.
    Anyone,
    /// The author of the document.
    Owner,
    /// A user or group by its address.
    Address(String),
    /// A principal of the same document, by its internal id.
    Principal(String),
    /// Someone named in another way, for example by a SID.
    Object(Object),
}

impl Right {
    /// A right with its holders and no bounds.
    #[must_use]
    pub fn new(name: &str, holders: Vec<RightHolder>) -> Self {
        Self { name: name.to_owned(), holders, range: None, days: None }
    }

    /// All rights of a `<WORK>`, in order.
    pub(super) fn all_of(work: &Element<'_>) -> Result<Vec<Self>> {
        work.children_named("RIGHTSGROUP")
            .flat_map(|group| group.children_named("RIGHTSLIST"))
            .flat_map(|list| &list.children)
            .map(Self::read)
            .collect()
    }

    fn read(element: &Element<'_>) -> Result<Self> {
        // Both forms occur: <RIGHT name="VIEW"> and <VIEW>.
        let name =
            if element.name == "RIGHT" { element.attribute("name").ok_or_else(|| fault(element, "a right without a name"))? } else { element.name };
        let mut right = Self::new(name, Vec::new());
        for condition in element.children_named("CONDITIONLIST").flat_map(|list| &list.children) {
            match condition.name {
                "ACCESS" => {
                    for principal in condition.children_named("PRINCIPAL") {
                        right.holders.push(RightHolder::read(principal)?);
                    }
                }
                "TIME" => {
                    if let Some(range) = read_range(condition)? {
                        right.range = Some(right.range.unwrap_or_default().intersect(range));
                    }
                    right.days = read_days(condition)?.or(right.days);
                }
                _ => {}
            }
        }
        Ok(right)
    }
}

impl RightHolder {
    fn read(principal: &Element<'_>) -> Result<Self> {
        let Some(object) = Object::inside(principal)? else {
            return Ok(Self::Principal(principal.attribute("internal-id").unwrap_or_default().to_owned()));
        };
        Ok(match (object.id_type.as_str(), object.id.as_str(), &object.name) {
            ("Internal", id, _) if id.eq_ignore_ascii_case("anyone") => Self::Anyone,
            ("Internal", id, _) if id.eq_ignore_ascii_case("owner") => Self::Owner,
            ("Unspecified", "", Some(name)) => Self::Address(name.trim().to_owned()),
            _ => Self::Object(object),
        })
    }
}

/// The `<RANGETIME>` inside an element.
pub(super) fn read_range(parent: &Element<'_>) -> Result<Option<TimeRange>> {
    only_child(parent, "RANGETIME")?.map(read_ends).transpose()
}

/// `<FROM>` and `<UNTIL>` directly inside an element.
pub(super) fn read_ends(element: &Element<'_>) -> Result<TimeRange> {
    let end = |name| -> Result<_> {
        only_child(element, name)?.map(|end| end.trimmed().parse().map_err(|_| fault(end, "a time that cannot be read"))).transpose()
    };
    Ok(TimeRange { from: end("FROM")?, until: end("UNTIL")? })
}

fn read_days(parent: &Element<'_>) -> Result<Option<u32>> {
    let Some(interval) = only_child(parent, "INTERVALTIME")? else { return Ok(None) };
    interval.attribute("days").map(|days| days.trim().parse().map_err(|_| fault(interval, "a number of days that is none"))).transpose()
}
