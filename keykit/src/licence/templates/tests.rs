use std::collections::BTreeMap;

use super::*;
use crate::licence::rekey::ActiveKey;
use crate::licence::testing::{WORLD, content_key, issue, key, points, rights};
use crate::store::KeyStore;
use crate::xml::{Encoding, encode};
use crate::xrml::testing::time;
use crate::xrml::writer::Template;
use crate::xrml::{AuthenticatedData, Document, Principal, TemplateName, TimeRange};

fn template(issuer: &Principal) -> String {
    let names = BTreeMap::from([(1033, TemplateName::new("Confidential", "b & c")), (1031, TemplateName::new("Vertraulich ☃", ""))]);
    let template = Template {
        id: Guid::from_u128(7),
        names: &names,
        issued: time("2013-04-04T00:53"),
        issuer,
        distribution_points: &points(),
        valid: Some(TimeRange::between(time("2013-04-04T00:53"), time("2033-04-04T00:53"))),
        rights: &rights(),
        authenticated_data: &[AuthenticatedData::application_specific("VIEWER", "1")],
    };
    template.to_unsigned().unwrap().sign_with(&WORLD.store).unwrap()
}

fn engine(mode: usize) -> Rekey<'static> {
    let archived = [0, 1].map(|old| (&WORLD.store as &dyn KeyStore, key(&WORLD.old[old]).id()));
    Rekey::new(&archived, ActiveKey { store: &WORLD.store, server: &WORLD.new[mode], chain: &[] }).unwrap()
}

fn resign(mode: usize, text: &[u8], time: IssueTime) -> Result<ResignedTemplate> {
    engine(mode).resign_templates(&[text], time).unwrap().remove(0)
}

#[test]
fn only_the_issuer_changes() {
    for (from, to) in [(0, 0), (0, 1), (1, 1)] {
        let text = template(&WORLD.old[from]);
        let new = resign(to, &encode(&text, Encoding::Utf16LeBom), IssueTime::Keep).unwrap();
        assert_eq!((new.id, new.from, new.key_id), (Guid::from_u128(7), key(&WORLD.old[from]).id(), key(&WORLD.new[to]).id()));
        assert!(new.text.starts_with(&[0xff, 0xfe]) && !new.already_active);
        let (old, new) = (Document::read(text.as_bytes()).unwrap(), Document::read(&new.text).unwrap());
        new.verify_with(key(&WORLD.new[to])).unwrap();
        assert_eq!(new.issuer(), Some(&WORLD.new[to]));
        assert_eq!(new.body_text().replace(new.issuer_text().unwrap(), ""), old.body_text().replace(old.issuer_text().unwrap(), ""));
        assert_eq!(RightsTemplate::of(&new).unwrap(), RightsTemplate::of(&old).unwrap());
    }
}

#[test]
fn the_time_of_issue_is_set_when_told() {
    let new = resign(1, template(&WORLD.old[1]).as_bytes(), IssueTime::Set(time("2024-01-01T00:00"))).unwrap();
    let (old, new) = (Document::read(template(&WORLD.old[1]).as_bytes()).unwrap(), Document::read(&new.text).unwrap());
    assert_eq!(new.issued(), Some(time("2024-01-01T00:00")));
    assert_eq!((new.descriptor(), new.rights(), new.validity()), (old.descriptor(), old.rights(), old.validity()));
}

#[test]
fn each_error_stands_in_its_place() {
    let (good, active, strange) = (template(&WORLD.old[0]), template(&WORLD.new[1]), template(&WORLD.users[1]));
    let damaged = good.replace("VIEWER", "viewer");
    let licence = issue(&WORLD.old[0], &content_key(128), "a", &rights());
    let items = [good.as_bytes(), damaged.as_bytes(), strange.as_bytes(), active.as_bytes(), licence.as_bytes(), b"", good.as_bytes()];
    let results = engine(1).resign_templates(&items, IssueTime::Keep).unwrap();
    let codes: Vec<_> = results.iter().map(|result| result.as_ref().map_or_else(Error::code, |_| "ok")).collect();
    assert_eq!(codes, ["ok", "negative", "not-found", "ok", "malformed", "malformed", "ok"]);
    let unchanged = results[3].as_ref().unwrap();
    assert!(unchanged.already_active && unchanged.text == active.as_bytes());
    let missing = results[2].as_ref().unwrap_err().to_string();
    assert!(missing.contains(&key(&WORLD.users[1]).id().short()), "{missing}");
}
