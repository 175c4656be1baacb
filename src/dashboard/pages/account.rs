//! `/dashboard/account`: the visitor's own account, its password and its API tokens.

use serde::Serialize;

use super::{
    PageContent,
    words::{Fact, Moment, sample_time},
};

/// The page of one's own account.
#[derive(Debug, Clone, Serialize)]
pub struct AccountPage {
    pub(crate) facts: Vec<Fact>,
    /// Whether the visitor signed in with a password, and so can change it and make tokens.
    pub(crate) can_change: bool,
    /// Its API tokens.
    pub(crate) tokens: Vec<TokenRow>,
    /// A token that was just made, to be shown once.
    pub(crate) token: Option<String>,
    /// What is wrong with what was sent.
    pub(crate) problem: Option<String>,
}

/// An API token.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TokenRow {
    pub(crate) id: i64,
    /// What it is for.
    pub(crate) purpose: String,
    pub(crate) created: Moment,
    /// When it was last used.
    pub(crate) used: Option<Moment>,
    /// When it expires.
    pub(crate) expires: Option<Moment>,
}

impl PageContent for AccountPage {
    const TEMPLATE: &'static str = "account.html";
    const TAB: &'static str = "none";

    fn title(&self) -> String {
        "Account".into()
    }

    fn sample() -> Self {
        Self {
            facts: vec![Fact::code("Name", "alma"), Fact::words("Role", "operator"), Fact::words("Tenant", "all")],
            can_change: true,
            tokens: vec![TokenRow {
                id: 3,
                purpose: "backup script".into(),
                created: sample_time(864_000),
                used: Some(sample_time(3600)),
                expires: Some(sample_time(-6_912_000)),
            }],
            token: Some("agentpod_sample".into()),
            problem: None,
        }
    }
}
