//! A TCP proxy that counts round trips and cuts a connection when told.
//!
//! A *flight* is what the client sends after it has heard from the server: the number of flights is
//! the number of round trips, whatever the messages in them.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Where in the flight's life the connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never sees it.
    Before,
    /// The server sees it, the client never hears the answer.
    After,
}

#[derive(Debug)]
struct State {
    upstream: u16,
    flights: AtomicUsize,
    cut: Option<(usize, Cut)>,
    fired: AtomicBool,
}

/// A running proxy. It lives as long as the process: tests are short.
#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

impl Proxy {
    /// Counts.
    pub fn counting(upstream: u16) -> Self {
        Self::start(upstream, None)
    }

    /// Counts, and cuts the connection once, at flight `number` (from 1).
    pub fn cutting(upstream: u16, number: usize, cut: Cut) -> Self {
        Self::start(upstream, Some((number, cut)))
    }

    pub fn flights(&self) -> usize {
        self.state.flights.load(Ordering::SeqCst)
    }

    /// Whether the cut has happened.
    pub fn fired(&self) -> bool {
        self.state.fired.load(Ordering::SeqCst)
    }

    fn start(upstream: u16, cut: Option<(usize, Cut)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the proxy");
        let port = listener.local_addr().expect("its address").port();
        let fired = AtomicBool::new(false);
        let state = Arc::new(State { upstream, flights: AtomicUsize::new(0), cut, fired });
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || serve(&client, &state));
            }
        });
        Self { port, state }
    }
}

fn serve(client: &TcpStream, state: &Arc<State>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", state.upstream)) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // Whether the server has spoken since the client last did. True at first: the start-up counts.
    let heard = Arc::new(Mutex::new(true));
    let (Ok(back_client), Ok(back_server)) = (client.try_clone(), server.try_clone()) else { return };
    let back_heard = heard.clone();
    std::thread::spawn(move || back(&back_server, &back_client, &back_heard));
    let close = || {
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    };
    let mut buffer = vec![0; 1 << 16];
    loop {
        let Ok(n @ 1..) = (&*client).read(&mut buffer) else { return close() };
        let new = std::mem::take(&mut *heard.lock().expect("no panic holds it"));
        // The goodbye (`X`) waits for no answer.
        let flight = new && buffer[0] != b'X';
        let number = if flight { state.flights.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
        let cut = state.cut.filter(|(at, _)| flight && *at == number).map(|(_, cut)| cut);
        if cut.is_some() {
            state.fired.store(true, Ordering::SeqCst);
        }
        if cut == Some(Cut::Before) {
            return close();
        }
        if cut == Some(Cut::After) {
            // The client hears nothing from here on; the server gets all of the flight and an end
            // that is only visible to it when it looks.
            let _ = client.shutdown(Shutdown::Write);
            let _ = (&server).write_all(&buffer[..n]);
            let _ = client.set_read_timeout(Some(std::time::Duration::from_millis(30)));
            while let Ok(n @ 1..) = (&*client).read(&mut buffer) {
                let _ = (&server).write_all(&buffer[..n]);
            }
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Write);
            return;
        }
        if (&server).write_all(&buffer[..n]).is_err() {
            return close();
        }
    }
}

fn back(server: &TcpStream, client: &TcpStream, heard: &Mutex<bool>) {
    let mut buffer = vec![0; 1 << 16];
    let (mut server, mut client_out) = (server, client);
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        *heard.lock().expect("no panic holds it") = true;
        if client_out.write_all(&buffer[..n]).is_err() {
            // The server's words go nowhere, but it must not block on them.
            continue;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}
