//! What the tests of licences share: servers, users, and licences to work on.

use std::sync::LazyLock;

use super::{ContentCipher, ContentKey, NewPublishingLicence, UsageRight};
use crate::key::{CryptographicMode, RsaPublicKey};
use crate::xrml::testing::{TestStore, secret_key, time};
use crate::xrml::{DistributionPoint, Document, Guid, Object, Principal, Right, RightHolder, SecurityLevel, TimeRange};

pub(super) const MODES: [CryptographicMode; 2] = [CryptographicMode::Mode1, CryptographicMode::Mode2];
pub(super) const CONTENT: Guid = Guid::from_u128(0x586b_5746_aa26_4310_81b1_ea20_d40c_fc89);

/// Two servers and two users, by the mode of their keys.
pub(super) struct World {
    pub(super) store: TestStore,
    pub(super) old: [Principal; 2],
    pub(super) new: [Principal; 2],
    pub(super) users: [Principal; 2],
}

pub(super) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let files = [
        ["keys/xrml-1024.pem", "keys/xrml-2048-server.pem"],
        ["keys/licence-1024.pem", "keys/xrml-2048.pem"],
        ["keys/rsa-1024-e65537.pem", "tpd/key.pem"],
    ];
    let keys: Vec<_> = files.iter().flatten().map(|file| secret_key(file)).collect();
    let [old, new, users] = [0, 1, 2].map(|row| [0, 1].map(|mode: usize| keys[row * 2 + mode].public().clone()));
    let server = |name: &str, key: RsaPublicKey| {
        let id = Guid::from_u128(u128::from(key.id().as_bytes()[0])).braced();
        let object = Object::new("MS-DRM-Server", "MS-GUID", &id).named(name).at_url("https://rights.example/_wmcs");
        Principal { security_levels: vec![SecurityLevel::new("Server-SKU", "RMS 2.0")], ..Principal::new(object, key) }
    };
    World {
        old: old.map(|key| server("Contoso <\"old\" & 'more'> ☃", key)),
        new: new.map(|key| server("Contoso", key)),
        users: users.map(|key| Principal::new(Object::new("Group-Identity", "Windows", "S-1-5-21-1").named("reader@contoso.example"), key)),
        store: TestStore::new(keys),
    }
});

/// A key of a principal of these tests.
pub(super) fn key(principal: &Principal) -> &RsaPublicKey {
    principal.public_key.as_ref().unwrap()
}

pub(super) fn content_key(bits: usize) -> ContentKey {
    ContentKey::generate(ContentCipher::Cbc4k, bits).unwrap()
}

/// Rights of several people.
pub(super) fn rights() -> Vec<Right> {
    let readers = vec![RightHolder::Address("all & everybody@contoso.example".into()), RightHolder::Anyone];
    vec![
        Right::new(UsageRight::Owner.name(), vec![RightHolder::Owner]),
        Right { days: Some(30), ..Right::new(UsageRight::View.name(), readers) },
        Right::new("FLY <high>", vec![RightHolder::Object(Object::new("x", "Windows", "S-1-5-21-2"))]),
    ]
}

pub(super) fn points() -> Vec<DistributionPoint> {
    ["License-Acquisition-URL", "Extranet-License-Acquisition-URL", "Referral-Info"]
        .map(|name| DistributionPoint::new(Object::new(name, "MS-GUID", &CONTENT.braced()).at_url("https://rights.example/_wmcs/licensing?a=1&b=2")))
        .to_vec()
}

/// A licence with every part, of a server.
pub(super) fn issue(server: &Principal, content_key: &ContentKey, owner: &str, rights: &[Right]) -> String {
    let template =
        Object { id_type: "MS-GUID".into(), id: CONTENT.braced(), name: Some("LCID 1033:NAME a:DESCRIPTION b;\n".into()), ..Object::default() };
    NewPublishingLicence {
        issued: time("2013-01-29T22:12"),
        valid: Some(TimeRange::between(time("2013-01-29T22:12"), time("2033-01-29T22:12"))),
        descriptor: Some(&template),
        server,
        distribution_points: &points(),
        content_id: CONTENT,
        owner: Some(owner),
        rights,
        application_data: &[],
    }
    .issue(&WORLD.store, content_key)
    .unwrap()
}

pub(super) fn read(text: &str) -> Document {
    Document::read(text.as_bytes()).unwrap()
}
