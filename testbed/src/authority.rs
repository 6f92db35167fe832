use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use crate::place::Place;

/// A certificate authority that nobody trusts but who is told to. Made for one run; two of them do
/// not trust each other.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a server or a client shows, and what it has to show in order to be believed. All in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate of the authority that issued this.
    pub authority: String,
    /// The certificate.
    pub certificate: String,
    /// The key that belongs to it.
    pub key: String,
}

impl Authority {
    /// A new one, with a new key.
    ///
    /// # Errors
    /// No key can be made.
    pub fn new() -> Result<Self> {
        let mut parameters = parameters("distlock testbed")?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// Its certificate, in PEM: what to trust.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// An identity with this name: the address or host name of a server, or a user. For another
    /// host, it is one that a client has to refuse.
    ///
    /// # Errors
    /// The name cannot stand in a certificate.
    pub fn issue(&self, name: &str) -> Result<Identity> {
        let mut parameters = parameters(name)?;
        parameters.subject_alt_names = CertificateParams::new([name.to_owned()])?.subject_alt_names;
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate()?;
        Ok(Identity {
            authority: self.certificate(),
            certificate: parameters.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn parameters(name: &str) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::new([])?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    Ok(parameters)
}

impl Identity {
    /// Writes `ca.pem`, `cert.pem` and `key.pem` beside the server that has this identity.
    pub(crate) fn write(&self, place: &Place) -> Result<()> {
        place.write("ca.pem", &self.authority)?;
        place.write("cert.pem", &self.certificate)?;
        place.write("key.pem", &self.key)?;
        Ok(())
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}
