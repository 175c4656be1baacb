//! What a server's answer means, from its status, headers and first bytes. Nothing of the answer is quoted but addresses.

use git2::transport::Service;
use hyper::{Response, StatusCode, Uri, header};

use super::{is_listing, program};
use crate::source::git::{
    address::Transport,
    fetch_error::{DENIED, FetchError, UNREACHABLE, denied},
    settings::GitSettings,
};

/// The most characters of an address in a message.
const MAX_QUOTED: usize = 200;

/// What the beginning of an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Interpreted {
    /// The repository is at another path of the same server.
    Redirect(String),
    /// The body is what was requested.
    Body {
        /// Whether it is a list of references.
        is_listing: bool,
    },
    /// The server answers, but not in git's smart protocol.
    NotSmart,
}

/// Interprets status and headers.
pub(super) fn interpret<B>(
    settings: &GitSettings,
    service: Service,
    answer: &Response<B>,
) -> Result<Interpreted, FetchError> {
    let (host, status) = (&settings.address.host, answer.status());
    let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match status {
        StatusCode::OK => {
            let ending = if is_listing(service) { "advertisement" } else { "result" };
            let kind = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
            if kind == format!("application/x-{}-{ending}", program(service)) {
                Ok(Interpreted::Body { is_listing: is_listing(service) })
            } else {
                Ok(Interpreted::NotSmart)
            }
        }
        _ if status.is_redirection() && is_listing(service) => {
            redirected(settings, text(header::LOCATION), service).map(Interpreted::Redirect)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(FetchError::new(DENIED, format!("{host} refused access ({})", status.as_u16()), denied(settings)))
        }
        StatusCode::NOT_FOUND => Err(FetchError::new(
            DENIED,
            "the repository does not exist, or is not visible with these credentials (404)",
            format!("check the address; {}", denied(settings)),
        )),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(FetchError::new(
            UNREACHABLE,
            "cannot fetch: the proxy asks for a password (407)",
            "set it in https_proxy, like http://user:password@proxy:3128",
        )),
        StatusCode::TOO_MANY_REQUESTS => Err(FetchError::new(
            UNREACHABLE,
            format!("cannot fetch: {host} asks for fewer requests (429)"),
            "it is tried again automatically; set a longer --git-interval",
        )),
        _ => Err(FetchError::new(
            UNREACHABLE,
            format!("cannot fetch: {host} answered with status {}", status.as_u16()),
            "it is tried again automatically; if it stays, check the server",
        )),
    }
}

/// The repository's path after a redirect within the same scheme, host and port. Anywhere else would get the credentials.
fn redirected(settings: &GitSettings, location: &str, service: Service) -> Result<String, FetchError> {
    let shown: String = location.chars().filter(|c| !c.is_control()).take(MAX_QUOTED).collect();
    let elsewhere = |hint: String| {
        Err(FetchError::new(UNREACHABLE, format!("{} redirects to {shown:?}", settings.address.host), hint))
    };
    let Ok(to) = location.parse::<Uri>() else { return elsewhere("check the server".into()) };
    let address = &settings.address;
    let is_here = match (to.scheme_str(), to.authority()) {
        (None, None) => location.starts_with('/'),
        (Some(scheme), Some(authority)) => {
            let transport = match scheme {
                "https" => Some((Transport::Https, 443)),
                "http" => Some((Transport::Http, 80)),
                _ => None,
            };
            transport.is_some_and(|(transport, default)| {
                transport == address.transport
                    && authority.host().eq_ignore_ascii_case(&address.host)
                    && authority.port_u16().unwrap_or(default) == address.port
                    && !authority.as_str().contains('@')
            })
        }
        _ => false,
    };
    if !is_here {
        return elsewhere(
            "credentials are sent to the same scheme, host and port only; if this is right, set --git to the new address"
                .into(),
        );
    }
    let suffix = format!("/info/refs?service={}", program(service));
    let target = to.path_and_query().map_or("", |target| target.as_str());
    // A server may drop the query, or redirect to the repository itself.
    let path = target.strip_suffix(&suffix).or_else(|| target.strip_suffix("/info/refs")).unwrap_or(target);
    if path.contains('?') || path.starts_with("//") {
        return elsewhere("this is not the address of a repository; check --git".into());
    }
    Ok(path.trim_end_matches('/').to_owned())
}

/// Redirects without an end.
pub(super) fn redirect_loop(settings: &GitSettings) -> FetchError {
    let what = format!("cannot fetch: {} redirects again and again", settings.address.host);
    FetchError::new(UNREACHABLE, what, "the server is set up wrong; it is tried again automatically")
}

/// An answer that is not in git's smart protocol.
pub(super) fn not_smart(settings: &GitSettings, first: &[u8]) -> FetchError {
    let host = &settings.address.host;
    let line = first.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // Its list of references is a file with lines like `<id><tab>refs/heads/main`.
    let is_dumb = line.iter().position(|byte| *byte == b'\t').is_some_and(|at| {
        matches!(at, 40 | 64)
            && line[..at].iter().all(u8::is_ascii_hexdigit)
            && line.get(at + 1..at + 6).is_some_and(|name| name == b"refs/")
    });
    if is_dumb {
        return FetchError::new(
            UNREACHABLE,
            format!("cannot fetch: {host} serves the repository as plain files (git's \"dumb\" HTTP protocol)"),
            "this is not supported; serve it with git http-backend or a forge, or over ssh",
        );
    }
    FetchError::new(
        UNREACHABLE,
        format!("cannot fetch: {host} answers, but not as a git server"),
        "check the address: it must be the one for git clone, not a web page",
    )
}

/// Refuses repositories that libgit2 cannot read.
pub(super) fn check_listing(first: &[u8]) -> Result<(), FetchError> {
    let names = b"object-format=sha256";
    if first.windows(names.len()).any(|window| window == names) { Err(FetchError::sha256()) } else { Ok(()) }
}

/// An answer over the limit.
pub(super) fn too_large(is_listing: bool, listing: u64, other: u64) -> FetchError {
    if is_listing {
        return FetchError::new(
            UNREACHABLE,
            format!("cannot fetch: its list of branches and tags is larger than {} MiB", listing >> 20),
            "delete branches and tags that nobody needs, or use a repository of its own for the manifests",
        );
    }
    let what = format!("cannot fetch: it is larger than {} MiB", other >> 20);
    FetchError::new(UNREACHABLE, what, "use a smaller repository")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::git::{address::Address, settings::tests::settings};

    fn followed(location: &str) -> Result<String, FetchError> {
        let settings = settings(Address::parse("https://forge.example:8443/org/repo.git").unwrap());
        redirected(&settings, location, Service::UploadPackLs)
    }

    #[test]
    fn a_redirect_is_followed_within_the_same_scheme_host_and_port_only() {
        for (location, path) in [
            ("/new/repo.git/info/refs?service=git-upload-pack", "/new/repo.git"),
            ("https://forge.example:8443/new/info/refs?service=git-upload-pack", "/new"),
            ("https://Forge.example:8443/new/info/refs", "/new"),
            ("https://forge.example:8443/new/", "/new"),
        ] {
            assert_eq!(followed(location).ok().as_deref(), Some(path), "{location}");
        }
        for location in [
            "https://forge.example/new/info/refs",
            "https://forge.example:8444/new/info/refs",
            "http://forge.example:8443/new/info/refs",
            "https://other.example:8443/new/info/refs",
            "https://me@forge.example:8443/new",
            "https://forge.example.evil:8443/new",
            "//other.example/new",
            "ftp://forge.example:8443/new",
            "new",
            "",
            "/sign-in?next=/org/repo.git",
        ] {
            let Err(FetchError::Failed { what, .. }) = followed(location) else { panic!("{location} is followed") };
            assert!(what.contains("forge.example redirects to"), "{what}");
        }
    }

    #[test]
    fn a_server_of_plain_files_and_a_web_page_are_told_apart() {
        let settings = settings(Address::parse("https://forge.example/repo.git").unwrap());
        let what = |first: &str| match not_smart(&settings, first.as_bytes()) {
            FetchError::Failed { what, .. } => what,
            other => panic!("{other:?}"),
        };
        assert!(what(&format!("{}\trefs/heads/main\n", "0a".repeat(20))).contains("as plain files"));
        assert!(what("<html><title>Sign in</title>").contains("not as a git server"));
    }

    #[test]
    fn a_repository_of_sha256_objects_is_named_as_such() {
        assert!(check_listing(b"001e# service=git-upload-pack\n0000abc HEAD\0multi_ack object-format=sha1").is_ok());
        let Err(FetchError::Failed { what, .. }) = check_listing(b"abc HEAD\0multi_ack object-format=sha256 agent=x")
        else {
            panic!("it is refused")
        };
        assert!(what.contains("SHA-256"), "{what}");
    }
}
