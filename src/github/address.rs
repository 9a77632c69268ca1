//! Addresses: which may be given the token, and where a list goes on.

/// https, or a server on this machine.
pub(super) fn keeps_the_token(url: &str) -> bool {
    match origin(url) {
        Some(("https", _)) => true,
        Some(("http", host)) => {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            matches!(name, "localhost" | "127.0.0.1" | "[::1]")
        }
        _ => false,
    }
}

/// Scheme and authority. `None` for anything with a user part, or that is no address.
pub(super) fn origin(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    (!host.is_empty() && !host.contains('@')).then_some((scheme, host))
}

pub(super) fn absolute(base: &str, location: &str) -> String {
    match origin(base) {
        Some((scheme, host)) if location.starts_with('/') && !location.starts_with("//") => {
            format!("{scheme}://{host}{location}")
        }
        _ => location.into(),
    }
}

/// The address of `rel="next"` in a `Link` header.
pub(super) fn next_link(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (address, rest) = link.split_once('>')?;
        rest.contains("rel=\"next\"").then(|| address.trim().trim_start_matches('<').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_https_or_to_this_machine() {
        for (url, kept) in [
            ("https://api.github.com", true),
            ("http://127.0.0.1:4000", true),
            ("http://[::1]:4000/api/v3", true),
            ("http://github.example.com", false),
            ("https://a@b", false),
            ("http://127.0.0.1@evil.example", false),
            ("ftp://x", false),
        ] {
            assert_eq!(keeps_the_token(url), kept, "{url}");
        }
    }

    #[test]
    fn the_next_page_is_found() {
        let header = "<https://api.github.com/repositories/1/x?page=1>; rel=\"prev\", \
                      <https://api.github.com/repositories/1/x?page=3>; rel=\"next\"";
        assert_eq!(next_link(header).as_deref(), Some("https://api.github.com/repositories/1/x?page=3"));
        assert_eq!(next_link("<https://x/y>; rel=\"last\""), None);
    }
}
