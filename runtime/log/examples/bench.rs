//! Prints the figures of the log: `cargo run --release -p tidewire-log --example bench -- FOLDER`.

use std::path::PathBuf;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("tidewire-log-bench");
    std::fs::create_dir_all(&folder)?;
    for row in tidewire_log::bench::run(&folder).await? {
        println!("{}", serde_json::to_string(&row)?);
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
