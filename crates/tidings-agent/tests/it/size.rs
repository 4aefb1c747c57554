//! What no datagram carries reaches a newcomer all the same.

use crate::harness::Agent;

#[test]
fn the_largest_value_and_thousands_of_keys_reach_a_newcomer() {
    let rich = Agent::start("rich", &[]);
    let largest = "v".repeat(64 << 10);
    assert_eq!(rich.http("PUT", "/v1/kv/@self/largest", largest.as_bytes()).status, 200);
    for number in 0..3_000 {
        let key = format!("/v1/kv/@self/many/{number}");
        assert_eq!(rich.http("PUT", &key, number.to_string().as_bytes()).status, 200);
    }
    let newcomer = Agent::join("newcomer", &rich, &[]);
    newcomer.fetch_until("/v1/members", |members| members[1]["keys"] == 3_001);
    assert_eq!(newcomer.fetch("/v1/kv/rich/largest")["value"], largest);
    assert_eq!(newcomer.fetch("/v1/kv/rich/many/2999")["value"], "2999");
    newcomer.wait_for_members(2);
    let digest = rich.fetch_until("/v1/status", |status| status["live"] == 2)["digest"].clone();
    let status = newcomer.fetch_until("/v1/status", |status| status["digest"] == digest);
    let streams = status["sent"]["streams"].as_u64().max(status["received"]["streams"].as_u64());
    assert!(streams > Some(0), "{status}");
    assert_eq!(status["blocked_streams"], serde_json::json!([]));
}
