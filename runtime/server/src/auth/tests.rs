#![allow(clippy::unwrap_used)]
use super::*;

const NOW: i64 = 1_700_000_000_000;
const GOOD: &str = "correct horse battery";

fn origin() -> Origin {
    Origin { address: "127.0.0.1".into(), agent: "test".into() }
}

fn open(dir: &tempfile::TempDir) -> Auth {
    Auth::open(dir.path(), true, NOW).unwrap()
}

#[test]
fn the_first_user_needs_the_token_that_was_printed_and_gets_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let auth = open(&dir);
    let token = auth.setup.take_text().unwrap();
    assert_eq!(token.len(), 32);
    assert!(auth.set_up("0", "anna", GOOD, &origin(), NOW).is_err());
    assert!(auth.set_up(&token, "anna", "short", &origin(), NOW).is_err(), "a weak password is refused");
    let late = NOW + 31 * 60 * 1000;
    assert!(auth.set_up(&token, "anna", GOOD, &origin(), late).is_err(), "the link is too old");
    let login = auth.set_up(&token, "anna", GOOD, &origin(), NOW).unwrap();
    assert_eq!(login.role, Role::Admin);
    assert!(auth.set_up(&token, "eve", GOOD, &origin(), NOW).is_err(), "the link was used");
    assert!(!auth.needs_setup());
}

#[test]
fn a_restart_renews_the_link_only_while_there_is_no_user() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&dir).setup.take_text().unwrap();
    let second = open(&dir);
    assert_ne!(second.setup.take_text().unwrap(), first);
    second.users.add("anna", Role::Admin, GOOD, NOW).unwrap();
    assert!(open(&dir).setup.take_text().is_none());
}

#[test]
fn a_session_survives_a_restart_and_ends_when_it_should() {
    let dir = tempfile::tempdir().unwrap();
    let auth = open(&dir);
    auth.users.add("anna", Role::Operator, GOOD, NOW).unwrap();
    let login = auth.login("anna", GOOD, &origin(), NOW).unwrap();
    let auth = open(&dir);
    let principal = auth.by_secret(&login.secret, NOW).unwrap();
    assert!(principal.may(Permission::Operate) && !principal.may(Permission::FlowsWrite));
    assert!(auth.by_secret(&login.secret, NOW + sessions::IDLE_MS + 1).is_none(), "idle too long");
    auth.sessions.close(&login.secret).unwrap();
    assert!(auth.by_secret(&login.secret, NOW).is_none());
    let stored = std::fs::read_to_string(dir.path().join("auth/sessions.json")).unwrap();
    assert!(!stored.contains(&login.secret), "only hashes are stored");
}

#[test]
fn wrong_name_and_wrong_password_look_alike() {
    let dir = tempfile::tempdir().unwrap();
    let auth = open(&dir);
    auth.users.add("anna", Role::Admin, GOOD, NOW).unwrap();
    let text = |name: &str| auth.login(name, "wrong wrong wrong", &origin(), NOW).err().unwrap().to_string();
    assert_eq!(text("anna"), text("nobody"));
}

#[test]
fn a_token_is_limited_by_scope_owner_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let auth = open(&dir);
    auth.users.add("root", Role::Admin, GOOD, NOW).unwrap();
    auth.users.add("anna", Role::Viewer, GOOD, NOW).unwrap();
    let request = |scopes: &[&str]| tidewire_api::account::NewToken {
        name: "t".into(),
        scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
        days: Some(1),
    };
    let made = auth.tokens.create(&request(&["flows:read", "flows:write"]), Some("anna".into()), NOW).unwrap();
    let principal = auth.by_secret(&made.token, NOW).unwrap();
    assert!(principal.may(Permission::FlowsRead));
    assert!(!principal.may(Permission::FlowsWrite), "a viewer's token does not write");
    assert!(!principal.may(Permission::EventsRead), "the scope does not cover it");
    assert!(auth.by_secret(&made.token, NOW + 86_400_001).is_none(), "expired");
    assert!(auth.by_secret(&format!("{}x", made.token), NOW).is_none());
    auth.users.remove("anna").unwrap();
    assert!(auth.by_secret(&made.token, NOW).is_none(), "its owner is gone");
    assert!(auth.tokens.create(&request(&["flows:everything"]), None, NOW).is_err());
}

#[test]
fn the_last_administrator_stays() {
    let dir = tempfile::tempdir().unwrap();
    let auth = open(&dir);
    auth.users.add("anna", Role::Admin, GOOD, NOW).unwrap();
    assert!(auth.users.remove("anna").is_err());
    assert!(auth.users.update("anna", Some(Role::Viewer), None).is_err());
    auth.users.add("bert", Role::Admin, GOOD, NOW).unwrap();
    auth.users.remove("anna").unwrap();
}

#[test]
fn a_damaged_file_is_refused_and_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir).users.add("anna", Role::Admin, GOOD, NOW).unwrap();
    let path = dir.path().join("auth/users.json");
    std::fs::write(&path, "{").unwrap();
    let text = Auth::open(dir.path(), true, NOW).err().unwrap().to_string();
    assert!(text.contains("users.json") && text.contains("damaged"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
}

#[test]
fn passwords_that_are_tried_first_are_refused() {
    for bad in ["password1234", "123456789012", "aaaaaaaaaaaaaaaa", "annaannaanna", "qwertyuiop12", "tidewire1234"] {
        assert!(password::check(bad, "anna").is_err(), "{bad}");
    }
    for good in [GOOD, "Tr0ub4dor&3xyz", "ein ganz langer Satz"] {
        assert!(password::check(good, "anna").is_ok(), "{good}");
    }
}
