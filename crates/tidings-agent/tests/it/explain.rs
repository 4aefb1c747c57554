//! Completions and manual pages.

use crate::harness::run;

/// All that the program does.
pub(crate) const COMMANDS: [&str; 16] = [
    "demo",
    "agent",
    "members",
    "state",
    "get",
    "set",
    "delete",
    "watch",
    "status",
    "leave",
    "remove",
    "wait",
    "sim",
    "config",
    "completions",
    "man",
];

#[test]
fn each_shell_completes_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = run(&["completions", shell]);
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{shell}");
        for word in COMMANDS.into_iter().chain(["max-bytes"]) {
            assert!(done.out.contains(word), "{word} for {shell}");
        }
    }
    run(&["completions", "tcsh"]).failed(2, "tcsh");
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let page = run(&["man"]);
    assert_eq!(page.code, Some(0), "{}", page.err);
    assert!(page.out.contains(".TH tidings 1"), "{}", page.out);
    for command in COMMANDS {
        assert!(page.out.contains(&format!("tidings\\-{command}(1)")), "{command}");
        assert!(run(&["man", command]).out.contains(&format!(".TH tidings-{command} 1")), "{command}");
    }
    let show = run(&["man", "config", "show"]).out;
    assert!(show.contains("tidings config show") && show.contains("TIDINGS_MAX_BYTES"), "{show}");
    run(&["man", "gossip"]).failed(2, "there is no command `tidings gossip`");
}
