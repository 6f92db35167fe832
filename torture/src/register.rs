//! The resource that the locks protect: registers that refuse tokens which are out of date.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use distlock_conformance::history::{Recorder, What, now};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// A write to the register of a name.
#[derive(Debug, Serialize, Deserialize)]
struct Write {
    op: u64,
    name: String,
    token: u64,
}

/// Serves all registers, and records what is written.
pub(crate) async fn serve(recorder: Arc<Recorder>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let greatest = Arc::new(Mutex::new(HashMap::new()));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (greatest, recorder) = (Arc::clone(&greatest), Arc::clone(&recorder));
            // A client that is killed ends its connection.
            tokio::spawn(async move { drop(attend(client, &greatest, &recorder).await) });
        }
    });
    Ok(address)
}

async fn attend(
    client: TcpStream,
    greatest: &Mutex<HashMap<String, u64>>,
    recorder: &Recorder,
) -> Result<()> {
    client.set_nodelay(true)?;
    let (requests, mut answers) = client.into_split();
    let mut requests = BufReader::new(requests).lines();
    while let Some(line) = requests.next_line().await? {
        let Write { op, name, token } = serde_json::from_str(&line)?;
        // The order of the writes is that of their records.
        let mut greatest = greatest.lock().await;
        let last = greatest.entry(name.clone()).or_insert(0);
        let accepted = token >= *last;
        *last = token.max(*last);
        let at = now();
        recorder.record_at(
            at,
            What::Wrote {
                op,
                name,
                token,
                accepted,
            },
        )?;
        drop(greatest);
        answers.write_all(&[u8::from(accepted), b'\n']).await?;
    }
    Ok(())
}

/// A client's way to the registers.
#[derive(Debug)]
pub(crate) struct Registers {
    stream: Mutex<BufReader<TcpStream>>,
}

impl Registers {
    pub(crate) async fn at(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.context("the registers cannot be reached")?;
        stream.set_nodelay(true)?;
        let stream = Mutex::new(BufReader::new(stream));
        Ok(Self { stream })
    }

    /// Writes under this token; what came of it, the register records.
    pub(crate) async fn write(&self, op: u64, name: &str, token: u64) -> Result<()> {
        let name = name.to_owned();
        let mut line = serde_json::to_vec(&Write { op, name, token })?;
        line.push(b'\n');
        let mut stream = self.stream.lock().await;
        stream.get_mut().write_all(&line).await?;
        let mut answer = Vec::new();
        stream.read_until(b'\n', &mut answer).await?;
        Ok(())
    }
}
