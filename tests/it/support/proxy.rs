//! A TCP proxy that counts round trips and does harm when told.
//!
//! A *flight* is what the client sends after it has heard from the server: the number of flights is
//! the number of round trips, whatever the messages in them. With the simple protocol each is one
//! message of the client.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What happens at one flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut.
    Cut,
    /// The client gets SIGKILL.
    Kill,
    /// The client never hears an answer, and the connection stays open.
    Swallow,
}

/// Whether the server sees the flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

#[derive(Debug)]
struct State {
    upstream: u16,
    flights: AtomicUsize,
    fault: Option<(usize, Fault, When)>,
    fired: AtomicBool,
    /// Texts of the client that are replaced on their way, by ones of the same length.
    replaced: Option<(Vec<u8>, Vec<u8>)>,
    /// The client's process, once it is known.
    client: (Mutex<Option<u32>>, Condvar),
}

/// A running proxy. It lives as long as the process: tests are short.
#[derive(Debug)]
pub struct Proxy {
    pub host: String,
    pub port: u16,
    state: Arc<State>,
}

impl Proxy {
    /// Counts.
    pub fn counting(upstream: u16) -> Self {
        Self::start(upstream, None, None)
    }

    /// Counts, at an address where nothing hints at a proxy: the server's own port on another address of
    /// this machine.
    pub fn hidden(upstream: u16) -> Self {
        Self::listen(hidden_listener(upstream), upstream, None, None)
    }

    /// The same, and does harm once.
    pub fn hidden_faulty(upstream: u16, number: usize, fault: Fault, when: When) -> Self {
        Self::listen(hidden_listener(upstream), upstream, Some((number, fault, when)), None)
    }

    /// Counts, and does harm once, at flight `number` (from 1).
    pub fn faulty(upstream: u16, number: usize, fault: Fault, when: When) -> Self {
        Self::start(upstream, Some((number, fault, when)), None)
    }

    /// Replaces a text of the client on its way.
    pub fn replacing(upstream: u16, text: &str, by: &str) -> Self {
        assert!(by.len() <= text.len(), "the length is part of the message");
        let by = format!("{by:<width$}", width = text.len());
        Self::start(upstream, None, Some((text.into(), by.into())))
    }

    pub fn flights(&self) -> usize {
        self.state.flights.load(Ordering::SeqCst)
    }

    /// Whether the harm is done.
    pub fn fired(&self) -> bool {
        self.state.fired.load(Ordering::SeqCst)
    }

    /// Says which process the client is.
    pub fn client_is(&self, process: u32) {
        let (known, told) = &self.state.client;
        *known.lock().expect("no panic holds it") = Some(process);
        told.notify_all();
    }

    fn start(
        upstream: u16,
        fault: Option<(usize, Fault, When)>,
        replaced: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the proxy");
        Self::listen(listener, upstream, fault, replaced)
    }

    fn listen(
        listener: TcpListener,
        upstream: u16,
        fault: Option<(usize, Fault, When)>,
        replaced: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Self {
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(State {
            upstream,
            flights: AtomicUsize::new(0),
            fault,
            fired: AtomicBool::new(false),
            replaced,
            client: (Mutex::new(None), Condvar::new()),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || serve(&client, &state));
            }
        });
        Self { host: address.ip().to_string(), port: address.port(), state }
    }
}

/// Linux answers on all of 127.0.0.0/8.
fn hidden_listener(port: u16) -> TcpListener {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    loop {
        let (process, count) = (std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let host = format!("127.{}.{}.{}", 1 + process % 250, count / 250 % 250, 1 + count % 250);
        match TcpListener::bind((host.as_str(), port)) {
            Ok(listener) => return listener,
            Err(error) => assert!(error.kind() == std::io::ErrorKind::AddrInUse, "{host}: {error}"),
        }
    }
}

impl State {
    fn kill_client(&self) {
        let (known, told) = &self.client;
        let guard = known.lock().expect("no panic holds it");
        let known = told.wait_while(guard, |known| known.is_none()).expect("no panic holds it");
        let process = known.expect("it was waited for").to_string();
        Command::new("kill").args(["-KILL", &process]).status().expect("kill");
    }
}

fn serve(client: &TcpStream, state: &Arc<State>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", state.upstream)) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // Whether the server has spoken since the client last did. True at first: the start-up counts.
    let heard = Arc::new(Mutex::new(true));
    let mute = Arc::new(AtomicBool::new(false));
    let (Ok(back_client), Ok(back_server)) = (client.try_clone(), server.try_clone()) else { return };
    let (back_heard, back_mute) = (heard.clone(), mute.clone());
    std::thread::spawn(move || back(&back_server, &back_client, &back_heard, &back_mute));
    let close = || {
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    };
    let mut buffer = vec![0; 1 << 16];
    loop {
        let Ok(n @ 1..) = (&*client).read(&mut buffer) else { return close() };
        if let Some((text, by)) = &state.replaced
            && let Some(at) = buffer[..n].windows(text.len()).position(|window| window == text)
        {
            buffer[at..at + by.len()].copy_from_slice(by);
        }
        let new = std::mem::take(&mut *heard.lock().expect("no panic holds it"));
        // The goodbye (`X`) waits for no answer.
        let flight = new && buffer[0] != b'X';
        let number = if flight { state.flights.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        let Some((_, fault, when)) = state.fault.filter(|(at, ..)| flight && *at == number) else {
            if (&server).write_all(&buffer[..n]).is_err() {
                return close();
            }
            continue;
        };
        if fault == Fault::Cut {
            state.fired.store(true, Ordering::SeqCst);
        } else {
            mute.store(true, Ordering::SeqCst);
        }
        // The client hears nothing from here on; the server gets all of the flight and an end that is
        // only visible to it when it looks.
        if when == When::After {
            if fault == Fault::Cut {
                let _ = client.shutdown(Shutdown::Write);
            }
            let _ = (&server).write_all(&buffer[..n]);
            let _ = client.set_read_timeout(Some(Duration::from_millis(30)));
            while let Ok(n @ 1..) = (&*client).read(&mut buffer) {
                let _ = (&server).write_all(&buffer[..n]);
            }
        }
        state.fired.store(true, Ordering::SeqCst);
        if fault == Fault::Kill {
            state.kill_client();
        }
        if fault == Fault::Swallow {
            let _ = client.set_read_timeout(None);
            while matches!((&*client).read(&mut buffer), Ok(1..)) {}
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(if when == When::After { Shutdown::Write } else { Shutdown::Both });
        return;
    }
}

fn back(server: &TcpStream, client: &TcpStream, heard: &Mutex<bool>, mute: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    let (mut server, mut client_out) = (server, client);
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        *heard.lock().expect("no panic holds it") = true;
        if mute.load(Ordering::SeqCst) {
            continue;
        }
        if client_out.write_all(&buffer[..n]).is_err() {
            // The server's words go nowhere, but it must not block on them.
            continue;
        }
    }
    if !mute.load(Ordering::SeqCst) {
        let _ = client.shutdown(Shutdown::Both);
    }
}
