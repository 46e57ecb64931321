//! A browser of a test's own.

use frontrow_testkit::{PATIENCE, wait_until};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use thirtyfour::{LoggingPrefsLogLevel, prelude::*};

/// The size of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    Desktop,
    /// A telephone that is touched.
    Phone,
    /// The narrowest that WCAG asks for (1.4.10).
    Narrow,
}

/// Whether pages may run scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    On,
    Off,
}

/// What a browser is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wishes {
    pub(crate) screen: Screen,
    /// As in `Accept-Language`.
    pub(crate) language: &'static str,
    pub(crate) scripts: Scripts,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { screen: Screen::Desktop, language: "ko-KR", scripts: Scripts::On }
    }
}

/// A browser with one window.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    server: String,
    chromedriver: Child,
    /// Of Chromium itself, which outlives a `chromedriver` that is killed.
    process: u64,
    _said: BufReader<ChildStdout>,
    _profile: TempDir,
}

impl Browser {
    /// A browser that reads the pages of the server at this address.
    pub(crate) async fn open(server: impl std::fmt::Display, wishes: Wishes) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut chromedriver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=WARNING"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is missing: apt-get install chromium chromium-driver");
        let mut said = BufReader::new(chromedriver.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "chromedriver does not say its port");
            let port = line.trim().strip_prefix("ChromeDriver was started successfully on port ");
            if let Some(port) = port {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in arguments(wishes, &profile) {
            capabilities.add_arg(&argument).unwrap();
        }
        let mut preferences = json!({ "intl.accept_languages": wishes.language });
        if wishes.scripts == Scripts::Off {
            preferences["profile.managed_default_content_settings.javascript"] = json!(2);
        }
        capabilities.add_experimental_option("prefs", preferences).unwrap();
        if let Some((width, height)) = phone(wishes.screen) {
            let metrics = json!({ "width": width, "height": height, "pixelRatio": 2, "touch": true, "mobile": true });
            capabilities.add_experimental_option("mobileEmulation", json!({ "deviceMetrics": metrics })).unwrap();
        }
        capabilities.set_logging_prefs("browser", LoggingPrefsLogLevel::All).unwrap();
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await.unwrap();
        let process = driver.capabilities().get("goog:processID").and_then(Value::as_u64).unwrap();
        Self { driver, server: format!("http://{server}"), chromedriver, process, _said: said, _profile: profile }
    }

    /// Opens a page.
    pub(crate) async fn goto(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.server)).await.unwrap();
    }

    /// The path of the page that is shown, with its query.
    pub(crate) async fn path(&self) -> String {
        let url = self.driver.current_url().await.unwrap();
        url.as_str().strip_prefix(&self.server).unwrap_or(url.as_str()).to_owned()
    }

    /// The element, once it is there and shown.
    pub(crate) async fn element(&self, css: &str) -> WebElement {
        let from = Instant::now();
        loop {
            if let Ok(found) = self.driver.find(By::Css(css)).await
                && found.is_displayed().await.unwrap_or(false)
            {
                return found;
            }
            let is_late = from.elapsed() > PATIENCE;
            assert!(!is_late, "there is no {css} at {}:\n{}", self.path().await, self.main_text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether there is such an element now.
    pub(crate) async fn has(&self, css: &str) -> bool {
        self.driver.find(By::Css(css)).await.is_ok()
    }

    /// Clicks on an element. If the page changes between looking and clicking, it is looked for again.
    pub(crate) async fn click(&self, css: &str) {
        wait_until(&format!("{css} can be clicked"), async || {
            let element = self.element(css).await;
            let clicked = async {
                element.scroll_into_view().await?;
                element.click().await
            };
            match clicked.await {
                Ok(()) => true,
                Err(error) if error.to_string().contains("stale element") => false,
                Err(error) => panic!("{css} cannot be clicked: {error}"),
            }
        })
        .await;
    }

    /// Types into a field, instead of what it has.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.element(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Waits until the page is one whose path begins like this.
    pub(crate) async fn arrive(&self, start: &str) -> String {
        let from = Instant::now();
        loop {
            let path = self.path().await;
            if path.starts_with(start) {
                return path;
            }
            let is_late = from.elapsed() > PATIENCE;
            assert!(!is_late, "the browser is at {path} and not at {start}:\n{}", self.main_text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the page is another one than those whose path begins like this.
    pub(crate) async fn arrive_elsewhere(&self, start: &str) {
        wait_until("the page is left", async || !self.path().await.starts_with(start)).await;
    }

    /// Does something that leads to another page, and waits until the page before is gone. Both may have one address.
    pub(crate) async fn leaves(&self, act: impl AsyncFnOnce()) {
        let before = self.element("main").await;
        act().await;
        wait_until("there is another page", async || before.tag_name().await.is_err()).await;
    }

    /// Waits until there is no such element.
    pub(crate) async fn gone(&self, css: &str) {
        wait_until(&format!("{css} is gone"), async || !self.has(css).await).await;
    }

    /// Waits until an element contains this text.
    pub(crate) async fn contains(&self, css: &str, text: &str) {
        wait_until(&format!("{css} says {text}"), async || {
            let found = self.driver.find(By::Css(css)).await;
            match found {
                Ok(found) => found.text().await.is_ok_and(|said| said.contains(text)),
                Err(_) => false,
            }
        })
        .await;
    }

    /// Clicks twice, as fast as can be.
    pub(crate) async fn double_click(&self, css: &str) {
        let element = self.element(css).await;
        element.scroll_into_view().await.unwrap();
        self.driver.action_chain().double_click_element(&element).perform().await.unwrap();
    }

    /// Presses a key.
    pub(crate) async fn press(&self, key: Key) {
        self.driver.action_chain().send_keys(key).perform().await.unwrap();
    }

    /// Types where the focus is.
    pub(crate) async fn type_keys(&self, text: &str) {
        self.driver.action_chain().send_keys(text).perform().await.unwrap();
    }

    /// Sends the form of a field, as the Enter key does there.
    pub(crate) async fn submit(&self, css: &str) {
        self.element(css).await.send_keys(Key::Enter + "").await.unwrap();
    }

    /// Sends the form that holds seats as a page would that has not heard of anything since it was loaded.
    pub(crate) async fn hold_as_before(&self, seat: &str) {
        let script = "const shown = document.querySelector(\"form[action$='/holds']\");
            const form = Object.assign(document.createElement('form'), { method: 'post', action: shown.action });
            const kept = ['key', 'token'].map(name => [name, shown.querySelector(`[name=${name}]`).value]);
            for (const [name, value] of [...kept, ['seat', arguments[0]]]) {
                form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value })); }
            document.body.append(form); form.submit();";
        self.driver.execute(script, vec![json!(seat)]).await.unwrap();
    }

    /// Whether the focus is on such an element.
    pub(crate) async fn focused(&self, css: &str) -> bool {
        let script = "return document.activeElement?.matches(arguments[0]) ?? false";
        self.driver.execute(script, vec![json!(css)]).await.unwrap().json() == &Value::Bool(true)
    }

    /// Whether what has the focus, or its label, is outlined.
    pub(crate) async fn is_focus_shown(&self) -> bool {
        let script = "const at = document.activeElement; return [at, at.nextElementSibling, at.closest('label')].some(
            one => one && (getComputedStyle(one).outlineStyle !== 'none' || getComputedStyle(one).boxShadow !== 'none'))";
        self.run(script).await == Value::Bool(true)
    }

    /// Moves the focus with the tabulator until it is on an element, where it must be seen.
    pub(crate) async fn tab_to(&self, css: &str) {
        for _ in 0..200 {
            if self.focused(css).await {
                assert!(self.is_focus_shown().await, "the focus on {css} cannot be seen");
                return;
            }
            self.press(Key::Tab).await;
        }
        panic!("the focus never came to {css} at {}", self.path().await);
    }

    /// The language of the page.
    pub(crate) async fn lang(&self) -> String {
        self.run("return document.documentElement.lang").await.as_str().unwrap().to_owned()
    }

    /// Checks that the page is no wider than the window.
    pub(crate) async fn assert_fits(&self) {
        let over = self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
        assert!(over.as_i64().unwrap() <= 0, "{} is wider than the window by {over}", self.path().await);
    }

    /// The titles of all tabs, as the browser shows them.
    pub(crate) async fn titles(&self) -> Vec<String> {
        let address = self.debugger();
        let targets: Value = reqwest::get(format!("http://{address}/json/list")).await.unwrap().json().await.unwrap();
        let pages = targets.as_array().unwrap().iter().filter(|target| target["type"] == "page");
        pages.map(|page| page["title"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn debugger(&self) -> String {
        let capabilities = self.driver.capabilities();
        let options = capabilities.get("goog:chromeOptions").unwrap();
        options["debuggerAddress"].as_str().unwrap().to_owned()
    }

    /// What the page says.
    async fn main_text(&self) -> String {
        match self.driver.find(By::Css("main")).await {
            Ok(main) => main.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        }
    }

    /// Runs a script in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// Checks that the console has no error: no script failed, and the content security policy kept nothing out.
    pub(crate) async fn assert_quiet(&self) {
        let errors: Vec<_> = self
            .driver
            .browser_log()
            .await
            .unwrap()
            .into_iter()
            .filter(|entry| entry.level == "SEVERE")
            .map(|entry| entry.message)
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    /// Ends the browser.
    pub(crate) async fn close(self) {
        self.driver.clone().quit().await.unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A session that is still open would ask the `chromedriver` that is gone, for minutes. After `close` it is over.
        let _ = self.driver.clone().leak();
        let _ = self.chromedriver.kill();
        let _ = self.chromedriver.wait();
        // After `close` there is none any more.
        let _ = Command::new("kill").args(["-9", &self.process.to_string()]).stderr(Stdio::null()).status();
    }
}

const fn phone(screen: Screen) -> Option<(u32, u32)> {
    match screen {
        Screen::Desktop => None,
        Screen::Phone => Some((390, 844)),
        Screen::Narrow => Some((320, 640)),
    }
}

fn arguments(wishes: Wishes, profile: &TempDir) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--window-size=1280,900",
        // Nothing but the server is reached.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(format!("--user-data-dir={}", profile.path().display()));
    arguments.push(format!("--lang={}", wishes.language));
    arguments
}
