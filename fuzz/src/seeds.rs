//! What the mutations begin with: the golden messages, and a little of everything else.

use std::io;
use std::path::Path;

use tidings_core::wire::frame;
use tidings_core::{Body, Entry, Generation, Key, News, NodeName, Saved, Seal, Value, Version, WallClock};

use crate::format;
use crate::world::{CLUSTER, from_friend};

/// The seeds of the target of this name, each with a name of its own.
///
/// # Errors
/// The golden messages cannot be read.
pub fn seeds(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    match target {
        "datagram" => golden(),
        "stream" => streams(),
        _ => Ok(files()),
    }
}

/// The golden messages by name, as bytes.
fn golden() -> io::Result<Vec<(String, Vec<u8>)>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/tidings-core/tests/golden");
    let mut found = Vec::new();
    for entry in dir.read_dir()? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let code = text.lines().flat_map(|line| line.split('#').next());
        let bytes = code.flat_map(str::split_whitespace).map(|byte| u8::from_str_radix(byte, 16));
        let bytes = bytes.collect::<Result<_, _>>().map_err(io::Error::other)?;
        found.push((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), bytes));
    }
    found.sort();
    Ok(found)
}

/// What is asked on a stream, what is answered there, and all messages in a row.
fn streams() -> io::Result<Vec<(String, Vec<u8>)>> {
    let golden = golden()?;
    let framed = |name: &str| {
        let message = golden.iter().find(|(other, _)| other == name);
        message.map_or_else(Vec::new, |(_, bytes)| frame(bytes))
    };
    let end = frame(&Seal::new(CLUSTER).encode(&from_friend(0, Body::Ack2(News::default()))));
    Ok(vec![
        ("ask".to_owned(), framed("fetch")),
        ("answer".to_owned(), [framed("ack2"), framed("ack2"), end].concat()),
        ("everything".to_owned(), golden.iter().flat_map(|(_, bytes)| frame(bytes)).collect()),
    ])
}

/// A state with and without entries, and addresses.
fn files() -> Vec<(String, Vec<u8>)> {
    let name = NodeName::new("me").expect("a proper name");
    let entry = |key, value: Option<&str>, version| {
        let entry = Entry::new(value.map(Value::from), Version(version));
        (Key::new(key).expect("a proper key"), entry)
    };
    let full = Saved {
        generation: Generation(1_799_999_000_000),
        accepted: Generation(1_799_998_000_000),
        max: Version(300),
        gc: Version(2),
        entries: vec![entry("a", Some("one"), 3), entry("b", None, 299), entry("c", Some(""), 300)],
        wall: WallClock(0),
    };
    let addresses = [([10, 0, 0, 7], 8_434).into(), ([0xfd00, 0, 0, 0, 0, 0, 1, 7], 8_435).into()];
    let state = |saved| format::sealed(&format::write_state(&name, saved));
    vec![
        ("full".to_owned(), state(&full)),
        ("fresh".to_owned(), state(&Saved::default())),
        ("peers".to_owned(), format::sealed(&format::write_peers(&addresses))),
    ]
}
