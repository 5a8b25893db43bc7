#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::auth::permission::Rights;
use crate::auth::{Principal, rights_of};
use tidewire_api::account::Role;

/// Method, path, and the least that lets one in: `-` nobody need sign in; else the lowest role.
fn matrix() -> String {
    let roles =
        [("viewer", Role::Viewer), ("operator", Role::Operator), ("editor", Role::Editor), ("admin", Role::Admin)];
    let least = |permission: Permission| match permission {
        Permission::Public => "-",
        permission => {
            roles.iter().find(|(_, role)| rights_of(*role).has(permission)).map_or("nobody", |(name, _)| name)
        }
    };
    let mut lines: Vec<String> = all()
        .table()
        .iter()
        .map(|route| format!("{:8} {:6} {}\n", least(route.permission), route.method, route.path))
        .collect();
    lines.extend(
        crate::live::session::Command::ALL
            .iter()
            .map(|command| format!("{:8} LIVE   {command:?}\n", least(command.permission()))),
    );
    lines.extend(
        crate::comms::Command::ALL
            .iter()
            .map(|command| format!("{:8} COMMS  {command:?}\n", least(command.permission()))),
    );
    lines.sort();
    lines.concat()
}

#[test]
fn every_route_and_socket_command_stands_in_the_list_with_whom_it_lets_in() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes/access.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(golden, matrix()).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    assert_eq!(matrix(), expected, "look at what changed, then run again with UPDATE=1");
}

#[test]
fn each_role_gets_exactly_what_its_rights_say() {
    for (role, who) in [Role::Viewer, Role::Operator, Role::Editor, Role::Admin]
        .map(|role| (role, Principal::user("x".into(), role, "s".into())))
    {
        for route in all().table().iter() {
            let allowed = crate::auth::principal::authorize(Some(&who), route.permission).is_ok();
            assert_eq!(allowed, rights_of(role).or(Rights::of(&[Permission::Public])).has(route.permission));
            let nobody = crate::auth::principal::authorize(None, route.permission).is_ok();
            assert_eq!(nobody, route.permission == Permission::Public, "{}", route.path);
        }
    }
}

#[test]
fn the_description_names_every_route_and_all_references_lead_somewhere() {
    let table = all().table();
    let document = openapi::document(&table);
    for route in table.iter() {
        let path = route.path.replace("{*", "{");
        let method = route.method.as_str().to_lowercase();
        assert!(document["paths"][&path][&method].is_object(), "{method} {path}");
    }
    fn check(value: &serde_json::Value, document: &serde_json::Value) {
        match value {
            serde_json::Value::Object(map) => {
                if let Some(path) = map.get("$ref").and_then(serde_json::Value::as_str) {
                    assert!(document.pointer(path.trim_start_matches('#')).is_some(), "{path}");
                }
                map.values().for_each(|value| check(value, document));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|value| check(value, document)),
            _ => {}
        }
    }
    check(&document, &document);
    assert_eq!(document["openapi"], "3.1.0");
}
