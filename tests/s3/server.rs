//! A server that speaks the protocol of S3, in the process of the tests, on a folder of this machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use highwater::checkpoint::Storage;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

const KEY: &str = "AKEXAMPLE";
pub(crate) const SECRET: &str = "not-a-secret";

/// A server with one bucket, named `bucket`; it ends when it is dropped.
pub(crate) struct Server {
    folder: TempDir,
    address: SocketAddr,
    runtime: Runtime,
}

impl Server {
    /// Starts a server on a free port of this machine.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join("bucket")).expect("a folder");
        let files = s3s_fs::FileSystem::new(folder.path()).expect("a folder to serve");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let writing = Arc::new(Mutex::new(()));
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, writing) = (service.clone(), Arc::clone(&writing));
                let answer = move |request: Request<Incoming>| {
                    let (service, writing) = (service.clone(), Arc::clone(&writing));
                    async move {
                        // The server looks whether an object is there, and writes it later: a real
                        // one does both at once.
                        let writes = request.method() == Method::PUT;
                        let _turn = if writes { Some(writing.lock().await) } else { None };
                        service.call(request.map(Body::from)).await
                    }
                };
                tokio::spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    // Whoever is killed does not take its leave.
                    let _ = http.serve_connection(TokioIo::new(socket), service_fn(answer)).await;
                });
            }
        });
        Server { folder, address, runtime }
    }

    /// Waits for something that uses the server.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The storage of the job `one`.
    pub(crate) fn storage(&self) -> Storage {
        let store = AmazonS3Builder::new()
            .with_endpoint(format!("http://{}", self.address))
            .with_allow_http(true)
            .with_bucket_name("bucket")
            .with_region("us-east-1")
            .with_access_key_id(KEY)
            .with_secret_access_key(SECRET)
            .build();
        let store: Arc<dyn ObjectStore> = Arc::new(store.expect("a store"));
        Storage::of(store, "jobs/one").expect("a storage")
    }

    /// Where the server keeps an object of the job `one`.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.folder.path().join("bucket/jobs/one").join(path)
    }

    /// Lets a program find the server.
    pub(crate) fn known_to(&self, command: &mut Command, secret: &str) {
        let credentials = ["SESSION_TOKEN", "PROFILE", "ENDPOINT", "ENDPOINT_URL_S3", "ALLOW_HTTP"];
        credentials.iter().for_each(|name| {
            command.env_remove(format!("AWS_{name}"));
        });
        command.env("AWS_ENDPOINT_URL", format!("http://{}", self.address));
        command.env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", secret);
    }
}
