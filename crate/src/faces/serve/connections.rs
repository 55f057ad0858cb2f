//! Connections: how many, how long a client may take to ask, and how the server ends.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

use super::{Server, api, guard::Peer};

/// Time to send the last words to clients after their answers were ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Time to wait where no connection can be accepted: files may be exhausted.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until the process is told to end; then running answers have the time of grace.
pub(super) async fn serve(server: Arc<Server>, listener: TcpListener) {
    let router = api::router(&server);
    let places = Arc::new(Semaphore::new(server.settings.connections));
    let graceful = GracefulShutdown::new();
    let mut ends = std::pin::pin!(told_to_end());
    loop {
        let accept = async {
            // A connection beyond the limit waits in the system's own queue.
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accept => accepted,
            () = &mut ends => break,
        };
        match (place, accepted) {
            (Ok(place), Ok((stream, peer))) => connection(&server, &router, &graceful, stream, peer, place),
            (_, Err(fault)) => {
                tracing::warn!(%fault, "a connection was not accepted");
                time::sleep(PAUSE).await;
            }
            (Err(_), _) => break,
        }
    }
    drop(listener);
    tracing::info!("no new requests are taken; running answers have {:?}", server.settings.grace);
    server.is_stopping.store(true, Relaxed);
    server.models.iter().for_each(|model| model.figures.drain.store(true, Relaxed));
    let mut done = std::pin::pin!(graceful.shutdown());
    tokio::select! {
        () = &mut done => return,
        () = time::sleep(server.settings.grace) => {}
        () = told_to_end() => {}
    }
    server.models.iter().for_each(|model| model.figures.abort.store(true, Relaxed));
    if time::timeout(LAST_WORDS, done).await.is_err() {
        tracing::warn!("some connections were cut");
    }
}

fn connection(
    server: &Arc<Server>,
    router: &Router,
    graceful: &GracefulShutdown,
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    // Tokens are small: each is sent when it is there.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router.clone().layer(Extension(Peer(peer))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(server.settings.read_time)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(fault) = connection.await {
            tracing::debug!(%fault, %peer, "a connection ended");
        }
        drop(place);
    });
}

/// Ends with SIGINT (Ctrl-C) or SIGTERM.
async fn told_to_end() {
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
