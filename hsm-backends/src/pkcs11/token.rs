//! Tokens of a module, and the choice of one by URI.

use std::path::Path;
use std::sync::Arc;

use cryptoki::slot::Slot;
use keykit::store::StoreIdentity;
use keykit::{Error, Result};
use serde::Serialize;

use super::error::CallError;
use super::module::Module;
use super::protection::{TokenFacts, is_nshield};
use super::uri::Pkcs11Uri;

/// A token as it describes itself (C_GetTokenInfo, C_GetSlotInfo; PKCS#11 3.1 §3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenDescription {
    /// The URI that names it, without secrets.
    pub uri: String,
    /// The slot's number.
    pub slot_id: u64,
    /// The slot's description.
    pub slot_description: String,
    /// The slot's manufacturer.
    pub slot_manufacturer: String,
    /// The token's label.
    pub label: String,
    /// The token's manufacturer.
    pub manufacturer: String,
    /// The token's model.
    pub model: String,
    /// The token's serial number.
    pub serial: String,
    /// The token's firmware version, `major.minor`.
    pub firmware: String,
    /// CKF_HW_SLOT.
    pub hardware_slot: bool,
    /// CKF_REMOVABLE_DEVICE.
    pub removable: bool,
    /// CKF_LOGIN_REQUIRED.
    pub login_required: bool,
    /// CKF_USER_PIN_LOCKED.
    pub pin_locked: bool,
}

impl TokenDescription {
    pub(super) fn identity(&self) -> StoreIdentity {
        StoreIdentity {
            uri: self.uri.clone(),
            manufacturer: self.manufacturer.clone(),
            model: self.model.clone(),
            serial: self.serial.clone(),
            firmware: self.firmware.clone(),
            label: self.label.clone(),
        }
    }

    pub(super) fn facts(&self) -> TokenFacts {
        TokenFacts {
            manufacturer: self.manufacturer.clone(),
            label: self.label.clone(),
            hardware_slot: self.hardware_slot,
            removable: self.removable,
            login_required: self.login_required,
        }
    }

    /// Whether the URI means this token.
    fn matches(&self, uri: &Pkcs11Uri) -> bool {
        let pairs = [
            (&uri.token, &self.label),
            (&uri.manufacturer, &self.manufacturer),
            (&uri.model, &self.model),
            (&uri.serial, &self.serial),
            (&uri.slot_description, &self.slot_description),
            (&uri.slot_manufacturer, &self.slot_manufacturer),
        ];
        pairs.iter().all(|(wanted, found)| wanted.as_ref().is_none_or(|wanted| wanted == *found)) && uri.slot_id.is_none_or(|id| id == self.slot_id)
    }
}

/// The tokens of the module at this path that can hold keys, in slot order. No login is needed.
///
/// # Errors
/// [`Error::NotFound`] if there is no such module; [`Error::Token`] if it cannot be loaded or fails.
pub fn tokens(module_path: &Path) -> Result<Vec<TokenDescription>> {
    let module = Module::load(module_path)?;
    Ok(describe_all(&module, module_path)?.into_iter().map(|(_, token)| token).collect())
}

fn describe_all(module: &Module, path: &Path) -> Result<Vec<(Slot, TokenDescription)>> {
    let describe = |slot: Slot| -> Result<TokenDescription, CallError> {
        let (slot_info, token) = (module.context.get_slot_info(slot)?, module.context.get_token_info(slot)?);
        let uri = Pkcs11Uri {
            token: Some(token.label().to_owned()),
            serial: Some(token.serial_number().to_owned()),
            module_path: Some(path.to_owned()),
            ..Pkcs11Uri::default()
        };
        Ok(TokenDescription {
            uri: uri.to_string(),
            slot_id: slot.id(),
            slot_description: slot_info.slot_description().to_owned(),
            slot_manufacturer: slot_info.manufacturer_id().to_owned(),
            label: token.label().to_owned(),
            manufacturer: token.manufacturer_id().to_owned(),
            model: token.model().to_owned(),
            serial: token.serial_number().to_owned(),
            firmware: token.firmware_version().to_string(),
            hardware_slot: slot_info.hardware_slot(),
            removable: slot_info.removable_device(),
            login_required: token.login_required(),
            pin_locked: token.user_pin_locked(),
        })
    };
    let all = || -> Result<Vec<_>, CallError> {
        let mut found = Vec::new();
        for slot in module.context.get_slots_with_token()? {
            let token = module.context.get_token_info(slot)?;
            // nShield modules leave CKF_TOKEN_INITIALIZED away, on tokens that hold keys too.
            if token.token_initialized() || is_nshield(token.manufacturer_id()) {
                found.push((slot, describe(slot)?));
            }
        }
        Ok(found)
    };
    all().map_err(|error| error.into_error(&path.display().to_string(), "list the tokens"))
}

/// The one token that the URI means.
///
/// # Errors
/// [`Error::NotFound`] if there is none, [`Error::Usage`] if there are several; both list the candidates.
pub(super) fn choose(module: &Arc<Module>, uri: &Pkcs11Uri, path: &Path) -> Result<(Slot, TokenDescription)> {
    let list = |tokens: &[(Slot, TokenDescription)]| match tokens {
        [] => "the module has no initialised token".to_owned(),
        some => format!(
            "the module has: {}",
            some.iter()
                .map(|(_, token)| format!("'{}' (serial {}, slot {})", token.label, token.serial, token.slot_id))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let library = &module.information;
    let library_matches =
        [(&uri.library_manufacturer, library.manufacturer_id().to_owned()), (&uri.library_description, library.library_description().to_owned())]
            .iter()
            .all(|(wanted, found)| wanted.as_ref().is_none_or(|wanted| wanted == found))
            && uri.library_version.as_ref().is_none_or(|wanted| {
                let found = library.library_version();
                *wanted == found.to_string() || (found.minor() == 0 && *wanted == found.major().to_string())
            });
    let mut all = describe_all(module, path)?;
    let found = all.iter().filter(|(_, token)| library_matches && token.matches(uri)).count();
    match found {
        0 => Err(Error::NotFound { what: format!("no token matches {uri}"), hint: Some(list(&all)) }),
        1 => {
            let position = all.iter().position(|(_, token)| token.matches(uri));
            position.map(|position| all.swap_remove(position)).ok_or_else(|| Error::Internal("a token that matched does not".into()))
        }
        several => {
            let matching: Vec<_> = all.into_iter().filter(|(_, token)| token.matches(uri)).collect();
            Err(Error::usage(format!("{several} tokens match {uri}")).with_hint(format!("add `serial=` or `slot-id=`; {}", list(&matching))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_narrows_the_choice() {
        let token = TokenDescription {
            uri: String::new(),
            slot_id: 7,
            slot_description: "sd".into(),
            slot_manufacturer: "sm".into(),
            label: "l".into(),
            manufacturer: "m".into(),
            model: "mo".into(),
            serial: "s".into(),
            firmware: "1.0".into(),
            hardware_slot: false,
            removable: false,
            login_required: true,
            pin_locked: false,
        };
        let matches = |text: &str| token.matches(&Pkcs11Uri::parse(text).unwrap());
        assert!(matches("pkcs11:"));
        assert!(matches("pkcs11:token=l;manufacturer=m;model=mo;serial=s;slot-id=7;slot-description=sd;slot-manufacturer=sm;object=any"));
        for other in ["token=L", "manufacturer=x", "model=x", "serial=x", "slot-id=8", "slot-description=x", "slot-manufacturer=x", "token="] {
            assert!(!matches(&format!("pkcs11:{other}")), "{other}");
        }
    }
}
