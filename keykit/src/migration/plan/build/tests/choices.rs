//! What the words of a migration file change in a plan, one at a time.

use super::*;
use crate::migration::file::StoreUri;

/// What a step of a plan shows of itself: its instruction if it has one, what it needs and what is different then.
fn words_of(plan: &Plan, id: &str) -> String {
    let step = plan.step(id).unwrap_or_else(|| panic!("no step {id} among {:?}", ids(plan)));
    let instruction = if let Action::Manual { instruction } = &step.action { instruction.as_str() } else { "" };
    format!("{instruction}\n{}\n{}", step.inputs.join("\n"), step.effects.join("\n"))
}

fn single_plan(changes: &[(&str, &str)]) -> Plan {
    planned(&changed(SINGLE, changes), &single()).unwrap()
}

/// Why a plan does nothing for a step of the documented process, and whether that is left open.
fn omitted(plan: &Plan, documented: Documented) -> Option<(bool, String)> {
    plan.omitted.iter().find(|step| step.documented == documented).map(|step| (step.is_open, step.why.clone()))
}

fn messages(plan: &Plan) -> Vec<&str> {
    plan.findings.iter().map(|finding| finding.message.as_str()).collect()
}

/// The file without everything that is not about keys.
fn bare() -> String {
    let tables = ["[services]", "[connector]", "[clients]", "[onboarding]", "[workstation]", "[decommission]", "[rekey]", "[[batch]]", "[[batch]]"];
    tables.iter().fold(SINGLE.to_owned(), |text, table| without(&text, table))
}

#[test]
fn a_store_that_is_no_token_makes_no_plan() {
    let not_a_token = |migration: &mut MigrationFile| {
        let store = MigrationFile::examine(LICENSING).unwrap().tenant.store.unwrap();
        migration.tenant.store = Some(Placed { value: "file:keys".parse::<StoreUri>().unwrap(), at: store.at });
    };
    let error = planned_after(LICENSING, &licensing(), not_a_token, |_| {}).unwrap_err();
    assert!(error.code() == "usage" && error.to_string().contains("'file:keys' is no token"), "{error}");
    let text = changed(
        TWO,
        &[("source = \"pkcs11:token=accelerator?module-path=/opt/nfast/toolkits/pkcs11/libcknfast.so&pin-source=prompt\"", "source = \"file:keys\"")],
    );
    assert!(planned(&text, &two()).unwrap_err().to_string().contains("'file:keys' is no token"));
}

#[test]
fn a_danger_that_nobody_approves_makes_no_plan() {
    let error = planned_after(TWO, &two(), |migration| migration.approval = None, |_| {}).unwrap_err();
    assert_eq!(error.code(), "refused");
    assert!(error.to_string().contains("allows keep-transferable and names nobody who approves it"), "{error}");
}

#[test]
fn a_policy_that_can_not_be_met_makes_no_plan() {
    let higher = |migration: &mut MigrationFile| migration.approval.as_mut().unwrap().threshold.value = 9;
    let error = planned_after(SINGLE, &single(), higher, |_| {}).unwrap_err();
    assert!(error.code() == "usage" && error.to_string().contains("9 people must approve"), "{error}");
}

#[test]
fn a_plan_without_people_says_so_in_its_findings_and_steps() {
    let plan = planned_after(SINGLE, &single(), |migration| migration.approval = None, |_| {}).unwrap();
    assert!(messages(&plan).iter().any(|message| message.contains("nobody has to approve this plan")));
    assert!(plan.steps.iter().all(|step| step.approval == "nobody"));
    assert_eq!((plan.approval.threshold, plan.approval.danger_threshold, plan.approval.valid_days), (0, 0, 30));
    let guarded = planned(SINGLE, &single()).unwrap();
    assert!(!messages(&guarded).iter().any(|message| message.contains("nobody has to approve")));
    assert!(guarded.steps.iter().all(|step| step.approval == "2 of 3, among them custodian and security-officer"));
    assert!(planned(LICENSING, &licensing()).unwrap().steps.iter().all(|step| step.approval == "1 of 1"));
    assert!(planned(TWO, &two()).unwrap().steps.iter().all(|step| step.approval == "3 of 3, among them custodian and security-officer and auditor"));
}

#[test]
fn days_and_the_higher_threshold_have_defaults() {
    let plan = single_plan(&[("danger-threshold = 3\n", "")]);
    assert_eq!((plan.approval.threshold, plan.approval.danger_threshold, plan.approval.valid_days), (2, 3, 30));
    assert_eq!(planned(TWO, &two()).unwrap().approval.valid_days, 14);
}

#[test]
fn a_transfer_needs_a_key_encryption_key_and_its_fingerprint() {
    let lacks = |change: &dyn Fn(&mut MigrationFile)| planned_after(TWO, &two(), change, |_| {}).unwrap_err().to_string();
    assert!(lacks(&|migration| migration.tenant.key_encryption_key = None).contains("`key-encryption-key`"));
    assert!(lacks(&|migration| migration.tenant.key_encryption_key_fingerprint = None).contains("`key-encryption-key-fingerprint`"));
    let without_name = planned_after(TWO, &two(), |migration| migration.tenant.key_encryption_key_id = None, |_| {}).unwrap();
    assert_eq!(without_name.tenant.transfer.unwrap().kid, None);
    assert!(planned(TWO, &two()).unwrap().tenant.transfer.unwrap().kid.is_some());
}

#[test]
fn domains_that_are_not_those_of_the_file_make_no_plan() {
    let few = planned_after(SINGLE, &single(), |_| {}, |inputs| drop(inputs.domains.pop())).unwrap_err();
    assert_eq!(few.code(), "internal");
    let many = planned_after(SINGLE, &single(), |_| {}, |inputs| inputs.domains.push(inputs.domains[0].clone())).unwrap_err();
    assert_eq!(many.code(), "internal");
}

#[test]
fn two_domains_of_one_key_are_one_key_with_the_templates_of_both() {
    let exports = [export(MODE_2, &[(0x11, false), (0x12, false)]), export(MODE_2, &[(0x12, false), (0x13, false)])];
    let plan = planned(SINGLE, &exports).unwrap();
    assert_eq!(plan.keys.len(), 1);
    assert_eq!(plan.keys[0].domains, ["headquarters.xml", "headquarters-mode-1.xml"]);
    let templates: Vec<&str> = plan.keys[0].templates.iter().map(|template| template.id.as_str()).collect();
    assert_eq!(templates, [guid(0x11), guid(0x12), guid(0x13)]);
}

#[test]
fn a_template_comes_with_the_first_key_that_has_it_and_the_active_key_is_the_first() {
    // The active domain is the second of the file.
    let text = changed(SINGLE, &[("active = true\n", ""), ("-mode-1-password\"\n", "-mode-1-password\"\nactive = true\n")]);
    let plan = planned(&text, &single()).unwrap();
    assert_eq!(plan.keys.iter().map(|key| key.mode).collect::<Vec<_>>(), [1, 2]);
    let templates = |key: &PlannedKey| key.templates.iter().map(|template| template.id.clone()).collect::<Vec<_>>();
    assert_eq!(templates(&plan.keys[0]), [guid(0x11), guid(0x13)]);
    assert_eq!(templates(&plan.keys[1]), [guid(0x12)]);
    assert_eq!(plan.active_key(), Some(plan.keys[0].key_id));
    assert!(plan.findings.iter().any(|finding| finding.rule == Some(143)) == (single()[0].templates[0] != single()[1].templates[0]));
}

#[test]
fn a_key_of_a_module_needs_its_token_and_keys_take_one_path() {
    let token = "source = \"pkcs11:token=accelerator?module-path=/opt/nfast/toolkits/pkcs11/libcknfast.so&pin-source=prompt\"\n";
    let error = planned(&changed(TWO, &[(token, "")]), &two()).unwrap_err();
    assert!(error.code() == "usage" && error.to_string().contains("'northwind' does not say which token holds its key"), "{error}");
    // Without a module a source token says nothing.
    let plan = planned(&changed(TWO, &[("friendly-name = \"tailspin\"\n", &format!("{token}friendly-name = \"tailspin\"\n"))]), &two()).unwrap();
    assert_eq!(plan.keys.iter().map(|key| key.source.is_some()).collect::<Vec<_>>(), [true, false]);
    let one_key = [two()[0].clone(), export(MODE_2, &[])];
    let error = planned(TWO, &one_key).unwrap_err();
    assert!(error.to_string().contains("is to come by two paths"), "{error}");
    let refused = planned(&changed(SINGLE, &[("protection = \"database\"", "protection = \"nshield\"")]), &single()).unwrap_err();
    assert!(refused.to_string().contains("rule 41") && refused.to_string().contains("'headquarters'"), "{refused}");
    assert!(planned(TWO, &[export(MODE_2, &[]), two()[1].clone()]).is_err(), "a key of a module is not in the file");
}

#[test]
fn licences_are_proven_with_the_key_that_they_are_sealed_to() {
    let ids: Vec<KeyId> = planned(SINGLE, &single()).unwrap().keys.iter().map(|key| key.key_id).collect();
    let licence = |name: &str| PlannedFile::of(FileKind::Licence, name, name.as_bytes(), None);
    let plan = planned_after(
        SINGLE,
        &single(),
        |_| {},
        |inputs| {
            inputs.licences = vec![(licence("new.pfile"), vec![ids[0]]), (licence("both.pfile"), ids.clone()), (licence("both.pfile"), vec![])];
        },
    )
    .unwrap();
    let proven = |id: &KeyId| words_of(&plan, &format!("prove-key/{}", id.short()));
    assert_eq!((proven(&ids[0]).as_str(), proven(&ids[1]).as_str()), ("\nnew.pfile\nboth.pfile\n", "\nboth.pfile\n"));
    let files: Vec<&str> = plan.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files, ["migration.toml", "headquarters-mode-1.xml", "headquarters.xml", "both.pfile", "new.pfile"], "each once, by kind and path");
}

#[test]
fn findings_stand_once_by_step() {
    let finding = |rule, step, message: &str| PlannedFinding { rule: Some(rule), severity: Severity::Warning, step, message: message.into() };
    let plan = planned_after(
        SINGLE,
        &single(),
        |_| {},
        |inputs| {
            inputs.findings = vec![
                finding(219, Documented::Rekey, "late"),
                finding(1, Documented::Before, "early"),
                finding(1, Documented::Before, "early"),
                finding(2, Documented::Before, "early"),
            ];
        },
    )
    .unwrap();
    assert_eq!(messages(&plan).iter().filter(|message| **message == "early").count(), 2);
    assert!(plan.findings.is_sorted_by_key(|finding| (finding.step, finding.severity, finding.rule)));
    assert_eq!(messages(&plan).last(), Some(&"late"));
}

#[test]
fn what_the_rules_say_of_a_domain_stands_once_with_what_to_do_about_it() {
    use crate::migration::rules::facts::{DomainFacts, Facts};
    let migration = MigrationFile::examine(SINGLE).unwrap();
    let mut facts = Facts::of_file(&migration);
    let domains = migration.domains().zip(single());
    facts.domains =
        domains.map(|(placed, export)| DomainFacts::of(placed, &migration, &export.domain(&placed.domain.file.to_string()), false)).collect();
    let found: Vec<PlannedFinding> = rules::examine(&facts).all().iter().map(PlannedFinding::from).collect();
    let plan = planned_after(SINGLE, &single(), |_| {}, |inputs| inputs.findings = found.clone()).unwrap();
    let about = |text: &str| messages(&plan).into_iter().filter(|message| message.contains(text)).collect::<Vec<_>>();
    let [anyone] = about("'Template 18'")[..] else { panic!("{plan:#?}") };
    assert!(
        anyone.contains("add users or groups by hand before you publish it; the import of 2017") && anyone.contains("`replace-anyone-with`"),
        "{anyone}"
    );
    let [mode_1] = about("1024 bits (mode 1)")[..] else { panic!("{plan:#?}") };
    assert!(mode_1.ends_with("; archive it once all users have moved, and make a new key (rule 215)"), "{mode_1}");
    // What no rule says stays.
    assert_eq!(about("does not end in the Microsoft production root").len(), 2);
}

#[test]
fn what_the_file_says_nothing_about_is_left_open_or_said_to_be_nothing() {
    let plan = planned(&bare(), &single()).unwrap();
    let open = |documented| omitted(&plan, documented).unwrap_or_else(|| panic!("{documented}")).0;
    for documented in [
        Documented::Tools,
        Documented::PrepareExchange,
        Documented::Templates,
        Documented::Clients,
        Documented::ExchangeOnline,
        Documented::Servers,
        Documented::Decommission,
    ] {
        assert!(open(documented), "{documented}");
    }
    for documented in [Documented::PrepareClients, Documented::Complete, Documented::Rekey] {
        assert!(!open(documented), "{documented}");
    }
    assert!(omitted(&plan, Documented::Keys).is_none() && omitted(&plan, Documented::Activate).is_none());
    assert!(omitted(&plan, Documented::PrepareClients).unwrap().1.contains("all users move at once"));
    assert!(omitted(&plan, Documented::Rekey).unwrap().1.contains("asks for no new key"));
    let unstated = |plan: &Plan| plan.findings.iter().filter(|finding| finding.severity == Severity::Unstated).count();
    assert_eq!(unstated(&plan), 7);
    assert!(
        messages(&plan)
            .contains(&"this plan does nothing for step 1: get the module and the tenant's URL: the migration file has no [workstation] table")
    );
    assert_eq!(unstated(&planned(SINGLE, &single()).unwrap()), 1, "templates");
}

#[test]
fn what_is_not_in_use_is_not_left_open() {
    let plan = single_plan(&[
        ("exchange-online = true", "exchange-online = false"),
        ("exchange-server = [\"2013\"]\n", ""),
        ("sharepoint-server = [\"2013\"]\n", ""),
        ("file-classification = [\"windows-server-2012-r2\"]\n", ""),
        ("activated = false\nsubscribed", "activated = true\nsubscribed"),
        ("after-migration = true", "after-migration = false"),
    ]);
    for (documented, why) in [
        (Documented::PrepareExchange, "no Exchange server uses"),
        (Documented::ExchangeOnline, "Exchange Online is not in use"),
        (Documented::Activate, "the service is activated already"),
        (Documented::Rekey, "says that no new key follows"),
    ] {
        let (is_open, said) = omitted(&plan, documented).unwrap();
        assert!(!is_open && said.contains(why), "{said}");
    }
    assert!(!ids(&plan).contains(&"manual/servers") && ids(&plan).contains(&"manual/connector"));
    let no_connector = planned(&without(&changed(SINGLE, &[]), "[connector]"), &single()).unwrap();
    assert!(ids(&no_connector).contains(&"manual/servers") && !ids(&no_connector).contains(&"manual/connector"));
    let nothing = planned(
        &without(
            &changed(
                SINGLE,
                &[
                    ("exchange-server = [\"2013\"]\n", ""),
                    ("sharepoint-server = [\"2013\"]\n", ""),
                    ("file-classification = [\"windows-server-2012-r2\"]\n", ""),
                ],
            ),
            "[connector]",
        ),
        &single(),
    )
    .unwrap();
    assert_eq!(omitted(&nothing, Documented::Servers).unwrap(), (false, "no server uses rights management".to_owned()));
    let connector_alone = planned(&without(SINGLE, "[services]"), &single()).unwrap();
    assert!(ids(&connector_alone).contains(&"manual/connector"));
    assert!(omitted(&planned(LICENSING, &licensing()).unwrap(), Documented::Templates).unwrap().1.contains("hold no template"));
}

#[test]
fn users_who_move_in_batches_without_controls_are_left_open() {
    let batches = planned(&without(SINGLE, "[onboarding]"), &single()).unwrap();
    let (is_open, why) = omitted(&batches, Documented::PrepareClients).unwrap();
    assert!(is_open && why.contains("users move in batches"), "{why}");
    let one = planned(&without(&without(SINGLE, "[onboarding]"), "[[batch]]"), &single()).unwrap();
    assert!(!omitted(&one, Documented::PrepareClients).unwrap().0);
    assert!(ids(&one).contains(&"manual/users/everyone") && !ids(&one).contains(&"manual/users"));
}

#[test]
fn cmdlets_have_the_names_of_the_module() {
    let of_2016 = planned(LICENSING, &licensing()).unwrap();
    assert!(
        words_of(&of_2016, "manual/module").contains("the module AADRM 2.4.0.0")
            && words_of(&of_2016, "manual/module").contains("Connect-AadrmService")
    );
    assert!(words_of(&of_2016, "manual/activate-service").contains("with Enable-Aadrm\n"));
    let without_workstation = planned(&without(LICENSING, "[workstation]"), &licensing()).unwrap();
    assert!(words_of(&without_workstation, "manual/activate-service").contains("with Enable-Aadrm\n"), "by the era");
    let current = planned(&without(SINGLE, "[workstation]"), &single()).unwrap();
    assert!(words_of(&current, "manual/activate-service").contains("with Enable-AipService\n"));
    let plan = single_plan(&[("module-version = \"1.0.0.3\"\n", "")]);
    assert!(words_of(&plan, "manual/module").contains("install the module AIPService on the workstation, connect with Connect-AipService,"));
    assert!(!ids(&current).contains(&"manual/module"));
}

#[test]
fn a_tenant_with_templates_of_its_own_gets_them_back() {
    let plan = single_plan(&[("managed = \"service\"", "managed = \"service\"\ncustom-templates = 7")]);
    assert!(
        words_of(&plan, "manual/own-templates").contains("import the 7 templates")
            && words_of(&plan, "manual/own-templates").contains("Export-AipServiceTemplate")
    );
    let none = single_plan(&[("managed = \"service\"", "managed = \"service\"\ncustom-templates = 0")]);
    assert!(!ids(&none).contains(&"manual/own-templates"));
}

fn choice(number: u128, more: &str) -> String {
    format!("[[template]]\nid = \"{}\"\n{more}\n\n[[partner]]", guid(number))
}

#[test]
fn templates_are_published_as_they_are_or_after_a_person_edited_them() {
    let all = [
        choice(0x11, "publish = true"),
        choice(0x12, "publish = true\nreplace-anyone-with = [\"all-staff\", \"guests@contoso.com\"]"),
        choice(0x13, "publish = false"),
        // No key brings these.
        choice(0x21, "publish = true"),
        choice(0x22, "publish = true\nreplace-anyone-with = [\"all-staff\"]"),
    ];
    let text = all.iter().rev().fold(SINGLE.to_owned(), |text, choice| changed(&text, &[("[[partner]]", choice)]));
    let plan = planned(&text, &single()).unwrap();
    let Action::PublishTemplates { templates } = &plan.step("publish-templates").unwrap().action else { panic!() };
    assert_eq!(*templates, [guid(0x11)]);
    let by_hand: Vec<&str> = ids(&plan).into_iter().filter(|id| id.starts_with("manual/template/")).collect();
    assert_eq!(by_hand, [format!("manual/template/{}", guid(0x12))]);
    assert!(words_of(&plan, by_hand[0]).contains("to all-staff, guests@contoso.com, then publish it"));
    assert!(omitted(&plan, Documented::Templates).is_none());
    assert!(ids(&plan).contains(&"verify/templates"));
    // In a service that keykit does not reach a person publishes them.
    let text = changed(TWO, &[("[[partner]]", &choice(0x12, "publish = true"))]);
    let plan = planned(&text, &two()).unwrap();
    assert!(plan.step("publish-templates").is_none());
    let words = words_of(&plan, "manual/publish-templates");
    assert!(words.contains(&format!("publish the templates {} with Set-AipServiceTemplateProperty", guid(0x12))), "{words}");
    assert!(!ids(&planned(TWO, &two()).unwrap()).contains(&"manual/publish-templates"));
}

#[test]
fn the_new_key_comes_after_the_decommissioning_unless_the_file_says_otherwise() {
    let order = |text: &str, exports: &[Export]| {
        let plan = planned(text, exports).unwrap();
        let place = |id: &str| ids(&plan).iter().position(|step| *step == id).unwrap();
        (place("manual/decommission") < place(if plan.tenant.transfer.is_some() { "manual/rekey" } else { "rekey" }), plan)
    };
    assert!(order(SINGLE, &single()).0);
    assert!(order(TWO, &two()).0, "the file does not say");
    let (before, plan) = order(&changed(SINGLE, &[("before-rekey = true", "before-rekey = false")]), &single());
    assert!(!before);
    assert_eq!(ids(&plan).iter().filter(|id| **id == "manual/decommission").count(), 1);
    assert!(plan.is_decommissioned_before(Phase::End) && !plan.is_decommissioned_before(Phase::Services));
}

#[test]
fn a_new_key_has_2048_bits_unless_the_file_says_otherwise() {
    assert_eq!(planned(SINGLE, &single()).unwrap().step("rekey").unwrap().action, Action::Rekey { bits: 2048 });
    let plan = planned(&changed(LICENSING, &[("bits = 2048", "bits = 4096")]), &licensing()).unwrap();
    assert_eq!(plan.step("rekey").unwrap().action, Action::Rekey { bits: 4096 });
    assert!(words_of(&planned(TWO, &two()).unwrap(), "manual/rekey").contains("a new key of 2048 bits"));
    assert!(single_plan(&[("after-migration = true", "after-migration = false")]).step("rekey").is_none());
}

#[test]
fn phases_are_verified_that_had_steps_and_the_end_always() {
    let phases = |plan: &Plan| ids(plan).into_iter().filter_map(|id| id.strip_prefix("verify/")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(phases(&planned(SINGLE, &single()).unwrap()), ["preparation", "keys", "templates", "clients", "services", "end"]);
    let activated = changed(&bare(), &[("activated = false\nsubscribed", "activated = true\nsubscribed")]);
    assert_eq!(phases(&planned(&activated, &single()).unwrap()).last().map(String::as_str), Some("end"));
    let plan = planned(&activated, &single()).unwrap();
    assert!(!phases(&plan).contains(&"services".to_owned()), "{:?}", ids(&plan));
    let unprepared = changed(&bare(), &[("url = \"https://5c6bb73b-1038-4eec-863d-49bded473437.rms.eu.aadrm.com\"\n", "")]);
    let first = ids(&planned(&unprepared, &single()).unwrap())[0].to_owned();
    assert_eq!(first, "check-sources", "nothing was prepared, so nothing of it is verified");
    assert_eq!(plan.step("verify/end").unwrap().documented, plan.steps[plan.steps.len() - 2].documented);
}

#[test]
fn nothing_is_activated_if_no_domain_is_active() {
    let plan = single_plan(&[("active = true\n", "")]);
    assert_eq!(plan.active_key(), None);
    assert!(!ids(&plan).iter().any(|id| id.starts_with("activate/")) && ids(&plan).contains(&"verify/keys"));
}

#[test]
fn mobile_devices_and_macs_have_steps_where_they_are_used() {
    let plan = single_plan(&[("android = \"7.0\"", "android = \"7.0\"\nmobile-extension = true")]);
    assert!(words_of(&plan, "manual/mobile-records").contains("_rmsdisco._http._tcp.contoso.com"));
    let none = single_plan(&[("mac = \"10.12\"\n", ""), ("android = \"7.0\"", "android = \"7.0\"\nmobile-extension = false")]);
    assert!(!ids(&none).contains(&"manual/mobile-records") && !ids(&none).contains(&"manual/macs"));
    assert!(ids(&planned(SINGLE, &single()).unwrap()).contains(&"manual/macs"));
}

#[test]
fn clients_are_prepared_only_under_controls_and_where_there_are_clients() {
    let no_clients = planned(&without(SINGLE, "[clients]"), &single()).unwrap();
    assert!(ids(&no_clients).contains(&"manual/onboarding") && !ids(&no_clients).contains(&"manual/prepare-clients"));
    let no_controls = planned(&without(SINGLE, "[onboarding]"), &single()).unwrap();
    assert!(!ids(&no_controls).contains(&"manual/prepare-clients") && !ids(&no_controls).contains(&"manual/onboarding-removal"));
    let at_once = planned(LICENSING, &licensing()).unwrap();
    assert!(ids(&at_once).contains(&"manual/users") && ids(&at_once).contains(&"manual/prepare-exchange"));
}

#[test]
fn files_for_others_are_left_out_with_the_reason_if_a_name_is_missing() {
    let plan = planned(&changed(SINGLE, &[("url = \"https://5c6bb73b-1038-4eec-863d-49bded473437.rms.eu.aadrm.com\"\n", "")]), &single()).unwrap();
    assert!(plan.step("write-artefacts").is_none());
    let why = plan.omitted.iter().find(|step| step.why.contains("no files for clients and servers can be made")).unwrap();
    assert!(why.is_open && why.documented == Documented::PrepareClients);
}

#[test]
fn clusters_are_named_by_their_kind_when_they_end() {
    let text = format!("{LICENSING}\n[decommission]\nactivity-watched = true\n");
    let words = words_of(&planned(&text, &licensing()).unwrap(), "manual/decommission");
    assert!(words.contains("\ncluster root\nlicensing-only cluster licensing-europe\n"), "{words}");
}

#[test]
fn a_changed_word_is_a_difference_between_plans() {
    let (before, after) = (planned(SINGLE, &single()).unwrap(), single_plan(&[("users = 25", "users = 26")]));
    let at: Vec<String> = diff(&before, &after).unwrap().into_iter().map(|change| change.at).collect();
    assert!(at.contains(&"steps[manual/users/pilot].action.instruction".to_owned()), "{at:?}");
    assert!(matches!(before.step("rekey").unwrap().undo, Undo::Automatic(_)));
}

#[test]
fn rules_see_what_an_exported_domain_says() {
    use crate::migration::rules::facts::{DomainFacts, TemplateFacts};
    let migration = MigrationFile::examine(SINGLE).unwrap();
    let facts: Vec<DomainFacts> = migration
        .domains()
        .zip(single())
        .map(|(placed, export)| DomainFacts::of(placed, &migration, &export.domain(&placed.domain.file.to_string()), true))
        .collect();
    let template = |number, grants_anyone| TemplateFacts { id: guid(number), name: format!("Template {number}"), grants_anyone };
    let first = DomainFacts {
        file: "headquarters.xml".into(),
        at: migration.domains().next().unwrap().domain.file.at,
        cluster: "headquarters".into(),
        active: true,
        path: Some(MigrationPath::SoftwareToSoftware),
        key_id: secret_key(MODE_2).public().id(),
        modulus_bits: 2048,
        has_key: true,
        version_1: false,
        production_root: false,
        licensor_name: "headquarters".into(),
        readable_by_others: true,
        templates: vec![template(0x11, false), template(0x12, true)],
    };
    assert_eq!(facts[0], first);
    assert_eq!((facts[1].active, facts[1].modulus_bits), (false, 1024));
}
