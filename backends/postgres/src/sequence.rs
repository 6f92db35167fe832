//! The sequence that numbers come from.

use distlock_core::{Error, ErrorKind, Result};
use sqlx::Row;
use sqlx::postgres::PgListener;

use crate::error::{self, code, has_code};
use crate::statements::{CLASS, last_row};

/// The keys, within the class, under which the sequence is looked after.
mod key {
    /// Had by who looks whether it has to be set.
    pub(super) const LOOKS: i32 = -1;
    /// Shared by all connections that take numbers.
    pub(super) const USES: i32 = -2;
}

/// Makes sure that the numbers of this connection are greater than all before.
///
/// A sequence alone repeats itself when the server was killed, or a standby takes over. Either ends
/// all connections. So all that take numbers share a lock; whoever finds nobody to share it with is
/// the first, sets the sequence to the clock, and nobody takes a number meanwhile.
pub(crate) async fn begin(listener: &mut PgListener) -> Result<()> {
    let is_safe = match set(listener).await {
        Err(error) if has_code(&error, code::UNDEFINED_TABLE) => {
            make(listener).await.map_err(refused)?;
            set(listener).await
        }
        other => other,
    };
    match is_safe.map_err(refused)? {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Misconfigured,
            "the sequence public.distlock_number may repeat itself; do `alter sequence \
             public.distlock_number increment 1 cache 1 no cycle`",
        )),
    }
}

/// What it means that a number could not be had. A sequence that is gone is made anew.
pub(crate) async fn failed(listener: &mut PgListener, error: sqlx::Error) -> Error {
    // A statement that began before it went finds nothing where it was, which has no code of its own.
    let may_be_gone = [code::UNDEFINED_TABLE, code::INTERNAL_ERROR];
    if !may_be_gone.iter().any(|code| has_code(&error, code)) {
        return refused(error);
    }
    match make(listener).await {
        Ok(()) => Error::new(
            ErrorKind::Unavailable,
            "the sequence public.distlock_number was gone, and has been made anew",
        ),
        Err(error) => refused(error),
    }
}

/// Tells whether each number of the sequence is greater than the one before.
async fn set(listener: &mut PgListener) -> Result<bool, sqlx::Error> {
    let (looks, uses) = (key::LOOKS, key::USES);
    let statements = format!(
        "begin; select pg_advisory_xact_lock({CLASS}, {looks}); \
         select setval('public.distlock_number', greatest(last_value, \
           (extract(epoch from clock_timestamp()) * 1000000)::bigint)) \
         from public.distlock_number where pg_try_advisory_xact_lock({CLASS}, {uses}); \
         commit; select pg_advisory_lock_shared({CLASS}, {uses}); \
         select seqcache = 1 and not seqcycle and seqincrement = 1 from pg_sequence \
         where seqrelid = 'public.distlock_number'::regclass"
    );
    last_row(listener, &statements).await?.try_get(0)
}

/// From its first moment on it is at the clock: others may be taking numbers.
async fn make(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let statements = format!(
        "rollback; begin; select pg_advisory_xact_lock({CLASS}, {}); \
         do $$ begin execute format('create sequence if not exists public.distlock_number \
           start with %s', (extract(epoch from clock_timestamp()) * 1000000)::bigint); end $$; \
         commit; select true",
        key::LOOKS
    );
    last_row(listener, &statements).await.map(drop)
}

fn refused(error: sqlx::Error) -> Error {
    let of = error::of(error);
    if of.kind() != ErrorKind::Unauthorized {
        return of;
    }
    Error::new(
        ErrorKind::Unauthorized,
        "this role can neither make nor use the sequence that the fencing tokens come from; have \
         an administrator of the database do `create sequence if not exists \
         public.distlock_number; grant usage, select, update on sequence public.distlock_number \
         to <role>`",
    )
    .with_source(of)
}
