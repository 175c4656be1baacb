//! What is shipped beside the program says the same as the program: the schema that editors use, the manual's table of
//! settings, and the README's manifest.

use crate::testkit::site::shipped;
use agentpod::{cli::Cli, core::declare::manifest};
use clap::CommandFactory;

#[test]
fn the_schema_for_editors_is_the_one_that_manifests_are_checked_against() {
    let schema = serde_json::to_string_pretty(&manifest::schema()).unwrap() + "\n";
    assert!(
        shipped("docs/manifest.schema.json") == schema,
        "write it anew: agentpod schema > docs/manifest.schema.json"
    );
}

#[test]
fn the_manual_has_every_setting_with_its_variable_and_default_and_no_other() {
    let page = shipped("docs/settings.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `--")).collect();
    let mut expected = Vec::new();
    for setting in Cli::command().get_arguments().filter(|setting| setting.is_global_set()) {
        let flag = format!("| `--{}", setting.get_long().unwrap());
        let row = rows.iter().find(|row| row.starts_with(&format!("{flag}`")) || row.starts_with(&format!("{flag} ")));
        let row = row.unwrap_or_else(|| panic!("docs/settings.md has no row {flag}"));
        let variable = setting.get_env().unwrap().to_str().unwrap();
        let defaults = setting.get_default_values().iter().map(|value| value.to_str().unwrap());
        for word in defaults.chain([variable]) {
            assert!(row.contains(&format!("`{word}`")), "docs/settings.md does not say {word}: {row}");
        }
        expected.push(flag);
    }
    assert_eq!(rows.len(), expected.len(), "docs/settings.md has a row for a setting that no longer exists: {rows:#?}");
}

#[test]
fn the_readmes_manifest_has_no_problem() {
    let readme = shipped("README.md");
    let (_, rest) = readme.split_once("```yaml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let (manifests, problems) = manifest::read([("README.md", text.as_bytes())]);
    assert_eq!(problems, []);
    assert_eq!((manifests.tenants.len(), manifests.pods.len()), (1, 1));
}
