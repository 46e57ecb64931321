//! Figures for the plan of a large sale: how fast tokens are issued and turns are given, and what each row takes
//! on disk and in the log.

use crate::{BUYERS, CALLERS, LANES, PLAN, shuffled};
use anyhow::Result;
use frontrow_domain::{
    command::Command,
    id::{Position, RoomId, TokenId},
    line::Fence,
    user::Caller,
};
use frontrow_testkit::bench::{engine::EngineInstance, office, office::Postgres};
use tokio_postgres::Client;

/// Prints the figures.
///
/// # Errors
/// The server is gone.
pub(crate) async fn run(server: &Postgres) -> Result<()> {
    for _ in 0..3 {
        round(server).await?;
    }
    Ok(())
}

async fn round(server: &Postgres) -> Result<()> {
    let url = server.copy("round").await?;
    let client = office::connect(&url).await?;
    let instance = EngineInstance::open(&url, LANES).await?;
    let join = Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None };
    let joins = (1..=BUYERS).map(|buyer| (Caller::Buyer(office::user_id(buyer)), join.clone()));
    let before = log(&client).await?;
    let rate = instance.give(joins.collect(), 4 * CALLERS).await?;
    println!("tokens issued {rate:.0}/s, {} B of log each", (log(&client).await? - before) / BUYERS);

    let advance = Command::AdvanceRoom {
        room_id: RoomId::HOUSE,
        fence: Fence(1),
        limit: 500,
        unresponsive: Vec::new(),
        outlook: None,
    };
    let advances = vec![(Caller::System, advance); usize::try_from(BUYERS)? / 500];
    let before = log(&client).await?;
    let rate = instance.give(advances, 1).await? * 500.0;
    println!("turns offered {rate:.0}/s, {} B of log each", (log(&client).await? - before) / BUYERS);
    let rows = client.query("SELECT position, user_id FROM waiting_token WHERE room_id = 0", &[]).await?;
    let claims = rows.iter().map(|row| {
        let token = TokenId { room_id: RoomId::HOUSE, position: Position(row.get(0)) };
        (Caller::Buyer(frontrow_domain::id::UserId(row.get(1))), Command::ActivateToken { token })
    });
    let before = log(&client).await?;
    let rate = instance.give(claims.collect(), 4 * CALLERS).await?;
    println!("turns claimed {rate:.0}/s, {} B of log each", (log(&client).await? - before) / BUYERS);

    let before = log(&client).await?;
    let rates = instance.sell(PLAN, &shuffled(1), 4 * CALLERS).await?;
    let each = (log(&client).await? - before) / BUYERS;
    println!("held {:.0}/s and paid {:.0}/s, {each} B of log for both", rates.holds, rates.payments);
    instance.close().await?;
    let sizes = client
        .query(
            "SELECT relname::text, pg_total_relation_size(oid), (xpath('/row/c/text()',
                 query_to_xml('SELECT count(*) AS c FROM ' || quote_ident(relname), true, true, '')))[1]::text::bigint
             FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC LIMIT 9",
            &[],
        )
        .await?;
    for row in sizes {
        let (name, bytes, rows): (&str, i64, i64) = (row.get(0), row.get(1), row.get(2));
        println!("  {name}: {} B a row with its indexes ({rows} rows)", bytes / rows.max(1));
    }
    Ok(())
}

/// How much the server has written to its log, in bytes.
async fn log(client: &Client) -> Result<i64> {
    let query = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8";
    Ok(client.query_one(query, &[]).await?.get(0))
}
