//! Files beside a model that hold its weights. A model names them with any text, so nothing is
//! opened before it is known to lie in the model's folder.

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tinycc_core::format::{self, ExternalFiles};

/// Largest file that is read, in bytes, as for models.
const MAX_FILE: u64 = (1 << 31) - 1;
/// More files than a model has tensors in files of their own.
const MAX_FILES: usize = 10_000;

/// The files of one model.
#[derive(Clone, Debug, Default)]
pub struct External {
    /// By the model's name for them: their bytes, or why they cannot be had.
    pub files: ExternalFiles,
    /// The paths that were read, or would have been if they existed: what a build tool should watch.
    pub paths: Vec<PathBuf>,
}

/// Reads the files that a model names. Those that are not there, or not in the model's folder, are
/// reported by the compiler with the tensors that need them.
#[must_use]
pub fn load(bytes: &[u8], model: &Path) -> External {
    let folder = match model.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _current => Path::new("."),
    };
    let mut external = External::default();
    for name in format::external_files(bytes).into_iter().take(MAX_FILES) {
        let file = inside(&name).and_then(|relative| {
            let path = folder.join(relative);
            external.paths.push(path.clone());
            read(folder, &path)
        });
        external.files.insert(name, file.map(Arc::from));
    }
    external
}

/// The path that a name of the model's means in its folder.
fn inside(name: &str) -> Result<PathBuf, String> {
    let mut path = PathBuf::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::ParentDir => {
                return Err("only files in the model's folder are read".into());
            }
        }
    }
    match path.as_os_str().is_empty() || name.contains('\0') {
        true => Err("that is no name of a file".into()),
        false => Ok(path),
    }
}

/// A whole file, if links lead nowhere outside of the folder.
fn read(folder: &Path, path: &Path) -> Result<Vec<u8>, String> {
    let failed = |e: std::io::Error| match e.kind() == std::io::ErrorKind::NotFound {
        true => "there is no such file in the model's folder".to_string(),
        false => format!("the file cannot be read: {e}"),
    };
    let (folder, real) =
        (folder.canonicalize().map_err(failed)?, path.canonicalize().map_err(failed)?);
    if !real.starts_with(&folder) {
        return Err(
            "only files in the model's folder are read, and this is a link out of it".into()
        );
    }
    // Before it is opened: that would wait for the writer of a pipe.
    let meta = std::fs::metadata(&real).map_err(failed)?;
    if !meta.is_file() || meta.len() > MAX_FILE {
        return Err(format!("it is no file of at most {MAX_FILE} bytes"));
    }
    let file = std::fs::File::open(&real).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_folder() {
        for good in ["w.bin", "./w.bin", "a/b.bin", "a//b", "..a"] {
            assert!(inside(good).is_ok(), "{good}");
        }
        assert_eq!(inside("./a/./b"), Ok(PathBuf::from("a/b")));
        for bad in ["", ".", "/etc/passwd", "../w", "a/../../w", "a/..", "a\0b"] {
            assert!(inside(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn links_out_of_the_folder_are_not_followed() {
        let outside = tempfile::tempdir().expect("folder");
        std::fs::write(outside.path().join("secret"), "s").expect("file");
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("w.bin"), "w").expect("file");
        std::fs::create_dir(at("sub")).expect("folder");
        assert_eq!(read(folder.path(), &at("w.bin")), Ok(b"w".to_vec()));
        assert!(read(folder.path(), &at("sub")).expect_err("folder").contains("no file"));
        assert!(read(folder.path(), &at("no")).expect_err("absent").contains("no such file"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("w.bin"), at("near")).expect("link");
            std::os::unix::fs::symlink(outside.path().join("secret"), at("far")).expect("link");
            std::os::unix::fs::symlink(outside.path(), at("folder")).expect("link");
            assert_eq!(read(folder.path(), &at("near")), Ok(b"w".to_vec()));
            for link in ["far", "folder/secret"] {
                let reason = read(folder.path(), &at(link)).expect_err(link);
                assert!(reason.contains("a link out of it"), "{reason}");
            }
        }
    }
}
