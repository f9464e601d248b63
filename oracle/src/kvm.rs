//! An image under KVM.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod host;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod run;

use crate::image::Image;

/// Why an image cannot be run under KVM.
#[derive(Debug, thiserror::Error)]
pub enum KvmError {
    /// There is no KVM.
    #[error("comparison under KVM needs x86-64 Linux and /dev/kvm ({0}): skipped")]
    Unsupported(String),
    /// KVM refused something.
    #[error("cannot {what}: {why}")]
    Refused {
        /// What was to be done.
        what: &'static str,
        /// What KVM said.
        why: String,
    },
    /// A virtual CPU stopped for a reason that the image does not have.
    #[error("the image stopped: {0}")]
    Stopped(String),
    /// The image does not end.
    #[error("the image did not end within {0} s")]
    Endless(u64),
}

/// Runs `image` to its end: memory from [`crate::image::at::LOG`] to [`crate::image::at::END`].
///
/// # Errors
/// There is no KVM, or the image does not end as it should.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub fn run(image: &Image) -> Result<Vec<u8>, KvmError> {
    run::run(image)
}

/// Not on this host.
///
/// # Errors
/// Always.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub fn run(_image: &Image) -> Result<Vec<u8>, KvmError> {
    Err(KvmError::Unsupported("another host".to_owned()))
}

/// True if the host's processor virtualises in hardware. Without that KVM executes ring 0 in
/// software: a second opinion, with gaps of its own, not ground truth.
#[must_use]
pub fn in_hardware() -> bool {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = processors.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| line.split_whitespace().any(|flag| flag == "vmx" || flag == "svm"))
}
