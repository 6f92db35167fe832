//! What the proxy does to connections with a server that sends back what it gets.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use distlock_testbed::{Proxy, Way};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// How long nothing has to come for there to be silence.
const SILENCE: Duration = Duration::from_millis(300);
/// What is to come comes far sooner, on any machine.
const SOON: Duration = Duration::from_secs(20);

/// An echo, and a proxy in front of it.
async fn echo() -> Result<Proxy> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    Proxy::started(address).await
}

async fn connect(proxy: &Proxy) -> Result<TcpStream> {
    Ok(TcpStream::connect(proxy.address()).await?)
}

async fn read(client: &mut TcpStream, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    timeout(SOON, client.read_exact(&mut bytes)).await??;
    Ok(bytes)
}

async fn answers(client: &mut TcpStream) -> Result<()> {
    client.write_all(b"hello").await?;
    assert_eq!(read(client, 5).await?, b"hello");
    Ok(())
}

async fn is_silent(client: &mut TcpStream) -> bool {
    timeout(SILENCE, client.read_u8()).await.is_err()
}

/// How the connection ended: in order, or by this error.
async fn end(client: &mut TcpStream) -> Result<Option<ErrorKind>> {
    let mut rest = Vec::new();
    let end = timeout(SOON, client.read_to_end(&mut rest)).await?;
    Ok(end.err().map(|error| error.kind()))
}

#[tokio::test]
async fn forwards_both_ways_and_passes_on_the_end() -> Result<()> {
    let proxy = echo().await?;
    let mut client = connect(&proxy).await?;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let (mut from, mut to) = client.split();
    let mut came = Vec::new();
    let (written, read) = tokio::join!(
        async {
            to.write_all(&sent).await?;
            to.shutdown().await
        },
        timeout(SOON, from.read_to_end(&mut came)),
    );
    written?;
    read??;
    assert!(came == sent);
    assert_eq!(proxy.passed(Way::ToServer), 1_000_000);
    assert_eq!(proxy.passed(Way::ToClient), 1_000_000);
    Ok(())
}

#[tokio::test]
async fn cut_resets_what_is_open_and_refuses_what_comes() -> Result<()> {
    let proxy = echo().await?;
    let mut client = connect(&proxy).await?;
    answers(&mut client).await?;
    proxy.cut().await?;
    assert_eq!(end(&mut client).await?, Some(ErrorKind::ConnectionReset));
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    proxy.heal().await?;
    answers(&mut connect(&proxy).await?).await
}

#[tokio::test]
async fn cut_does_not_wait_for_a_black_hole() -> Result<()> {
    let proxy = echo().await?;
    proxy.black_hole();
    let mut client = connect(&proxy).await?;
    client.write_all(b"hello").await?;
    proxy.cut().await?;
    assert_eq!(end(&mut client).await?, Some(ErrorKind::ConnectionReset));
    Ok(())
}

#[tokio::test]
async fn a_black_hole_keeps_everything_until_it_heals() -> Result<()> {
    let proxy = echo().await?;
    let mut old = connect(&proxy).await?;
    answers(&mut old).await?;
    proxy.black_hole();
    old.write_all(b"old").await?;
    let mut new = connect(&proxy).await?;
    new.write_all(b"new").await?;
    assert!(is_silent(&mut old).await && is_silent(&mut new).await);
    assert_eq!(proxy.passed(Way::ToServer), 5);
    proxy.heal().await?;
    assert_eq!(read(&mut old, 3).await?, b"old");
    assert_eq!(read(&mut new, 3).await?, b"new");
    Ok(())
}

#[tokio::test]
async fn one_direction_stalls_alone() -> Result<()> {
    let proxy = echo().await?;
    let mut client = connect(&proxy).await?;
    answers(&mut client).await?;
    proxy.stall(Way::ToClient);
    client.write_all(b"there").await?;
    assert!(is_silent(&mut client).await);
    // What was sent has arrived, only the answer has not.
    assert_eq!(proxy.passed(Way::ToServer), 10);
    assert_eq!(proxy.passed(Way::ToClient), 5);
    proxy.heal().await?;
    assert_eq!(read(&mut client, 5).await?, b"there");
    Ok(())
}

#[tokio::test]
async fn a_server_behind_a_black_hole_does_not_hear_that_the_client_has_gone() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = Proxy::started(listener.local_addr()?).await?;
    let client = connect(&proxy).await?;
    let (mut server, _) = listener.accept().await?;
    proxy.black_hole();
    drop(client);
    assert!(is_silent(&mut server).await);
    proxy.heal().await?;
    assert_eq!(end(&mut server).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_client_behind_a_black_hole_does_not_hear_that_the_server_has_gone() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = Proxy::started(listener.local_addr()?).await?;
    let mut client = connect(&proxy).await?;
    let (server, _) = listener.accept().await?;
    proxy.black_hole();
    drop(server);
    assert!(is_silent(&mut client).await);
    proxy.heal().await?;
    assert_eq!(end(&mut client).await?, None);
    Ok(())
}

#[tokio::test]
async fn each_direction_is_delayed_by_itself() -> Result<()> {
    const DELAY: Duration = Duration::from_millis(200);
    for ways in [
        &[Way::ToServer][..],
        &[Way::ToClient],
        &[Way::ToServer, Way::ToClient],
    ] {
        let proxy = echo().await?;
        let mut client = connect(&proxy).await?;
        answers(&mut client).await?;
        for way in ways {
            proxy.delay(*way, DELAY);
        }
        let began = Instant::now();
        answers(&mut client).await?;
        let took = began.elapsed();
        assert!(took >= DELAY * ways.len() as u32, "{ways:?} took {took:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_delay_does_not_slow_down() -> Result<()> {
    const DELAY: Duration = Duration::from_millis(500);
    const MESSAGES: u32 = 40;
    let proxy = echo().await?;
    proxy.delay(Way::ToServer, DELAY);
    let mut client = connect(&proxy).await?;
    client.set_nodelay(true)?;
    let began = Instant::now();
    for _ in 0..MESSAGES {
        client.write_all(b"x").await?;
        tokio::task::yield_now().await;
    }
    read(&mut client, MESSAGES as usize).await?;
    // One after the other they would take forty delays.
    assert!(began.elapsed() < DELAY * MESSAGES / 2);
    Ok(())
}

#[tokio::test]
async fn healing_lets_through_what_is_delayed() -> Result<()> {
    let proxy = echo().await?;
    let mut client = connect(&proxy).await?;
    answers(&mut client).await?;
    proxy.delay(Way::ToServer, Duration::from_secs(3600));
    client.write_all(b"late").await?;
    assert!(is_silent(&mut client).await);
    proxy.heal().await?;
    assert_eq!(read(&mut client, 4).await?, b"late");
    Ok(())
}

#[tokio::test]
async fn each_direction_is_throttled_by_itself() -> Result<()> {
    for way in [Way::ToServer, Way::ToClient] {
        let proxy = echo().await?;
        let mut client = connect(&proxy).await?;
        proxy.throttle(way, 10_000);
        let began = Instant::now();
        client.write_all(&[7; 5_000]).await?;
        read(&mut client, 5_000).await?;
        let took = began.elapsed();
        // All but the last piece take their time before the last one arrives.
        assert!(took >= Duration::from_millis(480), "{way:?} took {took:?}");
    }
    Ok(())
}

#[tokio::test]
async fn breaks_after_so_many_bytes_and_only_once() -> Result<()> {
    for way in [Way::ToServer, Way::ToClient] {
        let proxy = echo().await?;
        let mut client = connect(&proxy).await?;
        answers(&mut client).await?;
        proxy.break_after(way, 8);
        answers(&mut client).await?;
        client.write_all(b"hello").await?;
        let mut came = Vec::new();
        // What has passed before the break may be followed by an end or by a reset.
        let _ = timeout(SOON, client.read_to_end(&mut came)).await?;
        assert_eq!(proxy.passed(way), 5 + 8);
        if way == Way::ToClient {
            assert_eq!(came, b"hel");
            assert_eq!(proxy.passed(Way::ToServer), 15);
        }
        answers(&mut connect(&proxy).await?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn healing_takes_back_a_break_that_has_not_come() -> Result<()> {
    let proxy = echo().await?;
    let mut client = connect(&proxy).await?;
    for way in [Way::ToServer, Way::ToClient] {
        proxy.break_after(way, 2);
    }
    proxy.heal().await?;
    answers(&mut client).await
}

#[tokio::test]
async fn a_break_ends_both_sides() -> Result<()> {
    for way in [Way::ToServer, Way::ToClient] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Proxy::started(listener.local_addr()?).await?;
        let mut client = connect(&proxy).await?;
        let (mut server, _) = listener.accept().await?;
        proxy.break_after(way, 0);
        let from = match way {
            Way::ToServer => &mut client,
            _ => &mut server,
        };
        from.write_all(b"x").await?;
        end(&mut client).await?;
        end(&mut server).await?;
        assert_eq!(proxy.passed(way), 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_down_looks_down() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address: SocketAddr = listener.local_addr()?;
    drop(listener);
    let proxy = Proxy::started(address).await?;
    let mut client = connect(&proxy).await?;
    assert_eq!(end(&mut client).await?, Some(ErrorKind::ConnectionReset));
    Ok(())
}

#[tokio::test]
async fn nobody_listens_once_it_is_gone() -> Result<()> {
    let proxy = echo().await?;
    let mut client = connect(&proxy).await?;
    answers(&mut client).await?;
    drop(proxy);
    end(&mut client).await?;
    Ok(())
}
