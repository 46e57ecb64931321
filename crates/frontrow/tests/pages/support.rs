//! Browsers of signed-in buyers, and what stands in their pages.

use frontrow_testkit::{Browser, Client, Hall, LoadedPage, Server, id};

/// A browser with this buyer's session, in Korean.
pub(crate) fn browser(server: &Server, buyer: &Client) -> Browser {
    let browser = Browser::at(server).speaking("ko");
    browser.set_cookie("frontrow-session", buyer.secret());
    browser
}

/// The values of the hidden fields with this name, in order.
pub(crate) fn hidden(page: &LoadedPage, name: &str) -> Vec<String> {
    let found = regex::Regex::new(&format!(r#"<input type="hidden" name="{name}" value="([^"]*)">"#)).unwrap();
    found.captures_iter(&page.html).map(|found| found[1].to_owned()).collect()
}

/// The first key in a page.
pub(crate) fn key(page: &LoadedPage) -> String {
    hidden(page, "key").remove(0)
}

/// A new key, as a page would have.
pub(crate) fn new_key(server: &Server) -> String {
    server.ids.uuid(server.clock.now()).to_string()
}

/// What a page shows, without the scenes that wait for their time and the words that its script may need.
pub(crate) fn shown(page: &LoadedPage) -> String {
    let hidden = regex::Regex::new(r#"(?s)<template.*?</template>| data-line="[^"]*""#).unwrap();
    hidden.replace_all(&page.html, "").into_owned()
}

/// What the script of a waiting page starts from.
pub(crate) fn line_data(page: &LoadedPage) -> serde_json::Value {
    let found = regex::Regex::new(r#" data-line="([^"]*)""#).unwrap();
    let mut text = found.captures(&page.html).unwrap_or_else(|| panic!("no data in {}", page.html))[1].to_owned();
    for (escaped, sign) in [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")] {
        text = text.replace(escaped, sign);
    }
    serde_json::from_str(&text).unwrap()
}

/// The scene of a waiting page.
pub(crate) fn scene(page: &LoadedPage) -> String {
    assert_eq!(page.status, 200, "{}", page.html);
    let found = regex::Regex::new(r#"data-part="scene" data-scene="([a-z_-]+)""#).unwrap();
    found.captures(&page.html).unwrap_or_else(|| panic!("no scene in {}", page.html))[1].to_owned()
}

/// A page that shows these texts and not those.
pub(crate) fn says(page: &LoadedPage, texts: &[&str], not: &[&str]) {
    assert_eq!(page.status, 200, "{}", page.html);
    let shown = shown(page);
    for text in texts {
        assert!(shown.contains(text), "{text} is not in {shown}");
    }
    for text in not {
        assert!(!shown.contains(text), "{text} is in {shown}");
    }
}

/// The token of a buyer who holds these seats, and their reservations.
pub(crate) async fn holding(buyer: &Client, hall: &Hall, seats: &[usize]) -> (String, Vec<i64>) {
    let token = buyer.enter(Some(hall.id())).await;
    let mut held = Vec::new();
    for seat in seats {
        held.push(id(&buyer.hold(&token, hall.seats[*seat]).await.expect(201), "reservation_id"));
    }
    (token, held)
}

/// A buyer who holds seats, and the page that asks for the payment.
pub(crate) struct Paying {
    pub(crate) server: Server,
    pub(crate) hall: Hall,
    pub(crate) buyer: Client,
    pub(crate) browser: Browser,
    /// The active token.
    pub(crate) token: String,
    /// The reservations, as a form names them.
    pub(crate) held: Vec<String>,
    /// The path of the page.
    pub(crate) path: String,
}

impl Paying {
    /// For the one seat of a hall, with this balance.
    pub(crate) async fn with(balance: i64) -> Self {
        let server = Server::start().await;
        let hall = server.hall(1).await;
        Self::of(server, hall, balance, &[0]).await
    }

    /// For these seats of a hall.
    pub(crate) async fn of(server: Server, hall: Hall, balance: i64, seats: &[usize]) -> Self {
        let buyer = server.buyer_with("buyer", balance).await;
        let browser = browser(&server, &buyer);
        let (token, held) = holding(&buyer, &hall, seats).await;
        let (held, path) = (held.iter().map(ToString::to_string).collect(), format!("{}/pay", hall.path()));
        Self { server, hall, buyer, browser, token, held, path }
    }

    /// Opens the page.
    pub(crate) async fn page(&self) -> LoadedPage {
        self.browser.open(&self.path).await
    }

    /// Sends the form of the page, with this key.
    pub(crate) async fn send(&self, key: &str) -> LoadedPage {
        let held = self.held.iter().map(|held| ("reservation", held.as_str()));
        let fields: Vec<_> = [("key", key), ("token", &self.token)].into_iter().chain(held).collect();
        self.browser.send(&self.path, &fields).await
    }
}
