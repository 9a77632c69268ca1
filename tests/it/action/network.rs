//! GitHub Enterprise Server, and the proxy in front of it.

use crate::support::{
    github::GitHub,
    https::{HOST, HttpsProxy},
    runner::{DANGEROUS, HEAD, checked, pull_request, repository},
};

#[test]
fn an_enterprise_server_is_reached_through_the_proxy() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    for n in 0..120 {
        server.comment_by("ada", &format!("talk {n}"));
    }
    let proxy = HttpsProxy::to(&server);
    let mut runner = checked(&project, &server);
    runner
        .set("GITHUB_API_URL", &format!("https://{HOST}/api/v3"))
        .set("GITHUB_SERVER_URL", &format!("https://{HOST}"))
        .set("https_proxy", &proxy.url)
        .set("SSL_CERT_FILE", &proxy.root.display().to_string());
    let ran = runner.run().expect(1);
    // Comment and review are there, with links of that server; the second page was asked for there too.
    assert_eq!((server.bodies().len(), server.state().reviews.len()), (121, 1), "{}", ran.stdout);
    assert!(server.bodies()[120].contains(&format!("https://{HOST}/o/r/blob/{HEAD}/migrations/")));
    // The second run has a comment to look for, and so asks GraphQL who it is.
    runner.set("GITHUB_RUN_ID", "2").run().expect(1);
    assert_eq!(server.bodies().len(), 121);
    assert!(server.state().journal.iter().any(|request| request.path == "/graphql"));
    let heads = proxy.heads();
    assert!(!heads.is_empty());
    for head in &heads {
        assert!(head.starts_with(&format!("CONNECT {HOST}:443 HTTP/1.1")), "{head}");
        // ada:s3cr@t
        assert!(head.contains("Proxy-Authorization: Basic YWRhOnMzY3JAdA=="), "{head}");
    }
    for text in [&ran.stdout, &ran.stderr] {
        let unmasked: String = text.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
        assert!(!unmasked.contains("s3cr"), "{unmasked}");
    }

    // Named in NO_PROXY, the host is looked for directly, and not found.
    let asked = heads.len();
    let ran = runner.set("NO_PROXY", ".lockkeeper.test,example.com").run().expect(1);
    assert_eq!(proxy.heads().len(), asked);
    assert!(ran.stdout.contains("git is asked what changed instead"), "{}", ran.stdout);
}

#[test]
fn an_unknown_certificate_or_kind_of_proxy_is_told() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    let proxy = HttpsProxy::to(&server);
    let mut runner = checked(&project, &server);
    runner.set("GITHUB_API_URL", &format!("https://{HOST}/api/v3")).set("HTTPS_PROXY", &proxy.url);
    let ran = runner.run().expect(1);
    assert!(ran.stdout.contains("certificate"), "{}", ran.stdout);
    assert_eq!(server.writes(), Vec::<String>::new());
    let ran = runner.set("HTTPS_PROXY", "socks5://127.0.0.1:9").run().expect(1);
    assert!(ran.stdout.contains("is not reached over http"), "{}", ran.stdout);
}
