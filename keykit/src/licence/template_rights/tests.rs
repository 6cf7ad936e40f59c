use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::licence::rekey::ActiveKey;
use crate::licence::testing::{WORLD, key, points, rights};
use crate::store::KeyStore;
use crate::xrml::testing::time;
use crate::xrml::writer::Template;
use crate::xrml::{AuthenticatedData, Guid, TemplateName};

fn address(text: &str) -> RightHolder {
    RightHolder::Address(text.into())
}

fn template() -> String {
    let names = BTreeMap::from([(1033, TemplateName::new("Confidential", "b & c"))]);
    let template = Template {
        id: Guid::from_u128(7),
        names: &names,
        issued: time("2013-04-04T00:53"),
        issuer: &WORLD.old[1],
        distribution_points: &points(),
        valid: None,
        rights: &rights(),
        authenticated_data: &[AuthenticatedData::application_specific("VIEWER", "1")],
    };
    template.to_unsigned().unwrap().sign_with(&WORLD.store).unwrap()
}

fn edit(text: &str, changes: &[RightsChange]) -> Result<Document> {
    let archived = vec![key(&WORLD.old[1]).clone()];
    let rekey = Rekey::for_templates(archived, ActiveKey { store: &WORLD.store as &dyn KeyStore, server: &WORLD.new[1], chain: &[] })?;
    let edited = rekey.edit_template(text.as_bytes(), changes, time("2024-01-01T00:00"))?;
    Document::read(&edited.text)
}

#[test]
fn granted_rights_supplement_and_the_rest_keeps_its_bytes() {
    let text = template();
    let old = Document::read(text.as_bytes()).unwrap();
    let new = edit(&text, &[RightsChange::Grant(address("new@contoso.example"), vec![UsageRight::View, UsageRight::Print])]).unwrap();
    new.verify_with(key(&WORLD.new[1])).unwrap();
    assert_eq!(RightsTemplate::of(&new).unwrap().id, Guid::from_u128(7));
    // VIEW had a term of 30 days: the new one stands beside it.
    let added = [UsageRight::View, UsageRight::Print].map(|right| Right::new(right.name(), vec![address("new@contoso.example")]));
    assert_eq!(new.rights(), [old.rights(), &added].concat());
    for right in old.rights() {
        assert!(new.body_text().contains(&right_element(right).unwrap()));
    }
    assert_eq!(new.issued(), Some(time("2024-01-01T00:00")));
}

#[test]
fn revoking_takes_the_right_and_nothing_else() {
    let text = template();
    let new = edit(&text, &[RightsChange::Revoke(RightHolder::Anyone, Vec::new())]).unwrap();
    assert!(!RightsTemplate::of(&new).unwrap().grants_anyone);
    assert_eq!(new.rights().len(), rights().len());
    let error = edit(&text, &[RightsChange::Revoke(address("nobody@x"), vec![UsageRight::Print])]).unwrap_err();
    assert!(error.code() == "negative" && error.to_string().contains("PRINT"), "{error}");
    let everything =
        rights().iter().flat_map(|right| right.holders.clone()).map(|holder| RightsChange::Revoke(holder, Vec::new())).collect::<Vec<_>>();
    assert_eq!(edit(&text, &everything).unwrap_err().code(), "usage");
}

#[test]
fn a_condition_that_is_not_known_is_not_lost() {
    let unsigned = Document::read(template().as_bytes()).unwrap();
    let body = unsigned.body_text().replace("<INTERVALTIME days=\"30\" />", "<INTERVALTIME days=\"30\" /><METEREDTIME />");
    let text = UnsignedDocument::from_body(body, key(&WORLD.old[1])).unwrap().sign_with(&WORLD.store).unwrap();
    let change = [RightsChange::Revoke(RightHolder::Anyone, Vec::new())];
    assert_eq!(edit(&text, &change).unwrap_err().code(), "malformed");
    // A right beside it can change.
    edit(&text, &[RightsChange::Grant(address("a@b"), vec![UsageRight::Reply])]).unwrap();
}

proptest! {
    #[test]
    fn grants_and_revocations_do_what_a_set_does(steps in prop::collection::vec((any::<bool>(), 0_usize..3, 0_usize..3), 1..12)) {
        let people = ["a@x", "b@x", "c@x"];
        let names = [UsageRight::View, UsageRight::Edit, UsageRight::Print];
        let base = vec![Right::new("OWNER", vec![RightHolder::Owner])];
        let mut expected = std::collections::BTreeSet::new();
        let mut now = base;
        for (grant, person, right) in steps {
            let holder = address(&people[person].to_uppercase());
            let change = if grant { RightsChange::Grant(holder, vec![names[right].clone()]) } else { RightsChange::Revoke(holder, vec![names[right].clone()]) };
            match changed_rights(&now, &[change]) {
                Ok(rights) => {
                    now = rights;
                    prop_assert_eq!(if grant { expected.insert((person, right)); true } else { expected.remove(&(person, right)) }, true);
                }
                Err(_) => prop_assert!(!grant && !expected.contains(&(person, right))),
            }
        }
        let held: usize = now.iter().filter(|right| right.name != "OWNER").map(|right| right.holders.len()).sum();
        prop_assert_eq!(held, expected.len());
        prop_assert!(now.iter().all(|right| !right.holders.is_empty()));
    }
}
