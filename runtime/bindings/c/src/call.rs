//! Shared by all entry points: pointers are checked before use, panics do not cross the border, and the last error is kept
//! for each thread.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{self, AssertUnwindSafe};

use onemark_film::FilmError;
use onemark_runtime::{Chain, RuntimeError};

use crate::types::OnemarkStatus;

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// A pointer, a size or a string of the caller is wrong.
    #[error("{0}")]
    Argument(String),
    /// The film can't be read.
    #[error(transparent)]
    Film(#[from] FilmError),
    /// The bundle, the backend or the run failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A defect of Onemark.
    #[error("an error inside Onemark, please report it: {0}")]
    Internal(String),
}

impl CallError {
    fn status(&self) -> OnemarkStatus {
        use RuntimeError as R;
        match self {
            Self::Argument(_) | Self::Runtime(R::UnknownBackend { .. } | R::UnknownDecoding { .. }) => {
                OnemarkStatus::Argument
            }
            Self::Film(_) | Self::Runtime(R::Film(_)) => OnemarkStatus::Film,
            Self::Runtime(R::Bundle(_) | R::Graph { .. }) => OnemarkStatus::Bundle,
            Self::Runtime(R::NotCompiled { .. } | R::Library { .. } | R::Cuda { .. }) => OnemarkStatus::Backend,
            Self::Runtime(_) => OnemarkStatus::Run,
            Self::Internal(_) => OnemarkStatus::Internal,
        }
    }
}

/// Does the work of an entry point. An error or a panic becomes a status and the thread's last error.
pub(crate) fn call(work: impl FnOnce() -> Result<(), CallError>) -> OnemarkStatus {
    // Unwind safety: runs do not change the detector, and anything that a panic leaves unfinished is dropped.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    match result.unwrap_or_else(|panic| Err(CallError::Internal(message(panic.as_ref())))) {
        Ok(()) => OnemarkStatus::Ok,
        Err(error) => {
            LAST_ERROR.set(c_string(&Chain(&error).to_string()));
            error.status()
        }
    }
}

/// The message of the thread's last call that failed; empty if none has failed. Valid until the thread's next call.
pub(crate) fn last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|message| message.as_ptr())
}

/// A string for C, cut at the first zero.
pub(crate) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{FFFD}")).unwrap_or_default()
}

/// The value that a pointer points to.
///
/// # Safety
/// The pointer is null or points to a `T` that does not change while the reference lives.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, CallError> {
    // SAFETY: promised by the caller.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(what))
}

/// The place for a result.
///
/// # Safety
/// The pointer is null or points to a `T` that nothing else uses while the reference lives.
pub(crate) unsafe fn target<'a, T>(pointer: *mut T, what: &str) -> Result<&'a mut T, CallError> {
    // SAFETY: promised by the caller.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(what))
}

/// A string of the caller.
///
/// # Safety
/// The pointer is null, or the string ends with a zero and does not change while the reference lives.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, CallError> {
    if pointer.is_null() {
        return Err(null(what));
    }
    // SAFETY: promised by the caller.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| CallError::Argument(format!("{what} is not UTF-8: {}", text.to_string_lossy())))
}

/// Checks that the caller's header and this library agree on the size of a struct. If a later version adds fields, it must
/// also accept the earlier sizes here.
pub(crate) fn validate_size<T>(size: usize, what: &str) -> Result<(), CallError> {
    let known = size_of::<T>();
    if size == known {
        return Ok(());
    }
    Err(CallError::Argument(format!(
        "{what}.size is {size} where this library has {known}: set it to sizeof({what}), and compile with the library's own \
         onemark.h"
    )))
}

fn null(what: &str) -> CallError {
    CallError::Argument(format!("{what} is NULL"))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(call(|| panic!("no {}", "luck")), OnemarkStatus::Internal);
        // SAFETY: the thread makes no other call meanwhile.
        let said = unsafe { CStr::from_ptr(last_error()) };
        assert_eq!(said.to_str(), Ok("an error inside Onemark, please report it: no luck"));
    }
}
