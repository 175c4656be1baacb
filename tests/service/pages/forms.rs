//! The form for a new pod, from each adapter that is shipped.

use agentpod::{
    core::declare::adapter,
    dashboard::pages::fields::{Field, Filled, fields},
};

use crate::testkit::{
    dashboard::{OLGA, VICTOR},
    pages::{Stage, TENANTS},
    site::shipped_adapters,
};

/// What a browser sends when nothing was touched but tenant, name and subdomain.
pub async fn untouched(adapter: &str) -> String {
    let (adapters, _) = adapter::read(&shipped_adapters().await);
    let schema = &adapters.all[&adapter.parse().unwrap()].config_schema;
    let mut body = form_urlencoded::Serializer::new(String::new());
    for (name, value) in
        [("adapter", adapter), ("tenant", "alice"), ("name", "new"), ("subdomain", "new"), ("state", "running")]
    {
        body.append_pair(name, value);
    }
    append(&mut body, &fields(schema, &Filled::default()));
    body.finish()
}

fn append(body: &mut form_urlencoded::Serializer<'_, String>, fields: &[Field]) {
    for field in fields {
        match field.kind {
            "object" => append(body, &field.fields),
            "boolean" => {
                body.append_pair("shown", &field.name);
                if field.value == "true" {
                    body.append_pair(&field.name, "true");
                }
            }
            _ => drop(body.append_pair(&field.name, &field.value)),
        }
    }
}

#[tokio::test]
async fn the_form_of_every_shipped_adapter_gives_a_manifest_without_problems() {
    let stage = Stage::new().await;
    stage.checked(TENANTS).await;
    let choose = stage.page("/dashboard/pods/new", OLGA).await;
    for adapter in ["echo", "open-webui", "openclaw"] {
        assert!(choose.contains(&format!("adapter={adapter}")), "{adapter} can be chosen");
        stage.page(&format!("/dashboard/pods/new?adapter={adapter}"), OLGA).await;
        let answer = stage.ask("POST", "/dashboard/pods/new", OLGA, &untouched(adapter).await).await;
        let text = answer.body;
        assert!(answer.status == 200 && text.contains("No problems"), "{adapter}: {text}");
        assert!(
            text.contains(&format!("adapter: {adapter}")) && !text.contains("config:"),
            "{adapter}: only what was chosen"
        );
    }
}

#[tokio::test]
async fn what_was_chosen_stands_in_the_manifest_and_can_be_downloaded() {
    let stage = Stage::new().await;
    stage.checked(TENANTS).await;
    let body = format!(
        "{}&config.telegram.allowFrom=12%0A34&config.heartbeat=30m&memory=2Gi&secrets=KEY+file+/etc/k",
        untouched("openclaw").await
    );
    let page = stage.ask("POST", "/dashboard/pods/new", VICTOR, &body).await.body;
    assert!(page.contains("No problems"), "{page}");
    let answer = stage.ask("POST", "/dashboard/pods/new/manifest", OLGA, &body).await;
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"alice-new.yaml\"");
    let text = answer.body;
    for line in ["heartbeat: 30m", "memory: 2Gi", "- \"12\"", "- \"34\"", "file: /etc/k"] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn problems_are_shown_as_validate_prints_them_with_line_and_caret() {
    let stage = Stage::new().await;
    stage.checked(TENANTS).await;
    let body = untouched("echo").await.replace("subdomain=new", "subdomain=bob") + "&config.startDelaySeconds=many";
    let text = stage.ask("POST", "/dashboard/pods/new", OLGA, &body).await.body;
    assert!(text.contains("2 problems") && text.contains("alice-new.yaml:"), "{text}");
    assert!(text.contains("class=\"caret\">^^^"), "{text}");
    let unknown = untouched("echo").await.replace("tenant=alice", "tenant=carol");
    let text = stage.ask("POST", "/dashboard/pods/new", OLGA, &unknown).await.body;
    assert!(text.contains("1 problem") && text.contains("carol"), "{text}");
    let text = stage.ask("POST", "/dashboard/pods/new", OLGA, &(unknown + "&with-tenant=yes")).await.body;
    assert!(text.contains("No problems"), "{text}");
}
