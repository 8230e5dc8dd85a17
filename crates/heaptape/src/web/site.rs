//! What there is to ask for: the page, the overview, and the tables and questions of each process.

use super::process::Served;
use super::query::{self, NoAnswer};
use super::response::{Response, Status};
use crate::glue::sources::SourcePaths;
use heaptape_analysis::index::Stop;
use heaptape_report::page::{APP_CSS, APP_JS};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of answers that are remembered: those that took long.
const REMEMBERED: usize = 64 << 20;
/// What took less is asked again sooner than looked up.
const LONG: Duration = Duration::from_millis(100);

const PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta name=\"viewport\" content=\"width=device-width\">\n<title>heaptape</title>\n\
<link rel=\"stylesheet\" href=\"app.css\">\n</head>\n<body>\n<div id=\"app\"></div>\n\
<noscript>This page needs JavaScript; heaptape summary shows the most important in the terminal.</noscript>\n\
<script src=\"app.js\"></script>\n</body>\n</html>\n";

/// A recording that is served.
pub(crate) struct Side<'a> {
    /// As JSON.
    pub(crate) overview: Vec<u8>,
    pub(crate) processes: Vec<Served<'a>>,
    pub(crate) sources: SourcePaths,
}

/// Everything behind the door.
pub(crate) struct Site<'a> {
    first: Side<'a>,
    /// To compare with.
    other: Option<Side<'a>>,
    /// Answers that took long, the one asked for last first.
    known: Mutex<VecDeque<(String, Response)>>,
    /// How many questions more may be worked on: as many as there are cores. That bounds the memory, too.
    room: Mutex<usize>,
    made_room: Condvar,
}

impl<'a> Site<'a> {
    pub(crate) fn new(first: Side<'a>, other: Option<Side<'a>>) -> Site<'a> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (known, room, made_room) = (Mutex::default(), Mutex::new(cores), Condvar::new());
        Site { first, other, known, room, made_room }
    }

    /// The answer to a path behind the token. `stop` tells whether nobody waits for it any more.
    pub(super) fn answer(&self, path: &str, query: &str, stop: Stop<'_>) -> Response {
        match path {
            "" => Response::html(PAGE),
            "app.js" => Response::script(APP_JS),
            "app.css" => Response::style(APP_CSS),
            _ => self.of_side(path, query, stop).unwrap_or_else(|| {
                Response::error(Status::NotFound, "there is nothing of this name")
            }),
        }
    }

    /// What there is of a recording; of the other one below `other/`.
    fn of_side(&self, whole: &str, query: &str, stop: Stop<'_>) -> Option<Response> {
        let (side, path) = match whole.strip_prefix("other/") {
            Some(path) => (self.other.as_ref()?, path),
            None => (&self.first, whole),
        };
        if path == "overview.json" {
            return Some(Response::json(side.overview.clone()));
        }
        // `p/<n>/<table or question>`
        let (number, name) = path.strip_prefix("p/")?.split_once('/')?;
        let number: u32 = number.parse().ok()?;
        let process = side.processes.iter().find(|process| process.id.0 == number)?;
        let key = format!("{whole}?{query}");
        if let Some(known) = self.known(&key) {
            return Some(known);
        }
        if !self.take_room(stop) {
            return Some(Response::error(Status::Failed, "given up"));
        }
        let _room = Room(self);
        let began = Instant::now();
        if let Some(table) = process.table(name) {
            return Some(Response::columns(table));
        }
        let response = match query::answer(process, &side.sources, name, query, stop)? {
            Ok(response) => response,
            Err(NoAnswer::Question(why)) => return Some(Response::error(Status::Bad, &why)),
            Err(NoAnswer::Failed(why)) => return Some(Response::error(Status::Failed, &why)),
        };
        if began.elapsed() >= LONG {
            self.remember(key, &response);
        }
        Some(response)
    }

    fn known(&self, key: &str) -> Option<Response> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let place = known.iter().position(|(known, _)| known == key)?;
        let found = known.remove(place)?;
        let response = found.1.clone();
        known.push_front(found);
        Some(response)
    }

    fn remember(&self, key: String, response: &Response) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_front((key, response.clone()));
        let mut bytes = 0;
        let kept = known.iter().take_while(|(key, response)| {
            bytes += key.len() + response.bytes();
            bytes <= REMEMBERED
        });
        let kept = kept.count();
        known.truncate(kept);
    }

    /// Waits until there is room; false where nobody waits any more.
    fn take_room(&self, stop: Stop<'_>) -> bool {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        while *room == 0 {
            let waited = self.made_room.wait_timeout(room, Duration::from_millis(50));
            room = waited.unwrap_or_else(PoisonError::into_inner).0;
            if stop() {
                return false;
            }
        }
        *room -= 1;
        true
    }
}

/// Gives its room back.
struct Room<'a, 'b>(&'a Site<'b>);

impl Drop for Room<'_, '_> {
    fn drop(&mut self) {
        *self.0.room.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.made_room.notify_one();
    }
}
