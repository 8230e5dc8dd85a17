//! The local server of `heaptape ui`: the page and its data, for one browser on this machine.
//!
//! HTTP/1.1 on 127.0.0.1 by the standard library alone: the crates at hand either bring an asynchronous runtime along or
//! (tiny_http) put no bound on slow peers and on threads. All it has to understand are the heads of GET requests. Who
//! does not know the token in the path, or comes by another name than this machine's (a rebound DNS name), gets nothing.
//!
//! * [`server`]: connections, each in a thread: how many, how long, how large.
//! * [`request`]: the head of a request. [`response`]: what goes back.
//! * [`door`]: who may come in.
//! * [`site`]: what there is to ask for. [`query`]: the questions of `ui/src/data/types.ts`. [`rows`]: blocks as columns.
//! * [`process`]: a process, made ready. [`source`]: lines of source files. [`contents`]: bytes of blocks.

mod contents;
pub(crate) mod door;
mod parameters;
pub(crate) mod process;
mod query;
mod request;
mod response;
mod rows;
pub(crate) mod server;
pub(crate) mod site;
mod source;
