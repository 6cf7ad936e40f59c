//! Loaded modules, one per path and process, and the logins on their tokens.
//!
//! C_Initialize and C_Login are per process, not per store: so both are kept here, and counted. A module is never
//! finalised; the end of the process does that.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Info, Pkcs11};
use cryptoki::error::RvError;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use keykit::secret::{Password, SecretBytes};
use keykit::{Error, Result};

use super::error::CallError;
use super::sys::Functions;

/// A module that is loaded and initialised.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) context: Pkcs11,
    pub(super) functions: Functions,
    pub(super) information: Info,
    logins: Mutex<HashMap<u64, Login>>,
}

/// A login on one token, shared by the stores on it.
#[derive(Debug)]
struct Login {
    /// The session that holds the login: a token logs out when the last session closes.
    anchor: Session,
    /// `None` for a PIN that was typed at the token itself.
    pin: Option<SecretBytes>,
    stores: usize,
}

/// A store's share of a login. Dropping the last one logs out.
#[derive(Debug)]
pub(super) struct LoginGuard {
    module: Arc<Module>,
    slot: Slot,
}

static MODULES: Mutex<Option<HashMap<PathBuf, Arc<Module>>>> = Mutex::new(None);

impl Module {
    /// The module at `path`, loaded and initialised at the first use.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such file; [`Error::Token`] if it cannot be loaded or initialised.
    pub(super) fn load(path: &Path) -> Result<Arc<Self>> {
        // A bare name is searched for by the system's loader; a path must exist.
        let key = match path.canonicalize() {
            Ok(whole) => whole,
            Err(_) if path.components().count() == 1 => path.to_owned(),
            Err(error) => {
                return Err(Error::NotFound {
                    what: format!("no PKCS#11 module at {}: {error}", path.display()),
                    hint: Some("check `module-path` in the store's URI".into()),
                });
            }
        };
        let mut guard = lock(&MODULES);
        let modules = guard.get_or_insert_default();
        if let Some(module) = modules.get(&key) {
            return Ok(Arc::clone(module));
        }
        let module = Self::initialise(&key).map_err(|error| {
            error
                .into_error(&path.display().to_string(), "load the PKCS#11 module")
                .with_hint("`module-path` must name the PKCS#11 library of the token's vendor, and its own configuration must be readable")
        })?;
        let module = Arc::new(module);
        modules.insert(key, Arc::clone(&module));
        Ok(module)
    }

    fn initialise(path: &Path) -> Result<Self, CallError> {
        let context = Pkcs11::new(path)?;
        let functions = Functions::load(path)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(CallError::from) {
            Ok(()) => {}
            // Another part of the process did it; that is as good.
            Err(error) if error.code() == Some(RvError::CryptokiAlreadyInitialized) => {}
            Err(error) => return Err(error),
        }
        let information = context.get_library_info()?;
        Ok(Self { context, functions, information, logins: Mutex::default() })
    }

    /// Logs in, or joins the login that another store of this process made with the same PIN.
    ///
    /// # Errors
    /// [`Error::WrongPin`]; [`Error::Usage`] if a PIN is needed and there is none; [`Error::Token`].
    pub(super) fn log_in(self: &Arc<Self>, slot: Slot, token: &TokenInfo, pin: Option<&Password>, store: &str) -> Result<LoginGuard> {
        let doing = "log in";
        if pin.is_none() && !token.protected_authentication_path() {
            return Err(
                Error::usage(format!("{store} needs a PIN")).with_hint("name where the PIN comes from: `pin-source=prompt`, `fd:N`, `file:PATH`, …")
            );
        }
        let mut logins = lock(&self.logins);
        if let Some(login) = logins.get_mut(&slot.id()) {
            let same = match (&login.pin, pin) {
                (Some(known), Some(given)) => *known == SecretBytes::copy_of(given.expose().as_bytes()),
                (None, None) => true,
                _ => false,
            };
            if !same {
                let tries = "this process is logged in already, with another PIN; the token was not asked".to_owned();
                return Err(Error::WrongPin { store: store.to_owned(), tries });
            }
            login.stores += 1;
            return Ok(LoginGuard { module: Arc::clone(self), slot });
        }
        let anchor = self.context.open_rw_session(slot).map_err(|error| CallError::from(error).into_error(store, "open a session"))?;
        let secret = pin.map(|pin| AuthPin::new(pin.expose().into()));
        anchor.login(UserType::User, secret.as_ref()).map_err(|error| self.login_error(CallError::from(error), slot, store, doing))?;
        let pin = pin.map(|pin| SecretBytes::copy_of(pin.expose().as_bytes()));
        logins.insert(slot.id(), Login { anchor, pin, stores: 1 });
        Ok(LoginGuard { module: Arc::clone(self), slot })
    }

    /// What a failed login means. It is never tried again.
    fn login_error(&self, error: CallError, slot: Slot, store: &str, doing: &str) -> Error {
        let wrong = |tries: &str| Error::WrongPin { store: store.to_owned(), tries: tries.to_owned() };
        match error.code() {
            Some(RvError::PinLocked) => wrong(TRIES_LOCKED),
            Some(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange) => match self.context.get_token_info(slot) {
                Ok(token) => wrong(tries_left(token.user_pin_locked(), token.user_pin_final_try(), token.user_pin_count_low())),
                Err(_) => wrong(TRIES_UNKNOWN),
            },
            Some(RvError::UserPinNotInitialized) => error.into_error(store, doing).with_hint("the security officer must set the user's PIN first"),
            Some(RvError::PinExpired) => error.into_error(store, doing).with_hint("the PIN has expired: change it with the token's own tool"),
            Some(RvError::UserAlreadyLoggedIn | RvError::UserAnotherAlreadyLoggedIn) => {
                error.into_error(store, doing).with_hint("another part of this process holds a login that keykit did not make")
            }
            _ => error.into_error(store, doing),
        }
    }
}

impl Drop for LoginGuard {
    fn drop(&mut self) {
        let mut logins = lock(&self.module.logins);
        let Some(login) = logins.get_mut(&self.slot.id()) else { return };
        login.stores = login.stores.saturating_sub(1);
        if login.stores == 0
            && let Some(login) = logins.remove(&self.slot.id())
        {
            // A token that is gone cannot be logged out of.
            drop(login.anchor.logout());
        }
    }
}

const TRIES_LOCKED: &str = "the PIN is locked; the security officer must set a new one";
const TRIES_UNKNOWN: &str = "the token does not say how many tries are left";

/// The token's flags in words (CKF_USER_PIN_LOCKED, _FINAL_TRY, _COUNT_LOW).
fn tries_left(locked: bool, final_try: bool, count_low: bool) -> &'static str {
    match (locked, final_try, count_low) {
        (true, _, _) => TRIES_LOCKED,
        (_, true, _) => "one try is left before the token locks itself",
        (_, _, true) => "wrong PINs were entered since the last login; the token does not say how many tries are left",
        _ => TRIES_UNKNOWN,
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_flag_is_told() {
        assert_eq!(tries_left(true, true, true), TRIES_LOCKED);
        assert!(tries_left(false, true, true).starts_with("one try"));
        assert!(tries_left(false, false, true).contains("wrong PINs"));
        assert_eq!(tries_left(false, false, false), TRIES_UNKNOWN);
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(matches!(Module::load(Path::new("/nonexistent/module.so")), Err(Error::NotFound { .. })));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Module::load(file.path()), Err(Error::Token(_))));
    }
}
