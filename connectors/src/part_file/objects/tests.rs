//! What is visible in an object store, and when.
//!
//! They would catch objects that are shown twice, half or never when a commit is cut off, repeated
//! or refused by the store. The whole protocol on a store is in `part_file/model.rs`.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, PutMultipartOptions,
    PutOptions, PutPayload, PutResult,
};

use highwater_core::record::Record;
use highwater_core::sink::{Committable, Sink};
use highwater_core::time::Epoch;

use super::*;
use crate::format::json::{JsonLines, JsonSink};

/// A store that cannot copy without replacing, and fails to copy when told so.
#[derive(Debug, Default)]
struct Simple {
    objects: InMemory,
    fails: AtomicBool,
}

impl fmt::Display for Simple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simple")
    }
}

#[async_trait]
impl ObjectStore for Simple {
    async fn put_opts(
        &self,
        key: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult, StoreError> {
        self.objects.put_opts(key, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>, StoreError> {
        self.objects.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult, StoreError> {
        self.objects.get_opts(key, options).await
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Result<Path, StoreError>>,
    ) -> BoxStream<'static, Result<Path, StoreError>> {
        self.objects.delete_stream(keys)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult, StoreError> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> Result<(), StoreError> {
        if options.mode == CopyMode::Create {
            let (operation, implementer) = ("copy_if_not_exists".to_owned(), self.to_string());
            return Err(StoreError::NotImplemented { operation, implementer });
        }
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Generic { store: "simple", source: "the line is cut".into() });
        }
        self.objects.copy_opts(from, to, options).await
    }
}

fn sink(store: &Arc<impl ObjectStore>) -> JsonSink {
    JsonLines::to("out/a").in_store(Arc::clone(store) as Arc<dyn ObjectStore>)
}

/// Writes a row as an epoch of an attempt.
fn prepare(sink: &JsonSink, attempt: Option<u64>, row: u64) -> (Box<dyn Committable>, String) {
    let context = WriterContext { attempt, ..WriterContext::new(0, 1) };
    let mut writer = Sink::<u64>::open(sink, context).unwrap();
    writer.write(&mut vec![Record::new(0, row)]).unwrap();
    let mut part = writer.pre_commit(Epoch(1)).unwrap().remove(0);
    let payload = part.prepare().unwrap();
    (part, payload)
}

fn recover(sink: &JsonSink, attempt: u64, committed: &[&String]) -> Result<()> {
    let committed: Vec<_> = committed.iter().map(|payload| (*payload).clone()).collect();
    Sink::<u64>::recover(sink, attempt, &committed)
}

/// Returns the names and the contents of the objects in the folder.
fn objects(store: &Arc<impl ObjectStore>) -> Vec<(String, String)> {
    let store = Arc::clone(store) as Arc<dyn ObjectStore>;
    let place = Objects::new(Arc::clone(&store), std::path::Path::new("out/a")).unwrap();
    let read = |key: Path| {
        let store = Arc::clone(&store);
        let bytes = wait(async move { store.get(&key).await.unwrap().bytes().await.unwrap() });
        String::from_utf8(bytes.unwrap().to_vec()).unwrap()
    };
    let listed = place.list().unwrap().into_iter();
    listed.map(|(name, object)| (name, read(object.location))).collect()
}

fn put(store: &Arc<impl ObjectStore>, key: &str, text: &'static str) {
    let (store, key) = (Arc::clone(store), Path::from(key));
    wait(async move { store.put(&key, text.into()).await.unwrap() }).unwrap();
}

fn only(name: &str, text: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), text.to_owned())]
}

#[test]
fn an_object_is_hidden_until_it_is_committed() {
    let store = Arc::new(InMemory::new());
    put(&store, "out/abc/part-00000-1-1-0.jsonl", "next door\n");
    put(&store, "out/a/deep/part-00000-1-1-0.jsonl", "below\n");
    let (mut part, _) = prepare(&sink(&store), Some(1), 7);
    let hidden = objects(&store);
    assert!(hidden.len() == 1 && hidden[0].0.starts_with(".part-00000-1.jsonl."), "{hidden:?}");
    for _ in 0..2 {
        part.commit().unwrap();
        assert_eq!(objects(&store), only("part-00000-1-1-0.jsonl", "7\n"));
    }
    let error = Sink::<u64>::open(&sink(&store), WriterContext::new(0, 1)).err().unwrap();
    assert!(error.sentence().contains("InMemory/out/a: already holds results"), "{error}");
    let (mut part, _) = prepare(&sink(&store).named("other").overwrite(true), None, 8);
    part.abort();
    assert_eq!(objects(&store).len(), 1);
}

#[test]
fn a_commit_that_was_cut_off_after_the_copy_is_completed() {
    let store = Arc::new(InMemory::new());
    let (part, payload) = prepare(&sink(&store), Some(1), 7);
    std::mem::forget(part);
    let hidden = Path::from(format!("out/a/{}", objects(&store)[0].0));
    let copies = Arc::clone(&store);
    let target = Path::from("out/a/part-00000-1-1-0.jsonl");
    wait(async move { copies.copy(&hidden, &target).await.unwrap() }).unwrap();
    assert_eq!(objects(&store).len(), 2);
    for attempt in 2..4 {
        recover(&sink(&store), attempt, &[&payload]).unwrap();
        assert_eq!(objects(&store), only("part-00000-1-1-0.jsonl", "7\n"));
    }
}

#[test]
fn an_object_of_others_is_not_replaced_and_a_lost_one_is_named() {
    let store = Arc::new(InMemory::new());
    let (mut part, payload) = prepare(&sink(&store), Some(1), 7);
    for text in ["8\n", "of others\n"] {
        put(&store, "out/a/part-00000-1-1-0.jsonl", text);
        assert!(matches!(part.commit(), Err(Error::OutputExists { .. })));
        assert_eq!(objects(&store).len(), 2);
    }
    put(&store, "out/a/part-00000-1-1-0.jsonl", "7\n");
    part.commit().unwrap();

    let lost = payload.replace("-1-1-0", "-1-2-0");
    let error = recover(&sink(&store), 2, &[&lost]).unwrap_err();
    assert!(error.to_string().contains("InMemory/out/a/part-00000-1-2-0.jsonl: "), "{error}");
}

#[test]
fn a_store_that_can_only_replace_and_fails_at_times_ends_in_the_same_state() {
    let store = Arc::new(Simple::default());
    let (mut part, payload) = prepare(&sink(&store), Some(1), 7);
    store.fails.store(true, Ordering::SeqCst);
    let error = part.commit().unwrap_err().sentence();
    assert!(error.contains("could not copy") && error.contains("the line is cut"), "{error}");
    assert!(objects(&store)[0].0.starts_with('.'));
    store.fails.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        recover(&sink(&store), 2, &[&payload]).unwrap();
        part.commit().unwrap();
        assert_eq!(objects(&store), only("part-00000-1-1-0.jsonl", "7\n"));
    }
}

#[test]
fn a_job_without_checkpoints_replaces_old_results_at_its_end() {
    let store = Arc::new(InMemory::new());
    for name in ["part-00000.jsonl", "part-00003.csv", "late-00000.jsonl"] {
        put(&store, &format!("out/a/{name}"), "old\n");
    }
    let mut writer = Sink::<u64>::open(&sink(&store).overwrite(true), WriterContext::new(0, 1));
    let writer = writer.as_mut().unwrap();
    writer.write(&mut vec![Record::new(0, 7)]).unwrap();
    let mut parts = writer.pre_commit(Epoch(0)).unwrap();
    parts.iter_mut().for_each(|part| drop(part.prepare().unwrap()));
    assert_eq!(objects(&store).len(), 4);
    parts.iter_mut().for_each(|part| part.commit().unwrap());
    let late = only("late-00000.jsonl", "old\n");
    assert_eq!(objects(&store), [late, only("part-00000.jsonl", "7\n")].concat());
}

#[test]
fn large_files_are_uploaded_in_pieces() {
    let store = Arc::new(InMemory::new());
    let text: String = (0..2_500_000u64).map(|number| format!("{number}\n")).collect();
    assert!(text.len() as u64 > 2 * PIECE_BYTES);
    for bytes in [text.len(), 2 * PIECE_BYTES as usize, PIECE_BYTES as usize, 1, 0] {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &text.as_bytes()[..bytes]).unwrap();
        let (to, key) = (Arc::clone(&store), Path::from("out/a/x"));
        wait(async move { upload(to, &key, file).await.unwrap() }).unwrap();
        assert!(objects(&store)[0].1 == text[..bytes], "{bytes} bytes");
    }
}

#[test]
fn a_path_that_leaves_the_store_is_refused() {
    let sink = JsonLines::to("../out").in_store(Arc::new(InMemory::new()));
    let opened = Sink::<u64>::open(&sink, WriterContext::new(0, 1));
    assert!(matches!(opened, Err(Error::Option { .. })));
}
