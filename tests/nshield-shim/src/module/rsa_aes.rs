//! CKM_RSA_AES_KEY_WRAP (PKCS#11 3.1 §6.1.10), which SoftHSM 2.6 lacks: OAEP and RFC 5649 by SoftHSM, one after the other.
//!
//! SoftHSM adds zeros to what it wraps. Where the token is to be right, they are cut here: the shim made the AES key, so it can.

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_BYTE, CK_MECHANISM, CK_MECHANISM_INFO, CK_MECHANISM_TYPE, CK_OBJECT_CLASS, CK_OBJECT_HANDLE, CK_RSA_AES_KEY_WRAP_PARAMS, CK_RV,
    CK_SESSION_HANDLE, CK_SESSION_INFO, CK_SLOT_ID, CK_TRUE, CK_ULONG, CKA_CLASS, CKA_EXTRACTABLE, CKA_KEY_TYPE, CKA_TOKEN, CKA_VALUE, CKA_WRAP,
    CKF_WRAP, CKK_AES, CKM_AES_KEY_WRAP_PAD, CKM_RSA_AES_KEY_WRAP, CKM_RSA_PKCS_OAEP, CKO_PRIVATE_KEY, CKO_SECRET_KEY, CKR_ARGUMENTS_BAD,
    CKR_BUFFER_TOO_SMALL, CKR_FUNCTION_FAILED, CKR_FUNCTION_NOT_SUPPORTED, CKR_GENERAL_ERROR, CKR_KEY_NOT_WRAPPABLE, CKR_MECHANISM_INVALID,
    CKR_MECHANISM_PARAM_INVALID, CKR_OK,
};
use keykit::transfer::{KeyEncryptionKey, strip_token_padding};

use super::{Shim, shim};
use crate::identity::RsaAesKeyWrap;

/// More than any wrapped key of the tests has, in bytes.
const ROOM: usize = 8192;

pub(super) unsafe extern "C" fn get_mechanism_list(slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: *mut CK_ULONG) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    if shim.rsa_aes(slot).is_none() || count.is_null() {
        return real!(shim, C_GetMechanismList(slot, list, count));
    }
    let mut number: CK_ULONG = 0;
    let code = real!(shim, C_GetMechanismList(slot, std::ptr::null_mut(), &raw mut number));
    if code != CKR_OK {
        return code;
    }
    let mut all: Vec<CK_MECHANISM_TYPE> = vec![0; usize::try_from(number).unwrap_or_default()];
    let code = real!(shim, C_GetMechanismList(slot, all.as_mut_ptr(), &raw mut number));
    if code != CKR_OK {
        return code;
    }
    all.push(CKM_RSA_AES_KEY_WRAP);
    let found = all.len() as CK_ULONG;
    // SAFETY: not null, and the caller's to be read and written.
    let room = unsafe { count.replace(found) };
    if list.is_null() {
        return CKR_OK;
    }
    if room < found {
        return CKR_BUFFER_TOO_SMALL;
    }
    // SAFETY: the caller says that there is room for `room` entries, which is enough.
    unsafe { std::ptr::copy_nonoverlapping(all.as_ptr(), list, all.len()) };
    CKR_OK
}

pub(super) unsafe extern "C" fn get_mechanism_info(slot: CK_SLOT_ID, mechanism: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    if mechanism != CKM_RSA_AES_KEY_WRAP || shim.rsa_aes(slot).is_none() {
        return real!(shim, C_GetMechanismInfo(slot, mechanism, info));
    }
    if info.is_null() {
        return CKR_ARGUMENTS_BAD;
    }
    // SAFETY: not null, and the caller's to be written to.
    unsafe { info.write(CK_MECHANISM_INFO { ulMinKeySize: 1024, ulMaxKeySize: 4096, flags: CKF_WRAP }) };
    CKR_OK
}

pub(super) unsafe extern "C" fn wrap_key(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    wrapping_key: CK_OBJECT_HANDLE,
    key: CK_OBJECT_HANDLE,
    wrapped: *mut CK_BYTE,
    length: *mut CK_ULONG,
) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    // SAFETY: the caller says that a mechanism that is not null may be read.
    let asked = (!mechanism.is_null()).then(|| unsafe { mechanism.read_unaligned() });
    match asked {
        Some(asked) if asked.mechanism == CKM_RSA_AES_KEY_WRAP => {
            // SAFETY: the caller vouches for the parameters and the buffer of its call.
            unsafe { wrap(shim, session, &asked, (wrapping_key, key), wrapped, length) }
        }
        _ => real!(shim, C_WrapKey(session, mechanism, wrapping_key, key, wrapped, length)),
    }
}

/// # Safety
/// As C_WrapKey: the mechanism's parameters may be read, and the buffer has room for `*length` bytes.
unsafe fn wrap(
    shim: &Shim,
    session: CK_SESSION_HANDLE,
    asked: &CK_MECHANISM,
    (wrapping_key, key): (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE),
    wrapped: *mut CK_BYTE,
    length: *mut CK_ULONG,
) -> CK_RV {
    if length.is_null() {
        return CKR_ARGUMENTS_BAD;
    }
    let Some(kind) = shim.rsa_aes_of_session(session) else { return CKR_MECHANISM_INVALID };
    if asked.pParameter.is_null() || usize::try_from(asked.ulParameterLen) != Ok(size_of::<CK_RSA_AES_KEY_WRAP_PARAMS>()) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    // SAFETY: not null, and as long as the structure.
    let parameters = unsafe { asked.pParameter.cast::<CK_RSA_AES_KEY_WRAP_PARAMS>().read_unaligned() };
    if parameters.ulAESKeyBits != 256 || parameters.pOAEPParams.is_null() {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    let class = shim.attribute(session, key, CKA_CLASS).and_then(|class| Some(CK_OBJECT_CLASS::from_ne_bytes(class.try_into().ok()?)));
    if kind == RsaAesKeyWrap::SecretsOnly && class == Some(CKO_PRIVATE_KEY) {
        return CKR_KEY_NOT_WRAPPABLE;
    }
    let Ok(ephemeral) = KeyEncryptionKey::random() else { return CKR_FUNCTION_FAILED };
    let aes = match shim.create_wrapping_key(session, &ephemeral) {
        Ok(aes) => aes,
        Err(code) => return code,
    };
    let oaep = CK_MECHANISM {
        mechanism: CKM_RSA_PKCS_OAEP,
        pParameter: parameters.pOAEPParams.cast(),
        ulParameterLen: size_of::<cryptoki_sys::CK_RSA_PKCS_OAEP_PARAMS>() as CK_ULONG,
    };
    let padded = CK_MECHANISM { mechanism: CKM_AES_KEY_WRAP_PAD, pParameter: std::ptr::null_mut(), ulParameterLen: 0 };
    let parts =
        shim.wrap_by_softhsm(session, oaep, wrapping_key, aes).and_then(|sealed| Ok((sealed, shim.wrap_by_softhsm(session, padded, aes, key)?)));
    // What it says no longer matters.
    let _ignored: CK_RV = real!(shim, C_DestroyObject(session, aes));
    let (sealed, padded) = match parts {
        Ok(parts) => parts,
        Err(code) => return code,
    };
    let exact = if kind == RsaAesKeyWrap::Padding { Some(padded) } else { without_zeros(shim, session, key, class, &ephemeral, &padded) };
    let Some(exact) = exact else { return CKR_FUNCTION_FAILED };
    let blob = [sealed, exact].concat();
    let found = blob.len() as CK_ULONG;
    // SAFETY: not null, and the caller's to be read and written.
    let room = unsafe { length.replace(found) };
    if wrapped.is_null() {
        return CKR_OK;
    }
    if room < found {
        return CKR_BUFFER_TOO_SMALL;
    }
    // SAFETY: the caller says that there is room for `room` bytes, which is enough.
    unsafe { std::ptr::copy_nonoverlapping(blob.as_ptr(), wrapped, blob.len()) };
    CKR_OK
}

/// The wrapped key as it would be without the zeros that SoftHSM adds.
fn without_zeros(
    shim: &Shim,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    class: Option<CK_OBJECT_CLASS>,
    ephemeral: &KeyEncryptionKey,
    padded: &[u8],
) -> Option<Vec<u8>> {
    let plaintext = ephemeral.unwrap_with_padding(padded).ok()?;
    let exact = if class == Some(CKO_PRIVATE_KEY) {
        strip_token_padding(plaintext.expose()).ok()?.0
    } else {
        plaintext.expose().get(..shim.attribute(session, key, CKA_VALUE)?.len())?
    };
    ephemeral.wrap_with_padding(exact).ok()
}

impl Shim {
    fn rsa_aes(&self, slot: CK_SLOT_ID) -> Option<RsaAesKeyWrap> {
        RsaAesKeyWrap::of_label(String::from_utf8_lossy(&self.token_info(slot).ok()?.label).trim_end())
    }

    fn rsa_aes_of_session(&self, session: CK_SESSION_HANDLE) -> Option<RsaAesKeyWrap> {
        let mut info = CK_SESSION_INFO::default();
        (real!(self, C_GetSessionInfo(session, &raw mut info)) == CKR_OK).then(|| self.rsa_aes(info.slotID)).flatten()
    }

    fn create_wrapping_key(&self, session: CK_SESSION_HANDLE, ephemeral: &KeyEncryptionKey) -> Result<CK_OBJECT_HANDLE, CK_RV> {
        let (mut class, mut kind, mut yes, mut no) = (CKO_SECRET_KEY, CKK_AES, CK_TRUE, cryptoki_sys::CK_FALSE);
        let mut value = ephemeral.expose().expose().to_vec();
        let attribute =
            |type_, pointer: *mut std::ffi::c_void, length: usize| CK_ATTRIBUTE { type_, pValue: pointer, ulValueLen: length as CK_ULONG };
        let mut template = [
            attribute(CKA_CLASS, (&raw mut class).cast(), size_of_val(&class)),
            attribute(CKA_KEY_TYPE, (&raw mut kind).cast(), size_of_val(&kind)),
            attribute(CKA_TOKEN, (&raw mut no).cast(), 1),
            attribute(CKA_EXTRACTABLE, (&raw mut yes).cast(), 1),
            attribute(CKA_WRAP, (&raw mut yes).cast(), 1),
            attribute(CKA_VALUE, value.as_mut_ptr().cast(), value.len()),
        ];
        let mut handle: CK_OBJECT_HANDLE = 0;
        match real!(self, C_CreateObject(session, template.as_mut_ptr(), template.len() as CK_ULONG, &raw mut handle)) {
            CKR_OK => Ok(handle),
            code => Err(code),
        }
    }

    fn wrap_by_softhsm(
        &self,
        session: CK_SESSION_HANDLE,
        mut mechanism: CK_MECHANISM,
        wrapping_key: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
    ) -> Result<Vec<u8>, CK_RV> {
        let mut buffer = vec![0_u8; ROOM];
        let mut length = buffer.len() as CK_ULONG;
        match real!(self, C_WrapKey(session, &raw mut mechanism, wrapping_key, key, buffer.as_mut_ptr(), &raw mut length)) {
            CKR_OK => {
                buffer.truncate(usize::try_from(length).map_err(|_| CKR_GENERAL_ERROR)?);
                Ok(buffer)
            }
            code => Err(code),
        }
    }
}
