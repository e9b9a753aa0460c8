//! The HTTP server of the viewer, on this machine only. Every path starts with a secret that only the printed link contains, so
//! neither other users nor pages from elsewhere can request a film.

use std::io::{Cursor, Read as _};
use std::net::Ipv4Addr;

use tiny_http::{Header, Method, Request, Response, StatusCode};

use crate::{Answer, Desk, ViewerError};

/// Threads that answer requests: landmarks of one film are found while another film is shown.
const WORKERS: usize = 4;
/// Largest body of a request, in bytes. A body is one position.
const LARGEST_BODY: u64 = 1024;

/// The page's files: name, media type and content.
const PAGE: [(&str, &str, &str); 4] = [
    ("", "text/html; charset=utf-8", include_str!("../page/index.html")),
    ("viewer.css", "text/css; charset=utf-8", include_str!("../page/viewer.css")),
    ("viewer.js", SCRIPT, include_str!("../page/viewer.js")),
    ("engine.js", SCRIPT, include_str!("../page/engine-server.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page may load from this server only. The page has a similar policy of its own, which also allows WebAssembly.
const POLICY: &str =
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

/// A listening server.
pub struct Server {
    http: tiny_http::Server,
    desk: Desk,
    secret: String,
}

impl Server {
    /// Listens on a port of this machine; 0 chooses a free one.
    pub fn open(desk: Desk, port: u16) -> Result<Self, ViewerError> {
        let address = (Ipv4Addr::LOCALHOST, port);
        let http = tiny_http::Server::http(address);
        let http = http.map_err(|error| ViewerError::Listen { port, source: error })?;
        let secret: String = rand::random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { http, desk, secret })
    }

    /// The link to the page.
    pub fn link(&self) -> String {
        format!("http://{}/{}/", self.http.server_addr(), self.secret)
    }

    /// Answers requests until the program ends.
    pub fn run(&self) {
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    while let Ok(mut request) = self.http.recv() {
                        let answer = self.answer(&mut request);
                        // An error means that the browser closed the connection.
                        let _ = request.respond(response(answer));
                    }
                });
            }
        });
    }

    fn answer(&self, request: &mut Request) -> Answer {
        let url = request.url().to_owned();
        let Some((_, path)) = url.trim_start_matches('/').split_once('/').filter(|(one, _)| *one == self.secret) else {
            return Answer::words(404, "open the link that was printed when the viewer started");
        };
        if let (Method::Get, Some((_, kind, text))) = (request.method(), PAGE.iter().find(|(name, ..)| *name == path)) {
            return Answer { status: 200, kind, name: None, bytes: text.as_bytes().to_vec() };
        }
        let mut body = Vec::new();
        if let Err(error) = request.as_reader().take(LARGEST_BODY).read_to_end(&mut body) {
            return Answer::words(400, format!("the request can't be read: {error}"));
        }
        self.desk.answer(request.method().as_str(), path, &body)
    }
}

fn response(answer: Answer) -> Response<Cursor<Vec<u8>>> {
    let disposition = answer.name.map(|name| format!("attachment; filename=\"{name}\""));
    let headers = [
        ("Content-Type", answer.kind),
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    ];
    let headers = headers.into_iter().chain(disposition.as_deref().map(|value| ("Content-Disposition", value)));
    // A header can fail only if it is not ASCII; all of these are.
    let headers = headers.filter_map(|(name, value)| Header::from_bytes(name, value).ok());
    headers.fold(Response::from_data(answer.bytes), Response::with_header).with_status_code(StatusCode(answer.status))
}
