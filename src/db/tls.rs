//! TLS as libpq's `sslmode` and `sslrootcert` mean it, by rustls with ring.
//!
//! Supabase signs its databases' certificates with two private roots (one subject, two keys); both
//! are built in, so that its hosts are verified in full without any setting.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
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

/// What a connection to `address` is encrypted with.
pub(super) fn connector(address: &Address) -> Result<MakeRustlsConnect, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match (address.ssl_mode(), &address.ssl_root_cert) {
        (SslMode::VerifyFull, _) => web_pki(address, &provider)?,
        // With a root file, `require` verifies like `verify-ca`: libpq does so for old clients' sake.
        (SslMode::VerifyCa, _) | (SslMode::Require, Some(_)) => {
            Arc::new(AnyName(web_pki(address, &provider)?))
        }
        (SslMode::Require | SslMode::Prefer | SslMode::Disable, _) => Arc::new(Unverified(provider.clone())),
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

fn web_pki(address: &Address, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let roots = Arc::new(roots(address)?);
    WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build().map_err(|error| {
        Error::io("the root certificates cannot be used", "Give a PEM file by sslrootcert.", error)
    })
}

fn roots(address: &Address) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    if address.is_supabase() {
        for pem in SUPABASE_ROOTS {
            add(&mut roots, pem);
        }
    }
    let file = match address.ssl_root_cert.as_deref() {
        Some("system") => SYSTEM_ROOTS.into_iter().find(|path| std::path::Path::new(path).exists()),
        Some(file) => Some(file),
        None => None,
    };
    if let Some(file) = file {
        let pem = std::fs::read(file).map_err(|error| {
            Error::io(
                format!("the root certificate {file} cannot be read"),
                format!("Mend sslrootcert in {}.", address.origin),
                error,
            )
        })?;
        if add(&mut roots, &pem) == 0 {
            return Err(Error::usage(
                format!("{file} holds no certificate in PEM form"),
                format!("Mend sslrootcert in {}.", address.origin),
            ));
        }
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

/// Returns how many certificates there were.
fn add(roots: &mut RootCertStore, pem: &[u8]) -> usize {
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    roots.add_parsable_certificates(certificates).0
}

/// Verifies the chain but not the name: `verify-ca`.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The name is compared last: this error means that the chain is good.
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
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
        assert_eq!(roots(&address).unwrap().len(), 2);
        assert!(connector(&address).is_ok());
    }

    #[test]
    fn verifying_without_roots_is_refused() {
        let address = Address::parse("postgresql://p@example.com/db?sslmode=verify-full", "X").unwrap();
        assert!(roots(&address).unwrap_err().remedy().contains("sslrootcert"));
    }
}
