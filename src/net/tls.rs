//! One TLS configuration for websockets and requests alike.
//!
//! The provider is named here and nowhere else: left to itself, rustls panics at the first
//! connection where the build holds none or two of them. Roots are those of Mozilla, compiled in,
//! so that a machine without certificates works; a company's own can be added.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, ClientConfig, RootCertStore};

/// Why no TLS configuration could be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with extra certificates cannot be read.
    #[error("cannot read certificates from {}: {detail}; it must be a PEM file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// The file has no certificate.
    #[error("{} holds no certificate; it must be a PEM file with at least one", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A certificate in the file cannot be a root.
    #[error("{} holds a certificate that cannot be a root: {source}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The provider has none of the protocol versions.
    #[error("TLS cannot be set up: {0}")]
    Provider(rustls::Error),
}

/// The configuration; certificates in the PEM file `extra_ca` are trusted as well.
///
/// # Errors
///
/// When that file cannot be read, or holds no usable certificate.
pub fn client_config(extra_ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = extra_ca {
        add_file(&mut roots, path)?;
    }
    // Libraries that ask for the process's provider get the same one. An error only says that one
    // is there already.
    if aws_lc_rs::default_provider().install_default().is_err() {
        tracing::trace!("the process has a TLS provider already");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What to do about an error that has a TLS error somewhere below it, and that error in words; none
/// where it has not.
#[must_use]
pub fn explain(error: &(dyn StdError + 'static)) -> Option<(String, &'static str)> {
    let tls = find(error)?;
    Some((tls.to_string(), hint(tls)))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let read = |error: rustls::pki_types::pem::Error| TlsError::Read {
        path: path.to_owned(),
        detail: error.to_string(),
    };
    let mut count = 0_usize;
    for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
        roots
            .add(certificate.map_err(read)?)
            .map_err(|source| TlsError::Root { path: path.to_owned(), source })?;
        count += 1;
    }
    if count == 0 { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(()) }
}

/// An `io::Error` hides what it wraps from `source`, so it is opened by hand.
fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            let inner: &'a (dyn StdError + 'static) = inner;
            if let Some(tls) = find(inner) {
                return Some(tls);
            }
        }
        next = error.source();
    }
    None
}

fn hint(error: &rustls::Error) -> &'static str {
    use CertificateError as Bad;
    // The library's list of errors is open; what is not known here gets the general advice.
    if matches!(error, rustls::Error::InvalidMessage(_)) {
        return "the server does not speak TLS there: check scheme and port of the URL";
    }
    let rustls::Error::InvalidCertificate(bad) = error else {
        return "check that the URL is the venue's and that nothing stands between";
    };
    if matches!(bad, Bad::UnknownIssuer) {
        "a proxy may stand between: add its certificate as an extra CA file"
    } else if matches!(
        bad,
        Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. }
    ) {
        "check the clock of this machine"
    } else if matches!(bad, Bad::NotValidForName | Bad::NotValidForNameContext { .. }) {
        "the server has another name: check the host in the URL"
    } else {
        "the server's certificate is not good"
    }
}

#[cfg(test)]
mod tests;
