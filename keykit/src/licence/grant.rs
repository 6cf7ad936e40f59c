//! What a publishing licence grants to one user: the step between opening it and issuing a use licence.

use super::{GrantedRight, OpenedPublishingLicence, UsageRight};
use crate::xrml::{Principal, Right, RightHolder, XrmlTime};

impl OpenedPublishingLicence {
    /// The rights of a user with these addresses: their own and those of groups that they belong to. The owner has `OWNER`, and
    /// who has `OWNER` needs nothing else. Empty if there is none.
    #[must_use]
    pub fn grants_to(&self, addresses: &[String]) -> Vec<GrantedRight> {
        granted(&self.rights, self.owner.as_deref(), addresses)
    }

    /// Whether the content may be used at a time, as far as the licence itself says.
    #[must_use]
    pub fn is_valid_at(&self, time: XrmlTime) -> bool {
        self.validity.is_none_or(|validity| validity.contains(time))
    }
}

/// The addresses by which a certificate names its user.
#[must_use]
pub fn addresses_of(user: &Principal) -> Vec<String> {
    let names = user.object.name.iter().cloned();
    let aliases = user.object.addresses.iter().map(|address| address.value.clone());
    names.chain(aliases).map(|address| address.trim().to_owned()).filter(|address| address.contains('@')).collect()
}

fn granted(rights: &[Right], owner: Option<&str>, addresses: &[String]) -> Vec<GrantedRight> {
    let is_user = |address: &str| addresses.iter().any(|known| known.trim().eq_ignore_ascii_case(address.trim()));
    if owner.is_some_and(is_user) {
        return vec![GrantedRight::new(UsageRight::Owner)];
    }
    let mut granted: Vec<GrantedRight> = Vec::new();
    for right in rights {
        let holds = right.holders.iter().any(|holder| match holder {
            RightHolder::Anyone => true,
            RightHolder::Address(address) => is_user(address),
            RightHolder::Owner | RightHolder::Principal(_) | RightHolder::Object(_) => false,
        });
        if !holds {
            continue;
        }
        let new = GrantedRight { right: right.name.as_str().into(), range: right.range, days: right.days };
        let is_free = new.range.is_none() && new.days.is_none();
        match granted.iter_mut().find(|known| known.right == new.right) {
            // Of two terms of one right the free one counts, else the first.
            Some(known) if is_free => *known = new,
            Some(_) => {}
            None => granted.push(new),
        }
    }
    match granted.iter().position(|right| right.right == UsageRight::Owner) {
        Some(position) => vec![granted.swap_remove(position)],
        None => granted,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::xrml::Object;

    fn address(text: &str) -> RightHolder {
        RightHolder::Address(text.into())
    }

    fn names(rights: &[Right], owner: Option<&str>, user: &[&str]) -> Vec<String> {
        let user: Vec<String> = user.iter().map(|address| (*address).to_owned()).collect();
        granted(rights, owner, &user).iter().map(|right| right.right.to_string()).collect()
    }

    #[test]
    fn users_groups_anyone_and_the_owner() {
        let rights = [
            Right::new("OWNER", vec![RightHolder::Owner]),
            Right { days: Some(3), ..Right::new("VIEW", vec![address("Staff@x")]) },
            Right::new("PRINT", vec![address("a@x")]),
            Right::new("VIEW", vec![RightHolder::Anyone]),
        ];
        assert_eq!(names(&rights, Some("a@x"), &["A@X"]), ["OWNER"]);
        assert_eq!(names(&rights, Some("b@x"), &["a@x", "staff@x"]), ["VIEW", "PRINT"]);
        assert_eq!(granted(&rights, None, &["staff@x".into()])[0].days, None, "the free term counts");
        assert_eq!(names(&rights[..3], None, &["nobody@x"]), [""; 0]);
        assert_eq!(names(&[Right::new("Owner", vec![address("c@x")]), Right::new("VIEW", vec![address("c@x")])], None, &["c@x"]), ["OWNER"]);
    }

    #[test]
    fn a_certificate_names_its_user_by_addresses_only() {
        let object = Object::new("Group-Identity", "Windows", "S-1-5-21-1").named(" reader@contoso.example ");
        let user = Principal { object, ..Principal::default() };
        assert_eq!(addresses_of(&user), ["reader@contoso.example"]);
        assert!(addresses_of(&Principal::default()).is_empty());
    }

    proptest! {
        /// Nobody gets a right that no holder of the licence stands for.
        #[test]
        fn nothing_is_invented(holders in prop::collection::vec((0_usize..4, 0_usize..3), 0..8), user in 0_usize..4) {
            let people = ["a@x", "b@x", "c@x", "d@x"];
            let kinds = ["VIEW", "EDIT", "PRINT"];
            let rights: Vec<Right> = holders.iter().map(|(person, kind)| Right::new(kinds[*kind], vec![address(people[*person])])).collect();
            let mut expected: Vec<&str> = holders.iter().filter(|(person, _)| *person == user).map(|(_, kind)| kinds[*kind]).collect();
            expected.sort_unstable();
            expected.dedup();
            let mut got = names(&rights, Some("owner@x"), &[people[user]]);
            got.sort();
            prop_assert_eq!(got, expected);
        }
    }
}
