//! The style sheet, the scripts and the icons, embedded in the program. Each is served at a URL that contains its hash, so
//! that browsers may cache it forever.

use std::sync::LazyLock;

/// A style sheet, script or icon.
#[derive(Debug)]
pub struct Asset {
    /// The file below `templates/dashboard/assets/`.
    pub file: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
    hash: String,
}

impl Asset {
    /// Its URL: `/assets/app-1a2b3c4d.css`.
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

/// Every asset.
pub fn all() -> impl Iterator<Item = &'static Asset> {
    ASSETS.iter()
}

/// The asset at a URL.
pub fn at(path: &str) -> Option<&'static Asset> {
    all().find(|asset| asset.path() == path)
}
