//! `/dashboard/revisions/ID`.

use time::OffsetDateTime;

use super::{Handlers, PageRequest, lines, nothing};
use crate::{
    core::access::Role,
    dashboard::{
        pages::{
            diff::DiffPage,
            revision::{ChangedPod, FileDiff, RevisionPage},
            words::{Badge, Fact, Moment, Tone},
        },
        refusal::Refusal,
    },
    store::view::ChangedFile,
};

/// How many files are shown.
const FILES: usize = 50;
/// The longest text of which the difference is shown, in bytes.
const MAX_TEXT: usize = 200_000;

impl Handlers {
    pub(crate) async fn revision(&self, page_request: &PageRequest, id: &str) -> Result<RevisionPage, Refusal> {
        let person = &page_request.visitor.person;
        page_request.visitor.needs(person.sees_all())?;
        let id: i64 = id.parse().map_err(|_| nothing())?;
        let view = self.api.store.view(person);
        let line = view.revision(id).await?.ok_or_else(|| Refusal::not_found(format!("There is no revision {id}.")))?;
        let against = page_request.query.get("against").and_then(|text| text.parse().ok());
        let diff = view.revision_diff(id, against, self.api.settings.site.as_ref()).await?;
        let note = if diff.is_some() { "" } else { "Its files, or those of the one before, are no longer kept." };
        let at = |name: &str, at: Option<OffsetDateTime>| Some(Fact::at(name, Moment::new(at?, page_request.now)));
        let facts = [
            Some(Fact::code("From", line.origin.clone())),
            line.commit.as_ref().map(|commit| Fact::code("Commit", commit.id.clone())),
            Some(Fact::code("Hash", line.hash.clone())),
            at("Fetched", Some(line.fetched_at)),
            at("Accepted", line.accepted_at),
            at("Synced", line.synced_at),
        ];
        let mut page = RevisionPage {
            mark: lines::mark(&line),
            look: match line.state.as_str() {
                "accepted" => Badge::new("accepted", Tone::Good),
                _ => Badge::new("rejected", Tone::Bad),
            },
            facts: facts.into_iter().flatten().collect(),
            problems: lines::problems(&line.problems),
            against: None,
            note: note.into(),
            pods: Vec::new(),
            pods_note: String::new(),
            files: Vec::new(),
            more: 0,
        };
        if let Some(diff) = diff {
            page.against = diff.from.as_ref().map(lines::mark);
            match diff.pods {
                Ok(pods) => {
                    let pods = pods.into_iter();
                    page.pods = pods
                        .map(|(id, change)| ChangedPod { id: id.to_string(), change: change.to_string() })
                        .collect();
                }
                Err(why) => page.pods_note = format!("The pods cannot be compared: {why}."),
            }
            page.more = diff.files.len().saturating_sub(FILES);
            // A file's text may have more in it than what a viewer sees of a pod.
            let may_read = person.role == Role::Operator;
            page.files = diff.files.iter().take(FILES).map(|file| shown(file, may_read)).collect();
        }
        Ok(page)
    }
}

fn shown(file: &ChangedFile, may_read: bool) -> FileDiff {
    let (old, new) = (file.old.as_deref().unwrap_or_default(), file.new.as_deref().unwrap_or_default());
    let is_shown = may_read && file.is_text && old.len().max(new.len()) <= MAX_TEXT;
    FileDiff { path: file.path.clone(), change: file.change, diff: is_shown.then(|| DiffPage::of(old, new)) }
}
