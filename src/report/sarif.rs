//! SARIF 2.1.0, for GitHub code scanning and for editors.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>;
//! what GitHub reads of it:
//! <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>

use serde_json::{Value, json};

use super::{CheckReport, docs_url, escape, excerpt, uri};
use crate::{
    finding::{Finding, Place, Severity},
    rules,
};

/// GitHub refuses a run of more results than this.
const MOST: usize = 25_000;

/// Renders a report. `id` tells several runs on one commit apart.
pub(crate) fn render(report: &CheckReport, id: &str) -> String {
    let silenced = report.ignored.iter().map(|(finding, reason)| (finding, Some(reason.as_str())));
    let all: Vec<(&Finding, Option<&str>)> =
        report.findings.iter().map(|finding| (finding, None)).chain(silenced).take(MOST).collect();
    let findings: Vec<&Finding> = all.iter().map(|(finding, _)| *finding).collect();

    let mut names: Vec<&'static str> = findings.iter().map(|finding| finding.rule).collect();
    names.sort_unstable();
    names.dedup();
    let results: Vec<Value> = all
        .iter()
        .zip(excerpt::fingerprints(report, &findings))
        .map(|((finding, ignored), fingerprint)| {
            let mut result = json!({
                "ruleId": finding.rule,
                "ruleIndex": names.binary_search(&finding.rule).unwrap_or_default(),
                "level": level(finding.severity),
                "message": {"text": message(finding)},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": uri(&finding.place.file), "uriBaseId": "%SRCROOT%"},
                    "region": region(&finding.place),
                }}],
                "partialFingerprints": {"lockkeeperFinding/v1": fingerprint},
            });
            if let Some(reason) = ignored {
                result["suppressions"] = json!([{"kind": "inSource", "justification": reason}]);
            }
            if let Some(edit) = &finding.edit {
                result["fixes"] = json!([{
                    "description": {"text": "The same, without the lock that blocks."},
                    "artifactChanges": [{
                        "artifactLocation": {"uri": uri(&edit.place.file), "uriBaseId": "%SRCROOT%"},
                        "replacements": [{
                            "deletedRegion": region(&edit.place),
                            "insertedContent": {"text": edit.text},
                        }],
                    }],
                }]);
            }
            result
        })
        .collect();
    let notifications: Vec<Value> = report
        .unverified()
        .iter()
        .map(|text| json!({"level": "note", "message": {"text": format!("not verified: {text}")}}))
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "Lockkeeper",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": "https://github.com/lockkeeper/lockkeeper",
                "rules": names.iter().map(|name| rule(name, &findings)).collect::<Vec<_>>(),
            }},
            "automationDetails": {"id": format!("lockkeeper/{id}/")},
            "columnKind": "unicodeCodePoints",
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notifications}],
            "results": results,
        }],
    });
    // A tree of strings and numbers always serializes.
    escape::json(serde_json::to_string_pretty(&document).unwrap_or_default())
}

/// A rule's record; where the registry does not know it, what its findings say.
fn rule(name: &str, findings: &[&Finding]) -> Value {
    let known = rules::find(name);
    let category = findings.iter().find(|finding| finding.rule == name).map(|finding| finding.category);
    let severity = known.map_or(Severity::Warning, |rule| rule.severity);
    let summary = known.map_or(name, |rule| rule.summary);
    let mut record = json!({
        "id": name,
        "shortDescription": {"text": summary},
        "helpUri": docs_url(name),
        "defaultConfiguration": {"level": level(severity)},
        "properties": {"tags": category.iter().map(|category| category.as_str()).collect::<Vec<_>>()},
    });
    if let Some(rule) = known {
        let help = format!("{} {}", rule.why, rule.instead);
        record["fullDescription"] = json!({"text": rule.why});
        record["help"] = json!({"text": help, "markdown": help});
    }
    record
}

fn message(finding: &Finding) -> String {
    match &finding.help {
        Some(help) => format!("{}. {help}", finding.message.trim_end_matches('.')),
        None => finding.message.clone(),
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn region(place: &Place) -> Value {
    json!({
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[track_caller]
    fn holds_to_its_schema(text: &str) {
        let schema = include_str!("../../tests/it/fixtures/sarif-2.1.0.json");
        let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
        let document = serde_json::from_str(text).unwrap();
        let complaints: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{} {error}", error.instance_path()))
            .collect();
        assert_eq!(complaints, Vec::<String>::new());
    }

    #[test]
    fn the_document_holds_to_the_schema_of_sarif() {
        holds_to_its_schema(&render(&fixture::report(), "default"));
        holds_to_its_schema(&render(&fixture::clean(), "default"));
        let mut hostile = fixture::report();
        for finding in &mut hostile.findings {
            finding.place.file = "m/a b|`@x<img>\n\u{fffd}é#.sql".into();
            finding.message = "\u{0}\u{1b}[31m".into();
        }
        let first = hostile.findings[0].clone();
        hostile.findings.extend(vec![first; 500]);
        let text = render(&hostile, "a");
        holds_to_its_schema(&text);
        assert!(
            text.contains("m/a%20b%7C%60%40x%3Cimg%3E%0A%EF%BF%BD%C3%A9%23.sql"),
            "a percent-encoded path"
        );
    }

    #[test]
    fn results_name_rule_place_and_fingerprint() {
        let value: Value = serde_json::from_str(&render(&fixture::report(), "default")).unwrap();
        let run = &value["runs"][0];
        assert_eq!(run["results"].as_array().unwrap().len(), 4);
        assert_eq!(run["automationDetails"]["id"], "lockkeeper/default/");
        insta::assert_snapshot!(serde_json::to_string_pretty(&run["results"][0]).unwrap(), @r#"
        {
          "ruleId": "index-not-concurrent",
          "ruleIndex": 2,
          "level": "error",
          "message": {
            "text": "index `orders_note` is built under SHARE on `public.orders`. Build it with CONCURRENTLY, in a migration of its own."
          },
          "locations": [
            {
              "physicalLocation": {
                "artifactLocation": {
                  "uri": "supabase/migrations/20260101000000_orders.sql",
                  "uriBaseId": "%SRCROOT%"
                },
                "region": {
                  "startLine": 4,
                  "startColumn": 1,
                  "endLine": 4,
                  "endColumn": 42
                }
              }
            }
          ],
          "partialFingerprints": {
            "lockkeeperFinding/v1": "981dea71a2ca19e9"
          },
          "fixes": [
            {
              "description": {
                "text": "The same, without the lock that blocks."
              },
              "artifactChanges": [
                {
                  "artifactLocation": {
                    "uri": "supabase/migrations/20260101000000_orders.sql",
                    "uriBaseId": "%SRCROOT%"
                  },
                  "replacements": [
                    {
                      "deletedRegion": {
                        "startLine": 4,
                        "startColumn": 1,
                        "endLine": 4,
                        "endColumn": 42
                      },
                      "insertedContent": {
                        "text": "CREATE INDEX CONCURRENTLY orders_note ON orders (note)"
                      }
                    }
                  ]
                }
              ]
            }
          ]
        }
        "#);
        assert_eq!(run["results"][3]["suppressions"][0]["justification"], "archived in May");
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        }
    }
}
