//! A run directory: partial files while a run goes on, whole files and then a manifest when it is done, else a journal at most.

use std::fs;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;

use crate::output::error::OutputError;
use crate::output::manifest::MANIFEST_FILE;
use crate::output::manifest::Manifest;
use crate::output::manifest::RUNTIME_FILE;
use crate::output::manifest::Runtime;
use crate::output::schema::FILES;
use crate::output::schema::OPTIONAL_FILE;
use crate::output::summary::SUMMARY_JSON_FILE;

/// Name of the file whose lock says that a run is being written.
const LOCK_FILE: &str = ".lock";
/// Journal of the run, until it is finished.
const JOURNAL_FILE: &str = "journal";
/// Journal of a finished shard.
const SHARD_FILE: &str = "shard.journal";
/// Bytes written at the start to find a full disk.
const PROBE_BYTES: usize = 1 << 16;

/// A directory that a run is being written to.
///
/// Dropped before [`Self::finish`], it removes what it wrote and created but for a journal; an older run in it is as it was.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Directories that did not exist before, innermost first.
    created: Vec<PathBuf>,
    /// Locked as long as this lives.
    lock: Option<File>,
}

impl RunDirectory {
    /// Takes `path` for a new run: creates it, locks it, and writes and removes a probe.
    ///
    /// A finished run in it is kept until the new one is whole; it needs `force`. What a killed run left is removed, its journal
    /// by `force` only.
    ///
    /// # Errors
    /// If it holds a finished run or a journal and not `force`, or foreign files without a run; if another run is being
    /// written to it; if it cannot be written to, or the disk is full. Nothing is left behind then.
    pub fn create(path: &Path, force: bool) -> Result<Self, OutputError> {
        let directory = Self::resume(path, force)?;
        let journal = directory.journal();
        if journal.exists() {
            if !force {
                return Err(OutputError::Unfinished(path.to_owned()));
            }
            fs::remove_file(&journal).map_err(OutputError::io("remove", &journal))?;
        }
        Ok(directory)
    }

    /// The same for a run that goes on where the journal in it ends, if there is one.
    ///
    /// # Errors
    /// As [`Self::create`], but for the journal.
    pub fn resume(path: &Path, force: bool) -> Result<Self, OutputError> {
        check_contents(path, force)?;
        let mut directory = Self { path: path.to_owned(), created: missing_ancestors(path), lock: None };
        fs::create_dir_all(path).map_err(|source| unwritable(path, source))?;
        directory.lock = Some(lock(path)?);
        directory.remove_partial_files();
        Ok(directory)
    }

    /// Removes what a kill between the last two steps of [`Self::finish`] left beside a finished run.
    pub fn tidy(path: &Path) {
        let is_left = |name: &str| path.join(name).exists();
        if is_left(LOCK_FILE) || is_left(&format!(".{JOURNAL_FILE}.partial")) {
            // Another process that is about to do it is as good.
            let _ = Self::create(path, true);
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where result file `name` is written until the run is finished.
    pub fn partial(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.partial"))
    }

    /// Where the journal of the run stands until it is finished.
    pub fn journal(&self) -> PathBuf {
        self.partial(JOURNAL_FILE)
    }

    /// Where the journal of a finished shard stands in `directory`.
    pub fn shard_journal(directory: &Path) -> PathBuf {
        directory.join(SHARD_FILE)
    }

    /// Makes the journal, which is whole, that of a finished shard.
    ///
    /// # Errors
    /// If it cannot be renamed.
    pub fn finish_shard(mut self) -> Result<(), OutputError> {
        let path = Self::shard_journal(&self.path);
        fs::rename(self.journal(), &path).map_err(OutputError::io("rename a file to", &path))?;
        self.created.clear();
        sync_directory(&self.path)
    }

    /// Writes a small text file under its partial name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), OutputError> {
        let path = self.partial(name);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(OutputError::io("write", &path))
    }

    /// Makes the run visible: the result files, then the runtime, then the manifest. All result files have been
    /// written.
    ///
    /// An older manifest goes first, so that at no moment one stands beside files of another run.
    ///
    /// # Errors
    /// If a file is missing or cannot be written or renamed. Before the first rename an older run is untouched.
    pub fn finish(mut self, manifest: &Manifest, runtime: &Runtime) -> Result<(), OutputError> {
        self.write_text(RUNTIME_FILE, &json(runtime))?;
        self.write_text(MANIFEST_FILE, &json(manifest))?;
        for name in result_files() {
            let path = self.partial(name);
            path.metadata().map_err(OutputError::io("find", &path))?;
        }
        let old = self.path.join(MANIFEST_FILE);
        match fs::remove_file(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(OutputError::io("replace", &old)(error));
            }
            _ => self.created.clear(),
        }
        self.finish_optional()?;
        for name in result_files() {
            let path = self.path.join(name);
            fs::rename(self.partial(name), &path).map_err(OutputError::io("rename a file to", &path))?;
        }
        sync_directory(&self.path)?;
        let _ = fs::remove_file(self.journal());
        Ok(())
    }

    /// The file that only some runs have: an older run's goes where this run has none.
    fn finish_optional(&self) -> Result<(), OutputError> {
        let (partial, path) = (self.partial(OPTIONAL_FILE.file), self.path.join(OPTIONAL_FILE.file));
        match (partial.exists(), path.exists()) {
            (true, _) => fs::rename(partial, &path).map_err(OutputError::io("rename a file to", &path)),
            (false, true) => fs::remove_file(&path).map_err(OutputError::io("remove", &path)),
            (false, false) => Ok(()),
        }
    }

    fn remove_partial_files(&self) {
        for name in result_files().chain([OPTIONAL_FILE.file]) {
            let _ = fs::remove_file(self.partial(name));
        }
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        if self.lock.is_some() {
            self.remove_partial_files();
            let _ = fs::remove_file(self.path.join(LOCK_FILE));
        }
        for path in &self.created {
            // Fails, as it should, where something else has been put there since.
            let _ = fs::remove_dir(path);
        }
    }
}

/// Names of the files of a finished run, the manifest last.
fn result_files() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|schema| schema.file).chain([SUMMARY_JSON_FILE, RUNTIME_FILE, MANIFEST_FILE])
}

/// Refuses a directory with a finished run, unless `force`, or with files that no run wrote.
fn check_contents(path: &Path, force: bool) -> Result<(), OutputError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(unwritable(path, source)),
    };
    if path.join(MANIFEST_FILE).exists() {
        return if force { Ok(()) } else { Err(OutputError::Exists(path.to_owned())) };
    }
    for entry in entries {
        let name = entry.map_err(|source| unwritable(path, source))?.file_name();
        let name = name.to_string_lossy();
        let ours = |file: &str| name == file || name == format!(".{file}.partial");
        if name != LOCK_FILE && !result_files().chain([OPTIONAL_FILE.file, JOURNAL_FILE]).any(ours) {
            return Err(OutputError::Occupied { path: path.to_owned(), entry: name.into_owned() });
        }
    }
    Ok(())
}

/// `path` and those directories above it that do not exist, innermost first.
fn missing_ancestors(path: &Path) -> Vec<PathBuf> {
    let named = path.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty());
    named.take_while(|ancestor| !ancestor.exists()).map(Path::to_owned).collect()
}

/// Creates the lock file, writes the probe to it, and locks it.
fn lock(directory: &Path) -> Result<File, OutputError> {
    let path = directory.join(LOCK_FILE);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let mut file = open.map_err(|source| unwritable(directory, source))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(OutputError::Busy(directory.to_owned())),
        // Some network file systems have no locks: then two runs at once are the user's to avoid.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    if let Err(source) = probe(&mut file) {
        let _ = fs::remove_file(&path);
        return Err(unwritable(directory, source));
    }
    Ok(file)
}

/// Writes and syncs some bytes, and gives them back.
fn probe(file: &mut File) -> io::Result<()> {
    file.write_all(&[0; PROBE_BYTES])?;
    file.sync_all()?;
    file.set_len(0)
}

fn unwritable(path: &Path, source: io::Error) -> OutputError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OutputError::DiskFull { path, source },
        _ => OutputError::NotWritable { path, source },
    }
}

/// Makes renames in a directory durable, where the system can.
fn sync_directory(path: &Path) -> Result<(), OutputError> {
    if cfg!(unix) {
        File::open(path).and_then(|directory| directory.sync_all()).map_err(OutputError::io("sync", path))?;
    }
    Ok(())
}

fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plain structs are JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_unfinished_run_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("runs/first");
        let directory = RunDirectory::create(&path, false).unwrap();
        directory.write_text("summary.json", "{}").unwrap();
        drop(directory);
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn a_directory_that_existed_stays() {
        let parent = tempfile::tempdir().unwrap();
        drop(RunDirectory::create(parent.path(), false).unwrap());
        assert!(names(parent.path()).is_empty() && parent.path().exists());
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join(".paths.parquet.partial"), "half").unwrap();
        fs::write(parent.path().join(LOCK_FILE), "").unwrap();
        let directory = RunDirectory::create(parent.path(), false).unwrap();
        assert_eq!(names(parent.path()), [LOCK_FILE]);
        drop(directory);
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn a_journal_stays_until_the_run_is_finished_or_begun_anew() {
        let parent = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(parent.path(), false).unwrap();
        fs::write(directory.journal(), "blocks").unwrap();
        drop(directory);
        assert_eq!(names(parent.path()), [".journal.partial"]);
        let error = RunDirectory::create(parent.path(), false).unwrap_err();
        assert!(matches!(error, OutputError::Unfinished(_)) && error.is_bad_input(), "{error}");
        drop(RunDirectory::resume(parent.path(), false).unwrap());
        assert_eq!(names(parent.path()), [".journal.partial"]);
        RunDirectory::resume(parent.path(), false).unwrap().finish_shard().unwrap();
        assert_eq!(names(parent.path()), ["shard.journal"]);
        fs::rename(RunDirectory::shard_journal(parent.path()), parent.path().join(".journal.partial")).unwrap();
        drop(RunDirectory::create(parent.path(), true).unwrap());
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn a_foreign_directory_is_refused_even_by_force() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("thesis.tex"), "years of work").unwrap();
        let error = RunDirectory::create(parent.path(), true).unwrap_err();
        assert!(error.is_bad_input() && error.to_string().contains("thesis.tex"), "{error}");
        assert_eq!(names(parent.path()), ["thesis.tex"]);
    }

    #[test]
    fn two_runs_do_not_share_a_directory() {
        let parent = tempfile::tempdir().unwrap();
        let first = RunDirectory::create(parent.path(), false).unwrap();
        first.write_text("summary.json", "{}").unwrap();
        let error = RunDirectory::create(parent.path(), true).unwrap_err();
        assert!(matches!(error, OutputError::Busy(_)) && error.is_bad_input(), "{error}");
        assert_eq!(names(parent.path()), [LOCK_FILE, ".summary.json.partial"]);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("run")] {
            let error = RunDirectory::create(&path, true).unwrap_err();
            assert!(matches!(error, OutputError::NotWritable { .. }) && error.is_bad_input(), "{error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
        assert_eq!(names(parent.path()), ["file"]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_found_by_the_probe() {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let error = unwritable(Path::new("runs/x"), probe(&mut full).unwrap_err());
        assert!(matches!(error, OutputError::DiskFull { .. }) && error.is_bad_input(), "{error}");
        assert_eq!(error.to_string(), "no space left at runs/x: free some, or choose another directory with --out");
    }
}
