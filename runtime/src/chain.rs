//! An error and its causes in one line.

use std::error::Error;
use std::fmt;

/// Displays an error and its causes, joined by ": ".
///
/// ```
/// use onemark_runtime::{Chain, Detector, Options};
///
/// let error = Detector::open("nowhere.onemark", Options::default()).err().ok_or("opened")?;
/// assert!(Chain(&error).to_string().contains("nowhere.onemark"));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
