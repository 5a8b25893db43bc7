//! TLS settings from files, as a broker's configuration names them.

use super::Error;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use std::sync::Arc;

/// Certificates and keys in PEM.
#[derive(Clone, Default)]
pub struct TlsFiles {
    /// Authorities to trust; empty: those of the operating system.
    pub ca: Vec<u8>,
    /// The client's own certificate chain.
    pub certificate: Vec<u8>,
    /// The key of the client's certificate.
    pub key: Vec<u8>,
    /// Whether the broker's certificate is checked. Switching this off invites anybody to listen in.
    pub verify: bool,
    /// Protocol name to ask for (ALPN).
    pub alpn: Option<String>,
}

/// Builds what a connection needs for TLS.
///
/// # Errors
///
/// When a certificate or key cannot be read or they do not fit together.
pub fn tls_config(files: &TlsFiles) -> Result<Arc<ClientConfig>, Error> {
    let fault =
        |what: &'static str| move |error: &dyn std::fmt::Display| Error::Tls { what, reason: error.to_string() };
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault("protocol versions")(&error))?;
    let builder = if files.verify {
        builder.with_root_certificates(roots(&files.ca)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
    };
    let mut config = if files.certificate.is_empty() {
        builder.with_no_client_auth()
    } else {
        let chain = certificates("client certificate", &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|error| fault("client key")(&error))?;
        builder.with_client_auth_cert(chain, key).map_err(|error| fault("client certificate")(&error))?
    };
    config.alpn_protocols = files.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

fn roots(ca: &[u8]) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    let trusted = if ca.is_empty() {
        rustls_native_certs::load_native_certs().certs
    } else {
        certificates("CA certificate", ca)?
    };
    store.add_parsable_certificates(trusted);
    if store.is_empty() {
        return Err(Error::Tls { what: "CA certificate", reason: "there is none that can be used".into() });
    }
    Ok(store)
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::Tls { what, reason: error.to_string() })
}

/// Accepts any certificate, for brokers at home with a certificate that nobody signed.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
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
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
