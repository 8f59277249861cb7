//! A connection that asks over HTTP/1.1 and is kept open: hyper's, without a pool, redirects or
//! anything else that would take from the machine that is measured.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpSocket, TcpStream};

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("there was no whole answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("the connection was closed before the answer was whole")]
    Closed,
    #[error("no answer began: {0}")]
    NoneBegan(Box<Self>),
    #[error("this can't be asked: {0}")]
    Ask(#[from] hyper::http::Error),
    #[error("{path} was answered {status}: {body}")]
    Refused { path: String, status: StatusCode, body: String },
}

/// A request, in words.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// The API key, where it takes one.
    pub(crate) key: Option<String>,
    /// The body, which is JSON.
    pub(crate) body: Option<String>,
}

impl Ask {
    /// A read of `path`, which needs no key.
    pub(crate) fn plain(path: String) -> Self {
        Self { method: Method::GET.to_string(), path, key: None, body: None }
    }

    /// The request, ready to be sent again and again.
    ///
    /// # Errors
    /// A part of it can't be in a request.
    pub(crate) fn request(&self) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(&self.path)
            .header(HOST, HeaderValue::from_static("localhost"));
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.body(Full::from(self.body.clone().unwrap_or_default()))
    }
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// An open connection.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    connection: http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, ClientError> {
        Self::open_from(address, None).await
    }

    /// Connects from an address of this machine, where one is given.
    ///
    /// # Errors
    /// Nobody listens there, or the address is not this machine's.
    pub(crate) async fn open_from(
        address: SocketAddr,
        from: Option<IpAddr>,
    ) -> Result<Self, ClientError> {
        let stream = match from {
            None => TcpStream::connect(address).await?,
            Some(from) => {
                let socket = match from {
                    IpAddr::V4(_) => TcpSocket::new_v4()?,
                    IpAddr::V6(_) => TcpSocket::new_v6()?,
                };
                socket.bind(SocketAddr::new(from, 0))?;
                socket.connect(address).await?
            }
        };
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, connection })
    }

    /// Sends a request, and waits until its answer is there to the last byte.
    ///
    /// # Errors
    /// There was none; [`ClientError::NoneBegan`] where not even its head came. The connection is of no
    /// use then.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, ClientError> {
        let Self { sender, connection } = self;
        let has_begun = AtomicBool::new(false);
        let exchange = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            has_begun.store(true, Ordering::Relaxed);
            let body = whole(body).await?;
            sender.ready().await?;
            Ok(Answer { status: head.status, body })
        };
        driven(connection, exchange).await.map_err(|error| {
            if has_begun.load(Ordering::Relaxed) {
                error
            } else {
                ClientError::NoneBegan(Box::new(error))
            }
        })
    }

    /// Sends a request, and lets its answer pass by without keeping it.
    ///
    /// # Errors
    /// There was no whole answer. The connection is of no use then.
    pub(crate) async fn pass(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<StatusCode, ClientError> {
        let Self { sender, connection } = self;
        let exchange = async {
            let (head, mut body) = sender.send_request(request).await?.into_parts();
            while let Some(frame) = body.frame().await {
                frame?;
            }
            sender.ready().await?;
            Ok(head.status)
        };
        driven(connection, exchange).await
    }

    /// Whether the server has not closed the connection while it was not in use.
    pub(crate) async fn is_open(&mut self) -> bool {
        let Self { sender, connection } = self;
        // What the system knows of the connection is heard once the runtime has asked it.
        tokio::task::yield_now().await;
        tokio::select! {
            biased;
            _ = connection => false,
            ready = sender.ready() => ready.is_ok(),
        }
    }
}

/// One task drives the connection and waits for the answer: two would wake each other.
async fn driven<T>(
    connection: &mut http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
    exchange: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::select! {
        biased;
        answer = exchange => answer,
        _ = connection => Err(ClientError::Closed),
    }
}

/// Asks one after the other over one connection, and answers the bodies.
///
/// # Errors
/// One of them was not answered, or not with success.
pub(crate) fn ask_each(
    address: SocketAddr,
    asks: impl IntoIterator<Item = Ask>,
) -> Result<Vec<Bytes>, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = Client::open(address).await?;
        let mut bodies = Vec::new();
        for ask in asks {
            let answer = client.send(ask.request()?).await?;
            if !answer.status.is_success() {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                return Err(ClientError::Refused { path: ask.path, status: answer.status, body });
            }
            bodies.push(answer.body);
        }
        Ok(bodies)
    })
}

/// Most answers come in one piece, which is not copied.
async fn whole(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut first = Bytes::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if !first.is_empty() {
            let rest = body.collect().await?.to_bytes();
            return Ok([first, data, rest].concat().into());
        }
        first = data;
        if body.is_end_stream() {
            break;
        }
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_answer_in_pieces_is_put_together_and_one_cut_short_is_told() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            for end in ["hello", "he"] {
                let read = stream.read(&mut request).await.unwrap();
                let text = String::from_utf8(request[..read].to_vec()).unwrap();
                assert!(
                    text.starts_with("POST /a HTTP/1.1\r\nhost: localhost\r\nx-api-key: k\r\n")
                );
                assert!(text.ends_with("\r\n\r\n{}"), "{text}");
                for piece in ["HTTP/1.1 200 OK\r\nconte", "nt-length: 10\r\n\r\nagain", end] {
                    stream.write_all(piece.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        let ask = Ask {
            method: "POST".to_owned(),
            path: "/a".to_owned(),
            key: Some("k".to_owned()),
            body: Some("{}".to_owned()),
        };
        let mut client = Client::open(address).await.unwrap();
        let answer = client.send(ask.request().unwrap()).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"againhello"[..]));
        assert!(client.send(ask.request().unwrap()).await.is_err());
    }
}
