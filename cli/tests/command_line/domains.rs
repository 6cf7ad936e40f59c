//! `keykit tpd`: apart and together.

use keykit::key::RsaSecretKey;

use crate::support::{Desk, contoso};

#[test]
fn split_writes_the_domain_without_its_key_and_the_key_only_where_asked() {
    let desk = Desk::new();
    desk.run("tpd split contoso.xml --keyless keyless.xml --password-source file:password").exits(0);
    let files = desk.run("--format json inspect keyless.xml --password-source file:password").exits(0).json("inspect");
    assert_eq!(files["files"][0]["kind"], "tpd-keyless");
    assert_eq!(files["files"][0]["slc"]["key_id"], contoso().key.id().to_string());
    assert!(files["files"][0]["key"].is_null());
    desk.run("tpd split contoso.xml --keyless keyless2.xml --danger-plaintext-pem key.pem --password-source file:password")
        .exits(0)
        .says("in the clear");
    let pem = String::from_utf8(desk.read("key.pem")).unwrap();
    assert_eq!(RsaSecretKey::from_pem(&pem).unwrap().id(), contoso().key.id());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(desk.path("key.pem")).unwrap().permissions().mode() & 0o777, 0o600);
}

/// All outputs are there or none, so the same command goes through once there is room.
#[test]
fn a_split_that_can_not_write_everything_leaves_nothing() {
    let desk = Desk::new();
    desk.write("kek.pem", crate::support::fabrikam().key.public().to_pem());
    let before = desk.snapshot();
    let split = format!(
        "tpd split contoso.xml --keyless k.xml --password-source file:password --wrap-to kek.pem --kid https://vault.example/keys/kek/1 --kek-fingerprint {}",
        crate::support::fabrikam().key.id()
    );
    for outputs in ["--transfer missing/out.byok", "--transfer out.byok --danger-plaintext-pem missing/key.pem"] {
        let ran = desk.run(&format!("{split} {outputs}")).exits(8).says("missing/");
        assert!(!ran.stderr().contains("in the clear"), "{}", ran.stderr());
        assert_eq!(desk.snapshot(), before, "{outputs}");
    }
    desk.run(&format!("{split} --transfer out.byok --danger-plaintext-pem key.pem")).exits(0).says("in the clear");
}

#[test]
fn an_output_that_is_the_input_is_refused_by_rule_75() {
    let desk = Desk::new();
    let before = desk.snapshot();
    desk.run("tpd split contoso.xml --keyless contoso.xml --password-source file:password").exits(4).says("rule 75");
    desk.run("tpd split contoso.xml --keyless ./contoso.xml --password-source file:password").exits(4).says("rule 75");
    desk.run("tpd split contoso.xml --keyless k.xml --danger-plaintext-pem k.xml --password-source file:password").exits(4).says("rule 75");
    desk.run("tpd split contoso.xml --keyless fabrikam.xml --password-source file:password").exits(9).says("exists already");
    assert_eq!(desk.snapshot(), before);
}

#[test]
fn a_transfer_file_opens_with_openssl_and_only_for_the_confirmed_key() {
    let desk = Desk::new();
    let kek = crate::support::fabrikam();
    desk.write("kek.pem", kek.key.public().to_pem());
    let split = "tpd split contoso.xml --keyless k.xml --password-source file:password --wrap-to kek.pem --transfer out.byok --kid https://vault.example/keys/kek/1";
    desk.run(&format!("{split} --kek-fingerprint {}", contoso().key.id())).exits(4).says("exchanged the file");
    assert!(!desk.path("k.xml").exists());
    desk.run(split).exits(2);
    desk.run(&format!("{split} --kek-fingerprint {}", kek.key.id())).exits(0);
    let inspected = desk.run("--format json inspect out.byok").exits(0).json("inspect");
    assert_eq!(inspected["files"][0]["kind"], "byok");
    assert_eq!(inspected["files"][0]["target_bits"], 2048);
    assert_eq!(inspected["files"][0]["kid"], "https://vault.example/keys/kek/1");
    // OpenSSL undoes both layers.
    let file = keykit::transfer::AzureTransferFile::parse(&desk.read("out.byok")).unwrap();
    desk.write("kek-secret.pem", kek.key.to_pkcs1_pem().unwrap().expose());
    desk.write("sealed.bin", &file.blob[..256]);
    desk.write("wrapped.bin", &file.blob[256..]);
    let openssl = |arguments: &str| std::process::Command::new("openssl").args(arguments.split(' ')).current_dir(desk.path("")).output();
    let Ok(opened) = openssl(
        "pkeyutl -decrypt -inkey kek-secret.pem -in sealed.bin -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1 -pkeyopt rsa_mgf1_md:sha1",
    ) else {
        println!("skipped: openssl is not installed");
        return;
    };
    assert_eq!(opened.stdout.len(), 32, "{}", String::from_utf8_lossy(&opened.stderr));
    let hex: String = opened.stdout.iter().map(|byte| format!("{byte:02x}")).collect();
    let unwrapped = openssl(&format!("enc -d -id-aes256-wrap-pad -iv A65959A6 -K {hex} -in wrapped.bin")).unwrap();
    assert_eq!(RsaSecretKey::from_pkcs8_der(&unwrapped.stdout).unwrap().id(), contoso().key.id());
}

#[test]
fn a_tenant_key_goes_back_into_a_domain_that_opens_again() {
    let desk = Desk::new();
    desk.run("migrate software-to-software --password-source file:password --tenant tenant contoso.xml").exits(0);
    let id = contoso().key.id();
    let chain = format!("tenant/chains/{id}.xml");
    let key = format!("file:tenant/keys#{}", id.short());
    desk.run(&format!("tpd build --key {key} --chain {chain} --templates tenant/templates -o back.xml --password-source file:password")).exits(0);
    let inspected = desk.run("--format json inspect back.xml --password-source file:password").exits(0).json("inspect");
    let file = &inspected["files"][0];
    assert_eq!(file["kind"], "tpd");
    assert_eq!(file["key"]["key_id"], id.to_string());
    assert_eq!(file["templates"].as_array().unwrap().len(), 2);
    assert_eq!(file["key_derivation"], "sha256");
    desk.run("migrate software-to-software --password-source file:password --tenant elsewhere/tenant back.xml").exits(0);
}

/// A domain around contoso's key, with its parts as `change` leaves them.
fn changed_domain(desk: &Desk, file: &str, change: impl FnOnce(&mut keykit_tests::samples::SampleCluster)) {
    let mut sample = crate::support::Sample::make("changed", 2048, keykit::tpd::KeyDerivation::Sha256);
    change(&mut sample.cluster);
    let domain = sample.cluster.domain(Some(sample.key), keykit::tpd::KeyDerivation::Sha256).unwrap();
    desk.write(file, domain.seal(&keykit::secret::Password::new(crate::support::PASSWORD.into())).unwrap());
}

#[test]
fn a_certificate_or_a_template_that_was_changed_is_refused_as_inspect_does() {
    let desk = Desk::new();
    changed_domain(&desk, "certificate.xml", |cluster| cluster.chain[0] = cluster.chain[0].replace("rms.example", "rms.examp1e"));
    changed_domain(&desk, "root.xml", |cluster| {
        let changed = cluster.chain[1].replacen("<ISSUEDTIME>2", "<ISSUEDTIME>1", 1);
        assert_ne!(changed, cluster.chain[1]);
        cluster.chain[1] = changed;
    });
    changed_domain(&desk, "template.xml", |cluster| cluster.templates[0] = cluster.templates[0].replace("staff@", "stafF@"));
    for (file, what) in [("certificate.xml", "document 1"), ("root.xml", "document 2"), ("template.xml", "Confidential")] {
        let before = desk.snapshot();
        let inspected = desk.run(&format!("--format json inspect {file} --password-source file:password")).exits(1).json("inspect");
        assert_eq!((&inspected["files"][0]["sound"], &inspected["files"][0]["problems"][0]["code"]), (&false.into(), &"signature".into()), "{file}");
        assert_eq!(inspected["files"][0]["problems"].as_array().unwrap().len(), 1, "{inspected}");
        desk.run(&format!("migrate software-to-software --password-source file:password --tenant tenant {file}")).exits(1).says(what);
        desk.run(&format!("tpd split {file} --keyless k.xml --password-source file:password")).exits(1);
        assert_eq!(desk.snapshot(), before, "{file}");
    }
}

#[test]
fn a_certificate_that_nobody_signed_is_refused() {
    let desk = Desk::new();
    changed_domain(&desk, "unsigned.xml", |cluster| {
        let text = &cluster.chain[0];
        let (start, end) = (text.find("<SIGNATURE>").unwrap(), text.find("</SIGNATURE>").unwrap() + "</SIGNATURE>".len());
        cluster.chain[0] = format!("{}{}", &text[..start], &text[end..]);
    });
    desk.run("inspect unsigned.xml --password-source file:password").exits(3);
    desk.run("migrate software-to-software --password-source file:password --tenant tenant unsigned.xml").exits(3).says("not signed");
    assert!(!desk.path("tenant").exists());
}

#[test]
fn a_template_of_another_key_is_named() {
    let desk = Desk::new();
    changed_domain(&desk, "other.xml", |cluster| cluster.templates.push(contoso().cluster.templates[0].clone()));
    let named = format!("is signed by the key {}, not by that of this domain", contoso().key.id().short());
    let inspected = desk.run("--format json inspect other.xml --password-source file:password").exits(0).json("inspect");
    assert!(inspected["files"][0]["notes"].to_string().contains(&named), "{inspected}");
    desk.run("migrate software-to-software --password-source file:password --tenant tenant other.xml").exits(0).says(&named);
}
