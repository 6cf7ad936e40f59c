//! `keykit licence issue`: publishing licences, and use licences for one user.

use std::fs;
use std::path::Path;

use keykit::container;
use keykit::durable::{self, Access, Existing};
use keykit::key::{CryptographicMode, KeyId};
use keykit::licence::{
    ContentCipher, ContentKey, GrantedRight, NewPublishingLicence, NewUseLicence, UsageRight, addresses_of, open_publishing_licence,
};
use keykit::secret::SecretBytes;
use keykit::store::KeyStore;
use keykit::tenant::{Licensor, TemplateStatus, TenantKey, TenantKeyring};
use keykit::xrml::{
    self, AuthenticatedData, DistributionPoint, Document, DocumentKind, Guid, Object, Principal, Right, RightHolder, TemplateName, TimeRange,
    XrmlTime, write_names,
};
use keykit::{Error, Result};
use serde::Serialize;

use crate::arguments::{IssueArguments, PublishingArguments, UseArguments};
use crate::output::{Output, say, warn};
use crate::rights::{self, ShownRight};
use crate::{exit, stores};

/// Largest licence, protected file or certificate that is read, in bytes.
const LIMIT: u64 = 1 << 30;
/// Largest content key file that is read, in bytes.
const KEY_LIMIT: u64 = 64;
const INTRANET: &str = "License-Acquisition-URL";
const EXTRANET: &str = "Extranet-License-Acquisition-URL";

/// What is printed of an issued licence. The content key is not in it.
#[derive(Debug, Serialize)]
struct Issued {
    kind: &'static str,
    file: String,
    key_id: KeyId,
    mode: u8,
    content_id: String,
    content_key_bits: usize,
    cipher: String,
    issued: String,
    valid_until: Option<String>,
    owner: Option<String>,
    rights: Vec<ShownRight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_key_id: Option<KeyId>,
}

/// Runs `keykit licence issue`.
pub(super) fn run(arguments: &IssueArguments, output: Output) -> Result<u8> {
    for file in [Some(&arguments.output), arguments.publishing.content_key_out.as_ref()].into_iter().flatten() {
        if file.exists() {
            return Err(Error::Conflict {
                what: format!("{} exists already", file.display()),
                hint: Some("choose another name; keykit does not overwrite".into()),
            });
        }
    }
    if arguments.publishing.content_key_out.as_ref() == Some(&arguments.output) {
        return Err(Error::refused(75, "the licence and the content key would go into one file", "give each a name of its own"));
    }
    let tenant = super::tenant::open(&arguments.tenant)?;
    let active = tenant.active().ok_or_else(|| Error::NotFound {
        what: "the tenant has no active key".into(),
        hint: Some("make one active with `keykit tenant activate KEY --tenant DIR`".into()),
    })?;
    check_mode(active, arguments.publishing.mode)?;
    let issued = match (&arguments.using.use_licence, &arguments.using.to) {
        (Some(licence), Some(certificate)) => use_licence(arguments, &tenant, active, licence, certificate)?,
        _ => publishing_licence(arguments, &tenant, active)?,
    };
    output.result("licence-issue", &issued, || {
        let rights = issued.rights.iter().map(|right| format!("\n  {}", right.line())).collect::<String>();
        format!("{}: {} licence of the key {}, mode {}{rights}", issued.file, issued.kind, issued.key_id.short(), issued.mode)
    })?;
    Ok(exit::DONE)
}

/// The mode is that of the key: a licence of the other one cannot be made with it.
fn check_mode(active: &TenantKey, wanted: Option<u8>) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != active.mode => Err(Error::refused(
            23,
            format!("the active key has {} bits, which is mode {}, not mode {wanted}", active.modulus_bits, active.mode),
            "make a key of that mode the active one, or leave --mode out",
        )),
        _ => Ok(()),
    }
}

fn store_of(arguments: &IssueArguments, tenant: &TenantKeyring, key: &TenantKey) -> Result<Box<dyn KeyStore>> {
    stores::of_tenant_key(tenant, key, &arguments.secrets.keyring, arguments.secrets.pin_source.as_deref())
}

/// What a template or the options say of a new licence.
struct Terms {
    descriptor: Option<Object>,
    rights: Vec<Right>,
    valid: Option<TimeRange>,
    settings: Vec<AuthenticatedData>,
    template: Option<String>,
}

fn publishing_licence(arguments: &IssueArguments, tenant: &TenantKeyring, active: &TenantKey) -> Result<Issued> {
    let wanted = &arguments.publishing;
    let now = XrmlTime::now();
    let mut terms = match &wanted.template {
        Some(guid) => of_template(tenant, guid)?,
        None => of_options(wanted)?,
    };
    if let Some(text) = &wanted.valid_until {
        let until = TimeRange { from: None, until: Some(valid_until(text, now)?) };
        terms.valid = Some(terms.valid.unwrap_or_default().intersect(until));
    }
    if let Some(owner) = wanted.owner.as_deref().filter(|owner| !rights::is_address(owner)) {
        return Err(Error::usage(format!("'{}' is no address of an owner", owner.escape_debug())));
    }
    let content_id = match &wanted.content_id {
        Some(text) => text.parse().map_err(|_| Error::usage("--content-id is no GUID"))?,
        None => Guid::random()?,
    };
    let licensor = tenant.licensor(&active.key_id)?;
    let points = distribution_points(wanted, &licensor)?;
    let content_key = content_key(wanted)?;
    let store = store_of(arguments, tenant, active)?;
    let licence = NewPublishingLicence {
        issued: now,
        valid: terms.valid.map(|valid| TimeRange { from: valid.from.or(Some(now)), ..valid }),
        descriptor: terms.descriptor.as_ref(),
        server: &licensor.server,
        distribution_points: &points,
        content_id,
        owner: wanted.owner.as_deref(),
        rights: &terms.rights,
        application_data: &terms.settings,
    };
    let text = licence.issue(store.as_ref(), &content_key)?;
    // It must open before anything is encrypted under it.
    let opened = open_publishing_licence(store.as_ref(), &Document::read(text.as_bytes())?)?;
    if opened.content_key != content_key || opened.rights != terms.rights {
        return Err(Error::negative("the new licence does not open as it was issued"));
    }
    write_both(arguments, &content_key, &format!("{text}{}", licensor.chain.concat()))?;
    Ok(Issued {
        kind: "publishing",
        file: arguments.output.display().to_string(),
        key_id: active.key_id,
        mode: active.mode,
        content_id: content_id.to_string(),
        content_key_bits: content_key.bits(),
        cipher: content_key.cipher().to_string(),
        issued: now.to_string(),
        valid_until: opened.validity.and_then(|valid| valid.until).map(|until| until.to_string()),
        owner: opened.owner,
        rights: opened.rights.iter().map(ShownRight::of).collect(),
        template: terms.template,
        user_key_id: None,
    })
}

/// The key first: a licence whose key is nowhere would protect content from everybody.
fn write_both(arguments: &IssueArguments, content_key: &ContentKey, text: &str) -> Result<()> {
    let key_file = arguments.publishing.content_key_out.as_deref();
    if let Some(path) = key_file {
        durable::write(path, content_key.key().expose(), Access::OwnerOnly, Existing::Keep)?;
    }
    let written = durable::write(&arguments.output, text.as_bytes(), Access::Shared, Existing::Keep);
    match (&written, key_file) {
        (Ok(()), Some(path)) => say(format!("{} holds the content key: erase it when the content is encrypted", path.display())),
        (Err(_), Some(path)) if fs::remove_file(path).is_err() => {
            warn(format!("{} holds a content key that is of no use: erase it", path.display()));
        }
        _ => {}
    }
    written
}

fn content_key(wanted: &PublishingArguments) -> Result<ContentKey> {
    use crate::arguments::CipherArgument as Argument;
    let cipher = match wanted.cipher {
        Argument::Ecb => ContentCipher::Ecb,
        Argument::Cbc4k => ContentCipher::Cbc4k,
        Argument::Cbc4kNoPadding => ContentCipher::Cbc4kNoPadding,
        Argument::Cbc512 => ContentCipher::Cbc512,
    };
    match &wanted.content_key_in {
        Some(file) => ContentKey::new(cipher, SecretBytes::take(durable::read(file, KEY_LIMIT, "content key")?)).map_err(|error| error.in_file(file)),
        None => ContentKey::generate(cipher, if wanted.content_key_bits == "256" { 256 } else { 128 }),
    }
}

fn of_template(tenant: &TenantKeyring, guid: &str) -> Result<Terms> {
    let template = tenant.template(guid)?;
    if template.status != TemplateStatus::Published {
        return Err(Error::refused(
            131,
            format!("the template '{}' is archived: it protects no new content", template.name),
            "publish it first with `keykit tenant template publish GUID --tenant DIR`",
        ));
    }
    let document = tenant.template_document(template)?;
    if template.grants_anyone {
        warn("this template grants rights to ANYONE: whoever has an account can open the content (rule 134)");
    }
    Ok(Terms {
        descriptor: document.descriptor().cloned(),
        rights: document.rights().to_vec(),
        valid: document.validity(),
        settings: document.authenticated_data().to_vec(),
        template: Some(template.id.clone()),
    })
}

fn of_options(wanted: &PublishingArguments) -> Result<Terms> {
    let mut rights: Vec<Right> = Vec::new();
    if wanted.owner.is_some() {
        rights.push(Right::new(UsageRight::Owner.name(), vec![RightHolder::Owner]));
    }
    for text in &wanted.right {
        let (holder, names) = rights::parse(text, 139, |right| !matches!(right, UsageRight::Other(_)))?;
        if holder == RightHolder::Anyone {
            warn("this licence grants rights to ANYONE: whoever has an account can open the content (rule 134)");
        }
        for name in names {
            match rights.iter_mut().find(|right| right.name == name.name() && !right.holders.contains(&RightHolder::Owner)) {
                Some(right) if right.holders.contains(&holder) => {}
                Some(right) => right.holders.push(holder.clone()),
                None => rights.push(Right { days: wanted.licence_days, ..Right::new(name.name(), vec![holder.clone()]) }),
            }
        }
    }
    if rights.is_empty() {
        return Err(Error::Usage {
            what: "the licence would grant nobody anything".into(),
            hint: Some("give --template GUID, --owner ADDRESS or --right ADDRESS:VIEW".into()),
        });
    }
    let descriptor = wanted.name.as_deref().map(policy_name).transpose()?;
    Ok(Terms { descriptor, rights, valid: None, settings: Vec::new(), template: None })
}

/// A name of a policy, in the form that templates have.
fn policy_name(name: &str) -> Result<Object> {
    let names = std::collections::BTreeMap::from([(1033, TemplateName::new(name, ""))]);
    Ok(Object { id_type: "MS-GUID".into(), id: Guid::random()?.braced(), name: Some(write_names(&names)?), ..Object::default() })
}

/// `2030-12-31` (its last minute) or `2030-12-31T18:00`.
fn valid_until(text: &str, now: XrmlTime) -> Result<XrmlTime> {
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T23:59") };
    let until: XrmlTime = whole.parse().map_err(|_| Error::Usage {
        what: format!("'{}' is no time", text.escape_debug()),
        hint: Some("write 2030-12-31 or 2030-12-31T18:00 (UTC)".into()),
    })?;
    if until <= now {
        return Err(Error::usage(format!("the licence would have ended already: --valid-until {until}")));
    }
    Ok(until)
}

/// Where readers get their use licences.
fn distribution_points(wanted: &PublishingArguments, licensor: &Licensor) -> Result<Vec<DistributionPoint>> {
    let own = licensor.server.object.url().map(|url| format!("{}/licensing", url.trim_end_matches('/')));
    let intranet = wanted.url.clone().or(own);
    let mut points = Vec::new();
    for (kind, url) in [(INTRANET, &intranet), (EXTRANET, &wanted.extranet_url)] {
        let Some(url) = url else { continue };
        if !(url.starts_with("https://") || url.starts_with("http://")) || url.contains(char::is_whitespace) {
            return Err(Error::usage(format!("'{}' is no http or https address", url.escape_debug())));
        }
        points.push(DistributionPoint::new(Object::new(kind, "MS-GUID", &Guid::random()?.braced()).at_url(url)));
    }
    if points.is_empty() {
        warn("no address of licensing: readers must be told where to get use licences (give --url)");
    }
    Ok(points)
}

fn use_licence(arguments: &IssueArguments, tenant: &TenantKeyring, active: &TenantKey, licence: &Path, certificate: &Path) -> Result<Issued> {
    let document = publishing_licence_in(licence)?;
    let sealed_to = document.issued_principals().iter().find_map(|server| server.public_key.as_ref().and_then(|key| tenant.key(&key.id())));
    let sealed_to = sealed_to.ok_or_else(|| {
        Error::negative(format!("{} is sealed to a key that the tenant does not have", licence.display()))
            .with_hint("migrate the domain with that key too: all domains of all clusters are needed, archived ones as well (rules 43 and 44)")
    })?;
    let opening = store_of(arguments, tenant, sealed_to)?;
    let opened = open_publishing_licence(opening.as_ref(), &document)?;
    let now = XrmlTime::now();
    if !opened.is_valid_at(now) {
        return Err(Error::refused_by_policy("the licence is not valid now: its content may not be used", "ask the author to protect it again"));
    }
    let user = user_of(certificate, tenant)?;
    let rights = rights_of_user(&opened.grants_to(&addresses(&user, &arguments.using)), &user)?;
    let licensor = tenant.licensor(&active.key_id)?;
    let signing = if active.store == sealed_to.store { opening } else { store_of(arguments, tenant, active)? };
    let content = document.work().map(|work| work.object.clone()).unwrap_or_default();
    let new = NewUseLicence {
        id: Guid::random()?,
        issued: now,
        issuer: &licensor.server,
        user: &user,
        content: &content,
        owner: opened.owner.as_deref(),
        rights: &rights,
    };
    let text = new.issue(signing.as_ref(), &opened.content_key)?;
    durable::write(&arguments.output, format!("{text}{}", licensor.chain.concat()).as_bytes(), Access::Shared, Existing::Keep)?;
    Ok(Issued {
        kind: "use",
        file: arguments.output.display().to_string(),
        key_id: active.key_id,
        mode: active.mode,
        content_id: content.id.trim_matches(['{', '}']).to_ascii_lowercase(),
        content_key_bits: opened.content_key.bits(),
        cipher: opened.content_key.cipher().to_string(),
        issued: now.to_string(),
        valid_until: opened.validity.and_then(|valid| valid.until).map(|until| until.to_string()),
        owner: opened.owner.clone(),
        rights: rights.iter().map(|granted| shown(granted, &user)).collect(),
        template: None,
        user_key_id: user.public_key.as_ref().map(keykit::key::RsaPublicKey::id),
    })
}

/// The publishing licence of a file, which may be a container.
fn publishing_licence_in(file: &Path) -> Result<Document> {
    let bytes = durable::read(file, LIMIT, "licence")?;
    let found = container::find_licences(&bytes).map_err(|error| error.in_file(file))?;
    let documents = xrml::documents_in(&found.licences).map_err(|error| error.in_file(file))?;
    documents
        .into_iter()
        .find(|document| *document.kind() == DocumentKind::PublishingLicence)
        .ok_or_else(|| Error::malformed("publishing licence", "there is none in it").in_file(file))
}

/// The user that a certificate is for.
fn user_of(file: &Path, tenant: &TenantKeyring) -> Result<Principal> {
    let bytes = durable::read(file, LIMIT, "rights account certificate")?;
    let documents = xrml::documents_in(&bytes).map_err(|error| error.in_file(file))?;
    let malformed = |problem: String| Error::malformed("rights account certificate", problem).in_file(file);
    let certificate = documents.first().ok_or_else(|| malformed("there is no document in it".into()))?;
    let [user] = certificate.issued_principals() else { return Err(malformed("it is not for one user".into())) };
    let key = user.public_key.as_ref().ok_or_else(|| malformed("it certifies no key".into()))?;
    if let Some(problem) = certificate.check_signature().problem() {
        return Err(Error::negative(format!("{} is not sound: {problem}", file.display())).with_hint("have the user get a new certificate"));
    }
    if CryptographicMode::of_modulus_bits(key.modulus_bits()).is_none() {
        return Err(malformed(format!("its key has {} bits; users have keys of 1024 or 2048", key.modulus_bits())));
    }
    if *certificate.kind() != DocumentKind::RightsAccountCertificate {
        warn(format!("{} is a {}, not a rights account certificate", file.display(), certificate.kind()));
    }
    if certificate.issuer_key().is_none_or(|issuer| tenant.key(&issuer.id()).is_none()) {
        warn("no key of this tenant issued the certificate: make sure by other means that it is the user's");
    }
    Ok(user.clone())
}

fn addresses(user: &Principal, using: &UseArguments) -> Vec<String> {
    let mut addresses = addresses_of(user);
    addresses.extend(using.member_of.iter().cloned());
    addresses
}

fn rights_of_user(granted: &[GrantedRight], user: &Principal) -> Result<Vec<GrantedRight>> {
    if granted.is_empty() {
        let name = user.object.name.as_deref().unwrap_or("the user of this certificate");
        return Err(Error::refused_by_policy(
            format!("the licence grants no right to {name}"),
            "name the groups that the user belongs to with --member-of, or ask the owner of the content",
        ));
    }
    Ok(granted.to_vec())
}

fn shown(granted: &GrantedRight, user: &Principal) -> ShownRight {
    let holder = user.object.name.clone().unwrap_or_else(|| user.object.id.clone());
    let right = Right { range: granted.range, days: granted.days, ..Right::new(granted.right.name(), vec![RightHolder::Address(holder)]) };
    ShownRight::of(&right)
}
