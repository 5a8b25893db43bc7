//! Prints the figures of the log: `cargo run --release -p tidewire-log --example bench -- FOLDER [NAME…]`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tidewire_log::bench::{Plan, child, run};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mark, folder, what] = arguments.as_slice()
        && mark == "--child"
    {
        return Ok(child(Path::new(folder), what).await?);
    }
    let folder = arguments.first().map_or_else(std::env::temp_dir, PathBuf::from).join("tidewire-log-bench");
    let names = arguments.get(1..).unwrap_or_default();
    std::fs::create_dir_all(&folder)?;
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| name.starts_with(wanted.as_str()));
    let own = std::env::current_exe()?;
    let child = || {
        let mut command = Command::new(&own);
        command.arg("--child");
        command
    };
    for row in run(&Plan { folder: &folder, wanted: &wanted, child: &child }).await? {
        println!("{}", serde_json::to_string(&row)?);
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
