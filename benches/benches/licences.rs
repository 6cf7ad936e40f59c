//! What one licence costs: reading and verifying it, opening it, signing one.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use criterion::{Criterion, criterion_group, criterion_main};
use keykit::key::Hash;
use keykit::licence::{SealAlgorithm, open};
use keykit::store::{KeyRequest, KeyStore};
use keykit::xrml;
use keykit_hsm_backends::memory::MemoryStore;
use keykit_tests::samples::SampleCluster;

fn licences(criterion: &mut Criterion) {
    for bits in [2048, 1024] {
        let store = MemoryStore::new();
        let key = store.as_generate().unwrap().generate(bits, &KeyRequest::labelled("slc")).unwrap().public;
        let cluster = SampleCluster::around(&store, &key, "bench").unwrap();
        let licence = cluster.licences.first().unwrap();
        let document = xrml::documents_in(licence.text.as_bytes()).unwrap().remove(0);
        let enabling_bits = document.sealed_keys().first().unwrap().enabling_bits.clone();
        let algorithm = SealAlgorithm::from_name(enabling_bits.algorithm.name()).unwrap();
        let digest = Hash::Sha256.digest(document.body_text().as_bytes());

        let mut group = criterion.benchmark_group(format!("RSA-{bits}"));
        group.bench_function("read a licence with its chain", |bencher| bencher.iter(|| xrml::documents_in(licence.text.as_bytes()).unwrap()));
        group.bench_function("verify a licence", |bencher| bencher.iter(|| document.check_signature()));
        group.bench_function("open a content key", |bencher| bencher.iter(|| open(&store, &key.id(), algorithm, &enabling_bits.bytes).unwrap()));
        group.bench_function("sign a digest", |bencher| bencher.iter(|| store.sign(&key.id(), &[digest]).unwrap()));
        group.finish();
    }
}

criterion_group!(benches, licences);
criterion_main!(benches);
