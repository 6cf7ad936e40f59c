//! The module: SoftHSM's function table with some entries replaced.

#![expect(unsafe_code, reason = "the C interface of PKCS#11; every block says why it is sound")]

use std::env;
use std::sync::OnceLock;

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_BBOOL, CK_BYTE, CK_FALSE, CK_FLAGS, CK_FUNCTION_LIST, CK_FUNCTION_LIST_PTR, CK_INFO, CK_MECHANISM, CK_NOTIFY, CK_OBJECT_CLASS,
    CK_OBJECT_HANDLE, CK_RV, CK_SESSION_HANDLE, CK_SESSION_INFO, CK_SLOT_ID, CK_SLOT_INFO, CK_TOKEN_INFO, CK_ULONG, CK_UNAVAILABLE_INFORMATION,
    CK_USER_TYPE, CKA_CLASS, CKA_MODULUS, CKA_PRIVATE, CKF_DUAL_CRYPTO_OPERATIONS, CKF_HW_SLOT, CKF_LOGIN_REQUIRED, CKF_REMOVABLE_DEVICE, CKF_RNG,
    CKF_TOKEN_INITIALIZED, CKF_TOKEN_PRESENT, CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_INITIALIZED, CKF_USER_PIN_LOCKED,
    CKO_PRIVATE_KEY, CKR_ARGUMENTS_BAD, CKR_ATTRIBUTE_TYPE_INVALID, CKR_BUFFER_TOO_SMALL, CKR_DEVICE_ERROR, CKR_FUNCTION_NOT_SUPPORTED,
    CKR_GENERAL_ERROR, CKR_OK, CKR_TEMPLATE_INCONSISTENT, CKR_USER_ALREADY_LOGGED_IN, CKR_USER_NOT_LOGGED_IN, CKR_USER_TYPE_INVALID, CKU_USER,
    Pkcs11,
};

use crate::faults;
use crate::identity::{self, APP, MANUFACTURER, ShownToken, TokenKind};

/// SoftHSM, and our table over its own.
struct Shim {
    real: CK_FUNCTION_LIST,
    table: CK_FUNCTION_LIST,
    /// With which the shim logs in to accelerator tokens.
    pin: Vec<u8>,
    /// Keeps the code that the tables point to in memory.
    _library: Pkcs11,
}

static SHIM: OnceLock<Option<Shim>> = OnceLock::new();

fn shim() -> Option<&'static Shim> {
    SHIM.get_or_init(load).as_ref()
}

fn load() -> Option<Shim> {
    let path = env::var_os("KEYKIT_SHIM_MODULE")?;
    // SAFETY: loading runs the module's initialisers. The test named this module.
    let library = unsafe { Pkcs11::new(path) }.ok()?;
    let mut list: CK_FUNCTION_LIST_PTR = std::ptr::null_mut();
    let function = *library.C_GetFunctionList.as_ref().ok()?;
    // SAFETY: the symbol has the type that PKCS#11 gives it; `list` is a live local.
    if unsafe { function(&raw mut list) } != CKR_OK || list.is_null() {
        return None;
    }
    // SAFETY: not null, and PKCS#11 §5.4 says that it points to a table that lives as long as the module.
    let real = unsafe { list.read_unaligned() };
    let mut table = CK_FUNCTION_LIST {
        C_GetFunctionList: Some(C_GetFunctionList),
        C_GetInfo: Some(get_info),
        C_GetSlotList: Some(get_slot_list),
        C_GetSlotInfo: Some(get_slot_info),
        C_GetTokenInfo: Some(get_token_info),
        C_OpenSession: Some(open_session),
        C_Login: Some(login),
        C_Logout: Some(logout),
        C_CreateObject: Some(create_object),
        C_GetAttributeValue: Some(get_attribute_value),
        C_GenerateKey: Some(generate_key),
        C_GenerateKeyPair: Some(generate_key_pair),
        C_UnwrapKey: Some(unwrap_key),
        C_GetMechanismList: Some(rsa_aes::get_mechanism_list),
        C_GetMechanismInfo: Some(rsa_aes::get_mechanism_info),
        C_WrapKey: Some(rsa_aes::wrap_key),
        ..real
    };
    faults::in_front_of(&mut table);
    Some(Shim { real, table, pin: env::var("KEYKIT_SHIM_PIN").unwrap_or_default().into_bytes(), _library: library })
}

/// Calls a function of SoftHSM, or says that it has none.
macro_rules! real {
    ($shim:expr, $name:ident ( $($argument:expr),* $(,)? )) => {
        match $shim.real.$name {
            // SAFETY: the pointer comes from SoftHSM's own table and the library stays loaded. The arguments are the caller's,
            // who vouches for them under PKCS#11, or point to live locals.
            Some(function) => unsafe { function($($argument),*) },
            None => CKR_FUNCTION_NOT_SUPPORTED,
        }
    };
}

mod rsa_aes;

/// The shim's own function table.
///
/// # Safety
/// `list` must be null or point to a pointer that may be written, as PKCS#11 §5.4 says.
// SAFETY: PKCS#11 reserves this name for the module's entry point, and nothing else here defines it.
#[unsafe(no_mangle)]
unsafe extern "C" fn C_GetFunctionList(list: *mut CK_FUNCTION_LIST_PTR) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    if list.is_null() {
        return CKR_ARGUMENTS_BAD;
    }
    // SAFETY: not null, and the caller's to be written to. Nobody writes through the pointer given: PKCS#11 forbids it.
    unsafe { list.write(std::ptr::from_ref(&shim.table).cast_mut()) };
    CKR_OK
}

unsafe extern "C" fn get_info(info: *mut CK_INFO) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    let code = real!(shim, C_GetInfo(info));
    if code == CKR_OK {
        // SAFETY: SoftHSM just wrote to it.
        let info = unsafe { &mut *info };
        set_text(&mut info.manufacturerID, MANUFACTURER);
        set_text(&mut info.libraryDescription, "keykit nShield test shim");
    }
    code
}

/// Only initialised tokens: SoftHSM always has one slot more.
unsafe extern "C" fn get_slot_list(_present: CK_BBOOL, slots: *mut CK_SLOT_ID, count: *mut CK_ULONG) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    let mut number: CK_ULONG = 0;
    let code = real!(shim, C_GetSlotList(CK_FALSE, std::ptr::null_mut(), &raw mut number));
    if code != CKR_OK || count.is_null() {
        return if count.is_null() { CKR_ARGUMENTS_BAD } else { code };
    }
    let mut all: Vec<CK_SLOT_ID> = vec![0; usize::try_from(number).unwrap_or_default()];
    let code = real!(shim, C_GetSlotList(CK_FALSE, all.as_mut_ptr(), &raw mut number));
    if code != CKR_OK {
        return code;
    }
    all.retain(|&slot| shim.token_info(slot).is_ok_and(|token| token.flags & CKF_TOKEN_INITIALIZED != 0));
    let found = all.len() as CK_ULONG;
    // SAFETY: not null, and the caller's to be read and written.
    let room = unsafe { count.replace(found) };
    if slots.is_null() {
        return CKR_OK;
    }
    if room < found {
        return CKR_BUFFER_TOO_SMALL;
    }
    // SAFETY: the caller says that there is room for `room` entries, which is enough.
    unsafe { std::ptr::copy_nonoverlapping(all.as_ptr(), slots, all.len()) };
    CKR_OK
}

unsafe extern "C" fn get_slot_info(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    let code = real!(shim, C_GetSlotInfo(slot, info));
    if code != CKR_OK {
        return code;
    }
    let shown = match shim.shown(slot) {
        Ok(shown) => shown,
        Err(code) => return code,
    };
    // SAFETY: SoftHSM just wrote to it.
    let info = unsafe { &mut *info };
    set_text(&mut info.slotDescription, &format!("nShield test shim {slot}"));
    set_text(&mut info.manufacturerID, MANUFACTURER);
    info.flags = CKF_TOKEN_PRESENT | CKF_HW_SLOT | if shown.kind == TokenKind::CardSet { CKF_REMOVABLE_DEVICE } else { 0 };
    CKR_OK
}

unsafe extern "C" fn get_token_info(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) -> CK_RV {
    const KEPT: CK_FLAGS = CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED;
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    let code = real!(shim, C_GetTokenInfo(slot, info));
    if code != CKR_OK {
        return code;
    }
    let shown = match shim.shown(slot) {
        Ok(shown) => shown,
        Err(code) => return code,
    };
    // SAFETY: SoftHSM just wrote to it.
    let info = unsafe { &mut *info };
    set_text(&mut info.label, &shown.label);
    set_text(&mut info.manufacturerID, MANUFACTURER);
    set_text(&mut info.model, "");
    // The start of a card set's hash; for the module alone its electronic serial number.
    let serial = shown.token_hash().map_or_else(|| "5F08-02E0-D947".to_owned(), |hash| hash.chars().take(16).collect());
    set_text(&mut info.serialNumber, &serial);
    (info.hardwareVersion.major, info.hardwareVersion.minor) = (9, 99);
    (info.firmwareVersion.major, info.firmwareVersion.minor) = (12, 50);
    info.flags = CKF_RNG
        | CKF_DUAL_CRYPTO_OPERATIONS
        | match (shown.kind, shown.label.as_str()) {
            (TokenKind::Accelerator, "accelerator") => 0,
            (TokenKind::Accelerator, _) => CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED,
            _ => CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED | (info.flags & KEPT),
        };
    CKR_OK
}

/// On accelerator tokens the shim logs in by itself: their keys can be used at once.
unsafe extern "C" fn open_session(
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    application: *mut std::ffi::c_void,
    notify: CK_NOTIFY,
    session: *mut CK_SESSION_HANDLE,
) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    let code = real!(shim, C_OpenSession(slot, flags, application, notify, session));
    if code != CKR_OK || !shim.shown(slot).is_ok_and(|shown| shown.kind == TokenKind::Accelerator) {
        return code;
    }
    // SAFETY: SoftHSM just wrote to it.
    let opened = unsafe { *session };
    let pin = shim.pin.as_ptr().cast_mut();
    match real!(shim, C_Login(opened, CKU_USER, pin, shim.pin.len() as CK_ULONG)) {
        CKR_OK | CKR_USER_ALREADY_LOGGED_IN => CKR_OK,
        _ => {
            // What it says no longer matters.
            let _ignored: CK_RV = real!(shim, C_CloseSession(opened));
            CKR_DEVICE_ERROR
        }
    }
}

unsafe extern "C" fn login(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: *mut CK_BYTE, length: CK_ULONG) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    match shim.shown_of_session(session) {
        Ok(shown) if shown.kind == TokenKind::Accelerator => CKR_USER_TYPE_INVALID,
        Ok(_) => real!(shim, C_Login(session, user, pin, length)),
        Err(code) => code,
    }
}

unsafe extern "C" fn logout(session: CK_SESSION_HANDLE) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    match shim.shown_of_session(session) {
        Ok(shown) if shown.kind == TokenKind::Accelerator => CKR_USER_NOT_LOGGED_IN,
        Ok(_) => real!(shim, C_Logout(session)),
        Err(code) => code,
    }
}

unsafe extern "C" fn create_object(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut CK_OBJECT_HANDLE) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    shim.with_template(session, template, count, |template, count| real!(shim, C_CreateObject(session, template, count, object)))
}

unsafe extern "C" fn generate_key(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    key: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    shim.with_template(session, template, count, |template, count| real!(shim, C_GenerateKey(session, mechanism, template, count, key)))
}

unsafe extern "C" fn generate_key_pair(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    public_template: *mut CK_ATTRIBUTE,
    public_count: CK_ULONG,
    private_template: *mut CK_ATTRIBUTE,
    private_count: CK_ULONG,
    public: *mut CK_OBJECT_HANDLE,
    private: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    shim.with_template(session, private_template, private_count, |private_template, private_count| {
        real!(shim, C_GenerateKeyPair(session, mechanism, public_template, public_count, private_template, private_count, public, private))
    })
}

unsafe extern "C" fn unwrap_key(
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    unwrapping_key: CK_OBJECT_HANDLE,
    wrapped: *mut CK_BYTE,
    wrapped_length: CK_ULONG,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    key: *mut CK_OBJECT_HANDLE,
) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    shim.with_template(session, template, count, |template, count| {
        real!(shim, C_UnwrapKey(session, mechanism, unwrapping_key, wrapped, wrapped_length, template, count, key))
    })
}

/// The attributes of SoftHSM are SoftHSM's to answer, those of nShield are answered here.
unsafe extern "C" fn get_attribute_value(
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    let Some(shim) = shim() else { return CKR_GENERAL_ERROR };
    let Ok(length) = usize::try_from(count) else { return CKR_ARGUMENTS_BAD };
    if template.is_null() || length == 0 {
        return real!(shim, C_GetAttributeValue(session, object, template, count));
    }
    // SAFETY: not null, and the caller says that it has `count` attributes, which are the caller's to be written to.
    let attributes = unsafe { std::slice::from_raw_parts_mut(template, length) };
    let mut others: Vec<CK_ATTRIBUTE> = attributes.iter().filter(|attribute| !is_vendor(attribute)).copied().collect();
    let mut worst = CKR_OK;
    if !others.is_empty() {
        worst = real!(shim, C_GetAttributeValue(session, object, others.as_mut_ptr(), others.len() as CK_ULONG));
    }
    let mut answered = others.into_iter();
    let facts = attributes.iter().any(is_vendor).then(|| shim.key_facts(session, object)).flatten();
    for attribute in attributes {
        if !is_vendor(attribute) {
            if let Some(other) = answered.next() {
                *attribute = other;
            }
            continue;
        }
        let code = match facts.as_ref().map(|facts| facts.value_of(attribute)) {
            // SAFETY: the caller says that a pointer that is not null has room for `ulValueLen` bytes.
            Some(value) => unsafe { answer(attribute, &value) },
            None => {
                attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                CKR_ATTRIBUTE_TYPE_INVALID
            }
        };
        if worst == CKR_OK {
            worst = code;
        }
    }
    worst
}

/// What the nShield attributes of a private key are made from.
struct KeyFacts {
    shown: ShownToken,
    modulus: Vec<u8>,
}

impl KeyFacts {
    fn value_of(&self, attribute: &CK_ATTRIBUTE) -> Vec<u8> {
        match attribute.type_ {
            identity::CKA_NFKM_APPNAME => APP.as_bytes().to_vec(),
            identity::CKA_NFKM_ID => self.shown.key_ident(&self.modulus).into_bytes(),
            _ => identity::key_hash(&self.modulus).to_vec(),
        }
    }
}

fn is_vendor(attribute: &CK_ATTRIBUTE) -> bool {
    [identity::CKA_NFKM_APPNAME, identity::CKA_NFKM_ID, identity::CKA_NFKM_HASH].contains(&attribute.type_)
}

/// # Safety
/// The attribute's pointer must be null or have room for `ulValueLen` bytes.
unsafe fn answer(attribute: &mut CK_ATTRIBUTE, value: &[u8]) -> CK_RV {
    let (room, length) = (attribute.ulValueLen, value.len() as CK_ULONG);
    attribute.ulValueLen = length;
    if attribute.pValue.is_null() {
        return CKR_OK;
    }
    if room < length {
        attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_BUFFER_TOO_SMALL;
    }
    // SAFETY: not null, and there is room, as the caller vouches.
    unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), attribute.pValue.cast::<u8>(), value.len()) };
    CKR_OK
}

impl Shim {
    fn token_info(&self, slot: CK_SLOT_ID) -> Result<CK_TOKEN_INFO, CK_RV> {
        let mut info = CK_TOKEN_INFO::default();
        match real!(self, C_GetTokenInfo(slot, &raw mut info)) {
            CKR_OK => Ok(info),
            code => Err(code),
        }
    }

    fn shown(&self, slot: CK_SLOT_ID) -> Result<ShownToken, CK_RV> {
        Ok(ShownToken::of_label(String::from_utf8_lossy(&self.token_info(slot)?.label).trim_end()))
    }

    fn shown_of_session(&self, session: CK_SESSION_HANDLE) -> Result<ShownToken, CK_RV> {
        let mut info = CK_SESSION_INFO::default();
        match real!(self, C_GetSessionInfo(session, &raw mut info)) {
            CKR_OK => self.shown(info.slotID),
            code => Err(code),
        }
    }

    /// `None` for what is no RSA private key.
    fn key_facts(&self, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> Option<KeyFacts> {
        let class = self.attribute(session, object, CKA_CLASS)?;
        let class = CK_OBJECT_CLASS::from_ne_bytes(class.try_into().ok()?);
        let modulus = self.attribute(session, object, CKA_MODULUS)?;
        (class == CKO_PRIVATE_KEY).then_some(KeyFacts { shown: self.shown_of_session(session).ok()?, modulus })
    }

    fn attribute(&self, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, kind: CK_ULONG) -> Option<Vec<u8>> {
        // The modulus of 8192 bits has 1024 bytes.
        let mut value = vec![0_u8; 2048];
        let mut attribute = CK_ATTRIBUTE { type_: kind, pValue: value.as_mut_ptr().cast(), ulValueLen: value.len() as CK_ULONG };
        if real!(self, C_GetAttributeValue(session, object, &raw mut attribute, 1)) != CKR_OK {
            return None;
        }
        value.truncate(usize::try_from(attribute.ulValueLen).ok()?);
        Some(value)
    }

    /// On accelerator tokens new objects are not private, and one that is to be is refused.
    fn with_template(
        &self,
        session: CK_SESSION_HANDLE,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        call: impl FnOnce(*mut CK_ATTRIBUTE, CK_ULONG) -> CK_RV,
    ) -> CK_RV {
        match self.shown_of_session(session) {
            Ok(shown) if shown.kind == TokenKind::Accelerator => {}
            Ok(_) => return call(template, count),
            Err(code) => return code,
        }
        let Ok(length) = usize::try_from(count) else { return CKR_ARGUMENTS_BAD };
        // SAFETY: the caller says that a template that is not null has `count` attributes.
        let given = if template.is_null() { &[][..] } else { unsafe { std::slice::from_raw_parts(template, length) } };
        let mut attributes = given.to_vec();
        let private = attributes.iter().find(|attribute| attribute.type_ == CKA_PRIVATE && attribute.ulValueLen == 1 && !attribute.pValue.is_null());
        let mut no = CK_FALSE;
        match private {
            // SAFETY: not null, and the caller says that one byte is there.
            Some(private) if unsafe { *private.pValue.cast::<CK_BBOOL>() } != CK_FALSE => return CKR_TEMPLATE_INCONSISTENT,
            Some(_) => {}
            None => attributes.push(CK_ATTRIBUTE { type_: CKA_PRIVATE, pValue: (&raw mut no).cast(), ulValueLen: 1 }),
        }
        call(attributes.as_mut_ptr(), attributes.len() as CK_ULONG)
    }
}

/// Fills a text of fixed length, padded with blanks.
fn set_text(field: &mut [u8], text: &str) {
    field.fill(b' ');
    field.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
}
