//! Which peers these are: as the lock file says, which is what was built.

/// The lock file of this workspace.
const LOCK: &str = include_str!("../Cargo.lock");

/// chitchat with its version.
pub(crate) fn chitchat() -> String {
    named("chitchat")
}

/// foca with its version.
pub(crate) fn foca() -> String {
    named("foca")
}

fn named(package: &str) -> String {
    let version = version(LOCK, package).expect("what was built is in the lock file");
    format!("{package} {version}")
}

fn version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let mut lines = lock.lines();
    lines.find(|line| line.strip_prefix("name = ").is_some_and(|name| name.trim_matches('"') == package))?;
    Some(lines.next()?.strip_prefix("version = ")?.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"foca-tools\"\nversion = \"9.9.9\"\n\n\
                    [[package]]\nname = \"foca\"\nversion = \"2.0.1\"\n";
        assert_eq!(version(lock, "foca"), Some("2.0.1"));
        assert_eq!(version(lock, "swim"), None);
        assert!(chitchat().starts_with("chitchat 0."));
        assert!(foca().starts_with("foca "));
    }
}
