//! What sdr.h declares, safely.

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::ptr;

#[repr(C)]
struct Callbacks {
    progress: Option<unsafe extern "C" fn(*mut c_void, *const c_char)>,
    cancel: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    context: *mut c_void,
}

extern "C" {
    fn sdr_open(options: *const c_char, machine: *mut u64) -> c_int;
    fn sdr_close(machine: u64) -> c_int;
    fn sdr_precommit1(machine: u64, request: *const c_char, callbacks: *const Callbacks, result: *mut *mut c_char) -> c_int;
    fn sdr_version() -> *const c_char;
    fn sdr_last_error() -> *const c_char;
    fn sdr_free(result: *mut c_char);
}

/// Why a call failed: SDR_FAILED and so on, a text for people, and perhaps what became of each
/// sector.
#[derive(Debug)]
pub struct Error {
    pub code: i32,
    pub text: String,
    pub result: Option<String>,
}

/// Watches a job. It is called on the thread that made the call.
pub trait Watch {
    fn progress(&mut self, _json: &str) {}
    fn canceled(&mut self) -> bool {
        false
    }
}

// A panic in one of these ends the process: it must not unwind through C.
unsafe extern "C" fn progress<W: Watch>(context: *mut c_void, json: *const c_char) {
    (*context.cast::<W>()).progress(&CStr::from_ptr(json).to_string_lossy());
}

unsafe extern "C" fn cancel<W: Watch>(context: *mut c_void) -> c_int {
    (*context.cast::<W>()).canceled().into()
}

/// The library's version, as JSON.
pub fn version() -> String {
    unsafe { CStr::from_ptr(sdr_version()) }.to_string_lossy().into_owned()
}

/// A machine, which is closed when it is dropped.
pub struct Machine(u64);

impl Machine {
    pub fn open(options: &str) -> Result<Machine, Error> {
        let mut machine = 0;
        let code = unsafe { sdr_open(request(options)?.as_ptr(), &mut machine) };
        check(code, None)?;
        Ok(Machine(machine))
    }

    /// PreCommit phase 1 of sectors. Any number of threads may be in it at the same time.
    pub fn precommit1<W: Watch>(&self, sectors: &str, watch: &mut W) -> Result<String, Error> {
        let callbacks = Callbacks {
            progress: Some(progress::<W>),
            cancel: Some(cancel::<W>),
            context: ptr::from_mut(watch).cast(),
        };
        let mut result = ptr::null_mut();
        let code = unsafe { sdr_precommit1(self.0, request(sectors)?.as_ptr(), &callbacks, &mut result) };
        let json = (!result.is_null()).then(|| unsafe { CStr::from_ptr(result) }.to_string_lossy().into_owned());
        unsafe { sdr_free(result) };
        check(code, json).map(Option::unwrap_or_default)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        unsafe { sdr_close(self.0) };
    }
}

fn request(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|e| Error { code: 2, text: e.to_string(), result: None })
}

fn check(code: c_int, result: Option<String>) -> Result<Option<String>, Error> {
    match code {
        0 => Ok(result),
        _ => Err(Error { code, text: unsafe { CStr::from_ptr(sdr_last_error()) }.to_string_lossy().into_owned(), result }),
    }
}
