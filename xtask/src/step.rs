//! One program that a command runs, printed as one would type it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;

/// The root of the repository, in which every step runs.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Returns the path of a file or folder of the repository.
pub(crate) fn in_root(path: impl AsRef<Path>) -> PathBuf {
    root().join(path)
}

/// A program with its arguments.
pub(crate) struct Step {
    command: Command,
    typed: String,
}

impl Step {
    /// Returns a step that runs `program` in the root of the repository.
    pub(crate) fn new(program: &str) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root());
        Step { command, typed: program.to_owned() }
    }

    /// Returns a step of the cargo that runs us.
    pub(crate) fn cargo(subcommand: &str) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(root());
        Step { command, typed: "cargo".to_owned() }.args([subcommand])
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<str>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        for arg in args {
            let arg = arg.as_ref();
            self.typed.push(' ');
            self.typed.push_str(&quoted(arg));
            self.command.arg(arg);
        }
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.typed = format!("{name}={} {}", quoted(value), self.typed);
        self.command.env(name, value);
        self
    }

    /// Prints the command line, runs it and waits for its end.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        println!("\n$ {}", self.typed);
        let status = self.command.status();
        let status = status.map_err(|source| Error::Start { step: self.typed.clone(), source })?;
        if status.success() { Ok(()) } else { Err(Error::Failed { step: self.typed, status }) }
    }
}

/// Returns whether a program is here and ends well with these arguments; says nothing.
pub(crate) fn works(program: impl AsRef<OsStr>, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Returns the argument as a shell wants it.
fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        arg.to_owned()
    } else {
        format!("'{}'", arg.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_printed_as_one_would_type_it() {
        let step = Step::cargo("doc").args(["--no-deps", "it's"]).env("FLAGS", "-D warnings");
        assert_eq!(step.typed, r"FLAGS='-D warnings' cargo doc --no-deps 'it'\''s'");
    }

    #[test]
    #[cfg(unix)]
    fn the_exit_code_of_a_failed_step_is_passed_on() {
        let failed = Step::new("sh").args(["-c", "exit 7"]).run().expect_err("must fail");
        assert_eq!(failed.code(), 7);
        let absent = Step::new("no-such-program-here").run().expect_err("must not start");
        assert_eq!(absent.code(), 1);
    }
}
