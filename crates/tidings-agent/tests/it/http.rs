//! The routes, as `curl` and other languages meet them.

use serde_json::json;

use crate::harness::{Agent, http};

#[test]
fn values_are_put_got_and_deleted() {
    let agent = Agent::start("api-1", &[]);
    let put = agent.http("PUT", "/v1/kv/@self/a/b", b"raw");
    assert_eq!(put.status, 200, "{}", put.body);
    assert_eq!(agent.http("PUT", "/v1/kv/api-1/a%2Fc", b"escaped").status, 200);
    assert_eq!(agent.fetch("/v1/kv/@self/a%2fb")["value"], "raw");
    assert_eq!(agent.fetch("/v1/kv/api-1/a/c")["value"], "escaped");
    assert_eq!(agent.http("DELETE", "/v1/kv/@self/a/b", b"").status, 200);
    agent.http("GET", "/v1/kv/@self/a/b", b"").is_problem(404, "no-such-key");
    agent.http("DELETE", "/v1/kv/@self/a/b", b"").is_problem(404, "no-such-key");
}

#[test]
fn keys_are_listed_by_owner_and_prefix() {
    let agent = Agent::start("api-1", &[]);
    for key in ["a/1", "a/2", "b/1"] {
        agent.http("PUT", &format!("/v1/kv/@self/{key}"), b"v");
    }
    let keys = |query: &str| {
        let state = agent.fetch(&format!("/v1/kv{query}"));
        let entries = state[0]["entries"].as_array().expect("an array").clone();
        entries.iter().map(|entry| entry["key"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(""), ["a/1", "a/2", "b/1"]);
    assert_eq!(keys("?prefix=a/"), ["a/1", "a/2"]);
    assert_eq!(keys("?owner=@self&prefix=b"), ["b/1"]);
    assert_eq!(keys("?owner=api-1"), ["a/1", "a/2", "b/1"]);
    agent.http("GET", "/v1/kv?owner=nobody", b"").is_problem(404, "no-such-node");
    agent.http("GET", "/v1/kv?owner=a&owner=b", b"").is_problem(400, "bad-request");
}

#[test]
fn a_member_has_a_route_of_its_own() {
    let agent = Agent::start("api-1", &[]);
    assert_eq!(agent.fetch("/v1/members/api-1")["self"], true);
    assert_eq!(agent.fetch("/v1/members/@self")["name"], "api-1");
    agent.http("GET", "/v1/members/nobody", b"").is_problem(404, "no-such-node");
}

#[test]
fn bodies_are_bounded() {
    let agent = Agent::start("api-1", &[]);
    assert_eq!(agent.http("PUT", "/v1/kv/@self/k", &[b'v'; 900]).status, 200);
    agent.http("PUT", "/v1/kv/@self/k", &[b'v'; 65_537]).is_problem(413, "too-large");
}

#[test]
fn what_is_no_key_is_refused() {
    let agent = Agent::start("api-1", &[]);
    for path in ["/v1/kv/@self/", "/v1/kv/@self", "/v1/kv/@self/tidings/x", "/v1/kv/@self/a%0Ab"] {
        agent.http("PUT", path, b"v").is_problem(400, "bad-key");
    }
    agent.http("PUT", "/v1/kv/@self/%ff", b"v").is_problem(400, "bad-request");
}

#[test]
fn unknown_routes_and_methods_are_problems() {
    let agent = Agent::start("api-1", &[]);
    agent.http("GET", "/", b"").is_problem(404, "no-such-route");
    agent.http("GET", "/v2/status", b"").is_problem(404, "no-such-route");
    let answer = agent.http("POST", "/v1/status", b"");
    answer.is_problem(405, "no-such-method");
    assert!(answer.head.contains("allow: get"), "{}", answer.head);
}

#[test]
fn foreign_hosts_are_refused() {
    let agent = Agent::start("api-1", &[]);
    let ask = |host: &str| http(agent.api, "GET /v1/status HTTP/1.1", &[&format!("Host: {host}")], b"");
    let port = agent.api.port();
    for host in [&format!("127.0.0.1:{port}"), "localhost", &format!("LocalHost:{port}"), "[::1]:1"] {
        assert_eq!(ask(host).status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "10.1.2.3", "api-1"] {
        ask(host).is_problem(421, "foreign-host");
    }
    http(agent.api, "GET /livez HTTP/1.1", &[], b"").is_problem(400, "bad-request");
    http(agent.api, "GET /livez HTTP/1.1", &["Host: localhost", "Host: localhost"], b"")
        .is_problem(400, "bad-request");
    http(agent.api, "GET http://evil.example/livez HTTP/1.1", &["Host: localhost"], b"")
        .is_problem(421, "foreign-host");
}

#[test]
fn pages_of_other_sites_can_not_write() {
    let agent = Agent::start("api-1", &[]);
    let host = format!("Host: {}", agent.api);
    let ask = |origin: &str| {
        let origin = format!("Origin: {origin}");
        http(agent.api, "PUT /v1/kv/@self/k HTTP/1.1", &[&host, &origin], b"v")
    };
    ask("http://evil.example").is_problem(403, "foreign-site");
    ask("null").is_problem(403, "foreign-site");
    assert_eq!(ask(&format!("http://{}", agent.api)).status, 200);
}

#[test]
fn nothing_is_taken_for_a_page() {
    let agent = Agent::start("api-1", &[]);
    agent.http("PUT", "/v1/kv/@self/page", b"<script>alert(1)</script>");
    for path in ["/v1/kv/@self/page", "/v1/kv", "/v1/status", "/nowhere"] {
        let head = agent.http("GET", path, b"").head;
        assert!(head.contains("x-content-type-options: nosniff\r\n"), "{path}: {head}");
        assert!(head.contains("content-type: application/"), "{path}: {head}");
    }
}

#[test]
fn probes_answer() {
    let agent = Agent::start("api-1", &[]);
    assert_eq!(agent.fetch("/livez"), json!({"ok": true}));
    assert_eq!(agent.fetch("/readyz"), json!({"ok": true}));
}

#[test]
fn leave_answers_and_then_the_agent_ends() {
    let mut agent = Agent::start("api-1", &[]);
    let answer = agent.http("POST", "/v1/leave", b"");
    assert_eq!((answer.status, answer.json()), (200, json!({"name": "api-1", "state": "departed"})));
    assert_eq!(agent.ended().code(), Some(0));
}
