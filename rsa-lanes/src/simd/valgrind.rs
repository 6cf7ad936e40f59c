//! Client requests to valgrind's memcheck, for the constant-time test: a secret marked undefined must not reach a branch or an address.

use std::arch::asm;

/// `VG_USERREQ__MAKE_MEM_UNDEFINED` and `VG_USERREQ__MAKE_MEM_DEFINED` of memcheck.h: tool base "MC".
const UNDEFINED: u64 = 0x4d43_0001;
const DEFINED: u64 = 0x4d43_0002;
/// `VG_USERREQ__RUNNING_ON_VALGRIND` of valgrind.h.
const RUNNING: u64 = 0x1001;

fn request(code: u64, address: u64, length: u64) -> u64 {
    let arguments = [code, address, length, 0, 0, 0];
    let mut result = 0_u64;
    // SAFETY: the four rotations add up to 128, so they and the exchange do nothing on a processor. Valgrind knows the
    // sequence, reads the six words that rax points to, and changes rdx alone.
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            inout("rdx") result, in("rax") arguments.as_ptr(), inout("rdi") 0_u64 => _,
        );
    }
    result
}

/// Whether this process runs under valgrind.
#[must_use]
pub fn running() -> bool {
    request(RUNNING, 0, 0) != 0
}

/// Marks values as undefined for memcheck. They stay what they are.
pub fn mark_secret<T>(values: &mut [T]) {
    request(UNDEFINED, values.as_mut_ptr() as u64, size_of_val(values) as u64);
}

/// Marks values as public again.
pub fn mark_public<T>(values: &mut [T]) {
    request(DEFINED, values.as_mut_ptr() as u64, size_of_val(values) as u64);
}
