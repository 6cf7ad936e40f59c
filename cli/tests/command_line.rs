//! The program as its users meet it: arguments, standard output, standard error, exit codes, files.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "command_line/support.rs"]
mod support;

#[path = "command_line/access.rs"]
mod access;
#[path = "command_line/artefacts.rs"]
mod artefacts;
#[path = "command_line/bad_input.rs"]
mod bad_input;
#[path = "command_line/byok.rs"]
mod byok;
#[path = "command_line/ceremony.rs"]
mod ceremony;
#[path = "command_line/checks.rs"]
mod checks;
#[path = "command_line/content.rs"]
mod content;
#[path = "command_line/domains.rs"]
mod domains;
#[path = "command_line/examples.rs"]
mod examples;
#[path = "command_line/faulty_disk.rs"]
mod faulty_disk;
#[path = "command_line/faulty_tokens.rs"]
mod faulty_tokens;
#[path = "command_line/growth.rs"]
mod growth;
#[path = "command_line/hardened.rs"]
mod hardened;
#[path = "command_line/inspect.rs"]
mod inspect;
#[path = "command_line/issue.rs"]
mod issue;
#[path = "command_line/judges.rs"]
mod judges;
#[path = "command_line/killed.rs"]
mod killed;
#[path = "command_line/killed_plans.rs"]
mod killed_plans;
#[path = "command_line/killed_rekey.rs"]
mod killed_rekey;
#[path = "command_line/killed_runs.rs"]
mod killed_runs;
#[path = "command_line/killed_tenant.rs"]
mod killed_tenant;
#[path = "command_line/later_changes.rs"]
mod later_changes;
#[path = "command_line/licences.rs"]
mod licences;
#[path = "command_line/lost_tokens.rs"]
mod lost_tokens;
#[path = "command_line/manual.rs"]
mod manual;
#[path = "command_line/neighbours.rs"]
mod neighbours;
#[path = "command_line/nshield.rs"]
mod nshield;
#[path = "command_line/plan.rs"]
mod plan;
#[path = "command_line/report.rs"]
mod report;
#[path = "command_line/room.rs"]
mod room;
#[path = "command_line/scene.rs"]
mod scene;
#[path = "command_line/schemas.rs"]
mod schemas;
#[path = "command_line/software.rs"]
mod software;
#[path = "command_line/tenant.rs"]
mod tenant;
#[path = "command_line/tokens.rs"]
mod tokens;
#[path = "command_line/traced.rs"]
mod traced;
