//! How often a refused connection is tried: never again where that locks people out, patiently where
//! it passes by itself. The pooler is a double that refuses in the words of Supabase's.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
};

use crate::support::{
    Project, Ran,
    postgres::{admin, server},
    supabase::{HOST, REFERENCE, Supabase, TOKEN, pooler},
};

type Refusal = (&'static str, &'static str);

/// Refuses each connection with the next words, and leads to the test's server after the last.
struct Pooler {
    ip: IpAddr,
    /// Connections that have come.
    count: Arc<AtomicUsize>,
}

impl Pooler {
    fn new(refusals: Vec<Refusal>) -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(128);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let ip = Ipv4Addr::new(127, high.max(1), low, COUNT.fetch_add(1, Ordering::SeqCst));
        let listener = TcpListener::bind((ip, 5432)).expect("port 5432 of a loopback address");
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let refusal = refusals.get(counted.fetch_add(1, Ordering::SeqCst)).copied();
                std::thread::spawn(move || serve(client, refusal));
            }
        });
        Self { ip: ip.into(), count }
    }

    fn came(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

fn serve(mut client: TcpStream, refusal: Option<Refusal>) {
    let Some((sqlstate, message)) = refusal else {
        let server = TcpStream::connect(("127.0.0.1", server().port)).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut &server, &mut client);
        return;
    };
    let _ = client.read(&mut [0; 4096]);
    let fields = format!("SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
    let _ = client.write_all(&[b"E", &length[..], fields.as_bytes()].concat());
}

/// Looks at a database of Supabase's in plain text: the double knows no TLS.
fn look(pooler: &Pooler, user: &str, database: &str, api: Option<&Supabase>) -> Ran {
    let project = Project::new();
    let mut command = project.command(&["status"]);
    let url = format!(
        "postgresql://{user}.{REFERENCE}:hunter2@{HOST}/{database}?hostaddr={}&sslmode=disable",
        pooler.ip
    );
    command.env("LOCKKEEPER_DATABASE_URL", url);
    if let Some(api) = api {
        command.env("SUPABASE_ACCESS_TOKEN", TOKEN).env("SUPABASE_API_URL", &api.url);
    }
    let ran = Ran::of(command.output().unwrap());
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("hunter2"));
    ran
}

/// Every answer after which another try would only make it worse.
#[test]
fn what_locks_people_out_is_tried_once() {
    for (sqlstate, message) in [
        ("28P01", "password authentication failed for user \"postgres\""),
        ("XX000", "(ENOTFOUND) tenant/user postgres.abcdefghijklmnopqrst not found"),
        ("XX000", "Tenant or user not found"),
        ("XX000", "(ENOIDENTIFIER) no tenant identifier provided"),
        ("XX000", "(ECIRCUITBREAKER) too many authentication failures"),
        ("XX000", "Circuit breaker open: too many authentication failures"),
        ("XX000", "(ESSLREQUIRED) SSL connection is required"),
        ("XX000", "(EADDRNOTALLOWED) address not in tenant allow_list: {1, 2, 3, 4}"),
        ("XX000", "(EBANNED) tenant is banned"),
        ("XX000", "(EMAXPREPARED) max prepared statements"),
        (
            "28000",
            "no pg_hba.conf entry for host \"1.2.3.4\", user \"postgres\", database \"postgres\", no encryption",
        ),
        ("3D000", "database \"postgres\" does not exist"),
        ("XX000", "something new"),
    ] {
        let pooler = Pooler::new(vec![(sqlstate, message); 9]);
        look(&pooler, "postgres", "postgres", None).expect(3).says(message).says("help:");
        assert_eq!(pooler.came(), 1, "{message}");
    }
}

/// And those that pass by themselves.
#[test]
fn what_passes_is_waited_out() {
    let user = format!("patient_{}", std::process::id());
    admin().batch_execute(&format!("CREATE ROLE \"{user}.{REFERENCE}\" LOGIN")).unwrap();
    let pooler = Pooler::new(vec![
        (
            "XX000",
            "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15",
        ),
        ("53300", "remaining connection slots are reserved for non-replication superuser connections"),
        ("57P03", "the database system is starting up"),
    ]);
    look(&pooler, &user, "postgres", None).expect(0).says("trying again");
    assert_eq!(pooler.came(), 4);
    let pooler = Pooler::new(vec![("XX000", "(EDBHANDLEREXITED) connection to database closed"); 9]);
    look(&pooler, &user, "postgres", None).expect(3).says("not reachable");
    assert_eq!(pooler.came(), 4, "thrice more");
    admin().batch_execute(&format!("DROP ROLE \"{user}.{REFERENCE}\"")).unwrap();
}

/// A project that is unknown to the pooler is tried once more where the platform says that it is
/// coming up; else its state is shown.
#[test]
fn the_platform_says_whether_to_wait() {
    let unknown = ("XX000", "(ENOTFOUND) tenant/user postgres.abcdefghijklmnopqrst not found");
    let api = Supabase::start();
    api.state().status = "INACTIVE".into();
    let pooler = Pooler::new(vec![unknown; 9]);
    look(&pooler, "postgres", "postgres", Some(&api)).expect(3).says("The project's status is INACTIVE");
    assert_eq!(pooler.came(), 1);
    api.state().status = "COMING_UP".into();
    let pooler = Pooler::new(vec![unknown; 9]);
    look(&pooler, "postgres", "postgres", Some(&api))
        .expect(3)
        .says("trying again")
        .says("status is COMING_UP");
    assert_eq!(pooler.came(), 2);
}

/// Where nothing answers any more, the platform knows whether addresses are banned.
#[test]
fn bans_are_asked_for_where_nothing_answers() {
    let api = Supabase::start();
    api.state().bans = vec!["192.0.2.1".into(), "192.0.2.2".into()];
    let project = Project::new();
    let mut command = project.command(&["status"]);
    let url =
        format!("postgresql://postgres:hunter2@db.{REFERENCE}.supabase.co:1/postgres?hostaddr=127.0.0.1");
    command.env("DATABASE_URL", url).env("SUPABASE_ACCESS_TOKEN", TOKEN).env("SUPABASE_API_URL", &api.url);
    Ran::of(command.output().unwrap())
        .expect(3)
        .says("bans an address for half an hour")
        .says("Addresses banned from this project now: 2");
    assert_eq!(api.asked(), ["POST /network-bans/retrieve"]);
}

/// A role that was lent this moment may not be known to the pooler yet: once more, and only once.
#[test]
fn a_lent_role_is_tried_once_more() {
    let (project, api, ip) = (Project::new(), Supabase::start(), pooler());
    let user = format!("slow_{}", std::process::id());
    let alter = format!("ALTER ROLE \"{user}.{REFERENCE}\" PASSWORD 'lent'");
    admin()
        .batch_execute(&format!(
            "CREATE ROLE \"{user}.{REFERENCE}\" LOGIN PASSWORD 'old' IN ROLE with_passwords, postgres"
        ))
        .unwrap();
    api.state().lent = (user.clone(), "lent".into(), 300);
    let mut command = project.command(&["status"]);
    command
        .env("SUPABASE_PROJECT_REF", REFERENCE)
        .env("SUPABASE_ACCESS_TOKEN", TOKEN)
        .env("SUPABASE_API_URL", &api.url)
        .env("PGHOSTADDR", ip.to_string())
        .env("PGSSLROOTCERT", &server().root_certificate);
    let later = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_secs(5));
        admin().batch_execute(&alter).unwrap();
    });
    let ran = Ran::of(command.output().unwrap()).expect(0).says("trying again");
    later.join().unwrap();
    assert_eq!(ran.stderr.matches("trying again").count(), 1, "{}", ran.stderr);
    assert_eq!(api.asked(), ["GET /config/database/pooler", "POST /cli/login-role"]);
    admin().batch_execute(&format!("DROP ROLE \"{user}.{REFERENCE}\"")).unwrap();
}
