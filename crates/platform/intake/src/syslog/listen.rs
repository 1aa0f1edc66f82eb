//! The sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use super::{Framed, Frames, Listener, SyslogParts, Transport, lost};

/// Messages that are kept together.
const MOST_TOGETHER: usize = 1_000;
/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;
/// The largest datagram.
const DATAGRAM: usize = 65_535;

enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// A listener whose socket is open.
pub struct Bound {
    listener: Listener,
    socket: Socket,
    address: SocketAddr,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

impl Bound {
    /// Opens the socket.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn open(listener: Listener) -> std::io::Result<Self> {
        let (socket, address) = match listener.transport {
            Transport::Tcp => {
                let socket = TcpListener::bind(listener.address).await?;
                let address = socket.local_addr()?;
                (Socket::Tcp(socket), address)
            }
            Transport::Udp => {
                let socket = UdpSocket::bind(listener.address).await?;
                let address = socket.local_addr()?;
                (Socket::Udp(socket), address)
            }
        };
        Ok(Self {
            listener,
            socket,
            address,
        })
    }

    /// Where it listens: with port 0 the system has chosen one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes messages until `stop` is told; then what was read is kept, and connections are closed.
    pub async fn run(self, parts: SyslogParts, stop: Running) {
        let tenant: Arc<str> = self.listener.tenant.as_str().into();
        match self.socket {
            Socket::Tcp(socket) => accept(socket, tenant, parts, stop).await,
            Socket::Udp(socket) => datagrams(&socket, &tenant, &parts, stop).await,
        }
    }
}

/// Whether listeners go on; told once that they shall not.
#[derive(Debug, Clone)]
pub struct Running(watch::Receiver<bool>);

impl Running {
    /// What tells, and what is told.
    pub fn pair() -> (watch::Sender<bool>, Self) {
        let (tell, told) = watch::channel(true);
        (tell, Self(told))
    }

    async fn ended(&mut self) {
        // Nobody who could tell is left: that ends it, too.
        let _ = self.0.wait_for(|running| !running).await;
    }
}

async fn accept(socket: TcpListener, tenant: Arc<str>, parts: SyslogParts, mut stop: Running) {
    let places = Arc::new(Semaphore::new(parts.limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = stop.ended() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a syslog connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            metrics::counter!("sealwright_intake_syslog_connections_refused_total").increment(1);
            continue;
        };
        let (tenant, parts, stop) = (Arc::clone(&tenant), parts.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, &tenant, &parts, stop).await;
            drop(place);
        });
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(mut stream: TcpStream, tenant: &str, parts: &SyslogParts, mut stop: Running) {
    let mut frames = Frames::new(parts.limits.message_bytes);
    let mut piece = vec![0; PIECE];
    loop {
        let read = tokio::select! {
            () = stop.ended() => break,
            read = tokio::time::timeout(parts.limits.idle, stream.read(&mut piece)) => read,
        };
        let length = match read {
            Ok(Ok(length)) if length > 0 => length,
            // Closed, broken, or silent for too long.
            _ => break,
        };
        let mut found = Vec::new();
        let framed = frames.read(piece.get(..length).unwrap_or_default(), &mut found);
        keep(tenant, parts, &found, &mut stop).await;
        if let Err(why) = framed {
            tracing::warn!(why, "a syslog connection was closed");
            metrics::counter!("sealwright_intake_syslog_framing_errors_total").increment(1);
            return;
        }
    }
    let last: Vec<Framed> = frames.end().into_iter().collect();
    keep(tenant, parts, &last, &mut stop).await;
}

/// Keeps messages, however long it takes; nothing more is read of the connection meanwhile. When the
/// program stops, it is tried once more.
async fn keep(tenant: &str, parts: &SyslogParts, messages: &[Framed], stop: &mut Running) {
    let mut rest = messages;
    let mut stopping = false;
    while !rest.is_empty() {
        let some = rest.get(..MOST_TOGETHER).unwrap_or(rest);
        match parts.keep(tenant, some).await {
            Ok(kept) => rest = rest.get(kept..).unwrap_or_default(),
            Err(later) if stopping => {
                lost(later.reason(), rest.len() as u64);
                return;
            }
            Err(later) => tokio::select! {
                () = stop.ended() => stopping = true,
                () = tokio::time::sleep(Duration::from_secs(later.seconds())) => {}
            },
        }
    }
}

async fn datagrams(socket: &UdpSocket, tenant: &str, parts: &SyslogParts, mut stop: Running) {
    let waiting = std::sync::Mutex::new(Vec::<Framed>::new());
    let come = Notify::new();
    let lock = || waiting.lock().unwrap_or_else(|e| e.into_inner());
    let reading = async {
        let mut buffer = vec![0; DATAGRAM];
        loop {
            let Ok(length) = socket.recv(&mut buffer).await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let limit = parts.limits.message_bytes.min(length);
            let bytes = buffer.get(..limit).unwrap_or_default().to_vec();
            let mut waiting = lock();
            if waiting.len() >= 10 * MOST_TOGETHER {
                lost("full", 1);
                continue;
            }
            waiting.push(Framed {
                bytes,
                cut: limit < length,
            });
            come.notify_one();
        }
    };
    let writing = async {
        loop {
            come.notified().await;
            loop {
                let some: Vec<Framed> = {
                    let mut waiting = lock();
                    let n = waiting.len().min(MOST_TOGETHER);
                    waiting.drain(..n).collect()
                };
                if some.is_empty() {
                    break;
                }
                put(tenant, parts, &some).await;
            }
        }
    };
    tokio::select! {
        () = stop.ended() => {}
        () = reading => {}
        () = writing => {}
    }
    let rest = std::mem::take(&mut *lock());
    put(tenant, parts, &rest).await;
}

/// Keeps datagrams now, or not at all.
async fn put(tenant: &str, parts: &SyslogParts, messages: &[Framed]) {
    let mut rest = messages;
    while !rest.is_empty() {
        match parts.keep(tenant, rest).await {
            Ok(kept) => rest = rest.get(kept..).unwrap_or_default(),
            Err(later) => {
                lost(later.reason(), rest.len() as u64);
                return;
            }
        }
    }
}
