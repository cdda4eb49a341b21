//! What the tests need from the system, and how to get it.
//!
//! The only need so far is a C compiler, which builds the zstd library. Where `apt-get` is at hand
//! and we may use it, what is missing is installed; elsewhere the exact command is printed.

use std::env;
use std::process::Command;

use crate::error::Error;
use crate::step::{Step, works};

/// A program that must be here.
struct Need {
    /// The variable of the environment by which users choose another one.
    variable: &'static str,
    /// The program.
    program: &'static str,
    /// The Debian packages that hold it.
    packages: &'static [&'static str],
}

const NEEDS: &[Need] = &[Need { variable: "CC", program: "cc", packages: &["gcc", "libc6-dev"] }];

impl Need {
    fn is_met(&self) -> bool {
        env::var_os(self.variable).is_some_and(|program| works(program, &["--version"]))
            || works(self.program, &["--version"])
    }
}

/// Installs what is missing.
///
/// # Errors
/// When something is missing and we may not install it.
pub(crate) fn provide() -> Result<(), Error> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !need.is_met()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.iter().flat_map(|need| need.packages.iter().copied());
    let install: Vec<&str> = ["install", "--yes"].into_iter().chain(packages).collect();
    let apt_get = works("apt-get", &["--version"]);
    if apt_get && is_root() {
        Step::new("apt-get").args(["update"]).run()?;
        return Step::new("apt-get").args(install).run();
    }
    if apt_get && works("sudo", &["-n", "true"]) {
        Step::new("sudo").args(["-n", "apt-get", "update"]).run()?;
        return Step::new("sudo").args(["-n", "apt-get"]).args(install).run();
    }
    let programs: Vec<&str> = missing.iter().map(|need| need.program).collect();
    let command = format!("sudo apt-get {}", install.join(" "));
    Err(Error::Missing { programs: programs.join(", "), command })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| String::from_utf8_lossy(&id.stdout).trim() == "0")
}
