//! JSON Lines and their resume log.

use proptest::prelude::*;

use super::*;

fn run_to_file(input: &[u8], output: &Path, log: &Path, transform: &dyn Transform, options: &Options<'_>) -> Result<Report> {
    Ok(lines(input, LinesOutput::file(output, Some((log, "test")))?, transform, options, &mut ()))
}

#[test]
fn bad_lines_are_answered_where_they_stand() {
    let input = concat!(
        "{\"id\":\"a\",\"licence\":\"x\"}\n",
        "\n  \r\n",
        "{\"id\":7,\"licence\":\"y\",\"more\":[1]}\r\n",
        "not json\n",
        "{\"id\":\"c\"}\n",
        "{\"id\":null,\"licence\":\"z\"}\n",
        "{\"id\":\"long\",\"licence\":\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\"}\n",
        "{\"id\":\"bad\",\"licence\":\"bad\"}\n",
        "{\"id\":\"s\",\"licence\":\"same \\u00e9\"}",
    );
    for batch in [1, 3, 100] {
        let mut output = Vec::new();
        let mut notes = Notes::default();
        let report =
            lines(input.as_bytes(), LinesOutput::stream(&mut output), &Upper::default(), &Options { item_limit: 60, ..small(2, batch) }, &mut notes);
        assert_eq!(report.counts, counts(2, 5, 0, 1));
        let output: Vec<serde_json::Value> = String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(output[0], serde_json::json!({"id": "a", "licence": "<X>"}));
        assert_eq!(output[1], serde_json::json!({"id": 7, "licence": "<Y>"}));
        assert_eq!((&output[2]["id"], &output[2]["line"], &output[2]["code"]), (&serde_json::Value::Null, &5.into(), &"malformed".into()));
        assert_eq!((&output[3]["id"], &output[3]["code"]), (&"c".into(), &"malformed".into()));
        assert!(output[3].get("licence").is_none());
        assert_eq!(output[4]["line"], 7);
        assert!(output[5]["error"].as_str().unwrap().contains("longer"));
        assert_eq!(output[6]["id"], "bad");
        assert_eq!(output[7], serde_json::json!({"id": "s", "licence": "same é"}));
        assert_eq!(notes.failed.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["line 5", "c", "line 7", "line 8", "bad"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_input_panics_and_every_line_is_answered(input in proptest::collection::vec(prop_oneof![
        Just(b"\n".to_vec()), Just(b"{\"id\":1,\"licence\":\"".to_vec()), Just(b"\"}".to_vec()), proptest::collection::vec(any::<u8>(), 0..40)], 0..30)) {
        let input = input.concat();
        let mut output = Vec::new();
        let same = |items: &[Item]| Ok(items.iter().map(|_| Ok(Output::Unchanged)).collect());
        let report = lines(input.as_slice(), LinesOutput::stream(&mut output), &same, &Options { item_limit: 30, ..small(2, 3) }, &mut ());
        prop_assert!(report.stopped.is_none());
        let expected = input.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty() || line.len() > 30).count();
        let lines: Vec<&[u8]> = output.split_inclusive(|&byte| byte == b'\n').collect();
        prop_assert_eq!(lines.len(), expected);
        prop_assert_eq!(report.counts.total(), expected as u64);
        for line in lines {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(line).is_ok());
        }
    }

    /// The output and the log are cut anywhere a kill may leave them: the log at any byte, the output at or behind what the
    /// log says.
    #[test]
    fn a_run_that_was_cut_off_goes_on(count in 0_usize..60, stop in 0_usize..60, log_cut in 0_usize..2000, tail in "[a-z\n]{0,30}", seed in 1_usize..5) {
        let folder = tempfile::tempdir().unwrap();
        let (output, log) = (folder.path().join("out"), folder.path().join("log"));
        let text = |stop: usize| (0..count).map(|id| format!("{{\"id\":{id},\"licence\":\"{}\"}}\n", if id == stop { "stop" } else { "a" })).collect::<String>();
        let expected: String = (0..count).map(|id| format!("{{\"id\":{id},\"licence\":\"<A>\"}}\n")).collect();
        // The digest covers what was done only: the line that stops comes behind it, and is mended.
        let first = run_to_file(text(stop).as_bytes(), &output, &log, &Upper::default(), &small(2, seed)).unwrap();
        prop_assert_eq!(first.stopped.is_some(), stop < count);
        let mut bytes = fs::read(&log).unwrap();
        let header = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        bytes.truncate((header + log_cut).min(bytes.len()));
        fs::write(&log, bytes).unwrap();
        let mut written = fs::read(&output).unwrap();
        written.extend_from_slice(tail.as_bytes());
        fs::write(&output, written).unwrap();
        let second = run_to_file(text(usize::MAX).as_bytes(), &output, &log, &Upper::default(), &small(2, 3)).unwrap();
        prop_assert_eq!(second.counts.total(), count as u64);
        prop_assert!(second.stopped.is_none());
        prop_assert_eq!(fs::read_to_string(&output).unwrap(), expected.as_str());
        let third = Upper::default();
        let report = run_to_file(text(usize::MAX).as_bytes(), &output, &log, &third, &small(2, 3)).unwrap();
        prop_assert_eq!(report.counts, counts(0, 0, count as u64, 0));
        prop_assert!(third.seen.lock().unwrap().is_empty());
    }
}

#[test]
fn another_input_job_or_output_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (output, log) = (folder.path().join("out"), folder.path().join("log"));
    let input = b"{\"id\":1,\"licence\":\"a\"}\n";
    run_to_file(input, &output, &log, &Upper::default(), &small(1, 1)).unwrap().into_result().unwrap();
    let written = fs::read(&output).unwrap();
    let other = run_to_file(b"{\"id\":2,\"licence\":\"a\"}\n", &output, &log, &Upper::default(), &small(1, 1)).unwrap();
    assert_eq!(other.into_result().unwrap_err().code(), "conflict");
    let shorter = run_to_file(b"{\"id\":1", &output, &log, &Upper::default(), &small(1, 1)).unwrap();
    assert_eq!(shorter.into_result().unwrap_err().code(), "conflict");
    assert_eq!(LinesOutput::file(&output, Some((&log, "another"))).unwrap_err().code(), "conflict");
    assert_eq!(LinesOutput::file(&output, None).unwrap_err().code(), "conflict");
    assert_eq!(LinesOutput::file(&output, Some((&folder.path().join("new"), "test"))).unwrap_err().code(), "conflict");
    assert_eq!(fs::read(&output).unwrap(), written);
    fs::write(&output, "").unwrap();
    assert_eq!(LinesOutput::file(&output, Some((&log, "test"))).unwrap_err().code(), "conflict");
}

#[test]
fn more_input_at_the_end_is_done_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (output, log) = (folder.path().join("out"), folder.path().join("log"));
    run_to_file(b"{\"id\":1,\"licence\":\"a\"}\n", &output, &log, &Upper::default(), &small(1, 1)).unwrap().into_result().unwrap();
    let transform = Upper::default();
    let report = run_to_file(b"{\"id\":1,\"licence\":\"a\"}\n{\"id\":2,\"licence\":\"b\"}\n", &output, &log, &transform, &small(1, 1)).unwrap();
    assert_eq!(report.counts, counts(1, 0, 1, 0));
    assert_eq!(*transform.seen.lock().unwrap(), ["2"]);
}

/// Or a run that was cut off behind its bad lines would end as if there had been none.
#[test]
fn what_failed_in_an_earlier_run_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let (output, log) = (folder.path().join("out"), folder.path().join("log"));
    let text = |last: &str| ["bad", "a", "bad", last, "bad"].map(|licence| format!("{{\"id\":\"{licence}\",\"licence\":\"{licence}\"}}\n")).concat();
    let first = run_to_file(text("stop").as_bytes(), &output, &log, &Upper::default(), &small(1, 1)).unwrap();
    assert_eq!((first.counts, first.stopped.is_some()), (counts(1, 2, 0, 0), true));
    for (done, failed) in [(1, 3), (0, 3)] {
        let mut notes = Notes::default();
        let to = LinesOutput::file(&output, Some((&log, "test"))).unwrap();
        let report = lines(text("b").as_bytes(), to, &Upper::default(), &small(1, 1), &mut notes);
        assert_eq!(report.counts, counts(done, failed, 2 - done, 0));
        assert_eq!(notes.failed.len(), usize::from(done == 1));
        assert!(notes.last.is_none_or(|last| last.rate >= 0.0));
    }
    assert_eq!(fs::read_to_string(&output).unwrap().lines().filter(|line| line.contains("\"error\"")).count(), 3);
}

#[test]
fn a_stream_with_a_log_goes_on_behind_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let text = |word: &str| format!("{{\"id\":1,\"licence\":\"a\"}}\n{{\"id\":2,\"licence\":\"{word}\"}}\n");
    let mut output = Vec::new();
    for word in ["stop", "b"] {
        let to = LinesOutput::stream_with_log(&mut output, &log, "test").unwrap();
        let report = lines(text(word).as_bytes(), to, &Upper::default(), &small(1, 1), &mut ());
        assert_eq!(report.stopped.is_some(), word == "stop");
    }
    assert_eq!(String::from_utf8(output).unwrap(), "{\"id\":1,\"licence\":\"<A>\"}\n{\"id\":2,\"licence\":\"<B>\"}\n");
}
