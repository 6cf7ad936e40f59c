//! Chains: real ones, shuffled ones, and those that must not be trusted.

use proptest::prelude::*;

use crate::key::RsaPublicKey;
use crate::xrml::testing::{Hierarchy, VECTORS, real, time};
use crate::xrml::writer::{Certificate, CertificateRole, PublishingLicence};
use crate::xrml::*;

fn chain(documents: &[Document], leaf: usize) -> Chain {
    Chain::of(documents, leaf, &TrustAnchors::microsoft()).unwrap()
}

fn kinds(chain: &Chain) -> Vec<ProblemKind> {
    chain.problems.iter().map(|problem| problem.kind).collect()
}

fn licence(world: &Hierarchy, issued: &str) -> Document {
    let licence = PublishingLicence {
        issued: time(issued),
        valid: None,
        descriptor: None,
        issuer: &world.server,
        distribution_points: &[],
        server: &world.server,
        content_id: Guid::from_u128(1),
        owner: None,
        authenticated_data: &[],
    };
    world.sign(licence.to_unsigned().unwrap())
}

fn root_key(world: &Hierarchy) -> &RsaPublicKey {
    world.root.public_key.as_ref().unwrap()
}

#[test]
fn the_real_chain_ends_at_the_production_root() {
    let documents = real("ca-chain-mode1.xml");
    let whole = chain(&documents, 0);
    assert_eq!(whole, Chain { links: vec![0, 1, 2, 3], trust: Trust::MicrosoftProductionRoot, problems: vec![] });
    for leaf in 1..4 {
        assert_eq!(chain(&documents, leaf).trust, Trust::MicrosoftProductionRoot);
    }
}

#[test]
fn chains_without_their_upper_part_say_so() {
    for (name, _) in VECTORS {
        let expected = match name {
            "ca-chain-mode1.xml" => continue,
            _ if name.ends_with(".bin") => Trust::ChainIncomplete,
            _ => Trust::SelfIssued,
        };
        let chain = chain(&real(name), 0);
        assert_eq!(chain.trust, expected, "{name}");
        assert_eq!(kinds(&chain), if expected == Trust::SelfIssued { vec![] } else { vec![ProblemKind::IssuerMissing] });
    }
    let offline = real("LicenseParserTest_PL_0101right_CBC_xml.bin");
    assert_eq!(chain(&offline, 0).links, [0, 1]);
    let tenant = TrustAnchors::microsoft().with(offline[1].issuer_key().unwrap());
    assert_eq!(Chain::of(&offline, 0, &tenant).unwrap().trust, Trust::PinnedRoot);
}

proptest! {
    #[test]
    fn order_and_copies_do_not_matter(order in proptest::collection::vec(0_usize..4, 0..8).prop_flat_map(|extra| {
        Just([vec![0, 1, 2, 3], extra].concat()).prop_shuffle()
    })) {
        let documents = real("ca-chain-mode1.xml");
        let shuffled: Vec<_> = order.iter().map(|&index| documents[index].clone()).collect();
        for (leaf, &index) in order.iter().enumerate() {
            let chain = chain(&shuffled, leaf);
            prop_assert_eq!(chain.trust, Trust::MicrosoftProductionRoot);
            prop_assert_eq!(chain.links.iter().map(|&link| order[link]).collect::<Vec<_>>(), (index..4).collect::<Vec<_>>());
        }
    }
}

#[test]
fn one_tampered_certificate_breaks_the_chain() {
    let text = real("ca-chain-mode1.xml").iter().map(Document::text).collect::<String>();
    let documents = documents_in(text.as_bytes()).unwrap();
    let mut start = 0;
    for (index, document) in documents.iter().enumerate() {
        // One character of the body (the year of issue, or an address) and one of the signature.
        let spots = [document.text().find("<ISSUEDTIME>20").unwrap() + 15, document.text().rfind("</VALUE>").unwrap() - 20];
        for spot in spots {
            let mut bytes = text.clone().into_bytes();
            bytes[start + spot] = if bytes[start + spot] == b'0' { b'1' } else { b'0' };
            let broken = documents_in(&bytes).unwrap();
            for leaf in 0..=index {
                let chain = chain(&broken, leaf);
                assert_eq!(chain.trust, Trust::ChainIncomplete, "{index} {leaf}");
                assert!(chain.problems.iter().any(|problem| problem.document == index && problem.kind == ProblemKind::BadSignature));
            }
            // A good copy beside the broken one is enough, whichever comes first.
            if index > 0 {
                for copies in [vec![broken.clone(), vec![document.clone()]], vec![vec![document.clone()], broken.clone()]] {
                    let all = copies.concat();
                    let leaf = all.iter().position(|other| *other == documents[0]).unwrap();
                    assert_eq!(chain_trust(&all, leaf), Trust::MicrosoftProductionRoot);
                }
            }
        }
        start += document.text().len();
    }
}

fn chain_trust(documents: &[Document], leaf: usize) -> Trust {
    chain(documents, leaf).trust
}

#[test]
fn a_root_of_our_own_is_trusted_only_if_pinned() {
    for mode in [1, 2] {
        let world = Hierarchy::new(mode);
        let documents = [vec![licence(&world, "2016-01-01T00:00")], world.chain()].concat();
        let untrusted = chain(&documents, 0);
        assert_eq!((untrusted.trust, untrusted.links.as_slice()), (Trust::UntrustedRoot, &[0, 1, 2, 3][..]));
        let pinned = TrustAnchors::microsoft().with(root_key(&world));
        assert_eq!(Chain::of(&documents, 0, &pinned).unwrap(), Chain { links: vec![0, 1, 2], trust: Trust::PinnedRoot, problems: vec![] });
        assert_eq!(chain_trust(&documents, 3), Trust::UntrustedRoot);
        assert_eq!(chain_trust(&documents[..1], 0), Trust::SelfIssued);
        assert_eq!(chain_trust(&documents[..2], 0), Trust::ChainIncomplete);
    }
}

#[test]
fn the_time_of_issue_counts_and_not_today() {
    let world = Hierarchy::new(2);
    let pinned = TrustAnchors::microsoft().with(root_key(&world));
    // The certificates ended in 2020.
    for (issued, trust) in [
        ("2010-01-01T00:00", Trust::PinnedRoot),
        ("2020-01-01T00:00", Trust::PinnedRoot),
        ("2009-12-31T23:59", Trust::ChainIncomplete),
        ("2020-01-01T00:01", Trust::ChainIncomplete),
    ] {
        let documents = [vec![licence(&world, issued)], world.chain()].concat();
        let chain = Chain::of(&documents, 0, &pinned).unwrap();
        assert_eq!(chain.trust, trust, "{issued}");
        assert_eq!(chain.problems.iter().any(|problem| problem.kind == ProblemKind::OutsideValidity), trust == Trust::ChainIncomplete);
    }
}

#[test]
fn a_licence_certifies_no_key() {
    // The licence names the server's key; it must not make the server's other documents look issued by its issuer.
    let world = Hierarchy::new(2);
    let mut server = world.server.clone();
    server.enabling_bits.clear();
    let by_root = PublishingLicence {
        issued: time("2015-01-01T00:00"),
        valid: None,
        descriptor: None,
        issuer: &world.root,
        distribution_points: &[],
        server: &server,
        content_id: Guid::from_u128(1),
        owner: None,
        authenticated_data: &[],
    };
    let documents = [world.sign(by_root.to_unsigned().unwrap()), licence(&world, "2015-01-01T00:00")];
    let pinned = TrustAnchors::microsoft().with(root_key(&world));
    assert_eq!(Chain::of(&documents, 0, &pinned).unwrap().trust, Trust::PinnedRoot);
    assert_eq!(Chain::of(&documents, 1, &pinned).unwrap().trust, Trust::SelfIssued);
}

#[test]
fn a_server_may_not_make_authorities() {
    let world = Hierarchy::new(2);
    let pinned = TrustAnchors::microsoft().with(root_key(&world));
    let fake = world.certify(CertificateRole::CertificateAuthority, &world.server, &world.server, "2015-01-01T00:00");
    let chain = Chain::of(&[vec![fake], world.chain()].concat(), 0, &pinned).unwrap();
    assert!(!chain.trust.is_trusted(), "{chain:?}");
    assert!(kinds(&chain).contains(&ProblemKind::MayNotIssue));
}

#[test]
fn circles_end() {
    let world = Hierarchy::new(2);
    let documents = [
        world.certify(CertificateRole::CertificateAuthority, &world.root, &world.authority, "2015-01-01T00:00"),
        world.certify(CertificateRole::CertificateAuthority, &world.authority, &world.root, "2015-01-01T00:00"),
    ];
    let chain = chain(&documents, 0);
    assert_eq!(chain.trust, Trust::ChainIncomplete);
    assert_eq!(chain.problems.len(), 1);
    assert!(chain.problems[0].to_string().contains("circle"));
}

#[test]
fn a_forged_copy_of_the_production_root_is_not_it() {
    // The same names as the real root, with our key.
    let world = Hierarchy::new(2);
    let real_top = &real("ca-chain-mode1.xml")[3];
    let mut forged = real_top.issuer().unwrap().clone();
    forged.public_key.clone_from(&world.root.public_key);
    let subject = real_top.issued_principals()[0].clone();
    let valid = real_top.validity().unwrap();
    let issued = real_top.issued().unwrap();
    let top = Certificate { role: CertificateRole::CertificateAuthority, id: Guid::from_u128(2), issued, valid, issuer: &forged, subject: &subject };
    let documents = [vec![world.sign(top.to_unsigned().unwrap())], real("ca-chain-mode1.xml")[..3].to_vec()].concat();
    assert_eq!(chain_trust(&documents, 1), Trust::ChainIncomplete);
}

#[test]
fn a_place_that_is_not_there_is_an_error() {
    assert!(Chain::of(&[], 0, &TrustAnchors::microsoft()).is_err());
}

#[test]
fn names_of_trust_are_fixed() {
    let names = [
        (Trust::MicrosoftProductionRoot, "\"microsoft-production-root\""),
        (Trust::ChainIncomplete, "\"chain-incomplete\""),
        (Trust::UntrustedRoot, "\"untrusted-root\""),
        (Trust::SelfIssued, "\"self-issued\""),
        (Trust::PinnedRoot, "\"pinned-root\""),
    ];
    for (trust, name) in names {
        assert_eq!(serde_json::to_string(&trust).unwrap(), name);
    }
}
