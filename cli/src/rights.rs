//! Rights as the command line writes them: `USER:RIGHT[,RIGHT]`.

use keykit::licence::UsageRight;
use keykit::xrml::{Right, RightHolder};
use keykit::{Error, Result};
use serde::Serialize;

/// A right, as it is printed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShownRight {
    pub(crate) right: String,
    pub(crate) common_name: String,
    pub(crate) holders: Vec<String>,
    pub(crate) days: Option<u32>,
    pub(crate) until: Option<String>,
}

impl ShownRight {
    pub(crate) fn of(right: &Right) -> Self {
        Self {
            right: right.name.clone(),
            common_name: UsageRight::from(right.name.as_str()).common_name().to_owned(),
            holders: right.holders.iter().map(shown).collect(),
            days: right.days,
            until: right.range.and_then(|range| range.until).map(|until| until.to_string()),
        }
    }

    /// One line.
    pub(crate) fn line(&self) -> String {
        let days = self.days.map(|days| format!(" for {days} days")).unwrap_or_default();
        let until = self.until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
        format!("{} ({}): {}{days}{until}", self.right, self.common_name, self.holders.join(", "))
    }
}

/// Who holds a right.
fn shown(holder: &RightHolder) -> String {
    match holder {
        RightHolder::Anyone => "ANYONE".to_owned(),
        RightHolder::Owner => "OWNER".to_owned(),
        RightHolder::Address(text) => text.clone(),
        RightHolder::Principal(id) => format!("principal {id}"),
        RightHolder::Object(object) => object.name.clone().unwrap_or_else(|| object.id.clone()),
    }
}

/// Reads `USER:RIGHT[,RIGHT]`. `takes` says which rights are possible, under the number of the rule that says so.
pub(crate) fn parse(text: &str, rule: u16, takes: fn(&UsageRight) -> bool) -> Result<(RightHolder, Vec<UsageRight>)> {
    let Some((user, rights)) = text.rsplit_once(':') else {
        return Err(Error::Usage { what: format!("'{text}' names no rights"), hint: Some("write ADDRESS:VIEW,PRINT".into()) });
    };
    Ok((holder(user)?, rights_of(rights, rule, takes)?))
}

/// Reads `USER[:RIGHT,…]`.
pub(crate) fn parse_revoked(text: &str) -> Result<(RightHolder, Vec<UsageRight>)> {
    match text.rsplit_once(':') {
        // What is to go may be any right that somebody wrote once.
        Some((user, rights)) => Ok((holder(user)?, rights.split(',').map(|name| UsageRight::from(name.trim())).collect())),
        None => Ok((holder(text)?, Vec::new())),
    }
}

fn rights_of(names: &str, rule: u16, takes: fn(&UsageRight) -> bool) -> Result<Vec<UsageRight>> {
    names
        .split(',')
        .map(|name| {
            let right = UsageRight::from(name.trim());
            if takes(&right) {
                return Ok(right);
            }
            let possible: Vec<String> = UsageRight::known().filter(takes).map(|right| right.to_string()).collect();
            Err(Error::refused(rule, format!("'{}' is no right that can be granted here", name.trim()), format!("use {}", possible.join(", "))))
        })
        .collect()
}

fn holder(user: &str) -> Result<RightHolder> {
    match user.trim() {
        name if name.eq_ignore_ascii_case("anyone") => Ok(RightHolder::Anyone),
        name if name.eq_ignore_ascii_case("owner") || name == "IPC_USER_ID_OWNER" => Ok(RightHolder::Owner),
        address if is_address(address) => Ok(RightHolder::Address(address.to_owned())),
        other => Err(Error::Usage {
            what: format!("'{}' is no address", other.escape_debug()),
            hint: Some("name a user or group by its address, or write ANYONE or OWNER".into()),
        }),
    }
}

/// Whether a text can be the address of a user or group.
pub(crate) fn is_address(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(user, domain)| !user.is_empty() && !domain.is_empty() && !domain.contains('@'))
        && !text.contains(|character: char| character.is_whitespace() || character.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_rights_in_any_case() {
        let takes = UsageRight::is_in_rights_definitions;
        assert_eq!(parse("a@x:view, Print", 138, takes).unwrap(), (RightHolder::Address("a@x".into()), vec![UsageRight::View, UsageRight::Print]));
        assert_eq!(parse("anyone:VIEW", 138, takes).unwrap().0, RightHolder::Anyone);
        assert_eq!(parse_revoked("OWNER").unwrap(), (RightHolder::Owner, Vec::new()));
        assert_eq!(parse("a@x:COMMENT", 138, takes).unwrap_err().code(), "refused");
        assert_eq!(parse("a@x:COMMENT", 139, |right| !matches!(right, UsageRight::Other(_))).unwrap().1, [UsageRight::Comment]);
        for text in ["a@x", "a@x:", ":VIEW", "nobody:VIEW", "a b@x:VIEW", "@x:VIEW", "a@x@y:VIEW"] {
            assert!(parse(text, 138, takes).is_err(), "{text}");
        }
    }
}
