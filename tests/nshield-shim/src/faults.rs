//! Faults on demand: calls that fail, before or after they were done, or that kill the process. `README.md` has the grammar.

#![expect(unsafe_code, reason = "functions of the C interface of PKCS#11 are stored and called; every block says why it is sound")]

use std::io::Write as _;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{env, fs, process};

use cryptoki_sys::{self as sys, CK_FUNCTION_LIST, CK_RV};

/// Names every function of the table but C_GetFunctionList, which is not called through it.
macro_rules! functions {
    ($($name:ident)*) => {
        /// A function's place in [`INNER`] and [`NAMES`].
        #[expect(non_camel_case_types, clippy::enum_variant_names, reason = "the names of PKCS#11")]
        #[derive(Clone, Copy)]
        enum Function { $($name),* }

        const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// Puts a wrapper in front of each function of the table.
        pub(crate) fn in_front_of(table: &mut CK_FUNCTION_LIST) {
            $(table.$name = table.$name.with_faults::<{ Function::$name as usize }>();)*
        }
    };
}

functions! {
    C_Initialize C_Finalize C_GetInfo C_GetSlotList C_GetSlotInfo C_GetTokenInfo C_GetMechanismList C_GetMechanismInfo
    C_InitToken C_InitPIN C_SetPIN C_OpenSession C_CloseSession C_CloseAllSessions C_GetSessionInfo C_GetOperationState
    C_SetOperationState C_Login C_Logout C_CreateObject C_CopyObject C_DestroyObject C_GetObjectSize C_GetAttributeValue
    C_SetAttributeValue C_FindObjectsInit C_FindObjects C_FindObjectsFinal C_EncryptInit C_Encrypt C_EncryptUpdate
    C_EncryptFinal C_DecryptInit C_Decrypt C_DecryptUpdate C_DecryptFinal C_DigestInit C_Digest C_DigestUpdate C_DigestKey
    C_DigestFinal C_SignInit C_Sign C_SignUpdate C_SignFinal C_SignRecoverInit C_SignRecover C_VerifyInit C_Verify
    C_VerifyUpdate C_VerifyFinal C_VerifyRecoverInit C_VerifyRecover C_DigestEncryptUpdate C_DecryptDigestUpdate
    C_SignEncryptUpdate C_DecryptVerifyUpdate C_GenerateKey C_GenerateKeyPair C_WrapKey C_UnwrapKey C_DeriveKey C_SeedRandom
    C_GenerateRandom C_GetFunctionStatus C_CancelFunction C_WaitForSlotEvent
}

/// What the wrappers call, by [`Function`].
static INNER: [AtomicPtr<()>; NAMES.len()] = [const { AtomicPtr::new(std::ptr::null_mut()) }; NAMES.len()];

/// A function of the table that can be wrapped.
trait WithFaults {
    /// The wrapper of `self`, as the function with this number.
    fn with_faults<const FUNCTION: usize>(self) -> Self;
}

macro_rules! with_faults {
    ($($argument:ident: $kind:ident),*) => {
        impl<$($kind),*> WithFaults for Option<unsafe extern "C" fn($($kind),*) -> CK_RV> {
            fn with_faults<const FUNCTION: usize>(self) -> Self {
                unsafe extern "C" fn entry<const FUNCTION: usize, $($kind),*>($($argument: $kind),*) -> CK_RV {
                    through(FUNCTION, || {
                        let Some(inner) = INNER.get(FUNCTION).map(|inner| inner.load(Ordering::Acquire)) else { return sys::CKR_GENERAL_ERROR };
                        // SAFETY: this wrapper is only given out below, after the function of the same number and type was stored.
                        let inner = unsafe { std::mem::transmute::<*mut (), unsafe extern "C" fn($($kind),*) -> CK_RV>(inner) };
                        // SAFETY: the arguments are the caller's, who vouches for them under PKCS#11.
                        unsafe { inner($($argument),*) }
                    })
                }
                let inner = self?;
                INNER.get(FUNCTION)?.store(inner as *mut (), Ordering::Release);
                Some(entry::<FUNCTION, $($kind),*>)
            }
        }
    };
}

with_faults!(a: A);
with_faults!(a: A, b: B);
with_faults!(a: A, b: B, c: C);
with_faults!(a: A, b: B, c: C, d: D);
with_faults!(a: A, b: B, c: C, d: D, e: E);
with_faults!(a: A, b: B, c: C, d: D, e: E, f: F);
with_faults!(a: A, b: B, c: C, d: D, e: E, f: F, g: G);
with_faults!(a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H);

/// What happens to a call.
#[derive(Clone, Copy)]
enum Effect {
    Report(CK_RV),
    Abort,
}

/// How long it goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lasting {
    /// For the one call.
    Once,
    /// For all later calls of this function.
    Forever,
    /// For all later calls of every function.
    Lost,
}

struct Rule {
    /// `*` for every function.
    function: String,
    /// Counted from one; `None` is every call.
    nth: Option<u64>,
    effect: Effect,
    /// Whether the call is done before.
    after: bool,
    lasting: Lasting,
    seen: u64,
}

impl Rule {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (function, nth, effect) = (parts.next()?, parts.next()?, parts.next()?);
        if function != "*" && !NAMES.contains(&function) {
            return None;
        }
        let nth = if nth == "every" { None } else { Some(nth.parse().ok().filter(|&nth: &u64| nth > 0)?) };
        let effect = if effect == "abort" { Effect::Abort } else { Effect::Report(code(effect)?) };
        let mut rule = Self { function: function.to_owned(), nth, effect, after: false, lasting: Lasting::Once, seen: 0 };
        for option in parts {
            match option {
                "after" => rule.after = true,
                "forever" => rule.lasting = Lasting::Forever,
                "lost" => rule.lasting = Lasting::Lost,
                _ => return None,
            }
        }
        Some(rule)
    }

    /// Whether this call, which is counted, has the fault.
    fn strikes(&mut self, function: &str) -> bool {
        let named = self.function == "*" || self.function == function;
        let struck = |seen: u64, nth: u64| seen >= nth;
        match (self.nth, self.lasting) {
            // What was lost stays lost, for every function.
            (Some(nth), Lasting::Lost) if struck(self.seen, nth) => return true,
            _ if !named => return false,
            _ => self.seen += 1,
        }
        match self.nth {
            None => true,
            Some(nth) => self.seen == nth || (self.lasting != Lasting::Once && struck(self.seen, nth)),
        }
    }
}

#[derive(Default)]
struct State {
    /// What the rules were read from. Other text starts all counts anew.
    text: String,
    rules: Vec<Rule>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// Does a call, or fails it as the rules say.
fn through(function: usize, call: impl FnOnce() -> CK_RV) -> CK_RV {
    let name = NAMES.get(function).copied().unwrap_or_default();
    write_down(name);
    match struck(name) {
        None => call(),
        Some((effect, after)) => {
            if after {
                // The rule's word counts, not the module's.
                let _done: CK_RV = call();
            }
            match effect {
                Effect::Report(code) => code,
                Effect::Abort => process::abort(),
            }
        }
    }
}

/// The first fault that strikes this call. Every rule counts it.
fn struck(name: &str) -> Option<(Effect, bool)> {
    let text = match env::var_os("KEYKIT_SHIM_FAULTS_FILE") {
        Some(path) => fs::read_to_string(path).unwrap_or_default(),
        None => env::var("KEYKIT_SHIM_FAULTS").unwrap_or_default(),
    };
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let state = state.get_or_insert_default();
    if state.text != text {
        state.rules = text.split([',', '\n']).map(str::trim).filter(|rule| !rule.is_empty()).map(read_or_stop).collect();
        state.text = text;
    }
    let struck: Vec<_> = state.rules.iter_mut().filter_map(|rule| rule.strikes(name).then_some((rule.effect, rule.after))).collect();
    struck.first().copied()
}

/// A rule that is not understood must not pass for one that never strikes.
fn read_or_stop(text: &str) -> Rule {
    Rule::read(text).unwrap_or_else(|| {
        eprintln!("the shim does not understand the fault {text:?}");
        process::abort()
    })
}

/// Appends the name of the function to the file that KEYKIT_SHIM_CALLS names.
fn write_down(name: &str) {
    let Some(path) = env::var_os("KEYKIT_SHIM_CALLS") else { return };
    let written = fs::OpenOptions::new().create(true).append(true).open(path).and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
    if let Err(error) = written {
        eprintln!("the shim can't write calls down: {error}");
        process::abort();
    }
}

/// A return value by its name, or as a number with 0x.
fn code(text: &str) -> Option<CK_RV> {
    match text.strip_prefix("0x") {
        Some(digits) => CK_RV::from_str_radix(digits, 16).ok(),
        None => CODES.iter().find(|(name, _)| *name == text).map(|(_, code)| *code),
    }
}

macro_rules! codes {
    ($($name:ident)*) => {
        const CODES: &[(&str, CK_RV)] = &[$((stringify!($name), sys::$name)),*];
    };
}

codes! {
    CKR_CANCEL CKR_HOST_MEMORY CKR_SLOT_ID_INVALID CKR_GENERAL_ERROR CKR_FUNCTION_FAILED CKR_ARGUMENTS_BAD CKR_NO_EVENT
    CKR_NEED_TO_CREATE_THREADS CKR_CANT_LOCK CKR_ATTRIBUTE_READ_ONLY CKR_ATTRIBUTE_SENSITIVE CKR_ATTRIBUTE_TYPE_INVALID
    CKR_ATTRIBUTE_VALUE_INVALID CKR_ACTION_PROHIBITED CKR_DATA_INVALID CKR_DATA_LEN_RANGE CKR_DEVICE_ERROR CKR_DEVICE_MEMORY
    CKR_DEVICE_REMOVED CKR_ENCRYPTED_DATA_INVALID CKR_ENCRYPTED_DATA_LEN_RANGE CKR_AEAD_DECRYPT_FAILED CKR_FUNCTION_CANCELED
    CKR_FUNCTION_NOT_PARALLEL CKR_FUNCTION_NOT_SUPPORTED CKR_KEY_HANDLE_INVALID CKR_KEY_SIZE_RANGE CKR_KEY_TYPE_INCONSISTENT
    CKR_KEY_NOT_NEEDED CKR_KEY_CHANGED CKR_KEY_NEEDED CKR_KEY_INDIGESTIBLE CKR_KEY_FUNCTION_NOT_PERMITTED CKR_KEY_NOT_WRAPPABLE
    CKR_KEY_UNEXTRACTABLE CKR_MECHANISM_INVALID CKR_MECHANISM_PARAM_INVALID CKR_OBJECT_HANDLE_INVALID CKR_OPERATION_ACTIVE
    CKR_OPERATION_NOT_INITIALIZED CKR_PIN_INCORRECT CKR_PIN_INVALID CKR_PIN_LEN_RANGE CKR_PIN_EXPIRED CKR_PIN_LOCKED
    CKR_SESSION_CLOSED CKR_SESSION_COUNT CKR_SESSION_HANDLE_INVALID CKR_SESSION_PARALLEL_NOT_SUPPORTED CKR_SESSION_READ_ONLY
    CKR_SESSION_EXISTS CKR_SESSION_READ_ONLY_EXISTS CKR_SESSION_READ_WRITE_SO_EXISTS CKR_SIGNATURE_INVALID CKR_SIGNATURE_LEN_RANGE
    CKR_TEMPLATE_INCOMPLETE CKR_TEMPLATE_INCONSISTENT CKR_TOKEN_NOT_PRESENT CKR_TOKEN_NOT_RECOGNIZED CKR_TOKEN_WRITE_PROTECTED
    CKR_UNWRAPPING_KEY_HANDLE_INVALID CKR_UNWRAPPING_KEY_SIZE_RANGE CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT CKR_USER_ALREADY_LOGGED_IN
    CKR_USER_NOT_LOGGED_IN CKR_USER_PIN_NOT_INITIALIZED CKR_USER_TYPE_INVALID CKR_USER_ANOTHER_ALREADY_LOGGED_IN
    CKR_USER_TOO_MANY_TYPES CKR_WRAPPED_KEY_INVALID CKR_WRAPPED_KEY_LEN_RANGE CKR_WRAPPING_KEY_HANDLE_INVALID
    CKR_WRAPPING_KEY_SIZE_RANGE CKR_WRAPPING_KEY_TYPE_INCONSISTENT CKR_RANDOM_SEED_NOT_SUPPORTED CKR_RANDOM_NO_RNG
    CKR_DOMAIN_PARAMS_INVALID CKR_CURVE_NOT_SUPPORTED CKR_BUFFER_TOO_SMALL CKR_SAVED_STATE_INVALID CKR_INFORMATION_SENSITIVE
    CKR_STATE_UNSAVEABLE CKR_CRYPTOKI_NOT_INITIALIZED CKR_CRYPTOKI_ALREADY_INITIALIZED CKR_MUTEX_BAD CKR_MUTEX_NOT_LOCKED
    CKR_NEW_PIN_MODE CKR_NEXT_OTP CKR_EXCEEDED_MAX_ITERATIONS CKR_FIPS_SELF_TEST_FAILED CKR_LIBRARY_LOAD_FAILED CKR_PIN_TOO_WEAK
    CKR_PUBLIC_KEY_INVALID CKR_FUNCTION_REJECTED CKR_TOKEN_RESOURCE_EXCEEDED CKR_OPERATION_CANCEL_FAILED CKR_KEY_EXHAUSTED
    CKR_PENDING CKR_SESSION_ASYNC_NOT_SUPPORTED CKR_SEED_RANDOM_REQUIRED CKR_OPERATION_NOT_VALIDATED CKR_TOKEN_NOT_INITIALIZED
    CKR_PARAMETER_SET_NOT_SUPPORTED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(rule: &str, calls: &[&str]) -> Vec<bool> {
        let mut rule = Rule::read(rule).unwrap();
        calls.iter().map(|call| rule.strikes(call)).collect()
    }

    #[test]
    fn faults_strike_when_they_are_told_to() {
        let calls = ["C_Sign", "C_Decrypt", "C_Decrypt", "C_Sign", "C_Decrypt"];
        assert_eq!(strikes("C_Decrypt:2:CKR_DEVICE_ERROR", &calls), [false, false, true, false, false]);
        assert_eq!(strikes("C_Decrypt:2:CKR_DEVICE_ERROR:forever", &calls), [false, false, true, false, true]);
        assert_eq!(strikes("C_Decrypt:2:CKR_DEVICE_ERROR:lost", &calls), [false, false, true, true, true]);
        assert_eq!(strikes("C_Decrypt:every:0x30:after", &calls), [false, true, true, false, true]);
        assert_eq!(strikes("*:4:abort", &calls), [false, false, false, true, false]);
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in
            ["", "C_Decrypt", "C_Decrypt:0:CKR_DEVICE_ERROR", "C_Decipher:1:CKR_DEVICE_ERROR", "C_Decrypt:1:CKR_WRONG", "C_Decrypt:1:0x30:soon"]
        {
            assert!(Rule::read(text).is_none(), "{text}");
        }
        assert_eq!(code("CKR_DEVICE_ERROR"), Some(0x30));
    }
}
