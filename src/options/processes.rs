//! The options of jobs that run in several processes, on one host or many.
//!
//! ```text
//! host1$ my-job -n 2 -p 0 --hostfile hosts --secret-file secret
//! host2$ my-job -n 2 -p 1 --hostfile hosts --secret-file secret
//! ```

use std::path::{Path, PathBuf};

use clap::Args;
use highwater_core::error::{Error, Result};

/// The variable that holds the secret if no file does.
const VARIABLE: &str = "HIGHWATER_SECRET";
/// The least bytes of a secret.
const SECRET_BYTES_MIN: usize = 8;
/// The most processes of a job.
const PROCESSES_MAX: u64 = 1024;

/// The processes of a job: how many, which one this is, and where they are.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Process options")]
pub struct ProcessArgs {
    /// Processes of the job, each started by its own command; --workers is for each of them
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=PROCESSES_MAX))]
    pub processes: u64,

    /// Which of the processes this one is, from 0
    #[arg(short = 'p', long, value_name = "I", default_value_t = 0)]
    pub process: u64,

    /// Where the processes listen: a line host:port for each, the first for process 0
    #[arg(long, value_name = "FILE")]
    pub hostfile: Option<PathBuf>,

    /// What the processes prove to each other to know: the content of FILE, at least 8 bytes
    /// [default: the variable HIGHWATER_SECRET]
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

/// One process of a job that has several.
#[derive(Clone)]
pub struct Processes {
    /// Which one it is, from 0.
    pub index: usize,
    /// Where each of them listens, as `host:port`.
    pub addresses: Vec<String>,
    /// What they prove to each other to know.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for Processes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Processes")
            .field("index", &self.index)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl ProcessArgs {
    /// Returns the processes of the job, `None` if there is only this one.
    ///
    /// # Errors
    /// When an option has a value that is not allowed, or one is missing.
    pub fn processes(&self) -> Result<Option<Processes>> {
        if self.process >= self.processes {
            let expected = format!("0 to {} (below --processes)", self.processes - 1);
            return Err(Error::option("--process", self.process, expected));
        }
        if self.processes == 1 {
            return Ok(None);
        }
        let expected = "a file with a line host:port for each process";
        let Some(hosts) = &self.hostfile else {
            return Err(Error::option("--hostfile", "nothing", expected));
        };
        let addresses = addresses(hosts, self.processes as usize)?;
        let secret = match &self.secret_file {
            Some(path) => read(path)?,
            None => std::env::var(VARIABLE).unwrap_or_default(),
        };
        let secret = secret.trim().as_bytes().to_vec();
        if secret.len() < SECRET_BYTES_MIN {
            let expected = format!("{SECRET_BYTES_MIN} bytes or more, there or in {VARIABLE}");
            return Err(Error::option(
                "--secret-file",
                format!("{} bytes", secret.len()),
                expected,
            ));
        }
        Ok(Some(Processes { index: self.process as usize, addresses, secret }))
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|cause| Error::io("read", path, cause))
}

/// Reads the addresses of so many processes; empty lines and those that begin with # do not count.
fn addresses(path: &Path, processes: usize) -> Result<Vec<String>> {
    let text = read(path)?;
    let lines = text.lines().map(str::trim).enumerate();
    let mut addresses = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let is_address = line.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !is_address {
            let line_number = Some(number as u64 + 1);
            return Err(Error::input(path, line_number, format!("{line:?} is not host:port")));
        }
        addresses.push(line.to_owned());
    }
    if addresses.len() < processes {
        let found = format!("{} with {} addresses", path.display(), addresses.len());
        return Err(Error::option("--hostfile", found, format!("{processes} (--processes)")));
    }
    addresses.truncate(processes);
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(processes: u64, process: u64, hosts: &Path, secret: &Path) -> ProcessArgs {
        let (hostfile, secret_file) = (Some(hosts.to_owned()), Some(secret.to_owned()));
        ProcessArgs { processes, process, hostfile, secret_file }
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_what_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let (hosts, secret) = (folder.path().join("hosts"), folder.path().join("secret"));
        std::fs::write(&hosts, "# two of them\na:1\n\n  [::1]:65535 \n").expect("a file");
        std::fs::write(&secret, "swordfish\n").expect("a file");
        let two = args(2, 1, &hosts, &secret).processes().expect("allowed").expect("two");
        assert_eq!((two.index, two.addresses), (1, vec!["a:1".to_owned(), "[::1]:65535".into()]));
        assert_eq!(two.secret, b"swordfish");
        assert!(args(1, 0, &hosts, &secret).processes().expect("allowed").is_none());
        let refused = |args: ProcessArgs| {
            let error = args.processes().expect_err("must be refused");
            (error.exit_code(), error.sentence())
        };
        let (code, sentence) = refused(args(2, 2, &hosts, &secret));
        assert_eq!(code, 2);
        assert_eq!(
            sentence,
            "option --process: 2 is not allowed, expected 0 to 1 (below --processes)"
        );
        let (code, sentence) = refused(args(3, 0, &hosts, &secret));
        assert!(code == 2 && sentence.contains("2 addresses is not allowed, expected 3"));
        let (_, sentence) = refused(ProcessArgs { hostfile: None, ..args(2, 0, &hosts, &secret) });
        assert!(sentence.starts_with("option --hostfile"), "{sentence}");
        std::fs::write(&secret, "short").expect("a file");
        let (code, sentence) = refused(args(2, 0, &hosts, &secret));
        assert!(code == 2 && sentence.contains("5 bytes is not allowed, expected 8"), "{sentence}");
        std::fs::write(&hosts, "a:1\nb:0\n").expect("a file");
        let (_, sentence) = refused(args(2, 0, &hosts, &secret));
        assert!(sentence.ends_with("line 2: \"b:0\" is not host:port"), "{sentence}");
    }
}
