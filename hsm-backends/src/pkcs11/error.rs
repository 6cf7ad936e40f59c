//! Errors of modules, read by what keykit was doing: the same fault has another code on every token.

use std::fmt;

use cryptoki::error::{Error as CryptokiError, Rv, RvError};
use cryptoki_sys::CK_RV;
use keykit::Error;
use keykit::error::TokenError;

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallError {
    /// The PKCS#11 function.
    function: String,
    cause: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    /// The return value.
    Code(RvError),
    /// Something that has no return value, in words.
    Other(String),
}

/// What a failure says of a ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CiphertextVerdict {
    /// It does not open: the code is about what was given.
    Refused,
    /// It does not open, or the token fails: SoftHSM has CKR_GENERAL_ERROR for both, kryoptic CKR_DEVICE_ERROR.
    Doubtful,
    /// Nothing: the token, the session or the call failed.
    NotAboutIt,
}

impl CallError {
    pub(super) fn from_code(function: &str, code: CK_RV) -> Self {
        match Rv::from(code) {
            Rv::Error(code) => Self { function: function.to_owned(), cause: Cause::Code(code) },
            Rv::Ok => Self::other(function, "success taken for a failure".into()),
        }
    }

    pub(super) fn missing(function: &str) -> Self {
        Self { function: function.to_owned(), cause: Cause::Code(RvError::FunctionNotSupported) }
    }

    pub(super) fn other(function: &str, what: String) -> Self {
        Self { function: function.to_owned(), cause: Cause::Other(what) }
    }

    /// The return value, if there is one.
    pub(super) fn code(&self) -> Option<RvError> {
        match self.cause {
            Cause::Code(code) => Some(code),
            Cause::Other(_) => None,
        }
    }

    /// The return value's name, for example `CKR_DEVICE_ERROR`, or what happened in words.
    pub(super) fn name(&self) -> String {
        match &self.cause {
            Cause::Code(code) => name_of(*code),
            Cause::Other(what) => what.clone(),
        }
    }

    /// Whether the session is of no more use: the token is gone, or its state is unknown.
    pub(super) fn breaks_session(&self) -> bool {
        self.is_loss()
            || matches!(self.code(), Some(RvError::OperationActive | RvError::BufferTooSmall | RvError::DeviceError | RvError::FunctionFailed))
    }

    /// Whether the token, the session or the login is gone.
    pub(super) fn is_loss(&self) -> bool {
        matches!(
            self.code(),
            Some(
                RvError::DeviceRemoved
                    | RvError::TokenNotPresent
                    | RvError::TokenNotRecognized
                    | RvError::SessionHandleInvalid
                    | RvError::SessionClosed
                    | RvError::UserNotLoggedIn
                    | RvError::CryptokiNotInitialized
                    | RvError::SlotIdInvalid
            )
        )
    }

    /// Whether the token says that it cannot take the mechanism or its parameters.
    pub(super) fn is_unsupported(&self) -> bool {
        matches!(
            self.code(),
            Some(RvError::MechanismInvalid | RvError::MechanismParamInvalid | RvError::ArgumentsBad | RvError::FunctionNotSupported)
        )
    }

    /// Whether a failed C_UnwrapKey blames what was to be unwrapped.
    pub(super) fn blames_wrapped_key(&self) -> bool {
        matches!(
            self.code(),
            Some(
                RvError::GeneralError
                    | RvError::DeviceError
                    | RvError::FunctionFailed
                    | RvError::WrappedKeyInvalid
                    | RvError::WrappedKeyLenRange
                    | RvError::EncryptedDataInvalid
                    | RvError::EncryptedDataLenRange
                    | RvError::DataInvalid
                    | RvError::DataLenRange
            )
        )
    }

    /// Whether a failed C_WrapKey says that a secret of this length cannot be wrapped.
    pub(super) fn blames_length(&self) -> bool {
        matches!(self.code(), Some(RvError::KeySizeRange | RvError::DataLenRange | RvError::DataInvalid | RvError::KeyNotWrappable))
    }

    /// Whether a failed C_WrapKey says that this key may not leave.
    pub(super) fn forbids_wrapping(&self) -> bool {
        matches!(
            self.code(),
            Some(RvError::KeyUnextractable | RvError::KeyNotWrappable | RvError::WrappingKeyHandleInvalid | RvError::KeyFunctionNotPermitted)
        )
    }

    /// Whether a failed C_WrapKey may be about the mechanism and the kind of key together, so that another mechanism may do it.
    pub(super) fn forbids_this_mechanism(&self) -> bool {
        matches!(self.code(), Some(RvError::KeyNotWrappable | RvError::KeyFunctionNotPermitted))
    }

    /// What a failed C_Decrypt says of the one ciphertext.
    pub(super) fn on_ciphertext(&self) -> CiphertextVerdict {
        match self.code() {
            _ if self.function != "C_Decrypt" || self.is_loss() => CiphertextVerdict::NotAboutIt,
            None | Some(RvError::HostMemory | RvError::DeviceMemory | RvError::BufferTooSmall | RvError::OperationNotInitialized) => {
                CiphertextVerdict::NotAboutIt
            }
            Some(RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::DataInvalid | RvError::DataLenRange) => {
                CiphertextVerdict::Refused
            }
            Some(_) => CiphertextVerdict::Doubtful,
        }
    }

    /// Whether a failed C_Verify is about the signature.
    pub(super) fn is_about_signature(&self) -> bool {
        matches!(
            self.code(),
            Some(
                RvError::SignatureInvalid
                    | RvError::SignatureLenRange
                    | RvError::EncryptedDataInvalid
                    | RvError::DataInvalid
                    | RvError::DataLenRange
                    | RvError::GeneralError
                    | RvError::DeviceError
                    | RvError::FunctionFailed
            )
        )
    }

    /// The error for an operation on this store.
    pub(super) fn into_error(self, store: &str, doing: &str) -> Error {
        let hint = self.hint();
        Error::Token(TokenError { store: store.to_owned(), code: self.name(), function: self.function, doing: doing.to_owned(), hint })
    }

    fn hint(&self) -> Option<String> {
        if self.function == "C_GetTokenInfo" {
            return Some("a token of the module does not answer: put back what was removed, then run the command again".into());
        }
        let text = match self.code()? {
            RvError::DeviceRemoved | RvError::TokenNotPresent | RvError::TokenNotRecognized | RvError::SlotIdInvalid => {
                "the token is gone: put it back, then run the command again"
            }
            RvError::SessionHandleInvalid | RvError::SessionClosed | RvError::CryptokiNotInitialized => {
                "the connection to the token was lost: run the command again"
            }
            RvError::UserNotLoggedIn => "the login was lost, or the key demands a PIN for every use, which keykit does not give",
            RvError::SessionCount | RvError::DeviceMemory => "the token is at its limit: close other programs that use it, or use fewer sessions",
            RvError::TokenWriteProtected | RvError::SessionReadOnly => "the token is write-protected",
            RvError::KeySizeRange => "the token does not take keys of this size",
            RvError::MechanismInvalid | RvError::FunctionNotSupported => "`keykit store doctor --store URI` lists what the token can do",
            RvError::AttributeValueInvalid | RvError::AttributeTypeInvalid | RvError::TemplateInconsistent | RvError::TemplateIncomplete => {
                "the token's policy does not allow a key with these attributes"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

impl From<CryptokiError> for CallError {
    fn from(error: CryptokiError) -> Self {
        match error {
            CryptokiError::Pkcs11(code, function) => Self { function: format!("C_{function:?}"), cause: Cause::Code(code) },
            CryptokiError::NullFunctionPointer => Self { function: "PKCS#11".into(), cause: Cause::Code(RvError::FunctionNotSupported) },
            other => Self::other("PKCS#11", other.to_string()),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.function, self.name())
    }
}

/// `DeviceError` → `CKR_DEVICE_ERROR`.
fn name_of(code: RvError) -> String {
    match code {
        RvError::VendorDefined(value) => format!("CKR_VENDOR_DEFINED (0x{value:08X})"),
        RvError::UnknownErrorCode(value) => format!("CKR 0x{value:08X}"),
        known => format!("{known:?}").chars().fold("CKR".to_owned(), |mut name, letter| {
            if letter.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
            name
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki_sys::{
        CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, CKR_ENCRYPTED_DATA_INVALID, CKR_FUNCTION_FAILED, CKR_GENERAL_ERROR, CKR_KEY_UNEXTRACTABLE,
        CKR_MECHANISM_INVALID, CKR_SESSION_COUNT, CKR_USER_ALREADY_LOGGED_IN, CKR_WRAPPED_KEY_INVALID,
    };

    fn failed(function: &str, code: CK_RV) -> CallError {
        CallError::from_code(function, code)
    }

    #[test]
    fn return_values_have_their_names() {
        for (code, name) in [
            (CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR"),
            (CKR_USER_ALREADY_LOGGED_IN, "CKR_USER_ALREADY_LOGGED_IN"),
            (CKR_KEY_UNEXTRACTABLE, "CKR_KEY_UNEXTRACTABLE"),
            (0x8000_00e0, "CKR_VENDOR_DEFINED (0x800000E0)"),
            (0x1234_5678, "CKR 0x12345678"),
        ] {
            assert_eq!(failed("C_X", code).name(), name);
        }
        let from_cryptoki = CallError::from(CryptokiError::Pkcs11(RvError::PinIncorrect, cryptoki::context::Function::Login));
        assert_eq!(from_cryptoki.to_string(), "C_Login: CKR_PIN_INCORRECT");
    }

    #[test]
    fn the_same_code_means_different_things_in_different_operations() {
        for code in [CKR_GENERAL_ERROR, CKR_DEVICE_ERROR, CKR_WRAPPED_KEY_INVALID, CKR_ENCRYPTED_DATA_INVALID] {
            assert!(failed("C_UnwrapKey", code).blames_wrapped_key());
            assert!(matches!(failed("C_Sign", code).into_error("s", "d"), Error::Token(_)));
            assert_ne!(failed("C_Decrypt", code).on_ciphertext(), CiphertextVerdict::NotAboutIt);
            assert_eq!(failed("C_DecryptInit", code).on_ciphertext(), CiphertextVerdict::NotAboutIt);
        }
    }

    #[test]
    fn a_code_that_tokens_have_for_their_own_faults_proves_nothing_of_the_ciphertext() {
        for code in [CKR_GENERAL_ERROR, CKR_DEVICE_ERROR, CKR_FUNCTION_FAILED] {
            assert_eq!(failed("C_Decrypt", code).on_ciphertext(), CiphertextVerdict::Doubtful);
        }
        assert_eq!(failed("C_Decrypt", CKR_ENCRYPTED_DATA_INVALID).on_ciphertext(), CiphertextVerdict::Refused);
    }

    #[test]
    fn a_token_that_is_gone_is_never_an_item_that_failed() {
        let gone = failed("C_Decrypt", CKR_DEVICE_REMOVED);
        assert!(gone.on_ciphertext() == CiphertextVerdict::NotAboutIt && gone.breaks_session());
        let Error::Token(error) = gone.into_error("pkcs11:token=a", "decrypt") else { panic!("not a token error") };
        assert_eq!((error.function.as_str(), error.code.as_str()), ("C_Decrypt", "CKR_DEVICE_REMOVED"));
        assert!(error.hint.unwrap().contains("put it back"));
        assert!(!failed("C_UnwrapKey", CKR_DEVICE_REMOVED).blames_wrapped_key());
    }

    #[test]
    fn a_token_at_its_limit_says_what_to_do() {
        let error = failed("C_OpenSession", CKR_SESSION_COUNT).into_error("pkcs11:token=a", "open a session");
        assert!(error.to_string().contains("C_OpenSession") && error.to_string().contains("CKR_SESSION_COUNT"), "{error}");
        assert!(error.hint().unwrap().contains("fewer sessions"));
    }

    #[test]
    fn a_missing_function_is_unsupported() {
        assert!(CallError::missing("C_WrapKey").is_unsupported());
        assert!(failed("C_WrapKey", CKR_MECHANISM_INVALID).is_unsupported());
        assert!(failed("C_WrapKey", CKR_KEY_UNEXTRACTABLE).forbids_wrapping());
    }
}
