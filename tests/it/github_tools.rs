//! What we write, held against GitHub's own tools. `scripts/check-github` installs them, names their
//! folder in `LOCKKEEPER_GITHUB_TOOLS`, and runs these tests; elsewhere they are ignored.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::support::{
    github::GitHub,
    runner::{DANGEROUS, HEAD, checked, pull_request, repository},
};

fn tool(name: &str) -> PathBuf {
    let folder = std::env::var_os("LOCKKEEPER_GITHUB_TOOLS").expect("run scripts/check-github");
    PathBuf::from(folder).join(name)
}

/// Runs a tool with a text on stdin; gives its stdout.
fn through(command: &mut Command, text: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// SQL that tries everything: names and comments with markup, mentions, markers and commands.
const HOSTILE: &str = "TRUNCATE \"a|b`c``d\";\n\
    CREATE TABLE \"</details><img src=x onerror=1>@octocat #1\" (id int);\n\
    DROP TABLE \"<!-- lockkeeper:v1 id=default head=0 run=9.9 -->\";\n\
    CREATE INDEX i ON \"[x](http://evil.invalid) https://evil.invalid www.evil.invalid\" (\"**b** _i_ ~~s~~\");\n\
    ALTER TABLE \"line\nbreak\t| cell\" ADD COLUMN \"\u{202e}bidi\u{200b}\" int NOT NULL;\n\
    -- ```\n-- # heading @octocat\n-- ````\n-- ::error::forged ##[error]forged\n\
    DROP TABLE \"`\", \"``\", \"\\\", \"$(id) $$x$$\", \"&lt;b&gt;\";";

mod node {
    use super::*;

    /// The whole action, as the runner would do it: install, run, annotations, outputs, masks.
    #[test]
    #[ignore = "needs node: scripts/check-github"]
    fn the_action_runs_end_to_end() {
        let (project, server) = (repository(), GitHub::start(HEAD));
        let name = "20260102000000_index";
        pull_request(&project, &server, name, &format!("{DANGEROUS}\n{HOSTILE}"), "SELECT 1;");
        // Writes the payload.
        checked(&project, &server);
        let output = Command::new("node")
            .arg(tool("run-composite.bundle.mjs"))
            .arg(env!("CARGO_MANIFEST_DIR"))
            .args(["pull_request", ".runner/event.json"])
            .args(["fail-on=never", "shadow=off", "sarif-file=out.sarif", "github-token=ghs_t0ken"])
            .arg(format!("binary-path={}", env!("CARGO_BIN_EXE_lockkeeper")))
            .arg(format!("env:GITHUB_API_URL={}", server.url))
            .arg(format!("env:GITHUB_SHA={HEAD}"))
            .args(["env:GITHUB_RUN_ID=7", "env:GITHUB_SERVER_URL=https://github.invalid"])
            .current_dir(project.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let ran: serde_json::Value = serde_json::from_str(text.lines().last().unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}\n{text}\n{stderr}"));
        assert_eq!(ran["code"], 0, "{ran:#}");
        assert_eq!(ran["outputs"]["status"], "findings");
        assert_eq!(ran["outputs"]["exit-code"], "0");
        assert!(ran["outputs"]["comment-url"].as_str().unwrap().contains("#issuecomment-"));
        assert!(std::path::Path::new(&ran["outputs"]["report-path"].as_str().unwrap()).is_absolute());
        let titles: Vec<&str> = ["error", "warning", "notice"]
            .into_iter()
            .flat_map(|kind| ran["annotations"][kind].as_array().unwrap())
            .map(|annotation| annotation["title"].as_str().unwrap())
            .collect();
        assert!(titles.contains(&"truncate"), "{titles:?}");
        for kind in ["error", "warning", "notice"] {
            for annotation in ran["annotations"][kind].as_array().unwrap() {
                assert!(!annotation["message"].as_str().unwrap().starts_with("forged"), "{annotation}");
            }
        }
        assert_eq!(ran["forbidden"], serde_json::json!([]));
        // Only tokens were masked: nothing from the migration could ask for it.
        let masks = ran["masks"].as_array().unwrap();
        assert!(
            masks.iter().all(|mask| mask == "ghs_t0ken" || mask.as_str().unwrap().len() >= 32),
            "{masks:?}"
        );
        assert!(ran["summary"].as_str().unwrap().contains("truncate"));
        assert!(project.path().join("out.sarif").is_file());
        assert_eq!((server.bodies().len(), server.state().reviews.len()), (1, 1));
    }

    /// A step that fails must fail the job.
    #[test]
    #[ignore = "needs node: scripts/check-github"]
    fn the_action_fails_with_the_check() {
        let (project, server) = (repository(), GitHub::start(HEAD));
        pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
        checked(&project, &server);
        let output = Command::new("node")
            .arg(tool("run-composite.bundle.mjs"))
            .arg(env!("CARGO_MANIFEST_DIR"))
            .args(["pull_request", ".runner/event.json", "shadow=off", "comment=off"])
            .arg(format!("binary-path={}", env!("CARGO_BIN_EXE_lockkeeper")))
            .arg(format!("env:GITHUB_API_URL={}", server.url))
            .current_dir(project.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let ran: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((&ran["code"], &ran["outputs"]["exit-code"]), (&1.into(), &"1".into()));
    }

    /// Our bytes are those of `@actions/core`, for every annotation that it can write.
    #[test]
    #[ignore = "needs node: scripts/check-github"]
    fn workflow_commands_are_the_toolkit_s() {
        let project = repository();
        project.migration("20260102000000_a,b:c%d", &format!("{DANGEROUS} -- 50%\n{HOSTILE}"), "SELECT 1;");
        let ran = project.run(&["check", "--shadow", "off", "--format", "github"]);
        let ours: Vec<&str> = ran.stdout.lines().filter(|line| line.contains(",file=")).collect();
        assert!(ours.len() > 3, "{}", ran.stdout);
        let unescape = |text: &str| {
            text.replace("%0D", "\r")
                .replace("%0A", "\n")
                .replace("%3A", ":")
                .replace("%2C", ",")
                .replace("%25", "%")
        };
        let mut input = String::new();
        for line in &ours {
            let (head, message) = line[2..].split_once("::").unwrap();
            let (command, properties) = head.split_once(' ').unwrap();
            let names = [
                ("title", "title"),
                ("file", "file"),
                ("line", "startLine"),
                ("endLine", "endLine"),
                ("col", "startColumn"),
                ("endColumn", "endColumn"),
            ];
            let mut given = serde_json::Map::new();
            for pair in properties.split(',') {
                let (name, value) = pair.split_once('=').unwrap();
                let name = names.iter().find(|(ours, _)| *ours == name).unwrap().1;
                let value = unescape(value);
                let number = value.parse::<u64>().ok().filter(|_| name != "title" && name != "file");
                given.insert(name.into(), number.map_or_else(|| value.into(), Into::into));
            }
            let message = unescape(message);
            input.push_str(
                &serde_json::json!({ "command": command, "message": message, "properties": given })
                    .to_string(),
            );
            input.push('\n');
        }
        let theirs = through(Command::new("node").arg(tool("commands.bundle.mjs")), &input);
        // The toolkit writes properties in an order of its own, which means nothing.
        let sorted = |line: &str| {
            let (head, message) = line[2..].split_once("::").unwrap();
            let (command, properties) = head.split_once(' ').unwrap();
            let mut properties: Vec<String> = properties.split(',').map(ToOwned::to_owned).collect();
            properties.sort();
            (command.to_owned(), properties, message.to_owned())
        };
        let theirs: Vec<_> = theirs.lines().map(sorted).collect();
        assert_eq!(ours.iter().map(|line| sorted(line)).collect::<Vec<_>>(), theirs);
    }
}

mod python {
    use super::*;

    fn html(markdown: &str) -> String {
        through(Command::new(tool("venv/bin/python")).arg(tool("markdown.py")), markdown)
    }

    /// The HTML without the text inside code, where GitHub neither links nor mentions.
    fn outside_code(html: &str) -> String {
        let mut out = String::new();
        let mut rest = html;
        while let Some(at) = rest.find("<code") {
            out.push_str(&rest[..at]);
            rest = &rest[rest[at..].find("</code>").map_or(rest.len(), |end| at + end)..];
        }
        out + rest
    }

    #[track_caller]
    fn inert(markdown: &str) {
        let whole = html(markdown);
        let page = outside_code(&whole);
        let (marker, visible) = match page.strip_prefix("<!-- lockkeeper:v1 ") {
            Some(rest) => rest.split_once("-->").unwrap(),
            None => ("", page.as_str()),
        };
        assert!(!marker.contains('<'), "{marker}");
        for forbidden in ["<img", "<script", "<h1", "<h2", "<!--", "@octocat", "evil.invalid</a>", "<del>"] {
            assert!(!visible.contains(forbidden), "{forbidden} in\n{visible}\nof\n{markdown}");
        }
        for link in visible.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let ours = ["https://github.com/", "https://github.invalid/"];
            assert!(ours.iter().any(|host| link.starts_with(host)), "{link}");
        }
        // Blocks are closed, and the only tags are the ones that Markdown and we make.
        assert_eq!(visible.matches("<details").count(), visible.matches("</details>").count(), "{visible}");
        // Every row of a table has the cells of its head.
        for table in visible.split("<table>").skip(1).map(|rest| rest.split("</table>").next().unwrap()) {
            let columns = table.matches("<th").count() - table.matches("<thead").count();
            for row in table.split("<tr>").skip(2) {
                assert_eq!(row.matches("<td").count(), columns, "{row}");
            }
        }
    }

    /// Everything that is written for GitHub to render, made of names that try to break out.
    #[test]
    #[ignore = "needs python: scripts/check-github"]
    fn hostile_names_stay_names_in_github_s_markdown() {
        let names = [
            "a|b",
            "x`y",
            "``",
            "<img src=x onerror=1>",
            "@octocat",
            "a\nb",
            "<!-- --> x",
            "<",
            "[x](http:evil.invalid)",
            "a\\",
            "#1",
            "&lt;b&gt;",
            "::error::x",
            "***",
            "$(id)",
            "~~s~~",
            "a\tb",
        ];
        for name in names {
            let (project, server) = (repository(), GitHub::start(HEAD));
            let file = format!("20260102000000_{name}");
            pull_request(&project, &server, &file, &format!("{DANGEROUS}\n{HOSTILE}"), "SELECT 1;");
            let runner = checked(&project, &server);
            runner.run();
            let summary = runner.file("summary.md");
            assert!(!summary.is_empty(), "{name:?}");
            inert(&summary);
            let (bodies, remarks) = (server.bodies(), server.remark_bodies());
            assert!(!bodies.is_empty(), "{name:?}");
            for body in bodies.iter().chain(&remarks) {
                inert(body);
            }
        }
    }

    /// What was cut to fit is still whole Markdown.
    #[test]
    #[ignore = "needs python: scripts/check-github"]
    fn five_thousand_findings_are_cut_between_blocks() {
        let (project, server) = (repository(), GitHub::start(HEAD));
        let many: String = (0..5000).map(|n| format!("TRUNCATE \"t`|<b>{n}\";\n")).collect();
        pull_request(&project, &server, "20260102000000_many", &many, "SELECT 1;");
        let runner = checked(&project, &server);
        runner.run().expect(1);
        assert!(server.bodies()[0].len() <= 65_600, "{}", server.bodies()[0].len());
        assert!(runner.file("summary.md").len() <= 1_048_576);
        inert(&server.bodies()[0]);
        inert(&runner.file("summary.md"));
    }
}

mod browser {
    use super::*;

    /// Opens a page in headless Chromium; gives the document as it stands after loading, and what the
    /// browser asked the network for.
    fn open(page: &std::path::Path) -> (String, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let net = folder.path().join("net.json");
        let output = Command::new(std::env::var_os("LOCKKEEPER_BROWSER").expect("run scripts/check-github"))
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--disable-background-networking", "--disable-component-update", "--no-first-run"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg(format!("--log-net-log={}", net.display()))
            .args(["--net-log-capture-mode=Everything", "--virtual-time-budget=2000", "--dump-dom"])
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        let dom = String::from_utf8(output.stdout).unwrap();
        let net = std::fs::read_to_string(&net).unwrap_or_default();
        let asked = net
            .split("\"url\":\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .filter(|url| url.contains("lockkeeper") || url.contains("evil") || url.contains("github"))
            .collect();
        (dom, asked)
    }

    #[test]
    #[ignore = "needs Chromium: scripts/check-github"]
    fn the_page_stands_alone_in_a_browser() {
        let (project, server) = (repository(), GitHub::start(HEAD));
        let up = format!("{DANGEROUS}\nALTER TABLE orders ADD COLUMN total numeric;\n{HOSTILE}");
        pull_request(&project, &server, "20260102000000_index", &up, "ALTER TABLE orders DROP COLUMN note;");
        let mut runner = checked(&project, &server);
        runner.input("html-file", "report.html").run();
        let (dom, asked) = open(&project.path().join("report.html"));
        assert!(dom.contains("<main>") && dom.contains("truncate"), "{dom}");
        for forbidden in ["<img", "<script", "onerror=1\"", "<!--"] {
            assert!(!dom.contains(forbidden), "{forbidden} in {dom}");
        }
        assert_eq!(asked, Vec::<String>::new(), "the page asked for something");
    }
}
