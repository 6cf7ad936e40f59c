//! probes
use keykit::key::{EncryptionScheme, Hash};
use keykit::store::{KeyRequest, KeyStore};
use keykit_tests::softhsm::{PIN, on_softhsm};
use keykit_tests::tokens::open_labelled;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn tokens_folder() -> PathBuf {
    Path::new(&env::var_os("SOFTHSM2_CONF").unwrap()).parent().unwrap().join("tokens")
}

#[test]
fn removed() {
    on_softhsm("removed", &["target"], |module| {
        let store = open_labelled(module, "target", PIN).unwrap();
        let key = store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("k")).unwrap();
        store.sign(&key.id(), &[Hash::Sha1.digest(b"")]).unwrap();
        let transport = store.as_unwrap_in().unwrap().transport_key(2048).unwrap();
        for entry in fs::read_dir(tokens_folder()).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        println!("P sign {:?}", store.sign(&key.id(), &[Hash::Sha1.digest(b"")]).map(|_| ()));
        println!("P keys {:?}", store.keys().map(|k| k.len()));
        println!("P sign {:?}", store.sign(&key.id(), &[Hash::Sha1.digest(b"")]).map(|_| ()));
        println!("P decrypt {:?}", store.decrypt(&key.id(), &EncryptionScheme::Pkcs1v15, &[&[1; 256]]).map(|_| ()));
        println!("P gen {:?}", store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("k2")).map(|_| ()));
        println!("P transport {:?}", store.as_unwrap_in().unwrap().transport_key(2048).map(|_| ()));
        println!("P unwrap {:?}", transport.unwrap_in(&[0; 1500], &key.public, &KeyRequest::labelled("x")).map(|_| ()));
        drop(transport);
        println!("P destroy {:?}", store.as_destroy().unwrap().destroy(&key.id()).map(|_| ()));
        drop(store);
        println!("P open {:?}", open_labelled(module, "target", PIN).map(|_| ()));
    });
}
