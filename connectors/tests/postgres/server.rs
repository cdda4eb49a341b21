//! A PostgreSQL server of the tests' own: in a temporary folder, reached through a Unix socket.
//!
//! The programs are looked for in the folder `HIGHWATER_POSTGRES_BIN`, or where Debian's packages
//! put them. PostgreSQL refuses to run as the almighty user, for whom it is started as `postgres`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use postgres::{Client, NoTls};

/// The server that is running, if some test has one.
static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());
static DATABASES: AtomicUsize = AtomicUsize::new(0);

/// A server, which stops when the last test lets go of it.
pub(crate) struct Server {
    programs: PathBuf,
    folder: tempfile::TempDir,
    user: Option<&'static str>,
}

/// An empty database on the server.
pub(crate) struct Database {
    /// What sinks are given to find it.
    pub(crate) address: String,
    _server: Arc<Server>,
}

impl Database {
    /// Makes a database; `None` if no server is installed, unless one must be.
    pub(crate) fn make() -> Option<Self> {
        let server = running()?;
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::SeqCst));
        let mut client = Client::connect(&server.address("postgres"), NoTls).unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        Some(Database { address: server.address(&name), _server: server })
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.address, NoTls).unwrap()
    }
}

fn running() -> Option<Arc<Server>> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = running.upgrade() {
        return Some(server);
    }
    let Some(programs) = programs() else {
        let must = std::env::var_os("HIGHWATER_POSTGRES").is_some_and(|must| must == "required");
        assert!(!must, "PostgreSQL is not installed (Debian: apt-get install postgresql)");
        eprintln!("skipped: PostgreSQL is not installed");
        return None;
    };
    let server = Arc::new(Server::start(programs));
    *running = Arc::downgrade(&server);
    Some(server)
}

/// Returns the folder with the programs of the newest version.
fn programs() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("HIGHWATER_POSTGRES_BIN") {
        return Some(folder.into());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    folders.filter(|folder| folder.join("initdb").exists()).max()
}

impl Server {
    fn start(programs: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = stdout(Command::new("id").arg("-u")) == "0";
        let server = Server { programs, folder, user: root.then_some("postgres") };
        let sockets = server.path("sockets");
        fs::create_dir(&sockets).unwrap();
        fs::create_dir(server.path("data")).unwrap();
        if let Some(user) = server.user {
            let id = stdout(Command::new("id").args(["-u", user])).parse().unwrap();
            fs::set_permissions(server.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
            for folder in [&sockets, &server.path("data")] {
                chown(folder, Some(id), None).unwrap();
            }
        }
        server.run("initdb", &["-U", "highwater", "-A", "trust", "--no-sync"]);
        let options = format!("-F -c listen_addresses='' -k {}", sockets.display());
        let log = sockets.join("log").display().to_string();
        server.run("pg_ctl", &["-w", "-l", &log, "-o", &options, "start"]);
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn address(&self, database: &str) -> String {
        format!("host={} user=highwater dbname={database}", self.path("sockets").display())
    }

    /// Runs one of the programs on the data of this server.
    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = match self.user {
            None => Command::new(&program),
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(&program);
                command
            }
        };
        command.arg("-D").arg(self.path("data")).args(arguments).current_dir("/");
        // Files and not pipes: the server outlives the program that starts it.
        let out = fs::File::create(self.path("out")).unwrap();
        let done = command.stdout(out.try_clone().unwrap()).stderr(out).status().unwrap();
        assert!(done.success(), "{}: {}", program.display(), self.said());
    }

    fn said(&self) -> String {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        read(&self.path("out")) + &read(&self.path("sockets").join("log"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.path("data").join("postmaster.pid").exists() {
            self.run("pg_ctl", &["-m", "immediate", "stop"]);
        }
    }
}

fn stdout(command: &mut Command) -> String {
    let out = command.output().unwrap().stdout;
    String::from_utf8(out).unwrap().trim().to_owned()
}
