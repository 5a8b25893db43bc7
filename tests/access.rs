//! Nobody gets in without credentials, and nobody further than the role or token allows.

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value as Json, json};
use tidewire_tests::{Http, Server, Socket, http::encode};

const PASSWORD: &str = "correct horse battery";

/// Roles, from the one that may least.
const ROLES: [&str; 4] = ["viewer", "operator", "editor", "admin"];

struct People {
    server: Server,
    sessions: BTreeMap<&'static str, String>,
}

impl People {
    async fn new() -> People {
        let server = Server::with().auth().start().await;
        let token = server.open_line().unwrap().split("token=").nth(1).unwrap().to_owned();
        let form = json!({"token": token, "username": "admin", "password": PASSWORD});
        let admin = server.http().post("/api/setup", &form).await.expect(200).cookies();
        let mut people = People { server, sessions: BTreeMap::from([("admin", admin)]) };
        for role in &ROLES[..3] {
            let user = json!({"name": role, "role": role, "password": PASSWORD});
            assert!(people.of("admin").post("/api/users", &user).await.status.is_success());
            let login = json!({"username": role, "password": PASSWORD});
            let cookies = people.server.http().post("/api/login", &login).await.expect(200).cookies();
            people.sessions.insert(role, cookies);
        }
        people
    }

    fn of(&self, role: &str) -> Http {
        self.server.http().cookie(&self.sessions[role])
    }

    async fn token(&self, scopes: &[&str]) -> Http {
        let answer = self.of("admin").post("/api/tokens", &json!({"name": "test", "scopes": scopes})).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        self.server.http().without("x-requested-by").bearer(answer.json()["token"].as_str().unwrap())
    }
}

/// The status of a request that would do nothing sensible if it were let through.
async fn status(http: &Http, method: &Method, path: &str) -> u16 {
    if *method == Method::GET {
        // Only the head: some answers never end.
        return http.open(path).await.status().as_u16();
    }
    http.try_send(method.clone(), path, Some(&json!({}))).await.map_or(0, |answer| answer.status.as_u16())
}

fn refused(status: u16) -> bool {
    status == 401 || status == 403
}

/// Every route there is, from the server's own description, against a list that a person has looked at.
#[tokio::test]
async fn each_route_lets_in_whom_it_should() {
    let people = People::new().await;
    let anyone = people.server.http();
    let description = anyone.json("/api/openapi.json").await;
    let mut found = String::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let who = who_may(&people, &method, path).await;
            found.push_str(&format!("{who:8} {method:6} {path}\n"));
        }
    }
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("access.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&list, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&list).unwrap_or_default();
    assert!(
        found == expected,
        "routes and whom they let in have changed; look at each, then run again with UPDATE=1:\n{}",
        difference(&expected, &found)
    );
}

/// These answer 401 or 403 for what is sent, not for who sends it; or they end the session that asks.
const ABOUT_SIGNING_IN: [&str; 5] = ["/api/setup", "/api/login", "/api/logout", "/auth/token", "/auth/revoke"];

async fn who_may(people: &People, method: &Method, path: &str) -> &'static str {
    let asked = fill(path);
    if ABOUT_SIGNING_IN.contains(&path) || !refused(status(&people.server.http(), method, &asked).await) {
        return "anyone";
    }
    for role in ROLES {
        if !refused(status(&people.of(role), method, &asked).await) {
            return role;
        }
    }
    "nobody"
}

fn fill(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "none" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn difference(expected: &str, found: &str) -> String {
    let gone =
        expected.lines().filter(|line| !found.lines().any(|other| other == *line)).map(|line| format!("- {line}"));
    let new =
        found.lines().filter(|line| !expected.lines().any(|other| other == *line)).map(|line| format!("+ {line}"));
    gone.chain(new).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn sockets_ask_for_credentials_too() {
    let people = People::new().await;
    let server = &people.server;
    let own = format!("http://127.0.0.1:{}", server.http_port);
    let (admin, viewer) = (people.sessions["admin"].clone(), people.sessions["viewer"].clone());
    for path in ["/api/live", "/api/taps?nodes=a"] {
        let open = |headers: Vec<(&'static str, String)>| async move {
            let headers: Vec<(&'static str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Socket::try_open(server, path, &headers).await.err()
        };
        assert_eq!(open(vec![("origin", own.clone())]).await, Some(401), "{path} without credentials");
        let foreign = "http://evil.example".to_owned();
        assert_eq!(
            open(vec![("origin", foreign), ("cookie", admin.clone())]).await,
            Some(403),
            "{path} from elsewhere"
        );
        assert_eq!(
            open(vec![("origin", own.clone()), ("cookie", admin.clone())]).await,
            None,
            "{path} as it should be"
        );
    }
    let headers = [("origin", own.as_str()), ("cookie", viewer.as_str())];
    assert_eq!(
        Socket::try_open(server, "/api/taps?nodes=a", &headers).await.err(),
        Some(403),
        "viewers see no messages"
    );

    // Node-RED's socket says so in its own words.
    let mut comms = Socket::open(server, "/comms").await;
    comms.send(&json!({"auth": "wrong"})).await;
    assert_eq!(comms.next().await, Some(json!({"auth": "fail"})));
    assert_eq!(comms.next().await, None, "and closes");
}

#[tokio::test]
async fn a_viewer_looks_and_an_editor_deploys() {
    let people = People::new().await;
    let flows = json!([{"id": "tab", "type": "tab", "label": "x"}]);
    for role in ["viewer", "operator"] {
        assert_eq!(people.of(role).post("/flows", &flows).await.problem(403), "forbidden", "{role}");
        people.of(role).get("/flows").await.expect(200);
    }
    people.of("editor").post("/flows", &flows).await.expect(204);
    assert_eq!(people.of("editor").get("/api/users").await.problem(403), "forbidden");
    people.of("admin").get("/api/users").await.expect(200);
    assert_eq!(people.of("viewer").json("/flows").await, flows);
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say() {
    let people = People::new().await;
    let event = json!({"specversion": "1.0", "source": "/t", "type": "x-happened", "subject": "thing-t", "data": 1});
    let reader = people.token(&["events:read"]).await;
    let writer = people.token(&["events:append"]).await;
    writer.post("/api/events", &event).await.expect(201);
    assert_eq!(reader.items("/api/events?stream=thing-t").await.len(), 1);
    assert!(!reader.post("/api/events", &event).await.problem(403).is_empty());
    assert!(!writer.get("/api/events").await.problem(403).is_empty());
    assert!(!writer.get("/flows").await.problem(403).is_empty());

    let wrong = people.server.http().bearer("tw_nothing_at_all");
    assert!(!wrong.get("/api/events").await.problem(401).is_empty());
    let unknown = people.of("admin").post("/api/tokens", &json!({"name": "t", "scopes": ["everything"]})).await;
    assert!(unknown.status.is_client_error() && unknown.text().contains("everything"), "{}", unknown.text());

    let tokens = people.of("admin").items("/api/tokens").await;
    assert!(tokens.iter().all(|token| token.get("token").is_none()), "secrets are shown once: {tokens:?}");
    for token in tokens {
        let id = encode(token["id"].as_str().unwrap());
        assert!(people.of("admin").delete(&format!("/api/tokens/{id}")).await.status.is_success());
    }
    assert!(!reader.get("/api/events").await.problem(401).is_empty(), "a revoked token is worth nothing");
}

#[tokio::test]
async fn node_red_tools_sign_in_as_they_are_used_to() {
    let people = People::new().await;
    let anyone = people.server.http().without("x-requested-by");
    assert_eq!(anyone.json("/auth/login").await["type"], "credentials");
    let grant = |password: &str| json!({"client_id": "node-red-admin", "grant_type": "password", "scope": "*", "username": "admin", "password": password});
    assert_eq!(anyone.post("/auth/token", &grant("wrong wrong wrong")).await.status, 403);
    let answer = anyone.post("/auth/token", &grant(PASSWORD)).await.expect(200).json();
    assert_eq!(answer["token_type"], "Bearer");
    let tool = anyone.clone().bearer(answer["access_token"].as_str().unwrap());
    tool.get("/flows").await.expect(200);
    tool.post("/auth/revoke", &json!({"token": answer["access_token"]})).await.expect(200);
    assert_eq!(tool.get("/flows").await.status, 401);
}

#[tokio::test]
async fn pages_of_other_origins_and_names_get_nothing() {
    let people = People::new().await;
    let flows: Json = json!([]);
    let admin = people.of("admin");
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        assert!(!admin.clone().with("origin", origin).post("/flows", &flows).await.problem(403).is_empty(), "{origin}");
    }
    let unmarked = admin.clone().without("x-requested-by");
    assert!(!unmarked.post("/flows", &flows).await.problem(403).is_empty(), "a cookie alone changes nothing");
    let form = admin.clone().with("content-type", "application/x-www-form-urlencoded");
    assert_eq!(form.send_bytes(Method::POST, "/flows", b"[]".to_vec()).await.status, 415);
    let rebound = admin.clone().with("host", "evil.example");
    assert!(rebound.get("/flows").await.status.is_client_error(), "a name that DNS could point here");
    let login = json!({"username": "admin", "password": "wrong wrong wrong"});
    assert!(!people.server.http().post("/api/login", &login).await.problem(403).is_empty());
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let people = People::new().await;
    let login = json!({"username": "admin", "password": "wrong wrong wrong"});
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(people.server.http().post("/api/login", &login).await.status.as_u16());
    }
    assert_eq!(statuses.first(), Some(&403));
    assert!(statuses.contains(&429), "{statuses:?}");
}
