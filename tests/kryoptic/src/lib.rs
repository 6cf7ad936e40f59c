//! The kryoptic software token as a PKCS#11 module.
//!
//! `kryoptic-lib` is published as a Rust library, without the module that applications load. This crate is that module:
//! the three entry points a PKCS#11 client looks up by name, each handed on as it is.

#![warn(missing_docs)]

use kryoptic_lib::fns::general::{fn_get_function_list, fn_get_interface, fn_get_interface_list};
use kryoptic_lib::pkcs11::{
    CK_FLAGS, CK_FUNCTION_LIST_PTR_PTR, CK_INTERFACE_PTR, CK_INTERFACE_PTR_PTR, CK_RV, CK_ULONG_PTR, CK_UTF8CHAR_PTR, CK_VERSION_PTR,
};

// SAFETY (all three): PKCS#11 reserves these names for the module's entry points, and nothing else here defines them.
// The pointers go to kryoptic unread.

/// The function list of PKCS#11 2.40.
#[unsafe(no_mangle)]
pub extern "C" fn C_GetFunctionList(list: CK_FUNCTION_LIST_PTR_PTR) -> CK_RV {
    fn_get_function_list(list)
}

/// All interfaces of the module (PKCS#11 3.0 and later).
#[unsafe(no_mangle)]
pub extern "C" fn C_GetInterfaceList(interfaces: CK_INTERFACE_PTR, count: CK_ULONG_PTR) -> CK_RV {
    fn_get_interface_list(interfaces, count)
}

/// One interface by its name and version (PKCS#11 3.0 and later).
#[unsafe(no_mangle)]
pub extern "C" fn C_GetInterface(name: CK_UTF8CHAR_PTR, version: CK_VERSION_PTR, interface: CK_INTERFACE_PTR_PTR, flags: CK_FLAGS) -> CK_RV {
    fn_get_interface(name, version, interface, flags)
}
