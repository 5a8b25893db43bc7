#![allow(clippy::unwrap_used)]
use super::*;

fn refused(arguments: &[&str]) -> String {
    let all = ["tidewire"].iter().chain(arguments);
    let text = one_line(&Cli::try_parse_from(all).unwrap_err());
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn a_misspelt_flag_is_told_with_what_was_meant() {
    assert!(refused(&["--data-dri", "x"]).contains("--data-dir"));
    assert!(refused(&["--nonsense"]).contains("--nonsense"));
    assert!(refused(&["frobnicate"]).contains("frobnicate"));
    assert!(refused(&["--http"]).contains("--http"));
}

#[test]
fn flags_may_stand_before_and_after_the_command() {
    for arguments in [["tidewire", "--http", "127.0.0.1:1", "run"], ["tidewire", "run", "--http", "127.0.0.1:1"]] {
        let cli = Cli::try_parse_from(arguments).unwrap();
        assert_eq!(cli.options.http.as_deref(), Some("127.0.0.1:1"));
    }
    let cli = Cli::try_parse_from(["tidewire", "--safe", "--no-demo", "--auth", "off"]).unwrap();
    assert_eq!(cli.options.safe.as_deref(), Some("true"));
}

#[test]
fn the_role_of_a_user_is_not_that_of_the_process() {
    let cli = Cli::try_parse_from(["tidewire", "user", "add", "anna", "--role", "editor"]).unwrap();
    assert_eq!(cli.options.role, None);
    let cli = Cli::try_parse_from(["tidewire", "run", "--role", "all"]).unwrap();
    assert!(matches!(cli.command, Some(Command::Run { role: Some(_) })));
}

#[test]
fn the_command_line_is_sound() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}
