use rustls::crypto::{CryptoProvider, ring};

/// Chooses the cryptography of TLS for this process, unless somebody has: where none is built into
/// the program by its features alone, or two are, the first secure connection would panic.
pub(crate) fn settle() {
    if CryptoProvider::get_default().is_none() {
        // An error means that somebody else was faster.
        let _ = ring::default_provider().install_default();
    }
}
