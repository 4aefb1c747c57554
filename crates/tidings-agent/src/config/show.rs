//! `tidings config show`: each setting, and where it came from.

use serde::Serialize;
use serde_json::Value;

use crate::config::layers::Settings;
use crate::config::settings::SETTINGS;
use crate::failure::Failure;
use crate::output::{self, Column, Format, visible};

/// A setting with its value.
#[derive(Debug, Serialize)]
struct Row {
    key: &'static str,
    /// Null where there is none.
    value: Value,
    from: String,
}

/// Prints all settings.
pub(super) fn print(settings: &Settings, format: Format) -> Result<(), Failure> {
    let rows: Vec<_> = SETTINGS
        .iter()
        .map(|setting| Row {
            key: setting.key,
            value: (setting.show)(&settings.config),
            from: settings.origin(setting.key),
        })
        .collect();
    let body = serde_json::to_string(&rows).expect("text and numbers are JSON");
    output::list(format, &body, |_: Vec<Value>| Ok(table(&rows)))
}

fn table(rows: &[Row]) -> String {
    let columns = [Column::Left("KEY"), Column::Left("VALUE"), Column::Left("FROM")];
    output::table(
        &columns,
        rows.iter().map(|row| vec![row.key.to_owned(), text(&row.value), visible(&row.from)]),
    )
}

/// A value as it would be written in a variable.
fn text(value: &Value) -> String {
    let texts: Vec<_> = match value {
        Value::Null => vec![],
        Value::Array(elements) => elements.iter().map(text).collect(),
        Value::String(text) => vec![visible(text)],
        other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_)) => vec![other.to_string()],
    };
    if texts.is_empty() { "-".to_owned() } else { texts.join(",") }
}
