//! Stands before a Postgres and makes it as far away as one in a cloud: for `scripts/bench deploy`.
//!
//! `latency_proxy UPSTREAM_PORT MILLISECONDS` prints the port it listens on. Every answer comes that much
//! later. For each line on its stdin it prints the round trips since the last one; at the end of stdin it
//! ends.

use std::{
    io::{self, BufRead, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, upstream, delay] = &arguments[..] else { return Err("wants a port and milliseconds".into()) };
    let (upstream, delay): (u16, u64) = (upstream.parse()?, delay.parse()?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?.port())?;
    stdout.flush()?;
    let trips = Arc::new(AtomicUsize::new(0));
    let counted = trips.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let trips = counted.clone();
            thread::spawn(move || serve(&client, upstream, Duration::from_millis(delay), &trips));
        }
    });
    for line in io::stdin().lock().lines() {
        line?;
        writeln!(stdout, "{}", trips.swap(0, Ordering::SeqCst))?;
        stdout.flush()?;
    }
    Ok(())
}

fn serve(client: &TcpStream, upstream: u16, delay: Duration, trips: &Arc<AtomicUsize>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (Ok(client_in), Ok(server_in)) = (client.try_clone(), server.try_clone()) else { return };
    let (Ok(client_out), Ok(server_out)) = (client.try_clone(), server.try_clone()) else { return };
    // A round trip begins when the client speaks after the server has; its goodbye (`X`) begins none.
    let heard = Arc::new(AtomicBool::new(true));
    let (there, back) = (heard.clone(), heard);
    let trips = trips.clone();
    let onward = thread::spawn(move || {
        pass(client_in, server_out, Duration::ZERO, |bytes| {
            if there.swap(false, Ordering::SeqCst) && bytes.first() != Some(&b'X') {
                trips.fetch_add(1, Ordering::SeqCst);
            }
        });
    });
    pass(server_in, client_out, delay, |_| back.store(true, Ordering::SeqCst));
    let _ = onward.join();
}

/// Passes bytes on, each `delay` after it came.
fn pass(mut from: TcpStream, mut to: TcpStream, delay: Duration, mut seen: impl FnMut(&[u8])) {
    let (queue, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    let writer = thread::spawn(move || {
        for (at, bytes) in due {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        seen(&buffer[..n]);
        if queue.send((Instant::now() + delay, buffer[..n].to_vec())).is_err() {
            break;
        }
    }
    drop(queue);
    let _ = writer.join();
}
