//! How a key is protected: evidence from the tools of HSM vendors.
//!
//! [`keykit::store::protection`] says what evidence is and weighs it; [`keykit::migration::rules`] asks for it. This module
//! reads it.

pub mod nshield;
