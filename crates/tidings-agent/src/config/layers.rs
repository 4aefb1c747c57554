//! Where settings come from, and which one counts.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, builder, value_parser};
use serde_json::Value;
use toml::Spanned;

use crate::config::AgentConfig;
use crate::config::settings::{SETTINGS, Setting};
use crate::failure::{Exit, Failure};

/// A configuration, and where each of its settings came from.
pub(crate) struct Settings {
    pub(crate) config: AgentConfig,
    /// The settings that did not stay at their defaults, by key.
    origins: BTreeMap<&'static str, Origin>,
}

/// The flags of an agent, with the environment beneath them.
#[derive(Debug)]
pub(crate) struct Flags {
    file: Option<PathBuf>,
    given: Layer,
}

/// What a layer gives, by key.
type Layer = BTreeMap<&'static str, Given>;

/// What a layer gives for a setting.
#[derive(Debug)]
struct Given {
    value: Value,
    /// The value as its author wrote it.
    written: String,
    from: Origin,
}

/// Where a setting came from.
#[derive(Debug, Clone)]
enum Origin {
    Flag(String),
    Environment(String),
    File { path: PathBuf, line: usize },
}

impl Settings {
    /// Takes each setting from the highest layer that gives it. An unknown key of the file is refused; an unknown
    /// variable is warned about, since orchestrators inject some.
    pub(crate) fn resolve(flags: &Flags) -> Result<Self, Failure> {
        warn_of_unknown_variables();
        let file = flags.file.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let mut settings = Self { config: AgentConfig::default(), origins: BTreeMap::new() };
        for setting in SETTINGS {
            let Some(given) = flags.given.get(setting.key).or_else(|| file.get(setting.key)) else {
                continue;
            };
            (setting.take)(&mut settings.config, &given.value).ok_or_else(|| given.refused(setting))?;
            settings.origins.insert(setting.key, given.from.clone());
        }
        Ok(settings)
    }

    /// Where the setting `key` came from.
    pub(super) fn origin(&self, key: &str) -> String {
        self.origins.get(key).map_or_else(|| "default".to_owned(), Origin::to_string)
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        let default = AgentConfig::default();
        let file = Arg::new("config").long("config").value_name("FILE").value_parser(value_parser!(PathBuf));
        let help = format!(
            "A TOML file for what neither flags nor variables give. Its keys: {}",
            places().join(", ")
        );
        command.args(SETTINGS.iter().map(|setting| argument(setting, &default))).arg(file.help(help))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &Setting| given_by_flags(setting, matches).map(|given| (setting.key, given));
        Ok(Self {
            file: matches.get_one::<PathBuf>("config").cloned(),
            given: SETTINGS.iter().filter_map(given).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Given {
    /// Says what was given where, and what is accepted.
    fn refused(&self, setting: &Setting) -> Failure {
        let fact = format!("{} can't be {} ({})", setting.key, self.written, self.from);
        Failure::new(Exit::Usage, fact, format!("give {}", setting.accepts))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag --{flag}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::File { path, line } => write!(f, "file {}:{line}", path.display()),
        }
    }
}

/// The flag of a setting, and the variable that stands in for it.
fn argument(setting: &Setting, default: &AgentConfig) -> Arg {
    let help = match (setting.show)(default) {
        Value::String(text) => format!("{} [default: {text}]", setting.help),
        number @ Value::Number(_) => format!("{} [default: {number}]", setting.help),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => setting.help.to_owned(),
    };
    Arg::new(setting.key)
        .long(setting.flag())
        .env(setting.variable())
        .hide_env_values(true)
        .value_name(setting.form)
        .value_parser(builder::StringValueParser::new())
        .action(if setting.many { ArgAction::Append } else { ArgAction::Set })
        .help(help)
}

/// What the flag of a setting gives, or else its variable. An empty variable gives nothing: that is how compose files and
/// unit files leave one out.
fn given_by_flags(setting: &Setting, matches: &ArgMatches) -> Option<Given> {
    let texts: Vec<_> = matches.get_many::<String>(setting.key)?.cloned().collect();
    let by_variable = matches.value_source(setting.key) == Some(ValueSource::EnvVariable);
    if by_variable && texts.iter().all(String::is_empty) {
        return None;
    }
    let from =
        if by_variable { Origin::Environment(setting.variable()) } else { Origin::Flag(setting.flag()) };
    let written = texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ");
    let value = if setting.many && !by_variable { texts.into() } else { texts.concat().into() };
    Some(Given { value, written, from })
}

fn read_file(path: &Path) -> Result<Layer, Failure> {
    let refuse = |fact: String, fix: String| Failure::new(Exit::Usage, fact, fix);
    let text = std::fs::read_to_string(path).map_err(|error| {
        let fact = format!("the configuration {} can't be read: {error}", path.display());
        refuse(fact, "give --config a TOML file that this user may read".to_owned())
    })?;
    let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    let table: BTreeMap<Spanned<String>, Spanned<Value>> = toml::from_str(&text).map_err(|error| {
        let at = line(error.span().map_or(0, |span| span.start));
        let fact = format!("{}:{at} is no TOML: {}", path.display(), error.message());
        refuse(fact, "write one `key = value` a line, with text in double quotes".to_owned())
    })?;
    let mut layer = Layer::new();
    for (key, value) in table {
        let at = line(key.span().start);
        let written = text.get(value.span()).unwrap_or_default().to_owned();
        for (place, value, written) in unfold(key.into_inner(), value.into_inner(), written) {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.place() == place) else {
                let fact = format!("{}:{at} has the unknown key {place:?}", path.display());
                let nearest = nearest(&place).0.place();
                return Err(refuse(
                    fact,
                    format!("did you mean {nearest}? The keys are {}", places().join(", ")),
                ));
            };
            let from = Origin::File { path: path.to_owned(), line: at };
            layer.insert(setting.key, Given { value, written, from });
        }
    }
    Ok(layer)
}

/// What stands under a key of the file: a table that has settings is taken apart.
fn unfold(key: String, value: Value, written: String) -> Vec<(String, Value, String)> {
    let is_table = places().iter().any(|place| place.split_once('.').is_some_and(|(table, _)| table == key));
    if let (true, Value::Object(table)) = (is_table, &value) {
        let entry =
            |(inner, value): (&String, &Value)| (format!("{key}.{inner}"), value.clone(), value.to_string());
        return table.iter().map(entry).collect();
    }
    vec![(key, value, written)]
}

/// Where the settings stand in the file.
fn places() -> Vec<&'static str> {
    SETTINGS.iter().map(Setting::place).collect()
}

/// Says on stderr which variables look like settings and are none.
fn warn_of_unknown_variables() {
    let known = |name: &str| name == LOG || SETTINGS.iter().any(|setting| setting.variable() == name);
    let mut unknown: Vec<_> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    unknown.retain(|name| name.starts_with(PREFIX) && !known(name));
    unknown.sort_unstable();
    for name in unknown {
        let (nearest, likeness) = nearest(&name[PREFIX.len()..].to_lowercase());
        let hint =
            if likeness < ALIKE { String::new() } else { format!("; did you mean {}?", nearest.variable()) };
        // With stderr closed there is nobody to warn.
        let _ = writeln!(io::stderr(), "warning: {name} is no setting, and has no effect{hint}");
    }
}

/// The setting whose key, or place in the file, is most like `text`, and how much it is, up to 1.
fn nearest(text: &str) -> (&'static Setting, f64) {
    let alike = |setting: &Setting| {
        [setting.key, setting.place()]
            .map(|name| strsim::jaro_winkler(name, text))
            .into_iter()
            .fold(0.0, f64::max)
    };
    let all = SETTINGS.iter().map(|setting| (setting, alike(setting)));
    all.max_by(|a, b| a.1.total_cmp(&b.1)).expect("there are settings")
}

/// What begins the names of our variables.
const PREFIX: &str = "TIDINGS_";

/// The variable that chooses what is logged. It is no setting: the log begins before they are read.
pub(crate) const LOG: &str = "TIDINGS_LOG";

/// From which likeness on a slip of the pen is likelier than another meaning.
const ALIKE: f64 = 0.85;
