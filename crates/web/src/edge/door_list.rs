//! A door list as an answer: CSV that is read while it is sent, the same for the API and the pages.

use crate::edge::problem::HttpResult;
use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use frontrow_domain::id::ConcertId;
use frontrow_service::door_list::Pages;
use frontrow_storage::StoreError;
use hyper::body::Frame;
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::mpsc;

/// The answer, as a file to keep.
///
/// # Errors
/// The store could not be read.
pub async fn csv(concert_id: ConcertId, pages: Pages) -> HttpResult<Response> {
    let rows = PagedBody::begin(pages).await?;
    let mut response = Response::new(Body::new(rows));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"door-list-{concert_id}.csv\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// A body that is read while it is sent: the next page is read when the client has taken the one before.
#[derive(Debug)]
struct PagedBody(mpsc::Receiver<Result<Bytes, StoreError>>);

impl PagedBody {
    /// Reads the first page, before the answer begins.
    ///
    /// # Errors
    /// The store could not be read.
    async fn begin(mut pages: Pages) -> Result<Self, StoreError> {
        let first = pages.next().await?;
        let (parts, rows) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut page = Ok(first);
            while let Some(part) = page.transpose() {
                let is_broken = part.is_err();
                // The client may have gone.
                if parts.send(part.map(Bytes::from)).await.is_err() || is_broken {
                    return;
                }
                page = pages.next().await;
            }
        });
        Ok(Self(rows))
    }
}

impl hyper::body::Body for PagedBody {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.poll_recv(cx).map(|part| part.map(|part| part.map(Frame::data)))
    }
}
