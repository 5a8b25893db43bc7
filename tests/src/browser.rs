//! A real browser, driven by a script of `tests/browser`.

use std::path::Path;

use tokio::process::Command;

/// Runs `tests/browser/<script>.mjs` with arguments; gives what it printed.
///
/// # Panics
/// When Node.js, the browser or its driver is missing, or when the script fails.
pub async fn run(script: &str, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(
        folder.join("node_modules/playwright-core").exists(),
        "the browser's driver is missing: run `make test`, or `npm ci` in {}",
        folder.display()
    );
    let output = Command::new("node")
        .arg(folder.join(format!("{script}.mjs")))
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("node: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}.mjs: {}\n{out}\n{err}", output.status);
    out.into_owned()
}
