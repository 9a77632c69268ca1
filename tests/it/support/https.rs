//! A proxy as companies have them: it takes CONNECT, asks for a login, and leads to the GitHub of the
//! test, which speaks TLS under the name that was asked for.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::github::GitHub;

/// Where GitHub is, as far as the program knows. No name server knows it.
pub const HOST: &str = "github.lockkeeper.test";

pub struct HttpsProxy {
    /// With a login in it.
    pub url: String,
    /// The root certificate that vouches for [`HOST`].
    pub root: std::path::PathBuf,
    heads: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

impl HttpsProxy {
    pub fn to(server: &GitHub) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, root) = (folder.path().join("key.pem"), folder.path().join("root.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout"])
            .args([&key, std::path::Path::new("-out"), &root])
            .args(["-subj", "/CN=test", "-addext", &format!("subjectAltName=DNS:{HOST}")])
            // Without this, openssl marks it as an authority, which no server's certificate may be.
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(&root).unwrap()],
                PrivateKeyDer::from_pem_file(&key).unwrap(),
            );
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://ada:s3cr%40t@{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (noted, server) = (Arc::clone(&heads), server.handle());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                noted.lock().unwrap().push(connect(&stream));
                let session = ServerConnection::new(Arc::clone(&config)).unwrap();
                server.answer_on(StreamOwned::new(session, stream), &format!("https://{HOST}/api/v3"));
            }
        });
        Self { url, root, heads, _folder: folder }
    }

    /// What was asked of the proxy, each time.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Reads the request of a CONNECT, and agrees.
fn connect(mut stream: &TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::with_capacity(1, stream);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    head
}
