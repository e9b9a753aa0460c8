//! How large the files are that are read.

/// The largest file of a signature that is read, in bytes: twice that of a bundle with as many files as are allowed.
pub const LARGEST_SIGNATURE: u64 = 1 << 20;
/// The largest file of a key that is read, in bytes: a hundred times the usual size.
pub const LARGEST_KEY: u64 = 1 << 16;
