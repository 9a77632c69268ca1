//! A session with a database: every address of its host tried, no login tried twice.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    time::{Duration, Instant},
};

use postgres::{Client, Config, config::SslMode as Mode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    address::{Address, SslMode},
    platform::Lent,
    remedy::{self, Diagnosis, Retry},
    session::{self, Notices, Session},
    tls,
};
use crate::{error::Error, interrupt};

/// How long "no free connection" and "starting up" are waited out.
const PATIENCE: Duration = Duration::from_secs(60);

/// After which a project that is coming up is tried once more.
const COMING_UP: Duration = Duration::from_secs(10);

/// After which a role that was lent a moment ago is tried once more: the pooler keeps what it knew of
/// a role's password for a while.
const LENT: Duration = Duration::from_secs(15);

/// Why there is no session.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: Error,
    /// Whether another attempt can succeed by itself and harms nobody. A refused login is not tried
    /// again: repeating one gets people locked out.
    pub(crate) again: bool,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, again: false }
    }
}

/// How one attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server or a pooler said so.
    Server(Box<session::ServerError>),
    /// The host has no address.
    Name(String),
    /// The host has IPv6 addresses only, and there is no way to them from here.
    NoIpv6,
    Tls(String),
    Network(Option<std::io::ErrorKind>, String),
}

/// Connects, waiting out what passes by itself and nothing else.
pub(crate) fn connect(address: &Address, application_name: &str) -> Result<Session, Refusal> {
    let connector = tls::connector(address)?;
    if address.is_supabase() && address.ssl_mode() == SslMode::Disable {
        log::warn!("{} goes to Supabase in plain text (sslmode=disable)", address.origin);
    }
    let notices = Notices::default();
    let begun = Instant::now();
    let (mut pause, mut tries) = (Duration::from_millis(500), 0);
    loop {
        let login = address.platform.as_ref().and_then(|platform| platform.login()).transpose()?;
        let config = config(address, login.as_ref().map(|(lent, _)| lent), application_name, &notices);
        let failure =
            match addresses(address).and_then(|ips| dial(&config, &connector, address.ssl_mode(), &ips)) {
                Ok(client) => return work_as(address, Session::new(client, connector, notices)),
                Err(failure) => failure,
            };
        let diagnosis = remedy::of_connection(address, &failure);
        let fresh = login.is_some_and(|(_, fresh)| fresh);
        let wait = match diagnosis.retry {
            Retry::Login if fresh && tries == 0 => Some(LENT),
            Retry::ComingUp if tries == 0 && is_coming_up(address) => Some(COMING_UP),
            Retry::Thrice => (tries < 3).then_some(pause),
            Retry::Patiently => (begun.elapsed() < PATIENCE).then_some(pause),
            Retry::Never | Retry::Network | Retry::Login | Retry::ComingUp => None,
        };
        tries += 1;
        match wait {
            Some(wait) => {
                log::warn!("{}; trying again", diagnosis.what);
                if !interrupt::sleep(wait) {
                    return Err(refusal(address, diagnosis));
                }
            }
            None => return Err(refusal(address, diagnosis)),
        }
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

fn refusal(address: &Address, diagnosis: Diagnosis) -> Refusal {
    let mut help = diagnosis.remedy;
    if let Some(platform) = &address.platform {
        if diagnosis.ask_status
            && let Some(status) = platform.status()
        {
            help.push_str(&format!(" The project's status is {status}."));
        }
        if diagnosis.ask_bans
            && let Some(bans) = platform.bans()
        {
            help.push_str(&format!(" Addresses banned from this project now: {bans}."));
        }
    }
    let again = matches!(diagnosis.retry, Retry::Network | Retry::Thrice | Retry::Patiently);
    Refusal { error: Error::unreachable(diagnosis.what, help, None), again }
}

fn is_coming_up(address: &Address) -> bool {
    let status = address.platform.as_ref().and_then(|platform| platform.status());
    matches!(status.as_deref(), Some("COMING_UP" | "RESTORING"))
}

/// Where to connect. A host that has IPv6 addresses only is given up where no way leads to them:
/// some networks answer nothing at all, and the wait would say nothing.
fn addresses(address: &Address) -> Result<Vec<IpAddr>, Failure> {
    if address.is_socket() {
        return Ok(Vec::new());
    }
    if let Some(ip) = address.host_addr {
        return Ok(vec![ip]);
    }
    let found = (address.host.as_str(), address.port).to_socket_addrs();
    let mut ips: Vec<IpAddr> =
        found.map_err(|error| Failure::Name(error.to_string()))?.map(|socket| socket.ip()).collect();
    ips.dedup();
    if ips.is_empty() {
        return Err(Failure::Name("the host has no address".into()));
    }
    if ips.iter().all(|ip| ip.is_ipv6() && !ip.is_loopback())
        && !ips.iter().any(|ip| has_route(*ip, address.port))
    {
        return Err(Failure::NoIpv6);
    }
    Ok(ips)
}

/// Whether this machine has a way there. Connecting a datagram socket sends nothing.
fn has_route(ip: IpAddr, port: u16) -> bool {
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
        .is_ok_and(|socket| socket.connect(SocketAddr::new(ip, port)).is_ok())
}

/// Tries each address until one answers. What a server answers is final: the other addresses lead to
/// the same server, and would count the same refused login again.
fn dial(config: &Config, tls: &MakeRustlsConnect, mode: SslMode, ips: &[IpAddr]) -> Result<Client, Failure> {
    if ips.is_empty() {
        return agree(config, tls, mode);
    }
    let mut last = Failure::Network(None, "no address was tried".into());
    for ip in ips {
        match agree(config.clone().hostaddr(*ip), tls, mode) {
            Err(failure @ Failure::Network(..)) => last = failure,
            done => return done,
        }
    }
    Err(last)
}

/// One address, encrypted or not as both sides like it. `allow` and `prefer` have a second choice,
/// taken where the first was refused before any password was asked for.
fn agree(config: &Config, tls: &MakeRustlsConnect, mode: SslMode) -> Result<Client, Failure> {
    let (first, second) = match mode {
        SslMode::Disable => (Mode::Disable, None),
        SslMode::Allow => (Mode::Disable, Some(Mode::Prefer)),
        SslMode::Prefer => (Mode::Prefer, Some(Mode::Disable)),
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Mode::Require, None),
    };
    match (attempt(config, tls, first), second) {
        (Err(Failure::Server(error)), Some(second))
            if error.is("28000") && error.message.contains("pg_hba.conf") =>
        {
            attempt(config, tls, second)
        }
        (Err(Failure::Tls(_)), Some(second)) => attempt(config, tls, second),
        (outcome, _) => outcome,
    }
}

fn attempt(config: &Config, tls: &MakeRustlsConnect, mode: Mode) -> Result<Client, Failure> {
    interrupt::waiting(|| config.clone().ssl_mode(mode).connect(tls.clone())).map_err(|error| {
        if let Some(refusal) = session::server_error(&error) {
            return Failure::Server(Box::new(refusal));
        }
        let mut texts = Vec::new();
        let mut kind = None;
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            kind = kind.or(inner.downcast_ref::<std::io::Error>().map(std::io::Error::kind));
            texts.push(inner.to_string());
            cause = inner.source();
        }
        // The outermost says what was being done, its causes why it failed.
        let doing = error.to_string();
        let text = if texts.is_empty() { doing.clone() } else { texts.join(": ") };
        if doing.starts_with("error performing TLS handshake") {
            Failure::Tls(text)
        } else {
            Failure::Network(kind, text)
        }
    })
}

/// Becomes the role that the address asks for.
fn work_as(address: &Address, mut session: Session) -> Result<Session, Refusal> {
    if let Some(role) = &address.role {
        let sql = format!("SET SESSION ROLE {}", crate::sql::ident(role));
        session.execute(&sql).map_err(|fault| {
            Error::unreachable(
                format!("the role that was lent for {address} cannot become {role}: {fault}"),
                "Set SUPABASE_DB_PASSWORD and log in with the password of the database.",
                None,
            )
        })?;
    }
    Ok(session)
}

/// How to reach a server, for a room whose sessions are not [`Session`]s.
pub(crate) fn reach(address: &Address, application_name: &str) -> Result<(Config, tls::Tls), Error> {
    let mut config = config(address, None, application_name, &Notices::default());
    config.ssl_mode(match address.ssl_mode() {
        SslMode::Disable => Mode::Disable,
        SslMode::Allow | SslMode::Prefer => Mode::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Mode::Require,
    });
    if let Some(ip) = address.host_addr {
        config.hostaddr(ip);
    }
    Ok((config, tls::connector(address)?))
}

fn config(address: &Address, lent: Option<&Lent>, application_name: &str, notices: &Notices) -> Config {
    let mut config = Config::new();
    if address.is_socket() {
        config.host_path(&address.host);
    } else {
        config.host(&address.host);
    }
    config
        .port(address.port)
        .application_name(application_name)
        .connect_timeout(address.connect_timeout)
        // A long index build sends nothing: keep the way open, and notice within a minute when it is not.
        .keepalives_idle(Duration::from_secs(20))
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(4);
    let user = lent.map(|lent| &lent.user).or(address.user.as_ref());
    if let Some(user) = user {
        config.user(user);
    }
    let password = lent.map(|lent| &lent.password).or(address.password.as_ref());
    if let Some(password) = password {
        config.password(password.expose());
    }
    if let Some(database) = &address.database {
        config.dbname(database);
    }
    config.notice_callback({
        let notices = notices.clone();
        move |notice| notices.push(&notice)
    });
    config
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::*;

    /// A server that refuses every login, on all of 127.0.0.0/8. Returns its port, and how many came.
    fn refuser() -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                counted.fetch_add(1, Ordering::SeqCst);
                let fields = "SFATAL\0C28P01\0Mpassword authentication failed for user \"u\"\0\0";
                let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
                let _ = stream.write_all(&[b"E", &length[..], fields.as_bytes()].concat());
            }
        });
        (port, count)
    }

    /// A host of several addresses is one server: one wrong password is one failed login.
    #[test]
    fn a_refused_login_is_not_taken_to_the_next_address() {
        let (port, count) = refuser();
        let mut address = Address::of_host("127.0.0.1", "X");
        (address.port, address.asked_ssl_mode) = (port, Some(SslMode::Disable));
        let connector = tls::connector(&address).unwrap();
        let config = config(&address, None, "test", &Notices::default());
        let ips = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])];
        let failure = dial(&config, &connector, SslMode::Disable, &ips).err().unwrap();
        assert!(matches!(&failure, Failure::Server(error) if error.is("28P01")), "{failure:?}");
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    /// But one that nobody answers at is passed over.
    #[test]
    fn an_address_that_does_not_answer_is_passed_over() {
        let (port, count) = refuser();
        let mut address = Address::of_host("127.0.0.1", "X");
        (address.port, address.asked_ssl_mode) = (port, Some(SslMode::Disable));
        let connector = tls::connector(&address).unwrap();
        let config = config(&address, None, "test", &Notices::default());
        // Nobody listens on IPv6's loopback.
        let ips = [IpAddr::from(Ipv6Addr::LOCALHOST), IpAddr::from([127, 0, 0, 1])];
        assert!(matches!(dial(&config, &connector, SslMode::Disable, &ips), Err(Failure::Server(_))));
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}
