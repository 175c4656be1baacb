//! Every kind of request is known to whoever takes, stores or offers requests. That the reconciler and the forms take each
//! is tested in `tests/service`.

use std::{collections::BTreeSet, fs, path::Path};

use agentpod::{
    cli::Cli,
    core::decide::request_kind::{RequestArgument, RequestKind, RequestScope},
    dashboard::{
        api::NewRequest,
        pages::{
            Frame, PageContent, document, overview::OverviewPage, pod::Paused, pod::PodPage, source::SourcePage, words,
        },
    },
};
use clap::CommandFactory;
use serde_json::Value;

fn names() -> BTreeSet<&'static str> {
    RequestKind::ALL.map(RequestKind::as_str).into()
}

#[test]
fn every_kind_has_a_name_that_leads_back_to_it_and_takes_a_pod_exactly_if_it_is_about_one() {
    assert_eq!(names().len(), RequestKind::ALL.len());
    for kind in RequestKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), Value::from(kind.as_str()));
        let info = kind.info();
        assert_eq!(info.takes.contains(&RequestArgument::Pod), info.scope == RequestScope::Pod, "{kind}");
    }
}

#[test]
fn the_database_allows_exactly_these_kinds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let all: String = files.collect();
    let table = all.split("CREATE TABLE requests (").nth(1).expect("the table of requests");
    let check = table.split("CHECK (kind IN (").nth(1).and_then(|rest| rest.split(')').next()).expect("its check");
    let allowed: BTreeSet<&str> = check.split(',').map(|name| name.trim().trim_matches('\'')).collect();
    assert_eq!(allowed, names());
}

#[test]
fn every_kind_is_a_command_with_its_arguments() {
    let command = Cli::command();
    for kind in RequestKind::ALL {
        let sub = command.find_subcommand(kind.as_str()).unwrap_or_else(|| panic!("no command {kind}"));
        assert_eq!(sub.get_about().unwrap().to_string(), kind.info().summary);
        for argument in kind.info().takes {
            let found = sub
                .get_arguments()
                .any(|one| one.get_long() == Some(argument.name()) || one.get_id() == argument.name());
            assert!(found, "{kind} takes no {}", argument.name());
        }
    }
}

/// The field of an argument in JSON: a duration is sent in seconds.
fn json_name(argument: RequestArgument) -> &'static str {
    match argument {
        RequestArgument::Duration => "seconds",
        other => other.name(),
    }
}

#[test]
fn every_kind_is_taken_by_the_api_with_its_arguments() {
    let schema = Value::from(schemars::schema_for!(NewRequest));
    let taken = schema["oneOf"].as_array().unwrap().iter().map(|one| {
        let fields = one["properties"].as_object().unwrap();
        let kind = fields["kind"]["const"].as_str().unwrap().to_owned();
        (kind, fields.keys().filter(|name| *name != "kind").cloned().collect())
    });
    let expected = RequestKind::ALL.map(|kind| {
        let fields: BTreeSet<String> = kind.info().takes.iter().map(|takes| json_name(*takes).to_owned()).collect();
        (kind.to_string(), fields)
    });
    assert_eq!(taken.collect::<BTreeSet<_>>(), expected.into());
}

#[test]
fn every_kind_has_a_button_on_some_page() {
    fn written<P: PageContent>(page: &P) -> String {
        document(&Frame::sample("", P::TAB), page).unwrap()
    }
    let pause = Paused { by: "alma".into(), at: words::sample_time(60), until: None };
    let paused = PodPage { paused: Some(pause), ..PodPage::sample() };
    let pages = [
        written(&PodPage::sample()),
        written(&paused),
        written(&OverviewPage::sample()),
        written(&SourcePage::sample()),
    ]
    .concat();
    for kind in RequestKind::ALL {
        let form = format!("name=\"kind\" value=\"{kind}\"");
        let form = pages.split("<form").find(|form_text| form_text.contains(&form));
        let form = form.unwrap_or_else(|| panic!("no page has a button for {kind}"));
        for argument in kind.info().takes {
            assert!(form.contains(&format!("name=\"{}\"", argument.name())), "{kind}: {}", argument.name());
        }
        assert!(form.contains(kind.info().label), "{kind}");
    }
}
