//! C_SignInit with C_Sign, and C_DecryptInit with C_Decrypt, into a buffer that is ready: the least that a caller of PKCS#11 can do. The
//! `cryptoki` crate asks for the length of the answer first.

#![expect(unsafe_code, reason = "the C interface of PKCS#11; every block says why it is sound")]

use std::path::Path;

use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_BYTE, CK_FUNCTION_LIST, CK_MECHANISM, CK_MECHANISM_TYPE, CK_OBJECT_HANDLE, CK_RSA_PKCS_OAEP_PARAMS, CK_RV, CK_SESSION_HANDLE, CK_ULONG,
    CKG_MGF1_SHA1, CKM_RSA_PKCS, CKM_RSA_PKCS_OAEP, CKM_SHA_1, CKR_OK, CKZ_DATA_SPECIFIED, Pkcs11,
};

use crate::{Result, during};

type Init = unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE) -> CK_RV;
type Run = unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, *mut CK_ULONG) -> CK_RV;

/// The four functions of a loaded module.
pub(super) struct RawCalls {
    sign: (Init, Run),
    decrypt: (Init, Run),
    /// Keeps the code in memory.
    _library: Pkcs11,
}

impl RawCalls {
    pub(super) fn load(module: &Path) -> Result<Self> {
        // SAFETY: loading runs the module's initialisers; the benchmark named this module.
        let library = unsafe { Pkcs11::new(module) }.map_err(during("the module"))?;
        let function = *library.C_GetFunctionList.as_ref().map_err(during("the module"))?;
        let mut list: *mut CK_FUNCTION_LIST = std::ptr::null_mut();
        // SAFETY: the symbol has the type that PKCS#11 gives it; `list` is a live local.
        if unsafe { function(&raw mut list) } != CKR_OK || list.is_null() {
            return Err("the module gives no functions".into());
        }
        // SAFETY: not null, and PKCS#11 §5.4 says that it points to a table that lives as long as the module.
        let list = unsafe { list.read_unaligned() };
        let pair = |init: Option<Init>, run: Option<Run>| init.zip(run).ok_or("the module lacks a function");
        Ok(Self { sign: pair(list.C_SignInit, list.C_Sign)?, decrypt: pair(list.C_DecryptInit, list.C_Decrypt)?, _library: library })
    }

    /// CKM_RSA_PKCS.
    pub(super) fn sign(&self, session: &Session, key: ObjectHandle, input: &[u8], buffer: &mut [u8]) -> Result<usize> {
        run(self.sign, session, &mut mechanism(CKM_RSA_PKCS, None), key, input, buffer)
    }

    /// CKM_RSA_PKCS_OAEP with SHA-1.
    pub(super) fn decrypt(&self, session: &Session, key: ObjectHandle, input: &[u8], buffer: &mut [u8]) -> Result<usize> {
        let mut parameters = CK_RSA_PKCS_OAEP_PARAMS {
            hashAlg: CKM_SHA_1,
            mgf: CKG_MGF1_SHA1,
            source: CKZ_DATA_SPECIFIED,
            pSourceData: std::ptr::null_mut(),
            ulSourceDataLen: 0,
        };
        run(self.decrypt, session, &mut mechanism(CKM_RSA_PKCS_OAEP, Some(&mut parameters)), key, input, buffer)
    }
}

fn mechanism(kind: CK_MECHANISM_TYPE, parameters: Option<&mut CK_RSA_PKCS_OAEP_PARAMS>) -> CK_MECHANISM {
    let length = if parameters.is_some() { size_of::<CK_RSA_PKCS_OAEP_PARAMS>() } else { 0 };
    let pointer = parameters.map_or(std::ptr::null_mut(), |parameters| std::ptr::from_mut(parameters).cast());
    CK_MECHANISM { mechanism: kind, pParameter: pointer, ulParameterLen: length as CK_ULONG }
}

/// The length of what was written into the buffer.
fn run(
    (init, run): (Init, Run),
    session: &Session,
    mechanism: &mut CK_MECHANISM,
    key: ObjectHandle,
    input: &[u8],
    buffer: &mut [u8],
) -> Result<usize> {
    // SAFETY: the functions come from the module's own table, which stays loaded; the mechanism and its parameters are alive.
    let begun = unsafe { init(session.handle(), &raw mut *mechanism, key.handle()) };
    let mut length = buffer.len() as CK_ULONG;
    // SAFETY: as above; both pointers are of live slices whose lengths stand beside them, and the input is only read.
    let done = unsafe { run(session.handle(), input.as_ptr().cast_mut(), input.len() as CK_ULONG, buffer.as_mut_ptr(), &raw mut length) };
    if begun == CKR_OK && done == CKR_OK { Ok(length as usize) } else { Err(format!("the token answers {begun:#x} and {done:#x}")) }
}
