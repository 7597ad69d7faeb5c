//! JSON to records: answers of an API, output of a command line, dumps of a library.

use serde_json::Map;
use serde_json::Value as Json;

use crate::input::InputError;
use crate::input::document::Document;
use crate::input::ingest::record::Record;
use crate::input::ingest::record::Value;
use crate::input::ingest::record::cleaned;

/// Fields deeper than this are left out; the forms known here need 2.
const DEPTH_MAX: usize = 8;

/// Whether the content is, or by its name claims to be, JSON.
pub(super) fn is_json(document: &Document) -> bool {
    let bytes = document.bytes.trim_ascii_start();
    let extension = document.path.as_deref().and_then(|path| path.extension());
    bytes.starts_with(b"{")
        || bytes.starts_with(b"[")
        || extension.is_some_and(|name| name.eq_ignore_ascii_case("json"))
}

/// The records of a JSON document, at the dotted path `at` where one is given.
///
/// # Errors
/// Not JSON, or no list of objects where one must be.
pub(super) fn read(document: &Document, at: Option<&str>) -> Result<Vec<Record>, InputError> {
    let bytes = document.bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&document.bytes);
    let root: Json = serde_json::from_slice(bytes).map_err(|error| {
        refused(
            document,
            format!("not JSON: {error} (NaN and Infinity are none; a table needs a name in .csv or .parquet)"),
        )
    })?;
    let objects = match at {
        Some(path) => objects_at(&root, path),
        None => objects(&root),
    };
    let objects = objects.ok_or_else(|| refused(document, no_list(at)))?;
    if objects.is_empty() {
        return Err(refused(document, "has no records; give at least one".to_owned()));
    }
    let record =
        |(index, fields): (usize, Fields)| Record { place: format!("{}, record {}", document.name, index + 1), fields };
    Ok(objects.into_iter().enumerate().map(record).collect())
}

type Fields = Vec<(String, Value)>;

fn no_list(at: Option<&str>) -> String {
    match at {
        Some(path) => format!("has no list of objects at `{path}`, where the mapping says that records are"),
        None => {
            "has no list of records: none of `data`, `subnets`, `stake_info`, a list of objects or objects by netuid; \
                 name its place with records = \"...\" in a mapping"
                .to_owned()
        }
    }
}

fn objects_at(root: &Json, path: &str) -> Option<Vec<Fields>> {
    let target = path.split('.').try_fold(root, |value, key| value.get(key))?;
    list(target)
}

/// The objects of a document of any known shape.
fn objects(root: &Json) -> Option<Vec<Fields>> {
    let object = match root {
        // Pages of answers, or the objects themselves.
        Json::Array(items) if items.iter().any(|item| item.get("data").is_some()) => {
            let pages: Option<Vec<_>> = items.iter().map(|page| list(page.get("data")?)).collect();
            return pages.map(|pages| pages.concat());
        }
        Json::Object(object) => object,
        _ => return list(root),
    };
    if let Some(stakes) = object.get("stake_info") {
        return stakes_by_hotkey(stakes, object.get("coldkey_address"));
    }
    if let Some(data) = object.get("data").or_else(|| object.get("subnets")) {
        return list(data);
    }
    if object.contains_key("netuid") { Some(vec![fields(object)]) } else { list(root) }
}

/// The objects of a list, or of an object of objects.
fn list(value: &Json) -> Option<Vec<Fields>> {
    match value {
        Json::Array(items) => items.iter().map(|item| item.as_object().map(fields)).collect(),
        Json::Object(object) if object.contains_key("netuid") => Some(vec![fields(object)]),
        Json::Object(object) => object.values().map(|item| item.as_object().map(fields)).collect(),
        _ => None,
    }
}

/// Stakes listed under their hotkeys, each with the fields `hotkey` and `coldkey` added.
fn stakes_by_hotkey(stakes: &Json, coldkey: Option<&Json>) -> Option<Vec<Fields>> {
    let mut all = Vec::new();
    for (hotkey, items) in stakes.as_object()? {
        for mut item in list(items)? {
            item.push(("hotkey".to_owned(), Value::Text(hotkey.clone())));
            if let Some(coldkey) = coldkey.and_then(Json::as_str) {
                item.push(("coldkey".to_owned(), Value::Text(coldkey.to_owned())));
            }
            all.push(item);
        }
    }
    Some(all)
}

fn fields(object: &Map<String, Json>) -> Fields {
    let mut fields = Vec::new();
    flatten("", object, 0, &mut fields);
    fields
}

fn flatten(prefix: &str, object: &Map<String, Json>, depth: usize, fields: &mut Fields) {
    for (name, value) in object {
        let name = format!("{prefix}{name}");
        let value = match value {
            Json::Object(inner) if depth < DEPTH_MAX => {
                flatten(&format!("{name}."), inner, depth + 1, fields);
                continue;
            }
            Json::Bool(flag) => Some(Value::Number(f64::from(u8::from(*flag)))),
            Json::Number(number) => number.as_f64().map(Value::Number),
            Json::String(text) => cleaned(text).map(Value::Text),
            _ => None,
        };
        fields.extend(value.map(|value| (name, value)));
    }
}

fn refused(document: &Document, problem: String) -> InputError {
    InputError::Table { file: document.name.clone(), problem }
}
