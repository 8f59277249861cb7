//! The OpenAPI document of the API.

use std::collections::BTreeMap;

use serde_json::Value;

/// An operation of the document.
pub(crate) struct Described {
    pub(crate) method: String,
    pub(crate) path: String,
    /// What it says of the operation.
    pub(crate) object: Value,
}

/// The whole document.
pub(crate) fn document() -> Value {
    serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap()
}

/// Its operations by their ids.
pub(crate) fn described(document: &Value) -> BTreeMap<String, Described> {
    let mut found = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, object) in methods.as_object().unwrap() {
            let id = object["operationId"].as_str().unwrap().to_owned();
            let method = method.to_uppercase();
            let described = Described { method, path: path.clone(), object: object.clone() };
            assert!(found.insert(id, described).is_none(), "an id stands twice");
        }
    }
    found
}

impl Described {
    /// Whether it takes this header.
    pub(crate) fn takes(&self, header: &str) -> bool {
        let parameters = self.object["parameters"].as_array().into_iter().flatten();
        parameters
            .filter(|parameter| parameter["in"] == "header")
            .any(|parameter| parameter["name"] == header)
    }

    /// Whether it takes an API key.
    pub(crate) fn takes_api_key(&self) -> bool {
        self.object["security"] != Value::Array(Vec::new())
    }

    /// The schema of its body and an example, which the schema has.
    pub(crate) fn request(&self, document: &Value) -> Option<(String, Value)> {
        let schema = &self.object["requestBody"]["content"]["application/json"]["schema"];
        let name = schema_name(schema)?;
        let example = document["components"]["schemas"][&name]["example"].clone();
        assert!(example.is_object(), "{name} has no example");
        Some((name, example))
    }

    /// The status of its success, the media type, the schema and an example.
    pub(crate) fn success(&self) -> (u16, String, Option<String>, Value) {
        let responses = self.object["responses"].as_object().unwrap();
        let (status, response) =
            responses.iter().find(|(status, _)| status.starts_with('2')).unwrap();
        let (kind, content) = response["content"].as_object().unwrap().iter().next().unwrap();
        let schema = schema_name(&content["schema"]);
        (status.parse().unwrap(), kind.clone(), schema, content["example"].clone())
    }
}

/// The name of a schema that is named by reference.
pub(crate) fn schema_name(schema: &Value) -> Option<String> {
    let (_, name) = schema["$ref"].as_str()?.rsplit_once('/')?;
    Some(name.to_owned())
}
