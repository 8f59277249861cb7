//! `serve`: from the settings to a server, until it is told to stop.

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use roots_domain::usecase::accounts::NewCredentials;
use roots_persistence::Store;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::time;
use tracing::{info, warn};

use crate::failure::Failure;
use crate::listen::{self, DRAIN_WITHIN, Stop};
use crate::settings::Settings;
use crate::{app, first_start, prometheus};

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// It could not start, or not end cleanly.
pub(crate) async fn run(settings: &Settings) -> Result<(), Failure> {
    // First of all, so that a start that can't serve makes nothing.
    let (listener, address) = bind("ROOTS_BIND", settings.bind).await?;
    let metrics = match settings.metrics_bind {
        None => None,
        Some(address) => Some(bind("ROOTS_METRICS_BIND", address).await?),
    };
    let store = app::open(&settings.database_url).await?;
    let stop = Stop::on_signals().map_err(Failure::System)?;
    let services = app::services(&store);
    let file = &settings.operator_file;
    let operator =
        first_start::found_operator(&services.accounts, file, settings.operator_credits).await?;
    announce(operator.as_ref(), file, address);

    let api = roots_http::router(services, &settings.http);
    match metrics {
        None => listen::serve(listener, api, stop).await,
        Some((metrics_listener, metrics_address)) => {
            let metrics = prometheus::start()?;
            info!(address = %metrics_address, "metrics are served");
            tokio::join!(
                listen::serve(listener, api, stop.clone()),
                listen::serve(metrics_listener, metrics, stop),
            );
        }
    }
    close(&store).await
}

async fn bind(
    setting: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), Failure> {
    let failed = |error| Failure::Bind { setting, address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    // Port 0 has become another by now.
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Says where it listens and where the operator's key is: to the log, and to the person at the
/// terminal, if there is one.
fn announce(operator: Option<&NewCredentials>, file: &Path, address: SocketAddr) {
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
    let mut terminal = io::stdout();
    if terminal.is_terminal() {
        // Whoever does not read it has the log and the file.
        let _ = terminal.write_all(greeting(operator, file, address).as_bytes());
    }
}

fn greeting(operator: Option<&NewCredentials>, file: &Path, address: SocketAddr) -> String {
    let url = format!("http://{}", reachable(address));
    let served = format!("Roots is served on {url}, its documents on {url}/docs. Ctrl-C ends it.");
    let Some(operator) = operator else { return format!("\n{served}\n\n") };
    let (key, code) = (operator.api_key.expose_secret(), operator.recovery_code.expose_secret());
    format!(
        "\nThe operator account was made. These are its secrets; {} holds them too, until you have\n\
         put them away and delete it.\n\n  \
         API key        {key}\n  \
         Recovery code  {code}\n\n\
         Try it:\n\n  \
         curl {url}/api/v1/whoami -H \"X-API-Key: {key}\"\n\n\
         {served}\n\n",
        file.display()
    )
}

/// The address to call: one that means every address of this machine can't be called itself.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Has the writer finish what it has accepted.
async fn close(store: &Store) -> Result<(), Failure> {
    time::timeout(DRAIN_WITHIN, store.close()).await.map_err(|_| Failure::NotDrained)?;
    info!("stopped");
    Ok(())
}

#[cfg(test)]
mod tests {
    use roots_domain::model::Invalid;
    use roots_domain::model::account::ActorKind;
    use roots_domain::model::id::{AccountId, ActorId};
    use roots_domain::model::text::Name;

    use super::*;

    #[test]
    fn the_greeting_has_a_line_to_paste() -> Result<(), Invalid> {
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
        let told = greeting(Some(&operator), Path::new("operator.txt"), address);
        let line = "\n  curl http://127.0.0.1:8080/api/v1/whoami -H \"X-API-Key: the-key\"\n";
        assert!(told.contains(line), "{told}");
        assert!(told.contains("the-code") && told.contains("operator.txt"), "{told}");
        assert!(!greeting(None, Path::new("operator.txt"), address).contains("operator"));
        Ok(())
    }

    #[test]
    fn an_address_that_means_all_is_called_by_the_local_one() {
        for (bound, called) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.1.2.3:1", "10.1.2.3:1")]
        {
            assert_eq!(bound.parse().map(reachable), called.parse());
        }
    }
}
