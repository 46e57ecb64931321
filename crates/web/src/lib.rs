//! The box office over HTTP: requests become calls of the service, and its results become answers. No rule is decided
//! here.

pub mod api;
mod cockpit;
pub mod edge;
pub mod html;
mod pages;

use api::{docs, health, passes};
use axum::{Router, routing::get};
use edge::{posters, problem, state::SharedState};

/// The place of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAt {
    /// Beside all other routes.
    Here,
    /// On a listener of their own: [`metrics_router`].
    Apart,
}

/// The metrics alone.
pub fn metrics_router(app: SharedState) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(app)
}

/// Every route of the server, without the layers around each request.
pub fn router(app: SharedState, metrics: MetricsAt) -> Router {
    let (routes, _) = api::routes().split_for_parts();
    let routes = match metrics {
        MetricsAt::Here => routes.route("/metrics", get(health::metrics)),
        MetricsAt::Apart => routes,
    };
    routes
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/openapi.json", get(health::document))
        .route(passes::KEYS_PATH, get(passes::keys))
        .merge(docs::routes())
        .merge(html::routes())
        .merge(pages::routes())
        .merge(cockpit::routes(&app))
        .merge(posters::routes())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(app)
}
