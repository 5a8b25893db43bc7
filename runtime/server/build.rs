//! Ties the binary to the editor's bundle, which is built before it.

use std::path::Path;

fn main() {
    for folder in ["../../editor-ui/dist", "../../flows"] {
        println!("cargo:rerun-if-changed={folder}");
    }
    let built = Path::new("../../editor-ui/dist/index.html").exists();
    if !built && std::env::var("PROFILE").as_deref() == Ok("release") {
        println!("cargo::error=the editor is not built: run `make ui` first (it needs Node.js)");
    }
}
