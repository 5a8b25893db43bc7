//! Sizes, comments, and what must stand in a list.

use std::collections::BTreeSet;

use super::{files, name, nothing_wrong, root, text};

/// Everything that may stand in the root, so that the way in stays short.
const TOP_LEVEL: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "docs",
    "editor-ui",
    "flows",
    "nodes",
    "runtime",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "schemas",
    "tests",
];

/// What builds and runs leave behind; git does not know it.
const LEFT_BEHIND: &[&str] = &["target", "tidewire-data"];

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// How much smaller than its entry an exception may be before the entry has to be lowered.
const SLACK: usize = 20;

/// Files above the limit, with their sizes at most and the reason. The list may only shrink.
const LONG_FILES: &[(&str, usize, &str)] = &[
    ("runtime/engine/src/driver.rs", 440, "one loop, read as a whole"),
    ("runtime/engine/tests/support/mod.rs", 440, "small nodes and a harness for the tests beside it"),
];

/// Functions above the limit, as `file: name`, with their sizes at most and the reason. The list may only shrink.
const LONG_FUNCTIONS: &[(&str, usize, &str)] = &[];

fn rust_files() -> Vec<std::path::PathBuf> {
    ["runtime", "nodes", "tests"].iter().flat_map(|folder| files(&root().join(folder), &[".rs"])).collect()
}

#[test]
fn the_top_level_stays_as_it_is() {
    let mut findings = Vec::new();
    for entry in std::fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap().file_name().to_string_lossy().into_owned();
        let known = TOP_LEVEL.contains(&entry.as_str()) || LEFT_BEHIND.contains(&entry.as_str());
        if !known && !entry.starts_with('.') && !entry.starts_with("target-") {
            findings.push(entry);
        }
    }
    nothing_wrong(&findings, "Find a place below one of the folders that are there.");
}

#[test]
fn files_and_functions_stay_short() {
    let mut findings = Vec::new();
    let allowed = |list: &[(&str, usize, &str)], name: &str, usual: usize| {
        list.iter().find(|(known, ..)| *known == name).map_or(usual, |(_, most, _)| *most)
    };
    for path in rust_files() {
        let (file, page) = (name(&path), text(&path));
        let lines = page.lines().count();
        let most = allowed(LONG_FILES, &file, FILE_LINES_MAX);
        if lines > most {
            findings.push(format!("{file} has {lines} lines, at most {most} are allowed"));
        }
        for (function, lines) in functions(&page) {
            let function = format!("{file}: {function}");
            let most = allowed(LONG_FUNCTIONS, &function, FUNCTION_LINES_MAX);
            if lines > most {
                findings.push(format!("{function} has {lines} lines, at most {most} are allowed"));
            }
        }
    }
    nothing_wrong(
        &findings,
        "Split along what a reader would look for; or list it with a reason in tests/tidy/sources.rs.",
    );
}

/// Names of the functions and their lengths: rustfmt puts the closing brace under the first letter of the opening line.
fn functions(page: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = page.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(signature) = line.trim_start().split_once("fn ").filter(|(before, _)| is_qualifier(before)) else {
            continue;
        };
        let name: String = signature.1.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let indent = &line[..line.len() - line.trim_start().len()];
        let closing = format!("{indent}}}");
        let rest = &lines[start..];
        // A declaration without a body, or a body on the same line, is short anyway.
        let declared = rest.iter().position(|line| {
            line.ends_with(';') && line.strip_prefix(indent).is_some_and(|text| !text.starts_with(' '))
        });
        if let Some(length) = rest.iter().position(|line| *line == closing)
            && declared.is_none_or(|end| end > length)
        {
            found.push((name, length + 1));
        }
    }
    found
}

fn is_qualifier(before: &str) -> bool {
    before.split_whitespace().all(|word| matches!(word, "async" | "const") || word.starts_with("pub"))
}

#[test]
fn every_module_says_what_it_is() {
    let mut findings = Vec::new();
    // The name of tests.rs says it all.
    for path in rust_files().iter().filter(|path| !name(path).ends_with("tests.rs")) {
        let page = text(path);
        match page.lines().next() {
            Some(first) if first.starts_with("//! ") => {}
            _ => findings.push(format!("{} does not begin with //!", name(path))),
        }
    }
    nothing_wrong(&findings, "Begin it with one sentence: what the module does, and what it leaves to others.");
}

#[test]
fn every_node_type_stands_in_its_list() {
    let source = root().join("nodes/src");
    let mut findings = Vec::new();
    for path in files(&source, &[".rs"]) {
        let inside = path.strip_prefix(&source).unwrap().to_path_buf();
        let (Some(category), Some(stem)) = (inside.parent().and_then(|p| p.to_str()), inside.file_stem()) else {
            continue;
        };
        if category.is_empty() || category.contains('/') {
            continue;
        }
        let page = text(&path);
        let Some(node) = page.split("impl NodeType for ").nth(1).and_then(|rest| rest.split_whitespace().next()) else {
            continue;
        };
        let entry = format!("NodeDef::of::<{}::{node}>()", stem.to_string_lossy());
        let list = source.join(format!("{category}.rs"));
        if !text(&list).contains(&entry) {
            findings.push(format!("{} lacks `{entry},`", name(&list)));
        }
        let has_tests = page.contains("mod tests") || source.join(category).join(stem).join("tests.rs").exists();
        if !has_tests {
            findings.push(format!("{} has no `mod tests`", name(&path)));
        }
    }
    nothing_wrong(&findings, "A node is one file, its `mod` line and its entry in NODES, and it has tests.");
}

#[test]
fn exceptions_are_still_needed() {
    let mut findings = Vec::new();
    for (file, most, reason) in LONG_FILES {
        let path = root().join(file);
        let lines = if path.exists() { text(&path).lines().count() } else { 0 };
        if lines <= FILE_LINES_MAX || lines + SLACK < *most || reason.is_empty() {
            findings.push(format!("{file} has {lines} lines now, the list says {most}"));
        }
    }
    for (function, most, reason) in LONG_FUNCTIONS {
        let (file, wanted) = function.split_once(": ").unwrap();
        let path = root().join(file);
        let page = if path.exists() { text(&path) } else { String::new() };
        let lines = functions(&page).iter().filter(|(name, _)| name == wanted).map(|(_, lines)| *lines).max();
        if lines.unwrap_or(0) + SLACK < *most || reason.is_empty() {
            findings.push(format!("{function} has {lines:?} lines now, the list says {most}"));
        }
    }
    nothing_wrong(&findings, "Lower the figure in tests/tidy/sources.rs, or take the entry out.");
}

#[test]
fn the_documents_name_files_that_exist() {
    let mut missing = BTreeSet::new();
    for page in ["README.md", "runtime/ARCHITECTURE.md"] {
        for part in text(&root().join(page)).split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap_or_default();
            let base = root().join(page);
            if !target.is_empty() && !target.contains("://") && !base.parent().unwrap().join(target).exists() {
                missing.insert(format!("{page} links to {target}"));
            }
        }
    }
    nothing_wrong(&missing.into_iter().collect::<Vec<_>>(), "Mend the link.");
}
