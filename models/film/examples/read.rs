//! Reads films and prints what they are, or why they are refused:
//!
//!     cargo run -p onemark-film --example read --all-features -- FILM...

use std::error::Error as _;
use std::process::ExitCode;

use onemark_film::Film;

fn main() -> ExitCode {
    let mut refused = 0;
    for path in std::env::args_os().skip(1) {
        let path = std::path::PathBuf::from(path);
        match Film::open(&path) {
            Ok(film) => {
                let spacing = film.spacing().map_or("no spacing".to_owned(), |spacing| {
                    format!("{} x {} mm per px by {}", spacing.x(), spacing.y(), spacing.source())
                });
                let mean = film.grey().iter().map(|grey| f64::from(*grey)).sum::<f64>() / film.grey().len() as f64;
                println!("{}: {} px, {spacing}, mean grey {mean:.1}", path.display(), film.size());
                for warning in film.warnings() {
                    println!("  warning: {warning}");
                }
            }
            Err(error) => {
                refused += 1;
                println!("error: {error}");
                if let Some(cause) = error.source() {
                    println!("  {cause}");
                }
            }
        }
    }
    if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
