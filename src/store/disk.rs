//! Small things about files: durable renames, free space, sizes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a directory with what it lies in, so that a power cut does not take it, and what is in it, away again.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    make_dir(parent)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_dir(parent),
    }
}

/// Replaces `path` by `content` so that a power cut leaves the old or the new content, never a mixture.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&draft, path)?;
    sync_dir(dir)
}

/// Bytes that an ordinary user may still write to the file system of `path`.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes that the files below `dir` take on the disk, at most four directories deep. What vanishes meanwhile
/// counts nothing.
pub(super) fn tree_bytes(dir: &Path) -> u64 {
    fn walk(dir: &Path, depth: u8) -> u64 {
        let Ok(entries) = fs::read_dir(dir) else {
            return 0;
        };
        entries
            .flatten()
            .map(|entry| match entry.metadata() {
                Ok(meta) if meta.is_dir() && depth > 0 => walk(&entry.path(), depth - 1),
                Ok(meta) if meta.is_file() => allocated(&meta),
                Ok(_) | Err(_) => 0,
            })
            .sum()
    }
    walk(dir, 3)
}

/// Bytes that one file takes on the disk; holes take none.
pub(super) fn allocated(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(meta).saturating_mul(512)
}

/// True if `path` is still the file that is open as `file`.
pub(super) fn is_same_file(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (fs::metadata(path), file.metadata()) {
        (Ok(by_name), Ok(open)) => by_name.ino() == open.ino() && by_name.dev() == open.dev(),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_the_new_content_and_leaves_no_draft() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("live");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(tree_bytes(dir.path()) > 0 && free_bytes(dir.path()).unwrap() > 0);
    }

    #[test]
    fn a_directory_is_made_with_its_parents_once() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        make_dir(&deep).unwrap();
        make_dir(&deep).unwrap();
        assert!(deep.is_dir());
        fs::write(deep.join("file"), "").unwrap();
        assert!(make_dir(&deep.join("file/below")).is_err());
    }

    #[test]
    fn a_file_that_was_deleted_or_replaced_is_not_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let file = File::create(&path).unwrap();
        assert!(is_same_file(&path, &file));
        fs::remove_file(&path).unwrap();
        assert!(!is_same_file(&path, &file));
        File::create(&path).unwrap();
        fs::write(&path, b"another").unwrap();
        let other = File::create(dir.path().join("other")).unwrap();
        assert!(!is_same_file(&path, &other));
    }
}
