//! A new pack: a crate with one node, its test, and a graph that shows it.

use crate::failure::{Failure, Result};
use std::path::{Path, PathBuf};

/// Makes `./NAME` below `folder`: a crate whose node is `NAME/gradient`. Gives its folder.
///
/// # Errors
/// A name that is no crate's, a folder that is there already, and those of the file system.
pub fn create(folder: &Path, name: &str) -> Result<PathBuf> {
    let starts = name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !starts || !name.chars().all(plain) || name.len() > 60 {
        return Err(Failure::user(format!("`{name}` is no name for a pack"))
            .help("use lower-case letters, digits and dashes, a letter first: my-nodes"));
    }
    if ["sdk", "diffusion", "test", "core", "std", "alloc"].contains(&name) {
        return Err(
            Failure::user(format!("`{name}` is the name of something that packs use")).help("choose another: my-nodes"),
        );
    }
    let root = folder.join(name);
    if root.exists() {
        return Err(Failure::user(format!("{} is there already", root.display()))
            .help("choose another name, or run para plugin new in another folder"));
    }
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{crate}}", &name.replace('-', "_"))
    };
    // Whole or not there: everything is made beside it first.
    let draft = tempfile::Builder::new().prefix(".para-").tempdir_in(folder);
    let draft = draft.map_err(|e| Failure::user(format!("cannot make a folder in {}: {e}", folder.display())))?;
    for (file, text) in FILES {
        sdk::atomic::write_fast(&draft.path().join(file), fill(text).as_bytes())?;
    }
    std::fs::rename(draft.path(), &root).map_err(|e| Failure::user(format!("cannot make {}: {e}", root.display())))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755));
    }
    Ok(root)
}

const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("template/manifest.txt")),
    (".gitignore", "/target\n/out\n"),
    ("src/lib.rs", include_str!("template/lib.txt")),
    ("src/gradient.rs", include_str!("template/gradient.txt")),
    ("graph.json", include_str!("template/graph.txt")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_checked_and_nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "My", "1x", "a b", "../x", "sdk"] {
            assert!(create(folder.path(), name).is_err(), "{name}");
        }
        let root = create(folder.path(), "my-nodes").unwrap();
        let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("name = \"my-nodes\"") && !manifest.contains("{{"),
            "{manifest}"
        );
        assert!(
            create(folder.path(), "my-nodes")
                .unwrap_err()
                .message
                .contains("is there already")
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }
}
