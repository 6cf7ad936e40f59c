//! Single elements as text, for bodies that have no builder here. Every value is escaped.

use std::fmt::Write as _;

use crate::error::{Error, Result};
use crate::key::RsaPublicKey;
use crate::xml::escape;
use crate::xrml::parts::{Address, AuthenticatedData, DistributionPoint, EnablingBits, Object, Principal};
use crate::xrml::rights::{Right, RightHolder};
use crate::xrml::time::TimeRange;
use crate::xrml::value::encode_base64;

/// Text inside an element.
pub(super) fn text(value: &str) -> Result<String> {
    checked(value, |character| matches!(character, '\n' | '\t'))
}

/// Text inside a quoted attribute, where readers turn line ends and tabs into blanks.
pub(super) fn attribute(value: &str) -> Result<String> {
    checked(value, |_| false)
}

/// Escapes a text, and refuses characters that XML 1.0 (§2.2) does not allow or that readers change.
fn checked(value: &str, allowed: fn(char) -> bool) -> Result<String> {
    match value
        .chars()
        .find(|&character| (character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}' | '\u{2028}')) && !allowed(character))
    {
        Some(character) => Err(Error::usage(format!("the character U+{:04X} cannot stand in an XrML document", u32::from(character)))),
        None => Ok(escape(value)),
    }
}

/// `<OBJECT>`.
///
/// # Errors
/// [`Error::Usage`] for characters that cannot stand in XML; so for all functions here.
pub fn object_element(object: &Object) -> Result<String> {
    let mut out = match &object.object_type {
        Some(object_type) => format!("<OBJECT type=\"{}\">", attribute(object_type)?),
        None => "<OBJECT>".to_owned(),
    };
    let id_type = attribute(&object.id_type)?;
    match object.id.as_str() {
        "" => add(&mut out, format_args!("<ID type=\"{id_type}\" />")),
        id => add(&mut out, format_args!("<ID type=\"{id_type}\">{}</ID>", text(id)?)),
    }
    if let Some(name) = &object.name {
        add(&mut out, format_args!("<NAME>{}</NAME>", text(name)?));
    }
    for Address { address_type, value } in &object.addresses {
        add(&mut out, format_args!("<ADDRESS type=\"{}\">{}</ADDRESS>", attribute(address_type)?, text(value)?));
    }
    out.push_str("</OBJECT>");
    Ok(out)
}

/// `<PUBLICKEY>`, the modulus little-endian.
#[must_use]
pub fn public_key_element(key: &RsaPublicKey) -> String {
    let little_endian: Vec<u8> = key.modulus().iter().rev().copied().collect();
    format!(
        "<PUBLICKEY><ALGORITHM>RSA</ALGORITHM><PARAMETER name=\"public-exponent\"><VALUE encoding=\"integer32\">{}</VALUE></PARAMETER>\
         <PARAMETER name=\"modulus\"><VALUE encoding=\"base64\" size=\"{}\">{}</VALUE></PARAMETER></PUBLICKEY>",
        key.exponent(),
        little_endian.len() * 8,
        encode_base64(&little_endian)
    )
}

/// `<ENABLINGBITS>`.
///
/// # Errors
/// As [`object_element`].
pub fn enabling_bits_element(bits: &EnablingBits) -> Result<String> {
    let (algorithm, size, value) = (attribute(bits.algorithm.name())?, bits.bits(), encode_base64(&bits.bytes));
    Ok(format!("<ENABLINGBITS type=\"{algorithm}\"><VALUE encoding=\"base64\" size=\"{size}\">{value}</VALUE></ENABLINGBITS>"))
}

/// `<PRINCIPAL>`: its object, key, what is sealed to it, and its properties, in the order of servers.
///
/// # Errors
/// As [`object_element`].
pub fn principal_element(principal: &Principal) -> Result<String> {
    let start = match &principal.internal_id {
        Some(id) => format!("<PRINCIPAL internal-id=\"{}\">", attribute(id)?),
        None => "<PRINCIPAL>".to_owned(),
    };
    Ok(format!("{start}{}</PRINCIPAL>", inside(principal, true)?))
}

/// `<ISSUER>`: the same parts as a principal's, without what is sealed to it.
///
/// # Errors
/// As [`object_element`].
pub fn issuer_element(issuer: &Principal) -> Result<String> {
    Ok(format!("<ISSUER>{}</ISSUER>", inside(issuer, false)?))
}

fn inside(principal: &Principal, sealed: bool) -> Result<String> {
    let mut out = object_element(&principal.object)?;
    if let Some(key) = &principal.public_key {
        out.push_str(&public_key_element(key));
    }
    for bits in principal.enabling_bits.iter().filter(|_| sealed) {
        out.push_str(&enabling_bits_element(bits)?);
    }
    for level in &principal.security_levels {
        add(&mut out, format_args!("<SECURITYLEVEL name=\"{}\" value=\"{}\" />", attribute(&level.name)?, attribute(&level.value)?));
    }
    Ok(out)
}

/// `<DISTRIBUTIONPOINT>`.
///
/// # Errors
/// As [`object_element`].
pub fn distribution_point_element(point: &DistributionPoint) -> Result<String> {
    let key = point.public_key.as_ref().map(public_key_element).unwrap_or_default();
    Ok(format!("<DISTRIBUTIONPOINT>{}{key}</DISTRIBUTIONPOINT>", object_element(&point.object)?))
}

/// `<AUTHENTICATEDDATA>`.
///
/// # Errors
/// As [`object_element`].
pub fn authenticated_data_element(data: &AuthenticatedData) -> Result<String> {
    let mut out = "<AUTHENTICATEDDATA".to_owned();
    for (name, value) in [("name", &data.name), ("id", &data.id)] {
        if let Some(value) = value {
            add(&mut out, format_args!(" {name}=\"{}\"", attribute(value)?));
        }
    }
    add(&mut out, format_args!(">{}</AUTHENTICATEDDATA>", text(&data.value)?));
    Ok(out)
}

/// `<FROM>` and `<UNTIL>`, of the ends that there are.
#[must_use]
pub fn time_range_elements(range: &TimeRange) -> String {
    let end = |name, time: Option<_>| time.map(|time| format!("<{name}>{time}</{name}>")).unwrap_or_default();
    end("FROM", range.from) + &end("UNTIL", range.until)
}

/// `<RIGHT name="…">` with its conditions.
///
/// # Errors
/// As [`object_element`].
pub fn right_element(right: &Right) -> Result<String> {
    let mut out = format!("<RIGHT name=\"{}\"><CONDITIONLIST>", attribute(&right.name)?);
    if right.range.is_some() || right.days.is_some() {
        let range = right.range.as_ref().map(|range| format!("<RANGETIME>{}</RANGETIME>", time_range_elements(range))).unwrap_or_default();
        let days = right.days.map(|days| format!("<INTERVALTIME days=\"{days}\" />")).unwrap_or_default();
        add(&mut out, format_args!("<TIME>{range}{days}</TIME>"));
    }
    out.push_str("<ACCESS>");
    for holder in &right.holders {
        let internal = |id| Object { id_type: "Internal".into(), id: String::from(id), ..Object::default() };
        let object = match holder {
            RightHolder::Principal(id) => {
                add(&mut out, format_args!("<PRINCIPAL internal-id=\"{}\" />", attribute(id)?));
                continue;
            }
            RightHolder::Anyone => internal("Anyone"),
            RightHolder::Owner => internal("Owner"),
            RightHolder::Address(address) => Object { id_type: "Unspecified".into(), name: Some(address.clone()), ..Object::default() },
            RightHolder::Object(object) => object.clone(),
        };
        add(&mut out, format_args!("<PRINCIPAL>{}</PRINCIPAL>", object_element(&object)?));
    }
    out.push_str("</ACCESS></CONDITIONLIST></RIGHT>");
    Ok(out)
}

/// `<RIGHTSGROUP>` with rights in order.
pub(super) fn rights_group(rights: &[Right]) -> Result<String> {
    let rights = rights.iter().map(right_element).collect::<Result<String>>()?;
    Ok(format!("<RIGHTSGROUP name=\"Main-Rights\"><RIGHTSLIST>{rights}</RIGHTSLIST></RIGHTSGROUP>"))
}

/// Appends; writing to a string cannot fail.
pub(super) fn add(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).unwrap_or_default();
}
