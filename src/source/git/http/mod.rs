//! Git's smart HTTP protocol, as a transport for libgit2. libgit2's own follows redirects to another port, keeps whatever
//! is listed, and reports every failure as one kind; this one sends credentials to one scheme, host and port only, bounds
//! what it reads, and says which failure it is. It blocks, like the rest of libgit2.

mod answer;
mod connection;
mod proxy;

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::{Buf, Bytes};
use git2::{
    Remote,
    transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport},
};
use hyper::{Method, Request, body::Incoming, header};

use self::{answer::Interpreted, connection::Connection};
use super::{access::FetchCredentials, address::Address, fetch_error::FetchError, settings::GitSettings};

/// The scheme under which libgit2 finds this transport; the repository's own address is in the session.
pub const HTTP_SCHEME: &str = "agentpod-git";
/// The most bytes of a list of references: about half a million, for which libgit2 needs 200 MB.
const MAX_LISTING_BYTES: u64 = 32 << 20;
/// The most bytes of any other answer.
const MAX_ANSWER_BYTES: u64 = 2 << 30;
/// How many redirects within the server are followed.
const MAX_REDIRECTS: usize = 5;

thread_local! {
    /// The session of the fetch on this thread, for the transport that libgit2 asks for.
    static CURRENT: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// Makes the transport for libgit2, which asks for it by [`HTTP_SCHEME`] once it is registered.
pub fn http_transport(remote: &Remote<'_>) -> Result<Transport, git2::Error> {
    let session = CURRENT.with_borrow(Option::clone).ok_or_else(|| git2::Error::from_str("no fetch is under way"))?;
    Transport::smart(remote, true, session)
}

/// One conversation with a server.
#[derive(Clone)]
pub(super) struct Session(Arc<Shared>);

struct Shared {
    state: Mutex<SessionState>,
    settings: GitSettings,
}

struct SessionState {
    connection: Connection,
    /// The repository's path, after redirects.
    path: String,
    /// Why the conversation failed; more exact than what libgit2 can carry.
    failure: Option<FetchError>,
}

/// While it lives, libgit2 finds the session on this thread.
pub(super) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

impl Session {
    /// A session that has sent nothing yet.
    pub(super) fn new(
        settings: &GitSettings,
        access: &FetchCredentials,
        deadline: Instant,
    ) -> Result<Self, FetchError> {
        let connection = Connection::new(settings, access, deadline)?;
        let state = Mutex::new(SessionState { connection, path: path(&settings.address).to_owned(), failure: None });
        Ok(Self(Arc::new(Shared { state, settings: settings.clone() })))
    }

    /// Makes it the session of this thread.
    pub(super) fn enter(&self) -> Entered {
        CURRENT.set(Some(self.clone()));
        Entered
    }

    /// Why the conversation failed, if it did.
    pub(super) fn take_failure(&self) -> Option<FetchError> {
        self.state().failure.take()
    }

    fn state(&self) -> MutexGuard<'_, SessionState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and interprets the beginning of its answer, following redirects within the server.
    fn ask(&self, service: Service, body: Vec<u8>) -> Result<(Bytes, Incoming), FetchError> {
        let mut state = self.state();
        let body = Bytes::from(body);
        for _ in 0..=MAX_REDIRECTS {
            let request = request(&state.path, service, body.clone());
            let answer = state.connection.send(request)?;
            match answer::interpret(&self.0.settings, service, &answer)? {
                Interpreted::Redirect(path) => state.path = path,
                Interpreted::Body { is_listing } => {
                    let mut body = answer.into_body();
                    let first = state.connection.next(&mut body)?.unwrap_or_default();
                    if is_listing {
                        answer::check_listing(&first)?;
                    }
                    return Ok((first, body));
                }
                Interpreted::NotSmart => {
                    let first = state.connection.next(&mut answer.into_body())?.unwrap_or_default();
                    return Err(answer::not_smart(&self.0.settings, &first));
                }
            }
        }
        Err(answer::redirect_loop(&self.0.settings))
    }
}

impl SmartSubtransport for Session {
    fn action(&self, _: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let limit = if is_listing(service) { MAX_LISTING_BYTES } else { MAX_ANSWER_BYTES };
        Ok(Box::new(Exchange {
            session: self.clone(),
            service,
            sent: Vec::new(),
            answer: None,
            unread: Bytes::new(),
            left: limit,
        }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request and its answer: libgit2 writes the first, and reads the second.
struct Exchange {
    session: Session,
    service: Service,
    sent: Vec<u8>,
    answer: Option<Incoming>,
    unread: Bytes,
    /// How many bytes of the answer may still come.
    left: u64,
}

impl Exchange {
    /// The next bytes of the answer; none at its end.
    fn fill(&mut self) -> Result<(), FetchError> {
        let next = match &mut self.answer {
            None => {
                let (first, body) = self.session.ask(self.service, std::mem::take(&mut self.sent))?;
                self.answer = Some(body);
                Some(first)
            }
            Some(body) => self.session.state().connection.next(body)?,
        };
        self.unread = next.unwrap_or_default();
        self.left = self
            .left
            .checked_sub(self.unread.len() as u64)
            .ok_or_else(|| answer::too_large(is_listing(self.service), MAX_LISTING_BYTES, MAX_ANSWER_BYTES))?;
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty()
            && let Err(error) = self.fill()
        {
            self.session.state().failure = Some(error);
            return Err(io::Error::other("the conversation with the server failed"));
        }
        let length = self.unread.len().min(buffer.len());
        self.unread.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_listing(service: Service) -> bool {
    matches!(service, Service::UploadPackLs | Service::ReceivePackLs)
}

/// The name of the program that answers on the server.
fn program(service: Service) -> &'static str {
    match service {
        Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
        Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
    }
}

/// A request without its host and credentials, which the connection adds.
fn request(path: &str, service: Service, body: Bytes) -> Request<Bytes> {
    let program = program(service);
    let mut request = Request::new(body);
    let target = if is_listing(service) {
        format!("{path}/info/refs?service={program}")
    } else {
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        for (name, ending) in [(header::CONTENT_TYPE, "request"), (header::ACCEPT, "result")] {
            if let Ok(value) = format!("application/x-{program}-{ending}").parse() {
                headers.insert(name, value);
            }
        }
        format!("{path}/{program}")
    };
    *request.uri_mut() = target.parse().unwrap_or_default();
    request
}

/// The path of an address, without a slash at its end.
fn path(address: &Address) -> &str {
    let rest = address.as_str().split_once("://").map_or("", |(_, rest)| rest);
    rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
}
