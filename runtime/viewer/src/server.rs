//! The HTTP server of the viewer, on this machine only. Every path starts with a secret that only the printed link contains, so
//! neither other users nor pages from elsewhere can request a film.
//!
//! Whoever does not know the secret gets a 404 before a body is read, and can neither end the server nor fill its memory: heads,
//! bodies, connections and waits are limited.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::{Answer, Answers, ViewerError};

/// Threads that answer requests: landmarks of one film are found while another film is shown.
const WORKERS: usize = 4;
/// Connections that are served at the same time; others wait.
const CONNECTIONS: usize = 128;
/// Largest head of a request, in bytes: the least that hyper can be told.
const LARGEST_HEAD: usize = 8192;
/// Largest body of a request, in bytes. A body is one position.
const LARGEST_BODY: usize = 1024;
/// The longest wait for a head, and then for a body.
const PATIENCE: Duration = Duration::from_secs(3);

/// The files of the pages: name, media type and content.
const PAGE: [(&str, &str, &str); 7] = [
    ("viewer.css", "text/css; charset=utf-8", include_str!("../page/viewer.css")),
    ("viewer.js", SCRIPT, include_str!("../page/viewer.js")),
    ("annotate.js", SCRIPT, include_str!("../page/annotate.js")),
    ("page.js", SCRIPT, include_str!("../page/page.js")),
    ("ruler.js", SCRIPT, include_str!("../page/ruler.js")),
    ("stage.js", SCRIPT, include_str!("../page/stage.js")),
    ("engine.js", SCRIPT, include_str!("../page/engine-server.js")),
];

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Headers of all responses. The page may load from this server only; it has a similar policy of its own, which also allows
/// WebAssembly.
const HEADERS: [(&str, &str); 4] = [
    (
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
];

/// A listening server.
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    site: Arc<Site>,
}

/// What is served.
struct Site {
    desk: Box<dyn Answers>,
    secret: String,
    /// What browsers of this machine call the server: other names belong to pages that only pretend to be here.
    hosts: [String; 2],
}

impl Server {
    /// Listens on a port of this machine; 0 chooses a free one.
    ///
    /// # Errors
    /// [`ViewerError::Listen`], for example because another program uses the port.
    pub fn open(desk: impl Answers + 'static, port: u16) -> Result<Self, ViewerError> {
        let open = || {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            io::Result::Ok((listener, address))
        };
        let (listener, address) = open().map_err(|source| ViewerError::Listen { port, source })?;
        let secret: String = rand::random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let hosts = [address.to_string(), format!("localhost:{}", address.port())];
        Ok(Self { listener, address, site: Arc::new(Site { desk: Box::new(desk), secret, hosts }) })
    }

    /// The link to the page.
    pub fn link(&self) -> String {
        format!("http://{}/{}/", self.address, self.site.secret)
    }

    /// Answers requests until the program ends.
    ///
    /// # Errors
    /// [`ViewerError::Listen`] if the system refuses to watch connections.
    pub fn run(self) -> Result<(), ViewerError> {
        let Self { listener, address, site } = self;
        let serve = || {
            let runtime = runtime::Builder::new_current_thread().enable_all().max_blocking_threads(WORKERS).build()?;
            runtime.block_on(async { serve(TcpListener::from_std(listener)?, site).await })
        };
        serve().map_err(|source| ViewerError::Listen { port: address.port(), source })
    }
}

async fn serve(listener: TcpListener, site: Arc<Site>) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // The system has no place for a further connection until another ends.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let site = site.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request| site.clone().respond(request));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LARGEST_HEAD).keep_alive(false);
            // An error means that the other side is slow, speaks no HTTP, or closed the connection.
            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
            drop(place);
        });
    }
    Ok(())
}

impl Site {
    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        Ok(response(self.answer(request).await))
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let is_here = |host: &HeaderValue| self.hosts.iter().any(|own| host.as_bytes() == own.as_bytes());
        let url = request.uri().path().trim_start_matches('/');
        let path = url.split_once('/').filter(|(secret, _)| *secret == self.secret).map(|(_, path)| path.to_owned());
        let Some(path) = path.filter(|_| request.headers().get(HOST).is_some_and(is_here)) else {
            return Answer::words(404, "open the link that was printed when the viewer started");
        };
        let page = [("", HTML, self.desk.page())];
        let mut files = page.iter().chain(&PAGE);
        if let (&Method::GET, Some((_, kind, text))) = (request.method(), files.find(|(name, ..)| *name == path)) {
            return Answer { status: 200, kind, name: None, bytes: text.as_bytes().to_vec() };
        }
        let method = request.method().clone();
        let body = match timeout(PATIENCE, Limited::new(request.into_body(), LARGEST_BODY).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) => return Answer::words(400, format!("the request can't be read: {error}")),
            Err(_) => return Answer::words(408, "the request did not arrive in time"),
        };
        // Reading a film and finding landmarks take long, and must not stop other answers.
        let answer = tokio::task::spawn_blocking(move || self.desk.answer(method.as_str(), &path, &body));
        answer.await.unwrap_or_else(|_| {
            Answer::words(500, "the viewer failed at this request; what was changed before is kept")
        })
    }
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.bytes));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.kind));
    // The desk's names are visible ASCII characters, of which every header may consist.
    let disposition = answer.name.map(|name| format!("attachment; filename=\"{name}\""));
    let disposition = disposition.and_then(|value| HeaderValue::try_from(value).ok());
    headers.extend(disposition.map(|value| (CONTENT_DISPOSITION, value)));
    response
}
