//! The cost of a claim with few and with many active tokens: `-- claims`.

use crate::LANES;
use anyhow::Result;
use frontrow_domain::{
    command::Command,
    id::{Position, RoomId, TokenId, UserId},
    line::Fence,
    user::Caller,
};
use frontrow_testkit::bench::{engine::EngineInstance, office, office::Postgres};

/// How many claims are timed.
const CLAIMS: i64 = 8_000;
/// Callers at once: few, so that batches are small and each pays for what it looks at.
const CALLERS: usize = 8;
/// How many turns one advance offers.
const TURNS: i64 = 500;

/// Prints the figures.
///
/// # Errors
/// The server is gone.
pub(crate) async fn run(server: &Postgres) -> Result<()> {
    for _ in 0..3 {
        for active in [10, 1_000, 10_000] {
            let rate = rate(server, active).await?;
            println!("{active:>6} active, {CALLERS} callers: {rate:.0} claims/s");
        }
    }
    Ok(())
}

async fn rate(server: &Postgres, active: i64) -> Result<f64> {
    let url = server.copy("round").await?;
    let client = office::connect(&url).await?;
    let instance = EngineInstance::open(&url, LANES).await?;
    let join = Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None };
    let joins = (1..=active + CLAIMS).map(|buyer| (Caller::Buyer(office::user_id(buyer)), join.clone()));
    instance.give(joins.collect(), 1_024).await?;
    let limit = u32::try_from(TURNS)?;
    let advance = Command::AdvanceRoom {
        room_id: RoomId::HOUSE,
        fence: Fence(1),
        limit,
        unresponsive: Vec::new(),
        outlook: None,
    };
    let advances = usize::try_from((active + CLAIMS) / TURNS + 1)?;
    instance.give(vec![(Caller::System, advance); advances], 1).await?;
    let rows = client.query("SELECT position, user_id FROM waiting_token WHERE room_id = 0 ORDER BY 1", &[]).await?;
    let mut claims: Vec<_> = rows
        .iter()
        .map(|row| {
            let token = TokenId { room_id: RoomId::HOUSE, position: Position(row.get(0)) };
            (Caller::Buyer(UserId(row.get(1))), Command::ActivateToken { token })
        })
        .collect();
    let timed = claims.split_off(usize::try_from(active)?);
    instance.give(claims, 1_024).await?;
    let rate = instance.give(timed, CALLERS).await?;
    instance.close().await?;
    Ok(rate)
}
