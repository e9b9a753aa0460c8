//! Answers the viewer's page, on this machine only. All addresses start with a secret that only the printed link holds, so
//! neither other users nor pages from elsewhere can ask for a film.

use std::fmt::Display;
use std::io::{Cursor, Read as _};
use std::net::Ipv4Addr;

use anyhow::{Context as _, anyhow};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};
use onemark_models::geometry::Point;
use onemark_runtime::results::json::FilmReport;
use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, StatusCode};

use super::Desk;

/// Threads that wait for requests: a film is looked for while another is shown.
const WORKERS: usize = 4;
/// A request's body is one position.
const LARGEST_BODY: u64 = 1024;

const PAGE: (&str, &str) = ("text/html; charset=utf-8", include_str!("../../viewer/index.html"));
const STYLE: (&str, &str) = ("text/css; charset=utf-8", include_str!("../../viewer/viewer.css"));
const SCRIPT: (&str, &str) = ("text/javascript; charset=utf-8", include_str!("../../viewer/viewer.js"));

/// The page asks nobody but us.
const POLICY: &str =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

type Answer = Response<Cursor<Vec<u8>>>;

/// A listening server.
pub struct Server {
    http: tiny_http::Server,
    desk: Desk,
    secret: String,
}

impl Server {
    /// Listens on a port of this machine; 0 takes one that is free.
    pub fn open(desk: Desk, port: u16) -> anyhow::Result<Self> {
        let address = (Ipv4Addr::LOCALHOST, port);
        let http = tiny_http::Server::http(address).map_err(|error| anyhow!(error));
        let http = http.with_context(|| format!("listening on port {port}; choose another with --port"))?;
        let secret: String = rand::random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { http, desk, secret })
    }

    /// The link to the page.
    pub fn link(&self) -> String {
        format!("http://{}/{}/", self.http.server_addr(), self.secret)
    }

    /// Answers until the program is ended.
    pub fn run(&self) {
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    while let Ok(mut request) = self.http.recv() {
                        let answer = self.answer(&mut request).unwrap_or_else(|error| {
                            text(400, "text/plain; charset=utf-8", crate::console::explain(&error))
                        });
                        // Who has left needs no answer.
                        let _ = request.respond(secured(answer));
                    }
                });
            }
        });
    }

    fn answer(&self, request: &mut Request) -> anyhow::Result<Answer> {
        let url = request.url().to_owned();
        let mut path = url.trim_start_matches('/').split('/');
        if path.next() != Some(&self.secret) {
            return Ok(text(404, "text/plain; charset=utf-8", "open the link that `onemark view` printed"));
        }
        let path: Vec<&str> = path.collect();
        let method = request.method().clone();
        Ok(match (&method, path.as_slice()) {
            (Method::Get, [""]) => text(200, PAGE.0, PAGE.1),
            (Method::Get, ["viewer.css"]) => text(200, STYLE.0, STYLE.1),
            (Method::Get, ["viewer.js"]) => text(200, SCRIPT.0, SCRIPT.1),
            (Method::Get, ["desk"]) => document(&self.about()),
            (Method::Get, ["films", film]) => self.report(film)?,
            (Method::Get, ["films", film, "image"]) => self.image(film)?,
            (Method::Get, ["films", film, "results", format]) => {
                let saved = self.desk.save(film.parse()?, format)?;
                // A name goes into a header: what could end it does not.
                let name: String = saved
                    .name
                    .chars()
                    .map(|c| if c.is_ascii_graphic() && !"\"\\;".contains(c) { c } else { '_' })
                    .collect();
                with(
                    data("application/octet-stream", saved.bytes),
                    "Content-Disposition",
                    &format!("attachment; filename=\"{name}\""),
                )
            }
            (Method::Put, ["films", film, "landmarks", number]) => {
                let mut body = String::new();
                request.as_reader().take(LARGEST_BODY).read_to_string(&mut body)?;
                let position: Point =
                    serde_json::from_str(&body).context("a position is {\"x\": …, \"y\": …} in px")?;
                self.desk.correct(film.parse()?, number.parse()?, Some(position))?;
                self.report(film)?
            }
            (Method::Delete, ["films", film, "landmarks", number]) => {
                self.desk.correct(film.parse()?, number.parse()?, None)?;
                self.report(film)?
            }
            (Method::Post, ["films", film, "learn"]) => {
                let told = self.desk.learn(film.parse()?)?;
                document(&json!({ "told": told, "desk": self.about() }))
            }
            _ => text(404, "text/plain; charset=utf-8", "there is nothing here"),
        })
    }

    /// What does not change from film to film.
    fn about(&self) -> Value {
        let detector = self.desk.detector();
        json!({
            "bundle": detector.bundle(),
            "backend": detector.backend().name(),
            "landmarks": detector.landmark_set().landmarks,
            "films": self.desk.files(),
            "formats": Desk::formats().map(|(name, extension)| json!({ "name": name, "title": extension })).collect::<Vec<_>>(),
            "learns": self.desk.learns(),
        })
    }

    /// A film's results as in our JSON, and beside them what people read.
    fn report(&self, film: &str) -> anyhow::Result<Answer> {
        let (report, cautions) = self.desk.report(film.parse()?)?;
        let mut value = serde_json::to_value(&report)?;
        if let FilmReport::Done { detections, .. } = &report {
            for (landmark, value) in
                detections.landmarks.iter().zip(value["landmarks"].as_array_mut().into_iter().flatten())
            {
                value["remark"] = landmark.remark().into();
            }
            let measured = detections.measurements.iter().map(|one| {
                let value = one.value.map(|_| one.text());
                json!({ "title": format!("{}: {}", one.name, one.title), "value": value, "judgement": one.judgement() })
            });
            value["measured"] = measured.collect();
        }
        value["cautions"] = cautions.into();
        Ok(document(&value))
    }

    /// A film's pixels, packed quickly: they do not go far.
    fn image(&self, film: &str) -> anyhow::Result<Answer> {
        let film = self.desk.film(film.parse()?)?;
        let mut png = Vec::new();
        PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Up).write_image(
            film.grey(),
            film.width(),
            film.height(),
            ExtendedColorType::L8,
        )?;
        Ok(data("image/png", png))
    }
}

fn document(value: &Value) -> Answer {
    text(200, "application/json", value)
}

fn text(status: u16, kind: &str, text: impl Display) -> Answer {
    data(kind, text.to_string().into_bytes()).with_status_code(StatusCode(status))
}

fn data(kind: &str, bytes: Vec<u8>) -> Answer {
    with(Response::from_data(bytes), "Content-Type", kind)
}

fn secured(answer: Answer) -> Answer {
    let answer = with(answer, "Content-Security-Policy", POLICY);
    let answer = with(answer, "X-Content-Type-Options", "nosniff");
    let answer = with(answer, "Referrer-Policy", "no-referrer");
    with(answer, "Cache-Control", "no-store")
}

fn with(answer: Answer, name: &str, value: &str) -> Answer {
    match Header::from_bytes(name, value) {
        Ok(header) => answer.with_header(header),
        // All of ours are ASCII.
        Err(()) => answer,
    }
}
