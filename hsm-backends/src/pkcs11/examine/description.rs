//! What module, slot and token say of themselves.

use cryptoki::slot::Limit;
use keykit::Result;
use serde::Serialize;

use super::super::error::CallError;
use super::super::store::Pkcs11Store;

/// A module as it describes itself (C_GetInfo; PKCS#11 3.1 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModuleDescription {
    /// The maker.
    pub manufacturer: String,
    /// What it is.
    pub description: String,
    /// Its version.
    pub version: String,
    /// The version of PKCS#11 that it says it implements.
    pub pkcs11_version: String,
}

/// Slot and token as they describe themselves, without what only this one token has (C_GetSlotInfo, C_GetTokenInfo;
/// PKCS#11 3.1 §3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotFacts {
    /// The slot's maker.
    pub slot_manufacturer: String,
    /// The slot's hardware version.
    pub slot_hardware: String,
    /// The slot's firmware version.
    pub slot_firmware: String,
    /// The token's maker.
    pub manufacturer: String,
    /// The token's model.
    pub model: String,
    /// The token's hardware version.
    pub hardware: String,
    /// The token's firmware version.
    pub firmware: String,
    /// The flags of both that are set.
    pub flags: Vec<&'static str>,
    /// Shortest PIN.
    pub minimum_pin_length: usize,
    /// Longest PIN.
    pub maximum_pin_length: usize,
    /// How many sessions it says it can have: a number, `unlimited` or `unknown`.
    pub maximum_sessions: String,
    /// How many of them can write.
    pub maximum_writing_sessions: String,
}

impl Pkcs11Store {
    pub(super) fn describe(&self) -> Result<(ModuleDescription, SlotFacts)> {
        let context = &self.module.context;
        let read = || -> Result<_, CallError> { Ok((context.get_slot_info(self.slot)?, context.get_token_info(self.slot)?)) };
        let (slot, token) = read().map_err(|error| self.failed(error, "read what it says of itself"))?;
        let library = &self.module.information;
        let module = ModuleDescription {
            manufacturer: library.manufacturer_id().to_owned(),
            description: library.library_description().to_owned(),
            version: library.library_version().to_string(),
            pkcs11_version: library.cryptoki_version().to_string(),
        };
        let flags = [
            (slot.hardware_slot(), "CKF_HW_SLOT"),
            (slot.removable_device(), "CKF_REMOVABLE_DEVICE"),
            (token.rng(), "CKF_RNG"),
            (token.write_protected(), "CKF_WRITE_PROTECTED"),
            (token.login_required(), "CKF_LOGIN_REQUIRED"),
            (token.user_pin_initialized(), "CKF_USER_PIN_INITIALIZED"),
            (token.restore_key_not_needed(), "CKF_RESTORE_KEY_NOT_NEEDED"),
            (token.clock_on_token(), "CKF_CLOCK_ON_TOKEN"),
            (token.protected_authentication_path(), "CKF_PROTECTED_AUTHENTICATION_PATH"),
            (token.dual_crypto_operations(), "CKF_DUAL_CRYPTO_OPERATIONS"),
            (token.token_initialized(), "CKF_TOKEN_INITIALIZED"),
            (token.error_state(), "CKF_ERROR_STATE"),
        ];
        let facts = SlotFacts {
            slot_manufacturer: slot.manufacturer_id().to_owned(),
            slot_hardware: slot.hardware_version().to_string(),
            slot_firmware: slot.firmware_version().to_string(),
            manufacturer: token.manufacturer_id().to_owned(),
            model: token.model().to_owned(),
            hardware: token.hardware_version().to_string(),
            firmware: token.firmware_version().to_string(),
            flags: flags.into_iter().filter_map(|(is_set, name)| is_set.then_some(name)).collect(),
            minimum_pin_length: token.min_pin_length(),
            maximum_pin_length: token.max_pin_length(),
            maximum_sessions: shown(token.max_session_count()),
            maximum_writing_sessions: shown(token.max_rw_session_count()),
        };
        Ok((module, facts))
    }
}

fn shown(limit: Limit) -> String {
    match limit {
        Limit::Max(most) => most.to_string(),
        Limit::Unavailable => "unknown".to_owned(),
        Limit::Infinite => "unlimited".to_owned(),
    }
}
