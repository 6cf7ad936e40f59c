//! Trusted publishing domains, as `inspect` reports them.

use std::collections::BTreeMap;
use std::path::Path;

use keykit::migration::SourceDomain;
use keykit::migration::inventory::documents_of;
use keykit::secret::Password;
use keykit::tpd::{self, TrustedPublishingDomain};
use keykit::xrml::{self, RightsTemplate};
use keykit::{Error, Result};
use serde_json::{Value, json};

use super::{FileReport, Problem};

/// Said of every domain until one export of a live server has been read.
const UNPROVEN: &str =
    "the layout of these files has been proven against an importer's behaviour and synthetic files, not yet against an export from a live server";

/// Reports on a domain: its outer layer, and with the password what is inside.
pub(super) fn report(path: &Path, bytes: &[u8], password: Option<&Password>) -> Result<FileReport> {
    let has_key = match tpd::holds_key(bytes) {
        Ok(has_key) => has_key,
        Err(error) => {
            let mut report = FileReport::new(path, "tpd");
            report.problem(Problem::of_error(&error));
            return Ok(report);
        }
    };
    let mut report = FileReport::new(path, if has_key { "tpd" } else { "tpd-keyless" });
    report.notes.push(UNPROVEN.to_owned());
    let Some(password) = password else {
        report.notes.push("give --password-source to look inside".to_owned());
        return Ok(report);
    };
    let domain = match TrustedPublishingDomain::open(bytes, password) {
        Ok(domain) => domain,
        Err(Error::WrongPassword { hint, .. }) => return Err(Error::WrongPassword { what: path.display().to_string(), hint }),
        Err(error) => {
            report.problem(Problem::of_error(&error));
            return Ok(report);
        }
    };
    report.detail("key_derivation", domain.derivation().name());
    report.detail("csp_type", domain.information.csp_type);
    report.detail("csp_name", domain.information.csp_name.clone());
    report.detail("key_container", domain.information.key_container.clone());
    report.detail(
        "key",
        domain.key().map_or(Value::Null, |key| {
            json!({ "key_id": key.id(), "words": key.id().words(), "modulus_bits": key.public().modulus_bits(), "mode": key.mode().map(keykit::key::CryptographicMode::number) })
        }),
    );
    report.detail("templates", Value::Array(domain.templates.iter().map(|text| template(text)).collect()));
    if let Ok(documents) = documents_of(&domain.chain) {
        let text: String = documents.iter().map(xrml::Document::text).collect();
        if let Ok(chain) = super::report_documents(text.as_bytes()) {
            chain.problems.into_iter().for_each(|problem| report.problem(problem));
            report.detail("documents", json!(chain.documents));
            report.detail("trust", chain.trust);
        }
    }
    match SourceDomain::examine(path, domain) {
        Ok(examined) => {
            report.detail("slc", json!({ "key_id": examined.key_id(), "id": examined.licensor_id(), "name": examined.licensor_name() }));
            report.notes.extend(examined.warnings().iter().map(|warning| warning.message.clone()));
        }
        Err(error) => {
            report.detail("slc", Value::Null);
            match error {
                // A signature that does not hold; that of a certificate is among the problems already.
                Error::Negative { .. } if report.problems.iter().any(|problem| problem.code == "signature") => {}
                Error::Negative { .. } => report.problem(Problem::new("signature", error.to_string())),
                _ => report.problem(Problem::of_error(&error)),
            }
        }
    }
    Ok(report)
}

fn template(text: &str) -> Value {
    let read = xrml::documents_in(text.as_bytes()).ok().and_then(|documents| RightsTemplate::of(documents.first()?).ok());
    read.map_or(Value::Null, |template| {
        let names: BTreeMap<String, &str> = template.names.iter().map(|(language, name)| (language.to_string(), name.name.as_str())).collect();
        json!({ "id": template.id.to_string(), "names": names, "grants_anyone": template.grants_anyone })
    })
}
