//! The door list, read while it is sent.

use crate::edge::{auth::SaleReader, extract::PathId, problem::HttpResult, state::SharedState};
use axum::{
    body::Body,
    extract::State,
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
use utoipa::ToSchema;

/// A door list as CSV.
#[derive(ToSchema)]
#[schema(
    example = "section,row,number,grade,name,reservation_id,payment_id,paid_at\r\nStalls,C,12A,R,Kim Minji,17,9,2027-03-01T11:00:00Z\r\n"
)]
#[expect(dead_code, reason = "describes what the door list writes")]
pub struct DoorList(String);

/// The door list.
///
/// The holders of seats: the sold seats of a concert in their order, as CSV in UTF-8 with a byte order mark and CRLF,
/// for spreadsheets. A cell that a spreadsheet would take for a formula begins with an apostrophe.
#[utoipa::path(get, path = "/api/v1/operator/concerts/{concert_id}/door-list.csv", tag = "operator",
    operation_id = "door_list", params(("concert_id" = ConcertId, Path, description = "The concert")),
    responses((status = 200, description = "The list", content_type = "text/csv",
        body = DoorList)))]
pub(in crate::api) async fn door_list(
    State(app): State<SharedState>,
    _reader: SaleReader,
    PathId(concert_id): PathId<ConcertId>,
) -> HttpResult<Response> {
    let rows = PagedBody::begin(app.office.door_list(concert_id).await?).await?;
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
