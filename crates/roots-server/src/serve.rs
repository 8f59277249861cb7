//! `serve`: starts the server with its settings, and runs it until it is told to stop.

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use roots_domain::service::accounts::NewCredentials;
use roots_http_core::settings::HttpSettings;
use roots_http_core::shutdown::Shutdown;
use roots_web::Dashboard;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::time::{self, Instant};
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::background::Background;
use crate::cli::settings::Settings;
use crate::net::connections::Connections;
use crate::net::{listen, open_files, threads};
use crate::program_error::ProgramError;
use crate::stop::Stop;
use crate::{first_start, metrics, wiring, zeroized};

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// It could not start or not stop cleanly.
pub(crate) async fn run(settings: &Settings) -> Result<(), ProgramError> {
    // First, so that a start that can't serve creates nothing.
    open_files::allow(settings.connections)?;
    let (listener, address) = bind("ROOTS_BIND", settings.bind)?;
    let metrics_listener = match settings.metrics_bind {
        None => None,
        Some(address) => Some(bind("ROOTS_METRICS_BIND", address)?),
    };
    if let Some(caution) = settings.database_url.caution() {
        warn!("{caution}");
    }
    let store = wiring::open(&settings.database_url, &threads::of_store(settings.writer)).await?;
    let mut stop = Stop::on_signals().map_err(ProgramError::System)?;
    let services = wiring::services(&store);
    let file = &settings.operator_file;
    let database = &settings.database_url;
    let credits = settings.operator_credits;
    let operator = first_start::found_operator(&services.accounts, database, file, credits).await?;
    announce(operator.as_ref(), settings, address);

    let background = Background::start(&services, settings.session_idle_seconds, &stop);
    let mut stopping = stop.clone();
    let shutdown = Shutdown::when(async move {
        stopping.requested().await;
    });
    let http = HttpSettings { shutdown, ..settings.http.clone() };
    let api = wiring::router(services, settings.signup, settings.dashboard, &http);
    let (servers, ends): (Vec<_>, Vec<_>) =
        threads::serve(&api, &stop).map_err(ProgramError::System)?.into_iter().unzip();
    let proxies = settings.http.trusted_proxies.clone();
    let connections = Connections::new(settings.connections, proxies);
    let measured = connections.clone();
    let api = async {
        listen::accept(listener, connections, servers, stop.clone()).await;
        for end in ends {
            // An error means that the thread has already ended.
            let _ = end.await;
        }
    };
    match metrics_listener {
        None => api.await,
        Some((listener, address)) => {
            let router = metrics::start(measured)?;
            info!(%address, "metrics are served");
            tokio::join!(api, listen::serve(listener, router, stop.clone()));
        }
    }
    let end = async {
        background.finish().await;
        store.close().await;
    };
    close(end, stop.requested().await).await
}

fn bind(
    setting: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), ProgramError> {
    let failed = |error| ProgramError::Bind { setting, address, error };
    let listener = listen::listener(address).map_err(failed)?;
    // Port 0 was replaced by a free port.
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Reports the address and the location of the operator's key: in the log and, if there is one, on
/// the terminal.
fn announce(operator: Option<&NewCredentials>, settings: &Settings, address: SocketAddr) {
    let file = &*settings.operator_file;
    let has_pages = settings.dashboard != Dashboard::Off;
    if operator.is_some() {
        info!(path = %file.display(), "the operator account was made; the file holds its key");
    }
    if first_start::is_still_there(file) {
        warn!(
            path = %file.display(),
            "the file with the operator's key and recovery code is still there: put both away in a \
             safe place and delete it"
        );
    }
    info!(%address, "listening");
    if has_pages {
        info!(url = %url_of(address), "the dashboard is served");
    }
    let mut terminal = io::stdout();
    if terminal.is_terminal() {
        // If this fails, the log and the file still say it.
        let _ = terminal.write_all(greeting(operator, file, address, has_pages).as_bytes());
    }
}

fn greeting(
    operator: Option<&NewCredentials>,
    file: &Path,
    address: SocketAddr,
    has_pages: bool,
) -> Zeroizing<String> {
    let url = url_of(address);
    let pages = if has_pages {
        format!("Look at it in a browser: {url}/ (sign in with an API key)\n")
    } else {
        String::new()
    };
    let served =
        format!("{pages}Roots is served on {url}, its documents on {url}/docs. Ctrl-C ends it.");
    let Some(operator) = operator else { return zeroized::text(format_args!("\n{served}\n\n")) };
    let (key, code) = (operator.api_key.expose_secret(), operator.recovery_code.expose_secret());
    zeroized::text(format_args!(
        "\nThe operator account was made. These are its secrets; {} holds them too, until you have\n\
         put them away and delete it.\n\n  \
         API key        {key}\n  \
         Recovery code  {code}\n\n\
         Try it:\n\n  \
         curl {url}/api/v1/whoami -H \"X-API-Key: {key}\"\n\n\
         {served}\n\n",
        file.display()
    ))
}

/// The URL to call.
fn url_of(address: SocketAddr) -> String {
    format!("http://{}", reachable(address))
}

/// The address to call: an address that means all addresses of this machine can't be called itself.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Lets the writer finish what it has accepted, until `deadline`.
async fn close(store: impl Future<Output = ()>, deadline: Instant) -> Result<(), ProgramError> {
    time::timeout_at(deadline, store).await.map_err(|_| ProgramError::NotDrained)?;
    info!("stopped");
    Ok(())
}

#[cfg(test)]
mod tests {
    use roots_domain::model::Invalid;
    use roots_domain::model::account::ActorKind;
    use roots_domain::model::id::{AccountId, ActorId};
    use roots_domain::model::text::Name;

    use std::future;
    use std::sync::Arc;
    use std::time::Duration;

    use axum::Router;
    use tokio::net::TcpStream;
    use tokio::sync::Notify;

    use super::*;

    /// How long a server with a request that is never answered takes to stop, and the result.
    async fn end_with_a_stuck_request(
        store: impl Future<Output = ()>,
    ) -> (Duration, Result<(), ProgramError>) {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listener, address) = bind("ROOTS_BIND", any_port).unwrap();
        let asked = Arc::new(Notify::new());
        let heard = Arc::clone(&asked);
        let router = Router::new().fallback(move || {
            heard.notify_one();
            future::pending::<()>()
        });
        let (tell, mut stop) = Stop::by_hand();
        let served = tokio::spawn(listen::serve(listener, router, stop.clone()));
        let stuck = TcpStream::connect(address).await.unwrap();
        stuck.writable().await.unwrap();
        stuck.try_write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        asked.notified().await;
        // Not earlier: a paused clock that jumps ahead whenever all tasks wait would not wait for
        // the network.
        time::pause();
        let begun = Instant::now();
        tell();
        served.await.unwrap();
        let closed = close(store, stop.requested().await).await;
        (begun.elapsed(), closed)
    }

    #[tokio::test]
    async fn a_request_that_is_cut_off_leaves_the_store_its_time_to_close() {
        // Its sleep begins when the store is told to close.
        let store = async { time::sleep(Duration::from_millis(900)).await };
        let (taken, closed) = end_with_a_stuck_request(store).await;
        closed.unwrap();
        assert_eq!(taken.as_secs(), 9);
    }

    #[tokio::test]
    async fn a_shutdown_gives_requests_and_store_ten_seconds_together() {
        let (taken, closed) = end_with_a_stuck_request(future::pending()).await;
        assert!(matches!(closed, Err(ProgramError::NotDrained)), "{closed:?}");
        assert_eq!(taken.as_secs(), 10);
    }

    #[test]
    fn the_greeting_has_a_curl_command_with_the_operators_key() -> Result<(), Invalid> {
        let operator = NewCredentials {
            account: AccountId(1),
            owner: ActorId(1),
            owner_name: Name::parse("operator")?,
            owner_kind: ActorKind::Human,
            api_key: "the-key".into(),
            key_prefix: "the".to_owned(),
            recovery_code: "the-code".into(),
            credits: 1,
        };
        let address = SocketAddr::from(([0, 0, 0, 0], 8080));
        let greet = |operator, has_pages| {
            greeting(operator, Path::new("operator.txt"), address, has_pages)
        };
        let text = greet(Some(&operator), true);
        let line = "\n  curl http://127.0.0.1:8080/api/v1/whoami -H \"X-API-Key: the-key\"\n";
        assert!(text.contains(line), "{}", *text);
        assert!(text.contains("the-code") && text.contains("operator.txt"), "{}", *text);
        assert!(text.contains("in a browser: http://127.0.0.1:8080/ "), "{}", *text);
        assert!(!greet(None, true).contains("operator"));
        assert!(!greet(None, false).contains("browser"));
        Ok(())
    }

    #[test]
    fn an_unspecified_address_is_shown_as_the_loopback_address() {
        for (bound, called) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.1.2.3:1", "10.1.2.3:1")]
        {
            assert_eq!(bound.parse().map(reachable), called.parse());
        }
    }
}
