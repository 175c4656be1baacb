//! The style sheet, the scripts and the icons, as they are part of the program. Each is served under an address with its
//! own hash in it, so that browsers may keep it for ever.

use std::sync::LazyLock;

/// One of them.
#[derive(Debug)]
pub struct Asset {
    /// The file below `templates/dashboard/assets/`.
    pub file: &'static str,
    /// What it is.
    pub kind: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
    hash: String,
}

impl Asset {
    /// The address it is served under: `/assets/app-1a2b3c4d.css`.
    pub fn path(&self) -> String {
        let (stem, ending) = self.file.rsplit_once('.').unwrap_or((self.file, ""));
        format!("/assets/{stem}-{}.{ending}", self.hash)
    }
}

macro_rules! asset {
    ($file:literal, $kind:literal) => {
        ($file, $kind, include_bytes!(concat!("../../templates/dashboard/assets/", $file)).as_slice())
    };
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files: [(&str, &str, &[u8]); 6] = [
        asset!("app.css", "text/css; charset=utf-8"),
        asset!("app.js", "text/javascript; charset=utf-8"),
        asset!("log.js", "text/javascript; charset=utf-8"),
        asset!("form.js", "text/javascript; charset=utf-8"),
        asset!("icons.svg", "image/svg+xml"),
        asset!("favicon.svg", "image/svg+xml"),
    ];
    let hash = |bytes: &[u8]| hex::encode(&ring::digest::digest(&ring::digest::SHA256, bytes).as_ref()[..5]);
    files.into_iter().map(|(file, kind, bytes)| Asset { file, kind, bytes, hash: hash(bytes) }).collect()
});

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Asset> {
    ASSETS.iter()
}

/// The one served under an address.
pub fn at(path: &str) -> Option<&'static Asset> {
    all().find(|asset| asset.path() == path)
}
