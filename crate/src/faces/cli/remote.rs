//! Files at addresses: the progress of fetching, and what was fetched from whom.

use std::{
    io::IsTerminal,
    rc::Rc,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    fault::Result,
    session::{self, Inspection, Need},
    source::{Address, ByteSource, HttpClient, HttpOptions, HttpSource, SourceSet, Traffic},
};

use super::terminal::{self, DIM, YELLOW, bytes, plain};

/// Whether anything but the report may be written.
static QUIET: AtomicBool = AtomicBool::new(false);
static CLIENT: OnceLock<HttpClient> = OnceLock::new();
/// Stands until something else is written.
static LINE: OnceLock<ProgressBar> = OnceLock::new();

/// Whether a path is meant as an address.
pub(super) fn is_address(text: &str) -> bool {
    Address::is_meant(text)
}

/// Writes no progress and no summary from now on.
pub(super) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

fn client() -> &'static HttpClient {
    CLIENT.get_or_init(|| HttpClient::new(HttpOptions::default(), show))
}

/// One line on standard error, where that is a terminal.
fn show(traffic: &Traffic) {
    if QUIET.load(Ordering::Relaxed) || !std::io::stderr().is_terminal() {
        return;
    }
    let line = LINE.get_or_init(|| {
        let style =
            ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        ProgressBar::new_spinner().with_style(style)
    });
    if !line.is_finished() {
        line.set_message(format!("fetching from {}: {}", plain(&traffic.hosts().join(", ")), bytes(traffic.bytes())));
        line.tick();
    }
}

/// Takes the line away, for good: what follows has words of its own.
pub(super) fn hide() {
    if let Some(line) = LINE.get() {
        line.finish_and_clear();
    }
}

/// Says at the end what was fetched, and from whom.
pub(super) fn summary() {
    hide();
    let Some(client) = CLIENT.get().filter(|_| !QUIET.load(Ordering::Relaxed)) else { return };
    let traffic = client.traffic();
    let requests = match traffic.requests() {
        1 => "1 request".to_owned(),
        n => format!("{n} requests"),
    };
    let hosts = traffic.hosts().join(", ");
    terminal::err(&format!("{DIM}fetched {} in {requests} from {}{DIM:#}", bytes(traffic.bytes()), plain(&hosts)));
}

/// Opens the file at an address, with what is needed of those beside it.
///
/// # Errors
/// The address is none, or its file cannot be read.
pub(super) fn open(text: &str, need: Need<'_>) -> Result<SourceSet> {
    let address = Address::parse(text)?;
    let source = HttpSource::open(client(), &address)?;
    let mut files = SourceSet::new([Rc::new(source) as Rc<dyn ByteSource>]);
    terminal::block_on(session::complete(&mut files, need, &mut |names| beside(&address, names)))?;
    Ok(files)
}

/// Opens a model for one tensor, with the file that holds its values.
///
/// # Errors
/// As [`Inspection::open`].
pub(super) async fn open_with_tensor(text: &str, files: SourceSet, tensor: &str) -> Result<Inspection> {
    let address = Address::parse(text)?;
    session::open_with_tensor(files, tensor, &mut |names| beside(&address, names)).await
}

/// Opens files by their names relative to an address; those that are not there are left out, others' trouble is told.
fn beside(address: &Address, names: &[String]) -> Vec<Option<Rc<dyn ByteSource>>> {
    let known: Vec<_> = names.iter().filter_map(|name| Some((name, address.beside(name)?))).collect();
    let addresses: Vec<_> = known.iter().map(|(_, address)| address.clone()).collect();
    let opened = HttpSource::find_all(client(), &addresses);
    let mut found = Vec::with_capacity(known.len());
    for ((name, _), opened) in known.into_iter().zip(opened) {
        match opened {
            Ok(source) => found.push(source.map(|source| Rc::new(source.named(name)) as Rc<dyn ByteSource>)),
            Err(fault) => {
                hide();
                terminal::err(&format!("{YELLOW}warning:{YELLOW:#} {}", plain(&fault.to_string())));
                found.push(None);
            }
        }
    }
    found
}
