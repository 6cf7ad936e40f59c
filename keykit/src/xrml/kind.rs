//! What a document is, by its body and descriptor (MS-RMPR §2.2.9.3 to §2.2.9.10).

use std::fmt;

use serde::{Serialize, Serializer};

/// What a document is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DocumentKind {
    /// A certificate of a certificate authority (`DRM-CA-Certificate`).
    CertificateAuthority,
    /// A server licensor certificate (SLC), and the certificates of enrolment services, which look the same.
    ServerLicensorCertificate,
    /// A security processor certificate (SPC).
    MachineCertificate,
    /// A rights account certificate (RAC, `Group-Identity-Credential`).
    RightsAccountCertificate,
    /// A client licensor certificate (CLC).
    ClientLicensorCertificate,
    /// A publishing licence (PL).
    PublishingLicence,
    /// A use licence (UL).
    UseLicence,
    /// A rights template, official or not. The rights data inside a publishing licence is one too.
    RightsTemplate,
    /// Something else: the body's type and the descriptor's.
    Other(String),
}

impl DocumentKind {
    /// The kind of a document with this body type, descriptor object type and purpose.
    #[must_use]
    pub fn of(body_type: &str, descriptor: Option<&str>, purpose: Option<&str>) -> Self {
        match (body_type, descriptor) {
            ("Microsoft Rights Label", _) => Self::PublishingLicence,
            ("Microsoft Official Rights Template" | "Microsoft Rights Template", _) => Self::RightsTemplate,
            ("LICENSE", Some("DRM-CA-Certificate")) => Self::CertificateAuthority,
            ("LICENSE", Some("Server-Licensor-Certificate")) => Self::ServerLicensorCertificate,
            ("LICENSE", Some("Machine-Certificate")) => Self::MachineCertificate,
            ("LICENSE", Some("Group-Identity-Credential")) => Self::RightsAccountCertificate,
            ("LICENSE", Some("Client-Licensor-Certificate")) => Self::ClientLicensorCertificate,
            ("LICENSE", Some("Content-License")) => Self::UseLicence,
            // The purpose is not signed; a use licence may issue nothing, so nobody gains by forging it.
            ("LICENSE", None) if purpose == Some("Content-License") => Self::UseLicence,
            (body_type, descriptor) => Self::Other([body_type, descriptor.unwrap_or_default()].join("/")),
        }
    }

    /// Whether a key that a document of this kind certifies may issue documents of the other kind.
    ///
    /// Licences name keys too (a publishing licence names the server's), but certify none: they issue nothing.
    #[must_use]
    pub fn may_issue(&self, other: &Self) -> bool {
        match self {
            Self::CertificateAuthority => matches!(other, Self::CertificateAuthority | Self::ServerLicensorCertificate),
            Self::ServerLicensorCertificate => !matches!(other, Self::CertificateAuthority | Self::Other(_)),
            Self::ClientLicensorCertificate => matches!(other, Self::PublishingLicence | Self::UseLicence),
            _ => false,
        }
    }

    /// Whether a document of this kind certifies keys at all.
    #[must_use]
    pub fn certifies_keys(&self) -> bool {
        matches!(self, Self::CertificateAuthority | Self::ServerLicensorCertificate | Self::ClientLicensorCertificate)
    }

    /// A short stable name for scripts, for example `publishing-licence`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::CertificateAuthority => "certificate-authority",
            Self::ServerLicensorCertificate => "server-licensor-certificate",
            Self::MachineCertificate => "machine-certificate",
            Self::RightsAccountCertificate => "rights-account-certificate",
            Self::ClientLicensorCertificate => "client-licensor-certificate",
            Self::PublishingLicence => "publishing-licence",
            Self::UseLicence => "use-licence",
            Self::RightsTemplate => "rights-template",
            Self::Other(_) => "other",
        }
    }
}

impl Serialize for DocumentKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(what) => write!(f, "document of type '{}'", what.escape_debug()),
            known => f.write_str(&known.name().replace('-', " ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_issue_nothing() {
        use DocumentKind::*;
        let all = [
            CertificateAuthority,
            ServerLicensorCertificate,
            MachineCertificate,
            RightsAccountCertificate,
            ClientLicensorCertificate,
            PublishingLicence,
            UseLicence,
            RightsTemplate,
            Other("x".into()),
        ];
        for kind in &all {
            for issuer in [PublishingLicence, UseLicence, RightsTemplate, MachineCertificate, RightsAccountCertificate, Other("x".into())] {
                assert!(!issuer.may_issue(kind) && !issuer.certifies_keys(), "{issuer} {kind}");
            }
        }
        assert!(ServerLicensorCertificate.may_issue(&ServerLicensorCertificate));
        assert!(!ServerLicensorCertificate.may_issue(&CertificateAuthority));
        assert!(!ClientLicensorCertificate.may_issue(&ClientLicensorCertificate));
        assert!(!CertificateAuthority.may_issue(&PublishingLicence));
    }

    #[test]
    fn a_purpose_decides_only_where_no_descriptor_does() {
        let of = |descriptor| DocumentKind::of("LICENSE", descriptor, Some("Content-License"));
        assert_eq!(of(None), DocumentKind::UseLicence);
        assert_eq!(of(Some("DRM-CA-Certificate")), DocumentKind::CertificateAuthority);
        assert_eq!(of(Some("Y")).to_string(), "document of type 'LICENSE/Y'");
    }
}
