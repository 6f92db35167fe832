//! The end of somebody else's session.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Closes this session as its own client does: by the password that servers make of its number.
pub(super) async fn end(at: SocketAddr, session: i64) -> Result<()> {
    // Its client comes back at once, and the server closes all connections of a session but one.
    while close(at, session).await.unwrap_or(true) {}
    Ok(())
}

/// Asks for its end, and tells whether it was there.
async fn close(at: SocketAddr, session: i64) -> Result<bool> {
    let password = password(session);
    let (protocol, last_seen, time_out, read_only) = (0_i32, 0_i64, 60_000_i32, 0_u8);
    let mut connect = Vec::new();
    connect.write_i32(protocol).await?;
    connect.write_i64(last_seen).await?;
    connect.write_i32(time_out).await?;
    connect.write_i64(session).await?;
    connect.write_i32(i32::try_from(password.len())?).await?;
    connect.extend(password);
    connect.write_u8(read_only).await?;
    let (request, close_session) = (1_i32, -11_i32);
    let mut close = Vec::new();
    close.write_i32(request).await?;
    close.write_i32(close_session).await?;
    let mut both = Vec::new();
    for frame in [connect, close] {
        both.write_i32(i32::try_from(frame.len())?).await?;
        both.extend(frame);
    }
    let mut connection = TcpStream::connect(at).await?;
    connection.write_all(&both).await?;
    let _length = connection.read_i32().await?;
    let _protocol = connection.read_i32().await?;
    let _time_out = connection.read_i32().await?;
    let was_there = connection.read_i64().await? == session;
    // The server closes the connection once it is done.
    connection.read_to_end(&mut Vec::new()).await?;
    Ok(was_there)
}

/// What Java's `Random` comes to, begun with the number of the session and the servers' constant.
fn password(session: i64) -> [u8; 16] {
    const SERVERS: i64 = 0xB341_5C00;
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const BITS: u64 = (1 << 48) - 1;
    let mut state = ((session ^ SERVERS).cast_unsigned() ^ MULTIPLIER) & BITS;
    let mut password = [0; 16];
    for part in password.chunks_exact_mut(4) {
        state = (state.wrapping_mul(MULTIPLIER) + 0xB) & BITS;
        part.copy_from_slice(&state.to_be_bytes()[2..6]);
        part.reverse();
    }
    password
}
