//! Artifacts to disk: first everything into a temporary folder beside the destination, then file by
//! file into place, so that a full disk or a kill never leaves a half-written file.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use tinycc_targets::Artifacts;

/// Why files were not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The operating system refused.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// A folder stands where a file should go.
    #[error("cannot write {}: a directory of that name is in the way", .0.display())]
    IsDirectory(PathBuf),
    /// A file stands where a folder should go.
    #[error("cannot write into {}: it is a file, not a directory", .0.display())]
    NotDirectory(PathBuf),
    /// The artifact would leave the folder; a defect of the target.
    #[error("refusing to write \"{0}\": the path leaves the output directory")]
    OutsidePath(String),
}

/// Writes `artifacts` below `dir`, which is made if needed. Existing files are replaced unless they
/// hold the same bytes already: build tools go by the time of a file. Other files are left alone.
/// Returns all paths in order.
///
/// # Errors
/// Nothing was changed, except when a rename fails half-way: then each file is either old or new.
pub fn artifacts(artifacts: &Artifacts, dir: &Path) -> Result<Vec<PathBuf>, WriteError> {
    for path in artifacts.keys() {
        check(dir, path)?;
    }
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |source| WriteError::Io { path, source }
    };
    let folder = |path: &Path| fs::create_dir_all(path).map_err(at(path));
    folder(dir)?;
    let staging = tempfile::Builder::new().prefix(".tinycc-").tempdir_in(dir).map_err(at(dir))?;
    let mut same = BTreeSet::new();
    for (path, bytes) in artifacts {
        if fs::read(dir.join(path)).is_ok_and(|present| present == *bytes) {
            same.insert(path);
            continue;
        }
        let staged = staging.path().join(path);
        folder(staged.parent().unwrap_or(staging.path()))?;
        fs::write(&staged, bytes).map_err(at(&dir.join(path)))?;
    }
    let mut written = Vec::new();
    for path in artifacts.keys() {
        let to = dir.join(path);
        if !same.contains(path) {
            folder(to.parent().unwrap_or(dir))?;
            fs::rename(staging.path().join(path), &to).map_err(at(&to))?;
        }
        written.push(to);
    }
    Ok(written)
}

/// What stands in the way of `dir/path`.
fn check(dir: &Path, path: &str) -> Result<(), WriteError> {
    let inside = |c: Component<'_>| matches!(c, Component::Normal(_));
    if path.is_empty() || !Path::new(path).components().all(inside) {
        return Err(WriteError::OutsidePath(path.to_string()));
    }
    let to = dir.join(path);
    if to.is_dir() {
        return Err(WriteError::IsDirectory(to));
    }
    for parent in to.ancestors().skip(1) {
        if !parent.as_os_str().is_empty() && parent.exists() {
            if !parent.is_dir() {
                return Err(WriteError::NotDirectory(parent.to_path_buf()));
            }
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(paths: &[&str]) -> Artifacts {
        paths.iter().map(|p| ((*p).to_string(), p.as_bytes().to_vec())).collect()
    }

    #[test]
    fn writes_all_and_leaves_nothing_else() {
        let tmp = tempfile::tempdir().expect("temp dir");
        let dir = tmp.path().join("new/out");
        let written = artifacts(&some(&["a.c", "example/main.c"]), &dir).expect("written");
        assert_eq!(written, [dir.join("a.c"), dir.join("example/main.c")]);
        assert_eq!(fs::read(&written[1]).expect("file"), b"example/main.c");
        fs::write(dir.join("a.c"), "old").expect("file");
        artifacts(&some(&["a.c"]), &dir).expect("replaces");
        assert_eq!(fs::read(dir.join("a.c")).expect("file"), b"a.c");
        assert_eq!(fs::read_dir(&dir).expect("dir").count(), 2, "the staging folder is gone");
    }

    #[test]
    fn equal_files_are_not_touched() {
        let tmp = tempfile::tempdir().expect("temp dir");
        artifacts(&some(&["a.c", "b.c"]), tmp.path()).expect("written");
        let old = std::time::SystemTime::UNIX_EPOCH;
        for name in ["a.c", "b.c"] {
            let file = fs::File::options().append(true).open(tmp.path().join(name));
            file.expect("file").set_modified(old).expect("time");
        }
        let mut next = some(&["a.c", "b.c"]);
        next.insert("b.c".into(), b"new".to_vec());
        assert_eq!(artifacts(&next, tmp.path()).expect("written").len(), 2);
        let time = |name| fs::metadata(tmp.path().join(name)).and_then(|m| m.modified());
        assert_eq!(time("a.c").expect("time"), old);
        assert_ne!(time("b.c").expect("time"), old);
        assert_eq!(fs::read(tmp.path().join("b.c")).expect("file"), b"new");
    }

    #[test]
    fn refuses_before_anything_is_written() {
        let tmp = tempfile::tempdir().expect("temp dir");
        fs::create_dir(tmp.path().join("b.c")).expect("dir");
        fs::write(tmp.path().join("file"), "x").expect("file");
        let is_dir = artifacts(&some(&["a.c", "b.c"]), tmp.path());
        assert!(matches!(is_dir, Err(WriteError::IsDirectory(_))));
        let below_file = artifacts(&some(&["a.c"]), &tmp.path().join("file/out"));
        assert!(matches!(below_file, Err(WriteError::NotDirectory(_))));
        for path in ["../a.c", "/a.c", ""] {
            let outside = artifacts(&some(&[path]), tmp.path());
            assert!(matches!(outside, Err(WriteError::OutsidePath(_))), "{path}");
        }
        assert!(!tmp.path().join("a.c").exists());
    }
}
