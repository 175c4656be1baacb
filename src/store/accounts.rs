//! Accounts: who may sign in, and in which role. Passwords come and go as hashes; `dashboard::auth` makes and checks
//! them. Every change records an event that says who made it.

use time::OffsetDateTime;

use super::{
    Store,
    error::{Result, StoreError},
    events::{self, Event},
};
use crate::core::{
    access::{Person, Role},
    event::EventKind,
};

/// An account, without its password's hash.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Account {
    /// The person and their role.
    pub(crate) person: Person,
    /// Whether it can sign in by password.
    pub(crate) has_password: bool,
    /// When it was added.
    pub(crate) created_at: OffsetDateTime,
    /// When it was disabled; `None` while it can be used.
    pub(crate) disabled_at: Option<OffsetDateTime>,
}

/// An account with its password's hash.
#[derive(Debug)]
pub(crate) struct StoredAccount {
    /// The account.
    pub(crate) account: Account,
    /// The hash, if it can sign in by password.
    pub(crate) password_hash: Option<String>,
}

impl Account {
    /// Whether it can be used.
    pub(crate) fn is_enabled(&self) -> bool {
        self.disabled_at.is_none()
    }
}

impl Store {
    /// Whether there is any account, disabled ones included.
    pub(crate) async fn has_accounts(&self) -> Result<bool> {
        let query = sqlx::query_scalar!("SELECT EXISTS (SELECT FROM accounts) AS \"exists!\"");
        self.query("has_accounts", query.fetch_one(&self.pool)).await
    }

    /// Adds an account; `false` if the name is taken.
    pub async fn add_account(
        &self,
        person: &Person,
        password_hash: Option<&str>,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<bool> {
        self.run("add_account", async {
            let mut transaction = self.begin().await?;
            let added = sqlx::query!(
                "INSERT INTO accounts (name, password_hash, role, tenant, created_at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                &person.name,
                password_hash,
                role_name(person.role),
                person.tenant.as_ref().map(|tenant| tenant.as_str()),
                now
            )
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            if added > 0 {
                let may = match &person.tenant {
                    Some(tenant) => format!("{} of tenant {tenant}", role_name(person.role)),
                    None => role_name(person.role).to_owned(),
                };
                let event =
                    Event::of_none(EventKind::AccountAdded, format!("account {} was added as {may}", person.name));
                events::record(&mut transaction, &requested_by(event, actor), now).await?;
            }
            transaction.commit().await?;
            Ok(added > 0)
        })
        .await
    }

    /// Every account, by name.
    pub(crate) async fn accounts(&self) -> Result<Vec<Account>> {
        let query = sqlx::query_as!(
            AccountRow,
            "SELECT name, password_hash, role, tenant, created_at, disabled_at FROM accounts ORDER BY name"
        );
        let rows: Vec<AccountRow> = self.query("accounts", query.fetch_all(&self.pool)).await?;
        rows.into_iter().map(Account::try_from).collect()
    }

    /// An account, and the hash of its password.
    pub(crate) async fn account(&self, name: &str) -> Result<Option<StoredAccount>> {
        let query = sqlx::query_as!(
            AccountRow,
            "SELECT name, password_hash, role, tenant, created_at, disabled_at FROM accounts WHERE name = $1",
            name
        );
        let row: Option<AccountRow> = self.query("account", query.fetch_optional(&self.pool)).await?;
        let Some(row) = row else { return Ok(None) };
        let password_hash = row.password_hash.clone();
        Ok(Some(StoredAccount { account: row.try_into()?, password_hash }))
    }

    /// Removes an account with its sessions and API tokens; `false` if there is none.
    pub async fn remove_account(&self, name: &str, actor: &str, now: OffsetDateTime) -> Result<bool> {
        let event = Event::of_none(EventKind::AccountRemoved, format!("account {name} was removed"));
        self.change_account("DELETE FROM accounts WHERE name = $1", name, None, &requested_by(event, actor), now).await
    }

    /// Gives an account a new password, and ends its sessions; `false` if there is no such account.
    pub async fn set_password(&self, name: &str, hash: &str, actor: &str, now: OffsetDateTime) -> Result<bool> {
        let event = Event::of_none(EventKind::PasswordChanged, format!("account {name} has a new password"));
        let change = "UPDATE accounts SET password_hash = $2 WHERE name = $1";
        self.change_account(change, name, Some(NewValue::Text(hash)), &requested_by(event, actor), now).await
    }

    /// Disables an account; `false` if there is none, or it is disabled already.
    pub async fn disable_account(&self, name: &str, actor: &str, now: OffsetDateTime) -> Result<bool> {
        let event = Event::of_none(EventKind::AccountDisabled, format!("account {name} was disabled"));
        let change = "UPDATE accounts SET disabled_at = $2 WHERE name = $1 AND disabled_at IS NULL";
        self.change_account(change, name, Some(NewValue::Time(now)), &requested_by(event, actor), now).await
    }

    /// Enables an account again; `false` if there is none, or it is enabled already.
    pub async fn enable_account(&self, name: &str, actor: &str, now: OffsetDateTime) -> Result<bool> {
        let event = Event::of_none(EventKind::AccountEnabled, format!("account {name} was enabled"));
        let change = "UPDATE accounts SET disabled_at = NULL WHERE name = $1 AND disabled_at IS NOT NULL";
        self.change_account(change, name, None, &requested_by(event, actor), now).await
    }

    /// Changes an account, ends its sessions, and records the event.
    async fn change_account(
        &self,
        change: &'static str,
        name: &str,
        value: Option<NewValue<'_>>,
        event: &Event,
        now: OffsetDateTime,
    ) -> Result<bool> {
        self.run("change_account", async {
            let mut transaction = self.begin().await?;
            let query = sqlx::query(change).bind(name);
            let query = match value {
                None => query,
                Some(NewValue::Text(text)) => query.bind(text),
                Some(NewValue::Time(time)) => query.bind(time),
            };
            let changed = query.execute(&mut *transaction).await?.rows_affected();
            if changed > 0 {
                sqlx::query!("DELETE FROM sessions WHERE account = $1", name).execute(&mut *transaction).await?;
                events::record(&mut transaction, event, now).await?;
            }
            transaction.commit().await?;
            Ok(changed > 0)
        })
        .await
    }
}

/// The value a change writes.
enum NewValue<'a> {
    Text(&'a str),
    Time(OffsetDateTime),
}

/// An event, with who caused it.
pub(super) fn requested_by(event: Event, actor: &str) -> Event {
    Event { cause: Some(format!("requested by {actor}")), ..event }
}

/// A person from the columns of an account.
pub(super) fn person(name: String, role: &str, tenant: Option<String>) -> Result<Person> {
    let inconsistent_row = |what: &str| StoreError::inconsistent("accounts", name.clone(), what);
    let role = match role {
        "viewer" => Role::Viewer,
        "operator" => Role::Operator,
        _ => return Err(inconsistent_row("role is unknown")),
    };
    let tenant = tenant
        .map(|tenant| tenant.parse().map_err(|_| inconsistent_row("tenant is not a tenant's name")))
        .transpose()?;
    Ok(Person { name, role, tenant })
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
    }
}

struct AccountRow {
    name: String,
    password_hash: Option<String>,
    role: String,
    tenant: Option<String>,
    created_at: OffsetDateTime,
    disabled_at: Option<OffsetDateTime>,
}

impl TryFrom<AccountRow> for Account {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Self> {
        let AccountRow { name, password_hash, role, tenant, created_at, disabled_at } = row;
        Ok(Self {
            person: person(name, &role, tenant)?,
            has_password: password_hash.is_some(),
            created_at,
            disabled_at,
        })
    }
}
