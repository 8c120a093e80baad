//! `docs/security.md` says which test keeps each promise, and where unsafe code is: both are true.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    read_to_string(root().join("docs/security.md")).expect("the page")
}

/// The rows of the tables under that heading, without their heads.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("no section '{heading}'"));
    let mut rows = Vec::new();
    let lines: Vec<&str> = section.lines().collect();
    for (i, line) in lines.iter().enumerate() {
        let is_head = lines.get(i + 1).is_some_and(|next| next.starts_with("| ---"));
        if line.starts_with("| ") && !line.starts_with("| ---") && !is_head {
            let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            rows.push(cells.collect());
        }
    }
    rows
}

/// The Rust files below, without their tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// How often `unsafe` opens a block or marks an item in that source.
fn unsafe_uses(source: &str) -> usize {
    let code: Vec<&str> =
        source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let words: Vec<&str> = code.split_whitespace().collect();
    let opens = |next: &str| {
        next.starts_with('{') || ["impl", "impl<T:", "fn", "trait", "extern"].contains(&next)
    };
    words.windows(2).filter(|pair| ends_in_unsafe(pair[0]) && opens(pair[1])).count()
}

/// The word `unsafe`, perhaps after a bracket, and not the end of another word.
fn ends_in_unsafe(word: &str) -> bool {
    word.strip_suffix("unsafe").is_some_and(|before| {
        !before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
    })
}

#[test]
fn every_promise_has_its_test() {
    let page = page();
    let mut promises = 0;
    for row in rows(&page, "What is promised") {
        let [promise, tests] = &row[..] else { panic!("not a promise and its tests: {row:?}") };
        promises += 1;
        for test in tests.split("<br>") {
            let (file, name) = test.trim().split_once(": ").unwrap_or_else(|| panic!("{promise}"));
            let file = file.trim_matches('`');
            let source = read_to_string(root().join(file)).unwrap_or_default();
            assert!(source.contains(name), "no '{name}' in {file}, for: {promise}");
            assert!(name.len() > 10, "'{name}' names no test, for: {promise}");
        }
    }
    assert!(promises > 20, "only {promises} promises were found");
}

#[test]
fn every_use_of_unsafe_is_listed() {
    let mut found = Vec::new();
    sources(&root().join("crates"), &mut found);
    let root = root();
    let mut uses = BTreeMap::new();
    for path in found {
        let name = path.strip_prefix(&root).expect("below").display().to_string();
        let count = unsafe_uses(&read_to_string(&path).expect("a source"));
        if count > 0 && name.contains("/src/") {
            uses.insert(name.trim_start_matches("crates/").replace("/src/", "/"), count);
        }
    }
    let listed: BTreeMap<String, usize> = rows(&page(), "Unsafe code")
        .iter()
        .map(|row| {
            assert!(row.len() == 3 && row[2].len() > 20, "not file, count and reason: {row:?}");
            (row[0].trim_matches('`').to_owned(), row[1].parse().expect("a count"))
        })
        .collect();
    assert_eq!(listed, uses, "what is listed is not what is there: see scripts/unsafe.sh");
}
