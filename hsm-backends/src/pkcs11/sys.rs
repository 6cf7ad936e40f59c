//! The calls that package `cryptoki` cannot express: mechanisms that it does not know (CKM_AES_KEY_WRAP_KWP,
//! CKM_RSA_AES_KEY_WRAP), the whole mechanism list, and one-call sign and decrypt without a size query.
//!
//! This is the only place with `unsafe`. Every function takes a `cryptoki` [`Session`], which is not `Sync`: so one
//! session is never used by two threads at a time.

#![expect(unsafe_code, reason = "the C interface of PKCS#11; every block says why it is sound")]

mod parameters;

use std::fmt;
use std::path::Path;

use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use cryptoki_sys::{
    CK_ATTRIBUTE, CK_BYTE, CK_FUNCTION_LIST, CK_MECHANISM, CK_MECHANISM_INFO, CK_MECHANISM_TYPE, CK_OBJECT_HANDLE, CK_SLOT_ID, CK_ULONG, CKF_WRAP,
    CKR_BUFFER_TOO_SMALL, CKR_MECHANISM_INVALID, CKR_OK,
};
use keykit::secret::SecretBytes;
use zeroize::Zeroizing;

pub(super) use parameters::{Mechanism, Oaep};

use super::error::CallError;

/// More than any token answers: a longer answer is a fault of the module.
const ANSWER_LIMIT: usize = 1 << 20;

/// The function table of a loaded module.
pub(super) struct Functions {
    list: CK_FUNCTION_LIST,
    /// Keeps the code that the table points to in memory.
    _library: cryptoki_sys::Pkcs11,
}

/// What C_GetMechanismInfo says (PKCS#11 3.1 §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MechanismInfo {
    pub(super) minimum: CK_ULONG,
    pub(super) maximum: CK_ULONG,
    pub(super) flags: CK_ULONG,
}

impl MechanismInfo {
    pub(super) fn can_wrap(&self) -> bool {
        self.flags & CKF_WRAP != 0
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions").finish_non_exhaustive()
    }
}

/// Calls a function of the table, or says that the module lacks it.
macro_rules! call {
    ($self:expr, $name:ident ( $($argument:expr),* $(,)? )) => {{
        let function = $self.list.$name.ok_or_else(|| CallError::missing(stringify!($name)))?;
        // SAFETY: the pointer comes from the module's own table and the library stays loaded as long as `self`; every
        // pointer argument points to a live local or borrowed buffer whose length is passed beside it.
        unsafe { function($($argument),*) }
    }};
}

impl Functions {
    /// The function table of the module at `path`. The module is loaded once more, which the system counts: the table is
    /// the one that `cryptoki` uses too.
    pub(super) fn load(path: &Path) -> Result<Self, CallError> {
        const NAME: &str = "C_GetFunctionList";
        // SAFETY: loading runs the module's initialisers. The operator named this module to be trusted with keys.
        let library = unsafe { cryptoki_sys::Pkcs11::new(path) }.map_err(|error| CallError::other(NAME, error.to_string()))?;
        let function = library.C_GetFunctionList.as_ref().map_err(|error| CallError::other(NAME, error.to_string()))?;
        let mut pointer: *mut CK_FUNCTION_LIST = std::ptr::null_mut();
        // SAFETY: the symbol has the type that PKCS#11 gives it; `pointer` is a live local.
        let code = unsafe { function(&raw mut pointer) };
        check(NAME, code)?;
        if pointer.is_null() {
            return Err(CallError::other(NAME, "no function list".into()));
        }
        // SAFETY: not null, and PKCS#11 §5.4 says that it points to a table that lives as long as the module. It is copied
        // without regard to alignment, since the table is packed on some systems.
        let list = unsafe { pointer.read_unaligned() };
        Ok(Self { list, _library: library })
    }

    /// Every mechanism of the slot, known or not (C_GetMechanismList).
    pub(super) fn mechanisms(&self, slot: Slot) -> Result<Vec<CK_MECHANISM_TYPE>, CallError> {
        const NAME: &str = "C_GetMechanismList";
        let slot = slot_id(slot)?;
        let mut count: CK_ULONG = 0;
        check(NAME, call!(self, C_GetMechanismList(slot, std::ptr::null_mut(), &raw mut count)))?;
        let mut list = vec![0; length_of(NAME, count)?];
        check(NAME, call!(self, C_GetMechanismList(slot, list.as_mut_ptr(), &raw mut count)))?;
        list.truncate(length_of(NAME, count)?);
        Ok(list)
    }

    /// What the slot says of a mechanism (C_GetMechanismInfo); `None` if it has no such mechanism.
    pub(super) fn mechanism_info(&self, slot: Slot, mechanism: CK_MECHANISM_TYPE) -> Result<Option<MechanismInfo>, CallError> {
        let slot = slot_id(slot)?;
        let mut info = CK_MECHANISM_INFO::default();
        match call!(self, C_GetMechanismInfo(slot, mechanism, &raw mut info)) {
            CKR_MECHANISM_INVALID => Ok(None),
            code => {
                check("C_GetMechanismInfo", code)?;
                Ok(Some(MechanismInfo { minimum: info.ulMinKeySize, maximum: info.ulMaxKeySize, flags: info.flags }))
            }
        }
    }

    /// C_SignInit and one C_Sign into a buffer of `capacity` bytes.
    pub(super) fn sign(
        &self,
        session: &Session,
        mechanism: &Mechanism<'_>,
        key: ObjectHandle,
        data: &[u8],
        capacity: usize,
    ) -> Result<Vec<u8>, CallError> {
        const NAME: &str = "C_Sign";
        mechanism.with_raw(|raw| check("C_SignInit", call!(self, C_SignInit(session.handle(), raw, key.handle()))))?;
        let mut signature = vec![0; capacity];
        let mut length = ulong(NAME, capacity)?;
        let code = call!(self, C_Sign(session.handle(), input(data), ulong(NAME, data.len())?, signature.as_mut_ptr(), &raw mut length));
        check(NAME, code)?;
        signature.truncate(length_of(NAME, length)?);
        Ok(signature)
    }

    /// C_DecryptInit and one C_Decrypt into a buffer of `capacity` bytes, which is wiped.
    pub(super) fn decrypt(
        &self,
        session: &Session,
        mechanism: &Mechanism<'_>,
        key: ObjectHandle,
        ciphertext: &[u8],
        capacity: usize,
    ) -> Result<SecretBytes, CallError> {
        const NAME: &str = "C_Decrypt";
        mechanism.with_raw(|raw| check("C_DecryptInit", call!(self, C_DecryptInit(session.handle(), raw, key.handle()))))?;
        let mut plaintext = Zeroizing::new(vec![0; capacity]);
        let mut length = ulong(NAME, capacity)?;
        let code =
            call!(self, C_Decrypt(session.handle(), input(ciphertext), ulong(NAME, ciphertext.len())?, plaintext.as_mut_ptr(), &raw mut length));
        check(NAME, code)?;
        let plaintext = plaintext.get(..length_of(NAME, length)?).ok_or_else(|| CallError::other(NAME, "an answer beyond its buffer".into()))?;
        Ok(SecretBytes::copy_of(plaintext))
    }

    /// C_WrapKey. There is no size query: some tokens answer it wrongly. A buffer that is too small is enlarged once.
    pub(super) fn wrap_key(
        &self,
        session: &Session,
        mechanism: &Mechanism<'_>,
        wrapping_key: ObjectHandle,
        key: ObjectHandle,
        capacity: usize,
    ) -> Result<Vec<u8>, CallError> {
        const NAME: &str = "C_WrapKey";
        let attempt = |buffer: &mut [CK_BYTE], length: &mut CK_ULONG| -> Result<CK_ULONG, CallError> {
            *length = ulong(NAME, buffer.len())?;
            mechanism.with_raw(|raw| {
                Ok(call!(self, C_WrapKey(session.handle(), raw, wrapping_key.handle(), key.handle(), buffer.as_mut_ptr(), &raw mut *length)))
            })
        };
        let mut buffer = vec![0; capacity];
        let mut length = 0;
        let mut code = attempt(&mut buffer, &mut length)?;
        if code == CKR_BUFFER_TOO_SMALL {
            buffer.resize(length_of(NAME, length)?.max(capacity), 0);
            code = attempt(&mut buffer, &mut length)?;
        }
        check(NAME, code)?;
        buffer.truncate(length_of(NAME, length)?);
        Ok(buffer)
    }

    /// C_UnwrapKey: the new object's handle.
    pub(super) fn unwrap_key(
        &self,
        session: &Session,
        mechanism: &Mechanism<'_>,
        unwrapping_key: ObjectHandle,
        wrapped: &[u8],
        template: &[Attribute],
    ) -> Result<ObjectHandle, CallError> {
        const NAME: &str = "C_UnwrapKey";
        // The raw attributes point into `template`, which outlives the call.
        let mut raw_template: Vec<CK_ATTRIBUTE> = template.iter().map(CK_ATTRIBUTE::from).collect();
        let mut handle: CK_OBJECT_HANDLE = 0;
        let (length, count) = (ulong(NAME, wrapped.len())?, ulong(NAME, raw_template.len())?);
        mechanism.with_raw(|raw| {
            let attributes = raw_template.as_mut_ptr();
            let code =
                call!(self, C_UnwrapKey(session.handle(), raw, unwrapping_key.handle(), input(wrapped), length, attributes, count, &raw mut handle));
            check(NAME, code)
        })?;
        // SAFETY: the handle was just given by the token for this session.
        Ok(unsafe { ObjectHandle::new_from_raw(handle) })
    }
}

fn check(function: &'static str, code: CK_ULONG) -> Result<(), CallError> {
    if code == CKR_OK { Ok(()) } else { Err(CallError::from_code(function, code)) }
}

/// PKCS#11 takes input through pointers that are not `const`; it does not write to them.
fn input(bytes: &[u8]) -> *mut CK_BYTE {
    bytes.as_ptr().cast_mut()
}

fn slot_id(slot: Slot) -> Result<CK_SLOT_ID, CallError> {
    CK_SLOT_ID::try_from(slot.id()).map_err(|_| CallError::other("C_GetSlotList", "a slot number out of range".into()))
}

fn ulong(function: &'static str, length: usize) -> Result<CK_ULONG, CallError> {
    CK_ULONG::try_from(length).map_err(|_| CallError::other(function, "a length out of range".into()))
}

/// A length that the module gave, once it is known to be sane.
fn length_of(function: &'static str, length: CK_ULONG) -> Result<usize, CallError> {
    usize::try_from(length)
        .ok()
        .filter(|&length| length <= ANSWER_LIMIT)
        .ok_or_else(|| CallError::other(function, format!("the module says that its answer has {length} bytes")))
}

/// Pointer to a raw mechanism, for the length of one call.
type RawMechanism = *mut CK_MECHANISM;
