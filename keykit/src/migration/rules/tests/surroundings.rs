//! Rules about partners, the directory, servers, clients, batches and the end of AD RMS.

use super::*;

#[test]
fn rule_6() {
    refused(6, SINGLE, &[("synchronised = true", "synchronised = false")]);
    asked(6, LICENSING, &[("[directory]\nsynchronised = true\nattributes = [\"mail\", \"proxyAddresses\", \"userPrincipalName\"]\n", "")]);
}

#[test]
fn rule_7() {
    refused(7, SINGLE, &[("\"mail-enabled-security\"", "\"dynamic-distribution\"")]);
    refused(7, SINGLE, &[("\"mail-enabled-security\"", "\"security\"")]);
    refused(7, SINGLE, &[("finance@contoso.com", "finance@contoso.local")]);
    refused(7, SINGLE, &[("finance@contoso.com", "finance")]);
    still_kept(7, SINGLE, &[("finance@contoso.com", "finance@CONTOSO.com")]);
    still_kept(7, SINGLE, &[("finance@contoso.com", "finance@anything.test"), ("email-domains = [\"contoso.com\"]\n", "")]);
}

#[test]
fn rule_8() {
    refused(8, SINGLE, &[(", \"userPrincipalName\"", "")]);
    refused(8, TWO, &[("\"proxyAddresses\", ", "")]);
    asked(8, TWO, &[("attributes = [\"mail\", \"proxyAddresses\", \"userPrincipalName\"]\n", "")]);
}

#[test]
fn rule_10() {
    warned(10, SINGLE, &[("old-addresses-kept = true", "old-addresses-kept = false")]);
}

#[test]
fn rule_11() {
    refused(11, SINGLE, &[("outage-window = \"Saturday, 20:00 to 24:00\"\n", "")]);
    refused(11, SINGLE, &[("outage-window = \"Saturday, 20:00 to 24:00\"\n", ""), ("exchange-server = [\"2013\"]\n", "")]);
    still_kept(
        11,
        LICENSING,
        &[("outage-window = \"Sunday, 02:00 to 06:00\"\n", ""), ("exchange-server = [\"2010\"]\nsharepoint-server = [\"2010\"]\n", "")],
    );
}

#[test]
fn rule_16() {
    refused(16, LICENSING, &[("sign-in-client = true\n", "")]);
    refused(16, LICENSING, &[("sign-in-client = true", "sign-in-client = false")]);
    refused(
        16,
        SINGLE,
        &[("users = 25", "users = 25\noffice = [\"office-2010\"]"), ("redirection = ", "template-task-disabled = true\nredirection = ")],
    );
    warned(16, LICENSING, &[("[\"windows-7\"]", "[\"windows-7\", \"windows-10\"]")]);
}

#[test]
fn rule_17() {
    refused(17, SINGLE, &[("[\"windows-7\", \"windows-10\"]", "[\"windows-7\", \"windows-vista-or-older\"]")]);
    refused(17, SINGLE, &[("mac = \"10.12\"", "mac = \"10.7.5\"")]);
    still_kept(17, SINGLE, &[("mac = \"10.12\"", "mac = \"10.8\"")]);
    refused(17, SINGLE, &[("ios = \"10.0\"", "ios = \"6.1\"")]);
    refused(17, SINGLE, &[("android = \"7.0\"", "android = \"4.0.2\"")]);
    still_kept(17, SINGLE, &[("android = \"7.0\"", "android = \"4.0.3\"")]);
    refused(17, SINGLE, &[("android = \"7.0\"", "windows-phone = \"8.0\"")]);
    still_kept(17, SINGLE, &[("[\"windows-7\", \"windows-10\"]", "[\"windows-8\", \"windows-8.1\", \"windows-rt-8.1\", \"windows-11\"]")]);
}

#[test]
fn rule_18() {
    refused(18, SINGLE, &[("before-rekey = true", "before-rekey = true\nkeep-running = true")]);
}

#[test]
fn rule_24() {
    refused(24, SINGLE, &[("has-tenant = true", "has-tenant = false")]);
    refused(24, SINGLE, &[("has-tenant = true\nactivated = false", "has-tenant = true\nactivated = true")]);
    refused(24, SINGLE, &[("keys-imported = true", "keys-imported = false")]);
    asked(24, SINGLE, &[("keys-imported = true\n", "")]);
    kept(24, TWO);
    still_kept(24, SINGLE, &[("keys-imported = true", "keys-imported = false"), ("migrates = \"together\"", "migrates = \"never\"")]);
}

#[test]
fn rule_25() {
    warned(25, LICENSING, &[("exchange-online = false", "exchange-online = true")]);
    kept(25, TWO);
    kept(25, SINGLE);
}

#[test]
fn rule_26() {
    let findings = of(&changed(SINGLE, &[("active = true\n", "")]));
    assert!(rules_of(&findings, Severity::Warning).contains(&26), "{findings:#?}");
    let batches = "[[batch]]\nname = \"pilot\"\nusers = 25\n\n[[batch]]\nname = \"everyone\"\nusers = 1975\n";
    still_kept(26, SINGLE, &[("active = true\n", ""), (batches, "")]);
}

#[test]
fn rule_27() {
    warned(27, SINGLE, &[("office = [\"office-2013\"", "office = [\"office-2007-or-older\"")]);
    warned(27, SINGLE, &[("redirection = ", "unsupported = [\"Reader X\"]\nredirection = ")]);
}

#[test]
fn rule_28() {
    warned(28, SINGLE, &[("migrates = \"together\"", "migrates = \"later\"")]);
    warned(28, SINGLE, &[("migrates = \"together\"", "migrates = \"never\"")]);
    kept(28, TWO);
}

#[test]
fn rule_39() {
    warned(39, SINGLE, &[("recipients-have-accounts = true", "recipients-have-accounts = false")]);
}

#[test]
fn rule_150() {
    refused(150, SINGLE, &[("group-kind = \"security\"", "group-kind = \"distribution\"")]);
    refused(150, SINGLE, &[("group-members = 0", "group-members = 3")]);
    still_kept(150, SINGLE, &[("group-kind = \"security\"", "group-kind = \"mail-enabled-security\"")]);
    refused(150, TWO, &[("", "[[batch]]\nname = \"one\"\nusers = 1\n[[batch]]\nname = \"two\"\nusers = 2")]);
    still_kept(150, TWO, &[("", "[[batch]]\nname = \"one\"\nusers = 1")]);
}

#[test]
fn rule_151() {
    refused(151, SINGLE, &[("scope = \"windows-app\"", "scope = \"mobile-app\"")]);
    refused(151, SINGLE, &[("scope = \"windows-app\"", "demand-licence = true")]);
    still_kept(151, SINGLE, &[("scope = \"windows-app\"", "scope = \"all\"")]);
}

#[test]
fn rule_153() {
    refused(153, SINGLE, &[("clients-prepared = true", "clients-prepared = false")]);
    asked(153, SINGLE, &[("clients-prepared = true\n", "")]);
}

#[test]
fn rule_154() {
    refused(154, SINGLE, &[("\"https://rms.contoso.com/_wmcs/licensing\"", "\"https://rms.contoso.com/_wmcs/licensing \"")]);
    refused(154, SINGLE, &[("\"https://rms.contoso.local", "\" https://rms.contoso.local")]);
    refused(154, SINGLE, &[("\"https://connector.contoso.com\"", "\"https://connector.contoso.com \"")]);
    refused(154, SINGLE, &[("\"https://rms.fabrikam.com", "\" https://rms.fabrikam.com")]);
    refused(154, SINGLE, &[("\"https://5c6bb73b", "\" https://5c6bb73b")]);
}

#[test]
fn rule_155() {
    refused(155, SINGLE, &[("[[batch]]\nname = \"pilot\"\nusers = 25\n\n", "")]);
    kept(155, TWO);
}

#[test]
fn rule_156() {
    refused(156, SINGLE, &[("[\"policy\", \"check\", \"group\"]", "[\"group\", \"policy\", \"check\"]")]);
    refused(156, SINGLE, &[("[\"policy\", \"check\", \"group\"]", "[\"policy\", \"group\"]")]);
    asked(156, SINGLE, &[("removal = [\"policy\", \"check\", \"group\"]\n", "")]);
}

#[test]
fn rule_157() {
    refused(157, SINGLE, &[("account-onboarded = true", "account-onboarded = false")]);
    still_kept(157, TWO, &[("computers = 2", "computers = 2\naccount-onboarded = false")]);
}

#[test]
fn rule_162() {
    refused(162, SINGLE, &[("redirection = \"registry\"", "redirection = \"dns\"")]);
    refused(
        162,
        TWO,
        &[("redirection = \"registry\"", "redirection = \"dns\""), ("", "[[batch]]\nname = \"all\"\nusers = 9\noffice = [\"office-2016-msi\"]")],
    );
    still_kept(162, TWO, &[("redirection = \"registry\"", "redirection = \"dns\"")]);
    still_kept(162, SINGLE, &[("redirection = \"registry\"", "redirection = \"both\"")]);
}

#[test]
fn rule_166() {
    refused(166, SINGLE, &[("intranet-url = \"https://rms.contoso.local/_wmcs/licensing\"\n", "")]);
    refused(166, TWO, &[("extranet-url = \"https://rms.tailspin.com/_wmcs/licensing\"\n", "")]);
    kept(166, LICENSING);
}

#[test]
fn rule_169() {
    warned(169, TWO, &[("redirection = \"registry\"", "redirection = \"dns\"")]);
    still_kept(169, LICENSING, &[("redirection = \"registry\"", "redirection = \"both\"")]);
}

#[test]
fn rule_170() {
    warned(170, TWO, &[("redirection = \"registry\"", "redirection = \"both\"")]);
}

#[test]
fn rule_173() {
    let office = ("\"office-2013\"", "\"office-2010\"");
    refused(173, SINGLE, &[office, ("redirection = ", "sign-in-client = true\ntemplate-task-disabled = false\nredirection = ")]);
    asked(173, SINGLE, &[office, ("redirection = ", "sign-in-client = true\nredirection = ")]);
    kept(173, LICENSING);
}

#[test]
fn rule_178() {
    let mode = |build: &str| format!("[read-only-mode]\ntested = true\n{build}");
    refused(178, SINGLE, &[("", &mode("office-2013 = \"15.0.4848.9\"\noffice-2016-click-to-run = \"16.0.7407.1000\""))]);
    refused(178, SINGLE, &[("", &mode("office-2013 = \"15.0.4849.1000\"\noffice-2016-click-to-run = \"16.0.7407.999\""))]);
    refused(178, TWO, &[("", &mode("office-2016-msi = \"16.0.4495\""))]);
    asked(178, SINGLE, &[("", &mode("office-2013 = \"15.0.4849.1000\""))]);
    still_kept(178, SINGLE, &[("", &mode("office-2013 = \"15.0.4849.1000\"\noffice-2016-click-to-run = \"16.0.7407.1000\""))]);
}

#[test]
fn rule_181() {
    refused(181, TWO, &[("", "[read-only-mode]\ntested = false")]);
    asked(181, TWO, &[("", "[read-only-mode]")]);
}

#[test]
fn rule_182() {
    refused(182, TWO, &[("", "[read-only-mode]\ntested = true\nconnection-point-removed = false")]);
    still_kept(182, LICENSING, &[("", "[read-only-mode]\ntested = true\nconnection-point-removed = false")]);
}

#[test]
fn rule_187() {
    refused(187, TWO, &[("exchange-online-with-ad-rms = false", "exchange-online-with-ad-rms = true")]);
    refused(187, TWO, &[("exchange-online-with-ad-rms = false", "exchange-online-with-ad-rms = true\nexchange-online-domain-removed = false")]);
    still_kept(187, TWO, &[("exchange-online-with-ad-rms = false", "exchange-online-with-ad-rms = true\nexchange-online-domain-removed = true")]);
}

#[test]
fn rule_190() {
    let with = ("exchange-online-with-ad-rms = false", "exchange-online-with-ad-rms = true\nexchange-online-domain-removed = true");
    warned(190, TWO, &[with]);
    still_kept(190, TWO, &[with, ("after-migration = true", "after-migration = false")]);
}

#[test]
fn rule_195() {
    refused(195, SINGLE, &[("exchange-server = [\"2013\"]", "exchange-server = [\"2010\"]")]);
    refused(195, SINGLE, &[("exchange-server = [\"2013\"]", "exchange-server = [\"2013-before-cu3\"]")]);
    refused(195, LICENSING, &[("exchange-server = [\"2010\"]", "exchange-server = [\"2019\"]")]);
    refused(195, SINGLE, &[("sharepoint-server = [\"2013\"]", "sharepoint-server = [\"2010\"]")]);
    refused(195, LICENSING, &[("sharepoint-server = [\"2010\"]", "sharepoint-server = [\"2007-or-older\"]")]);
    refused(195, SINGLE, &[("file-classification = [\"windows-server-2012-r2\"]", "file-classification = [\"windows-server-2019\"]")]);
    refused(
        195,
        SINGLE,
        &[("computers = 2\noperating-system = \"windows-server-2012-r2\"", "computers = 2\noperating-system = \"windows-server-2008-r2\"")],
    );
    refused(
        195,
        LICENSING,
        &[("computers = 3\noperating-system = \"windows-server-2008-r2\"", "computers = 3\noperating-system = \"windows-server-2016\"")],
    );
    refused(195, SINGLE, &[("dot-net-version = \"4.7.2\"\ntls", "dot-net-version = \"4.7.1\"\ntls")]);
    refused(195, SINGLE, &[("tls-1-2 = true", "tls-1-2 = false")]);
    still_kept(195, LICENSING, &[("computers = 3", "computers = 3\ntls-1-2 = false\ndot-net-version = \"4.5\"")]);
}

#[test]
fn rule_196() {
    refused(196, SINGLE, &[("computers = 2", "computers = 1")]);
    refused(196, SINGLE, &[("computers = 2", "computers = 2\nshares-computers-with = [\"exchange\"]")]);
    refused(196, SINGLE, &[("computers = 2", "computers = 2\nauthenticating-proxy = true")]);
}

#[test]
fn rule_197() {
    refused(197, SINGLE, &[("1.0.2004.0", "1.0.2003.9")]);
    still_kept(197, LICENSING, &[("documents-checked-out = false", "documents-checked-out = false\nmsipc-version = \"1.0\"")]);
}

#[test]
fn rule_198() {
    refused(198, SINGLE, &[("computers = 2", "computers = 2\nconfigured-before-disabling = true")]);
}

#[test]
fn rule_200() {
    refused(200, SINGLE, &[("documents-checked-out = false", "documents-checked-out = true")]);
    asked(200, SINGLE, &[("documents-checked-out = false\n", "")]);
    still_kept(200, SINGLE, &[("documents-checked-out = false", "documents-checked-out = true"), ("sharepoint-server = [\"2013\"]\n", "")]);
}

#[test]
fn rule_210() {
    warned(210, SINGLE, &[("connection-point-removed = true", "connection-point-removed = false")]);
}

#[test]
fn rule_211() {
    refused(211, SINGLE, &[("activity-watched = true", "activity-watched = false")]);
    asked(211, SINGLE, &[("activity-watched = true\n", "")]);
}
