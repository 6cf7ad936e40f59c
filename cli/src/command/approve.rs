//! `keykit ceremony keygen` and `keykit approve`.

use jiff::Timestamp;
use keykit::ceremony::{Approval, Approver, CustodianKey, Statement};
use keykit::durable::{self, Access, Existing};
use keykit::migration::plan::{self, Plan};
use keykit::{Error, Result};
use serde::Serialize;

use super::recorder::Recorder;
use crate::arguments::{ApproveArguments, CeremonyCommand};
use crate::output::{Output, say};
use crate::{exit, secrets};

/// Largest statement or signature that is read, in bytes.
const LIMIT: u64 = 64 << 10;

#[derive(Debug, Serialize)]
struct Made {
    public_key: String,
    fingerprint: String,
    output: String,
}

#[derive(Debug, Serialize)]
struct Approved<'a> {
    plan: &'a str,
    name: &'a str,
    role: &'a str,
    approved: Timestamp,
    expires: Timestamp,
    output: String,
}

/// Runs `keykit ceremony …`.
pub(super) fn ceremony(command: &CeremonyCommand, output: Output) -> Result<u8> {
    let CeremonyCommand::Keygen { output: path, comment, password_source } = command;
    let password = secrets::new_from(password_source, "new password of the key")?;
    let key = CustodianKey::generate(comment)?;
    key.write(path, &password)?;
    let public = key.public();
    let made = Made { public_key: public.to_string(), fingerprint: public.fingerprint(), output: path.display().to_string() };
    output.result("ceremony-keygen", &made, || format!("{}\n{}", made.public_key, made.fingerprint))?;
    Ok(exit::DONE)
}

/// Runs `keykit approve`.
pub(super) fn run(arguments: &ApproveArguments, output: Output) -> Result<u8> {
    let plan = Plan::read(&arguments.plan)?;
    let hash = plan.hash()?;
    let now = Timestamp::now();
    let days = arguments.valid_days.unwrap_or(plan.approval.valid_days);
    let statement_of = |person: &Approver| Statement::new(&hash, &person.name, &person.role, now, days);
    let approval = match (&arguments.key, &arguments.statement_for, &arguments.statement, &arguments.signature) {
        (Some(path), _, _, _) => {
            let key = CustodianKey::read(path, || secrets::read(&arguments.password_source, "password of the key"))?;
            let public = key.public();
            let person = plan.approval.people.iter().find(|person| person.key == public).ok_or_else(|| {
                Error::refused_by_policy(
                    format!("approval-foreign: the key {} is not among the approvers of this plan", public.fingerprint()),
                    "`keykit plan show PLAN` lists who may approve",
                )
            })?;
            Approval::sign(statement_of(person)?, &key)?
        }
        (_, Some(name), _, _) => {
            let person = plan.approval.people.iter().find(|person| person.name == *name).ok_or_else(|| Error::Usage {
                what: format!("'{name}' is not among the approvers of this plan"),
                hint: Some("`keykit plan show PLAN` lists who may approve".into()),
            })?;
            let statement = statement_of(person)?;
            durable::write(&arguments.output, statement.to_text()?.as_bytes(), Access::Shared, Existing::Keep)?;
            say(format!(
                "sign it with: ssh-keygen -Y sign -n keykit-plan -f KEY {0}\nkeykit: then: keykit approve {1} --statement {0} --signature {0}.sig -o APPROVAL",
                arguments.output.display(),
                arguments.plan.display()
            ));
            return report(&statement, arguments, "approve-statement", output);
        }
        (_, _, Some(statement), Some(signature)) => {
            let text = |path: &std::path::Path| {
                String::from_utf8(durable::read(path, LIMIT, "approval")?).map_err(|_| Error::malformed("approval", "not text").in_file(path))
            };
            Approval::join(&text(statement)?, &text(signature)?)?
        }
        _ => return Err(Error::usage("name a --key, or --statement and --signature")),
    };
    // What would not count is not written.
    if let Some(problem) = plan.approval.problem_of(&approval, &hash, now, &[]) {
        return Err(Error::refused_by_policy(format!("{}: this approval would not count: {problem}", problem.code()), "see `keykit plan show PLAN`"));
    }
    let recorder = Recorder::open(&arguments.plan, &hash, arguments.transcript.as_deref(), false)?;
    durable::write(&arguments.output, &approval.to_bytes()?, Access::Shared, Existing::Keep)?;
    recorder.approval_made(&plan, &approval)?;
    say(plan::show(&plan)?.trim_end().replace('\n', "\nkeykit: "));
    report(approval.statement(), arguments, "approve", output)
}

fn report(statement: &Statement, arguments: &ApproveArguments, schema: &str, output: Output) -> Result<u8> {
    let approved = Approved {
        plan: &statement.plan,
        name: &statement.name,
        role: &statement.role,
        approved: statement.approved,
        expires: statement.expires,
        output: arguments.output.display().to_string(),
    };
    let words = super::plan_file::words_of(&statement.plan)?;
    output.result(schema, &approved, || {
        format!(
            "{} ({}) and the plan {}\nwords: {words}\nuntil {}, in {}",
            approved.name, approved.role, approved.plan, approved.expires, approved.output
        )
    })?;
    Ok(exit::DONE)
}
