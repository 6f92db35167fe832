use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::port::Port;
use crate::proxy::Proxy;

/// The network between the members of a cluster: what one says to another passes a proxy that only
/// those two have.
///
/// Members find each other at one address each, whoever looks. So behind that is a door that sees
/// who has come, which the kernel tells.
#[derive(Debug)]
pub(crate) struct Between {
    doors: [Door; 3],
    ways: Arc<[[Proxy; 3]; 3]>,
}

/// Where the other members find one of them.
#[derive(Debug)]
struct Door {
    address: SocketAddr,
    keeper: JoinHandle<()>,
}

impl Between {
    /// The network between members that listen at these addresses and run in these folders.
    pub(crate) async fn started(listening: [SocketAddr; 3], folders: [PathBuf; 3]) -> Result<Self> {
        let ways = Arc::new([
            ways(listening).await?,
            ways(listening).await?,
            ways(listening).await?,
        ]);
        let folders = Arc::new(folders);
        let door = |number| Door::open(number, Arc::clone(&folders), Arc::clone(&ways));
        Ok(Self {
            doors: [door(0).await?, door(1).await?, door(2).await?],
            ways,
        })
    }

    /// Where the others find this member.
    pub(crate) fn door(&self, number: usize) -> SocketAddr {
        self.doors[number].address
    }

    /// Lets nothing pass between this member and the others, without a word.
    pub(crate) fn isolate(&self, number: usize) {
        for (from, ways) in self.ways.iter().enumerate() {
            for (to, way) in ways.iter().enumerate() {
                if from == number || to == number {
                    way.black_hole();
                }
            }
        }
    }

    /// Lets everything pass again.
    pub(crate) async fn heal(&self) -> Result<()> {
        for way in self.ways.iter().flatten() {
            way.heal().await?;
        }
        Ok(())
    }
}

/// From one member to each.
async fn ways([one, two, three]: [SocketAddr; 3]) -> Result<[Proxy; 3]> {
    Ok([
        Proxy::started(one).await?,
        Proxy::started(two).await?,
        Proxy::started(three).await?,
    ])
}

impl Door {
    async fn open(
        to: usize,
        folders: Arc<[PathBuf; 3]>,
        ways: Arc<[[Proxy; 3]; 3]>,
    ) -> Result<Self> {
        let port = Port::reserve()?;
        let address = port.address();
        let listener = TcpListener::bind(address).await?;
        let keeper = tokio::spawn(async move {
            let _port = port;
            while let Ok((mut guest, from)) = listener.accept().await {
                let folders = Arc::clone(&folders);
                let way = ways.each_ref().map(|ways| ways[to].address());
                tokio::spawn(async move {
                    // Who is gone already is none of our business.
                    let way = way[whose(from, &folders)?];
                    let mut onwards = TcpStream::connect(way).await?;
                    copy_bidirectional(&mut guest, &mut onwards).await?;
                    anyhow::Ok(())
                });
            }
        });
        Ok(Self { address, keeper })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// In which of these folders the process runs that has the socket of this address.
fn whose(socket: SocketAddr, folders: &[PathBuf; 3]) -> Result<usize> {
    let sockets = fs::read_to_string("/proc/net/tcp")?;
    // Addresses are written in the order of their bytes in memory, as ports are not.
    let local = format!("0100007F:{:04X}", socket.port());
    let columns = sockets.lines().map(|line| line.split_whitespace());
    let mut columns = columns.map(Iterator::collect::<Vec<_>>);
    let row = columns.find(|columns| columns.get(1) == Some(&&*local));
    let row = row.context("the socket has gone")?;
    let link = PathBuf::from(format!("socket:[{}]", row.get(9).context("no inode")?));
    for process in fs::read_dir("/proc")?.flatten() {
        let folder = fs::read_link(process.path().join("cwd")).unwrap_or_default();
        let Some(number) = folders.iter().position(|other| *other == folder) else {
            continue;
        };
        let files = fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten();
        let mut files = files.flatten().flat_map(|file| fs::read_link(file.path()));
        if files.any(|file| file == link) {
            return Ok(number);
        }
    }
    Err(anyhow::anyhow!("it is of no member"))
}
