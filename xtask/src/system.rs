//! What the tests need from the system, and how to get it.
//!
//! A C compiler builds the zstd library; RocksDB needs a C++ compiler and libclang besides, and the
//! PostgreSQL sink a server. Where `apt-get` is at hand and we may use it, what is missing is
//! installed; elsewhere the exact command is printed.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::step::{Step, works};

/// Something that must be here.
pub(crate) struct Need {
    /// What people call it.
    name: &'static str,
    is_met: fn() -> bool,
    /// The Debian packages that hold it.
    packages: &'static [&'static str],
}

/// What builds C libraries; `CC` names another one.
pub(crate) const C_COMPILER: Need = Need {
    name: "cc",
    is_met: || {
        env::var_os("CC").is_some_and(|program| works(program, &["--version"]))
            || works("cc", &["--version"])
    },
    packages: &["gcc", "libc6-dev"],
};

/// What RocksDB is built with; `LIBCLANG_PATH` names the folder of another libclang.
pub(crate) const LIBCLANG: Need = Need {
    name: "c++ and libclang",
    is_met: || {
        let found = || {
            Path::new("/usr/lib").read_dir().is_ok_and(|mut entries| {
                entries.any(|entry| {
                    entry
                        .is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("llvm-"))
                })
            })
        };
        works("c++", &["--version"]) && (env::var_os("LIBCLANG_PATH").is_some() || found())
    },
    packages: &["g++", "libclang1-14", "libclang-common-14-dev"],
};

/// A PostgreSQL server; `HIGHWATER_POSTGRES_BIN` names the folder of its programs.
pub(crate) const POSTGRES: Need = Need {
    name: "postgresql",
    is_met: || {
        let installed = || {
            Path::new("/usr/lib/postgresql").read_dir().is_ok_and(|mut versions| {
                versions.any(|version| {
                    version.is_ok_and(|version| version.path().join("bin/initdb").exists())
                })
            })
        };
        env::var_os("HIGHWATER_POSTGRES_BIN").is_some() || installed()
    },
    packages: &["postgresql"],
};

/// Installs what is missing.
///
/// # Errors
/// When something is missing and we may not install it.
pub(crate) fn provide(needs: &[Need]) -> Result<(), Error> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.is_met)()).collect();
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
    let programs: Vec<&str> = missing.iter().map(|need| need.name).collect();
    let command = format!("sudo apt-get {}", install.join(" "));
    Err(Error::Missing { programs: programs.join(", "), command })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| String::from_utf8_lossy(&id.stdout).trim() == "0")
}
