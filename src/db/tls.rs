//! TLS as libpq's `sslmode` and `sslrootcert` mean it, by rustls with ring.
//!
//! Supabase signs its databases' certificates with two private roots (one subject, two keys); both
//! are built in, so that its hosts are verified in full without any setting.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{Address, SslMode};
use crate::error::Error;

/// SHA-256 fingerprints and dates: `docs/supabase.md`. The second one replaces the first in 2031.
const SUPABASE_ROOTS: [&[u8]; 2] =
    [include_bytes!("ca/prod-ca-2021.crt"), include_bytes!("ca/prod-ca-2025.crt")];

/// Where systems keep the public roots, for `sslrootcert=system`.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What encrypts a connection.
pub(crate) type Tls = MakeRustlsConnect;

/// What a connection to `address` is encrypted with.
pub(super) fn connector(address: &Address) -> Result<Tls, Error> {
    let provider = Arc::new(ring::default_provider());
    let (mode, root) = (address.ssl_mode(), root_file(address));
    if address.ssl_root_cert.as_deref() == Some("system") && mode != SslMode::VerifyFull {
        // So does libpq: anybody can have a certificate of a public authority, for some name.
        return Err(Error::usage(
            format!("sslmode={} is too weak for sslrootcert=system in {}", mode.as_str(), address.origin),
            "Use sslmode=verify-full, or leave sslmode out.",
        ));
    }
    // With a root file, `require` verifies like `verify-ca`: libpq does so for old clients' sake.
    let verifies = match mode {
        SslMode::VerifyFull | SslMode::VerifyCa => true,
        SslMode::Require => root.is_some(),
        SslMode::Prefer | SslMode::Allow | SslMode::Disable => false,
    };
    let verifier: Arc<dyn ServerCertVerifier> = if verifies {
        let roots = roots(address, root)?;
        let anchors = Arc::new(store(&roots));
        Arc::new(Verified { pki: web_pki(anchors, &provider)?, roots, name: mode == SslMode::VerifyFull })
    } else {
        Arc::new(Unverified(provider.clone()))
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            Error::io("TLS cannot be set up", "This is a fault of Lockkeeper: report it.", error)
        })?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// The file with the roots: the one that is named, else libpq's own place where there is one.
fn root_file(address: &Address) -> Option<PathBuf> {
    match address.ssl_root_cert.as_deref() {
        Some("system") => SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists()),
        Some(file) => Some(file.into()),
        None if address.is_supabase() || address.is_socket() => None,
        None => address.usual_root.clone(),
    }
}

fn web_pki(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build().map_err(|error| {
        Error::io("the root certificates cannot be used", "Give a PEM file by sslrootcert.", error)
    })
}

fn store(roots: &[CertificateDer<'static>]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    store
}

fn roots(address: &Address, file: Option<PathBuf>) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut roots = Vec::new();
    if address.is_supabase() {
        roots.extend(SUPABASE_ROOTS.into_iter().flat_map(certificates));
    }
    if let Some(file) = file {
        let mend = || format!("Mend sslrootcert in {}.", address.origin);
        let pem = std::fs::read(&file).map_err(|error| {
            Error::io(format!("the root certificate {} cannot be read", file.display()), mend(), error)
        })?;
        let found = certificates(&pem);
        if store(&found).is_empty() {
            return Err(Error::usage(format!("{} holds no certificate in PEM form", file.display()), mend()));
        }
        roots.extend(found);
    }
    if roots.is_empty() {
        return Err(Error::usage(
            format!(
                "sslmode={} needs a root certificate to verify {} with",
                address.ssl_mode().as_str(),
                address.host
            ),
            "Add sslrootcert=<PEM file>, or sslrootcert=system for a certificate of a public authority.",
        ));
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).map(CertificateDer::into_owned).collect()
}

/// Verifies the chain, and the name where `verify-full` asks for it.
#[derive(Debug)]
struct Verified {
    pki: Arc<WebPkiServerVerifier>,
    roots: Vec<CertificateDer<'static>>,
    name: bool,
}

impl ServerCertVerifier for Verified {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{
            Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        };
        let outcome = self.pki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match outcome {
            // The name is compared last: this error means that the chain is good.
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
                if !self.name =>
            {
                Ok(ServerCertVerified::assertion())
            }
            Err(rustls::Error::InvalidCertificate(
                NotValidForName
                | NotValidForNameContext { .. }
                | Expired
                | ExpiredContext { .. }
                | NotValidYet
                | NotValidYetContext { .. },
            )) => outcome,
            // A server's own certificate, given as the root: webpki does not let an authority be a
            // server, OpenSSL does, and Postgres' manual makes such certificates.
            Err(rustls::Error::InvalidCertificate(_)) if self.roots.iter().any(|root| root == end_entity) => {
                if self.name {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.pki.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.pki.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.pki.supported_verify_schemes()
    }
}

/// Encrypts and verifies nothing: `require` and `prefer` without a root file.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supabase_roots_are_built_in() {
        let address = Address::parse("postgresql://p.x@a.pooler.supabase.com/postgres", "X").unwrap();
        assert_eq!(roots(&address, None).unwrap().len(), 2);
        assert!(connector(&address).is_ok());
    }

    #[test]
    fn verifying_without_roots_is_refused() {
        let address = Address::parse("postgresql://p@example.com/db?sslmode=verify-full", "X").unwrap();
        assert!(roots(&address, None).unwrap_err().remedy().contains("sslrootcert"));
    }
}
