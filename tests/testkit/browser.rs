//! A real browser without a window: Debian's Chromium, led through its own driver. When it goes, also with a failed
//! test, no process and no file of it stays.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything on a page may take. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The browser, with one page open.
pub struct Browser {
    /// The page.
    pub page: Client,
    driver: Child,
    profile: TempDir,
}

/// How the page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Width and height of the window, in CSS pixels.
    pub size: (u32, u32),
    /// Whether the person prefers dark colours.
    pub dark: bool,
}

/// A laptop by day.
pub const DESK: Look = Look { size: (1280, 800), dark: false };
/// A phone.
pub const PHONE: Look = Look { size: (390, 844), dark: false };

impl Browser {
    /// Opens a browser with an empty profile.
    pub async fn open(look: Look) -> Browser {
        let profile = TempDir::with_prefix("agentpod-browser-").unwrap();
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=WARNING"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed: deploy/setup.sh browser");
        let port = port(&mut driver);
        let (width, height) = look.size;
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-quic".into(),
            "--disable-dev-shm-usage".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--hide-scrollbars".into(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let wish = json!({
            "goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium"},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let Value::Object(wish) = wish else { unreachable!("an object was written above") };
        let page = connect(wish, port).await;
        let browser = Browser { page, driver, profile };
        // Phones are narrower than the narrowest window, so the page's own size is set.
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        browser.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = json!({"name": "prefers-color-scheme", "value": if look.dark { "dark" } else { "light" }});
        browser.devtools("Emulation.setEmulatedMedia", json!({"features": [scheme]})).await;
        browser
    }

    /// Goes to an address.
    pub async fn goto(&self, url: &str) {
        self.page.goto(url).await.unwrap();
    }

    /// Waits until an element is there.
    pub async fn element(&self, css: &str) -> Element {
        self.until(&format!("{css} is on the page"), async || self.page.find(Locator::Css(css)).await.ok()).await
    }

    /// The text of the first such element, if there is one.
    pub async fn text(&self, css: &str) -> Option<String> {
        self.page.find(Locator::Css(css)).await.ok()?.text().await.ok()
    }

    /// Waits until an element's text holds some words.
    pub async fn says(&self, css: &str, words: &str) {
        self.until(&format!("{css} says {words:?}"), async || {
            self.text(css).await.filter(|text| text.contains(words)).map(drop)
        })
        .await;
    }

    /// Whether an element's text comes to hold some words within half the time that anything may take.
    pub async fn says_soon(&self, css: &str, words: &str) -> bool {
        let deadline = Instant::now() + PATIENCE / 2;
        while Instant::now() < deadline {
            if self.text(css).await.is_some_and(|text| text.contains(words)) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Clicks the first such element.
    pub async fn click(&self, css: &str) {
        self.element(css).await.click().await.unwrap();
    }

    /// Types into a field.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.element(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// What a script on the page answers.
    pub async fn script(&self, script: &str) -> Value {
        self.page.execute(script, Vec::new()).await.unwrap()
    }

    /// Puts a mark on the page that a reload would lose.
    pub async fn mark(&self) {
        self.script("window.markedByTest = true").await;
    }

    /// Whether the page is still the one that was marked.
    pub async fn is_marked(&self) -> bool {
        self.script("return window.markedByTest === true").await == Value::Bool(true)
    }

    /// A picture of the page, as PNG.
    pub async fn snapshot(&self) -> Vec<u8> {
        self.page.screenshot().await.unwrap()
    }

    /// Asks again and again until there is an answer; shows the page when there is none in time.
    pub async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            if Instant::now() > deadline {
                let address = self.page.current_url().await;
                let source = self.page.source().await;
                panic!("not within {PATIENCE:?}: {what}\nat {address:?} the page is:\n{source:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Every serious fault that axe-core finds on the page, as lines; nothing means none.
    pub async fn accessibility_faults(&self) -> Vec<String> {
        let axe = fs::read_to_string(crate::testkit::root().join("target/browser/axe.min.js"));
        self.script(&axe.expect("axe-core was fetched: deploy/setup.sh browser")).await;
        let run = "const done = arguments[arguments.length - 1]; axe.run().then(done, error => done({error: String(error)}));";
        let found = self.page.execute_async(run, Vec::new()).await.unwrap();
        let violations = found["violations"].as_array().unwrap_or_else(|| panic!("axe-core answers: {found}"));
        assert!(found["passes"].as_array().is_some_and(|passes| !passes.is_empty()), "axe-core looked at something");
        let serious = violations.iter().filter(|one| matches!(one["impact"].as_str(), Some("serious" | "critical")));
        serious.map(|one| format!("{}: {} in {}", one["id"], one["help"], one["nodes"][0]["html"])).collect()
    }

    /// What the browser itself complained of since this was last asked: scripts that failed, what a policy refused.
    pub async fn complaints(&self) -> Vec<String> {
        let lines = self.page.issue_cmd(Own("se/log", json!({"type": "browser"}))).await.unwrap();
        let severe = |line: &&Value| line["level"] == "SEVERE";
        lines.as_array().expect("a list of lines").iter().filter(severe).map(Value::to_string).collect()
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        let command = Own("goog/cdp/execute", json!({"cmd": command, "params": parameters}));
        self.page.issue_cmd(command).await.unwrap();
    }
}

async fn connect(wish: serde_json::Map<String, Value>, port: u16) -> Client {
    let mut builder = ClientBuilder::new(HttpConnector::new());
    builder.capabilities(wish).connect(&format!("http://127.0.0.1:{port}")).await.unwrap()
}

/// A command that only this driver knows: its path, and what goes with it.
#[derive(Debug)]
struct Own(&'static str, Value);

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.1.to_string()))
    }
}

impl Browser {
    /// What stands in the arguments of its processes and of no other.
    pub fn mark_of_processes(&self) -> String {
        format!("--user-data-dir={}", self.profile.path().display())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        // The browser outlives its driver; its processes are known by the profile, which nobody else has.
        let mark = self.mark_of_processes();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let ours = processes_with(&mark);
            if ours.is_empty() || Instant::now() > deadline {
                return;
            }
            for pid in ours {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Processes with these words among their arguments.
pub fn processes_with(mark: &str) -> Vec<Pid> {
    let pid = |entry: fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        String::from_utf8_lossy(&line).contains(mark).then(|| Pid::from_raw(pid)).flatten()
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(pid).collect()
}

/// The port that the driver says it was given.
fn port(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| {
        let line = line.ok()?;
        line.strip_suffix('.')?.rsplit_once("successfully on port ")?.1.parse().ok()
    });
    // Whoever stops reading stops the driver at its next line.
    std::thread::spawn(move || lines.for_each(drop));
    port.expect("chromedriver says its port")
}
