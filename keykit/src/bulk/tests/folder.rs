//! Trees, lists and output folders.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever the tree, the batches and the threads: everything is there, in the order of the log and of the walk.
    #[test]
    fn any_tree_is_mirrored_in_a_stable_order(paths in proptest::collection::btree_set("[ab.]?[a-c]/[a-c ]{1,2}x|[d-f~]{1,2}", 0..24), workers in 1_usize..5, batch in 1_usize..6) {
        let named: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), path.as_str())).collect();
        let (_a, input) = tree(&named);
        let (_b, output) = tree(&[]);
        let report = run_tree(&input, &output, &Upper::default(), &small(workers, batch), &mut Notes::default());
        prop_assert_eq!(report.into_result().unwrap(), counts(paths.len() as u64, 0, 0, 0));
        let expected: BTreeMap<String, String> = paths.iter().map(|path| (path.clone(), upper(path))).collect();
        prop_assert_eq!(read_tree(&output), expected);
        let log = fs::read_to_string(output.join(".keykit-resume.jsonl")).unwrap();
        let logged: Vec<PathBuf> = log.lines().skip(1).map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().into()).collect();
        // Paths compare part by part, as the walk goes.
        let mut sorted: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        sorted.sort();
        prop_assert_eq!(logged, sorted);
    }
}

#[test]
fn a_tree_is_mirrored_and_the_rest_is_reported() {
    let (_a, input) = tree(&[("b/c", "x"), ("a", "one"), ("b/a", "bad"), ("b.x", "same"), ("z/deep/er", "two")]);
    let (_b, output) = tree(&[]);
    let output = output.join("made/here");
    let before = read_tree(&input);
    let mut notes = Notes::default();
    let transform = Upper::default();
    let report = run_tree(&input, &output, &transform, &small(1, 2), &mut notes);
    assert_eq!(report.into_result().unwrap(), counts(3, 1, 0, 1));
    let expected = [("a", "<ONE>"), ("b.x", "same"), ("b/c", "<X>"), ("z/deep/er", "<TWO>")];
    assert_eq!(read_tree(&output), expected.map(|(path, text)| (path.to_owned(), text.to_owned())).into());
    assert_eq!(notes.failed, [("b/a".to_owned(), "malformed")]);
    assert_eq!(*transform.seen.lock().unwrap(), ["a", "b/a", "b/c", "b.x", "z/deep/er"], "a folder comes before what sorts after its name");
    assert_eq!(read_tree(&input), before);
    assert!(!output.join(".keykit-staging").exists());

    // Once more: only the bad one is tried again.
    let again = Upper::default();
    let report = run_tree(&input, &output, &again, &small(2, 2), &mut Notes::default());
    assert_eq!(report.counts, counts(0, 1, 4, 0));
    assert_eq!(*again.seen.lock().unwrap(), ["b/a"]);

    // It was mended, one was changed, an output was changed, and one was lost.
    fs::write(input.join("b/a"), "good").unwrap();
    fs::write(input.join("a"), "changed").unwrap();
    fs::write(output.join("b.x"), "changed").unwrap();
    fs::remove_file(output.join("b/c")).unwrap();
    let mut notes = Notes::default();
    let report = run_tree(&input, &output, &Upper::default(), &small(2, 2), &mut notes);
    assert_eq!(report.counts, counts(2, 2, 1, 0));
    assert_eq!(notes.failed, [("a".to_owned(), "conflict"), ("b.x".to_owned(), "conflict")]);
    let expected = [("a", "<ONE>"), ("b.x", "changed"), ("b/a", "<GOOD>"), ("b/c", "<X>"), ("z/deep/er", "<TWO>")];
    assert_eq!(read_tree(&output), expected.map(|(path, text)| (path.to_owned(), text.to_owned())).into());
}

#[test]
fn what_somebody_else_wrote_stays() {
    let (_a, input) = tree(&[("a", "one"), ("b/c", "two"), ("d", "three")]);
    let (_b, output) = tree(&[("a", "mine"), ("b", "a file where a folder is needed")]);
    let mut notes = Notes::default();
    let report = run_tree(&input, &output, &Upper::default(), &small(2, 2), &mut notes);
    assert_eq!(report.into_result().unwrap(), counts(1, 2, 0, 0));
    assert_eq!(notes.failed, [("a".to_owned(), "conflict"), ("b/c".to_owned(), "conflict")]);
    assert_eq!(fs::read_to_string(output.join("a")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(output.join("d")).unwrap(), "<THREE>");
}

#[test]
fn an_output_that_appears_during_the_run_stays() {
    let (_a, input) = tree(&[("a", "one"), ("b", "two")]);
    let (_b, output) = tree(&[]);
    let place = output.join("a");
    let transform = |items: &[Item]| {
        fs::write(&place, "mine").unwrap();
        items.iter().map(|item| one(&item.bytes)).collect()
    };
    let mut notes = Notes::default();
    let report = run_tree(&input, &output, &transform, &small(1, 2), &mut notes);
    assert_eq!(report.counts, counts(1, 1, 0, 0));
    assert_eq!(notes.failed, [("a".to_owned(), "conflict")]);
    assert_eq!(fs::read_to_string(place).unwrap(), "mine");
}

#[test]
fn input_and_output_are_kept_apart() {
    let (_a, root) = tree(&[("in/a", "one"), ("in/sub/b", "two")]);
    let input = root.join("in");
    for output in ["in", "in/out", "in/sub", "", "in/not/yet/there", "in/sub/../out"] {
        let files = Files::walk(std::slice::from_ref(&input)).unwrap();
        let error = OutputFolder::open(&root.join(output), &files, "test").unwrap_err();
        assert_eq!(error.code(), "refused", "{output}: {error}");
    }
    let files = Files::walk(std::slice::from_ref(&input)).unwrap();
    OutputFolder::open(&root.join("in2"), &files, "test").unwrap();
    assert_eq!(read_tree(&input).len(), 2);
    assert_eq!(fs::read_dir(&input).unwrap().count(), 2, "nothing was made in the input");
}

#[test]
fn one_run_and_one_job_at_a_time() {
    let (_a, input) = tree(&[("a", "one")]);
    let (_b, output) = tree(&[]);
    let open = |job| OutputFolder::open(&output, &Files::walk(std::slice::from_ref(&input)).unwrap(), job);
    let first = open("one key").unwrap();
    assert!(open("one key").unwrap_err().to_string().contains("another keykit"));
    drop(first);
    assert!(open("another key").unwrap_err().to_string().contains("another job"));
    open("one key").unwrap();
}

#[test]
fn several_inputs_keep_their_names() {
    let (_a, root) = tree(&[("one/a", "1"), ("two/a", "2"), ("three", "3"), ("x/one/a", "4")]);
    let (_b, output) = tree(&[]);
    let inputs = Files::walk(&[root.join("one"), root.join("two"), root.join("three")]).unwrap();
    assert_eq!(Files::walk(&[root.join("one"), root.join("two"), root.join("three")]).unwrap().count().unwrap(), 3);
    let folder = OutputFolder::open(&output, &inputs, "test").unwrap();
    let mut notes = Notes::default();
    let report = files(inputs.with_total(3), &folder, &Upper::default(), &small(2, 1), &mut notes);
    assert_eq!(report.counts, counts(3, 0, 0, 0));
    assert_eq!(notes.last.unwrap().total, Some(3));
    assert_eq!(notes.last.unwrap().left, Some(std::time::Duration::ZERO));
    assert_eq!(read_tree(&output).into_keys().collect::<Vec<_>>(), ["one/a", "three", "two/a"]);
    assert_eq!(Files::walk(&[root.join("one"), root.join("x/one")]).unwrap_err().code(), "usage");
    assert_eq!(Files::walk(&[root.join("none")]).unwrap_err().code(), "read");
    assert_eq!(Files::walk(&[]).unwrap_err().code(), "usage");
}

#[cfg(unix)]
#[test]
fn links_are_followed_only_inside_and_odd_files_are_reported() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let (_c, outside) = tree(&[("secret", "x")]);
    let (_a, input) = tree(&[("a", "one"), ("sub/b", "two")]);
    symlink(outside.join("secret"), input.join("out")).unwrap();
    symlink("a", input.join("in")).unwrap();
    symlink("sub", input.join("folder")).unwrap();
    symlink(".", input.join("sub/loop")).unwrap();
    symlink("nowhere", input.join("dangling")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(input.join("socket")).unwrap();
    fs::write(input.join(OsStr::from_bytes(b"latin\xe9")), "x").unwrap();
    let (_b, output) = tree(&[]);
    let mut notes = Notes::default();
    let report = run_tree(&input, &output, &Upper::default(), &small(2, 2), &mut notes);
    assert_eq!(report.counts, counts(3, 6, 0, 0));
    let failed: Vec<_> = notes.failed.iter().map(|(id, code)| (id.as_str(), *code)).collect();
    let expected = [
        ("dangling", "read"),
        ("folder", "malformed"),
        ("latin\u{fffd}", "malformed"),
        ("out", "refused"),
        ("socket", "malformed"),
        ("sub/loop", "malformed"),
    ];
    assert_eq!(failed, expected);
    assert_eq!(read_tree(&output).into_keys().collect::<Vec<_>>(), ["a", "in", "sub/b"]);
    assert!(!output.join("in").is_symlink());
}

#[cfg(unix)]
#[test]
fn a_link_in_the_output_does_not_lead_back_to_the_input() {
    let (_a, input) = tree(&[("sub/a", "one")]);
    let (_b, output) = tree(&[]);
    fs::create_dir(input.join("other")).unwrap();
    std::os::unix::fs::symlink(input.join("other"), output.join("sub")).unwrap();
    let report = run_tree(&input, &output, &Upper::default(), &small(1, 1), &mut Notes::default());
    assert_eq!(report.counts, counts(0, 1, 0, 0));
    assert_eq!(fs::read_dir(input.join("other")).unwrap().count(), 0);
}

#[test]
fn a_list_is_worked_on_in_its_order() {
    let (_a, root) = tree(&[("in/a", "one"), ("in/b/c", "two"), ("other", "x")]);
    let (_b, output) = tree(&[]);
    let input = root.join("in");
    let list = format!("b/c\r\n\n{}\n../other\n./b/../../other\n{}\nmissing\na", input.join("a").display(), root.join("other").display());
    let files_of = || Files::list(std::io::Cursor::new(list.clone().into_bytes()), &input).unwrap();
    assert_eq!(files_of().count().unwrap(), 7);
    let transform = Upper::default();
    let mut notes = Notes::default();
    let folder = OutputFolder::open(&output, &files_of(), "test").unwrap();
    let report = files(files_of(), &folder, &transform, &small(1, 10), &mut notes);
    assert_eq!(report.counts, counts(2, 5, 0, 0), "{:?}", notes.failed);
    assert_eq!(notes.failed.iter().map(|(_, code)| *code).collect::<Vec<_>>(), ["refused", "refused", "refused", "read", "conflict"]);
    assert_eq!(transform.seen.lock().unwrap()[..2], ["b/c", "a"]);
    assert_eq!(read_tree(&output).into_keys().collect::<Vec<_>>(), ["a", "b/c"]);
}

#[test]
fn a_file_above_the_limit_is_a_bad_item() {
    let (_a, input) = tree(&[("a", "12345"), ("b", "123456")]);
    let (_b, output) = tree(&[]);
    let mut notes = Notes::default();
    let report = run_tree(&input, &output, &Upper::default(), &Options { item_limit: 5, ..small(1, 1) }, &mut notes);
    assert_eq!(report.counts, counts(1, 1, 0, 0));
    assert_eq!(notes.failed, [("b".to_owned(), "malformed")]);
}

#[test]
fn an_output_folder_can_be_the_input_of_another_run() {
    let (_a, input) = tree(&[("a", "one")]);
    let (_b, root) = tree(&[]);
    run_tree(&input, &root.join("1"), &Upper::default(), &small(1, 1), &mut Notes::default()).into_result().unwrap();
    let report = run_tree(&root.join("1"), &root.join("2"), &Upper::default(), &small(1, 1), &mut Notes::default());
    assert_eq!(report.counts, counts(1, 0, 0, 0));
    assert_eq!(fs::read_to_string(root.join("2/a")).unwrap(), "<<ONE>>");
}
