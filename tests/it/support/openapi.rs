//! What the doubles of HTTP APIs share: requests read, answers written, and both held against a
//! published OpenAPI description.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
};

use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    pub body: Value,
    pub token: String,
    /// By name in small letters.
    pub headers: BTreeMap<String, Vec<String>>,
}

/// What is sent back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// A JSON document; nothing for `null`.
    pub fn json(status: u16, body: &Value) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Self { status, headers: Vec::new(), body }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Serves on a port of its own for as long as the process lives; returns the address.
pub fn serve(answer: impl Fn(&Request) -> Answer + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            std::thread::spawn(move || converse(stream, &answer));
        }
    });
    url
}

/// Answers every request of one connection.
pub fn converse(stream: impl Read + Write, answer: &dyn Fn(&Request) -> Answer) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        if write(stream.get_mut(), &answer(&request)).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.entry(name.to_lowercase()).or_default().push(value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |values| values[0].parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let token = headers.get("authorization").map_or("", |values| values[0].as_str());
    Some(Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        token: token.trim_start_matches("Bearer ").to_owned(),
        headers,
    })
}

fn write(writer: &mut impl Write, answer: &Answer) -> std::io::Result<()> {
    let mut head = format!(
        "HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        answer.status,
        answer.body.len()
    );
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    writer.write_all(format!("{head}\r\n{}", answer.body).as_bytes())?;
    writer.flush()
}

/// An OpenAPI description, with request bodies closed: what it does not name is refused.
pub struct Description(Value);

impl Description {
    pub fn new(text: &str) -> Self {
        let mut description: Value = serde_json::from_str(text).unwrap();
        for methods in description["paths"].as_object_mut().unwrap().values_mut() {
            for operation in methods.as_object_mut().unwrap().values_mut() {
                if let Some(schema) = operation.pointer_mut("/requestBody/content/application~1json/schema") {
                    close(schema);
                }
            }
        }
        Self(description)
    }

    /// What the description has against a request: its route, its parameters, its body.
    pub fn violations(&self, request: &Request) -> Vec<String> {
        let mut found = Vec::new();
        let mut say = |what: String| found.push(format!("{} {}: {what}", request.method, request.path));
        let Some((template, operation)) = self.operation(&request.method, &request.path) else {
            say("no such route".into());
            return found;
        };
        let given: Vec<(&str, &str)> = request
            .query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .collect();
        let parameters: Vec<&Value> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| match parameter["$ref"].as_str() {
                Some(reference) => &self.0["components"]["parameters"][reference.rsplit('/').next().unwrap()],
                None => parameter,
            })
            .collect();
        let of = |place: &'static str| parameters.iter().filter(move |parameter| parameter["in"] == place);
        for (name, _) in &given {
            if !of("query").any(|parameter| parameter["name"] == *name) {
                say(format!("query parameter {name}"));
            }
        }
        for parameter in of("query") {
            let values = given.iter().filter(|(name, _)| parameter["name"] == *name);
            let values: Vec<&str> = values.map(|(_, value)| *value).collect();
            if values.is_empty() && parameter["required"] == true {
                say(format!("no query parameter {}", parameter["name"]));
            }
            values.into_iter().filter_map(|value| fault(parameter, value)).for_each(&mut say);
        }
        let segments = template.split('/').zip(request.path.split('/'));
        for (name, value) in segments.filter(|(part, _)| part.starts_with('{')) {
            let parameter =
                of("path").find(|parameter| name == format!("{{{}}}", parameter["name"].as_str().unwrap()));
            match parameter {
                Some(parameter) => fault(parameter, value).into_iter().for_each(&mut say),
                None => say(format!("the description has no parameter {name}")),
            }
        }
        match operation.pointer("/requestBody/content/application~1json/schema") {
            Some(schema) => {
                let validator = jsonschema::validator_for(schema).unwrap();
                for error in validator.iter_errors(&request.body) {
                    say(format!("{} {error}", error.instance_path()));
                }
            }
            None if !request.body.is_null() => say("a body where there is none".into()),
            None => {}
        }
        found
    }

    /// What the description has against an answer of the double's own.
    pub fn faults_of_answer(&self, request: &Request, answer: &Answer) -> Vec<String> {
        let Some((_, operation)) = self.operation(&request.method, &request.path) else { return Vec::new() };
        let Some(response) = operation["responses"].get(answer.status.to_string()) else {
            return vec![format!("{} {}: no answer {}", request.method, request.path, answer.status)];
        };
        let Some(schema) = response.pointer("/content/application~1json/schema") else { return Vec::new() };
        let body: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
        let validator = jsonschema::validator_for(schema).unwrap();
        let errors = validator.iter_errors(&body);
        errors
            .map(|error| {
                format!("answer to {} {}: {} {error}", request.method, request.path, error.instance_path())
            })
            .collect()
    }

    fn operation(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let given: Vec<&str> = path.split('/').collect();
        let paths = self.0["paths"].as_object().unwrap();
        let (template, methods) = paths.iter().find(|(template, _)| {
            let parts: Vec<&str> = template.split('/').collect();
            parts.len() == given.len()
                && parts.iter().zip(&given).all(|(part, given)| part.starts_with('{') || part == given)
        })?;
        Some((template, methods.get(method.to_lowercase())?))
    }
}

/// What a parameter's schema has against a value.
fn fault(parameter: &Value, text: &str) -> Option<String> {
    let schema = &parameter["schema"];
    let value = match schema["type"].as_str() {
        Some("integer" | "boolean" | "number") => text.parse().unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    };
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.validate(&value).err().map(|error| format!("parameter {}: {error}", parameter["name"]))
}

/// Refuses properties that the description does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let plain = !["oneOf", "anyOf", "allOf"].iter().any(|key| map.contains_key(*key));
            if map.get("type") == Some(&json!("object")) && map.contains_key("properties") && plain {
                map.entry("additionalProperties").or_insert(json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
