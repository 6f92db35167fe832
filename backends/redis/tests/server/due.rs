use std::time::Duration;

use anyhow::{Result, bail};
use distlock_core::backend::{Attempt, Backend, Claim, ClaimRequest, Patience, Released};
use distlock_core::{Deadline, LockState, Mode, Name, Ttl};
use distlock_redis::RedisBackend;
use distlock_testbed::{Redis, Server, Way};
use tokio::time::{sleep, timeout};

use crate::faults::{SOON, acquired, waits};
use crate::locks;

const SHORT: Duration = Duration::from_secs(1);
/// Nobody looks by himself before a test is over.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// Claims of one name whose clients ask when they are told to, and not by themselves.
struct Contest {
    backend: RedisBackend,
    name: Name,
}

impl Contest {
    async fn at(server: &Server<Redis>) -> Result<Self> {
        Ok(Self {
            backend: RedisBackend::connect(&server.url()).await?,
            name: Name::new("x")?,
        })
    }

    /// One that has asked once, and whose claim it is.
    async fn entered(&self, ttl: Duration) -> Result<(Box<dyn Claim>, String)> {
        let ttl = Ttl::new(ttl, self.backend.capabilities())?;
        let request = ClaimRequest::new(self.name.clone(), Mode::Exclusive, ttl);
        let owner = request.owner.to_string();
        let mut claim = self.backend.claim(request)?;
        let (patience, _end) = Patience::unlimited(SOON);
        claim.attempt(&patience).await?;
        Ok((claim, owner))
    }

    /// Who holds, without a look of those who wait.
    async fn holder(&self) -> Result<String> {
        let by = Deadline::within(SOON);
        let LockState { holders, .. } = self.backend.inspect(&self.name, by).await?;
        match holders.as_slice() {
            [holder] => Ok(holder.owner.clone().unwrap_or_default()),
            _ => bail!("{} hold", holders.len()),
        }
    }
}

async fn left(mut claim: Box<dyn Claim>) -> Result<Released> {
    Ok(claim.release(Deadline::within(SOON)).await?)
}

#[tokio::test]
async fn a_waiter_that_has_expired_is_passed_over() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let contest = Contest::at(&server).await?;
    let (first, _) = contest.entered(LONG).await?;
    let (second, its) = contest.entered(LONG).await?;
    let (_dead, _) = contest.entered(SHORT).await?;
    let (_last, others) = contest.entered(LONG).await?;
    sleep(SHORT * 3 / 2).await;
    assert_eq!(left(first).await?, Released::Held);
    assert_eq!(contest.holder().await?, its);
    assert_eq!(left(second).await?, Released::Held);
    assert_eq!(contest.holder().await?, others);
    Ok(())
}

#[tokio::test]
async fn a_holder_that_has_expired_held_no_more_when_it_leaves() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let contest = Contest::at(&server).await?;
    let (late, _) = contest.entered(SHORT).await?;
    let (_next, its) = contest.entered(LONG).await?;
    sleep(SHORT * 3 / 2).await;
    assert_eq!(left(late).await?, Released::NotHeld);
    assert_eq!(contest.holder().await?, its);
    Ok(())
}

#[tokio::test]
async fn whoever_comes_after_an_expiry_has_the_next_granted() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let contest = Contest::at(&server).await?;
    let (_dead, _) = contest.entered(SHORT).await?;
    let (_next, its) = contest.entered(LONG).await?;
    sleep(SHORT * 3 / 2).await;
    let (_last, _) = contest.entered(LONG).await?;
    assert_eq!(contest.holder().await?, its);
    Ok(())
}

#[tokio::test]
async fn nobody_looks_for_the_expiry_of_one_behind() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let contest = Contest::at(&server).await?;
    let (_holder, _) = contest.entered(LONG).await?;
    let (mut waiter, _) = contest.entered(LONG).await?;
    let (_behind, _) = contest.entered(SHORT).await?;
    let (patience, _end) = Patience::unlimited(SOON);
    let Attempt::Blocked(blocked) = waiter.attempt(&patience).await? else {
        bail!("two hold at once");
    };
    assert!(blocked.recheck > Some(LONG / 2), "{blocked:?}");
    Ok(())
}

#[tokio::test]
async fn the_dead_whose_expiry_was_deleted_hold_nobody_up() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let contest = Contest::at(&server).await?;
    let (_dead, _) = contest.entered(LONG).await?;
    let (_dead_too, _) = contest.entered(LONG).await?;
    let (mut living, its) = contest.entered(LONG).await?;
    let _: u32 = server.command(&["DEL", "distlock:{x}:ends"]).await?;
    let (patience, _end) = Patience::unlimited(SOON);
    let mut looks = 1;
    while !matches!(living.attempt(&patience).await?, Attempt::Held(_)) {
        looks += 1;
        assert!(looks <= 3, "it has looked for a TTL");
    }
    assert_eq!(contest.holder().await?, its);
    Ok(())
}

#[tokio::test]
async fn one_that_asks_twice_stands_once() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let contest = Contest::at(&server).await?;
    let (first, _) = contest.entered(LONG).await?;
    let (second, its) = contest.entered(LONG).await?;
    let (mut third, others) = contest.entered(LONG).await?;
    let (patience, _end) = Patience::unlimited(SOON);
    let again = third.attempt(&patience).await?;
    assert!(matches!(again, Attempt::Blocked(_)), "{again:?}");
    for (leaving, next) in [(first, its), (second, others)] {
        assert_eq!(left(leaving).await?, Released::Held);
        assert_eq!(contest.holder().await?, next);
    }
    assert_eq!(left(third).await?, Released::Held);
    let by = Deadline::within(SOON);
    let state = contest.backend.inspect(&contest.name, by).await?;
    assert!(state.is_free(), "{state:?}");
    Ok(())
}

#[tokio::test]
async fn one_that_has_left_a_contended_line_does_not_come_back() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let contest = Contest::at(&server).await?;
    let way = server.proxy().await?;
    let backend = RedisBackend::connect(&server.url_through(&way)).await?;
    let (first, _) = contest.entered(LONG).await?;
    let (second, _) = contest.entered(LONG).await?;
    let (third, _) = contest.entered(LONG).await?;
    // It does not know that it has entered, so what it has sent may yet be on its way.
    let ttl = Ttl::new(LONG, backend.capabilities())?;
    let request = ClaimRequest::new(contest.name.clone(), Mode::Exclusive, ttl);
    let (mut unsure, mut late) = (
        backend.claim(request.clone())?,
        contest.backend.claim(request)?,
    );
    let (patience, _end) = Patience::unlimited(SHORT / 2);
    way.stall(Way::ToClient);
    assert!(unsure.attempt(&patience).await.is_err());
    way.heal().await?;
    assert_eq!(left(unsure).await?, Released::NotHeld);
    for leaving in [first, second] {
        assert_eq!(left(leaving).await?, Released::Held);
    }
    let (patience, _end) = Patience::unlimited(SOON);
    late.attempt(&patience).await?;
    assert_eq!(left(third).await?, Released::Held);
    let by = Deadline::within(SOON);
    let state = contest.backend.inspect(&contest.name, by).await?;
    assert!(state.is_free(), "{state:?}");
    Ok(())
}

#[tokio::test]
async fn tokens_grow_where_the_clock_is_behind_the_last_one() -> Result<()> {
    let server = Server::started(Redis::new()).await?;
    let locks = locks(&server.url()).await?;
    // Of the year 2033, as if the clock had been there when the last token was given.
    let ahead: u64 = 2_000_000_000_000_000;
    let head = format!("{ahead} {ahead}");
    let _: u32 = server
        .command(&["HSET", "distlock:{x}", "head", &head])
        .await?;
    let mut holder = locks.lock("x").ttl(LONG).acquire().await?;
    let mut number = holder.token().number();
    assert!(number > ahead);
    for _ in 0..3 {
        let next = acquired(&locks, "x", LONG);
        waits(&locks, "x").await?;
        let last = acquired(&locks, "x", LONG);
        holder.release().await?;
        let between = timeout(SOON, next).await???;
        assert!(between.token().number() > number);
        number = between.token().number();
        between.release().await?;
        holder = timeout(SOON, last).await???;
        assert!(holder.token().number() > number);
        number = holder.token().number();
    }
    holder.release().await?;
    Ok(())
}
