//! Key encryption keys in JSON: JSON Web Keys (RFC 7517, RFC 7518 §6.3) and what the tools of the providers print.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{FORMAT, KeyForm, OfferedKey, other_kind, private_key};
use crate::error::{Error, Result};
use crate::key::{RsaPublicKey, exponent_from_be};

type Object = Map<String, Value>;

/// Reads the one key of a JSON text that `kid` names, or the only one.
pub(super) fn read(text: &str, kid: Option<&str>) -> Result<OfferedKey> {
    let object: Object = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    if let Some(keys) = object.get("keys").and_then(Value::as_array) {
        return of_set(keys, kid);
    }
    if let Some(key) = object.get("key").and_then(Value::as_object) {
        return of_bundle(key, object.get("attributes").and_then(Value::as_object));
    }
    if object.contains_key("kty") {
        return of_bundle(&object, None);
    }
    if let Some(key) = string(&object, &["PublicKey"]) {
        return of_aws(&object, key);
    }
    if let Some(pem) = object.get("publicKey").and_then(Value::as_object).and_then(|key| string(key, &["pem"])) {
        return of_google(&object, pem);
    }
    let inner = object.get("data").and_then(Value::as_object).unwrap_or(&object);
    if let Some(pem) = string(inner, &["public_key", "public-key", "publicKey"]) {
        return Ok(OfferedKey { form: KeyForm::WrappingKeyAnswer, ..OfferedKey::of_pem(pem)? });
    }
    Err(malformed("JSON without a key that keykit knows".into())
        .with_hint("a JSON Web Key has kty, n and e; `az keyvault key show` prints one under \"key\""))
}

fn of_set(keys: &[Value], kid: Option<&str>) -> Result<OfferedKey> {
    let mut all = keys.iter().filter_map(Value::as_object);
    if let Some(kid) = kid {
        let named = all.find(|key| string(key, &["kid"]) == Some(kid));
        return named.map_or_else(|| Err(Error::usage(format!("the set of keys holds none with the kid {kid}"))), |key| of_bundle(key, None));
    }
    match (all.next(), all.next()) {
        (Some(key), None) => of_bundle(key, None),
        (None, _) => Err(malformed("a set without keys".into())),
        (Some(_), Some(_)) => Err(Error::usage("the set holds several keys").with_hint("name one with --kid")),
    }
}

/// A JSON Web Key, and what Azure says beside it.
fn of_bundle(key: &Object, attributes: Option<&Object>) -> Result<OfferedKey> {
    let kind = string(key, &["kty"]).ok_or_else(|| malformed("a JSON Web Key without kty".into()))?;
    if !["RSA", "RSA-HSM"].contains(&kind) {
        return Err(other_kind(kind));
    }
    // Azure's tool prints the names of the private numbers, with null.
    if ["d", "p", "q", "dp", "dq", "qi"].iter().any(|name| key.get(*name).is_some_and(|value| !value.is_null())) {
        return Err(private_key());
    }
    let number = |name: &str| -> Result<Vec<u8>> {
        let text = string(key, &[name]).ok_or_else(|| malformed(format!("a JSON Web Key without {name}")))?;
        decode(text).ok_or_else(|| malformed(format!("{name} is not base64url")))
    };
    let public = RsaPublicKey::from_components(&number("n")?, exponent_from_be(&number("e")?)?)?;
    let operations = ["key_ops", "keyOps"].iter().find_map(|name| key.get(*name)).and_then(Value::as_array);
    let time = |names: &[&str]| -> Result<Option<Timestamp>> {
        let found = [Some(key), attributes].into_iter().flatten().find_map(|object| names.iter().find_map(|name| object.get(*name)));
        found.filter(|value| !value.is_null()).map(|value| timestamp(value, names)).transpose()
    };
    Ok(OfferedKey {
        kid: string(key, &["kid"]).map(str::to_owned),
        kind: Some(kind.to_owned()),
        operations: operations.map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        enabled: attributes.and_then(|attributes| attributes.get("enabled")).and_then(Value::as_bool),
        not_before: time(&["nbf", "notBefore"])?,
        expires: time(&["exp", "expires"])?,
        ..OfferedKey::new(public, KeyForm::JsonWebKey)
    })
}

fn of_aws(object: &Object, key: &str) -> Result<OfferedKey> {
    let der = decode(key).ok_or_else(|| malformed("PublicKey is not base64".into()))?;
    let mut offered = OfferedKey { form: KeyForm::AwsImportParameters, ..OfferedKey::of_der(&der)? };
    offered.expires = object.get("ParametersValidTo").map(|value| timestamp(value, &["ParametersValidTo"])).transpose()?;
    if let Some(arn) = string(object, &["KeyId"]) {
        offered.values.insert("key_arn".into(), arn.into());
    }
    Ok(offered)
}

fn of_google(object: &Object, pem: &str) -> Result<OfferedKey> {
    let mut offered = OfferedKey { form: KeyForm::GoogleImportJob, ..OfferedKey::of_pem(pem)? };
    offered.expires = object.get("expireTime").map(|value| timestamp(value, &["expireTime"])).transpose()?;
    offered.enabled = string(object, &["state"]).map(|state| state == "ACTIVE");
    offered.method = string(object, &["importMethod"]).map(str::to_owned);
    // projects/P/locations/L/keyRings/R/importJobs/J
    let mut parts = string(object, &["name"]).unwrap_or_default().split('/');
    while let (Some(kind), Some(name)) = (parts.next(), parts.next()) {
        let value = match kind {
            "projects" => "project",
            "locations" => "location",
            "keyRings" => "keyring",
            "importJobs" => "import_job",
            _ => continue,
        };
        offered.values.insert(value.into(), name.into());
    }
    Ok(offered)
}

fn string<'a>(object: &'a Object, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| object.get(*name)).and_then(Value::as_str)
}

/// Base64url, or base64 as Azure's tool prints numbers; padded or not.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    Base64UrlUnpadded::decode_vec(&text.trim_end_matches('=').replace('+', "-").replace('/', "_")).ok()
}

/// RFC 3339, or seconds since 1970.
fn timestamp(value: &Value, names: &[&str]) -> Result<Timestamp> {
    let read = match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.to_string().split('.').next().and_then(|seconds| seconds.parse().ok()))
            .and_then(|seconds| Timestamp::from_second(seconds).ok()),
        _ => None,
    };
    read.ok_or_else(|| malformed(format!("{} is neither a time nor a number of seconds", names.join(" or "))))
}

fn malformed(problem: String) -> Error {
    Error::malformed(FORMAT, problem)
}
